/**
 * Proves what a reign keeps alive: a session whose renewal is under way does not lapse meanwhile.
 *
 * A leader whose proposals wait until the test has them applied.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeServerId, makeSessionId, makeZxid, type Txn } from "../../src/base/index.ts";
import { Leading } from "../../src/objects/leading.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";

const tickMs = 1_000;
const timeoutMs = 4_000;

test("renewSession() keeps the session from lapsing while its txn is under way", () => {
  const tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  const proposed: Txn[] = [];
  let nowMs = 0;
  const leading = new Leading({
    id: makeServerId(1),
    epoch: 1,
    tree,
    tickMs,
    now: () => nowMs,
    propose: (txns) => void proposed.push(...txns),
    later: () => () => undefined,
    vigil: undefined,
    takeIdBlock: () => 0,
    lastSign: () => undefined,
    readIndex: () => undefined,
    nextZxid: () => makeZxid(1, 1),
    answer: () => undefined,
  });
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
