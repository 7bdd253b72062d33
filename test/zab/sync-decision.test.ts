/**
 * How a learner is brought level: rows D0 to D9, and a check against the lists the outlines stand for.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { compareZxid, equalZxid, type Zxid } from "../../src/base/index.ts";
import { lastOf } from "../../src/zab/index.ts";
import { decideSync, type SyncQuestion } from "../../src/zab/sync-decision.ts";
import { at, listOf, outline, outlineOf, zxid } from "./histories.ts";
import { Dice } from "./world.ts";

interface Case {
  readonly name: string;
  readonly leader: string;
  readonly learner: string;
  /** Default: the learner's base. */
  readonly delivered?: string;
  readonly leaderDelivered?: string;
  readonly force?: boolean;
  readonly diffTxnsMax?: number;
  readonly expected: string;
}

const cases: readonly Case[] = [
  { name: "both empty", leader: "0.0 |", learner: "0.0 |", expected: "D2 diff 0.0" },
  { name: "an empty learner", leader: "0.0 | 1x3", learner: "0.0 |", expected: "D1 diff 0.0" },
  { name: "level", leader: "0.0 | 1x3", learner: "0.0 | 1x3", expected: "D2 diff 1.3" },
  { name: "level, compacted here", leader: "1.3 |", learner: "0.0 | 1x3", expected: "D2 diff 1.3" },
  { name: "level, compacted there", leader: "0.0 | 1x3", learner: "1.3 |", expected: "D2 diff 1.3" },
  {
    name: "an empty learner, a compacted leader (row 25)",
    leader: "1.2 | 1x3",
    learner: "0.0 |",
    expected: "D3 snap",
  },
  { name: "ends below the base", leader: "2.2 | 2x5", learner: "0.0 | 1x9", expected: "D3 snap" },
  { name: "ends just below the base", leader: "1.4 | 1x9", learner: "0.0 | 1x3", expected: "D3 snap" },
  { name: "ends at the base", leader: "1.4 | 1x9", learner: "0.0 | 1x4", expected: "D5 diff 1.4" },
  {
    name: "has compacted what the leader lacks",
    leader: "0.0 | 1x3",
    learner: "1.4 |",
    expected: "D4 refuse",
  },
  { name: "a prefix", leader: "0.0 | 1x3 2x2", learner: "0.0 | 1x2", expected: "D5 diff 1.2" },
  {
    name: "a prefix over an epoch's end",
    leader: "0.0 | 1x3 2x2",
    learner: "0.0 | 1x3",
    expected: "D5 diff 1.3",
  },
  { name: "one txn too many", leader: "0.0 | 1x3", learner: "0.0 | 1x4", expected: "D6 trunc 1.3" },
  {
    name: "too many, numerically inside (row 8)",
    leader: "0.0 | 7x3 8x1",
    learner: "0.0 | 7x4",
    expected: "D6 trunc 7.3",
  },
  {
    name: "another epoch on top",
    leader: "0.0 | 1x3 3x1",
    learner: "0.0 | 1x3 2x2",
    expected: "D6 trunc 1.3",
  },
  { name: "an excess down to the base", leader: "1.3 | 3x1", learner: "0.0 | 1x5", expected: "D6 trunc 1.3" },
  { name: "parts below the base", leader: "3.1 | 3x4", learner: "0.0 | 1x5 4x9", expected: "D7 snap" },
  {
    name: "parts below the base of the learner",
    leader: "0.0 | 1x3 3x9",
    learner: "2.2 | 2x4",
    delivered: "2.2",
    expected: "D9 refuse",
  },
  {
    name: "a truncation of what was delivered",
    leader: "0.0 | 1x3",
    learner: "0.0 | 1x5",
    delivered: "1.4",
    expected: "D9 refuse",
  },
  {
    name: "a truncation down to what was delivered",
    leader: "0.0 | 1x3",
    learner: "0.0 | 1x5",
    delivered: "1.3",
    expected: "D6 trunc 1.3",
  },
  {
    name: "forced",
    leader: "0.0 | 1x9",
    learner: "0.0 | 1x2",
    leaderDelivered: "1.5",
    force: true,
    expected: "D0 snap",
  },
  {
    name: "forced, but the state reaches no further than what both have",
    leader: "0.0 | 1x9",
    learner: "0.0 | 1x5",
    leaderDelivered: "1.5",
    force: true,
    expected: "D5 diff 1.5",
  },
  {
    name: "too much to send",
    leader: "0.0 | 1x9",
    learner: "0.0 | 1x2",
    leaderDelivered: "1.9",
    diffTxnsMax: 6,
    expected: "D8 snap",
  },
  {
    name: "just not too much",
    leader: "0.0 | 1x9",
    learner: "0.0 | 1x2",
    leaderDelivered: "1.9",
    diffTxnsMax: 7,
    expected: "D5 diff 1.2",
  },
  {
    name: "too much, and something to drop",
    leader: "0.0 | 1x2 3x9",
    learner: "0.0 | 1x4",
    leaderDelivered: "3.9",
    diffTxnsMax: 6,
    expected: "D8 snap",
  },
];

function question(each: Case): SyncQuestion {
  const [leader, learner] = [outline(each.leader), outline(each.learner)];
  return {
    leader,
    leaderDelivered: each.leaderDelivered === undefined ? leader.base : zxid(each.leaderDelivered),
    learner,
    learnerDelivered: each.delivered === undefined ? learner.base : zxid(each.delivered),
    forceSnapshot: each.force ?? false,
    diffTxnsMax: each.diffTxnsMax ?? Number.MAX_SAFE_INTEGER,
  };
}

describe("decideSync()", () => {
  test.each(cases.map((each) => [each.name, each] as const))("%s", (_name, each) => {
    const decision = decideSync(question(each));
    const after = "after" in decision ? ` ${decision.after.epoch}.${decision.after.counter}` : "";
    expect(`${decision.row} ${decision.kind}${after}`).toBe(each.expected);
  });

  test("ends with the leader's history, and spares what was delivered", () => {
    for (let seed = 1; seed <= 5000; seed++) {
      const dice = new Dice(seed);
      const shared = listOf(dice, [], 1 + dice.below(3));
      const [mine, theirs] = [listOf(dice, shared, 3), listOf(dice, shared, 3)];
      // Only what both share can be committed, hence delivered or compacted anywhere.
      const committed = dice.below(shared.length + 1);
      const base = dice.below(committed + 1);
      const learnerBase = dice.below(committed + 1);
      const leaderDelivered = base + dice.below(committed - base + 1);
      const delivered = learnerBase + dice.below(committed - learnerBase + 1);
      const decision = decideSync({
        leader: outlineOf(mine, base),
        leaderDelivered: at(mine, leaderDelivered),
        learner: outlineOf(theirs, learnerBase),
        learnerDelivered: at(theirs, delivered),
        forceSnapshot: dice.chance(20),
        diffTxnsMax: dice.pick([0, 2, 100]),
      });
      // A snapshot stands where the leader has delivered; the rest stays to be sent as entries.
      const kept = kindOfResult(decision, theirs, at(mine, leaderDelivered));
      expect(decision.kind, `seed ${seed}`).not.toBe("refuse");
      if (kept === undefined) continue;
      expect(kept.length, `seed ${seed}`).toBeGreaterThanOrEqual(delivered);
      for (const [i, zxid] of kept.entries())
        expect(equalZxid(zxid, mine[i] ?? zxid), `seed ${seed}`).toBe(true);
      expect(compareZxid(kept.at(-1) ?? zxid("0.0"), lastOf(outlineOf(mine, base)))).toBeLessThanOrEqual(0);
      expect(kept.length, `seed ${seed}: entries after it are still in the log`).toBeGreaterThanOrEqual(base);
    }
  });
});

/** What the learner keeps; `undefined` when a snapshot takes its place. */
function kindOfResult(
  decision: ReturnType<typeof decideSync>,
  theirs: readonly Zxid[],
  state: Zxid,
): Zxid[] | undefined {
  if (decision.kind === "refuse") return [];
  if (decision.kind === "snap") {
    expect(compareZxid(state, decision.above)).toBeGreaterThanOrEqual(0);
    return undefined;
  }
  const kept = theirs.filter((zxid) => compareZxid(zxid, decision.after) <= 0);
  if (decision.kind === "diff") expect(kept.length).toBe(theirs.length);
  return kept;
}
