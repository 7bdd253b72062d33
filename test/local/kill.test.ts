/**
 * Killed in the middle of everything, an ensemble has every acknowledged write and no write twice, and
 * sessions with their ephemerals and watches go on.
 *
 * Each round: writers on both doors, a kill once so many more writes are acknowledged, a restart on the same
 * directory, an audit of their books.
 *
 * @module
 */

import type { Event } from "node-zookeeper-client";
import { afterEach, expect, test } from "vitest";
import { type LocalProcess, startLocalProcess } from "../support/local-process.ts";
import { CreateMode, connectNpmClient, type NpmClient, reconnected } from "../support/npm-client.ts";
import { WriteLoad } from "../support/write-load.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(flags: readonly string[] = []): Promise<LocalProcess> {
  const local = await startLocalProcess(flags);
  cleanups.push(() => local.dispose());
  return local;
}

async function connect(local: LocalProcess): Promise<NpmClient> {
  const client = await connectNpmClient(local.zkPort);
  cleanups.push(() => client.close());
  return client;
}

/** Ways to die; afterwards the ensemble serves again on the same ports. */
const deaths: Readonly<Record<string, (local: LocalProcess) => Promise<void>>> = {
  async "everything at once"(local) {
    await local.kill9();
    await local.restart();
  },
  async "the process, and its runtime a moment later"(local) {
    await local.kill9Parent();
    await local.restart();
  },
  async "the runtime alone"(local) {
    local.killRuntime();
  },
};

async function until(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test.each([
  ["everything at once", 3],
  ["everything at once", 1],
  ["the process, and its runtime a moment later", 3],
  ["the runtime alone", 3],
])(
  "killed under load, %s: nothing acknowledged is lost, nothing is done twice (members=%i)",
  async (death, members) => {
    const local = await start(["--members", String(members)]);
    const load = new WriteLoad(local.url);
    await load.prepare();
    const client = await connect(local);
    for (const moreWrites of [40, 700, 250]) {
      const goal = load.acknowledgedCount + moreWrites;
      const writing = load.run(client);
      await until(() => load.acknowledgedCount >= goal);
      await deaths[death]?.(local);
      load.stop();
      await writing;
      await reconnected(client);
      await expect.poll(() => serves(local), { timeout: 60_000 }).toBe(true);
      await load.audit();
    }
  },
);

async function serves(local: LocalProcess): Promise<boolean> {
  return fetch(`${local.url}/v1/main/znodes/`).then(
    (response) => response.ok,
    () => false,
  );
}

test("a session outlives a kill: same id, its ephemerals there, its watch fires once", async () => {
  const local = await start();
  const client = await connect(local);
  const { sessionId } = client;
  await client.create("/watched", "one");
  await client.create("/mine", "", CreateMode.EPHEMERAL);
  const events: Event[] = [];
  await client.get("/watched", (event) => events.push(event));

  await local.kill9();
  await local.restart();
  await reconnected(client);
  expect(client.sessionId).toBe(sessionId);
  expect(await client.exists("/mine")).toBe(true);
  expect(events).toEqual([]);

  const url = `${local.url}/v1/main/znodes/watched`;
  expect((await fetch(url, { method: "PUT", body: "two" })).status).toBe(200);
  await until(() => events.length > 0);
  expect((await fetch(url, { method: "PUT", body: "three" })).status).toBe(200);
  expect(await client.get("/watched")).toEqual({ data: "three", version: 2 });
  expect(events.map((event) => [event.name, event.path])).toEqual([["NODE_DATA_CHANGED", "/watched"]]);
});

test("a write made while a client was cut off reaches its watch when it is back", async () => {
  const local = await start();
  const client = await connect(local);
  await client.create("/watched", "one");
  const events: Event[] = [];
  await client.get("/watched", (event) => events.push(event));

  await local.kill9();
  // Whoever is first on the restarted server: the write must be noticed either way.
  const restarted = local.restart();
  const url = `${local.url}/v1/main/znodes/watched`;
  const put = () =>
    fetch(url, { method: "PUT", body: "two" }).then(
      (response) => response.status,
      () => 0,
    );
  await expect.poll(put, { timeout: 60_000, interval: 5 }).toBe(200);
  await restarted;
  await until(() => events.length > 0);
  expect(events.map((event) => event.name)).toEqual(["NODE_DATA_CHANGED"]);
});

test("a session that is closed takes its ephemerals along, also across a kill", async () => {
  const local = await start();
  const [leaving, staying] = [await connect(local), await connect(local)];
  await leaving.create("/leaving", "", CreateMode.EPHEMERAL);
  await staying.create("/staying", "", CreateMode.EPHEMERAL);
  leaving.close();
  await until(() => leaving.client.getState().name === "DISCONNECTED");
  await local.kill9();
  await local.restart();
  await reconnected(staying);
  expect(await staying.exists("/leaving")).toBe(false);
  expect(await staying.exists("/staying")).toBe(true);
});
