/**
 * Proves that the history of changes answers with everything above a zxid it covers, and covers what it says.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeZxid, type Znode, type Zxid } from "../../src/base/index.ts";
import { type Change, ChangeHistory } from "../../src/tree/change-history.ts";
import { initialZnodes } from "../../src/tree/znodes.ts";
import { bytes, create, Member, multi, remove, setAcl, setData } from "./support.ts";

const [rootZnode] = initialZnodes().values();
const plain: Znode = { ...(rootZnode as Znode) };

const changeOf = (path: string, data: Uint8Array | null = null): Change => {
  return { kind: "changed", path, znode: { ...plain, data } };
};

const pathsSince = (history: ChangeHistory, after: Zxid) =>
  Array.from(history.since(after), ({ zxid, changes }) => [zxid, changes.map(({ path }) => path)]);

describe("ChangeHistory", () => {
  test("keeps as many changes as its bound allows, and one txn fewer past it", () => {
    const history = new ChangeHistory(makeZxid(1, 0), { changes: 3, bytes: 1e9 });
    for (const counter of [1, 2, 3])
      history.add({ zxid: makeZxid(1, counter), changes: [changeOf(`/${counter}`)] });
    expect(history.covers(makeZxid(1, 0))).toBe(true);
    expect(pathsSince(history, makeZxid(1, 0))).toHaveLength(3);
    history.add({ zxid: makeZxid(1, 7), changes: [changeOf("/7")] });
    expect(history.after).toEqual(makeZxid(1, 1));
    expect(history.covers(makeZxid(1, 0))).toBe(false);
    expect(pathsSince(history, makeZxid(1, 2))).toEqual([
      [makeZxid(1, 3), ["/3"]],
      [makeZxid(1, 7), ["/7"]],
    ]);
    expect(history.added).toBe(4);
  });

  test("keeps as many bytes as its bound allows, and the newest txn whatever its size", () => {
    const weight = 256 + 2 * "/1".length + 100;
    const history = new ChangeHistory(makeZxid(1, 0), { changes: 100, bytes: 2 * weight });
    const data = new Uint8Array(100);
    for (const counter of [1, 2]) {
      history.add({ zxid: makeZxid(1, counter), changes: [changeOf(`/${counter}`, data)] });
    }
    expect(history.after).toEqual(makeZxid(1, 0));
    history.add({ zxid: makeZxid(1, 3), changes: [changeOf("/3", new Uint8Array(101))] });
    expect(history.after).toEqual(makeZxid(1, 2));
    history.add({ zxid: makeZxid(1, 4), changes: [changeOf("/4", new Uint8Array(10_000))] });
    expect(history.after).toEqual(makeZxid(1, 3));
    expect(pathsSince(history, makeZxid(1, 3))).toEqual([[makeZxid(1, 4), ["/4"]]]);
  });

  test("starts over without what came before", () => {
    const history = new ChangeHistory(makeZxid(1, 0));
    history.add({ zxid: makeZxid(1, 1), changes: [changeOf("/1")] });
    history.restart(makeZxid(2, 9));
    expect(history.newest).toBeUndefined();
    expect(history.covers(makeZxid(1, 1))).toBe(false);
    expect(pathsSince(history, makeZxid(2, 9))).toEqual([]);
  });

  test("answers what a plain list would, over epochs and gaps", () => {
    const step = fc.record({ epochs: fc.constantFrom(0, 0, 0, 1), skip: fc.nat(2), changes: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (steps, bound) => {
        const history = new ChangeHistory(makeZxid(1, 0), { changes: bound, bytes: 1e9 });
        const all: (readonly [Zxid, readonly string[]])[] = [];
        let zxid = makeZxid(1, 0);
        for (const { epochs, skip, changes } of steps) {
          const counter = (epochs === 0 ? zxid.counter : 0) + 1 + skip;
          zxid = makeZxid(zxid.epoch + epochs, counter);
          const paths = Array.from({ length: changes }, (_, at) => `/${counter}-${at}`);
          history.add({ zxid, changes: paths.map((path) => changeOf(path)) });
          if (changes > 0) all.push([zxid, paths]);
        }
        const known = all.filter(([at]) => !isAtOrBelow(at, history.after));
        expect(pathsSince(history, history.after)).toEqual(known);
        for (const [at] of known) {
          expect(pathsSince(history, at)).toEqual(known.filter(([other]) => !isAtOrBelow(other, at)));
        }
      }),
    );
  });
});

function isAtOrBelow(a: Zxid, b: Zxid): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.counter <= b.counter);
}

describe("what a tree remembers", () => {
  const told = (member: Member) =>
    (member.tree.history.newest?.changes ?? []).map(({ kind, path, znode }) => [kind, path, znode.version]);

  test("every kind of change, with the znode right after it", () => {
    const member = new Member();
    member.must(create("/a", { data: bytes("1") }));
    expect(told(member)).toEqual([["created", "/a", 0]]);
    member.must(setData("/a", bytes("2")));
    expect(told(member)).toEqual([["changed", "/a", 1]]);
    member.must(setAcl("/a", [{ scheme: "world", id: "anyone", perms: 31 }]));
    expect(told(member)).toEqual([["acl", "/a", 1]]);
    member.must(multi(create("/a/b"), setData("/a", null), remove("/a/b"), remove("/a")));
    expect(told(member)).toEqual([
      ["created", "/a/b", 0],
      ["changed", "/a", 2],
      ["deleted", "/a/b", 0],
      ["deleted", "/a", 2],
    ]);
  });

  test("what a session leaves behind, and nothing of a refusal", () => {
    const member = new Member();
    const session = member.open(7n);
    member.must(create("/e", { flags: 1 }), { session });
    member.must(create("/f", { flags: 1 }), { session });
    member.write(remove("/missing"));
    expect(told(member)).toEqual([["created", "/f", 0]]);
    member.close(session);
    expect(
      told(member)
        .map(([kind, path]) => `${kind} ${path}`)
        .sort(),
    ).toEqual(["deleted /e", "deleted /f"]);
  });
});
