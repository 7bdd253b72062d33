/**
 * Seats of a semaphore for callers without a connection, in the layout of the SDK's recipe.
 *
 * Whoever wants a seat queues for the turn, a lock as any other (`locks.ts`). The one that has it waits until
 * fewer leases are there than seats. Then one txn takes its lease and gives the turn back, so that no moment
 * knows it with both or with neither, and a release wakes one caller. Turn and lease are in one session: of its
 * own, which ends with the seat, or the caller's.
 *
 * The token is the zxid that created the lease, so it grows from grant to grant, over all seats together. The
 * caller names its place (`id`); the lease's name is made of it, so repeats find it and take no second seat.
 *
 * Invariants:
 * - A lease is taken only in the txn that deletes the own contender: by who had the turn, and has counted since.
 * - What `locks.ts` says of sessions and their passwords holds here.
 *
 * @module
 */

import {
  CreateMode,
  compareZxid,
  formatZxid,
  joinPath,
  leasesOf,
  type MultiOp,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  ownLeaseName,
  type Requester,
  type SessionId,
  seatsOf,
  turnOf,
  ZkErrorCode,
} from "../base/index.ts";
import type { TxnOutcome, WatcherId } from "../tree/index.ts";
import type {
  LockReference,
  SeatAnswer,
  SeatHolder,
  SeatReply,
  SeatRequest,
  SemaphoreState,
  SemaphoreView,
} from "./api.ts";
import type { Claim, Locks, LocksHost, Place } from "./locks.ts";

/** Callers that have a turn and wait for room, for all semaphores together. */
const waitersMax = 10_000;

/** How often the znodes are made again when somebody deletes them meanwhile. */
const remakesMax = 3;

/** Holders that one answer shows. */
const shownMax = 1_000;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export interface SemaphoresHost extends Omit<LocksHost, "newSessionId"> {
  /** Calls back when a child of `path` comes or goes, or `path` does; also when leadership is lost. */
  watchChildren(path: string, changed: () => void): WatcherId;
}

/** A lease, found in the applied state. */
interface Lease {
  readonly path: string;
  readonly session: SessionId;
  readonly token: string;
}

export class Semaphores {
  readonly #host: SemaphoresHost;
  readonly #locks: Locks;
  /** Who has the turn and waits for room, by path and id, and how many callers do: the wait keeps sessions alive. */
  readonly #waiting = new Map<string, { readonly session: SessionId; readonly callers: number }>();

  constructor(host: SemaphoresHost, locks: Locks) {
    this.#host = host;
    this.#locks = locks;
  }

  /** Somebody waits for an answer. */
  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  /** A tick has passed. */
  tick(): void {
    for (const { session } of this.#waiting.values()) this.#host.touch(session);
  }

  /** The answer, and as of when it is given. */
  date(answer: SeatAnswer): SeatReply {
    return { ...answer, zxid: formatZxid(this.#host.tree.applied) };
  }

  async take(request: SeatRequest): Promise<SeatAnswer> {
    const { path, id, session, ttlMs, waitMs, owner, identities } = request;
    const claim = this.#locks.claimOf(request);
    if (claim === undefined) return { kind: "foreign" };
    const until = this.#host.now() + waitMs;
    for (let remakes = 0; ; remakes++) {
      const disagreed = await this.#agree(request);
      if (disagreed !== undefined) return disagreed;
      // Between this look and the lock's own there is no await: whoever has a lease takes no turn.
      const lease = this.#find(path, claim);
      if (lease !== undefined) return this.#confirmed(path, claim);
      if (this.#isAnothers(path, claim)) return this.#absent(path, claim);
      const leftMs = Math.max(0, until - this.#host.now());
      const turn = { path: turnOf(path), id, session, identities };
      const queued = { ...turn, mode: "exclusive", ttlMs, waitMs: leftMs, owner } as const;
      const granted = await this.#locks.acquire(queued);
      if (granted.kind === "timedOut") return { kind: "timedOut", ...this.#state(path) };
      // Another try of the same caller may have made its lease of it.
      if (granted.kind === "gone") return this.#confirmed(path, claim);
      if (granted.kind !== "granted") return granted;
      const settled = await this.#waitForRoom(request, claim, until);
      if (settled !== "remake" || remakes === remakesMax) return settled === "remake" ? unknown : settled;
    }
  }

  async keep(reference: LockReference, fresh: boolean): Promise<SeatAnswer> {
    const { path } = reference;
    const claim = this.#locks.claimOf(reference);
    if (claim === undefined) return { kind: "foreign" };
    const before = this.#find(path, claim);
    const keptAt = before === undefined ? undefined : this.#host.touch(before.session);
    if (!(await this.#host.confirm(fresh))) return unknown;
    const lease = this.#find(path, claim);
    if (lease !== undefined && keptAt !== undefined) return this.#granted(lease, keptAt);
    if (lease === undefined && this.#locks.find(turnOf(path), claim) !== undefined)
      return { kind: "timedOut", ...this.#state(path) };
    return this.#absent(path, claim);
  }

  async release(reference: LockReference, fresh: boolean): Promise<SeatAnswer> {
    const { path, identities } = reference;
    const claim = this.#locks.claimOf(reference);
    if (claim === undefined) return { kind: "foreign" };
    if (this.#find(path, claim) === undefined && this.#isAnothers(path, claim)) {
      return (await this.#host.confirm(fresh)) ? this.#absent(path, claim) : unknown;
    }
    let answer: SeatAnswer | undefined;
    if (this.#find(path, claim) === undefined) {
      const left = await this.#locks.release({ ...reference, path: turnOf(path) }, fresh);
      if (left.kind === "granted" || left.kind === "timedOut") return unknown;
      answer = left;
    }
    // Also when it waited: by now a lease may have come of its turn.
    const lease = this.#find(path, claim);
    if (lease === undefined) return answer ?? { kind: "gone" };
    return this.#leave(lease, claim, identities);
  }

  async describe(path: string, requester: Requester, fresh: boolean): Promise<SemaphoreView> {
    const { tree } = this.#host;
    const zxidOf = () => formatZxid(tree.applied);
    const queue = await this.#locks.describe(turnOf(path), requester, fresh);
    if (queue.kind !== "described") return queue;
    for (const at of [path, leasesOf(path), seatsOf(path)]) {
      const znode = tree.get(at);
      if (znode !== undefined && !tree.canRead(znode.acl, requester.identities))
        return { kind: "refused", outcome: { err: ZkErrorCode.NoAuth }, path: at, zxid: zxidOf() };
    }
    const state = { ...this.#state(path, requester), queue: queue.contenders };
    return { kind: "described", seats: this.#agreed(path), ...state, zxid: zxidOf() };
  }

  /** Makes what is missing; `undefined` when everybody counts on as many seats. */
  async #agree({ path, seats, identities }: SeatRequest): Promise<SeatAnswer | undefined> {
    const { tree } = this.#host;
    if (!this.#host.hasRoom()) return { kind: "overloaded" };
    const requester: Requester = { sessionId: NO_SESSION, identities };
    const made = await this.#locks.makeZnode(leasesOf(path), requester);
    if (made !== undefined) return made;
    const at = seatsOf(path);
    if (tree.get(at) === undefined) {
      const data = encoder.encode(String(seats));
      const flags = CreateMode.Persistent;
      const settled = await this.#host.write(
        { type: OpCode.Create, path: at, data, acl: OPEN_ACL, flags, ttlMs: -1 },
        requester,
      );
      if (settled.kind === "lost") return unknown;
      const err = codeOf(settled.applied.outcome);
      if (err !== ZkErrorCode.Ok && err !== ZkErrorCode.NodeExists) return refused(err, at);
    }
    const znode = tree.get(at);
    const isReadable = znode !== undefined && tree.canRead(znode.acl, identities);
    if (isReadable && this.#agreed(path) === seats) return undefined;
    if (!(await this.#host.confirm(false))) return unknown;
    if (!isReadable) return refused(znode === undefined ? ZkErrorCode.NoNode : ZkErrorCode.NoAuth, at);
    return { kind: "otherSeats", seats: this.#agreed(path) };
  }

  /** How many seats the tree says there are. */
  #agreed(path: string): number | undefined {
    const data = this.#host.tree.get(seatsOf(path))?.data;
    const text = data === undefined || data === null ? "" : decoder.decode(data);
    return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
  }

  /** The turn is its own. `remake`: somebody has deleted the znodes. */
  async #waitForRoom(request: SeatRequest, claim: Claim, until: number): Promise<SeatAnswer | "remake"> {
    const { path, seats } = request;
    const { tree } = this.#host;
    for (;;) {
      const turn = this.#locks.find(turnOf(path), claim);
      if (turn?.contender.holds !== true) return this.#confirmed(path, claim);
      if ((tree.get(leasesOf(path))?.numChildren ?? 0) < seats) {
        const contender = joinPath(turnOf(path), turn.contender.name);
        const taken = await this.#takeLease(request, claim, { contender, session: turn.session });
        if (taken !== undefined) return taken;
        continue;
      }
      const leftMs = until - this.#host.now();
      if (leftMs <= 0 || this.#waiting.size >= waitersMax) {
        const kind = leftMs <= 0 ? "timedOut" : "overloaded";
        const state = this.#state(path);
        // Another try with the same id waits on: the place is its own, too.
        if (!this.#waiting.has(keyOf(path, claim))) {
          const left = await this.#leaveTurn(request);
          if (left !== undefined) return left;
        }
        return kind === "timedOut" ? { kind, ...state } : { kind };
      }
      await this.#change(path, claim, { turn, waitMs: leftMs });
      if (!this.#host.isLeading()) return unknown;
    }
  }

  /** `undefined`: things have changed meanwhile, and nothing happened. */
  async #takeLease(
    request: SeatRequest,
    claim: Claim,
    turn: { readonly contender: string; readonly session: SessionId },
  ): Promise<SeatAnswer | "remake" | undefined> {
    const { path, id, owner, identities } = request;
    const lease = joinPath(leasesOf(path), ownLeaseName(id, claim.session !== NO_SESSION));
    const data = encoder.encode(owner);
    const flags = CreateMode.Ephemeral;
    const ops: readonly MultiOp[] = [
      { type: OpCode.Delete, path: turn.contender, version: -1 },
      { type: OpCode.Create, path: lease, data, acl: OPEN_ACL, flags, ttlMs: -1 },
    ];
    const atMs = this.#host.touch(turn.session);
    if (atMs === undefined) return this.#confirmed(path, claim);
    const requester = { sessionId: turn.session, identities };
    const settled = await this.#host.write({ type: OpCode.Multi, ops }, requester);
    if (settled.kind === "lost") return unknown;
    const err = codeOf(settled.applied.outcome);
    const found = this.#find(path, claim);
    // Its own commit has just confirmed this leader.
    if (err === ZkErrorCode.Ok && found !== undefined) return this.#granted(found, atMs);
    if (err === ZkErrorCode.Ok || this.#locks.find(turnOf(path), claim) === undefined)
      return this.#confirmed(path, claim);
    if (err === ZkErrorCode.NoNode && this.#host.tree.get(leasesOf(path)) === undefined) return "remake";
    const left = await this.#leaveTurn(request);
    return left ?? refused(err, lease);
  }

  /** `undefined`: the turn is given up. */
  async #leaveTurn(request: SeatRequest): Promise<SeatAnswer | undefined> {
    const { path, id, session, identities } = request;
    const left = await this.#locks.release({ path: turnOf(path), id, session, identities }, false);
    if (left.kind === "released" || left.kind === "gone") return undefined;
    return left.kind === "granted" || left.kind === "timedOut" ? unknown : left;
  }

  async #leave(lease: Lease, claim: Claim, identities: Requester["identities"]): Promise<SeatAnswer> {
    const { session, path } = lease;
    const isLent = claim.session !== NO_SESSION;
    const settled = await (isLent
      ? this.#host.write({ type: OpCode.Delete, path, version: -1 }, { sessionId: session, identities })
      : this.#host.write({ type: OpCode.CloseSession }, { sessionId: session, identities: [] }));
    if (settled.kind === "lost") return unknown;
    const err = isLent ? codeOf(settled.applied.outcome) : ZkErrorCode.Ok;
    return err === ZkErrorCode.Ok || err === ZkErrorCode.NoNode ? { kind: "released" } : refused(err, path);
  }

  /** Its lease, if there is one: a sign of life of its session. */
  async #confirmed(path: string, claim: Claim): Promise<SeatAnswer> {
    const before = this.#find(path, claim);
    const keptAt = before === undefined ? undefined : this.#host.touch(before.session);
    if (!(await this.#host.confirm(false))) return unknown;
    const lease = this.#find(path, claim);
    if (lease === undefined || keptAt === undefined) return this.#absent(path, claim);
    return this.#granted(lease, keptAt);
  }

  /** Why there is no such seat; leadership has been confirmed. */
  #absent(path: string, claim: Claim): SeatAnswer {
    if (claim.session !== NO_SESSION && !this.#host.tree.hasSession(claim.session))
      return refused(ZkErrorCode.SessionExpired, path);
    return { kind: this.#isAnothers(path, claim) ? "foreign" : "gone" };
  }

  /** `sinceMs`: its session's deadline counts from no earlier. */
  #granted({ session, token }: Lease, sinceMs: number): SeatAnswer {
    const ttlMs = this.#host.tree.session(session)?.timeoutMs ?? 0;
    return { kind: "granted", token, ttlMs, expiresAtMs: sinceMs + ttlMs };
  }

  #find(path: string, { id, session }: Claim): Lease | undefined {
    const isLent = session !== NO_SESSION;
    const at = joinPath(leasesOf(path), ownLeaseName(id, isLent));
    const znode = this.#host.tree.get(at);
    if (znode?.lifetime.kind !== "ephemeral") return undefined;
    const { owner } = znode.lifetime;
    if (isLent && owner !== session) return undefined;
    return { path: at, session: owner, token: formatZxid(znode.czxid) };
  }

  /** The seat of this id was taken in another session than the one it is asked for in. */
  #isAnothers(path: string, claim: Claim): boolean {
    const isThere = (isLent: boolean) =>
      this.#host.tree.get(joinPath(leasesOf(path), ownLeaseName(claim.id, isLent))) !== undefined;
    return this.#find(path, claim) === undefined && (isThere(true) || isThere(false));
  }

  /** In the order in which they took their seats. Without a reader, for who took part. */
  #state(path: string, reader?: Requester): SemaphoreState {
    const { tree } = this.#host;
    const leases = leasesOf(path);
    const taken = tree.get(leases)?.numChildren ?? 0;
    const found = tree.children(leases, undefined, shownMax).flatMap((name) => {
      const znode = tree.get(joinPath(leases, name));
      return znode === undefined ? [] : [{ name, znode }];
    });
    found.sort((one, other) => compareZxid(one.znode.czxid, other.znode.czxid));
    const holders = found.map(({ name, znode }): SeatHolder => {
      const isReadable = reader === undefined || tree.canRead(znode.acl, reader.identities);
      const owner = isReadable && znode.data !== null ? decoder.decode(znode.data) : "";
      return { name, owner, token: formatZxid(znode.czxid), sinceMs: znode.ctime };
    });
    return { taken, holders, queue: this.#locks.contenders(turnOf(path), reader) };
  }

  /** Resolves when a lease comes or goes, the own turn is lost, or `waitMs` have passed. */
  async #change(
    path: string,
    claim: Claim,
    { turn, waitMs }: { readonly turn: Place; readonly waitMs: number },
  ): Promise<void> {
    const key = keyOf(path, claim);
    const { session, contender } = turn;
    const callers = () => this.#waiting.get(key)?.callers ?? 0;
    this.#waiting.set(key, { session, callers: callers() + 1 });
    const watchers: WatcherId[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      watchers.push(this.#host.watchChildren(leasesOf(path), resolve));
      watchers.push(this.#host.watchZnode(joinPath(turnOf(path), contender.name), resolve));
      timer = setTimeout(resolve, waitMs);
    });
    if (timer !== undefined) clearTimeout(timer);
    for (const watcher of watchers) this.#host.unwatch(watcher);
    const others = callers() - 1;
    if (others > 0) this.#waiting.set(key, { session, callers: others });
    else this.#waiting.delete(key);
  }
}

const unknown = { kind: "unknown" } as const;

function refused(err: ZkErrorCode, path: string): SeatAnswer {
  return { kind: "refused", outcome: { err }, path };
}

function keyOf(path: string, { id, session }: Claim): string {
  // An id has no slash, and is of one length, so two keys are never alike by accident.
  return `${session}-${id}${path}`;
}

/** Of a multi, why it was refused. */
function codeOf(outcome: TxnOutcome): ZkErrorCode {
  if (outcome.kind === "refused") return outcome.code;
  if (outcome.kind === "done") return ZkErrorCode.Ok;
  return outcome.codes.find((code) => code !== ZkErrorCode.Ok) ?? ZkErrorCode.RuntimeInconsistency;
}
