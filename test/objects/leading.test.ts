/**
 * Proves what a reign keeps alive and what it clears away: a session whose renewal is under way does not
 * lapse meanwhile; containers that were used and are empty go, at ZooKeeper's pace.
 *
 * A leader whose proposals wait until the test has them applied.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeServerId, makeSessionId, makeZxid, OpCode, type Txn } from "../../src/base/index.ts";
import { Leading, sweepMax } from "../../src/objects/leading.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";
import { create, Member, remove } from "../tree/support.ts";

const tickMs = 1_000;
const timeoutMs = 4_000;

/** @param timers - What is to run later, which is up to the caller. */
function makeLeading(tree: Tree, now: () => number, proposed: Txn[], timers: (() => void)[] = []): Leading {
  return new Leading({
    id: makeServerId(1),
    epoch: 1,
    tree,
    tickMs,
    now,
    propose: (txns) => void proposed.push(...txns),
    later: (_, run) => {
      timers.push(run);
      return () => void timers.splice(timers.indexOf(run), 1);
    },
    vigil: undefined,
    takeIdBlock: () => 0,
    lastSign: () => undefined,
    readIndex: () => undefined,
    nextZxid: () => makeZxid(1, 1),
    answer: () => undefined,
  });
}

test("renewSession() keeps the session from lapsing while its txn is under way", () => {
  const tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  const proposed: Txn[] = [];
  let nowMs = 0;
  const leading = makeLeading(tree, () => nowMs, proposed);
  const pass = (ms: number): void => {
    for (const end = nowMs + ms; nowMs < end; ) {
      nowMs += tickMs;
      leading.tick();
      leading.flush();
    }
  };
  leading.openSession(timeoutMs, () => undefined);
  leading.flush();
  const [open] = proposed.splice(0);
  if (open === undefined) throw new Error("nothing was proposed");
  const zxid = makeZxid(1, 1);
  leading.applied(zxid, open, tree.apply(zxid, open));
  const id = makeSessionId(open.sessionId);
  pass(timeoutMs);
  leading.renewSession({ id, timeoutMs, ownership: tree.session(id)?.ownership ?? 0 }, () => undefined);
  pass(timeoutMs);
  expect(proposed.map(({ op }) => op.kind)).toEqual(["renewSession"]);
  pass(2 * timeoutMs);
  expect(proposed.map(({ op }) => op.kind)).toEqual(["renewSession", "closeSession"]);
  expect(proposed[1]).toMatchObject({ sessionId: id, op: { kind: "closeSession" } });
});

test("used and empty containers go, sweepMax every three seconds while there are more, then once a minute", () => {
  const member = new Member();
  const count = 2 * sweepMax + 1;
  for (let at = 0; at < count; at++) {
    member.must(create(`/c${at}`, { type: OpCode.CreateContainer, flags: 4 }));
    member.must(create(`/c${at}/x`));
    member.must(remove(`/c${at}/x`));
  }
  member.must(create("/unused", { type: OpCode.CreateContainer, flags: 4 }));
  const { tree } = member;
  const proposed: Txn[] = [];
  let nowMs = 0;
  const timers: (() => void)[] = [];
  const leading = makeLeading(tree, () => nowMs, proposed, timers);
  const deleted: string[] = [];
  for (; nowMs <= 75_000; nowMs += 500) {
    leading.tick();
    let swept = 0;
    const move = () => {
      for (const run of timers.splice(0)) run();
      leading.flush();
    };
    for (move(); proposed.length > 0 || timers.length > 0; move()) {
      for (const txn of proposed.splice(0)) {
        const zxid = makeZxid(1, tree.applied.counter + 1);
        leading.applied(zxid, txn, tree.apply(zxid, txn));
        swept += 1;
      }
    }
    if (swept > 0) deleted.push(`${swept} at ${nowMs}`);
    // One that is used and emptied after the rest has gone waits for its minute.
    if (nowMs === 8_000) {
      for (const request of [create("/unused/x"), remove("/unused/x")]) {
        const zxid = makeZxid(1, tree.applied.counter + 1);
        const context = { requester: { sessionId: makeSessionId(0n), identities: [] }, cxid: 0, nowMs };
        tree.apply(zxid, tree.prepare(request, context));
      }
    }
  }
  expect(deleted).toEqual([`${sweepMax} at 1000`, `${sweepMax} at 4000`, "1 at 7000", "1 at 67000"]);
  expect(tree.children("/", undefined, 9)).toEqual(["zookeeper"]);
});

test("rest() leaves the next sweep to an alarm: a minute after the last one, or when the first znode is due", () => {
  const member = new Member({ ttlNodes: true });
  let nowMs = 0;
  const leading = makeLeading(member.tree, () => nowMs, []);
  nowMs = 1_000;
  leading.tick();
  nowMs = 3_000;
  expect(leading.rest().sweepAtMs).toBeUndefined();
  const ttlMs = 100_000;
  member.must(create("/late", { type: OpCode.CreateTtl, flags: 5, ttlMs }));
  expect(leading.rest().sweepAtMs).toBe(member.nowMs + ttlMs + 1);
  member.must(create("/soon", { type: OpCode.CreateTtl, flags: 5, ttlMs: 1 }));
  // Woken a second before the sweep of 61,000, which is the first that it makes then.
  expect(leading.rest().sweepAtMs).toBe(60_000);
  nowMs = 500;
  expect(leading.rest().sweepAtMs).toBe(59_500);
});
