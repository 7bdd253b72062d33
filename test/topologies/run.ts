/**
 * `npm run topologies -- [--save]`
 *
 * What distance costs, by simulation: commit latency and throughput at the leader for each topology, for
 * several times that storage may take. `--save` writes `docs/topologies.md`'s table and the raw figures.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cities, roundTripMs, type Topology, topologies } from "./places.ts";
import { World } from "./world.ts";

/** Nobody publishes how long a write takes to be durable: a short, a middling and a long guess. */
const flushes = [2, 5, 20];
const middlingFlushMs = 5;
const outstandings = [1, 64, 256];
/** Writes counted for each one outstanding; the first tenth again is not. */
const writesEach = 40;
/** With one outstanding, so that elections, had there been any, would show. */
const writesAlone = 400;

interface Run {
  readonly outstanding: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly seconds: number;
}

interface Outcome {
  readonly topology: string;
  readonly flushMs: number;
  /** Until every member serves, from nothing. */
  readonly startMs: number;
  readonly leader: string;
  readonly runs: readonly Run[];
  /** Leaders there were: more than one, and the distances upset the ensemble. */
  readonly reigns: number;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

const round = (value: number) => Math.round(value * 10) / 10;

async function drive(world: World, outstanding: number): Promise<Run> {
  const total = outstanding === 1 ? writesAlone : writesEach * outstanding;
  const warm = Math.floor(total / 10);
  const took: number[] = [];
  let sent = 0;
  let done = 0;
  let beganMs = world.nowMs;
  const next = (): void => {
    sent += 1;
    world.write((tookMs) => {
      done += 1;
      if (done === warm) beganMs = world.nowMs;
      if (done > warm) took.push(tookMs);
      if (sent < total) next();
    });
  };
  for (let i = 0; i < outstanding; i++) next();
  await world.runUntil(() => done === total);
  took.sort((a, b) => a - b);
  const seconds = (world.nowMs - beganMs) / 1000;
  return {
    outstanding,
    p50Ms: round(percentile(took, 0.5)),
    p99Ms: round(percentile(took, 0.99)),
    perSecond: Math.round(took.length / seconds),
    seconds: round(seconds),
  };
}

async function simulate(topology: Topology, flushMs: number): Promise<Outcome> {
  const world = new World(topology, flushMs);
  await world.settle();
  const startMs = Math.round(world.nowMs);
  const { leader } = world;
  if (leader === undefined || leader.place !== topology.voters.at(-1))
    throw new Error("another member leads");
  const runs: Run[] = [];
  for (const outstanding of outstandings) runs.push(await drive(world, outstanding));
  return {
    topology: topology.name,
    flushMs,
    startMs,
    leader: cities[leader.place],
    runs,
    reigns: world.reigns,
  };
}

/** How long a client elsewhere waits besides: its way to the leader and back. */
function farthest({ voters, observers }: Topology): number {
  const leader = voters.at(-1);
  if (leader === undefined) throw new Error("an ensemble has voters");
  return Math.max(...[...voters, ...observers].map((place) => roundTripMs(leader, place)));
}

function tableOf(outcomes: readonly Outcome[]): readonly string[] {
  const rows = topologies.map((topology) => {
    const of = (flushMs: number) =>
      outcomes.find((outcome) => outcome.topology === topology.name && outcome.flushMs === flushMs);
    const middling = of(middlingFlushMs);
    const cells = [
      ...flushes.map((flushMs) => `${of(flushMs)?.runs[0]?.p50Ms ?? "-"} ms`),
      `${middling?.runs[0]?.p99Ms ?? "-"} ms`,
      ...(middling?.runs ?? []).slice(1).map(({ perSecond }) => perSecond.toLocaleString("en")),
      `${Math.round(farthest(topology))} ms`,
      `${((middling?.startMs ?? 0) / 1000).toFixed(1)} s`,
    ];
    return `| ${topology.name} | ${cells.join(" | ")} |`;
  });
  const flushHeads = flushes.map((flushMs) => `p50, ${flushMs} ms to store`).join(" | ");
  return [
    `| topology | ${flushHeads} | p99, ${middlingFlushMs} ms | writes/s, 64 outstanding | writes/s, 256 | farthest member from the leader | first start |`,
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
  ];
}

const begin = "<!-- begin: npm run topologies -- --save -->";
const end = "<!-- end -->";

function save(outcomes: readonly Outcome[], table: readonly string[]): void {
  const root = join(import.meta.dirname, "..", "..");
  const report = `${JSON.stringify({ note: "simulated", outcomes }, undefined, 1)}\n`;
  writeFileSync(join(root, "bench", "results", "topologies.json"), report);
  const path = join(root, "docs", "topologies.md");
  const text = readFileSync(path, "utf8");
  const [head, rest] = text.split(begin);
  const [, tail] = rest?.split(end) ?? [];
  if (head === undefined || tail === undefined) throw new Error(`${path} has no place for the table`);
  writeFileSync(path, `${head}${begin}\n\n${table.join("\n")}\n\n${end}${tail}`);
}

const { values } = parseArgs({ options: { save: { type: "boolean", default: false } } });
const outcomes: Outcome[] = [];
for (const topology of topologies) {
  for (const flushMs of flushes) outcomes.push(await simulate(topology, flushMs));
}
const table = tableOf(outcomes);
for (const line of table) console.log(line);
const upset = outcomes.filter(({ reigns }) => reigns !== 1);
for (const { topology, flushMs, reigns } of upset)
  console.log(`${topology}, ${flushMs} ms: ${reigns} leaders`);
if (values.save) save(outcomes, table);
