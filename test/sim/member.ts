/**
 * A member as the platform runs it: one storage, and instances that come and go on it.
 *
 * One event is one turn: some `step`s, their writes, their messages, no interruption. With the gate,
 * messages of a turn wait for every write before them; memory moves on at once. Without it (a holding
 * shell) the duties themselves wait. Nothing here decides anything about Zab.
 *
 * A replaced instance becomes a zombie: its timers fire and its own calls return, and the first access to
 * storage ends it.
 *
 * @module
 */

import {
  type AuthId,
  compareZxid,
  equalZxid,
  type ServerId,
  type Txn,
  ZERO_ZXID,
  type Znode,
  type Zxid,
} from "../../src/base/index.ts";
import { decodeTxn, encodeTxn, membershipOf } from "../../src/jute/index.ts";
import {
  type Applied,
  type Checkpoint,
  type EnsembleView,
  type MemoryRows,
  Tree,
  type TreeRows,
} from "../../src/tree/index.ts";
import {
  attachedStorageOf,
  type Batch,
  type Carrier,
  createLink,
  createPeer,
  type Duties,
  enqueue,
  type Forwarded,
  giveUp,
  type HistoryReader,
  type LearnerSession,
  type Link,
  type LinkReceived,
  type Membership,
  type Packet,
  type Peer,
  type PeerEvent,
  type PeerStatus,
  receiveRequest,
  receiveResponse,
  refuseReconfig,
  remind,
  requestFailed,
  type Serving,
  statusOf,
  step,
  takeRequest,
  takeResponse,
  wantsCall,
} from "../../src/zab/index.ts";
import { hashZnode, initialDigest, touchedBy } from "./checks/reference.ts";
import type { Op } from "./clients.ts";
import type { Disk, DiskOp, Entry, Image } from "./disk.ts";
import { pagesOf, znodesOf } from "./pages.ts";
import { Violation, violate } from "./violation.ts";
import { type Parcel, seal, unseal, WireVersion } from "./wire.ts";
import type { Call, World } from "./world.ts";

/** What travelled in an answer that was lost is offered again after so long. */
const remindTicks = 4;

/** Thrown by the storage of an instance that is not the live one. */
class Fenced extends Error {}

/** Receiver of what only the checkers hear: it happened if its writes survived. */
const ghost = -1;

interface Held {
  /** Number of the last write before it. */
  readonly after: number;
  /** The peer it goes to; 0: a client; `ghost`: only the checkers. */
  readonly to: number;
  run(): void;
}

interface Cut {
  readonly id: number;
  readonly image: Image;
  readonly pages: readonly Uint8Array[];
  holders: number;
}

interface LinkEnd {
  readonly peer: ServerId;
  readonly link: Link;
  call: Call | undefined;
  /** Calls made so far. */
  calls: number;
  /** After a failure: not before somebody pumps. */
  isCooling: boolean;
  failures: number;
  /** Packets in the order they were queued, and the last one that came of whom: for the checkers. */
  readonly queued: WeakMap<Packet, number>;
  queuedCount: number;
  heard: Instance | undefined;
  heardIndex: number;
  isRestartTold: boolean;
  /** The learner session this end attached with, or its peer did. */
  attachedAs: LearnerSession | undefined;
  attachedBy: LearnerSession | undefined;
}

export class Member {
  readonly id: ServerId;
  readonly disk: Disk;
  /** Identity of what is on the disk; `undefined` where storages have none. */
  storageId: string | undefined;
  live: Instance | undefined;
  zombie: Instance | undefined;
  /** Its clock against the world's. */
  clockOffsetMs = 0;
  /** What the next instance runs. */
  nextVersion: WireVersion = WireVersion.Ours;

  constructor(id: ServerId, disk: Disk, storageId: string | undefined) {
    this.id = id;
    this.disk = disk;
    this.storageId = storageId;
  }
}

export class Instance implements HistoryReader, TreeRows {
  readonly member: Member;
  readonly incarnation: number;
  readonly version: WireVersion;
  readonly world: World;
  readonly tree: Tree;
  readonly peer: Peer;
  readonly links = new Map<ServerId, LinkEnd>();
  isAlive = true;
  serving: Serving = { kind: "none" };
  #servesNext: Serving = this.serving;
  /** Own writes by cxid, own reads by id. */
  readonly writes = new Map<number, Op>();
  readonly reads = new Map<number, Op>();
  #confirmed: { readonly op: Op; readonly index: Zxid }[] = [];
  #gate: Held[] = [];
  #cut: Cut | undefined;
  #lastCut = 0;
  #nextRead = 1;
  /** The rows the tree stands on: those of the disk, except while a reload is held back. */
  #image: Image;
  #ticks = 0;
  #wantsTicks = true;
  #inTurn = false;
  #wrote = false;
  readonly #dirty = new Set<LinkEnd>();
  readonly #overflows: PeerEvent[] = [];
  /** Packets as read, to the packets as queued. */
  readonly #origins = new WeakMap<Packet, Packet>();

  constructor(world: World, member: Member) {
    this.world = world;
    this.member = member;
    const { disk, id } = member;
    member.live = this;
    this.incarnation = disk.incarnation + 1;
    this.version = member.nextVersion;
    this.#image = disk.image;
    this.tree = new Tree(this, { cacheBytesMax: 1 << 20, reconfig: true });
    world.checks.started(id, this.tree.applied, digestOf(disk.image));
    // Also to those that are members no more, or not yet: they ask who is one, and are told.
    for (const { id: peer } of world.members) {
      if (peer === id) continue;
      const link = createLink({ self: id, peer, incarnation: this.incarnation });
      this.links.set(peer, {
        peer,
        link,
        call: undefined,
        calls: 0,
        isCooling: false,
        failures: 0,
        queued: new WeakMap(),
        queuedCount: 0,
        heard: undefined,
        heardIndex: 0,
        isRestartTold: false,
        attachedAs: undefined,
        attachedBy: undefined,
      });
    }
    const { storageId } = member;
    const { incarnation } = this;
    const known = this.version === WireVersion.Older ? { resumes: false, idleTicks: undefined } : {};
    const options = { ...world.settings.peer, ...known, id, incarnation, storageId, configOf: membershipOf };
    this.peer = createPeer(disk.state(), options, this);
  }

  get isLive(): boolean {
    return this.member.live === this;
  }

  get status(): PeerStatus {
    return statusOf(this.peer);
  }

  boot(): void {
    this.#turn(() => {
      this.#write({ kind: "incarnation", value: this.incarnation });
      this.#step({ kind: "booted" });
    });
  }

  /** A client comes, and asks for nothing of Zab. */
  knock(): void {
    this.#turn(() => this.#step({ kind: "active" }));
  }

  tick(): void {
    // Asleep, the shell has no timer: nothing is repeated, and nobody is reminded.
    if (!this.#wantsTicks && ![...this.links.values()].some(({ call }) => call !== undefined)) return;
    this.#ticks++;
    this.#turn(() => {
      this.#step({ kind: "ticked" });
      for (const end of this.links.values()) {
        if (this.#ticks % remindTicks === 0) remind(end.link);
        this.#dirty.add(end);
      }
    }, true);
  }

  /** A request arrived: delivered in one turn, and what is to go back. False: it is refused. */
  handle(call: Call): boolean {
    const end = this.links.get(call.from.member.id);
    const carrier = unseal(call.parcel, this, this.#origins);
    if (end === undefined || carrier === undefined) return false;
    this.#turn(() => {
      const received = receiveRequest(end.link, carrier);
      this.#checkOrder(end, call.from, received);
      this.#receive(end.peer, received, true);
      const answer = (): void => {
        if (!this.isAlive) return;
        this.world.answer(call, this, this.#seal(takeResponse(end.link)));
      };
      if (this.world.settings.isHolding) {
        this.#hold(end.peer, answer);
      } else {
        const parcel = this.#seal(takeResponse(end.link));
        this.#hold(end.peer, () => this.world.answer(call, this, parcel));
      }
    });
    return true;
  }

  /** The answer to an own call: a continuation, in which the platform has checked nothing. */
  returned(call: Call, by: Instance, parcel: Parcel): void {
    const end = this.links.get(call.to);
    if (end === undefined || end.call !== call) return;
    const carrier = unseal(parcel, this, this.#origins);
    if (carrier === undefined) {
      this.world.count("answer refused");
      return this.failed(call);
    }
    end.call = undefined;
    end.failures = 0;
    this.#turn(() => {
      const received = receiveResponse(end.link, carrier);
      this.#checkOrder(end, by, received);
      this.#receive(end.peer, received, false);
      this.#dirty.add(end);
    });
  }

  failed(call: Call): void {
    const end = this.links.get(call.to);
    if (end === undefined || end.call !== call) return;
    end.call = undefined;
    end.isCooling = true;
    requestFailed(end.link);
    end.failures++;
    const { failuresMax, features } = this.world.settings;
    // As deployed: beside a member of another version, nothing but the link itself gets it going again.
    const neverGivesUp = features?.["versions"]?.["older"] === 1;
    if (!neverGivesUp && end.failures >= failuresMax) {
      end.failures = 0;
      const reason = giveUp(end.link);
      if (reason !== undefined) this.#turn(() => this.#step({ kind: "linkDown", peer: end.peer, reason }));
    }
    if (this.isAlive) this.world.cooling(this, end.peer);
  }

  /** Tries again after a failure. */
  pump(peer: ServerId): void {
    const end = this.links.get(peer);
    if (end === undefined) return;
    end.isCooling = false;
    this.#turn(() => this.#dirty.add(end));
  }

  /** A client's write, at the leader; false when this member takes none. `ensemble`: for changes of the members. */
  submit(op: Op, nowMs: number, ensemble?: EnsembleView): boolean {
    // A change that is still held back counts already: what is prepared now would rest on the old reign.
    if (this.serving.kind !== "leading" || this.#servesNext !== this.serving) return false;
    this.#turn(() => {
      const identities: AuthId[] = ensemble === undefined ? [] : [{ scheme: "super", id: "" }];
      const requester = { sessionId: op.sessionId, identities };
      const txn = this.tree.prepare(op.request, { requester, cxid: op.id, nowMs, ensemble });
      this.writes.set(op.id, op);
      this.#step({ kind: "submitted", payloads: [encodeTxn(txn)] });
    });
    return true;
  }

  /**
   * The members as the peer knows them. `forgets`: former members may come back with the storage they had.
   * `mayPropose` lets a membership pass although its quorum is not at hand.
   */
  ensemble(forgets: boolean, mayPropose: (next: Membership) => boolean): EnsembleView {
    const { peer } = this;
    const { config, pending } = this.status;
    return {
      version: config.version,
      membership: forgets ? { members: config.members } : config,
      isChanging: pending !== undefined,
      storageIdOf: (id) => attachedStorageOf(peer, id),
      hasQuorum(next) {
        const refusal = refuseReconfig(peer, next);
        return refusal === undefined || (refusal === "noQuorum" && mayPropose(next));
      },
    };
  }

  /** A linearizable read, at the leader. */
  ask(op: Op, fresh: boolean): boolean {
    if (this.serving.kind !== "leading") return false;
    const id = this.#nextRead++;
    this.reads.set(id, op);
    this.#turn(() => this.#step({ kind: "readIndex", id, fresh }));
    return true;
  }

  /** A read from what is here, for a client that has seen `floor`. */
  look(op: Op, floor: Zxid): boolean {
    if (this.serving.kind === "none" || compareZxid(this.tree.applied, floor) < 0) return false;
    this.#turn(() => this.#answerRead(op));
    return true;
  }

  /** A learner's client asks something of the leader. */
  forward(bytes: Uint8Array, lazy: boolean): void {
    this.#turn(() => this.#step({ kind: "forward", bytes, lazy }));
  }

  /** The leader says something of it, and the client waits for all that is logged. */
  answerForward({ from, session }: Forwarded, bytes: Uint8Array): void {
    const awaited = this.status.lastLogged;
    this.#turn(() => this.#step({ kind: "answer", to: from, session, bytes, awaited }));
  }

  checkpoint(endsCut: boolean): void {
    // What is held back comes first, a reload above all.
    if (this.world.settings.isHolding && this.#gate.length > 0) return;
    if (this.#cut !== undefined) {
      if (!endsCut) return;
      this.#cut = undefined;
    }
    if (equalZxid(this.tree.applied, this.member.disk.image.zxid)) return;
    this.#turn(() => {
      this.tree.checkpoint();
      this.#step({ kind: "checkpointed", applied: this.tree.applied });
    });
  }

  compact(keep: number): void {
    const { disk } = this.member;
    let place = disk.placeAfter(disk.image.zxid);
    place = Math.min(place, disk.log.length - keep);
    const entry = disk.log[place - 1];
    if (entry === undefined) return;
    const base = { epoch: entry.epoch, counter: entry.counter };
    this.#turn(() => {
      this.#write({ kind: "compact", base });
      this.#step({ kind: "compacted", base });
    });
  }

  /** Writes were confirmed: what waited for them happens, in order. */
  release(): void {
    const { settled } = this.member.disk;
    while (this.isAlive) {
      const next = this.#gate[0];
      if (next === undefined || next.after > settled) return;
      this.#gate.shift();
      if (this.world.settings.isHolding) this.#turn(() => next.run());
      else next.run();
    }
  }

  /**
   * The end of a life. What waited for surviving writes may still have left (bit per receiver); the rest
   * is gone.
   */
  die(survived: number, mask: number): void {
    if (!this.world.settings.isHolding) {
      for (const held of this.#gate) {
        if (held.after <= survived && (held.to === ghost || ((mask >>> held.to) & 1) === 1)) held.run();
      }
    }
    this.end();
  }

  end(): void {
    this.isAlive = false;
    this.#gate = [];
    if (this.isLive) {
      this.member.live = undefined;
      this.world.timing.died(this.member);
    }
    if (this.member.zombie === this) this.member.zombie = undefined;
  }

  // What the peer reads.

  readAfter(after: Zxid, bytesMax: number): Batch | undefined {
    return this.#storage().readAfter(after, bytesMax);
  }

  openSnapshot(): { readonly id: number; readonly zxid: Zxid } {
    const { image } = this.#storage();
    this.#cut ??= {
      id: ++this.#lastCut,
      image,
      pages: pagesOf(image, this.world.settings.pageRows),
      holders: 0,
    };
    this.#cut.holders++;
    return { id: this.#cut.id, zxid: this.#cut.image.zxid };
  }

  readSnapshotPage(
    id: number,
    page: number,
  ): { readonly bytes: Uint8Array; readonly last: boolean } | undefined {
    this.#storage();
    if (this.#cut?.id !== id) return undefined;
    const bytes = this.#cut.pages[page];
    return bytes === undefined ? undefined : { bytes, last: page === this.#cut.pages.length - 1 };
  }

  closeSnapshot(id: number): void {
    if (this.#cut?.id !== id) return;
    this.#cut.holders--;
    if (this.#cut.holders === 0) this.#cut = undefined;
  }

  // What the tree reads and writes.

  get applied(): Zxid {
    return this.#rows().applied;
  }

  readZnode(path: string): Znode | undefined {
    return this.#rows().readZnode(path);
  }

  listChildren(path: string, after: string | undefined, limit: number): readonly string[] {
    return this.#rows().listChildren(path, after, limit);
  }

  listSweepable(after: string | undefined, limit: number): readonly string[] {
    return this.#rows().listSweepable(after, limit);
  }

  ephemeralsOf(owner: Parameters<TreeRows["ephemeralsOf"]>[0]): readonly string[] {
    return this.#rows().ephemeralsOf(owner);
  }

  listSessions(): ReturnType<TreeRows["listSessions"]> {
    return this.#rows().listSessions();
  }

  census(): ReturnType<TreeRows["census"]> {
    return this.#rows().census();
  }

  write(checkpoint: Checkpoint): void {
    const disk = this.#storage();
    const rows = disk.image.rows.clone();
    rows.write(checkpoint);
    const image = { zxid: checkpoint.applied, chain: disk.chainAt(checkpoint.applied), rows };
    this.#write({ kind: "checkpoint", image });
    this.#image = image;
  }

  // One turn.

  #storage(): Disk {
    if (!this.isLive) throw new Fenced();
    return this.member.disk;
  }

  #rows(): MemoryRows {
    if (!this.isLive) throw new Fenced();
    return this.#image.rows;
  }

  #turn(body: () => void, lazily = false): void {
    if (!this.isAlive) return;
    if (this.#inTurn) {
      body();
      return;
    }
    const { disk } = this.member;
    this.#inTurn = true;
    this.#wrote = false;
    try {
      body();
      this.#flushLinks(lazily);
    } catch (error) {
      if (error instanceof Fenced) this.world.fenced(this);
      else if (error instanceof Violation || !this.world.toleratesHalts) throw error;
      this.end();
    } finally {
      this.#inTurn = false;
      if (this.#wrote) disk.close();
    }
    if (this.#wrote) {
      this.world.checks.stands(this.member.id);
      this.world.unitWritten(this.member);
    }
  }

  #flushLinks(lazily: boolean): void {
    for (const end of this.#dirty) {
      if (end.call !== undefined || end.isCooling) continue;
      const wants = wantsCall(end.link);
      if (wants === "no" || (wants === "soon" && !lazily)) continue;
      const carrier = takeRequest(end.link);
      if (carrier === undefined) continue;
      const call: Call = { from: this, to: end.peer, parcel: this.#seal(carrier), number: ++end.calls };
      end.call = call;
      // The links of a holding shell only ever hold what may leave.
      if (this.world.settings.isHolding) this.world.request(call);
      else this.#hold(end.peer, () => this.world.request(call));
    }
    this.#dirty.clear();
  }

  #seal(carrier: Carrier): Parcel {
    return seal(carrier, this.version);
  }

  #hold(to: number, run: () => void): void {
    const { disk } = this.member;
    const after = !this.isLive ? 0 : this.#wrote && disk.isOpen ? disk.written + 1 : disk.written;
    if (after <= disk.settled && this.#gate.length === 0) run();
    else this.#gate.push({ after, to, run });
  }

  #write(op: DiskOp): void {
    if (!this.isLive) throw new Fenced();
    const { id, disk } = this.member;
    const { checks } = this.world;
    const before = disk.promises;
    const length = op.kind === "append" ? disk.log.length : 0;
    checks.shortening(id, op);
    disk.open();
    this.#wrote = true;
    disk.write(op);
    if (op.kind === "append") checks.appended(id, disk.log.slice(length));
    else if (op.kind === "promises") checks.promised(id, before, op.promises);
    else if (op.kind === "installSnapshot") checks.installed(id, op.zxid, digestOf(disk.image));
  }

  #receive(peer: ServerId, { linkDown, packets, peerReads }: LinkReceived, fresh: boolean): void {
    if (linkDown !== undefined) this.#step({ kind: "linkDown", peer, reason: linkDown });
    for (const packet of packets) {
      if (!this.isAlive) return;
      this.#step({ kind: "received", from: peer, packet, fresh, reads: peerReads });
    }
  }

  /** L1 and L2: each packet of an instance at most once, in order, and none of an instance older than heard. */
  #checkOrder(end: LinkEnd, by: Instance, { linkDown, packets }: LinkReceived): void {
    const { id } = this.member;
    if (linkDown === "restarted") end.isRestartTold = true;
    if (packets.length === 0) return;
    if (end.heard !== by) {
      if (end.heard !== undefined && end.heard.incarnation > by.incarnation) {
        violate("L2", `${id} takes packets of an incarnation of ${end.peer} that is no more`);
      }
      if (end.heard !== undefined && !end.isRestartTold) {
        violate("L2", `${id} is not told that ${end.peer} restarted`);
      }
      end.heard = by;
      end.heardIndex = 0;
      end.isRestartTold = false;
    }
    const queued = by.links.get(id)?.queued;
    for (const packet of packets) {
      const index =
        queued?.get(this.#origins.get(packet) ?? packet) ?? violate("L1", `${id} takes a packet nobody sent`);
      if (index <= end.heardIndex) violate("L1", `${id} takes a packet of ${end.peer} twice, or late`);
      end.heardIndex = index;
    }
  }

  /** I10: what belongs to an ended learner session changes nothing and is not answered. */
  #checkSession(event: PeerEvent, duties: Duties, wasAsleep: boolean): void {
    if (event.kind !== "received") return;
    const { packet, from } = event;
    const end = this.links.get(from);
    if (end === undefined) return;
    if (packet.kind === "notify" || packet.kind === "solicit" || packet.kind === "decline") return;
    if (packet.kind === "cepoch") {
      end.attachedBy = packet.session;
      return;
    }
    // Whatever comes wakes: leftovers, too, and who wakes pings.
    if (wasAsleep) return;
    const current =
      packet.kind === "refuse" ? undefined : fromLearner.has(packet.kind) ? end.attachedBy : end.attachedAs;
    if (packet.kind === "refuse" || isSame(current, packet.session)) return;
    const isSilent =
      duties.store.length + duties.send.length + duties.rejected.length + duties.confirmed.length === 0;
    const isHeard = duties.forwarded !== undefined || duties.answered !== undefined;
    if (!isSilent || isHeard || duties.deliver !== undefined || duties.serving !== undefined) {
      violate("I10", `${this.member.id} heeds a ${packet.kind} of a session that has ended`);
    }
  }

  #step(event: PeerEvent): void {
    const wasAsleep = !this.#wantsTicks;
    const duties = step(this.peer, event);
    this.#wantsTicks = duties.wantsTicks;
    this.world.stepped(this, event, duties);
    this.#checkSession(event, duties, wasAsleep);
    if (duties.halt !== undefined) {
      this.world.halted(this, duties.halt);
      return;
    }
    if (duties.serving !== undefined) this.#servesNext = duties.serving;
    for (const op of duties.store) this.#write(op);
    if (this.world.settings.unitPerStep && this.#wrote) this.member.disk.close();
    // Read now: a later step may change the log and the rows before these duties are carried out.
    const entries =
      duties.deliver === undefined ? [] : this.#entries(duties.deliver.after, duties.deliver.through);
    const { image } = this.member.disk;
    if (this.world.settings.isHolding) this.#hold(0, () => this.#carryOut(duties, entries, image));
    else this.#carryOut(duties, entries, image);
  }

  #entries(after: Zxid, through: Zxid): readonly Entry[] {
    const { log, last, base } = this.#storage();
    if (compareZxid(through, last) > 0) violate("I9", `${this.member.id} delivers beyond its log`);
    if (compareZxid(after, base) < 0) violate("I9", `${this.member.id} delivers what was compacted`);
    const { disk } = this.member;
    return log.slice(disk.placeAfter(after), disk.placeAfter(through));
  }

  #carryOut(duties: Duties, entries: readonly Entry[], image: Image): void {
    for (const { to, packet, lazy } of duties.send) {
      const end = this.links.get(to);
      if (end === undefined) continue;
      end.queued.set(packet, ++end.queuedCount);
      if (packet.kind === "cepoch") end.attachedAs = packet.session;
      const reason = enqueue(end.link, packet, lazy);
      if (reason !== undefined) this.#overflows.push({ kind: "linkDown", peer: to, reason });
      this.#dirty.add(end);
    }
    if (duties.serving?.kind === "none") this.#serve(duties.serving);
    if (duties.reloaded !== undefined) this.#reload(duties.reloaded, image);
    if (duties.deliver !== undefined) this.#deliver(duties.deliver.after, entries);
    if (duties.serving !== undefined && duties.serving.kind !== "none") this.#serve(duties.serving);
    for (const { id, index } of duties.confirmed) this.#confirm(id, index);
    for (const id of duties.rejected) this.#reject(id);
    for (let event = this.#overflows.shift(); event !== undefined; event = this.#overflows.shift())
      this.#step(event);
  }

  /** Any change ends the reign before it, also one from leading to leading in a new epoch. */
  #serve(serving: Serving): void {
    this.serving = serving;
    if (serving.kind === "leading")
      this.#hold(ghost, () => this.world.checks.leads(this.member.id, serving.epoch));
    this.tree.discardPrepared();
    const open = [...this.writes.values()];
    this.writes.clear();
    // Their outcome is unknown, and their clients are told so.
    for (const op of open) this.#hold(0, () => this.world.lost(op));
    this.world.serves(this, serving);
  }

  #reload(zxid: Zxid, image: Image): void {
    this.#image = image;
    this.tree.reload();
    if (!equalZxid(this.tree.applied, zxid)) violate("I9", `${this.member.id} reloads another zxid`);
    this.#hold(ghost, () => this.world.checks.reloaded(this.member.id, zxid));
  }

  #deliver(after: Zxid, entries: readonly Entry[]): void {
    if (!equalZxid(this.tree.applied, after)) violate("B3", `${this.member.id} delivers with a gap`);
    for (const entry of entries) this.#apply(entry);
    this.#answerConfirmed();
  }

  #apply(entry: Entry): void {
    const txn = decodeTxn(entry.payload);
    if (txn === undefined) violate("B1", "a damaged txn delivered");
    const zxid = { epoch: entry.epoch, counter: entry.counter };
    const applied = this.tree.apply(zxid, txn);
    const hashes = touchedBy(txn.op).map((path) => hashZnode(path, this.tree.get(path)));
    this.#hold(ghost, () => this.world.delivered(this.member, entry, hashes));
    this.#answerWrite(zxid, txn, applied);
  }

  #answerWrite(zxid: Zxid, txn: Txn, applied: Applied): void {
    const op = this.writes.get(txn.cxid);
    if (op === undefined || op.sessionId !== txn.sessionId) return;
    this.writes.delete(txn.cxid);
    this.#hold(0, () => this.world.reply(op, this.world.clients.writeReply(op, zxid, applied.outcome)));
  }

  #confirm(id: number, index: Zxid): void {
    const op = this.reads.get(id);
    if (op === undefined) violate("reads", `${this.member.id} confirms a read nobody asked for`);
    this.reads.delete(id);
    this.#confirmed.push({ op, index });
    this.#answerConfirmed();
  }

  #reject(id: number): void {
    const op = this.reads.get(id);
    if (op === undefined) violate("reads", `${this.member.id} rejects a read nobody asked for`);
    this.reads.delete(id);
    this.#hold(0, () => this.world.refuse(op));
  }

  #answerConfirmed(): void {
    const waiting = this.#confirmed;
    if (waiting.length === 0) return;
    this.#confirmed = waiting.filter(({ op, index }) => {
      if (compareZxid(this.tree.applied, index) < 0) return true;
      this.#answerRead(op);
      return false;
    });
  }

  #answerRead(op: Op): void {
    const reply = this.world.clients.readReply(op, this.tree);
    this.#hold(0, () => this.world.reply(op, reply));
  }
}

const fromLearner: ReadonlySet<Packet["kind"]> = new Set([
  "ackEpoch",
  "ackLeader",
  "ack",
  "received",
  "pong",
  "quiesced",
  "wake",
  "forward",
]);

function isSame(a: LearnerSession | undefined, b: LearnerSession): boolean {
  return a !== undefined && a.attempt === b.attempt && a.incarnation === b.incarnation;
}

/** XOR over all znodes of a stored state; of the initial tree when nothing is stored. */
function digestOf(image: Image): number {
  if (equalZxid(image.zxid, ZERO_ZXID)) return initialDigest;
  let digest = 0;
  for (const [path, znode] of znodesOf(image.rows)) digest ^= hashZnode(path, znode);
  return digest;
}
