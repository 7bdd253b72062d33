/**
 * An ensemble in memory: members that behave as the contract in `src/objects/api.ts` says, share one tree
 * and one lock table, and fail on command.
 *
 * It agrees about nothing and stores nothing; what it is for is the Worker's side of the contract.
 *
 * @module
 */

import {
  type Acl,
  type AuthId,
  CreateMode,
  type CreateRequest,
  compareZxid,
  formatZxid,
  joinPath,
  type KeyedRequest,
  type MultiOp,
  type MultiResult,
  makeServerId,
  makeZxid,
  NO_SESSION,
  nameOf,
  OPEN_ACL,
  OpCode,
  type Outcome,
  ownContenderName,
  parentOf,
  parseZxid,
  type ServerId,
  type SetAclRequest,
  type Stat,
  sequenceSuffix,
  ZkErrorCode,
  type Zxid,
} from "../../src/base/index.ts";
import type {
  Answer,
  BootstrapState,
  Call,
  Child,
  ChildPart,
  Contender,
  DigestAnswer,
  EnsembleConfig,
  Joined,
  JoinOrder,
  LockAnswer,
  LockReference,
  LockReply,
  LockRequest,
  LockView,
  MemberApi,
  MemberOrder,
  MemberReport,
  MemberStatus,
  MembersAnswer,
  MembersReply,
  NotServed,
  ReportRequest,
  SeatAnswer,
  SeatReply,
  SeatRequest,
  SemaphoreState,
  SemaphoreView,
  SessionAnswer,
  SessionCredential,
  SessionOrder,
} from "../../src/objects/index.ts";
import type { Env, MemberNamespace } from "../../src/worker/env.ts";

export type Method = keyof MemberApi;

/** What goes wrong with one call. `after` means: it has taken effect. */
export type Fault = "throw" | "throwAfter" | "hang" | "hangAfter" | { readonly answer: unknown };

export interface LoggedCall {
  readonly member: number;
  readonly method: Method;
  readonly argument: unknown;
}

interface FakeZnode {
  data: Uint8Array | null;
  acl: readonly Acl[];
  aversion: number;
  czxid: Zxid;
  mzxid: Zxid;
  version: number;
  creates: number;
}

interface Performed {
  readonly outcome: Outcome;
  readonly zxid: string;
  readonly more?: boolean;
  readonly children?: Child[];
  readonly repeated?: boolean;
  /** The key is known for another request. */
  readonly isReused?: boolean;
}

interface FakeLock extends Contender {
  readonly path: string;
}

/** When everything in the fake happened. */
const fakeTimeMs = Date.UTC(2026, 10, 1);

export class FakeEnsemble {
  readonly calls: LoggedCall[] = [];
  readonly znodes = new Map<string, FakeZnode>();
  /** Paths whose values nobody may read, on pages of children. */
  readonly unreadable = new Set<string>();
  readonly locks: FakeLock[] = [];
  /** How many everybody counts on, by the semaphore's path. */
  readonly seats = new Map<string, number>();
  /** What keyed requests came to, by key. */
  readonly keyed = new Map<string, Performed & { readonly fingerprint: string }>();
  /** Timeouts of open sessions, by printed id. */
  readonly sessions = new Map<string, number>();
  readonly members: readonly FakeMember[];
  /** Every connection request as a member got it. */
  readonly connections: Request[] = [];
  leader: ServerId | 0 = makeServerId(1);
  /** What members say of who leads; usually the truth. */
  hint: ServerId | 0 | undefined;
  epoch = 1;
  elections = true;
  zxid = makeZxid(1, 0);
  /** To any order about members. */
  membersAnswer: MembersAnswer = { kind: "done", version: "0x100000001", members: [] };

  /** How many of the members, from the first on, vote. */
  readonly voterCount: number;

  constructor(size = 3, state: BootstrapState = "active", observerCount = 0) {
    this.voterCount = size - observerCount;
    this.znodes.set("/", this.#newZnode(null));
    this.members = Array.from({ length: size }, (_, index) => new FakeMember(this, index + 1, state));
  }

  /** Variables for the Worker: open on loopback unless told otherwise. */
  env(vars: Readonly<Record<string, unknown>> = { EK_OPEN_ON_LOOPBACK: "on" }): Env {
    const namespace: MemberNamespace = { getByName: (name) => this.#stub(name) };
    const observerCount = this.members.length - this.voterCount;
    const size = { EK_MEMBERS: String(this.voterCount), EK_OBSERVERS: String(observerCount) };
    return { ...size, ...vars, MEMBER: namespace };
  }

  member(id: number): FakeMember {
    const member = this.members[id - 1];
    if (member === undefined) throw new Error(`the fake has no member ${id}`);
    return member;
  }

  callsOf(method: Method): readonly LoggedCall[] {
    return this.calls.filter((call) => call.method === method);
  }

  /**
   * Being looked at makes members elect: the first active one that is up leads, once a majority is active.
   * Not while `elections` is off.
   */
  elect(): void {
    const voters = this.members.slice(0, this.voterCount);
    const up = voters.filter((member) => member.bootstrap === "active" && member.down === undefined);
    if (!this.elections || up.length * 2 <= voters.length) return;
    if (up.some((member) => member.id === this.leader)) return;
    this.leader = up[0]?.id ?? 0;
    this.epoch++;
  }

  /** A znode straight into the tree. */
  plant(path: string, data: string | Uint8Array | null = ""): void {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    this.#create(path, bytes, false);
  }

  /** The value as text; `undefined` when there is no such znode. */
  value(path: string): string | undefined {
    const data = this.znodes.get(path)?.data;
    return data === undefined || data === null ? undefined : new TextDecoder().decode(data);
  }

  #stub(name: string): FakeMember {
    const id = /^main\/([0-9]+)$/.exec(name)?.[1];
    if (id === undefined) throw new Error(`nobody asked for a member called ${name}`);
    return this.member(Number(id));
  }

  perform({ request, session }: Call): Performed {
    if (session !== undefined && !this.sessions.has(session.id))
      return this.#read({ err: ZkErrorCode.SessionExpired });
    switch (request.type) {
      case OpCode.GetAcl: {
        const znode = this.znodes.get(request.path);
        if (znode === undefined) return this.#read({ err: ZkErrorCode.NoNode });
        const body = { kind: "acl", acl: znode.acl, stat: this.#stat(request.path, znode) } as const;
        return this.#read({ err: ZkErrorCode.Ok, body });
      }
      case OpCode.Keyed:
        return this.#once(request);
      case OpCode.SetAcl:
        return this.#write(() => this.#setAcl(request));
      case OpCode.GetData: {
        const znode = this.znodes.get(request.path);
        if (znode === undefined) return this.#read({ err: ZkErrorCode.NoNode });
        const body = { kind: "data", data: znode.data, stat: this.#stat(request.path, znode) } as const;
        return this.#read({ err: ZkErrorCode.Ok, body });
      }
      case "childrenPage": {
        if (!this.znodes.has(request.path)) return this.#read({ err: ZkErrorCode.NoNode });
        const after = request.after ?? "";
        const names = this.#children(request.path).filter((name) => name > after);
        const children = names.slice(0, request.limit);
        const more = names.length > request.limit;
        if (request.with !== undefined) {
          const described = children.map((name) => this.#child(joinPath(request.path, name), request.with));
          return { ...this.#read({ err: ZkErrorCode.Ok }), children: described, more };
        }
        const outcome = { err: ZkErrorCode.Ok, body: { kind: "children", children } } as const;
        return { ...this.#read(outcome), more };
      }
      case "subtree": {
        if (!this.znodes.has(request.path)) return this.#read({ err: ZkErrorCode.NoNode });
        const below = [...this.znodes.keys()].filter((one) => `${one}/`.startsWith(`${request.path}/`));
        const children = below.toSorted((a, b) => (a < b ? 1 : -1));
        const outcome = { err: ZkErrorCode.Ok, body: { kind: "children", children } } as const;
        return { ...this.#read(outcome), more: children.length > request.limit };
      }
      case OpCode.SetData:
      case OpCode.Create2:
      case OpCode.CreateContainer:
      case OpCode.Delete:
        return this.#write(() => this.#change(request));
      case OpCode.Multi:
        return this.#write(() => this.#multi(request.ops));
      default:
        throw new Error(`the fake does not know request ${String(request.type)}`);
    }
  }

  #child(path: string, parts: readonly ChildPart[] = []): Child {
    const znode = this.znodes.get(path);
    if (znode === undefined) throw new Error(`the fake lists ${path} and does not have it`);
    const stat = parts.includes("stat") ? { stat: this.#stat(path, znode) } : {};
    if (!parts.includes("value")) return { name: nameOf(path), ...stat };
    return {
      name: nameOf(path),
      ...stat,
      ...(this.unreadable.has(path) ? { denied: true } : { data: znode.data }),
    };
  }

  #read(outcome: Outcome) {
    return { outcome, zxid: formatZxid(this.zxid) };
  }

  #write(change: () => Outcome) {
    this.zxid = makeZxid(this.epoch, this.zxid.counter + 1);
    return { outcome: change(), zxid: formatZxid(this.zxid) };
  }

  #change(request: MultiOp): Outcome {
    switch (request.type) {
      case OpCode.SetData:
        return this.#set(request.path, request.data, request.version);
      case OpCode.Delete:
        return this.#delete(request.path, request.version);
      case OpCode.Check:
        return this.#check(request.path, request.version);
      case OpCode.CheckLock: {
        const { path, token } = request;
        const isMeant = (lock: FakeLock) =>
          lock.path === path && lock.holds && lock.token === formatZxid(token);
        return { err: this.locks.some(isMeant) ? ZkErrorCode.Ok : ZkErrorCode.NoNode };
      }
      default:
        return this.#create(request.path, request.data, isSequential(request));
    }
  }

  /** All or nothing, and the codes of a refusal as the tree has them. */
  #multi(ops: readonly MultiOp[]): Outcome {
    const before = structuredClone(this.znodes);
    const results: MultiResult[] = [];
    for (const op of ops) {
      const { err, body } = this.#change(op);
      if (err !== ZkErrorCode.Ok) {
        this.znodes.clear();
        for (const [path, znode] of before) this.znodes.set(path, znode);
        return { err: ZkErrorCode.Ok, body: { kind: "multi", results: refusedAt(results.length, err, ops) } };
      }
      if (body?.kind === "create2") results.push({ ...body, kind: "createdWithStat" });
      else if (body?.kind === "stat") results.push({ ...body, kind: "dataSet" });
      else results.push({ kind: op.type === OpCode.Delete ? "deleted" : "checked" });
    }
    return { err: ZkErrorCode.Ok, body: { kind: "multi", results } };
  }

  #once({ key, fingerprint, request }: KeyedRequest): Performed {
    const known = this.keyed.get(key);
    if (known !== undefined) return { ...known, repeated: true, isReused: known.fingerprint !== fingerprint };
    const performed = this.perform({ request, identities: [], consistency: "linearizable" });
    this.keyed.set(key, { ...performed, fingerprint });
    return performed;
  }

  #setAcl({ path, acl, version }: SetAclRequest): Outcome {
    const znode = this.znodes.get(path);
    if (znode === undefined) return { err: ZkErrorCode.NoNode };
    if (version !== -1 && version !== znode.aversion) return { err: ZkErrorCode.BadVersion };
    Object.assign(znode, { acl, aversion: znode.aversion + 1 });
    return { err: ZkErrorCode.Ok, body: { kind: "stat", stat: this.#stat(path, znode) } };
  }

  /** Sessions never end by themselves here. */
  attend(order: SessionOrder): SessionAnswer {
    const zxid = formatZxid(this.zxid);
    if (order.kind === "open") {
      this.zxid = makeZxid(this.epoch, this.zxid.counter + 1);
      const id = `0x10000010000000${this.zxid.counter}`;
      this.sessions.set(id, order.timeoutMs);
      return this.#session(id, order.timeoutMs);
    }
    const { id } = order.credential;
    if (!isFakeSession(order.credential)) return { kind: "foreign", zxid };
    const timeoutMs = this.sessions.get(id);
    if (timeoutMs === undefined) return { kind: "expired", zxid };
    if (order.kind !== "close") return this.#session(id, timeoutMs);
    this.sessions.delete(id);
    return { kind: "closed", zxid };
  }

  #session(id: string, timeoutMs: number): SessionAnswer {
    return {
      ...{ kind: "session", id, password: fakePassword, timeoutMs, expiresAtMs: fakeTimeMs + timeoutMs },
      ...{ ephemerals: [`/of-${id}`], zxid: formatZxid(this.zxid) },
    };
  }

  #check(path: string, version: number): Outcome {
    const znode = this.znodes.get(path);
    if (znode === undefined) return { err: ZkErrorCode.NoNode };
    return { err: version === -1 || version === znode.version ? ZkErrorCode.Ok : ZkErrorCode.BadVersion };
  }

  #set(path: string, data: Uint8Array | null, version: number): Outcome {
    const znode = this.znodes.get(path);
    if (znode === undefined) return { err: ZkErrorCode.NoNode };
    if (version !== -1 && version !== znode.version) return { err: ZkErrorCode.BadVersion };
    Object.assign(znode, { data, mzxid: this.zxid, version: znode.version + 1 });
    return { err: ZkErrorCode.Ok, body: { kind: "stat", stat: this.#stat(path, znode) } };
  }

  #create(prefix: string, data: Uint8Array | null, isSequential: boolean): Outcome {
    const parent = this.znodes.get(parentOf(prefix));
    if (parent === undefined) return { err: ZkErrorCode.NoNode };
    const path = isSequential ? prefix + sequenceSuffix(parent.creates) : prefix;
    if (this.znodes.has(path)) return { err: ZkErrorCode.NodeExists };
    parent.creates++;
    const znode = this.#newZnode(data);
    this.znodes.set(path, znode);
    return { err: ZkErrorCode.Ok, body: { kind: "create2", path, stat: this.#stat(path, znode) } };
  }

  #delete(path: string, version: number): Outcome {
    const znode = this.znodes.get(path);
    if (path === "/") return { err: ZkErrorCode.BadArguments };
    if (znode === undefined) return { err: ZkErrorCode.NoNode };
    if (version !== -1 && version !== znode.version) return { err: ZkErrorCode.BadVersion };
    if (this.#children(path).length > 0) return { err: ZkErrorCode.NotEmpty };
    this.znodes.delete(path);
    return { err: ZkErrorCode.Ok };
  }

  #newZnode(data: Uint8Array | null): FakeZnode {
    const versions = { version: 0, aversion: 0, creates: 0 };
    return { data, acl: OPEN_ACL, czxid: this.zxid, mzxid: this.zxid, ...versions };
  }

  #children(path: string): string[] {
    const names = [...this.znodes.keys()].filter((one) => one !== "/" && parentOf(one) === path).map(nameOf);
    return names.toSorted((a, b) => (a < b ? -1 : 1));
  }

  #stat(path: string, znode: FakeZnode): Stat {
    return {
      czxid: znode.czxid,
      mzxid: znode.mzxid,
      pzxid: znode.czxid,
      ctime: fakeTimeMs,
      mtime: fakeTimeMs,
      version: znode.version,
      cversion: 0,
      aversion: znode.aversion,
      ephemeralOwner: NO_SESSION,
      dataLength: znode.data?.byteLength ?? 0,
      numChildren: this.#children(path).length,
    };
  }

  acquire(request: LockRequest): LockAnswer {
    const { session } = request;
    if (session !== undefined && !isFakeSession(session)) return { kind: "foreign" };
    if (session !== undefined && !this.sessions.has(session.id)) {
      return { kind: "refused", outcome: { err: ZkErrorCode.SessionExpired }, path: request.path };
    }
    const known = this.locks.find((lock) => lock.id === request.id && lock.path === request.path);
    if (known !== undefined) return granted(known, request.ttlMs);
    const rivals = this.locks.filter((lock) => lock.path === request.path);
    const isShared = request.mode === "shared" && rivals.every((lock) => lock.mode === "shared");
    if (rivals.length > 0 && !isShared) return { kind: "timedOut", contenders: rivals };
    this.zxid = makeZxid(this.epoch, this.zxid.counter + 1);
    const { path, id, mode, owner } = request;
    const name = ownContenderName(id, mode) + sequenceSuffix(this.zxid.counter);
    const lock = {
      path,
      id,
      name,
      mode,
      owner,
      holds: true,
      isRevoked: false,
      token: formatZxid(this.zxid),
      sinceMs: fakeTimeMs,
    };
    this.locks.push(lock);
    return granted(lock, request.ttlMs);
  }

  keep({ path, id }: LockReference): LockAnswer {
    const lock = this.locks.find((one) => one.id === id && one.path === path);
    return lock === undefined ? { kind: "gone" } : granted(lock, 30_000);
  }

  /** Seats are locks of the path `leases` here, as many as there are; who has none is told so at once. */
  takeSeat(request: SeatRequest): SeatAnswer {
    const { path, id, seats, owner, ttlMs, session } = request;
    const leases = `${path}/leases`;
    const taken = this.locks.filter((lock) => lock.path === leases);
    const agreed = this.seats.get(path) ?? seats;
    this.seats.set(path, agreed);
    if (agreed !== seats) return { kind: "otherSeats", seats: agreed };
    const isKnown = taken.some((lock) => lock.id === id);
    if (!isKnown && taken.length >= seats) return { kind: "timedOut", ...this.seatsOf(path) };
    const lock = {
      path: leases,
      id,
      mode: "shared",
      ttlMs,
      waitMs: 0,
      owner,
      identities: [],
      session,
    } as const;
    return asSeat(this.acquire(lock));
  }

  seatsOf(path: string): SemaphoreState {
    const holders = this.locks.filter((lock) => lock.path === `${path}/leases`);
    return { taken: holders.length, holders, queue: [] };
  }

  release({ path, id }: LockReference): LockAnswer {
    const index = this.locks.findIndex((one) => one.id === id && one.path === path);
    if (index === -1) return { kind: "gone" };
    this.locks.splice(index, 1);
    return { kind: "released" };
  }
}

const sequentialModes: readonly number[] = [
  CreateMode.PersistentSequential,
  CreateMode.PersistentSequentialWithTtl,
  CreateMode.EphemeralSequential,
];

function isSequential({ flags }: CreateRequest): boolean {
  return sequentialModes.includes(flags);
}

/** Of every session. */
export const fakePassword = "0123456789abcdef".repeat(2);

function isFakeSession({ password }: SessionCredential): boolean {
  return password === fakePassword;
}

function refusedAt(culprit: number, code: ZkErrorCode, { length }: readonly MultiOp[]): MultiResult[] {
  return Array.from({ length }, (_, at) => {
    if (at === culprit) return { kind: "error", code };
    return { kind: "error", code: at < culprit ? ZkErrorCode.Ok : ZkErrorCode.RuntimeInconsistency };
  });
}

function asSeat(answer: LockAnswer): SeatAnswer {
  if (answer.kind === "timedOut") throw new Error("a fake seat is never waited for");
  return answer;
}

function leaseOf(reference: LockReference): LockReference {
  return { ...reference, path: `${reference.path}/leases` };
}

function granted(lock: FakeLock, ttlMs: number): LockAnswer {
  const { id, mode, token, isRevoked } = lock;
  return { kind: "granted", id, mode, token, ttlMs, expiresAtMs: fakeTimeMs + ttlMs, isRevoked };
}

/** A member that has heard from nobody yet. */
function reportOf(status: MemberStatus): MemberReport {
  const { id, leader, voters, epoch, lastApplied, serving } = status;
  const sizes = { last: -1, min: -1, max: -1 };
  return {
    ...{ kind: "report", id, leader, voters, epoch, observers: [], learners: [] },
    mode: serving ? "leader" : "follower",
    isServing: leader !== 0,
    zxid: lastApplied,
    ...{ nowMs: fakeTimeMs, startedMs: fakeTimeMs - 5_000 },
    ...{ tickMs: 2_000, sessionTimeoutMsMin: 4_000, sessionTimeoutMsMax: 40_000, storageBytes: 4_096 },
    census: { znodes: 4, ephemerals: 0, bytes: 55 },
    ...{ sessionCount: 0, connectionCount: 0, outstanding: 0, received: 0, sent: 0 },
    ...{ authFailures: 0, throttledOps: 0, watchCount: 0, traceMask: "306", configText: "" },
    latency: { min: 0, max: 0, sum: 0, count: 0 },
    ...{ responses: sizes, proposals: sizes },
  };
}

export class FakeMember implements MemberApi {
  readonly #ensemble: FakeEnsemble;
  readonly #faults: { method: Method; fault: Fault }[] = [];
  readonly id: ServerId;
  bootstrap: BootstrapState;
  config: EnsembleConfig | undefined;
  /** Every call fails while set. */
  down: "throw" | "hang" | undefined;
  /** What it says in `inspect` beyond the truth. */
  claims: Partial<MemberStatus> = {};
  /** What it says in `report` beyond that. */
  figures: Partial<MemberReport> = {};

  constructor(ensemble: FakeEnsemble, id: number, bootstrap: BootstrapState) {
    this.#ensemble = ensemble;
    this.id = makeServerId(id);
    this.bootstrap = bootstrap;
  }

  /** The next calls of `method` go wrong, in this order. */
  fail(method: Method, ...faults: readonly Fault[]): void {
    for (const fault of faults) this.#faults.push({ method, fault });
  }

  exchange(carrier: Uint8Array): Promise<Uint8Array> {
    return this.#run("exchange", carrier, () => carrier);
  }

  inspect(options?: { readonly rouse?: boolean | undefined }): Promise<MemberStatus> {
    return this.#run("inspect", options, () => {
      this.#ensemble.elect();
      return this.#status();
    });
  }

  report(request: ReportRequest): Promise<MemberReport | NotServed> {
    return this.#run("report", request, () => {
      if (this.bootstrap !== "active") return { kind: "blank" } as const;
      return { ...reportOf(this.#status()), ...this.figures };
    });
  }

  digestTree(identities: readonly AuthId[]): Promise<DigestAnswer> {
    return this.#serve("digestTree", identities, () => {
      const zxid = formatZxid(this.#ensemble.zxid);
      return { kind: "digest", zxid, digest: "9223372036854775809", version: 2 } as const;
    });
  }

  prepareBootstrap(config: EnsembleConfig): Promise<BootstrapState> {
    return this.#run("prepareBootstrap", config, () => {
      if (this.bootstrap === "blank") {
        this.bootstrap = "prepared";
        this.config = config;
      }
      return this.bootstrap;
    });
  }

  bootstrapConfig(): Promise<EnsembleConfig | undefined> {
    return this.#run("bootstrapConfig", undefined, () => this.config);
  }

  activateBootstrap(): Promise<BootstrapState> {
    return this.#run("activateBootstrap", undefined, () => {
      if (this.bootstrap === "prepared") this.bootstrap = "active";
      return this.bootstrap;
    });
  }

  joinEnsemble(order: JoinOrder): Promise<Joined> {
    return this.#run("joinEnsemble", order, () => "joined" as const);
  }

  addMember(order: MemberOrder): Promise<MembersReply> {
    return this.#serve("addMember", order, () => this.#dated(this.#ensemble.membersAnswer));
  }

  removeMember(id: ServerId): Promise<MembersReply> {
    return this.#serve("removeMember", id, () => this.#dated(this.#ensemble.membersAnswer));
  }

  perform(call: Call): Promise<Answer> {
    return this.#run("perform", call, (): Answer => {
      const isLocal = call.consistency === "local" && this.bootstrap === "active";
      const reads: unknown[] = [OpCode.GetData, OpCode.GetAcl, "childrenPage", "subtree"];
      const isRead = reads.includes(call.request.type);
      if (!isLocal && !(isRead ? this.#serves() : this.#leads())) return this.#notServed();
      const { zxid } = this.#ensemble;
      if (call.session !== undefined && !isFakeSession(call.session))
        return { kind: "foreign", zxid: formatZxid(zxid) };
      const floor = call.floor === undefined ? undefined : parseZxid(call.floor);
      if (floor !== undefined && compareZxid(floor, zxid) > 0)
        return { kind: "behind", zxid: formatZxid(zxid) };
      const ageMs = this.#leads() ? 0 : 40 + this.id;
      const { isReused = false, ...performed } = this.#ensemble.perform(call);
      if (isReused) return { kind: "keyReused", zxid: performed.zxid };
      return { kind: "answered", ...performed, ...(isRead && { ageMs }) };
    });
  }

  attendSession(order: SessionOrder): Promise<SessionAnswer> {
    return this.#serve("attendSession", order, () => this.#ensemble.attend(order));
  }

  acquireLock(request: LockRequest): Promise<LockReply> {
    return this.#serve("acquireLock", request, () => this.#dated(this.#ensemble.acquire(request)));
  }

  keepLock(reference: LockReference): Promise<LockReply> {
    return this.#serve("keepLock", reference, () => this.#dated(this.#ensemble.keep(reference)));
  }

  releaseLock(reference: LockReference): Promise<LockReply> {
    return this.#serve("releaseLock", reference, () => this.#dated(this.#ensemble.release(reference)));
  }

  #dated<Answer>(answer: Answer): Answer & { readonly zxid: string } {
    return { ...answer, zxid: formatZxid(this.#ensemble.zxid) };
  }

  describeLock(path: string): Promise<LockView> {
    return this.#serve("describeLock", path, () => {
      const contenders = this.#ensemble.locks.filter((lock) => lock.path === path);
      return { kind: "described", contenders, zxid: formatZxid(this.#ensemble.zxid) } as const;
    });
  }

  takeSeat(request: SeatRequest): Promise<SeatReply> {
    return this.#serve("takeSeat", request, () => this.#dated(this.#ensemble.takeSeat(request)));
  }

  keepSeat(reference: LockReference): Promise<SeatReply> {
    const keep = () => this.#dated(asSeat(this.#ensemble.keep(leaseOf(reference))));
    return this.#serve("keepSeat", reference, keep);
  }

  releaseSeat(reference: LockReference): Promise<SeatReply> {
    const release = () => this.#dated(asSeat(this.#ensemble.release(leaseOf(reference))));
    return this.#serve("releaseSeat", reference, release);
  }

  describeSemaphore(path: string): Promise<SemaphoreView> {
    return this.#serve("describeSemaphore", path, () => {
      const { seats, zxid } = this.#ensemble;
      const state = this.#ensemble.seatsOf(path);
      return { kind: "described", seats: seats.get(path), ...state, zxid: formatZxid(zxid) } as const;
    });
  }

  fetch(request: Request): Promise<Response> {
    return this.#run("fetch", request, () => {
      if (request.headers.has("Ek-Snapshot-Identities")) return this.#snapshot();
      this.#ensemble.connections.push(request);
      const isAsked = request.headers.get("Ek-Member") === "any" ? this.#serves() : this.#leads();
      if (isAsked) return new Response(null, { status: 101 });
      const served = this.#notServed();
      if (served.kind !== "notLeader") return new Response(null, { status: 503 });
      return new Response(null, { status: 421, headers: { "Ek-Leader": String(served.leader) } });
    });
  }

  #snapshot(): Response {
    const headers = { "Ek-Snapshot-Zxid": formatZxid(this.#ensemble.zxid), "Ek-Snapshot-Bytes": "4" };
    return this.#serves() ? new Response("ZKSN", { headers }) : new Response(null, { status: 503 });
  }

  #leads(): boolean {
    return this.bootstrap === "active" && this.#ensemble.leader === this.id;
  }

  #serves(): boolean {
    return this.bootstrap === "active" && this.#ensemble.leader !== 0;
  }

  #isVoter(): boolean {
    return this.id <= this.#ensemble.voterCount;
  }

  #notServed() {
    if (this.bootstrap === "blank") return { kind: "blank" } as const;
    const { hint, leader } = this.#ensemble;
    return { kind: "notLeader", leader: hint ?? leader } as const;
  }

  #serve<Reply>(method: Method, argument: unknown, action: () => Reply) {
    return this.#run(method, argument, () => (this.#leads() ? action() : this.#notServed()));
  }

  async #run<Reply>(method: Method, argument: unknown, action: () => Reply): Promise<Reply> {
    this.#ensemble.calls.push({ member: this.id, method, argument });
    const index = this.#faults.findIndex((one) => one.method === method);
    const fault = index === -1 ? this.down : this.#faults.splice(index, 1)[0]?.fault;
    if (typeof fault === "object") return fault.answer as Reply;
    if (fault === "throw") throw new Error("the fake fails");
    if (fault === "hang") return new Promise(() => {});
    const reply = action();
    if (fault === "throwAfter") throw new Error("the fake fails afterwards");
    if (fault === "hangAfter") return new Promise(() => {});
    return reply;
  }

  #status(): MemberStatus {
    const { leader, epoch, zxid } = this.#ensemble;
    const leads = this.#leads();
    const following = this.#isVoter() ? "following" : "observing";
    const role = leads ? "leading" : this.#serves() ? following : "looking";
    const ids = this.bootstrap !== "active" ? [] : this.#ensemble.members.map((member) => member.id);
    return {
      id: this.id,
      bootstrap: this.bootstrap,
      voters: ids.slice(0, this.#ensemble.voterCount),
      observers: ids.slice(this.#ensemble.voterCount),
      configVersion: "0x0",
      role,
      phase: role === "looking" ? "election" : "broadcast",
      serving: this.#serves(),
      leader,
      epoch,
      lastLogged: formatZxid(zxid),
      lastCommitted: formatZxid(zxid),
      lastApplied: formatZxid(zxid),
      incarnation: 1,
      sessions: 0,
      connections: 0,
      unreadable: 0,
      ...this.claims,
    };
  }
}
