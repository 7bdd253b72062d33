/**
 * Members in the real runtime: replication, clients' connections, and memory lost at any moment.
 *
 * Evictions keep the sockets and drop the memory (hibernation); aborts drop both, with calls under way.
 * Nothing here asserts how long something takes; waiting is for what must happen.
 *
 * @module
 */

import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CreateMode, EventType, OPEN_ACL, OpCode, ZkErrorCode } from "../../src/base/index.ts";
import type { Answer, Call } from "../../src/objects/index.ts";
import { SharedClients, type TestClient } from "./client.ts";
import { pause, TestEnsemble } from "./ensemble.ts";

/** A reason that the test runner does not print as an uncaught exception. */
const quietly = "Instance dispose";

const bytes = (text: string) => new TextEncoder().encode(text);

const createRequest = (path: string, data = "", flags: number = CreateMode.Persistent) => ({
  type: OpCode.Create,
  path,
  data: bytes(data),
  acl: OPEN_ACL,
  flags,
  ttlMs: -1,
});

const createCall = (path: string, data = ""): Call => ({
  request: createRequest(path, data),
  identities: [],
  consistency: "linearizable",
});

const readCall = (path: string): Call => ({
  request: { type: OpCode.GetData, path, watch: false },
  identities: [],
  consistency: "linearizable",
});

/** `undefined` when nobody knows what became of it. */
async function tryPerform(ensemble: TestEnsemble, call: Call): Promise<Answer | undefined> {
  try {
    const leader = await ensemble.leader();
    return await leader.perform(call);
  } catch {
    return undefined;
  }
}

async function children(client: TestClient, path: string): Promise<readonly string[]> {
  const reply = await client.request({ type: OpCode.GetChildren, path, watch: false });
  return reply.body?.kind === "children" ? reply.body.children : [];
}

describe("reports", () => {
  test("members: a report shows what clients have done, and what they hold", async () => {
    const ensemble = await TestEnsemble.start(3);
    const client = await ensemble.connect();
    await client.connect();
    await client.request(createRequest("/a"));
    await client.request(createRequest("/a/e", "xy", CreateMode.Ephemeral));
    await client.request({ type: OpCode.GetData, path: "/a", watch: true });
    await client.request({ type: OpCode.GetAcl, path: "/a" });
    const leader = await ensemble.leader();
    const lists = ["connections", "sessions", "ephemerals", "watches", "watchSummary"] as const;
    const report = await leader.report({ lists });
    if (report.kind !== "report") throw new Error(report.kind);
    expect(report).toMatchObject({ mode: "leader", isServing: true, sessionCount: 1, connectionCount: 1 });
    expect(report).toMatchObject({ received: 5, sent: 5, outstanding: 0, watchCount: 1 });
    // Three lines and a version say in `/zookeeper/config` who the members are.
    const configBytes = 3 * "server.1=member-1:2888:3888:participant\n".length + "version=0".length;
    expect(report.census).toEqual({ znodes: 6, ephemerals: 1, bytes: 52 + configBytes });
    expect(report.latency.count).toBe(5);
    expect(report.responses.min).toBeGreaterThan(20);
    expect(report.proposals.min).toBeGreaterThan(0);
    expect(report.storageBytes).toBeGreaterThan(0);
    const [connection] = Array.from(report.connections === "tooMany" ? [] : (report.connections ?? []));
    expect(connection).toMatchObject({ received: 5, sent: 5, lastOp: OpCode.GetAcl });
    const sessionId = connection?.sessionId;
    expect(report.ephemerals).toEqual([{ sessionId, paths: ["/a/e"] }]);
    expect(report.watches).toEqual([{ sessionId, path: "/a" }]);
    expect(report.watchSummary).toEqual({ connections: 1, paths: 1, watches: 1 });
    expect(report.sessions).toMatchObject([{ id: sessionId, deadlineMs: expect.any(Number) }]);
    const superUser = [{ scheme: "super", id: "" }];
    const headers = { "Ek-Snapshot-Identities": encodeURIComponent(JSON.stringify(superUser)) };
    const file = await leader.fetch("https://member/snapshot", { headers });
    const bytes = new Uint8Array(await file.arrayBuffer());
    expect([file.status, file.headers.get("Ek-Snapshot-Zxid")]).toEqual([200, report.zxid]);
    expect(bytes.length).toBe(Number(file.headers.get("Ek-Snapshot-Bytes")));
    expect(await leader.digestTree(superUser)).toMatchObject({ kind: "digest", zxid: report.zxid });
    await leader.report({ lists: [], reset: "server" });
    expect(await leader.report({ lists: [] })).toMatchObject({ received: 0, latency: { count: 0 } });
    expect(await leader.report({ lists: [], traceMask: "5" })).toMatchObject({ traceMask: "5" });
  });
});

describe("replication", () => {
  test.each([1, 3, 5])("members: a write reaches every member (voters=%i)", async (size) => {
    const ensemble = await TestEnsemble.start(size);
    const leader = await ensemble.leader();
    const written = await leader.perform(createCall("/a", "x"));
    expect(written).toMatchObject({
      kind: "answered",
      outcome: { err: 0, body: { kind: "create", path: "/a" } },
    });
    const read = await leader.perform(readCall("/a"));
    expect(read).toMatchObject({ kind: "answered", outcome: { err: 0, body: { kind: "data" } } });
    const zxid = written.kind === "answered" ? written.zxid : "";
    for (;;) {
      const statuses = await ensemble.statuses();
      if (statuses.every(({ lastApplied }) => lastApplied === zxid)) break;
      await pause(20);
    }
  });

  test("members: a refused write takes a zxid and changes nothing", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leader = await ensemble.leader();
    const refused = await leader.perform(createCall("/no/parent"));
    expect(refused).toMatchObject({ outcome: { err: ZkErrorCode.NoNode } });
    const next = await leader.perform(createCall("/a"));
    expect(refused.kind === "answered" && next.kind === "answered" && refused.zxid < next.zxid).toBe(true);
  });

  test("members: who does not lead says who does, and does nothing", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leaderId = await ensemble.leaderId();
    for (const id of ensemble.voters.filter((voter) => voter !== leaderId)) {
      const answer = await ensemble.stub(id).perform(createCall("/a"));
      expect(answer.kind).toBe("notLeader");
    }
    const read = await (await ensemble.leader()).perform(readCall("/a"));
    expect(read).toMatchObject({ outcome: { err: ZkErrorCode.NoNode } });
  });

  test("members: what comes in one message is one log row on each member", async () => {
    const ensemble = await TestEnsemble.start(3);
    const client = await ensemble.connect();
    await client.connect();
    await client.batch(Array.from({ length: 200 }, (_, i) => createRequest(`/n${i}`)));
    // Whatever a follower has not stored yet comes as it is: batches are not cut or joined.
    await client.request({ type: OpCode.Sync, path: "/" });
    for (const id of ensemble.voters) {
      let rows: { n: number; txns: number } | undefined;
      while (rows === undefined || rows.txns < 201) {
        rows = await runInDurableObject(ensemble.stub(id), (_, state) => {
          const [row] = state.storage.sql.exec<{ n: number; txns: number }>(
            "SELECT count(*) AS n, sum(count) AS txns FROM log",
          );
          return row;
        });
        await pause(20);
      }
      // The session's own txn, and the batch.
      expect(rows).toEqual({ n: 2, txns: 201 });
    }
  });
});

describe("bootstrap", () => {
  test("members: a blank member serves nobody", async () => {
    const ensemble = await TestEnsemble.start(1);
    const blank = (await import("cloudflare:workers")).env.MEMBER.getByName(`${ensemble.name}-other/1`);
    expect(await blank.perform(createCall("/a"))).toEqual({ kind: "blank" });
    expect(await blank.inspect()).toMatchObject({ bootstrap: "blank", serving: false });
  });
});

describe("connections", () => {
  test("connection: a client creates, reads, watches, and sees its event before its reply", async () => {
    const ensemble = await TestEnsemble.start(3);
    const client = await ensemble.connect();
    const { sessionId } = await client.connect();
    expect(sessionId).not.toBe(0n);
    expect((await client.request(createRequest("/w", "1"))).err).toBe(0);
    const read = await client.request({ type: OpCode.GetData, path: "/w", watch: true });
    expect(read.body).toMatchObject({ kind: "data" });
    const set = await client.request({ type: OpCode.SetData, path: "/w", data: bytes("2"), version: 0 });
    expect(client.events).toEqual([
      { event: { type: EventType.NodeDataChanged, path: "/w" }, zxid: set.zxid },
    ]);
    expect(client.order.at(-2)).toBe("event 3 /w");
  });

  test("connection: ephemerals go with their session", async () => {
    const ensemble = await TestEnsemble.start(3);
    const owner = await ensemble.connect();
    await owner.connect();
    const other = await ensemble.connect();
    await other.connect();
    await owner.request(createRequest("/e", "", CreateMode.Ephemeral));
    await other.request({ type: OpCode.Exists, path: "/e", watch: true });
    await owner.request({ type: OpCode.CloseSession });
    await other.eventCount(1);
    expect(other.events[0]?.event).toEqual({ type: EventType.NodeDeleted, path: "/e" });
    await owner.closed;
  });

  test("connection: sync is answered by a confirmed leader", async () => {
    const ensemble = await TestEnsemble.start(3);
    const client = await ensemble.connect();
    await client.connect();
    const reply = await client.request({ type: OpCode.Sync, path: "/any" });
    expect(reply).toMatchObject({ err: 0, body: { kind: "path", path: "/any" } });
  });

  test("connection: a second connection of a session closes the first", async () => {
    const ensemble = await TestEnsemble.start(1);
    const first = await ensemble.connect();
    const session = await first.connect();
    const second = await ensemble.connect();
    const again = await second.connect(session);
    expect(again.sessionId).toBe(session.sessionId);
    await first.closed;
    expect((await second.request(createRequest("/a"))).err).toBe(0);
  });

  test("connection: a wrong password gets no session", async () => {
    const ensemble = await TestEnsemble.start(1);
    const first = await ensemble.connect();
    const session = await first.connect();
    const thief = await ensemble.connect();
    const answer = await thief.connect({ ...session, password: new Uint8Array(16) });
    expect(answer).toMatchObject({ sessionId: 0n, timeoutMs: 0 });
    expect(first.isClosed).toBe(false);
  });
});

describe("eviction", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test("eviction: connections that share a socket go on there, and end with it", async () => {
    const ensemble = await TestEnsemble.start(3);
    const name = "0123456789abcdef0123456789abcdef";
    const owns = await Promise.all(
      [1, 2].map((number) => ensemble.upgrade({ "Ek-Lane": `${name}/${number}` })),
    );
    const { socket: shared, headers } = await ensemble.upgrade({ "Ek-Shared": name });
    const id = String((await (await ensemble.leader()).inspect()).id);
    expect(owns.map(({ headers }) => headers.get("Ek-Lane"))).toEqual([id, id]);
    expect(headers.get("Ek-Shared")).toBe("yes");
    const ends = owns.map(
      ({ socket }) => new Promise((resolve) => socket.addEventListener("close", resolve)),
    );
    const lanes = new SharedClients(shared, [1, 2]);
    for (const { socket } of owns) socket.accept();
    await Promise.all(lanes.clients.map((client) => client.connect()));
    const [one, two] = lanes.clients;
    if (one === undefined || two === undefined) throw new Error("there are two");
    await Promise.all(
      lanes.clients.map((client) => client.request({ type: OpCode.Exists, path: "/a", watch: true })),
    );
    await evictDurableObject(await ensemble.leader(), { webSockets: "hibernate" });
    await one.request(createRequest("/a"));
    await Promise.all(lanes.clients.map((client) => client.eventCount(1)));
    expect((await two.request({ type: OpCode.Exists, path: "/a", watch: false })).err).toBe(0);
    expect(await (await ensemble.leader()).inspect()).toMatchObject({ connections: 2 });
    shared.close(1000, "done");
    await Promise.all(ends);
  });

  test("eviction: an idle connection goes on with its session and its watch", async () => {
    // A pending timer keeps an object in memory. A faked one does not, and a lone voter needs no ticks.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const ensemble = await TestEnsemble.start(1);
    const client = await ensemble.connect();
    await client.connect();
    await client.request(createRequest("/w", "1"));
    await client.request({ type: OpCode.GetData, path: "/w", watch: true });
    await evictDurableObject(await ensemble.leader(), { webSockets: "hibernate" });
    await (await ensemble.leader()).perform({
      request: { type: OpCode.SetData, path: "/w", data: bytes("2"), version: -1 },
      identities: [],
      consistency: "linearizable",
    });
    await client.eventCount(1);
    expect(client.events[0]?.event).toEqual({ type: EventType.NodeDataChanged, path: "/w" });
    expect((await client.request(createRequest("/after"))).err).toBe(0);
  });

  test.each([1, 3])(
    "eviction: of any member, mid-write, loses no acknowledged write (voters=%i)",
    async (size) => {
      const ensemble = await TestEnsemble.start(size);
      const acknowledged: string[] = [];
      let isDone = false;
      const writing = (async () => {
        const setup = await ensemble.leader();
        await setup.perform(createCall("/q"));
        for (let i = 0; !isDone; i++) {
          const answer = await tryPerform(ensemble, createCall(`/q/${i}`));
          if (answer?.kind === "answered" && answer.outcome.err === ZkErrorCode.Ok) acknowledged.push(`${i}`);
        }
      })();
      for (const id of [...ensemble.voters, ...ensemble.voters]) {
        await pause(100);
        await runInDurableObject(ensemble.stub(id), (_, state) => state.abort(quietly)).catch(
          () => undefined,
        );
      }
      await pause(100);
      isDone = true;
      await writing;
      const client = await ensemble.connect();
      await client.connect();
      await client.request({ type: OpCode.Sync, path: "/" });
      const present = new Set(await children(client, "/q"));
      expect(acknowledged.length).toBeGreaterThan(0);
      expect(acknowledged.filter((name) => !present.has(name))).toEqual([]);
    },
  );

  test("eviction: a session outlives its leader and keeps its ephemeral", async () => {
    const ensemble = await TestEnsemble.start(3);
    const first = await ensemble.connect();
    const session = await first.connect();
    await first.request(createRequest("/e", "", CreateMode.Ephemeral));
    const leader = await ensemble.leader();
    await runInDurableObject(leader, (_, state) => state.abort(quietly)).catch(() => undefined);
    await first.closed;
    const second = await ensemble.connect();
    const again = await second.connect(session);
    expect(again.sessionId).toBe(session.sessionId);
    const exists = await second.request({ type: OpCode.Exists, path: "/e", watch: false });
    expect(exists.err).toBe(0);
  });
});

describe("locks", () => {
  const lock = (id: string, waitMs: number, mode: "exclusive" | "shared" = "exclusive") => ({
    path: "/locks/a",
    id: id.repeat(32),
    mode,
    ttlMs: 10_000,
    waitMs,
    owner: id,
    identities: [],
  });

  test("lock: a second caller waits for the first, and gets a greater token", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leader = await ensemble.leader();
    const first = await leader.acquireLock(lock("a", 0));
    expect(first.kind).toBe("granted");
    const waiting = leader.acquireLock(lock("b", 20_000));
    await pause(50);
    const seen = await leader.describeLock("/locks/a", []);
    expect(seen.kind === "described" && seen.contenders.map(({ owner, holds }) => [owner, holds])).toEqual([
      ["a", true],
      ["b", false],
    ]);
    expect((await leader.releaseLock({ path: "/locks/a", id: "a".repeat(32), identities: [] })).kind).toBe(
      "released",
    );
    const second = await waiting;
    expect(second.kind).toBe("granted");
    if (first.kind === "granted" && second.kind === "granted") {
      expect(BigInt(second.token)).toBeGreaterThan(BigInt(first.token));
    }
  });

  test("lock: a delay outlives its holder and the leader that granted it", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leader = await ensemble.leader();
    const delayed = await leader.acquireLock({ ...lock("a", 0), delayMs: 600_000 });
    expect(delayed.kind).toBe("granted");
    const seen = await leader.describeLock("/locks/a", []);
    const [holder] = seen.kind === "described" ? seen.contenders : [];
    const steal = { type: OpCode.Delete, path: `/locks/a/${holder?.name}`, version: -1 } as const;
    await leader.perform({ request: steal, identities: [], consistency: "linearizable" });
    expect((await leader.acquireLock(lock("b", 0))).kind).toBe("timedOut");
    await runInDurableObject(leader, (_, state) => state.abort(quietly)).catch(() => undefined);
    expect((await (await ensemble.leader()).acquireLock(lock("c", 0))).kind).toBe("timedOut");
  });

  test("lock: who does not get it in time leaves the queue", async () => {
    const ensemble = await TestEnsemble.start(1);
    const leader = await ensemble.leader();
    await leader.acquireLock(lock("a", 0));
    expect((await leader.acquireLock(lock("b", 50))).kind).toBe("timedOut");
    const seen = await leader.describeLock("/locks/a", []);
    expect(seen.kind === "described" && seen.contenders.length).toBe(1);
  });

  test("lock: shared holders share, an exclusive one waits for all of them", async () => {
    const ensemble = await TestEnsemble.start(1);
    const leader = await ensemble.leader();
    expect((await leader.acquireLock(lock("a", 0, "shared"))).kind).toBe("granted");
    expect((await leader.acquireLock(lock("b", 0, "shared"))).kind).toBe("granted");
    expect((await leader.acquireLock(lock("c", 0))).kind).toBe("timedOut");
  });

  test("lock: asking again with the same id takes one place", async () => {
    const ensemble = await TestEnsemble.start(1);
    const leader = await ensemble.leader();
    const first = await leader.acquireLock(lock("a", 0));
    const again = await leader.acquireLock(lock("a", 0));
    expect(first.kind === "granted" && again.kind === "granted" && first.token === again.token).toBe(true);
  });
});
