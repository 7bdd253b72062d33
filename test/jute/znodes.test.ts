/**
 * Znodes and sessions: nothing is lost in a row, and the golden rows pin the format.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeSessionId, OPEN_ACL, type Session, type Znode } from "../../src/base/index.ts";
import { decodeSession, decodeZnode, encodeSession, encodeZnode } from "../../src/jute/znodes.ts";
import * as arb from "./arbitraries.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "./hostile.ts";

const znode: Znode = {
  data: Uint8Array.of(0x78),
  acl: OPEN_ACL,
  lifetime: { kind: "container" },
  czxid: { epoch: 1, counter: 2 },
  mzxid: { epoch: 1, counter: 3 },
  pzxid: { epoch: 1, counter: 0xfffffffe },
  ctime: 1_700_000_000_123,
  mtime: 1_700_000_000_456,
  version: 1,
  aversion: -1,
  creates: 5,
  numChildren: 6,
};

const znodeRow = bytesOf(
  "01 0000000100000002 0000000100000003 00000001fffffffe 0000018bcfe5687b 0000018bcfe569c8" +
    "00000001 ffffffff 00000005 00000006 00 02 02 78",
);

const session: Session = { id: makeSessionId(0xff00a3c2f5b00001n), timeoutMs: 30_000, ownership: 3 };
const sessionRow = bytesOf("02 ff00a3c2f5b00001 00007530 0000000000000003");
/** As version 1 wrote it. */
const formerRow = bytesOf("01 ff00a3c2f5b00001 00007530");

describe("znode", () => {
  test("golden row", () => {
    expect(hexOf(encodeZnode(znode))).toBe(hexOf(znodeRow));
    expect(decodeZnode(znodeRow)).toEqual(znode);
  });

  test("decodeZnode() reads back any znode", () => {
    fc.assert(
      fc.property(arb.znode, (znode) => {
        expect(decodeZnode(encodeZnode(znode))).toEqual(znode);
      }),
      { numRuns: 500 },
    );
  });

  test("decodeZnode() refuses cut, longer and other-version rows, and never throws", () => {
    for (const cut of truncationsOf(znodeRow)) expect(decodeZnode(cut)).toBe(undefined);
    expect(decodeZnode(Uint8Array.of(...znodeRow, 0))).toBe(undefined);
    expect(decodeZnode(Uint8Array.of(2, ...znodeRow.subarray(1)))).toBe(undefined);
    feedDamaged(znodeRow, decodeZnode);
  });
});

describe("session", () => {
  test("golden row", () => {
    expect(hexOf(encodeSession(session))).toBe(hexOf(sessionRow));
    expect(decodeSession(sessionRow)).toEqual(session);
  });

  test("decodeSession() reads a row of the version before, which knew one connection a session", () => {
    expect(decodeSession(formerRow)).toEqual({ ...session, ownership: 1 });
    for (const cut of truncationsOf(formerRow)) expect(decodeSession(cut)).toBe(undefined);
    expect(decodeSession(Uint8Array.of(2, ...formerRow.subarray(1)))).toBe(undefined);
  });

  test("decodeSession() reads back any session", () => {
    fc.assert(
      fc.property(arb.session, (session) => {
        expect(decodeSession(encodeSession(session))).toEqual(session);
      }),
    );
  });

  test("decodeSession() refuses cut, longer and other-version rows, and never throws", () => {
    for (const cut of truncationsOf(sessionRow)) expect(decodeSession(cut)).toBe(undefined);
    expect(decodeSession(Uint8Array.of(...sessionRow, 0))).toBe(undefined);
    expect(decodeSession(Uint8Array.of(3, ...sessionRow.subarray(1)))).toBe(undefined);
    expect(decodeSession(Uint8Array.of(1, ...sessionRow.subarray(1)))).toBe(undefined);
    feedDamaged(sessionRow, decodeSession);
  });
});
