/**
 * Outlines: case tables, and a comparison with the lists of txns they stand for.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { equalZxid, type Zxid } from "../../src/base/index.ts";
import {
  append,
  commonPoint,
  compact,
  contains,
  cutOutline,
  lastOf,
  nextAfter,
  openHistory,
  outlineFault,
  restart,
  truncate,
  txnsAbove,
} from "../../src/zab/outline.ts";
import { listOf, outline, outlineOf, print, zxid } from "./histories.ts";
import { Dice } from "./world.ts";

describe("commonPoint()", () => {
  test.each([
    ["two empty histories", "0.0 |", "0.0 |", "0.0"],
    ["one empty", "0.0 | 1x5", "0.0 |", "0.0"],
    ["equal", "0.0 | 1x5 2x3", "0.0 | 1x5 2x3", "2.3"],
    ["a prefix within an epoch", "0.0 | 1x5 2x3", "0.0 | 1x5 2x1", "2.1"],
    ["a prefix at the end of an epoch", "0.0 | 1x5 2x3", "0.0 | 1x5", "1.5"],
    ["one has more of an earlier epoch (row 8)", "0.0 | 7x3 8x1", "0.0 | 7x4", "7.3"],
    ["different epochs on top", "0.0 | 1x5 3x1", "0.0 | 1x5 2x2", "1.5"],
    ["they part in the middle", "0.0 | 1x5 2x3 4x1", "0.0 | 1x5 2x2 4x1", "2.2"],
    ["an epoch only one has, in the middle", "0.0 | 1x5 4x1", "0.0 | 1x5 2x2 4x1", "1.5"],
    ["a base inside an epoch", "1.3 | 1x5", "0.0 | 1x4", "1.4"],
    ["a base that ends the history", "1.5 |", "0.0 | 1x5", "1.5"],
    ["a base with nothing above, and more at the other", "1.5 |", "0.0 | 1x9", "1.5"],
    ["the higher base in an epoch the other has", "2.2 | 2x4", "1.1 | 1x5 2x3", "2.3"],
    ["they part below the base", "2.2 | 2x4", "0.0 | 1x5 3x1", undefined],
    ["one ends below the base", "2.2 | 2x4", "0.0 | 1x5", undefined],
    ["one has less of the base's epoch", "2.2 | 2x4", "0.0 | 2x1", undefined],
  ])("%s", (_name, a, b, expected) => {
    for (const [x, y] of [
      [a, b],
      [b, a],
    ] as const) {
      const common = commonPoint(outline(x), outline(y));
      expect(common === undefined ? undefined : print(common)).toBe(expected);
    }
  });

  test("is the common prefix of the lists two outlines stand for", () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const dice = new Dice(seed);
      const shared = listOf(dice, [], 1 + dice.below(3));
      const [a, b] = [listOf(dice, shared, 4), listOf(dice, shared, 4)];
      let length = 0;
      // Epochs are unique to a leader in earnest; here equal zxids count as equal txns.
      while (length < Math.min(a.length, b.length) && same(a[length], b[length])) length += 1;
      const cut = dice.below(length + 1);
      const [x, y] = [outlineOf(a, cut), outlineOf(b, 0)];
      const common = commonPoint(x, y);
      expect(common === undefined ? "none" : print(common), `seed ${seed}`).toBe(
        length === 0 ? "0.0" : print(a[length - 1] ?? zxid("0.0")),
      );
    }
  });
});

function same(a: Zxid | undefined, b: Zxid | undefined): boolean {
  return a !== undefined && b !== undefined && equalZxid(a, b);
}

describe("outlineFault()", () => {
  test.each([
    ["0.0 |", undefined],
    ["1.3 | 1x5 2x1", undefined],
    ["1.0 |", "the base has counter 0"],
    ["1.3 | 1x3", "a run is empty"],
    ["0.0 | 1x0", "a run is empty"],
    ["0.0 | 2x1 1x1", "epochs do not ascend"],
    ["2.1 | 1x4", "epochs do not ascend"],
  ])("%s", (text, fault) => {
    expect(outlineFault(outline(text))).toBe(fault);
  });
});

test.each([
  ["0.0 | 1x5 2x3", "2.3", true],
  ["0.0 | 1x5 2x3", "2.4", false],
  ["0.0 | 1x5 2x3", "1.6", false],
  ["0.0 | 1x5 3x3", "2.1", false],
  ["1.4 | 1x5", "1.2", true],
  ["1.4 | 1x5", "1.5", true],
  ["0.0 |", "0.0", true],
  ["0.0 | 1x5", "1.0", false],
])("contains(): %s and %s", (text, at, expected) => {
  expect(contains(outline(text), zxid(at))).toBe(expected);
});

test.each([
  ["0.0 | 1x5 3x3", "0.0", "1.1"],
  ["0.0 | 1x5 3x3", "1.4", "1.5"],
  ["0.0 | 1x5 3x3", "1.5", "3.1"],
  ["0.0 | 1x5 3x3", "3.3", undefined],
  ["1.3 | 1x5", "1.3", "1.4"],
  ["1.5 | 3x1", "1.5", "3.1"],
  ["1.5 |", "1.5", undefined],
])("nextAfter(): %s after %s", (text, after, expected) => {
  const next = nextAfter(outline(text), zxid(after));
  expect(next === undefined ? undefined : print(next)).toBe(expected);
});

test.each([
  ["0.0 | 1x5 2x3", "1.5", 3],
  ["0.0 | 1x5 2x3", "1.2", 6],
  ["1.4 | 1x5 2x3", "1.4", 4],
  ["0.0 | 1x5", "1.5", 0],
])("txnsAbove(): %s above %s", (text, after, expected) => {
  expect(txnsAbove(outline(text), zxid(after))).toBe(expected);
});

test.each([
  ["0.0 | 1x5 2x3", "2.1", "0.0 | 1x5 2x1"],
  ["0.0 | 1x5 2x3", "1.5", "0.0 | 1x5"],
  ["1.4 | 1x5 2x3", "1.4", "1.4 |"],
  ["0.0 | 1x5", "0.0", "0.0 |"],
])("cutOutline(): %s through %s", (text, through, expected) => {
  expect(cutOutline(outline(text), zxid(through))).toEqual(outline(expected));
});

describe("a history in place", () => {
  const payloads = (n: number): Uint8Array[] => Array.from({ length: n }, () => new Uint8Array(1));

  test("appends, truncates, compacts and restarts", () => {
    const history = openHistory(outline("0.0 |"));
    append(history, { epoch: 1, first: 1, payloads: payloads(3) });
    append(history, { epoch: 1, first: 4, payloads: payloads(1) });
    append(history, { epoch: 3, first: 1, payloads: payloads(2) });
    expect(history.outline).toEqual(outline("0.0 | 1x4 3x2"));
    compact(history, zxid("1.2"));
    expect(history.outline).toEqual(outline("1.2 | 1x4 3x2"));
    truncate(history, zxid("1.3"));
    expect(history.outline).toEqual(outline("1.2 | 1x3"));
    expect(print(history.last)).toBe("1.3");
    compact(history, zxid("1.3"));
    expect(history.outline).toEqual(outline("1.3 |"));
    append(history, { epoch: 1, first: 4, payloads: payloads(1) });
    restart(history, zxid("5.9"));
    append(history, { epoch: 5, first: 10, payloads: payloads(1) });
    expect(print(lastOf(history.outline))).toBe("5.10");
  });

  test.each([
    ["a gap", { epoch: 1, first: 5, payloads: payloads(1) }],
    ["a repetition", { epoch: 1, first: 3, payloads: payloads(1) }],
    ["an earlier epoch", { epoch: 0, first: 1, payloads: payloads(1) }],
    ["a later epoch that does not begin with 1", { epoch: 2, first: 2, payloads: payloads(1) }],
    ["nothing", { epoch: 1, first: 4, payloads: [] }],
  ])("refuses to append %s", (_name, batch) => {
    const history = openHistory(outline("0.0 | 1x3"));
    expect(() => append(history, batch)).toThrow("directly behind");
  });

  test("refuses to truncate below the base, and to what it does not hold", () => {
    expect(() => truncate(openHistory(outline("1.2 | 1x3")), zxid("1.1"))).toThrow("above the base");
    expect(() => truncate(openHistory(outline("0.0 | 1x3")), zxid("1.4"))).toThrow("of the history");
  });
});
