/**
 * Proves who has a candidate: shares that hold, names that keep what they have from stage to stage.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasCandidate, placeOf, rolloutView, stagesFault, stagesMax } from "../../src/recipes/rollout.ts";

const candidate = { value: "new", stages: [{ percent: 10 }], stage: 0, isPaused: false, since: 2 };

describe("hasCandidate()", () => {
  test("gives about its share, whatever the names look like", () => {
    for (const name of [
      (i: number) => `user-${i}`,
      (i: number) => String(i),
      (i: number) => `${i}.example.com`,
    ]) {
      const having = Array.from({ length: 20_000 }, (_, i) => name(i)).filter((key) =>
        hasCandidate(candidate, { key }),
      );
      // Six standard deviations of a fair draw.
      expect(Math.abs(having.length - 2_000)).toBeLessThan(6 * Math.sqrt(20_000 * 0.1 * 0.9));
    }
  });

  test("never takes back: who has it in a stage has it in every later one", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 2 }),
        (key, shares) => {
          const stages = shares.sort((a, b) => a - b).map((share) => ({ percent: share / 100 }));
          const having = stages.map((_, stage) => hasCandidate({ ...candidate, stages, stage }, { key }));
          expect(having).toEqual(having.toSorted((a, b) => Number(a) - Number(b)));
        },
      ),
    );
  });

  test("gives nobody 0 %, everybody 100 %, and a ring whatever the share", () => {
    fc.assert(
      fc.property(fc.string(), (key) => {
        expect(hasCandidate({ ...candidate, stages: [{}] }, { key })).toBe(false);
        expect(hasCandidate({ ...candidate, stages: [{ percent: 100 }] }, { key })).toBe(true);
        const rings = [{ rings: ["canary"] }];
        expect(hasCandidate({ ...candidate, stages: rings }, { key, ring: "canary" })).toBe(true);
        expect(hasCandidate({ ...candidate, stages: rings }, { key, ring: "beta" })).toBe(false);
      }),
    );
  });

  test("chooses others in the next rollout", () => {
    const keys = Array.from({ length: 2_000 }, (_, i) => `user-${i}`);
    const first = keys.filter((key) => hasCandidate(candidate, { key }));
    const again = first.filter((key) => hasCandidate({ ...candidate, since: 3 }, { key }));
    expect(again.length).toBeLessThan(first.length / 2);
  });

  test("places are the same for ever: other programs may compute them", () => {
    expect(["a", "user-1", "\u{1f98d}", ""].map((key) => placeOf(2, key))).toMatchInlineSnapshot(`
      [
        9849,
        9999,
        5264,
        8348,
      ]
    `);
  });
});

test.each([
  { stages: [], why: "0 stages" },
  { stages: Array.from({ length: stagesMax + 1 }, () => ({})), why: "101 stages" },
  { stages: [{ percent: 100.01 }], why: "not 0 to 100" },
  { stages: [{ percent: -1 }], why: "not 0 to 100" },
  { stages: [{ percent: 0.001 }], why: "two decimals" },
  { stages: [{ percent: Number.NaN }], why: "not 0 to 100" },
  { stages: [{ percent: 2 }, { percent: 1 }], why: "smaller share" },
  { stages: [{ rings: ["a"] }, { rings: ["b"] }], why: 'not the ring "a"' },
])("stagesFault() refuses $why", ({ stages, why }) => {
  expect(stagesFault(stages)).toContain(why);
});

test("stagesFault() takes as many stages as there may be, and two decimals", () => {
  expect(stagesFault(Array.from({ length: stagesMax }, (_, at) => ({ percent: at + 0.07 })))).toBeUndefined();
});

test("rolloutView() refuses what is no rollout, and values that the participant's schema refuses", async () => {
  const look = (raw: unknown) => rolloutView({ key: "a" })["~standard"].validate(raw);
  const state = { generation: 2, stable: 1, candidate: null };
  expect(await look(state)).toEqual({ value: { value: 1, generation: 2, isCandidate: false } });
  const bad = [null, [], 1, {}, { ...state, generation: 0 }, { ...state, candidate: {} }];
  const stale = { ...state, candidate: { ...candidate, stage: 1 } };
  const wrong = { ...state, candidate: { ...candidate, stages: [{ percent: "10" }] } };
  for (const raw of [...bad, stale, wrong]) expect(await look(raw)).toMatchObject({ issues: [{}] });
  const never = {
    "~standard": { version: 1, vendor: "test", validate: () => ({ issues: [{ message: "no" }] }) },
  } as const;
  const refused = await rolloutView({ key: "a", schema: never })["~standard"].validate(state);
  expect(refused.issues?.[0]?.message).toBe("no");
});
