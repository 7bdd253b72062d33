/**
 * Counts what the bill is made of, in the real runtime: rows written on each member, and calls between
 * members, per operation and batch size, with the write's share of checkpoints and of dropping the log.
 *
 * Every operation first runs until the log is as long as it stays (2,000 txns are kept), then a window is
 * counted from one finished checkpoint to the next. The rows expected come from the model that
 * `docs/cost.md` and `npm run cost` use.
 *
 * Sources: `SqlStorageCursor.rowsWritten`, which is what is billed.
 *
 * @module
 */

import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, test } from "vitest";
import { rowsPerWrite, type WriteKind } from "../../scripts/cost-model.ts";
import {
  type ClientRequest,
  CreateMode,
  OPEN_ACL,
  OpCode,
  type ServerId,
  ZkErrorCode,
} from "../../src/base/index.ts";
import { peerTickMs } from "../../src/objects/timing.ts";
import type { TestClient } from "./client.ts";
import { pause, TestEnsemble } from "./ensemble.ts";

/** A busy machine may take its time. */
const patienceMs = 300_000;

/** Of each member, by server id. */
const rows = new Map<ServerId, number>();
let calls = 0;
const ensembles = new Map<number, TestEnsemble>();

/** From here on every statement and every call between members is counted. */
async function count(ensemble: TestEnsemble): Promise<void> {
  for (const id of ensemble.voters) {
    await runInDurableObject(ensemble.stub(id), (instance, state) => {
      const { sql } = state.storage;
      const exec = sql.exec.bind(sql);
      Object.defineProperty(sql, "exec", {
        value: (...given: Parameters<typeof exec>) => {
          const cursor = exec(...given);
          rows.set(id, (rows.get(id) ?? 0) + cursor.rowsWritten);
          return cursor;
        },
      });
      const prototype: { exchange(carrier: Uint8Array): Promise<Uint8Array> } =
        Object.getPrototypeOf(instance);
      if (id !== 1) return;
      const { exchange } = prototype;
      prototype.exchange = function counted(carrier) {
        calls += 1;
        return exchange.call(this, carrier);
      };
    });
  }
}

const bytes = new Uint8Array(100);

const create = (path: string, flags: number = CreateMode.Persistent): ClientRequest => ({
  type: OpCode.Create,
  path,
  data: bytes,
  acl: OPEN_ACL,
  flags,
  ttlMs: -1,
});
const set = (path: string, size = 100): ClientRequest => ({
  type: OpCode.SetData,
  path,
  data: new Uint8Array(size),
  version: -1,
});
const remove = (path: string): ClientRequest => ({ type: OpCode.Delete, path, version: -1 });

/** So many requests at a time, one message each time. */
async function inBatches(
  client: TestClient,
  requests: readonly ClientRequest[],
  size: number,
): Promise<void> {
  for (let at = 0; at < requests.length; at += size) {
    for (const { err } of await client.batch(requests.slice(at, at + size))) expect(err).toBe(ZkErrorCode.Ok);
  }
}

/** Until every member has applied all, brought its rows there, and dropped the log that is not kept. */
async function settled(ensemble: TestEnsemble, client: TestClient): Promise<void> {
  // A checkpoint of its own is due after 256 KiB of log and a quiet second.
  const ballast = Array.from({ length: 3 }, () => set("/ballast", 100_000));
  await inBatches(client, ballast, 1);
  const target =
    (await ensemble.statuses())
      .map((status) => status.lastLogged)
      .sort()
      .at(-1) ?? "";
  for (const id of ensemble.voters) {
    for (;;) {
      const isDone = await runInDurableObject(ensemble.stub(id), (_, { storage }) => {
        const [row] = storage.sql
          .exec<{ applied: string; txns: number; drafts: number }>(
            `SELECT (SELECT value FROM meta WHERE key = 'applied') AS applied,
                    (SELECT COALESCE(SUM(count), 0) FROM log) AS txns, (SELECT COUNT(*) FROM draft) AS drafts`,
          )
          .toArray();
        // Printed zxids of one epoch are in the order of their text.
        return row !== undefined && row.applied >= target && row.drafts === 0 && row.txns < 2_300;
      });
      if (isDone) break;
      await pause(50);
    }
  }
}

interface Window {
  /** Per committed write and member, the most of any member. */
  readonly rows: number;
  /** Per committed write. */
  readonly calls: number;
  /** Ticks of a member that may have fallen into the window. */
  readonly ticks: number;
}

/** Runs `work` between two finished checkpoints. */
async function measure(
  ensemble: TestEnsemble,
  client: TestClient,
  writes: number,
  work: () => Promise<void>,
): Promise<Window> {
  await settled(ensemble, client);
  rows.clear();
  calls = 0;
  const began = Date.now();
  await work();
  const called = calls;
  const ticks = Math.ceil((Date.now() - began) / peerTickMs) + 1;
  await settled(ensemble, client);
  return { rows: Math.max(...rows.values()) / writes, calls: called / writes, ticks };
}

const paths = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** What a window costs however many writes are in it: two checkpoints' ends, ballast, watchdogs, session. */
const windowRows = 60;

async function ready(): Promise<{ ensemble: TestEnsemble; client: TestClient }> {
  const found = ensembles.get(3);
  if (found === undefined) throw new Error("no ensemble");
  const client = await found.connect();
  await client.connect(undefined, 40_000);
  return { ensemble: found, client };
}

beforeAll(async () => {
  const ensemble = await TestEnsemble.start(3);
  ensembles.set(3, ensemble);
  await count(ensemble);
  const client = await ensemble.connect();
  await client.connect(undefined, 40_000);
  await inBatches(client, [create("/ballast"), ...paths(10, "/u").map((path) => create(path))], 20);
  // The log reaches the length that it keeps.
  await inBatches(
    client,
    Array.from({ length: 4_000 }, () => set("/u0")),
    100,
  );
}, patienceMs);

const writes = 1_280;

const requestsOf: Readonly<Record<Exclude<WriteKind, "session">, readonly ClientRequest[]>> = {
  update: Array.from({ length: writes }, (_, i) => set(`/u${i % 10}`)),
  create: paths(writes, "/c").map((path) => create(path)),
  delete: paths(writes, "/c").map(remove),
  lock: paths(writes / 2, "/l").flatMap((path) => [create(path, CreateMode.Ephemeral), remove(path)]),
};

/** Grouped by batch, for the rows that a window drops are of the batches before it. */
const cases = [
  ["update", 10],
  ["create", 10],
  ["delete", 10],
  ["lock", 10],
  ["update", 64],
  ["create", 64],
  ["lock", 64],
] as const;

describe("rows written per committed write and member", () => {
  let lastBatch = 0;

  test.each(cases)(
    "of kind %s, %i at a time",
    async (kind, batch) => {
      const { ensemble, client } = await ready();
      if (batch !== lastBatch) await inBatches(client, requestsOf.update.concat(requestsOf.update), batch);
      lastBatch = batch;
      const window = await measure(ensemble, client, writes, () =>
        inBatches(client, requestsOf[kind], batch),
      );
      const expected = rowsPerWrite(kind, batch);
      const slack = windowRows / writes;
      expect(window.rows).toBeGreaterThan(expected - slack);
      expect(window.rows).toBeLessThan(expected + slack);
      client.close();
    },
    60_000,
  );

  test(
    "one at a time: a log row each, before it is dropped",
    async () => {
      const { ensemble, client } = await ready();
      const alone = requestsOf.update.slice(0, 300);
      const window = await measure(ensemble, client, alone.length, () => inBatches(client, alone, 1));
      // What is dropped meanwhile are the larger batches before.
      expect(window.rows).toBeGreaterThanOrEqual(1);
      expect(window.rows).toBeLessThan(rowsPerWrite("update", 1));
      client.close();
    },
    patienceMs,
  );

  test("the bars: 0.3 for updates and locks, 1.2 for fresh znodes, ten at a time", () => {
    expect(rowsPerWrite("update", 10)).toBeLessThanOrEqual(0.3);
    expect(rowsPerWrite("lock", 10)).toBeLessThanOrEqual(0.3);
    // Two of a hundredth are the draft and the base: 1.2 in all but the third digit.
    expect(rowsPerWrite("create", 10)).toBeLessThan(1.205);
  });

  test(
    "a session that opens and closes: its two log rows, and dropping them",
    async () => {
      const { ensemble, client } = await ready();
      const sessions = 100;
      const window = await measure(ensemble, client, 2 * sessions, async () => {
        for (let i = 0; i < sessions; i++) {
          const other = await ensemble.connect();
          await other.connect();
          await other.request({ type: OpCode.CloseSession });
        }
      });
      expect(window.rows).toBeLessThan(rowsPerWrite("session", 1) + windowRows / (2 * sessions));
      client.close();
    },
    patienceMs,
  );

  test(
    "with an Idempotency-Key: its own log row, dropping one, and its record's row at a checkpoint",
    async () => {
      const { ensemble, client } = await ready();
      const leader = await ensemble.leader();
      const keys = 300;
      const window = await measure(ensemble, client, keys, async () => {
        for (let i = 0; i < keys; i++) {
          const answer = await leader.perform({
            request: {
              type: OpCode.Keyed,
              key: i.toString(16).padStart(64, "0"),
              fingerprint: "f".repeat(64),
              request: { type: OpCode.SetData, path: "/u1", data: bytes, version: -1 },
            },
            identities: [],
            consistency: "linearizable",
          });
          expect(answer).toMatchObject({
            kind: "answered",
            outcome: { err: ZkErrorCode.Ok },
            repeated: false,
          });
        }
      });
      // A fresh row as a create's. What is dropped meanwhile may be larger batches before; sweeping comes ten minutes later.
      expect(window.rows).toBeGreaterThanOrEqual(2);
      expect(window.rows).toBeLessThan(rowsPerWrite("create", 1) + windowRows / keys);
      client.close();
    },
    patienceMs,
  );

  test(
    "reads and watches: none, but for what is counted by the window itself",
    async () => {
      const { ensemble, client } = await ready();
      const watching = paths(10, "/u").map(
        (path): ClientRequest => ({ type: OpCode.GetData, path, watch: true }),
      );
      const window = await measure(ensemble, client, 1, async () => {
        for (let i = 0; i < 100; i++) await inBatches(client, watching, 10);
      });
      expect(window.rows).toBeLessThan(windowRows);
      client.close();
    },
    patienceMs,
  );
});

describe("calls between members per committed write", () => {
  test.each([1, 64])(
    "%i at a time: one to each follower for a batch, and the commit rides along",
    async (batch) => {
      const { ensemble, client } = await ready();
      const requests = requestsOf.update.slice(0, batch === 1 ? 320 : writes);
      const window = await measure(ensemble, client, requests.length, () =>
        inBatches(client, requests, batch),
      );
      // Ticks send pings, and commits that nothing followed.
      const ofTicks = (2 * window.ticks) / requests.length;
      expect(window.calls).toBeLessThanOrEqual(2 / batch + ofTicks);
      expect(window.calls).toBeGreaterThan(1 / batch);
      client.close();
    },
    60_000,
  );
});
