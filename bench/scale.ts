/**
 * `npm run bench:scale -- [--znodes 0,100000,1000000] [--bytes 100] [--members 3] [--width 256]
 * [--save NAME]`
 *
 * What size costs: memory, storage, start and wake-up with so many znodes stored, and how long a write waits
 * while they are being created and checkpointed. Linux only: memory is read from /proc.
 *
 * What a checkpoint costs those who write meanwhile: beside a steady rate of sets, the same for both, to one znode, of
 * which a checkpoint is a row, and all over the tree, of which it is thousands.
 *
 * Wake-up is from the moment after the leader's memory was dropped to the answer to a linearizable read over
 * HTTP, so it holds whatever the protocol does about the loss; what size adds is the difference to none.
 *
 * @module
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { type Address, LoadConnection } from "./load/connection.ts";
import { Failure, pause } from "./load/drive.ts";
import { Histogram } from "./load/histogram.ts";
import { create, makeValue, set } from "./load/ring.ts";
import { commitOfCode, describeMachine } from "./machine.ts";
import type { Given, ScaleResults, Size } from "./results.ts";
import { makeTemporaryDirectory, ServerProcess } from "./servers/process.ts";

const hostPath = join(import.meta.dirname, "servers", "host.ts");
const workerPath = join(import.meta.dirname, "servers", "aborting-worker.ts");
const resultsPath = join(import.meta.dirname, "results");

const childrenPerParent = 1000;
/** Requests encoded at a time. */
const chunk = 10_000;
const readyTimeoutMs = 120_000;
const wakes = 7;

/** A rate that keeps checkpoints coming, one every few seconds, and that the server is far from filled by. */
const steady = { perSecond: 4_000, everyMs: 20, forMs: 30_000 };
/** Smaller trees have no checkpoint of more than a slice or two. */
const steadyZnodesMin = 10_000;

interface Server {
  readonly process: ServerProcess;
  readonly url: string;
  readonly address: Address;
  readonly readyMs: number;
}

async function start(directory: string, members: number): Promise<Server> {
  const beganMs = performance.now();
  const args = [hostPath, workerPath, String(members), "--data", directory, "--port", "0", "--zk-port", "0"];
  const process_ = new ServerProcess(process.execPath, args);
  while (!process_.stdout.includes("\n")) {
    if (process_.hasExited) throw new Error(`the start ended before it was ready:\n${process_.said}`);
    if (performance.now() - beganMs > readyTimeoutMs) throw new Error(`not ready in time:\n${process_.said}`);
    await pause(2);
  }
  const found = /^ready (http:\/\/127\.0\.0\.1:\d+) zookeeper:\/\/127\.0\.0\.1:(\d+)/m.exec(process_.stdout);
  if (found?.[1] === undefined) throw new Error(`no ready line but: ${process_.stdout}`);
  return {
    process: process_,
    url: found[1],
    address: { host: "127.0.0.1", port: Number(found[2]) },
    readyMs: performance.now() - beganMs,
  };
}

/** Of the runtime's process, below the one we started. */
function memoryMiB(parent: number): number {
  let largest = 0;
  const waiting = [parent];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean);
      waiting.push(...children.map(Number));
    }
    const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    if (pid !== parent) largest = Math.max(largest, Number(rss ?? 0) / 1024);
  }
  return Math.round(largest);
}

/** Of the largest database below a directory, its members being stopped. */
function storageMiB(directory: string): Size["storageMiB"] {
  let largest = { used: 0, file: 0 };
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith(".sqlite")) continue;
    const database = new DatabaseSync(join(entry.parentPath, entry.name), { readOnly: true });
    const [pages, free, bytes] = ["page_count", "freelist_count", "page_size"].map((name) =>
      Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]),
    );
    database.close();
    const inMiB = (count = 0) => Math.round((count * (bytes ?? 0)) / 2 ** 20);
    const found = { used: inMiB((pages ?? 0) - (free ?? 0)), file: inMiB(pages) };
    if (found.file > largest.file) largest = found;
  }
  return largest;
}

async function withConnection<Value>(
  server: Server,
  work: (connection: LoadConnection) => Promise<Value>,
): Promise<Value> {
  const failure = new Failure();
  const connection = await LoadConnection.open(server.address, { onFailure: (error) => failure.set(error) });
  try {
    const value = await failure.orElse(work(connection));
    await connection.close();
    return value;
  } finally {
    connection.destroy();
  }
}

async function load(server: Server, { znodes, bytes, width: most }: Given): Promise<void> {
  const value = makeValue(bytes);
  const width = Math.max(1, Math.min(most, Math.floor(1_000_000 / bytes)));
  await withConnection(server, async (connection) => {
    await connection.exchange([create("/scale", value), create("/probe", value)]);
    const parents = Math.ceil(znodes / childrenPerParent);
    for (let at = 0; at < parents; at += chunk) {
      const some = Array.from({ length: Math.min(chunk, parents - at) }, (_, i) =>
        create(`/scale/${at + i}`, value),
      );
      await connection.exchange(some, { width });
    }
    const perChunk = Math.max(1, Math.min(chunk, Math.floor(64_000_000 / bytes)));
    for (let at = 0; at < znodes; at += perChunk) {
      const some = Array.from({ length: Math.min(perChunk, znodes - at) }, (_, i) => {
        const number = at + i;
        return create(`/scale/${Math.floor(number / childrenPerParent)}/${number}`, value);
      });
      await connection.exchange(some, { width });
    }
  });
}

/** One write after the other until `work` is done. */
async function probe(server: Server, work: Promise<void>): Promise<Size["writeMs"]> {
  const histogram = new Histogram();
  let worst = 0;
  let isOver = false;
  const stopped = work.finally(() => {
    isOver = true;
  });
  await withConnection(server, async (connection) => {
    // The znode is made by the load.
    await pause(500);
    while (!isOver) {
      const beganMs = performance.now();
      await connection.exchange([set("/probe", makeValue(100))]);
      const tookMs = performance.now() - beganMs;
      histogram.record(tookMs);
      worst = Math.max(worst, tookMs);
    }
  });
  await stopped;
  return { ...histogram.percentiles(), worst };
}

/** Sets at a steady rate, to paths of `pathAt(i)` for the i-th; late ones are not made up for. */
async function setSteadily(
  server: Server,
  bytes: number,
  pathAt: (index: number) => string,
): Promise<number> {
  const value = makeValue(bytes);
  const batch = (steady.perSecond * steady.everyMs) / 1000;
  let sent = 0;
  await withConnection(server, async (connection) => {
    const beganMs = performance.now();
    for (let dueMs = beganMs; dueMs < beganMs + steady.forMs; ) {
      const from = sent;
      await connection.exchange(
        Array.from({ length: batch }, (_, i) => set(pathAt(from + i), value)),
        { width: batch },
      );
      sent += batch;
      dueMs = Math.max(dueMs + steady.everyMs, performance.now());
      await pause(Math.max(0, dueMs - performance.now()));
    }
  });
  return sent / (steady.forMs / 1000);
}

async function writeBeside(server: Server, given: Given): Promise<Size["besideMs"]> {
  const { znodes, bytes } = given;
  if (znodes < steadyZnodesMin) return undefined;
  // A stride without a common factor goes all over the tree before it comes back.
  const spread = (index: number) => {
    const number = (index * 7_919) % znodes;
    return `/scale/${Math.floor(number / childrenPerParent)}/${number}`;
  };
  const phase = async (pathAt: (index: number) => string) => {
    let perSecond = 0;
    const writing = setSteadily(server, bytes, pathAt).then((rate) => {
      perSecond = Math.round(rate);
    });
    const writeMs = await probe(server, writing);
    return { perSecond, ...writeMs };
  };
  // What the load left behind is written first.
  await pause(8_000);
  const one = await phase(() => "/scale");
  return { one, spread: await phase(spread) };
}

async function read(server: Server, path: string): Promise<void> {
  const answer = await fetch(`${server.url}/v1/main/znodes${path}`);
  await answer.arrayBuffer();
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status}`);
}

async function wake(server: Server, path: string): Promise<number> {
  const answer = await fetch(`${server.url}/v1/main/members`);
  const { leader }: { leader: number | null } = JSON.parse(await answer.text());
  if (leader === null) throw new Error("nobody leads");
  await (await fetch(`${server.url}/bench/abort/${leader}`)).text();
  const beganMs = performance.now();
  await read(server, path);
  return performance.now() - beganMs;
}

async function measure(given: Given, members: number): Promise<Size> {
  const { znodes, bytes, width } = given;
  const directory = makeTemporaryDirectory();
  let server = await start(directory.path, members);
  try {
    const empty = memoryMiB(server.process.pid);
    const beganMs = performance.now();
    const loading = load(server, given);
    const writeMs = await probe(server, loading);
    const loadSeconds = Math.round((performance.now() - beganMs) / 1000);
    const loaded = memoryMiB(server.process.pid);
    const besideMs = await writeBeside(server, given);
    // The checkpoint that comes with quiet.
    await pause(8_000);
    await server.process.stop();
    const stored = storageMiB(directory.path);
    server = await start(directory.path, members);
    const startMs = server.readyMs;
    const path = znodes === 0 ? "/probe" : `/scale/0/${Math.min(znodes - 1, 7)}`;
    await read(server, path);
    const restarted = memoryMiB(server.process.pid);
    const wakeMs: number[] = [];
    for (let i = 0; i < wakes; i++) {
      wakeMs.push(Math.round((await wake(server, path)) * 10) / 10);
      await pause(1_000);
    }
    return {
      znodes,
      bytes,
      width,
      memoryMiB: { empty, loaded, restarted },
      storageMiB: stored,
      loadSeconds,
      startMs: Math.round(startMs),
      wakeMs,
      writeMs,
      besideMs,
    };
  } finally {
    await server.process.stop();
    directory.remove();
  }
}

const { values } = parseArgs({
  options: {
    znodes: { type: "string", default: "0,100000,1000000" },
    bytes: { type: "string", default: "100" },
    members: { type: "string", default: "3" },
    width: { type: "string", default: "256" },
    save: { type: "string" },
  },
});
const sizes: Size[] = [];
for (const znodes of values.znodes.split(",").map(Number)) {
  const size = await measure(
    { znodes, bytes: Number(values.bytes), width: Number(values.width) },
    Number(values.members),
  );
  console.log(JSON.stringify(size));
  sizes.push(size);
}
if (values.save !== undefined) {
  const date = new Date().toISOString().slice(0, 10);
  const report: ScaleResults = {
    date,
    commit: commitOfCode(),
    machine: describeMachine("none"),
    members: Number(values.members),
    sizes,
  };
  mkdirSync(resultsPath, { recursive: true });
  writeFileSync(
    join(resultsPath, `${date}-${values.save}.json`),
    `${JSON.stringify(report, undefined, 1)}\n`,
  );
}
