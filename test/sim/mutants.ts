/**
 * `npm run mutants -- [--seeds 10000] [--only M1,M7] [--json] [--keep]`
 *
 * Plants one mistake after the other into a copy of the code and lets the simulator look for it. The copy
 * has no assertions and forgives halts, so that only the checkers outside can kill. A seed on which the
 * sound code fails as well proves nothing and is left out. Exits 1 if a mutant survives its budget, if a
 * control is killed, or if a text to replace is not there exactly once.
 *
 * A mutant with a file in `scenarios` is first shown that history, shrunk from an earlier kill: it says
 * whether the scenario still tells the mistake from the sound code. `--keep` writes these files anew.
 *
 * @module
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import type { laboratory } from "./laboratory.ts";
import { type Mutant, mutants } from "./mutant-list.ts";
import type { Scenario } from "./shrink.ts";
import type { RunOptions } from "./sim.ts";
import type { MemberOutcome, Members } from "./totals.ts";
import { Violation } from "./violation.ts";

type Laboratory = typeof laboratory;

const root = resolve(import.meta.dirname, "../..");
const temporary = mkdtempSync(join(tmpdir(), "edgekeeper-mutants-"));

/** Runs of either world, over one copy of the code. */
interface Copy {
  readonly laboratory: Laboratory;
  simulate(seed: number, mutant: Mutant): Promise<Outcome>;
}

type Outcome = Pick<MemberOutcome, "violation"> & { readonly steps: number };

interface Verdict {
  readonly mutant: Mutant;
  /** Seeds tried until the violation; all of them when there was none. */
  readonly seeds: number;
  readonly invariant: string | undefined;
  readonly steps: number;
  readonly ms: number;
  /** Length of its scenario, when that tells it from the sound code. */
  readonly scenario?: number | undefined;
}

/** The text with the mistake in it, or an error when the place has moved. */
function mutate(text: string, { id, find, replace }: Mutant): string {
  const pieces = text.split(find);
  if (pieces.length !== 2) throw new Error(`${id}: its text occurs ${pieces.length - 1} times, not once`);
  return pieces.join(replace);
}

/** Bundles the simulator with the code it drives, without assertions and with at most one mistake. */
async function load(mutant: Mutant | undefined): Promise<Copy> {
  if (mutant?.world === "members") return loadMembers(mutant);
  const { laboratory } = await bundle<{ readonly laboratory: Laboratory }>("test/sim/laboratory.ts", mutant);
  return {
    laboratory,
    simulate: async (seed, each) =>
      each.world === "walk" ? walked(laboratory, seed) : laboratory.simulate(seed, optionsFor(each)),
  };
}

/** A walk of `test/zab`: peers and their checkers, without trees and clients. Members change there. */
function walked({ walk }: Laboratory, seed: number): Outcome {
  try {
    return { steps: walk(seed).steps, violation: undefined };
  } catch (failure) {
    const [invariant = "", ...detail] = String(failure instanceof Error ? failure.message : failure).split(
      ":",
    );
    return { steps: 0, violation: new Violation(invariant, detail.join(":")) };
  }
}

async function loadMembers(mutant: Mutant | undefined): Promise<Copy> {
  const { simulateMembers } = await bundle<Members>("test/sim/shell/laboratory.ts", mutant);
  const { laboratory } = await bundle<{ readonly laboratory: Laboratory }>(
    "test/sim/laboratory.ts",
    undefined,
  );
  return {
    laboratory,
    simulate: async (seed) => {
      const outcome = await simulateMembers(seed, { toleratesHalts: true });
      return { violation: outcome.violation, steps: outcome.events };
    },
  };
}

async function bundle<Module>(entry: string, mutant: Mutant | undefined): Promise<Module> {
  const result = await build({
    entryPoints: [join(root, entry)],
    alias: { "cloudflare:workers": join(root, "test/sim/shell/workers.ts") },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    write: false,
    plugins: [
      {
        name: "mistakes",
        setup({ onLoad }) {
          onLoad({ filter: /\.ts$/ }, ({ path }) => {
            let text = readFileSync(path, "utf8");
            if (path === join(root, "src/base/assert.ts")) {
              text = text.replace("if (!condition) throw new AssertionFailure(claim);", "");
            }
            if (mutant !== undefined && path === join(root, mutant.file)) text = mutate(text, mutant);
            return { contents: text, loader: "ts" };
          });
        },
      },
    ],
    logLevel: "silent",
  });
  const file = join(temporary, `${mutant?.id ?? "sound"}-${basename(dirname(entry))}.mjs`);
  writeFileSync(file, result.outputFiles[0]?.text ?? "");
  const module: Module = await import(pathToFileURL(file).href);
  return module;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "10000" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
    },
  });
  const budget = Number(values.seeds);
  const only = values.only?.split(",");
  const chosen = mutants.filter(({ id }) => only === undefined || only.includes(id));
  const sound = await load(undefined);
  const soundMembers = await loadMembers(undefined);
  const soundHolds = new Map<string, boolean>();
  const holds = async (seed: number, mutant: Mutant): Promise<boolean> => {
    const key = `${seed} ${mutant.world ?? ""} ${mutant.lean === undefined ? "" : mutant.id}`;
    const known = soundHolds.get(key);
    if (known !== undefined) return known;
    const copy = mutant.world === "members" ? soundMembers : sound;
    const { violation } = await copy.simulate(seed, mutant);
    if (violation !== undefined) {
      console.error(`The sound code fails, too: seed ${seed}, as for ${mutant.id}: ${violation.message}`);
    }
    soundHolds.set(key, violation === undefined);
    return violation === undefined;
  };
  const verdicts: Verdict[] = [];
  for (const mutant of chosen) {
    const count = readFileSync(join(root, mutant.file), "utf8").split(mutant.find).length - 1;
    if (count !== 1) {
      console.log(`${mutant.id.padEnd(5)}ROTTEN: its text occurs ${count} times in ${mutant.file}`);
      verdicts.push({ mutant, seeds: 0, invariant: undefined, steps: 0, ms: 0 });
      continue;
    }
    const spoiled = await load(mutant);
    const { world } = mutant;
    const seedsMax = world === "members" ? Math.ceil(budget / membersFactor) : budget;
    const verdict = {
      ...(await hunt(mutant, spoiled, seedsMax, holds)),
      scenario: tellsApart(mutant, sound.laboratory, spoiled.laboratory),
    };
    if (values.keep && verdict.invariant !== undefined && world === undefined) {
      keep(mutant, spoiled.laboratory, budget);
    }
    verdicts.push(verdict);
    if (!values.json) console.log(line(verdict));
  }
  return report(verdicts, [...soundHolds.values()].filter((is) => !is).length, values.json);
}

function optionsFor({ lean }: Mutant): RunOptions {
  return { toleratesHalts: true, settings: (drawn) => ({ ...drawn, ...lean }) };
}

async function hunt(
  mutant: Mutant,
  spoiled: Copy,
  budget: number,
  holds: (seed: number, mutant: Mutant) => Promise<boolean>,
): Promise<Verdict> {
  const startedAt = performance.now();
  let steps = 0;
  // Of a control one only wants to see that nothing happens.
  const seedsMax = mutant.benign === undefined ? budget : Math.ceil(budget / controlShare);
  for (let seed = 0; seed < seedsMax; seed++) {
    const outcome = await spoiled.simulate(seed, mutant);
    steps += outcome.steps;
    if (outcome.violation === undefined || !(await holds(seed, mutant))) continue;
    const { invariant } = outcome.violation;
    return { mutant, seeds: seed + 1, invariant, steps, ms: performance.now() - startedAt };
  }
  return { mutant, seeds: seedsMax, invariant: undefined, steps, ms: performance.now() - startedAt };
}

function scenarioFile({ id }: Mutant): string {
  return join(root, `test/sim/scenarios/${id}.txt`);
}

/** Plays the mutant's scenario on both: the sound code keeps its promises, the mutant does not. */
function tellsApart(mutant: Mutant, sound: Laboratory, spoiled: Laboratory): number | undefined {
  const file = scenarioFile(mutant);
  if (!existsSync(file)) return undefined;
  const { settings, script } = sound.parseScenario(readFileSync(file, "utf8"));
  const broken = spoiled.play(settings, script, { toleratesHalts: true }).violation;
  const kept = sound.play(settings, script).violation === undefined;
  return broken !== undefined && kept ? script.length : undefined;
}

/** Shrinks the first few kills and writes the shortest down. */
function keep(mutant: Mutant, spoiled: Laboratory, budget: number): void {
  let best: Scenario | undefined;
  for (let seed = 0, kills = 0; seed < budget && kills < 2; seed++) {
    const { violation } = spoiled.simulate(seed, optionsFor(mutant));
    if (violation === undefined || violation.invariant.startsWith("LV")) continue;
    kills++;
    const scenario = spoiled.scenarioOf(seed, optionsFor(mutant));
    if (scenario === undefined) continue;
    const shrunk = spoiled.shrink(scenario, true, 1_500);
    if (best === undefined || shrunk.script.length < best.script.length) best = shrunk;
  }
  if (best === undefined || best.script.length > scenarioLengthMax) return;
  const comments = [
    `${mutant.id}: ${mutant.mistake}.`,
    `With the mistake: ${best.claim}`,
    "Without: every promise is kept.",
  ];
  writeFileSync(scenarioFile(mutant), spoiled.formatScenario(best, comments));
}

/** A seed in the world of members is worth, and costs, about so many of the fast one. */
const membersFactor = 20;

/** Controls run on one in so many of the budget's seeds. */
const controlShare = 25;

/** A longer history than this explains nothing. */
const scenarioLengthMax = 200;

function line({ mutant, seeds, invariant, ms, scenario }: Verdict): string {
  const fate = invariant === undefined ? "SURVIVED" : `killed by ${invariant}`;
  const history = scenario === undefined ? "" : `, scenario of ${scenario}`;
  const control = mutant.benign !== undefined ? " (control)" : "";
  return `${mutant.id.padEnd(5)}${fate.padEnd(28)}${String(seeds).padStart(5)} seeds ${(ms / 1000).toFixed(1).padStart(6)} s  ${mutant.mistake}${history}${control}`;
}

function report(verdicts: readonly Verdict[], unsound: number, json: boolean): number {
  const real = verdicts.filter(({ mutant }) => mutant.benign === undefined);
  const killed = real.filter(({ invariant }) => invariant !== undefined);
  const alarms = verdicts.filter(
    ({ mutant, invariant }) => mutant.benign !== undefined && invariant !== undefined,
  );
  if (json) {
    const rows = verdicts.map(({ mutant, seeds, invariant, steps, ms, scenario }) => ({
      id: mutant.id,
      file: mutant.file,
      mistake: mutant.mistake,
      benign: mutant.benign ?? null,
      killedBy: invariant ?? null,
      seeds,
      steps,
      ms: Math.round(ms),
      scenario: scenario ?? null,
    }));
    console.log(
      JSON.stringify({
        mutants: real.length,
        killed: killed.length,
        falseAlarms: alarms.length,
        unsound,
        rows,
      }),
    );
  } else {
    console.log(`${killed.length} of ${real.length} mutants killed, ${alarms.length} false alarms`);
    if (unsound > 0) console.log(`${unsound} seeds fail on the sound code as well and were left out`);
  }
  return killed.length === real.length && alarms.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
