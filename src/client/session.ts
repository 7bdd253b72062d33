/**
 * A session that outlives its connections: it reconnects, keeps order, and knows how safe it is.
 *
 * Requests wait while there is no connection. When one breaks, reads that had been sent are asked again on
 * the next, in their order; writes that had been sent are told that their outcome is unknown, and never
 * repeated. When the server says that the session is over, another one is opened, and whoever held
 * something by the old one is told first.
 *
 * Invariants:
 * - What the server answers was never older than what this client has seen: the handshake names the
 *   greatest zxid seen, and a member that is behind it must refuse.
 * - `marginMs` never promises more time than the server will give: it counts from when we sent something
 *   that was answered, the server from when it arrived, or later.
 *
 * Sources: ZooKeeper `ClientCnxn`; "Exponential backoff and jitter" (decorrelated jitter), AWS, 2015.
 *
 * @module
 */

import {
  type ClientRequest,
  formatSessionId,
  isWriteType,
  makeSessionId,
  OpCode,
  type SessionId,
  type WatchedEvent,
  ZkErrorCode,
} from "../base/index.ts";
import { type Answer, Connection } from "./connection.ts";
import { ZkError } from "./errors.ts";
import { Operation, type OperationParts } from "./operation.ts";
import type { Clock, Transport } from "./transport.ts";

/**
 * - `connecting`: no session yet.
 * - `connected`: the server has just been heard of.
 * - `suspended`: the connection is lost; the session lives on for its margin at least.
 * - `expired`: the server has ended the session. Another one is being opened.
 * - `closed`: for good, by `close()` or because the server takes none of our credentials.
 */
export type SessionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "connected"; readonly sessionId: string }
  | { readonly kind: "suspended"; readonly sessionId: string; readonly reason: string }
  | { readonly kind: "expired"; readonly sessionId: string }
  | { readonly kind: "closed"; readonly reason: string };

/** An identity to show the server, as ZooKeeper's `addAuth` does. */
export interface Credential {
  /** `digest`, or another scheme the server has. */
  readonly scheme: string;
  /** For `digest`: `user:password`. */
  readonly auth: Uint8Array;
}

export interface SessionParts {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Asked for; the server has bounds of its own (by default 4 to 40 s). */
  readonly timeoutMs: number;
  /** How long an operation may take, waiting for a connection included. */
  readonly operationMsMax: number;
  readonly credentials: readonly Credential[];
  onState(state: SessionState): void;
  onEvent(event: WatchedEvent): void;
  /** What registers our watches again on a connection that has just been made. */
  watchRequests(lastZxid: bigint): readonly ClientRequest[];
}

const passwordBytes = 16;
const reconnectMsMin = 20;
const reconnectMsMax = 5_000;

/** Operations under way or waiting; more is a loop that awaits nothing. */
const operationsMax = 100_000;

/** How often the deadlines of operations are looked at, ms. */
const sweepMs = 250;

export class Session {
  readonly #parts: SessionParts;
  #connection: Connection | undefined;
  #isEstablished = false;
  #isClosing = false;
  #state: SessionState = { kind: "connecting" };
  /** Why a closed client refuses. */
  #closedCode: ZkErrorCode = ZkErrorCode.SessionExpired;
  #sessionId: SessionId | undefined;
  #password = new Uint8Array(passwordBytes);
  #timeoutMs: number;
  #lastZxid = 0n;
  /** Not sent yet, in order. */
  #queue: Operation[] = [];
  /** Sent and not answered, in order. */
  readonly #sent = new Set<Operation>();
  readonly #credentials: Credential[];
  #reconnectMs = reconnectMsMin;
  #retryTimer: unknown;
  #sweepTimer: unknown;
  /** By the connections before the present one. */
  #touchedAtMs = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#timeoutMs = parts.timeoutMs;
    this.#credentials = [...parts.credentials];
    this.#connect();
  }

  get state(): SessionState {
    return this.#state;
  }

  /** `undefined` before the first session, and between two. */
  get sessionId(): SessionId | undefined {
    return this.#sessionId;
  }

  /** A copy; `undefined` without a session. */
  get password(): Uint8Array | undefined {
    return this.#sessionId === undefined ? undefined : this.#password.slice();
  }

  /** As negotiated, ms. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  get lastZxid(): bigint {
    return this.#lastZxid;
  }

  /** How long the session certainly lives on without another word from the server, ms; 0: it may be over. */
  get marginMs(): number {
    if (this.#sessionId === undefined) return 0;
    const heardAtMs = this.#isEstablished ? (this.#connection?.touchedAtMs ?? 0) : 0;
    const touchedAtMs = Math.max(this.#touchedAtMs, heardAtMs);
    return Math.max(0, touchedAtMs + this.#timeoutMs - this.#parts.clock.now());
  }

  /**
   * Sends a request in its turn and resolves to the server's answer, whatever it is.
   *
   * @throws {@link ZkError} `ConnectionLoss` (a write that was sent: outcome unknown), `OperationTimeout`,
   *   `SessionExpired`, `ThrottledOp` when too much waits here already; the signal's reason when it aborts.
   */
  submit(
    request: ClientRequest,
    options: Partial<Pick<OperationParts, "path" | "signal" | "recall" | "answered">> = {},
  ): Promise<Answer> {
    const { path, signal, recall } = options;
    if (this.#state.kind === "closed") return Promise.reject(this.#closedError(path));
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (recall?.aborted === true) return Promise.reject(recall.reason);
    if (this.#queue.length + this.#sent.size >= operationsMax) {
      const message = `Cannot send another request: ${operationsMax} are waiting`;
      return Promise.reject(new ZkError({ code: ZkErrorCode.ThrottledOp, message, path }));
    }
    return new Promise((resolve, reject) => {
      const deadlineMs = this.#parts.clock.now() + this.#parts.operationMsMax;
      const operation = new Operation({ ...options, request, path, deadlineMs, signal, resolve, reject });
      if (this.#isEstablished) this.#send(operation);
      else this.#queue.push(operation);
      this.#sweepLater();
    });
  }

  /** An identity for this session and the ones after it. */
  async addCredential(credential: Credential): Promise<void> {
    const answer = await this.submit({ type: OpCode.Auth, ...credential });
    if (answer.err !== ZkErrorCode.Ok) {
      const message = `Cannot authenticate: the server takes no such "${credential.scheme}" credential`;
      throw new ZkError({ code: ZkErrorCode.AuthFailed, message });
    }
    this.#credentials.push(credential);
  }

  /** Ends the session at the server, and with it its ephemeral znodes, and everything here. */
  async close(): Promise<void> {
    if (this.#state.kind === "closed") return;
    // What was submitted before goes before. Without a connection the server's timeout ends the session.
    if (this.#isEstablished) {
      const goodbye = this.submit({ type: OpCode.CloseSession }).catch(ignore);
      this.#isClosing = true;
      await goodbye;
    }
    this.#close("closed by the client", ZkErrorCode.SessionExpired);
  }

  /** Drops the connection, as a network may; the session goes on with another one. */
  reconnect(): void {
    this.#connection?.close("reconnecting");
  }

  #connect(): void {
    const { transport, clock } = this.#parts;
    const hello = {
      protocolVersion: 0,
      lastZxidSeen: this.#lastZxid,
      timeoutMs: this.#parts.timeoutMs,
      sessionId: this.#sessionId ?? 0n,
      password: this.#password,
      readOnly: false,
    };
    const connection = new Connection(transport, hello, clock, {
      established: ({ sessionId, password, timeoutMs }) => {
        if (timeoutMs <= 0) return this.#expire(connection);
        this.#sessionId = makeSessionId(sessionId);
        this.#password = new Uint8Array(password);
        this.#timeoutMs = timeoutMs;
        this.#establish(connection, this.#sessionId);
      },
      event: (event) => this.#parts.onEvent(event),
      ended: (reason) => this.#ended(connection, reason),
    });
    this.#connection = connection;
  }

  #establish(connection: Connection, id: SessionId): void {
    this.#isEstablished = true;
    this.#reconnectMs = reconnectMsMin;
    for (const { scheme, auth } of this.#credentials) {
      connection.send({ type: OpCode.Auth, scheme, auth }, (answer) => {
        if (answer === undefined || answer.err === ZkErrorCode.Ok) return;
        this.#close(`the server takes no such "${scheme}" credential`, ZkErrorCode.AuthFailed);
      });
    }
    // Before anything else: what changed meanwhile is told before a reply can show it.
    for (const request of this.#parts.watchRequests(this.#lastZxid)) connection.send(request, ignore);
    this.#enter({ kind: "connected", sessionId: formatSessionId(id) });
    const queue = this.#queue;
    this.#queue = [];
    for (const operation of queue) if (!operation.isSettled) this.#send(operation);
  }

  #send(operation: Operation): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    operation.isSent = true;
    this.#sent.add(operation);
    connection.send(operation.request, (answer) => {
      // Stays among the sent ones until `#ended` decides between asking again and giving up.
      if (answer === undefined) return;
      this.#sent.delete(operation);
      if (answer.zxid > this.#lastZxid) this.#lastZxid = answer.zxid;
      if (answer.err === ZkErrorCode.SessionExpired) operation.fail(expiredError(operation.path));
      else operation.answer(answer);
    });
  }

  /** The server has said so; nobody else can. */
  #expire(connection: Connection): void {
    const sessionId = this.#sessionId;
    this.#sessionId = undefined;
    this.#password = new Uint8Array(passwordBytes);
    this.#touchedAtMs = 0;
    // A server is there: the next session need not wait for as long as it took to find it.
    this.#reconnectMs = reconnectMsMin;
    const waiting = this.#queue;
    this.#queue = [];
    for (const operation of waiting) operation.fail(expiredError(operation.path));
    if (sessionId !== undefined) this.#enter({ kind: "expired", sessionId: formatSessionId(sessionId) });
    connection.close("session expired");
  }

  #ended(connection: Connection, reason: string): void {
    this.#connection = undefined;
    if (this.#isEstablished) this.#touchedAtMs = Math.max(this.#touchedAtMs, connection.touchedAtMs);
    this.#isEstablished = false;
    if (connection.lastZxid > this.#lastZxid) this.#lastZxid = connection.lastZxid;
    this.#settleSent();
    if (this.#state.kind === "closed" || this.#isClosing) return;
    if (this.#state.kind === "connected") {
      this.#enter({ kind: "suspended", sessionId: this.#state.sessionId, reason });
    }
    this.#reconnectMs = this.#nextDelayMs();
    this.#retryTimer = this.#parts.clock.setTimer(() => this.#connect(), this.#reconnectMs);
  }

  #nextDelayMs(): number {
    const spreadMs = this.#reconnectMs * 3 - reconnectMsMin;
    return Math.min(reconnectMsMax, reconnectMsMin + this.#parts.clock.random() * spreadMs);
  }

  /** Writes that were sent fail, their outcome unknown; reads wait for the next connection, in their order. */
  #settleSent(): void {
    const again: Operation[] = [];
    for (const operation of this.#sent) {
      if (operation.isSettled) continue;
      if (operation.isRepeatable && !this.#isClosing) {
        operation.isSent = false;
        again.push(operation);
      } else {
        operation.failLost();
      }
    }
    this.#sent.clear();
    this.#queue.unshift(...again);
  }

  #close(reason: string, code: ZkErrorCode): void {
    if (this.#state.kind === "closed") return;
    this.#closedCode = code;
    this.#enter({ kind: "closed", reason });
    this.#parts.clock.clearTimer(this.#retryTimer);
    this.#parts.clock.clearTimer(this.#sweepTimer);
    this.#connection?.close(reason);
    const waiting = this.#queue;
    this.#queue = [];
    for (const operation of waiting) operation.fail(this.#closedError(operation.path));
  }

  #enter(state: SessionState): void {
    this.#state = state;
    this.#parts.onState(state);
  }

  /** One timer for all deadlines; none while nothing waits. */
  #sweepLater(): void {
    if (this.#sweepTimer !== undefined) return;
    this.#sweepTimer = this.#parts.clock.setTimer(() => {
      this.#sweepTimer = undefined;
      this.#sweep();
      if (this.#queue.length + this.#sent.size > 0) this.#sweepLater();
    }, sweepMs);
  }

  #sweep(): void {
    const now = this.#parts.clock.now();
    for (const operation of [...this.#sent, ...this.#queue]) {
      if (operation.deadlineMs <= now) operation.fail(this.#timeoutError(operation));
    }
    this.#queue = this.#queue.filter(({ isSettled }) => !isSettled);
  }

  #timeoutError({ request, path, isSent }: Operation): ZkError {
    const { transport, operationMsMax } = this.#parts;
    const reason = this.#state.kind === "suspended" ? `: ${this.#state.reason}` : "";
    const message = isSent
      ? `No answer from ${transport.target} within ${operationMsMax} ms`
      : `No connection to ${transport.target} within ${operationMsMax} ms${reason}`;
    const outcome = isSent && isWriteType(request.type) ? "unknown" : "notApplied";
    return new ZkError({ code: ZkErrorCode.OperationTimeout, message, path, outcome });
  }

  #closedError(path: string | undefined): ZkError {
    const reason = this.#state.kind === "closed" ? this.#state.reason : "";
    return new ZkError({ code: this.#closedCode, message: `The client is closed: ${reason}`, path });
  }
}

function expiredError(path: string | undefined): ZkError {
  const message = "The session has expired: the server did not hear of it for its timeout";
  return new ZkError({ code: ZkErrorCode.SessionExpired, message, path });
}

function ignore(): void {}
