/**
 * One member of an ensemble: the Durable Object.
 *
 * Every event is a turn: it runs without an `await`, and when it ends what has gathered leaves: proposals,
 * answers to clients, packets to peers. Memory is a cache of SQLite and of the sockets' attachments; the
 * constructor rebuilds it, and nothing else does.
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
  NO_SESSION,
  parseSettings,
  type ServerId,
  type Settings,
  ZERO_ZXID,
} from "../base/index.ts";
import type {
  Answer,
  BootstrapState,
  Call,
  EnsembleConfig,
  Introduction,
  LockAnswer,
  LockReference,
  LockRequest,
  LockView,
  MemberApi,
  MemberStatus,
  NotServed,
} from "./api.ts";
import { readBootstrap, type StoredBootstrap, writeBootstrap } from "./bootstrap-state.ts";
import { Life } from "./life.ts";
import type { Locks } from "./locks.ts";
import { formatMemberName, type MemberName, parseMemberName } from "./member-name.ts";
import { decodeCarrier, whyUnreadable } from "./packet-codec.ts";
import type { MemberReport, ReportRequest } from "./report.ts";
import { migrate, readMeta, writeMeta } from "./sql/meta.ts";
import { nextDueMs, setSchedule, takeDue } from "./sql/schedule.ts";
import { peerTickMs, watchdogMs } from "./timing.ts";

/** What a member needs of its Worker's environment; the `EK_*` settings are among the rest. */
export interface MemberEnv {
  readonly MEMBER: DurableObjectNamespace<Member>;
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
  unreadable: 0,
} as const satisfies Partial<MemberStatus>;

export class Member extends DurableObject<MemberEnv> implements MemberApi {
  readonly #name: MemberName;
  readonly #settings: Settings;
  readonly #sql: SqlStorage;
  #bootstrap: StoredBootstrap;
  /** `undefined` until the member is activated. */
  #life: Life | undefined;
  #nowMs = Date.now();
  #watchdogDueMs = 0;

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
    const answer = this.#turn(() => this.#life?.exchange(carrier));
    if (answer === undefined) {
      const reason = decodeCarrier(carrier) === undefined ? whyUnreadable(carrier) : "not for it, or halted";
      throw new Error(`${formatMemberName(this.#name)} refuses a carrier: ${reason}`);
    }
    return answer;
  }

  async inspect(): Promise<MemberStatus> {
    return this.#turn(() => {
      const identity = { id: this.#name.id, bootstrap: this.#bootstrap.state };
      if (this.#life === undefined) {
        const voters = this.#bootstrap.state === "blank" ? [] : this.#bootstrap.config.voters;
        return { ...blankStatus, ...identity, voters };
      }
      const { status } = this.#life;
      return { ...identity, ...status, ...(status.halted === undefined ? {} : { bootstrap: "halted" }) };
    });
  }

  async report(request: ReportRequest): Promise<MemberReport | NotServed> {
    const life = this.#life;
    return life === undefined ? { kind: "blank" } : this.#turn(() => life.report(request));
  }

  async prepareBootstrap(config: EnsembleConfig): Promise<BootstrapState> {
    if (this.#bootstrap.state !== "blank") return this.#bootstrap.state;
    const ids = [...config.voters, ...config.observers];
    assert(ids.includes(this.#name.id), "a member is prepared for an ensemble it belongs to");
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
    return this.#life === undefined ? { kind: "blank" } : this.#life.perform(call);
  }

  async acquireLock(request: LockRequest): Promise<LockAnswer> {
    return this.#withLocks((locks) => locks.acquire(request));
  }

  async keepLock(reference: LockReference): Promise<LockAnswer> {
    return this.#withLocks((locks) => locks.keep(reference));
  }

  async releaseLock(reference: LockReference): Promise<LockAnswer> {
    return this.#withLocks((locks) => locks.release(reference));
  }

  async describeLock(path: string, identities: readonly AuthId[]): Promise<LockView> {
    return this.#withLocks((locks) => locks.describe(path, { sessionId: NO_SESSION, identities }));
  }

  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
      return new Response("Members take client connections only\n", { status: 426 });
    }
    return this.#turn(() => {
      if (this.#life === undefined) return refuseConnection({ kind: "blank" });
      const anyMember = request.headers.get("Ek-Member") === "any";
      const refusal = anyMember ? this.#life.refusal() : this.#life.leaderRefusal();
      if (refusal !== undefined) return refuseConnection(refusal);
      if (!this.#life.connections.hasRoom) return refuseConnection({ kind: "overloaded" });
      const { 0: client, 1: server } = new WebSocketPair();
      this.ctx.acceptWebSocket(server);
      this.#life.connections.open(server, introductionIn(request.headers));
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

  #activate(config: EnsembleConfig): void {
    this.#bootstrap = { state: "active", config };
    writeBootstrap(this.#sql, this.#bootstrap);
    this.#begin(config);
  }

  /** From here on the member takes part. */
  #begin(config: EnsembleConfig): void {
    const incarnation = Number(readMeta(this.#sql, "incarnation") ?? "0") + 1;
    writeMeta(this.#sql, "incarnation", String(incarnation));
    this.#life = new Life({
      id: this.#name.id,
      config,
      settings: this.#settings,
      incarnation,
      storage: this.ctx.storage,
      callPeer: (peer, carrier) => this.#callPeer(peer, carrier),
      turn: (run) => this.#turn(run),
      now: () => this.#nowMs,
    });
    this.#life.boot(this.ctx.getWebSockets());
    const dueMs = nextDueMs(this.#sql);
    // One that is due is about to run, or is what woke us, and arms itself again.
    if (dueMs === undefined) this.#armWatchdog();
    else this.#watchdogDueMs = dueMs;
    this.#scheduleTick();
  }

  /** Runs one event without interruption; then what has gathered leaves. */
  #turn<Result>(run: () => Result): Result {
    this.#nowMs = Date.now();
    try {
      const result = run();
      this.#life?.flush();
      return result;
    } catch (error) {
      // A bug of ours. Storage knows the truth, memory may not: start again from there.
      console.error(`${formatMemberName(this.#name)} stops`, error);
      this.ctx.abort("a broken invariant stopped this member");
      throw error;
    }
  }

  #scheduleTick(): void {
    setTimeout(() => {
      this.#turn(() => this.#life?.tick());
      // An alarm can get lost; whoever is awake sees to it.
      if (Date.now() > this.#watchdogDueMs + watchdogMs) this.#armWatchdog();
      this.#scheduleTick();
    }, peerTickMs);
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

  async #withLocks<Result>(use: (locks: Locks) => Promise<Result>): Promise<Result | NotServed> {
    if (this.#life === undefined) return { kind: "blank" };
    return this.#life.leaderRefusal() ?? use(this.#life.locks);
  }
}

/** What the Worker says of a client. */
function introductionIn(headers: Headers): Introduction {
  return {
    address: headers.get("Ek-Remote-Address") ?? "",
    port: Number(headers.get("Ek-Remote-Port") ?? "0"),
  };
}

/** 421: ask another member. Nothing has happened. */
function refuseConnection(refusal: NotServed): Response {
  if (refusal.kind === "overloaded") return new Response("too many connections\n", { status: 429 });
  if (refusal.kind !== "notLeader") return new Response(`${refusal.kind}\n`, { status: 503 });
  return new Response("not leading\n", { status: 421, headers: { "Ek-Leader": String(refusal.leader) } });
}
