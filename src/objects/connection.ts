/**
 * One client connection: a byte stream of ZooKeeper frames in, answers in request order out.
 *
 * What it decides: which frames are answered, in which order, and when the stream ends. What requests mean
 * is the tree's affair, when writes are agreed on the pipeline's, which socket this is `connections.ts`'.
 *
 * Invariants:
 * - Answers leave in the order of their requests. A read runs when it reaches the head of the queue, so it
 *   sees the client's earlier writes; everything before it has been answered.
 * - Nothing is sent before the connect response, nothing is handled behind a closeSession.
 * - An event is written to the stream while its txn is applied, before any answer that shows the change.
 *
 * Sources: ZooKeeper `NIOServerCnxn`, `ZooKeeperServer.processConnectRequest`, `FinalRequestProcessor`.
 *
 * @module
 */

import {
  type AuthId,
  type ClientRequest,
  type ConnectRequest,
  type MultiOp,
  NO_SESSION,
  OpCode,
  type Outcome,
  type ReadRequest,
  type Reply,
  type Requester,
  type SessionId,
  type SetAclRequest,
  type WatchedEvent,
  type WriteRequest,
  ZkErrorCode,
  type Zxid,
  zxidToBigint,
} from "../base/index.ts";
import {
  decodeConnectRequest,
  decodeRequest,
  decodeRequestHeader,
  encodeConnectResponse,
  encodeEvent,
  encodeReply,
  FrameDecoder,
  JuteWriter,
  passwordBytes,
  type RequestHeader,
} from "../jute/index.ts";
import { respond, type WatcherId } from "../tree/index.ts";
import type { ClientWrite } from "./agreement.ts";
import { digestIdentities, fitIdentities } from "./identities.ts";
import { ConnectionStats, type ServerStats } from "./stats.ts";
import type { Settlement } from "./writes.ts";

/** Requests of one connection that wait for their answer; a client that sends more is cut off. */
export const connectionQueueMax = 60_000;

/** Bytes answered in one turn, the last answer not counted; the other answers wait for a later turn. */
export const outputBytesMax = 4 * 1024 * 1024;

/** Bytes a client may send ahead of its connect response. */
export const heldBytesMax = 2 * 1024 * 1024;

/** What a connection asks of the member. */
export interface ConnectionHost {
  /** Applied through here. */
  readonly applied: Zxid;
  readonly superDigest: string | undefined;
  /** Of all connections. */
  readonly stats: ServerStats;
  /** The clock as of this turn. */
  now(): number;
  /** Opens a new session, or takes one over; `undefined`: that session is no longer. May end the connection. */
  openSession(
    connection: Connection,
    request: ConnectRequest,
    fresh: boolean,
    done: (opened: OpenedSession | undefined) => void,
  ): void;
  touch(session: SessionId): void;
  /** `false`: no room; nothing was submitted. */
  write(write: ClientWrite): boolean;
  read(request: ReadRequest, requester: Requester, watcher: WatcherId): ReadAnswer;
  /**
   * Calls back once leadership was confirmed after now, and all that was committed before has applied
   * here; or with `false` when that could not be.
   *
   * @param fresh - Whether the platform event that brought the request has just begun (`PeerEvent`).
   */
  confirm(fresh: boolean, done: (confirmed: boolean) => void): void;
  /** Something was written, or the connection ended, outside of `receive`. */
  changed(connection: Connection): void;
}

export interface OpenedSession {
  readonly id: SessionId;
  readonly timeoutMs: number;
  readonly password: Uint8Array;
  /** Of this connection, among those the session has had. */
  readonly ownership: number;
}

export interface ReadAnswer extends Outcome {
  readonly events?: readonly WatchedEvent[] | undefined;
}

/** Why a connection ends; `drop` leaves out what was not sent yet. */
export type Ending =
  | { readonly kind: "close"; readonly reason: string }
  | { readonly kind: "drop"; readonly reason: string };

/** A place in the queue of answers. */
interface Slot {
  /** Of its request. */
  readonly header: RequestHeader;
  /** When its request was taken up. */
  readonly sinceMs: number;
  isReady: boolean;
  /** Writes the answer, when its turn has come. */
  answer: () => void;
}

type State = "handshake" | "opening" | "open" | "closing" | "ended";

export class Connection {
  readonly watcher: WatcherId;
  readonly stats: ConnectionStats;
  readonly #host: ConnectionHost;
  readonly #decoder = new FrameDecoder();
  readonly #out = new JuteWriter();
  #state: State = "handshake";
  #requester: Requester;
  /** Of the request being handled. */
  #header: RequestHeader = connectHeader;
  #slots: Slot[] = [];
  #head = 0;
  #ending: Ending | undefined;
  /** In the platform event that brought the bytes being handled, before anything else. */
  #isFresh = false;
  /** Answers are ready that this turn's output has no room for. */
  #isStalled = false;

  constructor(host: ConnectionHost, watcher: WatcherId, identities: readonly AuthId[]) {
    this.#host = host;
    this.watcher = watcher;
    this.stats = new ConnectionStats(host.stats);
    this.#requester = { sessionId: NO_SESSION, identities };
  }

  get requester(): Requester {
    return this.#requester;
  }

  /** `NO_SESSION` before the handshake is over. */
  get sessionId(): SessionId {
    return this.#requester.sessionId;
  }

  /** Bytes received and not handled: part of a frame, or what came ahead of the connect response. */
  get heldBytes(): number {
    return this.#ending === undefined ? this.#decoder.buffered : 0;
  }

  /** Requests that wait for their answer. */
  get outstanding(): number {
    return this.#slots.length - this.#head;
  }

  /** Has received something that memory alone holds: part of a frame, or a request without its answer. */
  get isBusy(): boolean {
    return this.#state !== "open" || this.#head < this.#slots.length || this.#decoder.buffered > 0;
  }

  /** More answers are ready: call `resume` in a later turn. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** The client has said goodbye; its answer will end the connection. */
  get isClosing(): boolean {
    return this.#state === "closing";
  }

  /** Set once the stream is to end, after what `takeOutput` gives. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Goes on answering where `outputBytesMax` has stopped it. */
  resume(): void {
    this.#drain();
  }

  /** Continues an open connection whose member lost its memory. */
  restore(requester: Requester): void {
    this.#requester = requester;
    this.#state = "open";
  }

  /**
   * Takes the next bytes of the stream. They belong to the connection now.
   *
   * @param fresh - Whether the platform event that brought them has just begun.
   */
  receive(chunk: Uint8Array, fresh: boolean): void {
    // Nothing behind a goodbye is handled.
    if (this.#ending !== undefined || this.#state === "closing") return;
    this.#decoder.push(chunk);
    this.#isFresh = fresh;
    this.#handleFrames();
    this.#isFresh = false;
    if (this.#state === "opening" && this.#decoder.buffered > heldBytesMax) {
      this.end({ kind: "drop", reason: "too much ahead of the connect response" });
    }
  }

  /** Events that a change has caused; written at once, ahead of every answer not yet written. */
  notify(event: WatchedEvent, zxid: bigint): void {
    if (this.#ending !== undefined) return;
    encodeEvent(this.#out, event, zxid);
    this.stats.notified();
  }

  /** What is to be sent, as one message; `undefined` when nothing is. */
  takeOutput(): Uint8Array | undefined {
    return this.#out.length === 0 ? undefined : this.#out.take();
  }

  end(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    this.#state = "ended";
    this.#slots = [];
    this.#head = 0;
    this.#isStalled = false;
    if (ending.kind === "drop") this.#out.clear();
  }

  #handleFrames(): void {
    // While the session is being opened, what the client sent ahead stays in the decoder.
    while (this.#state === "handshake" || this.#state === "open") {
      const next = this.#decoder.next();
      if (next.kind === "incomplete") return;
      if (next.kind === "fault") return this.end({ kind: "drop", reason: next.reason });
      if (this.#state === "handshake") this.#handshake(next.bytes);
      else this.#handleFrame(next.bytes);
    }
  }

  #handshake(frame: Uint8Array): void {
    const request = decodeConnectRequest(frame);
    if (request === undefined) return this.end({ kind: "drop", reason: "not a connect request" });
    this.#state = "opening";
    this.stats.took();
    const sinceMs = this.#host.now();
    this.#host.openSession(this, request, this.#isFresh, (opened) => this.#opened(request, opened, sinceMs));
  }

  #opened(request: ConnectRequest, opened: OpenedSession | undefined, sinceMs: number): void {
    if (this.#ending !== undefined) return;
    const readOnly = request.readOnly === undefined ? undefined : false;
    if (opened === undefined) {
      const password = new Uint8Array(passwordBytes);
      encodeConnectResponse(this.#out, { timeoutMs: 0, sessionId: 0n, password, readOnly });
      return this.end({ kind: "close", reason: "session expired" });
    }
    const { id, timeoutMs, password, ownership } = opened;
    encodeConnectResponse(this.#out, { timeoutMs, sessionId: id, password, readOnly });
    this.#answered({ header: connectHeader, sinceMs }, this.#out.length);
    this.#requester = { ...this.#requester, sessionId: id, ownership };
    this.#state = "open";
    this.#handleFrames();
  }

  #handleFrame(frame: Uint8Array): void {
    const header = decodeRequestHeader(frame);
    if (header === undefined) return this.end({ kind: "drop", reason: "frame without a header" });
    this.#header = header;
    this.stats.took();
    if (this.outstanding >= connectionQueueMax) {
      return this.end({ kind: "drop", reason: "too many outstanding requests" });
    }
    if (header.type !== OpCode.Auth && header.type !== OpCode.Sasl) this.#host.touch(this.sessionId);
    const decoded = decodeRequest(header.type, frame);
    if (decoded.ok) return this.#handleRequest(header, decoded.request, frame);
    if (decoded.drop) return this.end({ kind: "drop", reason: "unreadable packet" });
    if (decoded.code === ZkErrorCode.Unimplemented) return this.#refuseUnknown(header);
    this.#refuseUnreadable(header);
  }

  #handleRequest({ xid }: RequestHeader, request: ClientRequest, frame: Uint8Array): void {
    switch (request.type) {
      case OpCode.Ping:
        return this.#queue(() => this.#reply({ xid: pingXid, zxid: this.#appliedZxid(), err: 0 }));
      case OpCode.Auth:
        return this.#authenticate(xid, request.scheme, request.auth);
      case OpCode.Sasl:
        // No SASL here: an empty challenge is how ZooKeeper says so.
        return this.#queue(() =>
          this.#reply({ xid, zxid: 0n, err: 0, body: { kind: "token", token: null } }),
        );
      case OpCode.Reconfig:
        return this.#queue(() =>
          this.#reply({ xid, zxid: this.#appliedZxid(), err: ZkErrorCode.ReconfigDisabled }),
        );
      case OpCode.Sync:
        return this.#sync(xid, request.path);
      case OpCode.Create:
      case OpCode.Create2:
      case OpCode.CreateContainer:
      case OpCode.CreateTtl:
      case OpCode.Delete:
      case OpCode.SetData:
      case OpCode.SetAcl:
      case OpCode.Multi:
        return this.#write(xid, withOwnData(request), frame);
      case OpCode.CloseSession:
        this.#state = "closing";
        return this.#write(xid, request, frame);
      default: {
        const { requester } = this;
        return this.#queue(() => this.#read(xid, request, requester));
      }
    }
  }

  #read(xid: number, request: ReadRequest, requester: Requester): void {
    const answer = this.#host.read(request, requester, this.watcher);
    for (const event of answer.events ?? []) this.notify(event, -1n);
    this.#reply({ xid, zxid: this.#appliedZxid(), err: answer.err, body: answer.body });
  }

  #write(xid: number, request: WriteRequest, frame: Uint8Array): void {
    const slot = this.#reserve();
    const isTaken = this.#host.write({
      request,
      frame,
      requester: this.#requester,
      cxid: xid,
      settle: (settled) => this.#written(slot, { xid, request, settled }),
    });
    if (!isTaken) this.end({ kind: "drop", reason: "overloaded" });
  }

  #written(
    slot: Slot,
    { xid, request, settled }: { xid: number; request: WriteRequest; settled: Settlement },
  ): void {
    if (this.#ending !== undefined) return;
    this.#host.changed(this);
    if (settled.kind === "lost") return this.end({ kind: "drop", reason: "leadership lost" });
    const outcome = respond(request, settled.applied.outcome);
    this.#settle(slot, () => {
      // As in ZooKeeper: whom the session has left is told nothing more.
      if (outcome.err === ZkErrorCode.SessionMoved) {
        return this.end({ kind: "close", reason: "session moved" });
      }
      this.#reply({ xid, zxid: zxidToBigint(settled.zxid), err: outcome.err, body: outcome.body });
      if (request.type === OpCode.CloseSession) this.end({ kind: "close", reason: "session closed" });
    });
  }

  #sync(xid: number, path: string): void {
    const slot = this.#reserve();
    this.#host.confirm(this.#isFresh, (confirmed) => {
      if (this.#ending !== undefined) return;
      this.#host.changed(this);
      if (!confirmed) return this.end({ kind: "drop", reason: "leadership lost" });
      this.#settle(slot, () =>
        this.#reply({ xid, zxid: this.#appliedZxid(), err: 0, body: { kind: "path", path } }),
      );
    });
  }

  /** Identities hold for what arrives afterwards; the answer keeps its place in the order. */
  #authenticate(xid: number, scheme: string, auth: Uint8Array | null): void {
    const granted = this.#identitiesFor(scheme, auth);
    const known = this.#requester.identities;
    const added = granted?.filter(
      (identity) => !known.some((other) => other.scheme === identity.scheme && other.id === identity.id),
    );
    const identities = added === undefined ? undefined : [...known, ...added];
    if (identities === undefined || !fitIdentities(identities)) {
      this.#state = "closing";
      this.#host.stats.authFailures += 1;
      return this.#queue(() => {
        this.#reply({ xid, zxid: 0n, err: ZkErrorCode.AuthFailed });
        this.end({ kind: "close", reason: "authentication failed" });
      });
    }
    this.#requester = { ...this.#requester, identities };
    this.#queue(() => this.#reply({ xid, zxid: 0n, err: 0 }));
  }

  #identitiesFor(scheme: string, auth: Uint8Array | null): readonly AuthId[] | undefined {
    if (scheme === "ip") return [];
    if (scheme !== "digest" || auth === null) return undefined;
    return digestIdentities(auth, this.#host.superDigest);
  }

  #refuseUnknown({ xid }: RequestHeader): void {
    this.#state = "closing";
    this.#queue(() => {
      this.#reply({ xid, zxid: -1n, err: ZkErrorCode.Unimplemented });
      this.end({ kind: "close", reason: "unknown op code" });
    });
  }

  /** It keeps its place among the answers; nobody orders it, and it takes no zxid. */
  #refuseUnreadable({ xid }: RequestHeader): void {
    this.#queue(() => this.#reply({ xid, zxid: this.#appliedZxid(), err: ZkErrorCode.MarshallingError }));
  }

  #reply(reply: Reply): void {
    encodeReply(this.#out, reply);
  }

  #appliedZxid(): bigint {
    return zxidToBigint(this.#host.applied);
  }

  /** Queues an answer that is ready as it stands. */
  #queue(answer: () => void): void {
    this.#slots.push({ header: this.#header, sinceMs: this.#host.now(), isReady: true, answer });
    this.#drain();
  }

  /** Keeps a place for an answer that is settled later. */
  #reserve(): Slot {
    const sinceMs = this.#host.now();
    const slot: Slot = { header: this.#header, sinceMs, isReady: false, answer: nothing };
    this.#slots.push(slot);
    return slot;
  }

  #settle(slot: Slot, answer: () => void): void {
    slot.isReady = true;
    slot.answer = answer;
    this.#drain();
  }

  #answered({ header, sinceMs }: Pick<Slot, "header" | "sinceMs">, bytes: number): void {
    const { applied } = this.#host;
    this.stats.answered({ ...header, zxid: applied, sinceMs, nowMs: this.#host.now(), bytes });
  }

  #drain(): void {
    this.#isStalled = false;
    for (;;) {
      const slot = this.#slots[this.#head];
      if (slot === undefined || !slot.isReady) break;
      if (this.#out.length >= outputBytesMax) {
        this.#isStalled = true;
        this.#host.changed(this);
        break;
      }
      this.#head += 1;
      const before = this.#out.length;
      slot.answer();
      this.#answered(slot, this.#out.length - before);
    }
    if (this.#head === this.#slots.length) {
      this.#slots = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** Of what opens a session: it counts as a request. */
const connectHeader: RequestHeader = { xid: 0, type: OpCode.CreateSession };

const pingXid = -2;

type DataRequest = Extract<WriteRequest, { type: typeof OpCode.Multi } | MultiOp | SetAclRequest>;

/** Decoded data is a view of what the socket delivered; the tree would keep all of it alive for one znode. */
function withOwnData(request: DataRequest): DataRequest {
  return request.type === OpCode.Multi ? { ...request, ops: request.ops.map(ownOpData) } : ownOpData(request);
}

function ownOpData<Op extends MultiOp | SetAclRequest>(op: Op): Op {
  return "data" in op && op.data !== null ? { ...op, data: op.data.slice() } : op;
}

function nothing(): void {}
