/**
 * The replicated state machine of one member: znodes and sessions, and the member's own watches.
 *
 * Memory is a cache. A tree built anew over the same rows, fed the txns after `rows.applied`, equals the
 * one that went on. The leader also prepares: it decides requests against what will be, ahead of what is.
 *
 * It never learns who agreed to a txn, what an epoch means, or what time it is.
 *
 * Invariants:
 * - Txns apply in zxid order, each once; `rows.applied <= applied`.
 * - Prepared txns apply in the order they were prepared, none left out, unless `discardPrepared` forgets
 *   them. A new leader applies all of its history before it prepares anything.
 *
 * Sources: ZooKeeper `DataTree`, `ZKDatabase`, `PrepRequestProcessor`, `FinalRequestProcessor`.
 *
 * @module
 */

import {
  type Acl,
  type AuthId,
  assert,
  compareZxid,
  equalZxid,
  type KeyedRequest,
  Perms,
  type ReadRequest,
  type Session,
  type SessionId,
  type Txn,
  unreachable,
  type WriteRequest,
  ZERO_ZXID,
  type Znode,
  type Zxid,
} from "../base/index.ts";
import { isAllowed } from "./acl.ts";
import { type Application, applyDelete, applyOp, applyReconfig } from "./apply.ts";
import { type Change, ChangeHistory } from "./change-history.ts";
import { type PrepareContext, type PrepareRules, prepareTxn } from "./prepare.ts";
import { Quotas } from "./quotas.ts";
import { type Answer, answerRead, type Reader } from "./reads.ts";
import { applyRecord, type Recalled, recall } from "./request-window.ts";
import type { TxnOutcome } from "./respond.ts";
import type { Census, Checkpoint, TreeRows } from "./rows.ts";
import { SpeculativeView } from "./speculative-view.ts";
import { type Trigger, Watches } from "./watches.ts";
import { ZnodeCache } from "./znode-cache.ts";
import { initialZnodes, isSweepDue, sweepDueMs } from "./znodes.ts";

export interface TreeOptions {
  /** Memory for znodes that the rows have too, in bytes, estimated. */
  readonly cacheBytesMax: number;
  /** Whether TTL znodes may be created (Java `extendedTypesEnabled`). Default: false, as in Java. */
  readonly ttlNodes?: boolean | undefined;
  /** Turns every ACL check off (Java `skipACL`). Default: false. */
  readonly skipAcl?: boolean | undefined;
  /** Whether hard limits of quotas refuse writes (Java `enforceQuota`). Default: false, as in Java. */
  readonly enforceQuota?: boolean | undefined;
  /** Whether ACLs may name the scheme `x509`. Default: false. */
  readonly x509?: boolean | undefined;
  /** Whether members may be changed (Java `reconfigEnabled`). Default: false, as in Java. */
  readonly reconfig?: boolean | undefined;
  /** What `/zookeeper/config` says until somebody reconfigures; the same on every member. Default: nothing. */
  readonly config?: string | undefined;
}

/** What applying a txn came to. */
export interface Applied {
  readonly outcome: TxnOutcome;
  /** For {@link Watches.fire}, in order, before anybody is answered. */
  readonly triggers: readonly Trigger[];
  /** The session that ended with this txn: whatever is connected to it must be closed. */
  readonly closedSession?: SessionId | undefined;
  /** The session that this txn opened or renewed: its earlier connections must be closed. */
  readonly session?: Session | undefined;
}

export class Tree {
  /** This member's own registrations. They survive `reload`: the shell closes connections as it must. */
  readonly watches = new Watches();
  readonly #rows: TreeRows;
  readonly #rules: PrepareRules;
  readonly #config: string | undefined;
  readonly #znodes: ZnodeCache;
  readonly #quotas = new Quotas();
  readonly #speculation: SpeculativeView;
  readonly #sessions = new Map<SessionId, Session>();
  /** Sessions opened or closed since the last checkpoint; true when the rows have them. */
  readonly #dirtySessions = new Map<SessionId, boolean>();
  #applied: Zxid = ZERO_ZXID;
  readonly #history = new ChangeHistory(ZERO_ZXID);

  /** Reads the sessions and which quotas there are; other znodes come when they are asked for. */
  constructor(rows: TreeRows, options: TreeOptions) {
    this.#rows = rows;
    const { ttlNodes = false, skipAcl = false, enforceQuota = false } = options;
    const { x509 = false, reconfig = false } = options;
    this.#rules = { ttlNodes, skipAcl, enforceQuota, x509, reconfig };
    this.#config = options.config;
    this.#znodes = new ZnodeCache(rows, options.cacheBytesMax);
    this.#speculation = new SpeculativeView({
      znode: (path) => this.#znodes.get(path),
      children: (path) => this.children(path, undefined, (this.get(path)?.numChildren ?? 0) + 1),
      session: (id) => this.#sessions.get(id),
      ephemeralsOf: (owner) => this.#znodes.ephemeralsOf(owner),
      quotaRootOf: (path) => this.#quotas.rootOf(path),
    });
    this.reload();
  }

  /** The zxid of the last txn applied. */
  get applied(): Zxid {
    return this.#applied;
  }

  /** What the last txns changed, since this tree was built from its rows at the earliest. */
  get history(): ChangeHistory {
    return this.#history;
  }

  /** Changes that a checkpoint would write. */
  get dirtyCount(): number {
    return this.#znodes.dirtyCount + this.#dirtySessions.size;
  }

  /** Memory that only a checkpoint frees, in bytes, estimated. */
  get dirtyBytes(): number {
    return this.#znodes.dirtyBytes;
  }

  /** Txns prepared and not yet applied. */
  get outstandingCount(): number {
    return this.#speculation.outstandingCount;
  }

  /**
   * Turns a request into the txn to propose. Leader only.
   *
   * A refused request becomes an `error` or `failedMulti` txn and takes its place in the order like any
   * other. `createSession` opens `requester.sessionId`, `renewSession` and `closeSession` concern it. A requester without
   * a session may write anything but an ephemeral (`BadArguments`).
   */
  prepare(request: WriteRequest, context: PrepareContext): Txn {
    return prepareTxn(this.#speculation, this.#rules, request, context);
  }

  /** Forgets what was prepared and not applied: leadership was lost. */
  discardPrepared(): void {
    this.#speculation.clear();
  }

  /** Whether a session exists and no close of it was prepared. Leader only. */
  isOpen(id: SessionId): boolean {
    return this.#speculation.isOpen(id);
  }

  /** Applies the next committed txn. Fire the triggers, then answer the writer, then apply the next. */
  apply(zxid: Zxid, txn: Txn): Applied {
    assert(compareZxid(zxid, this.#applied) > 0, "txns apply in zxid order");
    const triggers: Trigger[] = [];
    const changes: Change[] = [];
    const outcome = this.#perform(
      { znodes: this.#znodes, quotas: this.#quotas, zxid, timeMs: txn.timeMs, triggers, changes },
      txn,
    );
    this.#history.add({ zxid, changes });
    this.#applied = zxid;
    this.#speculation.retire(txn);
    switch (txn.op.kind) {
      case "createSession":
      case "renewSession":
        return { outcome, triggers, session: this.#sessions.get(txn.sessionId) };
      case "closeSession":
        return { outcome, triggers, closedSession: txn.sessionId };
      default:
        return { outcome, triggers };
    }
  }

  /** Answers from the applied state, and registers the watches asked for. */
  answer(request: ReadRequest, reader: Reader): Answer {
    const desk = { znodes: this.#znodes, watches: this.watches, skipAcl: this.#rules.skipAcl };
    return answerRead(desk, request, reader);
  }

  /** The applied znode at `path`, whatever its ACL says. */
  get(path: string): Znode | undefined {
    return this.#znodes.get(path);
  }

  /** What a keyed request came to when it was decided, if it is remembered. */
  recall(request: Pick<KeyedRequest, "key" | "fingerprint">): Recalled {
    return recall((path) => this.#znodes.get(path), request);
  }

  /**
   * Names of children in code-unit order, strictly after `after`; none for a missing znode.
   *
   * @param limit - At least 1.
   */
  children(path: string, after: string | undefined, limit: number): readonly string[] {
    assert(limit >= 1, "a page has room");
    const numChildren = this.#znodes.get(path)?.numChildren ?? 0;
    return numChildren === 0 ? [] : this.#znodes.listChildren(path, after, limit);
  }

  /** Whether someone may read what carries `acl`: for {@link Watches.fire}. */
  canRead(acl: readonly Acl[], identities: readonly AuthId[]): boolean {
    return this.#rules.skipAcl || isAllowed(acl, Perms.Read, identities);
  }

  session(id: SessionId): Session | undefined {
    return this.#sessions.get(id);
  }

  hasSession(id: SessionId): boolean {
    return this.#sessions.has(id);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** How many znodes there are. The first answer counts the rows, all of them. */
  census(): Census {
    return this.#znodes.census();
  }

  /** The ephemerals a session owns. */
  ephemeralsOf(owner: SessionId): readonly string[] {
    return this.#znodes.ephemeralsOf(owner);
  }

  /** Up to `limit` containers and TTL znodes to propose `deleteContainer` for. Leader only. */
  sweepDue(nowMs: number, limit: number): readonly string[] {
    const due: string[] = [];
    for (const path of this.#znodes.sweepablePaths()) {
      if (due.length >= limit) break;
      const znode = this.#znodes.peek(path);
      if (znode !== undefined && isSweepDue(znode, nowMs)) due.push(path);
    }
    return due;
  }

  /**
   * The earliest time at which {@link sweepDue} may answer something, if nothing else happens; `undefined`
   * when it never will. Looks at `scanMax` znodes at most: with more of them, that may be any time.
   */
  nextSweepMs(scanMax: number): number | undefined {
    let next: number | undefined;
    let scanned = 0;
    for (const path of this.#znodes.sweepablePaths()) {
      scanned += 1;
      if (scanned > scanMax) return 0;
      const znode = this.#znodes.peek(path);
      const dueMs = znode === undefined ? undefined : sweepDueMs(znode);
      if (dueMs !== undefined && (next === undefined || dueMs < next)) next = dueMs;
    }
    return next;
  }

  /** Brings the rows up to `applied` in one atomic write; nothing to write is no write. */
  checkpoint(): void {
    if (this.dirtyCount === 0 && equalZxid(this.#rows.applied, this.#applied)) return;
    const changes = this.freeze();
    this.#rows.write(changes);
    this.settle(changes);
  }

  /**
   * What the rows lack now. It stays as it is while the tree goes on, so it can be written in parts; each
   * part is to be settled. One at a time: what is frozen later is newer.
   */
  freeze(): Checkpoint {
    const sessions = new Map<SessionId, Session | undefined>();
    for (const id of this.#dirtySessions.keys()) sessions.set(id, this.#sessions.get(id));
    return { applied: this.#applied, znodes: this.#znodes.changes(), sessions };
  }

  /** The rows took this part of what was frozen. */
  settle({ znodes, sessions }: Pick<Checkpoint, "znodes" | "sessions">): void {
    for (const [path, znode] of znodes) this.#znodes.settle(path, znode);
    for (const [id, taken] of sessions) {
      if (this.#sessions.get(id) === taken) this.#dirtySessions.delete(id);
      else this.#dirtySessions.set(id, taken !== undefined);
    }
  }

  /** Starts over from the rows: a snapshot was installed underneath. Unwritten changes are forgotten. */
  reload(): void {
    this.#znodes.clear();
    this.#speculation.clear();
    this.#dirtySessions.clear();
    this.#sessions.clear();
    this.#applied = this.#rows.applied;
    this.#history.restart(this.#applied);
    for (const session of this.#rows.listSessions()) this.#sessions.set(session.id, session);
    if (this.#znodes.get("/") === undefined) {
      assert(equalZxid(this.#applied, ZERO_ZXID), "rows with txns applied have a root");
      for (const [path, znode] of initialZnodes(this.#config)) this.#znodes.create(path, znode);
    }
    this.#quotas.load(this.#znodes);
  }

  #perform(application: Application, txn: Txn): TxnOutcome {
    const { op, sessionId } = txn;
    switch (op.kind) {
      case "error":
        return { kind: "refused", code: op.code };
      case "failedMulti":
        return { kind: "multiRefused", codes: op.codes };
      case "keyed": {
        const outcome = this.#perform(application, { ...txn, op: op.op });
        applyRecord(application, op, outcome);
        return outcome;
      }
      case "multi":
        return { kind: "done", results: op.ops.map((part) => applyOp(application, part)) };
      case "createSession":
        this.#setSession(sessionId, { id: sessionId, timeoutMs: op.timeoutMs, ownership: 1 });
        return { kind: "done", results: [] };
      case "renewSession":
        assert(this.#sessions.has(sessionId), "a renewal finds its session");
        this.#setSession(sessionId, { id: sessionId, timeoutMs: op.timeoutMs, ownership: op.ownership });
        return { kind: "done", results: [] };
      case "closeSession":
        for (const path of op.ephemerals) applyDelete(application, path);
        this.#setSession(sessionId, undefined);
        return { kind: "done", results: [] };
      case "reconfig":
        return { kind: "done", results: [applyReconfig(application, op.servers)] };
      case "create":
      case "delete":
      case "setData":
      case "setAcl":
      case "check":
        return { kind: "done", results: [applyOp(application, op)] };
      default:
        return unreachable(op);
    }
  }

  #setSession(id: SessionId, session: Session | undefined): void {
    const stored = this.#dirtySessions.get(id) ?? this.#sessions.has(id);
    if (session === undefined) this.#sessions.delete(id);
    else this.#sessions.set(id, session);
    if (session === undefined && !stored) this.#dirtySessions.delete(id);
    else this.#dirtySessions.set(id, stored);
  }
}
