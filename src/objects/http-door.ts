/**
 * What HTTP asks of a member: reads, writes, and sessions for callers without a connection.
 *
 * A caller may bring a session by its id and password. What it then asks is asked by that session, and is a sign
 * of life of it. Such a session is opened by the same txn as any other, and ends like any other: by its own txn,
 * when its client says so or when the leader has heard nothing for its timeout. No socket stands for it, so only
 * requests keep it alive. Whoever has id and password may use it over HTTP and as a ZooKeeper client, by turns.
 *
 * Invariants:
 * - Nothing is answered about a session to who has not shown its password.
 * - A session is called alive, or ended, only for a moment at which leadership was confirmed.
 *
 * @module
 */

import {
  type AuthId,
  assert,
  compareZxid,
  formatSessionId,
  formatZxid,
  type KeyedRequest,
  NO_SESSION,
  OpCode,
  parseSessionId,
  parseZxid,
  type Requester,
  type SessionId,
  unreachable,
  type WriteRequest,
  ZERO_ZXID,
  ZkErrorCode,
} from "../base/index.ts";
import { respond, type Tree } from "../tree/index.ts";
import type { Agreement } from "./agreement.ts";
import type {
  Answer,
  Call,
  Foreign,
  NotServed,
  SessionAnswer,
  SessionCredential,
  SessionOrder,
} from "./api.ts";
import { answerRead } from "./http-reads.ts";
import type { Leading } from "./leading.ts";
import { isSessionPassword, sessionPassword } from "./passwords.ts";
import { isWrite, type Settlement } from "./writes.ts";

export interface HttpDoorParts {
  readonly tree: Tree;
  /** Of the ensemble: session passwords are a MAC under it. */
  readonly secret: string;
  /** While this member leads. */
  leading(): Leading | undefined;
  /** While it serves. */
  agreement(): Agreement | undefined;
  isHalted(): boolean;
  notServed(): NotServed;
  /** Ms since it last heard from its leader. */
  ageMs(): number | undefined;
  /** Runs something that no platform event of the member's own began, as a turn. */
  turn(run: () => void): void;
}

export class HttpDoor {
  readonly #parts: HttpDoorParts;

  constructor(parts: HttpDoorParts) {
    this.#parts = parts;
  }

  /**
   * Answers one request. The returned promise settles in a later turn.
   *
   * @param fresh - Whether the platform event that brought it has just begun (`PeerEvent`).
   */
  async perform(call: Call, fresh: boolean): Promise<Answer> {
    const { request, identities } = call;
    const session = call.session === undefined ? NO_SESSION : this.sessionOf(call.session);
    if (session === undefined) return this.#foreign();
    if (isWrite(request)) return this.#performWrite(request, { sessionId: session, identities });
    return this.#performRead(request, call, { session, fresh });
  }

  /** Proposes in a turn of its own; resolves when the txn has applied here, or leadership is lost. */
  write(request: WriteRequest, requester: Requester): Promise<Settlement> {
    return this.#submit(request, requester, (settled) => settled);
  }

  /** @param conclude - Called at the moment the txn has applied: the tree is as that txn left it. */
  #submit<Conclusion>(
    request: WriteRequest,
    requester: Requester,
    conclude: (settled: Settlement) => Conclusion,
  ): Promise<Conclusion> {
    return new Promise((resolve) => {
      const settle = (settled: Settlement) => resolve(conclude(settled));
      this.#parts.turn(() => {
        const leading = this.#parts.leading();
        if (leading === undefined) settle({ kind: "lost" });
        else leading.submit(request, { requester, cxid: 0, settle });
      });
    });
  }

  /** Resolves to whether leadership was confirmed after the call, and all committed before has applied here. */
  confirm(fresh: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      this.#parts.turn(() => {
        const agreement = this.#parts.agreement();
        if (agreement === undefined) resolve(false);
        else agreement.confirm(fresh, resolve);
      });
    });
  }

  /** Opens, shows, keeps or closes a session. Leader only. */
  async attendSession(order: SessionOrder, fresh: boolean): Promise<SessionAnswer> {
    if (this.#parts.leading() === undefined) return this.#parts.notServed();
    if (order.kind === "open") return this.#openSession(order.timeoutMs);
    const id = this.sessionOf(order.credential);
    if (id === undefined) return this.#foreign();
    return order.kind === "close" ? this.#closeSession(id) : this.#describeSession(id, order.kind, fresh);
  }

  async #performRead(
    request: Exclude<Call["request"], WriteRequest>,
    { identities, consistency, floor: floorText }: Call,
    { session, fresh }: { readonly session: SessionId; readonly fresh: boolean },
  ): Promise<Answer> {
    const { tree, agreement, notServed, isHalted, ageMs } = this.#parts;
    const floor = floorText === undefined ? ZERO_ZXID : parseZxid(floorText);
    assert(floor !== undefined, "the Worker has checked the floor");
    this.#touch(session);
    const isBehind = () => compareZxid(tree.applied, floor) < 0;
    const isUnknown = () => session !== NO_SESSION && !tree.hasSession(session);
    if (consistency === "linearizable" || isBehind() || isUnknown()) {
      // Also to catch up: what is committed by now has applied here when leadership is confirmed.
      if (!(await this.confirm(fresh))) return notServed();
      const zxid = formatZxid(tree.applied);
      if (isBehind()) return { kind: "behind", zxid };
      if (isUnknown()) return { kind: "answered", outcome: { err: ZkErrorCode.SessionExpired }, zxid };
    } else if (isHalted() || (consistency === "session" && agreement() === undefined)) {
      return notServed();
    }
    return { ...answerRead(tree, request, identities), ageMs: ageMs() };
  }

  async #performWrite(request: WriteRequest, requester: Requester): Promise<Answer> {
    const leading = this.#parts.leading();
    if (leading === undefined) return this.#parts.notServed();
    if (!leading.hasRoom) return { kind: "overloaded" };
    this.#touch(requester.sessionId);
    return this.#submit(request, requester, (settled): Answer => {
      if (settled.kind === "lost") return { kind: "unknown" };
      const zxid = formatZxid(settled.zxid);
      const told = request.type === OpCode.Keyed ? this.#recall(request, zxid) : undefined;
      return told ?? { kind: "answered", outcome: respond(request, settled.applied.outcome), zxid };
    });
  }

  /**
   * The first time and every other time, what is told of a keyed write is what is remembered; `undefined` when it
   * was refused a record. `zxid`: of the txn that asked for it now.
   */
  #recall(request: KeyedRequest, zxid: string): Answer | undefined {
    const recalled = this.#parts.tree.recall(request);
    switch (recalled.kind) {
      case "nothing":
        return undefined;
      case "other":
        return { kind: "keyReused", zxid };
      case "same": {
        const outcome = respond(request, recalled.outcome);
        const decided = formatZxid(recalled.zxid);
        return { kind: "answered", outcome, zxid: decided, repeated: decided !== zxid };
      }
      default:
        return unreachable(recalled);
    }
  }

  async #openSession(timeoutMs: number): Promise<SessionAnswer> {
    const { leading, tree, notServed } = this.#parts;
    const reign = leading();
    if (reign === undefined) return notServed();
    if (!reign.hasRoom || !reign.sessions.hasRoom) return { kind: "overloaded" };
    const id = reign.sessions.newId();
    const requester: Requester = { sessionId: id, identities: noIdentities };
    const settled = await this.write({ type: OpCode.CreateSession, timeoutMs }, requester);
    if (settled.kind === "lost") return { kind: "unknown" };
    assert(settled.applied.outcome.kind === "done", "a session is never refused");
    return {
      ...{
        kind: "session",
        id: formatSessionId(id),
        password: hexOf(sessionPassword(this.#parts.secret, id)),
      },
      ...{ timeoutMs, expiresAtMs: Date.now() + timeoutMs, ephemerals: [], zxid: formatZxid(tree.applied) },
    };
  }

  async #closeSession(id: SessionId): Promise<SessionAnswer> {
    const requester: Requester = { sessionId: id, identities: noIdentities };
    const settled = await this.write({ type: OpCode.CloseSession }, requester);
    if (settled.kind === "lost") return { kind: "unknown" };
    const zxid = formatZxid(settled.zxid);
    return settled.applied.outcome.kind === "refused" ? { kind: "expired", zxid } : { kind: "closed", zxid };
  }

  /** To look is no sign of life, so that it can be watched from outside; to keep is one. */
  async #describeSession(id: SessionId, how: "keep" | "describe", fresh: boolean): Promise<SessionAnswer> {
    const { leading, tree, secret } = this.#parts;
    const keptAtMs = Date.now();
    // One whose end was proposed is lost, whatever its deadline said.
    const isKept =
      how === "describe" || (tree.isOpen(id) && leading()?.sessions.touch(id, keptAtMs) === true);
    if (!(await this.confirm(fresh))) return { kind: "unknown" };
    const zxid = formatZxid(tree.applied);
    const session = tree.session(id);
    const expiresAtMs =
      how === "keep" ? keptAtMs + (session?.timeoutMs ?? 0) : leading()?.sessions.deadlines.deadlineOf(id);
    if (session === undefined || !isKept || expiresAtMs === undefined) return { kind: "expired", zxid };
    return {
      ...{ kind: "session", id: formatSessionId(id), password: hexOf(sessionPassword(secret, id)) },
      ...{ timeoutMs: session.timeoutMs, expiresAtMs, ephemerals: tree.ephemeralsOf(id), zxid },
    };
  }

  /** `undefined` when the password is not that session's. */
  sessionOf({ id, password }: SessionCredential): SessionId | undefined {
    const session = parseSessionId(id);
    if (session === undefined || session === NO_SESSION) return undefined;
    return isSessionPassword(this.#parts.secret, session, bytesOf(password)) ? session : undefined;
  }

  #foreign(): Foreign {
    return { kind: "foreign", zxid: formatZxid(this.#parts.tree.applied) };
  }

  #touch(session: SessionId): void {
    if (session === NO_SESSION) return;
    this.#parts.turn(() => this.#parts.agreement()?.touch(session));
  }
}

/** Sessions are opened and ended by who has their password, whoever that is. */
const noIdentities: readonly AuthId[] = [];

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `null` for text that is not an even number of hex digits. */
function bytesOf(hex: string): Uint8Array | null {
  if (!/^([0-9a-f]{2})+$/.test(hex)) return null;
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
