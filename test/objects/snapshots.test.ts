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
import { migrate, readMeta } from "../../src/objects/sql/meta.ts";
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

/** Every page, each asked for twice, as by two learners. */
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

/** The rows that are the tree, without the number of their generation. */
function tables(disk: Disk): unknown[][] {
  const live = Number(readMeta(disk.storage.sql, "generation") ?? "1");
  return ["znode", "session"].map((table) =>
    disk
      .dump(table)
      .map((row): unknown[] => JSON.parse(row))
      .flatMap(([generation, ...columns]) => (generation === live ? [columns] : [])),
  );
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
    expect([target.rows.applied, target.dump("log")]).toEqual([applied, []]);
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
    expect(() => target.history.write(staged([page]))).toThrow(AssertionFailure);
    expect(tables(target)).toEqual(before);
  });

  test("that begins anew drops what had arrived, and what it replaced is swept a part at a time", () => {
    const source = diskOf(manyZnodes(), manySessions(3));
    const pages = pagesOf(source);
    const target = diskOf(manyZnodes(), manySessions(2));
    target.history.write(staged(pages.slice(0, 2)));
    target.history.write([{ kind: "discardStaging" }]);
    target.history.write(staged(pages));
    target.history.write([{ kind: "installSnapshot", zxid: makeZxid(9, 9), pages: pages.length }]);
    expect(tables(target)).toEqual(tables(source));
    const swept: number[] = [];
    while (target.rows.mayHaveGarbage) swept.push(target.rows.sweep({ rows: 4, bytes: 150_000 }));
    expect(Math.max(...swept)).toBe(4);
    expect(tables(target)).toEqual(tables(source));
    expect(target.dump("znode").length).toBe(tables(source)[0]?.length);
    expect(target.dump("session").length).toBe(3);
  });

  test("half of which had arrived when memory was lost is swept", () => {
    const target = diskOf(manyZnodes(), manySessions(2));
    const before = [tables(target), target.dump("znode"), target.dump("session")];
    target.history.write(staged(pagesOf(target).slice(0, 3)));
    expect(target.dump("znode").length).toBeGreaterThan(before[1]?.length ?? 0);
    const rows = new SqlTreeRows(target.storage);
    while (rows.mayHaveGarbage) rows.sweep({ rows: 100, bytes: 1_000_000 });
    expect([tables(target), target.dump("znode"), target.dump("session")]).toEqual(before);
  });

  test("whose pages leave a gap stops the member", () => {
    const target = diskOf(manyZnodes(), []);
    const [first, , third] = staged(pagesOf(target));
    if (first === undefined || third === undefined) throw new Error("too few pages");
    target.history.write([first]);
    expect(() => target.history.write([third])).toThrow(AssertionFailure);
  });
});

describe("SnapshotSource", () => {
  test("lets learners share one snapshot, and a later one is another", () => {
    const { history } = diskOf(manyZnodes(), []);
    const first = history.openSnapshot();
    expect([history.openSnapshot(), first.zxid]).toEqual([first, applied]);
    history.closeSnapshot(first.id);
    expect(history.snapshots.heldFrom).toEqual(applied);
    history.closeSnapshot(first.id);
    expect(history.snapshots.heldFrom).toBeUndefined();
    expect(history.readSnapshotPage(first.id, 0)).toBeUndefined();
    expect(history.openSnapshot().id).not.toBe(first.id);
  });

  test("closed by a stranger's id stays open", () => {
    const { history } = diskOf(manyZnodes(), []);
    const { id } = history.openSnapshot();
    history.closeSnapshot(id + 1);
    expect(history.snapshots.heldFrom).toEqual(applied);
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

  test("shows one moment, whatever is written to the rows meanwhile", () => {
    const disk = diskOf(manyZnodes(), manySessions(2_500));
    const before = tables(disk);
    const { id } = disk.history.openSnapshot();
    const pages: Uint8Array[] = [];
    const [, [, some] = ["", undefined]] = manyZnodes();
    for (let page = disk.history.readSnapshotPage(id, 0); page !== undefined; ) {
      pages.push(page.bytes);
      const at = pages.length;
      // Gone, new, and changed, before and behind the page; twice the same, so that only the first counts.
      const znodes = new Map([
        ["/a/x", undefined],
        ["/b", some],
        ["/b/x", undefined],
        ["/zz", some],
        [`/n${at}`, some],
      ]);
      const sessions = manySessions(2_500).map(
        (session, i) => [session.id, i % 2 === at % 2 ? undefined : { ...session, timeoutMs: 7 }] as const,
      );
      disk.rows.write({ applied: makeZxid(4, at), znodes, sessions: new Map(sessions) });
      if (page.last) break;
      page = disk.history.readSnapshotPage(id, at);
    }
    const target = openDisk();
    target.history.write(staged(pages));
    target.history.write([{ kind: "installSnapshot", zxid: applied, pages: pages.length }]);
    expect(tables(target)).toEqual(before);
    expect(tables(disk)).not.toEqual(before);

    expect(disk.dump("aside").length).toBeGreaterThan(0);
    disk.history.closeSnapshot(id);
    while (disk.rows.mayHaveGarbage) disk.rows.sweep({ rows: 1_000, bytes: 1_000_000 });
    expect([disk.dump("aside"), disk.dump("aside_session")]).toEqual([[], []]);
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
