/**
 * The reception of a member: how connections get their sessions, and where their requests go.
 *
 * A session is taken up again by a txn, like any other change: once the client is answered, every write of
 * its earlier connections is either applied here or never will be, the timeout it has now is known to
 * every later leader, and a slow attempt through another member comes too late (`SessionMoved`).
 *
 * Invariant: no client is let in that has seen more than this member has applied.
 *
 * Sources: ZooKeeper `ZooKeeperServer.processConnectRequest`, `Learner.validateSession`.
 *
 * @module
 */

import {
  assert,
  type ConnectRequest,
  makeSessionId,
  OpCode,
  type ReadRequest,
  type Requester,
  type SessionId,
  ZkErrorCode,
  type Zxid,
  zxidToBigint,
} from "../base/index.ts";
import type { Tree, WatcherId } from "../tree/index.ts";
import type { Agreement, ClientWrite } from "./agreement.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionHost, OpenedSession, ReadAnswer } from "./connection-host.ts";
import type { AuthRules } from "./identities.ts";
import { isSessionPassword, sessionPassword } from "./passwords.ts";
import { sessionsMax } from "./sessions.ts";
import type { ServerStats } from "./stats.ts";
import type { Settlement } from "./writes.ts";

/** A client may ask for any timeout; it gets one between these, in session ticks (as ZooKeeper). */
const timeoutTicksMin = 2;
const timeoutTicksMax = 20;

/** Session timeouts an ensemble of this tick grants, ms. */
export function sessionTimeoutsMs(tickMs: number): { readonly min: number; readonly max: number } {
  return { min: timeoutTicksMin * tickMs, max: timeoutTicksMax * tickMs };
}

export interface ReceptionParts {
  readonly tree: Tree;
  /** Of the ensemble: session passwords are a MAC under it. */
  readonly secret: string;
  /** ZooKeeper's `tickTime`. */
  readonly tickMs: number;
  readonly authRules: AuthRules;
  readonly stats: ServerStats;
  /** A request that has waited for longer is refused; 0: none is. */
  readonly throttledOpWaitMs: number;
  now(): number;
  /** `undefined` while this member may not serve. */
  agreement(): Agreement | undefined;
  /** The session belongs to this connection now. */
  bind(connection: Connection, session: SessionId): void;
  /** The connection has something to send, or has ended. */
  changed(connection: Connection): void;
  /** A request may have changed the watcher's watches. */
  watchesChanged(watcher: WatcherId): void;
}

type Done = (opened: OpenedSession | undefined) => void;

export class Reception implements ConnectionHost {
  readonly #parts: ReceptionParts;

  constructor(parts: ReceptionParts) {
    this.#parts = parts;
  }

  get applied(): Zxid {
    return this.#parts.tree.applied;
  }

  get authRules(): AuthRules {
    return this.#parts.authRules;
  }

  get hasRoom(): boolean {
    return this.#parts.agreement()?.hasRoom === true;
  }

  get throttledOpWaitMs(): number {
    return this.#parts.throttledOpWaitMs;
  }

  get stats(): ServerStats {
    return this.#parts.stats;
  }

  now(): number {
    return this.#parts.now();
  }

  openSession(connection: Connection, request: ConnectRequest, fresh: boolean, done: Done): void {
    if (this.#hasSeenMore(request)) {
      this.#catchUp(connection, fresh, () => {
        // Nobody's past, or another ensemble's: the client must never see time go back.
        if (this.#hasSeenMore(request)) drop(connection, "client has seen a newer zxid");
        else this.#admit(connection, request, false, done);
      });
    } else {
      this.#admit(connection, request, fresh, done);
    }
  }

  touch(session: SessionId): void {
    this.#parts.agreement()?.touch(session);
  }

  write(write: ClientWrite): boolean {
    const agreement = this.#parts.agreement();
    if (agreement?.hasRoom !== true) return false;
    agreement.write(write);
    return true;
  }

  read(request: ReadRequest, requester: Requester, watcher: WatcherId): ReadAnswer {
    if (leavesWatches(request)) this.#parts.watchesChanged(watcher);
    return this.#parts.tree.answer(request, { requester, watcher });
  }

  confirm(fresh: boolean, done: (confirmed: boolean) => void): void {
    const agreement = this.#parts.agreement();
    if (agreement === undefined) done(false);
    else agreement.confirm(fresh, done);
  }

  changed(connection: Connection): void {
    this.#parts.changed(connection);
  }

  #hasSeenMore({ lastZxidSeen }: ConnectRequest): boolean {
    return lastZxidSeen > zxidToBigint(this.#parts.tree.applied);
  }

  #catchUp(connection: Connection, fresh: boolean, goOn: () => void): void {
    this.confirm(fresh, (confirmed) => {
      if (connection.ending !== undefined) return;
      this.#parts.changed(connection);
      if (confirmed) goOn();
      else drop(connection, "leadership lost");
    });
  }

  #admit(connection: Connection, request: ConnectRequest, fresh: boolean, done: Done): void {
    const { tree, secret } = this.#parts;
    if (request.sessionId === 0n) return this.#open(connection, request, done);
    const id = makeSessionId(request.sessionId);
    if (!isSessionPassword(secret, id, request.password)) return done(undefined);
    if (tree.hasSession(id)) return this.#renew(connection, id, request, done);
    // It may have been opened elsewhere, and not be known here yet.
    this.#catchUp(connection, fresh, () => {
      if (tree.hasSession(id)) this.#renew(connection, id, request, done);
      else done(undefined);
    });
  }

  #open(connection: Connection, request: ConnectRequest, done: Done): void {
    const agreement = this.#parts.agreement();
    if (agreement?.hasRoom !== true || this.#parts.tree.sessionCount >= sessionsMax) {
      return drop(connection, "no room for a session");
    }
    agreement.openSession(this.#clampTimeout(request.timeoutMs), (settled) =>
      this.#settled(connection, settled, done),
    );
  }

  #renew(connection: Connection, id: SessionId, request: ConnectRequest, done: Done): void {
    const agreement = this.#parts.agreement();
    const session = this.#parts.tree.session(id);
    if (agreement?.hasRoom !== true || session === undefined)
      return drop(connection, "no room for a session");
    const { ownership } = session;
    const renewal = { id, timeoutMs: this.#clampTimeout(request.timeoutMs), ownership };
    agreement.renewSession(renewal, (settled) => this.#settled(connection, settled, done));
  }

  #settled(connection: Connection, settled: Settlement, done: Done): void {
    if (connection.ending !== undefined) return;
    this.#parts.changed(connection);
    if (settled.kind === "lost") return drop(connection, "leadership lost");
    const { outcome, session } = settled.applied;
    if (outcome.kind === "refused") {
      if (outcome.code === ZkErrorCode.SessionExpired) return done(undefined);
      return drop(connection, "session moved");
    }
    assert(session !== undefined, "who opens or renews a session has one");
    this.#parts.bind(connection, session.id);
    done({ ...session, password: sessionPassword(this.#parts.secret, session.id) });
  }

  #clampTimeout(askedMs: number): number {
    const { min, max } = sessionTimeoutsMs(this.#parts.tickMs);
    return Math.min(Math.max(askedMs, min), max);
  }
}

/** The client tries again, here or elsewhere, and is told nothing. */
function drop(connection: Connection, reason: string): void {
  connection.end({ kind: "drop", reason });
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
