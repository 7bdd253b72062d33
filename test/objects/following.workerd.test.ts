/**
 * Members that do not lead, in the real runtime: their clients write, read, watch, and move between members.
 *
 * Nothing here asserts how long something takes; waiting is for what must happen.
 *
 * @module
 */

import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { CreateMode, EventType, OPEN_ACL, OpCode, type ServerId, ZkErrorCode } from "../../src/base/index.ts";
import type { TestClient, TestReply } from "./client.ts";
import { pause, TestEnsemble } from "./ensemble.ts";

/** A reason that the test runner does not print as an uncaught exception. */
const quietly = "Instance dispose";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (reply: TestReply) =>
  reply.body?.kind === "data" && reply.body.data !== null
    ? new TextDecoder().decode(reply.body.data)
    : undefined;

const create = (path: string, data = "", flags: number = CreateMode.Persistent) => ({
  type: OpCode.Create,
  path,
  data: bytes(data),
  acl: OPEN_ACL,
  flags,
  ttlMs: -1,
});
const get = (path: string, watch = false) => ({ type: OpCode.GetData, path, watch }) as const;
const set = (path: string, data: string) =>
  ({ type: OpCode.SetData, path, data: bytes(data), version: -1 }) as const;
const sync = { type: OpCode.Sync, path: "/" } as const;

async function abort(ensemble: TestEnsemble, id: ServerId): Promise<void> {
  await runInDurableObject(ensemble.stub(id), (_, state) => state.abort(quietly)).catch(() => undefined);
}

async function joined(ensemble: TestEnsemble, id: ServerId): Promise<TestClient> {
  const client = await ensemble.connectAt(id);
  await client.connect();
  return client;
}

describe.each([
  ["a follower", 3, 0],
  ["an observer", 1, 1],
  ["an observer beside followers", 3, 1],
])("at %s", (_, voters, observers) => {
  async function start(): Promise<{ ensemble: TestEnsemble; id: ServerId }> {
    const ensemble = await TestEnsemble.start(voters, observers);
    const [observer] = ensemble.observers;
    const id = observer ?? (await ensemble.followerId());
    await ensemble.serves(id);
    return { ensemble, id };
  }

  test("serve: a client writes, reads what it wrote, and is told what went wrong", async () => {
    const { ensemble, id } = await start();
    const client = await joined(ensemble, id);
    const replies = await client.batch([
      create("/a", "1"),
      get("/a"),
      create("/a"),
      create("/no/parent"),
      set("/a", "2"),
      get("/a"),
      { type: OpCode.CloseSession },
    ]);
    expect(replies.map(({ err }) => err)).toEqual([
      0,
      0,
      ZkErrorCode.NodeExists,
      ZkErrorCode.NoNode,
      0,
      0,
      0,
    ]);
    expect(replies.map(text)).toEqual([undefined, "1", undefined, undefined, undefined, "2", undefined]);
    expect(client.order).toEqual([1, 2, 3, 4, 5, 6, 7].map((xid) => `reply ${xid}`));
    await client.closed;
  });

  test("serve: a watch at the member is told of a write at the leader, before any answer that shows it", async () => {
    const { ensemble, id } = await start();
    const leader = await ensemble.connect();
    await leader.connect();
    await leader.request(create("/w", "1"));
    const client = await joined(ensemble, id);
    await client.request(sync);
    expect(text(await client.request(get("/w", true)))).toBe("1");
    await leader.request(set("/w", "2"));
    await client.batch([sync, get("/w")]);
    expect(client.events.map(({ event }) => event)).toEqual([
      { type: EventType.NodeDataChanged, path: "/w" },
    ]);
    expect(client.order.indexOf("event 3 /w")).toBeLessThan(client.order.indexOf("reply 4"));
  });

  test("serve: a session moves there and back, and leaves its earlier connection behind", async () => {
    const { ensemble, id } = await start();
    const first = await ensemble.connect();
    const session = await first.connect();
    await first.request(create("/e", "", CreateMode.Ephemeral));
    const second = await ensemble.connectAt(id);
    expect((await second.connect(session)).sessionId).toBe(session.sessionId);
    await first.closed;
    expect((await second.request(get("/e"))).err).toBe(0);
    await second.request(create("/f", "", CreateMode.Ephemeral));
    const third = await ensemble.connect();
    expect((await third.connect(session)).sessionId).toBe(session.sessionId);
    await second.closed;
    expect((await third.request(get("/f"))).err).toBe(0);
    await third.request({ type: OpCode.CloseSession });
    const fourth = await ensemble.connectAt(id);
    expect(await fourth.connect(session)).toMatchObject({ sessionId: 0n, timeoutMs: 0 });
  });

  test("serve: a wrong password gets no session, and disturbs nobody", async () => {
    const { ensemble, id } = await start();
    const first = await ensemble.connect();
    const session = await first.connect();
    const thief = await ensemble.connectAt(id);
    expect(await thief.connect({ ...session, password: new Uint8Array(16) })).toMatchObject({
      sessionId: 0n,
    });
    expect((await first.request(create("/mine"))).err).toBe(0);
  });

  test("serve: who has seen more than the member has applied is let in when it has caught up", async () => {
    const { ensemble, id } = await start();
    const leader = await ensemble.connect();
    const session = await leader.connect();
    const { zxid } = await leader.request(create("/new"));
    const client = await ensemble.connectAt(id);
    await client.connect(session, 10_000, zxid);
    expect((await client.request(get("/new"))).err).toBe(0);
    const stranger = await ensemble.connectAt(id);
    await expect(stranger.connect(undefined, 10_000, zxid + 1000n)).rejects.toThrow(/newer zxid/);
  });

  test("serve: HTTP reads are answered there, linearizable ones after a confirmation", async () => {
    const { ensemble, id } = await start();
    const leader = await ensemble.leader();
    const request = { type: OpCode.GetData, path: "/h", watch: false } as const;
    await leader.perform({ request: create("/h", "1"), identities: [], consistency: "linearizable" });
    let read = await ensemble.stub(id).perform({ request, identities: [], consistency: "linearizable" });
    // It may not have attached yet.
    while (read.kind === "notLeader") {
      await pause(20);
      read = await ensemble.stub(id).perform({ request, identities: [], consistency: "linearizable" });
    }
    expect(read).toMatchObject({ kind: "answered", outcome: { err: 0 } });
    const write = await ensemble
      .stub(id)
      .perform({ request: set("/h", "2"), identities: [], consistency: "linearizable" });
    expect(write.kind).toBe("notLeader");
  });
});

describe("when members go away", () => {
  test("serve: a follower's client is cut off with its leader, and goes on with its session", async () => {
    const ensemble = await TestEnsemble.start(3);
    const id = await ensemble.followerId();
    const first = await ensemble.connectAt(id);
    const session = await first.connect();
    await first.request(create("/e", "", CreateMode.Ephemeral));
    await abort(ensemble, await ensemble.leaderId());
    await first.closed;
    const second = await ensemble.connectAt(id);
    expect((await second.connect(session)).sessionId).toBe(session.sessionId);
    expect((await second.request(get("/e"))).err).toBe(0);
    expect((await second.request(create("/after"))).err).toBe(0);
  });

  test("serve: nothing acknowledged anywhere is lost, none is doubled, while any member goes away", async () => {
    const ensemble = await TestEnsemble.start(3, 1);
    await (await joined(ensemble, await ensemble.leaderId())).request(create("/q"));
    const acknowledged: string[] = [];
    let isDone = false;
    const writers = ensemble.ids.map(async (id) => {
      for (let round = 0; !isDone; round++) {
        const client = await joined(ensemble, id).catch(() => undefined);
        for (let i = 0; client !== undefined && !client.isClosed && !isDone; i++) {
          const name = `${id}-${round}-${i}`;
          const reply = await client.request(create(`/q/${name}`)).catch(() => undefined);
          if (reply === undefined) break;
          // Every name is asked for once: only a repeated request could find it there.
          expect(reply.err).toBe(0);
          acknowledged.push(name);
        }
        client?.close();
      }
    });
    for (const id of ensemble.ids) {
      await pause(200);
      await abort(ensemble, id);
    }
    await pause(300);
    isDone = true;
    await Promise.all(writers);
    expect(acknowledged.length).toBeGreaterThan(ensemble.ids.length);
    for (const id of ensemble.ids) {
      const client = await joined(ensemble, id);
      await client.request(sync);
      const { body } = await client.request({ type: OpCode.GetChildren, path: "/q", watch: false });
      const present = new Set(body?.kind === "children" ? body.children : []);
      expect(acknowledged.filter((name) => !present.has(name))).toEqual([]);
    }
  });

  test("serve: a session that is only pinged at a follower outlives its timeout, and a silent one does not", async () => {
    const ensemble = await TestEnsemble.start(3);
    const id = await ensemble.followerId();
    const alive = await ensemble.connectAt(id);
    const aliveSession = await alive.connect(undefined, 4_000);
    const silent = await ensemble.connectAt(id);
    const silentSession = await silent.connect(undefined, 4_000);
    await silent.request(create("/silent", "", CreateMode.Ephemeral));
    await alive.request(create("/alive", "", CreateMode.Ephemeral));
    await alive.request({ type: OpCode.Exists, path: "/silent", watch: true });
    while (alive.events.length === 0) {
      await alive.request({ type: OpCode.WhoAmI });
      await pause(200);
    }
    await silent.closed;
    expect((await alive.request(get("/alive"))).err).toBe(0);
    expect(aliveSession.sessionId).not.toBe(silentSession.sessionId);
  });
});
