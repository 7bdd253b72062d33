/**
 * A member's life in an ensemble: one in-memory incarnation, from its storage to its clients.
 *
 * It introduces the replica to the clients: what the replica applies goes to watchers and writers, what
 * clients ask goes to the tree or into proposals, and who leads decides whether there are clients at all.
 *
 * Invariants:
 * - Writes, sessions and connections are open exactly while this member is the established leader.
 * - While a txn is applied, its events are written before its writer is answered, and both before the
 *   next txn.
 *
 * @module
 */

import {
  type AuthId,
  formatZxid,
  isWriteType,
  NO_SESSION,
  OpCode,
  type ReadRequest,
  type Requester,
  type ServerId,
  type Settings,
  type Txn,
  type WriteRequest,
  ZkErrorCode,
  type Zxid,
} from "../base/index.ts";
import { type Applied, respond, Tree, type WatcherId } from "../tree/index.ts";
import type { Serving } from "../zab/index.ts";
import type { Answer, Call, ChildrenPageRequest, EnsembleConfig, MemberStatus, NotServed } from "./api.ts";
import type { ConnectionHost } from "./connection.ts";
import { Connections } from "./connections.ts";
import { History } from "./history.ts";
import type { CallPeer } from "./links.ts";
import { Locks } from "./locks.ts";
import { Replica } from "./replica.ts";
import { Sessions } from "./sessions.ts";
import { SqlTreeRows } from "./sql/znodes.ts";
import { peerOptions } from "./timing.ts";
import { type Settlement, Writes } from "./writes.ts";

/** Memory for znodes that SQLite has too. Objects of one class may share 128 MB. */
const cacheBytesMax = 24 * 1024 * 1024;

/** How long sockets that outlived the member's memory wait to hear who leads, in peer ticks. */
const sleepersWaitTicks = 100;

/** How often the leader looks for containers and TTL znodes whose time is over, in peer ticks (60 s). */
const sweepTicks = 600;

/** Znodes deleted in one sweep. */
const sweepMax = 500;

export interface LifeParts {
  readonly id: ServerId;
  readonly config: EnsembleConfig;
  readonly settings: Settings;
  readonly incarnation: number;
  readonly storage: DurableObjectStorage;
  readonly callPeer: CallPeer;
  /** Runs something that no platform event of the member's own began, as a turn. */
  turn(run: () => void): void;
  /** The clock as of this turn. */
  now(): number;
}

export class Life {
  readonly locks: Locks;
  readonly connections: Connections;
  readonly #parts: LifeParts;
  readonly #tree: Tree;
  readonly #replica: Replica;
  readonly #writes: Writes;
  readonly #sessions: Sessions;
  #ticks = 0;
  #lastWatcher = 0;
  #lastConfirm = 0;
  readonly #confirming = new Map<number, (confirmed: boolean) => void>();
  /** Watchers of the member's own; the others are connections. */
  readonly #ownWatchers = new Map<WatcherId, () => void>();

  constructor(parts: LifeParts) {
    this.#parts = parts;
    const { id, config, settings, storage } = parts;
    const rows = new SqlTreeRows(storage);
    const history = new History(storage, rows);
    const tree = new Tree(rows, {
      cacheBytesMax,
      ttlNodes: settings.ttlNodes,
      enforceQuota: settings.enforceQuota,
    });
    this.#tree = tree;
    this.#replica = new Replica({
      id,
      config,
      options: peerOptions(id, parts.incarnation),
      history,
      tree,
      callPeer: parts.callPeer,
      hooks: {
        serving: (serving) => this.#serve(serving),
        applied: (zxid, txn, applied) => this.#applied(zxid, txn, applied),
        confirmed: (confirmId) => this.#settleConfirm(confirmId, true),
        rejected: (confirmId) => this.#settleConfirm(confirmId, false),
        answered: (take) => parts.turn(take),
        halted: (reason) => this.#halted(reason),
      },
    });
    this.#writes = new Writes({
      tree,
      propose: (txns, payloads) => this.#replica.propose(txns, payloads),
      now: parts.now,
    });
    this.#sessions = new Sessions({
      id,
      config,
      tree,
      tickMs: settings.tickMs,
      now: parts.now,
      submit: (request, requester, settle) => this.#writes.submit(request, { requester, cxid: 0, settle }),
    });
    this.connections = new Connections({
      tree,
      host: this.#connectionHost(),
      later: (run) => setTimeout(() => parts.turn(run), 0),
      nextWatcher: () => this.#nextWatcher(),
    });
    this.locks = this.#makeLocks();
  }

  /** Begins to take part; `sockets` outlived the memory of the life before. */
  boot(sockets: readonly WebSocket[]): void {
    this.connections.adopt(sockets);
    this.#replica.boot();
  }

  /** One carrier from a peer; `undefined` refuses it. */
  exchange(carrier: Uint8Array): Uint8Array | undefined {
    return this.#replica.exchange(carrier);
  }

  /** A tick of the peer has passed. */
  tick(): void {
    this.#ticks += 1;
    this.#replica.tick();
    if (!this.#writes.isOpen) {
      if (this.#ticks === sleepersWaitTicks) this.connections.closeSleepers("no leader was found");
      return;
    }
    this.connections.tick();
    this.locks.tick();
    this.#sessions.tick();
    if (this.#ticks % sweepTicks === 0) this.#sweep();
  }

  /** End of a turn: what has gathered leaves. */
  flush(): void {
    this.#writes.flush();
    this.connections.flush();
    this.#replica.flush();
  }

  /** Why clients are not served here now; `undefined` when they are. */
  refusal(): NotServed | undefined {
    if (this.#replica.halted !== undefined) return { kind: "halted" };
    if (!this.#writes.isOpen) return { kind: "notLeader", leader: this.#replica.status.leader };
    return undefined;
  }

  /** Answers one HTTP request. The returned promise settles in a later turn. */
  async perform(call: Call): Promise<Answer> {
    const { request, identities, consistency } = call;
    if (isWrite(request)) return this.#performWrite(request, identities);
    if (consistency === "linearizable") {
      const refusal = this.refusal();
      if (refusal !== undefined) return refusal;
      if (!(await this.#confirm(true))) return this.refusal() ?? { kind: "notLeader", leader: 0 };
    } else if (this.#replica.serving.kind === "none") {
      return this.refusal() ?? { kind: "notLeader", leader: 0 };
    }
    return this.#performRead(request, identities);
  }

  get status(): Omit<MemberStatus, "id" | "bootstrap"> {
    const { role, phase, leader, epoch, lastLogged, lastCommitted } = this.#replica.status;
    return {
      voters: this.#parts.config.voters,
      role,
      phase,
      serving: this.#writes.isOpen,
      leader,
      epoch,
      lastLogged: formatZxid(lastLogged),
      lastCommitted: formatZxid(lastCommitted),
      lastApplied: formatZxid(this.#tree.applied),
      incarnation: this.#parts.incarnation,
      sessions: this.#tree.sessionCount,
      connections: this.connections.size,
      unreadable: this.#replica.unreadable,
      halted: this.#replica.halted,
    };
  }

  // Hooks of the replica: each runs within a step's duties.

  #serve(serving: Serving): void {
    if (serving.kind === "leading") {
      this.#sessions.lead(serving.epoch);
      this.#writes.open();
      this.connections.wake();
      return;
    }
    this.#sessions.follow();
    if (this.#writes.isOpen) this.#stopServing("leadership lost");
    else if (serving.kind !== "none") this.connections.closeAll("another member leads");
  }

  #stopServing(reason: string): void {
    this.#writes.close();
    this.connections.closeAll(reason);
    for (const changed of [...this.#ownWatchers.values()]) changed();
  }

  #halted(reason: string): void {
    console.error(`server ${this.#parts.id} has halted: ${reason}`);
    if (this.#writes.isOpen) this.#stopServing("member halted");
    this.connections.closeSleepers("member halted");
    for (const id of [...this.#confirming.keys()]) this.#settleConfirm(id, false);
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
    if (this.#writes.isOpen) this.#sessions.applied(txn);
    this.#writes.applied(zxid, applied);
    if (applied.closedSession !== undefined) this.connections.endSession(applied.closedSession);
  }

  // Clients.

  async #performWrite(request: WriteRequest, identities: readonly AuthId[]): Promise<Answer> {
    const refusal = this.refusal();
    if (refusal !== undefined) return refusal;
    if (!this.#writes.hasRoom) return { kind: "overloaded" };
    const settled = await this.#write(request, { sessionId: NO_SESSION, identities });
    if (settled.kind === "lost") return { kind: "unknown" };
    const outcome = respond(request, settled.applied.outcome);
    return { kind: "answered", outcome, zxid: formatZxid(settled.zxid) };
  }

  #performRead(request: ReadRequest | ChildrenPageRequest, identities: readonly AuthId[]): Answer {
    const zxid = formatZxid(this.#tree.applied);
    if (request.type === "childrenPage") return { ...childrenPage(this.#tree, request, identities), zxid };
    const requester = { sessionId: NO_SESSION, identities };
    const { err, body } = this.#tree.answer(request, { requester, watcher: undefined });
    return { kind: "answered", outcome: { err, body }, zxid };
  }

  /** Proposes in a turn of its own; resolves when the txn has applied here, or leadership is lost. */
  #write(request: WriteRequest, requester: Requester): Promise<Settlement> {
    return new Promise((resolve) => {
      this.#parts.turn(() => {
        if (!this.#writes.isOpen) resolve({ kind: "lost" });
        else this.#writes.submit(request, { requester, cxid: 0, settle: resolve });
      });
    });
  }

  #confirm(fresh: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      this.#parts.turn(() => this.#askToConfirm(fresh, resolve));
    });
  }

  #askToConfirm(fresh: boolean, done: (confirmed: boolean) => void): void {
    if (!this.#writes.isOpen) return done(false);
    this.#lastConfirm += 1;
    this.#confirming.set(this.#lastConfirm, done);
    this.#replica.readIndex(this.#lastConfirm, fresh);
  }

  #settleConfirm(id: number, confirmed: boolean): void {
    const done = this.#confirming.get(id);
    this.#confirming.delete(id);
    done?.(confirmed);
  }

  #sweep(): void {
    const requester = { sessionId: NO_SESSION, identities: [] };
    for (const path of this.#tree.sweepDue(this.#parts.now(), sweepMax)) {
      const writer = { requester, cxid: 0, settle: ignore };
      this.#writes.submit({ type: OpCode.DeleteContainer, path }, writer);
    }
  }

  #nextWatcher(): WatcherId {
    this.#lastWatcher += 1;
    return this.#lastWatcher;
  }

  #connectionHost(): ConnectionHost {
    const tree = this.#tree;
    return {
      get applied() {
        return tree.applied;
      },
      superDigest: this.#parts.settings.superDigest,
      openSession: (connection, request, settle) => {
        const isNew = request.sessionId === 0n;
        if (!this.#writes.isOpen || !this.#writes.hasRoom || (isNew && !this.#sessions.hasRoom)) {
          return connection.end({ kind: "drop", reason: "no room for a session" });
        }
        const opening = this.#sessions.open(request, connection.requester, (opened) => {
          this.connections.touch(connection);
          if (opened === undefined) return connection.end({ kind: "drop", reason: "leadership lost" });
          this.connections.bind(connection, opened.id);
          settle(opened);
        });
        if (opening.kind === "pending") return;
        if (opening.kind === "opened") this.connections.bind(connection, opening.session.id);
        settle(opening.kind === "opened" ? opening.session : undefined);
      },
      touch: (session) => this.#sessions.touch(session, this.#parts.now()),
      write: (request, requester, cxid, settle) => {
        if (!this.#writes.isOpen || !this.#writes.hasRoom) return false;
        this.#writes.submit(request, { requester, cxid, settle });
        return true;
      },
      read: (request, requester, watcher) => {
        if (leavesWatches(request)) this.connections.watchesChanged(watcher);
        return tree.answer(request, { requester, watcher });
      },
      confirm: (fresh, done) => this.#askToConfirm(fresh, done),
      changed: (connection) => this.connections.touch(connection),
    };
  }

  #makeLocks(): Locks {
    const tree = this.#tree;
    return new Locks({
      tree,
      now: () => Date.now(),
      hasRoom: () => this.#writes.hasRoom && this.#sessions.hasRoom,
      isLeading: () => this.#writes.isOpen,
      newSessionId: () => this.#sessions.newId(),
      write: (request, requester) => this.#write(request, requester),
      touch: (session) => {
        const nowMs = Date.now();
        // One whose end was proposed is lost, whatever its deadline said.
        return tree.isOpen(session) && this.#sessions.touch(session, nowMs) ? nowMs : undefined;
      },
      confirm: (fresh) => this.#confirm(fresh),
      watchZnode: (path, changed) => {
        const watcher = this.#nextWatcher();
        this.#ownWatchers.set(watcher, changed);
        tree.watches.addData(watcher, path);
        return watcher;
      },
      unwatch: (watcher) => {
        this.#ownWatchers.delete(watcher);
        tree.watches.drop(watcher);
      },
    });
  }
}

function ignore(): void {}

function isWrite(request: Call["request"]): request is WriteRequest {
  return isWriteType(request.type);
}

function leavesWatches(request: ReadRequest): boolean {
  switch (request.type) {
    case OpCode.Exists:
    case OpCode.GetData:
    case OpCode.GetChildren:
    case OpCode.GetChildren2:
      return request.watch;
    case OpCode.SetWatches:
    case OpCode.SetWatches2:
    case OpCode.AddWatch:
    case OpCode.RemoveWatches:
      return true;
    default:
      return false;
  }
}

function childrenPage(
  tree: Tree,
  { path, after, limit }: ChildrenPageRequest,
  identities: readonly AuthId[],
): Omit<Extract<Answer, { kind: "answered" }>, "zxid"> {
  const znode = tree.get(path);
  if (znode === undefined) return { kind: "answered", outcome: { err: ZkErrorCode.NoNode } };
  if (!tree.canRead(znode.acl, identities)) return { kind: "answered", outcome: { err: ZkErrorCode.NoAuth } };
  // One more than asked for tells whether there is more.
  const names = tree.children(path, after, limit + 1);
  const children = names.slice(0, limit);
  const outcome = { err: ZkErrorCode.Ok, body: { kind: "children", children } } as const;
  return { kind: "answered", outcome, more: names.length > limit };
}
