/**
 * `npm run sim -- --seeds 500 [--from N] [--seed N] [--members-every N] [--processes N] [--coverage] [--json]
 * [--trace] [--shrink] [--members]`
 *
 * Runs many seeds, or one, and exits 1 when a promise was broken. A failure prints the version of the
 * code, the seed, the invariant and the command that shows it again; a seed means nothing without its
 * version. One seed in a hundred runs twice, and the two runs must be the same in every event.
 *
 * There are two worlds. Every seed runs in the fast one, of peers; one in `--members-every` (default 20; 0:
 * none) also in the one of members, which is the deployed code on a double of the platform. With `--seed`,
 * `--members` chooses the latter, `--trace` prints every event of the run, and `--shrink` prints the shortest
 * history found that breaks the same promise, as a scenario file.
 *
 * `--json` ends with one line of totals. `--processes` shares the seeds out. `--coverage` also reports which
 * branches of `src/zab` the fast world has not reached; it counts in one process.
 *
 * @module
 */

import "./shell/hooks.ts";
import { execFileSync, spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { beginCoverage, type Coverage } from "./coverage.ts";
import type { Outcome } from "./sim.ts";
import { addMemberRun, addRun, addTotals, type Members, noTotals, sorted, type Totals } from "./totals.ts";
import type { Violation } from "./violation.ts";

interface Wishes {
  readonly from: number;
  readonly seeds: number;
  readonly membersEvery: number;
  readonly processes: number;
}

/** The commit, or "unknown" outside a repository; "+" when files differ from it. */
function versionOfCode(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const isChanged = git("status", "--porcelain", "--", "src", "test/sim") !== "";
    return git("rev-parse", "--short", "HEAD") + (isChanged ? "+" : "");
  } catch {
    return "unknown";
  }
}

// Loaded when they are needed: coverage begins before, and the members need their hooks.
const loadPeers = () => import("./sim.ts");
const loadShrink = () => import("./shrink.ts");
const membersModule = "./shell/index.ts";
const loadMembers = async (): Promise<Members> => await import(membersModule);

function tell(seed: number, violation: Violation | undefined, where: string, flags: string): void {
  if (violation === undefined) return;
  console.log(`seed ${seed}: ${violation.message}`);
  console.log(`  version ${versionOfCode()}, ${where}`);
  console.log(`  replay: npm run sim -- --seed ${seed} ${flags}--trace`);
}

async function runSeeds(
  { from, seeds, membersEvery }: Wishes,
  log?: (line: string) => void,
): Promise<Totals> {
  const totals = noTotals();
  const { simulate } = await loadPeers();
  const members = membersEvery === 0 ? undefined : await loadMembers();
  for (let seed = from; seed < from + seeds; seed++) {
    const startedAt = performance.now();
    const outcome = simulate(seed, { log });
    totals.ms += performance.now() - startedAt;
    addRun(totals, outcome);
    if (outcome.violation !== undefined) totals.violations++;
    tell(seed, outcome.violation, `virtual time ${outcome.nowMs} ms, ${outcome.commits} commits`, "");
    if (seed % 100 === 99) {
      totals.repeated++;
      if (simulate(seed).hash !== outcome.hash) differs(totals, seed);
    }
    if (members === undefined || seed % membersEvery !== 0) continue;
    await runMembers(members, totals, seed);
  }
  return totals;
}

async function runMembers({ simulateMembers }: Members, totals: Totals, seed: number): Promise<void> {
  const startedAt = performance.now();
  const outcome = await simulateMembers(seed);
  totals.memberMs += performance.now() - startedAt;
  addMemberRun(totals, outcome);
  if (outcome.violation !== undefined) totals.violations++;
  tell(seed, outcome.violation, `the world of members, virtual time ${outcome.nowMs} ms`, "--members ");
  if (totals.memberSeeds % 100 !== 1) return;
  totals.repeated++;
  if ((await simulateMembers(seed)).hash !== outcome.hash) differs(totals, seed);
}

function differs(totals: Totals, seed: number): void {
  totals.violations++;
  console.log(`seed ${seed}: determinism: a second run differs\n  version ${versionOfCode()}`);
}

/** Each process takes a part of the seeds, and says what it found; the last line of each is its totals. */
async function runShared({ from, seeds, membersEvery, processes }: Wishes): Promise<Totals> {
  const totals = noTotals();
  const share = Math.ceil(seeds / processes);
  const parts = Array.from({ length: processes }, (_, at) => {
    const first = from + at * share;
    const count = Math.min(share, from + seeds - first);
    return count > 0 ? runPart(first, count, membersEvery) : undefined;
  });
  for (const part of parts) if (part !== undefined) addTotals(totals, await part);
  return totals;
}

function runPart(from: number, seeds: number, membersEvery: number): Promise<Totals> {
  const flags = ["--from", from, "--seeds", seeds, "--members-every", membersEvery, "--json"].map(String);
  const child = spawn(process.execPath, [import.meta.filename, ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      const lines = said.trimEnd().split("\n");
      const last = lines.pop() ?? "";
      for (const line of lines) console.log(line);
      try {
        resolve(JSON.parse(last) as Totals);
      } catch {
        reject(new Error(`the process of seeds ${from} and up ended with: ${last}`));
      }
    });
  });
}

async function runOne(
  seed: number,
  flags: { trace: boolean; shrink: boolean; members: boolean },
): Promise<Totals> {
  const totals = noTotals();
  const log = flags.trace ? (line: string): void => console.log(line) : undefined;
  if (flags.members) {
    const { simulateMembers } = await loadMembers();
    const outcome = await simulateMembers(seed, { log });
    addMemberRun(totals, outcome);
    tell(seed, outcome.violation, `the world of members, virtual time ${outcome.nowMs} ms`, "--members ");
    totals.violations = outcome.violation === undefined ? 0 : 1;
    return totals;
  }
  const { simulate } = await loadPeers();
  const outcome = simulate(seed, { log });
  addRun(totals, outcome);
  tell(seed, outcome.violation, `virtual time ${outcome.nowMs} ms, ${outcome.commits} commits`, "");
  totals.violations = outcome.violation === undefined ? 0 : 1;
  if (flags.shrink) await tellShrunk(outcome);
  return totals;
}

async function tellShrunk({ seed, violation }: Outcome): Promise<void> {
  const { formatScenario, scenarioOf, shrink } = await loadShrink();
  const scenario = scenarioOf(seed, {});
  if (scenario === undefined) console.log("# the calm, or the time it takes, is part of it: no scenario");
  else console.log(formatScenario(shrink(scenario, false), [`seed ${seed}: ${violation?.message}`]));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "0" },
      seed: { type: "string" },
      "members-every": { type: "string", default: "20" },
      processes: { type: "string", default: "1" },
      coverage: { type: "boolean", default: false },
      members: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      trace: { type: "boolean", default: false },
      shrink: { type: "boolean", default: false },
    },
  });
  const wishes = {
    from: Number(values.from),
    seeds: Number(values.seeds),
    membersEvery: Number(values["members-every"]),
    processes: Number(values.processes),
  };
  const only = values.seed === undefined ? undefined : Number(values.seed);
  const isWhole = [...Object.values(wishes), only ?? 0].every(
    (value) => Number.isSafeInteger(value) && value >= 0,
  );
  if (!isWhole || wishes.seeds < 1 || wishes.processes < 1) {
    console.error("--seeds, --from, --seed, --members-every and --processes take whole numbers");
    return 2;
  }
  const counter = values.coverage ? beginCoverage() : undefined;
  const startedAt = performance.now();
  let totals: Totals;
  if (only !== undefined) totals = await runOne(only, values);
  else if (wishes.processes > 1 && counter === undefined) totals = await runShared(wishes);
  else totals = await runSeeds(wishes);
  report(totals, performance.now() - startedAt, { json: values.json, coverage: counter?.end() });
  return totals.violations === 0 ? 0 : 1;
}

function report(
  totals: Totals,
  elapsedMs: number,
  { json, coverage }: { readonly json: boolean; readonly coverage: Coverage | undefined },
): void {
  // Of one process: what a core does in a minute of this world.
  const perMinute = Math.round((totals.steps * 60_000) / Math.max(1, totals.ms));
  if (json) {
    const seconds = Math.round(elapsedMs / 100) / 10;
    const line = {
      version: versionOfCode(),
      ...sorted(totals),
      seconds,
      protocolEventsPerMinute: perMinute,
      coverage,
    };
    console.log(JSON.stringify(line));
    return;
  }
  const { seeds, steps, events, commits, operations, unknown, undecided, violations } = totals;
  console.log(
    `${seeds} seeds, ${violations} violations; ${steps} protocol events of ${events} in all, ${perMinute} a minute`,
  );
  console.log(
    `${commits} commits, ${operations} operations answered, ${unknown} unknown, ${undecided} undecided`,
  );
  console.log(listOf(totals.counts));
  if (totals.memberSeeds > 0) {
    const { memberSeeds, memberEvents, memberCommits, replies, watchEvents } = totals;
    console.log(
      `members: ${memberSeeds} seeds, ${memberEvents} events, ${memberCommits} commits, ${replies} replies, ${watchEvents} watch events`,
    );
    console.log(listOf(totals.memberCounts));
  }
  if (coverage === undefined) return;
  const { blocks, functions, unreached } = coverage;
  console.log(
    `src/zab: ${blocks} blocks in ${functions} functions, ${unreached.length} not reached (--json lists them)`,
  );
  const lines = new Map<string, number[]>();
  for (const { file, line } of unreached) lines.set(file, [...(lines.get(file) ?? []), line]);
  for (const [file, own] of lines) console.log(`  ${file}: ${own.join(" ")}`);
}

function listOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, count]) => `${what} ${count}`)
    .join(", ");
}

process.exitCode = await main();
