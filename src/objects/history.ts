/**
 * The durable half of a peer: carries out its `store` duties, and reads its log back.
 *
 * Invariants:
 * - One `write` is one transaction: all of a step's changes or none.
 * - Reads see every earlier write. The newest batches are also kept in memory, because they are read again
 *   at once: by followers when they are committed, by the leader for learners a little behind.
 *
 * @module
 */

import {
  assert,
  compareZxid,
  formatZxid,
  minZxid,
  parseZxid,
  unreachable,
  ZERO_ZXID,
  type Zxid,
} from "../base/index.ts";
import { packPayloads, unpackPayloads } from "../jute/index.ts";
import type { Batch, DurableState, HistoryReader, Outline, Promises, StoreOp } from "../zab/index.ts";
import type { EnsembleConfig } from "./api.ts";
import { firstConfig } from "./bootstrap-state.ts";
import { readConfigs, writeConfigs } from "./configs.ts";
import { packBatch } from "./packed-batches.ts";
import { Room } from "./room.ts";
import { decodePart } from "./row-codec.ts";
import { SnapshotSource } from "./snapshots.ts";
import {
  deleteLog,
  deleteLogRow,
  deleteLogRowsAbove,
  deleteLogRowsThrough,
  findLogRow,
  firstLogRowAfterEpoch,
  insertLogRow,
  type LogRow,
  logBytesAbove,
  logRuns,
  logSizes,
  logSizesBelow,
} from "./sql/log.ts";
import { readMeta, writeMeta } from "./sql/meta.ts";
import type { SweepBounds } from "./sql/sweep.ts";
import type { SqlTreeRows } from "./sql/znodes.ts";

/** Payload bytes of recent batches kept in memory. What is older is read from its row. */
const recentBytesMax = 4 * 1024 * 1024;

const noPromises: Promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 };

export class History implements HistoryReader {
  readonly snapshots: SnapshotSource;
  readonly room: Room;
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #rows: SqlTreeRows;
  #base: Zxid;
  #recent: Batch[] = [];
  #recentBytes = 0;
  #loggedBytes: number;
  #heldBytes = 0;
  /** Pages of an arriving snapshot that are staged. */
  #stagedPages = 0;

  constructor(
    storage: DurableObjectStorage,
    rows: SqlTreeRows,
    room = new Room(storage.sql, () => Date.now()),
  ) {
    this.room = room;
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#rows = rows;
    this.#base = readZxidMeta(this.#sql, "base");
    this.#loggedBytes = logBytesAbove(this.#sql, rows.applied.epoch, rows.applied.counter);
    this.snapshots = new SnapshotSource(rows);
  }

  /** Bytes logged since the last checkpoint began: what a member that wakes has to apply again. */
  get loggedBytes(): number {
    return this.#loggedBytes;
  }

  /** From here on counts what the checkpoint that begins now will not hold. */
  checkpointBegan(): void {
    this.#loggedBytes = 0;
  }

  /** Bytes logged since a snapshot was opened: what it keeps; 0 when none is open. */
  get heldBytes(): number {
    return this.snapshots.heldFrom === undefined ? 0 : this.#heldBytes;
  }

  /**
   * What a peer is rebuilt from.
   *
   * @param first - The configuration this member was made with; it counts until another one is stored.
   */
  load(first: EnsembleConfig): DurableState {
    const { committed, pending } = readConfigs(this.#sql) ?? { committed: firstConfig(first) };
    return {
      promises: readPromises(this.#sql),
      config: committed,
      pending,
      outline: this.#outline(),
      applied: this.#rows.applied,
    };
  }

  write(ops: readonly StoreOp[]): void {
    if (ops.length === 0) return;
    const [first] = ops;
    // One statement is atomic as it is: a savepoint around it would cost as much as the row.
    if (ops.length === 1 && first?.kind === "append") return this.#append(first.batch);
    this.#storage.transactionSync(() => {
      for (const op of ops) this.#carryOut(op);
    });
  }

  readAfter(after: Zxid, bytesMax: number): Batch | undefined {
    const recent = this.#readRecent(after);
    if (recent !== undefined) return recent;
    const row = this.#rowAfter(after);
    if (row === undefined) return undefined;
    return this.#gather(row, row.epoch === after.epoch ? after.counter + 1 : row.first, bytesMax);
  }

  openSnapshot(): { id: number; zxid: Zxid } {
    if (this.snapshots.heldFrom === undefined) this.#heldBytes = 0;
    return this.snapshots.open();
  }

  readSnapshotPage(id: number, page: number): { bytes: Uint8Array; last: boolean } | undefined {
    return this.snapshots.readPage(id, page);
  }

  closeSnapshot(id: number): void {
    this.snapshots.close(id);
  }

  /**
   * Drops whole rows of the log below `applied`, the oldest first, but keeps so many txns, or so many bytes
   * if they are fewer, for learners a little behind, and what an open snapshot needs.
   *
   * @param bounds - Of one call; a later one goes on.
   * @returns The base that came of it: the one before when there is nothing to drop.
   */
  compact(applied: Zxid, keep: { readonly txns: number; readonly bytes: number }, bounds: SweepBounds): Zxid {
    assert(compareZxid(applied, this.#rows.applied) <= 0, "only applied txns are compacted");
    const border = this.#borderBelow(minZxid(applied, this.snapshots.heldFrom ?? applied), keep);
    if (border === undefined || compareZxid(border, this.#base) <= 0) return this.#base;
    const base = this.#oldestThrough(border, bounds);
    this.#storage.transactionSync(() => {
      deleteLogRowsThrough(this.#sql, base.epoch, base.counter);
      writeMeta(this.#sql, "base", formatZxid(base));
    });
    this.#base = base;
    return base;
  }

  /** Where the oldest rows end, as many as `bounds` allows, none beyond `border`. */
  #oldestThrough(border: Zxid, bounds: SweepBounds): Zxid {
    let end = this.#base;
    let rows = 0;
    let bytes = 0;
    for (const row of logSizes(this.#sql)) {
      const last = { epoch: row.epoch, counter: row.first + row.count - 1 };
      if (compareZxid(last, border) > 0 || rows >= bounds.rows || bytes >= bounds.bytes) break;
      end = last;
      rows += 1;
      bytes += row.bytes;
    }
    return end;
  }

  /** The last txn of the newest row that need not be kept; `undefined` when all must be. */
  #borderBelow(applied: Zxid, keep: { readonly txns: number; readonly bytes: number }): Zxid | undefined {
    let { txns, bytes } = keep;
    for (const row of logSizesBelow(this.#sql, applied.epoch, applied.counter)) {
      const last = row.first + row.count - 1;
      const isApplied = row.epoch < applied.epoch || last <= applied.counter;
      if (isApplied && (txns <= 0 || bytes <= 0)) return { epoch: row.epoch, counter: last };
      txns -= row.count;
      bytes -= row.bytes;
    }
    return undefined;
  }

  #outline(): Outline {
    const runs = logRuns(this.#sql);
    for (const run of runs) {
      const start = run.epoch === this.#base.epoch ? this.#base.counter + 1 : 1;
      assert(run.first === start, `the log of epoch ${run.epoch} starts at ${run.first}, not at ${start}`);
    }
    return { base: this.#base, runs: runs.map(({ epoch, last }) => ({ epoch, last })) };
  }

  #carryOut(op: StoreOp): void {
    switch (op.kind) {
      case "promises":
        return writeMeta(this.#sql, "promises", JSON.stringify(op.promises));
      case "append":
        return this.#append(op.batch);
      case "truncate":
        return this.#truncate(op.after);
      case "discardStaging":
        return this.#rows.discardStaging();
      case "stagePage":
        return this.#stagePage(op.page, op.bytes);
      case "installSnapshot":
        return this.#installSnapshot(op.zxid, op.pages);
      case "configs": {
        const { committed, pending } = op;
        return writeConfigs(this.#sql, { committed, pending });
      }
      case "fence":
        // The value only has to change: in an instance that was replaced the write fails.
        return writeMeta(this.#sql, "fence", String(Number(readMeta(this.#sql, "fence") ?? "0") + 1));
      default:
        return unreachable(op);
    }
  }

  #append(batch: Batch): void {
    const packed = packBatch(batch);
    insertLogRow(this.#sql, {
      epoch: batch.epoch,
      first: batch.first,
      count: batch.payloads.length,
      batch: packed,
    });
    this.#loggedBytes += packed.length;
    this.#heldBytes += packed.length;
    this.#remember(batch, packed.length);
  }

  #remember(batch: Batch, bytes: number): void {
    this.#recent.push(batch);
    this.#recentBytes += bytes;
    if (this.#recentBytes <= recentBytesMax) return;
    // Drop the older half at once: one by one would shift the array for every append.
    const half = Math.ceil(this.#recent.length / 2);
    this.#recent = this.#recent.slice(half);
    this.#recentBytes = this.#recent.reduce((sum, kept) => sum + batchBytes(kept), 0);
  }

  #truncate(after: Zxid): void {
    const cut = findLogRow(this.#sql, after.epoch, after.counter);
    deleteLogRowsAbove(this.#sql, after.epoch, after.counter);
    if (cut !== undefined && cut.first + cut.count - 1 > after.counter) {
      const kept = unpackRow(cut).slice(0, after.counter - cut.first + 1);
      deleteLogRow(this.#sql, cut.epoch, cut.first);
      insertLogRow(this.#sql, { ...cut, count: kept.length, batch: packPayloads(kept) });
    }
    this.#forgetRecent();
  }

  /** Straight into rows that nobody reads yet. The first page begins anew. */
  #stagePage(page: number, bytes: Uint8Array): void {
    if (page === 0) {
      this.#rows.beginStaging();
      this.#stagedPages = 0;
    }
    assert(page === this.#stagedPages, `page ${page} comes after ${this.#stagedPages} others`);
    const part = decodePart(bytes);
    assert(part !== undefined, "a page of a snapshot cannot be read");
    this.#rows.stage(part);
    this.#stagedPages += 1;
  }

  /** However large it is: the rows are there already, and what they replace is swept later. */
  #installSnapshot(zxid: Zxid, pages: number): void {
    assert(pages === this.#stagedPages, `${this.#stagedPages} of ${pages} pages were staged`);
    this.snapshots.giveUp();
    this.#rows.install(zxid);
    deleteLog(this.#sql);
    writeMeta(this.#sql, "base", formatZxid(zxid));
    this.#base = zxid;
    this.#stagedPages = 0;
    this.#loggedBytes = 0;
    this.#forgetRecent();
  }

  #forgetRecent(): void {
    this.#recent = [];
    this.#recentBytes = 0;
  }

  #readRecent(after: Zxid): Batch | undefined {
    // Newest first: what is read again is almost always the last batch.
    for (let i = this.#recent.length - 1; i >= 0; i--) {
      const batch = this.#recent[i];
      if (batch === undefined || batch.epoch < after.epoch) return undefined;
      if (batch.epoch > after.epoch || batch.first > after.counter + 1) continue;
      const skip = after.counter + 1 - batch.first;
      if (skip >= batch.payloads.length) return undefined;
      return skip === 0
        ? batch
        : { epoch: batch.epoch, first: after.counter + 1, payloads: batch.payloads.slice(skip) };
    }
    return undefined;
  }

  #rowAfter(after: Zxid): LogRow | undefined {
    return (
      findLogRow(this.#sql, after.epoch, after.counter + 1) ?? firstLogRowAfterEpoch(this.#sql, after.epoch)
    );
  }

  /** From `counter` on, as many rows of the epoch as fit; at least the one given. */
  #gather(firstRow: LogRow, counter: number, bytesMax: number): Batch {
    const payloads = unpackRow(firstRow).slice(counter - firstRow.first);
    let bytes = firstRow.batch.length;
    let row: LogRow | undefined = firstRow;
    while (bytes < bytesMax) {
      row = findLogRow(this.#sql, firstRow.epoch, counter + payloads.length);
      if (row === undefined || bytes + row.batch.length > bytesMax) break;
      payloads.push(...unpackRow(row));
      bytes += row.batch.length;
    }
    return { epoch: firstRow.epoch, first: counter, payloads };
  }
}

function batchBytes(batch: Batch): number {
  return batch.payloads.reduce((sum, payload) => sum + payload.length, 0);
}

function unpackRow(row: LogRow): Uint8Array[] {
  const payloads = unpackPayloads(row.batch);
  assert(
    payloads !== undefined && payloads.length === row.count,
    `the log row ${formatZxid({ epoch: row.epoch, counter: row.first })} cannot be read`,
  );
  return [...payloads];
}

export function readPromises(sql: SqlStorage): Promises {
  const text = readMeta(sql, "promises");
  if (text === undefined) return noPromises;
  const value: unknown = JSON.parse(text);
  assert(isPromises(value), "the stored promises cannot be read");
  return value;
}

function isPromises(value: unknown): value is Promises {
  if (typeof value !== "object" || value === null) return false;
  const names = ["acceptedEpoch", "acceptedLeader", "currentEpoch", "establishedEpoch"] as const;
  const record: Partial<Record<string, unknown>> = { ...value };
  return names.every((name) => Number.isInteger(record[name]));
}

function readZxidMeta(sql: SqlStorage, key: "base"): Zxid {
  const text = readMeta(sql, key);
  if (text === undefined) return ZERO_ZXID;
  const zxid = parseZxid(text);
  assert(zxid !== undefined, `the stored \`${key}\` is no zxid`);
  return zxid;
}
