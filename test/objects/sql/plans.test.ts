/**
 * Proves that no statement reads the tree from end to end: waking, reading, listing, snapshots, checkpoints
 * and sweeping cost what they touch, however many znodes are stored.
 *
 * Every statement that a member's storage is asked is also put to SQLite's planner.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeSessionId, makeZxid } from "../../../src/base/index.ts";
import { Chores } from "../../../src/objects/chores.ts";
import { History } from "../../../src/objects/history.ts";
import { migrate } from "../../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../../src/objects/sql/znodes.ts";
import { Tree } from "../../../src/tree/index.ts";
import { create, Member } from "../../tree/support.ts";
import { openStorage } from "../support/sqlite.ts";

test("no statement scans the znodes, what is put aside, or the log", () => {
  const { storage } = openStorage();
  migrate(storage);
  const { exec } = storage.sql;
  const plans = new Map<string, string>();
  storage.sql.exec = (query: string, ...bindings: unknown[]) => {
    if (!plans.has(query) && /^\s*(?:SELECT|DELETE|INSERT)/.test(query)) {
      const steps = exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`, ...bindings).toArray();
      plans.set(query, steps.map(({ detail }) => detail).join("; "));
    }
    return exec(query, ...bindings);
  };

  const model = new Member({ ttlNodes: true });
  const open = () => {
    const rows = new SqlTreeRows(storage);
    const history = new History(storage, rows);
    return { rows, history, tree: new Tree(rows, { cacheBytesMax: 0 }) };
  };
  const { rows, history, tree } = open();
  const noted = { checkpointed: () => undefined, compacted: () => undefined };
  const chores = new Chores({ history, rows, tree, ...noted });
  for (let i = 0; i < 600; i++) {
    model.write(create(`/n${i}`));
    const logged = model.log.at(-1);
    if (logged !== undefined) tree.apply(logged.zxid, logged.txn);
  }
  chores.checkpoint();
  // A snapshot goes out, and comes in.
  const { id } = history.openSnapshot();
  rows.write({ applied: makeZxid(2, 1), znodes: new Map([["/n1", undefined]]), sessions: new Map() });
  for (let page = 0; ; page++) {
    const read = history.readSnapshotPage(id, page);
    if (read === undefined) throw new Error("the snapshot is gone");
    history.write([{ kind: "stagePage", page, bytes: read.bytes }]);
    if (!read.last) continue;
    history.write([{ kind: "installSnapshot", zxid: makeZxid(2, 2), pages: page + 1 }]);
    break;
  }
  while (rows.mayHaveGarbage) rows.sweep({ rows: 100, bytes: 10_000 });
  // A member wakes.
  const woken = open();
  woken.tree.get("/n5");
  woken.tree.children("/", "n4", 10);
  woken.tree.ephemeralsOf(makeSessionId(1n));

  const scans = [...plans].filter(([query, plan]) => {
    // Sessions are in memory all the time, and the log that is kept is short.
    const isWhole = /FROM log GROUP BY epoch|DELETE FROM log$|FROM draft|DELETE FROM draft/.test(
      query.trim(),
    );
    return !isWhole && /SCAN (?!CONSTANT)/.test(plan);
  });
  expect(scans).toEqual([]);
  expect([...plans.keys()].filter((query) => query.includes("aside")).length).toBeGreaterThan(4);
  expect(plans.size).toBeGreaterThan(25);
});
