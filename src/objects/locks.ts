/**
 * Locks for callers without a connection: a place in a queue that lives and dies with a session of its own.
 *
 * A contender is a sequential ephemeral under the lock's znode, owned by a session whose timeout is the
 * lock's `ttl`. Keeping the lock touches the session; releasing it, giving up waiting and letting it lapse
 * all end the session, and the place goes with it in the same txn. The fencing token is the zxid that
 * created the contender: places are taken in zxid order, so later holders always have greater tokens.
 *
 * The caller names its place (`id`). Asking again after a failure finds it, so retries never queue twice.
 *
 * Invariant: `granted` is answered only for what was true at a moment this member was the confirmed leader.
 *
 * @module
 */

import {
  assert,
  blockerOf,
  CreateMode,
  contenderData,
  formatZxid,
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
import type { Contender, LockAnswer, LockReference, LockRequest, LockView } from "./api.ts";
import { LockDelays } from "./lock-delays.ts";
import type { Settlement } from "./writes.ts";

/** Children of one lock's znode; nobody joins a longer queue. Each joining lists all of them. */
const contendersMax = 2_000;

/** Callers that wait here, for all locks together. */
const waitersMax = 10_000;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export interface LocksHost {
  readonly tree: Tree;
  now(): number;
  isLeading(): boolean;
  /** A session of `timeoutMs` for the HTTP door; `undefined` when this member no longer leads. */
  newSessionId(): SessionId | undefined;
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
interface Place {
  readonly contender: QueuedContender;
  /** Whom it waits for; `undefined` when it holds. */
  readonly ahead: QueuedContender | undefined;
  readonly session: SessionId;
  readonly token: string;
  /** Somebody asks for the lock back. */
  readonly isRevoked: boolean;
}

/** `atMs`: the session's deadline counts from no earlier. */
type Entered = { readonly kind: "entered"; readonly atMs: number } | LockAnswer;

export class Locks {
  readonly #host: LocksHost;
  /** Sessions whose callers are waiting here, and how many of them: the wait itself keeps them alive. */
  readonly #waiting = new Map<SessionId, number>();
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
    for (const session of this.#waiting.keys()) this.#host.touch(session);
  }

  async acquire(request: LockRequest): Promise<LockAnswer> {
    const { path, id } = request;
    if (this.#find(path, id) === undefined) {
      const entered = await this.#enterOnce(request);
      if (entered.kind !== "entered") return entered;
      const place = this.#find(path, id);
      const mayHold = place?.contender.holds === true && (request.delayMs ?? 0) === 0;
      // Its own commit has just confirmed this leader.
      if (mayHold && !this.#delays.isInTheWay(path, request.mode)) {
        return this.#granted(id, place, entered.atMs);
      }
    }
    return this.#wait(request);
  }

  async keep({ path, id }: LockReference, fresh: boolean): Promise<LockAnswer> {
    const before = this.#find(path, id);
    const keptAt = before === undefined ? undefined : this.#host.touch(before.session);
    if (!(await this.#host.confirm(fresh))) return { kind: "unknown" };
    const place = this.#find(path, id);
    if (place === undefined || keptAt === undefined) return { kind: "gone" };
    const { holds, mode } = place.contender;
    // A grant has outlasted every delay in its way.
    if (holds && !this.#delays.isInTheWay(path, mode)) return this.#granted(id, place, keptAt);
    return { kind: "timedOut", contenders: this.#contenders(path) };
  }

  async release({ path, id, identities }: LockReference, fresh: boolean): Promise<LockAnswer> {
    const entering = this.#entering.get(keyOf(path, id));
    // Given up while it is being taken: it must not be left behind.
    if (entering !== undefined) await entering;
    const place = this.#find(path, id);
    if (place !== undefined) {
      await this.#delays.exhume(joinPath(path, place.contender.name), { sessionId: NO_SESSION, identities });
      return this.#leave(place, { kind: "released" });
    }
    return (await this.#host.confirm(fresh && entering === undefined))
      ? { kind: "gone" }
      : { kind: "unknown" };
  }

  async describe(path: string, requester: Requester, fresh: boolean): Promise<LockView> {
    if (!(await this.#host.confirm(fresh))) return { kind: "unknown" };
    const { tree } = this.#host;
    const znode = tree.get(path);
    if (znode !== undefined && !tree.canRead(znode.acl, requester.identities)) {
      return { kind: "refused", outcome: { err: ZkErrorCode.NoAuth }, path };
    }
    return {
      kind: "described",
      contenders: this.#contenders(path, requester),
      zxid: formatZxid(tree.applied),
    };
  }

  #enterOnce(request: LockRequest): Promise<Entered> {
    const key = keyOf(request.path, request.id);
    const under = this.#entering.get(key);
    if (under !== undefined) return under;
    const entering = this.#enter(request).finally(() => this.#entering.delete(key));
    this.#entering.set(key, entering);
    return entering;
  }

  /** Opens a session and takes a place; makes the lock's znode and its parents when they are missing. */
  async #enter(request: LockRequest): Promise<Entered> {
    const { path, id, mode, owner, identities } = request;
    const contenders = this.#host.tree.get(path)?.numChildren ?? 0;
    if (!this.#host.hasRoom() || contenders >= contendersMax) return { kind: "overloaded" };
    const session = this.#host.newSessionId();
    if (session === undefined) return { kind: "notLeader", leader: 0 };
    const atMs = this.#host.now();
    const requester = { sessionId: session, identities };
    const open: WriteRequest = { type: OpCode.CreateSession, timeoutMs: request.ttlMs };
    const create: WriteRequest = {
      type: OpCode.Create,
      path: joinPath(path, ownContenderName(id, mode)),
      data: encoder.encode(owner),
      acl: OPEN_ACL,
      flags: CreateMode.EphemeralSequential,
      ttlMs: -1,
    };
    // Both in one batch: whoever dies in between leaves an empty session that lapses.
    const opened = this.#host.write(open, requester);
    let settled = await this.#host.write(create, requester);
    await opened;
    for (let tries = 0; tries < parentTriesMax && codeOf(settled) === ZkErrorCode.NoNode; tries++) {
      const made = await this.#makeZnode(path, { sessionId: NO_SESSION, identities });
      if (made !== undefined) return this.#abandon(session, made);
      settled = await this.#host.write(create, requester);
    }
    if (settled.kind === "lost") return { kind: "unknown" };
    const code = codeOf(settled);
    if (code === ZkErrorCode.Ok) return { kind: "entered", atMs };
    return this.#abandon(session, { kind: "refused", outcome: { err: code }, path });
  }

  /** `undefined` when the znode is there now, parents included. */
  async #makeZnode(path: string, requester: Requester): Promise<LockAnswer | undefined> {
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

  async #wait(request: LockRequest): Promise<LockAnswer> {
    const { path, id, waitMs, delayMs = 0, identities } = request;
    const requester = { sessionId: NO_SESSION, identities };
    const until = this.#host.now() + waitMs;
    for (;;) {
      const place = this.#find(path, id);
      if (place === undefined) return this.#gone();
      const leftMs = until - this.#host.now();
      if (place.contender.holds) {
        const since = this.#host.touch(place.session);
        if (since === undefined) return this.#gone();
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
        const still = this.#find(path, id);
        if (still?.contender.holds === true) return this.#granted(id, still, since);
      } else {
        const ended = await this.#waitFor(request, place, { wantedMs: leftMs, leftMs });
        if (ended !== undefined) return ended;
      }
    }
  }

  /** Waits for a change, or `wantedMs`, if `leftMs` are left to wait; otherwise, the answer. */
  async #waitFor(
    { path }: LockRequest,
    place: Place,
    { wantedMs, leftMs }: { readonly wantedMs: number; readonly leftMs: number },
  ): Promise<LockAnswer | undefined> {
    if (leftMs <= 0) {
      const contenders = this.#contenders(path);
      // Another try with the same id waits on: the place is its own, too.
      if (this.#waiting.has(place.session)) return { kind: "timedOut", contenders };
      return this.#leave(place, { kind: "timedOut", contenders });
    }
    if (this.#waiting.size >= waitersMax) return this.#leave(place, { kind: "overloaded" });
    await this.#change(path, place, Math.min(wantedMs, leftMs));
    return this.#host.isLeading() ? undefined : { kind: "unknown" };
  }

  async #gone(): Promise<LockAnswer> {
    return (await this.#host.confirm(false)) ? { kind: "gone" } : { kind: "unknown" };
  }

  /** Resolves when the contender in the way has gone, or the own place has, or `waitMs` have passed. */
  async #change(path: string, { contender, ahead, session }: Place, waitMs: number): Promise<void> {
    this.#waiting.set(session, (this.#waiting.get(session) ?? 0) + 1);
    const awaited = ahead === undefined ? [contender] : [ahead, contender];
    const watchers: WatcherId[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      for (const { name } of awaited) watchers.push(this.#host.watchZnode(joinPath(path, name), resolve));
      timer = setTimeout(resolve, waitMs);
    });
    if (timer !== undefined) clearTimeout(timer);
    for (const watcher of watchers) this.#host.unwatch(watcher);
    const others = (this.#waiting.get(session) ?? 1) - 1;
    if (others > 0) this.#waiting.set(session, others);
    else this.#waiting.delete(session);
  }

  async #leave(place: Place, answer: LockAnswer): Promise<LockAnswer> {
    const settled = await this.#closeSession(place.session);
    return settled.kind === "lost" ? { kind: "unknown" } : answer;
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
  #granted(id: string, place: Place, sinceMs: number): LockAnswer {
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

  #find(path: string, id: string): Place | undefined {
    const queue = this.#queue(path);
    const contender = queue.find((candidate) => ownLockId(candidate) === id);
    if (contender === undefined) return undefined;
    const znode = this.#host.tree.get(joinPath(path, contender.name));
    if (znode?.lifetime.kind !== "ephemeral") return undefined;
    const { owner } = znode.lifetime;
    const { isRevoked } = contenderData(decoder.decode(znode.data ?? undefined));
    const token = formatZxid(znode.czxid);
    return { contender, ahead: blockerOf(queue, contender), session: owner, token, isRevoked };
  }

  #contenders(path: string, reader?: Requester): readonly Contender[] {
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

function keyOf(path: string, id: string): string {
  // An id has no slash, so two keys are never alike by accident.
  return `${id}${path}`;
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
