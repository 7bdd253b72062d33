/**
 * Work that no client waits for, done a bounded part at a time at the end of turns: checkpoints, dropping
 * the log that they make unnecessary, and sweeping rows that nobody reads.
 *
 * Parts are small against the 50 ms that a write may be held up, and as many as it takes: a turn that
 * changes much does more of them. Under a load that never pauses one checkpoint would follow the other, so
 * what one makes unnecessary is dropped before the next begins: otherwise the log would grow with the load.
 *
 * @module
 */

import { compareZxid, equalZxid, ZERO_ZXID, type Zxid } from "../base/index.ts";
import type { Tree } from "../tree/index.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { History } from "./history.ts";
import type { SqlTreeRows } from "./sql/znodes.ts";

/** Log bytes since the last checkpoint that make the next one due. */
const checkpointLogBytes = 8 * 1024 * 1024;

/** Dirty bytes in the tree's cache that make a checkpoint due. */
const checkpointDirtyBytes = 8 * 1024 * 1024;

/** So much log, about 20 ms of applying, is worth a checkpoint once nothing has happened for a while. */
const checkpointQuietBytes = 256 * 1024;

/** Ticks without a txn after which it is quiet: a second. */
const quietTicks = 10;

/** Slices of a checkpoint in one turn, at most. One, unless memory fills faster than it drains. */
const slicesMax = 8;

/** What one turn drops: log rows, or rows that nobody reads. */
const dropBounds = { rows: 256, bytes: 4 * 1024 * 1024 };

/** An open snapshot may keep so much log. One that needs more is given up, and its learner starts again. */
const heldLogBytesMax = 1024 * 1024 * 1024;

/** Kept in the log below a checkpoint, so that short absences are healed by a diff. */
const kept = { txns: 2000, bytes: 16 * 1024 * 1024 };

export interface ChoresParts {
  readonly history: History;
  readonly rows: SqlTreeRows;
  readonly tree: Tree;
  /** The rows hold everything through `applied`. */
  checkpointed(applied: Zxid): void;
  /** The log was dropped through `base`. */
  compacted(base: Zxid): void;
}

export class Chores {
  readonly #parts: ChoresParts;
  readonly #checkpoints: Checkpoints;
  #compactedThrough: Zxid = ZERO_ZXID;
  #isCompacting = false;
  /** Since the last checkpoint, garbage has had its turn. */
  #hasSwept = true;
  #seenApplied: Zxid = ZERO_ZXID;
  #ticksQuiet = 0;
  /** Somebody wants to read the rows as they are now. */
  #isDemanded = false;

  constructor(parts: ChoresParts) {
    this.#parts = parts;
    this.#checkpoints = new Checkpoints(parts.rows, parts.tree);
  }

  /** There is something to do, now or bit by bit. */
  get isBusy(): boolean {
    const isCheckpointing = this.#checkpoints.isUnderWay || this.#isDue();
    return isCheckpointing || this.#isCompacting || this.#parts.rows.mayHaveGarbage;
  }

  /** A tick has passed. */
  tick(): void {
    const { history, tree } = this.#parts;
    this.#ticksQuiet = equalZxid(tree.applied, this.#seenApplied) ? this.#ticksQuiet + 1 : 0;
    this.#seenApplied = tree.applied;
    if (history.heldBytes > heldLogBytesMax) history.snapshots.giveUp();
  }

  /** Does the next part, if there is any. */
  work(): void {
    const { rows } = this.#parts;
    if (this.#checkpoints.isUnderWay) return this.#takeSlices();
    if (this.#isCompacting) return this.#compact();
    const isDue = this.#isDue();
    if (rows.mayHaveGarbage && !(isDue && this.#hasSwept)) return this.#sweep();
    if (!isDue) return;
    this.#begin();
    this.#takeSlices();
  }

  /** The next checkpoint is due as soon as there is anything for it. */
  demand(): void {
    this.#isDemanded = true;
  }

  /** A whole checkpoint in this turn. What is left of others is done in later ones. */
  checkpoint(): void {
    if (this.#checkpoints.isUnderWay) this.#checkpoints.finish();
    this.#begin();
    this.#checkpoints.finish();
    this.#checkpointed();
    this.#compact();
  }

  /** The rows were replaced by a snapshot. */
  abandon(): void {
    this.#checkpoints.abandon();
    this.#isCompacting = false;
  }

  /** How much there is to write, where 1 is enough for a checkpoint. */
  get #pressure(): number {
    const { history, tree } = this.#parts;
    return Math.max(history.loggedBytes / checkpointLogBytes, tree.dirtyBytes / checkpointDirtyBytes);
  }

  #isDue(): boolean {
    if (this.#pressure >= 1) return true;
    const { history, rows, tree } = this.#parts;
    if (this.#isDemanded && (tree.dirtyCount > 0 || !equalZxid(tree.applied, rows.applied))) return true;
    const isQuiet = this.#ticksQuiet >= quietTicks && equalZxid(tree.applied, this.#seenApplied);
    if (!isQuiet) return false;
    // What was deleted to make room makes room once it is written.
    return history.loggedBytes >= checkpointQuietBytes || (tree.dirtyCount > 0 && history.room.isFull);
  }

  #begin(): void {
    this.#isDemanded = false;
    this.#parts.history.checkpointBegan();
    this.#checkpoints.begin();
  }

  #takeSlices(): void {
    const surplus = this.#parts.tree.dirtyBytes / checkpointDirtyBytes - 1;
    const slices = Math.min(slicesMax, 1 + Math.floor(slicesMax * Math.max(0, surplus)));
    for (let slice = 0; slice < slices; slice++) {
      if (!this.#checkpoints.step()) continue;
      this.#checkpointed();
      return;
    }
  }

  #checkpointed(): void {
    this.#parts.checkpointed(this.#parts.rows.applied);
    this.#isCompacting = true;
    this.#hasSwept = false;
  }

  #sweep(): void {
    this.#parts.rows.sweep(dropBounds);
    this.#hasSwept = true;
  }

  #compact(): void {
    const { history, rows } = this.#parts;
    const base = history.compact(rows.applied, kept, dropBounds);
    this.#isCompacting = compareZxid(base, this.#compactedThrough) > 0;
    if (!this.#isCompacting) return;
    this.#compactedThrough = base;
    this.#parts.compacted(base);
  }
}
