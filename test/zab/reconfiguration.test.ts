/**
 * Changes of the configuration, at the places where they can go wrong.
 *
 * The conversations are in `fixtures/reconfiguration.txt`, and chance changes configurations in
 * `random-walk.test.ts`. Here is what wants every crash point, or a packet that no sound peer sends.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { Script, type StepEnd } from "./script.ts";

const ends: readonly StepEnd[] = ["nothing", "stored", "half", "sent"];

/** {1,2,3} becomes {3,4,5} under leader 1, with a txn before and one after. */
const exchange = [
  "ensemble voters=(1,2,3) observers=(4,5)",
  "boot *",
  "elect 1",
  "tick 2",
  "propose 1 before",
  "settle",
  "reconfig 1 v3 v4 v5",
  "propose 1 after",
  "settle",
  "tick 2",
];

function play(
  commands: readonly string[],
  step: number,
  end: StepEnd,
): { script: Script; printed: string[] } {
  const script = new Script();
  script.interruptAt(step, end);
  return { script, printed: commands.flatMap((command) => script.run(command)) };
}

function stepsOf(commands: readonly string[]): number {
  const script = new Script();
  for (const command of commands) script.run(command);
  return script.steps;
}

/** What happens next; then all faults end. The checkers watch for two configurations that govern at once. */
const sequels: readonly (readonly [name: string, commands: readonly string[]])[] = [
  ["the one that died stays away for a while", ["tick 40"]],
  ["the leader dies", ["crash 1", "tick 40"]],
  [
    "the old ones are cut off from the new ones",
    ["cut 1-3", "cut 1-4", "cut 1-5", "cut 2-3", "cut 2-4", "cut 2-5", "tick 40"],
  ],
  ["everybody dies", ["crash *", "boot *", "tick 40"]],
];

describe("histories: row 34: {1,2,3} becomes {3,4,5}, and somebody dies at any step of it", () => {
  test.each(sequels)("%s", (_name, sequel) => {
    const steps = stepsOf(exchange);
    expect(steps).toBeGreaterThan(30);
    for (let step = 1; step <= steps; step++) {
      for (const end of ends) {
        const { script, printed } = play([...exchange, ...sequel], step, end);
        expect(
          printed.filter((line) => line.includes("halts")),
          `step ${step} ${end}`,
        ).toEqual([]);
        expect(script.recovers(), `step ${step} ${end}: recovers`).toBe(true);
      }
    }
  });

  test("when nobody dies the new ones govern, and have both txns", () => {
    const { script } = play(exchange, 0, "sent");
    expect(script.recovers()).toBe(true);
    const states = script.run("state");
    expect(states.filter((line) => line.includes("config=3,4,5"))).toHaveLength(5);
    expect(states.filter((line) => line.endsWith("serving"))).toHaveLength(3);
    expect(script.run("log 5").join()).toMatch(/=before .*=reconfig v3 v4 v5 .*=after/);
  });
});

describe("histories: row 33: configurations come from the log alone", () => {
  test("a member that is started with a longer list keeps to the one it has stored", () => {
    const script = new Script();
    for (const command of [
      "ensemble voters=(1,2,3) outsiders=(4)",
      "boot *",
      "elect 1",
      "reconfig 1 v1 v2",
      "settle",
      // What they are told at their start is the first configuration, which has 3 in it.
      "restart 1 2 3",
      "cut 2",
      "tick 60",
    ])
      script.run(command);
    // 1 and 3 would be two of the first three.
    expect(script.run("state").filter((line) => line.endsWith("serving"))).toEqual([]);
    expect(script.recovers()).toBe(true);
  });
});

describe("reconfig: a leader", () => {
  test("proposes no second configuration while one is pending: that would be a mistake of its shell, and it stops", () => {
    const script = new Script();
    for (const command of [
      "ensemble voters=(1,2,3)",
      "boot *",
      "elect 1",
      "cut 2",
      "cut 3",
      "reconfig 1 v1 v2",
    ])
      script.run(command);
    expect(script.run("reconfig! 1 v1 v3")).toEqual(["1 halts: one configuration is pending at a time"]);
  });

  test("does not take another storage for a voter, but does once it was an observer", () => {
    const script = new Script();
    for (const command of [
      "ensemble voters=(1,2,3) storageIds=1",
      "boot *",
      "elect 1",
      "crash 3",
      "storage 3 restored",
      "boot 3",
      "tick 30",
    ])
      script.run(command);
    expect(script.run("reconfig 1 v1@s1 v2@s2 v3@restored")).toEqual(["1 refuses to reconfigure: storage"]);
    script.run("reconfig 1 v1@s1 v2@s2 o3@restored");
    script.run("settle");
    script.run("tick 4");
    expect(script.run("state").at(-1)).toMatch(/^3 observing 1 .*config=1,2\+3 serving$/);
    script.run("reconfig 1 v1@s1 v2@s2 v3@restored");
    script.run("settle");
    expect(script.run("state").at(-1)).toMatch(/^3 following 1 .*config=1,2,3 serving$/);
    expect(script.recovers()).toBe(true);
  });
});
