/**
 * A member's storage: write units in order, confirmed in order, of which a crash keeps a prefix.
 *
 * Reads see everything written. What is written and not yet confirmed may be gone after a crash: the
 * units from some point on, never one from the middle, and a unit as a whole or not at all. Lost confirmed
 * writes and corrupted rows are not modelled; Zab does not claim to survive them.
 *
 * @module
 */

import { compareZxid, equalZxid, ZERO_ZXID, type Zxid } from "../../src/base/index.ts";
import { MemoryRows } from "../../src/tree/index.ts";
import type { Batch, Config, DurableState, OutlineRun, Promises, StoreOp } from "../../src/zab/index.ts";
import { mix } from "./choose.ts";
import { imageOfPages } from "./pages.ts";
import { violate } from "./violation.ts";

/** A logged txn. `chain` hashes it with everything before it: equal chains, equal histories. */
export interface Entry {
  readonly epoch: number;
  readonly counter: number;
  readonly payload: Uint8Array;
  readonly chain: number;
}

/** A stored state, never changed once stored, and the chain hash of the history that made it. */
export interface Image {
  readonly zxid: Zxid;
  readonly chain: number;
  readonly rows: MemoryRows;
}

export type DiskOp =
  | StoreOp
  | { readonly kind: "incarnation"; readonly value: number }
  | { readonly kind: "checkpoint"; readonly image: Image }
  | { readonly kind: "compact"; readonly base: Zxid };

interface Unit {
  readonly ops: DiskOp[];
  readonly undo: (() => void)[];
}

/** Which txns a member surely has: what is confirmed, as base and runs. */
export class Extent {
  base: Zxid = ZERO_ZXID;
  runs: { epoch: number; last: number }[] = [];

  has(zxid: Zxid): boolean {
    if (compareZxid(zxid, this.base) <= 0) return true;
    for (const run of this.runs) if (run.epoch === zxid.epoch) return zxid.counter <= run.last;
    return false;
  }

  take(op: DiskOp): void {
    if (op.kind === "append") {
      const last = op.batch.first + op.batch.payloads.length - 1;
      const run = this.runs.at(-1);
      if (run !== undefined && run.epoch === op.batch.epoch) run.last = last;
      else this.runs.push({ epoch: op.batch.epoch, last });
    } else if (op.kind === "truncate") {
      this.runs = this.runs.filter((run) => run.epoch <= op.after.epoch);
      const run = this.runs.at(-1);
      if (run !== undefined && run.epoch === op.after.epoch) run.last = Math.min(run.last, op.after.counter);
    } else if (op.kind === "installSnapshot") {
      this.base = op.zxid;
      this.runs = [];
    } else if (op.kind === "compact") {
      this.base = op.base;
      this.runs = this.runs.filter(
        (run) => compareZxid({ epoch: run.epoch, counter: run.last }, op.base) > 0,
      );
    }
  }
}

export function chainOf(previous: number, epoch: number, counter: number, payload: Uint8Array): number {
  let h = mix(previous, epoch, counter);
  for (const byte of payload) h = Math.imul(h ^ byte, 0x01000193);
  return mix(h, payload.length, 0);
}

export class Disk {
  promises: Promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 };
  config: Config;
  pendingConfig: Config | undefined;
  incarnation = 0;
  base: Zxid = ZERO_ZXID;
  baseChain = 0;
  log: Entry[] = [];
  image: Image = { zxid: ZERO_ZXID, chain: 0, rows: new MemoryRows() };
  staging: Uint8Array[] = [];
  /** What is confirmed, for the checkers. */
  durable = new Extent();

  /** Units ever written and ever settled (confirmed, or lost in a crash). */
  written = 0;
  settled = 0;
  #units: Unit[] = [];
  #open: Unit | undefined;

  constructor(config: Config) {
    this.config = config;
  }

  /**
   * Everything is gone; nothing may be unconfirmed. All that the new storage is told is who the members are.
   * How often its member has started is known elsewhere.
   */
  wipe(config: Config): void {
    this.promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 };
    this.config = config;
    this.pendingConfig = undefined;
    this.base = ZERO_ZXID;
    this.baseChain = 0;
    this.log = [];
    this.image = { zxid: ZERO_ZXID, chain: 0, rows: new MemoryRows() };
    this.staging = [];
    this.durable = new Extent();
  }

  get last(): Zxid {
    return this.log.at(-1) ?? this.base;
  }

  get lastChain(): number {
    return this.log.at(-1)?.chain ?? this.baseChain;
  }

  get pending(): number {
    return this.#units.length;
  }

  state(): DurableState {
    const runs: OutlineRun[] = [];
    for (const entry of this.log) {
      const run = runs.at(-1);
      if (run !== undefined && run.epoch === entry.epoch)
        runs[runs.length - 1] = { epoch: run.epoch, last: entry.counter };
      else runs.push({ epoch: entry.epoch, last: entry.counter });
    }
    return {
      promises: this.promises,
      config: this.config,
      pending: this.pendingConfig,
      outline: { base: this.base, runs },
      applied: this.image.zxid,
    };
  }

  /** Place in `log` of the first entry above `zxid`. */
  placeAfter(zxid: Zxid): number {
    let low = 0;
    let high = this.log.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.log[middle];
      if (entry !== undefined && compareZxid(entry, zxid) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  readAfter(after: Zxid, bytesMax: number): Batch | undefined {
    if (compareZxid(after, this.base) < 0) return undefined;
    const start = this.placeAfter(after);
    const first = this.log[start];
    if (first === undefined) return undefined;
    const payloads: Uint8Array[] = [];
    let bytes = 0;
    for (let place = start; place < this.log.length; place++) {
      const entry = this.log[place];
      if (entry === undefined || entry.epoch !== first.epoch) break;
      if (payloads.length > 0 && bytes + entry.payload.length > bytesMax) break;
      payloads.push(entry.payload);
      bytes += entry.payload.length;
    }
    return { epoch: first.epoch, first: first.counter, payloads };
  }

  /** Writes of one turn (or step) between `open` and `close` are one unit. */
  open(): void {
    this.#open ??= { ops: [], undo: [] };
  }

  close(): void {
    const unit = this.#open;
    this.#open = undefined;
    if (unit === undefined || unit.ops.length === 0) return;
    this.#units.push(unit);
    this.written++;
  }

  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Inside `open` and `close`. */
  write(op: DiskOp): void {
    const unit = this.#open;
    if (unit === undefined) throw new Error("a write outside a unit");
    unit.ops.push(op);
    unit.undo.push(this.#apply(op));
  }

  /** The chain hash of the history through `zxid`, which is the base or logged. */
  chainAt(zxid: Zxid): number {
    return this.log[this.placeAfter(zxid) - 1]?.chain ?? this.baseChain;
  }

  /** Confirms the oldest `count` units; the caller hears of every op. */
  confirm(count: number, heard: (op: DiskOp) => void): void {
    for (const unit of this.#units.splice(0, count)) {
      this.settled++;
      for (const op of unit.ops) {
        this.durable.take(op);
        heard(op);
      }
    }
  }

  /** The oldest `survive` units stay, the others never were; the caller hears of both. */
  crash(survive: number, kept: (op: DiskOp) => void, lost: (op: DiskOp) => void): void {
    this.close();
    this.confirm(survive, kept);
    for (const unit of this.#units.reverse()) {
      this.settled++;
      for (let index = unit.undo.length - 1; index >= 0; index--) unit.undo[index]?.();
      unit.ops.forEach(lost);
    }
    this.#units = [];
  }

  #apply(op: DiskOp): () => void {
    switch (op.kind) {
      case "promises": {
        const old = this.promises;
        this.promises = op.promises;
        return () => {
          this.promises = old;
        };
      }
      case "incarnation": {
        const old = this.incarnation;
        this.incarnation = op.value;
        return () => {
          this.incarnation = old;
        };
      }
      case "append":
        return this.#append(op.prev, op.batch);
      case "truncate": {
        if (compareZxid(op.after, this.base) < 0) violate("I8", "truncation below the base of the log");
        const { log } = this;
        const removed = log.splice(this.placeAfter(op.after));
        return () => {
          for (const entry of removed) log.push(entry);
        };
      }
      case "discardStaging": {
        const old = this.staging;
        this.staging = [];
        return () => {
          this.staging = old;
        };
      }
      case "stagePage": {
        const { staging } = this;
        if (op.page !== staging.length)
          violate("I9", `page ${op.page} staged where ${staging.length} was due`);
        staging.push(op.bytes);
        return () => staging.pop();
      }
      case "installSnapshot":
        return this.#install(op.zxid, op.pages);
      case "checkpoint": {
        const old = this.image;
        this.image = op.image;
        return () => {
          this.image = old;
        };
      }
      case "compact":
        return this.#compact(op.base);
      case "configs": {
        const { config, pendingConfig } = this;
        this.config = op.committed;
        this.pendingConfig = op.pending;
        return () => {
          this.config = config;
          this.pendingConfig = pendingConfig;
        };
      }
      case "fence":
        return () => {};
    }
  }

  #append(prev: Zxid, batch: Batch): () => void {
    if (!equalZxid(prev, this.last)) violate("I6", "an append that does not continue the log");
    const { log } = this;
    const length = log.length;
    let chain = this.lastChain;
    let counter = batch.first;
    if (
      batch.epoch === prev.epoch ? counter !== prev.counter + 1 : counter !== 1 || batch.epoch < prev.epoch
    ) {
      violate("I6", `(${batch.epoch},${counter}) logged behind (${prev.epoch},${prev.counter})`);
    }
    if (batch.payloads.length === 0) violate("I6", "an empty batch logged");
    for (const payload of batch.payloads) {
      chain = chainOf(chain, batch.epoch, counter, payload);
      log.push({ epoch: batch.epoch, counter, payload, chain });
      counter++;
    }
    return () => {
      log.length = length;
    };
  }

  #install(zxid: Zxid, pages: number): () => void {
    const { base, baseChain, log, image, staging } = this;
    if (pages !== staging.length)
      violate("I9", `snapshot of ${pages} pages installed from ${staging.length}`);
    const next = imageOfPages(staging);
    if (!equalZxid(next.zxid, zxid)) violate("I9", "a snapshot's label is not its cut");
    this.image = next;
    this.base = zxid;
    this.baseChain = next.chain;
    this.log = [];
    this.staging = [];
    return () => {
      this.base = base;
      this.baseChain = baseChain;
      this.log = log;
      this.image = image;
      this.staging = staging;
    };
  }

  #compact(to: Zxid): () => void {
    const { base, baseChain, log } = this;
    const place = this.placeAfter(to);
    this.baseChain = log[place - 1]?.chain ?? baseChain;
    this.base = to;
    this.log = log.slice(place);
    return () => {
      this.base = base;
      this.baseChain = baseChain;
      this.log = log;
    };
  }
}
