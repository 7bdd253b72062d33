/**
 * A WebSocket to the Worker that can be paused, carries bytes, and never compresses.
 *
 * The upgrade is Node's `http`; after it the socket is ours. The close handshake is answered and waited
 * for, but never for longer than `closeTimeoutMs`.
 *
 * Source: RFC 6455, sections 4.1 and 7.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto";
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as requestHttp,
} from "node:http";
import { request as requestHttps } from "node:https";
import type { Duplex } from "node:stream";
import { encodeFrame, FrameReader, WebSocketOpcode } from "./websocket-frames.ts";

/** How long an upgrade may take, an election in between included. */
const openTimeoutMs = 15_000;
/** How long a closing peer may take to say so too. */
const closeTimeoutMs = 2_000;

const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export interface WebSocketTarget {
  /** `http:` or `https:`, `ws:` or `wss:`. */
  readonly url: URL;
  /** The first is what the server must choose. */
  readonly protocols: readonly [string, ...string[]];
  readonly headers: Readonly<Record<string, string>>;
}

/** What becomes of an upgrade: exactly one of `onOpen` and `onRefused`, unless it is abandoned. */
export interface WebSocketEvents {
  onOpen(webSocket: OutgoingWebSocket): void;
  /** `reason` is for an operator's eyes; it holds no secret. */
  onRefused(reason: string): void;
  /** The payload of the next binary messages, in order. */
  onBytes(chunks: readonly Uint8Array[]): void;
  /** A short text message. */
  onText(text: string): void;
  /** After `send` answered `false`: there is room again. */
  onDrain(): void;
  /** Once, last. 1006 when the connection broke. */
  onClose(code: number): void;
}

/** Asks for an upgrade. Answers a function that abandons it, for a client that has gone meanwhile. */
export function openWebSocket(target: WebSocketTarget, events: WebSocketEvents): () => void {
  const key = randomBytes(16).toString("base64");
  const url = new URL(target.url);
  url.protocol = url.protocol.replace(/^ws/, "http");
  const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url.href, {
    // A socket of its own: an agent would queue upgrades behind one another.
    agent: false,
    headers: {
      ...target.headers,
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": key,
      "Sec-WebSocket-Protocol": target.protocols.join(", "),
    },
  });
  return settleUpgrade(request, { target, key, events });
}

function settleUpgrade(
  request: ClientRequest,
  upgrade: { readonly target: WebSocketTarget; readonly key: string; readonly events: WebSocketEvents },
): () => void {
  const { events } = upgrade;
  let isSettled = false;
  function settle(outcome: () => void): void {
    if (isSettled) return;
    isSettled = true;
    outcome();
  }
  function refuse(reason: string): void {
    settle(() => {
      request.destroy();
      events.onRefused(reason);
    });
  }
  const timer = setTimeout(() => refuse(`no answer within ${openTimeoutMs} ms`), openTimeoutMs);
  request.once("close", () => clearTimeout(timer));
  request.on("error", (error) => refuse(error.message));
  request.on("response", (response) => refuse(`status ${response.statusCode}`));
  request.on("upgrade", (response, socket, head) => {
    clearTimeout(timer);
    const fault = handshakeFault(response, upgrade);
    if (fault !== undefined || isSettled) socket.destroy();
    if (fault !== undefined) refuse(fault);
    const { headers } = response;
    settle(() => events.onOpen(new OutgoingWebSocket(socket, head, { events, headers })));
  });
  request.end();
  return () => settle(() => request.destroy());
}

function handshakeFault(
  response: IncomingMessage,
  upgrade: { readonly target: WebSocketTarget; readonly key: string },
): string | undefined {
  const accept = createHash("sha1").update(`${upgrade.key}${acceptSuffix}`).digest("base64");
  if (response.headers["sec-websocket-accept"] !== accept)
    return "the upgrade was accepted by no WebSocket server";
  if (response.headers["sec-websocket-extensions"] !== undefined)
    return "an extension was chosen that was not offered";
  const protocol = response.headers["sec-websocket-protocol"];
  if (protocol !== upgrade.target.protocols[0]) return `subprotocol "${protocol ?? ""}" was chosen`;
  return undefined;
}

/** An open WebSocket. Only {@link openWebSocket} makes one. */
export class OutgoingWebSocket {
  /** Of the server's 101. */
  readonly headers: IncomingHttpHeaders;
  readonly #socket: Duplex;
  readonly #events: WebSocketEvents;
  readonly #frames = new FrameReader();
  #closeSent = false;
  /** What the server's close frame said. */
  #closeCode: number | undefined;
  #closeTimer: NodeJS.Timeout | undefined;

  constructor(
    socket: Duplex,
    head: Uint8Array,
    { events, headers }: { readonly events: WebSocketEvents; readonly headers: IncomingHttpHeaders },
  ) {
    this.headers = headers;
    this.#socket = socket;
    this.#events = events;
    if ("setNoDelay" in socket && typeof socket.setNoDelay === "function") socket.setNoDelay(true);
    // Before anybody listens: `data` then brings it first, on a later tick.
    if (head.length > 0) socket.unshift(head);
    socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    socket.on("drain", () => events.onDrain());
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      clearTimeout(this.#closeTimer);
      events.onClose(this.#closeCode ?? 1006);
    });
  }

  /** Sends one binary message. `false`: wait for `onDrain` before sending more. */
  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#closeSent) return true;
    return this.#socket.write(encodeFrame(WebSocketOpcode.Binary, chunks));
  }

  sendText(text: string): void {
    if (!this.#closeSent) this.#socket.write(encodeFrame(WebSocketOpcode.Text, [Buffer.from(text)]));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Begins the close handshake; `onClose` follows in any case. */
  close(code: number): void {
    if (this.#closeSent) return;
    this.#closeSent = true;
    this.#socket.write(encodeFrame(WebSocketOpcode.Close, [Uint8Array.of(code >> 8, code & 0xff)]));
    // A paused socket would never see the answer.
    this.#socket.resume();
    this.#closeTimer = setTimeout(() => this.#socket.destroy(), closeTimeoutMs);
  }

  #receive(chunk: Uint8Array): void {
    const payload: Uint8Array[] = [];
    for (const part of this.#frames.push(chunk)) {
      if (this.#closeCode !== undefined) break;
      if (part.kind === "bytes") payload.push(part.bytes);
      else if (part.kind === "text") this.#events.onText(part.text);
      else if (part.kind === "ping") this.#pong(part.payload);
      else this.#finish(part.kind === "close" ? part.code : 1002);
    }
    if (payload.length > 0) this.#events.onBytes(payload);
  }

  #pong(payload: Uint8Array): void {
    if (!this.#closeSent) this.#socket.write(encodeFrame(WebSocketOpcode.Pong, [payload]));
  }

  /** The server has said its last word, or nonsense. */
  #finish(code: number): void {
    this.#closeCode = code;
    this.close(code === 1005 ? 1000 : code);
    this.#socket.end();
  }
}
