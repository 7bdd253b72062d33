/**
 * What a run leaves behind: raw figures, one per repeat, and what is needed to judge them.
 *
 * @module
 */

import type { Percentiles } from "./load/histogram.ts";
import type { SystemName } from "./servers/system.ts";

/** What design calls fast: a ratio of edgekeeper's median to another system's, or a figure of its own. */
export interface Bar {
  /** What is compared: the measure's value, its median latency, or the one that 1 % exceed. */
  readonly of: "value" | "p50" | "p99";
  /** `limit`: `least` and `most` are in the unit of the figure, not ratios. */
  readonly against: Exclude<SystemName, "edgekeeper"> | "limit";
  readonly least?: number | undefined;
  readonly most?: number | undefined;
}

export interface MeasureInfo {
  /** Unique; what `--only` looks at. */
  readonly name: string;
  /** A heading that related measures share. */
  readonly group: string;
  readonly unit: "/s" | "ms";
  readonly bars: readonly Bar[];
}

export interface Sample {
  readonly measure: string;
  readonly system: SystemName;
  /** From 1. */
  readonly repeat: number;
  readonly value: number;
  readonly latency?: Percentiles | undefined;
}

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** One minute's load average when the run began: above 0.5, others were at work. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
}

export interface Results {
  readonly version: 1;
  /** `YYYY-MM-DD`. */
  readonly date: string;
  readonly commit: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly settings: {
    readonly members: number;
    readonly repeats: number;
    readonly warmMs: number;
    readonly windowMs: number;
  };
  /** What could not be measured, and why. */
  readonly skipped: readonly string[];
  readonly measures: readonly MeasureInfo[];
  readonly samples: readonly Sample[];
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) return undefined;
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? min, sorted[sorted.length >> 1] ?? max];
  return { median: (low + high) / 2, min, max };
}

/** All repeats of one measure on one system. */
export function valuesOf(
  results: Pick<Results, "samples">,
  measure: string,
  system: SystemName,
  of: Bar["of"] = "value",
): readonly number[] {
  return results.samples
    .filter((sample) => sample.measure === measure && sample.system === system)
    .map((sample) => (of === "value" ? sample.value : sample.latency?.[of]))
    .filter((value) => value !== undefined);
}

/** edgekeeper's median over another's; `undefined` when either is missing. */
export function ratioOf(
  results: Pick<Results, "samples">,
  measure: string,
  against: SystemName,
  of: Bar["of"] = "value",
): number | undefined {
  const ours = spreadOf(valuesOf(results, measure, "edgekeeper", of));
  const theirs = spreadOf(valuesOf(results, measure, against, of));
  return ours === undefined || theirs === undefined || theirs.median === 0
    ? undefined
    : ours.median / theirs.median;
}

export interface Verdict {
  readonly measure: string;
  readonly bar: Bar;
  /** Against a limit: the figure itself. */
  readonly ratio: number;
  readonly isMet: boolean;
}

/** Every bar that the figures say something about. */
export function judge(results: Pick<Results, "samples" | "measures">): Verdict[] {
  return results.measures.flatMap(({ name, bars }) =>
    bars.flatMap((bar) => {
      const ratio =
        bar.against === "limit"
          ? spreadOf(valuesOf(results, name, "edgekeeper", bar.of))?.median
          : ratioOf(results, name, bar.against, bar.of);
      if (ratio === undefined) return [];
      const isMet = ratio >= (bar.least ?? 0) && ratio <= (bar.most ?? Number.POSITIVE_INFINITY);
      return [{ measure: name, bar, ratio, isMet }];
    }),
  );
}

/** What `npm run bench:scale` was asked to make. */
export interface Given {
  readonly znodes: number;
  /** Of each. */
  readonly bytes: number;
  /** Creates outstanding while they are made. */
  readonly width: number;
}

/** A tree of one size: what it takes. */
export interface Size extends Given {
  /** Of the whole runtime, all members in it, in MiB. */
  readonly memoryMiB: { readonly empty: number; readonly loaded: number; readonly restarted: number };
  /** Of the member with the largest file, the load behind it and quiet: pages in use, and free ones too. */
  readonly storageMiB: { readonly used: number; readonly file: number };
  readonly loadSeconds: number;
  /** From the command to the first session, with everything stored. */
  readonly startMs: number;
  /** Each of several wake-ups. */
  readonly wakeMs: readonly number[];
  /** Of one write at a time on a connection of its own, while the znodes are created. */
  readonly writeMs: Percentiles & { readonly worst: number };
  /** The same beside a steady rate of sets, to one znode and all over the tree; not of small trees. */
  readonly besideMs?: { readonly one: Beside; readonly spread: Beside } | undefined;
}

/** Of one write at a time, in milliseconds, and what rate of others there was. */
export interface Beside extends Percentiles {
  readonly perSecond: number;
  readonly worst: number;
}

/** What `npm run bench:scale -- --save NAME` keeps. */
export interface ScaleResults {
  readonly date: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly members: number;
  /** `commit`: where it is not the one above. */
  readonly sizes: readonly (Size & { readonly commit?: string | undefined })[];
}
