/**
 * One member of an ensemble: the Durable Object.
 *
 * Every event is a turn: it runs without an `await`, and when it ends what has gathered leaves: proposals,
 * answers to clients, packets to peers. Memory is a cache of SQLite and of the sockets' attachments; a life is
 * that memory, and begins with the first event that needs it. An alarm mostly does not.
 *
 * A timer keeps the object in memory, so there is one only while the life wants ticks.
 *
 * A broken invariant aborts the object, which starts again from its storage.
 *
 * Platform: one alarm per object, dead after six failed retries; hibernation drops the memory and keeps the
 * sockets; https://developers.cloudflare.com/durable-objects/ (2026-11).
 *
 * @module
 */

import { DurableObject } from "cloudflare:workers";
import {
  type AuthId,
  assert,
  formatZxid,
  isLocationHint,
  NO_SESSION,
  parseSettings,
  parseZxid,
  type ServerId,
  type SessionId,
  type Settings,
  ZERO_ZXID,
} from "../base/index.ts";
import { digestVersion } from "../jute/index.ts";
import { Alarms } from "./alarms.ts";
import type {
  Answer,
  BootstrapState,
  Call,
  DigestAnswer,
  EnsembleConfig,
  Joined,
  JoinOrder,
  LockReference,
  LockReply,
  LockRequest,
  LockView,
  MemberApi,
  MemberOrder,
  MemberStatus,
  MembersAnswer,
  MembersReply,
  NotServed,
  SeatReply,
  SeatRequest,
  SemaphoreView,
  SessionAnswer,
  SessionOrder,
} from "./api.ts";
import { sessionOfSocket } from "./attachment.ts";
import { readBootstrap, type StoredBootstrap, writeBootstrap } from "./bootstrap-state.ts";
import { writeConfigs } from "./configs.ts";
import { readPromises } from "./history.ts";
import { introductionIn, listenerIn } from "./introductions.ts";
import { Life } from "./life.ts";
import { formatMemberName, type MemberName, parseMemberName } from "./member-name.ts";
import { decodeCarrier, whyUnreadable } from "./packet-codec.ts";
import type { Reconfiguring } from "./reconfiguring.ts";
import type { MemberReport, ReportRequest } from "./report.ts";
import { answerSnapshot, copierIn } from "./snapshot-responses.ts";
import { migrate, readMeta, writeMeta } from "./sql/meta.ts";
import { setSchedule } from "./sql/schedule.ts";
import { readVigil, writeVigil } from "./sql/vigil.ts";
import { alarmLateMsMax, peerTickMs, sleepingWatchdogMs, watchCallMs, watchdogMs } from "./timing.ts";
import { earliest, look } from "./vigil.ts";

/** What a member needs of its Worker's environment; the `EK_*` settings are among the rest. */
export interface MemberEnv {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

const blankStatus = {
  voters: [],
  observers: [],
  configVersion: formatZxid(ZERO_ZXID),
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
  unreadable: 0,
} as const satisfies Partial<MemberStatus>;

export class Member extends DurableObject<MemberEnv> implements MemberApi {
  readonly #name: MemberName;
  readonly #settings: Settings;
  readonly #sql: SqlStorage;
  #bootstrap: StoredBootstrap;
  readonly #alarms: Alarms;
  /** `undefined` until the member is active, and something needs more than its storage. */
  #life: Life | undefined;
  #nowMs = Date.now();
  #ticking: ReturnType<typeof setTimeout> | undefined;

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
    this.#alarms = new Alarms(ctx.storage);
    this.#bootstrap = readBootstrap(this.#sql);
    // Answered without waking the object: how clients show life for nothing.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  async exchange(carrier: Uint8Array): Promise<Uint8Array> {
    // Only activated members call, and activation means that all are prepared.
    if (this.#bootstrap.state === "prepared") this.#activate(this.#bootstrap.config);
    const answer = this.#turn(() => this.#awake()?.exchange(carrier));
    if (answer === undefined) {
      const reason = decodeCarrier(carrier) === undefined ? whyUnreadable(carrier) : "not for it, or halted";
      throw new Error(`${formatMemberName(this.#name)} refuses a carrier: ${reason}`);
    }
    return answer;
  }

  async inspect(options: { readonly rouse?: boolean | undefined } = {}): Promise<MemberStatus> {
    return this.#turn(() => {
      const identity = { id: this.#name.id, bootstrap: this.#bootstrap.state };
      const life = this.#awake();
      if (options.rouse === true) life?.stir();
      if (life === undefined) {
        if (this.#bootstrap.state === "blank") return { ...blankStatus, ...identity };
        const { voters, observers } = this.#bootstrap.config;
        return { ...blankStatus, ...identity, voters, observers };
      }
      const { status } = life;
      return { ...identity, ...status, ...(status.halted === undefined ? {} : { bootstrap: "halted" }) };
    });
  }

  async report(request: ReportRequest): Promise<MemberReport | NotServed> {
    return this.#turn(() => this.#awake()?.report(request) ?? { kind: "blank" });
  }

  async prepareBootstrap(config: EnsembleConfig): Promise<BootstrapState> {
    if (this.#bootstrap.state !== "blank") return this.#bootstrap.state;
    const ids = [...config.voters, ...config.observers];
    assert(ids.includes(this.#name.id), "a member is prepared for an ensemble it belongs to");
    this.#bootstrap = { state: "prepared", config };
    writeBootstrap(this.#sql, this.#bootstrap);
    const storageId = config.storageIds?.[this.#name.id];
    if (storageId !== undefined) writeMeta(this.#sql, "storageId", storageId);
    return this.#bootstrap.state;
  }

  async bootstrapConfig(): Promise<EnsembleConfig | undefined> {
    return this.#bootstrap.state === "blank" ? undefined : this.#bootstrap.config;
  }

  async activateBootstrap(): Promise<BootstrapState> {
    return this.#turn(() => {
      if (this.#bootstrap.state === "prepared") this.#activate(this.#bootstrap.config);
      return this.#bootstrap.state;
    });
  }

  /** Members only: whether this one leads, awake or asleep, and its alarm will see to the sessions. Wakes nobody. */
  async keepsWatch(): Promise<boolean> {
    return this.#turn(() => {
      if (this.#life?.wantsTicks === true) return this.#life.leaderRefusal() === undefined;
      if (!isEstablishedLeader(this.#sql, this.#name.id)) return false;
      const { nextDueMs } = this.#alarms;
      // An alarm can get lost; whoever asks sees to it.
      this.#alarms.arm(this.#nowMs);
      return nextDueMs !== undefined && this.#nowMs - nextDueMs <= alarmLateMsMax;
    });
  }

  async joinEnsemble(order: JoinOrder): Promise<Joined> {
    return this.#turn(() => this.#join(order));
  }

  #join({ secret, version, members, retired }: JoinOrder): Joined {
    if (this.#bootstrap.state !== "blank") {
      const isOurs = this.#bootstrap.config.secret === secret && this.#life?.status.halted === undefined;
      return isOurs ? "joined" : "foreign";
    }
    const zxid = parseZxid(version);
    assert(zxid !== undefined, "a version is a zxid");
    writeMeta(this.#sql, "storageId", crypto.randomUUID().replaceAll("-", ""));
    writeConfigs(this.#sql, { committed: { version: zxid, members, retired }, pending: undefined });
    const idsOf = (role: string) => members.filter((member) => member.role === role).map(({ id }) => id);
    this.#activate({ voters: idsOf("voter"), observers: idsOf("observer"), secret });
    return "joined";
  }

  async addMember(order: MemberOrder, identities: readonly AuthId[]): Promise<MembersReply> {
    return this.#reconfigure((reconfiguring) => reconfiguring.add(order, identities));
  }

  async removeMember(id: ServerId, identities: readonly AuthId[]): Promise<MembersReply> {
    return this.#reconfigure((reconfiguring) => reconfiguring.remove(id, identities));
  }

  async perform(call: Call): Promise<Answer> {
    return this.#visit((life, fresh) => life.http.perform(call, fresh));
  }

  async attendSession(order: SessionOrder): Promise<SessionAnswer> {
    return this.#visit((life, fresh) => life.http.attendSession(order, fresh));
  }

  async acquireLock(request: LockRequest): Promise<LockReply> {
    return this.#asLeader(async ({ locks }) => locks.date(await locks.acquire(request)));
  }

  async keepLock(reference: LockReference): Promise<LockReply> {
    return this.#asLeader(async ({ locks }, fresh) => locks.date(await locks.keep(reference, fresh)));
  }

  async releaseLock(reference: LockReference): Promise<LockReply> {
    return this.#asLeader(async ({ locks }, fresh) => locks.date(await locks.release(reference, fresh)));
  }

  async describeLock(path: string, identities: readonly AuthId[]): Promise<LockView> {
    const requester = { sessionId: NO_SESSION, identities };
    return this.#asLeader(({ locks }, fresh) => locks.describe(path, requester, fresh));
  }

  async takeSeat(request: SeatRequest): Promise<SeatReply> {
    return this.#asLeader(async ({ semaphores: sem }) => sem.date(await sem.take(request)));
  }

  async keepSeat(seat: LockReference): Promise<SeatReply> {
    return this.#asLeader(async ({ semaphores: sem }, fresh) => sem.date(await sem.keep(seat, fresh)));
  }

  async releaseSeat(seat: LockReference): Promise<SeatReply> {
    return this.#asLeader(async ({ semaphores: sem }, fresh) => sem.date(await sem.release(seat, fresh)));
  }

  async describeSemaphore(path: string, identities: readonly AuthId[]): Promise<SemaphoreView> {
    const requester = { sessionId: NO_SESSION, identities };
    return this.#asLeader(({ semaphores }, fresh) => semaphores.describe(path, requester, fresh));
  }

  async digestTree(identities: readonly AuthId[]): Promise<DigestAnswer> {
    const answer = await this.#visit(async (life) => life.refusal() ?? life.copies.digest(identities));
    if (answer === "busy") return { kind: "overloaded" };
    if (answer === "denied") return { kind: "denied" };
    if ("kind" in answer) return answer;
    const { zxid, digest } = answer;
    return { kind: "digest", zxid: formatZxid(zxid), digest: String(digest), version: digestVersion };
  }

  override async fetch(request: Request): Promise<Response> {
    const copier = copierIn(request.headers);
    if (copier !== undefined) return this.#copy(copier);
    if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
      return new Response("Members take client connections only\n", { status: 426 });
    }
    const anyMember = request.headers.get("Ek-Member") === "any";
    const host = await this.#visit(async (life) => refusalOf(life, anyMember) ?? life);
    if (!(host instanceof Life)) return refuseConnection(host);
    return this.#turn(() => {
      // Waiting, it may have lost what made it fit.
      const refusal = refusalOf(host, anyMember);
      return refusal === undefined ? this.#connect(host, request.headers) : refuseConnection(refusal);
    });
  }

  override async webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): Promise<void> {
    this.#turn(() => {
      const life = this.#awake();
      life?.stir();
      life?.clients.receive(socket, message);
    });
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    this.#turn(() => this.#awake()?.closed(socket, code));
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#turn(() => this.#awake()?.closed(socket, 1006));
  }

  /** Never throws: after six failures an alarm is gone for good. */
  override async alarm(): Promise<void> {
    try {
      this.#nowMs = Date.now();
      const due = this.#alarms.take(this.#nowMs);
      const isAwake = this.#life?.wantsTicks === true;
      if (this.#bootstrap.state === "active" && !isAwake && (await this.#mustWake(due))) {
        this.#turn(() => this.#awake()?.stir());
      }
    } catch (error) {
      console.error("alarm failed", error);
    } finally {
      this.#alarms.arm(Date.now());
    }
  }

  /** Does what a sleeping member can do from its storage alone; whether more than that is due. */
  async #mustWake(due: ReadonlySet<string>): Promise<boolean> {
    const isDue = due.has("sweep") || (due.has("sessions") && this.#keepVigil());
    if (!isDue && !due.has("watchdog")) return false;
    // Taken, it is planned no longer: should this memory be lost before it is seen to, another alarm comes.
    setSchedule(this.#sql, "watchdog", this.#nowMs + watchdogMs);
    return isDue || !(await this.#isWatched());
  }

  /** Looks at the deadlines of the sessions, as their leader; whether one of them is to be ended. */
  #keepVigil(): boolean {
    const stored = readVigil(this.#sql);
    if (stored === undefined) return true;
    const sockets = new Map<SessionId, WebSocket>();
    for (const socket of this.ctx.getWebSockets()) {
      const session = sessionOfSocket(socket);
      if (session !== undefined) sockets.set(session, socket);
    }
    const { vigil, isDue } = look(stored, {
      nowMs: this.#nowMs,
      tickMs: this.#settings.tickMs,
      lastSign: (id) => this.#lastSign(sockets.get(id)),
    });
    if (isDue) return true;
    writeVigil(this.#sql, vigil);
    setSchedule(this.#sql, "sessions", earliest(vigil.watched));
    return false;
  }

  /** Asks the leader, without waking it, whether it sees to the sessions. */
  async #isWatched(): Promise<boolean> {
    const { acceptedLeader } = readPromises(this.#sql);
    if (acceptedLeader === 0 || acceptedLeader === this.#name.id) return false;
    const answer = await Promise.race([
      this.#stub(acceptedLeader).keepsWatch(),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), watchCallMs)),
    ]).catch(() => false);
    if (answer) setSchedule(this.#sql, "watchdog", Date.now() + sleepingWatchdogMs);
    return answer;
  }

  #activate(config: EnsembleConfig): void {
    this.#bootstrap = { state: "active", config };
    writeBootstrap(this.#sql, this.#bootstrap);
    this.#begin(config);
  }

  /** The life of an active member; begins it when there is none. Within a turn. */
  #awake(): Life | undefined {
    if (this.#bootstrap.state !== "active") return undefined;
    return this.#life ?? this.#begin(this.#bootstrap.config);
  }

  /** From here on the member takes part. */
  #begin(config: EnsembleConfig): Life {
    const incarnation = Number(readMeta(this.#sql, "incarnation") ?? "0") + 1;
    writeMeta(this.#sql, "incarnation", String(incarnation));
    this.#life = new Life({
      id: this.#name.id,
      config,
      settings: this.#settings,
      incarnation,
      storage: this.ctx.storage,
      // A late retry of the platform's would repeat old packets.
      callPeer: (peer, carrier) => this.#stub(peer).exchange(carrier),
      storageId: readMeta(this.#sql, "storageId"),
      joinPeer: (id, location, order) => this.#joinPeer(id, location, order),
      lastSign: (socket) => this.#lastSign(socket),
      plan: (plan) => this.#alarms.plan(plan, this.#nowMs),
      turn: (run) => this.#turn(run),
      now: () => this.#nowMs,
    });
    this.#life.boot(this.ctx.getWebSockets());
    return this.#life;
  }

  /** Runs one event without interruption; then what has gathered leaves. */
  #turn<Result>(run: () => Result): Result {
    this.#nowMs = Date.now();
    try {
      const result = run();
      this.#life?.flush();
      this.#keepTicking();
      return result;
    } catch (error) {
      // A bug of ours. Storage knows the truth, memory may not: start again from there.
      console.error(`${formatMemberName(this.#name)} stops`, error);
      this.ctx.abort("a broken invariant stopped this member");
      throw error;
    }
  }

  #keepTicking(): void {
    if (this.#ticking !== undefined || this.#life?.wantsTicks !== true) return;
    this.#ticking = setTimeout(() => {
      this.#ticking = undefined;
      this.#turn(() => this.#life?.tick());
    }, peerTickMs);
  }

  /** Made for one call: a stub stays broken after an error. */
  #stub(peer: ServerId): DurableObjectStub<Member> {
    const name = formatMemberName({ ensemble: this.#name.ensemble, id: peer });
    return this.env.MEMBER.getByName(name, { retry: { maxRetries: 0 } });
  }

  #lastSign(socket: WebSocket | undefined): number | undefined {
    if (socket === undefined) return undefined;
    return this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime();
  }

  /** An object is made where its first caller asks for, and stays there. */
  #joinPeer(id: ServerId, location: string | undefined, order: JoinOrder): Promise<Joined> {
    const name = formatMemberName({ ensemble: this.#name.ensemble, id });
    const hint = isLocationHint(location) ? { locationHint: location } : {};
    return this.env.MEMBER.getByName(name, { ...hint, retry: { maxRetries: 0 } }).joinEnsemble(order);
  }

  #reconfigure(use: (reconfiguring: Reconfiguring) => Promise<MembersAnswer>): Promise<MembersReply> {
    return this.#asLeader(async (life) => ({ ...(await use(life.reconfiguring)), zxid: life.applied }));
  }

  async #copy(identities: readonly AuthId[]): Promise<Response> {
    const file = await this.#visit(async (life) => life.refusal() ?? life.copies.snapshot(identities));
    return typeof file === "object" && "kind" in file ? refuseConnection(file) : answerSnapshot(file);
  }

  #connect(life: Life, headers: Headers): Response {
    if (!life.clients.hasRoom) return refuseConnection({ kind: "overloaded" });
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    const accept = (told: Record<string, string>) =>
      new Response(null, { status: 101, webSocket: client, headers: told });
    const listener = listenerIn(headers);
    if (listener !== undefined) {
      life.clients.streams.open(server, listener);
      return accept({});
    }
    const protocol = { "Sec-WebSocket-Protocol": "zookeeper" };
    const gateway = headers.get("Ek-Shared");
    if (gateway !== null) {
      life.clients.share(server, gateway);
      return accept({ ...protocol, "Ek-Shared": "yes" });
    }
    const introduction = introductionIn(headers);
    life.connections.open(server, introduction);
    return accept({
      ...protocol,
      ...(introduction.wantsCredit && { "Ek-Credit": "yes" }),
      ...(introduction.lane !== undefined && { "Ek-Lane": String(this.#name.id) }),
    });
  }

  /** For what clients ask. Waits where leadership is about to be confirmed: nothing has happened until then. */
  async #visit<Result>(use: (life: Life, fresh: boolean) => Promise<Result>): Promise<Result | NotServed> {
    const life = this.#turn(() => {
      const awake = this.#awake();
      awake?.stir();
      return awake;
    });
    if (life === undefined) return { kind: "blank" };
    const arrival = life.arrival();
    if (arrival !== undefined) await arrival;
    return use(life, arrival === undefined);
  }

  #asLeader<Result>(use: (life: Life, fresh: boolean) => Promise<Result>): Promise<Result | NotServed> {
    return this.#visit(async (life, fresh) => life.leaderRefusal() ?? use(life, fresh));
  }
}

function refusalOf(life: Life, anyMember: boolean): NotServed | undefined {
  return anyMember ? life.refusal() : life.leaderRefusal();
}

function isEstablishedLeader(sql: SqlStorage, id: ServerId): boolean {
  const { acceptedEpoch, acceptedLeader, establishedEpoch } = readPromises(sql);
  return acceptedLeader === id && establishedEpoch === acceptedEpoch;
}

/** 421: ask another member. Nothing has happened. */
function refuseConnection(refusal: NotServed): Response {
  if (refusal.kind === "overloaded") return new Response("too many connections\n", { status: 429 });
  if (refusal.kind !== "notLeader") return new Response(`${refusal.kind}\n`, { status: 503 });
  return new Response("not leading\n", { status: 421, headers: { "Ek-Leader": String(refusal.leader) } });
}
