/**
 * One member of an ensemble: the Durable Object that introduces Zab, the tree and the wire to each other.
 *
 * Every event is a turn: it runs without an `await`, and when it ends what has gathered leaves: proposals,
 * answers to clients, packets to peers. Memory is a cache of SQLite and of the sockets' attachments; the
 * constructor rebuilds it, and nothing else does.
 *
 * Invariants:
 * - Clients are served only while this member is the established leader.
 * - A broken invariant aborts the object, which starts again from its storage; a halt of the peer stops it.
 *
 * @module
 */

import { DurableObject } from "cloudflare:workers";
import {
  type AuthId,
  assert,
  formatZxid,
  makeSessionId,
  NO_SESSION,
  OpCode,
  parseSettings,
  type ReadRequest,
  type Requester,
  type ServerId,
  type SessionId,
  type Settings,
  type Txn,
  type WriteRequest,
  ZERO_ZXID,
  ZkErrorCode,
  type Zxid,
} from "../base/index.ts";
import { type Applied, respond, SessionDeadlines, Tree, type WatcherId } from "../tree/index.ts";
import type { Serving } from "../zab/index.ts";
import type {
  Answer,
  BootstrapState,
  Call,
  ChildrenPageRequest,
  EnsembleConfig,
  LockAnswer,
  LockReference,
  LockRequest,
  LockView,
  MemberApi,
  MemberStatus,
  NotServed,
} from "./api.ts";
import { readBootstrap, type StoredBootstrap, writeBootstrap } from "./bootstrap-state.ts";
import type { Connection, ConnectionHost, OpenedSession, ReadAnswer } from "./connection.ts";
import { Connections } from "./connections.ts";
import { History } from "./history.ts";
import { Locks } from "./locks.ts";
import { formatMemberName, type MemberName, parseMemberName } from "./member-name.ts";
import { isSessionPassword, sessionPassword } from "./passwords.ts";
import { Replica } from "./replica.ts";
import { SessionIds } from "./session-ids.ts";
import { migrate, readMeta, writeMeta } from "./sql/meta.ts";
import { nextDueMs, setSchedule, takeDue } from "./sql/schedule.ts";
import { SqlTreeRows } from "./sql/znodes.ts";
import { peerOptions, peerTickMs, tickGapMs, watchdogMs } from "./timing.ts";
import { type Settlement, Writes } from "./writes.ts";

/** What a member needs of its Worker's environment; the `EK_*` settings are among the rest. */
export interface MemberEnv {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

/** Memory for znodes that SQLite has too. Objects of one class may share 128 MB. */
const cacheBytesMax = 24 * 1024 * 1024;

/** How long sockets that outlived the member's memory wait to hear who leads, in ticks. */
const sleepersWaitTicks = 100;

/** How often the leader looks for containers and TTL znodes whose time is over, in ticks (ZooKeeper: 60 s). */
const sweepTicks = 600;

/** Znodes deleted in one sweep. */
const sweepMax = 500;

/** Everything a member has once it belongs to an ensemble. */
interface Life {
  readonly config: EnsembleConfig;
  readonly tree: Tree;
  readonly history: History;
  readonly replica: Replica;
  readonly writes: Writes;
  readonly connections: Connections;
  readonly locks: Locks;
  readonly deadlines: SessionDeadlines;
}

const blankStatus = {
  voters: [],
  role: "looking",
  phase: "election",
  serving: false,
  leader: 0,
  epoch: 0,
  lastLogged: formatZxid(ZERO_ZXID),
  lastCommitted: formatZxid(ZERO_ZXID),
  lastApplied: formatZxid(ZERO_ZXID),
  incarnation: 0,
  sessions: 0,
  connections: 0,
} as const satisfies Partial<MemberStatus>;

export class Member extends DurableObject<MemberEnv> implements MemberApi {
  readonly #name: MemberName;
  readonly #settings: Settings;
  readonly #sql: SqlStorage;
  #bootstrap: StoredBootstrap;
  #life: Life | undefined;
  #incarnation = 0;
  #nowMs = Date.now();
  #ticks = 0;
  #lastTickMs = this.#nowMs;
  #watchdogDueMs = 0;
  #sessionIds: SessionIds | undefined;
  #lastWatcher = 0;
  #lastConfirm = 0;
  readonly #confirming = new Map<number, (confirmed: boolean) => void>();
  /** Watchers of the member's own. */
  readonly #ownWatchers = new Map<WatcherId, () => void>();

  constructor(ctx: DurableObjectState, env: MemberEnv) {
    super(ctx, env);
    const name = parseMemberName(ctx.id.name ?? "");
    assert(name !== undefined, "a member is named <ensemble>/<server id>");
    const parsed = parseSettings({ ...env });
    assert(parsed.ok, "the Worker has checked the settings");
    this.#name = name;
    this.#settings = parsed.settings;
    this.#sql = ctx.storage.sql;
    migrate(ctx.storage);
    this.#bootstrap = readBootstrap(this.#sql);
    // Answered without waking the object: how clients show life for nothing.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    if (this.#bootstrap.state === "active") this.#begin(this.#bootstrap.config);
  }

  async exchange(carrier: Uint8Array): Promise<Uint8Array> {
    // Only activated members call, and activation means that all are prepared.
    if (this.#bootstrap.state === "prepared") this.#activate(this.#bootstrap.config);
    const answer = this.#turn(() => this.#life?.replica.exchange(carrier));
    if (answer === undefined)
      throw new Error(`member ${formatMemberName(this.#name)} cannot take this carrier`);
    return answer;
  }

  async inspect(): Promise<MemberStatus> {
    return this.#turn(() => this.#status());
  }

  async prepareBootstrap(config: EnsembleConfig): Promise<BootstrapState> {
    if (this.#bootstrap.state !== "blank") return this.#bootstrap.state;
    assert(
      [...config.voters, ...config.observers].includes(this.#name.id),
      "a member is prepared for an ensemble it belongs to",
    );
    this.#bootstrap = { state: "prepared", config };
    writeBootstrap(this.#sql, this.#bootstrap);
    return this.#bootstrap.state;
  }

  async bootstrapConfig(): Promise<EnsembleConfig | undefined> {
    return this.#bootstrap.state === "blank" ? undefined : this.#bootstrap.config;
  }

  async activateBootstrap(): Promise<BootstrapState> {
    if (this.#bootstrap.state === "prepared") this.#activate(this.#bootstrap.config);
    return this.#turn(() => this.#bootstrap.state);
  }

  async perform(call: Call): Promise<Answer> {
    const { request } = call;
    if (isWrite(request)) return this.#performWrite(request, call.identities);
    if (call.consistency === "linearizable") {
      const refusal = this.#refusal();
      if (refusal !== undefined) return refusal;
      if (!(await this.#confirm(true))) return this.#refusal() ?? { kind: "notLeader", leader: 0 };
    }
    return this.#turn(() => this.#performRead(request, call.identities));
  }

  async acquireLock(request: LockRequest): Promise<LockAnswer> {
    return this.#refusal() ?? (await this.#lively().locks.acquire(request));
  }

  async keepLock(reference: LockReference): Promise<LockAnswer> {
    return this.#refusal() ?? (await this.#lively().locks.keep(reference));
  }

  async releaseLock(reference: LockReference): Promise<LockAnswer> {
    return this.#refusal() ?? (await this.#lively().locks.release(reference));
  }

  async describeLock(path: string, identities: readonly AuthId[]): Promise<LockView> {
    const requester = { sessionId: NO_SESSION, identities };
    return this.#refusal() ?? (await this.#lively().locks.describe(path, requester));
  }

  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
      return new Response("Members take client connections only\n", { status: 426 });
    }
    return this.#turn(() => {
      const refusal = this.#refusal();
      if (refusal !== undefined) return refuseConnection(refusal);
      const { 0: client, 1: server } = new WebSocketPair();
      this.ctx.acceptWebSocket(server);
      const address = request.headers.get("Ek-Remote-Address") ?? "";
      this.#life?.connections.open(server, address === "" ? [] : [{ scheme: "ip", id: address }]);
      const headers = { "Sec-WebSocket-Protocol": "zookeeper" };
      return new Response(null, { status: 101, webSocket: client, headers });
    });
  }

  override async webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): Promise<void> {
    this.#turn(() => this.#life?.connections.receive(socket, message));
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    this.#turn(() => this.#life?.connections.closed(socket, code));
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#turn(() => this.#life?.connections.closed(socket, 1006));
  }

  /** The watchdog: being woken is all it is for. Never throws: after six failures an alarm is gone for good. */
  override async alarm(): Promise<void> {
    try {
      takeDue(this.#sql, Date.now());
      this.#turn(() => undefined);
    } catch (error) {
      console.error("alarm failed", error);
    } finally {
      this.#armWatchdog();
    }
  }

  // --- Life

  #activate(config: EnsembleConfig): void {
    this.#bootstrap = { state: "active", config };
    writeBootstrap(this.#sql, this.#bootstrap);
    this.#begin(config);
  }

  /** Builds everything from storage; from here on the member takes part. */
  #begin(config: EnsembleConfig): void {
    const { id } = this.#name;
    this.#incarnation = Number(readMeta(this.#sql, "incarnation") ?? "0") + 1;
    writeMeta(this.#sql, "incarnation", String(this.#incarnation));
    const rows = new SqlTreeRows(this.ctx.storage);
    const history = new History(this.ctx.storage, rows);
    const tree = new Tree(rows, { cacheBytesMax, ttlNodes: this.#settings.ttlNodes });
    const replica = new Replica({
      id,
      config,
      options: peerOptions(id, this.#incarnation),
      history,
      tree,
      callPeer: (peer, carrier) => this.#callPeer(peer, carrier),
      hooks: {
        serving: (serving) => this.#serve(serving),
        applied: (zxid, txn, applied) => this.#applied(zxid, txn, applied),
        confirmed: (confirmId) => this.#settleConfirm(confirmId, true),
        rejected: (confirmId) => this.#settleConfirm(confirmId, false),
        answered: (take) => this.#turn(take),
        halted: (reason) => this.#halted(reason),
      },
    });
    const writes = new Writes({
      tree,
      propose: (txns, payloads) => replica.propose(txns, payloads),
      now: () => this.#nowMs,
    });
    const connections = new Connections({
      tree,
      host: this.#connectionHost(tree, writes),
      nextWatcher: () => this.#nextWatcher(),
    });
    const deadlines = new SessionDeadlines(this.#settings.tickMs);
    const locks = this.#locks(tree, writes, deadlines);
    this.#life = { config, tree, history, replica, writes, connections, locks, deadlines };
    connections.adopt(this.ctx.getWebSockets());
    replica.boot();
    this.#armWatchdog();
    this.#scheduleTick();
  }

  #lively(): Life {
    assert(this.#life !== undefined, "a member that serves is alive");
    return this.#life;
  }

  /** Runs one event without interruption; then what has gathered leaves. */
  #turn<Result>(run: () => Result): Result {
    this.#nowMs = Date.now();
    try {
      const result = run();
      if (this.#life !== undefined) this.#endTurn(this.#life);
      return result;
    } catch (error) {
      // A bug of ours. Storage knows the truth, memory may not: start again from there.
      console.error(`member ${formatMemberName(this.#name)} stops`, error);
      this.ctx.abort("a broken invariant stopped this member");
      throw error;
    }
  }

  #endTurn({ writes, connections, replica }: Life): void {
    writes.flush();
    connections.flush();
    replica.flush();
  }

  #scheduleTick(): void {
    setTimeout(() => {
      if (this.#life === undefined) return;
      this.#turn(() => this.#tick(this.#lively()));
      this.#scheduleTick();
    }, peerTickMs);
  }

  #tick({ replica, connections, locks, deadlines, writes, tree }: Life): void {
    this.#ticks += 1;
    const gapMs = this.#nowMs - this.#lastTickMs;
    this.#lastTickMs = this.#nowMs;
    replica.tick();
    if (this.#ticks === sleepersWaitTicks && !writes.isOpen) connections.closeSleepers("no leader was found");
    if (!writes.isOpen) return;
    if (gapMs > tickGapMs || gapMs < 0) deadlines.restartAll(tree.sessions(), this.#nowMs);
    locks.tick();
    this.#expire(deadlines, writes, tree);
    if (this.#ticks % sweepTicks === 0) this.#sweep(writes, tree);
  }

  #expire(deadlines: SessionDeadlines, writes: Writes, tree: Tree): void {
    for (const sessionId of deadlines.expired(this.#nowMs)) {
      if (!tree.isOpen(sessionId)) continue;
      const requester = { sessionId, identities: [] };
      writes.submit({ type: OpCode.CloseSession }, { requester, cxid: 0, settle: ignore });
    }
  }

  #sweep(writes: Writes, tree: Tree): void {
    const requester = { sessionId: NO_SESSION, identities: [] };
    for (const path of tree.sweepDue(this.#nowMs, sweepMax)) {
      writes.submit({ type: OpCode.DeleteContainer, path }, { requester, cxid: 0, settle: ignore });
    }
  }

  #armWatchdog(): void {
    if (this.#life === undefined) return;
    this.#watchdogDueMs = Date.now() + watchdogMs;
    setSchedule(this.#sql, "watchdog", this.#watchdogDueMs);
    // Errors surface through the output gate; there is nothing to await.
    void this.ctx.storage.setAlarm(nextDueMs(this.#sql) ?? this.#watchdogDueMs);
  }

  #callPeer(peer: ServerId, carrier: Uint8Array): Promise<Uint8Array> {
    const name = formatMemberName({ ensemble: this.#name.ensemble, id: peer });
    // A stub stays broken after an error, and a late retry of the platform's would repeat old packets.
    return this.env.MEMBER.getByName(name, { retry: { maxRetries: 0 } }).exchange(carrier);
  }

  // --- Hooks of the replica

  #serve(serving: Serving): void {
    const life = this.#life;
    if (life === undefined) return;
    if (serving.kind === "leading") {
      this.#sessionIds = new SessionIds(this.#name.id, serving.epoch);
      life.deadlines.restartAll(life.tree.sessions(), this.#nowMs);
      life.writes.open();
      life.connections.wake();
      return;
    }
    this.#sessionIds = undefined;
    if (life.writes.isOpen) {
      life.writes.close();
      life.connections.closeAll("leadership lost");
      for (const changed of [...this.#ownWatchers.values()]) changed();
    } else if (serving.kind !== "none") life.connections.closeAll("another member leads");
  }

  #applied(zxid: Zxid, txn: Txn, applied: Applied): void {
    const { tree, writes, connections, deadlines } = this.#lively();
    for (const trigger of applied.triggers) {
      const canRead = (watcher: WatcherId) =>
        this.#ownWatchers.has(watcher) || connections.canRead(watcher, trigger);
      for (const { watcher, event } of tree.watches.fire(trigger, canRead)) {
        const own = this.#ownWatchers.get(watcher);
        if (own !== undefined) own();
        else connections.notify(watcher, event, zxid);
      }
    }
    if (writes.isOpen && txn.op.kind === "createSession") {
      deadlines.start(txn.sessionId, txn.op.timeoutMs, this.#nowMs);
    }
    writes.applied(zxid, applied);
    if (applied.closedSession !== undefined) {
      deadlines.stop(applied.closedSession);
      connections.endSession(applied.closedSession);
    }
  }

  #halted(reason: string): void {
    console.error(`member ${formatMemberName(this.#name)} has halted: ${reason}`);
    const life = this.#life;
    if (life?.writes.isOpen === true) life.writes.close();
    life?.connections.closeAll("member halted");
    for (const id of [...this.#confirming.keys()]) this.#settleConfirm(id, false);
  }

  // --- Clients

  #refusal(): NotServed | undefined {
    const life = this.#life;
    if (life === undefined) return { kind: "blank" };
    if (life.replica.halted !== undefined) return { kind: "halted" };
    if (!life.writes.isOpen) return { kind: "notLeader", leader: life.replica.status.leader };
    return undefined;
  }

  async #performWrite(request: WriteRequest, identities: readonly AuthId[]): Promise<Answer> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    if (!this.#lively().writes.hasRoom) return { kind: "overloaded" };
    const settled = await this.#write(request, { sessionId: NO_SESSION, identities });
    if (settled.kind === "lost") return { kind: "unknown" };
    const outcome = respond(request, settled.applied.outcome);
    return { kind: "answered", outcome, zxid: formatZxid(settled.zxid) };
  }

  #performRead(request: ReadRequest | ChildrenPageRequest, identities: readonly AuthId[]): Answer {
    const life = this.#life;
    if (life === undefined || life.replica.serving.kind === "none") {
      return this.#refusal() ?? { kind: "notLeader", leader: 0 };
    }
    const zxid = formatZxid(life.tree.applied);
    if (request.type === "childrenPage") return { ...childrenPage(life.tree, request, identities), zxid };
    const requester = { sessionId: NO_SESSION, identities };
    const { err, body } = life.tree.answer(request, { requester, watcher: undefined });
    return { kind: "answered", outcome: { err, body }, zxid };
  }

  /** Proposes in a turn of its own; resolves when the txn has applied here, or leadership is lost. */
  #write(request: WriteRequest, requester: Requester): Promise<Settlement> {
    return new Promise((resolve) => {
      this.#turn(() => {
        const writes = this.#life?.writes;
        if (writes?.isOpen !== true) resolve({ kind: "lost" });
        else writes.submit(request, { requester, cxid: 0, settle: resolve });
      });
    });
  }

  #confirm(fresh: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      this.#turn(() => this.#askToConfirm(fresh, resolve));
    });
  }

  #askToConfirm(fresh: boolean, done: (confirmed: boolean) => void): void {
    const life = this.#life;
    if (life?.writes.isOpen !== true) return done(false);
    this.#lastConfirm += 1;
    this.#confirming.set(this.#lastConfirm, done);
    life.replica.readIndex(this.#lastConfirm, fresh);
  }

  #settleConfirm(id: number, confirmed: boolean): void {
    const done = this.#confirming.get(id);
    this.#confirming.delete(id);
    done?.(confirmed);
  }

  #nextWatcher(): WatcherId {
    this.#lastWatcher += 1;
    return this.#lastWatcher;
  }

  #newSessionId(tree: Tree): SessionId | undefined {
    return this.#sessionIds?.next((id) => tree.hasSession(id));
  }

  #connectionHost(tree: Tree, writes: Writes): ConnectionHost {
    return {
      get applied() {
        return tree.applied;
      },
      superDigest: this.#settings.superDigest,
      openSession: (connection, request, done) => this.#openSession(connection, request, done),
      touch: (session) => this.#lively().deadlines.touch(session, this.#nowMs),
      write: (request, requester, cxid, settle) => {
        if (!writes.isOpen || !writes.hasRoom) return false;
        writes.submit(request, { requester, cxid, settle });
        return true;
      },
      read: (request, requester, watcher) => this.#readFor(tree, request, requester, watcher),
      // A frame is handled at the start of its event, before any await.
      confirm: (done) => this.#askToConfirm(true, done),
      changed: (connection) => this.#lively().connections.touch(connection),
    };
  }

  #readFor(tree: Tree, request: ReadRequest, requester: Requester, watcher: WatcherId): ReadAnswer {
    if (leavesWatches(request)) this.#lively().connections.watchesChanged(watcher);
    return tree.answer(request, { requester, watcher });
  }

  #openSession(
    connection: Connection,
    request: Parameters<ConnectionHost["openSession"]>[1],
    done: (opened: OpenedSession | undefined) => void,
  ): void {
    const { config, tree, connections, deadlines } = this.#lively();
    const { tickMs } = this.#settings;
    const timeoutMs = Math.min(Math.max(request.timeoutMs, 2 * tickMs), 20 * tickMs);
    if (request.sessionId === 0n) return this.#createSession(connection, timeoutMs, done);
    const id = makeSessionId(request.sessionId);
    if (!isSessionPassword(config.secret, id, request.password) || !tree.isOpen(id) || !tree.hasSession(id)) {
      return done(undefined);
    }
    deadlines.start(id, timeoutMs, this.#nowMs);
    connections.bind(connection, id);
    done({ id, timeoutMs, password: sessionPassword(config.secret, id) });
  }

  #createSession(
    connection: Connection,
    timeoutMs: number,
    done: (opened: OpenedSession | undefined) => void,
  ): void {
    const { config, tree, writes, connections } = this.#lively();
    const id = writes.isOpen && writes.hasRoom ? this.#newSessionId(tree) : undefined;
    if (id === undefined) return connection.end({ kind: "drop", reason: "not serving" });
    const settle = (settled: Settlement): void => {
      if (settled.kind === "lost") return connection.end({ kind: "drop", reason: "leadership lost" });
      connections.bind(connection, id);
      connections.touch(connection);
      done({ id, timeoutMs, password: sessionPassword(config.secret, id) });
    };
    const requester = { sessionId: id, identities: connection.requester.identities };
    writes.submit({ type: OpCode.CreateSession, timeoutMs }, { requester, cxid: 0, settle });
  }

  #locks(tree: Tree, writes: Writes, deadlines: SessionDeadlines): Locks {
    return new Locks({
      tree,
      now: () => Date.now(),
      isLeading: () => writes.isOpen,
      newSessionId: () => this.#newSessionId(tree),
      write: (request, requester) => this.#write(request, requester),
      touch: (session) => deadlines.touch(session, Date.now()),
      confirm: (fresh) => this.#confirm(fresh),
      watchChildren: (path, changed) => {
        const watcher = this.#nextWatcher();
        this.#ownWatchers.set(watcher, changed);
        tree.watches.addChild(watcher, path);
        return watcher;
      },
      unwatch: (watcher) => {
        this.#ownWatchers.delete(watcher);
        tree.watches.drop(watcher);
      },
    });
  }

  #status(): MemberStatus {
    const { id } = this.#name;
    const life = this.#life;
    const bootstrap = this.#bootstrap.state;
    if (life === undefined) return { ...blankStatus, id, bootstrap };
    const { role, phase, leader, epoch, lastLogged, lastCommitted } = life.replica.status;
    return {
      id,
      bootstrap: life.replica.halted === undefined ? bootstrap : "halted",
      voters: life.config.voters,
      role,
      phase,
      serving: life.writes.isOpen,
      leader,
      epoch,
      lastLogged: formatZxid(lastLogged),
      lastCommitted: formatZxid(lastCommitted),
      lastApplied: formatZxid(life.tree.applied),
      incarnation: this.#incarnation,
      sessions: [...life.tree.sessions()].length,
      connections: life.connections.size,
      halted: life.replica.halted,
    };
  }
}

function ignore(): void {}

function isWrite(request: Call["request"]): request is WriteRequest {
  switch (request.type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
    case OpCode.Delete:
    case OpCode.SetData:
    case OpCode.SetAcl:
    case OpCode.Multi:
    case OpCode.CreateSession:
    case OpCode.CloseSession:
    case OpCode.DeleteContainer:
    case OpCode.Error:
      return true;
    default:
      return false;
  }
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

/** 421: ask another member. Nothing has happened. */
function refuseConnection(refusal: NotServed): Response {
  if (refusal.kind !== "notLeader") return new Response(`${refusal.kind}\n`, { status: 503 });
  return new Response("not leading\n", { status: 421, headers: { "Ek-Leader": String(refusal.leader) } });
}
