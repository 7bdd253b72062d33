/**
 * Members come, change roles, move and go in the real runtime, while clients write.
 *
 * Orders are repeated until they are done, as their callers do. Whatever was acknowledged is there in the
 * end, on the members there are in the end.
 *
 * @module
 */

import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import {
  EventType,
  makeServerId,
  OPEN_ACL,
  OpCode,
  type ServerId,
  ZkErrorCode,
} from "../../src/base/index.ts";
import type { MemberOrder, MembersAnswer } from "../../src/objects/index.ts";
import { pause, TestEnsemble } from "./ensemble.ts";

const [one, two, three, four, five, six] = [1, 2, 3, 4, 5, 6].map(makeServerId) as [
  ServerId,
  ServerId,
  ServerId,
  ServerId,
  ServerId,
  ServerId,
];

const operator = [{ scheme: "super", id: "" }];

/** Orders it at whoever leads, until there is an answer that is not "again", or "not before others have caught up". */
async function order(
  ensemble: TestEnsemble,
  give: (id: ServerId) => Promise<MembersAnswer>,
): Promise<MembersAnswer> {
  for (;;) {
    try {
      const answer = await give(await ensemble.leaderId());
      const isEarly = answer.kind === "refused" && answer.code === ZkErrorCode.NewConfigNoQuorum;
      if (answer.kind === "done" || (answer.kind === "refused" && !isEarly)) return answer;
    } catch {
      // It died, or left: it may have happened.
    }
    await pause(50);
  }
}

function add(ensemble: TestEnsemble, wanted: MemberOrder): Promise<MembersAnswer> {
  if (!ensemble.ids.includes(wanted.id)) ensemble.added.push(wanted.id);
  return order(ensemble, (leader) => ensemble.stub(leader).addMember(wanted, operator));
}

function remove(ensemble: TestEnsemble, id: ServerId): Promise<MembersAnswer> {
  return order(ensemble, (leader) => ensemble.stub(leader).removeMember(id, operator));
}

/** Creates znodes one after the other; `stop` ends it and tells which were acknowledged. */
function writeLoad(ensemble: TestEnsemble): { stop(): Promise<readonly string[]>; readonly count: number } {
  const acknowledged: string[] = [];
  let isOver = false;
  const run = async () => {
    for (let n = 0; !isOver; n++) {
      const path = `/load-${n}`;
      const request = { type: OpCode.Create, path, data: null, acl: OPEN_ACL, flags: 0, ttlMs: -1 } as const;
      try {
        const leader = ensemble.stub(await ensemble.leaderId());
        const answer = await leader.perform({ request, identities: [], consistency: "linearizable" });
        if (answer.kind === "answered" && answer.outcome.err === 0) acknowledged.push(path);
      } catch {
        // Nobody knows what became of that one.
      }
    }
  };
  const running = run();
  return {
    get count() {
      return acknowledged.length;
    },
    stop: async () => {
      isOver = true;
      await running;
      return acknowledged;
    },
  };
}

async function more(load: { readonly count: number }, writes: number): Promise<void> {
  for (const before = load.count; load.count < before + writes; ) await pause(10);
}

async function expectAll(ensemble: TestEnsemble, id: ServerId, paths: readonly string[]): Promise<void> {
  const request = { type: "childrenPage", path: "/", after: undefined, limit: 1000 } as const;
  let missing = [...paths];
  // A member that follows may be a moment behind.
  for (let tries = 0; tries < 200 && missing.length > 0; tries++) {
    const answer = await ensemble.stub(id).perform({ request, identities: [], consistency: "local" });
    const body = answer.kind === "answered" ? answer.outcome.body : undefined;
    const names = new Set(body?.kind === "children" ? body.children : []);
    missing = missing.filter((path) => !names.has(path.slice(1)));
    if (missing.length > 0) await pause(20);
  }
  expect(missing).toEqual([]);
}

/** Its memory is gone, and all calls under way. */
async function abort(ensemble: TestEnsemble, id: ServerId): Promise<void> {
  const stub = ensemble.stub(id);
  // A reason that the test runner does not print as an uncaught exception.
  await runInDurableObject(stub, (_, state) => state.abort("Instance dispose")).catch(() => undefined);
}

async function votersAt(ensemble: TestEnsemble, id: ServerId): Promise<readonly ServerId[]> {
  return (await ensemble.stub(id).inspect()).voters;
}

describe("members under write load", () => {
  test("members: a server is added, becomes a voter, and the others can do without an old one", async () => {
    const ensemble = await TestEnsemble.start(3);
    const load = writeLoad(ensemble);
    await more(load, 5);
    expect(await add(ensemble, { id: four, role: "voter", location: "weur" })).toMatchObject({
      kind: "done",
      members: [
        { id: one, role: "voter", address: "member-1:2888:3888" },
        { id: two, role: "voter" },
        { id: three, role: "voter" },
        { id: four, role: "voter", address: "member-4.weur:2888:3888" },
      ],
    });
    await more(load, 5);
    expect(await remove(ensemble, three)).toMatchObject({ kind: "done" });
    await more(load, 5);
    const acknowledged = await load.stop();
    const leader = await ensemble.leaderId();
    expect(await votersAt(ensemble, leader)).toEqual([one, two, four]);
    for (const id of [one, two, four]) await expectAll(ensemble, id, acknowledged);
    // The one that left is told, keeps its grave, and serves nobody.
    for (;;) {
      const status = await ensemble.stub(three).inspect();
      if (!status.serving && status.role === "looking" && status.voters.includes(four)) break;
      await pause(20);
    }
  }, 60_000);

  test("members: all three move to new places, the leader among them, each losing its memory on the way", async () => {
    const ensemble = await TestEnsemble.start(3);
    const load = writeLoad(ensemble);
    for (const [from, to] of [
      [one, four],
      [two, five],
      [three, six],
    ] as const) {
      await more(load, 3);
      const moved = add(ensemble, { id: to, role: "voter", replaces: from });
      await abort(ensemble, await ensemble.leaderId());
      expect(await moved).toMatchObject({ kind: "done" });
    }
    await more(load, 3);
    const acknowledged = await load.stop();
    const leader = await ensemble.leaderId();
    expect([four, five, six]).toContain(leader);
    expect(await votersAt(ensemble, leader)).toEqual([four, five, six]);
    for (const id of [four, five, six]) await expectAll(ensemble, id, acknowledged);
    // Asked again, it is done already.
    expect(await add(ensemble, { id: six, role: "voter", replaces: three })).toMatchObject({ kind: "done" });
    expect(await remove(ensemble, one)).toMatchObject({ kind: "done" });
  }, 120_000);
});

describe("an order", () => {
  test("members: makes an observer of a voter, and a voter of an observer", async () => {
    const ensemble = await TestEnsemble.start(3, 1);
    expect(await add(ensemble, { id: two, role: "observer" })).toMatchObject({ kind: "done" });
    expect(await add(ensemble, { id: four, role: "voter" })).toMatchObject({ kind: "done" });
    const { voters, observers } = await ensemble.stub(await ensemble.leaderId()).inspect();
    expect([voters, observers]).toEqual([[one, three, four], [two]]);
  }, 60_000);

  test("members: makes an observer of the leader, which leaves its place to another voter", async () => {
    const ensemble = await TestEnsemble.start(3);
    const leader = await ensemble.leaderId();
    expect(await add(ensemble, { id: leader, role: "observer" })).toMatchObject({ kind: "done" });
    const { id, observers } = await ensemble.stub(await ensemble.leaderId()).inspect();
    expect([id === leader, observers]).toEqual([false, [leader]]);
    await ensemble.serves(leader);
  }, 60_000);

  test("members: is refused for an id that was used, for a stranger, and for the last voter", async () => {
    const ensemble = await TestEnsemble.start(1);
    const other = await TestEnsemble.start(1);
    expect(await remove(ensemble, one)).toMatchObject({ kind: "refused", code: ZkErrorCode.BadArguments });
    expect(await remove(ensemble, two)).toMatchObject({ kind: "refused", code: ZkErrorCode.NoNode });
    expect(await add(ensemble, { id: two, role: "observer" })).toMatchObject({ kind: "done" });
    expect(await remove(ensemble, two)).toMatchObject({ kind: "done" });
    expect(await add(ensemble, { id: two, role: "observer" })).toMatchObject({
      kind: "refused",
      reason: "server 2 was a member before, and ids are not used again",
    });
    expect(await add(ensemble, { id: three, role: "voter", replaces: five })).toMatchObject({
      kind: "refused",
      reason: "server 5, which it is to replace, is no member",
    });
    const order = { secret: "6".repeat(64), version: "0x0", members: [], retired: [] };
    expect(await other.stub(one).joinEnsemble(order)).toBe("foreign");
    expect(await other.stub(one).joinEnsemble({ ...order, secret: "5".repeat(64) })).toBe("joined");
  }, 60_000);

  test("members: without permission changes nothing", async () => {
    const ensemble = await TestEnsemble.start(1);
    const leader = ensemble.stub(await ensemble.leaderId());
    ensemble.added.push(two);
    expect(await leader.addMember({ id: two, role: "observer" }, [])).toMatchObject({
      kind: "refused",
      code: ZkErrorCode.NoAuth,
    });
    expect((await leader.inspect()).observers).toEqual([]);
  }, 60_000);
});

describe("reconfig over the ZooKeeper protocol", () => {
  test("members: clients of a member keep their connection while it becomes a voter, and an observer again", async () => {
    const ensemble = await TestEnsemble.start(3, 1);
    await ensemble.serves(four);
    const client = await ensemble.connectAt(four);
    await client.connect();
    const path = "/role";
    await client.request({ type: OpCode.Create, path, data: null, acl: OPEN_ACL, flags: 0, ttlMs: -1 });
    const set = { type: OpCode.SetData, path, data: null, version: -1 } as const;
    const written = { count: 0 };
    let isOver = false;
    const write = async () => {
      while (!isOver) {
        // Several under way at any time: what is forwarded in one role is answered in the other.
        for (const { err, body } of await client.batch(Array.from({ length: 8 }, () => set))) {
          written.count += 1;
          expect([err, body?.kind === "stat" && body.stat.version]).toEqual([0, written.count]);
        }
      }
    };
    const writing = write();
    await more(written, 16);
    expect(await add(ensemble, { id: four, role: "voter" })).toMatchObject({ kind: "done" });
    await more(written, 16);
    expect(await add(ensemble, { id: four, role: "observer" })).toMatchObject({ kind: "done" });
    await more(written, 16);
    isOver = true;
    await writing;
    expect(client.isClosed).toBe(false);
  }, 120_000);

  test("members: whom a client names must be attached before it votes, and is told that it is named", async () => {
    const ensemble = await TestEnsemble.start(3);
    ensemble.added.push(four);
    const name = async (role: string) =>
      ensemble.stub(await ensemble.leaderId()).perform({
        request: {
          type: OpCode.Reconfig,
          joiningServers: `server.4=member-4:2888:3888:${role};2181`,
          leavingServers: null,
          newMembers: null,
          curConfigId: -1n,
        },
        identities: operator,
        consistency: "linearizable",
      });
    expect(await name("participant")).toMatchObject({ outcome: { err: ZkErrorCode.NewConfigNoQuorum } });
    expect(await name("observer")).toMatchObject({ outcome: { err: ZkErrorCode.Ok } });
    await ensemble.serves(four);
    expect(await name("participant")).toMatchObject({ outcome: { err: ZkErrorCode.Ok } });
  }, 60_000);

  test("members: a client reads who the members are, may not change them, and is told when they change", async () => {
    const ensemble = await TestEnsemble.start(3);
    const client = await ensemble.connect();
    await client.connect();
    const path = "/zookeeper/config";
    const before = await client.request({ type: OpCode.GetData, path, watch: true });
    const text = (reply: typeof before) =>
      reply.body?.kind === "data" ? new TextDecoder().decode(reply.body.data ?? undefined) : undefined;
    expect(text(before)).toBe(
      "server.1=member-1:2888:3888:participant\nserver.2=member-2:2888:3888:participant\nserver.3=member-3:2888:3888:participant\nversion=0",
    );
    const change = {
      type: OpCode.Reconfig,
      joiningServers: "server.4=member-4:2888:3888:observer;2181",
      leavingServers: null,
      newMembers: null,
      curConfigId: -1n,
    } as const;
    // Nobody but the super user may write there.
    expect((await client.request(change)).err).toBe(ZkErrorCode.NoAuth);
    expect(await add(ensemble, { id: four, role: "observer" })).toMatchObject({ kind: "done" });
    await client.eventCount(1);
    expect(client.events[0]?.event).toMatchObject({ type: EventType.NodeDataChanged, path });
    const after = await client.request({ type: OpCode.GetData, path, watch: false });
    expect(text(after)).toMatch(/server\.4=member-4:2888:3888:observer\nversion=1[0-9a-f]{8}$/);
  }, 60_000);
});
