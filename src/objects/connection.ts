/**
 * One client connection: a byte stream of ZooKeeper frames in, answers in request order out.
 *
 * What it decides: which frames are answered, in which order, and when the stream ends. What requests mean
 * is the tree's affair, when writes are agreed on the pipeline's, which socket this is `connections.ts`'.
 *
 * Invariants:
 * - A write is not proposed before the syncs ahead of it are confirmed, nor while reads ahead of it may have to
 *   wait for a later turn: it might apply first, and what was asked before it would show it.
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
  type ClientRequest,
  type ConnectRequest,
  isWriteType,
  type MultiOp,
  NO_SESSION,
  OpCode,
  type ReadRequest,
  type Reply,
  type Requester,
  type SessionId,
  type SetAclRequest,
  type WatchedEvent,
  type WriteRequest,
  ZkErrorCode,
  zxidToBigint,
} from "../base/index.ts";
import {
  decodeConnectRequest,
  decodeRequest,
  decodeRequestHeader,
  encodeConnectResponse,
  encodeEvent,
  encodeReply,
  JuteWriter,
  passwordBytes,
  type RequestHeader,
} from "../jute/index.ts";
import { respond, type WatcherId } from "../tree/index.ts";
import { Answers, type Origin, type Slot } from "./answers.ts";
import type { ConnectionHost, Ending, Guest, OpenedSession } from "./connection-host.ts";
import { authenticate, fitIdentities, mayAsk } from "./identities.ts";
import { Intake } from "./intake.ts";
import { ConnectionStats } from "./stats.ts";
import type { Settlement } from "./writes.ts";

/** Requests of one connection that wait for their answer. Frames behind them are held, not read. */
export const connectionQueueMax = 10_000;

/**
 * Bytes held of one connection: ahead of its connect response, or while there is no room for its requests.
 * More than a gateway sends without credit, twice; a client that knows no credit and sends more is cut off.
 */
export const heldBytesMax = 4 * 1024 * 1024;

type State = "handshake" | "opening" | "open" | "closing" | "ended";

export class Connection {
  readonly watcher: WatcherId;
  readonly stats: ConnectionStats;
  readonly #host: ConnectionHost;
  readonly #intake = new Intake();
  readonly #out = new JuteWriter();
  #state: State = "handshake";
  readonly #mustShowToken: boolean;
  #requester: Requester;
  /** Whether anything but auth packets is answered. Follows from the identities. */
  #mayAsk: boolean;
  /** Of the request being handled. */
  #header: RequestHeader = connectHeader;
  readonly #answers: Answers;
  #ending: Ending | undefined;
  /** In the platform event that brought the bytes being handled, before anything else. */
  #isFresh = false;
  /** Syncs without their confirmation yet. */
  #syncing = 0;
  /** A write that must wait for what is ahead of it, and the reason why no further frame is handled. */
  #parked: Uint8Array | undefined;
  /** Frames have come that wait for room. */
  #isHeld = false;

  /** @param guest - Who it is before it has said anything, and whether it must show the token first. */
  constructor(host: ConnectionHost, watcher: WatcherId, guest: Guest) {
    const { identities, mustShowToken } = guest;
    this.#host = host;
    this.#mustShowToken = mustShowToken;
    this.#mayAsk = mayAsk(identities, host.authRules, mustShowToken);
    this.watcher = watcher;
    this.stats = new ConnectionStats(host.stats);
    this.#requester = { sessionId: NO_SESSION, identities };
    this.#answers = new Answers({
      out: this.#out,
      answered: (origin, bytes) => this.#answered(origin, bytes),
      stalled: () => host.changed(this),
    });
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
    return this.#ending === undefined ? this.#intake.buffered + (this.#parked?.length ?? 0) : 0;
  }

  /** Requests that wait for their answer. */
  get outstanding(): number {
    return this.#answers.length;
  }

  /** Has received something that memory alone holds: part of a frame, or a request without its answer. */
  get isBusy(): boolean {
    return this.#state !== "open" || this.#answers.length > 0 || this.#intake.buffered > 0;
  }

  /** More answers are ready: call `resume` in a later turn. */
  get isStalled(): boolean {
    return this.#answers.isStalled;
  }

  /** Frames wait for room. Once `canGoOn` says so: call `resume` in a later turn. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  get canGoOn(): boolean {
    return this.#isHeld && this.#hasRoom;
  }

  /** Bytes taken up since the last time this was asked, once they are worth telling the sender; 0 before. */
  takeCredit(): number {
    return this.#intake.takeCredit();
  }

  /** The client has said goodbye; its answer will end the connection. */
  get isClosing(): boolean {
    return this.#state === "closing";
  }

  /** Set once the stream is to end, after what `takeOutput` gives. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Goes on answering where `outputBytesMax` has stopped it, and reading where there was no room. */
  resume(): void {
    this.#answers.drain();
    this.#unpark();
    if (this.#isHeld) this.#handleFrames();
  }

  /** Continues an open connection whose member lost its memory. */
  restore(requester: Requester): void {
    this.#setRequester(requester);
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
    this.#intake.push(chunk, this.#host.now());
    this.#isFresh = fresh;
    // What is behind a write that waits is handled later, and shows now that its client is alive.
    if (this.#parked !== undefined && this.#mayAsk) this.#host.touch(this.sessionId);
    this.#handleFrames();
    this.#isFresh = false;
    if (this.#intake.buffered > heldBytesMax) {
      this.end({ kind: "drop", reason: "too much ahead of the answers" });
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
    this.#answers.clear();
    this.#isHeld = false;
    this.#parked = undefined;
    if (ending.kind === "drop") this.#out.clear();
  }

  #handleFrames(): void {
    // While the session is being opened, what the client sent ahead stays in the decoder.
    while ((this.#state === "handshake" || this.#state === "open") && this.#parked === undefined) {
      this.#isHeld = this.#state === "open" && !this.#hasRoom && this.#intake.buffered > 0;
      if (this.#isHeld) return this.#host.changed(this);
      const next = this.#intake.next();
      if (next.kind === "incomplete") return;
      if (next.kind === "fault") return this.end({ kind: "drop", reason: next.reason });
      if (this.#state === "handshake") this.#handshake(next.bytes);
      else this.#handleFrame(next.bytes);
    }
  }

  get #hasRoom(): boolean {
    return this.#answers.length < connectionQueueMax && this.#host.hasRoom;
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
    if (isWriteType(header.type) && !this.#mayWrite) {
      this.#parked = frame.slice();
      return;
    }
    this.#header = header;
    this.stats.took();
    if (header.type !== OpCode.Auth && header.type !== OpCode.Sasl) {
      if (!this.#mayAsk) return this.#refuseUnproven(header);
      this.#host.touch(this.sessionId);
    }
    if (this.#isTooLate(header.type)) return this.#refuseThrottled(header);
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
      case OpCode.Reconfig:
        return this.#write(xid, request, frame);
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
    const slot = this.#answers.reserve("write", this.#origin());
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
    this.#answers.settle(slot, () => {
      // As in ZooKeeper: whom the session has left is told nothing more.
      if (outcome.err === ZkErrorCode.SessionMoved) {
        return this.end({ kind: "close", reason: "session moved" });
      }
      this.#reply({ xid, zxid: zxidToBigint(settled.zxid), err: outcome.err, body: outcome.body });
      if (request.type === OpCode.CloseSession) this.end({ kind: "close", reason: "session closed" });
    });
    this.#unpark();
  }

  #sync(xid: number, path: string): void {
    const slot = this.#answers.reserve("sync", this.#origin());
    this.#syncing += 1;
    this.#host.confirm(this.#isFresh, (confirmed) => {
      if (this.#ending !== undefined) return;
      this.#host.changed(this);
      if (!confirmed) return this.end({ kind: "drop", reason: "leadership lost" });
      this.#syncing -= 1;
      this.#answers.settle(slot, () =>
        this.#reply({ xid, zxid: this.#appliedZxid(), err: 0, body: { kind: "path", path } }),
      );
      this.#unpark();
    });
  }

  get #mayWrite(): boolean {
    return this.#syncing === 0 && this.#answers.mayWrite;
  }

  /** The write that waited for what was ahead of it, and what came behind it. */
  #unpark(): void {
    const frame = this.#parked;
    if (frame === undefined || !this.#mayWrite) return;
    this.#parked = undefined;
    this.#handleFrame(frame);
    this.#handleFrames();
  }

  /** Identities hold for what arrives afterwards; the answer keeps its place in the order. */
  #authenticate(xid: number, scheme: string, auth: Uint8Array | null): void {
    const granted = authenticate(scheme, auth, this.#host.authRules);
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
    this.#setRequester({ ...this.#requester, identities });
    this.#queue(() => this.#reply({ xid, zxid: 0n, err: 0 }));
  }

  #setRequester(requester: Requester): void {
    this.#requester = requester;
    this.#mayAsk = mayAsk(requester.identities, this.#host.authRules, this.#mustShowToken);
  }

  /** Java sheds no ping and no goodbye; who authenticates is not tracked at all. */
  #isTooLate(type: number): boolean {
    const { throttledOpWaitMs } = this.#host;
    if (throttledOpWaitMs === 0 || neverThrottled.has(type)) return false;
    return this.#host.now() - this.#intake.arrivedMs > throttledOpWaitMs;
  }

  /** It was not done, and may be asked again. */
  #refuseThrottled({ xid }: RequestHeader): void {
    this.#host.stats.throttledOps += 1;
    this.#queue(() => this.#reply({ xid, zxid: this.#appliedZxid(), err: ZkErrorCode.ThrottledOp }));
  }

  /** As ZooKeeper where a scheme is enforced: the session stays, and may be taken up by who authenticates. */
  #refuseUnproven({ xid }: RequestHeader): void {
    this.#state = "closing";
    this.#queue(() => {
      this.#reply({ xid, zxid: 0n, err: ZkErrorCode.SessionClosedRequireSaslAuth });
      this.end({ kind: "close", reason: "authentication required" });
    });
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
    this.#answers.add(this.#origin(), answer);
  }

  #origin(): Origin {
    return { header: this.#header, sinceMs: this.#host.now() };
  }

  #answered({ header, sinceMs }: Origin, bytes: number): void {
    const { applied } = this.#host;
    this.stats.answered({ ...header, zxid: applied, sinceMs, nowMs: this.#host.now(), bytes });
  }
}

/** Of what opens a session: it counts as a request. */
const connectHeader: RequestHeader = { xid: 0, type: OpCode.CreateSession };

const pingXid = -2;

const neverThrottled: ReadonlySet<number> = new Set([
  OpCode.Ping,
  OpCode.CloseSession,
  OpCode.Auth,
  OpCode.Sasl,
]);

type DataRequest = Extract<WriteRequest, { type: typeof OpCode.Multi } | MultiOp | SetAclRequest>;

/** Decoded data is a view of what the socket delivered; the tree would keep all of it alive for one znode. */
function withOwnData(request: DataRequest): DataRequest {
  return request.type === OpCode.Multi ? { ...request, ops: request.ops.map(ownOpData) } : ownOpData(request);
}

function ownOpData<Op extends MultiOp | SetAclRequest>(op: Op): Op {
  return "data" in op && op.data !== null ? { ...op, data: op.data.slice() } : op;
}
