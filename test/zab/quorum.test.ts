/**
 * Quorums: case tables.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeServerId, type ServerId, ZERO_ZXID } from "../../src/base/index.ts";
import { hasQuorum, majority, reachedByQuorum, votersOf } from "../../src/zab/quorum.ts";

const ids = (...numbers: number[]): ServerId[] => numbers.map(makeServerId);

describe("majority()", () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [9, 5],
  ])("of %i voters is %i", (voters, expected) => {
    expect(majority(voters)).toBe(expected);
  });
});

describe("hasQuorum()", () => {
  test.each<[string, number[][], number[], boolean]>([
    ["nobody of one", [[1]], [], false],
    ["one of one", [[1]], [1], true],
    ["one of two", [[1, 2]], [1], false],
    ["two of three", [[1, 2, 3]], [1, 3], true],
    ["two of four is no majority", [[1, 2, 3, 4]], [1, 2], false],
    ["three of five", [[1, 2, 3, 4, 5]], [1, 3, 5], true],
    ["servers that do not vote are not counted", [[1, 2, 3]], [1, 7, 8, 9], false],
    [
      "in one of two configurations only",
      [
        [1, 2, 3],
        [3, 4, 5],
      ],
      [1, 2, 3],
      false,
    ],
    [
      "in both configurations",
      [
        [1, 2, 3],
        [3, 4, 5],
      ],
      [1, 3, 5],
      true,
    ],
  ])("%s", (_name, active, have, expected) => {
    const configs = active.map((voters) => ids(...voters));
    expect(hasQuorum(configs, (id) => have.includes(id))).toBe(expected);
  });

  test("any two quorums of up to seven voters share a member", () => {
    for (let voters = 1; voters <= 7; voters++) {
      const all = [ids(...Array.from({ length: voters }, (_, i) => i + 1))];
      const quorums: number[] = [];
      for (let set = 0; set < 2 ** voters; set++) {
        if (hasQuorum(all, (id) => (set & (1 << (id - 1))) !== 0)) quorums.push(set);
      }
      for (const a of quorums) for (const b of quorums) expect(a & b).not.toBe(0);
    }
  });
});

describe("reachedByQuorum()", () => {
  const at = (counters: readonly (number | undefined)[]) => (id: ServerId) => {
    const counter = counters[id - 1];
    return counter === undefined ? undefined : { epoch: 1, counter };
  };

  test.each<[string, number[][], (number | undefined)[], number]>([
    ["one voter", [[1]], [4], 4],
    ["the second of three", [[1, 2, 3]], [9, 5, 2], 5],
    ["the third of five", [[1, 2, 3, 4, 5]], [9, 8, 3, 7, 1], 7],
    ["silence counts as nothing", [[1, 2, 3]], [9, undefined, undefined], 0],
    ["a fast server that does not vote", [[1, 2, 3]], [5, 5, 1, 9, 9], 5],
    [
      "the slower of two configurations",
      [
        [1, 2, 3],
        [3, 4, 5],
      ],
      [9, 9, 9, 2, 3],
      3,
    ],
  ])("%s", (_name, active, counters, expected) => {
    const configs = active.map((voters) => ids(...voters));
    expect(reachedByQuorum(configs, at(counters)).counter).toBe(expected);
  });

  test("compares epochs before counters", () => {
    const reached = [
      { epoch: 2, counter: 1 },
      { epoch: 1, counter: 9 },
      { epoch: 2, counter: 1 },
    ];
    expect(reachedByQuorum([ids(1, 2, 3)], (id) => reached[id - 1])).toEqual({ epoch: 2, counter: 1 });
  });
});

describe("votersOf()", () => {
  const [one, two] = [makeServerId(1), makeServerId(2)];

  test("leaves observers out", () => {
    const members = [
      { id: one, role: "voter" },
      { id: two, role: "observer" },
    ] as const;
    expect(votersOf({ version: ZERO_ZXID, members })).toEqual([one]);
  });

  test("rejects a configuration without voters, and a server that is listed twice", () => {
    expect(() => votersOf({ version: ZERO_ZXID, members: [{ id: one, role: "observer" }] })).toThrow(
      "has a voter",
    );
    const twice = [
      { id: one, role: "voter" },
      { id: one, role: "observer" },
    ] as const;
    expect(() => votersOf({ version: ZERO_ZXID, members: twice })).toThrow("once");
  });
});
