/**
 * A member's reign: the write pipeline, the sessions' deadlines and the confirmations of an established
 * leader.
 *
 * One object per reign; it is dropped when leadership is lost, and nothing of it is carried into the next.
 *
 * @module
 */

import {
  NO_SESSION,
  OpCode,
  type Requester,
  type ServerId,
  type SessionId,
  type Txn,
  type WriteRequest,
  type Zxid,
} from "../base/index.ts";
import type { Applied, Tree } from "../tree/index.ts";
import type { Agreement, ClientWrite, Renewal } from "./agreement.ts";
import { Sessions } from "./sessions.ts";
import { type Settle, type Writer, Writes } from "./writes.ts";

/** How often the leader looks for containers and TTL znodes whose time is over, in peer ticks (60 s). */
const sweepTicks = 600;

/** Znodes deleted in one sweep. */
const sweepMax = 500;

export interface LeadingParts {
  readonly id: ServerId;
  readonly epoch: number;
  readonly tree: Tree;
  /** ZooKeeper's `tickTime`. */
  readonly tickMs: number;
  now(): number;
  propose(txns: readonly Txn[], payloads: readonly Uint8Array[]): void;
  /** Runs something in a turn of its own after so many ms; answers how to call it off. */
  later(ms: number, run: () => void): () => void;
  /** Asks the peer to confirm leadership; `confirmed` is called with the same id. */
  readIndex(id: number, fresh: boolean): void;
}

export class Leading implements Agreement {
  readonly sessions: Sessions;
  readonly #parts: LeadingParts;
  readonly #writes: Writes;
  readonly #confirming = new Map<number, (confirmed: boolean) => void>();
  #lastConfirm = 0;
  #ticks = 0;

  constructor(parts: LeadingParts) {
    this.#parts = parts;
    const { id, epoch, tree, tickMs, now } = parts;
    this.#writes = new Writes({ tree, now, propose: parts.propose, later: parts.later });
    this.#writes.open();
    this.sessions = new Sessions({
      id,
      epoch,
      tree,
      tickMs,
      now,
      submit: (request, requester, settle) => this.submit(request, { requester, cxid: 0, settle }),
    });
  }

  get hasRoom(): boolean {
    return this.#writes.hasRoom;
  }

  /** A write of nobody's connection. */
  submit(request: WriteRequest, writer: Writer): void {
    this.#writes.submit(request, writer);
  }

  write({ request, requester, cxid, settle }: ClientWrite): void {
    this.#writes.submit(request, { requester, cxid, settle });
  }

  openSession(timeoutMs: number, settle: Settle): void {
    const requester: Requester = { sessionId: this.sessions.newId(), identities: [] };
    this.submit({ type: OpCode.CreateSession, timeoutMs }, { requester, cxid: 0, settle });
  }

  renewSession({ id, timeoutMs, ownership }: Renewal, settle: Settle): void {
    const requester: Requester = { sessionId: id, identities: [], ownership };
    this.submit({ type: OpCode.RenewSession, timeoutMs }, { requester, cxid: 0, settle });
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
    this.#ticks += 1;
    this.sessions.tick();
    if (this.#ticks % sweepTicks === 0) this.#sweep();
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

  #sweep(): void {
    const requester = { sessionId: NO_SESSION, identities: [] };
    for (const path of this.#parts.tree.sweepDue(this.#parts.now(), sweepMax)) {
      this.submit({ type: OpCode.DeleteContainer, path }, { requester, cxid: 0, settle: ignore });
    }
  }
}

function ignore(): void {}
