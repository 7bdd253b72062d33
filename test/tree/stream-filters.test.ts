/**
 * Proves which changes a filter is about, whose permission each takes, and that the index asks the right ones.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OPEN_ACL, type Znode } from "../../src/base/index.ts";
import type { Change, ChangeKind } from "../../src/tree/change-history.ts";
import {
  aclFor,
  FilterIndex,
  lastOfEachPath,
  parseStreamFilter,
  type StreamFilter,
  streamScopes,
} from "../../src/tree/stream-filters.ts";
import { initialZnodes } from "../../src/tree/znodes.ts";
import { bobOnly } from "./support.ts";

const [rootZnode] = initialZnodes().values();
const own: Znode = { ...(rootZnode as Znode), acl: bobOnly };

const change = (kind: ChangeKind, path: string): Change => ({
  ...{ kind, path, znode: own },
  parentAcl: kind === "created" || kind === "deleted" ? OPEN_ACL : undefined,
});

describe("parseStreamFilter()", () => {
  test.each([
    ["/a", undefined, { path: "/a", scope: "znode" }],
    ["/a/*", undefined, { path: "/a", scope: "children" }],
    ["/a/**", undefined, { path: "/a", scope: "subtree" }],
    ["/**", undefined, { path: "/", scope: "subtree" }],
    ["/*", undefined, { path: "/", scope: "children" }],
    ["/", undefined, { path: "/", scope: "znode" }],
    // A znode may have such a name: a scope says that it is one.
    ["/a/**", "znode", { path: "/a/**", scope: "znode" }],
    ["/a/*", "subtree", { path: "/a/*", scope: "subtree" }],
    ["/a**", undefined, { path: "/a**", scope: "znode" }],
  ] as const)("reads %j with scope %j", (pattern, scope, filter) => {
    expect(parseStreamFilter(pattern, scope)).toEqual(filter);
  });

  test.each([
    ["", "it is empty"],
    ["a/**", 'it does not begin with "/"'],
    ["/a//**", 'it ends with "/"'],
    ["/a/../b", 'it has the component ".."'],
  ])("refuses %j", (pattern, fault) => {
    expect(parseStreamFilter(pattern)).toEqual({ fault });
  });
});

describe("aclFor()", () => {
  const kinds = ["created", "changed", "acl", "deleted"] as const;
  const toldOf = (filter: StreamFilter, path: string) =>
    kinds.map((kind) => {
      const acl = aclFor(filter, change(kind, path));
      return acl === undefined ? "-" : acl === bobOnly ? "own" : "parent's";
    });

  test.each([
    ["znode", "/a", "/a", ["own", "own", "own", "own"]],
    ["znode", "/a", "/a/x", ["-", "-", "-", "-"]],
    ["children", "/a", "/a", ["own", "-", "-", "own"]],
    ["children", "/a", "/a/x", ["parent's", "-", "-", "parent's"]],
    ["children", "/a", "/a/x/y", ["-", "-", "-", "-"]],
    ["children", "/", "/a", ["parent's", "-", "-", "parent's"]],
    ["subtree", "/a", "/a", ["own", "own", "own", "own"]],
    ["subtree", "/a", "/a/x/y", ["own", "own", "own", "own"]],
    ["subtree", "/a", "/ab", ["-", "-", "-", "-"]],
    ["subtree", "/a", "/", ["-", "-", "-", "-"]],
    ["subtree", "/", "/a/x", ["own", "own", "own", "own"]],
  ] as const)(
    "%s of %s is told of created, changed, acl and deleted %s by the ACLs",
    (scope, at, path, acls) => {
      expect(toldOf({ path: at, scope }, path)).toEqual(acls);
    },
  );
});

describe("FilterIndex", () => {
  const path = fc.constantFrom("/", "/a", "/ab", "/a/x", "/a/xy", "/a/x/q", "/b");
  const filter = fc.record({ path, scope: fc.constantFrom(...streamScopes) });
  const kind = fc.constantFrom("created", "changed", "deleted", "acl");

  test("finds those whom a change concerns, each once, and nobody else", () => {
    const filters = fc.array(filter, { maxLength: 20 });
    fc.assert(
      fc.property(filters, fc.array(fc.boolean()), kind, path, (given, stay, what, where) => {
        const index = new FilterIndex<{ readonly filter: StreamFilter }>();
        const all = given.map((one) => ({ filter: one }));
        for (const subscriber of all) index.add(subscriber);
        const kept = all.filter((_, at) => stay[at] !== false);
        for (const subscriber of all) if (!kept.includes(subscriber)) index.delete(subscriber);
        expect(index.size).toBe(kept.length);
        const made = change(what, where);
        const found = [...index.concernedBy(made)];
        expect(new Set(found).size).toBe(found.length);
        expect(new Set(found)).toEqual(new Set(kept.filter((one) => aclFor(one.filter, made) !== undefined)));
      }),
    );
  });
});

test("lastOfEachPath() keeps how each path ended, in the order of the ends", () => {
  const events = ["/a", "/b", "/a", "/c", "/b"].map((path, at) => ({ at, change: change("changed", path) }));
  expect(lastOfEachPath(events).map(({ at }) => at)).toEqual([2, 3, 4]);
  expect(lastOfEachPath([])).toEqual([]);
});
