/**
 * Proves who passes an ACL, what may stand in one, and what others get to see, case by case.
 *
 * Source: section 14 of the wire reference.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { type Acl, type AuthId, OPEN_ACL, OpCode, Perms } from "../../src/base/index.ts";
import {
  aclEntriesMax,
  aclUnitsMax,
  fixUpAcl,
  isAllowed,
  publicIdentity,
  redactAcl,
} from "../../src/tree/acl.ts";
import { isInIpBlock, isIpBlock, parseIpAddress } from "../../src/tree/ip-address.ts";
import { bob, create, eve, Member, root, verdict } from "./support.ts";

const ip: AuthId = { scheme: "ip", id: "10.1.2.3" };

function entry(scheme: string, id: string, perms: number = Perms.All): Acl {
  return { scheme, id, perms };
}

describe("fixUpAcl()", () => {
  test.each([
    ["CN=user", true],
    ["CN=alice,OU=dev+L=here,O=Example Inc.,C=DE", true],
    ["1.2.840.113549.1.9.1=#1603614062,CN=a", true],
    [String.raw`CN=Steve\, the first,O="a, b"`, true],
    ["CN=", true],
    ["", false],
    ["alice", false],
    ["CN=a,", false],
    ["CN=a,b", false],
    ["=a", false],
    ["CN=a\\", false],
  ])("takes x509:%s where there is such a scheme: %s", (id, isTaken) => {
    expect(fixUpAcl([entry("x509", id, 1)], [], true) !== undefined).toBe(isTaken);
    expect(fixUpAcl([entry("x509", id, 1)], [], false)).toBeUndefined();
  });

  test.each<[string, string, boolean]>([
    ["world", "anyone", true],
    ["world", "nobody", false],
    ["digest", "u:h", true],
    ["digest", ":h", true],
    ["digest", "u:h:", true],
    ["digest", "u:", false],
    ["digest", "u", false],
    ["digest", "u:h:x", false],
    ["digest", "", false],
    ["digest", ":", false],
    ["ip", "10.0.0.1", true],
    ["ip", "10.0.0.0/8", true],
    ["ip", "10.0.0.0/33", false],
    ["ip", "10.0.0", false],
    ["ip", "2001:db8::/32", true],
    ["super", "", false],
    ["sasl", "user", false],
    ["x509", "CN=user", false],
    ["", "anyone", false],
    ["unheard-of", "x", false],
  ])("takes %s:%s: %s", (scheme, id, isTaken) => {
    expect(fixUpAcl([entry(scheme, id, 1)], [bob], false) !== undefined).toBe(isTaken);
    expect(fixUpAcl([entry("world", "anyone"), entry(scheme, id, 1)], [bob], false) !== undefined).toBe(
      isTaken,
    );
  });

  test("refuses null and empty", () => {
    expect([fixUpAcl(null, [], false), fixUpAcl([], [], false)]).toEqual([undefined, undefined]);
  });

  test("keeps the first of exact duplicates, and any perms", () => {
    const acl = [entry("digest", "a:b", 1), entry("digest", "a:b", -1), entry("digest", "a:b", 1)];
    expect(fixUpAcl(acl, [], false)).toEqual([entry("digest", "a:b", 1), entry("digest", "a:b", -1)]);
  });

  test("expands auth to each identity that proves somebody, in place", () => {
    const acl = [entry("auth", "ignored", 3), OPEN_ACL[0] as Acl];
    const expected = [entry("digest", bob.id, 3), entry("digest", eve.id, 3), OPEN_ACL[0]];
    expect(fixUpAcl(acl, [ip, bob, root, eve], false)).toEqual(expected);
  });

  test("refuses auth from somebody who only has an address", () => {
    expect(fixUpAcl([entry("auth", "")], [ip], false)).toBeUndefined();
    expect(fixUpAcl([entry("auth", "")], [ip, root], false)).toBeUndefined();
  });

  test("refuses a list past its bound of entries, and takes one at it", () => {
    const entries = (length: number) =>
      Array.from({ length }, (_, at) => ({ scheme: "digest", id: `u${at}:h`, perms: 1 }));
    expect(fixUpAcl(entries(aclEntriesMax), [], false)?.length).toBe(aclEntriesMax);
    expect(fixUpAcl(entries(aclEntriesMax + 1), [], false)).toBeUndefined();
  });

  test("refuses an expansion past its bound of text, and takes one at it", () => {
    const identity = (length: number) => ({ scheme: "digest", id: `u:${"h".repeat(length)}` });
    const auth = [{ scheme: "auth", id: "", perms: 1 }];
    const room = aclUnitsMax - "digest".length - "u:".length - 8;
    expect(fixUpAcl(auth, [identity(room)], false)?.length).toBe(1);
    expect(fixUpAcl(auth, [identity(room + 1)], false)).toBeUndefined();
  });
});

describe("isAllowed()", () => {
  test.each<[string, Acl[], number, AuthId[], boolean]>([
    ["anyone, of a world ACL", [entry("world", "anyone", 1)], 1, [], true],
    ["nobody, without the bit", [entry("world", "anyone", 1)], 2, [bob], false],
    ["any of several bits", [entry("world", "anyone", 16)], 17, [], true],
    ["the same digest", [entry("digest", bob.id, 1)], 1, [eve, bob], true],
    ["not another digest", [entry("digest", bob.id, 1)], 1, [eve], false],
    [
      "not the same id of another scheme",
      [entry("digest", "x:y", 1)],
      1,
      [{ scheme: "sasl", id: "x:y" }],
      false,
    ],
    ["a later entry", [entry("digest", eve.id, 31), entry("digest", bob.id, 1)], 1, [bob], true],
    ["an address in a block", [entry("ip", "10.0.0.0/8", 1)], 1, [ip], true],
    ["not an address outside", [entry("ip", "10.1.2.4/31", 1)], 1, [ip], false],
    ["super, of an empty ACL", [], 31, [bob, root], true],
    ["nobody, of an empty ACL", [], 31, [bob], false],
    ["perms beyond 31 give nothing", [entry("world", "anyone", 32)], 31, [], false],
  ])("passes %s", (_name, acl, wanted, identities, isPassing) => {
    expect(isAllowed(acl, wanted, identities)).toBe(isPassing);
  });
});

describe("IP blocks", () => {
  test.each<[string, number[] | undefined]>([
    ["1.2.3.4", [1, 2, 3, 4]],
    ["1.2.3.256", undefined],
    ["1.2.3", undefined],
    ["1.2.3.x", undefined],
    ["", undefined],
    ["::", new Array(16).fill(0)],
    ["::1", [...new Array(15).fill(0), 1]],
    ["1::", [0, 1, ...new Array(14).fill(0)]],
    ["1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ["::ffff:1.2.3.4", undefined],
    ["1:2:3:4:5:6:1.2.3.4", undefined],
    ["1.2.3.4::", undefined],
    ["1:2:3:4:5:6:7", undefined],
    ["1:2:3:4:5:6:7:8:9", undefined],
    ["1::2::3", undefined],
    ["1:2:3:4::5:6:7:8", undefined],
    [":1", undefined],
    ["12345::", undefined],
    ["fe80::1%eth0", undefined],
  ])("reads %s", (text, bytes) => {
    expect(parseIpAddress(text)).toEqual(bytes);
  });

  test.each([
    ["10.1.2.3", "10.1.2.3", true],
    ["10.1.2.3", "10.1.2.4", false],
    ["10.1.2.3", "10.1.2.2/31", true],
    ["10.1.2.3", "10.1.2.2/32", false],
    ["10.1.2.3", "11.0.0.0/7", true],
    ["10.1.2.3", "12.0.0.0/7", false],
    ["10.1.2.3", "0.0.0.0/0", true],
    ["10.1.2.3", "::/0", false],
    ["2001:db8::1", "2001:db8:0:0::/64", true],
    ["2001:db8::1", "2001:db9::/32", false],
    ["2001:0db8::1", "2001:db8::1", true],
    ["nonsense", "0.0.0.0/0", false],
  ])("%s in %s: %s", (address, block, isIn) => {
    expect(isInIpBlock(address, block)).toBe(isIn);
  });

  test.each(["1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/8/8", "1.2.3.4/x", "::/129"])("refuses %s", (text) => {
    expect(isIpBlock(text)).toBe(false);
  });
});

describe("what others see", () => {
  test("redactAcl() hides what follows the user of a digest, and nothing else", () => {
    const acl = [entry("digest", "u:h:i", 1), entry("ip", "::1", 2), entry("world", "anyone", 4)];
    expect(redactAcl(acl)).toEqual([entry("digest", "u:x", 1), acl[1], acl[2]]);
  });

  test.each([
    [bob, "bob"],
    [ip, "10.1.2.3"],
    [root, ""],
    [{ scheme: "sasl", id: "a:b" }, "a:b"],
  ])("publicIdentity() of %o", (identity, id) => {
    expect(publicIdentity(identity)).toEqual({ scheme: identity.scheme, id });
  });

  test.each<[string, AuthId[], string | undefined]>([
    ["an administrator", [bob], bob.id],
    ["super", [root], bob.id],
    ["a reader", [eve], "bob:x"],
    ["a stranger", [ip], undefined],
  ])("getACL shows to %s", (_name, identities, seen) => {
    const member = new Member();
    member.must(
      create("/a", { acl: [entry("digest", bob.id, Perms.Admin), entry("digest", eve.id, Perms.Read)] }),
    );
    const answer = member.read({ type: OpCode.GetAcl, path: "/a" }, { identities });
    expect(answer.body?.kind === "acl" ? answer.body.acl[0]?.id : verdict(answer)).toBe(seen ?? "NoAuth");
  });

  test("getACL returns what was stored, expanded", () => {
    const member = new Member();
    member.must(create("/a", { acl: [entry("auth", "", 31)] }), { identities: [bob] });
    const answer = member.read({ type: OpCode.GetAcl, path: "/a" }, { identities: [bob] });
    expect(answer.body).toMatchObject({
      kind: "acl",
      acl: [entry("digest", bob.id, 31)],
      stat: { aversion: 0 },
    });
  });
});
