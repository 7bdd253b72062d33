/**
 * Txns: nothing is lost in a log row, and nothing but a whole row of a known version is read back.
 *
 * The golden rows pin the format: a change to one of them needs a new version.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  makeServerId,
  makeSessionId,
  NO_SESSION,
  OPEN_ACL,
  type Txn,
  type TxnOp,
  ZkErrorCode,
} from "../../src/base/index.ts";
import { decodeTxn, encodeTxn, membershipOf } from "../../src/jute/txns.ts";
import * as arb from "./arbitraries.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "./hostile.ts";

const owner = makeSessionId(0xff00a3c2f5b00001n);
const head = "01 ff00a3c2f5b00001 00000007 0000018bcfe5687b";

const golden: readonly (readonly [string, string, TxnOp])[] = [
  [
    "create, ephemeral, open ACL",
    "01 02 2f61 02 78 00 01 ff00a3c2f5b00001 0000000d",
    {
      kind: "create",
      path: "/a",
      data: Uint8Array.of(0x78),
      acl: OPEN_ACL,
      lifetime: { kind: "ephemeral", owner },
      parentCreates: 13,
    },
  ],
  [
    "create, TTL, null data, ACL of its own",
    "01 03 2fc3a9 00 02 00000005 02 6970 03 3a3a31 03 000000000000ea60 ffffffff",
    {
      kind: "create",
      path: "/é",
      data: null,
      acl: [{ perms: 5, scheme: "ip", id: "::1" }],
      lifetime: { kind: "ttl", ttlMs: 60_000 },
      parentCreates: -1,
    },
  ],
  ["delete", "02 02 2f61", { kind: "delete", path: "/a" }],
  [
    "setData, empty",
    "03 02 2f61 01 ffffffff",
    { kind: "setData", path: "/a", data: new Uint8Array(0), version: -1 },
  ],
  ["setAcl, empty", "04 02 2f61 01 00000002", { kind: "setAcl", path: "/a", acl: [], aversion: 2 }],
  ["check", "05 02 2f61", { kind: "check", path: "/a" }],
  [
    "multi",
    "06 02 05 02 2f61 02 02 2f62",
    {
      kind: "multi",
      ops: [
        { kind: "check", path: "/a" },
        { kind: "delete", path: "/b" },
      ],
    },
  ],
  ["createSession", "07 00007530", { kind: "createSession", timeoutMs: 30_000 }],
  ["renewSession", "0b 00007530 0000000000000002", { kind: "renewSession", timeoutMs: 30_000, ownership: 2 }],
  ["closeSession", "08 02 02 2f61 02 2f62", { kind: "closeSession", ephemerals: ["/a", "/b"] }],
  [
    "reconfig",
    "0c 02 780a 02 01 00 00 04 01 02 6162 01 03",
    {
      kind: "reconfig",
      servers: "x\n",
      members: [
        { id: makeServerId(1), role: "voter" },
        { id: makeServerId(4), role: "observer", storageId: "ab" },
      ],
      retired: [makeServerId(3)],
    },
  ],
  [
    "keyed",
    `0d 40 ${"6161".repeat(32)} 40 ${"6662".repeat(32)} 03 02 2f61 01 00000001`,
    {
      ...{ kind: "keyed", key: "aa".repeat(32), fingerprint: "fb".repeat(32) },
      op: { kind: "setData", path: "/a", data: new Uint8Array(0), version: 1 },
    },
  ],
  ["error", "09 ffffff9b", { kind: "error", code: ZkErrorCode.NoNode }],
  [
    "failedMulti",
    "0a 02 00000000 ffffff9b",
    { kind: "failedMulti", codes: [ZkErrorCode.Ok, ZkErrorCode.NoNode] },
  ],
];

function txnOf(op: TxnOp): Txn {
  return { sessionId: owner, cxid: 7, timeMs: 1_700_000_000_123, op };
}

describe("encodeTxn()", () => {
  test.each(golden)("golden: %s", (_, hex, op) => {
    expect(hexOf(encodeTxn(txnOf(op)))).toBe(hexOf(bytesOf(`${head} ${hex}`)));
  });

  test("spends one byte on the open ACL, also on a copy of it", () => {
    const acl = OPEN_ACL.map((entry) => ({ ...entry }));
    const shared = encodeTxn(txnOf({ kind: "setAcl", path: "/a", acl: OPEN_ACL, aversion: 1 }));
    expect(encodeTxn(txnOf({ kind: "setAcl", path: "/a", acl, aversion: 1 }))).toEqual(shared);
    expect(shared).toHaveLength(bytesOf(head).length + 1 + 3 + 1 + 4);
  });

  test("returns bytes that the next call leaves alone", () => {
    const first = encodeTxn(txnOf({ kind: "delete", path: "/first" }));
    const copy = first.slice();
    encodeTxn(txnOf({ kind: "delete", path: "/other" }));
    expect(first).toEqual(copy);
  });
});

describe("membershipOf()", () => {
  test("tells what a reconfig makes of the members, and nothing of any other txn", () => {
    for (const [, , op] of golden) {
      const payload = encodeTxn(txnOf(op));
      const { members, retired } = op.kind === "reconfig" ? op : {};
      expect(membershipOf(payload)).toEqual(op.kind === "reconfig" ? { members, retired } : undefined);
      for (const cut of truncationsOf(payload)) expect(membershipOf(cut)).toBe(undefined);
      feedDamaged(payload, membershipOf);
    }
  });
});

describe("decodeTxn()", () => {
  test.each(golden)("golden: %s", (_, hex, op) => {
    expect(decodeTxn(bytesOf(`${head} ${hex}`))).toEqual(txnOf(op));
  });

  test("reads back any txn", () => {
    fc.assert(
      fc.property(arb.txn, (txn) => {
        expect(decodeTxn(encodeTxn(txn))).toEqual(txn);
      }),
      { numRuns: 1000 },
    );
  });

  test("reads back more data than the shared writer began with, and session 0", () => {
    const data = new Uint8Array(2 ** 14).fill(7);
    const txn: Txn = { ...txnOf({ kind: "setData", path: "/a", data, version: 1 }), sessionId: NO_SESSION };
    expect(decodeTxn(encodeTxn(txn))).toEqual(txn);
  });

  test.each(golden)("refuses cut, longer and other-version rows, and never throws: %s", (_, hex) => {
    const row = bytesOf(`${head} ${hex}`);
    for (const cut of truncationsOf(row)) expect(decodeTxn(cut)).toBe(undefined);
    expect(decodeTxn(Uint8Array.of(...row, 0))).toBe(undefined);
    for (const version of [0, 2, 255])
      expect(decodeTxn(Uint8Array.of(version, ...row.subarray(1)))).toBe(undefined);
    feedDamaged(row, decodeTxn);
  });

  test.each([
    ["a kind nobody has", "0e"],
    ["a key that is no digest", `0d 40 ${"6167".repeat(32)} 40 ${"6161".repeat(32)} 05 02 2f61`],
    ["a keyed one under a key", `0d ${`40 ${"6161".repeat(32)} `.repeat(2)} 0d`],
    ["a multi in a multi", "06 01 06 00"],
    ["a session in a multi", "06 01 07 00007530"],
    ["a code nobody has", "09 ffffff00"],
    ["a lifetime nobody has", "01 02 2f61 00 00 04 00000001"],
    ["a membership nobody votes in", "0c 02 780a 01 01 01 00 00"],
    ["a membership with a server twice", "0c 02 780a 02 01 00 00 01 00 00 00"],
    ["a membership with server 255", "0c 02 780a 01 ff 00 00 00"],
    ["a list longer than the row", "08 ffffffff0f"],
    ["an ACL longer than the row", "04 02 2f61 ffffffff0f 00000001"],
  ])("refuses %s", (_, hex) => {
    expect(decodeTxn(bytesOf(`${head} ${hex}`))).toBe(undefined);
  });

  test("copies data, so that a znode does not pin its batch", () => {
    const row = encodeTxn(txnOf({ kind: "setData", path: "/a", data: Uint8Array.of(1), version: 1 }));
    const txn = decodeTxn(row);
    row.fill(0);
    expect(txn?.op).toMatchObject({ data: Uint8Array.of(1) });
  });
});
