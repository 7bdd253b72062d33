/**
 * A member's life in an ensemble: one in-memory incarnation, from its storage to its clients.
 *
 * It introduces the replica to the clients: what the replica applies goes to watchers and writers, what
 * clients ask goes to the tree or to agreement, and what Zab lets this member do decides whether there are
 * clients at all.
 *
 * Invariants:
 * - Connections are open exactly while this member serves; writes and locks of HTTP, while it leads.
 * - While a txn is applied, its events are written before its writer is answered, and both before the
 *   next txn.
 *
 * @module
 */

import type { ServerId, Settings, Txn, Zxid } from "../base/index.ts";
import { formatZxid } from "../base/index.ts";
import { type Applied, Tree, type WatcherId } from "../tree/index.ts";
import type { Serving } from "../zab/index.ts";
import type { Plan } from "./alarms.ts";
import type { EnsembleConfig, MemberStatus, NotServed } from "./api.ts";
import { Arrivals } from "./arrivals.ts";
import { firstConfigText } from "./bootstrap-state.ts";
import { Clients } from "./clients.ts";
import { Connections } from "./connections.ts";
import { Following } from "./following.ts";
import { History } from "./history.ts";
import { HttpDoor } from "./http-door.ts";
import { Lanes } from "./lanes.ts";
import { Leading } from "./leading.ts";
import type { CallPeer } from "./links.ts";
import { Locks, type LocksHost } from "./locks.ts";
import { Reception, sessionTimeoutsMs } from "./reception.ts";
import { idsIn, Reconfiguring, type ReconfiguringParts } from "./reconfiguring.ts";
import { Replica } from "./replica.ts";
import { type MemberReport, makeReport, type ReportRequest } from "./report.ts";
import { Rest } from "./rest.ts";
import { Semaphores, type SemaphoresHost } from "./semaphores.ts";
import { takeSessionIdBlock } from "./session-ids.ts";
import { Signs } from "./signs.ts";
import { deleteVigil, readVigil } from "./sql/vigil.ts";
import { SqlTreeRows } from "./sql/znodes.ts";
import { ServerStats } from "./stats.ts";
import { describe } from "./status.ts";
import { Streams } from "./streams.ts";
import { peerOptions } from "./timing.ts";
import { TreeCopies } from "./tree-copies.ts";

/** Memory for znodes that SQLite has too. Objects of one class may share 128 MB. */
const cacheBytesMax = 24 * 1024 * 1024;

/** How long sockets that outlived the member's memory wait to hear who leads, in peer ticks. */
const sleepersWaitTicks = 100;

export interface LifeParts {
  readonly id: ServerId;
  readonly config: EnsembleConfig;
  readonly settings: Settings;
  readonly incarnation: number;
  readonly storage: DurableObjectStorage;
  readonly callPeer: CallPeer;
  /** When the platform last answered a socket's text in this member's place. */
  lastSign(socket: WebSocket): number | undefined;
  /** Replaces what is to be done, and when, should nobody be awake. */
  plan(plan: Plan): void;
  readonly storageId: string | undefined;
  readonly joinPeer: ReconfiguringParts["joinPeer"];
  /** Runs something that no platform event of the member's own began, as a turn. */
  turn<Result>(run: () => Result): Result;
  /** The clock as of this turn. */
  now(): number;
}

export class Life {
  readonly http: HttpDoor;
  readonly locks: Locks;
  readonly semaphores: Semaphores;
  readonly reconfiguring: Reconfiguring;
  readonly connections: Connections;
  readonly clients: Clients;
  readonly copies: TreeCopies;
  readonly #parts: LifeParts;
  readonly #tree: Tree;
  readonly #replica: Replica;
  readonly #stats = new ServerStats();
  readonly #startedMs: number;
  /** While this member is the established leader. */
  #leading: Leading | undefined;
  /** While it serves as a follower or observer. Invariant: never both. */
  #following: Following | undefined;
  #ticks = 0;
  /** Value of `#ticks` when this member began to serve. */
  #servedAtTick = 0;
  /** A client has done something since the last tick. */
  #isStirred = false;
  readonly #arrivals = new Arrivals();
  readonly #signs: Signs;
  readonly #rest: Rest;
  #lastWatcher = 0;
  /** Watchers of the member's own; the others are connections. */
  readonly #ownWatchers = new Map<WatcherId, () => void>();

  constructor(parts: LifeParts) {
    this.#parts = parts;
    this.#startedMs = parts.now();
    const { id, config, settings, storage } = parts;
    const rows = new SqlTreeRows(storage);
    const history = new History(storage, rows);
    const tree = new Tree(rows, {
      cacheBytesMax,
      ttlNodes: settings.ttlNodes,
      enforceQuota: settings.enforceQuota,
      x509: settings.x509,
      reconfig: settings.reconfig,
      config: firstConfigText(config),
    });
    this.#tree = tree;
    this.#replica = new Replica({
      id,
      config,
      options: peerOptions(id, parts.incarnation, parts.storageId),
      history,
      rows,
      tree,
      callPeer: parts.callPeer,
      hooks: {
        serving: (serving) => this.#serve(serving),
        applied: (zxid, txn, applied) => this.#applied(zxid, txn, applied),
        reconfigured: (committed) => this.reconfiguring.reconfigured(committed),
        confirmed: (confirmId) => this.#leading?.confirmed(confirmId, true),
        rejected: (confirmId) => this.#leading?.confirmed(confirmId, false),
        forwarded: (forwarded) => {
          this.#turnToRest();
          return this.#leading?.forwarded(forwarded) ?? true;
        },
        heardLeader: (bytes) => this.#following?.hear(bytes) ?? true,
        answering: () => this.#agreement?.flush(),
        answered: (take) => parts.turn(take),
        halted: (reason) => this.#halted(reason),
      },
    });
    const lanes = new Lanes();
    this.connections = new Connections({
      tree,
      lanes,
      host: new Reception({
        tree,
        secret: config.secret,
        tickMs: settings.tickMs,
        authRules: {
          superDigest: settings.superDigest,
          token: settings.token,
          requiredSchemes: settings.enforceAuthSchemes,
        },
        throttledOpWaitMs: settings.throttledOpWaitMs,
        stats: this.#stats,
        now: parts.now,
        agreement: () => this.#agreement,
        bind: (connection, session) => this.connections.bind(connection, session),
        changed: (connection) => this.connections.touch(connection),
        watchesChanged: (watcher) => this.connections.watchesChanged(watcher),
      }),
      lastSign: parts.lastSign,
      heard: (session, atMs) => this.#signs.heard(session, atMs),
      later: (run) => setTimeout(() => parts.turn(run), 0),
      nextWatcher: () => this.#nextWatcher(),
    });
    const streams = new Streams({
      ...{ tree, stats: this.#stats, now: parts.now },
      confirm: (done) => (this.#agreement === undefined ? done(false) : this.#agreement.confirm(false, done)),
    });
    this.clients = new Clients(this.connections, streams, lanes);
    const leading = () => this.#leading;
    this.http = new HttpDoor({
      ...{ tree, secret: config.secret, leading, agreement: () => this.#agreement },
      isHalted: () => this.#replica.halted !== undefined,
      notServed: () => this.#notServed(),
      ageMs: () => this.#ageMs,
      turn: parts.turn,
    });
    this.copies = new TreeCopies({
      ...{ tree, rows, history, turn: parts.turn, now: parts.now },
      demandCheckpoint: () => this.#replica.demandCheckpoint(),
      pause: () => new Promise((resolve) => setTimeout(resolve, 0)),
    });
    const locksHost = this.#locksHost();
    this.locks = new Locks(locksHost);
    this.semaphores = new Semaphores(locksHost, this.locks);
    const replica = this.#replica;
    this.#signs = new Signs({
      tree,
      now: parts.now,
      connections: () => this.connections,
      ...{ leading, following: () => this.#following },
    });
    this.#rest = new Rest({
      sql: storage.sql,
      get isVoter() {
        return idsIn(replica.status.config, "voter").includes(id);
      },
      now: parts.now,
      plan: parts.plan,
      sessionCount: () => tree.sessionCount,
      leading,
    });
    this.reconfiguring = new Reconfiguring({
      ...{ replica, tree, secret: config.secret, joinPeer: parts.joinPeer },
      write: (request, requester) => this.http.write(request, requester),
      isLeading: () => this.#leading !== undefined,
    });
  }

  /** Begins to take part; `sockets` outlived the memory of the life before. */
  boot(sockets: readonly WebSocket[]): void {
    this.clients.adopt(sockets);
    this.#replica.boot();
  }

  /** One carrier from a peer; `undefined` refuses it. */
  exchange(carrier: Uint8Array): Uint8Array | undefined {
    return this.#replica.exchange(carrier);
  }

  /** Whether `tick` is to be called: not while the ensemble sleeps, for a timer keeps the object in memory. */
  get wantsTicks(): boolean {
    return !this.#replica.isAsleep;
  }

  /** Printed. */
  get applied(): string {
    return formatZxid(this.#tree.applied);
  }

  /** A client does something here. */
  stir(): void {
    this.#isStirred = true;
    if (!this.#replica.isAsleep) return;
    this.#replica.stir();
    this.#turnToRest();
  }

  /**
   * For a request that comes while this member is about to lead again: resolves when that is decided, or has
   * taken too long. `undefined` when there is nothing to wait for.
   */
  arrival(): Promise<void> | undefined {
    return this.#isArriving ? this.#arrivals.wait(this.#ticks) : undefined;
  }

  /** The client's end of a socket has closed. A session that it leaves behind keeps the ensemble awake. */
  closed(socket: WebSocket, code: number): void {
    this.clients.closed(socket, code);
    if (this.clients.isBusy) this.stir();
  }

  /** A tick of the peer has passed. */
  tick(): void {
    if (this.#rest.isAsleep) return;
    this.#ticks += 1;
    if (this.#isStirred || this.#isBusy) this.#replica.stir();
    this.#isStirred = false;
    this.#replica.tick();
    this.#rest.tick();
    if (this.#agreement === undefined) {
      if (this.#ticks === sleepersWaitTicks) this.clients.closeSleepers("no leader was found");
      return;
    }
    this.connections.tick();
    if (this.#leading !== undefined) {
      this.locks.tick();
      this.semaphores.tick();
      this.reconfiguring.tick(this.#ticks - this.#servedAtTick);
    } else this.#signs.tick(this.#ticks);
    this.#agreement.tick();
  }

  /** End of a turn: what has gathered leaves. */
  flush(): void {
    this.#agreement?.flush();
    this.clients.flush();
    this.#replica.flush();
    this.#arrivals.settle(this.#isArriving, this.#ticks);
    this.#turnToRest();
  }

  /** Whoever has just woken takes up the deadlines it left behind, ahead of any sign of life that woke it. */
  #turnToRest(): void {
    if (this.#replica.halted === undefined && this.#rest.turn(this.#replica.isAsleep)) this.#signs.hurry();
  }

  /** Why connections are not taken here now; `undefined` when they are. */
  refusal(): NotServed | undefined {
    return this.#agreement === undefined ? this.#notServed() : undefined;
  }

  /** Why writes and locks of HTTP are not taken here now; `undefined` when they are. */
  leaderRefusal(): NotServed | undefined {
    return this.#leading === undefined ? this.#notServed() : undefined;
  }

  /** Figures about this member, and what is asked to be counted anew. */
  report({ lists, reset, traceMask }: ReportRequest): MemberReport {
    const { id, settings, storage, now } = this.#parts;
    const { role, leader, epoch, learners, config: members } = this.#replica.status;
    if (traceMask !== undefined) this.#stats.traceMask = traceMask;
    const timeouts = sessionTimeoutsMs(settings.tickMs);
    const facts = {
      ...{ id, leader, epoch, learners },
      isServing: this.#agreement !== undefined,
      voters: idsIn(members, "voter"),
      observers: idsIn(members, "observer"),
      nowMs: now(),
      startedMs: this.#startedMs,
      tickMs: settings.tickMs,
      sessionTimeoutMsMin: timeouts.min,
      sessionTimeoutMsMax: timeouts.max,
      storageBytes: storage.sql.databaseSize,
    };
    const { connections } = this;
    const { streams } = this.clients;
    const deadlines = this.#leading?.sessions.deadlines;
    const parts = { facts, role, tree: this.#tree, stats: this.#stats, connections, streams, deadlines };
    const report = makeReport(parts, lists);
    if (reset === "server") this.#stats.reset();
    if (reset === "connections") for (const each of [connections, streams]) each.resetStats();
    return report;
  }

  get status(): Omit<MemberStatus, "id" | "bootstrap"> {
    return describe({
      ...{ replica: this.#replica, tree: this.#tree, incarnation: this.#parts.incarnation },
      serving: this.#agreement !== undefined,
      connections: this.connections.size + this.clients.streams.size,
    });
  }

  get #agreement(): Leading | Following | undefined {
    return this.#leading ?? this.#following;
  }

  // Sleep.

  get #isBusy(): boolean {
    return (
      this.#agreement?.isBusy === true || this.locks.isBusy || this.semaphores.isBusy || this.clients.isBusy
    );
  }

  get #isArriving(): boolean {
    if (this.#agreement !== undefined || this.#replica.halted !== undefined) return false;
    return this.#replica.status.role === "leading";
  }

  // Hooks of the replica: each runs within a step's duties.

  #serve(serving: Serving): void {
    if (this.#agreement !== undefined) this.#stopServing("no longer in touch with a leader");
    if (serving.kind === "none") return;
    if (serving.kind === "leading") this.#leading = this.#makeLeading(serving.epoch);
    else this.#following = this.#makeFollowing();
    this.#servedAtTick = this.#ticks;
    this.#signs.beginAnew();
    // Somebody else watches over the sessions.
    if (serving.kind !== "leading") deleteVigil(this.#parts.storage.sql);
    this.clients.wake();
  }

  #makeFollowing(): Following {
    return new Following({
      applied: () => this.#tree.applied,
      forward: (bytes, lazy) => this.#replica.forward(bytes, lazy),
    });
  }

  #makeLeading(epoch: number): Leading {
    const { id, settings, now, storage } = this.#parts;
    const vigil = readVigil(storage.sql);
    deleteVigil(storage.sql);
    return new Leading({
      id,
      epoch,
      tree: this.#tree,
      ensemble: this.#replica.ensemble,
      room: this.#replica.room,
      tickMs: settings.tickMs,
      vigil: vigil?.epoch === epoch ? vigil.watched : undefined,
      takeIdBlock: () => takeSessionIdBlock(storage.sql, epoch),
      lastSign: (session) => this.connections.lastSign(session),
      now,
      nextZxid: () => this.#replica.nextZxid,
      propose: (txns, payloads) => {
        for (const { length } of payloads) this.#stats.proposals.add(length);
        this.#replica.propose(txns, payloads);
      },
      later: (ms, run) => {
        const timer = setTimeout(() => this.#parts.turn(run), ms);
        return () => clearTimeout(timer);
      },
      answer: (origin, bytes, awaited) => this.#replica.answer(origin, bytes, awaited),
      readIndex: (confirmId, fresh) => this.#replica.readIndex(confirmId, fresh),
    });
  }

  #stopServing(reason: string): void {
    const agreement = this.#agreement;
    this.#leading = undefined;
    this.#following = undefined;
    agreement?.end();
    this.clients.closeAll(reason);
    for (const changed of [...this.#ownWatchers.values()]) changed();
  }

  #halted(reason: string): void {
    console.error(`server ${this.#parts.id} has halted: ${reason}`);
    this.#stopServing("member halted");
  }

  #applied(zxid: Zxid, txn: Txn, applied: Applied): void {
    for (const trigger of applied.triggers) {
      const canRead = (watcher: WatcherId) =>
        this.#ownWatchers.has(watcher) || this.connections.canRead(watcher, trigger);
      for (const { watcher, event } of this.#tree.watches.fire(trigger, canRead)) {
        const own = this.#ownWatchers.get(watcher);
        if (own !== undefined) own();
        else this.connections.notify(watcher, event, zxid);
      }
    }
    this.clients.streams.applied(zxid);
    if (applied.session !== undefined) this.connections.endEarlier(applied.session);
    this.#leading?.applied(zxid, txn, applied);
    this.#following?.applied(zxid, applied);
    if (applied.closedSession !== undefined) this.connections.endSession(applied.closedSession);
  }

  // Clients.

  /** How old what this member has may be: a hint, for a deposed leader does not know yet. */
  get #ageMs(): number | undefined {
    if (this.#leading !== undefined) return 0;
    const { leaderHeardMs } = this.#replica;
    return leaderHeardMs === undefined ? undefined : Math.max(0, Date.now() - leaderHeardMs);
  }

  #notServed(): NotServed {
    if (this.#replica.halted !== undefined) return { kind: "halted" };
    return { kind: "notLeader", leader: this.#replica.status.leader };
  }

  #nextWatcher(): WatcherId {
    this.#lastWatcher += 1;
    return this.#lastWatcher;
  }

  #locksHost(): LocksHost & SemaphoresHost {
    const tree = this.#tree;
    const watch = (changed: () => void, add: (watcher: WatcherId) => void) => {
      const watcher = this.#nextWatcher();
      this.#ownWatchers.set(watcher, changed);
      add(watcher);
      return watcher;
    };
    return {
      tree,
      now: () => Date.now(),
      hasRoom: () => this.#leading?.hasRoom === true && this.#leading.sessions.hasRoom,
      isLeading: () => this.#leading !== undefined,
      newSessionId: () => this.#leading?.sessions.newId(),
      sessionOf: (credential) => this.http.sessionOf(credential),
      write: (request, requester) => this.http.write(request, requester),
      touch: (session) => {
        const nowMs = Date.now();
        // One whose end was proposed is lost, whatever its deadline said.
        return tree.isOpen(session) && this.#leading?.sessions.touch(session, nowMs) === true
          ? nowMs
          : undefined;
      },
      confirm: (fresh) => this.http.confirm(fresh),
      watchZnode: (path, changed) => watch(changed, (watcher) => tree.watches.addData(watcher, path)),
      watchChildren: (path, changed) => watch(changed, (watcher) => tree.watches.addChild(watcher, path)),
      unwatch: (watcher) => {
        this.#ownWatchers.delete(watcher);
        tree.watches.drop(watcher);
      },
    };
  }
}
