/**
 * A member's reign: the write pipeline, the sessions' deadlines and the confirmations of an established
 * leader, for its own clients and for those of its learners.
 *
 * One object per reign; it is dropped when leadership is lost, and nothing of it is carried into the next.
 *
 * Invariant: each request of a learner's becomes one txn, in their order, and the learner is told which ahead
 * of its proposal. None is refused any other way, so none can overtake an earlier one.
 *
 * @module
 */

import {
  type ClientRequest,
  isWriteType,
  NO_SESSION,
  OpCode,
  type Requester,
  type ServerId,
  type SessionId,
  type Txn,
  unreachable,
  type WriteRequest,
  type Zxid,
} from "../base/index.ts";
import { decodeRequest, decodeRequestHeader } from "../jute/index.ts";
import type { Applied, EnsembleView, Tree, Watched } from "../tree/index.ts";
import type { Forwarded } from "../zab/index.ts";
import type { Agreement, ClientWrite, Renewal } from "./agreement.ts";
import { decodeEntries, type Entry, encodeReplies, type Reply } from "./forwarding-codec.ts";
import { Sessions, type SessionsParts } from "./sessions.ts";
import { type Origin, type Settle, type Writer, Writes, type WritesParts } from "./writes.ts";

/** How often the leader looks for containers and TTL znodes whose time is over. */
const sweepMs = 60_000;

/** A leader that begins, or wakes, looks for the first time after so long: before it sleeps again. */
const firstSweepMs = 1_000;

/** Containers and TTL znodes looked at to find out how long a leader may sleep. */
const sweepScanMax = 10_000;

/** Znodes deleted in one sweep. */
export const sweepMax = 500;

/** After a sweep that may have left some: together ZooKeeper's 10,000 a minute. */
const sweepAgainMs = 3_000;

export interface LeadingParts {
  readonly id: ServerId;
  readonly epoch: number;
  readonly tree: Tree;
  /** For requests to change the members. Default: those are not there. */
  readonly ensemble?: EnsembleView | undefined;
  readonly room?: WritesParts["room"];
  /** ZooKeeper's `tickTime`. */
  readonly tickMs: number;
  readonly vigil: SessionsParts["vigil"];
  readonly takeIdBlock: SessionsParts["takeIdBlock"];
  readonly lastSign: SessionsParts["lastSign"];
  now(): number;
  /** What the first txn of the next proposal will be. */
  nextZxid(): Zxid;
  propose(txns: readonly Txn[], payloads: readonly Uint8Array[]): void;
  /** Runs something in a turn of its own after so many ms; answers how to call it off. */
  later(ms: number, run: () => void): () => void;
  /** Tells a learner; its clients wait for everything through `awaited`. */
  answer(origin: Origin, bytes: Uint8Array, awaited: Zxid): void;
  /** Asks the peer to confirm leadership; `confirmed` is called with the same id. */
  readIndex(id: number, fresh: boolean): void;
}

export class Leading implements Agreement {
  readonly sessions: Sessions;
  readonly #parts: LeadingParts;
  readonly #writes: Writes;
  readonly #confirming = new Map<number, (confirmed: boolean) => void>();
  #lastConfirm = 0;
  #sweepAtMs: number;

  constructor(parts: LeadingParts) {
    this.#parts = parts;
    const { id, epoch, tree, tickMs, now } = parts;
    this.#sweepAtMs = now() + firstSweepMs;
    this.#writes = new Writes({
      tree,
      now,
      propose: (txns, payloads, origins) => {
        this.#assign(origins);
        parts.propose(txns, payloads);
      },
      later: parts.later,
      ensemble: parts.ensemble,
      room: parts.room,
    });
    this.#writes.open();
    this.sessions = new Sessions({
      id,
      epoch,
      tree,
      tickMs,
      now,
      vigil: parts.vigil,
      takeIdBlock: parts.takeIdBlock,
      lastSign: parts.lastSign,
      submit: (request, requester, settle) => this.submit(request, { requester, cxid: 0, settle }),
    });
  }

  get epoch(): number {
    return this.#parts.epoch;
  }

  get hasRoom(): boolean {
    return this.#writes.hasRoom;
  }

  /** Somebody waits for an answer, or to be ended. */
  get isBusy(): boolean {
    return this.#writes.outstanding > 0 || this.#confirming.size > 0 || this.sessions.isHolding;
  }

  /** A write of nobody's connection. */
  submit(request: WriteRequest, writer: Writer): void {
    this.#writes.submit(request, writer);
  }

  write({ request, requester, cxid, settle }: ClientWrite): void {
    this.#writes.submit(request, { requester, cxid, settle });
  }

  openSession(timeoutMs: number, settle: Settle, origin?: Origin): void {
    const requester: Requester = { sessionId: this.sessions.newId(), identities: [] };
    this.submit({ type: OpCode.CreateSession, timeoutMs }, { requester, cxid: 0, settle, origin });
  }

  renewSession({ id, timeoutMs, ownership }: Renewal, settle: Settle, origin?: Origin): void {
    // Asking is a sign of life: while the txn is under way the session must not lapse.
    this.touch(id);
    const requester: Requester = { sessionId: id, identities: [], ownership };
    this.submit({ type: OpCode.RenewSession, timeoutMs }, { requester, cxid: 0, settle, origin });
  }

  touch(session: SessionId): void {
    this.sessions.touch(session, this.#parts.now());
  }

  confirm(fresh: boolean, done: (confirmed: boolean) => void): void {
    this.#lastConfirm += 1;
    this.#confirming.set(this.#lastConfirm, done);
    this.#parts.readIndex(this.#lastConfirm, fresh);
  }

  /** What the peer says of a confirmation asked for. One of an earlier reign is nobody's any more. */
  confirmed(id: number, isConfirmed: boolean): void {
    const done = this.#confirming.get(id);
    this.#confirming.delete(id);
    done?.(isConfirmed);
  }

  /** A tick of the peer has passed. */
  tick(): void {
    this.sessions.tick();
    const nowMs = this.#parts.now();
    if (nowMs < this.#sweepAtMs && this.#sweepAtMs - nowMs <= sweepMs) return;
    const swept = this.#sweep();
    this.#sweepAtMs = nowMs + (swept < sweepMax ? sweepMs : sweepAgainMs);
  }

  /**
   * The ensemble falls asleep: what is left to the alarms. Sweeps stay a minute apart, as awake: with ZooKeeper, too,
   * what is due is gone within a minute.
   */
  rest(): { readonly watched: readonly Watched[]; readonly sweepAtMs: number | undefined } {
    const nextMs = this.#parts.tree.nextSweepMs(sweepScanMax);
    // Woken, it looks for the first time after `firstSweepMs`. The clock may have been set back.
    const dueMs = Math.min(this.#sweepAtMs, this.#parts.now() + sweepMs) - firstSweepMs;
    const sweepAtMs = nextMs === undefined ? undefined : Math.max(nextMs, dueMs);
    return { watched: this.sessions.watched, sweepAtMs };
  }

  /** It wakes, and its memory was not lost. */
  wake(vigil: readonly Watched[]): void {
    this.sessions.wake(vigil);
    this.#sweepAtMs = this.#parts.now() + firstSweepMs;
  }

  /** End of a turn: proposes what was gathered. */
  flush(): void {
    this.#writes.flush();
  }

  /** A txn has applied. */
  applied(zxid: Zxid, txn: Txn, applied: Applied): void {
    this.sessions.applied(txn);
    this.#writes.applied(zxid, applied);
  }

  /** Leadership is lost: whoever waits is told. */
  end(): void {
    this.#writes.close();
    for (const id of [...this.#confirming.keys()]) this.confirmed(id, false);
  }

  /** What a learner's clients ask; false when it cannot be read. */
  forwarded({ from, session, bytes, fresh }: Forwarded): boolean {
    const entries = decodeEntries(bytes);
    const origin = { id: from, session };
    let sender: Requester | undefined;
    for (const entry of entries ?? []) {
      // A proposal in between may have used up the last counter, and the reign with it.
      if (!this.#writes.isOpen) return true;
      if (entry.kind === "request" && entry.requester !== sender) {
        sender = entry.requester;
        this.touch(sender.sessionId);
      }
      if (!this.#take(entry, origin, fresh)) return false;
    }
    return entries !== undefined;
  }

  /** False when it makes no sense here: the learner takes for a write what this member does not know. */
  #take(entry: Entry, origin: Origin, fresh: boolean): boolean {
    const settle = ignore;
    switch (entry.kind) {
      case "request": {
        const write = writeIn(entry.frame);
        if (write === undefined) return false;
        this.submit(write.request, { requester: entry.requester, cxid: write.cxid, settle, origin });
        return true;
      }
      case "open":
        this.openSession(entry.timeoutMs, settle, origin);
        return true;
      case "renew":
        this.renewSession(entry.renewal, settle, origin);
        return true;
      case "confirm":
        this.confirm(fresh, (confirmed) => this.#tellConfirmed(origin, entry.id, confirmed));
        return true;
      case "touches":
        for (const id of entry.sessions) this.touch(id);
        return true;
      default:
        return unreachable(entry);
    }
  }

  #tellConfirmed(origin: Origin, id: number, confirmed: boolean): void {
    const index = this.#parts.tree.applied;
    const reply: Reply = confirmed ? { kind: "confirmed", id, index } : { kind: "unconfirmed", id };
    this.#parts.answer(origin, encodeReplies([reply]), index);
  }

  /** Tells each learner which of the txns about to be proposed are its clients'. */
  #assign(origins: readonly (Origin | undefined)[]): void {
    const { epoch, counter } = this.#parts.nextZxid();
    const told = new Map<ServerId, { readonly origin: Origin; readonly runs: Run[] }>();
    for (const [at, origin] of origins.entries()) {
      if (origin === undefined) continue;
      const entry = told.get(origin.id);
      const run = entry?.runs.at(-1);
      const zxid = { epoch, counter: counter + at };
      // Of a learner that has attached anew only the later requests are still waited for.
      if (entry === undefined || entry.origin.session !== origin.session) {
        told.set(origin.id, { origin, runs: [{ kind: "assigned", first: zxid, count: 1 }] });
      } else if (run !== undefined && run.first.counter + run.count === zxid.counter) {
        run.count += 1;
      } else {
        entry.runs.push({ kind: "assigned", first: zxid, count: 1 });
      }
    }
    const awaited = { epoch, counter: counter + origins.length - 1 };
    for (const { origin, runs } of told.values()) this.#parts.answer(origin, encodeReplies(runs), awaited);
  }

  /** How many are asked to be deleted. */
  #sweep(): number {
    const requester = { sessionId: NO_SESSION, identities: [] };
    const due = this.#parts.tree.sweepDue(this.#parts.now(), sweepMax);
    for (const path of due) {
      this.submit({ type: OpCode.DeleteContainer, path }, { requester, cxid: 0, settle: ignore });
    }
    return due.length;
  }
}

type Run = { kind: "assigned"; first: Zxid; count: number };

/** The write in a frame that a learner has passed on. */
function writeIn(frame: Uint8Array): { readonly request: WriteRequest; readonly cxid: number } | undefined {
  const header = decodeRequestHeader(frame);
  const decoded = header === undefined ? undefined : decodeRequest(header.type, frame);
  if (header === undefined || decoded?.ok !== true || !isWrite(decoded.request)) return undefined;
  return { request: decoded.request, cxid: header.xid };
}

function isWrite(request: ClientRequest): request is Extract<ClientRequest, WriteRequest> {
  return isWriteType(request.type);
}

function ignore(): void {}
