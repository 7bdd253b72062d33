/**
 * The vigil over sessions while their leader sleeps: what its silence proves, and what not.
 *
 * A leader that sleeps hears nobody, and forgets its deadlines with its memory. So it leaves them behind, and
 * a deadline that passed meanwhile is only a suspicion: the session gets another full timeout from the moment
 * somebody looked. That time is observed although nobody is awake, because a client that tries anything
 * wakes a member. A suspicion that runs out unanswered ends the session; any sign of life ends the suspicion.
 *
 * Two clocks may disagree, and an alarm may come late: whoever looks much later than it was due has not been
 * looking, and grants one more timeout.
 *
 * @module
 */

import type { SessionId } from "../base/index.ts";

/** A session as a sleeping leader remembers it. */
export interface Watched {
  readonly id: SessionId;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  /** The deadline is that of a suspicion. */
  readonly isSuspected: boolean;
}

export interface Look {
  readonly nowMs: number;
  /** Grain of deadlines. */
  readonly tickMs: number;
  /** When the session's client was last heard, if anybody knows. */
  readonly signMs: number | undefined;
}

/** How late an alarm may be and still prove something: the platform may be late by a minute. */
export const vigilLateMsMax = 60_000;

/** The least multiple of `tickMs` that is later. */
export function roundUp(timeMs: number, tickMs: number): number {
  return (Math.floor(timeMs / tickMs) + 1) * tickMs;
}

/** What is made of a session when somebody looks at the clock. Its end is due if that is said so. */
export function review(
  watched: Watched,
  { nowMs, tickMs, signMs }: Look,
): { readonly watched: Watched; readonly isDue: boolean } {
  const { timeoutMs } = watched;
  const anew = roundUp(nowMs + timeoutMs, tickMs);
  const heard = signMs === undefined ? 0 : roundUp(Math.min(signMs, nowMs) + timeoutMs, tickMs);
  if (heard > watched.deadlineMs) {
    const isSuspected = heard <= nowMs;
    return { watched: { ...watched, deadlineMs: isSuspected ? anew : heard, isSuspected }, isDue: false };
  }
  // The clock was set back: nobody waits longer than a timeout.
  if (watched.deadlineMs > anew) return { watched: { ...watched, deadlineMs: anew }, isDue: false };
  if (watched.deadlineMs > nowMs) return { watched, isDue: false };
  const isDue = watched.isSuspected && nowMs - watched.deadlineMs <= vigilLateMsMax;
  if (isDue) return { watched, isDue };
  return { watched: { ...watched, deadlineMs: anew, isSuspected: true }, isDue };
}
