/**
 * Proves that a local ensemble in one line is a real one, and that what its test does to it happens: a leader
 * killed, a partition, an eviction, a session's end. The SDK's contracts run on it in
 * `local-contract.test.ts`.
 *
 * @module
 */

import { afterAll, beforeAll, expect, test } from "vitest";
import type { Client, SessionState } from "../../src/client/index.ts";
import { connect } from "../../src/client/node/index.ts";
import { isLinked } from "../../src/testing/faults.ts";
import { type LocalEnsemble, startEnsemble } from "../../src/testing/index.ts";

let ensemble: LocalEnsemble;
let zk: Client;

beforeAll(async () => {
  ensemble = await startEnsemble();
  zk = ensemble.connect();
  await zk.create("/base", "0");
});
afterAll(() => ensemble?.close());

/** Until the client is in a state. */
function inState(client: Client, kind: SessionState["kind"]): Promise<void> {
  if (client.state.kind === kind) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = client.onState((state) => {
      if (state.kind !== kind) return;
      stop();
      resolve();
    });
  });
}

/** Sets again until it is certain that it happened. */
async function setSurely(client: Client, value: string): Promise<void> {
  for (;;) {
    try {
      await client.set("/base", value);
      return;
    } catch (error) {
      expect(error).toMatchObject({ codeName: "ConnectionLoss", outcome: "unknown" });
    }
  }
}

test("has the members asked for, one of them leading, and both ways in", async () => {
  const members = await ensemble.members();
  expect(members.map(({ id }) => id)).toEqual([1, 2, 3]);
  expect(members.filter(({ role }) => role === "leading").map(({ id }) => id)).toEqual([
    await ensemble.leader(),
  ]);
  await using other = connect(ensemble.zookeeperUrl);
  expect((await other.get("/base")).text).toBe("0");
});

test("a killed leader is replaced by another, its session goes on, and it comes back when healed", async () => {
  const { sessionId } = zk;
  const killed = await ensemble.killLeader();
  await setSurely(zk, "1");
  expect((await zk.get("/base")).text).toBe("1");
  expect(zk.sessionId).toBe(sessionId);
  expect(await ensemble.leader()).not.toBe(killed);
  expect((await ensemble.members()).find(({ id }) => id === killed)?.role).toBe("unreachable");
  await ensemble.evict(killed);
  await ensemble.heal();
  await ensemble.evict(killed);
  let role: string | undefined = "unreachable";
  while (role !== "following") role = (await ensemble.members()).find(({ id }) => id === killed)?.role;
});

test("a leader cut off from the others is replaced, and hears of what it missed when healed", async () => {
  const cut = await ensemble.leader();
  const others = [1, 2, 3].filter((id) => id !== cut);
  await ensemble.partition([cut], others);
  await setSurely(zk, "2");
  expect(others).toContain(await ensemble.leader());
  await ensemble.heal();
  await using there = connect(`${ensemble.url}/`);
  await there.sync();
  expect((await there.get("/base")).text).toBe("2");
});

test("an evicted member keeps its clients' sessions, and connections if it hibernates", async () => {
  const { sessionId } = zk;
  await ensemble.evict(await ensemble.leader());
  expect((await zk.get("/base")).text).toBe("2");
  await ensemble.evict(await ensemble.leader(), "close");
  await inState(zk, "connected");
  expect((await zk.get("/base")).text).toBe("2");
  expect(zk.sessionId).toBe(sessionId);
});

test("an expired session is the end of its ephemeral znodes; the client goes on with another", async () => {
  const other = ensemble.connect();
  const me = other.register("/me");
  await me.ready;
  const { sessionId } = other;
  const expired = inState(other, "expired");
  await ensemble.expire(other);
  await expired;
  await inState(other, "connected");
  expect(other.sessionId).not.toBe(sessionId);
  while ((await zk.exists("/me"))?.ephemeralOwner !== BigInt(other.sessionId ?? 0)) await zk.sync();
});

test("refuses members that it does not have, and says which there are", async () => {
  await expect(ensemble.kill(4)).rejects.toThrow("There is no member 4: they are 1 to 3");
  await expect(ensemble.partition([0])).rejects.toThrow(RangeError);
  await expect(startEnsemble({ members: 0 })).rejects.toThrow("1 to 9 are possible");
  await expect(startEnsemble({ members: 10 })).rejects.toThrow("1 to 9 are possible");
});

test("who is in no group of a partition, or is down, is linked to nobody", () => {
  const faults = { down: [1], groups: [[1, 2, 3], [4]] };
  const reached = (from: number) => [1, 2, 3, 4, 5].filter((to) => isLinked(faults, from, to));
  expect([1, 2, 3, 4, 5].map(reached)).toEqual([[], [2, 3], [2, 3], [4], []]);
  expect(isLinked({ down: [], groups: [] }, 1, 2)).toBe(true);
});

test("may be guarded by a token, and leaves nothing behind", async () => {
  const short = await startEnsemble({ members: 1, vars: { EK_TOKEN: "sesame" } });
  const client = short.connect();
  await client.create("/a");
  expect((await fetch(`${short.url}/members`)).status).toBe(401);
  const { sessionId } = client;
  await short.expire(client);
  await client.sync().catch(() => undefined);
  await inState(client, "connected");
  expect(client.sessionId).not.toBe(sessionId);
  const { url } = short;
  await short[Symbol.asyncDispose]();
  expect(client.state.kind).toBe("closed");
  await expect(fetch(`${url}/members`)).rejects.toThrow();
});
