/**
 * Proves that a batch is packed once, that what came is what is stored, and which bytes are no batch.
 *
 * @module
 */

import { expect, test } from "vitest";
import { packPayloads } from "../../src/jute/index.ts";
import { packBatch, unpackBatch } from "../../src/objects/packed-batches.ts";
import { cutBatch } from "../../src/zab/batch.ts";
import type { Batch } from "../../src/zab/index.ts";

const payloads = [new Uint8Array([1, 2]), new Uint8Array(0), new Uint8Array([3])];
const batch: Batch = { epoch: 2, first: 7, payloads };

test("packBatch() gives the same bytes every time, those of the payloads", () => {
  const packed = packBatch(batch);
  expect(packed).toEqual(packPayloads(payloads));
  expect(packBatch(batch)).toBe(packed);
});

test("unpackBatch() and packBatch() hand on the bytes that came", () => {
  const came = packPayloads(payloads);
  const unpacked = unpackBatch(2, 7, came);
  if (unpacked === undefined) throw new Error("a packed batch is readable");
  expect(unpacked).toEqual(batch);
  expect(packBatch(unpacked)).toBe(came);
});

test("a part of a batch has bytes of its own", () => {
  packBatch(batch);
  const cut = { after: { epoch: 2, counter: 7 }, through: { epoch: 2, counter: 9 }, bytesMax: 100 };
  const part = cutBatch(batch, cut);
  if (part === undefined) throw new Error("there is a part");
  expect(packBatch(part)).toEqual(packPayloads(payloads.slice(1)));
});

test.each([
  ["nothing", new Uint8Array(0)],
  ["no payload", packPayloads([])],
  ["an unknown version", new Uint8Array([9, 1, 0])],
  ["a byte too many", new Uint8Array([...packPayloads(payloads), 0])],
])("unpackBatch() refuses %s", (_, bytes) => {
  expect(unpackBatch(1, 1, bytes)).toBeUndefined();
});
