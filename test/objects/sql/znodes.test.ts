/**
 * Proves that a tree's rows in SQLite are what the tree asks for: `MemoryRows` is the model.
 *
 * Examples for each read and for what a checkpoint costs; then random writes to two trees, one over each
 * kind of rows, with checkpoints and restarts in between.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AssertionFailure,
  formatZxid,
  makeSessionId,
  makeZxid,
  OPEN_ACL,
  type Session,
  ZERO_ZXID,
  type Znode,
} from "../../../src/base/index.ts";
import { migrate, writeMeta } from "../../../src/objects/sql/meta.ts";
import { SqlTreeRows, znodeRowPath } from "../../../src/objects/sql/znodes.ts";
import { type Checkpoint, MemoryRows, Tree } from "../../../src/tree/index.ts";
import { randomWrite } from "../../tree/random-requests.ts";
import { create, dump, Member, setData } from "../../tree/support.ts";
import { openStorage } from "../support/sqlite.ts";

function znode(fields: Partial<Znode> = {}): Znode {
  return {
    data: null,
    acl: OPEN_ACL,
    lifetime: { kind: "persistent" },
    czxid: makeZxid(1, 1),
    mzxid: makeZxid(1, 1),
    pzxid: makeZxid(1, 1),
    ctime: 1,
    mtime: 1,
    version: 0,
    aversion: 0,
    creates: 0,
    numChildren: 0,
    ...fields,
  };
}

const owner = makeSessionId(-5n);
const ephemeral = znode({ lifetime: { kind: "ephemeral", owner } });
const container = znode({ lifetime: { kind: "container" } });
const ttl = znode({ lifetime: { kind: "ttl", ttlMs: 9 } });

function checkpoint(
  znodes: Record<string, Znode | undefined>,
  sessions: readonly Session[] = [],
): Checkpoint {
  return {
    applied: makeZxid(1, 7),
    znodes: new Map(Object.entries(znodes)),
    sessions: new Map(sessions.map((session) => [session.id, session])),
  };
}

function emptyRows() {
  const opened = openStorage();
  migrate(opened.storage);
  return { ...opened, rows: new SqlTreeRows(opened.storage) };
}

function rowsOf(znodes: Record<string, Znode | undefined>, sessions: readonly Session[] = []) {
  const opened = emptyRows();
  opened.rows.write(checkpoint(znodes, sessions));
  return opened;
}

describe("SqlTreeRows", () => {
  test("that are empty have applied nothing", () => {
    const { rows } = emptyRows();
    expect([rows.applied, rows.readZnode("/"), rows.listSessions()]).toEqual([ZERO_ZXID, undefined, []]);
    expect(rows.listChildren("/", undefined, 9)).toEqual([]);
  });

  test("read what a checkpoint wrote, also after a restart", () => {
    const given = {
      "/": znode({ numChildren: 1, creates: 2 ** 31 - 1 }),
      "/a": znode({ data: new Uint8Array(0), mtime: 2 ** 53 - 1, version: -1 }),
      "/a/é": znode({ data: Uint8Array.of(0, 255), czxid: makeZxid(2 ** 31 - 1, 2 ** 32 - 1) }),
    };
    const session = { id: owner, timeoutMs: 4_000, ownership: 1 };
    const { storage, rows } = rowsOf(given, [session]);
    for (const again of [rows, new SqlTreeRows(storage)]) {
      for (const [path, stored] of Object.entries(given)) expect(again.readZnode(path)).toEqual(stored);
      expect([again.applied, again.listSessions()]).toEqual([makeZxid(1, 7), [session]]);
      expect(again.readZnode("/b")).toBeUndefined();
    }
  });

  test("list children in code-unit order, page by page, and only children", () => {
    const names = ["B", "a", "a-b", "a0", "b", "é", "\uf900", "\uffef"];
    const given = Object.fromEntries(names.map((name) => [`/${name}`, znode()]));
    const { rows } = rowsOf({ ...given, "/": znode(), "/a/x": znode(), "/a0/y": znode() });
    expect(rows.listChildren("/", undefined, 99)).toEqual(names.toSorted());
    expect(rows.listChildren("/", "a", 2)).toEqual(["a-b", "a0"]);
    expect(rows.listChildren("/", "aa", 1)).toEqual(["b"]);
    expect(rows.listChildren("/", "\uffef", 9)).toEqual([]);
    expect(rows.listChildren("/a", undefined, 9)).toEqual(["x"]);
    expect(rows.listChildren("/none", undefined, 9)).toEqual([]);
  });

  test("find ephemerals by owner, and sweepables by kind in the order of paths", () => {
    const other = makeSessionId(6n);
    const { rows } = rowsOf({
      "/": znode(),
      "/b": ephemeral,
      "/a/z": ephemeral,
      "/o": znode({ lifetime: { kind: "ephemeral", owner: other } }),
      "/a": container,
      "/a-": ttl,
      "/a/b": container,
      "/p": znode(),
    });
    expect(rows.ephemeralsOf(owner).toSorted()).toEqual(["/a/z", "/b"]);
    expect(rows.ephemeralsOf(other)).toEqual(["/o"]);
    expect(rows.ephemeralsOf(makeSessionId(7n))).toEqual([]);
    expect(rows.listSweepable(undefined, 9)).toEqual(["/a", "/a-", "/a/b"]);
    expect(rows.listSweepable("/a", 1)).toEqual(["/a-"]);
    expect(rows.listSweepable("/a/b", 9)).toEqual([]);
  });

  test("forget what a checkpoint deletes, and who owned what was made anew", () => {
    const { rows } = rowsOf({ "/": znode(), "/a": ephemeral, "/b": ephemeral, "/c": container }, [
      { id: owner, timeoutMs: 1, ownership: 1 },
    ]);
    rows.write({
      applied: makeZxid(2, 1),
      znodes: new Map([
        ["/a", undefined],
        ["/b", znode()],
        ["/c", ephemeral],
      ]),
      sessions: new Map([[owner, undefined]]),
    });
    expect(rows.listChildren("/", undefined, 9)).toEqual(["b", "c"]);
    expect([rows.ephemeralsOf(owner), rows.listSweepable(undefined, 9), rows.listSessions()]).toEqual([
      ["/c"],
      [],
      [],
    ]);
  });

  test("change all together or not at all", () => {
    const opened = rowsOf({ "/": znode() });
    const before = ["znode", "session", "meta"].map(opened.dump);
    opened.failOn("INSERT INTO session");
    const next = checkpoint({ "/a": znode() }, [{ id: owner, timeoutMs: 1, ownership: 1 }]);
    expect(() => opened.rows.write({ ...next, applied: makeZxid(3, 3) })).toThrow("disk");
    expect(["znode", "session", "meta"].map(opened.dump)).toEqual(before);
    expect(opened.rows.applied).toEqual(makeZxid(1, 7));
  });

  test.each([
    ["a new znode", { "/b": znode() }, 1],
    ["an update", { "/a": znode({ version: 1 }) }, 1],
    ["a delete", { "/a": undefined }, 1],
    ["a delete of what never got there", { "/x": undefined }, 0],
    ["three changes", { "/": znode(), "/a": undefined, "/c": znode() }, 3],
  ])("cost %s its rows, and one for the zxid", (_, changes, rowsWritten) => {
    const { rows, rowsWrittenBy } = rowsOf({ "/": znode(), "/a": znode() });
    expect(rowsWrittenBy(() => rows.write(checkpoint(changes)))).toBe(rowsWritten + 1);
  });

  test("stop the member when what they hold cannot be read", () => {
    const { storage, rows } = rowsOf({ "/": znode(), "/a": znode() }, [
      { id: owner, timeoutMs: 1, ownership: 1 },
    ]);
    storage.sql.exec("UPDATE znode SET record = x'ff'");
    storage.sql.exec("UPDATE session SET record = x''");
    expect(() => rows.readZnode("/a")).toThrow(AssertionFailure);
    expect(() => rows.listSessions()).toThrow(AssertionFailure);
    writeMeta(storage.sql, "applied", "7");
    expect(() => new SqlTreeRows(storage)).toThrow(AssertionFailure);
  });
});

describe("pages for a snapshot", () => {
  const paths = ["/", "/a", "/b", "/a/x", "/a/y", "/a/x/q"];
  const given = Object.fromEntries(paths.map((path) => [path, znode({ data: new Uint8Array(100) })]));

  test.each([0, 1, 150, 400, 1_000_000])("of %d bytes hold every znode once, parents first", (bytesMax) => {
    const { rows } = rowsOf(given);
    rows.openCut();
    const found: string[] = [];
    for (let page = rows.pageOfZnodes(undefined, bytesMax); ; ) {
      found.push(...page.rows.map(znodeRowPath));
      const end = page.rows.at(-1);
      if (page.isLast || end === undefined) break;
      page = rows.pageOfZnodes({ parent: end.parent, name: end.name }, bytesMax);
      expect(found.length).toBeLessThan(100);
    }
    // A page of no bytes would never end.
    expect(found).toEqual(bytesMax === 0 ? [] : paths);
  });

  test("of sessions are in the order of their ids, strictly after the one given", () => {
    const sessions = [1n, 2n, -1n].map((id) => ({ id: makeSessionId(id), timeoutMs: 1, ownership: 1 }));
    const { rows } = rowsOf({}, sessions);
    rows.openCut();
    expect(rows.pageOfSessions("", 2).map(({ id }) => id)).toEqual(["0x1", "0x2"]);
    expect(rows.pageOfSessions("0x2", 2).map(({ id }) => id)).toEqual(["0xffffffffffffffff"]);
    expect(rows.pageOfSessions("0xffffffffffffffff", 2)).toEqual([]);
  });
});

describe("a tree over SQLite", () => {
  const step = fc.oneof(
    { weight: 12, arbitrary: randomWrite },
    { weight: 2, arbitrary: fc.constant("checkpoint" as const) },
    { weight: 1, arbitrary: fc.constant("restart" as const) },
  );

  test("equals one over memory, through checkpoints and restarts (property)", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { storage } = emptyRows();
        const sqlRows = new SqlTreeRows(storage);
        let model = new Member({ ttlNodes: true });
        let tree = new Tree(sqlRows, { cacheBytesMax: 2_000, ttlNodes: true });
        for (const done of steps) {
          if (done === "checkpoint") {
            model.tree.checkpoint();
            tree.checkpoint();
          } else if (done === "restart") {
            model = restarted(model);
            tree = new Tree(new SqlTreeRows(storage), { cacheBytesMax: 2_000, ttlNodes: true });
          } else {
            model.nowMs += done.elapsedMs;
            model.write(done.request, done.who);
            const logged = model.log.at(-1);
            if (logged !== undefined) tree.apply(logged.zxid, logged.txn);
          }
          expect(formatZxid(tree.applied)).toBe(formatZxid(model.tree.applied));
        }
        expect(dump(tree)).toEqual(dump(model.tree));
        tree.checkpoint();
        model.tree.checkpoint();
        expect(dump(new Tree(new SqlTreeRows(storage), { cacheBytesMax: 0 }))).toEqual(dump(model.tree));
        expect(new SqlTreeRows(storage).listSweepable(undefined, 99)).toEqual(
          model.rows.listSweepable(undefined, 99),
        );
        const { znodes, ephemerals } = model.rows.census();
        expect(new SqlTreeRows(storage).census()).toMatchObject({ znodes, ephemerals });
      }),
      { numRuns: 150 },
    );
  });

  /** Memory is gone: what was applied since the last checkpoint with it, in both worlds alike. */
  function restarted(model: Member): Member {
    const next = new Member({ ttlNodes: true }, model.rows);
    next.nowMs = model.nowMs;
    return next;
  }

  test("counts paths and data, and nothing else of znodes with an open ACL", () => {
    const { storage } = emptyRows();
    const rows = new SqlTreeRows(storage);
    expect(rows.census()).toEqual({ znodes: 0, ephemerals: 0, bytes: 0 });
    const data = new Uint8Array(1_000);
    rows.write(checkpoint({ "/": znode(), "/a": znode({ data }), "/a/b": ephemeral, "/c": container }));
    const { bytes, ...counts } = rows.census();
    expect(counts).toEqual({ znodes: 4, ephemerals: 1 });
    expect(Math.abs(bytes - (1_000 + "//a/a/b/c".length))).toBeLessThan(40);
  });

  test("writes an updated znode in one row, however often it was updated", () => {
    const { storage, rowsWrittenBy } = emptyRows();
    const tree = new Tree(new SqlTreeRows(storage), { cacheBytesMax: 1_000_000 });
    const model = new Member({}, new MemoryRows());
    const apply = (run: () => unknown) => {
      run();
      const logged = model.log.at(-1);
      if (logged !== undefined) tree.apply(logged.zxid, logged.txn);
    };
    apply(() => model.must(create("/a")));
    tree.checkpoint();
    for (let i = 0; i < 5; i++) apply(() => model.must(setData("/a", new Uint8Array(i))));
    expect(rowsWrittenBy(() => tree.checkpoint())).toBe(2);
    expect(rowsWrittenBy(() => tree.checkpoint())).toBe(0);
  });
});
