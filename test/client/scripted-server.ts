/**
 * The other end of a client's wire, in the hands of a test: it sees every request and says every word.
 *
 * @module
 */

import {
  assert,
  type ClientRequest,
  type ConnectRequest,
  OpCode,
  type ResponseBody,
} from "../../src/base/index.ts";
import type { Transport, Wire, WireEvents } from "../../src/client/transport.ts";
import {
  decodeConnectRequest,
  decodeRequest,
  decodeRequestHeader,
  encodeConnectResponse,
  encodeEvent,
  encodeReply,
  FrameDecoder,
  JuteWriter,
} from "../../src/jute/index.ts";
import { settled } from "../../src/testing/held-clock.ts";

export interface SeenRequest {
  readonly xid: number;
  readonly request: ClientRequest;
}

/** One attempt of the client's to connect. */
export class ScriptedWire {
  readonly #events: WireEvents;
  readonly #frames = new FrameDecoder();
  hello: ConnectRequest | undefined;
  /** Requests not yet answered by the test; pings are not among them. */
  readonly seen: SeenRequest[] = [];
  pings = 0;
  isClosed = false;

  constructor(events: WireEvents) {
    this.#events = events;
  }

  /** The server takes the connection. */
  open(): void {
    const wire: Wire = {
      send: (bytes) => this.#take(bytes),
      close: () => {
        this.isClosed = true;
      },
    };
    this.#events.opened(wire);
  }

  /** Opens it and answers the handshake. */
  async accept(session: { readonly id?: bigint; readonly timeoutMs?: number } = {}): Promise<ConnectRequest> {
    this.open();
    await settled();
    assert(this.hello !== undefined, "the client begins with its handshake");
    const { id = 7n, timeoutMs = 9_000 } = session;
    const writer = new JuteWriter();
    const password = new Uint8Array(16).fill(3);
    encodeConnectResponse(writer, {
      timeoutMs,
      sessionId: timeoutMs === 0 ? 0n : id,
      password,
      readOnly: false,
    });
    this.say(writer.take());
    await settled();
    return this.hello;
  }

  /** Answers the oldest request that has none. */
  async reply(
    body?: ResponseBody,
    options: { readonly err?: number; readonly zxid?: bigint } = {},
  ): Promise<void> {
    const seen = this.seen.shift();
    assert(seen !== undefined, "there is a request to answer");
    const writer = new JuteWriter();
    encodeReply(writer, { xid: seen.xid, zxid: options.zxid ?? 1n, err: options.err ?? 0, body });
    this.say(writer.take());
    await settled();
  }

  /** Answers the oldest request that has none, and says in the same message that what it read has changed. */
  async replyAndEvent(body: ResponseBody, type: 1 | 2 | 3 | 4, path: string): Promise<void> {
    const seen = this.seen.shift();
    assert(seen !== undefined, "there is a request to answer");
    const writer = new JuteWriter();
    encodeReply(writer, { xid: seen.xid, zxid: 1n, err: 0, body });
    encodeEvent(writer, { type, path }, 5n);
    this.say(writer.take());
    await settled();
  }

  async pong(): Promise<void> {
    const writer = new JuteWriter();
    encodeReply(writer, { xid: -2, zxid: 0n, err: 0 });
    this.say(writer.take());
    await settled();
  }

  async event(type: 1 | 2 | 3 | 4, path: string): Promise<void> {
    const writer = new JuteWriter();
    encodeEvent(writer, { type, path }, 5n);
    this.say(writer.take());
    await settled();
  }

  say(bytes: Uint8Array): void {
    this.#events.received(bytes);
  }

  async break(reason = "cut"): Promise<void> {
    this.isClosed = true;
    this.#events.closed(reason);
    await settled();
  }

  #take(bytes: Uint8Array): void {
    this.#frames.push(bytes);
    for (let next = this.#frames.next(); next.kind === "frame"; next = this.#frames.next()) {
      if (this.hello === undefined) {
        this.hello = decodeConnectRequest(next.bytes);
        continue;
      }
      const header = decodeRequestHeader(next.bytes);
      assert(header !== undefined, "the client sends whole headers");
      const decoded = decodeRequest(header.type, next.bytes);
      assert(decoded.ok, `the client sends readable requests, not ${header.type}`);
      if (decoded.request.type === OpCode.Ping) this.pings += 1;
      else this.seen.push({ xid: header.xid, request: decoded.request });
    }
  }
}

export class ScriptedServer implements Transport {
  readonly target = "the script";
  readonly wires: ScriptedWire[] = [];

  open(events: WireEvents): () => void {
    const wire = new ScriptedWire(events);
    this.wires.push(wire);
    return () => {
      wire.isClosed = true;
    };
  }

  /** The latest attempt. */
  get wire(): ScriptedWire {
    const wire = this.wires.at(-1);
    assert(wire !== undefined, "the client has tried to connect");
    return wire;
  }
}
