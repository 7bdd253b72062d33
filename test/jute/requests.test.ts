/**
 * Requests: golden bytes both ways, round trips, and what becomes of bytes that are no request.
 *
 * The parts that multi shares with top-level requests (`operations.ts`, `records.ts`) are proved here.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ClientRequest, OPEN_ACL, OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { JuteWriter } from "../../src/jute/primitives.ts";
import { decodeRequest, decodeRequestHeader, encodeRequest } from "../../src/jute/requests.ts";
import * as arb from "./arbitraries.ts";
import { kazooRequests, requests } from "./golden.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "./hostile.ts";

const malformed = { ok: false, code: ZkErrorCode.MarshallingError, drop: false };
const malformedDrop = { ok: false, code: ZkErrorCode.MarshallingError, drop: true };
const unimplemented = { ok: false, code: ZkErrorCode.Unimplemented, drop: false };

function encoded(xid: number, request: ClientRequest): Uint8Array {
  const writer = new JuteWriter();
  encodeRequest(writer, xid, request);
  return writer.take();
}

/** A frame of `type` with xid 7, without its length prefix. */
function frameOf(type: number, bodyHex: string): Uint8Array {
  const header = new DataView(new ArrayBuffer(8));
  header.setInt32(0, 7);
  header.setInt32(4, type);
  return Uint8Array.of(...new Uint8Array(header.buffer), ...bytesOf(bodyHex));
}

describe("golden requests of ZooKeeper 3.9.4", () => {
  test.each(requests)("%s", (_, hex, request) => {
    const frame = frameOf(request.type, hex);
    expect(hexOf(encoded(7, request).subarray(4))).toBe(hexOf(frame));
    expect(decodeRequestHeader(frame)).toEqual({ xid: 7, type: request.type });
    expect(decodeRequest(request.type, frame)).toEqual({ ok: true, request });
  });

  test.each(requests)("%s: cut off is refused, damaged never throws", (_, hex, request) => {
    const frame = frameOf(request.type, hex);
    const isConnectionLayer = request.type === OpCode.Auth || request.type === OpCode.Sasl;
    for (const cut of truncationsOf(frame)) {
      expect(decodeRequest(request.type, cut)).toEqual(isConnectionLayer ? malformedDrop : malformed);
    }
    feedDamaged(frame, (damaged) => decodeRequest(request.type, damaged));
  });

  test.each(requests)("%s: bytes after the record are ignored", (_, hex, request) => {
    expect(decodeRequest(request.type, frameOf(request.type, `${hex} ffff`))).toEqual({ ok: true, request });
  });
});

describe("golden frames of the spec, section 28", () => {
  test.each([
    ["ping", "00000008 fffffffe 0000000b", -2, { type: OpCode.Ping }],
    [
      "create",
      "00000032 00000001 00000001 00000002 2f61 00000001 78 00000001 0000001f 00000005 776f726c64" +
        "00000006 616e796f6e65 00000000",
      1,
      { type: OpCode.Create, path: "/a", data: Uint8Array.of(0x78), acl: OPEN_ACL, flags: 0, ttlMs: -1 },
    ],
    [
      "auth",
      "00000020 fffffffc 00000064 00000000 00000006 646967657374 00000006 626f623a7077",
      -4,
      { type: OpCode.Auth, scheme: "digest", auth: new TextEncoder().encode("bob:pw") },
    ],
    ["closeSession", "00000008 00000009 fffffff5", 9, { type: OpCode.CloseSession }],
  ] as const satisfies readonly (readonly [string, string, number, ClientRequest])[])(
    "%s",
    (_, hex, xid, request) => {
      const bytes = bytesOf(hex);
      expect(hexOf(encoded(xid, request))).toBe(hexOf(bytes));
      expect(decodeRequestHeader(bytes.subarray(4))).toEqual({ xid, type: request.type });
      expect(decodeRequest(request.type, bytes.subarray(4))).toEqual({ ok: true, request });
    },
  );
});

describe("golden frames of kazoo 2.11.0", () => {
  test.each(kazooRequests)("%s", (_, hex, xid, request) => {
    const frame = bytesOf(hex);
    expect(decodeRequestHeader(frame)).toEqual({ xid, type: request.type });
    expect(decodeRequest(request.type, frame)).toEqual({ ok: true, request });
  });

  test("an empty path is sent as null, and refused", () => {
    expect(decodeRequest(OpCode.Exists, bytesOf("00000002 00000003 ffffffff 00"))).toEqual(malformed);
  });
});

describe("decodeRequestHeader()", () => {
  test("refuses a frame too short for a header", () => {
    for (const cut of truncationsOf(new Uint8Array(8))) expect(decodeRequestHeader(cut)).toBe(undefined);
  });
});

describe("decodeRequest()", () => {
  test("reads back any request", () => {
    fc.assert(
      fc.property(arb.int, arb.request, (xid, request) => {
        const frame = encoded(xid, request).subarray(4);
        expect(decodeRequestHeader(frame)).toEqual({ xid, type: request.type });
        expect(decodeRequest(request.type, frame)).toEqual({ ok: true, request });
      }),
      { numRuns: 1000 },
    );
  });

  test("never throws on any bytes under any type", () => {
    const types = fc.oneof(fc.constantFrom(...Object.values(OpCode)), arb.int);
    fc.assert(fc.property(types, arb.bytes, (type, bytes) => void decodeRequest(type, bytes)));
  });

  test.each([0, 10, OpCode.Check, OpCode.DeleteContainer, OpCode.CreateSession, OpCode.Error, 23, 999, -2])(
    "says that type %i is unimplemented, whatever the body",
    (type) => {
      expect(decodeRequest(type, frameOf(type, ""))).toEqual(unimplemented);
      expect(decodeRequest(type, frameOf(type, "00000002 2f61 00000000"))).toEqual(unimplemented);
    },
  );

  test.each([
    OpCode.Create,
    OpCode.Delete,
    OpCode.Exists,
    OpCode.GetData,
    OpCode.SetData,
    OpCode.GetAcl,
    OpCode.SetAcl,
    OpCode.GetChildren,
    OpCode.Sync,
    OpCode.GetAllChildrenNumber,
    OpCode.AddWatch,
    OpCode.CheckWatches,
    OpCode.RemoveWatches,
  ])("refuses a null path under type %i", (type) => {
    expect(decodeRequest(type, frameOf(type, `ffffffff ${"00".repeat(32)}`))).toEqual(malformed);
  });

  test.each([
    ["a null data list", "0000000000000001 ffffffff 00000000 00000000 00000000 00000000"],
    ["a null exist list", "0000000000000001 00000000 ffffffff 00000000 00000000 00000000"],
    ["a null child list", "0000000000000001 00000000 00000000 ffffffff 00000000 00000000"],
    ["a null persistent list", "0000000000000001 00000000 00000000 00000000 ffffffff 00000000"],
    ["a null recursive list", "0000000000000001 00000000 00000000 00000000 00000000 ffffffff"],
    ["a null path in a list", "0000000000000001 00000001 ffffffff 00000000 00000000 00000000 00000000"],
    ["a list longer than the frame", "0000000000000001 7fffffff 00000000 00000000 00000000 00000000"],
  ])("refuses setWatches2 with %s", (_, hex) => {
    expect(decodeRequest(OpCode.SetWatches2, frameOf(OpCode.SetWatches2, hex))).toEqual(malformed);
  });

  test("reads a null prefix of getEphemerals as none", () => {
    expect(decodeRequest(OpCode.GetEphemerals, frameOf(OpCode.GetEphemerals, "ffffffff"))).toEqual({
      ok: true,
      request: { type: OpCode.GetEphemerals, path: "" },
    });
  });

  test("passes on modes, watcher types and flags that make no sense", () => {
    const path = "00000002 2f61";
    expect(decodeRequest(OpCode.AddWatch, frameOf(OpCode.AddWatch, `${path} 00000009`))).toEqual({
      ok: true,
      request: { type: OpCode.AddWatch, path: "/a", mode: 9 },
    });
    expect(decodeRequest(OpCode.RemoveWatches, frameOf(OpCode.RemoveWatches, `${path} ffffffff`))).toEqual({
      ok: true,
      request: { type: OpCode.RemoveWatches, path: "/a", watcherType: -1 },
    });
    expect(
      decodeRequest(OpCode.Create, frameOf(OpCode.Create, `${path} ffffffff ffffffff 00000063`)),
    ).toEqual({
      ok: true,
      request: { type: OpCode.Create, path: "/a", data: null, acl: null, flags: 99, ttlMs: -1 },
    });
  });

  test("clamps a TTL to safe integers and keeps its sign", () => {
    const head = "00000002 2f61 ffffffff ffffffff 00000005";
    const ttlOf = (hex: string) => {
      const decoded = decodeRequest(OpCode.CreateTtl, frameOf(OpCode.CreateTtl, `${head} ${hex}`));
      return decoded.ok && decoded.request.type === OpCode.CreateTtl ? decoded.request.ttlMs : undefined;
    };
    expect(ttlOf("7fffffffffffffff")).toBe(Number.MAX_SAFE_INTEGER);
    expect(ttlOf("ffffffffffffffff")).toBe(-1);
    expect(ttlOf("8000000000000000")).toBe(Number.MIN_SAFE_INTEGER);
  });

  test("reads a null scheme of auth as empty", () => {
    expect(decodeRequest(OpCode.Auth, frameOf(OpCode.Auth, "00000000 ffffffff ffffffff"))).toEqual({
      ok: true,
      request: { type: OpCode.Auth, scheme: "", auth: null },
    });
  });

  test("reads a null scheme and id of an ACL as empty", () => {
    const hex = "00000002 2f61 00000001 0000001f ffffffff ffffffff 00000000";
    expect(decodeRequest(OpCode.SetAcl, frameOf(OpCode.SetAcl, hex))).toEqual({
      ok: true,
      request: { type: OpCode.SetAcl, path: "/a", acl: [{ perms: 31, scheme: "", id: "" }], version: 0 },
    });
  });
});
