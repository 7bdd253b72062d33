/**
 * A short run of the simulator: every promise holds on a few hundred seeds, and the same seed is the same
 * run. `npm run sim` runs as many as you like.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mutants } from "./mutant-list.ts";
import { play } from "./script.ts";
import { parseScenario } from "./shrink.ts";
import { simulate } from "./sim.ts";

const seedsPerTest = 100;

describe("sim", () => {
  for (const from of [0, 1_000, 2_000, 3_000]) {
    it(`keeps every promise on seeds ${from} to ${from + seedsPerTest - 1}`, () => {
      for (let seed = from; seed < from + seedsPerTest; seed++) {
        const { violation } = simulate(seed);
        expect(violation === undefined ? "" : `seed ${seed}: ${violation.message}`).toBe("");
      }
    });
  }

  it("runs the same seed the same way, traced or not", () => {
    for (const seed of [3, 5, 8, 13]) {
      const lines: string[] = [];
      const traced = simulate(seed, { log: (line) => lines.push(line) });
      expect(simulate(seed).hash).toBe(traced.hash);
      expect(lines.length).toBeGreaterThan(100);
    }
  });

  it("does something in its runs: commits, elections, crashes, snapshots, truncations, fenced zombies, changes of members", () => {
    const totals = new Map<string, number>();
    let commits = 0;
    for (let seed = 0; seed < seedsPerTest; seed++) {
      const outcome = simulate(seed);
      commits += outcome.commits;
      for (const [what, count] of outcome.counts) totals.set(what, (totals.get(what) ?? 0) + count);
    }
    expect(commits).toBeGreaterThan(2_000);
    for (const what of [
      "serving leading",
      "crash",
      "store installSnapshot",
      "store truncate",
      "fenced",
      "reconfigurations",
      "forwarded and answered",
    ]) {
      expect(`${what} ${(totals.get(what) ?? 0) > 5}`).toBe(`${what} true`);
    }
  });
});

describe("sim: mutants", () => {
  for (const { id, file, find, replace, mistake } of mutants) {
    it(`${id}, ${mistake}, still has its place in ${file}`, () => {
      const pieces = readFileSync(join(import.meta.dirname, "../..", file), "utf8").split(find);
      expect(pieces.length - 1).toBe(1);
      expect(replace).not.toBe(find);
    });
  }

  it("have names of their own", () => {
    expect(new Set(mutants.map(({ id }) => id)).size).toBe(mutants.length);
  });
});

/** Each kills a mutant (`npm run mutants` says which still do); the sound code takes it in its stride. */
describe("sim: scenarios", () => {
  const folder = join(import.meta.dirname, "scenarios");
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), "utf8");
    it(text.slice(2, text.indexOf("\n")), () => {
      const { settings, script } = parseScenario(text);
      const played = play(settings, script);
      expect(played.violation?.message).toBeUndefined();
      // A scenario of which little can still happen has rotted.
      expect(played.script.length).toBeGreaterThan(script.length / 2);
    });
  }
});
