/**
 * `npm run bench -- [--json] [--zookeeper host:port[,..]] [--members 3] [--quick] [--only NAME] [--repeats 5]
 * [--save NAME]`
 *
 * Measures edgekeeper, as `npm start` runs it, against Apache ZooKeeper with as many servers: same machine,
 * same client, same run, taking turns. Every repeat of a measure is put to each of them before the next, and
 * who goes first alternates, so that a busy minute hits all.
 *
 * Any error reply, lost connection or wrong xid fails the run: exit code 1.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BenchOptions, parseBenchFlags } from "./flags.ts";
import { commitOfCode, describeMachine } from "./machine.ts";
import { failoverMeasures } from "./measures/failover.ts";
import type { Measure, SystemKind, Timing } from "./measures/measure.ts";
import { otherMeasures } from "./measures/others.ts";
import { sdkMeasures } from "./measures/sdk.ts";
import { membersMeasures, throughputMeasures, warmUp } from "./measures/throughput.ts";
import { watchMeasures } from "./measures/watches.ts";
import { formatNumber, tableLines, totalsOf } from "./report.ts";
import type { Results, Sample } from "./results.ts";
import { Fleet } from "./servers/fleet.ts";
import type { System } from "./servers/system.ts";

const fullTiming: Timing = { warmMs: 300, windowMs: 1_500, rounds: 10 };
const quickTiming: Timing = { warmMs: 150, windowMs: 400, rounds: 3 };
const fullWarmUpMs = 5_000;
const quickWarmUpMs = 500;

const resultsPath = join(import.meta.dirname, "results");

async function main(): Promise<number> {
  const parsed = parseBenchFlags(process.argv.slice(2));
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  if (parsed.kind === "fault") {
    console.error(parsed.message);
    return 2;
  }
  const { options } = parsed;
  const measures = choose(options);
  if (measures.length === 0) {
    console.error(`--only ${options.only}: no measure has such a name`);
    return 2;
  }
  const results = await measureAll(options, measures).catch(tellWhy);
  if (results === undefined) return 1;
  for (const line of tableLines(results)) console.log(line);
  for (const line of results.skipped) console.log(`not measured: ${line}`);
  if (options.save !== undefined) save(options.save, results);
  if (options.json) console.log(JSON.stringify(totalsOf(results)));
  return 0;
}

/** Without the stack: what failed is in the messages, from the measure down to the socket. */
function tellWhy(error: unknown): undefined {
  const reasons: string[] = [];
  for (let at = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    reasons.push(at instanceof Error ? at.message : String(at));
  }
  console.error(`the run failed: ${reasons.join(": ")}`);
}

/** A measure that is asked for by name is not left out of a quick run. */
function choose({ quick, only }: BenchOptions): Measure[] {
  // The last ones change who leads, and how many there are.
  const all = [
    ...throughputMeasures(),
    ...watchMeasures(),
    ...otherMeasures(),
    ...sdkMeasures(),
    ...failoverMeasures(),
    ...membersMeasures(),
  ];
  if (only !== undefined) return all.filter(({ name }) => name.includes(only));
  return all.filter(({ isQuick }) => isQuick || !quick);
}

async function measureAll(options: BenchOptions, measures: readonly Measure[]): Promise<Results> {
  const beganMs = performance.now();
  const date = new Date().toISOString().slice(0, 10);
  const timing = options.quick ? quickTiming : fullTiming;
  const fleet = new Fleet(options, (system) => warmUp(system, options.quick ? quickWarmUpMs : fullWarmUpMs));
  const skipped: string[] = [];
  if (fleet.missing !== undefined) {
    skipped.push(`Apache ZooKeeper: ${fleet.missing}. There is nothing to compare with`);
    console.error(skipped[0]);
  }
  const isGiven = options.zookeeper !== undefined;
  const machine = describeMachine(isGiven ? "given" : fleet.missing === undefined ? "started" : "none");
  const samples: Sample[] = [];
  stopOnSignal(fleet);
  try {
    for (const measure of measures) {
      samples.push(...(await measureOne(measure, { fleet, timing, repeats: options.repeats, skipped })));
    }
  } finally {
    await fleet.stopAll();
  }
  return {
    version: 1,
    date,
    commit: commitOfCode(),
    seconds: Math.round((performance.now() - beganMs) / 1000),
    machine,
    settings: {
      members: options.members,
      repeats: options.repeats,
      warmMs: timing.warmMs,
      windowMs: timing.windowMs,
    },
    skipped,
    measures: measures.map(({ name, group, unit, bars }) => ({ name, group, unit, bars })),
    samples,
  };
}

/** The servers are not left behind. */
function stopOnSignal(fleet: Fleet): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      console.error(`${signal}: stopping`);
      fleet.stopAll().finally(() => process.exit(1));
    });
  }
}

interface Run {
  readonly fleet: Fleet;
  readonly timing: Timing;
  readonly repeats: number;
  readonly skipped: string[];
}

async function measureOne(measure: Measure, run: Run): Promise<Sample[]> {
  const samples: Sample[] = [];
  const kinds = await prepare(measure, run);
  for (let repeat = 1; repeat <= run.repeats; repeat++) {
    for (const kind of repeat % 2 === 1 ? kinds : kinds.toReversed()) {
      const system = await run.fleet.take(kind, measure.members);
      if (system === undefined) continue;
      const { value, latency } = await named(measure, system, () => measure.run(system, run.timing));
      samples.push({ measure: measure.name, system: system.name, repeat, value, latency });
      console.error(`${measure.name} ${repeat} ${system.name}: ${formatNumber(value)} ${measure.unit}`);
      await run.fleet.release(kind);
    }
  }
  return samples;
}

/** Whom the measure can be put to. */
async function prepare(measure: Measure, { fleet, skipped }: Run): Promise<SystemKind[]> {
  const kinds: SystemKind[] = [];
  for (const kind of measure.systems) {
    // Started each time anew, and nothing to prepare.
    if (kind === "fresh edgekeeper" || kind === "fresh zookeeper") {
      kinds.push(kind);
      continue;
    }
    const system = await fleet.take(kind, measure.members);
    if (system === undefined) continue;
    if (measure.strikes !== undefined && system.killLeader === undefined) {
      skipped.push(`${measure.name} of ${system.name}: its leader is not ours to ${measure.strikes}`);
      continue;
    }
    if (measure.members !== undefined && system.isGiven === true) {
      skipped.push(`${measure.name} of ${system.name}: it has the members it has`);
      continue;
    }
    await named(measure, system, async () => measure.prepare?.(system));
    kinds.push(kind);
  }
  return kinds;
}

async function named<Value>(measure: Measure, system: System, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${measure.name} on ${system.name}`, { cause: error });
  }
}

function save(name: string, results: Results): void {
  mkdirSync(resultsPath, { recursive: true });
  const path = join(resultsPath, `${results.date}-${name}.json`);
  writeFileSync(path, `${JSON.stringify(results, undefined, 1)}\n`);
  console.error(`kept as bench/results/${results.date}-${name}.json`);
}

// A failed run may leave timers behind; nobody waits for them.
process.exit(await main());
