/**
 * The world: members, calls between them, clients, and the checkers that watch.
 *
 * Deterministic: what happens is said from outside, event by event, through the methods here; what may
 * happen next is told to `Timing`, which decides when. The world itself never draws anything.
 *
 * @module
 */

import { makeServerId, type ServerId, ZERO_ZXID } from "../../src/base/index.ts";
import type { Config, Duties, PeerEvent, Serving } from "../../src/zab/index.ts";
import { ProtocolChecks } from "./checks/protocol.ts";
import { mix } from "./choose.ts";
import { Clients, type Op, type Reply, type Wish } from "./clients.ts";
import { Disk, type DiskOp, type Entry } from "./disk.ts";
import type { FeatureRun } from "./feature.ts";
import { features } from "./features/index.ts";
import { Instance, Member } from "./member.ts";
import type { Happening } from "./script.ts";
import type { Settings } from "./settings.ts";
import { Violation, violate } from "./violation.ts";
import type { Parcel } from "./wire.ts";

/** One call between members: a carrier there, one back, each with its own fate. */
export interface Call {
  readonly from: Instance;
  readonly to: ServerId;
  readonly parcel: Parcel;
  /** Which one of its caller's calls to that member. */
  readonly number: number;
}

/** Virtual time 0 on the members' clocks: what times in txns are drawn around. */
const clockOrigin = 1_700_000_000_000;

/** Is told what has become possible, and decides when it happens. */
export interface Timing {
  readonly now: number;
  requestLeft(call: Call): void;
  answerLeft(call: Call, by: Instance, parcel: Parcel): void;
  unitWritten(member: Member): void;
  cooling(instance: Instance, peer: ServerId): void;
  booted(instance: Instance): void;
  /** The live instance of a member is no more, by power or by its own doing. */
  died(member: Member): void;
  replyLeft(op: Op, reply: Reply | "nothing" | "lost"): void;
  /** A coverage mark was reached by a member. */
  reached(mark: string, member: Member): void;
}

export class World {
  readonly settings: Settings;
  readonly timing: Timing;
  readonly checks: ProtocolChecks;
  readonly clients: Clients;
  readonly members: readonly Member[];
  /** `cut[from * 16 + to]`: nothing travels on this path. */
  readonly cut = new Uint8Array(256);
  /** `deaf[from * 16 + to]`: `from` cannot call `to`; answers still travel. */
  readonly deaf = new Uint8Array(256);
  readonly counts = new Map<string, number>();
  /** Those of this run, by name. */
  readonly features = new Map<string, FeatureRun>();
  /** Says every event and effect; `undefined` when nobody listens. */
  log: ((line: string) => void) | undefined;
  /** Is told every happening, in the words of a script. */
  record: ((happening: Happening) => void) | undefined;
  steps = 0;
  hash = 0;
  /** Halts stop a member quietly instead of ending the run: for mutants that only outside checkers may kill. */
  readonly toleratesHalts: boolean;

  constructor(settings: Settings, timing: Timing, toleratesHalts: boolean) {
    this.settings = settings;
    this.timing = timing;
    this.toleratesHalts = toleratesHalts;
    const { voters, observers, outsiders = 0, storageIds = false } = settings;
    const ids = Array.from({ length: voters + observers + outsiders }, (_, at) => makeServerId(at + 1));
    const storageOf = (id: ServerId) => (storageIds ? { storageId: `s${id}` } : {});
    const config: Config = {
      version: ZERO_ZXID,
      members: ids
        .slice(0, voters + observers)
        .map((id) => ({ id, role: id <= voters ? "voter" : "observer", ...storageOf(id) })),
    };
    this.checks = new ProtocolChecks(config, settings.peer.counterMax, {
      now: () => timing.now,
      storageOf: (id) => this.member(id).storageId,
    });
    this.members = ids.map((id) => {
      const disk = new Disk(config);
      this.checks.addMember(id, disk);
      return new Member(id, disk, storageOf(id).storageId);
    });
    this.clients = new Clients(this.checks, settings.clients, settings.dataBytes);
    for (const feature of features) {
      const draws = settings.features?.[feature.name];
      if (draws !== undefined) this.features.set(feature.name, feature.attach(this, draws));
    }
    this.checks.onCommit = (zxid, txn) => {
      this.clients.committed(zxid, txn);
      for (const run of this.features.values()) run.committed?.(zxid, txn);
    };
  }

  member(id: ServerId): Member {
    const member = this.members[id - 1];
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  /** What a member's clock says, ms since 1970. */
  clockOf({ clockOffsetMs }: Member): number {
    return clockOrigin + this.timing.now + clockOffsetMs;
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  // What happens.

  boot(member: Member): void {
    if (member.live !== undefined) return;
    this.record?.({ kind: "boot", member: member.id });
    this.note("boot", member.id);
    let instance: Instance;
    try {
      instance = new Instance(this, member);
    } catch (error) {
      if (error instanceof Violation || !this.toleratesHalts) throw error;
      member.live = undefined;
      return;
    }
    this.timing.booted(instance);
    for (const run of this.features.values()) run.starts?.(instance);
    instance.boot();
  }

  /** A request reaches its member, if there is one. */
  deliver(call: Call): boolean {
    this.record?.({ kind: "request", ...nameOf(call) });
    const { live } = this.member(call.to);
    if (live === undefined) return false;
    this.note("request", call.from.member.id, call.to, call.parcel.bytes.length);
    this.log?.(`      ${describe(call.parcel)}`);
    const isTaken = live.handle(call);
    if (!isTaken) this.count("request refused");
    return isTaken;
  }

  returned(call: Call, by: Instance, parcel: Parcel): void {
    if (!call.from.isAlive) return;
    if (call.from.links.get(call.to)?.call !== call) return;
    this.record?.({ kind: "answer", ...nameOf(call) });
    this.note("answer", call.to, call.from.member.id, parcel.bytes.length);
    this.log?.(`      ${describe(parcel)}`);
    call.from.returned(call, by, parcel);
  }

  failed(call: Call): void {
    if (!call.from.isAlive) return;
    if (call.from.links.get(call.to)?.call !== call) return;
    this.record?.({ kind: "failure", ...nameOf(call) });
    this.note("failure", call.from.member.id, call.to);
    call.from.failed(call);
  }

  tick(instance: Instance): void {
    if (!instance.isAlive) return;
    this.record?.({ kind: "tick", member: instance.member.id, zombie: !instance.isLive });
    this.note("tick", instance.member.id);
    instance.tick();
  }

  pump(instance: Instance, peer: ServerId): void {
    if (!instance.isAlive) return;
    this.record?.({ kind: "pump", member: instance.member.id, zombie: !instance.isLive, peer });
    instance.pump(peer);
  }

  /** The oldest `units` writes of a member are durable. */
  confirm(member: Member, units: number): void {
    this.record?.({ kind: "confirm", member: member.id, units });
    this.note("confirm", member.id, units);
    member.disk.confirm(units, (op) => this.#durable(member, op));
    member.live?.release();
  }

  /** Power off: the oldest `survive` unconfirmed writes stay; `mask` says who still gets their messages. */
  crash(member: Member, survive: number, mask: number): void {
    if (member.live === undefined) return;
    this.note("crash", member.id, survive, mask);
    this.record?.({ kind: "crash", member: member.id, survive, mask });
    this.count("crash");
    this.#powerOff(member, survive, mask);
  }

  /** A member and all that it has stored are gone. Its next instance begins with nothing, on another storage. */
  wipe(member: Member): void {
    this.count("storage lost");
    member.zombie?.end();
    this.#powerOff(member, 0, 0);
    member.disk.wipe(this.checks.memberships.governing.config);
    member.storageId = `${member.storageId}+`;
    this.checks.wiped(member.id);
  }

  #powerOff(member: Member, survive: number, mask: number): void {
    const { live } = member;
    if (live === undefined) return;
    const through = member.disk.settled + survive;
    this.#settle(member, survive);
    live.die(through, mask);
  }

  /** The instance is replaced. It goes on running if none of its writes was lost. */
  replace(member: Member): void {
    const { live } = member;
    if (live === undefined) return;
    this.note("replace", member.id);
    this.record?.({ kind: "replace", member: member.id });
    this.count("replace");
    const { disk } = member;
    member.zombie?.end();
    disk.confirm(disk.pending, (op) => this.#durable(member, op));
    live.release();
    if (live.isAlive) {
      member.zombie = live;
      member.live = undefined;
    }
    this.boot(member);
  }

  endZombie(instance: Instance): void {
    if (instance.member.zombie !== instance) return;
    this.record?.({ kind: "endZombie", member: instance.member.id });
    instance.end();
  }

  checkpoint(member: Member, keep: number, endsCut: boolean): void {
    this.note("checkpoint", member.id, keep);
    this.record?.({ kind: "checkpoint", member: member.id, keep, endsCut });
    member.live?.checkpoint(endsCut);
    if (keep >= 0) member.live?.compact(keep);
  }

  /** A client's request reaches a member; a zombie can only be asked by itself. */
  arrive(op: Op, instance: Instance | undefined): void {
    if (op.state !== "open") return;
    this.note("ask", op.client, op.id, instance?.member.id ?? 0);
    this.record?.({ kind: "ask", client: op.client, zombie: instance?.isLive === false });
    let taken = false;
    if (instance?.isAlive === true) {
      if (op.kind === "look") taken = instance.look(op, this.clients.get(op.client).floor);
      else if (op.kind === "read") taken = instance.ask(op, instance.isLive);
      else taken = instance.submit(op, this.clockOf(instance.member));
    }
    if (!taken) this.timing.replyLeft(op, "nothing");
  }

  /** A feature makes something happen; false when there is no such feature in this run, or nothing to do. */
  act(name: string, args: readonly number[]): boolean {
    const run = this.features.get(name);
    if (run === undefined) return false;
    this.note(name, ...args.slice(0, 4));
    this.record?.({ kind: "act", feature: name, args });
    return run.act(args);
  }

  /** A client begins an operation. */
  invoke(client: number, wish: Wish, member: ServerId): Op {
    this.record?.({ kind: "invoke", client, wish, member });
    return this.clients.invoke(this.clients.get(client), wish, member, this.timing.now);
  }

  /** A client hears what came of its operation. */
  told(op: Op, reply: Reply | "nothing" | "lost"): void {
    if (op.state !== "open") return;
    this.record?.({ kind: "reply", client: op.client });
    if (reply === "nothing") this.clients.refused(op);
    else if (reply === "lost") this.clients.forgotten(op);
    else this.clients.completed(op, reply, this.timing.now);
  }

  /** A client stops waiting. */
  gaveUp(op: Op): void {
    if (op.state !== "open") return;
    this.record?.({ kind: "giveUp", client: op.client });
    this.clients.forgotten(op);
  }

  // What instances say.

  request(call: Call): void {
    if (!call.from.isAlive) return;
    this.timing.requestLeft(call);
  }

  answer(call: Call, by: Instance, parcel: Parcel): void {
    this.timing.answerLeft(call, by, parcel);
  }

  cooling(instance: Instance, peer: ServerId): void {
    this.timing.cooling(instance, peer);
  }

  unitWritten(member: Member): void {
    this.timing.unitWritten(member);
  }

  stepped(instance: Instance, event: PeerEvent, duties: Duties): void {
    this.steps++;
    const { id } = instance.member;
    const what = event.kind === "received" ? event.packet.kind : event.kind;
    this.note("step", id, what.length, duties.store.length, duties.send.length);
    if (this.log !== undefined) this.#describe(instance, event, duties);
    if (event.kind === "received") {
      this.count(`packet ${what}`);
      this.timing.reached(what, instance.member);
    }
    for (const op of duties.store) {
      this.count(`store ${op.kind}`);
      this.timing.reached(`store:${op.kind}`, instance.member);
    }
    for (const { to, packet } of duties.send) this.note("send", to, packet.kind.length);
    for (const run of this.features.values()) run.stepped?.(instance, event, duties);
    if (duties.deliver !== undefined)
      this.note("deliver", duties.deliver.through.epoch, duties.deliver.through.counter);
  }

  serves(instance: Instance, serving: Serving): void {
    this.count(`serving ${serving.kind}`);
    this.log?.(`      ${instance.member.id} serves ${serving.kind}`);
  }

  reply(op: Op, reply: Reply): void {
    this.note("reply", op.id, reply.zxid.epoch, reply.zxid.counter);
    this.timing.replyLeft(op, reply);
  }

  refuse(op: Op): void {
    this.timing.replyLeft(op, "nothing");
  }

  lost(op: Op): void {
    this.timing.replyLeft(op, "lost");
  }

  halted(instance: Instance, reason: string): void {
    this.log?.(`      ${instance.member.id} halts: ${reason}`);
    if (!this.toleratesHalts) violate("halt", `${instance.member.id}: ${reason}`);
    instance.end();
  }

  delivered(member: Member, entry: Entry, hashes: readonly number[]): void {
    this.checks.delivered(member.id, entry, hashes);
    for (const run of this.features.values()) run.delivered?.(member, entry);
  }

  fenced(instance: Instance): void {
    this.count("fenced");
    this.log?.(`      zombie of ${instance.member.id} is fenced`);
  }

  note(what: string, a = 0, b = 0, c = 0, d = 0): void {
    this.hash = mix(this.hash ^ what.length ^ (what.charCodeAt(0) << 8), mix(a, b, c), d);
    if (this.log !== undefined && what !== "send" && what !== "step") {
      this.log(`${String(this.timing.now).padStart(7)} ${what} ${a} ${b} ${c} ${d}`);
    }
  }

  #durable(member: Member, op: DiskOp): void {
    this.checks.durable(member.id, op);
    for (const run of this.features.values()) run.durable?.(member, op);
  }

  #settle(member: Member, survive: number): void {
    const { id, disk } = member;
    const kept = (op: DiskOp): void => this.#durable(member, op);
    disk.crash(survive, kept, (op) => {
      if (op.kind === "append") this.checks.appendLost(id, op);
      if (op.kind === "promises") this.checks.promisesLost(id, op.promises);
    });
    this.checks.commitsAreSafe();
  }

  #describe(instance: Instance, event: PeerEvent, duties: Duties): void {
    const { member, isLive, incarnation } = instance;
    const from = event.kind === "received" ? ` from ${event.from}` : "";
    const body =
      event.kind === "received" ? compact(event.packet) : event.kind === "ticked" ? "tick" : compact(event);
    const idle = duties.store.length + duties.send.length === 0 && duties.deliver === undefined;
    if (event.kind === "ticked" && idle) return;
    this.log?.(`   ${member.id}${isLive ? "" : "z"}#${incarnation}${from}: ${body}`);
    for (const op of duties.store) this.log?.(`      store ${compact(op)}`);
    for (const { to, packet } of duties.send) this.log?.(`      send ${to}: ${compact(packet)}`);
    if (duties.deliver !== undefined) this.log?.(`      deliver ${compact(duties.deliver)}`);
    if (duties.reloaded !== undefined) this.log?.(`      reloaded ${compact(duties.reloaded)}`);
    for (const read of duties.confirmed) this.log?.(`      confirmed ${compact(read)}`);
    for (const id of duties.rejected) this.log?.(`      rejected ${id}`);
  }
}

function nameOf({ from, to, number }: Call): {
  readonly from: ServerId;
  readonly zombie: boolean;
  readonly to: ServerId;
  readonly number: number;
} {
  return { from: from.member.id, zombie: !from.isLive, to, number };
}

function describe({ bytes, sent }: Parcel): string {
  return `${bytes.length} bytes: ${sent.map((packet) => packet.kind).join(" ")}`;
}

/** One line of a packet or write; payloads as their number of bytes, zxids as (epoch,counter). */
function compact(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length}B`;
  if (Array.isArray(value)) return `[${value.map(compact).join(" ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const entries = Object.entries(value);
  if (entries.length === 2 && "epoch" in value && "counter" in value)
    return `(${value.epoch},${value.counter})`;
  return `{${entries.map(([key, part]) => (key === "kind" ? String(part) : `${key}=${compact(part)}`)).join(" ")}}`;
}
