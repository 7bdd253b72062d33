/**
 * One connection of a session: the handshake, then requests and replies in order, until it ends.
 *
 * It does not reconnect and retries nothing; what was under way when it ended is told apart by whether it
 * had been sent. Requests of one turn leave as one piece.
 *
 * Invariants:
 * - Replies of ordinary requests come in the order of the requests; xids only check that.
 * - `touchedAtMs` is a time at which we sent something that the server has since answered: the server has
 *   heard of the session no earlier.
 *
 * Sources: ZooKeeper `ClientCnxn`; its special xids are -1 (event), -2 (ping), -4 (auth), -8 (setWatches).
 *
 * @module
 */

import {
  type ClientRequest,
  type ConnectRequest,
  type ConnectResponse,
  OpCode,
  type ResponseBody,
  type WatchedEvent,
} from "../base/index.ts";
import {
  decodeConnectResponse,
  decodeEvent,
  decodeReplyBody,
  decodeReplyHeader,
  encodeConnectRequest,
  encodeRequest,
  FrameDecoder,
  JuteWriter,
  type ReplyHeader,
} from "../jute/index.ts";
import type { Clock, Transport, Wire } from "./transport.ts";

const xidPing = -2;
const xidAuth = -4;
const xidSetWatches = -8;
const xidEvent = -1;
const xidMax = 2 ** 31 - 1;

/** The longest reply taken: a list of a million children fits, a server gone mad does not. */
const replyBytesMax = 64 * 1024 * 1024;

/** How long a server may take over an upgrade and a handshake, an election in between included, ms. */
const handshakeMsMax = 15_000;

export interface Answer {
  /** A `ZkErrorCode` if the server is honest. */
  readonly err: number;
  readonly zxid: bigint;
  /** `undefined` with an error, and for requests whose reply has no body. */
  readonly body: ResponseBody | undefined;
}

/** `undefined`: the connection ended before the reply came; the server may have acted on it. */
export type Settle = (answer: Answer | undefined) => void;

export interface ConnectionEvents {
  /** The server's answer to the handshake. `timeoutMs` 0: it knows no such session. */
  established(response: ConnectResponse): void;
  event(event: WatchedEvent): void;
  /** Once, last, after every pending request was settled. */
  ended(reason: string): void;
}

interface Pending {
  readonly xid: number;
  readonly type: OpCode;
  readonly sentAtMs: number;
  readonly settle: Settle;
}

export class Connection {
  readonly #clock: Clock;
  readonly #events: ConnectionEvents;
  readonly #writer = new JuteWriter(1024);
  readonly #frames = new FrameDecoder(replyBytesMax);
  readonly #giveUp: () => void;
  /** In the order of sending; those before `#head` are answered. */
  #pending: Pending[] = [];
  #head = 0;
  /** Auth and setWatches, which real servers may answer out of order. */
  readonly #special: Pending[] = [];
  readonly #pingsSentAtMs: number[] = [];
  #wire: Wire | undefined;
  #isEstablished = false;
  #isOver = false;
  #xid = 0;
  #timeoutMs = handshakeMsMax;
  #flushDue = false;
  #timer: unknown;
  #handshakeSentAtMs: number;
  #heardAtMs: number;
  #sentAtMs: number;
  #touchedAtMs: number;
  #lastZxid: bigint;

  constructor(transport: Transport, hello: ConnectRequest, clock: Clock, events: ConnectionEvents) {
    this.#clock = clock;
    this.#events = events;
    const now = clock.now();
    this.#handshakeSentAtMs = this.#heardAtMs = this.#sentAtMs = this.#touchedAtMs = now;
    this.#lastZxid = hello.lastZxidSeen;
    this.#timer = clock.setTimer(() => this.#end("no answer to the handshake"), handshakeMsMax);
    this.#giveUp = transport.open({
      opened: (wire) => {
        this.#wire = wire;
        this.#handshakeSentAtMs = clock.now();
        encodeConnectRequest(this.#writer, hello);
        this.#flush();
      },
      received: (bytes) => this.#receive(bytes),
      closed: (reason) => this.#end(reason),
    });
  }

  get touchedAtMs(): number {
    return this.#touchedAtMs;
  }

  /** The greatest zxid any reply carried. */
  get lastZxid(): bigint {
    return this.#lastZxid;
  }

  /** Sends with what else this turn sends. Only between `established` and `ended`. */
  send(request: ClientRequest, settle: Settle): void {
    const sentAtMs = this.#clock.now();
    const xid = this.#xidOf(request.type);
    const pending = { xid, type: request.type, sentAtMs, settle };
    if (xid > 0) this.#pending.push(pending);
    else this.#special.push(pending);
    encodeRequest(this.#writer, xid, request);
    this.#flushSoon();
  }

  /** Ends it at once, quietly: `ended` follows all the same. */
  close(reason: string): void {
    this.#flush();
    this.#end(reason);
  }

  #xidOf(type: OpCode): number {
    if (type === OpCode.Auth) return xidAuth;
    if (type === OpCode.SetWatches || type === OpCode.SetWatches2) return xidSetWatches;
    this.#xid = this.#xid === xidMax ? 1 : this.#xid + 1;
    return this.#xid;
  }

  #flushSoon(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#flushDue = false;
    if (this.#isOver || this.#wire === undefined || this.#writer.length === 0) return;
    this.#sentAtMs = this.#clock.now();
    this.#wire.send(this.#writer.take());
  }

  #receive(bytes: Uint8Array): void {
    this.#heardAtMs = this.#clock.now();
    this.#frames.push(bytes);
    while (!this.#isOver) {
      const next = this.#frames.next();
      if (next.kind === "incomplete") return;
      if (next.kind === "fault") return this.#end(`the server broke the protocol: ${next.reason}`);
      if (this.#isEstablished) this.#receiveReply(next.bytes);
      else this.#receiveHandshake(next.bytes);
    }
  }

  #receiveHandshake(frame: Uint8Array): void {
    const response = decodeConnectResponse(frame);
    if (response === undefined) return this.#end("the server broke the protocol in the handshake");
    this.#isEstablished = true;
    this.#touchedAtMs = this.#handshakeSentAtMs;
    this.#clock.clearTimer(this.#timer);
    if (response.timeoutMs > 0) {
      this.#timeoutMs = response.timeoutMs;
      this.#beatLater();
    }
    this.#events.established(response);
  }

  #receiveReply(frame: Uint8Array): void {
    const header = decodeReplyHeader(frame);
    if (header === undefined) return this.#end("the server broke the protocol: a short reply");
    // An event's zxid is not "seen" yet: its txn may fire more of our watches, each in a frame of its own.
    if (header.xid === xidEvent) return this.#receiveEvent(frame);
    if (header.zxid > this.#lastZxid) this.#lastZxid = header.zxid;
    if (header.xid === xidPing) return this.#touch(this.#pingsSentAtMs.shift());
    const pending = this.#take(header.xid);
    if (pending === undefined) return this.#end(`the server answered request ${header.xid}, out of order`);
    this.#touch(pending.sentAtMs);
    this.#settle(pending, header, frame);
  }

  #receiveEvent(frame: Uint8Array): void {
    const decoded = decodeEvent(frame);
    if (decoded === undefined) return this.#end("the server broke the protocol: an unknown event");
    this.#events.event(decoded.event);
  }

  #settle(pending: Pending, header: ReplyHeader, frame: Uint8Array): void {
    const { err, zxid } = header;
    if (err !== 0) return pending.settle({ err, zxid, body: undefined });
    const decoded = decodeReplyBody(pending.type, frame);
    if (decoded.ok) return pending.settle({ err, zxid, body: decoded.body });
    pending.settle(undefined);
    this.#end("the server broke the protocol: a reply that cannot be read");
  }

  #take(xid: number): Pending | undefined {
    if (xid <= 0) {
      const at = this.#special.findIndex((pending) => pending.xid === xid);
      return at < 0 ? undefined : this.#special.splice(at, 1)[0];
    }
    const pending = this.#pending[this.#head];
    if (pending === undefined || pending.xid !== xid) return undefined;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
    return pending;
  }

  #touch(sentAtMs: number | undefined): void {
    if (sentAtMs !== undefined && sentAtMs > this.#touchedAtMs) this.#touchedAtMs = sentAtMs;
  }

  /** Pings after a third of the timeout without sending, gives up after two thirds without hearing. */
  #beatLater(): void {
    this.#timer = this.#clock.setTimer(() => this.#beat(), this.#timeoutMs / 6);
  }

  #beat(): void {
    const now = this.#clock.now();
    if (now - this.#heardAtMs >= (this.#timeoutMs * 2) / 3) {
      return this.#end(`nothing heard for ${Math.round(now - this.#heardAtMs)} ms`);
    }
    if (now - this.#sentAtMs >= this.#timeoutMs / 3) {
      this.#pingsSentAtMs.push(now);
      encodeRequest(this.#writer, xidPing, { type: OpCode.Ping });
      this.#flush();
    }
    this.#beatLater();
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#clock.clearTimer(this.#timer);
    this.#giveUp();
    const unanswered = [...this.#special, ...this.#pending.slice(this.#head)];
    this.#pending = [];
    this.#special.length = 0;
    for (const { settle } of unanswered) settle(undefined);
    this.#events.ended(reason);
  }
}
