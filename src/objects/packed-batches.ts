/**
 * A batch's payloads as one blob, made once: the row of the log and the packets to all followers carry the
 * same bytes, and a follower stores those that came.
 *
 * Invariant: a batch is never changed, so what was packed stays true for as long as anybody holds it.
 *
 * @module
 */

import { packPayloads, unpackPayloads } from "../jute/index.ts";
import type { Batch } from "../zab/index.ts";

const packedOf = new WeakMap<Batch, Uint8Array>();

export function packBatch(batch: Batch): Uint8Array {
  const known = packedOf.get(batch);
  if (known !== undefined) return known;
  const packed = packPayloads(batch.payloads);
  packedOf.set(batch, packed);
  return packed;
}

/**
 * The batch that `packed` holds; its payloads are views of it. `undefined` for bytes that no
 * {@link packBatch} wrote, and for an empty batch.
 */
export function unpackBatch(epoch: number, first: number, packed: Uint8Array): Batch | undefined {
  const payloads = unpackPayloads(packed);
  if (payloads === undefined || payloads.length === 0) return undefined;
  const batch: Batch = { epoch, first, payloads };
  packedOf.set(batch, packed);
  return batch;
}
