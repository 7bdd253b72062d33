/**
 * A ZooKeeper client in a few lines, for tests: frames over a WebSocket, answers by xid, events apart.
 *
 * @module
 */

import type {
  ClientRequest,
  ConnectResponse,
  OpCode,
  ResponseBody,
  WatchedEvent,
} from "../../src/base/index.ts";
import {
  decodeConnectResponse,
  decodeEvent,
  decodeReplyBody,
  decodeReplyHeader,
  encodeConnectRequest,
  encodeLaneEnd,
  encodeLaneHead,
  encodeRequest,
  FrameDecoder,
  JuteWriter,
  LaneReader,
  laneHeadBytes,
  type ReplyHeader,
} from "../../src/jute/index.ts";

export interface TestReply extends ReplyHeader {
  readonly body: ResponseBody | undefined;
}

interface Pending {
  readonly type: OpCode;
  readonly resolve: (reply: TestReply) => void;
  readonly reject: (error: Error) => void;
}

/** As much of a WebSocket as a client uses. */
interface ClientSocket {
  addEventListener(type: "close", listen: (event: CloseEvent) => void): void;
  addEventListener(type: "message", listen: (event: MessageEvent) => void): void;
  binaryType: string;
  accept(): void;
  send(message: Uint8Array | string): void;
  close(code?: number, reason?: string): void;
}

/** Clients whose connections share a WebSocket; pings are no part of it. */
export class SharedClients {
  readonly clients: readonly TestClient[];

  constructor(shared: WebSocket, numbers: readonly number[]) {
    const lanes = new Map(numbers.map((number) => [number, new ClientLane(shared, number)]));
    this.clients = [...lanes.values()].map((lane) => new TestClient(lane as ClientSocket));
    const reader = new LaneReader();
    shared.binaryType = "arraybuffer";
    shared.addEventListener("message", ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return;
      for (const part of reader.push(new Uint8Array(data))) {
        const lane = lanes.get(part.lane);
        if (part.kind === "bytes")
          lane?.dispatchEvent(new MessageEvent("message", { data: part.bytes.slice().buffer }));
        else lane?.dispatchEvent(new CloseEvent("close", { code: 1000, reason: part.kind }));
      }
    });
    shared.accept();
  }
}

class ClientLane extends EventTarget {
  binaryType = "arraybuffer";
  readonly #shared: WebSocket;
  readonly #number: number;

  constructor(shared: WebSocket, number: number) {
    super();
    this.#shared = shared;
    this.#number = number;
  }

  accept(): void {}

  send(message: Uint8Array | string): void {
    if (typeof message === "string") throw new Error("text has no place among bytes");
    const part = new Uint8Array(laneHeadBytes + message.length);
    part.set(encodeLaneHead(this.#number, message.length));
    part.set(message, laneHeadBytes);
    this.#shared.send(part);
  }

  close(): void {
    this.#shared.send(encodeLaneEnd(this.#number));
  }
}

export class TestClient {
  readonly events: { event: WatchedEvent; zxid: bigint }[] = [];
  /** In order of arrival: what the stream said, events and xids alike. */
  readonly order: string[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #socket: ClientSocket;
  readonly #decoder = new FrameDecoder();
  readonly #pending = new Map<number, Pending>();
  #xid = 0;
  #connected: ((response: ConnectResponse) => void) | undefined;
  #isClosed = false;
  readonly #waiters: (() => void)[] = [];

  constructor(socket: ClientSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", (event) => {
        this.#isClosed = true;
        resolve({ code: event.code, reason: event.reason });
        for (const { reject } of this.#pending.values()) reject(new Error(`closed: ${event.reason}`));
        this.#pending.clear();
      });
    });
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.binaryType = "arraybuffer";
    socket.accept();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Rejects when the connection ends unanswered. */
  async connect(
    session?: { sessionId: bigint; password: Uint8Array },
    timeoutMs = 10_000,
    lastZxidSeen = 0n,
  ): Promise<ConnectResponse> {
    const writer = new JuteWriter();
    encodeConnectRequest(writer, {
      protocolVersion: 0,
      lastZxidSeen,
      timeoutMs,
      sessionId: session?.sessionId ?? 0n,
      password: session?.password ?? new Uint8Array(16),
      readOnly: false,
    });
    const response = new Promise<ConnectResponse>((resolve) => {
      this.#connected = resolve;
    });
    this.#socket.send(writer.take());
    const ended = this.closed.then(({ reason }): never => {
      throw new Error(`closed: ${reason}`);
    });
    return Promise.race([response, ended]);
  }

  async request(request: ClientRequest): Promise<TestReply> {
    const [reply] = await this.batch([request]);
    if (reply === undefined) throw new Error("a request has a reply");
    return reply;
  }

  /** Many requests in one message. */
  batch(requests: readonly ClientRequest[]): Promise<TestReply[]> {
    const writer = new JuteWriter();
    const replies = requests.map((request) => {
      this.#xid += 1;
      const xid = this.#xid;
      encodeRequest(writer, xid, request);
      return new Promise<TestReply>((resolve, reject) => {
        this.#pending.set(xid, { type: request.type, resolve, reject });
      });
    });
    this.#socket.send(writer.take());
    return Promise.all(replies);
  }

  sendRaw(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  /** The text that the platform answers in the member's place. */
  ping(): void {
    this.#socket.send("ping");
  }

  /** Resolves once `count` events have come. */
  async eventCount(count: number): Promise<void> {
    while (this.events.length < count) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  close(): void {
    this.#socket.close(1000, "done");
  }

  #receive(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return;
    this.#decoder.push(new Uint8Array(data));
    for (;;) {
      const next = this.#decoder.next();
      if (next.kind !== "frame") return;
      this.#frame(next.bytes);
    }
  }

  #frame(bytes: Uint8Array): void {
    if (this.#connected !== undefined) {
      const response = decodeConnectResponse(bytes);
      if (response === undefined) throw new Error("unreadable connect response");
      this.#connected(response);
      this.#connected = undefined;
      return;
    }
    const header = decodeReplyHeader(bytes);
    if (header === undefined) throw new Error("unreadable reply");
    if (header.xid === -1) return this.#event(bytes);
    this.order.push(`reply ${header.xid}`);
    const pending = this.#pending.get(header.xid);
    this.#pending.delete(header.xid);
    // With an error comes no body.
    const decoded =
      header.err === 0
        ? decodeReplyBody(pending?.type ?? 11, bytes)
        : ({ ok: true, body: undefined } as const);
    if (!decoded.ok) throw new Error("unreadable reply body");
    pending?.resolve({ ...header, body: decoded.body });
  }

  #event(bytes: Uint8Array): void {
    const event = decodeEvent(bytes);
    if (event === undefined) throw new Error("unreadable event");
    this.order.push(`event ${event.event.type} ${event.event.path}`);
    this.events.push(event);
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
