/**
 * From a run that broke a promise to the few happenings that matter.
 *
 * Takes chunks of the history away, halves first, single happenings last, and keeps what still breaks the
 * same promise. A script skips what is not there, so almost every part is a history. Runs that fail in the
 * calm are about time and are not shrunk.
 *
 * @module
 */

import { RandomChooser } from "./choose.ts";
import { formatHappening, type Happening, parseHappening, play } from "./script.ts";
import { drawSettings, type Settings } from "./settings.ts";
import { type RunOptions, recordRun } from "./sim.ts";
import type { Violation } from "./violation.ts";

export interface Scenario {
  readonly settings: Settings;
  readonly script: readonly Happening[];
  /** What was broken, without its numbers: other numbers are the same mistake, another sentence is not. */
  readonly claim: string;
}

function claimOf(violation: Violation | undefined): string {
  return violation?.message.replaceAll(/0x[0-9a-f]+|\d+/g, "#") ?? "";
}

/** The history of a seed as a script; `undefined` when the script alone does not break the same promise. */
export function scenarioOf(seed: number, options: RunOptions): Scenario | undefined {
  const drawn = drawSettings(new RandomChooser(seed));
  const settings = options.settings?.(drawn) ?? drawn;
  const { violation, script } = recordRun(seed, options);
  if (violation === undefined) return undefined;
  const replayed = play(settings, script, { toleratesHalts: options.toleratesHalts ?? false });
  if (claimOf(replayed.violation) !== claimOf(violation)) return undefined;
  return { settings, script: replayed.script, claim: claimOf(violation) };
}

export function shrink(scenario: Scenario, toleratesHalts: boolean, playsMax = 5_000): Scenario {
  const { settings, claim } = scenario;
  let best = scenario.script;
  let plays = 0;
  const attempt = (script: readonly Happening[]): boolean => {
    plays++;
    const played = play(settings, script, { toleratesHalts });
    if (claimOf(played.violation) !== claim || played.script.length >= best.length) return false;
    best = played.script;
    return true;
  };
  for (let shrunk = true; shrunk && plays < playsMax; ) {
    shrunk = false;
    for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let end = best.length; end > 0 && plays < playsMax; end -= size) {
        const start = Math.max(0, end - size);
        if (attempt([...best.slice(0, start), ...best.slice(end)])) shrunk = true;
      }
    }
  }
  return { settings, script: best, claim };
}

/** A scenario file: comment lines, the settings, a happening a line. */
export function formatScenario(scenario: Scenario, comments: readonly string[]): string {
  const lines = comments.map((comment) => `# ${comment}`);
  lines.push(`settings ${JSON.stringify(scenario.settings)}`);
  for (const happening of scenario.script) lines.push(formatHappening(happening));
  return `${lines.join("\n")}\n`;
}

/** @throws when a line is none of a scenario. */
export function parseScenario(text: string): {
  readonly settings: Settings;
  readonly script: readonly Happening[];
} {
  let settings: Settings | undefined;
  const script: Happening[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("settings ")) {
      settings = JSON.parse(line.slice("settings ".length)) as Settings;
      continue;
    }
    const happening = parseHappening(line);
    if (happening === undefined) throw new Error(`not a happening: ${line}`);
    script.push(happening);
  }
  if (settings === undefined) throw new Error("a scenario has settings");
  return { settings, script };
}
