/**
 * Session deadlines: when the leader may declare a session expired.
 *
 * Sessions wait in buckets, one per tick, and a deadline is rounded up to the next tick strictly above.
 * A touch within the same tick changes nothing, and there is never a timer per session: the shell asks
 * for the earliest deadline and sets one alarm.
 *
 * Soft state: a new leader starts every session afresh with its full timeout. A clock that steps back
 * moves no deadline forward.
 *
 * Invariant: a session is in the bucket of its `deadlineMs`, and no bucket is empty.
 *
 * Source: ZooKeeper `ExpiryQueue`.
 *
 * @module
 */

import { assert, type Session, type SessionId } from "../base/index.ts";
import { roundUp, type Watched } from "./vigil.ts";

interface Deadline {
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  /** See `vigil.ts`; one that runs out while its leader is awake differs in nothing from another. */
  readonly isSuspected: boolean;
}

export class SessionDeadlines {
  readonly #tickMs: number;
  readonly #deadlines = new Map<SessionId, Deadline>();
  readonly #buckets = new Map<number, Set<SessionId>>();

  /** @param tickMs - Grain of expiry, and how late it may be. */
  constructor(tickMs: number) {
    assert(tickMs > 0, "a tick takes time");
    this.#tickMs = tickMs;
  }

  get size(): number {
    return this.#deadlines.size;
  }

  /** Tracks a session, or gives a tracked one the timeout of its new connection. */
  start(id: SessionId, timeoutMs: number, nowMs: number): void {
    assert(timeoutMs > 0, "a session's timeout is positive");
    this.#move(id, { timeoutMs, deadlineMs: this.#roundUp(nowMs + timeoutMs), isSuspected: false });
  }

  /**
   * The session showed a sign of life at `atMs`, which may lie in the past.
   *
   * @returns False when it is not tracked: it has expired, or closed, or this leader never knew it.
   */
  touch(id: SessionId, atMs: number): boolean {
    const current = this.#deadlines.get(id);
    if (current === undefined) return false;
    const { timeoutMs } = current;
    const deadlineMs = this.#roundUp(atMs + timeoutMs);
    if (deadlineMs > current.deadlineMs) this.#move(id, { timeoutMs, deadlineMs, isSuspected: false });
    return true;
  }

  /** When a session is due; `undefined` for one that is not tracked. */
  deadlineOf(id: SessionId): number | undefined {
    return this.#deadlines.get(id)?.deadlineMs;
  }

  /** Stops tracking a session that closed. */
  stop(id: SessionId): void {
    const current = this.#deadlines.get(id);
    if (current === undefined) return;
    this.#deadlines.delete(id);
    const bucket = this.#buckets.get(current.deadlineMs);
    bucket?.delete(id);
    if (bucket?.size === 0) this.#buckets.delete(current.deadlineMs);
  }

  /** Forgets all and gives each session its full timeout: leadership is new. */
  restartAll(sessions: Iterable<Session>, nowMs: number): void {
    this.#deadlines.clear();
    this.#buckets.clear();
    for (const { id, timeoutMs } of sessions) this.start(id, timeoutMs, nowMs);
  }

  /** All that is tracked, for a leader that goes to sleep. */
  watched(): readonly Watched[] {
    return [...this.#deadlines].map(([id, deadline]) => ({ id, ...deadline }));
  }

  /** Goes on with what a leader left behind, or has reviewed. */
  restore(watched: Iterable<Watched>): void {
    for (const { id, ...deadline } of watched) this.#move(id, deadline);
  }

  /** Takes out every session whose deadline has passed, the earliest first. Closing them is up to the caller. */
  expired(nowMs: number): readonly SessionId[] {
    const due = [...this.#buckets.keys()].filter((deadlineMs) => deadlineMs <= nowMs).sort((a, b) => a - b);
    const ids = due.flatMap((deadlineMs) => [...(this.#buckets.get(deadlineMs) ?? [])]);
    for (const id of ids) this.stop(id);
    return ids;
  }

  /** When to ask for {@link expired} next; `undefined` while no session is tracked. */
  get nextDeadlineMs(): number | undefined {
    let next: number | undefined;
    for (const deadlineMs of this.#buckets.keys()) {
      if (next === undefined || deadlineMs < next) next = deadlineMs;
    }
    return next;
  }

  /** When each tracked session is due, in no order. */
  *entries(): Iterable<{ readonly deadlineMs: number; readonly ids: ReadonlySet<SessionId> }> {
    for (const [deadlineMs, ids] of this.#buckets) yield { deadlineMs, ids };
  }

  #move(id: SessionId, deadline: Deadline): void {
    this.stop(id);
    this.#deadlines.set(id, deadline);
    const bucket = this.#buckets.get(deadline.deadlineMs);
    if (bucket === undefined) this.#buckets.set(deadline.deadlineMs, new Set([id]));
    else bucket.add(id);
  }

  #roundUp(timeMs: number): number {
    return roundUp(timeMs, this.#tickMs);
  }
}
