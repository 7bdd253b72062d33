/**
 * `npm run explore`: visits every state of a small ensemble within stated bounds.
 *
 * `node test/explore/run.ts --proposals 2 --crashes 1 --linkdowns 1 --epochs 2 --json`. Exits 1 on a
 * violation, after its shortest history; 2 on a flag it does not know.
 *
 * @module
 */

import { parseArguments } from "./arguments.ts";
import { search } from "./search.ts";

const parsed = parseArguments(process.argv.slice(2));
if (!parsed.ok) {
  console.error(parsed.help);
  process.exit(2);
}
const { setup, limits, json, quiet } = parsed;
const { bounds } = setup;
console.log(
  `${setup.voters} voters, ${setup.observers} observers;`,
  Object.entries(bounds)
    .map(([name, bound]) => `${name} ${bound}`)
    .join(", "),
);
const report = search(setup, { ...limits, progress: quiet ? undefined : (line) => console.error(line) });
for (const line of report.violation?.scenario ?? []) console.log(line);
const rate = (count: number): string => `${Math.round(count / report.seconds).toLocaleString("en")}/s`;
const n = (count: number): string => count.toLocaleString("en");
console.log(
  [
    `${n(report.states)} states up to symmetry (${rate(report.states)}), ${report.complete ? "all within the bounds" : "not all"}`,
    `${n(report.transitions)} transitions (${rate(report.transitions)}), ${n(report.duplicates)} to states seen before`,
    `depth ${report.depth}; ${report.seconds.toFixed(1)} s`,
    `bounds that cut something: ${report.cut.join(", ") || "none"}`,
    `${n(report.coreSteps)} steps of the core, ${n(report.memberStates)} states of a member, ${n(report.packets)} packets, ${n(report.channels)} channels`,
    `states taken for another one: ${report.collisions.toExponential(1)} expected`,
    report.violation === undefined ? "no violation" : `VIOLATION ${report.violation.message}`,
  ].join("\n"),
);
if (json) {
  const memoryMb = Math.round(process.memoryUsage().rss / 2 ** 20);
  console.log(
    JSON.stringify({
      ...setup,
      ...report,
      statesPerSecond: Math.round(report.states / report.seconds),
      memoryMb,
    }),
  );
}
process.exit(report.violation === undefined ? 0 : 1);
