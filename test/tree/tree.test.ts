/**
 * Proves what the tree promises as a whole, with random writes.
 *
 * - Memory is a cache: a tree that checkpoints, is thrown away and built again from rows and log equals one
 *   that never did, in its state, its txns, its outcomes and its triggers.
 * - Speculation is exact: preparing many requests ahead gives the txns that preparing each after applying
 *   the one before gives.
 * - What is written is only what must be.
 *
 * Before the comparison means anything, the random writes are shown to reach what they should.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AssertionFailure,
  CreateMode,
  compareZxid,
  makeZxid,
  OpCode,
  type Txn,
} from "../../src/base/index.ts";
import { type Checkpoint, MemoryRows, Tree } from "../../src/tree/index.ts";
import { type RandomWrite, randomWrite } from "./random-requests.ts";
import { bytes, checkInvariants, create, dump, Member, multi, options, remove, setData } from "./support.ts";

/** A busy machine may take its time over a property. */
const patience = { timeout: 60_000 };

const cacheBytesMax = fc.constantFrom(0, 1_500, 1_000_000);
const rules = { ttlNodes: true };

function writeTo(member: Member, { request, who, elapsedMs }: RandomWrite) {
  member.nowMs += elapsedMs;
  const txn = member.prepare(request, who);
  return { txn, applied: member.apply(txn) };
}

/** The tree after a crash: rows as they are, log replayed from there. */
function rebuild(member: Member, cacheBytes: number): Tree {
  const tree = new Tree(member.rows.clone(), { ...rules, cacheBytesMax: cacheBytes });
  for (const { zxid, txn } of member.log) if (compareZxid(zxid, tree.applied) > 0) tree.apply(zxid, txn);
  return tree;
}

test("the random writes succeed and fail in every way they can", () => {
  const seen = new Map<string, number>();
  const writes = fc.sample(fc.array(randomWrite, { minLength: 60, maxLength: 60 }), { numRuns: 60, seed: 1 });
  for (const run of writes) {
    const member = new Member(rules);
    for (const random of run) {
      const { op } = writeTo(member, random).txn;
      const key = op.kind === "error" ? `error ${op.code}` : op.kind;
      seen.set(key, (seen.get(key) ?? 0) + 1);
      if (op.kind === "create") seen.set(op.lifetime.kind, (seen.get(op.lifetime.kind) ?? 0) + 1);
      if (op.kind === "closeSession" && op.ephemerals.length > 1) seen.set("closeSession of two", 1);
    }
  }
  expect([...seen.keys()].sort()).toEqual(
    [
      ...["create", "delete", "setData", "setAcl", "multi", "failedMulti", "createSession", "closeSession"],
      ...["persistent", "ephemeral", "container", "ttl", "closeSession of two"],
      ...[-8, -101, -102, -103, -108, -110, -111, -112, -114].map((code) => `error ${code}`),
    ].sort(),
  );
});

describe("memory is a cache", () => {
  test("a tree that checkpoints, forgets and is rebuilt equals one that only remembers", patience, () => {
    const action = fc.oneof(
      { weight: 12, arbitrary: randomWrite },
      { weight: 2, arbitrary: fc.constant("checkpoint" as const) },
      { weight: 1, arbitrary: fc.constant("rebuild" as const) },
    );
    const isEqual = fc.property(
      fc.array(action, { maxLength: 80, size: "max" }),
      cacheBytesMax,
      (actions, bytesMax) => {
        const steady = new Member(rules);
        let restless = new Member({ ...rules, cacheBytesMax: bytesMax });
        for (const one of actions) {
          if (one === "checkpoint") {
            restless.tree.checkpoint();
            expect([restless.tree.dirtyBytes, restless.tree.dirtyCount]).toEqual([0, 0]);
            expect(restless.tree.census()).toEqual(steady.tree.census());
          } else if (one === "rebuild") {
            const woken = new Member({ ...rules, cacheBytesMax: bytesMax }, restless.rows);
            for (const logged of restless.log) {
              if (compareZxid(logged.zxid, woken.tree.applied) > 0) woken.apply(logged.txn);
            }
            woken.nowMs = restless.nowMs;
            woken.log.splice(0, Number.POSITIVE_INFINITY, ...restless.log);
            restless = woken;
          } else {
            expect(writeTo(restless, one)).toEqual(writeTo(steady, one));
          }
        }
        expect(dump(restless.tree)).toEqual(dump(steady.tree));
        expect(dump(rebuild(restless, bytesMax))).toEqual(dump(steady.tree));
        expect(restless.tree.sweepDue(restless.nowMs, 9).toSorted()).toEqual(
          steady.tree.sweepDue(steady.nowMs, 9).toSorted(),
        );
        checkInvariants(steady.tree);
        checkInvariants(restless.tree);
        expect(restless.tree.census()).toEqual(steady.tree.census());
        expect(steady.tree.census()).toEqual(rebuild(restless, bytesMax).census());
        expect(steady.tree.census().znodes).toBe(countZnodes(steady.tree));
        restless.tree.checkpoint();
        expect(dump(rebuild(restless, bytesMax)), "from rows alone").toEqual(dump(steady.tree));
        expect(restless.rows.znodeCount, "no row is left behind").toBe(countZnodes(steady.tree));
      },
    );
    fc.assert(isEqual, { numRuns: 200 });
  });

  test("two members with the same log have the same tree, whoever prepared", () => {
    const leader = new Member();
    const session = leader.open(1n);
    leader.must(multi(create("/a", { data: bytes("x") }), create("/e", { flags: CreateMode.Ephemeral })), {
      session,
    });
    leader.close(session);
    const follower = new Tree(new MemoryRows(), options);
    for (const { zxid, txn } of leader.log) follower.apply(zxid, txn);
    expect(dump(follower)).toEqual(dump(leader.tree));
  });

  test("reload() takes what was installed underneath, and forgets the rest", () => {
    const source = new Member();
    source.open(1n);
    source.must(create("/a"));
    source.tree.checkpoint();
    const target = new Member();
    target.open(2n);
    target.must(create("/b"));
    target.prepare(create("/c"));
    const installed = source.rows.clone();
    const sessions = new Map([...source.tree.sessions()].map((session) => [session.id, session]));
    const znodes = new Map(["/", "/a"].map((path) => [path, installed.readZnode(path)]));
    target.rows.write({ applied: makeZxid(1, 2), znodes, sessions });
    target.tree.reload();
    expect([target.tree.get("/b"), target.tree.outstandingCount, target.tree.dirtyCount]).toEqual([
      undefined,
      0,
      0,
    ]);
    expect(target.tree.get("/a")).toEqual(source.tree.get("/a"));
    expect([...target.tree.sessions()]).toEqual([...source.tree.sessions()]);
  });

  test("rows that lost their root stop the member", () => {
    const rows = new MemoryRows();
    rows.write({ applied: makeZxid(1, 1), znodes: new Map(), sessions: new Map() });
    expect(() => new Tree(rows, options)).toThrow(AssertionFailure);
  });
});

describe("speculation is exact", () => {
  /** How many prepared txns to apply after each request: few, and then all at once. */
  const ahead = fc.record({ write: randomWrite, applies: fc.constantFrom(0, 0, 0, 0, 1, 2, 99) });

  test("preparing ahead gives the txns that preparing one by one gives", patience, () => {
    const isEqual = fc.property(fc.array(ahead, { maxLength: 80, size: "max" }), (steps) => {
      const patient = new Member(rules);
      const hasty = new Member(rules);
      const outstanding: Txn[] = [];
      for (const { write, applies } of steps) {
        const { txn } = writeTo(patient, write);
        hasty.nowMs += write.elapsedMs;
        outstanding.push(hasty.prepare(write.request, write.who));
        expect(outstanding.at(-1)).toEqual(txn);
        for (const next of outstanding.splice(0, applies)) hasty.apply(next);
        expect(hasty.tree.outstandingCount).toBe(outstanding.length);
      }
      for (const next of outstanding) hasty.apply(next);
      expect(dump(hasty.tree)).toEqual(dump(patient.tree));
      checkInvariants(hasty.tree);
    });
    fc.assert(isEqual, { numRuns: 200 });
  });

  test("discarding what was prepared leaves nothing of it", patience, () => {
    const writes = fc.array(randomWrite, { maxLength: 30, size: "max" });
    const isForgotten = fc.property(writes, writes, writes, (before, discarded, after) => {
      const steadfast = new Member(rules);
      const deposed = new Member(rules);
      for (const write of before) expect(writeTo(deposed, write)).toEqual(writeTo(steadfast, write));
      for (const { request, who } of discarded) deposed.prepare(request, who);
      deposed.tree.discardPrepared();
      for (const write of after) expect(writeTo(deposed, write)).toEqual(writeTo(steadfast, write));
    });
    fc.assert(isForgotten, { numRuns: 200 });
  });
});

describe("a checkpoint", () => {
  class SpiedRows extends MemoryRows {
    readonly checkpoints: Checkpoint[] = [];
    override write(checkpoint: Checkpoint): void {
      this.checkpoints.push(checkpoint);
      super.write(checkpoint);
    }
  }

  function spied(): { member: Member; written: () => string[][] } {
    const rows = new SpiedRows();
    const member = new Member({}, rows);
    member.tree.checkpoint();
    rows.checkpoints.length = 0;
    return {
      member,
      written: () =>
        rows.checkpoints.map(({ znodes, sessions }) => [
          ...znodes.keys(),
          ...[...sessions.keys()].map(String),
        ]),
    };
  }

  test("of a fresh tree writes the first four znodes, and again writes nothing", () => {
    const rows = new SpiedRows();
    const tree = new Tree(rows, options);
    tree.checkpoint();
    tree.checkpoint();
    expect(rows.checkpoints.map(({ znodes }) => [...znodes.keys()])).toEqual([
      ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"],
    ]);
  });

  test("costs one row for a thousand writes of one znode", () => {
    const { member, written } = spied();
    member.must(create("/counter"));
    for (let at = 0; at < 1_000; at += 1) member.must(setData("/counter"));
    member.tree.checkpoint();
    expect(written()).toEqual([["/counter", "/"].sort().reverse()]);
  });

  test("has no row for a lock taken and released, nor for a session that came and went", () => {
    const { member, written } = spied();
    const session = member.open(1n);
    member.must(create("/lock", { flags: CreateMode.Ephemeral }), { session });
    member.must(remove("/lock"));
    member.close(session);
    member.tree.checkpoint();
    expect(written()).toEqual([["/"]]);
  });

  test("deletes the row of a znode that was stored, and keeps that of one made again", () => {
    const { member, written } = spied();
    for (const path of ["/gone", "/again"]) member.must(create(path));
    member.tree.checkpoint();
    for (const path of ["/gone", "/again"]) member.must(remove(path));
    member.must(create("/again", { data: bytes("new") }));
    member.tree.checkpoint();
    expect(written()[1]?.toSorted()).toEqual(["/", "/again", "/gone"]);
    expect([member.rows.readZnode("/gone"), member.rows.readZnode("/again")?.data]).toEqual([
      undefined,
      bytes("new"),
    ]);
  });

  test("deletes the row of a session that was stored", () => {
    const { member, written } = spied();
    const session = member.open(1n);
    member.tree.checkpoint();
    expect(member.rows.listSessions()).toEqual([{ id: session, timeoutMs: 10_000, ownership: 1 }]);
    member.close(session);
    member.tree.checkpoint();
    expect([written(), member.rows.listSessions()]).toEqual([[["1"], ["1"]], []]);
  });

  test("after refusals alone moves `applied` and writes no row", () => {
    const { member, written } = spied();
    member.write(remove("/missing"));
    member.tree.checkpoint();
    member.tree.checkpoint();
    expect(written()).toEqual([[]]);
    expect(member.rows.applied).toEqual(makeZxid(1, 1));
  });

  test("with txns outstanding leaves them be", () => {
    const { member } = spied();
    const txns = [create("/a"), create("/a/b"), remove("/a/b")].map((request) => member.prepare(request));
    for (const txn of txns) {
      member.tree.checkpoint();
      member.apply(txn);
    }
    expect(member.stat("/a")).toMatchObject({ numChildren: 0, cversion: 2 });
    checkInvariants(member.tree);
  });

  test("dirtyBytes grows with the data and falls when the znode goes", () => {
    const { member } = spied();
    member.must(create("/small"));
    const idle = member.tree.dirtyBytes;
    member.must(create("/big", { data: new Uint8Array(100_000) }));
    expect(member.tree.dirtyBytes).toBeGreaterThan(100_000);
    member.must(setData("/big", null));
    expect(member.tree.dirtyBytes).toBeLessThan(5_000);
    member.must(remove("/big"));
    expect(member.tree.dirtyBytes).toBe(idle);
    member.tree.checkpoint();
    expect(member.tree.dirtyBytes).toBe(0);
  });
});

test("sweepDue() finds containers and TTL znodes in memory and in rows, up to its limit", () => {
  const member = new Member(rules);
  for (const path of ["/c1", "/c2"]) {
    member.must(create(path, { type: OpCode.CreateContainer }));
    member.must(create(`${path}/x`));
  }
  member.must(create("/t", { type: OpCode.CreateTtl, flags: 5, ttlMs: 10 }));
  member.tree.checkpoint();
  member.must(remove("/c1/x"));
  member.must(create("/c3", { type: OpCode.CreateContainer }));
  expect(member.tree.sweepDue(member.nowMs, 9)).toEqual(["/c1"]);
  expect(member.tree.sweepDue(member.nowMs + 11, 9)).toEqual(["/c1", "/t"]);
  expect(member.tree.sweepDue(member.nowMs + 11, 1)).toEqual(["/c1"]);
});

function countZnodes(tree: Tree): number {
  const waiting = ["/"];
  let count = 0;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    count += 1;
    for (const name of tree.children(path, undefined, 1_000))
      waiting.push(path === "/" ? `/${name}` : `${path}/${name}`);
  }
  return count;
}
