/**
 * Proves that carriers survive the way between members, and that bytes which are none never throw.
 *
 * Round trips over random packets of every kind; golden bytes of one carrier, cut off everywhere and with
 * every byte changed; what an older or newer member may send.
 *
 * @module
 */

import fc, { type Arbitrary } from "fast-check";
import { describe, expect, test } from "vitest";
import { makeServerId, type ServerId, serverIdMax } from "../../src/base/index.ts";
import {
  carrierVersion,
  decodeCarrier,
  encodeCarrier,
  whyUnreadable,
} from "../../src/objects/packet-codec.ts";
import type { Batch, Carrier, Config, Outline, Packet } from "../../src/zab/index.ts";
import { zxid } from "../jute/arbitraries.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "../jute/hostile.ts";

const epoch = fc.nat({ max: 2 ** 31 - 1 });
const counter = fc.nat({ max: 2 ** 32 - 1 });
const ordinal = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const serverId: Arbitrary<ServerId> = fc.integer({ min: 1, max: serverIdMax }).map(makeServerId);
const session = fc.record({ incarnation: ordinal, attempt: ordinal });
const payload = fc.uint8Array({ maxLength: 50 });

const batch: Arbitrary<Batch> = fc.record({
  epoch,
  first: counter,
  payloads: fc.array(payload, { minLength: 1, maxLength: 5 }),
});

const outline: Arbitrary<Outline> = fc.record({
  base: zxid,
  runs: fc.array(fc.record({ epoch, last: counter }), { maxLength: 5 }),
});

type OfKind<Kind extends Packet["kind"]> = Extract<Packet, { kind: Kind }>;

function kind<Kind extends Packet["kind"]>(
  name: Kind,
  fields: { [Field in keyof Required<Omit<OfKind<Kind>, "kind">>]: Arbitrary<Required<OfKind<Kind>>[Field]> },
): Arbitrary<Packet> {
  const keys = ["kind", ...Object.keys(fields).filter((field) => !optional.has(field))];
  // The mapped type above has checked every field; TypeScript cannot put them together again.
  const record: unknown = fc.record(
    { kind: fc.constant(name), ...fields },
    { requiredKeys: keys as never[] },
  );
  return record as Arbitrary<Packet>;
}

/** Fields that a packet may do without. */
const optional = new Set(["config", "storageId"]);

const scope = { session, epoch };

const config: Arbitrary<Config> = fc.record({
  version: zxid,
  members: fc.uniqueArray(
    fc.record(
      {
        id: serverId,
        role: fc.constant<"voter" | "observer">("voter"),
        storageId: fc.string({ minLength: 1, maxLength: 40 }),
      },
      { requiredKeys: ["id", "role"] },
    ),
    { selector: (member) => member.id, minLength: 1, maxLength: 9 },
  ),
  retired: fc.array(serverId, { maxLength: 5 }),
});

const packets: { readonly [Kind in Packet["kind"]]: Arbitrary<Packet> } = {
  notify: kind("notify", {
    state: fc.constantFrom("looking", "following", "leading", "observing"),
    round: ordinal,
    vote: fc.record({
      leader: fc.oneof(serverId, fc.constant<0>(0)),
      lastZxid: zxid,
      currentEpoch: epoch,
    }),
    confirmed: fc.boolean(),
    wantsAnswer: fc.boolean(),
    config,
  }),
  cepoch: kind("cepoch", {
    session,
    acceptedEpoch: epoch,
    currentEpoch: epoch,
    outline,
    observer: fc.boolean(),
    storageId: fc.string({ minLength: 1, maxLength: 40 }),
  }),
  newEpoch: kind("newEpoch", scope),
  ackEpoch: kind("ackEpoch", { ...scope, currentEpoch: epoch, outline, delivered: zxid }),
  refuse: kind("refuse", {
    session,
    reason: fc.constantFrom("epoch", "notLeading", "outOfOrder", "damaged"),
    acceptedEpoch: epoch,
  }),
  sync: kind("sync", {
    ...scope,
    mode: fc.constantFrom("diff", "trunc", "snap"),
    after: zxid,
    syncEnd: zxid,
    snapshotId: ordinal,
    config,
  }),
  snapPage: kind("snapPage", {
    ...scope,
    snapshotId: ordinal,
    page: counter,
    last: fc.boolean(),
    bytes: fc.uint8Array({ maxLength: 300 }),
  }),
  entries: kind("entries", { ...scope, prev: zxid, batch }),
  received: kind("received", { ...scope, through: zxid, pages: counter }),
  newLeader: kind("newLeader", { ...scope, syncEnd: zxid }),
  ackLeader: kind("ackLeader", { ...scope, syncEnd: zxid }),
  upToDate: kind("upToDate", { ...scope, commitTo: zxid }),
  propose: kind("propose", { ...scope, prev: zxid, batch, commitTo: zxid }),
  ack: kind("ack", { ...scope, through: zxid }),
  commit: kind("commit", { ...scope, commitTo: zxid }),
  inform: kind("inform", { ...scope, prev: zxid, batch }),
  ping: kind("ping", { ...scope, commitTo: zxid, confirmRound: ordinal }),
  pong: kind("pong", { ...scope, through: zxid, confirmRound: ordinal }),
  solicit: kind("solicit", { epoch }),
  decline: kind("decline", { epoch, acceptedEpoch: epoch }),
  quiesce: kind("quiesce", { ...scope, through: zxid, number: ordinal }),
  quiesced: kind("quiesced", { ...scope, number: ordinal, accepted: fc.boolean() }),
  wake: kind("wake", scope),
  forward: kind("forward", { ...scope, bytes: fc.uint8Array({ maxLength: 300 }) }),
  answer: kind("answer", { ...scope, bytes: fc.uint8Array({ maxLength: 300 }) }),
};

function carrierOf(packet: Arbitrary<Packet>, maxLength = 6): Arbitrary<Carrier> {
  return fc.record({
    from: serverId,
    to: serverId,
    fromIncarnation: ordinal,
    toIncarnation: ordinal,
    linkNo: ordinal,
    firstSeq: ordinal,
    packets: fc.array(packet, { maxLength }),
    ackSeq: ordinal,
    status: fc.constantFrom("ok", "reset", "stale", "gap"),
    reads: fc.integer({ min: 2, max: 255 }),
  });
}

const anyPacket = fc.oneof(...Object.values(packets));

/** Where the count of packets stands: behind four bytes and five numbers of eight. */
const countAt = 4 + 5 * 8;

const one = { epoch: 1, counter: 1 };

const golden: Carrier = {
  from: makeServerId(1),
  to: makeServerId(254),
  fromIncarnation: 7,
  toIncarnation: 0,
  linkNo: 3,
  firstSeq: 9,
  ackSeq: 8,
  status: "ok",
  reads: 2,
  packets: [
    {
      kind: "notify",
      state: "leading",
      round: 2,
      vote: { leader: makeServerId(1), lastZxid: one, currentEpoch: 1 },
      confirmed: true,
      wantsAnswer: false,
    },
    {
      kind: "propose",
      session: { incarnation: 5, attempt: 6 },
      epoch: 1,
      prev: one,
      batch: { epoch: 1, first: 2, payloads: [Uint8Array.of(0xaa), new Uint8Array(0)] },
      commitTo: one,
    },
    {
      kind: "cepoch",
      session: { incarnation: 5, attempt: 6 },
      acceptedEpoch: 2,
      currentEpoch: 1,
      outline: { base: one, runs: [{ epoch: 1, last: 0xffffffff }] },
      observer: true,
    },
  ],
};

const goldenHex = [
  "01 00 01 fe 0000000000000007 0000000000000000 0000000000000003 0000000000000009 0000000000000008 03",
  "0000001a 00 02 0000000000000002 01 0000000100000001 00000001 01 00 00",
  "00000036 0c 0000000000000005 0000000000000006 00000001 0000000100000001 0000000100000001",
  "0000000100000002 00000005 01 02 01 aa 00",
  "0000002c 01 0000000000000005 0000000000000006 00000002 00000001 0000000100000001 01 00000001ffffffff 01 00",
  "02",
];

/** A carrier of one packet, with bytes a newer member has put behind the packet's fields. */
function withMoreFields(bytes: Uint8Array, more: Uint8Array): Uint8Array {
  const end = bytes.length - 1;
  const longer = Uint8Array.of(...bytes.subarray(0, end), ...more, ...bytes.subarray(end));
  const view = new DataView(longer.buffer);
  view.setInt32(countAt + 1, view.getInt32(countAt + 1) + more.length);
  return longer;
}

describe("a carrier", () => {
  test.each(Object.entries(packets))("of %s packets comes back as it went", (_, packet) => {
    fc.assert(
      fc.property(carrierOf(packet), (carrier) => {
        expect(decodeCarrier(encodeCarrier(carrier))).toEqual(carrier);
      }),
      { numRuns: 50 },
    );
  });

  test("of mixed packets comes back in order", () => {
    fc.assert(
      fc.property(carrierOf(anyPacket, 30), (carrier) => {
        expect(decodeCarrier(encodeCarrier(carrier))).toEqual(carrier);
      }),
    );
  });

  test("has these bytes", () => {
    expect(hexOf(encodeCarrier(golden))).toBe(goldenHex.join("").replaceAll(" ", ""));
    expect(decodeCarrier(bytesOf(goldenHex.join("")))).toEqual(golden);
  });

  test("read out of a larger buffer is the same", () => {
    const bytes = encodeCarrier(golden);
    const larger = new Uint8Array(bytes.length + 9);
    larger.set(bytes, 5);
    expect(decodeCarrier(larger.subarray(5, 5 + bytes.length))).toEqual(golden);
  });

  test("without packets is read, and leaves only what its sender reads behind the count", () => {
    const empty = { ...golden, packets: [] };
    expect(encodeCarrier(empty).length).toBe(countAt + 2);
    expect(decodeCarrier(encodeCarrier(empty))).toEqual(empty);
  });

  test("is of the lowest version that has its packets, so that a member that is behind reads on", () => {
    fc.assert(
      fc.property(carrierOf(anyPacket), (carrier) => {
        const ofVersion1 = Object.keys(packets).slice(0, 18);
        const isNew = carrier.packets.some(({ kind }) => !ofVersion1.includes(kind));
        const bytes = encodeCarrier(carrier);
        expect(bytes[0]).toBe(isNew ? 2 : 1);
        if (!isNew) bytes[0] = 2;
        expect(decodeCarrier(bytes)).toEqual(carrier);
      }),
    );
  });

  test("that does not say what its sender reads tells it by its version", () => {
    const silent = encodeCarrier(golden).slice(0, -1);
    expect(decodeCarrier(silent)).toEqual({ ...golden, reads: 1 });
    silent[0] = 2;
    expect(decodeCarrier(silent)).toEqual(golden);
    const odd = encodeCarrier({ ...golden, reads: 0 });
    expect(decodeCarrier(odd)?.reads).toBe(1);
  });

  test("is read although a newer member adds fields behind it", () => {
    expect(decodeCarrier(Uint8Array.of(...encodeCarrier(golden), 1, 0, 255))).toEqual(golden);
  });

  test("that is refused says which version it has and which was wanted", () => {
    const other = encodeCarrier(golden);
    other[0] = 9;
    expect(decodeCarrier(other)).toBeUndefined();
    expect(whyUnreadable(other)).toBe(`carrier version 9, wanted ${carrierVersion}`);
    expect(whyUnreadable(encodeCarrier(golden).slice(0, 9))).toMatch(/^damaged/);
    expect(whyUnreadable(new Uint8Array(0))).toBe("an empty carrier");
  });
});

describe("decodeCarrier()", () => {
  test("refuses every truncation", () => {
    // Without its last byte it is what version 1 wrote.
    const whole = encodeCarrier(golden).slice(0, -1);
    for (const cut of truncationsOf(whole)) expect(decodeCarrier(cut)).toBeUndefined();
  });

  test.each(Object.entries(packets))("refuses a %s packet cut off within its length", (_, packet) => {
    fc.assert(
      fc.property(packet, fc.nat(), (whole, draw) => {
        const bytes = encodeCarrier({ ...golden, packets: [whole] });
        const from = countAt + 5;
        const cut = bytes.slice(0, from + (draw % (bytes.length - 1 - from)));
        new DataView(cut.buffer).setInt32(countAt + 1, cut.length - from);
        // Cut off before its last field it may be what members wrote before there was that field.
        const [older] = decodeCarrier(cut)?.packets ?? [];
        const { config: _config, storageId: _storageId, ...rest } = { config: 0, storageId: 0, ...whole };
        if (older !== undefined) expect(older).toEqual(rest);
        if (older !== undefined) expect(["notify", "cepoch", "sync"]).toContain(whole.kind);
      }),
      { numRuns: 50 },
    );
  });

  test("never throws, whichever byte is changed to whatever", () => {
    const bytes = encodeCarrier(golden);
    for (let at = 0; at < bytes.length; at++) {
      for (let value = 0; value < 256; value++) {
        const flipped = bytes.slice();
        flipped[at] = value;
        decodeCarrier(flipped);
      }
    }
  });

  test("never throws on carriers damaged in several places, nor on noise", () => {
    fc.assert(
      fc.property(carrierOf(anyPacket), (carrier) => {
        feedDamaged(encodeCarrier(carrier), decodeCarrier);
      }),
      { numRuns: 50 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => void decodeCarrier(noise)));
  });

  test.each([
    ["a version older than the one before", 0, 0],
    ["an unknown version", 0, 3],
    ["an unknown status", 1, 4],
    ["no sender", 2, 0],
    ["a sender of 255", 2, 255],
    ["no receiver", 3, 0],
    ["an unknown kind", countAt + 5, 25],
    ["a kind of a later version", countAt + 5, 18],
    ["an unknown role", countAt + 6, 4],
  ])("refuses %s", (_, at, value) => {
    const bytes = encodeCarrier(golden);
    bytes[at] = value;
    expect(decodeCarrier(bytes)).toBeUndefined();
  });

  test.each([
    ["of 0 bytes", "00000000"],
    ["of negative length", "ffffffff 00"],
    ["longer than the carrier", "0000001b 00"],
  ])("refuses a packet %s", (_, hex) => {
    const head = encodeCarrier({ ...golden, packets: [] }).slice(0, -1);
    head[countAt] = 1;
    expect(decodeCarrier(bytesOf(hexOf(head) + hex))).toBeUndefined();
  });

  test("refuses more packets than there are bytes, without making room for them", () => {
    const head = encodeCarrier({ ...golden, packets: [] });
    expect(decodeCarrier(bytesOf(`${hexOf(head.subarray(0, countAt))} ff ff ff ff 0f`))).toBeUndefined();
  });

  test.each([
    ["a member twice", [1, 1]],
    ["no voter", []],
  ])("refuses a configuration with %s", (_, ids) => {
    const members = ids.map((id) => ({ id: makeServerId(id), role: "voter" as const }));
    const packet = { ...goldenPacket("notify"), config: { version: one, members, retired: [] } };
    expect(decodeCarrier(encodeCarrier({ ...golden, packets: [packet] }))).toBeUndefined();
  });

  test("refuses more outline runs than there are bytes", () => {
    const packet = { ...goldenPacket("cepoch"), outline: { base: one, runs: [] } };
    const bytes = encodeCarrier({ ...golden, packets: [packet] });
    // The count of runs stands before `observer`, an empty storage id, and what the sender reads.
    bytes[bytes.length - 4] = 100;
    expect(decodeCarrier(bytes)).toBeUndefined();
  });

  test.each(["entries", "inform"] as const)("refuses %s without a payload", (kind) => {
    const { session, epoch, prev } = goldenPacket("propose");
    const packet = { kind, session, epoch, prev, batch: { epoch: 1, first: 2, payloads: [] } };
    expect(decodeCarrier(encodeCarrier({ ...golden, packets: [packet] }))).toBeUndefined();
  });

  test.each(Object.entries(packets))("skips what a newer member adds at the end of %s", (_, packet) => {
    fc.assert(
      fc.property(packet, fc.uint8Array({ minLength: 1, maxLength: 20 }), (whole, more) => {
        const carrier = { ...golden, packets: [whole] };
        expect(decodeCarrier(withMoreFields(encodeCarrier(carrier), more))).toEqual(carrier);
      }),
      { numRuns: 50 },
    );
  });
});

function goldenPacket<Kind extends Packet["kind"]>(wanted: Kind): OfKind<Kind> {
  const found = golden.packets.find((packet): packet is OfKind<Kind> => packet.kind === wanted);
  if (found === undefined) throw new Error(`the golden carrier has no ${wanted}`);
  return found;
}
