/**
 * The gateway in front of workerd's own WebSockets, and members that lose their memory under load.
 *
 * The first tests bring a Worker of their own, whose member echoes; the others run ours in this process.
 *
 * @module
 */

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type LocalEnsemble, startLocal } from "../../src/local/index.ts";
import { connectNpmClient, reconnected } from "../support/npm-client.ts";
import { WriteLoad } from "../support/write-load.ts";

const supportPath = join(import.meta.dirname, "..", "support");
const echoWorkerPath = join(supportPath, "echo-worker.ts");
const mortalWorkerPath = join(supportPath, "mortal-worker.ts");

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Running {
  readonly local: LocalEnsemble;
  readonly log: string[];
}

async function start(workerEntryPath?: string): Promise<Running> {
  const data = mkdtempSync(join(tmpdir(), "edgekeeper-"));
  cleanups.push(() => rmSync(data, { recursive: true, force: true, maxRetries: 3 }));
  const log: string[] = [];
  const local = await startLocal({
    host: "127.0.0.1",
    port: 0,
    zkPort: 0,
    data,
    vars: { EK_OPEN_ON_LOOPBACK: "on" },
    log: (line) => log.push(line),
    workerEntryPath,
  });
  cleanups.push(() => local.close());
  return { local, log };
}

/** A frame of `length` bytes that no two frames share. */
function frame(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(4 + length, String(seed));
  bytes.writeInt32BE(length);
  return bytes;
}

test("the longest frame and 20,000 small ones come back from workerd as they were sent", async () => {
  const { local } = await start(echoWorkerPath);
  const socket = createConnection(local.zkPort, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  const sent = [
    frame(44, 0),
    frame(1_048_575, 1),
    ...Array.from({ length: 20_000 }, (_, i) => frame(i % 97, i)),
  ];
  for (const bytes of sent) socket.write(bytes);
  const all = Buffer.concat(sent);
  const received: Buffer[] = [];
  for (let length = 0; length < all.length; ) {
    const [chunk]: Buffer[] = await once(socket, "data");
    if (chunk === undefined) continue;
    received.push(chunk);
    length += chunk.length;
  }
  expect(Buffer.concat(received).equals(all)).toBe(true);
});

test("a connection stays open while its member hibernates, and ends when it is closed", async () => {
  const { local } = await start(echoWorkerPath);
  const socket = createConnection(local.zkPort, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  const echo = async (bytes: Buffer) => {
    socket.write(bytes);
    const [chunk]: unknown[] = await once(socket, "data");
    expect(chunk).toEqual(bytes);
  };
  await echo(frame(44, 1));
  await local.evict("main/1", "hibernate");
  await echo(frame(10, 2));
  await local.evict("main/1", "close");
  await once(socket, "close");
});

test("the Worker's log arrives, and nothing of Miniflare's", async () => {
  const { local, log } = await start(echoWorkerPath);
  expect(await (await fetch(`${local.url}/log`)).text()).toBe("1");
  await expect.poll(() => log).toEqual(["log: told to log"]);
});

async function until(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** 0 while nobody leads, which stands for any of them. */
async function leaderOf(local: LocalEnsemble): Promise<number> {
  const response = await fetch(`${local.url}/v1/main/members`);
  const { leader }: { leader: number | null } = JSON.parse(await response.text());
  return leader ?? 0;
}

async function serves(local: LocalEnsemble): Promise<boolean> {
  return (await fetch(`${local.url}/v1/main/znodes/`)).ok;
}

test("members that die under load, leaders and followers: nothing lost, nothing twice, the same session", async () => {
  const { local } = await start(mortalWorkerPath);
  const load = new WriteLoad(local.url);
  await load.prepare();
  const client = await connectNpmClient(local.zkPort);
  cleanups.push(() => client.close());
  const { sessionId } = client;
  for (const offset of [0, 1, 0, 2, 0]) {
    const goal = load.acknowledgedCount + 200;
    const writing = load.run(client);
    await until(() => load.acknowledgedCount >= goal);
    // The leader, or one of those behind it.
    const victim = (((await leaderOf(local)) + offset - 1) % 3) + 1;
    expect((await fetch(`${local.url}/die/${victim}`, { method: "POST" })).status).toBe(200);
    // A dead leader cuts the writers off; a dead follower goes unnoticed.
    await until(() => load.isCutOff || load.acknowledgedCount >= goal + 200);
    load.stop();
    await writing;
    await expect.poll(() => serves(local), { timeout: 60_000 }).toBe(true);
    await load.audit();
  }
  await reconnected(client);
  expect(client.sessionId).toBe(sessionId);
});
