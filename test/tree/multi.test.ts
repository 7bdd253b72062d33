/**
 * Proves that a multi is all or nothing, that its parts see each other, and that failures are told part by
 * part inside a success.
 *
 * Source: section 12 of the wire reference.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { CreateMode, type MultiOp, makeSessionId, OpCode, ZkErrorCode } from "../../src/base/index.ts";
import {
  bob,
  bobOnly,
  bytes,
  check,
  create,
  dump,
  Member,
  multi,
  partCodes,
  remove,
  setData,
  verdict,
} from "./support.ts";

describe("multi: parts see what earlier parts did", () => {
  test.each<[string, MultiOp[], string[]]>([
    ["create parent, then child", [create("/a"), create("/a/b")], ["created", "created"]],
    ["create, then set version 0", [create("/a"), setData("/a", null, 0)], ["created", "dataSet"]],
    ["set, then check the new version", [setData("/x", null, 0), check("/x", 1)], ["dataSet", "checked"]],
    ["delete, then recreate", [remove("/x"), create("/x")], ["deleted", "created"]],
    ["create, then delete", [create("/a"), remove("/a", 0)], ["created", "deleted"]],
    ["empty the parent, then delete it", [remove("/p/c"), remove("/p")], ["deleted", "deleted"]],
    ["an ACL of an earlier part counts", [create("/a", { acl: bobOnly }), setData("/a")], ["Ok", "NoAuth"]],
    ["a deleted parent is missing", [remove("/x"), create("/x/y")], ["Ok", "NoNode"]],
    ["a created child is in the way", [create("/x/y"), remove("/x")], ["Ok", "NotEmpty"]],
    ["a bumped version is another", [setData("/x"), check("/x", 0)], ["Ok", "BadVersion"]],
    ["nothing at all", [], []],
  ])("%s", (_name, ops, codes) => {
    const member = new Member();
    for (const path of ["/x", "/p", "/p/c"]) member.must(create(path));
    const outcome = member.write(multi(...ops));
    expect(verdict(outcome)).toBe("Ok");
    expect(partCodes(outcome)).toEqual(codes);
  });

  test("sequential names count up, and share the counter with plain creates", () => {
    const sequential = create("/s-", { flags: CreateMode.PersistentSequential });
    const outcome = new Member().write(multi(sequential, create("/a"), sequential));
    expect(outcome.body).toEqual({
      kind: "multi",
      results: [
        { kind: "created", path: "/s-0000000000" },
        { kind: "created", path: "/a" },
        { kind: "created", path: "/s-0000000002" },
      ],
    });
  });

  test("all parts share one zxid and one time, and a stat is as of its part", () => {
    const member = new Member();
    const outcome = member.write(
      multi(create("/a", { type: OpCode.Create2 }), setData("/a"), create("/a/b")),
    );
    const { applied } = member.tree;
    expect(outcome.body?.kind === "multi" && outcome.body.results).toMatchObject([
      {
        kind: "createdWithStat",
        stat: { czxid: applied, mzxid: applied, version: 0, numChildren: 0, ctime: 1_000 },
      },
      { kind: "dataSet", stat: { czxid: applied, mzxid: applied, version: 1, numChildren: 0 } },
      { kind: "created", path: "/a/b" },
    ]);
    expect(member.stat("/a")).toMatchObject({ version: 1, numChildren: 1, cversion: 1 });
  });
});

describe("multi: a failing part", () => {
  test("fails all, takes a zxid, changes nothing, and triggers nothing", () => {
    const member = new Member();
    const before = dump(member.tree) as { applied: unknown; znodes: unknown };
    const outcome = member.write(multi(create("/a"), remove("/missing"), create("/b")));
    expect(outcome.err).toBe(ZkErrorCode.Ok);
    expect(partCodes(outcome)).toEqual(["Ok", "NoNode", "RuntimeInconsistency"]);
    const after = dump(member.tree) as { applied: unknown; znodes: unknown };
    expect(after.znodes).toEqual(before.znodes);
    expect(after.applied).toEqual({ epoch: 1, counter: 1 });
    expect(member.lastApplied?.triggers).toEqual([]);
  });

  test("leaves no trace for requests in flight behind it", () => {
    const member = new Member();
    const session = member.open(1n);
    member.must(create("/q"));
    const sequential = create("/q/", { flags: CreateMode.EphemeralSequential });
    const failed = member.prepare(multi(sequential, setData("/q"), remove("/missing")), { session });
    const next = member.prepare(sequential, { session });
    const set = member.prepare(setData("/q", null, 0));
    const close = member.prepare({ type: OpCode.CloseSession }, { session });
    expect(failed.op.kind).toBe("failedMulti");
    expect(next.op).toMatchObject({ path: "/q/0000000000", parentCreates: 1 });
    expect(set.op).toMatchObject({ kind: "setData", version: 1 });
    expect(close.op).toEqual({ kind: "closeSession", ephemerals: ["/q/0000000000"] });
  });

  test("keeps what was in flight before it", () => {
    const member = new Member();
    member.prepare(create("/a"));
    member.prepare(multi(remove("/a"), remove("/a")));
    expect(member.prepare(create("/a")).op).toEqual({ kind: "error", code: ZkErrorCode.NodeExists });
  });

  test("is the first one of an expired session", () => {
    const who = { session: makeSessionId(9n) };
    const outcome = new Member().write(multi(create("/a"), create("/b")), who);
    expect(partCodes(outcome)).toEqual(["SessionExpired", "RuntimeInconsistency"]);
  });
});

describe("multi: results are tagged by what was created", () => {
  const ttl = { type: OpCode.CreateTtl, ttlMs: 5 };
  test.each([
    [create("/a"), "created", "persistent"],
    [create("/a", { type: OpCode.Create2 }), "createdWithStat", "persistent"],
    [create("/a", { type: OpCode.CreateContainer }), "createdWithStat", "container"],
    [create("/a", { flags: CreateMode.Container }), "createdWithStat", "container"],
    [create("/a", { type: OpCode.Create2, flags: CreateMode.Container }), "createdWithStat", "container"],
    [create("/a", { ...ttl, flags: CreateMode.PersistentWithTtl }), "createdWithStat", "ttl"],
    [create("/a", { ...ttl, flags: CreateMode.Persistent }), "created", "persistent"],
    [create("/a", { ...ttl, flags: CreateMode.Container }), "createdWithStat", "container"],
  ])("%o is %s", (part, result, kind) => {
    const member = new Member({ ttlNodes: true });
    expect(partCodes(member.write(multi(part)))).toEqual([result]);
    expect(member.tree.get("/a")?.lifetime.kind).toBe(kind);
  });
});

describe("multi: what breaks all of it, and what only its part", () => {
  test.each([
    [create("/b", { flags: 7 }), "MarshallingError"],
    [create("/b", { flags: CreateMode.PersistentWithTtl }), "MarshallingError"],
    [create("/b", { type: OpCode.CreateContainer, flags: -1 }), "MarshallingError"],
    [create("/b", { type: OpCode.Create2, acl: null }), "MarshallingError"],
  ])("%o is %s as a whole", (part, code) => {
    const outcome = new Member().write(multi(create("/a"), part));
    expect([verdict(outcome), outcome.body]).toEqual([code, undefined]);
  });

  test.each([
    [create("/b", { type: OpCode.CreateTtl, flags: 7 }), "BadArguments"],
    [create("/b", { type: OpCode.CreateTtl, flags: 5, ttlMs: 5 }), "Unimplemented"],
    [create("/b", { acl: [] }), "InvalidACL"],
    [create("/b", { flags: CreateMode.Ephemeral }), "BadArguments"],
  ])("%o fails with %s in its place", (part, code) => {
    expect(partCodes(new Member().write(multi(create("/a"), part)))).toEqual(["Ok", code]);
  });
});

describe("multi: ACLs", () => {
  test("as they were sent are no burden, however many parts there are", () => {
    const parts = Array.from({ length: 20_000 }, (_, at) => create(`/${at}`));
    expect(new Member().prepare(multi(...parts)).op.kind).toBe("multi");
  });

  test("that expand past the bound fail at the part that crosses it, and pass at it", () => {
    const identities = [{ scheme: "digest", id: "u:".padEnd(2 ** 15 - 10, "h") }];
    const auth = create("/s", { flags: 2, acl: [{ scheme: "auth", id: "", perms: 31 }] });
    const bound = Math.floor((256 * 1024) / (2 ** 15 - 10 + "digest".length - "auth".length));
    const kinds = [bound, bound + 1].map((length) => {
      const { op } = new Member().prepare(multi(...new Array<typeof auth>(length).fill(auth)), {
        identities,
      });
      return op.kind === "failedMulti" ? op.codes.at(-1) : op.kind;
    });
    expect(kinds).toEqual(["multi", ZkErrorCode.InvalidACL]);
  });
});

test("multi: watches fire in the order of the parts", () => {
  const member = new Member();
  member.must(create("/x"));
  member.tree.watches.addPersistent(1, "/", 1);
  member.tree.watches.addChild(1, "/");
  member.must(multi(create("/a", { data: bytes("1") }), setData("/x"), remove("/a")), { identities: [bob] });
  expect(member.told()).toEqual(["1 1 /a", "1 4 /", "1 3 /x", "1 2 /a"]);
});
