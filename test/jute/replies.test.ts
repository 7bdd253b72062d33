/**
 * Replies and notifications: golden bytes both ways, round trips, and hostile bytes on the client's side.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventType, OpCode, type Reply } from "../../src/base/index.ts";
import { JuteWriter } from "../../src/jute/primitives.ts";
import { listingLengthMin } from "../../src/jute/records.ts";
import {
  decodeEvent,
  decodeReplyBody,
  decodeReplyHeader,
  encodeEvent,
  encodeReply,
} from "../../src/jute/replies.ts";
import * as arb from "./arbitraries.ts";
import { bodies } from "./golden.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "./hostile.ts";

const header = "00000007 0000000100000002 00000000";

function encoded(reply: Reply): Uint8Array {
  const writer = new JuteWriter();
  encodeReply(writer, reply);
  return writer.take();
}

function encodedEvent(type: EventType, path: string, zxid: bigint): Uint8Array {
  const writer = new JuteWriter();
  encodeEvent(writer, { type, path }, zxid);
  return writer.take();
}

describe("golden replies of ZooKeeper 3.9.4", () => {
  test.each(bodies)("%s", (_, type, hex, body) => {
    const frame = bytesOf(`${header} ${hex}`);
    expect(hexOf(encoded({ xid: 7, zxid: 0x100000002n, err: 0, body }).subarray(4))).toBe(hexOf(frame));
    expect(decodeReplyHeader(frame)).toEqual({ xid: 7, zxid: 0x100000002n, err: 0 });
    expect(decodeReplyBody(type, frame)).toEqual({ ok: true, body });
  });

  test.each(bodies)("%s: cut off is refused, damaged never throws", (_, type, hex) => {
    const frame = bytesOf(`${header} ${hex}`);
    for (const cut of truncationsOf(frame)) expect(decodeReplyBody(type, cut)).toEqual({ ok: false });
    feedDamaged(frame, (damaged) => decodeReplyBody(type, damaged));
  });
});

describe("golden frames of the spec, section 28", () => {
  const zxid = 0x100000002n;
  test.each<[string, string, Reply]>([
    [
      "create",
      "00000016 00000001 0000000100000002 00000000 00000002 2f61",
      { xid: 1, zxid, err: 0, body: { kind: "create", path: "/a" } },
    ],
    ["ping", "00000010 fffffffe 0000000100000002 00000000", { xid: -2, zxid, err: 0 }],
    ["NoNode", "00000010 00000005 0000000100000002 ffffff9b", { xid: 5, zxid, err: -101 }],
    [
      "addWatch",
      "00000014 00000006 0000000100000002 00000000 00000000",
      { xid: 6, zxid, err: 0, body: { kind: "ok" } },
    ],
    ["auth", "00000010 fffffffc 0000000000000000 00000000", { xid: -4, zxid: 0n, err: 0 }],
    ["closeSession", "00000010 00000009 0000000100000002 00000000", { xid: 9, zxid, err: 0 }],
  ])("%s", (_, hex, reply) => {
    expect(hexOf(encoded(reply))).toBe(hexOf(bytesOf(hex)));
    const { body: _body, ...header } = reply;
    expect(decodeReplyHeader(bytesOf(hex).subarray(4))).toEqual(header);
  });

  test("notification", () => {
    const frame = bytesOf("0000001e ffffffff 0000000100000002 00000000 00000003 00000003 00000002 2f61");
    expect(hexOf(encodedEvent(EventType.NodeDataChanged, "/a", zxid))).toBe(hexOf(frame));
    expect(decodeEvent(frame.subarray(4))).toEqual({
      event: { type: EventType.NodeDataChanged, path: "/a" },
      zxid,
    });
  });
});

describe("encodeReply()", () => {
  test("sends a header alone when there is an error, whatever the body", () => {
    const reply: Reply = { xid: 1, zxid: -1n, err: -6, body: { kind: "create", path: "/a" } };
    expect(hexOf(encoded(reply))).toBe(hexOf(bytesOf("00000010 00000001 ffffffffffffffff fffffffa")));
  });

  test("appends, so that many replies share one buffer", () => {
    const writer = new JuteWriter();
    encodeReply(writer, { xid: 1, zxid: 0n, err: 0 });
    encodeEvent(writer, { type: EventType.NodeDeleted, path: "/a" }, -1n);
    expect(hexOf(writer.take())).toBe(
      hexOf(encoded({ xid: 1, zxid: 0n, err: 0 })) + hexOf(encodedEvent(EventType.NodeDeleted, "/a", -1n)),
    );
  });
});

describe("decodeReplyBody()", () => {
  test("reads back any body", () => {
    fc.assert(
      fc.property(arb.int, arb.long, arb.answers, (xid, zxid, { type, body }) => {
        const frame = encoded({ xid, zxid, err: 0, body }).subarray(4);
        expect(decodeReplyHeader(frame)).toEqual({ xid, zxid, err: 0 });
        expect(decodeReplyBody(type, frame)).toEqual({ ok: true, body });
      }),
      { numRuns: 1000 },
    );
  });

  test("refuses null names and lists", () => {
    expect(decodeReplyBody(OpCode.Create, bytesOf(`${header} ffffffff`))).toEqual({ ok: false });
    expect(decodeReplyBody(OpCode.GetChildren, bytesOf(`${header} ffffffff`))).toEqual({ ok: false });
    expect(decodeReplyBody(OpCode.GetChildren, bytesOf(`${header} 00000001 ffffffff`))).toEqual({
      ok: false,
    });
  });

  test("refuses a multi result of a type nobody has", () => {
    const frame = bytesOf(`${header} 00000003 00 00000000 ffffffff 01 ffffffff`);
    expect(decodeReplyBody(OpCode.Multi, frame)).toEqual({ ok: false });
  });
});

test.each([listingLengthMin - 1, listingLengthMin, 3 * listingLengthMin])(
  "a listing of %i names is written alike every time, and reads back",
  (length) => {
    const children = Array.from({ length }, (_, index) =>
      index % 7 === 0 ? `n\u00e9-${index}` : `n-${index}`,
    );
    const reply: Reply = { xid: 7, zxid: 1n, err: 0, body: { kind: "children", children } };
    const first = encoded(reply);
    expect(encoded(reply)).toEqual(first);
    expect(decodeReplyBody(OpCode.GetChildren, first.subarray(4))).toEqual({ ok: true, body: reply.body });
  },
);

describe("decodeReplyHeader()", () => {
  test("refuses a frame too short for a header", () => {
    for (const cut of truncationsOf(new Uint8Array(16))) expect(decodeReplyHeader(cut)).toBe(undefined);
  });
});

describe("decodeEvent()", () => {
  test("reads back any event", () => {
    fc.assert(
      fc.property(arb.watchedEvent, arb.long, (event, zxid) => {
        expect(decodeEvent(encodedEvent(event.type, event.path, zxid).subarray(4))).toEqual({ event, zxid });
      }),
    );
  });

  test("refuses other xids, other event types and a null path", () => {
    const rest = "0000000100000002 00000000";
    expect(decodeEvent(bytesOf(`00000001 ${rest} 00000003 00000003 00000002 2f61`))).toBe(undefined);
    expect(decodeEvent(bytesOf(`ffffffff ${rest} 00000005 00000003 00000002 2f61`))).toBe(undefined);
    expect(decodeEvent(bytesOf(`ffffffff ${rest} 00000003 00000003 ffffffff`))).toBe(undefined);
  });

  test("never throws on cut or damaged bytes", () => {
    const frame = encodedEvent(EventType.NodeCreated, "/a", 1n).subarray(4);
    for (const cut of truncationsOf(frame)) expect(decodeEvent(cut)).toBe(undefined);
    feedDamaged(frame, decodeEvent);
  });
});
