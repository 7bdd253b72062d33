/**
 * A short run of the world of members: the real member class, its storage, sockets and clients, keeps every
 * promise on a few seeds, and the same seed is the same run.
 */

import { describe, expect, it } from "vitest";
import { simulateMembers } from "./index.ts";

const seedsPerTest = 6;

describe("sim: members", () => {
  for (const from of [0, 1_000]) {
    it(`keep every promise on seeds ${from} to ${from + seedsPerTest - 1}`, async () => {
      for (let seed = from; seed < from + seedsPerTest; seed++) {
        const { violation } = await simulateMembers(seed);
        expect(violation === undefined ? "" : `seed ${seed}: ${violation.message}`).toBe("");
      }
    });
  }

  it("run the same seed the same way, traced or not", async () => {
    const lines: string[] = [];
    const traced = await simulateMembers(7, { log: (line) => lines.push(line) });
    expect((await simulateMembers(7)).hash).toBe(traced.hash);
    expect(lines.length).toBeGreaterThan(100);
  });

  it("do something in these runs: reigns, evictions, expired sessions, watch events, locks of both kinds", async () => {
    const totals = new Map<string, number>();
    let watchEvents = 0;
    for (let seed = 0; seed < seedsPerTest; seed++) {
      const outcome = await simulateMembers(seed);
      watchEvents += outcome.watchEvents;
      for (const [what, count] of outcome.counts) totals.set(what, (totals.get(what) ?? 0) + count);
    }
    expect(watchEvents).toBeGreaterThan(200);
    for (const what of [
      "reign",
      "fault evict",
      "sessions expired",
      "lock granted",
      "http lock granted shared",
    ]) {
      expect(`${what} ${(totals.get(what) ?? 0) > 0}`).toBe(`${what} true`);
    }
  });
});
