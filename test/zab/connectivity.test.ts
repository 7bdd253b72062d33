/**
 * Wherever a quorum is connected in both directions, some leader comes to be and stays (LV1, LV4, LV6).
 *
 * All 64 directed graphs on three voters, each with every order of histories; and five voters with links
 * that a well-meaning election trips over (row 31).
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeServerId } from "../../src/base/index.ts";
import { type Action, Dice, World } from "./world.ts";

const initLimitTicks = 20;
const syncLimitTicks = 8;
/** Generous: a few attempts, each as long as its limits and penalties allow. */
const ticksMax = 12 * (initLimitTicks + syncLimitTicks);
/** For the rest of the run the leader must not change. */
const ticksStable = 3 * (initLimitTicks + syncLimitTicks);

function makeWorld(voters: number, histories: readonly number[], seed: number): World {
  const weights = new Proxy({} as Record<Action, number>, { get: () => 0 });
  const world = new World(
    {
      voters,
      observers: 0,
      outsiders: 0,
      asynchronous: false,
      zombies: false,
      snapshotPages: 1,
      peer: {
        initLimitTicks,
        syncLimitTicks,
        pingEveryTicks: 2,
        finalizeWaitTicks: 2,
        notifyEveryTicksMin: 2,
        notifyEveryTicksMax: 16,
        inFlightBytesMax: 1000,
        packetBytesMax: 100,
        counterMax: 2 ** 32 - 2,
      },
      weights,
    },
    new Dice(seed),
  );
  const longest = Math.max(...histories);
  // The longest first: it is the one that was proposed.
  const order = histories
    .map((txns, i) => ({ id: makeServerId(i + 1), txns }))
    .sort((a, b) => b.txns - a.txns);
  for (const [i, { id, txns }] of order.entries()) world.seedHistory(id, txns, i === 0 && longest > 0);
  return world;
}

function settles(
  voters: number,
  histories: readonly number[],
  blocked: readonly string[],
  seed = 1,
): string | undefined {
  const world = makeWorld(voters, histories, seed);
  const settled = world.settleOn(blocked, ticksMax + ticksStable);
  if (settled === undefined) return "no leader";
  if (settled.at > ticksMax) return `a leader only after ${settled.at} ticks`;
  return settled.epochs > 1 + 6 ? `${settled.epochs} epochs` : undefined;
}

const paths = ["1-2", "2-1", "1-3", "3-1", "2-3", "3-2"];
const pairs = [
  ["1-2", "2-1"],
  ["1-3", "3-1"],
  ["2-3", "3-2"],
];

describe("three voters", () => {
  const histories = [
    [0, 0, 0],
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
    [2, 1, 0],
    [2, 0, 1],
    [1, 2, 0],
    [0, 2, 1],
    [1, 0, 2],
    [0, 1, 2],
  ];
  test.each(histories.map((each) => [each.join(","), each] as const))(
    "histories of %s txns",
    (_name, txns) => {
      const stuck: string[] = [];
      for (let graph = 0; graph < 64; graph++) {
        const blocked = paths.filter((_path, i) => (graph & (1 << i)) !== 0);
        const hasQuorum = pairs.some((pair) => pair.every((path) => !blocked.includes(path)));
        if (!hasQuorum) continue;
        const fault = settles(3, txns, blocked, graph + 1);
        if (fault !== undefined) stuck.push(`without ${blocked.join(" ")}: ${fault}`);
      }
      expect(stuck).toEqual([]);
    },
  );
});

describe("five voters", () => {
  const cut = (...pairsOf: string[]): string[] =>
    pairsOf.flatMap((pair) => {
      const [a, b] = pair.split("-");
      return [`${a}-${b}`, `${b}-${a}`];
    });
  test.each([
    ["5 is reached by 4 alone, and its vote is known to all", cut("5-1", "5-2", "5-3")],
    ["5 hears everybody and nobody but 4 hears it", ["5-1", "5-2", "5-3"]],
    ["everybody hears 5, and it hears nobody but 4", ["1-5", "2-5", "3-5"]],
    ["a ring", cut("1-3", "1-4", "2-4", "2-5", "3-5")],
    ["two halves with 3 between them", cut("1-4", "1-5", "2-4", "2-5")],
    ["4 and 5 see only each other and 3, one way", [...cut("4-1", "4-2", "5-1", "5-2"), "3-5"]],
  ])("%s", (_name, blocked) => {
    for (const txns of [
      [0, 0, 0, 0, 0],
      [0, 0, 0, 0, 1],
      [3, 2, 1, 1, 2],
      [1, 1, 1, 2, 3],
    ]) {
      for (const seed of [1, 2, 3]) expect(settles(5, txns, blocked, seed), `txns ${txns}`).toBeUndefined();
    }
  });

  test("a star, where only its middle can lead, if its history lets it", () => {
    const blocked = cut("1-2", "1-4", "1-5", "2-4", "2-5", "4-5");
    for (const txns of [
      [0, 0, 0, 0, 0],
      [1, 1, 2, 1, 1],
    ]) {
      for (const seed of [1, 2, 3]) expect(settles(5, txns, blocked, seed), `txns ${txns}`).toBeUndefined();
    }
  });
});
