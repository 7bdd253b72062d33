/**
 * A connection's way to its member: a WebSocket of its own, and for its bytes one that it shares.
 *
 * To the connection it is one socket. Pings, credit and the member's notice of the end travel on its own; bytes do on
 * the shared one, if there is one, from the first to the last.
 *
 * A client that does not read cannot hold up the shared one: the member is asked to answer on the connection's own
 * WebSocket, which is left unread meanwhile, and says where on the shared one it began to.
 *
 * Ends: the client's end travels behind its bytes, and the member closes. The member's end travels behind its
 * answers; until it has come, or has not for `endTimeoutMs`, its close of the connection's own WebSocket
 * means nothing.
 *
 * @module
 */

import type { OutgoingWebSocket, WebSocketEvents } from "../websocket/index.ts";
import type { SharedSocket } from "./shared-socket.ts";

/** How long one end of the stream may take to follow the other, or the close. */
const endTimeoutMs = 2_000;

/** A way to a member that is open. */
export interface MemberSocket {
  /** Whether the member says how much it has taken up. */
  readonly givesCredit: boolean;
  /** Sends bytes. `false`: wait for `onDrain` before sending more. */
  send(chunks: readonly Uint8Array[]): boolean;
  sendText(text: string): void;
  /** Not more than what is on its way arrives from here on. */
  pause(): void;
  resume(): void;
  /** Takes leave behind what was sent; `onClose` follows in any case. */
  close(code: number): void;
}

/** As of a WebSocket, but `onOpen`. */
export interface LaneEvents extends Omit<WebSocketEvents, "onOpen"> {
  onOpen(socket: MemberSocket): void;
}

type Way =
  | { readonly kind: "own" }
  | { readonly kind: "shared"; readonly shared: SharedSocket }
  /** What is to come has yet to turn to its own socket. */
  | { readonly kind: "turning"; readonly shared: SharedSocket }
  /** Only what is sent is shared. */
  | { readonly kind: "turned"; readonly shared: SharedSocket }
  | { readonly kind: "over" };

export class Lane implements MemberSocket {
  readonly number: number;
  readonly #events: LaneEvents;
  readonly #own: OutgoingWebSocket;
  #way: Way = { kind: "own" };
  /** As the client wants it. */
  #isPaused = false;
  #hasEnded = false;
  #isOwnClosed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(number: number, own: OutgoingWebSocket, events: LaneEvents) {
    this.number = number;
    this.#own = own;
    this.#events = events;
  }

  get givesCredit(): boolean {
    return this.#own.headers["ek-credit"] === "yes";
  }

  /** All bytes travel there. Before any has been sent. */
  share(shared: SharedSocket): void {
    this.#way = { kind: "shared", shared };
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#way.kind === "own") return this.#own.send(chunks);
    if (this.#way.kind === "over" || this.#hasEnded) return true;
    return this.#way.shared.send(this.number, chunks);
  }

  sendText(text: string): void {
    this.#own.sendText(text);
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#way.kind === "over") return;
    this.#own.pause();
    if (this.#way.kind !== "shared") return;
    this.#way.shared.turn(this.number);
    this.#way = { kind: "turning", shared: this.#way.shared };
  }

  resume(): void {
    this.#isPaused = false;
    // What comes there is behind what has yet to come on the other.
    if (this.#way.kind !== "turning") this.#own.resume();
  }

  close(code: number): void {
    if (this.#way.kind === "own") return this.#own.close(code);
    if (this.#way.kind === "over") return;
    this.#end();
    // Left unread, it would never bring the end.
    if (this.#way.kind === "turned") this.#own.resume();
    // Its own is closed by the member, which has heard of it in order.
    this.#awaitEnd();
  }

  // What the WebSockets bring.

  /** Bytes on its own WebSocket. */
  ownBytes(chunks: readonly Uint8Array[]): void {
    if (this.#way.kind === "own" || this.#way.kind === "turned") this.#events.onBytes(chunks);
  }

  ownText(text: string): void {
    if (this.#way.kind !== "over") this.#events.onText(text);
  }

  /** Its own WebSocket has closed. */
  ownClosed(code: number): void {
    this.#isOwnClosed = true;
    if (this.#way.kind === "over") return;
    if (this.#way.kind === "own") return this.finish(code);
    // The member may not know.
    this.#end();
    if (this.#way.kind === "turned") this.finish(code);
    else this.#awaitEnd();
  }

  ownDrained(): void {
    if (this.#way.kind === "own") this.#events.onDrain();
  }

  sharedDrained(): void {
    if (this.#way.kind !== "over") this.#events.onDrain();
  }

  /** Bytes on the shared one. */
  sharedBytes(bytes: Uint8Array): void {
    if (this.#way.kind === "shared" || this.#way.kind === "turning") this.#events.onBytes([bytes]);
  }

  /** The member answers on its own from here on. */
  sharedTurned(): void {
    if (this.#way.kind !== "turning") return;
    this.#way = { kind: "turned", shared: this.#way.shared };
    if (!this.#isPaused) this.#own.resume();
  }

  /** No byte comes any more, in order or because the shared one is gone. */
  finish(code: number): void {
    const way = this.#way;
    if (way.kind === "over") return;
    this.#end();
    clearTimeout(this.#timer);
    this.#way = { kind: "over" };
    if (way.kind !== "own") way.shared.leave(this.number);
    if (!this.#isOwnClosed) this.#own.close(1000);
    this.#events.onClose(code);
  }

  #end(): void {
    if (this.#hasEnded || this.#way.kind === "own" || this.#way.kind === "over") return;
    this.#hasEnded = true;
    this.#way.shared.end(this.number);
  }

  #awaitEnd(): void {
    this.#timer ??= setTimeout(() => this.finish(1006), endTimeoutMs);
  }
}
