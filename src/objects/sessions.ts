/**
 * Sessions at the leader: opening them, keeping them alive, ending those nobody keeps alive.
 *
 * Which sessions exist is replicated and the tree's affair. Their deadlines are the leader's alone and
 * volatile: a new leader gives every session its full timeout again, since it has no evidence against any.
 *
 * Sources: ZooKeeper `SessionTrackerImpl`, `ZooKeeperServer.reopenSession`.
 *
 * @module
 */

import {
  type ConnectRequest,
  makeSessionId,
  OpCode,
  type Requester,
  type ServerId,
  type SessionId,
  type Txn,
  type WriteRequest,
} from "../base/index.ts";
import { SessionDeadlines, type Tree } from "../tree/index.ts";
import type { EnsembleConfig } from "./api.ts";
import type { OpenedSession } from "./connection.ts";
import { isSessionPassword, sessionPassword } from "./passwords.ts";
import { SessionIds } from "./session-ids.ts";
import { tickGapMs } from "./timing.ts";
import type { Settle } from "./writes.ts";

/** A client may ask for any timeout; it gets one between these, in session ticks (as ZooKeeper). */
const timeoutTicksMin = 2;
const timeoutTicksMax = 20;

/** Open sessions of an ensemble; every member keeps all of them in memory. */
export const sessionsMax = 100_000;

export interface SessionsParts {
  readonly id: ServerId;
  readonly config: EnsembleConfig;
  readonly tree: Tree;
  /** ZooKeeper's `tickTime`. */
  readonly tickMs: number;
  now(): number;
  submit(request: WriteRequest, requester: Requester, settle: Settle): void;
}

export type Opening =
  | { readonly kind: "opened"; readonly session: OpenedSession }
  /** Unknown, closed, or the password is wrong. */
  | { readonly kind: "gone" }
  /** The txn is under way. */
  | { readonly kind: "pending" };

export class Sessions {
  readonly #parts: SessionsParts;
  readonly #deadlines: SessionDeadlines;
  #ids: SessionIds | undefined;
  #lastTickMs: number;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.#deadlines = new SessionDeadlines(parts.tickMs);
    this.#lastTickMs = parts.now();
  }

  /** This member leads from now on. */
  lead(epoch: number): void {
    this.#ids = new SessionIds(this.#parts.id, epoch);
    this.#deadlines.restartAll(this.#parts.tree.sessions(), this.#parts.now());
  }

  follow(): void {
    this.#ids = undefined;
  }

  /** An id no session has had; `undefined` when this member does not lead. */
  newId(): SessionId | undefined {
    return this.#ids?.next((id) => this.#parts.tree.hasSession(id));
  }

  /** Whether another session may be opened. */
  get hasRoom(): boolean {
    return this.#parts.tree.sessionCount < sessionsMax;
  }

  /** Any sign of life. False: the session is no longer tracked. */
  touch(id: SessionId, atMs: number): boolean {
    return this.#deadlines.touch(id, atMs);
  }

  /**
   * Opens a new session, or takes up the one asked for with the timeout asked for.
   *
   * @param settle - For a new one: when its txn has applied.
   */
  open(
    request: ConnectRequest,
    requester: Requester,
    settle: (opened: OpenedSession | undefined) => void,
  ): Opening {
    const { tree } = this.#parts;
    const timeoutMs = this.#clampTimeout(request.timeoutMs);
    if (request.sessionId === 0n) return this.#create(timeoutMs, requester, settle);
    const id = makeSessionId(request.sessionId);
    const isKnown = tree.hasSession(id) && tree.isOpen(id);
    if (!isSessionPassword(this.#parts.config.secret, id, request.password) || !isKnown) {
      return { kind: "gone" };
    }
    this.#deadlines.start(id, timeoutMs, this.#parts.now());
    return { kind: "opened", session: this.#opened(id, timeoutMs) };
  }

  /** A session's own txn has applied while this member leads. */
  applied({ sessionId, op }: Txn): void {
    if (op.kind === "createSession") this.#deadlines.start(sessionId, op.timeoutMs, this.#parts.now());
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

  #create(
    timeoutMs: number,
    requester: Requester,
    settle: (opened: OpenedSession | undefined) => void,
  ): Opening {
    const id = this.newId();
    if (id === undefined) return { kind: "gone" };
    this.#parts.submit(
      { type: OpCode.CreateSession, timeoutMs },
      { ...requester, sessionId: id },
      (settled) => settle(settled.kind === "lost" ? undefined : this.#opened(id, timeoutMs)),
    );
    return { kind: "pending" };
  }

  #opened(id: SessionId, timeoutMs: number): OpenedSession {
    return { id, timeoutMs, password: sessionPassword(this.#parts.config.secret, id) };
  }

  #clampTimeout(askedMs: number): number {
    const { tickMs } = this.#parts;
    return Math.min(Math.max(askedMs, timeoutTicksMin * tickMs), timeoutTicksMax * tickMs);
  }
}

function ignore(): void {}
