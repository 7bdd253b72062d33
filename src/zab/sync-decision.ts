/**
 * How a learner is brought level: diff, trunc, snap, or not at all.
 *
 * Compares two outlines, needs no log and sends nothing. Rows D0 to D9 are the table of the protocol
 * notes (`docs/internals/zab.md`).
 *
 * Why truncating is sound: everything committed in an earlier epoch is in the leader's history, since the
 * quorum that promised the epoch shares a member with every quorum that stored it. So what a learner
 * holds above the point where the two histories part was never committed and never will be.
 *
 * Source: ZooKeeper `LearnerHandler.syncFollower`, which decides by last zxids.
 *
 * @module
 */

import { compareZxid, equalZxid, ZERO_ZXID, type Zxid } from "../base/index.ts";
import { commonPoint, lastOf, type Outline, txnsAbove } from "./outline.ts";

export interface SyncQuestion {
  /** The history to bring the learner to; an observer's ends at the last committed txn. */
  readonly leader: Outline;
  /** What the leader has delivered: a snapshot taken now stands there. */
  readonly leaderDelivered: Zxid;
  readonly learner: Outline;
  readonly learnerDelivered: Zxid;
  readonly forceSnapshot: boolean;
  readonly diffTxnsMax: number;
}

export type SyncDecision =
  | { readonly kind: "diff"; readonly row: "D1" | "D2" | "D5"; readonly after: Zxid }
  | { readonly kind: "trunc"; readonly row: "D6"; readonly after: Zxid }
  /** `above`: the snapshot must stand above this, or it would drop what both have in common. */
  | { readonly kind: "snap"; readonly row: "D0" | "D3" | "D7" | "D8"; readonly above: Zxid }
  | { readonly kind: "refuse"; readonly row: "D4" | "D9" };

/** Total: every pair of outlines has a row. */
export function decideSync(question: SyncQuestion): SyncDecision {
  const { leader, learner, learnerDelivered } = question;
  const leaderLast = lastOf(leader);
  const learnerLast = lastOf(learner);
  // A learner's base is committed; a leader that does not reach it has lost committed txns.
  if (compareZxid(learner.base, leaderLast) > 0) return { kind: "refuse", row: "D4" };
  if (compareZxid(learnerLast, leader.base) < 0) return { kind: "snap", row: "D3", above: learnerLast };
  const common = commonPoint(leader, learner);
  if (common === undefined) {
    return learnerIsBehind(question)
      ? { kind: "snap", row: "D7", above: learnerDelivered }
      : { kind: "refuse", row: "D9" };
  }
  if (compareZxid(common, learnerDelivered) < 0) return { kind: "refuse", row: "D9" };
  const chosen = chooseSnapshot(question, common);
  if (chosen !== undefined) return { kind: "snap", row: chosen, above: common };
  if (!equalZxid(common, learnerLast)) return { kind: "trunc", row: "D6", after: common };
  if (equalZxid(learnerLast, leaderLast)) return { kind: "diff", row: "D2", after: common };
  return { kind: "diff", row: equalZxid(learnerLast, ZERO_ZXID) ? "D1" : "D5", after: common };
}

/** Whether everything the learner has delivered is below the leader's base, hence in its snapshot. */
function learnerIsBehind({ leader, learner, learnerDelivered }: SyncQuestion): boolean {
  return compareZxid(learnerDelivered, leader.base) <= 0 && compareZxid(learner.base, leader.base) <= 0;
}

/**
 * A snapshot by choice replaces the whole log, also what both have in common. It must not reach less far
 * than that: the learner's copy of a committed txn may be one that its quorum needs.
 */
function chooseSnapshot(question: SyncQuestion, common: Zxid): "D0" | "D8" | undefined {
  if (compareZxid(question.leaderDelivered, common) <= 0) return undefined;
  if (question.forceSnapshot) return "D0";
  return txnsAbove(question.leader, common) > question.diffTxnsMax ? "D8" : undefined;
}
