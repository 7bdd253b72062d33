/**
 * Breadth first through every state within the bounds.
 *
 * The first violation found has a shortest history, up to symmetry: nothing shorter breaks anything.
 *
 * @module
 */

import { Violation } from "../sim/violation.ts";
import type { Action } from "./actions.ts";
import { formatCommand } from "./begin.ts";
import { type Bound, boundNames } from "./bounds.ts";
import { checkRecovery, checkRest } from "./recovery.ts";
import { Fingerprints, Ints } from "./tables.ts";
import { type Setup, World } from "./world.ts";

export interface Limits {
  readonly statesMax: number;
  readonly secondsMax: number;
  /** Told now and then how far the search is. */
  readonly progress?: ((line: string) => void) | undefined;
}

export interface Report {
  readonly states: number;
  readonly transitions: number;
  /** Transitions to a state seen before. */
  readonly duplicates: number;
  /** Steps of the longest shortest history. */
  readonly depth: number;
  readonly seconds: number;
  /** Of this process, collecting garbage included: `seconds` of a busy machine say little. */
  readonly cpuSeconds: number;
  /** Whether every state within the bounds was visited. */
  readonly complete: boolean;
  /** The bounds that kept something from happening. */
  readonly cut: readonly Bound[];
  /** States of single members, and steps of the real core that were carried out (others were looked up). */
  readonly memberStates: number;
  readonly coreSteps: number;
  readonly packets: number;
  readonly channels: number;
  readonly ghosts: number;
  /** Packets that were sent, by kind, mode and reason; and the histories that were committed. */
  readonly sent: readonly string[];
  readonly committed: readonly string[];
  /** Expected number of pairs of states taken for one. */
  readonly collisions: number;
  readonly violation: Found | undefined;
}

export interface Found {
  readonly invariant: string;
  readonly message: string;
  /** The shortest history, one command a line, and the state it leads to. */
  readonly scenario: readonly string[];
}

/** Everything that led to a state: its parent, and which of the parent's actions. */
class Ancestry {
  readonly parents = new Ints();
  readonly choices = new Ints();
}

export function search(setup: Setup, limits: Limits): Report {
  const world = new World(setup);
  const seen = new Fingerprints();
  const ancestry = new Ancestry();
  const started = performance.now();
  const cpuBefore = process.cpuUsage();
  let transitions = 0;
  let depth = 0;
  let violation: Found | undefined;
  let complete = true;
  let level = new Ints();
  let firstOfLevel = 0;

  const found = (failure: unknown, state: number, choice: number): Found => {
    if (!(failure instanceof Violation)) throw failure;
    const scenario = retell(world, ancestry, { last: state, choice, message: failure.message });
    return { invariant: failure.invariant, message: scenario.at(-1) ?? failure.message, scenario };
  };

  const add = (state: Int32Array, parent: number, choice: number, next: Ints): void => {
    if (!seen.add(state)) return;
    ancestry.parents.push(parent);
    ancestry.choices.push(choice);
    next.pushAll(state);
    // The first state has no history to tell.
    if (parent < 0) return;
    checkRest(world, state);
    if (setup.recovers) checkRecovery(world, state);
  };

  add(world.first(), -1, 0, level);
  const state = new Int32Array(world.width);
  levels: while (level.length > 0) {
    const next = new Ints();
    const size = level.length / world.width;
    for (let i = 0; i < size; i++) {
      level.copy(i * world.width, state);
      const actions = world.actions(state);
      for (const [choice, action] of actions.entries()) {
        transitions += 1;
        try {
          add(world.after(state, action), firstOfLevel + i, choice, next);
        } catch (failure) {
          violation = found(failure, firstOfLevel + i, choice);
          break levels;
        }
      }
      if ((i & 1023) === 0 && isOver()) {
        complete = false;
        break levels;
      }
    }
    firstOfLevel += size;
    level = next;
    if (level.length > 0) depth += 1;
    limits.progress?.(
      `depth ${depth}: ${level.length / world.width} states, ${seen.size} in all, ${elapsed().toFixed(1)} s`,
    );
  }

  function elapsed(): number {
    return (performance.now() - started) / 1000;
  }

  function isOver(): boolean {
    return seen.size > limits.statesMax || elapsed() > limits.secondsMax;
  }

  const states = seen.size;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    states,
    transitions,
    duplicates: transitions - states + 1,
    depth,
    seconds: elapsed(),
    cpuSeconds: (user + system) / 1e6,
    complete: complete && violation === undefined,
    cut: boundNames.filter((bound) => world.cut.has(bound)),
    memberStates: world.members.states,
    coreSteps: world.members.steps,
    packets: world.channels.packets,
    channels: world.channels.lists,
    ghosts: world.ghosts.size,
    sent: world.channels.kinds(),
    committed: world.ghosts.committed(),
    collisions: states ** 2 / 2 ** 65,
    violation,
  };
}

/** The history that leads to a state and one action further, under the names the servers began with. */
function retell(
  world: World,
  ancestry: Ancestry,
  { last, choice, message }: { readonly last: number; readonly choice: number; readonly message: string },
): string[] {
  const choices = [choice];
  for (let state = last; state > 0; state = ancestry.parents.at(state))
    choices.unshift(ancestry.choices.at(state));
  // Canonical index to the index it had in the beginning.
  let names = Array.from({ length: world.count }, (_, i) => i);
  let state = world.first();
  names = renamed(names, world.permutation(world.renaming));
  const lines = world.setup.begin.map(formatCommand);
  for (const taken of choices) {
    const action: Action | undefined = world.actions(state)[taken];
    if (action === undefined) throw new Error("a history repeats itself");
    lines.push(world.describe(action, state, (index) => (names[index] ?? 0) + 1));
    try {
      state = Int32Array.from(world.after(state, action));
      names = renamed(names, world.permutation(world.renaming));
    } catch (failure) {
      if (!(failure instanceof Violation)) throw failure;
      const claim = underFirstNames(failure.message, names);
      return [...lines, "----", ...describeState(world, state, names), "(before the last command)", claim];
    }
  }
  return [...lines, "----", ...describeState(world, state, names), underFirstNames(message, names)];
}

/** The members, named as they are in the present state. */
function describeState(world: World, state: Int32Array, names: readonly number[]): string[] {
  const lines = names.map((name, index) => {
    const { role, promises, history } = world.facts(state, index);
    const { acceptedEpoch, acceptedLeader, currentEpoch, establishedEpoch } = promises;
    const to = acceptedLeader === 0 ? "nobody" : `${(names[acceptedLeader - 1] ?? 0) + 1}`;
    const epochs = `accepted=${acceptedEpoch} of ${to} current=${currentEpoch} established=${establishedEpoch}`;
    return `${name + 1} ${role} ${epochs} log: ${world.histories.describe(history)}`;
  });
  return lines.sort();
}

/** `names[i]`: what member `i` was called in the beginning. */
function renamed(names: readonly number[], indices: readonly number[]): number[] {
  const next = [...names];
  for (const [old, now] of indices.entries()) next[now] = names[old] ?? 0;
  return next;
}

/** Violations speak of "member 2", "members 1 and 3", "to 2" and "with 2". */
function underFirstNames(message: string, names: readonly number[]): string {
  return message.replaceAll(/(?<=\b(?:members?|and|to|with) )[1-9]\b/g, (digit) =>
    String((names[Number(digit) - 1] ?? 0) + 1),
  );
}
