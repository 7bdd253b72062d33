/**
 * The world of the search: members, the channels between them, and everything that may happen next.
 *
 * A state is a short vector of numbers: each member, each channel, what the checkers remember, and how
 * often each bounded thing has happened.
 *
 * What the channels allow, as the links' guarantees L1 to L3 have it: packets of one association arrive in
 * order and without gaps; an end gives the association up at any time and sees it at once, the other end
 * sees it later, or never. What was under way to it may still arrive before that, or any part of it; what
 * it sends meanwhile is lost. A crash is the same with a new incarnation. It is one event with the
 * restart: a member that is down does nothing that one that looks and is not heard could not do.
 *
 * A step is persisted and sent in one: a crash before it was persisted is a crash before the step, one
 * after it was persisted and before it was sent is a crash of which nothing sent arrives. All three are
 * therefore in the search, and so is every part of a step's packets.
 *
 * Word of mouth is free: whatever configuration somebody follows may be told to anybody at any time.
 *
 * Symmetry: a state is replaced by the least of all renamings of its servers that turn no configuration, neither
 * the first nor one that may be proposed, into another: so no history has to be renamed. That is sound here because the core compares server ids for equality only,
 * with two exceptions that cannot be met: the order of votes (no votes are sent), and the spreading of
 * waiting times (time is free). Sessions are renamed too: only equality of attempts is ever asked.
 *
 * Not in the search: the election and the links themselves (`test/zab` tries them alone), replaced
 * instances that go on running, storage that is lost, and what every crash does here at once: a start
 * that takes its time.
 *
 * @module
 */

import { compareZxid, maxZxid, ZERO_ZXID } from "../../src/base/index.ts";
import { violate } from "../sim/violation.ts";
import { type Action, actionsIn, concerns, describeAction, type Scene } from "./actions.ts";
import type { Command } from "./begin.ts";
import { type Bound, type Bounds, boundNames, use, used } from "./bounds.ts";
import { anyAttempt, Channels, EMPTY_LIST, isRanked, LOST, RESTARTED } from "./channels.ts";
import { Configurations } from "./configurations.ts";
import { Ghosts } from "./ghosts.ts";
import { EMPTY, Histories } from "./histories.ts";
import type { Facts } from "./member.ts";
import { type Ensemble, type Happening, Members } from "./members.ts";
import { PairMap } from "./tables.ts";

export interface Setup extends Ensemble {
  readonly bounds: Bounds;
  /** Keeps packets that nobody will take in their channels, so that the code that drops them is run. */
  readonly keepDead: boolean;
  readonly symmetry: boolean;
  /** Tries in every state whether the ensemble gets on again. */
  readonly recovers: boolean;
  /** What has happened before the search begins. */
  readonly begin: readonly Command[];
}

const proposals = boundNames.indexOf("proposals");
const changes = boundNames.indexOf("changes");

function permutations(of: readonly number[]): number[][] {
  if (of.length === 0) return [[]];
  return of.flatMap((first) =>
    permutations(of.filter((other) => other !== first)).map((rest) => [first, ...rest]),
  );
}

export class World {
  readonly setup: Setup;
  readonly count: number;
  readonly width: number;
  readonly configurations: Configurations;
  readonly histories: Histories;
  readonly channels = new Channels();
  readonly members: Members;
  readonly ghosts: Ghosts;
  /** Which bound kept something from happening. */
  readonly cut = new Set<Bound>();
  /** Old index to new; the first changes nothing. */
  readonly #permutations: readonly (readonly number[])[];
  readonly #receiving = new PairMap();
  /** The state under construction, and the renaming tried against the best so far. */
  readonly #next: Int32Array;
  #best: Int32Array;
  #tried: Int32Array;
  #state: Int32Array;
  readonly #scene: Scene;
  #proposedBefore = 0;
  #changedBefore = 0;
  /** The permutation that made the last canonical state. */
  renaming = 0;

  constructor(setup: Setup) {
    this.setup = setup;
    this.configurations = new Configurations(setup, setup.targets);
    this.histories = new Histories(this.configurations);
    this.members = new Members(setup, this);
    this.ghosts = new Ghosts(this.histories);
    this.count = this.members.count;
    this.width = this.count + this.count * this.count + 2;
    this.#next = new Int32Array(this.width);
    this.#best = new Int32Array(this.width);
    this.#tried = new Int32Array(this.width);
    this.#state = new Int32Array(this.width);
    const servers = Array.from({ length: this.count }, (_, i) => i);
    const all = permutations(servers).filter((indices) => this.configurations.isSymmetry(indices));
    this.#permutations = setup.symmetry ? all : all.slice(0, 1);
    this.#scene = {
      count: this.count,
      followed: [],
      channels: this.channels,
      facts: (index) => this.facts(this.#state, index),
      channel: (from, to) => this.channel(this.#state, from, to),
      allows: (bound) => this.#allows(bound),
    };
  }

  /** Everybody has just started, with nothing stored. */
  first(): Int32Array {
    this.#next.fill(0);
    // A history is retold from the same beginning.
    this.#proposedBefore = 0;
    this.#changedBefore = 0;
    this.#next[this.#ghostAt] = this.ghosts.first();
    for (let i = 0; i < this.count; i++) this.#next[i] = this.members.blank(i);
    // The first start is like any other. A lone voter leads at once.
    for (let i = 0; i < this.count; i++) this.#happen(i, { kind: "crash", checkpointed: false });
    for (const command of this.setup.begin) {
      if (command.kind === "settle") this.#settle();
      else this.#do(command);
      this.#tidy();
    }
    this.#proposedBefore = used(this.#next[this.countsAt] ?? 0, proposals);
    this.#changedBefore = used(this.#next[this.countsAt] ?? 0, changes);
    this.#next[this.countsAt] = 0;
    return Int32Array.from(this.#canonical());
  }

  #settle(): void {
    let moved = true;
    while (moved) {
      moved = false;
      for (let from = 0; from < this.count; from++) {
        for (let to = 0; to < this.count; to++) {
          if (from === to || this.channel(this.#next, from, to) === EMPTY_LIST) continue;
          this.#deliver(from, to);
          this.#tidy();
          moved = true;
        }
      }
    }
  }

  /** The state after an action; valid until the next call. Canonical, unless `raw`. */
  after(state: Int32Array, action: Action, raw = false): Int32Array {
    this.#next.set(state);
    this.#do(action);
    this.#tidy();
    return raw ? this.#next : this.#canonical();
  }

  /** The old-to-new indices of a renaming. */
  permutation(renaming: number): readonly number[] {
    return this.#permutations[renaming] ?? [];
  }

  get permutations(): number {
    return this.#permutations.length;
  }

  facts(state: Int32Array, index: number): Facts {
    return this.members.facts(state[index] ?? 0);
  }

  channel(state: Int32Array, from: number, to: number): number {
    return state[this.#channelAt(from, to)] ?? 0;
  }

  ghost(state: Int32Array): number {
    return state[this.#ghostAt] ?? 0;
  }

  /** Everything that may happen in a state, within the bounds. */
  actions(state: Int32Array): Action[] {
    this.#state = state;
    const followed = this.setup.targets.length === 0 ? [] : this.#followed(state);
    return actionsIn({ ...this.#scene, followed });
  }

  /** Whoever follows a configuration follows one that is committed, and those before it were followed by somebody. */
  #followed(state: Int32Array): Scene["followed"] {
    let latest = ZERO_ZXID;
    for (let i = 0; i < this.count; i++) latest = maxZxid(latest, this.facts(state, i).config.version);
    return this.histories
      .changes(this.ghosts.committedIn(this.ghost(state)))
      .map((history) => ({ history, version: this.histories.zxid(history) }))
      .filter(({ version }) => compareZxid(version, latest) <= 0);
  }

  #allows(place: number): boolean {
    const bound = boundNames[place];
    if (bound === undefined) throw new Error("no such bound");
    if (used(this.#state[this.countsAt] ?? 0, place) < this.setup.bounds[bound]) return true;
    this.cut.add(bound);
    return false;
  }

  get #ghostAt(): number {
    return this.width - 2;
  }

  /** Where a state says what is used up. */
  get countsAt(): number {
    return this.width - 1;
  }

  #channelAt(from: number, to: number): number {
    return this.count + from * this.count + to;
  }

  #do(action: Action): void {
    switch (action.kind) {
      case "deliver":
        this.#deliver(action.from, action.to);
        return;
      case "lose": {
        const at = this.#channelAt(action.from, action.to);
        this.#next[at] = this.channels.fromMark(this.#next[at] ?? 0);
        this.#deliver(action.from, action.to);
        return;
      }
      case "linkdown":
        this.#use("linkdowns");
        this.#linkDown(action.at, action.peer);
        return;
      case "crash":
        this.#use("crashes");
        this.#crash(action.at, action.checkpointed);
        return;
      case "lead":
        this.#use("epochs");
        this.#happen(action.at, { kind: "lead" });
        return;
      case "follow":
        this.#use("follows");
        this.#happen(action.at, { kind: "follow", leader: action.leader });
        return;
      case "giveUp":
        this.#use("timeouts");
        this.#happen(action.at, { kind: "giveUp" });
        return;
      case "expel":
        this.#use("timeouts");
        this.#happen(action.at, { kind: "expel", learner: action.learner });
        return;
      case "propose": {
        // No two proposals of a history have the same payload.
        const payload = this.#proposedBefore + used(this.#next[this.countsAt] ?? 0, proposals) + 1;
        this.#use("proposals");
        this.#happen(action.at, { kind: "propose", payload });
        return;
      }
      case "change": {
        const change = this.#changedBefore + used(this.#next[this.countsAt] ?? 0, changes);
        this.#use("changes");
        const payload = this.configurations.payload(change, action.to);
        this.#happen(action.at, { kind: "propose", payload });
        return;
      }
      case "tell": {
        const history = action.history ?? this.#followed(this.#next).at(-1)?.history ?? EMPTY;
        this.#happen(action.at, { kind: "tell", history });
        return;
      }
      case "ping":
        this.#use("pings");
        this.#happen(action.at, { kind: "ping" });
        return;
      case "read":
        this.#use("reads");
        this.#happen(action.at, { kind: "read", delivered: this.#deliveredAnywhere() });
        return;
      case "compact":
        this.#use("compactions");
        this.#happen(action.at, { kind: "compact" });
        return;
    }
  }

  /** The longest history that any member has delivered in any of its lives. */
  #deliveredAnywhere(): number {
    let longest = EMPTY;
    for (let i = 0; i < this.count; i++) {
      const { deliveredEver } = this.facts(this.#next, i);
      if (this.histories.depth(deliveredEver) > this.histories.depth(longest)) longest = deliveredEver;
    }
    return longest;
  }

  #use(bound: Bound): void {
    this.#next[this.countsAt] = use(this.#next[this.countsAt] ?? 0, boundNames.indexOf(bound));
  }

  #happen(at: number, happening: Happening): void {
    this.#carryOut(at, this.members.happening(happening));
  }

  #carryOut(at: number, happening: number): void {
    const before = this.facts(this.#next, at);
    const { member, sends, broken } = this.members.outcome(this.#next[at] ?? 0, happening);
    if (broken !== undefined) throw broken;
    this.#next[at] = member;
    for (let i = 0; i < sends.length; i += 2) this.#send(at, sends[i] ?? 0, sends[i + 1] ?? 0);
    this.#observe(at, before, this.members.facts(member));
  }

  #send(from: number, to: number, packet: number): void {
    // The other end has ended this association and takes nothing of it.
    if (this.channels.mark(this.channel(this.#next, to, from)) >= 0) return;
    const at = this.#channelAt(from, to);
    this.#next[at] = this.channels.append(this.#next[at] ?? 0, packet);
  }

  #observe(index: number, before: Facts, after: Facts): void {
    if (before === after) return;
    const members: Facts[] = [];
    for (let i = 0; i < this.count; i++) members.push(this.facts(this.#next, i));
    const ghost = this.#next[this.#ghostAt] ?? 0;
    this.#next[this.#ghostAt] = this.ghosts.observe(ghost, { index, before, after, members });
  }

  #deliver(from: number, to: number): void {
    const at = this.#channelAt(from, to);
    const list = this.#next[at] ?? 0;
    const [packet = LOST] = this.channels.entries(list);
    this.#next[at] = this.channels.drop(list, 1);
    if (this.setup.keepDead) {
      const { attempt, slots } = this.facts(this.#next, to);
      if (this.channels.isEnded(packet, attempt, slots[from] ?? 0)) this.#changesNothing(from, to, packet);
    }
    this.#carryOut(to, this.#receiptOf(from, packet));
  }

  #receiptOf(from: number, packet: number): number {
    const known = this.#receiving.get(from, packet);
    if (known >= 0) return known;
    const made = this.members.happening({ kind: "receive", from, packet });
    this.#receiving.set(from, packet, made);
    return made;
  }

  /** The end at `at` gives up, with whatever the other end has already given up. */
  #linkDown(at: number, peer: number): void {
    const incoming = this.#channelAt(peer, at);
    const list = this.#next[incoming] ?? 0;
    const mark = this.channels.mark(list);
    if (mark === RESTARTED) {
      // The news of the restart is still to come.
      this.#next[incoming] = this.channels.fromMark(list);
    } else if (mark === LOST) {
      // Both ends give the same association up, and meet in the next.
      this.#next[incoming] = this.channels.drop(this.channels.fromMark(list), 1);
    } else {
      this.#next[incoming] = EMPTY_LIST;
      const outgoing = this.#channelAt(at, peer);
      this.#next[outgoing] = this.channels.appendMark(this.#next[outgoing] ?? 0, LOST);
    }
    this.#carryOut(at, this.#receiptOf(peer, LOST));
  }

  #crash(at: number, checkpointed: boolean): void {
    for (let peer = 0; peer < this.count; peer++) {
      if (peer === at) continue;
      this.#next[this.#channelAt(peer, at)] = EMPTY_LIST;
      const outgoing = this.#channelAt(at, peer);
      this.#next[outgoing] = this.channels.appendMark(this.#next[outgoing] ?? 0, RESTARTED);
    }
    this.#happen(at, { kind: "crash", checkpointed });
  }

  /** Takes out what has no influence on the future. */
  #tidy(): void {
    for (let from = 0; from < this.count; from++)
      for (let to = 0; to < this.count; to++) if (from !== to) this.#tidyChannel(from, to);
    for (let learner = 0; learner < this.count; learner++) this.#tidyAttempts(learner);
  }

  #tidyChannel(from: number, to: number): void {
    const at = this.#channelAt(from, to);
    const before = this.#next[at] ?? 0;
    if (before === EMPTY_LIST) return;
    const receiver = this.facts(this.#next, to);
    let list = before;
    if (!this.setup.keepDead) {
      list = this.channels.filter(list, receiver.attempt, receiver.slots[from] ?? 0);
      if (list !== before) this.#isHygienic(from, to, before, list);
    }
    // The end of a link that means nothing to its receiver might as well have been heard.
    while (!concerns(receiver, from) && (this.channels.entries(list)[0] ?? LOST + 2) <= RESTARTED)
      list = this.channels.drop(list, 1);
    this.#next[at] = list;
  }

  /** I10 for what is taken out of a channel. */
  #isHygienic(from: number, to: number, before: number, after: number): void {
    const kept = this.channels.entries(after);
    for (const packet of this.channels.entries(before))
      if (!kept.includes(packet)) this.#changesNothing(from, to, packet);
  }

  /** I10: a packet of an ended session changes nothing. */
  #changesNothing(from: number, to: number, packet: number): void {
    const member = this.#next[to] ?? 0;
    const outcome = this.members.outcome(member, this.#receiptOf(from, packet));
    if (outcome.member === member && outcome.sends.length === 0 && outcome.broken === undefined) return;
    const name = this.channels.name(packet);
    violate("I10", `member ${to + 1} acts on ${name} of an ended session with ${from + 1}`);
  }

  #tidyAttempts(learner: number): void {
    let alive = 1 << this.facts(this.#next, learner).attempt;
    for (let other = 0; other < this.count; other++) {
      if (other === learner) continue;
      alive |= 1 << (this.facts(this.#next, other).slots[learner] ?? 0);
      alive |= this.channels.senders(this.channel(this.#next, learner, other));
      alive |= this.channels.receivers(this.channel(this.#next, other, learner));
    }
    // Attempt 0 is none.
    alive &= ~1;
    if (isRanked(alive)) return;
    for (let other = 0; other < this.count; other++) {
      this.#next[other] = this.members.rankAttempts(this.#next[other] ?? 0, learner, alive);
      if (other === learner) continue;
      const outgoing = this.#channelAt(learner, other);
      this.#next[outgoing] = this.channels.renameAttempts(this.#next[outgoing] ?? 0, alive, anyAttempt);
      const incoming = this.#channelAt(other, learner);
      this.#next[incoming] = this.channels.renameAttempts(this.#next[incoming] ?? 0, anyAttempt, alive);
    }
  }

  /** The least of all renamings. */
  #canonical(): Int32Array {
    this.renaming = 0;
    this.#best.set(this.#next);
    for (let p = 1; p < this.#permutations.length; p++) {
      if (!this.#isLeast(p)) continue;
      const swapped = this.#best;
      this.#best = this.#tried;
      this.#tried = swapped;
      this.renaming = p;
    }
    return this.#best;
  }

  /** Renames; says whether the result is less than the best so far. Members come first and mostly decide. */
  #isLeast(p: number): boolean {
    const indices = this.#permutations[p] ?? [];
    const tried = this.#tried;
    for (let i = 0; i < this.count; i++)
      tried[indices[i] ?? 0] = this.members.rename(this.#next[i] ?? 0, p, indices);
    if (compare(tried, this.#best, this.count) > 0) return false;
    for (let i = 0; i < this.count; i++) {
      for (let j = 0; j < this.count; j++)
        tried[this.#channelAt(indices[i] ?? 0, indices[j] ?? 0)] = this.#next[this.#channelAt(i, j)] ?? 0;
    }
    tried[this.#ghostAt] = this.ghosts.rename(this.#next[this.#ghostAt] ?? 0, p, indices);
    tried[this.countsAt] = this.#next[this.countsAt] ?? 0;
    return compare(tried, this.#best, this.width) < 0;
  }

  describe(action: Action, state: Int32Array, name: (index: number) => number): string {
    this.#state = state;
    return describeAction(action, this.#scene, name);
  }
}

/** Of the first `length` numbers. */
function compare(a: Int32Array, b: Int32Array, length: number): number {
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
