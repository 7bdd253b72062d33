/**
 * The mistakes that implementers of ZooKeeper make, one test each: the points of section 27 of the wire
 * reference that concern the tree, by their numbers. The rest is about frames and connections.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { AddWatchMode, CreateMode, NO_SESSION, OpCode, Perms } from "../../src/base/index.ts";
import { bob, create, eve, Member, multi, remove, setAcl, setData, verdict } from "./support.ts";

describe("checklist", () => {
  test("1: the suffix comes from the count of creates, not from the exposed cversion", () => {
    const member = new Member();
    member.must(create("/a"));
    member.must(remove("/a"));
    expect(member.stat("/").cversion).toBe(1);
    const { body } = member.must(create("/s", { flags: CreateMode.PersistentSequential }));
    expect(body).toEqual({ kind: "create", path: "/s0000000001" });
  });

  test("2: cversion -1 on a fresh root, -2 on /zookeeper, aversion -1 on the config", () => {
    const stat = (path: string) => new Member().stat(path);
    expect([stat("/").cversion, stat("/zookeeper").cversion, stat("/zookeeper/config").aversion]).toEqual([
      -1, -2, -1,
    ]);
  });

  test("3: a delete moves the parent's cversion and pzxid, not its mzxid and mtime", () => {
    const member = new Member();
    member.must(create("/a"));
    member.must(create("/a/b"));
    const before = member.stat("/a");
    member.nowMs += 5;
    member.must(remove("/a/b"));
    const { applied } = member.tree;
    expect(member.stat("/a")).toEqual({
      ...before,
      cversion: before.cversion + 1,
      pzxid: applied,
      numChildren: 0,
    });
  });

  test("4: setACL leaves mzxid and mtime alone", () => {
    const member = new Member();
    member.must(create("/a"));
    const before = member.stat("/a");
    member.nowMs += 5;
    member.must(setAcl("/a", [{ scheme: "world", id: "anyone", perms: Perms.Read }]));
    expect(member.stat("/a")).toEqual({ ...before, aversion: 1 });
  });

  test("5: a failed multi has no error in its header", () => {
    expect(verdict(new Member().write(multi(remove("/missing"))))).toBe("Ok");
  });

  test("6: containers and TTL creates carry a stat, in a multi and alone", () => {
    const member = new Member({ ttlNodes: true });
    const requests = (suffix: string) => [
      create(`/c${suffix}`, { type: OpCode.CreateContainer, flags: CreateMode.Container }),
      create(`/t${suffix}`, { type: OpCode.CreateTtl, flags: CreateMode.PersistentWithTtl, ttlMs: 9 }),
    ];
    expect(requests("1").map((request) => member.must(request).body?.kind)).toEqual(["create2", "create2"]);
    const { body } = member.must(multi(...requests("2")));
    expect(body?.kind === "multi" && body.results.map(({ kind }) => kind)).toEqual([
      "createdWithStat",
      "createdWithStat",
    ]);
  });

  test("7: addWatch answers with a body", () => {
    const answer = new Member().read({ type: OpCode.AddWatch, path: "/", mode: 0 }, { watcher: 1 });
    expect(answer.body).toEqual({ kind: "ok" });
  });

  test("10: exists on a missing znode registers a watch, getData and getChildren don't", () => {
    const member = new Member();
    for (const type of [OpCode.Exists, OpCode.GetData, OpCode.GetChildren]) {
      member.read({ type, path: "/a", watch: true }, { watcher: type });
    }
    member.must(create("/a"));
    expect(member.told()).toEqual([`${OpCode.Exists} 1 /a`]);
  });

  test("11: one NodeDeleted for data and child watches of one connection", () => {
    const member = new Member();
    member.must(create("/a"));
    member.tree.watches.addData(1, "/a");
    member.tree.watches.addChild(1, "/a");
    member.must(remove("/a"));
    expect(member.told()).toEqual(["1 2 /a"]);
  });

  test("12: NodeCreated comes before the parent's NodeChildrenChanged", () => {
    const member = new Member();
    member.tree.watches.addPersistent(1, "/", AddWatchMode.Persistent);
    member.tree.watches.addData(1, "/a");
    member.must(create("/a"));
    expect(member.told()).toEqual(["1 1 /a", "1 4 /"]);
  });

  test("13: setWatches2 replays nothing to persistent watches", () => {
    const member = new Member();
    member.must(create("/a"));
    const lists = {
      data: [],
      exist: [],
      child: [],
      persistent: ["/a", "/gone"],
      persistentRecursive: ["/a"],
    };
    const answer = member.read({ type: OpCode.SetWatches2, relativeZxid: 0n, ...lists }, { watcher: 1 });
    expect(answer.events).toEqual([]);
  });

  test("14: containers and TTL znodes show no owner and may have children", () => {
    const member = new Member({ ttlNodes: true });
    member.must(create("/c", { type: OpCode.CreateContainer }));
    member.must(create("/t", { type: OpCode.CreateTtl, flags: 5, ttlMs: 9 }));
    for (const path of ["/c", "/t"]) {
      member.must(create(`${path}/x`));
      expect(member.stat(path).ephemeralOwner).toBe(NO_SESSION);
    }
  });

  test("15: an expired session's ephemerals go in one zxid", () => {
    const member = new Member();
    const session = member.open(1n);
    for (const path of ["/a", "/b", "/c"])
      member.must(create(path, { flags: CreateMode.Ephemeral }), { session });
    const { counter } = member.tree.applied;
    member.close(session);
    expect(member.tree.applied.counter).toBe(counter + 1);
    expect(member.tree.children("/", undefined, 9)).toEqual(["zookeeper"]);
    expect(member.lastApplied?.triggers).toHaveLength(6);
  });

  test("17: `auth` with nothing to expand is an invalid ACL, and an address is nothing", () => {
    const request = create("/a", { acl: [{ scheme: "auth", id: "", perms: 31 }] });
    const identities = [{ scheme: "ip", id: "127.0.0.1" }];
    expect(verdict(new Member().write(request, { identities }))).toBe("InvalidACL");
    expect(verdict(new Member().write(request, { identities: [...identities, bob] }))).toBe("Ok");
  });

  test("18: getACL shows user:x to callers without ADMIN", () => {
    const member = new Member();
    member.must(
      create("/a", {
        acl: [
          { ...bob, perms: Perms.All },
          { ...eve, perms: Perms.Read },
        ],
      }),
    );
    const { body } = member.read({ type: OpCode.GetAcl, path: "/a" }, { identities: [eve] });
    expect(body?.kind === "acl" && body.acl.map(({ id }) => id)).toEqual(["bob:x", "eve:x"]);
  });

  test("19: failed writes take a zxid", () => {
    const member = new Member();
    for (const request of [remove("/no"), multi(remove("/no")), setData("/no")]) member.write(request);
    expect(member.tree.applied.counter).toBe(3);
  });

  test("22: null and empty data survive a round trip and a restart", () => {
    const member = new Member();
    member.must(create("/null", { data: null }));
    member.must(create("/empty", { data: new Uint8Array(0) }));
    member.tree.checkpoint();
    const { tree } = new Member({}, member.rows);
    expect([tree.get("/null")?.data, tree.get("/empty")?.data]).toEqual([null, new Uint8Array(0)]);
  });
});
