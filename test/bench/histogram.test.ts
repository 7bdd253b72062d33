/**
 * The histogram against the plain definition: sort all values, take the one at the rank.
 *
 * @module
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "../../bench/load/histogram.ts";

function filled(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

test("an empty histogram answers 0", () => {
  expect(new Histogram().percentiles()).toEqual({ p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
});

test("values up to 128 µs are kept to the microsecond", () => {
  const histogram = filled([0.001, 0.002, 0.127]);
  expect(histogram.percentile(1 / 3)).toBe(0.001);
  expect(histogram.percentile(0.5)).toBe(0.002);
  expect(histogram.percentile(1)).toBe(0.127);
});

test.each([0.127, 0.128, 0.129, 0.255, 0.256, 0.257, 1, 1000, (2 ** 31 - 1) / 1000])(
  "the only value, %d ms, is every percentile",
  (value) => {
    const histogram = filled([value]);
    expect(histogram.percentile(0.01)).toBeCloseTo(value, 3);
    expect(histogram.percentiles().max).toBe(value);
  },
);

test("any percentile is the value at its rank, to one part in 64", () => {
  const values = fc.array(fc.double({ min: 0, max: 100_000, noNaN: true }), { minLength: 1 });
  const share = fc.double({ min: 0.001, max: 1, noNaN: true });
  fc.assert(
    fc.property(values, share, (all, wanted) => {
      const sorted = all.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(wanted * all.length) - 1] ?? 0;
      const told = filled(all).percentile(wanted);
      // Half a microsecond on either side is lost in rounding.
      expect(told).toBeGreaterThanOrEqual(exact - 0.0005 - 1e-9);
      expect(told).toBeLessThanOrEqual(exact * (1 + 1 / 64) + 0.0015);
    }),
  );
});

test("what is below zero or beyond half an hour is counted at the edge", () => {
  const histogram = filled([-1, 1e9]);
  expect(histogram.count).toBe(2);
  expect(histogram.percentile(0.5)).toBe(0);
  expect(histogram.percentile(1)).toBeCloseTo((2 ** 31 - 1) / 1000);
});

test("clear() forgets everything", () => {
  const histogram = filled([5]);
  histogram.clear();
  expect(histogram.count).toBe(0);
  expect(histogram.percentiles().max).toBe(0);
});
