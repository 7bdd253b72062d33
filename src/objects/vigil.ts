/**
 * What an alarm does with a sleeping leader's sessions, without waking anybody.
 *
 * Whoever shows life through a hibernated socket is found alive here. Only an end that is due needs the
 * ensemble: then, and only then, the member wakes.
 *
 * @module
 */

import type { SessionId } from "../base/index.ts";
import { review, type Watched } from "../tree/index.ts";
import type { Vigil } from "./sql/vigil.ts";

export interface VigilLook {
  readonly nowMs: number;
  /** ZooKeeper's `tickTime`: the grain of deadlines. */
  readonly tickMs: number;
  lastSign(id: SessionId): number | undefined;
}

/** The vigil after a look at the clock, and whether a session's end is due. */
export function look(
  vigil: Vigil,
  { nowMs, tickMs, lastSign }: VigilLook,
): { readonly vigil: Vigil; readonly isDue: boolean } {
  const reviews = vigil.watched.map((watched) =>
    review(watched, { nowMs, tickMs, signMs: lastSign(watched.id) }),
  );
  return {
    vigil: { epoch: vigil.epoch, watched: reviews.map(({ watched }) => watched) },
    isDue: reviews.some(({ isDue }) => isDue),
  };
}

/** The first deadline; `Infinity` of none. */
export function earliest(watched: readonly Watched[]): number {
  return watched.reduce((first, { deadlineMs }) => Math.min(first, deadlineMs), Number.POSITIVE_INFINITY);
}
