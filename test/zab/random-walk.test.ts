/**
 * Ensembles driven by chance keep every safety property at every step, and recover when the faults end.
 *
 * A failure prints its seed; `EK_SEEDS=7000-9000` runs others.
 *
 * @module
 */

import { expect, test } from "vitest";
import { walk } from "./random-walk.ts";
import type { Figures } from "./world.ts";

function range(): [number, number] {
  const [from, to] = (process.env["EK_SEEDS"] ?? "1-400").split("-").map(Number);
  return [from ?? 1, to ?? 400];
}

test("three and five voters, with and without an observer, through crashes, partitions and lost links", () => {
  const [from, to] = range();
  const total = new Map<string, number>();
  const failures: string[] = [];
  for (let seed = from; seed <= to; seed++) {
    try {
      const figures: Figures = walk(seed);
      for (const [name, count] of Object.entries(figures)) total.set(name, (total.get(name) ?? 0) + count);
    } catch (failure) {
      failures.push(`seed ${seed}: ${failure instanceof Error ? failure.message : String(failure)}`);
    }
  }
  expect(failures).toEqual([]);
  // What never happened was not tested.
  for (const name of [
    "established",
    "delivered",
    "reads",
    "snapshots",
    "truncations",
    "crashes",
    "sleeps",
    "resumes",
    "reconfigurations",
  ]) {
    expect(total.get(name), name).toBeGreaterThan(0);
  }
}, 300_000);
