/**
 * The order of votes: a case table, greatest last.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeServerId } from "../../src/base/index.ts";
import type { Vote } from "../../src/zab/index.ts";
import { compareRecency, compareVotes, equalVotes, NOBODY } from "../../src/zab/vote.ts";

function vote(leader: number, currentEpoch: number, epoch: number, counter: number): Vote {
  return { leader: makeServerId(leader), currentEpoch, lastZxid: { epoch, counter } };
}

const ascending: readonly [string, Vote][] = [
  ["nobody", NOBODY],
  ["a fresh server", vote(1, 0, 0, 0)],
  ["a fresh server with a higher id", vote(2, 0, 0, 0)],
  ["a longer tail in an epoch not adopted", vote(9, 0, 7, 7)],
  ["an adopted epoch with nothing in it", vote(1, 1, 0, 0)],
  ["more of it", vote(1, 1, 1, 1)],
  ["the same, higher id", vote(3, 1, 1, 1)],
  ["a higher counter beats an id", vote(1, 1, 1, 2)],
  ["a higher zxid epoch beats a counter", vote(1, 1, 2, 1)],
  ["a higher current epoch beats them all", vote(1, 2, 1, 1)],
];

describe("compareVotes()", () => {
  test.each(ascending.map(([name, v], i) => [name, v, i] as const))("%s", (_name, v, i) => {
    for (const [j, [, other]] of ascending.entries())
      expect(Math.sign(compareVotes(v, other))).toBe(Math.sign(i - j));
  });
});

describe("equalVotes()", () => {
  test("compares all three parts", () => {
    expect(equalVotes(vote(1, 2, 2, 3), vote(1, 2, 2, 3))).toBe(true);
    for (const other of [vote(2, 2, 2, 3), vote(1, 1, 2, 3), vote(1, 2, 1, 3), vote(1, 2, 2, 4)]) {
      expect(equalVotes(vote(1, 2, 2, 3), other)).toBe(false);
    }
  });
});

describe("compareRecency()", () => {
  test("puts the adopted epoch before the zxid", () => {
    const adopted = { currentEpoch: 3, lastZxid: { epoch: 1, counter: 2 } };
    const longer = { currentEpoch: 1, lastZxid: { epoch: 2, counter: 1 } };
    expect(compareRecency(adopted, longer)).toBeGreaterThan(0);
  });
});
