/**
 * Proves that a report's lists end where they must: at `reportEntriesMax` whole, one past it not at all.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeServerId } from "../../src/base/index.ts";
import {
  type ConnectionReport,
  makeReport,
  type ReportList,
  type ReportParts,
  reportEntriesMax,
} from "../../src/objects/report.ts";
import { ServerStats } from "../../src/objects/stats.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";

const connection: ConnectionReport = {
  ...{ address: "10.0.0.1", port: 1, sessionId: undefined, timeoutMs: 0, outstanding: 0, establishedMs: 0 },
  ...{ received: 0, sent: 0, lastOp: undefined, lastCxid: -1, lastZxid: undefined, lastResponseMs: 0 },
  ...{ lastLatencyMs: 0, latency: { min: 0, max: 0, sum: 0, count: 0 } },
};

const noStreams: ReportParts["streams"] = {
  ...{ size: 0, watchCount: 0, outstanding: 0 },
  figures: () => [],
  subscriptions: () => [],
};

function partsOf(count: number): ReportParts {
  const tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  for (let path = 0; path < count; path++) tree.watches.addData(1, `/n${path}`);
  const facts = {
    ...{ id: makeServerId(1), isServing: true, leader: makeServerId(1), voters: [makeServerId(1)] },
    ...{ observers: [], learners: [], epoch: 1, nowMs: 0, startedMs: 0, tickMs: 2_000 },
    ...{ sessionTimeoutMsMin: 4_000, sessionTimeoutMsMax: 40_000, storageBytes: 0 },
  };
  const connections = {
    ...{ size: count, outstanding: 0 },
    *figures() {
      for (let each = 0; each < count; each++) yield connection;
    },
    sessionOf: () => 1n as never,
  };
  const stats = new ServerStats();
  return { facts, role: "leading", tree, stats, connections, streams: noStreams, deadlines: undefined };
}

describe("a report", () => {
  const lists: readonly ReportList[] = ["connections", "watches"];

  test("lists what it was asked for, up to reportEntriesMax each", () => {
    const report = makeReport(partsOf(reportEntriesMax), lists);
    expect([report.connections?.length, report.watches?.length]).toEqual([
      reportEntriesMax,
      reportEntriesMax,
    ]);
    const other = makeReport(partsOf(1), []);
    expect([other.connections, other.watches, other.connectionCount]).toEqual([undefined, undefined, 1]);
  });

  test("says tooMany of a list with one more", () => {
    const report = makeReport(partsOf(reportEntriesMax + 1), lists);
    expect([report.connections, report.watches]).toEqual(["tooMany", "tooMany"]);
    expect(report).toMatchObject({ connectionCount: reportEntriesMax + 1, watchCount: reportEntriesMax + 1 });
  });

  test("counts watch streams as connections without a session, each a watcher of its own", () => {
    const streams = [{}, {}].map((stream) => ({ stream, filter: { path: "/n0" } }));
    const parts: ReportParts = {
      ...partsOf(1),
      streams: {
        ...{ size: 2, watchCount: 3, outstanding: 4 },
        figures: () => [connection, connection],
        subscriptions: () => [...streams, { stream: streams[0]?.stream ?? {}, filter: { path: "/other" } }],
      },
    };
    const report = makeReport(parts, [...lists, "watchSummary"]);
    expect(report).toMatchObject({ connectionCount: 3, watchCount: 4, outstanding: 4 });
    expect(report.connections?.length).toBe(3);
    expect(report.watchSummary).toEqual({ connections: 3, paths: 2, watches: 4 });
    expect(report.watches).toEqual([
      { sessionId: "0x1", path: "/n0" },
      { sessionId: "0x0", path: "/n0" },
      { sessionId: "0x0", path: "/n0" },
      { sessionId: "0x0", path: "/other" },
    ]);
  });
});
