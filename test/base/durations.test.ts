/**
 * Proves which spellings are durations.
 */

import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../src/base/durations.ts";

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["2m", 120_000],
  ["1h", 3_600_000],
  ["0s", 0],
  [0, 0],
  [1_500, 1_500],
])("parseDuration(%j) is %i ms", (value, expected) => {
  expect(parseDuration(value)).toBe(expected);
});

test.each([
  "",
  "30",
  "s",
  "-1s",
  "1.5s",
  "1 s",
  "1S",
  "1d",
  "1s ",
  "9999999999s",
  -1,
  1.5,
  Number.NaN,
  2 ** 53,
  null,
  true,
  {},
])("parseDuration(%j) is none", (value) => {
  expect(parseDuration(value)).toBeUndefined();
});

test.each([
  [0, "0s"],
  [1_500, "1500ms"],
  [30_000, "30s"],
])("formatDuration(%i) is %s", (ms, expected) => {
  expect(formatDuration(ms)).toBe(expected);
  expect(parseDuration(expected)).toBe(ms);
});
