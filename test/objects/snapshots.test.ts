/**
 * Proves that a learner's rows after a snapshot are the leader's, and that a snapshot is one moment.
 *
 * Two storages: pages are read from one, staged in the other and installed there.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AssertionFailure,
  makeServerId,
  makeSessionId,
  makeZxid,
  type Session,
  type Znode,
} from "../../src/base/index.ts";
import { History } from "../../src/objects/history.ts";
import { migrate } from "../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../src/objects/sql/znodes.ts";
import { Tree } from "../../src/tree/index.ts";
import type { StoreOp } from "../../src/zab/index.ts";
import * as arbitraries from "../jute/arbitraries.ts";
import { dump } from "../tree/support.ts";
import { openStorage } from "./support/sqlite.ts";

const config = { voters: [makeServerId(1)], observers: [], secret: "" };
const applied = makeZxid(3, 9);

function openDisk() {
  const opened = openStorage();
  migrate(opened.storage);
  const rows = new SqlTreeRows(opened.storage);
  return { ...opened, rows, history: new History(opened.storage, rows) };
}

type Disk = ReturnType<typeof openDisk>;

function diskOf(znodes: ReadonlyMap<string, Znode>, sessions: readonly Session[]): Disk {
  const disk = openDisk();
  const byId = new Map(sessions.map((session) => [session.id, session]));
  disk.rows.write({ applied, znodes, sessions: byId });
  return disk;
}

/** Every page, each asked for twice, as a learner that missed one would. */
function pagesOf(disk: Disk): Uint8Array[] {
  const { id } = disk.history.openSnapshot();
  const pages: Uint8Array[] = [];
  for (;;) {
    const page = disk.history.readSnapshotPage(id, pages.length);
    if (page === undefined) throw new Error("the snapshot is gone");
    const again = disk.history.readSnapshotPage(id, pages.length);
    expect(Buffer.compare(page.bytes, again?.bytes ?? new Uint8Array(0))).toBe(0);
    pages.push(page.bytes);
    if (page.last) break;
  }
  disk.history.closeSnapshot(id);
  return pages;
}

function staged(pages: readonly Uint8Array[]): StoreOp[] {
  return pages.map((bytes, page) => ({ kind: "stagePage", page, bytes }));
}

function tables(disk: Disk): string[][] {
  return ["znode", "session"].map((table) => disk.dump(table));
}

/** Znodes enough for several pages, with names whose order is easy to get wrong. */
function manyZnodes(): Map<string, Znode> {
  const source = openDisk();
  const rootZnode = new Tree(source.rows, { cacheBytesMax: 1_000_000 }).get("/");
  if (rootZnode === undefined) throw new Error("no root");
  const znodes = new Map([["/", rootZnode]]);
  for (const name of ["a", "a-", "a0", "b", "é", "\uffef"]) {
    znodes.set(`/${name}`, { ...rootZnode, data: new Uint8Array(100_000).fill(name.charCodeAt(0)) });
    znodes.set(`/${name}/x`, { ...rootZnode, data: null, lifetime: { kind: "container" } });
  }
  return znodes;
}

function manySessions(count: number): Session[] {
  return Array.from({ length: count }, (_, i) => ({
    id: makeSessionId(BigInt(i + 1) << 40n),
    timeoutMs: i + 1,
    ownership: 1,
  }));
}

describe("a snapshot", () => {
  test.each([0, 1, 999, 1_000, 1_001, 2_000])("with %d sessions arrives whole", (count) => {
    const source = diskOf(manyZnodes(), manySessions(count));
    const pages = pagesOf(source);
    expect(pages.length).toBeGreaterThan(3);
    const target = openDisk();
    target.history.write(staged(pages));
    target.history.write([{ kind: "installSnapshot", zxid: applied, pages: pages.length }]);
    expect(tables(target)).toEqual(tables(source));
    expect([target.rows.applied, target.dump("staging"), target.dump("log")]).toEqual([applied, [], []]);
  });

  test("of any rows is those rows (property)", () => {
    const name = fc.constantFrom("a", "b", "a-", "é", "\uf900", "0");
    const path = fc.array(name, { maxLength: 3 }).map((names) => `/${names.join("/")}`);
    const given = fc.record({
      znodes: fc.array(fc.tuple(path, arbitraries.znode), { maxLength: 20 }),
      sessions: fc.uniqueArray(arbitraries.session, { maxLength: 5, selector: ({ id }) => id }),
    });
    fc.assert(
      fc.property(given, ({ znodes, sessions }) => {
        const source = diskOf(new Map(znodes), sessions);
        const pages = pagesOf(source);
        const target = diskOf(new Map(znodes.slice(3)), sessions.slice(2));
        target.history.write([
          ...staged(pages),
          { kind: "installSnapshot", zxid: makeZxid(7, 7), pages: pages.length },
        ]);
        expect(tables(target)).toEqual(tables(source));
        expect(target.rows.applied).toEqual(makeZxid(7, 7));
      }),
      { numRuns: 60 },
    );
  });

  test("replaces what the learner had: rows, log and base", () => {
    const source = diskOf(manyZnodes(), manySessions(3));
    const pages = pagesOf(source);
    const target = diskOf(new Map([["/old", [...manyZnodes().values()][1] as Znode]]), manySessions(9));
    target.history.write([
      { kind: "append", prev: applied, batch: { epoch: 3, first: 1, payloads: [new Uint8Array(2)] } },
      ...staged(pages),
    ]);
    const zxid = makeZxid(5, 5);
    target.history.write([{ kind: "installSnapshot", zxid, pages: pages.length }]);
    expect(tables(target)).toEqual(tables(source));
    expect(target.history.load(config)).toMatchObject({ outline: { base: zxid, runs: [] }, applied: zxid });
    expect(target.history.readAfter(makeZxid(3, 0), 99)).toBeUndefined();
    const again = new History(target.storage, new SqlTreeRows(target.storage));
    expect(again.load(config)).toMatchObject({ outline: { base: zxid, runs: [] }, applied: zxid });
  });

  test("makes the learner's tree, reloaded, the leader's", () => {
    const source = openDisk();
    const tree = new Tree(source.rows, { cacheBytesMax: 1_000_000 });
    tree.apply(makeZxid(1, 1), {
      sessionId: makeSessionId(5n),
      cxid: 0,
      timeMs: 1,
      op: { kind: "createSession", timeoutMs: 9_000 },
    });
    tree.checkpoint();
    const pages = pagesOf(source);
    const target = openDisk();
    const learner = new Tree(target.rows, { cacheBytesMax: 1_000_000 });
    target.history.write([
      ...staged(pages),
      { kind: "installSnapshot", zxid: makeZxid(1, 1), pages: pages.length },
    ]);
    learner.reload();
    expect(dump(learner)).toEqual(dump(tree));
  });

  test("that misses a page stops the member and changes nothing", () => {
    const target = diskOf(manyZnodes(), manySessions(2));
    const before = tables(target);
    const pages = pagesOf(target);
    target.history.write(staged(pages.slice(0, -1)));
    const install: StoreOp = { kind: "installSnapshot", zxid: makeZxid(9, 9), pages: pages.length };
    expect(() => target.history.write([install])).toThrow(AssertionFailure);
    expect(tables(target)).toEqual(before);
  });

  test.each([
    ["noise", Uint8Array.of(1, 2, 3)],
    ["nothing", new Uint8Array(0)],
    ["a page of an empty row", Uint8Array.of(1, 1, 0)],
    ["a znode that cannot be read", Uint8Array.of(1, 1, 4, 1, 1, 47, 99)],
    ["a session that cannot be read", Uint8Array.of(1, 1, 2, 2, 99)],
  ])("with %s for a page stops the member and changes nothing", (_, page) => {
    const target = diskOf(manyZnodes(), manySessions(2));
    const before = tables(target);
    target.history.write(staged([page]));
    const install: StoreOp = { kind: "installSnapshot", zxid: makeZxid(9, 9), pages: 1 };
    expect(() => target.history.write([install])).toThrow(AssertionFailure);
    expect(tables(target)).toEqual(before);
  });

  test("page staged twice is the later one; discarded pages are gone", () => {
    const { history, dump } = openDisk();
    history.write(staged([Uint8Array.of(1)]));
    history.write(staged([Uint8Array.of(2)]));
    expect(dump("staging")).toEqual(['[0,"02"]']);
    history.write([{ kind: "discardStaging" }]);
    expect(dump("staging")).toEqual([]);
  });
});

describe("SnapshotSource", () => {
  test("lets learners share one snapshot, and a later one is another", () => {
    const { history } = diskOf(manyZnodes(), []);
    const first = history.openSnapshot();
    expect([history.openSnapshot(), first.zxid]).toEqual([first, applied]);
    history.closeSnapshot(first.id);
    expect(history.snapshots.isOpen).toBe(true);
    history.closeSnapshot(first.id);
    expect(history.snapshots.isOpen).toBe(false);
    expect(history.readSnapshotPage(first.id, 0)).toBeUndefined();
    expect(history.openSnapshot().id).not.toBe(first.id);
  });

  test("closed by a stranger's id stays open", () => {
    const { history } = diskOf(manyZnodes(), []);
    const { id } = history.openSnapshot();
    history.closeSnapshot(id + 1);
    expect(history.snapshots.isOpen).toBe(true);
  });

  test("given up has no pages, and its holders' closing does not close the next", () => {
    const { history } = diskOf(manyZnodes(), []);
    const { id } = history.openSnapshot();
    history.snapshots.giveUp();
    expect(history.readSnapshotPage(id, 0)).toBeUndefined();
    const next = history.openSnapshot();
    history.closeSnapshot(id);
    expect([next.id === id, history.readSnapshotPage(next.id, 0) !== undefined]).toEqual([false, true]);
  });

  test("has no page that was not reached in order, nor one past the last", () => {
    const { history } = diskOf(manyZnodes(), []);
    const { id } = history.openSnapshot();
    expect(history.readSnapshotPage(id, 1)).toBeUndefined();
    const pages = pagesOf(diskOf(manyZnodes(), [])).length;
    for (let page = 0; page < pages; page++) history.readSnapshotPage(id, page);
    expect(history.readSnapshotPage(id, pages)).toBeUndefined();
  });

  test("whose rows changed underneath is a bug", () => {
    const { history, rows } = diskOf(manyZnodes(), []);
    const { id } = history.openSnapshot();
    rows.write({ applied: makeZxid(4, 1), znodes: new Map(), sessions: new Map() });
    expect(() => history.readSnapshotPage(id, 0)).toThrow(AssertionFailure);
  });

  test("keeps a page near its aim, whatever the size of znodes", () => {
    const [rootZnode] = manyZnodes().values();
    const znodes = new Map<string, Znode>();
    for (let i = 0; i < 40; i++)
      znodes.set(`/${i}`, { ...(rootZnode as Znode), data: new Uint8Array(60_000) });
    const sizes = pagesOf(diskOf(znodes, [])).map(({ length }) => length);
    expect(Math.max(...sizes)).toBeLessThan(256 * 1024 + 61_000);
    expect(sizes.length).toBeGreaterThan(8);
  });
});
