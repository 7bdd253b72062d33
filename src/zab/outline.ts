/**
 * Outlines: a whole history in a few numbers.
 *
 * A leader proposes counters 1, 2, 3, ... without gaps and followers take them without gaps, so the part
 * of any history that belongs to one epoch is exactly the counters 1 to k. A base and one such k per
 * epoch describe a history completely, and comparing two histories is comparing two short lists.
 *
 * Invariants: a base is committed, so every history that reaches it holds everything below it; equal
 * zxids mean equal txns and equal prefixes.
 *
 * @module
 */

import { assert, compareZxid, type Zxid } from "../base/index.ts";
import { type Batch, follows, lastOfBatch } from "./batch.ts";

export interface OutlineRun {
  readonly epoch: number;
  readonly last: number;
}

export interface Outline {
  /** What is compacted away: the history is known to reach up to here. `ZERO_ZXID`: nothing is. */
  readonly base: Zxid;
  /**
   * Epochs ascend. The first run may continue the base's epoch (`last > base.counter`); every other run
   * starts at counter 1.
   */
  readonly runs: readonly OutlineRun[];
}

/** The last logged zxid, or the base of an empty log. */
export function lastOf(outline: Outline): Zxid {
  const run = outline.runs.at(-1);
  return run === undefined ? outline.base : { epoch: run.epoch, counter: run.last };
}

/** What is wrong with an outline that came from storage or from another member, if anything. */
export function outlineFault(outline: Outline): string | undefined {
  const { base, runs } = outline;
  if (base.counter === 0 && base.epoch !== 0) return "the base has counter 0";
  let epoch = base.epoch - 1;
  for (const run of runs) {
    if (run.epoch <= epoch || run.epoch < 1) return "epochs do not ascend";
    if (run.last < 1 || (run.epoch === base.epoch && run.last <= base.counter)) return "a run is empty";
    epoch = run.epoch;
  }
  return undefined;
}

function countIn(outline: Outline, epoch: number): number {
  for (const run of outline.runs) if (run.epoch === epoch) return run.last;
  return epoch === outline.base.epoch ? outline.base.counter : 0;
}

/** Whether the history holds `zxid`, given that `zxid` is committed or above the base. */
export function contains(outline: Outline, zxid: Zxid): boolean {
  if (compareZxid(zxid, outline.base) <= 0) return true;
  return zxid.counter > 0 && zxid.counter <= countIn(outline, zxid.epoch);
}

/**
 * The last zxid two histories have in common; `undefined` when they part below the higher base, where
 * the counts are no longer known.
 */
export function commonPoint(a: Outline, b: Outline): Zxid | undefined {
  const base = compareZxid(a.base, b.base) >= 0 ? a.base : b.base;
  if (!contains(a, base) || !contains(b, base)) return undefined;
  const inA = Math.max(countIn(a, base.epoch), base.counter);
  const inB = Math.max(countIn(b, base.epoch), base.counter);
  if (inA !== inB) return { epoch: base.epoch, counter: Math.min(inA, inB) };
  let common = inA === base.counter ? base : { epoch: base.epoch, counter: inA };
  const runsOfA = a.runs.filter((run) => run.epoch > base.epoch);
  const runsOfB = b.runs.filter((run) => run.epoch > base.epoch);
  for (const [i, run] of runsOfA.entries()) {
    const other = runsOfB[i];
    if (other === undefined || other.epoch !== run.epoch) return common;
    common = { epoch: run.epoch, counter: Math.min(run.last, other.last) };
    if (other.last !== run.last) return common;
  }
  return common;
}

/** What stands directly behind `after`, which is not below the base; `undefined` at the end. */
export function nextAfter({ base, runs }: Outline, after: Zxid): Zxid | undefined {
  for (const { epoch, last } of runs) {
    if (epoch === after.epoch && last > after.counter) return { epoch, counter: after.counter + 1 };
    if (epoch > after.epoch) return { epoch, counter: epoch === base.epoch ? base.counter + 1 : 1 };
  }
  return undefined;
}

/** The history without what is above `through`, which it holds. */
export function cutOutline(outline: Outline, through: Zxid): Outline {
  const runs: OutlineRun[] = [];
  for (const run of outline.runs) {
    if (run.epoch > through.epoch) break;
    const last = run.epoch === through.epoch ? Math.min(run.last, through.counter) : run.last;
    if (run.epoch !== outline.base.epoch || last > outline.base.counter)
      runs.push({ epoch: run.epoch, last });
  }
  return { base: outline.base, runs };
}

/** How many txns of the history are above `after`, which it holds. */
export function txnsAbove(outline: Outline, after: Zxid): number {
  let txns = 0;
  for (const run of outline.runs) {
    if (run.epoch < after.epoch) continue;
    const below = Math.max(
      run.epoch === after.epoch ? after.counter : 0,
      run.epoch === outline.base.epoch ? outline.base.counter : 0,
    );
    txns += Math.max(0, run.last - below);
  }
  return txns;
}

/** A member's own outline, advanced in place with every write. */
export interface History {
  outline: Outline;
  /** Invariant: `lastOf(outline)`. */
  last: Zxid;
}

export function openHistory(outline: Outline): History {
  const fault = outlineFault(outline);
  assert(fault === undefined, `the stored outline is sound: ${fault}`);
  return { outline, last: lastOf(outline) };
}

/** Appends what stands directly behind the last logged txn. */
export function append(history: History, batch: Batch): void {
  assert(follows(batch, history.last), "a batch stands directly behind the last logged txn");
  const last = lastOfBatch(batch);
  const { base, runs } = history.outline;
  const open = runs.at(-1);
  // Rebuilt, not changed: packets already queued may share the old list. A log has few epochs.
  const kept = open !== undefined && open.epoch === last.epoch ? runs.slice(0, -1) : runs;
  history.outline = { base, runs: [...kept, { epoch: last.epoch, last: last.counter }] };
  history.last = last;
}

/** Drops what is above `after`. */
export function truncate(history: History, after: Zxid): void {
  assert(compareZxid(after, history.outline.base) >= 0, "a truncation stays above the base");
  assert(contains(history.outline, after), "a truncation ends at a txn of the history");
  history.outline = cutOutline(history.outline, after);
  history.last = lastOf(history.outline);
}

/** Forgets the counts through `base`, which the history holds. */
export function compact(history: History, base: Zxid): void {
  assert(contains(history.outline, base), "a base is in the history");
  if (compareZxid(base, history.outline.base) <= 0) return;
  const runs = history.outline.runs.filter(
    (run) => run.epoch > base.epoch || (run.epoch === base.epoch && run.last > base.counter),
  );
  history.outline = { base, runs };
}

/** Becomes the empty history on top of a snapshot. */
export function restart(history: History, base: Zxid): void {
  history.outline = { base, runs: [] };
  history.last = base;
}
