/**
 * What many runs add up to, also when several processes shared them.
 *
 * @module
 */

import type { Outcome, RunOptions } from "./sim.ts";
import type { Violation } from "./violation.ts";

/** Of one run in the world of members. */
export interface MemberOutcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly events: number;
  readonly hash: number;
  readonly nowMs: number;
  readonly commits: number;
  readonly replies: number;
  readonly watchEvents: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** The door to that world, which has types of its own platform. */
export interface Members {
  simulateMembers(seed: number, options?: Pick<RunOptions, "log" | "toleratesHalts">): Promise<MemberOutcome>;
}

/** Sums only, so that two of them can be added. */
export interface Totals {
  seeds: number;
  steps: number;
  events: number;
  commits: number;
  elections: number;
  operations: number;
  unknown: number;
  histories: number;
  undecided: number;
  violations: number;
  repeated: number;
  /** Time spent in the world of peers. */
  ms: number;
  /** The world of members. */
  memberSeeds: number;
  memberMs: number;
  memberEvents: number;
  memberCommits: number;
  replies: number;
  watchEvents: number;
  counts: Record<string, number>;
  memberCounts: Record<string, number>;
}

export function noTotals(): Totals {
  return {
    seeds: 0,
    steps: 0,
    events: 0,
    commits: 0,
    elections: 0,
    operations: 0,
    unknown: 0,
    histories: 0,
    undecided: 0,
    violations: 0,
    repeated: 0,
    ms: 0,
    memberSeeds: 0,
    memberMs: 0,
    memberEvents: 0,
    memberCommits: 0,
    replies: 0,
    watchEvents: 0,
    counts: {},
    memberCounts: {},
  };
}

export function addRun(totals: Totals, outcome: Outcome): void {
  totals.seeds++;
  totals.steps += outcome.steps;
  totals.events += outcome.events;
  totals.commits += outcome.commits;
  totals.elections += outcome.counts.get("serving leading") ?? 0;
  totals.operations += outcome.opsDone;
  totals.unknown += outcome.opsUnknown;
  totals.histories += outcome.histories;
  totals.undecided += outcome.undecided;
  addCounts(totals.counts, outcome.counts);
}

export function addMemberRun(totals: Totals, outcome: MemberOutcome): void {
  totals.memberSeeds++;
  totals.memberEvents += outcome.events;
  totals.memberCommits += outcome.commits;
  totals.replies += outcome.replies;
  totals.watchEvents += outcome.watchEvents;
  addCounts(totals.memberCounts, outcome.counts);
}

function addCounts(sums: Record<string, number>, counts: Iterable<readonly [string, number]>): void {
  for (const [what, count] of counts) sums[what] = (sums[what] ?? 0) + count;
}

/** Adds what another process counted. */
export function addTotals(totals: Totals, other: Totals): void {
  for (const key of Object.keys(totals) as (keyof Totals)[]) {
    const theirs = other[key];
    const ours = totals[key];
    if (typeof theirs === "number" && typeof ours === "number")
      (totals as Record<typeof key, unknown>)[key] = ours + theirs;
    else if (typeof theirs === "object" && typeof ours === "object") addCounts(ours, Object.entries(theirs));
  }
}

/** With the counts in the order of their names. */
export function sorted(totals: Totals): Totals {
  const inOrder = (counts: Record<string, number>): Record<string, number> =>
    Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
  const ms = Math.round(totals.ms);
  const memberMs = Math.round(totals.memberMs);
  return {
    ...totals,
    ms,
    memberMs,
    counts: inOrder(totals.counts),
    memberCounts: inOrder(totals.memberCounts),
  };
}
