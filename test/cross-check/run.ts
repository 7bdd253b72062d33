/**
 * `npm run cross-check -- --requests N [--seed N] [--script N] [--members N] [--out FILE]`: the same random
 * requests to Apache ZooKeeper and to us, over TCP, every answer and event compared.
 *
 * With several members the clients are spread over all of them, and a session that comes back comes to another.
 *
 * Exits 1 on a difference that `explained.ts` does not cover, and prints it shrunk, with the command that
 * plays it again. Without Java or Maven it says so, and exits 0 unless `--required` is given.
 *
 * @module
 */

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { zookeeperVersion } from "../../bench/servers/jars.ts";
import { Checker, type Difference, describeDifference, describeEnd, signatureOf } from "./check.ts";
import { explanations } from "./explained.ts";
import { generateScript } from "./generate.ts";
import { type Side, startSides } from "./servers.ts";
import { shrink } from "./shrink.ts";
import { Tally } from "./tally.ts";

const requestsPerScript = 150;
/** Kinds of difference that are enough for one run. */
const kindsMax = 12;

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    /** One script of the seed alone. */
    script: { type: "string" },
    members: { type: "string", default: "1" },
    /** Where to keep the report. */
    out: { type: "string" },
    required: { type: "boolean", default: false },
  },
});
const [requests, seed, members] = [
  count("requests", values.requests),
  count("seed", values.seed),
  count("members", values.members),
];
const only = values.script === undefined ? undefined : count("script", values.script);

const sides = await startSides(members);
if ("missing" in sides) {
  console.log(`SKIP  cross-check: ${sides.missing}`);
  process.exitCode = values.required ? 1 : 0;
} else {
  try {
    process.exitCode = await run(sides);
  } catch (error) {
    for (const side of sides) console.error(`${side.name} said:\n${side.said().slice(-4000)}`);
    throw error;
  } finally {
    for (const side of sides) await side.stop();
  }
}

function count(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${flag} is ${text}: it must be a whole number`);
  return Number(text);
}

async function run(both: readonly [Side, Side]): Promise<number> {
  const checker = new Checker(both);
  const tally = new Tally();
  const kinds = new Map<string, { difference: Difference; script: number; times: number }>();
  const unsteady: string[] = [];
  const beganMs = performance.now();
  for (let number = only ?? 0; tally.requests < requests && kinds.size < kindsMax; number++) {
    const script = generateScript(seed, number, { requests: requestsPerScript, isEnsemble: members > 1 });
    const played = await checker.play(script);
    tally.add(played);
    if (played.difference !== undefined) {
      const signature = signatureOf(played.difference);
      const known = kinds.get(signature);
      if (known !== undefined) known.times += 1;
      else {
        // What does not happen again was a clock's doing: a session that expired, a sweep, a new leader.
        const again = (await checker.play(script)).difference;
        if (again === undefined || signatureOf(again) !== signature) {
          unsteady.push(`script ${number}: ${describeEnd(played.difference)}`);
        } else {
          const difference = await shrink(again, (shorter) => checker.play(shorter));
          kinds.set(signature, { difference, script: number, times: 1 });
          console.log(`DIFFERENCE ${kinds.size}: ${signature}\n${describeDifference(difference)}`);
          console.log(
            `  again: npm run cross-check -- --members ${members} --seed ${seed} --script ${number}\n`,
          );
        }
      }
    }
    if (only !== undefined) break;
  }
  const seconds = (performance.now() - beganMs) / 1000;
  const summary = {
    zookeeper: zookeeperVersion,
    members,
    seed,
    ...tally,
    differences: [...kinds.values()].reduce((sum, { times }) => sum + times, 0),
    kinds: [...kinds.keys()],
    unsteady,
  };
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(summary, undefined, 2)}\n`);
  for (const line of unsteady) console.log(`once only: ${line}`);
  for (const { title, reason } of explanations) {
    const times = tally.explained[title] ?? 0;
    if (times > 0) console.log(`explained, ${times} times: ${title}: ${reason}`);
  }
  console.log(
    `${tally.requests} requests in ${tally.scripts} scripts, ${Math.round(seconds)} s: ` +
      `${summary.differences} unexplained differences of ${kinds.size} kinds, ${unsteady.length} once only`,
  );
  return kinds.size === 0 && unsteady.length === 0 ? 0 : 1;
}
