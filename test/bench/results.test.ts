/**
 * Medians, ratios and bars: what the figures are said to mean.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { formatNumber, tableLines, totalsOf, verdictText } from "../../bench/report.ts";
import { judge, type Results, ratioOf, spreadOf } from "../../bench/results.ts";

const results: Pick<Results, "measures" | "samples" | "seconds"> = {
  seconds: 7,
  measures: [
    {
      name: "sets",
      group: "Sets",
      unit: "/s",
      bars: [
        { of: "value", against: "zookeeper", least: 2 },
        { of: "p50", against: "zookeeper", most: 1.5 },
        { of: "value", against: "bare object", least: 0.5 },
      ],
    },
    { name: "http", group: "HTTP", unit: "/s", bars: [] },
  ],
  samples: [
    ...[100, 300, 200].map((value, index) => sample("sets", "edgekeeper", index + 1, value, 3)),
    ...[80, 90, 100].map((value, index) => sample("sets", "zookeeper", index + 1, value, 2)),
    { measure: "http", system: "edgekeeper", repeat: 1, value: 1234 },
  ],
};

function sample(
  measure: string,
  system: "edgekeeper" | "zookeeper",
  repeat: number,
  value: number,
  p50: number,
) {
  return { measure, system, repeat, value, latency: { p50, p90: p50, p99: 9, p999: 9, max: 9 } };
}

describe("spreadOf()", () => {
  test.each([
    [[], undefined],
    [[5], { median: 5, min: 5, max: 5 }],
    [[3, 1, 2], { median: 2, min: 1, max: 3 }],
    [[4, 1, 10, 2], { median: 3, min: 1, max: 10 }],
  ])("of %j", (values, spread) => {
    expect(spreadOf(values)).toEqual(spread);
  });
});

test("a ratio is of medians, and there is none without both sides", () => {
  expect(ratioOf(results, "sets", "zookeeper")).toBeCloseTo(200 / 90);
  expect(ratioOf(results, "sets", "zookeeper", "p50")).toBe(1.5);
  expect(ratioOf(results, "http", "zookeeper")).toBeUndefined();
});

test("bars: at the edge is met, and one that nothing is known of is not judged", () => {
  expect(judge(results).map(({ bar, isMet }) => [bar.of, isMet])).toEqual([
    ["value", true],
    ["p50", true],
  ]);
  const slower = { ...results, samples: results.samples.map((one) => ({ ...one, value: 100 })) };
  expect(judge(slower).map(({ isMet }) => isMet)).toEqual([false, true]);
});

test.each([
  [400, true],
  [401, false],
])("bars: a limit of 400 on the 99th percentile, and %i found", (p99, isMet) => {
  const limit = { of: "p99", against: "limit", most: 400 } as const;
  const measures = [{ name: "failover", group: "Failover", unit: "ms", bars: [limit] }] as const;
  const latency = { p50: 40, p90: 50, p99, p999: p99, max: p99 };
  const samples = [{ measure: "failover", system: "edgekeeper", repeat: 1, value: 40, latency }] as const;
  const verdicts = judge({ measures, samples });
  expect(verdicts).toEqual([{ measure: "failover", bar: limit, ratio: p99, isMet }]);
  expect(verdicts.map(verdictText)).toEqual([`${isMet ? "met" : "MISSED"} p99 ${p99} (<= 400)`]);
});

test("the table has a line for each measure, and none for what was not measured", () => {
  const lines = tableLines({ ...results, measures: [...results.measures, { ...quiet, name: "none" }] });
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(
    /^sets +200 \/s \(100\.\.300\) +90 \/s \(80\.\.100\) +2\.2x +3 \/ 2 +9 \/ 9 +met 2\.2x/,
  );
  expect(lines[2]).toMatch(/^http +1,234 \/s \(1,234\.\.1,234\) +- +-$/);
});

const quiet = { name: "", group: "", unit: "ms", bars: [] } as const;

test("totals count what was measured and whether it was compared", () => {
  expect(totalsOf(results)).toEqual({
    measures: 2,
    samples: 7,
    seconds: 7,
    compared: true,
    barsMet: 2,
    barsMissed: 0,
    ratios: { sets: 2.22 },
  });
});

test.each([
  [0.01234, "0.012"],
  [1.26, "1.3"],
  [12.34, "12.3"],
  [123.4, "123"],
  [12345.6, "12,346"],
  [Number.NaN, "-"],
])("formatNumber(%d)", (value, text) => {
  expect(formatNumber(value)).toBe(text);
});
