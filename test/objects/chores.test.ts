/**
 * Proves that what no client waits for is done in bounded parts, and done at all.
 *
 * A real history and a real tree over SQLite in memory. A turn is one batch logged and applied, and the
 * chores at its end; rows written are counted turn by turn.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  compareZxid,
  makeServerId,
  NO_SESSION,
  OPEN_ACL,
  type Txn,
  type Zxid,
} from "../../src/base/index.ts";
import { encodeTxn } from "../../src/jute/index.ts";
import { sliceBounds } from "../../src/objects/checkpoints.ts";
import { Chores } from "../../src/objects/chores.ts";
import { History } from "../../src/objects/history.ts";
import { databaseBytesMax, Room } from "../../src/objects/room.ts";
import { migrate } from "../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../src/objects/sql/znodes.ts";
import { Tree } from "../../src/tree/index.ts";
import { openStorage } from "./support/sqlite.ts";

class World {
  readonly opened = openStorage();
  readonly rows: SqlTreeRows;
  readonly history: History;
  readonly tree: Tree;
  readonly chores: Chores;
  readonly heard: string[] = [];
  readonly room: Room;
  base: Zxid | undefined;
  nowMs = 0;
  #creates = 0;

  constructor(bytesMax = databaseBytesMax) {
    migrate(this.opened.storage);
    this.rows = new SqlTreeRows(this.opened.storage);
    this.room = new Room(this.opened.storage.sql, () => this.nowMs, bytesMax);
    this.history = new History(this.opened.storage, this.rows, this.room);
    this.tree = new Tree(this.rows, { cacheBytesMax: 1_000_000 });
    this.chores = new Chores({
      history: this.history,
      rows: this.rows,
      tree: this.tree,
      checkpointed: (applied) => {
        this.heard.push("checkpointed");
        expect(applied).toEqual(this.rows.applied);
      },
      compacted: (base) => {
        this.base = base;
      },
    });
  }

  /** Creates so many znodes as one batch, and says how many rows the chores of the turn wrote. */
  turn(count: number, bytes = 100): number {
    const txns = Array.from({ length: count }, (): Txn => {
      this.#creates += 1;
      const path = `/n${this.#creates}`;
      const data = new Uint8Array(bytes);
      const lifetime = { kind: "persistent" } as const;
      const op = {
        kind: "create",
        path,
        data,
        acl: OPEN_ACL,
        lifetime,
        parentCreates: this.#creates,
      } as const;
      return { sessionId: NO_SESSION, cxid: 0, timeMs: 1, op };
    });
    return this.commit(txns);
  }

  commit(txns: readonly Txn[]): number {
    const first = this.tree.applied.counter + 1;
    const batch = { epoch: 1, first, payloads: txns.map(encodeTxn) };
    this.history.write([{ kind: "append", prev: this.tree.applied, batch }]);
    for (const [i, txn] of txns.entries()) this.tree.apply({ epoch: 1, counter: first + i }, txn);
    return this.idle();
  }

  /** A turn of nothing else. */
  idle(): number {
    return this.opened.rowsWrittenBy(() => this.chores.work());
  }

  tick(): number {
    this.nowMs += 100;
    this.chores.tick();
    return this.idle();
  }

  countOf(table: "znode" | "log"): number {
    const [row] = this.opened.storage.sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`).toArray();
    return row?.n ?? 0;
  }

  logBytes(): number {
    const query = "SELECT SUM(LENGTH(batch)) AS bytes FROM log";
    return this.opened.storage.sql.exec<{ bytes: number }>(query).toArray()[0]?.bytes ?? 0;
  }

  /** Turns until there is nothing left to do. */
  settle(): number[] {
    const rows: number[] = [];
    while (rows.at(-1) !== 0 || this.rows.mayHaveGarbage) rows.push(this.idle());
    return rows;
  }
}

describe("chores", () => {
  test("do nothing before they are due", () => {
    const world = new World();
    expect(world.turn(1_000)).toBe(0);
    expect(world.settle()).toEqual([0]);
    expect(world.tree.dirtyCount).toBeGreaterThan(1_000);
  });

  test("keep up with creates, and write no more in a turn than a few slices", () => {
    const world = new World();
    const written: number[] = [];
    let dirtyBytesMost = 0;
    for (let turn = 0; turn < 280; turn++) {
      written.push(world.turn(150));
      dirtyBytesMost = Math.max(dirtyBytesMost, world.tree.dirtyBytes);
    }
    // 42,000 znodes weigh about 18 MB: checkpoint after checkpoint, each in many turns.
    expect(world.heard.length).toBeGreaterThanOrEqual(1);
    expect(written.filter((rows) => rows > 0).length).toBeGreaterThan(40);
    expect(Math.max(...written)).toBeLessThanOrEqual(8 * (sliceBounds.rows + 1));
    expect(written.filter((rows) => rows > 2 * sliceBounds.rows).length).toBeLessThan(40);
    expect(dirtyBytesMost).toBeLessThan(16 * 1024 * 1024);
    world.chores.checkpoint();
    world.settle();
    expect(world.countOf("znode")).toBe(42_000 + 4);
  }, 60_000);

  test("drop the log behind a checkpoint, a part in each turn, but for the last 2,000 txns", () => {
    const world = new World();
    for (let turn = 0; turn < 3_000; turn++) world.turn(1, 10);
    world.chores.checkpoint();
    const written = world.settle();
    expect(Math.max(...written)).toBeLessThanOrEqual(256 + 1);
    expect(world.countOf("log")).toBe(2_000);
    expect(world.base).toEqual({ epoch: 1, counter: 1_000 });
  });

  test("keep log and file within bounds under a load that never pauses", () => {
    const world = new World();
    let logBytesMost = 0;
    const turns = 600;
    for (let turn = 0; turn < turns; turn++) {
      world.turn(5, 100_000);
      if (turn % 10 === 0) logBytesMost = Math.max(logBytesMost, world.logBytes());
    }
    // 16 MiB are kept, 8 MiB make the next checkpoint due, and what comes while it is written.
    expect(logBytesMost).toBeLessThan(64 * 1024 * 1024);
    world.chores.checkpoint();
    world.settle();
    const valueBytes = turns * 5 * 100_000;
    expect(world.opened.fileSize()).toBeLessThan(1.05 * valueBytes + 80 * 1024 * 1024);
    expect(world.opened.storage.sql.databaseSize).toBeLessThan(1.05 * valueBytes + 20 * 1024 * 1024);
  }, 60_000);

  test("sweep what nobody reads between checkpoints, when they never pause", () => {
    const world = new World();
    const { id } = world.history.openSnapshot();
    while (world.heard.length < 2) world.turn(5, 100_000);
    const aside = world.opened.dump("aside").length;
    expect(aside).toBeGreaterThan(100);
    world.history.closeSnapshot(id);
    const heard = world.heard.length;
    while (world.heard.length < heard + 4) world.turn(5, 100_000);
    expect(world.opened.dump("aside")).toEqual([]);
  }, 60_000);

  test("write a checkpoint after a quiet second, so that waking is short", () => {
    const world = new World();
    world.turn(3_000);
    expect(world.history.loggedBytes).toBeGreaterThan(256 * 1024);
    for (let tick = 0; tick < 10; tick++) expect(world.tick()).toBe(0);
    world.tick();
    while (world.heard.length === 0) world.idle();
    expect([world.tree.dirtyCount, world.history.loggedBytes]).toEqual([0, 0]);
    expect(world.settle().at(-1)).toBe(0);
  });

  test("write what makes room after a quiet second, however little it is", () => {
    const world = new World(2_000_000);
    for (let turn = 0; turn < 40; turn++) world.turn(1, 100_000);
    world.chores.checkpoint();
    world.settle();
    for (let tick = 0; tick < 50; tick++) expect(world.tick()).toBe(0);
    expect(world.room.isFull).toBe(true);
    const paths = Array.from({ length: 40 }, (_, i) => `/n${i + 1}`);
    world.commit(
      paths.map((path) => ({ sessionId: NO_SESSION, cxid: 0, timeMs: 1, op: { kind: "delete", path } })),
    );
    const { heard } = world;
    const before = heard.length;
    for (let tick = 0; tick < 20; tick++) world.tick();
    expect([heard.length, world.tree.dirtyCount]).toEqual([before + 1, 0]);
    // The log of the creates is still kept for learners a little behind.
    expect(world.opened.storage.sql.databaseSize).toBeLessThan(40 * 100_000 + 300_000);
  });

  test("wait for the quiet to come back when it is broken", () => {
    const world = new World();
    for (let tick = 0; tick < 20; tick++) world.tick();
    expect(world.turn(3_000)).toBe(0);
    for (let tick = 0; tick < 10; tick++) expect(world.tick()).toBe(0);
  });

  test("leave a short tail of log alone, however quiet it is: it costs rows, and waking is short anyway", () => {
    const world = new World();
    world.turn(100);
    for (let tick = 0; tick < 50; tick++) expect(world.tick()).toBe(0);
  });

  test("go on while a snapshot is open, and keep the log from it on", () => {
    const world = new World();
    world.turn(100);
    world.chores.checkpoint();
    const { id, zxid } = world.history.openSnapshot();
    for (let turn = 0; turn < 30; turn++) world.turn(100);
    world.chores.checkpoint();
    world.settle();
    expect(world.rows.applied).toEqual(world.tree.applied);
    const outline = world.history.load({ voters: [makeServerId(1)], observers: [], secret: "" }).outline;
    expect(compareZxid(outline.base, zxid)).toBeLessThanOrEqual(0);
    world.history.closeSnapshot(id);
    world.chores.checkpoint();
    world.settle();
    expect(world.base).toEqual({ epoch: 1, counter: 1_100 });
    expect([world.opened.dump("aside"), world.opened.dump("aside_session")]).toEqual([[], []]);
  });
});
