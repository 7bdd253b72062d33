/**
 * From a script on which two servers differ to the few steps and requests that it takes.
 *
 * @module
 */

import { type Difference, type Played, signatureOf } from "./check.ts";
import type { Step } from "./script.ts";

/** Enough for a script of a few hundred requests; each costs a reset of both servers. */
const playsMax = 400;

/** @param play - Plays a script to both. The same kind of difference must come of it. */
export async function shrink(
  difference: Difference,
  play: (script: readonly Step[]) => Promise<Played>,
): Promise<Difference> {
  const signature = signatureOf(difference);
  let best = cutBehind(difference);
  let plays = 0;
  const attempt = async (script: readonly Step[]): Promise<boolean> => {
    if (plays >= playsMax) return false;
    plays += 1;
    const { difference: found } = await play(script);
    if (found === undefined || signatureOf(found) !== signature) return false;
    best = cutBehind(found);
    return true;
  };
  for (let shrunk = true; shrunk && plays < playsMax; ) {
    shrunk = false;
    for (let size = Math.ceil(best.script.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let end = best.script.length; end > 0; end -= size) {
        const rest = [...best.script.slice(0, Math.max(0, end - size)), ...best.script.slice(end)];
        if (rest.length < best.script.length && (await attempt(rest))) shrunk = true;
      }
    }
    if (await shrinkBursts(best.script, attempt)) shrunk = true;
  }
  return best;
}

/** Leaves single requests out of the writes they were sent in. */
async function shrinkBursts(
  script: readonly Step[],
  attempt: (script: readonly Step[]) => Promise<boolean>,
): Promise<boolean> {
  let current = script;
  let shrunk = false;
  for (const [index, step] of script.entries()) {
    if (step.kind !== "requests") continue;
    let { requests } = step;
    for (let at = requests.length - 1; at >= 0 && requests.length > 1; at--) {
      const fewer = requests.filter((_, other) => other !== at);
      const next = current.map((other, place) => (place === index ? { ...step, requests: fewer } : other));
      if (!(await attempt(next))) continue;
      requests = fewer;
      current = next;
      shrunk = true;
    }
  }
  return shrunk;
}

/** Nothing behind the step that differs is part of it. */
function cutBehind(difference: Difference): Difference {
  const { script, step } = difference;
  return { ...difference, script: script.slice(0, script.indexOf(step) + 1) };
}
