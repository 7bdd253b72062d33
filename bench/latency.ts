/**
 * `npm run bench:latency`: where the time of one write goes, with nothing else outstanding.
 *
 * Objects of a few lines do one part of a write's way more each time, behind the same gateway on the same
 * runtime; edgekeeper's own write and read, and ZooKeeper's where it is installed, stand below them. Every
 * row is the median of repeats that take turns. What it found: `docs/internals/latency.md`.
 *
 * @module
 */

import { LoadConnection } from "./load/connection.ts";
import { drive, Failure } from "./load/drive.ts";
import { create, get, makeRing, makeValue, set } from "./load/ring.ts";
import { ensure } from "./measures/measure.ts";
import { formatNumber } from "./report.ts";
import { spreadOf } from "./results.ts";
import { startEdgekeeper, startParts } from "./servers/edgekeeper.ts";
import { findJars } from "./servers/jars.ts";
import type { System } from "./servers/system.ts";
import { startZooKeeper } from "./servers/zookeeper.ts";

const repeats = 5;
const warmMs = 300;
const windowMs = 1_000;
const members = 3;
/** More than the pages after which SQLite checkpoints by itself. */
const logPages = 1_200;
const path = "/bench-latency";
const value = makeValue(100);

interface Row {
  readonly name: string;
  readonly system: System;
  /** Of the object in parts: which. */
  readonly parts?: string | undefined;
  readonly request: "get" | "set";
}

/** Each adds one part to the one above it. */
const parts: readonly (readonly [name: string, query: string])[] = [
  ["there and back", "calls=0&own=none&theirs=false"],
  ["+ a row of its own", "calls=0&own=before&theirs=false"],
  ["+ a call to one that stores nothing", "calls=1&own=before&theirs=false"],
  ["+ a second call", "calls=2&own=before&theirs=false"],
  ["+ rows of those called: a write's way", "calls=2&own=before&theirs=true"],
  ["the same, its own row after the calls", "calls=2&own=after&theirs=true"],
];

async function main(): Promise<void> {
  const systems: System[] = [];
  try {
    const object = await startParts();
    systems.push(object);
    const edgekeeper = await startEdgekeeper(members);
    systems.push(edgekeeper);
    const rows: Row[] = parts.map(([name, query]) => ({
      name,
      system: object,
      parts: query,
      request: "set",
    }));
    rows.push({ name: "edgekeeper, set", system: edgekeeper, request: "set" });
    rows.push({ name: "edgekeeper, get", system: edgekeeper, request: "get" });
    const jars = findJars();
    if ("classPath" in jars) {
      const zookeeper = await startZooKeeper(jars.classPath, members);
      systems.push(zookeeper);
      rows.push({ name: "ZooKeeper, set", system: zookeeper, request: "set" });
      rows.push({ name: "ZooKeeper, get", system: zookeeper, request: "get" });
    }
    for (const system of systems) if (system !== object) await ensure(system, [create(path, value)]);
    for (const system of systems) await settleLogs(system);
    await report(rows);
  } finally {
    for (const system of systems) await system.stop();
  }
}

/**
 * SQLite's write-ahead log grows for its first thousand pages and is written over afterwards. A flush of a file
 * that grows has more to write, which a young ensemble pays and an old one does not.
 */
async function settleLogs(system: System): Promise<void> {
  const address = system.addresses[0];
  if (address === undefined) throw new Error(`${system.name} has no address`);
  const isEcho = system.name === "bare object";
  if (isEcho) await fetch(`${system.url}/bench/parts?calls=2&own=before&theirs=true`);
  const failure = new Failure();
  const connection = await LoadConnection.open(address, {
    isEcho,
    onFailure: (error) => failure.set(error),
  });
  const writes = Array.from({ length: logPages }, () => set(path, value));
  await failure.orElse(connection.exchange(writes, { width: 1 }));
  await connection.close();
}

async function report(rows: readonly Row[]): Promise<void> {
  const found = new Map<Row, number[]>(rows.map((row) => [row, []]));
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const row of rows) found.get(row)?.push(await medianOf(row));
  }
  for (const [{ name }, times] of found) {
    const spread = spreadOf(times);
    if (spread === undefined) continue;
    const { median, min, max } = spread;
    console.log(
      `${name.padEnd(42)} ${formatNumber(median)} ms (${formatNumber(min)} to ${formatNumber(max)})`,
    );
  }
}

/** With one outstanding. */
async function medianOf({ system, parts: query, request }: Row): Promise<number> {
  if (query !== undefined) await fetch(`${system.url}/bench/parts?${query}`);
  const ring = makeRing(200, () => (request === "get" ? get(path) : set(path, value)));
  const { latency } = await drive({
    addresses: system.addresses,
    connections: 1,
    outstanding: 1,
    ringOf: () => ring,
    warmMs,
    windowMs,
    isEcho: query !== undefined,
  });
  return latency.p50;
}

await main();
process.exit(0);
