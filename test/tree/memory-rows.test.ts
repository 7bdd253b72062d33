/**
 * Proves that rows in memory keep the contract that SQLite keeps: order, paging, atomic writes, no leftovers.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeSessionId, makeZxid, type Session, ZERO_ZXID, type Znode } from "../../src/base/index.ts";
import { MemoryRows } from "../../src/tree/index.ts";
import { initialZnodes } from "../../src/tree/znodes.ts";

const [rootZnode] = initialZnodes().values();
const plain = rootZnode as Znode;
const owner = makeSessionId(5n);

function rowsOf(znodes: Record<string, Znode | undefined>): MemoryRows {
  const rows = new MemoryRows();
  rows.write({ applied: makeZxid(1, 1), znodes: new Map(Object.entries(znodes)), sessions: new Map() });
  return rows;
}

test("an empty one has applied nothing", () => {
  const rows = new MemoryRows();
  expect([rows.applied, rows.readZnode("/"), rows.listSessions()]).toEqual([ZERO_ZXID, undefined, []]);
});

test("children come in code-unit order, page by page, and only children", () => {
  const rows = rowsOf({ "/": plain, "/b": plain, "/B": plain, "/a": plain, "/é": plain, "/a/x": plain });
  expect(rows.listChildren("/", undefined, 9)).toEqual(["B", "a", "b", "é"]);
  expect(rows.listChildren("/", "B", 2)).toEqual(["a", "b"]);
  expect(rows.listChildren("/", "é", 2)).toEqual([]);
  expect(rows.listChildren("/a", undefined, 9)).toEqual(["x"]);
});

test("ephemerals are found by owner, sweepables by kind", () => {
  const ephemeral: Znode = { ...plain, lifetime: { kind: "ephemeral", owner } };
  const container: Znode = { ...plain, lifetime: { kind: "container" } };
  const ttl: Znode = { ...plain, lifetime: { kind: "ttl", ttlMs: 1 } };
  const rows = rowsOf({ "/e": ephemeral, "/t": ttl, "/c": container, "/p": plain });
  expect(rows.ephemeralsOf(owner)).toEqual(["/e"]);
  expect(rows.ephemeralsOf(makeSessionId(6n))).toEqual([]);
  expect(rows.listSweepable(undefined, 9)).toEqual(["/c", "/t"]);
  expect(rows.listSweepable("/c", 9)).toEqual(["/t"]);
});

test("a write adds, replaces and deletes, and a clone goes its own way", () => {
  const rows = rowsOf({ "/": plain, "/a": plain });
  const copy = rows.clone();
  const session: Session = { id: owner, timeoutMs: 9, ownership: 1 };
  rows.write({
    applied: makeZxid(1, 2),
    znodes: new Map([["/a", undefined]]),
    sessions: new Map([[owner, session]]),
  });
  expect([rows.readZnode("/a"), rows.listChildren("/", undefined, 9), rows.listSessions()]).toEqual([
    undefined,
    [],
    [session],
  ]);
  expect([copy.readZnode("/a"), copy.applied, copy.listSessions()]).toEqual([plain, makeZxid(1, 1), []]);
  rows.write({ applied: makeZxid(1, 3), znodes: new Map(), sessions: new Map([[owner, undefined]]) });
  expect([rows.listSessions(), rows.znodeCount]).toEqual([[], 1]);
});
