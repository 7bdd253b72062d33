/**
 * Proves that a checkpoint in slices is a checkpoint: whatever is written between its slices, and wherever
 * memory is lost, the rows and the log are the tree; and that a slice is as small as it must be.
 *
 * Real trees over SQLite in memory. A plain tree that never forgets is the model.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CreateMode, compareZxid, makeSessionId, makeZxid, OpCode } from "../../src/base/index.ts";
import { Checkpoints, type SliceBounds, sliceBounds } from "../../src/objects/checkpoints.ts";
import { decodePart } from "../../src/objects/row-codec.ts";
import { SnapshotSource } from "../../src/objects/snapshots.ts";
import { migrate } from "../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../src/objects/sql/znodes.ts";
import { Tree } from "../../src/tree/index.ts";
import { randomWrite } from "../tree/random-requests.ts";
import { create, dump, Member, multi, remove, setData } from "../tree/support.ts";
import { openStorage } from "./support/sqlite.ts";

const options = { cacheBytesMax: 2_000, ttlNodes: true };

/** A member's tree over SQLite, beside the model that has the log. */
class Restless {
  readonly opened = openStorage();
  readonly model = new Member({ ttlNodes: true });
  readonly #bounds: SliceBounds;
  rows: SqlTreeRows;
  tree: Tree;
  checkpoints: Checkpoints;

  constructor(bounds: SliceBounds) {
    this.#bounds = bounds;
    migrate(this.opened.storage);
    this.rows = new SqlTreeRows(this.opened.storage);
    this.tree = new Tree(this.rows, options);
    this.checkpoints = new Checkpoints(this.rows, this.tree, bounds);
  }

  apply(request: Parameters<Member["write"]>[0], who?: Parameters<Member["write"]>[1]): void {
    this.model.write(request, who);
    const logged = this.model.log.at(-1);
    if (logged !== undefined) this.tree.apply(logged.zxid, logged.txn);
  }

  /** One slice, of a new checkpoint when none is under way. */
  step(): boolean {
    if (!this.checkpoints.isUnderWay) this.checkpoints.begin();
    return this.checkpoints.step();
  }

  /** Memory is gone; the log is replayed. */
  restart(): void {
    this.rows = new SqlTreeRows(this.opened.storage);
    this.tree = new Tree(this.rows, options);
    this.checkpoints = new Checkpoints(this.rows, this.tree, this.#bounds);
    this.replay();
  }

  replay(): void {
    for (const { zxid, txn } of this.model.log) {
      if (compareZxid(zxid, this.tree.applied) > 0) this.tree.apply(zxid, txn);
    }
  }
}

const bounds = fc.constantFrom<SliceBounds>(
  { rows: 1, bytes: 1_000_000 },
  { rows: 2, bytes: 1_000_000 },
  { rows: 1_000, bytes: 1 },
  { rows: 3, bytes: 400 },
  { rows: 1_000, bytes: 1_000_000 },
);

const step = fc.oneof(
  { weight: 8, arbitrary: randomWrite },
  { weight: 8, arbitrary: fc.constant("slice" as const) },
  { weight: 1, arbitrary: fc.constant("restart" as const) },
);

describe("a checkpoint in slices", () => {
  test("equals a tree that never forgets, wherever memory is lost (property)", () => {
    const isEqual = fc.property(bounds, fc.array(step, { maxLength: 90, size: "max" }), (sizes, steps) => {
      const restless = new Restless(sizes);
      for (const each of steps) {
        if (each === "slice") restless.step();
        else if (each === "restart") restless.restart();
        else {
          restless.model.nowMs += each.elapsedMs;
          restless.apply(each.request, each.who);
        }
        expect(dump(restless.tree)).toEqual(dump(restless.model.tree));
      }
      restless.checkpoints.finish();
      restless.checkpoints.finish();
      expect([restless.tree.dirtyCount, restless.opened.dump("draft")]).toEqual([0, []]);
      const woken = new Tree(new SqlTreeRows(restless.opened.storage), options);
      expect(dump(woken)).toEqual(dump(restless.model.tree));
      const rowCount = restless.opened.dump("znode").length;
      restless.model.tree.checkpoint();
      expect(rowCount, "no row is left behind").toBe(restless.model.rows.znodeCount);
    });
    fc.assert(isEqual, { numRuns: 150 });
  }, 60_000);

  test("and a snapshot opened between any two of its slices show the same moment (property)", () => {
    const moves = fc.array(fc.oneof(randomWrite, fc.constant("slice" as const)), {
      maxLength: 60,
      size: "max",
    });
    const isMoment = fc.property(bounds, moves, fc.nat({ max: 59 }), (sizes, steps, openAt) => {
      const restless = new Restless(sizes);
      restless.apply(create("/s"));
      restless.checkpoints.finish();
      const source = new SnapshotSource(restless.rows);
      let opened: { readonly id: number; readonly zxid: { epoch: number; counter: number } } | undefined;
      let page = 0;
      const arrived = openStorage();
      migrate(arrived.storage);
      const target = new SqlTreeRows(arrived.storage);
      let isWhole = false;
      const read = (id: number) => {
        const found = source.readPage(id, page);
        const part = decodePart(found?.bytes ?? new Uint8Array(0));
        if (found === undefined || part === undefined) throw new Error("the snapshot is gone");
        if (page === 0) target.beginStaging();
        target.stage(part);
        page += 1;
        isWhole = found.last;
      };
      steps.forEach((each, at) => {
        if (at === Math.min(openAt, steps.length - 1)) opened = source.open();
        if (each === "slice") restless.step();
        else restless.apply(each.request, each.who);
        if (opened !== undefined && !isWhole) read(opened.id);
      });
      if (opened === undefined) return;
      restless.checkpoints.finish();
      while (!isWhole) read(opened.id);
      target.install(makeZxid(opened.zxid.epoch, opened.zxid.counter));
      const learner = new Tree(target, options);
      const { zxid } = opened;
      const then = new Member({ ttlNodes: true });
      for (const logged of restless.model.log) {
        if (compareZxid(logged.zxid, zxid) <= 0) then.tree.apply(logged.zxid, logged.txn);
      }
      expect(dump(learner)).toEqual(dump(then.tree));
    });
    fc.assert(isMoment, { numRuns: 150 });
  }, 60_000);
});

describe("what is written", () => {
  const count = 2_000;

  function full(): Restless {
    const restless = new Restless(sliceBounds);
    for (let i = 0; i < count; i++) restless.apply(create(`/n${i}`, { data: new Uint8Array(10) }));
    return restless;
  }

  test("what fits a slice is one write, without a draft", () => {
    const restless = new Restless(sliceBounds);
    // With the four znodes of every tree.
    for (let i = 0; i < sliceBounds.rows - 4; i++) restless.apply(create(`/n${i}`));
    const rows = restless.opened.rowsWrittenBy(() => expect(restless.step()).toBe(true));
    expect(rows).toBe(sliceBounds.rows + 1);
  });

  test("one more is drafted, a slice at a time, and costs two rows for each page of the draft", () => {
    const restless = full();
    const slices: number[] = [];
    let isDone = false;
    while (!isDone) {
      slices.push(
        restless.opened.rowsWrittenBy(() => {
          isDone = restless.step();
        }),
      );
    }
    const pages = Math.ceil((count + 4) / sliceBounds.rows);
    expect(slices.length).toBe(2 * pages);
    expect(Math.max(...slices)).toBe(sliceBounds.rows + 1);
    expect(slices.reduce((sum, rows) => sum + rows, 0)).toBe(count + 4 + 2 * pages + 1);
  });

  test("large values make slices of few rows, and always of one", () => {
    const restless = new Restless(sliceBounds);
    for (let i = 0; i < 6; i++) restless.apply(create(`/n${i}`, { data: new Uint8Array(sliceBounds.bytes) }));
    restless.checkpoints.begin();
    let slices = 1;
    while (!restless.checkpoints.step()) slices += 1;
    expect(slices).toBeGreaterThanOrEqual(12);
    const pages = full();
    pages.step();
    expect(JSON.stringify(pages.opened.dump("draft")).length).toBeLessThan(2_000_000);
  });

  test("what came and went between two slices is not left in the rows", () => {
    const restless = new Restless({ rows: 1, bytes: 1_000_000 });
    restless.apply(create("/a"));
    restless.step();
    restless.apply(remove("/a"));
    restless.checkpoints.finish();
    expect(restless.opened.dump("znode").join()).toContain('"a"');
    restless.checkpoints.finish();
    expect(restless.opened.dump("znode").join()).not.toContain('"a"');
  });

  test("a session that opened and closed between two slices is not left either", () => {
    const restless = new Restless({ rows: 1, bytes: 1_000_000 });
    const session = makeSessionId(9n);
    restless.apply({ type: OpCode.CreateSession, timeoutMs: 4_000 }, { session });
    restless.apply(create("/e", { flags: CreateMode.Ephemeral }), { session });
    restless.step();
    restless.apply({ type: OpCode.CloseSession }, { session });
    restless.checkpoints.finish();
    restless.checkpoints.finish();
    expect([restless.opened.dump("session"), restless.opened.dump("znode").join().includes('"e"')]).toEqual([
      [],
      false,
    ]);
  });
});

describe("memory lost", () => {
  test.each(["INSERT INTO draft", "INSERT INTO znode", "DELETE FROM draft", "INSERT INTO meta"])(
    "when `%s` fails in any slice leaves a state that the log completes",
    (statement) => {
      for (let failAt = 0; ; failAt++) {
        const restless = new Restless({ rows: 2, bytes: 1_000_000 });
        for (const name of "abcdef") restless.apply(create(`/${name}`));
        restless.checkpoints.finish();
        restless.apply(multi(create("/g"), remove("/a"), setData("/b", new Uint8Array(2)), create("/h")));
        restless.checkpoints.begin();
        let slices = 0;
        let hasFailed = false;
        for (let isDone = false; !isDone && !hasFailed; slices++) {
          if (slices === failAt) restless.opened.failOn(statement);
          try {
            isDone = restless.checkpoints.step();
          } catch {
            hasFailed = true;
          }
        }
        restless.opened.failOn(undefined);
        restless.restart();
        expect(dump(restless.tree)).toEqual(dump(restless.model.tree));
        expect(restless.opened.dump("draft")).toEqual([]);
        if (failAt > slices) return;
      }
    },
  );
});
