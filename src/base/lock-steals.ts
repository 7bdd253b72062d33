/**
 * What a lock's znode remembers of those it was taken from: who took it, from whom, when and why.
 *
 * A JSON list in the znode `ek-steals` below the lock's, the newest last. It is written in the txn that takes the
 * holder's contender away, so there is no steal without its record; its version counts them all.
 *
 * @module
 */

/** Below the lock's znode; no contender. */
export const stealsName = "ek-steals";

/** Records that are kept: each has at most 4 KiB, and the list must fit a znode. */
export const stealsMax = 32;

export interface Steal {
  /** The grant that was ended, printed zxid. */
  readonly token: string;
  /** Whose it was, as its contender said. */
  readonly owner: string;
  /** Who says to have taken it. */
  readonly by: string;
  readonly reason: string;
  /** As the server knows the taker, where it does: `scheme:id`. */
  readonly identities?: readonly string[] | undefined;
  /** ISO 8601, by the clock of whoever wrote it; the znode's own times are the leader's. */
  readonly at: string;
}

/** The list with one more. What is no list was not written by us, and makes way. */
export function withSteal(stored: string, steal: Steal): string {
  return JSON.stringify([...parseList(stored), steal].slice(-stealsMax));
}

function parseList(text: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}
