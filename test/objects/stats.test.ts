/**
 * What is counted about traffic, and that a reset begins anew.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeZxid, OpCode } from "../../src/base/index.ts";
import { ConnectionStats, Latencies, ServerStats, Sizes } from "../../src/objects/stats.ts";

const zxid = makeZxid(1, 7);

function answered(sinceMs: number, nowMs: number, bytes = 20) {
  return { type: OpCode.GetData, xid: 3, zxid, sinceMs, nowMs, bytes };
}

test("sizes are -1 before the first, then the last, the least and the greatest", () => {
  const sizes = new Sizes();
  expect(sizes.figures).toEqual({ last: -1, min: -1, max: -1 });
  for (const size of [5, 2, 9, 4]) sizes.add(size);
  expect(sizes.figures).toEqual({ last: 4, min: 2, max: 9 });
  sizes.reset();
  expect(sizes.figures).toEqual({ last: -1, min: -1, max: -1 });
});

test("latencies are 0 before the first, and the least may be more than 0", () => {
  const latencies = new Latencies();
  expect(latencies.figures).toEqual({ min: 0, max: 0, sum: 0, count: 0 });
  for (const ms of [4, 2, 6]) latencies.add(ms);
  expect(latencies.figures).toEqual({ min: 2, max: 6, sum: 12, count: 3 });
});

test("a connection counts for itself and for the server", () => {
  const server = new ServerStats();
  const [one, other] = [new ConnectionStats(server), new ConnectionStats(server)];
  one.took();
  one.answered(answered(100, 130));
  one.notified();
  other.took();
  other.answered(answered(100, 110, 50));
  expect([one.received, one.sent, one.lastOp, one.lastCxid, one.lastZxid]).toEqual([1, 2, 4, 3, zxid]);
  expect([one.lastResponseMs, one.lastLatencyMs]).toEqual([130, 30]);
  expect([server.received, server.sent]).toEqual([2, 3]);
  expect(server.latencies.figures).toEqual({ min: 10, max: 30, sum: 40, count: 2 });
  expect(server.responses.figures).toEqual({ last: 50, min: 20, max: 50 });
});

test("a clock that was set back makes no negative latency", () => {
  const stats = new ConnectionStats(new ServerStats());
  stats.answered(answered(100, 40));
  expect(stats.latencies.figures).toEqual({ min: 0, max: 0, sum: 0, count: 1 });
});

test("resetting one connection leaves the server's figures, and the other way round", () => {
  const server = new ServerStats();
  const connection = new ConnectionStats(server);
  connection.took();
  connection.answered(answered(0, 5));
  connection.reset();
  expect([connection.received, connection.lastOp, server.received]).toEqual([0, undefined, 1]);
  connection.took();
  server.reset();
  expect([connection.received, server.received, server.sent]).toEqual([1, 0, 0]);
  expect(server.responses.figures.last).toBe(-1);
});
