/**
 * Locks for callers without a connection: a place in a queue that lives and dies with a session.
 *
 * A contender is a sequential ephemeral under the lock's znode, owned by a session whose timeout is the
 * lock's `ttl`. Keeping the lock touches the session; releasing it, giving up waiting and letting it lapse
 * all end the session, and the place goes with it in the same txn. A caller may bring a session of its own: then
 * the place is taken in that one, lives by its timeout, and is deleted alone. The fencing token is the zxid that
 * created the contender: places are taken in zxid order, so later holders always have greater tokens.
 *
 * The caller names its place (`id`). Asking again after a failure finds it, so retries never queue twice.
 *
 * Invariants:
 * - `granted` is answered only for what was true at a moment this member was the confirmed leader.
 * - No session is kept, and no place in it found or given up, for who has not shown its password; but for a session
 *   that was made here for a place, which is found by the place's id alone.
 *
 * @module
 */

import {
  assert,
  blockerOf,
  CreateMode,
  contenderData,
  formatZxid,
  isInLentSession,
  isValidPath,
  joinPath,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  ownContenderName,
  ownLockId,
  parentOf,
  type QueuedContender,
  queueOf,
  type Requester,
  type SessionId,
  type WriteRequest,
  ZkErrorCode,
} from "../base/index.ts";
import type { Tree, TxnOutcome, WatcherId } from "../tree/index.ts";
import type {
  Contender,
  LockAnswer,
  LockReference,
  LockReply,
  LockRequest,
  LockView,
  SessionCredential,
} from "./api.ts";
import { LockDelays } from "./lock-delays.ts";
import type { Settlement } from "./writes.ts";

/** Children of one lock's znode; nobody joins a longer queue. Each joining lists all of them. */
export const contendersMax = 2_000;

/** Callers that wait here, for all locks together. */
export const waitersMax = 10_000;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export interface LocksHost {
  readonly tree: Tree;
  now(): number;
  isLeading(): boolean;
  /** A session of `timeoutMs` for the HTTP door; `undefined` when this member no longer leads. */
  newSessionId(): SessionId | undefined;
  /** `undefined` when the password is not that session's. */
  sessionOf(credential: SessionCredential): SessionId | undefined;
  /** Settles when the write has applied, or leadership is lost; at once when it is already. */
  write(request: WriteRequest, requester: Requester): Promise<Settlement>;
  /** Restarts a session's deadline, and answers from when it counts; `undefined`: the session is ending. */
  touch(session: SessionId): number | undefined;
  /** Whether another write may be submitted. */
  hasRoom(): boolean;
  /** Resolves to whether leadership was confirmed after the call. */
  confirm(fresh: boolean): Promise<boolean>;
  /** Calls back when the znode at `path` goes, at the latest; also when leadership is lost. */
  watchZnode(path: string, changed: () => void): WatcherId;
  unwatch(watcher: WatcherId): void;
}

/** A contender of ours, found in the applied state. */
export interface Place {
  readonly contender: QueuedContender;
  /** Whom it waits for; `undefined` when it holds. */
  readonly ahead: QueuedContender | undefined;
  readonly session: SessionId;
  readonly token: string;
  /** Somebody asks for the lock back. */
  readonly isRevoked: boolean;
}

/** Which place a caller speaks of. */
export interface Claim {
  readonly id: string;
  /** The caller's; `NO_SESSION` when it brought none. */
  readonly session: SessionId;
}

/** Why a znode was not made. */
type Unmade = Extract<LockAnswer, { readonly kind: "refused" | "unknown" }>;

/** `atMs`: the session's deadline counts from no earlier. */
type Entered = { readonly kind: "entered"; readonly atMs: number } | LockAnswer;

export class Locks {
  readonly #host: LocksHost;
  /** Places whose callers wait here, by the contender's path, and how many do: the wait keeps their sessions alive. */
  readonly #waiting = new Map<string, { readonly session: SessionId; readonly callers: number }>();
  /** Places being taken, by path and id: a retry that overlaps its first try must not take another. */
  readonly #entering = new Map<string, Promise<Entered>>();

  readonly #delays: LockDelays;

  constructor(host: LocksHost) {
    this.#host = host;
    this.#delays = new LockDelays(host);
  }

  /** Somebody waits for an answer. */
  get isBusy(): boolean {
    return this.#waiting.size > 0 || this.#entering.size > 0;
  }

  /** A tick has passed. */
  tick(): void {
    for (const { session } of this.#waiting.values()) this.#host.touch(session);
  }

  /** The answer, and as of when it is given. */
  date(answer: LockAnswer): LockReply {
    return { ...answer, zxid: formatZxid(this.#host.tree.applied) };
  }

  async acquire(request: LockRequest): Promise<LockAnswer> {
    const { path } = request;
    const claim = this.claimOf(request);
    if (claim === undefined) return { kind: "foreign" };
    if (this.#isAnothers(path, claim)) return this.#gone(path, claim);
    if (this.find(path, claim) === undefined) {
      const entered = await this.#enterOnce(request, claim);
      if (entered.kind !== "entered") return entered;
      const place = this.find(path, claim);
      const mayHold = place?.contender.holds === true && (request.delayMs ?? 0) === 0;
      // Its own commit has just confirmed this leader.
      if (mayHold && !this.#delays.isInTheWay(path, request.mode)) {
        return this.#granted(claim, place, entered.atMs);
      }
    }
    return this.#wait(request, claim);
  }

  async keep(reference: LockReference, fresh: boolean): Promise<LockAnswer> {
    const { path } = reference;
    const claim = this.claimOf(reference);
    if (claim === undefined) return { kind: "foreign" };
    const before = this.find(path, claim);
    const keptAt = before === undefined ? undefined : this.#host.touch(before.session);
    if (!(await this.#host.confirm(fresh))) return { kind: "unknown" };
    const place = this.find(path, claim);
    if (place === undefined || keptAt === undefined) return this.#absent(path, claim);
    const { holds, mode } = place.contender;
    // A grant has outlasted every delay in its way.
    if (holds && !this.#delays.isInTheWay(path, mode)) return this.#granted(claim, place, keptAt);
    return { kind: "timedOut", contenders: this.contenders(path) };
  }

  async release(reference: LockReference, fresh: boolean): Promise<LockAnswer> {
    const { path, identities } = reference;
    const claim = this.claimOf(reference);
    if (claim === undefined) return { kind: "foreign" };
    const entering = this.#entering.get(keyOf(path, claim));
    // Given up while it is being taken: it must not be left behind.
    if (entering !== undefined) await entering;
    const place = this.find(path, claim);
    if (place !== undefined) {
      await this.#delays.exhume(joinPath(path, place.contender.name), { sessionId: NO_SESSION, identities });
      return this.#leave(reference, place, { kind: "released" });
    }
    return (await this.#host.confirm(fresh && entering === undefined))
      ? this.#absent(path, claim)
      : { kind: "unknown" };
  }

  async describe(path: string, requester: Requester, fresh: boolean): Promise<LockView> {
    if (!(await this.#host.confirm(fresh))) return { kind: "unknown" };
    const { tree } = this.#host;
    const znode = tree.get(path);
    if (znode !== undefined && !tree.canRead(znode.acl, requester.identities)) {
      return { kind: "refused", outcome: { err: ZkErrorCode.NoAuth }, path, zxid: formatZxid(tree.applied) };
    }
    return {
      kind: "described",
      contenders: this.contenders(path, requester),
      zxid: formatZxid(tree.applied),
    };
  }

  /** A sign of life of the session that the caller brought. `undefined`: it is not the caller's. */
  claimOf({ id, session }: Pick<LockReference, "id" | "session">): Claim | undefined {
    if (session === undefined) return { id, session: NO_SESSION };
    const known = this.#host.sessionOf(session);
    if (known === undefined) return undefined;
    this.#host.touch(known);
    return { id, session: known };
  }

  /** The place of this id was taken in another session than the one it is asked for in. */
  #isAnothers(path: string, claim: Claim): boolean {
    const isNamed = (contender: QueuedContender) => ownLockId(contender) === claim.id;
    return this.find(path, claim) === undefined && this.#queue(path).some(isNamed);
  }

  /** Why there is no such place; leadership has been confirmed. */
  #absent(path: string, claim: Claim): LockAnswer {
    if (claim.session !== NO_SESSION && !this.#host.tree.hasSession(claim.session))
      return { kind: "refused", outcome: { err: ZkErrorCode.SessionExpired }, path };
    return { kind: this.#isAnothers(path, claim) ? "foreign" : "gone" };
  }

  #enterOnce(request: LockRequest, claim: Claim): Promise<Entered> {
    const key = keyOf(request.path, claim);
    const under = this.#entering.get(key);
    if (under !== undefined) return under;
    const entering = this.#enter(request, claim).finally(() => this.#entering.delete(key));
    this.#entering.set(key, entering);
    return entering;
  }

  /**
   * Opens a session if none was brought, and takes a place in it; makes the lock's znode and its parents when they
   * are missing.
   */
  async #enter(request: LockRequest, claim: Claim): Promise<Entered> {
    const { path, id, mode, owner, identities } = request;
    const isLent = claim.session !== NO_SESSION;
    const contenders = this.#host.tree.get(path)?.numChildren ?? 0;
    if (!this.#host.hasRoom() || contenders >= contendersMax) return { kind: "overloaded" };
    const session = isLent ? claim.session : this.#host.newSessionId();
    if (session === undefined) return { kind: "notLeader", leader: 0 };
    const atMs = this.#host.now();
    const requester = { sessionId: session, identities };
    const open: WriteRequest = { type: OpCode.CreateSession, timeoutMs: request.ttlMs };
    const create: WriteRequest = {
      type: OpCode.Create,
      path: joinPath(path, ownContenderName(id, mode, isLent)),
      data: encoder.encode(owner),
      acl: OPEN_ACL,
      flags: CreateMode.EphemeralSequential,
      ttlMs: -1,
    };
    // Both in one batch: whoever dies in between leaves an empty session that lapses.
    const opened = isLent ? undefined : this.#host.write(open, requester);
    let settled = await this.#host.write(create, requester);
    await opened;
    for (let tries = 0; tries < parentTriesMax && codeOf(settled) === ZkErrorCode.NoNode; tries++) {
      const made = await this.makeZnode(path, { sessionId: NO_SESSION, identities });
      if (made !== undefined) return isLent ? made : this.#abandon(session, made);
      settled = await this.#host.write(create, requester);
    }
    if (settled.kind === "lost") return { kind: "unknown" };
    const code = codeOf(settled);
    if (code === ZkErrorCode.Ok) return { kind: "entered", atMs };
    const refused: LockAnswer = { kind: "refused", outcome: { err: code }, path };
    return isLent ? refused : this.#abandon(session, refused);
  }

  /** `undefined` when the znode is there now, parents included. */
  async makeZnode(path: string, requester: Requester): Promise<Unmade | undefined> {
    assert(isValidPath(path), "the door has checked the path");
    const missing: string[] = [];
    for (let at = path; at !== "/" && this.#host.tree.get(at) === undefined; at = parentOf(at))
      missing.unshift(at);
    for (const at of missing) {
      const settled = await this.#host.write(
        {
          type: OpCode.Create,
          path: at,
          data: new Uint8Array(0),
          acl: OPEN_ACL,
          flags: CreateMode.Persistent,
          ttlMs: -1,
        },
        requester,
      );
      if (settled.kind === "lost") return { kind: "unknown" };
      const err = codeOf(settled);
      const isThere = err === ZkErrorCode.Ok || err === ZkErrorCode.NodeExists;
      if (!isThere) return { kind: "refused", outcome: { err }, path: at };
    }
    return undefined;
  }

  async #wait(request: LockRequest, claim: Claim): Promise<LockAnswer> {
    const { path, waitMs, delayMs = 0, identities } = request;
    const requester = { sessionId: NO_SESSION, identities };
    const until = this.#host.now() + waitMs;
    for (;;) {
      const place = this.find(path, claim);
      if (place === undefined) return this.#gone(path, claim);
      const leftMs = until - this.#host.now();
      if (place.contender.holds) {
        const since = this.#host.touch(place.session);
        if (since === undefined) return this.#gone(path, claim);
        const delayed = await this.#delays.leftMs(path, place.contender.mode, requester);
        if (typeof delayed !== "number") return delayed;
        if (delayed > 0) {
          const ended = await this.#waitFor(request, place, { wantedMs: delayed, leftMs });
          if (ended !== undefined) return ended;
          continue;
        }
        const contenderPath = joinPath(path, place.contender.name);
        const failed = delayMs > 0 ? await this.#delays.entomb(contenderPath, delayMs, requester) : undefined;
        if (failed !== undefined) return failed;
        if (!(await this.#host.confirm(false))) return { kind: "unknown" };
        const still = this.find(path, claim);
        if (still?.contender.holds === true) return this.#granted(claim, still, since);
      } else {
        const ended = await this.#waitFor(request, place, { wantedMs: leftMs, leftMs });
        if (ended !== undefined) return ended;
      }
    }
  }

  /** Waits for a change, or `wantedMs`, if `leftMs` are left to wait; otherwise, the answer. */
  async #waitFor(
    request: LockRequest,
    place: Place,
    { wantedMs, leftMs }: { readonly wantedMs: number; readonly leftMs: number },
  ): Promise<LockAnswer | undefined> {
    const { path } = request;
    if (leftMs <= 0 || this.#waiting.size >= waitersMax) {
      const answer: LockAnswer =
        leftMs <= 0 ? { kind: "timedOut", contenders: this.contenders(path) } : { kind: "overloaded" };
      // Another try with the same id waits on: the place is its own, too.
      const isShared = this.#waiting.has(joinPath(path, place.contender.name));
      return isShared ? answer : this.#leave(request, place, answer);
    }
    await this.#change(path, place, Math.min(wantedMs, leftMs));
    return this.#host.isLeading() ? undefined : { kind: "unknown" };
  }

  async #gone(path: string, claim: Claim): Promise<LockAnswer> {
    return (await this.#host.confirm(false)) ? this.#absent(path, claim) : { kind: "unknown" };
  }

  /** Resolves when the contender in the way has gone, or the own place has, or `waitMs` have passed. */
  async #change(path: string, { contender, ahead, session }: Place, waitMs: number): Promise<void> {
    const key = joinPath(path, contender.name);
    const callers = () => this.#waiting.get(key)?.callers ?? 0;
    this.#waiting.set(key, { session, callers: callers() + 1 });
    const awaited = ahead === undefined ? [contender] : [ahead, contender];
    const watchers: WatcherId[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      for (const { name } of awaited) watchers.push(this.#host.watchZnode(joinPath(path, name), resolve));
      timer = setTimeout(resolve, waitMs);
    });
    if (timer !== undefined) clearTimeout(timer);
    for (const watcher of watchers) this.#host.unwatch(watcher);
    const others = callers() - 1;
    if (others > 0) this.#waiting.set(key, { session, callers: others });
    else this.#waiting.delete(key);
  }

  async #leave(
    { path, identities }: LockReference,
    { contender, session, token }: Place,
    answer: LockAnswer,
  ): Promise<LockAnswer> {
    if (!isInLentSession(contender)) {
      const settled = await this.#closeSession(session);
      return settled.kind === "lost" ? { kind: "unknown" } : answer;
    }
    const at = joinPath(path, contender.name);
    const znode = this.#host.tree.get(at);
    // Names come again when the lock's znode was deleted: that is another place, though of the same id.
    if (znode === undefined || formatZxid(znode.czxid) !== token) return answer;
    const requester = { sessionId: session, identities };
    const settled = await this.#host.write({ type: OpCode.Delete, path: at, version: -1 }, requester);
    if (settled.kind === "lost") return { kind: "unknown" };
    const err = codeOf(settled);
    const isLeft = err === ZkErrorCode.Ok || err === ZkErrorCode.NoNode;
    return isLeft ? answer : { kind: "refused", outcome: { err }, path: at };
  }

  async #abandon(session: SessionId, answer: LockAnswer): Promise<LockAnswer> {
    await this.#closeSession(session);
    return answer;
  }

  /** Its place, if it has one, goes in the same txn. */
  #closeSession(session: SessionId): Promise<Settlement> {
    return this.#host.write({ type: OpCode.CloseSession }, { sessionId: session, identities: [] });
  }

  /** `sinceMs`: its session's deadline counts from no earlier. */
  #granted({ id }: Claim, place: Place, sinceMs: number): LockAnswer {
    const { contender, session, token } = place;
    const ttlMs = this.#host.tree.session(session)?.timeoutMs ?? 0;
    const { isRevoked } = place;
    return {
      kind: "granted",
      id,
      mode: contender.mode,
      token,
      ttlMs,
      expiresAtMs: sinceMs + ttlMs,
      isRevoked,
    };
  }

  #queue(path: string): readonly QueuedContender[] {
    const numChildren = this.#host.tree.get(path)?.numChildren ?? 0;
    return queueOf(this.#host.tree.children(path, undefined, numChildren + 1));
  }

  find(path: string, { id, session }: Claim): Place | undefined {
    const queue = this.#queue(path);
    const znodeOf = ({ name }: QueuedContender) => this.#host.tree.get(joinPath(path, name));
    const contender = queue.find((candidate) => {
      if (ownLockId(candidate) !== id) return false;
      const lifetime = znodeOf(candidate)?.lifetime;
      const lender = lifetime?.kind === "ephemeral" ? lifetime.owner : NO_SESSION;
      return isInLentSession(candidate)
        ? session !== NO_SESSION && lender === session
        : session === NO_SESSION;
    });
    const znode = contender && znodeOf(contender);
    if (contender === undefined || znode?.lifetime.kind !== "ephemeral") return undefined;
    const { owner } = znode.lifetime;
    const { isRevoked } = contenderData(decoder.decode(znode.data ?? undefined));
    const token = formatZxid(znode.czxid);
    return { contender, ahead: blockerOf(queue, contender), session: owner, token, isRevoked };
  }

  contenders(path: string, reader?: Requester): readonly Contender[] {
    const { tree } = this.#host;
    return this.#queue(path).flatMap((contender) => {
      const znode = tree.get(joinPath(path, contender.name));
      if (znode === undefined) return [];
      const isReadable = reader === undefined || tree.canRead(znode.acl, reader.identities);
      const data = isReadable && znode.data !== null ? decoder.decode(znode.data) : "";
      return [
        {
          id: ownLockId(contender) ?? contender.name,
          name: contender.name,
          mode: contender.mode,
          holds: contender.holds,
          ...contenderData(data),
          token: formatZxid(znode.czxid),
          sinceMs: znode.ctime,
        },
      ];
    });
  }
}

function keyOf(path: string, { id, session }: Claim): string {
  // An id has no slash, and is of one length, so two keys are never alike by accident.
  return `${session}-${id}${path}`;
}

/** Someone may delete the parents again while we make them. */
const parentTriesMax = 3;

function codeOf(settled: Settlement): ZkErrorCode {
  if (settled.kind === "lost") return ZkErrorCode.ConnectionLoss;
  return outcomeCode(settled.applied.outcome);
}

function outcomeCode(outcome: TxnOutcome): ZkErrorCode {
  return outcome.kind === "refused" ? outcome.code : ZkErrorCode.Ok;
}
