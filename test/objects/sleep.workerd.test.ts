/**
 * Sleep in the real runtime: what an idle ensemble does (nothing), what wakes it, and who expires.
 *
 * Events of all members are counted where they begin, and a member in which a timer is pending cannot be
 * evicted: so what is evicted does nothing until the next event from outside.
 *
 * @module
 */

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CreateMode, OPEN_ACL, OpCode, type ServerId } from "../../src/base/index.ts";
import { Member } from "../../src/objects/member.ts";
import type { TestClient } from "./client.ts";
import { pause, TestEnsemble } from "./ensemble.ts";

/** A reason that the test runner does not print as an uncaught exception. */
const quietly = "Instance dispose";

/** The shortest timeout that a session can have: two of ZooKeeper's ticks. */
const timeoutMs = 4_000;

const bytes = (text: string) => new TextEncoder().encode(text);

const create = (path: string, flags: number = CreateMode.Persistent) => ({
  type: OpCode.Create,
  path,
  data: bytes(""),
  acl: OPEN_ACL,
  flags,
  ttlMs: -1,
});

const write = (path: string) =>
  ({ request: create(path), identities: [], consistency: "linearizable" }) as const;

const read = (path: string) =>
  ({
    request: { type: OpCode.GetData, path, watch: false },
    identities: [],
    consistency: "linearizable",
  }) as const;

type Handler = "exchange" | "alarm" | "keepsWatch" | "webSocketMessage" | "webSocketClose";

/** How often each began, in all members. */
let events: Record<Handler, number>;
/** Members whose objects cannot be reached. */
let gone: Set<string>;
/** Whoever is asked whether it watches does not answer. */
let isWatchUnanswered: boolean;

beforeEach(() => {
  events = { exchange: 0, alarm: 0, keepsWatch: 0, webSocketMessage: 0, webSocketClose: 0 };
  gone = new Set();
  isWatchUnanswered = false;
  for (const name of ["exchange", "alarm", "keepsWatch", "webSocketMessage", "webSocketClose"] as const) {
    const handler: (...args: never[]) => Promise<unknown> = Member.prototype[name];
    vi.spyOn(Member.prototype, name).mockImplementation(async function (this: Member, ...args: never[]) {
      events[name] += 1;
      if (gone.has(Reflect.get(this, "ctx").id.name)) throw new Error(quietly);
      if (name === "keepsWatch" && isWatchUnanswered) return new Promise(() => {}) as never;
      return handler.apply(this, args) as never;
    });
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

function eventCount(): number {
  return Object.values(events).reduce((sum, count) => sum + count, 0);
}

/** Waits until nothing happens any more: awake, members would have pinged by then. */
async function sleeping(): Promise<void> {
  for (;;) {
    const before = eventCount();
    await pause(1_200);
    if (eventCount() === before) return;
  }
}

/** All members lose their memory, as the platform has it after ten idle seconds; sockets stay. */
async function hibernate(ensemble: TestEnsemble): Promise<void> {
  for (const id of ensemble.voters) {
    await evictDurableObject(ensemble.stub(id), { webSockets: "hibernate" }).catch((error: Error) => {
      // It has lost it already.
      if (!error.message.includes("not currently running")) throw error;
    });
  }
}

async function alarms(ensemble: TestEnsemble): Promise<(number | null)[]> {
  const asked = ensemble.voters.map((id) =>
    runInDurableObject(ensemble.stub(id), (_, { storage }) => storage.getAlarm()),
  );
  return Promise.all(asked);
}

async function connect(ensemble: TestEnsemble): Promise<TestClient> {
  const client = await ensemble.connect();
  await client.connect(undefined, timeoutMs);
  return client;
}

async function exists(ensemble: TestEnsemble, path: string): Promise<boolean> {
  const leader = await ensemble.leader();
  const answer = await leader.perform({
    request: { type: OpCode.Exists, path, watch: false },
    identities: [],
    consistency: "linearizable",
  });
  return answer.kind === "answered" && answer.outcome.err === 0;
}

async function epochOf(ensemble: TestEnsemble): Promise<number> {
  return Math.max(...(await ensemble.statuses()).map(({ epoch }) => epoch));
}

/** Not through the ensemble's helper, which would ask everybody who leads. */
async function performAt(ensemble: TestEnsemble, id: ServerId, path: string) {
  return ensemble.stub(id).perform(write(path));
}

describe("sleep", () => {
  test.each([1, 3])(
    "without sessions nothing is left to happen: no timer, no alarm, no call (voters=%i)",
    async (size) => {
      const ensemble = await TestEnsemble.start(size);
      await (await ensemble.leader()).perform(write("/a"));
      await sleeping();
      await hibernate(ensemble);
      const before = { ...events };
      expect(await alarms(ensemble)).toEqual(ensemble.voters.map(() => null));
      expect(events).toEqual(before);
    },
    60_000,
  );

  test("the first request afterwards is answered, by the same leader in the same epoch", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leaderId = await ensemble.leaderId();
    await performAt(ensemble, leaderId, "/a");
    const epoch = await epochOf(ensemble);
    await sleeping();
    await hibernate(ensemble);
    const answer = await ensemble.stub(leaderId).perform(read("/a"));
    expect(answer).toMatchObject({ kind: "answered", outcome: { err: 0 } });
    expect(await performAt(ensemble, leaderId, "/b")).toMatchObject({ outcome: { err: 0 } });
    expect(await epochOf(ensemble)).toBe(epoch);
    expect(await ensemble.leaderId()).toBe(leaderId);
  }, 60_000);

  test("a leader that died asleep, and alone, goes on in its epoch", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leaderId = await ensemble.leaderId();
    await performAt(ensemble, leaderId, "/a");
    const epoch = await epochOf(ensemble);
    await sleeping();
    await runInDurableObject(ensemble.stub(leaderId), (_, state) => state.abort(quietly)).catch(() => {});
    expect(await performAt(ensemble, leaderId, "/b")).toMatchObject({ outcome: { err: 0 } });
    expect(await epochOf(ensemble)).toBe(epoch);
    expect(await ensemble.leaderId()).toBe(leaderId);
  }, 60_000);

  test("a leader gone for good is found out by the next request, and another is elected", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leaderId = await ensemble.leaderId();
    await performAt(ensemble, leaderId, "/a");
    await sleeping();
    await hibernate(ensemble);
    gone.add(`${ensemble.name}/${leaderId}`);
    const others = ensemble.voters.filter((id) => id !== leaderId);
    for (;;) {
      const answers = await Promise.all(others.map((id) => ensemble.stub(id).perform(read("/a"))));
      const answered = answers.find(({ kind }) => kind === "answered");
      if (answered !== undefined) {
        expect(answered).toMatchObject({ outcome: { err: 0 } });
        break;
      }
      await pause(50);
    }
  }, 60_000);

  test("a leader gone for good is found out by sleeping followers that are roused, and another is elected", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leaderId = await ensemble.leaderId();
    await performAt(ensemble, leaderId, "/a");
    await sleeping();
    gone.add(`${ensemble.name}/${leaderId}`);
    const others = ensemble.voters.filter((id) => id !== leaderId);
    for (;;) {
      const seen = await Promise.all(others.map((id) => ensemble.stub(id).inspect({ rouse: true })));
      if (seen.some(({ role, serving }) => role === "leading" && serving)) break;
      await pause(50);
    }
  }, 60_000);
});

describe("sessions of an ensemble that sleeps", () => {
  test("with live sockets never expire, and only their leader's alarm looks after them", async () => {
    const ensemble = await TestEnsemble.start(3);
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(ensemble)));
    for (const [i, client] of clients.entries()) await client.request(create(`/e${i}`, CreateMode.Ephemeral));
    await sleeping();
    const before = { ...events };
    for (let second = 0; second < 12; second++) {
      for (const client of clients) client.ping();
      await pause(1_000);
      if (second % 4 === 0) await hibernate(ensemble);
    }
    const { alarm, ...others } = events;
    expect({ ...others, alarm: before.alarm }).toEqual(before);
    // A deadline is three to four seconds behind the last sign of life: one alarm looks at all sessions.
    expect(alarm - before.alarm).toBeGreaterThan(1);
    expect(alarm - before.alarm).toBeLessThan(12);
    for (const i of clients.keys()) expect(await exists(ensemble, `/e${i}`)).toBe(true);
    const [first] = clients;
    expect((await first?.request({ type: OpCode.Exists, path: "/e0", watch: false }))?.err).toBe(0);
  }, 90_000);

  test("whose clients are gone do expire, although every alarm finds an empty memory", async () => {
    const ensemble = await TestEnsemble.start(3);
    const client = await connect(ensemble);
    await client.request(create("/e", CreateMode.Ephemeral));
    await sleeping();
    const before = events.alarm;
    // The socket stays open, and nobody is behind it: no sign of life.
    for (;;) {
      await hibernate(ensemble);
      await pause(500);
      // One that is due finds nobody; the next is one timeout later.
      if (events.alarm >= before + 2) break;
    }
    while (await exists(ensemble, "/e")) await pause(100);
  }, 90_000);

  test("whose clients break off expire as if nobody slept, and then everybody does", async () => {
    const ensemble = await TestEnsemble.start(3);
    for (const id of [await ensemble.leaderId(), await ensemble.followerId()]) {
      await ensemble.serves(id);
      const client = await ensemble.connectAt(id);
      await client.connect(undefined, timeoutMs);
      await client.request(create("/e", CreateMode.Ephemeral));
      await sleeping();
      await hibernate(ensemble);
      const before = events.alarm;
      client.close();
      while ((await ensemble.stub(id).inspect()).sessions > 0) await pause(100);
      // No alarm had to find out.
      expect(events.alarm).toBe(before);
      await sleeping();
    }
  }, 90_000);

  test("that end while it sleeps leave no alarm behind", async () => {
    const ensemble = await TestEnsemble.start(3);
    const client = await connect(ensemble);
    await client.request({ type: OpCode.CloseSession });
    await sleeping();
    expect(await alarms(ensemble)).toEqual([null, null, null]);
  }, 60_000);

  test("are not forgotten by a voter that dies while it asks whether their leader is there", async () => {
    const ensemble = await TestEnsemble.start(3);
    await connect(ensemble);
    await sleeping();
    const voter = ensemble.stub(await ensemble.followerId());
    await sleeping();
    const watchdogs = () =>
      runInDurableObject(voter, (_, { storage }) =>
        storage.sql.exec<{ due: number }>("SELECT due FROM schedule WHERE name = 'watchdog'").toArray(),
      );
    expect(await watchdogs()).toHaveLength(1);
    const beganMs = await runInDurableObject(voter, async (_, { storage }) => {
      storage.sql.exec("UPDATE schedule SET due = 1");
      return Date.now();
    });
    isWatchUnanswered = true;
    const before = events.keepsWatch;
    const asking = runDurableObjectAlarm(voter).catch(() => false);
    while (events.keepsWatch === before) await pause(20);
    // What the next memory would find.
    const [watchdog] = await watchdogs();
    expect(watchdog?.due).toBeGreaterThan(beganMs);
    await runInDurableObject(voter, (_, state) => state.abort(quietly)).catch(() => {});
    await asking;
  }, 60_000);

  test("go on with their watches when a hibernated ensemble wakes", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leaderId = await ensemble.leaderId();
    const client = await connect(ensemble);
    await client.request(create("/w"));
    await client.request({ type: OpCode.GetData, path: "/w", watch: true });
    await sleeping();
    await hibernate(ensemble);
    client.ping();
    await ensemble.stub(leaderId).perform({
      request: { type: OpCode.SetData, path: "/w", data: bytes("2"), version: -1 },
      identities: [],
      consistency: "linearizable",
    });
    await client.eventCount(1);
    expect((await client.request(create("/after"))).err).toBe(0);
  }, 60_000);
});
