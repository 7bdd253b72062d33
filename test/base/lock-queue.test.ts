/**
 * Proves who holds a lock, given the names of its children.
 *
 * Tables of names in and queues out, kazoo's names among them, and properties over random queues.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sequenceSuffix } from "../../src/base/index.ts";
import {
  contenderData,
  delayOf,
  ownContenderName,
  ownLockId,
  queueOf,
  revokedData,
  tombstoneOf,
  tombstonesIn,
} from "../../src/base/lock-queue.ts";

const id = "0123456789abcdef0123456789abcdef";

/** The queue as "mode prefix", a star for whoever holds. */
function brief(children: readonly string[]): string[] {
  return queueOf(children).map(({ prefix, mode, holds }) => `${holds ? "*" : ""}${mode} ${prefix}`);
}

describe("queueOf()", () => {
  test.each<[string, string[], string[]]>([
    ["nobody", [], []],
    ["one exclusive", ["a__lock__0000000000"], ["*exclusive a"]],
    ["one shared", ["a__rlock__0000000000"], ["*shared a"]],
    [
      "exclusive ones in sequence, not in the order of names",
      ["a__lock__0000000002", "z__lock__0000000001"],
      ["*exclusive z", "exclusive a"],
    ],
    ["shared ones together", ["a__rlock__0000000001", "b__rlock__0000000002"], ["*shared a", "*shared b"]],
    [
      "shared behind exclusive waits",
      ["a__lock__0000000001", "b__rlock__0000000002"],
      ["*exclusive a", "shared b"],
    ],
    [
      "exclusive behind shared waits",
      ["a__rlock__0000000001", "b__lock__0000000002"],
      ["*shared a", "exclusive b"],
    ],
    [
      "shared does not overtake an exclusive one that waits",
      ["a__rlock__0000000001", "b__lock__0000000002", "c__rlock__0000000003"],
      ["*shared a", "exclusive b", "shared c"],
    ],
    [
      "numbers of the same width in text order",
      ["a__lock__0000000010", "b__lock__0000000009"],
      ["*exclusive b", "exclusive a"],
    ],
    ["kazoo's names", [`${id}__lock__0000000003`], [`*exclusive ${id}`]],
    ["a name without a prefix", ["__lock__0000000000"], ["*exclusive "]],
    [
      "a prefix that has a marker itself",
      ["a__lock__0000000001__rlock__0000000002"],
      ["*shared a__lock__0000000001"],
    ],
  ])("of %s", (_, children, queue) => {
    expect(brief(children)).toEqual(queue);
  });

  test.each([
    "a",
    "a__lock__",
    "a__lock__000000001",
    "a__lock__00000000001",
    "a__lock__000000000x",
    "a__wlock__0000000001",
    "a_lock_0000000001",
    "a__LOCK__0000000001",
    "a__lock__0000000001 ",
    "lease",
    "",
  ])('takes "%s" for no contender', (name) => {
    expect(queueOf([name])).toEqual([]);
    expect(brief([name, "b__lock__0000000009"])).toEqual(["*exclusive b"]);
  });

  test("gives each contender the name it came with", () => {
    const names = ["a__lock__0000000002", "b__rlock__0000000001"];
    expect(queueOf(names).map(({ name }) => name)).toEqual(names.toReversed());
  });

  test("is the same whatever the order of the children; holders are one exclusive or only shared ones", () => {
    const contender = fc.record({ isShared: fc.boolean(), prefix: fc.stringMatching(/^[a-z]{0,4}$/) });
    fc.assert(
      fc.property(
        fc.array(contender, { maxLength: 12 }),
        fc.nat({ max: 2 ** 31 - 20 }),
        fc.nat(),
        (all, from, turn) => {
          const names = all.map(
            ({ isShared, prefix }, i) => `${prefix}__${isShared ? "r" : ""}lock__${sequenceSuffix(from + i)}`,
          );
          const at = names.length === 0 ? 0 : turn % names.length;
          const queue = queueOf([...names.slice(at), ...names.slice(0, at)]);
          expect(queue.map(({ name }) => name)).toEqual(names);
          const holders = queue.filter(({ holds }) => holds);
          expect(holders).toEqual(queue.slice(0, holders.length));
          const exclusive = holders.filter(({ mode }) => mode === "exclusive");
          if (names.length > 0) expect(holders.length).toBeGreaterThan(0);
          if (exclusive.length > 0) expect(holders.length).toBe(1);
          else expect(queue[holders.length]?.mode ?? "exclusive").toBe("exclusive");
        },
      ),
    );
  });
});

describe("a contender of ours", () => {
  test.each([
    ["exclusive", `ek-${id}__lock__`],
    ["shared", `ek-${id}__rlock__`],
  ] as const)("that is %s is named by its id and comes back from the queue", (mode, name) => {
    expect(ownContenderName(id, mode)).toBe(name);
    const [contender] = queueOf([name + sequenceSuffix(7)]);
    expect(contender?.mode).toBe(mode);
    expect(contender === undefined ? undefined : ownLockId(contender)).toBe(id);
  });

  test("is told from others by its prefix", () => {
    expect(ownLockId({ prefix: id })).toBeUndefined();
    expect(ownLockId({ prefix: "Ek-1" })).toBeUndefined();
  });
});

describe("tombstones", () => {
  const shared = "a__rlock__0000000001";
  const exclusive = "b__lock__0000000002";

  test.each<[string, string[], string[]]>([
    ["of holders that are there", [shared, tombstoneOf(shared)], []],
    ["of holders that are gone", [tombstoneOf(shared), tombstoneOf(exclusive)], ["shared", "exclusive"]],
    ["of nobody", ["a__delay", "__delay", `${exclusive}_delay`, `x${tombstoneOf("lock__0000000001")}`], []],
  ])("%s", (_, children, modes) => {
    expect(tombstonesIn(children).map(({ mode }) => mode)).toEqual(modes);
    expect(queueOf(children.filter((name) => name.endsWith("delay")))).toEqual([]);
  });

  test.each([
    ["0", 0],
    ["5000", 5_000],
    ["9".repeat(15), 999_999_999_999_999],
    ["9".repeat(16), 0],
    ["-1", 0],
    ["1e9", 0],
    ["", 0],
  ])('data "%s" is a delay of %i ms', (text, ms) => {
    expect(delayOf(text)).toBe(ms);
  });
});

describe("contender data", () => {
  test("says whose it is, and whether the lock is asked back, as Curator's Revoker says it", () => {
    expect(contenderData("billing")).toEqual({ owner: "billing", isRevoked: false });
    expect(revokedData("")).toBe("__REVOKE__");
    expect(contenderData(revokedData("billing"))).toEqual({ owner: "billing", isRevoked: true });
    expect(revokedData(revokedData("billing"))).toBe(revokedData("billing"));
  });
});
