/**
 * What may happen to a member, and what comes of it.
 *
 * A member's state is a number, and so is what happens to it. Each pair of the two is carried out once, by
 * the real `step`; after that the result is looked up. That is sound because a step depends on nothing
 * but the peer, its log and the event, which is the core's contract.
 *
 * The election is an oracle: `lead` and `follow` set the vote of a looking member and let its wait end,
 * so its next tick decides. Any member may do so at any time, which is more than the election ever does;
 * votes themselves (NOTIFY) are not sent. Time-outs happen when they are asked for.
 *
 * Checked at every step of a member: what `member-checks.ts` says of all states, I6, that deliveries have no
 * gap, that no confirmed read is older than what had been delivered anywhere when it was asked (R), and that no
 * assertion of the core fails.
 *
 * @module
 */

import {
  compareZxid,
  equalZxid,
  makeServerId,
  type ServerId,
  ZERO_ZXID,
  type Zxid,
} from "../../src/base/index.ts";
import {
  createPeer,
  type Duties,
  type Notify,
  type Peer,
  type PeerEvent,
  type PeerOptions,
  step,
} from "../../src/zab/index.ts";
// Past the door: a copy is told what follows from its configurations, and somebody who votes for nobody speaks.
import { viewOf } from "../../src/zab/membership.ts";
import { NOBODY } from "../../src/zab/vote.ts";
import { Violation, violate } from "../sim/violation.ts";
import { attemptMax, type Channels, isSessionPacket, RECEIVER, RESTARTED, rank, SENDER } from "./channels.ts";
import type { Configurations } from "./configurations.ts";
import { configName, EMPTY, format, type Histories } from "./histories.ts";
import { type Disk, type Facts, factsOf, LocalReader, type Member, write } from "./member.ts";
import { checkMember } from "./member-checks.ts";
import { checkFields, copyPeer, encodePeer, type Identity, optionsOf } from "./peers.ts";
import { Interned, Ints, PairMap } from "./tables.ts";

/** What happens to a member. */
export type Happening =
  /** `packet`: also a mark, for the link that ended. */
  | { readonly kind: "receive"; readonly from: number; readonly packet: number }
  | { readonly kind: "lead" }
  | { readonly kind: "follow"; readonly leader: number }
  | { readonly kind: "giveUp" }
  | { readonly kind: "expel"; readonly learner: number }
  | { readonly kind: "propose"; readonly payload: number }
  /** And starts again. `checkpointed`: with everything delivered in the stored state. */
  | { readonly kind: "crash"; readonly checkpointed: boolean }
  | { readonly kind: "ping" }
  /** A linearizable read, asked for when the history `delivered` had been delivered somewhere. */
  | { readonly kind: "read"; readonly delivered: number }
  | { readonly kind: "compact" }
  /** Word of a committed configuration: that behind a history. */
  | { readonly kind: "tell"; readonly history: number };

export interface Outcome {
  readonly member: number;
  /** Index of the receiver and number of the packet, in turn. */
  readonly sends: readonly number[];
  readonly broken: Violation | undefined;
}

export interface Ensemble {
  readonly voters: number;
  readonly observers: number;
  /** One txn under way to a learner at a time, and its receipts. */
  readonly flow: boolean;
  /** Every synchronization is a snapshot where one is possible. */
  readonly snapshots: boolean;
  /** Leaders go on in their epoch after a crash, and learners go back to theirs. */
  readonly resumes: boolean;
  /** Configurations that may be proposed, by name. */
  readonly targets: readonly string[];
  /** Told of two peers whose encodings are equal. */
  readonly onEqual?: ((known: Peer, again: Peer) => void) | undefined;
}

/** Says nothing but, when one is added, which configuration is committed. */
const word: Notify = {
  kind: "notify",
  state: "observing",
  round: 0,
  vote: NOBODY,
  confirmed: false,
  wantsAnswer: false,
};

/** So long ago that every limit is passed. */
const longAgo = -2_000_000;

export class Members {
  readonly count: number;
  readonly #ensemble: Ensemble;
  readonly #histories: Histories;
  readonly #channels: Channels;
  readonly #configurations: Configurations;
  readonly #options: readonly PeerOptions[];
  /** By server and what it knows of the configurations. */
  readonly #identities = new Map<string, Identity>();
  readonly #known = new Interned<Member>();
  readonly #facts: Facts[] = [];
  readonly #happenings = new Interned<Happening>();
  readonly #outcomeOf = new PairMap();
  readonly #outcomes: Outcome[] = [];
  /** What the outcomes are of. */
  readonly #asked: { readonly member: number; readonly happening: number }[] = [];
  readonly #ranked = new PairMap();
  /** By permutation. */
  readonly #renamed: Ints[] = [];

  constructor(
    ensemble: Ensemble,
    around: {
      readonly histories: Histories;
      readonly channels: Channels;
      readonly configurations: Configurations;
    },
  ) {
    const { configurations } = around;
    this.#ensemble = ensemble;
    this.#histories = around.histories;
    this.#channels = around.channels;
    this.#configurations = configurations;
    this.count = configurations.count;
    const configOf =
      ensemble.targets.length === 0
        ? undefined
        : (payload: Uint8Array) => configurations.changeOf(payload[0] ?? 0)?.membership;
    this.#options = Array.from({ length: this.count }, (_, i) =>
      optionsOf(makeServerId(i + 1), { ...ensemble, configOf }),
    );
  }

  get states(): number {
    return this.#known.size;
  }

  get steps(): number {
    return this.#outcomes.length;
  }

  /** A member without history, before it starts for the first time. */
  blank(index: number): number {
    const promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 } as const;
    const disk: Disk = {
      promises,
      history: EMPTY,
      base: ZERO_ZXID,
      applied: ZERO_ZXID,
      staged: [],
      config: this.#histories.configOf(EMPTY),
      pending: undefined,
    };
    const member = this.#boot(index, disk, EMPTY, []);
    checkFields(member.peer);
    return this.#intern(member);
  }

  facts(member: number): Facts {
    const facts = this.#facts[member];
    if (facts === undefined) throw new Error(`no member state ${member}`);
    return facts;
  }

  /** The number of something that may happen; the same one for the same thing. */
  happening(happening: Happening): number {
    return this.#happenings.id(Object.values(happening).join(), () => happening);
  }

  happen(member: number, happening: Happening): Outcome {
    return this.outcome(member, this.happening(happening));
  }

  outcome(member: number, happening: number): Outcome {
    const known = this.#outcomes[this.#outcomeOf.get(member, happening)];
    if (known !== undefined) return known;
    const outcome = this.#carryOut(member, this.#happenings.at(happening));
    this.#outcomeOf.set(member, happening, this.#outcomes.length);
    this.#outcomes.push(outcome);
    this.#asked.push({ member, happening });
    return outcome;
  }

  /** Carries everything out once more; returns how often something else came of it. */
  recheck(): number {
    return this.#asked.filter(({ member, happening }, i) => {
      const again = this.#carryOut(member, this.#happenings.at(happening));
      const known = this.#outcomes[i];
      return again.member !== known?.member || again.sends.join() !== known.sends.join();
    }).length;
  }

  #carryOut(id: number, happening: Happening): Outcome {
    const before = this.#known.at(id);
    const member = this.#copy(before);
    const sends: number[] = [];
    try {
      this.#do(member, happening, sends);
      const after =
        happening.kind === "crash" ? this.#restart(member, happening.checkpointed, sends) : member;
      checkMember(before, after, this.#histories);
      return { member: this.#intern(after), sends, broken: undefined };
    } catch (failure) {
      if (failure instanceof Violation) return { member: id, sends: [], broken: failure };
      // With its assertions off, a broken core fails in other ways.
      const broken = new Violation("halt", failure instanceof Error ? failure.message : String(failure));
      return { member: id, sends: [], broken };
    }
  }

  /** The same state in an ensemble whose servers have other names: old index to new. */
  rename(member: number, permutation: number, indices: readonly number[]): number {
    this.#renamed[permutation] ??= new Ints();
    const table = this.#renamed[permutation];
    while (table.length <= member) table.push(-1);
    const known = table.at(member);
    if (known >= 0) return known;
    const made = this.#intern(this.#copy(this.#known.at(member), { indices }));
    table.set(member, made);
    return made;
  }

  /** The same state with the attempts of one learner's sessions counted from 1. `alive`: a bit for each. */
  rankAttempts(member: number, learner: number, alive: number): number {
    const key = learner * 65536 + alive;
    const known = this.#ranked.get(member, key);
    if (known >= 0) return known;
    const made = this.#intern(this.#copy(this.#known.at(member), { learner, alive }));
    this.#ranked.set(member, key, made);
    return made;
  }

  #identity(index: number, configs: Pick<Peer, "config" | "pending">): Identity {
    const { config, pending } = configs;
    const key = `${index} ${configName(config)} ${pending === undefined ? "" : configName(pending)}`;
    const known = this.#identities.get(key);
    if (known !== undefined) return known;
    const id = makeServerId(index + 1);
    const options = this.#optionsAt(index);
    const made = { id, options, config, pending, ...viewOf(id, undefined, { config, pending }) };
    this.#identities.set(key, made);
    return made;
  }

  #optionsAt(index: number): PeerOptions {
    const options = this.#options[index];
    if (options === undefined) throw new Error(`no server ${index}`);
    return options;
  }

  #copy(from: Member, how: { indices?: readonly number[]; learner?: number; alive?: number } = {}): Member {
    const { indices, learner, alive } = how;
    const renameId = (id: ServerId): ServerId =>
      indices === undefined ? id : makeServerId((indices[id - 1] ?? 0) + 1);
    const reader = new LocalReader(this.#histories);
    const id = renameId(from.peer.id);
    const peer = copyPeer(from.peer, {
      identity: this.#identity(id - 1, from.peer),
      reader,
      renameId,
      renameAttempt: (of, attempt) => (of - 1 === learner ? rank(alive ?? 0, attempt) : attempt),
      flow: this.#ensemble.flow,
    });
    const disk = { ...from.disk, promises: peer.promises };
    const member: Member = { peer, disk, delivered: from.delivered, acked: from.acked };
    reader.readFrom(member);
    return member;
  }

  #intern(member: Member): number {
    const { disk, delivered, acked, peer } = member;
    const code = encodePeer(peer, this.#ensemble.flow);
    code.push(disk.history, delivered, disk.staged.length);
    for (const page of disk.staged) code.push(page.length, ...page);
    code.push(...acked);
    const id = this.#known.id(code.join(), () => this.#copy(member));
    this.#ensemble.onEqual?.(this.#known.at(id).peer, this.#copy(member).peer);
    if (id === this.#facts.length)
      this.#facts.push(factsOf(this.#known.at(id), this.#histories, this.#configurations));
    return id;
  }

  #boot(index: number, disk: Disk, delivered: number, acked: readonly number[]): Member {
    const reader = new LocalReader(this.#histories);
    const { promises, config, pending, applied } = disk;
    const outline = this.#histories.outline(disk.history, disk.base);
    const peer = createPeer({ promises, config, pending, outline, applied }, this.#optionsAt(index), reader);
    const member = { peer, disk, delivered, acked };
    reader.readFrom(member);
    return member;
  }

  #restart(from: Member, checkpointed: boolean, sends: number[]): Member {
    const applied = checkpointed ? from.peer.delivered : from.disk.applied;
    const member = this.#boot(from.peer.id - 1, { ...from.disk, applied }, from.delivered, from.acked);
    this.#step(member, { kind: "booted" }, sends);
    return member;
  }

  #do(member: Member, happening: Happening, sends: number[]): void {
    const { peer } = member;
    const { role } = peer;
    switch (happening.kind) {
      case "receive":
        this.#receive(member, happening.from, happening.packet, sends);
        return;
      case "lead":
      case "follow": {
        if (role.kind !== "looking") throw new Error("only a looking member decides");
        const leader = happening.kind === "lead" ? peer.id : makeServerId(happening.leader + 1);
        role.vote = { leader, lastZxid: ZERO_ZXID, currentEpoch: 0 };
        role.decideAt = 0;
        this.#step(member, { kind: "ticked" }, sends);
        return;
      }
      case "giveUp":
        if (role.kind === "learning") {
          role.lastHeard = longAgo;
          role.leaderKnown = true;
          role.epochBy = 0;
        } else if (role.kind === "leading") {
          role.since = longAgo;
        }
        this.#step(member, { kind: "ticked" }, sends);
        return;
      case "expel":
      case "ping": {
        if (role.kind !== "leading") throw new Error("only a leader has learners");
        // Nobody else has been silent.
        for (const id of peer.others) role.contact.set(id, 0);
        const slot =
          happening.kind === "expel" ? role.slots.get(makeServerId(happening.learner + 1)) : undefined;
        if (slot !== undefined) slot.lastHeard = longAgo;
        if (happening.kind === "ping") role.pingedAt = longAgo;
        this.#step(member, { kind: "ticked" }, sends);
        return;
      }
      case "propose":
        this.#step(member, { kind: "submitted", payloads: [Uint8Array.of(happening.payload)] }, sends);
        return;
      case "compact": {
        const { delivered } = peer;
        this.#step(member, { kind: "checkpointed", applied: delivered }, sends);
        member.disk.applied = delivered;
        this.#step(member, { kind: "compacted", base: delivered }, sends);
        member.disk.base = delivered;
        return;
      }
      case "tell": {
        // Of a server that is in no configuration: everything else in a NOTIFY is the election's.
        const config = this.#histories.configOf(happening.history);
        const from = makeServerId(this.count + 1);
        this.#step(member, { kind: "received", from, packet: { ...word, config }, fresh: true }, sends);
        return;
      }
      case "read":
        this.#step(member, { kind: "readIndex", id: happening.delivered, fresh: true }, sends);
        return;
      case "crash":
        return;
    }
  }

  #receive(member: Member, index: number, number: number, sends: number[]): void {
    const { peer } = member;
    const from = makeServerId(index + 1);
    const packet = this.#channels.packetAt(number);
    if (packet === undefined) {
      const reason = number === RESTARTED ? "restarted" : "lost";
      this.#step(member, { kind: "linkDown", peer: from, reason }, sends);
      return;
    }
    const owner = packet.session.incarnation === SENDER ? from : peer.id;
    const session = { incarnation: owner, attempt: packet.session.attempt };
    this.#step(member, { kind: "received", from, packet: { ...packet, session }, fresh: true }, sends);
  }

  #step(member: Member, event: PeerEvent, sends: number[]): void {
    const { peer } = member;
    peer.attempts = attemptMax - 1;
    const delivered = peer.delivered;
    const duties = step(peer, event);
    if (duties.halt !== undefined) violate("halt", duties.halt);
    for (const op of duties.store) write(member.disk, op, this.#histories);
    this.#deliver(member, delivered, duties);
    for (const { id, index } of duties.confirmed) {
      if (compareZxid(index, this.#histories.zxid(id)) < 0)
        violate(
          "R",
          `member ${peer.id} confirms a read at ${format(index)}; delivered before it was asked: ${this.#histories.describe(id)}`,
        );
    }
    // Stored is not acknowledged: what a learner has only been synchronized with is not promised to
    // anybody before it joins the epoch, and may rightly be truncated by the next leader.
    const { acceptedEpoch, currentEpoch } = member.disk.promises;
    const last = this.#histories.zxid(member.disk.history);
    if (acceptedEpoch === currentEpoch && last.epoch === currentEpoch && last.counter > 0) {
      const acked = Array.from(
        { length: Math.max(member.acked.length, last.epoch + 1) },
        (_, i) => member.acked[i] ?? 0,
      );
      acked[last.epoch] = Math.max(acked[last.epoch] ?? 0, last.counter);
      member.acked = acked;
    }
    for (const { to, packet } of duties.send) {
      if (!isSessionPacket(packet) || (packet.kind === "received" && !this.#ensemble.flow)) continue;
      const { incarnation, attempt } = packet.session;
      const session = { incarnation: incarnation === peer.id ? SENDER : RECEIVER, attempt };
      sends.push(to - 1, this.#channels.packet({ ...packet, session }));
    }
  }

  #deliver(member: Member, before: Zxid, duties: Duties): void {
    const start = duties.reloaded ?? before;
    const end = duties.deliver?.through ?? start;
    if (duties.deliver !== undefined && !equalZxid(duties.deliver.after, start))
      violate("B3", "a gap in what is delivered");
    if (!equalZxid(end, member.peer.delivered))
      violate("B3", "the peer delivers something else than it says");
    const delivered = this.#histories.through(member.disk.history, end);
    if (delivered === undefined) violate("B3", `${format(end)} is delivered and not in the log`);
    if (this.#histories.depth(delivered) > this.#histories.depth(member.delivered))
      member.delivered = delivered;
  }
}
