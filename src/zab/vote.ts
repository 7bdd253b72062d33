/**
 * Votes and their order.
 *
 * `currentEpoch` comes first: it says which leader's history a candidate has completely adopted. A lower
 * one may carry a numerically higher tail that was never committed.
 *
 * Source: ZooKeeper `FastLeaderElection.totalOrderPredicate`.
 *
 * @module
 */

import { compareZxid, equalZxid, ZERO_ZXID, type Zxid } from "../base/index.ts";
import type { Vote } from "./packets.ts";

/** A non-voter's vote, and that of a candidate who has just failed: loses to every other. */
export const NOBODY: Vote = { leader: 0, lastZxid: ZERO_ZXID, currentEpoch: 0 };

/** Orders histories by what they prove: the epoch completely adopted, then the length. */
export function compareRecency(
  a: { readonly currentEpoch: number; readonly lastZxid: Zxid },
  b: { readonly currentEpoch: number; readonly lastZxid: Zxid },
): number {
  return a.currentEpoch === b.currentEpoch
    ? compareZxid(a.lastZxid, b.lastZxid)
    : a.currentEpoch - b.currentEpoch;
}

/** Positive when `a` beats `b`; zero only when they are equal. */
export function compareVotes(a: Vote, b: Vote): number {
  const recency = compareRecency(a, b);
  return recency === 0 ? a.leader - b.leader : recency;
}

export function equalVotes(a: Vote, b: Vote): boolean {
  return a.leader === b.leader && a.currentEpoch === b.currentEpoch && equalZxid(a.lastZxid, b.lastZxid);
}
