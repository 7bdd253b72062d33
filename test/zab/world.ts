/**
 * An ensemble of real peers over abstract channels, driven by chance.
 *
 * Channels are first-in first-out and break as real links do: each end learns of it at a time of its
 * own, or never; a restarted member is noticed when something of it, or for it, arrives. Storage confirms
 * writes late in half of the runs, and a crash then loses a suffix of them. A replaced instance may live on
 * as a zombie that still hears answers and dies at its first access to storage.
 *
 * After every step the checkers of `ghost.ts` run. At the end everything is healed and one leader, equal
 * histories and progress are demanded.
 *
 * @module
 */

import {
  assert,
  compareZxid,
  equalZxid,
  makeServerId,
  type ServerId,
  ZERO_ZXID,
} from "../../src/base/index.ts";
import {
  type Config,
  createPeer,
  type Duties,
  memberOf,
  type Packet,
  type Peer,
  type PeerEvent,
  type PeerOptions,
  refuseReconfig,
  statusOf,
  step,
} from "../../src/zab/index.ts";
import { type Applied, Disk, Reader, type Unit } from "./disk.ts";
import { Ghost } from "./ghost.ts";
import { configOf, encodeMembership } from "./memberships.ts";

/** A small generator with one 32-bit word of state. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) >>> 0;
  }

  /** 0 to n-1. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % n;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    assert(picked !== undefined, "there is something to pick from");
    return picked;
  }
}

/** What one end of a channel knows. */
interface End {
  /** Incarnation of the other end; 0: not heard yet. */
  incarnation: number;
  no: number;
  alias: number;
}

interface Instance {
  readonly id: ServerId;
  readonly incarnation: number;
  readonly peer: Peer;
  readonly reader: Reader;
  readonly ends: Map<ServerId, End>;
  zombie: boolean;
  dead: boolean;
  /** Reads under way: id to what had been delivered anywhere when each was asked. */
  readonly reads: Map<number, number>;
}

interface Message {
  readonly sender: Instance;
  readonly toIncarnation: number;
  readonly no: number;
  readonly packet: Packet;
}

interface Pending {
  readonly unit: Unit | undefined;
  readonly instance: Instance;
  readonly duties: Duties | undefined;
}

interface Member {
  readonly id: ServerId;
  /** What survives a crash. */
  stable: Disk;
  /** What has been written. */
  disk: Disk;
  live: Applied;
  pending: Pending[];
  incarnation: number;
  instance: Instance | undefined;
}

export interface WorldOptions {
  readonly voters: number;
  readonly observers: number;
  /** Members that may be added. */
  readonly outsiders: number;
  readonly asynchronous: boolean;
  readonly zombies: boolean;
  readonly snapshotPages: number;
  readonly peer: Omit<PeerOptions, "id" | "incarnation">;
  /** Relative frequency of what may happen. */
  readonly weights: Readonly<Record<Action, number>>;
}

export type Action =
  | "deliver"
  | "tick"
  | "submit"
  | "read"
  | "confirm"
  | "sever"
  | "crash"
  | "restart"
  | "checkpoint"
  | "compact"
  | "block"
  | "unblock"
  | "closeCut"
  | "stall"
  | "oracle"
  | "active"
  | "reconfigure";

const actions: readonly Action[] = [
  "deliver",
  "tick",
  "submit",
  "read",
  "confirm",
  "sever",
  "crash",
  "restart",
  "checkpoint",
  "compact",
  "block",
  "unblock",
  "closeCut",
  "stall",
  "oracle",
  "active",
  "reconfigure",
];

/** What happened in a run, to see at a glance that it was not dull. */
export interface Figures {
  steps: number;
  established: number;
  delivered: number;
  reads: number;
  snapshots: number;
  truncations: number;
  crashes: number;
  /** Times a leader fell asleep, and times one went on in its epoch. */
  sleeps: number;
  resumes: number;
  epochs: number;
  healTicks: number;
  reconfigurations: number;
}

export class World {
  readonly options: WorldOptions;
  readonly ghost: Ghost;
  readonly members: Member[];
  readonly figures: Figures = {
    steps: 0,
    established: 0,
    delivered: 0,
    reads: 0,
    snapshots: 0,
    truncations: 0,
    crashes: 0,
    sleeps: 0,
    resumes: 0,
    epochs: 0,
    healTicks: 0,
    reconfigurations: 0,
  };
  /** One line per step, when somebody wants to read it. */
  trace: ((line: string) => void) | undefined;
  readonly #dice: Dice;
  readonly #config: Config;
  readonly #channels = new Map<string, Message[]>();
  readonly #blocked = new Set<string>();
  #zombies: Instance[] = [];
  #payloads = 0;
  #readIds = 0;
  #faults = true;
  /** A directed path that is rarely served. */
  #held = "";
  /** A member whose clock stands. */
  #stalled: Member | undefined;

  constructor(options: WorldOptions, dice: Dice) {
    this.options = options;
    this.#dice = dice;
    const { observers, outsiders } = options;
    const ids = Array.from({ length: options.voters + observers + outsiders }, (_, i) => makeServerId(i + 1));
    const voters = ids.slice(0, options.voters);
    const listed = ids.slice(0, options.voters + observers);
    this.#config = {
      version: ZERO_ZXID,
      members: listed.map((id) => ({ id, role: voters.includes(id) ? "voter" : "observer" })),
    };
    this.ghost = new Ghost(voters);
    this.members = ids.map((id) => {
      const disk = new Disk();
      const stable = new Disk();
      return { id, stable, disk, live: disk.applied, pending: [], incarnation: 0, instance: undefined };
    });
    for (const a of ids) for (const b of ids) if (a !== b) this.#channels.set(`${a}-${b}`, []);
  }

  run(steps: number): void {
    for (const member of this.members) if (!this.#dice.chance(20)) this.#start(member);
    const { weights } = this.options;
    const total = actions.reduce((sum, action) => sum + weights[action], 0);
    for (let i = 0; i < steps; i++) {
      let draw = this.#dice.below(total);
      const action = actions.find((each) => {
        draw -= weights[each];
        return draw < 0;
      });
      if (action !== undefined) this.#act(action);
    }
  }

  /** Writes a history of epoch 1, as if it had been proposed and stored that far, before anybody starts. */
  seedHistory(id: ServerId, txns: number, longest: boolean): void {
    const member = this.#memberOf(id);
    const payloads = Array.from({ length: txns }, (_, i) => Uint8Array.of(i));
    const promises = { acceptedEpoch: 1, acceptedLeader: id, currentEpoch: 1, establishedEpoch: 0 };
    const append = { kind: "append", prev: ZERO_ZXID, batch: { epoch: 1, first: 1, payloads } } as const;
    const ops = [{ kind: "promises", promises } as const, ...(txns > 0 ? [append] : [])];
    this.ghost.storing(id, member.disk, ops, longest ? 1 : 0);
    for (const disk of [member.disk, member.stable]) disk.write({ kind: "step", ops });
  }

  /**
   * Starts everybody on a network where these directed paths (`1-2`) carry nothing, ever. Says how many
   * ticks passed until some leader was established with a quorum and stayed so, and in how many epochs.
   */
  settleOn(
    blocked: readonly string[],
    ticks: number,
  ): { readonly at: number; readonly epochs: number } | undefined {
    this.#faults = false;
    for (const path of blocked) this.#blocked.add(path);
    for (const member of this.members) this.#start(member);
    let leader: ServerId | undefined;
    let since = 0;
    for (let tick = 0; tick < ticks; tick++) {
      this.#quiet();
      const now = this.members.find(
        ({ instance }) => instance && statusOf(instance.peer).serving.kind === "leading",
      );
      if (now?.id !== leader) since = tick;
      leader = now?.id;
      for (const { instance } of this.members)
        if (instance !== undefined) this.#feed(instance, { kind: "ticked" });
    }
    const epochs = Math.max(...this.members.map((member) => member.disk.promises.acceptedEpoch));
    return leader === undefined ? undefined : { at: since, epochs };
  }

  #act(action: Action): void {
    let member = this.#dice.pick(this.members);
    if (action === "crash" && this.#dice.chance(30)) {
      member =
        this.members.find(({ instance }) => instance && statusOf(instance.peer).role === "leading") ?? member;
    }
    const { instance } = member;
    switch (action) {
      case "deliver":
        this.#deliverSome();
        break;
      case "tick":
        if (this.#zombies.length > 0 && this.#dice.chance(20))
          this.#feed(this.#dice.pick(this.#zombies), { kind: "ticked" });
        else if (instance !== undefined && member !== this.#stalled) this.#feed(instance, { kind: "ticked" });
        break;
      case "submit":
        this.#submit();
        break;
      case "read":
        this.#read();
        break;
      case "confirm":
        this.#confirm(member);
        break;
      case "sever":
        this.#sever(member, this.#dice.pick(this.members));
        break;
      case "crash":
        this.#crash(member);
        break;
      case "restart":
        if (instance === undefined) this.#start(member);
        break;
      case "checkpoint":
        this.#checkpoint(member);
        break;
      case "compact":
        this.#compact(member);
        break;
      case "block":
        this.#block(member);
        break;
      case "unblock":
        this.#blocked.clear();
        break;
      case "closeCut":
        if (instance !== undefined) instance.reader.open = undefined;
        break;
      case "stall":
        this.#stalled = this.#dice.chance(50) ? member : this.#leader();
        break;
      case "oracle":
        this.#decide();
        break;
      case "active":
        if (instance !== undefined) this.#feed(instance, { kind: "active" });
        break;
      case "reconfigure":
        this.#reconfigure();
        break;
    }
  }

  /** Adds, removes, promotes, demotes; several at a time, the leader too; mostly when the new quorum is there. */
  #reconfigure(): void {
    const { instance } = this.#leader() ?? this.#dice.pick(this.members);
    if (instance === undefined || instance.zombie) return;
    const { config } = statusOf(instance.peer);
    const roles = new Map<ServerId, "voter" | "observer" | "none">(
      this.members.map(({ id }) => [id, memberOf(config, id)?.role ?? "none"]),
    );
    for (let changes = 1 + this.#dice.below(3); changes > 0; changes--) {
      const role = this.#dice.pick(["voter", "voter", "observer", "none"] as const);
      roles.set(this.#dice.pick(this.members).id, role);
    }
    const members = [...roles].flatMap(([id, role]) => (role === "none" ? [] : [{ id, role }]));
    if (!members.some(({ role }) => role === "voter")) return;
    const refusal = refuseReconfig(instance.peer, { members });
    // One without its new quorum waits for it; strangers in it would never hear of it.
    const isKnown = members.every(({ id, role }) => role !== "voter" || memberOf(config, id) !== undefined);
    const isBold = refusal === "noQuorum" && isKnown && this.#dice.chance(20);
    if (refusal !== undefined && !isBold) return;
    this.#feed(instance, { kind: "submitted", payloads: [encodeMembership({ members })] });
    this.figures.reconfigurations += 1;
  }

  #leader(): Member | undefined {
    const leaders = this.members.filter(
      ({ instance }) => instance && statusOf(instance.peer).role === "leading",
    );
    return leaders.length === 0 ? undefined : this.#dice.pick(leaders);
  }

  /**
   * The election decides as it likes: somebody leads, and some follow. Nothing may depend on who wins, so
   * forged votes are fair.
   */
  #decide(): void {
    const voters = this.members.filter(({ id }) => this.ghost.voters.includes(id));
    const leader = this.#dice.pick(voters);
    for (const member of this.members) {
      const { instance } = member;
      if (instance === undefined || (member !== leader && this.#dice.chance(40))) continue;
      this.#unsettle(instance);
      const { role, round, lastLogged, promises } = statusOf(instance.peer);
      if (role !== "looking") continue;
      const { currentEpoch } = promises;
      const vote =
        member === leader
          ? { leader: leader.id, lastZxid: lastLogged, currentEpoch }
          : { leader: leader.id, lastZxid: { epoch: 2 ** 30, counter: 1 }, currentEpoch: 2 ** 30 };
      for (const { id: from } of voters) {
        if (from === member.id || statusOf(instance.peer).role !== "looking") continue;
        const state = "looking";
        const packet = { kind: "notify", state, round, vote, confirmed: false, wantsAnswer: false } as const;
        this.#feed(instance, { kind: "received", from, packet, fresh: true });
      }
    }
  }

  /** Brings a member back to looking, by what might also happen by itself. */
  #unsettle(instance: Instance): void {
    const { role, leader } = statusOf(instance.peer);
    if ((role === "following" || role === "observing") && leader !== 0) {
      this.#feed(instance, { kind: "linkDown", peer: leader, reason: "restarted" });
    }
    for (let i = 0; i < 100 && statusOf(instance.peer).role === "leading" && this.#dice.chance(99); i++) {
      this.#feed(instance, { kind: "ticked" });
    }
  }

  /** One directed path, or everything to and from one member, more often than not the leader. */
  #block(member: Member): void {
    this.#held = `${member.id}-${this.#dice.pick(this.members).id}`;
    if (this.#dice.chance(30)) return;
    if (this.#dice.chance(50)) {
      this.#blocked.add(`${member.id}-${this.#dice.pick(this.members).id}`);
      return;
    }
    const leader = this.members.find(
      ({ instance }) => instance && statusOf(instance.peer).role === "leading",
    );
    const alone = leader !== undefined && this.#dice.chance(60) ? leader : member;
    for (const other of this.members) {
      this.#blocked.add(`${alone.id}-${other.id}`);
      this.#blocked.add(`${other.id}-${alone.id}`);
    }
  }

  #start(member: Member): void {
    member.incarnation += 1;
    const { id, incarnation } = member;
    member.live = member.disk.applied;
    const reader = new Reader(
      () => member.disk,
      () => member.live,
      this.options.snapshotPages,
    );
    const peer = createPeer(
      member.disk.durable(this.#config),
      { ...this.options.peer, id, incarnation, configOf },
      reader,
    );
    const instance: Instance = {
      id,
      incarnation,
      peer,
      reader,
      ends: new Map(),
      zombie: false,
      dead: false,
      reads: new Map(),
    };
    member.instance = instance;
    this.ghost.stands(id, member.live);
    this.trace?.(`start ${id} incarnation=${incarnation}`);
    this.#feed(instance, { kind: "booted" });
  }

  /** Memory is gone, and of the writes not yet confirmed a suffix. */
  #crash(member: Member): void {
    const { instance } = member;
    if (instance === undefined) return;
    this.figures.crashes += 1;
    const units = member.pending.filter((pending) => pending.unit !== undefined);
    const survive = this.#dice.below(units.length + 1);
    this.trace?.(`crash ${member.id} keeping ${survive} of ${units.length} writes`);
    for (const { unit } of units.slice(0, survive)) if (unit !== undefined) this.#settle(member, unit);
    for (const { unit } of units.slice(survive))
      if (unit?.kind === "step") this.ghost.lost(member.id, unit.ops);
    // With a write under way nothing leaves a replaced instance any more: its gate never opens.
    const isGateOpen = member.pending.length === 0;
    member.pending = [];
    member.disk = member.stable.clone();
    member.instance = undefined;
    if (this.options.zombies && isGateOpen && this.#dice.chance(60)) {
      instance.zombie = true;
      this.#zombies.push(instance);
    } else {
      instance.dead = true;
    }
    this.#checkDurable();
  }

  #feed(instance: Instance, event: PeerEvent): void {
    if (instance.dead) return;
    const member = this.#memberOf(instance.id);
    const { reads } = instance.reader;
    const before = statusOf(instance.peer);
    const duties = step(instance.peer, event);
    this.figures.steps += 1;
    if (!before.asleep && before.role === "leading" && statusOf(instance.peer).asleep)
      this.figures.sleeps += 1;
    if (this.trace !== undefined) this.trace(describe(instance, event, duties));
    if (duties.halt !== undefined) this.ghost.fail("halt", `${instance.id}: ${duties.halt}`);
    if (instance.zombie) {
      if (duties.store.length > 0 || instance.reader.reads !== reads) this.#bury(instance);
      else this.#release(member, instance, duties);
      return;
    }
    this.#write(member, instance, duties, before.serving.kind === "leading" ? before.epoch : 0);
  }

  #bury(instance: Instance): void {
    instance.dead = true;
    this.#zombies = this.#zombies.filter((each) => each !== instance);
  }

  #write(member: Member, instance: Instance, duties: Duties, proposes: number): void {
    const unit: Unit | undefined =
      duties.store.length === 0 ? undefined : { kind: "step", ops: duties.store };
    if (unit !== undefined) {
      for (const op of duties.store) {
        if (op.kind === "installSnapshot") this.figures.snapshots += 1;
        if (op.kind === "truncate") this.figures.truncations += 1;
      }
      this.ghost.storing(member.id, member.disk, duties.store, proposes);
      member.disk.write(unit);
      this.ghost.keeps(member.id, member.disk);
    }
    if (duties.serving?.kind === "leading") {
      this.figures.established += 1;
      if (instance.peer.role.kind === "leading" && instance.peer.role.isResumed) this.figures.resumes += 1;
      this.figures.epochs = Math.max(this.figures.epochs, duties.serving.epoch);
      this.ghost.established(member.id, duties.serving.epoch, member.disk);
    }
    member.pending.push({ unit, instance, duties });
    if (!this.options.asynchronous || (unit === undefined && member.pending.length === 1))
      this.#drain(member);
  }

  #drain(member: Member): void {
    while (member.pending.length > 0) this.#confirm(member);
  }

  /** The oldest write is durable: what waited for it leaves. */
  #confirm(member: Member): void {
    const pending = member.pending.shift();
    if (pending === undefined) return;
    if (pending.unit !== undefined) this.#settle(member, pending.unit);
    if (pending.duties !== undefined) this.#release(member, pending.instance, pending.duties);
    while (member.pending[0] !== undefined && member.pending[0].unit === undefined) this.#confirm(member);
  }

  #settle(member: Member, unit: Unit): void {
    member.stable.write(unit);
    if (unit.kind === "step") {
      for (const op of unit.ops) if (op.kind === "promises") this.ghost.promised(member.id, op.promises);
    }
    this.#checkDurable();
  }

  #checkDurable(): void {
    this.ghost.durable(this.#stables());
  }

  #stables(): ReadonlyMap<ServerId, Disk> {
    return new Map(this.members.map((member) => [member.id, member.stable]));
  }

  #release(member: Member, instance: Instance, duties: Duties): void {
    for (const { to, packet } of duties.send) this.#post(instance, to, packet);
    if (!instance.zombie) {
      if (duties.reloaded !== undefined) {
        const hash = member.disk.hashAt(duties.reloaded);
        member.live = { zxid: duties.reloaded, hash: hash ?? 0 };
        this.ghost.stands(member.id, member.live);
      }
      if (duties.deliver !== undefined) this.#deliverTxns(member, duties.deliver);
      const { serving } = duties;
      if (serving?.kind === "leading") this.ghost.leads(member.id, serving.epoch, this.#stables());
    }
    for (const { id, index } of duties.confirmed) {
      this.figures.reads += 1;
      const frontier = instance.reads.get(id);
      if (frontier === undefined) this.ghost.fail("R", `${instance.id} confirms an unknown read`);
      this.ghost.confirmed(instance.id, index, frontier);
      instance.reads.delete(id);
    }
    for (const id of duties.rejected) {
      if (!instance.reads.delete(id)) this.ghost.fail("R", `${instance.id} rejects an unknown read`);
    }
  }

  #deliverTxns(member: Member, range: { after: Applied["zxid"]; through: Applied["zxid"] }): void {
    if (!equalZxid(range.after, member.live.zxid))
      this.ghost.fail("B2", `${member.id} delivers from elsewhere`);
    const { disk } = member;
    const entries = disk.log.slice(disk.indexAfter(range.after), disk.indexAfter(range.through));
    for (const { zxid, hash } of entries) {
      member.live = this.ghost.deliver(member.id, member.live, { zxid, hash });
      this.figures.delivered += 1;
    }
    if (!equalZxid(member.live.zxid, range.through))
      this.ghost.fail("B2", `${member.id} lacks what it delivers`);
    this.#checkDurable();
  }

  #post(sender: Instance, to: ServerId, packet: Packet): void {
    const end = endOf(sender, to);
    this.#channel(sender.id, to).push({ sender, toIncarnation: end.incarnation, no: end.no, packet });
  }

  #channel(from: ServerId, to: ServerId): Message[] {
    const channel = this.#channels.get(`${from}-${to}`);
    assert(channel !== undefined, "there is a channel between any two members");
    return channel;
  }

  #memberOf(id: ServerId): Member {
    const member = this.members.find((each) => each.id === id);
    assert(member !== undefined, "a member is known");
    return member;
  }

  #deliverSome(): boolean {
    const waiting: [ServerId, ServerId][] = [];
    const isHeld = this.#faults && this.#dice.chance(90) ? this.#held : "";
    for (const a of this.members) {
      for (const b of this.members) {
        if (a === b || isHeld === `${a.id}-${b.id}`) continue;
        if (this.#blocked.has(`${a.id}-${b.id}`) && !this.#isZombies(this.#channel(a.id, b.id)[0])) continue;
        if (this.#channel(a.id, b.id).length > 0) waiting.push([a.id, b.id]);
      }
    }
    if (waiting.length === 0) return false;
    const [from, to] = this.#dice.pick(waiting);
    const message = this.#channel(from, to).shift();
    if (message !== undefined) this.#arrive(this.#memberOf(to), message);
    return true;
  }

  /** A zombie sits elsewhere: it has paths of its own. */
  #isZombies(message: Message | undefined): boolean {
    if (message === undefined || this.#zombies.length === 0) return false;
    return (
      message.sender.zombie || this.#zombies.some(({ incarnation }) => incarnation === message.toIncarnation)
    );
  }

  #arrive(member: Member, message: Message): void {
    const { sender, packet } = message;
    const zombie = this.#zombies.find(
      (each) => each.id === member.id && each.incarnation === message.toIncarnation,
    );
    const target = zombie ?? member.instance;
    if (target === undefined) return;
    if (message.toIncarnation !== 0 && message.toIncarnation !== target.incarnation) {
      this.#tellRestarted(sender, target);
      return;
    }
    const end = endOf(target, sender.id);
    if (sender.incarnation < end.incarnation) return;
    const unbound = message.toIncarnation === 0;
    if (end.incarnation === 0) {
      end.incarnation = sender.incarnation;
      end.no = Math.max(end.no, message.no);
      end.alias = unbound ? message.no : 0;
    } else if (sender.incarnation > end.incarnation) {
      end.incarnation = sender.incarnation;
      end.no = Math.max(end.no + 1, message.no);
      end.alias = unbound ? message.no : 0;
      this.#feed(target, { kind: "linkDown", peer: sender.id, reason: "restarted" });
    } else if (message.no > end.no) {
      end.no = message.no;
      end.alias = 0;
      this.#feed(target, { kind: "linkDown", peer: sender.id, reason: "lost" });
    }
    const isCurrent = message.no === end.no || (unbound && end.alias !== 0 && message.no === end.alias);
    if (!isCurrent) {
      this.#tellStale(sender, member.id, end.no);
      return;
    }
    // A zombie gets nothing but answers to its own calls; the live instance may get either.
    const fresh = !target.zombie && this.#dice.chance(70);
    this.#feed(target, { kind: "received", from: sender.id, packet, fresh });
  }

  #tellRestarted(sender: Instance, target: Instance): void {
    if (sender.dead || target.zombie || (this.#faults && this.#dice.chance(30))) return;
    const end = endOf(sender, target.id);
    if (end.incarnation >= target.incarnation) return;
    end.incarnation = target.incarnation;
    end.no += 1;
    end.alias = 0;
    this.#feed(sender, { kind: "linkDown", peer: target.id, reason: "restarted" });
  }

  #tellStale(sender: Instance, by: ServerId, no: number): void {
    if (sender.dead || (this.#faults && this.#dice.chance(30))) return;
    const end = endOf(sender, by);
    if (end.no >= no) return;
    end.no = no;
    end.alias = 0;
    this.#feed(sender, { kind: "linkDown", peer: by, reason: "lost" });
  }

  /** One end gives up; of what it has queued a suffix never leaves. */
  #sever(member: Member, other: Member): void {
    const { instance } = member;
    if (instance === undefined || member === other) return;
    const channel = this.#channel(member.id, other.id);
    channel.length = this.#dice.below(channel.length + 1);
    endOf(instance, other.id).no += 1;
    this.#feed(instance, { kind: "linkDown", peer: other.id, reason: "lost" });
  }

  #submit(): void {
    const leaders = this.members.filter(
      ({ instance }) => instance !== undefined && statusOf(instance.peer).serving.kind === "leading",
    );
    if (leaders.length === 0) return;
    const { instance } = this.#dice.pick(leaders);
    const payloads = Array.from({ length: 1 + this.#dice.below(3) }, () => {
      this.#payloads += 1;
      return new Uint8Array(new Uint32Array([this.#payloads]).buffer);
    });
    if (instance !== undefined) this.#feed(instance, { kind: "submitted", payloads });
  }

  #read(): void {
    const zombie =
      this.#zombies.length > 0 && this.#dice.chance(30) ? this.#dice.pick(this.#zombies) : undefined;
    const leader = this.#dice.chance(60) ? this.#leader() : undefined;
    const instance = zombie ?? (leader ?? this.#dice.pick(this.members)).instance;
    if (instance === undefined) return;
    this.#readIds += 1;
    instance.reads.set(this.#readIds, this.ghost.frontier);
    const fresh = !instance.zombie && this.#dice.chance(50);
    this.#feed(instance, { kind: "readIndex", id: this.#readIds, fresh });
  }

  #checkpoint(member: Member): void {
    const { instance } = member;
    if (instance === undefined || compareZxid(member.live.zxid, member.disk.applied.zxid) <= 0) return;
    const unit: Unit = { kind: "checkpoint", applied: member.live };
    member.disk.write(unit);
    member.pending.push({ unit, instance, duties: undefined });
    this.#feed(instance, { kind: "checkpointed", applied: member.live.zxid });
  }

  #compact(member: Member): void {
    const { instance, disk } = member;
    const covered = disk.indexAfter(disk.applied.zxid);
    if (instance === undefined || covered === 0) return;
    const base = disk.log[this.#dice.below(covered)]?.zxid;
    if (base === undefined) return;
    const unit: Unit = { kind: "compact", base };
    disk.write(unit);
    member.pending.push({ unit, instance, duties: undefined });
    this.#feed(instance, { kind: "compacted", base });
  }

  /** Ends all faults; everybody must end up serving one leader, with one history, and make progress. */
  heal(): void {
    this.#faults = false;
    this.#stalled = undefined;
    for (const zombie of [...this.#zombies]) this.#bury(zombie);
    this.#blocked.clear();
    for (const member of this.members) if (member.instance === undefined) this.#start(member);
    // Whoever sleeps finds out about the others when somebody asks it for something.
    for (const { instance } of this.members) {
      if (instance !== undefined) this.#feed(instance, { kind: "active" });
    }
    const { initLimitTicks, syncLimitTicks } = this.options.peer;
    const limit = 20 * (initLimitTicks + syncLimitTicks);
    const epochBefore = Math.max(...this.members.map((member) => member.disk.promises.acceptedEpoch));
    for (let tick = 0; tick < limit; tick++) {
      this.#quiet();
      if (this.#isHealthy()) {
        this.figures.healTicks = Math.max(this.figures.healTicks, tick);
        const epochAfter = Math.max(...this.members.map((member) => member.disk.promises.acceptedEpoch));
        if (epochAfter > epochBefore + 4)
          this.ghost.fail("LV4", `${epochAfter - epochBefore} epochs to heal`);
        return;
      }
      for (const { instance } of this.members)
        if (instance !== undefined) this.#feed(instance, { kind: "ticked" });
      if (tick % 20 === 19) this.#submit();
    }
    this.ghost.fail("LV1", this.members.map((member) => this.state(member)).join("; "));
  }

  /** Delivers everything until nothing moves. */
  #quiet(): void {
    for (let moves = 0; ; moves++) {
      for (const member of this.members) this.#drain(member);
      if (!this.#deliverSome()) break;
      if (moves > 20_000) this.ghost.fail("LV1", "packets without end");
    }
  }

  #isHealthy(): boolean {
    const states = this.members.map(({ id, instance }) =>
      instance === undefined ? undefined : { id, ...statusOf(instance.peer) },
    );
    const leaders = states.filter((state) => state?.serving.kind === "leading");
    const [leader] = leaders;
    if (leaders.length !== 1 || leader === undefined) return false;
    return states.every(
      (state) =>
        state !== undefined &&
        (memberOf(leader.config, state.id) === undefined ||
          (state.serving.kind !== "none" &&
            state.leader === leader.leader &&
            equalZxid(state.lastCommitted, leader.lastLogged) &&
            equalZxid(state.lastLogged, leader.lastLogged))),
    );
  }

  state(member: Member): string {
    const { instance } = member;
    if (instance === undefined) return `${member.id} down`;
    const { role, phase, leader, epoch, promises, lastLogged, lastCommitted, round } = statusOf(
      instance.peer,
    );
    const zxids = `${lastLogged.epoch}.${lastLogged.counter}/${lastCommitted.epoch}.${lastCommitted.counter}`;
    const { acceptedEpoch, currentEpoch } = promises;
    return `${member.id} ${role}/${phase} leader=${leader} epoch=${epoch} a=${acceptedEpoch} c=${currentEpoch} ${zxids} round=${round}`;
  }
}

function endOf(instance: Instance, peer: ServerId): End {
  let end = instance.ends.get(peer);
  if (end === undefined) {
    end = { incarnation: 0, no: 1, alias: 0 };
    instance.ends.set(peer, end);
  }
  return end;
}

function describe(instance: Instance, event: PeerEvent, duties: Duties): string {
  const what =
    event.kind === "received"
      ? `${event.from}->${instance.id} ${JSON.stringify(event.packet)}${event.fresh ? "" : " stale"}`
      : `${instance.id} ${JSON.stringify(event)}`;
  const sent = duties.send.map(({ to, packet }) => `${packet.kind}->${to}`).join(" ");
  const stored = duties.store.map((op) => op.kind).join(" ");
  const { serving } = duties;
  const zombie = instance.zombie ? " (zombie)" : "";
  return `${what}${zombie} | store ${stored} | send ${sent}${serving === undefined ? "" : ` | serving ${JSON.stringify(serving)}`}`;
}
