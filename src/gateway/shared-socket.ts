/**
 * The WebSockets that connections share: one for each member where this gateway has more than one connection.
 *
 * A message costs gateway and member more than the few bytes in it, so what the clients of one turn have sent goes out
 * as one. A member's 101 says that it takes part; of others, and while it cannot be had, each connection
 * has its own WebSocket alone, as a lone connection does.
 *
 * Should a shared one break, its connections end: nobody knows what was on its way. Pings show whether it
 * still stands; the platform answers them.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { encodeLaneEnd, encodeLaneHead, encodeLaneTurn, LaneReader, laneMax } from "../jute/index.ts";
import { type OutgoingWebSocket, openWebSocket, type WebSocketTarget } from "../websocket/index.ts";
import { Lane, type LaneEvents } from "./lane.ts";
import { platformPing, platformPong } from "./pings.ts";

/** The largest message sent: what one connection sends at once may push it over. */
const messageBytesMax = 1024 * 1024;
/** How long connections wait for it before they do without. */
const openWaitMs = 2_000;
/** How often the platform is asked, and how long it may take to answer. */
const pingIntervalMs = 10_000;
/** How long one stays open for the next connection. */
const idleTimeoutMs = 30_000;

export class SharedSocket {
  readonly #lanes = new Map<number, Lane>();
  readonly #reader = new LaneReader();
  readonly #onOver: () => void;
  #socket: OutgoingWebSocket | undefined;
  #isOver = false;
  /** Told once it is decided whether this one can be had. */
  readonly #waiting = new Set<(isOpen: boolean) => void>();
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #isFlushScheduled = false;
  #hasRoom = true;
  #isPinged = false;
  /** It has kept connections waiting for too long. */
  #isLate = false;
  readonly #openTimer: NodeJS.Timeout;
  #pingTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  /** @param onOver - It takes no further connection. Once. */
  constructor(target: WebSocketTarget, onOver: () => void) {
    this.#onOver = onOver;
    this.#openTimer = setTimeout(() => {
      this.#isLate = true;
      this.#decide(false);
    }, openWaitMs);
    openWebSocket(target, {
      onOpen: (socket) => this.#open(socket),
      onRefused: () => this.#finish(),
      onBytes: (chunks) => this.#receive(chunks),
      onText: (text) => {
        if (text === platformPong) this.#isPinged = false;
      },
      onDrain: () => {
        this.#hasRoom = true;
        for (const lane of [...this.#lanes.values()]) lane.sharedDrained();
      },
      onClose: () => this.#finish(),
    });
  }

  /** Calls back, once it is open or cannot be had. */
  whenOpen(decided: (isOpen: boolean) => void): void {
    if (this.#isOver || this.#socket !== undefined) decided(!this.#isOver);
    else if (this.#isLate) decided(false);
    else this.#waiting.add(decided);
  }

  /** While it is open. */
  join(lane: Lane): void {
    clearTimeout(this.#idleTimer);
    this.#lanes.set(lane.number, lane);
    lane.share(this);
  }

  leave(lane: number): void {
    this.#lanes.delete(lane);
    if (this.#lanes.size === 0 && !this.#isOver) this.#beIdle();
  }

  /** `false`: wait until the lane is told that there is room. */
  send(lane: number, chunks: readonly Uint8Array[]): boolean {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (bytes > 0) this.#add(encodeLaneHead(lane, bytes), ...chunks);
    return this.#hasRoom;
  }

  end(lane: number): void {
    this.#add(encodeLaneEnd(lane));
  }

  /** Asks the member to answer on the connection's own WebSocket. */
  turn(lane: number): void {
    this.#add(encodeLaneTurn(lane));
  }

  /** Takes leave; its connections end. */
  close(code: number): void {
    this.#flush();
    this.#socket?.close(code);
    this.#finish();
  }

  #open(socket: OutgoingWebSocket): void {
    this.#socket = socket;
    clearTimeout(this.#openTimer);
    // A Worker of before takes it for a connection.
    if (this.#isOver || socket.headers["ek-shared"] !== "yes") return this.close(1000);
    this.#pingTimer = setInterval(() => this.#ping(), pingIntervalMs);
    this.#decide(true);
    if (this.#lanes.size === 0) this.#beIdle();
  }

  #decide(isOpen: boolean): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const decided of waiting) decided(isOpen);
  }

  #ping(): void {
    if (this.#isPinged) return this.close(1001);
    this.#isPinged = true;
    this.#socket?.sendText(platformPing);
  }

  #beIdle(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.close(1000), idleTimeoutMs);
  }

  #add(...parts: readonly Uint8Array[]): void {
    if (this.#isOver) return;
    this.#pending.push(...parts);
    for (const part of parts) this.#pendingBytes += part.length;
    if (this.#pendingBytes >= messageBytesMax) return this.#flush();
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    // Behind the reads of this turn.
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#socket === undefined || this.#pendingBytes === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#hasRoom = this.#socket.send(pending);
  }

  #receive(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      for (const part of this.#reader.push(chunk)) {
        // Of one that is over the member may not have heard yet.
        const lane = this.#lanes.get(part.lane);
        if (part.kind === "bytes") lane?.sharedBytes(part.bytes);
        else if (part.kind === "turn") lane?.sharedTurned();
        else lane?.finish(1000);
      }
    }
    if (this.#reader.isFaulty) this.close(1002);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#openTimer);
    clearInterval(this.#pingTimer);
    clearTimeout(this.#idleTimer);
    this.#onOver();
    this.#decide(false);
    for (const lane of [...this.#lanes.values()]) lane.finish(1006);
  }
}

/** All ways of this gateway to members. */
export class Sharing {
  /** Whoever knows it speaks for our clients. */
  readonly #name = randomBytes(16).toString("hex");
  #lanes = 0;
  /** By the server ids of members. */
  readonly #shared = new Map<string, SharedSocket>();
  /** Connections that are open to each. Invariant: none is 0. */
  readonly #counts = new Map<string, number>();

  /** As `openWebSocket`. */
  open(target: WebSocketTarget, events: LaneEvents): () => void {
    const number = this.#lanes;
    this.#lanes += 1;
    const isNamed = number <= laneMax;
    const headers = { ...target.headers, ...(isNamed && { "Ek-Gateway-Lane": `${this.#name}/${number}` }) };
    let lane: Lane | undefined;
    let isAbandoned = false;
    let isOpen = false;
    let member: string | undefined;
    const abandon = openWebSocket(
      { ...target, headers },
      {
        onOpen: (own) => {
          lane = new Lane(number, own, events);
          const open = () => {
            isOpen = true;
            if (lane !== undefined) events.onOpen(lane);
          };
          member = memberOf(own);
          if (member === undefined) return open();
          const shared = this.#sharedAt(member, target);
          if (shared === undefined) return open();
          // Nothing is to come ahead of what is sent.
          shared.whenOpen((isThere) => {
            if (isAbandoned || lane === undefined) return;
            if (isThere) shared.join(lane);
            open();
          });
        },
        onRefused: (reason) => events.onRefused(reason),
        onBytes: (chunks) => lane?.ownBytes(chunks),
        onText: (text) => lane?.ownText(text),
        onDrain: () => lane?.ownDrained(),
        onClose: (code) => {
          if (member !== undefined) this.#discount(member);
          if (isOpen) return lane?.ownClosed(code);
          if (!isAbandoned) events.onRefused(`closed with ${code}`);
          isAbandoned = true;
        },
      },
    );
    return () => {
      isAbandoned = true;
      if (lane === undefined) abandon();
      else lane.close(1000);
    };
  }

  /** Takes leave of all members. */
  close(): void {
    for (const shared of [...this.#shared.values()]) shared.close(1001);
  }

  /** `undefined`: the connection is alone there. */
  #sharedAt(member: string, target: WebSocketTarget): SharedSocket | undefined {
    const count = this.#counts.get(member) ?? 0;
    this.#counts.set(member, count + 1);
    const known = this.#shared.get(member);
    if (known !== undefined || count === 0) return known;
    const url = new URL(target.url);
    url.searchParams.set("member", member);
    const headers = { "Ek-Gateway-Shared": this.#name };
    const shared: SharedSocket = new SharedSocket({ ...target, url, headers }, () => {
      if (this.#shared.get(member) === shared) this.#shared.delete(member);
    });
    this.#shared.set(member, shared);
    return shared;
  }

  #discount(member: string): void {
    const count = (this.#counts.get(member) ?? 0) - 1;
    if (count > 0) this.#counts.set(member, count);
    else this.#counts.delete(member);
  }
}

/** Which one it is; `undefined`: it knows no shared sockets. */
function memberOf(socket: OutgoingWebSocket): string | undefined {
  const told = socket.headers["ek-lane"];
  return typeof told === "string" && /^[0-9]{1,10}$/.test(told) ? told : undefined;
}
