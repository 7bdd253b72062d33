/**
 * A stand-in for the Worker's WebSocket door: an HTTP server whose upgrades a test accepts, refuses or
 * leaves waiting, and whose WebSockets it drives by hand.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

export interface StubUpgrade {
  readonly request: IncomingMessage;
  accept(overrides?: Readonly<Record<string, string>>): StubSocket;
  refuse(status: number): void;
}

export interface StubWorker {
  readonly url: string;
  /** The next upgrade not yet asked for. */
  nextUpgrade(): Promise<StubUpgrade>;
  /** Upgrades so far. */
  readonly upgradeCount: number;
  /** Answers requests that are no upgrade; 426 unless a test says otherwise. */
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  close(): Promise<void>;
}

export async function startStubWorker(): Promise<StubWorker> {
  const waiting: StubUpgrade[] = [];
  const arrivals = new EventEmitter();
  const sockets = new Set<Duplex>();
  let upgradeCount = 0;
  const server = createServer((request, response) => worker.answer(request, response));
  server.on("upgrade", (request, socket) => {
    sockets.add(socket);
    // HTTP servers leave sockets half open.
    socket.on("end", () => socket.end());
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
    upgradeCount += 1;
    waiting.push(makeUpgrade(request, socket));
    arrivals.emit("upgrade");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
  const worker: StubWorker = {
    url: `http://127.0.0.1:${address.port}`,
    answer: (_request, response) => response.writeHead(426).end(),
    async nextUpgrade() {
      for (;;) {
        const upgrade = waiting.shift();
        if (upgrade !== undefined) return upgrade;
        await once(arrivals, "upgrade");
      }
    },
    get upgradeCount() {
      return upgradeCount;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return worker;
}

function makeUpgrade(request: IncomingMessage, socket: Duplex): StubUpgrade {
  return {
    request,
    accept(overrides = {}) {
      const accept = createHash("sha1")
        .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest("base64");
      const headers = {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Accept": accept,
        "Sec-WebSocket-Protocol": "zookeeper",
        ...overrides,
      };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
      return new StubSocket(socket);
    },
    refuse(status) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    },
  };
}

/** The server's end of one WebSocket. Emits `received` whenever something has come. */
export class StubSocket extends EventEmitter {
  readonly #socket: Duplex;
  #held: Buffer = Buffer.alloc(0);
  /** Binary messages, one by one. */
  readonly messages: Buffer[] = [];
  readonly texts: string[] = [];
  /** What the client's close frame said. */
  closeCode: number | undefined;
  /** Resolves when the connection beneath is gone. */
  readonly closed: Promise<unknown>;

  constructor(socket: Duplex) {
    super();
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.closed = new Promise((resolve) => socket.once("close", resolve));
  }

  /** Everything received, end to end. */
  get bytes(): Buffer {
    return Buffer.concat(this.messages);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Bytes written that the gateway has not taken. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  send(payload: Uint8Array): void {
    this.#socket.write(Buffer.concat([header(2, payload.length), payload]));
  }

  sendText(text: string): void {
    this.#socket.write(Buffer.concat([header(1, text.length), Buffer.from(text)]));
  }

  close(code: number): void {
    this.#socket.write(Buffer.concat([header(8, 2), Buffer.of(code >> 8, code & 0xff)]));
  }

  /** Ends without a word, as an object that was reset does. */
  destroy(): void {
    this.#socket.destroy();
  }

  async receivedBytes(count: number): Promise<Buffer> {
    while (this.messages.reduce((sum, message) => sum + message.length, 0) < count) {
      await once(this, "received");
    }
    return this.bytes;
  }

  /** Waits for the client's close frame. */
  async closeReceived(): Promise<number> {
    while (this.closeCode === undefined) await once(this, "received");
    return this.closeCode;
  }

  #receive(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    for (let frame = takeFrame(this.#held); frame !== undefined; frame = takeFrame(this.#held)) {
      this.#held = frame.rest;
      if (frame.opcode === 2) this.messages.push(frame.payload);
      else if (frame.opcode === 1) this.texts.push(frame.payload.toString());
      else if (frame.opcode === 8) this.closeCode = frame.payload.readUInt16BE(0);
    }
    this.emit("received");
  }
}

function header(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.of(0x80 | opcode, length);
  const bytes = Buffer.alloc(10);
  bytes[0] = 0x80 | opcode;
  bytes[1] = 127;
  bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
}

/** One masked frame off the front. */
function takeFrame(held: Buffer): { opcode: number; payload: Buffer; rest: Buffer } | undefined {
  if (held.length < 2) return undefined;
  const short = held.readUInt8(1) & 0x7f;
  const lengthEnd = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (held.length < lengthEnd + 4) return undefined;
  const length =
    short === 127 ? Number(held.readBigUInt64BE(2)) : short === 126 ? held.readUInt16BE(2) : short;
  const from = lengthEnd + 4;
  if (held.length < from + length) return undefined;
  const key = held.subarray(lengthEnd, from);
  const payload = Buffer.from(held.subarray(from, from + length));
  for (let i = 0; i < length; i++) payload[i] = payload.readUInt8(i) ^ key.readUInt8(i % 4);
  return { opcode: held.readUInt8(0) & 0x0f, payload, rest: held.subarray(from + length) };
}
