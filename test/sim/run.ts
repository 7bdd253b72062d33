/**
 * `npm run sim -- --seeds 500 [--from N] [--seed N] [--json] [--trace] [--shrink]`
 *
 * Runs many seeds, or one, and exits 1 when a promise was broken. A failure prints the version of the
 * code, the seed, the invariant and the command that shows it again; a seed means nothing without its
 * version. One seed in a hundred runs twice, and the two runs must be the same in every event.
 *
 * `--json` ends with one line of totals. With `--seed`, `--trace` prints every event of the run, and
 * `--shrink` prints the shortest history found that breaks the same promise, as a scenario file.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { formatScenario, scenarioOf, shrink } from "./shrink.ts";
import { type Outcome, simulate } from "./sim.ts";

interface Totals {
  seeds: number;
  steps: number;
  events: number;
  commits: number;
  operations: number;
  unknown: number;
  histories: number;
  undecided: number;
  violations: number;
  repeated: number;
  readonly counts: Map<string, number>;
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

function add(totals: Totals, outcome: Outcome): void {
  totals.seeds++;
  totals.steps += outcome.steps;
  totals.events += outcome.events;
  totals.commits += outcome.commits;
  totals.operations += outcome.opsDone;
  totals.unknown += outcome.opsUnknown;
  totals.histories += outcome.histories;
  totals.undecided += outcome.undecided;
  for (const [what, count] of outcome.counts) totals.counts.set(what, (totals.counts.get(what) ?? 0) + count);
}

function tell(outcome: Outcome, version: string): void {
  const { seed, violation, nowMs, commits } = outcome;
  if (violation === undefined) return;
  console.log(`seed ${seed}: ${violation.message}`);
  console.log(`  version ${version}, virtual time ${nowMs} ms, ${commits} commits`);
  console.log(`  replay: npm run sim -- --seed ${seed} --trace`);
}

function tellShrunk({ seed, violation }: Outcome): void {
  const scenario = scenarioOf(seed, {});
  if (scenario === undefined) console.log("# the calm, or the time it takes, is part of it: no scenario");
  else console.log(formatScenario(shrink(scenario, false), [`seed ${seed}: ${violation?.message}`]));
}

function main(): number {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "0" },
      seed: { type: "string" },
      json: { type: "boolean", default: false },
      trace: { type: "boolean", default: false },
      shrink: { type: "boolean", default: false },
    },
  });
  const only = values.seed === undefined ? undefined : Number(values.seed);
  const from = only ?? Number(values.from);
  const seeds = only === undefined ? Number(values.seeds) : 1;
  if (!Number.isSafeInteger(from) || from < 0 || !Number.isSafeInteger(seeds) || seeds < 1) {
    console.error("--seeds, --from and --seed take whole numbers");
    return 2;
  }
  const version = versionOfCode();
  const totals: Totals = {
    seeds: 0,
    steps: 0,
    events: 0,
    commits: 0,
    operations: 0,
    unknown: 0,
    histories: 0,
    undecided: 0,
    violations: 0,
    repeated: 0,
    counts: new Map(),
  };
  const log = values.trace && only !== undefined ? (line: string): void => console.log(line) : undefined;
  const startedAt = performance.now();
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = simulate(seed, { log });
    add(totals, outcome);
    if (outcome.violation !== undefined) {
      totals.violations++;
      tell(outcome, version);
      if (values.shrink && only !== undefined) tellShrunk(outcome);
    }
    if (seed % 100 === 99) {
      totals.repeated++;
      if (simulate(seed).hash !== outcome.hash) {
        totals.violations++;
        console.log(`seed ${seed}: determinism: a second run differs\n  version ${version}`);
      }
    }
  }
  report(totals, version, performance.now() - startedAt, values.json);
  return totals.violations === 0 ? 0 : 1;
}

function report(totals: Totals, version: string, elapsedMs: number, json: boolean): void {
  const perMinute = Math.round((totals.steps * 60_000) / elapsedMs);
  const counts = Object.fromEntries([...totals.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  if (json) {
    const seconds = Math.round(elapsedMs / 100) / 10;
    console.log(JSON.stringify({ version, ...totals, seconds, protocolEventsPerMinute: perMinute, counts }));
    return;
  }
  const { seeds, steps, events, commits, operations, unknown, undecided, violations } = totals;
  console.log(
    `${seeds} seeds, ${violations} violations; ${steps} protocol events of ${events} in all, ${perMinute} a minute`,
  );
  console.log(
    `${commits} commits, ${operations} operations answered, ${unknown} unknown, ${undecided} undecided`,
  );
  console.log(
    Object.entries(counts)
      .map(([what, count]) => `${what} ${count}`)
      .join(", "),
  );
}

process.exitCode = main();
