/**
 * Runs a conversation: commands in, packets and state out.
 *
 * Real peers and real links; a call is a request and its answer, and each of them can be held, lost,
 * copied or cut off. A write is durable when it is made. Nothing happens between two commands, and no
 * time passes but by `tick`. The checkers of `ghost.ts` watch every step.
 *
 * Commands (members by number, `*` for all that run):
 *
 * - `ensemble voters=(1,2,3) [observers=(4)] [outsiders=(5)] [option=number ...]`. Outsiders run, and are no
 *   members. `storage 3 x`: its storage is another one from its next start on. `wipe 3`: so, and nothing is in it.
 * - `boot 1 2`, `crash 2`, `restart 2`: lifecycle. Memory goes, storage stays.
 * - `elect 1`: everybody who runs decides for 1, and all that follows. `lead 1`, `follow 2->1`: one decision.
 * - `reconfig 1 v1 v2 o4`: 1 proposes this membership, or says why not. `reconfig! 1 ...`: without asking.
 * - `propose 1 a b`, `read 1 [stale]`, `active 2`: work, and clients that ask for nothing of Zab. A stale read
 *   arrives in a continuation.
 * - `forward 2 text`, `answer 1->2 text [0x100000001]`: a learner's shell asks, the leader's says something in
 *   the session it last heard of, with the learner's clients waiting for that zxid.
 * - `settle`: until nothing moves. `tick 5`, `tick 1 2 5`: time passes for all, or for some, and settles.
 * - `cut 1-2`, `cut 1->2`, `cut 3`, `heal`: paths. `linkdown 1->2`: 1 gives up its link to 2.
 * - `hold 1->2 [kind]`, `release`, `drop`: parks carriers (with a packet of that kind), lets them go, loses them.
 *   Instead of the kind alone: how the packet's line begins, as in `hold 1->2 snapPage 3`.
 * - `lose 1->2 [kind]`: the next such carrier is lost. `copy 1->2 [kind]`, `replay`: it arrives again, late.
 * - `fail 2 promises`: the next step of 2 that stores such a thing fails to: the member dies with nothing
 *   stored and nothing sent. `die 2 promises`: it stores it, and dies before anything leaves.
 * - `hang 1`, `unhang 1`: storage confirms nothing, so the output gate lets nothing out; a crash loses it all.
 * - `checkpoint 1 2`, `compact 1 0x100000003`, `closecut 1`: storage.
 * - `show all`, `show few`: whether votes, pings and pacing are printed. `state`, `log 1`.
 *
 * @module
 */

import {
  assert,
  formatZxid,
  makeServerId,
  parseZxid,
  type ServerId,
  ZERO_ZXID,
} from "../../src/base/index.ts";
import {
  type Carrier,
  type Config,
  createLink,
  createPeer,
  type Duties,
  enqueue,
  giveUp,
  type LearnerSession,
  type Link,
  type LinkReceived,
  memberOf,
  type Packet,
  type Peer,
  type PeerEvent,
  type PeerOptions,
  receiveRequest,
  receiveResponse,
  refuseReconfig,
  requestFailed,
  type StoreOp,
  statusOf,
  step,
  takeRequest,
  takeResponse,
  wantsCall,
} from "../../src/zab/index.ts";
import { type Applied, Disk, Reader } from "./disk.ts";
import { Ghost } from "./ghost.ts";
import { configOf, encodeMembership, parseMembership } from "./memberships.ts";
import { isQuietKind, printPacket } from "./print.ts";

/**
 * How far a step gets before its member dies: the three outcomes there are, the last one in two forms.
 * `nothing`: the write failed. `stored`: written, nothing sent. `half`: written, and what goes to one peer
 * has left. `sent`: all of it has left.
 */
export type StepEnd = "nothing" | "stored" | "half" | "sent";

/** Writes that storage does not confirm, and what waits behind them. */
interface Gate {
  readonly durable: Disk;
  readonly unconfirmed: StoreOp[];
  readonly waiting: { readonly call: Call; readonly deliver: () => void }[];
}

interface Running {
  readonly peer: Peer;
  readonly reader: Reader;
  readonly links: Map<ServerId, Link>;
  /** Ticks in a row in which calls to a peer failed. */
  readonly failing: Map<ServerId, number>;
  readonly reads: Map<number, number>;
}

interface Member {
  readonly id: ServerId;
  disk: Disk;
  live: Applied;
  incarnation: number;
  running: Running | undefined;
  storageId: string | undefined;
  /** While its storage hangs. */
  gate: Gate | undefined;
  printed: string;
}

interface Call {
  readonly from: ServerId;
  readonly to: ServerId;
  readonly caller: Running;
  readonly request: Carrier;
  response: Carrier | undefined;
}

interface Rule {
  readonly what: "hold" | "lose" | "copy";
  readonly from: number;
  readonly to: number;
  readonly kind: string | undefined;
}

/** Calls of a link that fail for so many ticks make it give up. */
const linkTimeoutTicks = 8;

interface Stop {
  readonly id: ServerId;
  readonly op: string;
  readonly end: StepEnd;
}

const defaults: Omit<PeerOptions, "id" | "incarnation"> & { readonly storageIds?: number } = {
  initLimitTicks: 20,
  syncLimitTicks: 10,
  pingEveryTicks: 2,
  finalizeWaitTicks: 2,
  notifyEveryTicksMin: 2,
  notifyEveryTicksMax: 16,
  inFlightBytesMax: 64,
  packetBytesMax: 16,
  counterMax: 2 ** 32 - 2,
};

export class Script {
  #options = { ...defaults };
  #pages = 1;
  #config: Config = { version: ZERO_ZXID, members: [] };
  #members: Member[] = [];
  #ghost = new Ghost([]);
  #calls: Call[] = [];
  #rules: Rule[] = [];
  #parked: (() => void)[] = [];
  #copies: { readonly to: ServerId; readonly carrier: Carrier }[] = [];
  #cuts = new Set<string>();
  #showAll = false;
  #reads = 0;
  /** In which session the left of `1->2` last heard of the right's clients. */
  readonly #heard = new Map<string, LearnerSession>();
  #stops: Stop[] = [];
  #owing = 0;
  #interrupt: { readonly step: number; readonly end: StepEnd } | undefined;
  #lines: string[] = [];

  /** Runs one command and returns what it printed. */
  run(command: string): string[] {
    this.#lines = [];
    const [name = "", ...args] = command.split(/\s+/);
    this.#command(name, args);
    return this.#lines;
  }

  /** Steps so far that had something to store or to send. */
  get steps(): number {
    return this.#owing;
  }

  /** Whoever takes that step (the first is 1) gets so far with it, and dies. */
  interruptAt(step: number, end: StepEnd): void {
    this.#interrupt = { step, end };
  }

  /** What has changed since it was last printed. */
  changes(): string[] {
    const lines: string[] = [];
    for (const member of this.#members) {
      const line = this.#stateLine(member);
      if (line !== member.printed) lines.push(line);
      member.printed = line;
    }
    return lines;
  }

  #command(name: string, args: readonly string[]): void {
    const [first = "", second = ""] = args;
    switch (name) {
      case "ensemble":
        return this.#ensemble(args);
      case "boot":
        for (const member of this.#pick(args)) if (member.running === undefined) this.#boot(member);
        return;
      case "crash":
        for (const member of this.#pick(args)) this.#crash(member);
        return;
      case "restart":
        for (const member of this.#pick(args)) {
          this.#crash(member);
          this.#boot(member);
        }
        return;
      case "fail":
      case "die":
        this.#stops.push({
          id: this.#member(first).id,
          op: second,
          end: name === "fail" ? "nothing" : "stored",
        });
        return;
      case "hang":
        return this.#hang(this.#member(first));
      case "unhang":
        return this.#unhang(this.#member(first));
      case "elect":
        return this.#elect(this.#member(first));
      case "lead":
        return this.#decide(this.#member(first), this.#member(first));
      case "follow": {
        const [from, to] = path(first);
        return this.#decide(this.#memberOf(from), this.#memberOf(to));
      }
      case "propose":
        return this.#feed(this.#member(first), { kind: "submitted", payloads: args.slice(1).map(encode) });
      case "reconfig":
      case "reconfig!":
        return this.#reconfig(this.#member(first), args.slice(1).join(" "), name === "reconfig");
      case "wipe":
        for (const member of this.#pick(args)) this.#wipe(member);
        return;
      case "storage":
        this.#member(first).storageId = second;
        return;
      case "read":
        return this.#read(this.#member(first), second !== "stale");
      case "forward":
        return this.#feed(this.#member(first), { kind: "forward", bytes: encode(second ?? ""), lazy: false });
      case "answer":
        return this.#answer(args);
      case "active":
        return this.#feed(this.#member(first), { kind: "active" });
      case "settle":
        return this.#settle();
      case "tick":
        return this.#tick(args);
      case "cut":
        return this.#cut(first);
      case "heal":
        this.#cuts.clear();
        return;
      case "linkdown":
        return this.#linkDown(first);
      case "hold":
      case "lose":
      case "copy": {
        const [from, to] = path(first);
        this.#rules.push({ what: name, from, to, kind: second === "" ? undefined : args.slice(1).join(" ") });
        return;
      }
      case "release":
        return this.#release();
      case "drop":
        this.#parked = [];
        this.#rules = this.#rules.filter((rule) => rule.what !== "hold");
        return;
      case "replay":
        for (const { to, carrier } of this.#copies.splice(0)) this.#receiveLate(this.#memberOf(to), carrier);
        return;
      case "checkpoint":
        for (const member of this.#pick(args)) this.#checkpoint(member);
        return;
      case "compact":
        return this.#compact(this.#member(first), second);
      case "closecut": {
        const { running } = this.#member(first);
        if (running !== undefined) running.reader.open = undefined;
        return;
      }
      case "show":
        this.#showAll = first === "all";
        return;
      case "state":
        for (const member of this.#members) this.#lines.push(this.#stateLine(member));
        return;
      case "log":
        this.#lines.push(this.#logLine(this.#member(first)));
        return;
      default:
        throw new Error(`unknown command: ${name}`);
    }
  }

  #ensemble(args: readonly string[]): void {
    const lists = new Map<string, ServerId[]>();
    for (const arg of args) {
      const [name = "", value = ""] = arg.split("=");
      if (value.startsWith("(")) lists.set(name, value.slice(1, -1).split(",").map(Number).map(makeServerId));
      else if (name === "pages") this.#pages = Number(value);
      else
        this.#options = {
          ...this.#options,
          [name]: value === "yes" || value === "no" ? value === "yes" : Number(value),
        };
    }
    const voters = lists.get("voters") ?? [];
    const observers = lists.get("observers") ?? [];
    const outsiders = lists.get("outsiders") ?? [];
    const withStorage = this.#options.storageIds === 1;
    const names = (id: ServerId) => (withStorage ? { storageId: `s${id}` } : {});
    const voter = voters.map((id) => ({ id, role: "voter" as const, ...names(id) }));
    const observer = observers.map((id) => ({ id, role: "observer" as const, ...names(id) }));
    this.#config = { version: ZERO_ZXID, members: [...voter, ...observer] };
    this.#ghost = new Ghost(voters);
    this.#members = [...voters, ...observers, ...outsiders].map((id) => {
      const disk = new Disk();
      const storageId = withStorage ? `s${id}` : undefined;
      const rest = { running: undefined, gate: undefined, printed: `${id} down`, storageId };
      return { id, disk, live: disk.applied, incarnation: 0, ...rest };
    });
  }

  #pick(args: readonly string[]): Member[] {
    return args.includes("*") ? this.#members : args.map((arg) => this.#member(arg));
  }

  #member(text: string): Member {
    return this.#memberOf(makeServerId(Number(text)));
  }

  #memberOf(id: number): Member {
    const member = this.#members.find((each) => each.id === id);
    assert(member !== undefined, `there is a member ${id}`);
    return member;
  }

  /** Everything stored is gone, and the first configuration is all it is told. Its storage is another one. */
  #wipe(member: Member): void {
    this.#crash(member);
    member.disk = new Disk();
    member.storageId = `${member.id} again`;
    this.#ghost.wiped(member.id);
  }

  /** What storage has not confirmed never was. */
  #crash(member: Member): void {
    member.running = undefined;
    const { gate } = member;
    if (gate === undefined) return;
    member.gate = undefined;
    member.disk = gate.durable;
    this.#ghost.lost(member.id, gate.unconfirmed);
    for (const { call } of gate.waiting) this.#fail(call);
  }

  #hang(member: Member): void {
    member.gate ??= { durable: member.disk.clone(), unconfirmed: [], waiting: [] };
  }

  #unhang(member: Member): void {
    const { gate } = member;
    if (gate === undefined) return;
    member.gate = undefined;
    for (const op of gate.unconfirmed) {
      if (op.kind === "promises") this.#ghost.promised(member.id, op.promises);
    }
    for (const { call, deliver } of gate.waiting) {
      if (this.#cuts.has(`${member.id}->${call.from === member.id ? call.to : call.from}`)) this.#fail(call);
      else deliver();
    }
  }

  /** Whether this step is one that its member does not survive, and how far it gets. */
  #endOf(member: Member, duties: Duties): StepEnd | undefined {
    if (duties.store.length === 0 && duties.send.length === 0) return undefined;
    this.#owing += 1;
    if (this.#interrupt?.step === this.#owing) return this.#interrupt.end;
    const stop = this.#stops.find(
      ({ id, op }) => id === member.id && duties.store.some(({ kind }) => kind === op),
    );
    if (stop === undefined) return undefined;
    this.#stops = this.#stops.filter((each) => each !== stop);
    const what = stop.end === "nothing" ? "cannot store" : "dies having stored";
    this.#lines.push(`${member.id} ${what}: ${duties.store.map(({ kind }) => kind).join(" ")}`);
    return stop.end;
  }

  #boot(member: Member): void {
    member.incarnation += 1;
    member.live = member.disk.applied;
    const { id, incarnation, storageId } = member;
    const reader = new Reader(
      () => member.disk,
      () => member.live,
      this.#pages,
    );
    const options = { ...this.#options, id, incarnation, storageId, configOf };
    const peer = createPeer(member.disk.durable(this.#config), options, reader);
    const links = new Map(
      this.#members
        .filter((other) => other !== member)
        .map((other) => [other.id, createLink({ self: id, peer: other.id, incarnation })]),
    );
    member.running = { peer, reader, links, failing: new Map(), reads: new Map() };
    this.#ghost.stands(id, member.live);
    this.#feed(member, { kind: "booted" });
  }

  /** Steps a peer and carries out its duties. */
  #feed(member: Member, event: PeerEvent): void {
    const { running } = member;
    if (running === undefined) return;
    const before = statusOf(running.peer);
    const duties = step(running.peer, event);
    if (duties.halt !== undefined) {
      this.#lines.push(`${member.id} halts: ${duties.halt}`);
      member.running = undefined;
      return;
    }
    const end = this.#endOf(member, duties);
    if (end === "nothing") return this.#crash(member);
    this.#ghost.storing(
      member.id,
      member.disk,
      duties.store,
      before.serving.kind === "leading" ? before.epoch : 0,
    );
    for (const op of duties.store) {
      member.disk.write({ kind: "step", ops: [op] });
      member.gate?.unconfirmed.push(op);
      if (op.kind === "promises" && member.gate === undefined) this.#ghost.promised(member.id, op.promises);
      if (op.kind === "fence") this.#lines.push(`${member.id} writes a fence`);
    }
    this.#ghost.keeps(member.id, member.disk);
    if (end === "stored") return this.#crash(member);
    if (duties.serving?.kind === "leading") {
      this.#ghost.established(member.id, duties.serving.epoch, member.disk);
    }
    const only = end === "half" ? duties.send[0]?.to : undefined;
    for (const { to, packet, lazy } of duties.send) {
      if (only !== undefined && to !== only) continue;
      const link = running.links.get(to);
      const loss = link === undefined ? undefined : enqueue(link, packet, lazy);
      assert(loss === undefined, "queues of a script are short");
    }
    if (end !== undefined) {
      this.#startCalls();
      return this.#crash(member);
    }
    this.#deliver(member, running, duties);
    this.#ghost.durable(this.#durables());
  }

  #durables(): ReadonlyMap<ServerId, Disk> {
    return new Map(this.#members.map((each) => [each.id, each.gate?.durable ?? each.disk]));
  }

  #deliver(member: Member, running: Running, duties: Duties): void {
    if (duties.reloaded !== undefined) {
      member.live = { zxid: duties.reloaded, hash: member.disk.hashAt(duties.reloaded) ?? 0 };
      this.#ghost.stands(member.id, member.live);
    }
    if (duties.deliver !== undefined) {
      const { disk } = member;
      const { after, through } = duties.deliver;
      const entries = disk.log.slice(disk.indexAfter(after), disk.indexAfter(through));
      for (const { zxid, hash } of entries) {
        member.live = this.#ghost.deliver(member.id, member.live, { zxid, hash });
      }
    }
    for (const { id, index } of duties.confirmed) {
      this.#ghost.confirmed(member.id, index, running.reads.get(id) ?? 0);
      this.#lines.push(`${member.id} confirms read ${id} at ${formatZxid(index)}`);
    }
    for (const id of duties.rejected) this.#lines.push(`${member.id} rejects read ${id}`);
    const { forwarded, answered } = duties;
    if (forwarded !== undefined) {
      const { from, session, bytes, fresh } = forwarded;
      this.#heard.set(`${member.id}->${from}`, session);
      this.#lines.push(`${member.id} is asked "${decode(bytes)}" by ${from}${fresh ? "" : ", not fresh"}`);
    }
    if (answered !== undefined) this.#lines.push(`${member.id} is told "${decode(answered)}"`);
  }

  #elect(leader: Member): void {
    for (const member of this.#members) this.#decide(member, leader);
    this.#settle();
  }

  /** Forges the votes that make a member that looks decide. */
  #decide(member: Member, leader: Member): void {
    const voters = this.#config.members.filter(({ role }) => role === "voter");
    for (const { id: from } of voters) {
      if (member.running === undefined || from === member.id) continue;
      const { role, round, lastLogged, promises } = statusOf(member.running.peer);
      if (role !== "looking") break;
      const high = { lastZxid: { epoch: 2 ** 30, counter: 1 }, currentEpoch: 2 ** 30 };
      const own = { lastZxid: lastLogged, currentEpoch: promises.currentEpoch };
      const vote = { leader: leader.id, ...(member === leader ? own : high) };
      const state = "looking";
      const packet = { kind: "notify", state, round, vote, confirmed: false, wantsAnswer: false } as const;
      this.#feed(member, { kind: "received", from, packet, fresh: true });
    }
  }

  #reconfig(member: Member, text: string, asks: boolean): void {
    const { running } = member;
    if (running === undefined) return;
    const membership = parseMembership(text);
    const refusal = asks ? refuseReconfig(running.peer, membership) : undefined;
    if (refusal !== undefined) this.#lines.push(`${member.id} refuses to reconfigure: ${refusal}`);
    else this.#feed(member, { kind: "submitted", payloads: [encodeMembership(membership)] });
  }

  #read(member: Member, fresh: boolean): void {
    this.#reads += 1;
    member.running?.reads.set(this.#reads, this.#ghost.frontier);
    this.#feed(member, { kind: "readIndex", id: this.#reads, fresh });
  }

  #answer([ends = "", text = "", awaited = ""]: readonly string[]): void {
    const [from, to] = path(ends);
    const session = this.#heard.get(ends);
    assert(session !== undefined, "the leader has heard of that learner's clients");
    this.#feed(this.#memberOf(from), {
      kind: "answer",
      to: makeServerId(to),
      session,
      bytes: encode(text),
      awaited: parseZxid(awaited) ?? ZERO_ZXID,
    });
  }

  #tick(args: readonly string[]): void {
    const members = args.length > 1 ? this.#pick(args.slice(0, -1)) : this.#members;
    for (let n = Number(args.at(-1)); n > 0; n--) {
      for (const member of members) {
        this.#giveUpLinks(member);
        this.#feed(member, { kind: "ticked" });
      }
      this.#settle();
    }
  }

  /** A link whose calls keep failing is given up. Failed calls are tried again once a tick. */
  #giveUpLinks(member: Member): void {
    const { running } = member;
    for (const [peer, ticks] of running?.failing ?? []) {
      const link = running?.links.get(peer);
      if (ticks < linkTimeoutTicks || link === undefined) continue;
      running?.failing.delete(peer);
      this.#feed(member, { kind: "linkDown", peer, reason: giveUp(link) });
    }
    running?.failing.forEach((ticks, peer) => {
      running.failing.set(peer, ticks);
    });
    this.#tried.clear();
  }

  /** Links that have failed since the last tick. */
  readonly #tried = new Set<Link>();

  #settle(): void {
    for (let moves = 0; ; moves++) {
      assert(moves < 20_000, "a script comes to rest");
      this.#startCalls();
      const call = this.#calls.shift();
      if (call === undefined) return;
      if (call.response === undefined) this.#carryRequest(call);
      else this.#carryResponse(call, call.response);
    }
  }

  #startCalls(): void {
    for (const wanted of ["now", "soon"] as const) {
      for (const { id, running } of this.#members) {
        for (const [to, link] of running?.links ?? []) {
          if (running === undefined || this.#tried.has(link) || wantsCall(link) !== wanted) continue;
          const request = takeRequest(link);
          if (request === undefined) continue;
          this.#calls.push({ from: id, to, caller: running, request, response: undefined });
        }
      }
      if (this.#calls.length > 0) return;
    }
  }

  #carryRequest(call: Call): void {
    const deliver = (): void => {
      const callee = this.#memberOf(call.to);
      if (callee.running === undefined) return this.#fail(call);
      const link = callee.running.links.get(call.from);
      assert(link !== undefined, "there is a link between any two members");
      this.#takeIn(callee, call.from, receiveRequest(link, call.request), true);
      if (callee.running === undefined) return this.#fail(call);
      this.#calls.push({ ...call, response: takeResponse(link) });
    };
    this.#carry(call, call.request, deliver);
  }

  #carryResponse(call: Call, response: Carrier): void {
    const deliver = (): void => {
      const caller = this.#memberOf(call.from);
      const link = call.caller.links.get(call.to);
      if (caller.running !== call.caller || link === undefined) return;
      call.caller.failing.delete(call.to);
      this.#takeIn(caller, call.to, receiveResponse(link, response), false);
    };
    this.#carry(call, response, deliver);
  }

  #carry(call: Call, carrier: Carrier, deliver: () => void): void {
    if (this.#cuts.has(`${carrier.from}->${carrier.to}`)) return this.#fail(call);
    const { gate } = this.#memberOf(carrier.from);
    if (gate !== undefined) {
      gate.waiting.push({ call, deliver });
      return;
    }
    const rule = this.#rules.find(
      ({ from, to, kind }) =>
        from === carrier.from &&
        to === carrier.to &&
        (kind === undefined || carrier.packets.some((packet) => beginsWith(printPacket(packet), kind))),
    );
    if (rule === undefined) return deliver();
    if (rule.what !== "hold") this.#rules = this.#rules.filter((each) => each !== rule);
    switch (rule.what) {
      case "hold":
        this.#lines.push(`held ${carrier.from}->${carrier.to} ${kinds(carrier)}`);
        this.#parked.push(deliver);
        return;
      case "lose":
        this.#lines.push(`lost ${carrier.from}->${carrier.to} ${kinds(carrier)}`);
        return this.#fail(call);
      case "copy":
        this.#copies.push({ to: carrier.to, carrier });
        return deliver();
    }
  }

  #fail(call: Call): void {
    const link = call.caller.links.get(call.to);
    if (link === undefined) return;
    requestFailed(link);
    this.#tried.add(link);
    call.caller.failing.set(call.to, (call.caller.failing.get(call.to) ?? 0) + 1);
  }

  #takeIn(member: Member, from: ServerId, { packets, linkDown }: LinkReceived, fresh: boolean): void {
    if (linkDown !== undefined) {
      this.#lines.push(`${member.id} loses its link to ${from}: ${linkDown}`);
      this.#feed(member, { kind: "linkDown", peer: from, reason: linkDown });
    }
    for (const packet of packets) this.#receive(member, from, packet, fresh);
  }

  #receive(member: Member, from: ServerId, packet: Packet, fresh: boolean): void {
    if (member.running === undefined) return;
    if (this.#showAll || !isQuietKind(packet))
      this.#lines.push(`${from}->${member.id} ${printPacket(packet)}`);
    this.#feed(member, { kind: "received", from, packet, fresh });
  }

  #receiveLate(member: Member, carrier: Carrier): void {
    const link = member.running?.links.get(carrier.from);
    if (link === undefined) return;
    const received = receiveRequest(link, carrier);
    const { status } = takeResponse(link);
    this.#lines.push(
      `late ${carrier.from}->${carrier.to} ${kinds(carrier)}: ${status}, ${received.packets.length} taken`,
    );
    this.#takeIn(member, carrier.from, received, true);
  }

  #cut(what: string): void {
    if (what.includes("->")) this.#cuts.add(what);
    else if (what.includes("-")) {
      const [a, b] = what.split("-");
      this.#cuts.add(`${a}->${b}`).add(`${b}->${a}`);
    } else {
      for (const { id } of this.#members) this.#cuts.add(`${what}->${id}`).add(`${id}->${what}`);
    }
  }

  #linkDown(what: string): void {
    const [from, to] = path(what);
    const member = this.#memberOf(from);
    const link = member.running?.links.get(makeServerId(to));
    if (link !== undefined)
      this.#feed(member, { kind: "linkDown", peer: makeServerId(to), reason: giveUp(link) });
  }

  #release(): void {
    this.#rules = this.#rules.filter((rule) => rule.what !== "hold");
    for (const deliver of this.#parked.splice(0)) deliver();
    this.#settle();
  }

  #checkpoint(member: Member): void {
    member.disk.write({ kind: "checkpoint", applied: member.live });
    this.#feed(member, { kind: "checkpointed", applied: member.live.zxid });
  }

  #compact(member: Member, text: string): void {
    const base = parseZxid(text);
    assert(base !== undefined, `a zxid: ${text}`);
    member.disk.write({ kind: "compact", base });
    this.#feed(member, { kind: "compacted", base });
  }

  #stateLine({ id, running }: Member): string {
    if (running === undefined) return `${id} down`;
    const status = statusOf(running.peer);
    const { role, phase, leader, promises, lastLogged, lastCommitted, serving, asleep } = status;
    const { config, pending } = status;
    const { acceptedEpoch, currentEpoch } = promises;
    const whom = role === "following" || role === "observing" ? ` ${leader}` : "";
    const zxids = `last=${formatZxid(lastLogged)} committed=${formatZxid(lastCommitted)}`;
    const epochs = `accepted=${acceptedEpoch} current=${currentEpoch}`;
    const isFirst = config.version.counter === 0;
    const configs = `${isFirst ? "" : ` config=${who(config)}`}${pending === undefined ? "" : ` pending=${who(pending)}`}`;
    return `${id} ${role}${whom} ${phase} ${epochs} ${zxids}${configs}${serving.kind === "none" ? "" : " serving"}${asleep ? ", asleep" : ""}`;
  }

  #logLine({ id, disk }: Member): string {
    const entries = disk.log.map(({ zxid, payload }) => `${formatZxid(zxid)}=${decode(payload)}`);
    return [`${id} log`, `base=${formatZxid(disk.base.zxid)}`, ...entries].join(" ");
  }

  /** Ends all faults: says whether everybody ends up serving one leader with one history. */
  recovers(): boolean {
    this.#cuts.clear();
    this.#rules = [];
    this.#stops = [];
    for (const member of this.#members) this.#unhang(member);
    this.#release();
    this.#copies = [];
    for (const member of this.#members) if (member.running === undefined) this.#boot(member);
    for (let tick = 0; tick < 20 * (this.#options.initLimitTicks + this.#options.syncLimitTicks); tick++) {
      this.#tick(["1"]);
      const states = this.#members.map(({ running }) => running && statusOf(running.peer));
      const leader = states.find((state) => state?.serving.kind === "leading");
      if (leader === undefined) continue;
      // Who is no member any more may know it or not.
      const isWell = this.#members.every(({ id }, i) => {
        if (memberOf(leader.config, id) === undefined) return true;
        const state = states[i];
        return (
          state?.leader === leader.leader &&
          state.serving.kind !== "none" &&
          formatZxid(state.lastCommitted) === formatZxid(leader.lastLogged)
        );
      });
      if (isWell) return true;
    }
    return false;
  }
}

/** Voters, then observers: `1,2+4`. */
function who({ members }: Config): string {
  const ids = (wanted: string) => members.filter(({ role }) => role === wanted).map(({ id }) => id);
  const observers = ids("observer");
  return `${ids("voter").join(",")}${observers.length === 0 ? "" : `+${observers.join(",")}`}`;
}

function path(text: string): [number, number] {
  const [from = 0, to = 0] = text.split("->").map(Number);
  return [from, to];
}

/** Word by word: `ack` begins no `ackEpoch`. */
function beginsWith(line: string, words: string): boolean {
  return `${line} `.startsWith(`${words} `);
}

function kinds({ packets }: Carrier): string {
  return packets.length === 0 ? "nothing" : packets.map(({ kind }) => kind).join(" ");
}

function encode(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function decode(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
