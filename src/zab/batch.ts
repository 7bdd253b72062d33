/**
 * Batches of consecutive txns: measuring them and cutting them.
 *
 * @module
 */

import { compareZxid, type Zxid } from "../base/index.ts";

/** Consecutive txns of one epoch. Counters are `first`, `first + 1`, ... */
export interface Batch {
  readonly epoch: number;
  readonly first: number;
  /** Opaque to Zab. Never empty. */
  readonly payloads: readonly Uint8Array[];
}

/** The batch's last txn. */
export function lastOfBatch(batch: Batch): Zxid {
  return { epoch: batch.epoch, counter: batch.first + batch.payloads.length - 1 };
}

export function bytesOf(batch: Batch): number {
  let bytes = 0;
  for (const payload of batch.payloads) bytes += payload.length;
  return bytes;
}

/** Whether the batch may stand directly behind `prev`: the next counter of its epoch, or 1 of a later one. */
export function follows(batch: Batch, prev: Zxid): boolean {
  if (batch.payloads.length === 0) return false;
  return batch.epoch === prev.epoch
    ? batch.first === prev.counter + 1
    : batch.epoch > prev.epoch && batch.first === 1;
}

/** The part in `(after, through]` of at most `bytesMax`, but never fewer than one txn if there is any. */
export function cutBatch(
  batch: Batch,
  part: { readonly after: Zxid; readonly through: Zxid; readonly bytesMax: number },
): Batch | undefined {
  const { after, through, bytesMax } = part;
  const { epoch, first, payloads } = batch;
  const from = after.epoch === epoch && after.counter >= first ? after.counter - first + 1 : 0;
  let to = from;
  let bytes = 0;
  while (to < payloads.length && compareZxid({ epoch, counter: first + to }, through) <= 0) {
    bytes += payloads[to]?.length ?? 0;
    if (to > from && bytes > bytesMax) break;
    to += 1;
  }
  if (to === from) return undefined;
  if (from === 0 && to === payloads.length) return batch;
  return { epoch, first: first + from, payloads: payloads.slice(from, to) };
}
