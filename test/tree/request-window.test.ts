/**
 * Proves that a keyed request is decided once: asked again it changes nothing and is told the same, on every
 * member, until the window has passed; and that nobody but the tree writes its records.
 */

import { describe, expect, test } from "vitest";
import {
  CreateMode,
  type KeyedRequest,
  keyedPartsMax,
  keyedPathUnitsMax,
  makeZxid,
  OPEN_ACL,
  OpCode,
  type Outcome,
  requestWindowMax,
  requestWindowMs,
  ZkErrorCode,
  type Znode,
} from "../../src/base/index.ts";
import { MemoryRows, respond, Tree } from "../../src/tree/index.ts";
import { bob, bobOnly, Member, options, root } from "./support.ts";

type Inner = KeyedRequest["request"];

const hex = (text: string) => Buffer.from(text).toString("hex").padEnd(64, "0").slice(0, 64);

function keyed(request: Inner, key = "k", fingerprint = JSON.stringify([request.type, "f"])): KeyedRequest {
  return { type: OpCode.Keyed, key: hex(key), fingerprint: hex(fingerprint), request };
}

const set = (path: string, text: string, version = -1): Inner => ({
  type: OpCode.SetData,
  path,
  data: new TextEncoder().encode(text),
  version,
});
const create = (path: string, flags: number = CreateMode.Persistent): Inner => ({
  type: OpCode.Create2,
  path,
  data: new Uint8Array(0),
  acl: OPEN_ACL,
  flags,
  ttlMs: -1,
});
const remove = (path: string): Inner => ({ type: OpCode.Delete, path, version: -1 });

/** As the door does: what is told is what is remembered. */
function ask(member: Member, request: KeyedRequest): { outcome: Outcome; counter: number } | string {
  member.write(request);
  const recalled = member.tree.recall(request);
  if (recalled.kind !== "same") return recalled.kind;
  return { outcome: respond(request, recalled.outcome), counter: recalled.zxid.counter };
}

const recordPath = (key = "k") => `/zookeeper/requests/${hex(key)}`;

describe("tree: keyed requests", () => {
  const requests: [string, Inner][] = [
    ["a set", set("/a", "x")],
    ["a create", create("/b")],
    ["a sequential create", create("/a/s-", CreateMode.PersistentSequential)],
    ["a delete", remove("/gone")],
    ["a change of the ACL", { type: OpCode.SetAcl, path: "/a", acl: bobOnly, version: 0 }],
    ["a multi", { type: OpCode.Multi, ops: [set("/a", "y"), create("/a/m-", 2), remove("/gone")] as never }],
    ["a refused set", set("/a", "x", 7)],
    ["a refused multi", { type: OpCode.Multi, ops: [set("/a", "y"), remove("/none")] as never }],
  ];

  test.each(requests)("tree: keyed: %s is done once, and answered alike", (_, request) => {
    const plain = new Member();
    const member = new Member();
    for (const each of [plain, member]) for (const path of ["/a", "/gone"]) each.must(create(path));
    const expected = plain.write(request);
    const first = ask(member, keyed(request));
    expect(first).toEqual({ outcome: expected, counter: 3 });
    // What others do meanwhile changes nothing about it.
    for (const each of [plain, member]) each.must({ ...set("/a", "later") }, { identities: [bob] });
    expect(ask(member, keyed(request))).toEqual(first);
    expect(ask(member, keyed(request))).toEqual(first);
    for (const path of ["/a", "/b", "/gone", "/a/s-0000000000", "/a/s-0000000001", "/a/m-0000000001"])
      expect(member.tree.get(path)).toEqual(plain.tree.get(path));
    expect(member.tree.children("/a", undefined, 10)).toEqual(plain.tree.children("/a", undefined, 10));
  });

  test("tree: keyed: asked again while the first is outstanding, it is decided once", () => {
    const member = new Member();
    const request = keyed(create("/s-", CreateMode.PersistentSequential));
    const txns = [request, request, keyed(create("/t"), "k", "other"), keyed(create("/u"), "other")].map(
      (each) => member.prepare(each),
    );
    expect(txns.map(({ op }) => op.kind)).toEqual(["keyed", "error", "error", "keyed"]);
    for (const txn of txns) member.apply(txn);
    expect(member.tree.outstandingCount).toBe(0);
    expect(member.tree.children("/", undefined, 10)).toEqual(["s-0000000000", "u", "zookeeper"]);
  });

  test("tree: keyed: another request under a known key is told so, and changes nothing", () => {
    const member = new Member();
    ask(member, keyed(create("/a")));
    expect(ask(member, keyed(create("/b"), "k", "other"))).toBe("other");
    expect(member.tree.get("/b")).toBeUndefined();
  });

  test("tree: keyed: forgotten after the window, not at its end", () => {
    const member = new Member();
    const request = keyed(create("/s-", CreateMode.PersistentSequential));
    const first = ask(member, request);
    member.nowMs += requestWindowMs;
    expect(member.tree.sweepDue(member.nowMs, 10)).toEqual([]);
    expect(ask(member, request)).toEqual(first);
    member.nowMs += 1;
    expect(member.tree.sweepDue(member.nowMs, 10)).toEqual([recordPath()]);
    // Not swept yet, and forgotten all the same.
    expect(ask(member, request)).toMatchObject({ outcome: { body: { path: "/s-0000000001" } }, counter: 3 });
    expect(member.tree.get("/zookeeper/requests")?.numChildren).toBe(1);
    member.nowMs += requestWindowMs + 1;
    member.must({ type: OpCode.DeleteContainer, path: recordPath() });
    expect(member.tree.recall(request)).toEqual({ kind: "nothing" });
  });

  test("tree: keyed: a member that replays, or starts from the rows, remembers the same", () => {
    const member = new Member();
    const request = keyed(create("/s-", CreateMode.PersistentSequential));
    ask(member, request);
    const replayed = new Tree(new MemoryRows(), options);
    for (const { zxid, txn } of member.log) replayed.apply(zxid, txn);
    expect(replayed.recall(request)).toEqual(member.tree.recall(request));
    member.tree.checkpoint();
    const restarted = new Tree(member.rows, options);
    expect(restarted.recall(request)).toEqual(member.tree.recall(request));
    for (const path of ["/zookeeper", "/zookeeper/requests", recordPath()])
      expect(replayed.get(path)).toEqual(restarted.get(path));
  });

  test("tree: keyed: a key costs one row at a checkpoint, and one when it is forgotten", () => {
    const member = new Member();
    member.must(create("/a"));
    ask(member, keyed(set("/a", "0"), "0"));
    member.tree.checkpoint();
    const writes = Array.from({ length: 10 }, (_, at) => keyed(set("/a", `${at}`), `k${at}`));
    for (const write of writes) ask(member, write);
    // Ten records, the znode that was set, and their common parent.
    expect(member.tree.dirtyCount).toBe(12);
    member.tree.checkpoint();
    // Asked again, nothing is written.
    for (const write of writes) ask(member, write);
    expect(member.tree.dirtyCount).toBe(0);
    member.nowMs += requestWindowMs + 1;
    for (const path of member.tree.sweepDue(member.nowMs, 100)) {
      member.must({ type: OpCode.DeleteContainer, path });
    }
    expect(member.tree.dirtyCount).toBe(12);
  });

  test("tree: keyed: no watch hears of a record", () => {
    const member = new Member();
    ask(member, keyed(create("/a")));
    expect(member.lastApplied?.triggers.map(({ path }) => path)).toEqual(["/a", "/"]);
  });
});

describe("tree: keyed requests: bounds", () => {
  const multi = (length: number): Inner => ({
    type: OpCode.Multi,
    ops: Array.from({ length }, () => ({ type: OpCode.Check, path: "/", version: -1 })),
  });

  test("tree: keyed: parts at and past the bound", () => {
    const member = new Member();
    expect(ask(member, keyed(multi(keyedPartsMax)))).toMatchObject({ outcome: { err: ZkErrorCode.Ok } });
    expect(member.write(keyed(multi(keyedPartsMax + 1), "l"))).toEqual({ err: ZkErrorCode.BadArguments });
    expect(member.tree.get(recordPath("l"))).toBeUndefined();
  });

  test("tree: keyed: characters of paths at and past the bound", () => {
    const member = new Member();
    const path = `/${"p".repeat(keyedPathUnitsMax - 1)}`;
    expect(ask(member, keyed(create(path)))).toMatchObject({ outcome: { err: ZkErrorCode.Ok } });
    expect(member.write(keyed(create(`${path}p`), "l"))).toEqual({ err: ZkErrorCode.BadArguments });
  });

  test("tree: keyed: as many as are remembered, and one more", () => {
    const rows = new MemoryRows();
    const seed = new Member({}, rows);
    seed.must(keyed(create("/a"), "first"));
    seed.tree.checkpoint();
    const requests = rows.readZnode("/zookeeper/requests");
    const crowded = { ...requests, numChildren: requestWindowMax - 1 } as Znode;
    const changes = new Map([["/zookeeper/requests", crowded]]);
    rows.write({ applied: makeZxid(1, 1), znodes: changes, sessions: new Map() });
    const member = new Member({}, rows);
    const two = [keyed(create("/b"), "second"), keyed(create("/c"), "third")].map((each) =>
      member.prepare(each),
    );
    expect(two.map(({ op }) => op)).toMatchObject([
      { kind: "keyed" },
      { kind: "error", code: ZkErrorCode.ThrottledOp },
    ]);
    for (const txn of two) member.apply(txn);
    // What is known is told, however crowded it is.
    expect(ask(member, keyed(create("/a"), "first"))).toMatchObject({ counter: 1 });
    expect(member.tree.get("/c")).toBeUndefined();
  });
});

describe("tree: keyed requests: whose the records are", () => {
  const all = { identities: [root] };

  test("tree: keyed: nobody writes below /zookeeper/requests, not even the super user", () => {
    const member = new Member();
    expect(member.write(create("/zookeeper/requests"), all)).toEqual({ err: ZkErrorCode.NoAuth });
    ask(member, keyed(create("/a")));
    const acl: Inner = { type: OpCode.SetAcl, path: recordPath(), acl: OPEN_ACL, version: -1 };
    const attempts = [
      create("/zookeeper/requests/x"),
      set(recordPath(), "x"),
      acl,
      remove("/zookeeper/requests"),
    ];
    for (const attempt of attempts) expect(member.write(attempt, all)).toEqual({ err: ZkErrorCode.NoAuth });
  });

  test("tree: keyed: only the super user reads a record, lists them, or deletes one", () => {
    const member = new Member();
    ask(member, keyed(create("/a")));
    const data = { type: OpCode.GetData, path: recordPath(), watch: false } as const;
    const list = { type: OpCode.GetChildren, path: "/zookeeper/requests", watch: false } as const;
    for (const request of [data, list]) {
      expect(member.read(request, { identities: [bob] }).err).toBe(ZkErrorCode.NoAuth);
      expect(member.read(request, all).err).toBe(ZkErrorCode.Ok);
    }
    expect(member.write(remove(recordPath()))).toEqual({ err: ZkErrorCode.NoAuth });
    expect(member.write(remove(recordPath()), all)).toEqual({ err: ZkErrorCode.Ok });
    expect(ask(member, keyed(create("/a")))).toMatchObject({ outcome: { err: ZkErrorCode.NodeExists } });
  });
});
