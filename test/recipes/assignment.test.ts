/**
 * Proves that an assignment is whole, fair within the weights, stable, and moves no more than it must.
 *
 * Fairness and stability are the invariants of the head of `src/recipes/assignment.ts`, for any weights. How
 * few tasks move is compared with the least possible number where that is known: equal weights.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AssignmentInput, planAssignment, weightMax } from "../../src/recipes/assignment.ts";

function given(parts: {
  readonly tasks: Readonly<Record<string, number>>;
  readonly workers: Readonly<Record<string, number>>;
  readonly current?: Readonly<Record<string, string>>;
}): AssignmentInput {
  return {
    tasks: new Map(Object.entries(parts.tasks)),
    workers: new Map(Object.entries(parts.workers)),
    current: new Map(Object.entries(parts.current ?? {})),
  };
}

/** Tasks of the names `t0`, `t1`, ... over workers of the names `w0`, `w1`, ... of which some are gone. */
function inputs(
  weights: fc.Arbitrary<number>,
  capacities: fc.Arbitrary<number>,
): fc.Arbitrary<AssignmentInput> {
  return fc
    .record({
      weights: fc.array(weights, { maxLength: 40 }),
      capacities: fc.array(capacities, { minLength: 1, maxLength: 7 }),
      homes: fc.array(fc.nat(9), { minLength: 40, maxLength: 40 }),
    })
    .map(({ weights: drawn, capacities: drawnCapacities, homes }) => ({
      tasks: new Map(drawn.map((weight, at) => [`t${at}`, weight])),
      workers: new Map(drawnCapacities.map((capacity, at) => [`w${at}`, capacity])),
      current: new Map(homes.map((home, at) => [`t${at}`, `w${home}`])),
    }));
}

const anyInput = inputs(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 5 }));
const equalInput = inputs(fc.constant(3), fc.constant(2));

/** Fractions as pairs, so that nothing is rounded. */
function loadsOf({ tasks, workers }: AssignmentInput, plan: ReadonlyMap<string, string>) {
  return [...workers]
    .filter(([, capacity]) => capacity > 0)
    .map(([id, capacity]) => {
      const weights = [...plan].filter(([, worker]) => worker === id).map(([task]) => tasks.get(task) ?? 0);
      return { id, capacity, weights, load: weights.reduce((sum, weight) => sum + weight, 0) };
    });
}

describe("planAssignment()", () => {
  test("gives every task to one worker that is there and has capacity", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const plan = planAssignment(input);
        const able = [...input.workers].filter(([, capacity]) => capacity > 0).map(([id]) => id);
        expect([...plan.keys()].sort()).toEqual(able.length === 0 ? [] : [...input.tasks.keys()].sort());
        for (const worker of plan.values()) expect(able).toContain(worker);
      }),
    );
  });

  test("leaves no move that would help: loads differ by no more than a task", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const loads = loadsOf(input, planAssignment(input));
        for (const from of loads) {
          for (const to of loads.filter(({ id }) => id !== from.id)) {
            for (const weight of from.weights) {
              expect((to.load + weight) * from.capacity).toBeGreaterThanOrEqual(from.load * to.capacity);
            }
          }
        }
      }),
    );
  });

  test("is stable: its own answer is answered again", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const plan = planAssignment(input);
        expect(planAssignment({ ...input, current: plan })).toEqual(plan);
      }),
    );
  });

  test("does not depend on the order in which things are named", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const reversed = {
          tasks: new Map([...input.tasks].reverse()),
          workers: new Map([...input.workers].reverse()),
          current: new Map([...input.current].reverse()),
        };
        expect(planAssignment(reversed)).toEqual(planAssignment(input));
      }),
    );
  });

  test("moves as few tasks as any fair assignment must, when all weigh alike", () => {
    fc.assert(
      fc.property(equalInput, (input) => {
        const plan = planAssignment(input);
        const moved = [...plan].filter(([task, worker]) => {
          const home = input.current.get(task) ?? "";
          return input.workers.has(home) && home !== worker;
        });
        // The fullest may keep one more than the others; what lies above that has to go.
        const counts = [...input.workers.keys()]
          .map((id) => [...input.tasks.keys()].filter((task) => input.current.get(task) === id).length)
          .sort((a, b) => b - a);
        const least = Math.floor(input.tasks.size / counts.length);
        const withOneMore = input.tasks.size % counts.length;
        const excess = counts.map((count, at) => Math.max(0, count - least - (at < withOneMore ? 1 : 0)));
        expect(moved).toHaveLength(excess.reduce((sum, each) => sum + each, 0));
      }),
    );
  });

  test.each([
    {
      what: "a worker that joins takes its share, and nothing else moves",
      input: given({
        tasks: { a: 1, b: 1, c: 1, d: 1 },
        workers: { x: 1, y: 1 },
        current: { a: "x", b: "x", c: "x", d: "x" },
      }),
      plan: { a: "y", b: "y", c: "x", d: "x" },
    },
    {
      what: "twice the capacity bears twice the weight",
      input: given({ tasks: { a: 2, b: 2, c: 2 }, workers: { x: 1, y: 2 } }),
      plan: { a: "y", b: "x", c: "y" },
    },
    {
      what: "one whose capacity is 0 is drained",
      input: given({ tasks: { a: 1, b: 1 }, workers: { x: 0, y: 1 }, current: { a: "x", b: "x" } }),
      plan: { a: "y", b: "y" },
    },
    {
      what: "a heavy task is not moved to and fro",
      input: given({ tasks: { heavy: 100 }, workers: { x: 1, y: 1 }, current: { heavy: "y" } }),
      plan: { heavy: "y" },
    },
    { what: "nobody there", input: given({ tasks: { a: 1 }, workers: {} }), plan: {} },
  ])("$what", ({ input, plan }) => {
    expect(Object.fromEntries(planAssignment(input))).toEqual(plan);
  });

  test("takes the greatest weights and capacities, and nothing above or below", () => {
    const tasks = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`t${at}`, weightMax]));
    const plan = planAssignment(given({ tasks, workers: { x: weightMax, y: weightMax } }));
    expect([...plan.values()].filter((worker) => worker === "x")).toHaveLength(25);
    for (const bad of [0, weightMax + 1, 0.5, Number.NaN]) {
      expect(() => planAssignment(given({ tasks: { a: bad }, workers: { x: 1 } }))).toThrow("weight");
    }
    for (const bad of [-1, weightMax + 1]) {
      expect(() => planAssignment(given({ tasks: {}, workers: { x: bad } }))).toThrow("capacity");
    }
  });
});
