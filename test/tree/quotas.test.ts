/**
 * Quotas: which subtree a change is charged to, that usage is always what the subtree really holds, and
 * what hard limits refuse, at and past their edge.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CreateMode, OpCode } from "../../src/base/index.ts";
import { decodeHardLimits, decodeUsage } from "../../src/tree/quotas.ts";
import { bytes, create, dump, Member, multi, partCodes, remove, root, setData, verdict } from "./support.ts";

const text = (data: Uint8Array | null | undefined) => new TextDecoder().decode(data ?? undefined);

/** As `setquota` of ZooKeeper's shell does it. */
function setQuota(member: Member, path: string, limits: string): void {
  let at = "/zookeeper/quota";
  for (const name of path.slice(1).split("/")) {
    at += `/${name}`;
    if (member.tree.get(at) === undefined) member.must(create(at));
  }
  member.must(create(`${at}/zookeeper_limits`, { data: bytes(limits) }));
  member.must(create(`${at}/zookeeper_stats`, { data: bytes("count=-1,bytes=-1") }));
}

function stats(member: Member, path: string): string {
  return text(member.tree.get(`/zookeeper/quota${path}/zookeeper_stats`)?.data);
}

const enforced = () => new Member({ enforceQuota: true });

describe("usage", () => {
  test("is measured when the stats are created, the subtree's top included", () => {
    const member = new Member();
    for (const path of ["/p", "/p/a", "/p/a/b", "/q"]) member.must(create(path, { data: bytes("xyz") }));
    setQuota(member, "/p", "count=9,bytes=-1");
    expect(stats(member, "/p")).toBe("count=3,bytes=9");
  });

  test("follows creates, sets, deletes and the end of sessions, without a version, a zxid or an event", () => {
    const member = new Member();
    member.must(create("/p"));
    setQuota(member, "/p", "count=9,bytes=-1");
    const before = member.stat("/zookeeper/quota/p/zookeeper_stats");
    member.tree.watches.addData(1, "/zookeeper/quota/p/zookeeper_stats");
    const session = member.open(1n);
    member.must(create("/p/e", { data: bytes("12345"), flags: CreateMode.Ephemeral }), { session });
    expect(member.told()).toEqual([]);
    expect(stats(member, "/p")).toBe("count=2,bytes=5");
    member.must(setData("/p/e", bytes("1")));
    expect(stats(member, "/p")).toBe("count=2,bytes=1");
    member.must(setData("/p", null));
    member.close(session);
    expect(stats(member, "/p")).toBe("count=1,bytes=0");
    const after = member.stat("/zookeeper/quota/p/zookeeper_stats");
    expect(after).toEqual({ ...before, dataLength: "count=1,bytes=0".length });
  });

  test("is that of the deepest quota only, and a sibling with the same beginning is no part of it", () => {
    const member = new Member();
    for (const path of ["/p", "/p/in", "/pp"]) member.must(create(path));
    setQuota(member, "/p", "count=9,bytes=-1");
    setQuota(member, "/p/in", "count=9,bytes=-1");
    member.must(create("/p/in/x"));
    member.must(create("/pp/y"));
    expect([stats(member, "/p"), stats(member, "/p/in")]).toEqual(["count=2,bytes=0", "count=2,bytes=0"]);
  });

  test("stands still once the limits are deleted, and limits without stats charge nobody", () => {
    const member = new Member();
    member.must(create("/p"));
    setQuota(member, "/p", "count=9,bytes=-1");
    member.must(remove("/zookeeper/quota/p/zookeeper_limits"));
    member.must(create("/p/a"));
    expect(stats(member, "/p")).toBe("count=1,bytes=0");
    member.must(create("/zookeeper/quota/p/zookeeper_limits"));
    member.must(remove("/zookeeper/quota/p/zookeeper_stats"));
    member.must(create("/p/b"));
    expect(stats(member, "/p")).toBe("");
  });

  test("the root of all and the quota znode itself can have none", () => {
    const member = new Member();
    member.must(create("/zookeeper/quota/zookeeper_limits"));
    member.must(create("/zookeeper/quota/zookeeper_stats", { data: bytes("mine") }));
    member.must(create("/a"));
    expect(text(member.tree.get("/zookeeper/quota/zookeeper_stats")?.data)).toBe("mine");
  });

  test("is what the subtree holds, whatever happens, also after a restart (property)", () => {
    const paths = ["/p", "/p/a", "/p/a/b", "/p/c", "/q"];
    const step = fc.record({
      kind: fc.constantFrom("create", "remove", "set", "restart" as const),
      path: fc.constantFrom(...paths),
      size: fc.integer({ min: 0, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let member = new Member();
        member.must(create("/p"));
        setQuota(member, "/p", "count=1,bytes=1");
        for (const { kind, path, size } of steps) {
          const data = new Uint8Array(size);
          if (kind === "create") member.write(create(path, { data }));
          else if (kind === "remove") member.write(remove(path));
          else if (kind === "set") member.write(setData(path, data));
          else {
            const before = dump(member.tree);
            member.tree.checkpoint();
            const counter = member.tree.applied.counter;
            member = new Member({}, member.rows);
            expect(member.tree.applied.counter).toBe(counter);
            expect(dump(member.tree)).toEqual(before);
          }
        }
        const held = paths.filter((path) => path.startsWith("/p")).map((path) => member.tree.get(path));
        const count = held.filter((znode) => znode !== undefined).length;
        const total = held.reduce((sum, znode) => sum + (znode?.data?.length ?? 0), 0);
        expect(stats(member, "/p")).toBe(`count=${count},bytes=${total}`);
      }),
    );
  });
});

describe("hard limits", () => {
  test("refuse nothing unless they are enforced, and soft ones never do", () => {
    const lenient = new Member();
    lenient.must(create("/p"));
    setQuota(lenient, "/p", "count=1,bytes=1=;byteHardLimit=0;countHardLimit=1");
    lenient.must(create("/p/a", { data: bytes("xyz") }));
    const member = enforced();
    member.must(create("/p"));
    setQuota(member, "/p", "count=1,bytes=1");
    member.must(create("/p/a", { data: bytes("xyz") }));
  });

  test("of the count let in as many znodes as they say, and not one more", () => {
    const member = enforced();
    member.must(create("/p"));
    setQuota(member, "/p", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2");
    member.must(create("/p/a", { data: bytes("any size") }));
    expect(verdict(member.write(create("/p/b")))).toBe("QuotaExceeded");
    expect(verdict(member.write(create("/p/b"), { identities: [root] }))).toBe("QuotaExceeded");
    member.must(remove("/p/a"));
    member.must(create("/p/b"));
  });

  test("of the bytes let in as many as they say, and not one more", () => {
    const member = enforced();
    member.must(create("/p"));
    setQuota(member, "/p", "count=-1,bytes=-1=;byteHardLimit=4;countHardLimit=-1");
    member.must(create("/p/a", { data: bytes("1234") }));
    expect(verdict(member.write(create("/p/b", { data: bytes("5") })))).toBe("QuotaExceeded");
    member.must(create("/p/b"));
    expect(verdict(member.write(setData("/p/a", bytes("12345"))))).toBe("QuotaExceeded");
    member.must(setData("/p/a", bytes("4321")));
    member.must(setData("/p/a", bytes("1")));
  });

  test("come before the version and after the permission, and after everything else of a create", () => {
    const member = enforced();
    member.must(create("/p", { data: bytes("1") }));
    setQuota(member, "/p", "count=-1,bytes=-1=;byteHardLimit=1;countHardLimit=1");
    expect(verdict(member.write(setData("/p", bytes("12"), 7)))).toBe("QuotaExceeded");
    expect(verdict(member.write(setData("/p", bytes("2"), 7)))).toBe("BadVersion");
    const session = member.open(1n);
    expect(verdict(member.write(create("/p/e/x"), { session }))).toBe("NoNode");
    expect(verdict(member.write(create("/p")))).toBe("NodeExists");
  });

  test("a write that shrinks and is still over is refused, as in ZooKeeper", () => {
    const member = enforced();
    member.must(create("/p", { data: bytes("12345") }));
    setQuota(member, "/p", "count=-1,bytes=-1=;byteHardLimit=2;countHardLimit=-1");
    expect(verdict(member.write(setData("/p", bytes("123"))))).toBe("QuotaExceeded");
    member.must(setData("/p", bytes("12")));
  });

  test("count what is prepared and not applied, and the earlier parts of a multi", () => {
    const member = enforced();
    member.must(create("/p"));
    setQuota(member, "/p", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2");
    const first = member.prepare(create("/p/a"));
    const second = member.prepare(create("/p/b"));
    expect([first.op.kind, second.op.kind]).toEqual(["create", "error"]);
    member.apply(first);
    member.apply(second);
    member.must(remove("/p/a"));
    const both = member.write(multi(create("/p/a"), create("/p/b")));
    expect(partCodes(both)).toEqual(["Ok", "QuotaExceeded"]);
    // What was taken back is not counted.
    member.must(create("/p/a"));
  });

  test("changed limits hold from the next write on", () => {
    const member = enforced();
    member.must(create("/p"));
    setQuota(member, "/p", "countHardLimit=1");
    expect(verdict(member.write(create("/p/a")))).toBe("QuotaExceeded");
    member.must(setData("/zookeeper/quota/p/zookeeper_limits", bytes("countHardLimit=2")));
    member.must(create("/p/a", { type: OpCode.Create2 }));
  });
});

describe("what people write into quota znodes", () => {
  test("is read as ZooKeeper reads it; what is no number is no limit", () => {
    expect(decodeHardLimits(bytes("count=1,bytes=2=;byteHardLimit=3;countHardLimit=4"))).toEqual({
      count: 4,
      bytes: 3,
    });
    for (const nonsense of [
      null,
      bytes(""),
      bytes("countHardLimit=x"),
      bytes("=;=;,"),
      bytes("countHardLimit=-1"),
    ]) {
      expect(decodeHardLimits(nonsense)).toEqual({ count: undefined, bytes: undefined });
      expect(decodeUsage(nonsense)).toEqual({ count: 0, bytes: 0 });
    }
  });
});
