/**
 * Proves that a member's log is what was stored in it, from memory or from its rows, and what it costs.
 *
 * Examples per store duty, then a property: random appends, truncations, checkpoints, compactions and
 * restarts against a plain list of txns.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AssertionFailure,
  compareZxid,
  equalZxid,
  formatZxid,
  makeServerId,
  makeSessionId,
  makeZxid,
  ZERO_ZXID,
  type Zxid,
} from "../../src/base/index.ts";
import { History } from "../../src/objects/history.ts";
import { encodePart } from "../../src/objects/row-codec.ts";
import { migrate, readMeta, writeMeta } from "../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../src/objects/sql/znodes.ts";
import type { Batch, StoreOp } from "../../src/zab/index.ts";
import { openStorage } from "./support/sqlite.ts";

const config = { voters: [makeServerId(1), makeServerId(2)], observers: [makeServerId(3)], secret: "" };
/** Everything at once. */
const unbounded = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
const promises = { acceptedEpoch: 4, acceptedLeader: makeServerId(2), currentEpoch: 3, establishedEpoch: 1 };

function payload(epoch: number, counter: number, bytes = 3): Uint8Array {
  return new Uint8Array(bytes).fill(epoch * 16 + (counter % 16));
}

function batch(epoch: number, first: number, count: number, bytes = 3): Batch {
  return {
    epoch,
    first,
    payloads: Array.from({ length: count }, (_, i) => payload(epoch, first + i, bytes)),
  };
}

const page = encodePart({
  znodes: new Map(),
  sessions: new Map([[makeSessionId(1n), { id: makeSessionId(1n), timeoutMs: 1, ownership: 0 }]]),
});

/** `prev` is the peer's to check; the history does not look at it. */
function append(given: Batch): StoreOp {
  return { kind: "append", prev: ZERO_ZXID, batch: given };
}

class Disk {
  readonly opened = openStorage();
  readonly storage = this.opened.storage;
  rows: SqlTreeRows;
  history: History;

  constructor() {
    migrate(this.storage);
    this.rows = new SqlTreeRows(this.storage);
    this.history = new History(this.storage, this.rows);
  }

  /** Memory is gone. */
  restart(): void {
    this.rows = new SqlTreeRows(this.storage);
    this.history = new History(this.storage, this.rows);
  }

  write(...ops: StoreOp[]): number {
    return this.opened.rowsWrittenBy(() => this.history.write(ops));
  }

  applyThrough(applied: Zxid): void {
    this.rows.write({ applied, znodes: new Map(), sessions: new Map() });
  }

  outline() {
    return this.history.load(config).outline;
  }

  /** Everything after `after`, as "zxid:first byte", in pages. */
  readAll(after: Zxid, bytesMax = 1_000_000): string[] {
    const found: string[] = [];
    let at = after;
    for (;;) {
      const next = this.history.readAfter(at, bytesMax);
      if (next === undefined) return found;
      expect(next.payloads.length).toBeGreaterThan(0);
      next.payloads.forEach((bytes, i) => {
        at = makeZxid(next.epoch, next.first + i);
        found.push(`${formatZxid(at)}:${bytes[0]}`);
      });
    }
  }
}

function listed(...batches: Batch[]): string[] {
  return batches.flatMap(({ epoch, first, payloads }) =>
    payloads.map((bytes, i) => `${formatZxid(makeZxid(epoch, first + i))}:${bytes[0]}`),
  );
}

describe("load()", () => {
  test("of an empty disk promises nothing and holds nothing", () => {
    expect(new Disk().history.load(config)).toEqual({
      promises: { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 },
      config: {
        version: ZERO_ZXID,
        members: [
          { id: 1, role: "voter" },
          { id: 2, role: "voter" },
          { id: 3, role: "observer" },
        ],
      },
      outline: { base: ZERO_ZXID, runs: [] },
      applied: ZERO_ZXID,
    });
  });

  test("tells one run per epoch, what is applied, and the promises", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 2)), append(batch(1, 3, 1)), append(batch(4, 1, 5)), {
      kind: "promises",
      promises,
    });
    disk.applyThrough(makeZxid(4, 2));
    disk.restart();
    expect(disk.history.load(config)).toMatchObject({
      promises,
      outline: {
        base: ZERO_ZXID,
        runs: [
          { epoch: 1, last: 3 },
          { epoch: 4, last: 5 },
        ],
      },
      applied: makeZxid(4, 2),
    });
  });

  test.each([
    "{}",
    "null",
    '"x"',
    '{"acceptedEpoch":1,"acceptedLeader":0,"currentEpoch":0}',
    '{"acceptedEpoch":"1"}',
  ])("stops the member when its promises are %s", (stored) => {
    const disk = new Disk();
    writeMeta(disk.storage.sql, "promises", stored);
    expect(() => disk.history.load(config)).toThrow(AssertionFailure);
  });

  test("tells the configurations stored last, and not the first one any more", () => {
    const disk = new Disk();
    const two = [
      { id: makeServerId(1), role: "voter" },
      { id: makeServerId(4), role: "observer", storageId: "ab" },
    ] as const;
    const committed = { version: makeZxid(1, 7), members: two, retired: [makeServerId(3)] };
    const pending = { version: makeZxid(1, 9), members: two.slice(0, 1) };
    disk.write({ kind: "configs", committed, pending });
    disk.restart();
    expect(disk.history.load(config)).toMatchObject({ config: committed, pending });
    disk.write({ kind: "configs", committed: pending, pending: undefined });
    expect(disk.history.load(config).config).toEqual(pending);
    expect(disk.history.load(config).pending).toBeUndefined();
  });

  test.each([
    "{}",
    "null",
    '{"committed":{"version":{"epoch":1,"counter":1},"members":[{"id":0,"role":"voter"}]}}',
    '{"committed":{"version":{"epoch":1,"counter":1},"members":[{"id":1,"role":"king"}]}}',
    '{"committed":{"version":"0x1","members":[]}}',
    '{"committed":{"version":{"epoch":1,"counter":1},"members":[],"retired":[255]}}',
    '{"committed":{"version":{"epoch":1,"counter":1},"members":[{"id":1,"role":"voter"}]},"pending":{}}',
  ])("stops the member when its configurations are %s", (stored) => {
    const disk = new Disk();
    writeMeta(disk.storage.sql, "configs", stored);
    expect(() => disk.history.load(config)).toThrow(AssertionFailure);
  });

  test("stops the member when a run does not begin where it must", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 2, 2)));
    expect(() => disk.history.load(config)).toThrow(AssertionFailure);
  });
});

describe("write()", () => {
  test.each<[string, StoreOp, number]>([
    ["an append of 20,000 txns", append(batch(2, 1, 20_000)), 1],
    ["promises", { kind: "promises", promises }, 1],
    ["a fence", { kind: "fence" }, 1],
    ["a staged page of one row", { kind: "stagePage", page: 0, bytes: page }, 1],
    ["a truncation between rows", { kind: "truncate", after: makeZxid(1, 2) }, 1],
    ["a truncation within a row", { kind: "truncate", after: makeZxid(1, 3) }, 2],
    ["nothing to discard", { kind: "discardStaging" }, 0],
  ])("costs %s its rows", (_, op, rowsWritten) => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 2)), append(batch(1, 3, 2)));
    expect(disk.write(op)).toBe(rowsWritten);
  });

  test("of nothing writes nothing", () => {
    expect(new Disk().write()).toBe(0);
  });

  test("is all or nothing", () => {
    const disk = new Disk();
    disk.opened.failOn("INSERT INTO session");
    const ops: StoreOp[] = [append(batch(1, 1, 2)), { kind: "stagePage", page: 0, bytes: page }];
    expect(() => disk.write(...ops)).toThrow("disk");
    disk.restart();
    expect([disk.readAll(ZERO_ZXID), disk.outline().runs]).toEqual([[], []]);
  });

  test("changes the fence each time", () => {
    const disk = new Disk();
    const fences = [0, 1, 2].map(() => {
      disk.write({ kind: "fence" });
      return readMeta(disk.storage.sql, "fence");
    });
    expect(new Set(fences).size).toBe(3);
  });
});

describe("readAfter()", () => {
  test("gives what was appended, at once and after a restart", () => {
    const disk = new Disk();
    const batches = [batch(1, 1, 2), batch(1, 3, 1), batch(2, 1, 3)];
    disk.write(...batches.map(append));
    expect(disk.readAll(ZERO_ZXID)).toEqual(listed(...batches));
    disk.restart();
    expect(disk.readAll(ZERO_ZXID)).toEqual(listed(...batches));
  });

  test("gives only one epoch at a time, and goes on in the next", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 2)), append(batch(3, 1, 2)));
    disk.restart();
    expect(disk.history.readAfter(ZERO_ZXID, 1_000_000)).toEqual(batch(1, 1, 2));
    expect(disk.history.readAfter(makeZxid(1, 2), 1_000_000)).toEqual(batch(3, 1, 2));
    expect(disk.history.readAfter(makeZxid(3, 2), 1_000_000)).toBeUndefined();
  });

  test("begins within a row", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 4)));
    for (const isFresh of [false, true]) {
      if (isFresh) disk.restart();
      expect(disk.history.readAfter(makeZxid(1, 2), 1_000_000)).toEqual(batch(1, 3, 2));
    }
  });

  test("gathers rows up to bytesMax, and always at least one", () => {
    const disk = new Disk();
    for (let counter = 1; counter <= 5; counter++) disk.write(append(batch(1, counter, 1, 100)));
    disk.restart();
    const counts = [0, 1, 205, 210, 350, 10_000].map(
      (bytesMax) => disk.history.readAfter(ZERO_ZXID, bytesMax)?.payloads.length,
    );
    expect(counts).toEqual([1, 1, 1, 2, 3, 5]);
  });

  test("gives old and recent batches alike when memory holds only some", () => {
    const disk = new Disk();
    const batches = Array.from({ length: 12 }, (_, i) => batch(1, i + 1, 1, 512 * 1024));
    for (const each of batches) disk.write(append(each));
    expect(disk.readAll(ZERO_ZXID)).toEqual(listed(...batches));
    disk.write(append(batch(2, 1, 1)));
    expect(disk.readAll(makeZxid(1, 11))).toEqual(listed(batch(1, 12, 1), batch(2, 1, 1)));
  });

  test("stops the member at a row that cannot be read", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 2)));
    disk.restart();
    disk.storage.sql.exec("UPDATE log SET count = 3");
    expect(() => disk.history.readAfter(ZERO_ZXID, 9)).toThrow(AssertionFailure);
  });
});

describe("a truncation", () => {
  test.each([
    ["within a row", makeZxid(1, 4), [batch(1, 1, 3), batch(1, 4, 1)]],
    ["at a row's end", makeZxid(1, 3), [batch(1, 1, 3)]],
    ["at a row's first txn", makeZxid(2, 1), [batch(1, 1, 6), batch(2, 1, 1)]],
    ["at an epoch's end", makeZxid(1, 6), [batch(1, 1, 6)]],
    ["at the end", makeZxid(2, 2), [batch(1, 1, 6), batch(2, 1, 2)]],
    ["at the base", ZERO_ZXID, []],
  ])("%s drops everything above and nothing else", (_, after, left) => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 3)), append(batch(1, 4, 3)), append(batch(2, 1, 2)));
    disk.write({ kind: "truncate", after });
    expect(disk.readAll(ZERO_ZXID)).toEqual(listed(...left));
    disk.restart();
    expect(disk.readAll(ZERO_ZXID)).toEqual(listed(...left));
  });

  test("and the new epoch's txns come out of one step, not the old ones", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 4)), append(batch(2, 1, 2)));
    disk.write({ kind: "truncate", after: makeZxid(1, 2) }, append(batch(3, 1, 1)));
    expect(disk.readAll(ZERO_ZXID)).toEqual(listed(batch(1, 1, 2), batch(3, 1, 1)));
    expect(disk.outline().runs).toEqual([
      { epoch: 1, last: 2 },
      { epoch: 3, last: 1 },
    ]);
  });
});

describe("compact()", () => {
  function diskOf(...batches: Batch[]): Disk {
    const disk = new Disk();
    disk.write(...batches.map(append));
    const last = batches.at(-1);
    if (last !== undefined) disk.applyThrough(makeZxid(last.epoch, last.first + last.payloads.length - 1));
    return disk;
  }

  const batches = [batch(1, 1, 2), batch(1, 3, 2), batch(2, 1, 2), batch(2, 3, 2)];

  test.each<[string, { txns: number; bytes: number }, Zxid, number]>([
    ["nothing", { txns: 0, bytes: 0 }, makeZxid(2, 4), 5],
    ["one txn, so its row", { txns: 1, bytes: 1_000 }, makeZxid(2, 2), 4],
    ["two txns", { txns: 2, bytes: 1_000 }, makeZxid(2, 2), 4],
    ["three txns, so two rows", { txns: 3, bytes: 1_000 }, makeZxid(1, 4), 3],
    ["as many as there are", { txns: 8, bytes: 1_000 }, ZERO_ZXID, 0],
    ["one byte, so its row", { txns: 1_000, bytes: 1 }, makeZxid(2, 2), 4],
    ["more bytes than there are", { txns: 1_000, bytes: 1_000 }, ZERO_ZXID, 0],
  ])("that keeps %s", (_, keep, base, rowsWritten) => {
    const disk = diskOf(...batches);
    const through = makeZxid(2, 4);
    let answer = ZERO_ZXID;
    const written = disk.opened.rowsWrittenBy(() => {
      answer = disk.history.compact(through, keep, unbounded);
    });
    expect([answer, written]).toEqual([base, rowsWritten]);
    const left = listed(...batches).filter((_, i) => i >= (rowsWritten === 0 ? 0 : 2 * (rowsWritten - 1)));
    expect(disk.readAll(base)).toEqual(left);
    disk.restart();
    expect(disk.readAll(base)).toEqual(left);
    expect(disk.outline().base).toEqual(base);
  });

  test.each([
    ["rows", { rows: 2, bytes: 1_000_000 }, [makeZxid(1, 4), makeZxid(2, 4)]],
    [
      "bytes, and always a row",
      { rows: 100, bytes: 1 },
      [
        [1, 2],
        [1, 4],
        [2, 2],
        [2, 4],
      ].map(([e, c]) => makeZxid(e ?? 0, c ?? 0)),
    ],
  ])("a part at a time, bounded in %s, gets to the same end", (_, bounds, bases) => {
    const disk = diskOf(...batches);
    for (const base of bases) {
      expect(disk.history.compact(makeZxid(2, 4), { txns: 0, bytes: 0 }, bounds)).toEqual(base);
      expect(disk.outline().base).toEqual(base);
    }
    expect(disk.readAll(makeZxid(2, 4))).toEqual([]);
  });

  test("spares what an open snapshot goes on with, until it is closed", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 2)), append(batch(1, 3, 2)));
    disk.applyThrough(makeZxid(1, 2));
    const { id } = disk.history.openSnapshot();
    disk.applyThrough(makeZxid(1, 4));
    const compact = () => disk.history.compact(makeZxid(1, 4), { txns: 0, bytes: 0 }, unbounded);
    expect(compact()).toEqual(makeZxid(1, 2));
    disk.history.closeSnapshot(id);
    expect(compact()).toEqual(makeZxid(1, 4));
  });

  test("leaves a row that is applied in part", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 2)), append(batch(1, 3, 3)));
    disk.applyThrough(makeZxid(1, 4));
    expect(disk.history.compact(makeZxid(1, 4), { txns: 0, bytes: 0 }, unbounded)).toEqual(makeZxid(1, 2));
    expect(disk.outline()).toEqual({ base: makeZxid(1, 2), runs: [{ epoch: 1, last: 5 }] });
  });

  test("a second time does nothing, and never goes back", () => {
    const disk = diskOf(...batches);
    const through = makeZxid(2, 4);
    disk.history.compact(through, { txns: 0, bytes: 0 }, unbounded);
    const again = () =>
      expect(disk.history.compact(through, { txns: 9, bytes: 9 }, unbounded)).toEqual(through);
    expect(disk.opened.rowsWrittenBy(again)).toBe(0);
  });

  test("of what is not in the rows yet is a bug", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 2)));
    expect(() => disk.history.compact(makeZxid(1, 2), { txns: 0, bytes: 0 }, unbounded)).toThrow(
      AssertionFailure,
    );
  });

  test("then appends go on above the base", () => {
    const disk = diskOf(batch(1, 1, 2));
    disk.history.compact(makeZxid(1, 2), { txns: 0, bytes: 0 }, unbounded);
    disk.write(append(batch(1, 3, 1)));
    disk.restart();
    expect(disk.outline()).toEqual({ base: makeZxid(1, 2), runs: [{ epoch: 1, last: 3 }] });
    expect(disk.readAll(makeZxid(1, 2))).toEqual(listed(batch(1, 3, 1)));
  });
});

describe("loggedBytes", () => {
  test("of a member that wakes is what it has to apply again", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 10, 1_000)), append(batch(1, 11, 2, 500)));
    disk.applyThrough(makeZxid(1, 10));
    disk.restart();
    expect(disk.history.loggedBytes).toBeGreaterThanOrEqual(1_000);
    expect(disk.history.loggedBytes).toBeLessThan(2_000);
  });

  test("that only a snapshot keeps are counted while one is open", () => {
    const disk = new Disk();
    disk.write(append(batch(1, 1, 1, 5_000)));
    expect(disk.history.heldBytes).toBe(0);
    const { id } = disk.history.openSnapshot();
    expect(disk.history.heldBytes).toBe(0);
    disk.write(append(batch(1, 2, 1, 700)));
    expect(disk.history.heldBytes).toBeGreaterThanOrEqual(700);
    expect(disk.history.heldBytes).toBeLessThan(800);
    disk.history.closeSnapshot(id);
    expect(disk.history.heldBytes).toBe(0);
  });

  test("grows with what is appended, and a checkpoint starts it anew", () => {
    const disk = new Disk();
    const { history } = disk;
    expect(history.loggedBytes).toBe(0);
    disk.write(append(batch(1, 1, 10, 1_000)));
    expect(history.loggedBytes).toBeGreaterThanOrEqual(10_000);
    history.checkpointBegan();
    expect(history.loggedBytes).toBe(0);
  });
});

/** A plain list of txns with a base: what a log should be. */
interface Model {
  txns: { readonly zxid: Zxid; readonly byte: number }[];
  base: Zxid;
  applied: Zxid;
}

type Move =
  | { readonly kind: "append"; readonly count: number; readonly newEpoch: boolean; readonly bytes: number }
  | { readonly kind: "truncate" | "apply"; readonly draw: number }
  | { readonly kind: "compact"; readonly txns: number; readonly bytes: number }
  | { readonly kind: "restart" };

const draw = fc.nat({ max: 1_000_000 });
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      count: fc.integer({ min: 1, max: 6 }),
      newEpoch: fc.nat({ max: 3 }).map((drawn) => drawn === 0),
      // The largest make the recent ones overflow.
      bytes: fc.constantFrom(1, 1, 40, 300_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("truncate" as const), draw }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("apply" as const), draw }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("compact" as const),
      txns: fc.nat({ max: 9 }),
      bytes: fc.nat({ max: 99 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

/** Every zxid the log may be asked about: its base and all above. */
function pointsOf(model: Model): Zxid[] {
  return [model.base, ...model.txns.map(({ zxid }) => zxid)];
}

function carryOut(disk: Disk, model: Model, given: Move): void {
  const last = pointsOf(model).at(-1) ?? model.base;
  switch (given.kind) {
    case "append": {
      const isNew = given.newEpoch || last.epoch === 0;
      const epoch = isNew ? last.epoch + 1 : last.epoch;
      const added = batch(epoch, isNew ? 1 : last.counter + 1, given.count, given.bytes);
      disk.write(append(added));
      for (const [i, bytes] of added.payloads.entries())
        model.txns.push({ zxid: makeZxid(epoch, added.first + i), byte: bytes[0] ?? -1 });
      return;
    }
    case "truncate": {
      // Never below what was applied.
      const points = pointsOf(model).filter((zxid) => compareZxid(zxid, model.applied) >= 0);
      const after = points[given.draw % points.length] ?? last;
      disk.write({ kind: "truncate", after });
      model.txns = model.txns.filter(({ zxid }) => compareZxid(zxid, after) <= 0);
      return;
    }
    case "apply": {
      const points = pointsOf(model).filter((zxid) => compareZxid(zxid, model.applied) >= 0);
      model.applied = points[given.draw % points.length] ?? model.applied;
      disk.applyThrough(model.applied);
      return;
    }
    case "compact": {
      model.base = disk.history.compact(model.applied, given, unbounded);
      expect(compareZxid(model.base, model.applied)).toBeLessThanOrEqual(0);
      model.txns = model.txns.filter(({ zxid }) => compareZxid(zxid, model.base) > 0);
      return;
    }
    case "restart":
      return disk.restart();
  }
}

test("a history is the list of its txns, whoever is asked: memory or the rows (property)", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), fc.nat({ max: 300 }), (moves, bytesMax) => {
      const disk = new Disk();
      const model: Model = { txns: [], base: ZERO_ZXID, applied: ZERO_ZXID };
      for (const given of moves) carryOut(disk, model, given);
      const all = model.txns.map(({ zxid, byte }) => `${formatZxid(zxid)}:${byte}`);
      const points = pointsOf(model);
      for (const isFresh of [false, true]) {
        if (isFresh) disk.restart();
        points.forEach((after, i) => {
          const next = disk.history.readAfter(after, bytesMax);
          const found = next === undefined ? [] : listed(next);
          expect(found).toEqual(all.slice(i, i + found.length));
          expect(found.length > 0).toBe(i < all.length);
        });
        expect(disk.readAll(model.base, bytesMax)).toEqual(all);
        const { base, runs } = disk.outline();
        expect(equalZxid(base, model.base)).toBe(true);
        expect(
          runs.reduce((sum, { epoch, last }) => sum + last - (epoch === base.epoch ? base.counter : 0), 0),
        ).toBe(all.length);
      }
    }),
    { numRuns: 150 },
  );
});
