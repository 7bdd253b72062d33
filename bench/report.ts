/**
 * Results as lines of text, for the terminal.
 *
 * @module
 */

import {
  judge,
  type MeasureInfo,
  type Results,
  ratioOf,
  spreadOf,
  type Verdict,
  valuesOf,
} from "./results.ts";

const header = ["", "edgekeeper", "ZooKeeper", "ratio", "p50 ms", "p99 ms", "bars"];

export function tableLines(results: Pick<Results, "samples" | "measures">): string[] {
  const verdicts = judge(results);
  const rows = results.measures
    .filter(({ name }) => results.samples.some(({ measure }) => measure === name))
    .map((measure) => rowOf(results, measure, verdicts));
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [header, ...rows].map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

function rowOf(
  results: Pick<Results, "samples">,
  { name, unit }: MeasureInfo,
  verdicts: readonly Verdict[],
): string[] {
  const spread = (system: "edgekeeper" | "zookeeper") => {
    const found = spreadOf(valuesOf(results, name, system));
    if (found === undefined) return "-";
    const { median, min, max } = found;
    return `${formatNumber(median)} ${unit} (${formatNumber(min)}..${formatNumber(max)})`;
  };
  const latencies = (of: "p50" | "p99") => {
    const both = (["edgekeeper", "zookeeper"] as const).map((system) => {
      const found = spreadOf(valuesOf(results, name, system, of));
      return found === undefined ? undefined : formatNumber(found.median);
    });
    return both.filter((text) => text !== undefined).join(" / ");
  };
  const ratio = ratioOf(results, name, "zookeeper");
  return [
    name,
    spread("edgekeeper"),
    spread("zookeeper"),
    ratio === undefined ? "-" : `${formatNumber(ratio)}x`,
    latencies("p50"),
    latencies("p99"),
    verdicts
      .filter(({ measure }) => measure === name)
      .map(verdictText)
      .join(", "),
  ];
}

/** `met: p50 0.8x, at most 1.5x ZooKeeper's`, in short. */
export function verdictText({ bar, ratio, isMet }: Verdict): string {
  const wanted = bar.least === undefined ? `<= ${bar.most}` : `>= ${bar.least}`;
  const what = bar.of === "value" ? "" : `${bar.of} `;
  const against = bar.against === "bare object" ? " of bare object" : "";
  const unit = bar.against === "limit" ? "" : "x";
  return `${isMet ? "met" : "MISSED"} ${what}${formatNumber(ratio)}${unit}${against} (${wanted})`;
}

/** Three digits that mean something, thousands apart. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(value < 10 ? 2 : 3)));
}

export interface Totals {
  readonly measures: number;
  readonly samples: number;
  readonly seconds: number;
  /** Whether there was a ZooKeeper. */
  readonly compared: boolean;
  readonly barsMet: number;
  readonly barsMissed: number;
  /** edgekeeper's median over ZooKeeper's, by measure. */
  readonly ratios: Readonly<Record<string, number>>;
}

export function totalsOf(results: Pick<Results, "samples" | "measures" | "seconds">): Totals {
  const verdicts = judge(results);
  const ratios: Record<string, number> = {};
  for (const { name } of results.measures) {
    const ratio = ratioOf(results, name, "zookeeper");
    if (ratio !== undefined) ratios[name] = Number(ratio.toPrecision(3));
  }
  return {
    measures: new Set(results.samples.map(({ measure }) => measure)).size,
    samples: results.samples.length,
    seconds: results.seconds,
    compared: results.samples.some(({ system }) => system === "zookeeper"),
    barsMet: verdicts.filter(({ isMet }) => isMet).length,
    barsMissed: verdicts.filter(({ isMet }) => !isMet).length,
    ratios,
  };
}
