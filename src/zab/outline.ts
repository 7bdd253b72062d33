/**
 * Outlines: a whole history in a few numbers.
 *
 * A leader proposes counters 1, 2, 3, ... without gaps and followers take them without gaps, so the part
 * of any history that belongs to one epoch is exactly the counters 1 to k. A base and one such k per
 * epoch describe a history completely, and comparing two histories is comparing two short lists.
 *
 * @module
 */

import type { Zxid } from "../base/index.ts";

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
