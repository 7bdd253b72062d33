/**
 * What the checkers remember of a run: who led which epoch, what was proposed in it, what is committed.
 *
 * `committed` is the longest history that was delivered anywhere, or that a quorum has acknowledged in
 * its own epoch. It only grows, and everything delivered anywhere is a prefix of it: that is B2 and B3,
 * with B5 from the order of zxids and B4 from I6. Nothing here asks the code under test for a comparison
 * or a quorum.
 *
 * Checked here: I1, I3, I4, I5, I7, B1, B2, B3, B6.
 *
 * @module
 */

import { violate } from "../sim/violation.ts";
import { EMPTY, format, type Histories } from "./histories.ts";
import type { Facts } from "./member.ts";
import { Interned, Ints } from "./tables.ts";

interface Reign {
  readonly epoch: number;
  /** Index of the member that was established. */
  readonly leader: number;
  /** The history it began with, and that with everything it proposed. */
  readonly initial: number;
  readonly tip: number;
}

interface Ghost {
  readonly committed: number;
  /** By epoch, ascending. */
  readonly reigns: readonly Reign[];
}

/** What a step did, and to whom. */
export interface Change {
  readonly index: number;
  readonly before: Facts;
  readonly after: Facts;
  /** Of all voters, `after` included. */
  readonly voters: readonly Facts[];
}

export class Ghosts {
  readonly #histories: Histories;
  readonly #known = new Interned<Ghost>();
  readonly #renamed: Ints[] = [];

  constructor(histories: Histories) {
    this.#histories = histories;
  }

  first(): number {
    return this.#intern({ committed: EMPTY, reigns: [] });
  }

  get size(): number {
    return this.#known.size;
  }

  rename(ghost: number, permutation: number, indices: readonly number[]): number {
    this.#renamed[permutation] ??= new Ints();
    const table = this.#renamed[permutation];
    while (table.length <= ghost) table.push(-1);
    const known = table.at(ghost);
    if (known >= 0) return known;
    const { committed, reigns } = this.#known.at(ghost);
    const made = this.#intern({
      committed,
      reigns: reigns.map((reign) => ({ ...reign, leader: indices[reign.leader] ?? 0 })),
    });
    table.set(ghost, made);
    return made;
  }

  /** Every history that was committed in some run. */
  committed(): string[] {
    const all = this.#known.values.map(({ committed }) => this.#histories.describe(committed));
    return [...new Set(all)].sort();
  }

  /** @throws Violation when a member's step broke what holds of the ensemble. */
  observe(ghost: number, change: Change): number {
    const { before, after } = change;
    const acknowledges = !isEqual(before.acked, after.acked);
    const isSame =
      before.history === after.history &&
      before.delivered === after.delivered &&
      before.promises.establishedEpoch === after.promises.establishedEpoch;
    if (isSame && !acknowledges) return ghost;
    let now = this.#known.at(ghost);
    if (before.promises.establishedEpoch !== after.promises.establishedEpoch)
      now = this.#establish(now, change);
    if (before.history !== after.history) now = this.#store(now, change);
    if (acknowledges) now = this.#acknowledge(now, change);
    if (before.delivered !== after.delivered)
      now = this.#commit(now, after.delivered, `member ${change.index + 1} delivers`);
    this.#isDurable(now, change.voters);
    return this.#intern(now);
  }

  #establish(ghost: Ghost, { index, after }: Change): Ghost {
    const epoch = after.promises.establishedEpoch;
    const other = ghost.reigns.find((reign) => reign.epoch === epoch);
    if (other !== undefined)
      violate("I1", `members ${other.leader + 1} and ${index + 1} are both established in epoch ${epoch}`);
    const wanted = this.#histories.below(ghost.committed, epoch);
    if (!this.#histories.isPrefix(wanted, after.history))
      violate(
        "I3",
        `member ${index + 1} is established in epoch ${epoch} without ${this.#histories.describe(wanted)}`,
      );
    const reign = { epoch, leader: index, initial: after.history, tip: after.history };
    return { ...ghost, reigns: [...ghost.reigns, reign].sort((a, b) => a.epoch - b.epoch) };
  }

  /** Whatever is stored was proposed, with this content and behind this history, by the leader of its epoch. */
  #store(ghost: Ghost, { index, before, after }: Change): Ghost {
    let { reigns } = ghost;
    const common = this.#histories.common(before.history, after.history);
    for (const node of this.#histories.since(after.history, common)) {
      const { epoch } = this.#histories.zxid(node);
      const reign = reigns.find((some) => some.epoch === epoch);
      const name = this.#histories.describe(node);
      if (reign === undefined)
        violate("B1", `member ${index + 1} stores ${name}: nobody was established in epoch ${epoch}`);
      if (this.#histories.isPrefix(node, reign.tip)) continue;
      const isAuthor =
        reign.leader === index && after.isEstablished && after.promises.acceptedEpoch === epoch;
      if (!isAuthor) violate("I5", `member ${index + 1} stores ${name}: its leader never proposed that`);
      if (this.#histories.parent(node) !== reign.tip)
        violate("I4", `member ${index + 1} proposes ${name} after ${this.#histories.describe(reign.tip)}`);
      reigns = reigns.map((some) => (some === reign ? { ...reign, tip: node } : some));
    }
    return { ...ghost, reigns };
  }

  /** A txn that a quorum has acknowledged in its own epoch is as good as delivered. */
  #acknowledge(ghost: Ghost, { after, voters }: Change): Ghost {
    let now = ghost;
    for (const { epoch, tip } of ghost.reigns) {
      const counters = voters.map((facts) => facts.acked[epoch] ?? 0).sort((a, b) => b - a);
      const counter = counters[Math.floor(voters.length / 2)] ?? 0;
      if (counter === 0 || (after.acked[epoch] ?? 0) === 0) continue;
      const node = this.#histories.through(tip, { epoch, counter });
      if (node === undefined)
        violate("B1", `a quorum acknowledges ${format({ epoch, counter })}, never proposed`);
      now = this.#commit(now, node, "a quorum acknowledges");
    }
    return now;
  }

  #commit(ghost: Ghost, node: number, how: string): Ghost {
    const { committed, reigns } = ghost;
    if (this.#histories.isPrefix(node, committed)) return ghost;
    const name = this.#histories.describe(node);
    if (!this.#histories.isPrefix(committed, node))
      violate("B3", `${how} ${name} where ${this.#histories.describe(committed)} is committed`);
    for (const added of this.#histories.since(node, committed)) {
      const { epoch } = this.#histories.zxid(added);
      for (const reign of reigns) {
        if (reign.epoch > epoch && !this.#histories.isPrefix(added, reign.initial))
          violate("B6", `${how} ${name} although epoch ${reign.epoch} began without it`);
      }
    }
    return { committed: node, reigns };
  }

  /** I7: those who lack a committed txn are no quorum. By log matching the last one speaks for all. */
  #isDurable(ghost: Ghost, voters: readonly Facts[]): void {
    const lacking = voters.filter(
      ({ history }) => !this.#histories.isPrefix(ghost.committed, history),
    ).length;
    if (lacking * 2 > voters.length)
      violate("I7", `a quorum can form that never heard of ${this.#histories.describe(ghost.committed)}`);
  }

  #intern(ghost: Ghost): number {
    const { committed, reigns } = ghost;
    const key = [
      committed,
      ...reigns.flatMap(({ epoch, leader, initial, tip }) => [epoch, leader, initial, tip]),
    ];
    return this.#known.id(key.join(), () => ghost);
  }
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((value, i) => value === b[i]));
}
