/**
 * Proves that what learners and their leader say of clients is read as it was written, and that nothing else
 * is read at all.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeSessionId, makeZxid, type Requester } from "../../src/base/index.ts";
import {
  decodeEntries,
  decodeReplies,
  type Entry,
  EntryWriter,
  encodeReplies,
  type Reply,
} from "../../src/objects/forwarding-codec.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "../jute/hostile.ts";

const sessionId = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(makeSessionId);
const timeoutMs = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const zxid = fc
  .tuple(fc.nat({ max: 2 ** 31 - 1 }), fc.nat({ max: 2 ** 32 - 1 }))
  .map(([epoch, counter]) => makeZxid(epoch, counter));

const requester: fc.Arbitrary<Requester> = fc.record({
  sessionId,
  identities: fc.array(fc.record({ scheme: fc.string(), id: fc.string() }), { maxLength: 4 }),
  ownership: fc.maxSafeNat(),
});

const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ kind: fc.constant("request"), requester, frame: fc.uint8Array({ maxLength: 60 }) }),
  fc.record({ kind: fc.constant("open"), timeoutMs }),
  fc.record({
    kind: fc.constant("renew"),
    renewal: fc.record({ id: sessionId, timeoutMs, ownership: fc.maxSafeNat() }),
  }),
  fc.record({ kind: fc.constant("confirm"), id: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("touches"), sessions: fc.uniqueArray(sessionId, { maxLength: 9 }) }),
);

const reply: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({ kind: fc.constant("assigned"), first: zxid, count: fc.integer({ min: 1, max: 2 ** 31 - 1 }) }),
  fc.record({ kind: fc.constant("confirmed"), id: fc.maxSafeNat(), index: zxid }),
  fc.record({ kind: fc.constant("unconfirmed"), id: fc.maxSafeNat() }),
);

function encode(entries: readonly Entry[]): Uint8Array {
  const writer = new EntryWriter();
  for (const each of entries) {
    switch (each.kind) {
      case "request":
        writer.request(each.requester, each.frame);
        break;
      case "open":
        writer.open(each.timeoutMs);
        break;
      case "renew":
        writer.renew(each.renewal);
        break;
      case "confirm":
        writer.confirm(each.id);
        break;
      case "touches":
        writer.touches(new Set(each.sessions));
        break;
    }
  }
  return writer.take();
}

const bob: Requester = {
  sessionId: makeSessionId(0x100000100000001n),
  identities: [{ scheme: "ip", id: "::1" }],
  ownership: 2,
};

const golden: readonly Entry[] = [
  { kind: "request", requester: bob, frame: Uint8Array.of(1, 2, 3) },
  { kind: "request", requester: bob, frame: Uint8Array.of(4) },
  { kind: "open", timeoutMs: 4_000 },
  { kind: "renew", renewal: { id: bob.sessionId, timeoutMs: 4_000, ownership: 2 } },
  { kind: "confirm", id: 7 },
  { kind: "touches", sessions: [bob.sessionId] },
];

const goldenBytes = bytesOf(
  "01 01 0100000100000001 0000000000000002 01 02 6970 03 3a3a31 02 03 010203 02 01 04" +
    "03 00000fa0 04 0100000100000001 00000fa0 0000000000000002 05 0000000000000007 06 01 0100000100000001",
);

describe("what a learner asks", () => {
  test("golden bytes: a sender is named once for the requests that stand together", () => {
    expect(hexOf(encode(golden))).toBe(hexOf(goldenBytes));
    expect(decodeEntries(goldenBytes)).toEqual(golden);
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        expect(decodeEntries(encode(entries))).toEqual(entries);
      }),
    );
  });

  test("is refused when it is cut within an entry, of another version, or damaged beyond reading", () => {
    const last = encode(golden.slice(-1)).length - 1;
    for (const cut of truncationsOf(goldenBytes)) {
      const entries = decodeEntries(cut);
      if (cut.length > goldenBytes.length - last) expect(entries).toBeUndefined();
      else if (entries !== undefined) expect(entries).toEqual(golden.slice(0, entries.length));
    }
    expect(decodeEntries(Uint8Array.of(2, ...goldenBytes.subarray(1)))).toBeUndefined();
    expect(decodeEntries(new Uint8Array(0))).toBeUndefined();
    feedDamaged(goldenBytes, decodeEntries);
  });

  test.each([
    ["a request of nobody", "01 02 01 04"],
    ["an unknown entry", "01 07"],
    ["no timeout", "01 03 00000000"],
    ["a negative timeout", "01 04 0100000100000001 ffffffff 0000000000000002"],
    ["more sessions than bytes", "01 06 02 0100000100000001"],
    ["more identities than bytes", "01 01 0100000100000001 0000000000000002 7f 00"],
  ])("is refused with %s", (_, hex) => {
    expect(decodeEntries(bytesOf(hex))).toBeUndefined();
  });
});

describe("what the leader answers", () => {
  test("golden bytes", () => {
    const replies: Reply[] = [
      { kind: "assigned", first: makeZxid(1, 7), count: 300 },
      { kind: "confirmed", id: 9, index: makeZxid(1, 8) },
      { kind: "unconfirmed", id: 10 },
    ];
    const bytes = bytesOf(
      "01 01 0000000100000007 ac02 02 0000000000000009 0000000100000008 03 000000000000000a",
    );
    expect(hexOf(encodeReplies(replies))).toBe(hexOf(bytes));
    expect(decodeReplies(bytes)).toEqual(replies);
    feedDamaged(bytes, decodeReplies);
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 12 }), (replies) => {
        expect(decodeReplies(encodeReplies(replies))).toEqual(replies);
      }),
    );
  });

  test.each([
    ["another version", "02"],
    ["nothing", ""],
    ["an unknown reply", "01 04"],
    ["an assignment of nothing", "01 01 0000000100000007 00"],
    ["a zxid cut off", "01 02 0000000000000009 00000001"],
  ])("is refused with %s", (_, hex) => {
    expect(decodeReplies(bytesOf(hex))).toBeUndefined();
  });
});
