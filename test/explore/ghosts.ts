/**
 * What the checkers remember of a run: who led which epoch, what was proposed in it, what is committed.
 *
 * `committed` is the longest history that was delivered anywhere, or that a quorum has acknowledged in
 * its own epoch: one of the configuration behind what is committed, and of each that follows up to that txn. It only grows, and everything delivered anywhere is a prefix of it: that is B2 and B3,
 * with B5 from the order of zxids and B4 from I6. Nothing here asks the code under test for a comparison
 * or a quorum.
 *
 * Checked here: I1, I3, I4, I5, I7, B1, B2, B3, B6; and C1, that a quorum of all configurations that decide has
 * joined an established leader, and C2.
 *
 * @module
 */

import { equalZxid } from "../../src/base/index.ts";
import { violate } from "../sim/violation.ts";
import type { Configuration } from "./configurations.ts";
import { configName, EMPTY, format, type Histories } from "./histories.ts";
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
  /** Of all servers, `after` included. */
  readonly members: readonly Facts[];
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

  committedIn(ghost: number): number {
    return this.#known.at(ghost).committed;
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
      equalZxid(before.config.version, after.config.version) &&
      before.promises.establishedEpoch === after.promises.establishedEpoch;
    if (isSame && !acknowledges) return ghost;
    let now = this.#known.at(ghost);
    if (before.promises.establishedEpoch !== after.promises.establishedEpoch)
      now = this.#establish(now, change);
    if (before.history !== after.history) now = this.#store(now, change);
    if (acknowledges) now = this.#acknowledge(now, change);
    if (before.delivered !== after.delivered)
      now = this.#commit(now, after.delivered, { how: `member ${change.index + 1} delivers`, ...change });
    this.#isDurable(now, change.members);
    this.#follows(now, change);
    return this.#intern(now);
  }

  #establish(ghost: Ghost, { index, after, members }: Change): Ghost {
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
    for (const configuration of this.#governing(ghost.committed, after.history)) {
      if (isQuorum(configuration, members, ({ promises }) => promises.currentEpoch >= epoch)) continue;
      violate(
        "C1",
        `member ${index + 1} is established in epoch ${epoch}: no quorum of ${configuration.name} has joined it`,
      );
    }
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
      // With what it proposes it may commit its own departure, and lead no more.
      const isAuthor =
        reign.leader === index && before.isEstablished && before.promises.acceptedEpoch === epoch;
      if (!isAuthor) violate("I5", `member ${index + 1} stores ${name}: its leader never proposed that`);
      if (this.#histories.parent(node) !== reign.tip)
        violate("I4", `member ${index + 1} proposes ${name} after ${this.#histories.describe(reign.tip)}`);
      reigns = reigns.map((some) => (some === reign ? { ...reign, tip: node } : some));
    }
    return { ...ghost, reigns };
  }

  /** The configurations that decide what stands directly above `committed` in a history: all that it has from there. */
  #governing(committed: number, history: number): Configuration[] {
    const common = this.#histories.common(committed, history);
    const changes = this.#histories
      .changes(history)
      .filter((node) => !this.#histories.isPrefix(node, common));
    return [common, ...changes].map((node) => this.#histories.governing(node));
  }

  /** A txn that a quorum of all that decide has acknowledged in its own epoch is as good as delivered. */
  #acknowledge(ghost: Ghost, change: Change): Ghost {
    const { after, members } = change;
    let now = ghost;
    for (const { epoch, tip } of ghost.reigns) {
      const mine = { epoch, counter: after.acked[epoch] ?? 0 };
      if (mine.counter === 0) continue;
      if (this.#histories.through(tip, mine) === undefined)
        violate("B1", `member ${change.index + 1} acknowledges ${format(mine)}, never proposed`);
      for (const node of this.#histories.since(tip, this.#histories.common(tip, now.committed))) {
        const zxid = this.#histories.zxid(node);
        if (zxid.epoch !== epoch) continue;
        const has = ({ acked }: Facts): boolean => (acked[epoch] ?? 0) >= zxid.counter;
        if (!this.#governing(now.committed, node).every((each) => isQuorum(each, members, has))) break;
        now = this.#commit(now, node, { how: "a quorum acknowledges", members });
      }
    }
    return now;
  }

  #commit(ghost: Ghost, node: number, by: { readonly how: string } & Pick<Change, "members">): Ghost {
    const { committed, reigns } = ghost;
    const { how, members } = by;
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
      if (this.#histories.change(added) === added) this.#storedByBoth(added, members);
    }
    return { committed: node, reigns };
  }

  /** C2: a configuration counts once a quorum of it, and one of that before it, have stored it. */
  #storedByBoth(change: number, members: readonly Facts[]): void {
    for (const node of [this.#histories.parent(change), change]) {
      const configuration = this.#histories.governing(node);
      if (isQuorum(configuration, members, ({ history }) => this.#histories.isPrefix(change, history)))
        continue;
      violate("C2", `${this.#histories.describe(change)} counts without a quorum of ${configuration.name}`);
    }
  }

  /** C2: what a member follows is a configuration that was committed. */
  #follows(ghost: Ghost, { index, after: { config } }: Change): void {
    const node = this.#histories.through(ghost.committed, config.version);
    if (node !== undefined && configName(this.#histories.configOf(node)) === configName(config)) return;
    violate("C2", `member ${index + 1} follows ${configName(config)}, which is not committed`);
  }

  /**
   * I7: those who lack a committed txn are no quorum. By log matching the last one speaks for all. Those who lack a
   * change are none of the configuration before it either.
   */
  #isDurable(ghost: Ghost, members: readonly Facts[]): void {
    const { committed } = ghost;
    this.#isLackedByNoQuorum(committed, this.#histories.governing(committed), members);
    for (const change of this.#histories.changes(committed)) {
      const before = this.#histories.governing(this.#histories.parent(change));
      this.#isLackedByNoQuorum(change, before, members);
    }
  }

  #isLackedByNoQuorum(node: number, configuration: Configuration, members: readonly Facts[]): void {
    if (!isQuorum(configuration, members, ({ history }) => !this.#histories.isPrefix(node, history))) return;
    violate("I7", `a quorum can form that never heard of ${this.#histories.describe(node)}`);
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

function isQuorum(
  { voters }: Configuration,
  members: readonly Facts[],
  has: (facts: Facts) => boolean,
): boolean {
  let count = 0;
  for (const index of voters) {
    const facts = members[index];
    if (facts !== undefined && has(facts)) count += 1;
  }
  return count * 2 > voters.length;
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((value, i) => value === b[i]));
}
