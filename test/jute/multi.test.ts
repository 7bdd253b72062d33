/**
 * Multi: which parts make the whole request unreadable, and the layout of failed results.
 *
 * Golden bytes of good multis stand with the other requests and replies.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { JuteWriter } from "../../src/jute/primitives.ts";
import { encodeReply } from "../../src/jute/replies.ts";
import { type DecodedRequest, decodeRequest } from "../../src/jute/requests.ts";
import { bytesOf, hexOf } from "./hostile.ts";

const malformed = { ok: false, code: ZkErrorCode.MarshallingError, drop: false };
const done = "ffffffff 01 ffffffff";
const emptyAcl = "00000000";
const nullAcl = "ffffffff";

function int(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

function part(type: number, body: string): string {
  return `${int(type)} 00 ffffffff ${body}`;
}

function createPart(type: number, flags: number, acl = emptyAcl): string {
  const ttl = type === OpCode.CreateTtl ? "0000000000000001" : "";
  return part(type, `00000002 2f61 ffffffff ${acl} ${int(flags)} ${ttl}`);
}

function decodeParts(type: typeof OpCode.Multi | typeof OpCode.MultiRead, parts: string): DecodedRequest {
  return decodeRequest(type, bytesOf(`00000007 ${int(type)} ${parts}`));
}

function opsOf(parts: string) {
  const decoded = decodeParts(OpCode.Multi, `${parts} ${done}`);
  return decoded.ok && decoded.request.type === OpCode.Multi ? decoded.request.ops : undefined;
}

describe("multi", () => {
  test.each([OpCode.Create, OpCode.Create2, OpCode.CreateContainer])(
    "a create of type %i takes flags 0 to 4, where 4 makes a container",
    (type) => {
      for (const flags of [0, 1, 2, 3])
        expect(opsOf(createPart(type, flags))).toMatchObject([{ type, flags }]);
      expect(opsOf(createPart(type, 4))).toMatchObject([{ type: OpCode.CreateContainer, flags: 4 }]);
      for (const flags of [-1, 5, 6, 7]) expect(opsOf(createPart(type, flags))).toBe(undefined);
    },
  );

  test.each([OpCode.Create, OpCode.Create2, OpCode.CreateContainer])(
    "a create of type %i needs an ACL, which may be empty",
    (type) => {
      expect(opsOf(createPart(type, 0, emptyAcl))).toMatchObject([{ acl: [] }]);
      expect(opsOf(createPart(type, 0, nullAcl))).toBe(undefined);
    },
  );

  test("createTTL takes any flags and a null ACL: the tree answers for that part", () => {
    for (const flags of [-1, 0, 4, 5, 6, 7]) {
      expect(opsOf(createPart(OpCode.CreateTtl, flags, nullAcl))).toMatchObject([
        { type: OpCode.CreateTtl, flags, acl: null, ttlMs: 1 },
      ]);
    }
  });

  test.each([
    ["getData", part(OpCode.GetData, "00000002 2f61 00")],
    ["exists", part(OpCode.Exists, "00000002 2f61 00")],
    ["setACL", part(OpCode.SetAcl, "00000002 2f61 00000000 00000000")],
    ["multi", part(OpCode.Multi, done)],
    ["a type nobody has", part(999, "")],
    ["a null path", part(OpCode.Delete, "ffffffff ffffffff")],
    ["a lock check of a negative token", part(OpCode.CheckLock, "00000002 2f61 8000000000000000")],
    ["a lock check of half a token", part(OpCode.CheckLock, "00000002 2f61 00000001")],
  ])("%s in it makes it unreadable, also behind a good part", (_, bad) => {
    const good = part(OpCode.Delete, "00000002 2f61 ffffffff");
    expect(decodeParts(OpCode.Multi, `${good} ${done}`).ok).toBe(true);
    expect(decodeParts(OpCode.Multi, `${good} ${bad} ${done}`)).toEqual(malformed);
  });

  test("without its terminator it is unreadable", () => {
    expect(decodeParts(OpCode.Multi, "")).toEqual(malformed);
    expect(decodeParts(OpCode.Multi, part(OpCode.Delete, "00000002 2f61 ffffffff"))).toEqual(malformed);
  });

  test("any type and err may stand in the terminator", () => {
    expect(decodeParts(OpCode.Multi, "00000001 01 00000007").ok).toBe(true);
  });
});

describe("multiRead", () => {
  test.each([
    ["exists", part(OpCode.Exists, "00000002 2f61 00")],
    ["getChildren2", part(OpCode.GetChildren2, "00000002 2f61 00")],
    ["delete", part(OpCode.Delete, "00000002 2f61 ffffffff")],
    ["a null path", part(OpCode.GetData, "ffffffff 00")],
  ])("%s in it makes it unreadable", (_, bad) => {
    expect(decodeParts(OpCode.MultiRead, `${bad} ${done}`)).toEqual(malformed);
  });
});

describe("results", () => {
  test("golden: a failed multi of three, second part NoNode (spec section 28)", () => {
    const writer = new JuteWriter();
    encodeReply(writer, {
      xid: 3,
      zxid: 0x100000002n,
      err: 0,
      body: {
        kind: "multi",
        results: [
          { kind: "error", code: ZkErrorCode.Ok },
          { kind: "error", code: ZkErrorCode.NoNode },
          { kind: "error", code: ZkErrorCode.RuntimeInconsistency },
        ],
      },
    });
    expect(hexOf(writer.take())).toBe(
      hexOf(
        bytesOf(
          "00000040 00000003 0000000100000002 00000000" +
            "ffffffff 00 00000000 00000000 ffffffff 00 ffffff9b ffffff9b ffffffff 00 fffffffe fffffffe" +
            "ffffffff 01 ffffffff",
        ),
      ),
    );
  });
});
