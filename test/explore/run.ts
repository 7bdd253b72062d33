/**
 * `npm run explore`: visits every state of small ensembles within stated bounds.
 *
 * `npm run explore -- --proposals 2 --crashes 1 --linkdowns 1 --epochs 2 --json` searches that scope instead. Exits 1 on a violation,
 * after its shortest history, and 2 on a flag it does not know. With `--mutants` it exits 1 unless every
 * mistake is found.
 *
 * @module
 */

import { parseArguments } from "./arguments.ts";
import { mutants, searchMutant } from "./mutants.ts";
import { setupOf } from "./scopes.ts";
import { type Limits, type Report, search } from "./search.ts";
import type { Setup } from "./world.ts";

const parsed = parseArguments(process.argv.slice(2));
if (!parsed.ok) {
  console.error(parsed.help);
  process.exit(2);
}
const { searches, limits, json, quiet } = parsed;
const progress = quiet ? undefined : (line: string) => console.error(line);
const isSound = parsed.mutants ? await huntMutants(limits) : exploreAll();
process.exit(isSound ? 0 : 1);

function exploreAll(): boolean {
  return searches.map(({ name, setup }) => explore(name, setup)).every((isSound) => isSound);
}

function explore(name: string, setup: Setup): boolean {
  console.log(`${name}: ${describeSetup(setup)}`);
  const report = search(setup, { ...limits, progress });
  for (const line of report.violation?.scenario ?? []) console.log(line);
  for (const line of describeReport(report)) console.log(line);
  if (json) {
    const statesPerSecond = Math.round(report.states / report.cpuSeconds);
    const memoryMb = Math.round(process.memoryUsage().rss / 2 ** 20);
    console.log(JSON.stringify({ name, ...setup, ...report, statesPerSecond, memoryMb }));
  }
  console.log("");
  return report.violation === undefined;
}

async function huntMutants(limits: Limits): Promise<boolean> {
  let killed = 0;
  for (const mutant of mutants) {
    const { violation, states, depth, seconds } = await searchMutant(mutant, setupOf(mutant), limits);
    const isExpected = violation !== undefined && mutant.breaks.includes(violation.invariant);
    if (isExpected) killed += 1;
    const verdict = isExpected ? "killed" : violation === undefined ? "SURVIVED" : "KILLED BY ANOTHER";
    const figures = `${count(states)} states, ${depth + 1} steps, ${seconds.toFixed(1)} s`;
    console.log(`${verdict}: ${mutant.name}\n    ${violation?.message ?? "no violation"}\n    ${figures}`);
  }
  console.log(`${killed} of ${mutants.length} mutants killed`);
  if (json) console.log(JSON.stringify({ mutants: mutants.length, killed }));
  return killed === mutants.length;
}

function describeSetup({ voters, observers, targets, bounds, begin, ...options }: Setup): string {
  const limits = Object.entries(bounds)
    .filter(([, bound]) => bound > 0)
    .map(([name, bound]) => `${name} ${bound}`);
  const switches = Object.entries(options).filter(([, on]) => on === true);
  const names = switches.map(([name]) => name).join(", ");
  const after = begin.length === 0 ? "" : `; after ${begin.length} commands`;
  const to = targets.length === 0 ? "" : `, to become ${targets.join(" or ")}`;
  return `${voters} voters, ${observers} observers${to}; at most ${limits.join(", ")}; ${names}${after}`;
}

function describeReport(report: Report): string[] {
  const { states, transitions, seconds, cpuSeconds, duplicates, collisions, violation } = report;
  const extent = report.complete ? "every state within the bounds" : "not every state within the bounds";
  return [
    `${count(states)} states up to symmetry, ${extent}; ${count(states / cpuSeconds)}/s at work`,
    `${count(transitions)} transitions, ${count(duplicates)} of them to a state seen before; ${count(transitions / cpuSeconds)}/s at work`,
    `depth ${report.depth}; ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of them at work`,
    `bounds that cut something off: ${report.cut.join(", ") || "none"}`,
    `${count(report.coreSteps)} steps of the core, ${count(report.memberStates)} states of a member`,
    `${count(report.packets)} packets, ${count(report.channels)} states of a channel; sent: ${report.sent.join(", ")}`,
    `${count(report.committed.length)} histories were committed`,
    `pairs of states taken for one: ${collisions.toExponential(1)} expected`,
    violation === undefined ? "no violation" : `violation: ${violation.message}`,
  ];
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}
