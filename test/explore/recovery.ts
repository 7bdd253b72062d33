/**
 * Whether an ensemble gets on again from wherever it is, once nothing fails any more.
 *
 * Everybody gives its role up and hears which configuration is committed. Then the voters lead in turn, the one with
 * the most recent history first, as an election would have it; all who know the leader as a member follow it, and
 * what it proposes must be delivered. Somebody may have to lead first so that a change is decided, and then leave.
 *
 * @module
 */

import { compareZxid } from "../../src/base/index.ts";
import { violate } from "../sim/violation.ts";
import type { Action } from "./actions.ts";
import { boundMax, boundNames, use } from "./bounds.ts";
import { EMPTY_LIST } from "./channels.ts";
import type { Facts } from "./member.ts";
import type { World } from "./world.ts";

/** Far more than any conversation of these few members takes. */
const deliveriesMax = 10_000;

/** Who is told of a change that the leader has just committed follows in the next round. */
const roundsMax = 3;

/** @throws Violation LV when nobody can lead and get a txn delivered by all members. */
export function checkRecovery(world: World, from: Int32Array): void {
  const trial = new Trial(world, from);
  for (let attempt = 0; attempt < 2 * world.count; attempt++) {
    trial.calmDown();
    const candidates = trial.candidates();
    const candidate = candidates[attempt % Math.max(1, candidates.length)];
    if (candidate !== undefined && trial.commitsUnder(candidate)) return;
  }
  violate("LV", "nobody can lead, commit and take all members along any more");
}

/**
 * With nothing under way, an established leader that a quorum is attached to has committed all that it has logged, and all
 * that are attached to it have delivered what is committed.
 *
 * @throws Violation LV when there is something that nobody is going to do.
 */
export function checkRest(world: World, state: Int32Array): void {
  const { count } = world;
  for (let from = 0; from < count; from++)
    for (let to = 0; to < count; to++)
      if (from !== to && world.channel(state, from, to) !== EMPTY_LIST) return;
  for (let at = 0; at < count; at++) {
    const leader = world.facts(state, at);
    if (!leader.isEstablished) continue;
    const isAttached = (other: number): boolean => {
      const { attempt, leader: followed } = world.facts(state, other);
      return followed === at && attempt === leader.slots[other];
    };
    const isLed = leader.active.every(
      (voters) => voters.filter((voter) => voter === at || isAttached(voter)).length * 2 > voters.length,
    );
    if (isLed && leader.delivered !== leader.history)
      violate("LV", `member ${at + 1} leads a quorum at rest and does not commit what it has logged`);
    const all = Array.from({ length: count }, (_, other) => other);
    const behind = all.find(
      (other) => isAttached(other) && world.facts(state, other).delivered !== leader.delivered,
    );
    if (behind !== undefined)
      violate("LV", `member ${behind + 1} is at rest behind member ${at + 1}, which it follows`);
  }
}

class Trial {
  readonly #world: World;
  #state: Int32Array;

  constructor(world: World, from: Int32Array) {
    this.#world = world;
    this.#state = Int32Array.from(from);
  }

  calmDown(): void {
    // Before anything else: who attaches to somebody that does not lead would try again for ever, for time is free here.
    for (let at = 0; at < this.#world.count; at++) {
      const { role, isAlone } = this.#facts(at);
      if (role === "learning" || (role === "leading" && !isAlone)) this.#take({ kind: "giveUp", at });
    }
    this.#settle(undefined);
    this.#tellAll(undefined);
  }

  /** Voters, the most recent history first; one that needs nobody leads already. */
  candidates(): number[] {
    const all = Array.from({ length: this.#world.count }, (_, at) => at);
    return all.filter((at) => this.#facts(at).isVoter).sort((a, b) => this.#compare(b, a));
  }

  #compare(a: number, b: number): number {
    const [x, y] = [this.#facts(a), this.#facts(b)];
    const { histories } = this.#world;
    const epochs = x.promises.currentEpoch - y.promises.currentEpoch;
    return epochs !== 0 ? epochs : compareZxid(histories.zxid(x.history), histories.zxid(y.history));
  }

  commitsUnder(leader: number): boolean {
    if (this.#facts(leader).role === "looking") this.#take({ kind: "lead", at: leader });
    for (let round = 0; round < roundsMax; round++) {
      for (let at = 0; at < this.#world.count; at++) {
        const { role, isMember, knows } = this.#facts(at);
        const isReady = role === "looking" && isMember && knows[leader] === true;
        if (isReady && this.#facts(leader).role === "leading") this.#take({ kind: "follow", at, leader });
      }
      this.#settle(leader);
      this.#tellAll(leader);
    }
    if (!this.#facts(leader).isEstablished) return false;
    const { delivered } = this.#facts(leader);
    this.#take({ kind: "propose", at: leader });
    this.#settle(leader);
    const now = this.#facts(leader);
    if (now.delivered === delivered) return false;
    // One that has promised this epoch to somebody else joins the next; the leader would take it after a while.
    return now.config.members.every(({ id }) => this.#facts(id - 1).delivered === now.delivered);
  }

  #facts(index: number): Facts {
    return this.#world.facts(this.#state, index);
  }

  #tellAll(leader: number | undefined): void {
    for (let at = 0; at < this.#world.count; at++) this.#take({ kind: "tell", at });
    this.#settle(leader);
  }

  /** Until nothing is under way, or the one who was to lead does so no longer. */
  #settle(leader: number | undefined): void {
    const { count } = this.#world;
    let left = deliveriesMax;
    for (let from = 0, idle = 0; idle < count * count; from = (from + 1) % count) {
      for (let to = 0; to < count; to++) {
        idle += 1;
        while (from !== to && this.#world.channel(this.#state, from, to) !== EMPTY_LIST) {
          this.#take({ kind: "deliver", from, to });
          if (leader !== undefined && this.#facts(leader).role !== "leading") return;
          idle = 0;
          left -= 1;
          if (left === 0) violate("LV", "members talk to each other without end");
        }
      }
    }
  }

  /** Beyond all bounds: what has been used up is forgotten, except that no payload is proposed twice. */
  #take(action: Action): void {
    const state = Int32Array.from(this.#state);
    let counts = 0;
    for (let i = 0; i < boundMax; i++) counts = use(counts, boundNames.indexOf("proposals"));
    state[this.#world.countsAt] = counts;
    this.#state = Int32Array.from(this.#world.after(state, action, true));
  }
}
