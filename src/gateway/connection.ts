/**
 * One client connection: TCP on this side, a WebSocket on that, the same bytes both ways.
 *
 * What was read in one turn goes out as one message, because a message costs the member far more than a
 * frame in it. Of frames after the first only the length is looked at, and whether it is a ping (`pings.ts`).
 *
 * Back-pressure: the client is not read while the WebSocket has no room, while the member has not taken up
 * what was sent (`credit.ts`), nor while the client leaves more
 * than `unreadBytesMax` of its answers unread; beyond `backlogBytesMax` the WebSocket is not read either,
 * and a client that takes nothing for `stuckTimeoutMs` then is dropped.
 *
 * Ends: a client that finishes or breaks closes the WebSocket, and our write side stays open until the
 * member has answered that, for clients that half-close before they read. A WebSocket that closes ends the
 * TCP connection behind the last byte. An upgrade that fails resets it, so that the client tries again.
 * A client that is silent for its session's timeout is dropped (`silence.ts`). None of this ends a session.
 *
 * A four-letter word instead of a connect request is answered, and that is all; its client may have closed
 * its side long before.
 *
 * @module
 */

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { Credit } from "./credit.ts";
import type { LaneEvents, MemberSocket } from "./lane.ts";
import { judgeOpening } from "./opening.ts";
import { Pings, platformPing, platformPong } from "./pings.ts";
import { Silence } from "./silence.ts";

/** How long a client may take over its connect request (ZooKeeper drops it after about as long). */
const openingTimeoutMs = 10_000;
/** Held while the WebSocket opens: one frame of the largest size, and what was pipelined behind it. */
const openingBytesMax = 2 * 1024 * 1024;
/** The largest message sent: one read more may push it over. The platform takes 32 MiB. */
const messageBytesMax = 1024 * 1024;
/** A shorter read has emptied the socket: no other follows in this turn. A full TLS record is as long. */
const fullReadBytesMin = 16 * 1024;
const unreadBytesMax = 1024 * 1024;
const backlogBytesMax = 8 * 1024 * 1024;
const stuckTimeoutMs = 60_000;
/** How long a client may take to close after we have. */
const lingerTimeoutMs = 2_000;
/** Finds clients that vanished without a word, whose sessions are long over. */
const keepAliveDelayMs = 60_000;

export interface ConnectionEvents {
  /** An upgrade failed: why. */
  onRefused(reason: string): void;
  onEstablished(): void;
  /** Both sides are gone. Once. */
  onGone(): void;
  /** Asks for a way to a member; answers a function that abandons it. */
  openMember(events: LaneEvents): () => void;
  /** A four-letter word was asked; `undefined` drops the client. */
  answerWord(head: Uint8Array): Promise<string | undefined>;
}

type State =
  /** Waiting for a whole connect request. */
  | { readonly kind: "opening" }
  /** Waiting for the answer to a four-letter word. */
  | { readonly kind: "asking" }
  | { readonly kind: "upgrading"; readonly abandon: () => void }
  | { readonly kind: "open"; readonly webSocket: MemberSocket }
  /** No byte travels any more. */
  | { readonly kind: "over" };

export class Connection {
  readonly #client: Socket;
  readonly #events: ConnectionEvents;
  #state: State = { kind: "opening" };
  /** Read and not yet sent. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #isFlushScheduled = false;
  #isWebSocketFull = false;
  readonly #credit = new Credit();
  readonly #pings = new Pings();
  readonly #silence: Silence;
  #hasClientEnded = false;
  /** The opening's deadline first, the lingering client's later. */
  #timer: NodeJS.Timeout;

  constructor(client: Socket, events: ConnectionEvents) {
    this.#client = client;
    this.#events = events;
    this.#timer = setTimeout(() => client.destroy(), openingTimeoutMs);
    this.#silence = new Silence({ isRead: () => !client.isPaused(), onSilent: () => client.destroy() });
    client.setNoDelay(true);
    client.setKeepAlive(true, keepAliveDelayMs);
    client.on("data", (chunk: Uint8Array) => this.#readClient(chunk));
    client.on("drain", () => this.#clientDrained());
    client.on("end", () => this.#endClient());
    client.on("timeout", () => client.destroy());
    client.on("error", () => client.destroy());
    client.once("close", () => this.#loseClient());
  }

  /** Takes leave of both sides; `onGone` follows. */
  close(): void {
    if (this.#state.kind === "open") this.#state.webSocket.close(1001);
    else this.#client.destroy();
  }

  /** For when leave has been taken for long enough. */
  destroy(): void {
    this.#client.destroy();
  }

  #readClient(chunk: Uint8Array): void {
    this.#silence.heard();
    if (this.#state.kind === "over" || this.#state.kind === "asking") return;
    if (this.#pings.fromClient(chunk) && this.#state.kind === "open") {
      this.#state.webSocket.sendText(platformPing);
      return;
    }
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#state.kind === "opening") this.#judge();
    else if (this.#state.kind === "open") this.#flushSoon(chunk.length);
    this.#regulate();
  }

  #judge(): void {
    // Only a first read of one to three bytes needs joining; the rest stays as it came.
    if ((this.#pending[0]?.length ?? 0) < 4) this.#pending = [Buffer.concat(this.#pending)];
    switch (judgeOpening(this.#pending[0] ?? new Uint8Array(0), this.#pendingBytes)) {
      case "incomplete":
        return;
      case "session":
        this.#upgrade();
        return;
      case "fourLetterWord":
        void this.#ask(Buffer.concat(this.#pending));
        return;
      case "malformed":
        this.#client.destroy();
        return;
    }
  }

  async #ask(head: Uint8Array): Promise<void> {
    this.#state = { kind: "asking" };
    this.#forget();
    clearTimeout(this.#timer);
    const text = await this.#events.answerWord(head);
    if (text === undefined) this.#client.destroy();
    // In one piece: kazoo reads once.
    else this.#client.end(text);
    // What comes behind a word is ignored, but read: bytes left unread would make the close a reset.
    this.#timer = setTimeout(() => this.#client.destroy(), lingerTimeoutMs);
  }

  #upgrade(): void {
    clearTimeout(this.#timer);
    const abandon = this.#events.openMember({
      onOpen: (webSocket) => this.#open(webSocket),
      onRefused: (reason) => {
        this.#events.onRefused(reason);
        reset(this.#client);
      },
      onBytes: (chunks) => this.#writeClient(chunks),
      onText: (text) => {
        if (text === platformPong) return this.#answerPing();
        this.#credit.hear(text);
        this.#regulate();
      },
      onDrain: () => {
        this.#isWebSocketFull = false;
        this.#regulate();
      },
      onClose: () => this.#loseWebSocket(),
    });
    this.#state = { kind: "upgrading", abandon };
  }

  #answerPing(): void {
    const { toClient, toMember } = this.#pings.answered();
    if (toClient !== undefined && this.#client.writable) this.#client.write(toClient);
    if (toMember === undefined) return;
    this.#pending.push(toMember);
    this.#pendingBytes += toMember.length;
    this.#flush();
  }

  #open(webSocket: MemberSocket): void {
    this.#state = { kind: "open", webSocket };
    if (webSocket.givesCredit) this.#credit.begin();
    this.#events.onEstablished();
    this.#flush();
    this.#regulate();
    if (this.#hasClientEnded) webSocket.close(1000);
  }

  /** Waits for the end of this turn's reads, unless this one was the last. A turn may bring many of 64 KiB. */
  #flushSoon(readBytes: number): void {
    const isDrained = readBytes < fullReadBytesMin && !this.#isFlushScheduled;
    if (isDrained || this.#pendingBytes >= messageBytesMax) {
      this.#flush();
    } else if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      setImmediate(() => {
        this.#isFlushScheduled = false;
        this.#flush();
        this.#regulate();
      });
    }
  }

  #flush(): void {
    if (this.#state.kind !== "open" || this.#pendingBytes === 0) return;
    this.#isWebSocketFull = !this.#state.webSocket.send(this.#pending);
    this.#credit.sent(this.#pendingBytes);
    this.#forget();
  }

  #forget(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #writeClient(chunks: readonly Uint8Array[]): void {
    this.#pings.fromMember(chunks);
    this.#silence.fromMember(chunks);
    if (!this.#client.writable) return;
    // Corked, several go out in one system call; a single one would only take a way round.
    const isSingle = chunks.length === 1;
    if (!isSingle) this.#client.cork();
    for (const chunk of chunks) this.#client.write(chunk);
    if (!isSingle) this.#client.uncork();
    this.#regulate();
  }

  #clientDrained(): void {
    this.#client.setTimeout(0);
    if (this.#state.kind === "open") this.#state.webSocket.resume();
    this.#regulate();
  }

  /** Decides who is read. Pausing twice, or resuming, costs nothing. */
  #regulate(): void {
    const unread = this.#client.writableLength;
    if (unread > backlogBytesMax && this.#state.kind === "open") {
      this.#state.webSocket.pause();
      this.#client.setTimeout(stuckTimeoutMs);
    }
    const waiting = this.#pendingBytes;
    const isBehind = this.#isWebSocketFull || this.#credit.isUsedUp(waiting) || waiting > openingBytesMax;
    const isBusy = unread > unreadBytesMax || isBehind;
    if (isBusy && this.#state.kind !== "over") this.#client.pause();
    else this.#client.resume();
  }

  #endClient(): void {
    this.#hasClientEnded = true;
    if (this.#state.kind === "opening") {
      this.#client.end();
    } else if (this.#state.kind === "open") {
      this.#flush();
      this.#state.webSocket.close(1000);
    }
  }

  #loseClient(): void {
    clearTimeout(this.#timer);
    this.#silence.stop();
    const state = this.#state;
    this.#state = { kind: "over" };
    this.#forget();
    if (state.kind === "upgrading") state.abandon();
    // With a WebSocket, its own end reports the connection gone.
    if (state.kind === "open") state.webSocket.close(1000);
    else this.#events.onGone();
  }

  #loseWebSocket(): void {
    const wasOpen = this.#state.kind === "open";
    this.#state = { kind: "over" };
    if (!wasOpen) {
      this.#events.onGone();
      return;
    }
    this.#client.end();
    this.#client.resume();
    this.#client.setTimeout(0);
    this.#timer = setTimeout(() => this.#client.destroy(), lingerTimeoutMs);
  }
}

/** Ends a connection so that its client notices at once. TLS sockets cannot send a reset. */
export function reset(client: Socket): void {
  if (client instanceof TLSSocket) client.destroy();
  else client.resetAndDestroy();
}
