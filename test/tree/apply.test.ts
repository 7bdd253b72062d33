/**
 * Proves the arithmetic of `Stat`, field by field, for every kind of change, and what each change triggers.
 *
 * Source: sections 10 and 13 of the wire reference. Times and zxids differ from write to write, so a field
 * that moved when it shouldn't have shows.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  AssertionFailure,
  CreateMode,
  EventType,
  makeZxid,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  Perms,
  type Stat,
  ZERO_ZXID,
} from "../../src/base/index.ts";
import { bobOnly, bytes, create, Member, remove, setAcl, setData } from "./support.ts";

const zxid = (counter: number) => makeZxid(1, counter);

/** `/p` at zxid 1 and time 1000, `/p/x` with three bytes at zxid 2 and time 2000, and it is 3000 now. */
function family(): Member {
  const member = new Member();
  member.must(create("/p"));
  member.nowMs = 2_000;
  member.must(create("/p/x", { data: bytes("abc") }));
  member.nowMs = 3_000;
  return member;
}

const newborn: Stat = {
  czxid: zxid(2),
  mzxid: zxid(2),
  pzxid: zxid(2),
  ctime: 2_000,
  mtime: 2_000,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: NO_SESSION,
  dataLength: 3,
  numChildren: 0,
};

/** `/p` right after `/p/x` came. */
const mother: Stat = {
  ...newborn,
  czxid: zxid(1),
  mzxid: zxid(1),
  ctime: 1_000,
  mtime: 1_000,
  cversion: 1,
  dataLength: 0,
  numChildren: 1,
};

describe("Stat after", () => {
  test("a create: the child is new, the parent counts it and keeps its own times", () => {
    const member = family();
    expect(member.stat("/p/x")).toEqual(newborn);
    expect(member.stat("/p")).toEqual(mother);
  });

  test("a setData: version, mzxid, mtime and length, and nothing of the parent", () => {
    const member = family();
    member.must(setData("/p/x", bytes("abcde"), 0));
    expect(member.stat("/p/x")).toEqual({
      ...newborn,
      version: 1,
      mzxid: zxid(3),
      mtime: 3_000,
      dataLength: 5,
    });
    expect(member.stat("/p")).toEqual(mother);
  });

  test("a setData that changes no byte: just the same", () => {
    const member = family();
    member.must(setData("/p/x", bytes("abc")));
    expect(member.stat("/p/x")).toEqual({ ...newborn, version: 1, mzxid: zxid(3), mtime: 3_000 });
  });

  test("a setACL: the aversion alone", () => {
    const member = family();
    member.must(setAcl("/p/x", bobOnly, 0));
    expect(member.stat("/p/x")).toEqual({ ...newborn, aversion: 1 });
    expect(member.stat("/p")).toEqual(mother);
  });

  test("a delete: the parent's cversion goes on up, and its pzxid moves", () => {
    const member = family();
    member.must(remove("/p/x"));
    expect(member.stat("/p")).toEqual({ ...mother, cversion: 2, numChildren: 0, pzxid: zxid(3) });
  });

  test("a sweep: like any delete", () => {
    const member = family();
    member.must(create("/p/c", { type: OpCode.CreateContainer }));
    member.must(create("/p/c/y"));
    member.must(remove("/p/c/y"));
    member.must({ type: OpCode.DeleteContainer, path: "/p/c" });
    expect(member.stat("/p")).toEqual({ ...mother, cversion: 3, numChildren: 1, pzxid: zxid(6) });
  });

  test("a session's end: every ephemeral goes in one zxid, each bumping its parent", () => {
    const member = family();
    const session = member.open(5n);
    for (const path of ["/p/e1", "/p/e2"])
      member.must(create(path, { flags: CreateMode.Ephemeral }), { session });
    expect(member.stat("/p/e1").ephemeralOwner).toBe(session);
    member.close(session);
    expect(member.stat("/p")).toEqual({ ...mother, cversion: 5, numChildren: 1, pzxid: zxid(6) });
    expect(member.tree.get("/p/e1")).toBeUndefined();
  });

  test("a refused write: nothing but the zxid", () => {
    const member = family();
    member.write(remove("/p"));
    expect(member.tree.applied).toEqual(zxid(3));
    expect(member.stat("/p")).toEqual(mother);
  });
});

describe("the first tree", () => {
  const nothing: Stat = {
    ...newborn,
    czxid: ZERO_ZXID,
    mzxid: ZERO_ZXID,
    pzxid: ZERO_ZXID,
    ctime: 0,
    mtime: 0,
    dataLength: 0,
  };
  test.each([
    ["/", { cversion: -1, numChildren: 1 }],
    ["/zookeeper", { cversion: -2, numChildren: 2 }],
    ["/zookeeper/quota", {}],
    ["/zookeeper/config", { aversion: -1 }],
  ])("%s has ZooKeeper's oddities", (path, oddities) => {
    const member = new Member();
    expect(member.stat(path)).toEqual({ ...nothing, ...oddities });
    expect(member.tree.get(path)?.data).toEqual(new Uint8Array(0));
    const perms = path === "/zookeeper/config" ? Perms.Read : Perms.All;
    expect(member.tree.get(path)?.acl).toEqual([{ scheme: "world", id: "anyone", perms }]);
  });

  test("the first child of the root is number 0 and brings its cversion to 0", () => {
    const member = new Member();
    expect(member.write(create("/s", { flags: CreateMode.PersistentSequential })).body).toEqual({
      kind: "create",
      path: "/s0000000000",
    });
    expect(member.stat("/").cversion).toBe(0);
  });
});

describe("kinds", () => {
  test("containers and TTL znodes have no owner and may have children, ephemerals too", () => {
    const member = new Member({ ttlNodes: true });
    const session = member.open(1n);
    member.must(create("/c", { type: OpCode.CreateContainer }));
    member.must(create("/t", { type: OpCode.CreateTtl, flags: 5, ttlMs: 1 }));
    for (const parent of ["/c", "/t"]) {
      member.must(create(`${parent}/e`, { flags: CreateMode.Ephemeral }), { session });
      expect(member.stat(parent)).toMatchObject({ ephemeralOwner: NO_SESSION, numChildren: 1 });
    }
  });

  test("null data and empty data differ, through a checkpoint too", () => {
    const member = new Member();
    member.must(create("/null", { data: null }));
    member.must(create("/empty", { data: new Uint8Array(0) }));
    for (let round = 0; round < 2; round += 1) {
      expect(member.tree.get("/null")?.data).toBeNull();
      expect(member.tree.get("/empty")?.data).toEqual(new Uint8Array(0));
      expect([member.stat("/null").dataLength, member.stat("/empty").dataLength]).toEqual([0, 0]);
      member.tree.checkpoint();
      member.tree.reload();
    }
  });
});

describe("triggers of", () => {
  const openAcl = OPEN_ACL;
  test("a create: the child, then its parent, each with its own ACL", () => {
    const member = family();
    member.must(create("/p/y", { acl: [{ scheme: "world", id: "anyone", perms: Perms.Read }] }));
    expect(member.lastApplied?.triggers).toEqual([
      {
        type: EventType.NodeCreated,
        path: "/p/y",
        acl: [{ scheme: "world", id: "anyone", perms: Perms.Read }],
      },
      { type: EventType.NodeChildrenChanged, path: "/p", acl: openAcl },
    ]);
  });

  test("a delete: the child, then its parent", () => {
    const member = family();
    member.must(remove("/p/x"));
    expect(member.lastApplied?.triggers).toEqual([
      { type: EventType.NodeDeleted, path: "/p/x", acl: openAcl },
      { type: EventType.NodeChildrenChanged, path: "/p", acl: openAcl },
    ]);
  });

  test("a setData: the znode; a setACL and a refusal: nothing", () => {
    const member = family();
    member.must(setData("/p"));
    expect(member.lastApplied?.triggers).toEqual([
      { type: EventType.NodeDataChanged, path: "/p", acl: openAcl },
    ]);
    member.must(setAcl("/p", OPEN_ACL));
    expect(member.lastApplied?.triggers).toEqual([]);
    member.write(create("/p"));
    expect(member.lastApplied?.triggers).toEqual([]);
  });
});

describe("apply() stops the member at", () => {
  const txn = { sessionId: NO_SESSION, cxid: 0, timeMs: 0 };
  test("a zxid that is not newer", () => {
    const member = family();
    expect(() => member.tree.apply(zxid(2), { ...txn, op: { kind: "error", code: -101 } })).toThrow(
      AssertionFailure,
    );
  });

  test.each([
    ["a delete of nothing", { kind: "delete", path: "/no" }],
    ["a setData of nothing", { kind: "setData", path: "/no", data: null, version: 1 }],
    ["a delete of a parent", { kind: "delete", path: "/p" }],
    ["a close that lists a stranger's path", { kind: "closeSession", ephemerals: ["/no"] }],
  ] as const)("%s", (_name, op) => {
    expect(() => family().tree.apply(zxid(9), { ...txn, op })).toThrow(AssertionFailure);
  });

  test("a create over a znode, or below nothing", () => {
    const plain = { data: null, acl: OPEN_ACL, lifetime: { kind: "persistent" }, parentCreates: 1 } as const;
    for (const path of ["/p", "/no/x"]) {
      expect(() => family().tree.apply(zxid(9), { ...txn, op: { kind: "create", path, ...plain } })).toThrow(
        AssertionFailure,
      );
    }
  });

  test("another txn than the one prepared", () => {
    const member = family();
    member.prepare(create("/a"));
    expect(() => member.tree.apply(zxid(9), { ...txn, op: { kind: "error", code: -101 } })).toThrow(
      AssertionFailure,
    );
  });
});

test("apply() keeps its own copy of data that is part of a message", () => {
  const message = bytes("headDATAtail");
  const member = new Member();
  member.must(create("/a", { data: message.subarray(4, 8) }));
  message.fill(0);
  expect(member.tree.get("/a")?.data).toEqual(bytes("DATA"));
  expect(member.tree.get("/a")?.data?.buffer.byteLength).toBe(4);
});
