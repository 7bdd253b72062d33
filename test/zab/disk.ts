/**
 * A member's storage for the peer's tests: a log with chain hashes, promises, a checkpoint, staged pages.
 *
 * A chain hash names a txn together with everything before it, so two logs that carry one zxid with two
 * hashes have come apart. The state machine is the chain itself: the state at a zxid is its hash.
 *
 * @module
 */

import { assert, compareZxid, equalZxid, ZERO_ZXID, type Zxid } from "../../src/base/index.ts";
import type {
  Batch,
  Config,
  DurableState,
  HistoryReader,
  Outline,
  Promises,
  StoreOp,
} from "../../src/zab/index.ts";

export interface Entry {
  readonly zxid: Zxid;
  readonly payload: Uint8Array;
  /** Of everything through this entry. */
  readonly hash: number;
}

/** State of the state machine: where it stands, and the hash of everything through there. */
export interface Applied {
  readonly zxid: Zxid;
  readonly hash: number;
}

export const NOTHING: Applied = { zxid: ZERO_ZXID, hash: 17 };

export function chain(hash: number, zxid: Zxid, payload: Uint8Array): number {
  let mixed = Math.imul(
    hash ^ Math.imul(zxid.epoch, 0x9e3779b1) ^ Math.imul(zxid.counter, 0x85ebca6b),
    0x27d4eb2f,
  );
  for (const byte of payload) mixed = Math.imul(mixed ^ byte, 0x01000193) ^ (mixed >>> 15);
  return mixed >>> 0;
}

/** A write unit: the ops of one step, or a checkpoint, or a compaction. */
export type Unit =
  | { readonly kind: "step"; readonly ops: readonly StoreOp[] }
  | { readonly kind: "checkpoint"; readonly applied: Applied }
  | { readonly kind: "compact"; readonly base: Zxid };

export class Disk {
  promises: Promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 };
  base: Applied = NOTHING;
  log: Entry[] = [];
  applied: Applied = NOTHING;
  staged: Uint8Array[] = [];
  /** What was stored last; until then the first configuration is in force. */
  configs: { readonly committed: Config; readonly pending: Config | undefined } | undefined;

  clone(): Disk {
    const copy = new Disk();
    copy.promises = this.promises;
    copy.base = this.base;
    copy.log = this.log.slice();
    copy.applied = this.applied;
    copy.staged = this.staged.slice();
    copy.configs = this.configs;
    return copy;
  }

  get last(): Applied {
    return this.log.at(-1) ?? this.base;
  }

  /** The hash of everything through `zxid`; `undefined` when the history does not show it. */
  hashAt(zxid: Zxid): number | undefined {
    if (equalZxid(zxid, this.base.zxid)) return this.base.hash;
    return this.log[this.indexAfter(zxid) - 1]?.zxid.counter === zxid.counter &&
      this.log[this.indexAfter(zxid) - 1]?.zxid.epoch === zxid.epoch
      ? this.log[this.indexAfter(zxid) - 1]?.hash
      : undefined;
  }

  /** Whether the history holds `zxid`, compacted or not. A base is committed, so it covers what is below. */
  holds({ zxid, hash }: Applied): boolean {
    return compareZxid(zxid, this.base.zxid) < 0 || this.hashAt(zxid) === hash;
  }

  /** How many logged entries are at or below `zxid`. */
  indexAfter(zxid: Zxid): number {
    let low = 0;
    let high = this.log.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = this.log[middle];
      if (entry !== undefined && compareZxid(entry.zxid, zxid) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  write(unit: Unit): void {
    if (unit.kind === "checkpoint") {
      // One taken before a snapshot was installed is behind by now.
      if (compareZxid(unit.applied.zxid, this.applied.zxid) > 0) this.applied = unit.applied;
    } else if (unit.kind === "compact") {
      const hash = this.hashAt(unit.base);
      if (hash === undefined) return;
      this.log = this.log.slice(this.indexAfter(unit.base));
      this.base = { zxid: unit.base, hash };
    } else {
      for (const op of unit.ops) this.writeOp(op);
    }
  }

  private writeOp(op: StoreOp): void {
    switch (op.kind) {
      case "promises":
        this.promises = op.promises;
        break;
      case "append":
        assert(equalZxid(op.prev, this.last.zxid), "an append names the last logged txn");
        this.append(op.batch);
        break;
      case "truncate":
        this.log.length = this.indexAfter(op.after);
        break;
      case "discardStaging":
        this.staged = [];
        break;
      case "stagePage":
        assert(op.page === this.staged.length, "pages are staged in order");
        this.staged.push(op.bytes);
        break;
      case "installSnapshot": {
        assert(op.pages === this.staged.length, "all pages are staged");
        const state = readPages(this.staged);
        assert(equalZxid(state.zxid, op.zxid), "the pages are of the snapshot");
        this.applied = state;
        this.base = state;
        this.log = [];
        this.staged = [];
        break;
      }
      case "configs":
        this.configs = { committed: op.committed, pending: op.pending };
        break;
      case "fence":
        break;
    }
  }

  private append(batch: Batch): void {
    let counter = batch.first;
    for (const payload of batch.payloads) {
      const zxid = { epoch: batch.epoch, counter };
      this.log.push({ zxid, payload, hash: chain(this.last.hash, zxid, payload) });
      counter += 1;
    }
  }

  outline(): Outline {
    const runs: { epoch: number; last: number }[] = [];
    for (const { zxid } of this.log) {
      const run = runs.at(-1);
      if (run?.epoch === zxid.epoch) run.last = zxid.counter;
      else runs.push({ epoch: zxid.epoch, last: zxid.counter });
    }
    return { base: this.base.zxid, runs };
  }

  /** @param first - The configuration this member was made with. */
  durable(first: Config): DurableState {
    const { committed: config, pending } = this.configs ?? { committed: first, pending: undefined };
    const { promises, applied } = this;
    return { promises, config, pending, outline: this.outline(), applied: applied.zxid };
  }
}

/** A snapshot in `pages` pages, each of which names the state it belongs to. */
export function writePages(state: Applied, pages: number): Uint8Array[] {
  const words = [state.zxid.epoch, state.zxid.counter, state.hash];
  return Array.from({ length: pages }, (_, page) => new Uint8Array(new Uint32Array([page, ...words]).buffer));
}

function readPages(pages: readonly Uint8Array[]): Applied {
  const states = pages.map((bytes, page) => {
    const [number, epoch = 0, counter = 0, hash = 0] = new Uint32Array(bytes.slice().buffer);
    assert(number === page, "pages are in order");
    return { zxid: { epoch, counter }, hash };
  });
  const [first] = states;
  assert(first !== undefined, "a snapshot has a page");
  for (const state of states) assert(state.hash === first.hash, "pages of two snapshots never mix");
  return first;
}

/** What a peer reads: the log as written, and one open cut of the live state. */
export class Reader implements HistoryReader {
  readonly disk: () => Disk;
  readonly live: () => Applied;
  readonly pages: number;
  /** Tests close the cut behind the peer's back. */
  open: { id: number; state: Applied } | undefined;
  reads = 0;
  #readers = 0;
  #ids = 0;

  constructor(disk: () => Disk, live: () => Applied, pages: number) {
    this.disk = disk;
    this.live = live;
    this.pages = pages;
  }

  readAfter(after: Zxid, bytesMax: number): Batch | undefined {
    this.reads += 1;
    const { log } = this.disk();
    const from = this.disk().indexAfter(after);
    const first = log[from];
    if (first === undefined) return undefined;
    const payloads: Uint8Array[] = [];
    let bytes = 0;
    for (let i = from; i < log.length; i++) {
      const entry = log[i];
      if (entry === undefined || entry.zxid.epoch !== first.zxid.epoch) break;
      bytes += entry.payload.length;
      if (payloads.length > 0 && bytes > bytesMax) break;
      payloads.push(entry.payload);
    }
    return { epoch: first.zxid.epoch, first: first.zxid.counter, payloads };
  }

  openSnapshot(): { id: number; zxid: Zxid } {
    this.reads += 1;
    if (this.open === undefined) {
      this.#ids += 1;
      this.open = { id: this.#ids, state: this.live() };
      this.#readers = 0;
    }
    this.#readers += 1;
    return { id: this.open.id, zxid: this.open.state.zxid };
  }

  readSnapshotPage(id: number, page: number): { bytes: Uint8Array; last: boolean } | undefined {
    this.reads += 1;
    if (this.open?.id !== id) return undefined;
    const bytes = writePages(this.open.state, this.pages)[page];
    return bytes === undefined ? undefined : { bytes, last: page === this.pages - 1 };
  }

  closeSnapshot(id: number): void {
    if (this.open?.id !== id) return;
    this.#readers -= 1;
    if (this.#readers === 0) this.open = undefined;
  }
}
