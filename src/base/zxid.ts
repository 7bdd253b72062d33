/**
 * Zxids: the ids of txns, and the logical clock of the ensemble.
 *
 * A zxid is 64 bits on the wire: the epoch in the high 32, the counter in the low 32. Inside, it is a
 * pair of numbers: comparing two pairs costs a tenth of making one `bigint`.
 *
 * @module
 */

import { assert } from "./assert.ts";

/** The id of a txn. `ZERO_ZXID` stands for "no txn yet"; real txns have `counter >= 1`. */
export interface Zxid {
  /** The leader's reign that proposed the txn, 0 to 2^31-1. */
  readonly epoch: number;
  /** The txn's number within the epoch, 0 to 2^32-1. */
  readonly counter: number;
}

export const ZERO_ZXID: Zxid = { epoch: 0, counter: 0 };

/** Checks both halves' ranges. */
export function makeZxid(epoch: number, counter: number): Zxid {
  assert(Number.isInteger(epoch) && epoch >= 0 && epoch < 2 ** 31, "epoch is 31 bits");
  assert(Number.isInteger(counter) && counter >= 0 && counter < 2 ** 32, "counter is 32 bits");
  return { epoch, counter };
}

/** Negative when `a` is older than `b`, zero when equal, positive when newer. */
export function compareZxid(a: Zxid, b: Zxid): number {
  return a.epoch === b.epoch ? a.counter - b.counter : a.epoch - b.epoch;
}

export function equalZxid(a: Zxid, b: Zxid): boolean {
  return a.epoch === b.epoch && a.counter === b.counter;
}

export function maxZxid(a: Zxid, b: Zxid): Zxid {
  return compareZxid(a, b) >= 0 ? a : b;
}

export function minZxid(a: Zxid, b: Zxid): Zxid {
  return compareZxid(a, b) <= 0 ? a : b;
}

/** The 64-bit form, as clients and `Stat` see it. */
export function zxidToBigint(zxid: Zxid): bigint {
  return (BigInt(zxid.epoch) << 32n) | BigInt(zxid.counter);
}

/** `undefined` for a value that no ensemble could have issued (negative, or an epoch of 32 bits). */
export function zxidFromBigint(value: bigint): Zxid | undefined {
  if (value < 0n || value >= 1n << 63n) return undefined;
  return { epoch: Number(value >> 32n), counter: Number(value & 0xffffffffn) };
}

/** `0x100000002`: how a zxid is printed everywhere, JSON included. */
export function formatZxid(zxid: Zxid): string {
  return `0x${zxidToBigint(zxid).toString(16)}`;
}

/** The inverse of {@link formatZxid}; `undefined` for anything else. */
export function parseZxid(text: string): Zxid | undefined {
  if (!/^0x(0|[1-9a-f][0-9a-f]{0,15})$/.test(text)) return undefined;
  return zxidFromBigint(BigInt(text));
}
