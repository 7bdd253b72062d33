/**
 * The page says what the results say, and admits what they don't.
 *
 * @module
 */

import { expect, test } from "vitest";
import { renderPage } from "../../bench/render.ts";
import type { Results, Sample, ScaleResults } from "../../bench/results.ts";

function sample(measure: string, system: Sample["system"], value: number, p50: number): Sample {
  return { measure, system, repeat: 1, value, latency: { p50, p90: p50, p99: 9, p999: 9, max: 9 } };
}

const results: Results = {
  version: 1,
  date: "2026-11-23",
  commit: "abc1234",
  seconds: 600,
  machine: {
    cpu: "A <fast> one",
    cpus: 2,
    memoryGiB: 24,
    system: "Linux 6.1",
    loadBefore: 0.12,
    versions: { node: "24.21.0", zookeeper: "3.9.4" },
  },
  settings: { members: 3, repeats: 5, warmMs: 300, windowMs: 1500 },
  skipped: ["failover of zookeeper: its leader is not ours to kill"],
  measures: [
    {
      name: "sets-100B-64x1",
      group: "Sets, 100 bytes",
      unit: "/s",
      bars: [{ of: "value", against: "zookeeper", least: 2 }],
    },
    { name: "gone", group: "Never measured", unit: "ms", bars: [] },
    {
      name: "failover",
      group: "Failover",
      unit: "ms",
      bars: [{ of: "p99", against: "limit", most: 400 }],
    },
  ],
  samples: [
    sample("sets-100B-64x1", "edgekeeper", 15_000, 2),
    sample("sets-100B-64x1", "zookeeper", 10_000, 3),
    sample("failover", "edgekeeper", 45, 44),
  ],
};

test("a page from results has the bar, the row, the machine and what was skipped", () => {
  const { markdown, plots } = renderPage({ name: "2026-11-23-x.json", results });
  expect(markdown).toContain("| `sets-100B-64x1` | rate | ZooKeeper | at least 2x | 1.5x | **no** |");
  expect(markdown).toContain("| `failover` | 99th percentile | | at most 400 ms | 9 ms | yes |");
  expect(markdown).toContain(
    "| `sets-100B-64x1` | 15,000/s (15,000 to 15,000) | 10,000/s (10,000 to 10,000) | 1.5x | 2 / 3 | 9 / 9 |",
  );
  expect(markdown).toContain("bench/results/2026-11-23-x.json");
  expect(markdown).toContain("node 24.21.0, zookeeper 3.9.4");
  expect(markdown).toContain("- failover of zookeeper: its leader is not ours to kill");
  expect(markdown).not.toContain("Never measured");
  expect([...plots.keys()]).toEqual(["sets.svg", "sets-latency.svg"]);
  for (const name of plots.keys()) expect(markdown).toContain(`(performance/${name})`);
});

test("a plot has a bar for each figure, the highest within the frame", () => {
  const { plots } = renderPage({ name: "x.json", results });
  const svg = plots.get("sets.svg") ?? "";
  const heights = [...svg.matchAll(/<rect[^>]* height="([\d.]+)" fill/g)].map((match) => Number(match[1]));
  // Two squares of the legend, two bars in the proportion of their figures.
  expect(heights).toHaveLength(4);
  expect((heights[2] ?? 0) / (heights[3] ?? 1)).toBeCloseTo(1.5, 1);
  expect(Math.max(...heights)).toBeLessThan(300);
});

test("without results the page says so and shows no figures", () => {
  const { markdown, plots } = renderPage(undefined);
  expect(markdown).toContain("No results are kept yet");
  expect(markdown).not.toMatch(/\| ---/);
  expect(plots.size).toBe(0);
});

test("what is missed has its reasons, and a page without a miss has none", () => {
  const reasons = "What is missed above";
  expect(renderPage({ name: "x.json", results }).markdown).toContain(reasons);
  const met = results.measures.filter(({ name }) => name === "failover");
  expect(renderPage({ name: "x.json", results: { ...results, measures: met } }).markdown).not.toContain(
    reasons,
  );
});

test("trees of different sizes come from a run of their own, which says whether it was alone", () => {
  const scale: ScaleResults = {
    ...{ date: "2026-11-23", commit: "abc1234", members: 1 },
    machine: { ...results.machine, loadBefore: 9 },
    sizes: [
      {
        ...{
          znodes: 1_000_000,
          bytes: 100,
          width: 256,
          loadSeconds: 133,
          startMs: 2_110,
          wakeMs: [22, 16, 11],
        },
        memoryMiB: { empty: 90, loaded: 328, restarted: 91 },
        storageMiB: { used: 200, file: 203 },
        writeMs: { p50: 17, p90: 84, p99: 266, p999: 483, max: 550, worst: 551 },
      },
    ],
  };
  const { markdown } = renderPage(
    { name: "x.json", results },
    { name: "2026-11-23-scale.json", results: scale },
  );
  expect(markdown).toContain(
    "| 1,000,000 of 100 B | 90 / 328 / 91 | 200 / 203 | 2,110 | 16 (11 to 22) | 17 / 266 / 551 |",
  );
  expect(markdown).toContain("others were at work");
  expect(markdown).toContain("bench/results/2026-11-23-scale.json");
});
