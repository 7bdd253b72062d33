/**
 * Many payloads in one blob: a log row of several txns, a peer packet of several proposals.
 *
 * Layout: version, count, then each payload behind its length; count and lengths are varints. The count
 * is what makes a blob cut off between two payloads unreadable rather than short.
 *
 * @module
 */

import { tryUnpack } from "./packing.ts";
import { JuteError, JuteWriter } from "./primitives.ts";

const payloadsVersion = 1;

/** Version, and the widest count or length. */
const headBytesMax = 6;
const lengthBytesMax = 5;

export function packPayloads(payloads: readonly Uint8Array[]): Uint8Array {
  let bytesMax = headBytesMax;
  for (const payload of payloads) bytesMax += lengthBytesMax + payload.length;
  const writer = new JuteWriter(bytesMax);
  writer.writeByte(payloadsVersion);
  writer.writeVarint(payloads.length);
  for (const payload of payloads) {
    writer.writeVarint(payload.length);
    writer.writeRaw(payload);
  }
  return writer.take();
}

/** `undefined` for bytes that no {@link packPayloads} wrote. The payloads are views of `bytes`. */
export function unpackPayloads(bytes: Uint8Array): Uint8Array[] | undefined {
  return tryUnpack(bytes, payloadsVersion, (reader) => {
    const count = reader.readVarint();
    if (count > reader.remaining) throw new JuteError("more payloads than bytes");
    const payloads: Uint8Array[] = [];
    for (let i = 0; i < count; i++) payloads.push(reader.readRaw(reader.readVarint()));
    return payloads;
  });
}
