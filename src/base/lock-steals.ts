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

/** Records that are kept. With all their texts as long as may be, and escaped, the list still fits a znode. */
export const stealsMax = 32;

/** Of each text, UTF-16 units. A contender's owner may be longer, and is cut. */
export const stealTextMax = 1_024;

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
  const cut = { ...steal, owner: steal.owner.slice(0, stealTextMax) };
  return JSON.stringify([...parseList(stored), cut].slice(-stealsMax));
}

function parseList(text: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}
