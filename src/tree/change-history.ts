/**
 * The changes of the last txns, as they were applied: what a watch stream that comes back is told from.
 *
 * A txn alone does not say what a znode was, nor who might read it, so a change keeps both: znodes never
 * change in place, and a reference to one is all it costs. The log above a checkpoint is applied again at
 * every start, and so this history is there again, too.
 *
 * Invariants:
 * - Every change of every txn above `after` is here, in zxid order.
 * - The oldest go as soon as either bound is passed, whole txns at a time. The newest stays, whatever its size.
 *
 * @module
 */

import { type Acl, assert, compareZxid, type Znode, type Zxid } from "../base/index.ts";

export type ChangeKind = "created" | "changed" | "deleted" | "acl";

/** What one op of a txn did to one znode. */
export interface Change {
  readonly kind: ChangeKind;
  readonly path: string;
  /** Right after the change; of a deleted znode, the last there was. */
  readonly znode: Znode;
  /** The parent's, where a child came or went. */
  readonly parentAcl?: readonly Acl[] | undefined;
}

/** The changes of one txn, in the order they happened; never none. */
export interface ChangedTxn {
  readonly zxid: Zxid;
  readonly changes: readonly Change[];
}

export interface HistoryBounds {
  readonly changes: number;
  /** Of paths and data, estimated. */
  readonly bytes: number;
}

/**
 * About 2 MiB on top of the data, part of which the cache of znodes has anyway. What is kept grows old before it is
 * garbage: twice as many cost a txn another half a microsecond.
 */
export const changeHistoryBounds: HistoryBounds = { changes: 8_192, bytes: 8 * 1024 * 1024 };

/** A change, and what it refers to besides data and path. */
const changeBytes = 256;

export class ChangeHistory {
  readonly #bounds: HistoryBounds;
  #txns: (ChangedTxn & { readonly bytes: number })[] = [];
  /** Index of the oldest in `#txns`. */
  #head = 0;
  #after: Zxid;
  #changes = 0;
  #bytes = 0;
  #added = 0;

  /** @param after - Nothing at or below it is known. */
  constructor(after: Zxid, bounds: HistoryBounds = changeHistoryBounds) {
    this.#after = after;
    this.#bounds = bounds;
  }

  /** Everything above this is here. */
  get after(): Zxid {
    return this.#after;
  }

  /** The last txn that changed a znode; `undefined` when all that is known is a state. */
  get newest(): ChangedTxn | undefined {
    return this.#txns.at(-1);
  }

  /** Changes that were ever added. */
  get added(): number {
    return this.#added;
  }

  /** Whether nothing that happened after `zxid` is missing. */
  covers(zxid: Zxid): boolean {
    return compareZxid(zxid, this.#after) >= 0;
  }

  /** A txn has applied. One that changed no znode leaves no trace. */
  add({ zxid, changes }: ChangedTxn): void {
    if (changes.length === 0) return;
    assert(compareZxid(zxid, this.newest?.zxid ?? this.#after) > 0, "changes come in zxid order");
    const bytes = changes.reduce((sum, change) => sum + weigh(change), 0);
    this.#txns.push({ zxid, changes, bytes });
    this.#changes += changes.length;
    this.#bytes += bytes;
    this.#added += changes.length;
    while (this.#isOverfull) this.#dropOldest();
  }

  /** The txns above `after`, which must be covered. The history must not grow meanwhile. */
  *since(after: Zxid): Iterable<ChangedTxn> {
    assert(this.covers(after), "what is asked for is known");
    for (let at = this.#indexAfter(after); at < this.#txns.length; at++) {
      const txn = this.#txns[at];
      if (txn !== undefined) yield txn;
    }
  }

  /** The state was replaced as a whole: how it came to be is not known. */
  restart(after: Zxid): void {
    this.#txns = [];
    this.#head = 0;
    this.#changes = 0;
    this.#bytes = 0;
    this.#after = after;
  }

  get #isOverfull(): boolean {
    const isLarge = this.#changes > this.#bounds.changes || this.#bytes > this.#bounds.bytes;
    return isLarge && this.#txns.length - this.#head > 1;
  }

  #dropOldest(): void {
    const oldest = this.#txns[this.#head];
    assert(oldest !== undefined, "what is counted is there");
    this.#head += 1;
    this.#after = oldest.zxid;
    this.#changes -= oldest.changes.length;
    this.#bytes -= oldest.bytes;
    if (this.#head < 1024 || this.#head * 2 < this.#txns.length) return;
    this.#txns = this.#txns.slice(this.#head);
    this.#head = 0;
  }

  #indexAfter(after: Zxid): number {
    let low = this.#head;
    let high = this.#txns.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const txn = this.#txns[middle];
      if (txn !== undefined && compareZxid(txn.zxid, after) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function weigh({ path, znode }: Change): number {
  return changeBytes + 2 * path.length + (znode.data?.byteLength ?? 0);
}
