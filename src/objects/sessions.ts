/**
 * Sessions at the leader: naming them, keeping them alive, ending those nobody keeps alive.
 *
 * Which sessions exist is replicated and the tree's affair. Their deadlines are the leader's alone: a new
 * leader gives every session its full timeout again, since it has no evidence against any. Only what a leader
 * left behind when it fell asleep is taken up again in its epoch (`tree/vigil.ts`).
 *
 * Sources: ZooKeeper `SessionTrackerImpl`.
 *
 * @module
 */

import {
  OpCode,
  type Requester,
  type ServerId,
  type SessionId,
  type Txn,
  type WriteRequest,
} from "../base/index.ts";
import { review, SessionDeadlines, type Tree, type Watched } from "../tree/index.ts";
import { SessionIds } from "./session-ids.ts";
import { dueHoldTicks, expiryHoldTicks, tickGapMs } from "./timing.ts";
import type { Settle } from "./writes.ts";

/** Open sessions of an ensemble; every member keeps all of them in memory. */
export const sessionsMax = 100_000;

export interface SessionsParts {
  readonly id: ServerId;
  /** Of this leader's reign. */
  readonly epoch: number;
  readonly tree: Tree;
  /** ZooKeeper's `tickTime`. */
  readonly tickMs: number;
  /** What this leader left behind when it last fell asleep in this epoch. */
  readonly vigil?: readonly Watched[] | undefined;
  /** The next block of ids of this epoch, durably taken. */
  takeIdBlock(): number;
  /** When the session's client last showed itself without waking anybody; `undefined`: it never did. */
  lastSign(id: SessionId): number | undefined;
  now(): number;
  submit(request: WriteRequest, requester: Requester, settle: Settle): void;
}

export class Sessions {
  readonly #parts: SessionsParts;
  readonly #deadlines: SessionDeadlines;
  readonly #ids: SessionIds;
  #lastTickMs: number;
  #ticksAwake = 0;
  #holdTicks = expiryHoldTicks;

  /** Every session that there is gets its full timeout, but for those of the vigil. */
  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.#ids = new SessionIds(parts.id, parts.epoch, parts.takeIdBlock);
    this.#deadlines = new SessionDeadlines(parts.tickMs);
    this.#lastTickMs = parts.now();
    this.wake(parts.vigil ?? []);
  }

  /** The ends of all deadlines: what `wake` takes up again. */
  get watched(): readonly Watched[] {
    return this.#deadlines.watched();
  }

  /**
   * Time has passed that nobody looked at the clock. Whoever is not of the vigil gets its full timeout; and what
   * has woken a leader that kept its memory may have been a sign of life, and is counted already.
   */
  wake(vigil: readonly Watched[]): void {
    const { tree, tickMs, lastSign } = this.#parts;
    const nowMs = this.#parts.now();
    this.#lastTickMs = nowMs;
    this.#ticksAwake = 0;
    this.#holdTicks = expiryHoldTicks;
    const remembered = new Map(this.watched.map((watched) => [watched.id, watched]));
    this.#deadlines.restartAll(tree.sessions(), nowMs);
    for (const left of vigil) {
      if (!tree.isOpen(left.id)) continue;
      const mine = remembered.get(left.id);
      const watched = mine !== undefined && mine.deadlineMs >= left.deadlineMs ? mine : left;
      const look = { nowMs, tickMs, signMs: lastSign(watched.id) };
      const { watched: reviewed, isDue } = review(watched, look);
      this.#deadlines.restore([reviewed]);
      if (isDue) this.#holdTicks = dueHoldTicks;
    }
  }

  /** Sessions are due, and those who may know better have a while to say so. */
  get isHolding(): boolean {
    const { nextDeadlineMs } = this.#deadlines;
    return nextDeadlineMs !== undefined && nextDeadlineMs <= this.#parts.now();
  }

  /** An id no session has had. */
  newId(): SessionId {
    return this.#ids.next((id) => this.#parts.tree.hasSession(id));
  }

  /** When each session is due. */
  get deadlines(): SessionDeadlines {
    return this.#deadlines;
  }

  /** Whether another session may be opened. */
  get hasRoom(): boolean {
    return this.#parts.tree.sessionCount < sessionsMax;
  }

  /** Any sign of life. False: the session is no longer tracked. */
  touch(id: SessionId, atMs: number): boolean {
    return this.#deadlines.touch(id, atMs);
  }

  /** A session's own txn has applied. */
  applied({ sessionId, op }: Txn): void {
    if (op.kind === "createSession" || op.kind === "renewSession") {
      this.#deadlines.start(sessionId, op.timeoutMs, this.#parts.now());
    }
    if (op.kind === "closeSession") this.#deadlines.stop(sessionId);
  }

  /**
   * Some time has passed: proposes the end of every session that was due at the last tick, and still is. One tick
   * lies between, in which the member reads what has come: after a stall the signs of life wait behind its first.
   */
  tick(): void {
    const { tree, submit } = this.#parts;
    const nowMs = this.#parts.now();
    const lastTickMs = this.#lastTickMs;
    const gapMs = nowMs - lastTickMs;
    this.#lastTickMs = nowMs;
    this.#ticksAwake += 1;
    // Asleep, stalled, or a clock that was set: nobody's silence is evidence.
    if (gapMs > tickGapMs || gapMs < 0) return this.#deadlines.restartAll(tree.sessions(), nowMs);
    // Signs of life that other members hold come first.
    if (this.#ticksAwake <= this.#holdTicks) return;
    for (const sessionId of this.#deadlines.expired(lastTickMs)) {
      if (!tree.isOpen(sessionId) || this.#isHeard(sessionId, nowMs)) continue;
      submit({ type: OpCode.CloseSession }, { sessionId, identities: [] }, ignore);
    }
  }

  /** A client that only answers for its connection does not wake the member: it is asked about here. */
  #isHeard(id: SessionId, nowMs: number): boolean {
    const signMs = this.#parts.lastSign(id);
    const timeoutMs = this.#parts.tree.session(id)?.timeoutMs;
    if (signMs === undefined || timeoutMs === undefined) return false;
    if (Math.min(signMs, nowMs) + timeoutMs <= nowMs) return false;
    this.#deadlines.start(id, timeoutMs, Math.min(signMs, nowMs));
    return true;
  }
}

function ignore(): void {}
