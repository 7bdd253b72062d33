/**
 * Proves what reads answer, in which order they refuse, and that paths mean what ZooKeeper takes them for.
 *
 * Watches that reads leave are in `watches.test.ts`, getACL is in `acl.test.ts`.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { CreateMode, OpCode, Perms, type ReadRequest, ZkErrorCode } from "../../src/base/index.ts";
import { encodeReply, JuteWriter } from "../../src/jute/index.ts";
import { multiReadBytesMax } from "../../src/tree/reads.ts";
import { bob, bobOnly, bytes, create, eve, Member, remove, root, setData, verdict } from "./support.ts";

function world(): Member {
  const member = new Member();
  member.must(create("/a", { data: bytes("A") }));
  member.must(create("/a/b"));
  member.must(create("/a/b/c"));
  member.must(create("/private", { acl: bobOnly }));
  return member;
}

const watchable = [OpCode.Exists, OpCode.GetData, OpCode.GetChildren, OpCode.GetChildren2] as const;
const byPath = [OpCode.GetAcl, OpCode.GetAllChildrenNumber] as const;

function readsOf(path: string): ReadRequest[] {
  return [
    ...watchable.map((type) => ({ type, path, watch: false })),
    ...byPath.map((type) => ({ type, path })),
  ];
}

describe("a path", () => {
  test.each(["missing", "/missing", "//", "/a/", "/a//b", "/.", "/a\ud800"])("%j is just missing", (path) => {
    for (const request of readsOf(path)) expect(verdict(world().read(request))).toBe("NoNode");
  });

  test("that is empty means the root", () => {
    const member = world();
    for (const [at, request] of readsOf("").entries()) {
      expect(member.read(request)).toEqual(member.read(readsOf("/")[at] as ReadRequest));
    }
  });

  test("with a NUL is refused by exists alone", () => {
    const codes = readsOf("/a\0").map((request) => verdict(world().read(request)));
    expect(codes).toEqual(["BadArguments", ...new Array(5).fill("NoNode")]);
  });

  test("needs READ on its znode, and a missing one is told to everybody", () => {
    const member = world();
    for (const request of readsOf("/private")) {
      expect(verdict(member.read(request, { identities: [eve] }))).toBe("NoAuth");
      expect(verdict(member.read(request, { identities: [bob] }))).toBe("Ok");
      expect(verdict(member.read(request, { identities: [root] }))).toBe("Ok");
    }
  });

  test("READ is enough, and nothing else is", () => {
    for (const perms of [Perms.Read, Perms.All - Perms.Read]) {
      const member = new Member();
      member.must(create("/p", { acl: [{ scheme: "world", id: "anyone", perms }] }));
      const codes = watchable.map((type) => verdict(member.read({ type, path: "/p", watch: false })));
      expect(new Set(codes)).toEqual(new Set([perms === Perms.Read ? "Ok" : "NoAuth"]));
    }
  });
});

describe("answers", () => {
  test("exists, getData, getChildren and getChildren2", () => {
    const member = world();
    const stat = member.stat("/a");
    const bodies = watchable.map((type) => member.read({ type, path: "/a", watch: false }).body);
    expect(bodies).toEqual([
      { kind: "stat", stat },
      { kind: "data", data: bytes("A"), stat },
      { kind: "children", children: ["b"] },
      { kind: "children2", children: ["b"], stat },
    ]);
  });

  test.each([
    ["/", 7],
    ["/a", 2],
    ["/a/b/c", 0],
    ["/zookeeper", 2],
  ])("getAllChildrenNumber of %s is %d", (path, total) => {
    const member = world();
    expect(member.read({ type: OpCode.GetAllChildrenNumber, path }).body).toEqual({ kind: "number", total });
    member.tree.checkpoint();
    member.tree.reload();
    expect(member.read({ type: OpCode.GetAllChildrenNumber, path }).body).toEqual({ kind: "number", total });
  });

  test("getAllChildrenNumber of a fresh root is 3", () => {
    expect(new Member().read({ type: OpCode.GetAllChildrenNumber, path: "/" }).body).toEqual({
      kind: "number",
      total: 3,
    });
  });

  test.each([
    ["", ["/ab", "/b"]],
    ["/", ["/ab", "/b"]],
    [" ", ["/ab", "/b"]],
    ["\t/\u0001", ["/ab", "/b"]],
    ["\u00a0", []],
    ["/a", ["/ab"]],
    ["/c", []],
  ])("getEphemerals of %j has the session's own under that text", (path, paths) => {
    const member = new Member();
    const [session, other] = [member.open(1n), member.open(2n)];
    for (const name of ["/ab", "/b"]) member.must(create(name, { flags: CreateMode.Ephemeral }), { session });
    member.must(create("/c", { flags: CreateMode.Ephemeral }), { session: other });
    const answer = member.read({ type: OpCode.GetEphemerals, path }, { session });
    expect(answer.body).toEqual({ kind: "ephemerals", paths });
    expect(member.read({ type: OpCode.GetEphemerals, path: "/" }).body).toEqual({
      kind: "ephemerals",
      paths: [],
    });
  });

  test("whoAmI and ping", () => {
    const who = { identities: [{ scheme: "ip", id: "::1" }, bob, root] };
    expect(world().read({ type: OpCode.WhoAmI }, who).body).toEqual({
      kind: "identities",
      identities: [
        { scheme: "ip", id: "::1" },
        { scheme: "digest", id: "bob" },
        { scheme: "super", id: "" },
      ],
    });
    expect(world().read({ type: OpCode.Ping })).toEqual({ err: 0 });
  });
});

describe("multiRead", () => {
  const part = (type: (typeof watchable)[number], path: string) => ({ type, path, watch: true });

  test("answers part by part, and leaves no watch", () => {
    const member = world();
    const ops = [
      part(OpCode.GetData, "/a"),
      part(OpCode.GetData, "/no"),
      part(OpCode.GetChildren, "/private"),
      part(OpCode.GetChildren, "/a"),
    ];
    const answer = member.read({ type: OpCode.MultiRead, ops }, { watcher: 1, identities: [eve] });
    expect(answer.body).toEqual({
      kind: "multi",
      results: [
        { kind: "data", data: bytes("A"), stat: member.stat("/a") },
        { kind: "error", code: -101 },
        { kind: "error", code: -102 },
        { kind: "children", children: ["b"] },
      ],
    });
    expect(member.tree.watches.watcherCount).toBe(0);
  });

  test("is malformed with other reads inside, and legal when empty", () => {
    for (const type of [OpCode.Exists, OpCode.GetChildren2] as const) {
      const ops = [part(OpCode.GetData, "/a"), part(type, "/a")];
      expect(verdict(world().read({ type: OpCode.MultiRead, ops }))).toBe("MarshallingError");
    }
    expect(world().read({ type: OpCode.MultiRead, ops: [] }).body).toEqual({ kind: "multi", results: [] });
  });

  test("is answered up to a frame's length, and refused whole one byte past it", () => {
    const frameBytes = (member: Member, ops: readonly ReturnType<typeof part>[]) => {
      const { err, body } = member.read({ type: OpCode.MultiRead, ops });
      const writer = new JuteWriter();
      encodeReply(writer, { xid: 1, zxid: 1n, err, body });
      return { err, bytes: writer.take().length - 4 };
    };
    const member = world();
    member.must(create("/names"));
    for (const name of ["plain", "ö", "\u20ac\u20ac"]) member.must(create(`/names/${name}`));
    const parts = [
      part(OpCode.GetChildren, "/names"),
      part(OpCode.GetData, "/no"),
      part(OpCode.GetData, "/a"),
    ];
    const { bytes: rest } = frameBytes(member, parts);
    const fill = (length: number) => member.must(setData("/a", new Uint8Array(length)));
    fill(multiReadBytesMax - rest + 1);
    expect(frameBytes(member, parts)).toEqual({ err: 0, bytes: multiReadBytesMax });
    fill(multiReadBytesMax - rest + 2);
    expect(frameBytes(member, parts)).toEqual({ err: ZkErrorCode.MarshallingError, bytes: 16 });
    // One part is a plain read in other words.
    fill(multiReadBytesMax);
    expect(frameBytes(member, [part(OpCode.GetData, "/a")]).err).toBe(0);
  });
});

describe("Tree.children()", () => {
  test("pages through stored, added and removed children in one order", () => {
    const member = new Member();
    for (const name of ["d", "b", "f", "h"]) member.must(create(`/${name}`));
    member.tree.checkpoint();
    for (const name of ["c", "a", "g"]) member.must(create(`/${name}`));
    for (const name of ["d", "h"]) member.must(remove(`/${name}`));
    const all = ["a", "b", "c", "f", "g", "zookeeper"];
    expect(member.tree.children("/", undefined, 100)).toEqual(all);
    for (let limit = 1; limit <= all.length + 1; limit += 1) {
      for (const [at, after] of all.entries()) {
        expect(member.tree.children("/", after, limit)).toEqual(all.slice(at + 1, at + 1 + limit));
      }
    }
    expect(member.tree.children("/", "e", 2), "after a name that is none").toEqual(["f", "g"]);
    expect(member.tree.children("/missing", undefined, 1)).toEqual([]);
  });
});
