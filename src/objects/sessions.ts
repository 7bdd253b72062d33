/**
 * Sessions at the leader: naming them, keeping them alive, ending those nobody keeps alive.
 *
 * Which sessions exist is replicated and the tree's affair. Their deadlines are the leader's alone and
 * volatile: a new leader gives every session its full timeout again, since it has no evidence against any.
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
import { SessionDeadlines, type Tree } from "../tree/index.ts";
import { SessionIds } from "./session-ids.ts";
import { tickGapMs } from "./timing.ts";
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
  now(): number;
  submit(request: WriteRequest, requester: Requester, settle: Settle): void;
}

export class Sessions {
  readonly #parts: SessionsParts;
  readonly #deadlines: SessionDeadlines;
  readonly #ids: SessionIds;
  #lastTickMs: number;

  /** Every session that there is gets its full timeout. */
  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.#ids = new SessionIds(parts.id, parts.epoch);
    this.#deadlines = new SessionDeadlines(parts.tickMs);
    this.#lastTickMs = parts.now();
    this.#deadlines.restartAll(parts.tree.sessions(), parts.now());
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

  /** Some time has passed: proposes the end of every session whose deadline has. */
  tick(): void {
    const { tree, submit } = this.#parts;
    const nowMs = this.#parts.now();
    const gapMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    // Asleep, stalled, or a clock that was set: nobody's silence is evidence.
    if (gapMs > tickGapMs || gapMs < 0) this.#deadlines.restartAll(tree.sessions(), nowMs);
    for (const sessionId of this.#deadlines.expired(nowMs)) {
      if (!tree.isOpen(sessionId)) continue;
      submit({ type: OpCode.CloseSession }, { sessionId, identities: [] }, ignore);
    }
  }
}

function ignore(): void {}
