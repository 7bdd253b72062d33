/**
 * What travels between members: the bytes of the real codec, written and read by members of several versions.
 *
 * A parcel also holds the packets as they were queued. Only the checkers look at those: that each arrives
 * once, in order, and says what it said when it left.
 *
 * @module
 */

import { JuteReader, JuteWriter } from "../../src/jute/index.ts";
import { carrierVersion, decodeCarrier, encodeCarrier } from "../../src/objects/packet-codec.ts";
import type { Carrier, Packet } from "../../src/zab/index.ts";
import { violate } from "./violation.ts";

/**
 * `Ours`: the version that ships. `Newer`: the next one that may call itself the same, since it only adds
 * fields at the ends. `Foreign`: one that nobody else reads, and that reads nobody else. `Older`: the one before
 * ours, which refuses carriers with packets that it lacks, and sends none of those.
 */
export const WireVersion = { Ours: 0, Newer: 1, Foreign: 2, Older: 3 } as const;
export type WireVersion = (typeof WireVersion)[keyof typeof WireVersion];

export interface Parcel {
  readonly bytes: Uint8Array;
  readonly sent: readonly Packet[];
}

/** A number no version has yet. */
const foreignVersion = 251;
const olderVersion = carrierVersion - 1;

export function seal(carrier: Carrier, version: WireVersion): Parcel {
  const bytes = encodeCarrier(carrier);
  if (version === WireVersion.Newer) return { bytes: withMoreFields(bytes), sent: carrier.packets };
  if (version === WireVersion.Foreign) bytes[0] = foreignVersion;
  if (version !== WireVersion.Older) return { bytes, sent: carrier.packets };
  if (bytes[0] !== olderVersion)
    violate("versions", "a member of the version before ours sends a packet that it lacks");
  // It said nothing of what it reads.
  return { bytes: bytes.subarray(0, -1), sent: carrier.packets };
}

/** `undefined` for a carrier that the reader refuses. `origins` learns which packet is which. */
export function unseal(
  { bytes, sent }: Parcel,
  { version, incarnation }: { readonly version: WireVersion; readonly incarnation: number },
  origins: WeakMap<Packet, Packet>,
): Carrier | undefined {
  const isForeign = bytes[0] === foreignVersion;
  const readable = isForeign && version === WireVersion.Foreign ? asOurs(bytes) : bytes;
  if (!isForeign && version === WireVersion.Foreign) return undefined;
  if (bytes[0] !== olderVersion && version === WireVersion.Older) {
    // Who names this instance has heard of it, and of what it reads.
    if (!isForeign && decodeCarrier(bytes)?.toIncarnation === incarnation)
      violate("versions", "a member of the version before ours is sent a packet that it is known to lack");
    return undefined;
  }
  const carrier = decodeCarrier(readable);
  if (carrier === undefined) {
    if (isForeign) return undefined;
    violate("versions", "a carrier that ought to be readable is refused");
  }
  if (isForeign && version !== WireVersion.Foreign) violate("versions", "a foreign carrier is read");
  if (carrier.packets.length !== sent.length) violate("versions", "packets appear or vanish under way");
  carrier.packets.forEach((packet, at) => {
    const original = sent[at];
    if (original === undefined || !isEqual(packet, original)) {
      violate("versions", `a ${packet.kind} is not read as it was written`);
    }
    origins.set(packet, original);
  });
  return carrier;
}

function asOurs(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[0] = carrierVersion;
  return copy;
}

/** Unknown fields behind every packet and behind the last one. */
function withMoreFields(bytes: Uint8Array): Uint8Array {
  const reader = new JuteReader(bytes);
  for (let at = 0; at < 4; at++) reader.readByte();
  for (let at = 0; at < 5; at++) reader.readMs();
  const head = bytes.length - reader.remaining;
  const count = reader.readVarint();
  const writer = new JuteWriter(bytes.length + 8 * count + 8);
  writer.writeRaw(bytes.subarray(0, head));
  writer.writeVarint(count);
  for (let at = 0; at < count; at++) {
    const packet = reader.readRaw(reader.readInt());
    writer.writeInt(packet.length + 3);
    writer.writeRaw(packet);
    for (const byte of [1, 0, 255]) writer.writeByte(byte);
  }
  writer.writeRaw(reader.readRaw(reader.remaining));
  writer.writeMs(count);
  return writer.take();
}

/** Same fields with the same values; numbers, texts, booleans, bytes, lists and records of those. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    if (!(a instanceof Uint8Array && b instanceof Uint8Array) || a.length !== b.length) return false;
    return a.every((byte, at) => byte === b[at]);
  }
  const left: Readonly<Record<string, unknown>> = { ...a };
  const right: Readonly<Record<string, unknown>> = { ...b };
  for (const key in left) if (!isEqual(left[key], right[key])) return false;
  for (const key in right) if (right[key] !== undefined && !(key in left)) return false;
  return true;
}
