/**
 * The exhaustive search, at bounds that take a moment, and proof that it can fail.
 *
 * `npm run explore` goes further; `npm run explore -- --mutants` includes the mistakes that take longer.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";
import { describe, expect, test, vi } from "vitest";
import type { Peer } from "../../src/zab/index.ts";
import { beginWith, parseBeginning } from "./begin.ts";
import type { Bounds } from "./bounds.ts";
import { mutants, searchMutant } from "./mutants.ts";
import { setupOf } from "./scopes.ts";
import { type Limits, type Report, search } from "./search.ts";
import { type Setup, World } from "./world.ts";

// Hundreds of milliseconds each, on an idle machine.
vi.setConfig({ testTimeout: 60_000 });

const limits: Limits = { statesMax: 400_000, secondsMax: 60 };

function explore(bounds: Partial<Bounds>, setup: Partial<Setup> = {}): Report {
  const report = search(setupOf({ bounds, setup }), limits);
  expect(report.violation?.scenario).toBeUndefined();
  expect(report.complete).toBe(true);
  return report;
}

/** A server that no renaming touches, where a history of two voters begins. */
function serverAfter(begin: string, id: number): { role: string; isMember: boolean; history: string } {
  const setup = { voters: 2, targets: ["123", "12"], begin: beginWith(begin) };
  const world = new World(setupOf({ bounds: {}, setup }));
  const { role, isMember, history } = world.facts(world.first(), id - 1);
  return { role, isMember, history: world.histories.describe(history) };
}

describe("every state within bounds", () => {
  test("three voters: two epochs, a proposal, a crash", () => {
    const report = explore({ epochs: 2, follows: 4, proposals: 1, crashes: 1 });
    expect(report.states).toBeGreaterThan(10_000);
    expect(report.committed).toContain("(1,1)#1");
    expect(report.committed).toContain("(2,1)#1");
    expect(report.sent).toContain("sync trunc");
  });

  test("three voters: two epochs, two proposals, a member that gives up", () => {
    const report = explore({ epochs: 2, follows: 3, proposals: 2, timeouts: 1 });
    expect(report.committed).toContain("(1,1)#1 (2,1)#2");
  });

  test("three voters whose logs have parted", () => {
    const begin = parseBeginning("parted");
    const report = explore({ epochs: 1, follows: 3, proposals: 1, crashes: 1 }, { begin: begin ?? [] });
    expect(report.sent).toContain("sync trunc");
    expect(report.committed).toEqual(["(2,1)#2", "(2,1)#2 (3,1)#3", "(3,1)#3", "empty"]);
  });

  test("three voters: links end, at one end first", () => {
    const report = explore({ epochs: 1, follows: 2, proposals: 1, linkdowns: 1 });
    expect(report.sent).toContain("refuse outOfOrder");
  });

  test("three voters: snapshots and compaction", () => {
    const report = explore(
      { epochs: 2, follows: 3, proposals: 1, crashes: 1, compactions: 1 },
      { snapshots: true },
    );
    expect(report.sent).toContain("sync snap");
  });

  test("three voters: one txn under way at a time", () => {
    expect(explore({ epochs: 1, follows: 3, proposals: 2 }, { flow: true }).sent).toContain("received");
  });

  test("three voters: a linearizable read while another leader takes over", () => {
    const report = explore({ epochs: 2, follows: 3, proposals: 1, timeouts: 1, reads: 1 });
    expect(report.sent).toContain("pong");
  });

  test("three voters: a leader that crashed goes on in its epoch", () => {
    const report = explore({ epochs: 1, follows: 2, proposals: 2, crashes: 2 }, { resumes: true });
    expect(report.committed).toContain("(1,1)#1 (1,2)#2");
  });

  test("three voters: a leader that crashed meets its successor", () => {
    const report = explore(
      { epochs: 1, follows: 1, proposals: 1, crashes: 1, timeouts: 1 },
      { resumes: true, begin: parseBeginning("warm") ?? [] },
    );
    expect(report.committed).toContain("(1,1)#1 (2,1)#2");
    expect(report.committed).toContain("(1,1)#1 (1,2)#2");
  });

  test("two voters and an observer", () => {
    const report = explore({ epochs: 1, follows: 3, proposals: 2, crashes: 1 }, { voters: 2, observers: 1 });
    expect(report.sent).toContain("inform");
  });

  test("one voter and an observer", () => {
    const report = explore({ follows: 3, proposals: 2, crashes: 2 }, { voters: 1, observers: 1 });
    expect(report.committed).toContain("(1,1)#1 (2,1)#2");
  });
});

describe("every state within bounds, while the members change", () => {
  test("a voter joins two", () => {
    const report = explore(
      { epochs: 2, follows: 3, changes: 1, proposals: 1, crashes: 1 },
      { voters: 2, targets: ["123"] },
    );
    expect(report.committed).toContain("(1,1):123 (2,1)#1");
    expect(report.sent).toContain("sync trunc");
  });

  test("one of three voters leaves, perhaps the leader", () => {
    const report = explore({ epochs: 2, follows: 3, changes: 1, timeouts: 1 }, { targets: ["12"] });
    expect(report.committed).toContain("(2,1):12");
  });

  test("one of three voters stays", () => {
    const report = explore({ epochs: 2, follows: 4, changes: 1, crashes: 1 }, { targets: ["1"] });
    expect(report.committed).toContain("(1,1):1");
  });

  test("the only voter hands over", () => {
    const report = explore(
      { follows: 3, changes: 2, proposals: 1, crashes: 1 },
      { voters: 1, observers: 1, targets: ["2+1", "1+2"] },
    );
    expect(report.committed).toContain("(1,1):2+1 (2,1):1+2");
  });

  test("two changes, one after the other", () => {
    const report = explore(
      { epochs: 2, follows: 4, changes: 2, crashes: 1 },
      { voters: 2, targets: ["123", "13"] },
    );
    expect(report.committed).toContain("(1,1):123 (1,2):13");
    expect(report.committed).toContain("(1,1):123 (2,1):13");
  });

  test("a leader that crashed goes on in its epoch, with a change under way", () => {
    const report = explore(
      { epochs: 1, follows: 2, changes: 1, crashes: 2 },
      { targets: ["12"], resumes: true },
    );
    expect(report.committed).toContain("(1,1):12");
  });
});

describe("an ensemble gets on again", () => {
  test("a packet is not lost to a link that ended in the other direction", () => {
    const begin = beginWith("lead 1, follow 2->1, giveUp 1, crash 2, lead 2, follow 3->2");
    explore({ follows: 1, proposals: 1 }, { begin });
  });

  test("three voters, from every state with a crash", () => {
    explore({ epochs: 2, follows: 3, crashes: 1 }, { recovers: true });
  });

  test("two voters that another one joins", () => {
    const setup = { voters: 2, targets: ["123"], recovers: true };
    explore({ epochs: 2, follows: 3, changes: 1, crashes: 1 }, setup);
  });

  test("three voters of which one stays", () => {
    explore({ epochs: 1, follows: 3, changes: 1, crashes: 1 }, { targets: ["1"], recovers: true });
  });
});

describe("the search itself", () => {
  const small = { epochs: 2, follows: 3, proposals: 1, timeouts: 1 };

  test("names of servers make no difference", () => {
    const up = explore(small);
    const all = explore(small, { symmetry: false });
    expect(all.states).toBeGreaterThan(4 * up.states);
    expect(all.states).toBeLessThanOrEqual(6 * up.states);
    expect([all.depth, all.packets, all.committed]).toEqual([up.depth, up.packets, up.committed]);
  });

  test("names of servers make no difference, but those that a change tells apart", () => {
    const bounds = { epochs: 2, follows: 3, changes: 1, crashes: 1 };
    const setup = { targets: ["12"] };
    const up = explore(bounds, setup);
    const all = explore(bounds, { ...setup, symmetry: false });
    expect(all.states).toBeGreaterThan(1.5 * up.states);
    expect(all.states).toBeLessThanOrEqual(2 * up.states);
    expect([all.depth, all.packets, all.committed]).toEqual([up.depth, up.packets, up.committed]);
  });

  test("packets of ended sessions make no difference", () => {
    const bounds = { epochs: 1, follows: 3, proposals: 1, timeouts: 1 };
    const without = explore(bounds);
    const all = explore(bounds, { keepDead: true });
    expect(all.states).toBeGreaterThan(without.states);
    expect(all.committed).toEqual(without.committed);
  });

  test("packets between servers that are no members of one ensemble make no difference", () => {
    const bounds = { epochs: 1, follows: 3, changes: 1, crashes: 1 };
    const without = explore(bounds, { targets: ["12"] });
    const all = explore(bounds, { targets: ["12"], keepDead: true });
    expect(all.states).toBeGreaterThan(without.states);
    expect(all.committed).toEqual(without.committed);
  });

  test("equal encodings are equal peers", () => {
    let compared = 0;
    const onEqual = (known: Peer, again: Peer): void => {
      compared += 1;
      // The reader is the member's disk, which is encoded beside the peer.
      if (!isDeepStrictEqual({ ...known, reader: 0 }, { ...again, reader: 0 }))
        expect({ ...again, reader: 0 }).toEqual({ ...known, reader: 0 });
    };
    explore(small, { onEqual });
    explore({ epochs: 1, follows: 3, proposals: 1, crashes: 1 }, { onEqual, snapshots: true, flow: true });
    const resumed = { epochs: 1, follows: 2, proposals: 1, crashes: 1, timeouts: 1 };
    explore(resumed, { onEqual, resumes: true, begin: parseBeginning("warm") ?? [] });
    const changed = { epochs: 2, follows: 3, changes: 2, crashes: 1 };
    explore(changed, { onEqual, voters: 2, targets: ["123", "13"] });
    expect(compared).toBeGreaterThan(3_000);
  });

  test("a step that is looked up is the step that would be carried out", () => {
    const world = new World(
      setupOf({ bounds: { ...small, timeouts: 2, crashes: 2, epochs: 4, follows: 7 } }),
    );
    for (let walk = 0; walk < 200; walk++) {
      let state = world.first();
      for (let steps = 0; steps < 40; steps++) {
        const actions = world.actions(state);
        const action = actions[(walk * 31 + steps * steps * 7) % actions.length];
        if (action === undefined) break;
        state = Int32Array.from(world.after(state, action));
      }
    }
    expect(world.members.steps).toBeGreaterThan(250);
    expect(world.members.recheck()).toBe(0);
  });

  test("a server that nobody told is no member; one that was told joins, and leaves with the change", () => {
    const joining = "lead 1, follow 2->1, settle, change 1 to 123, settle";
    const served = `${joining}, tell 3, follow 3->1, settle`;
    expect(serverAfter(joining, 3)).toEqual({ role: "looking", isMember: false, history: "empty" });
    expect(serverAfter(`${joining}, tell 3`, 3)).toMatchObject({ isMember: true, history: "empty" });
    expect(serverAfter(served, 3)).toEqual({ role: "learning", isMember: true, history: "(1,1):123" });
    expect(serverAfter(`${served}, change 1 to 12, settle`, 3)).toEqual({
      role: "looking",
      isMember: false,
      history: "(1,1):123 (1,2):12",
    });
  });

  test("without a mistake nothing is found, also with the core's assertions off", async () => {
    const setup = setupOf({ bounds: small });
    const report = await searchMutant(undefined, setup, limits);
    expect(report.violation).toBeUndefined();
    expect(report.complete).toBe(true);
  });
});

describe("a mistake is found", () => {
  for (const mutant of mutants.filter(({ isSlow }) => isSlow !== true)) {
    test(mutant.name, async () => {
      const { violation } = await searchMutant(mutant, setupOf(mutant), limits);
      expect(violation?.scenario.length).toBeGreaterThan(0);
      expect(mutant.breaks).toContain(violation?.invariant);
    });
  }
});
