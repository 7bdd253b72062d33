/**
 * Shared WebSockets: the bytes of many connections of one gateway on one socket.
 *
 * A message costs more than what is in it. A connection keeps its own WebSocket, for its attachment, its signs of
 * life and its credit; its bytes travel on the shared one when the first of them comes there, and then in
 * both directions until its end. Which is which the gateway's name and the connection's number say.
 *
 * Invariants:
 * - All bytes of a connection travel one way in order: what is sent to it on its own socket, because it reads too
 *   slowly, follows a mark on the shared one, and nothing does after that.
 * - A connection whose shared socket is gone is gone, too: nobody knows what was on its way.
 * - Nothing of a shared socket is known to memory alone: each message stands for itself.
 *
 * @module
 */

import { encodeLaneEnd, encodeLaneHead, encodeLaneTurn, LaneReader } from "../jute/index.ts";
import type { LaneName } from "./api.ts";
import type { Attachment, LaneWay } from "./attachment.ts";
import { CloseCode, closeSocket, sendBytes } from "./sockets.ts";

/** A message's aim, and the most that one part carries. */
const messageBytes = 1024 * 1024;

/**
 * The largest message heard. A gateway sends a MiB and what one connection pushes over it, at most its 2 MiB opening and
 * a read; every 8 bytes may be a part, and 32 MiB of those, which the platform takes, more than memory holds.
 */
const receivedBytesMax = 4 * 1024 * 1024;

/** A part is copied out of messages this many times as long: whoever keeps it would keep all of the message. */
const viewShareMin = 4;

/** Version of a shared socket's attachment; no number, so that nobody takes it for a connection's. */
const attachmentVersion = "lanes-1";

interface Lane {
  readonly name: LaneName;
  /** The connection's own. */
  readonly socket: WebSocket;
  /** `undefined`: no byte has come yet. */
  way: LaneWay | undefined;
}

interface Gateway {
  readonly name: string;
  readonly lanes: Map<number, Lane>;
  /** `undefined`: not opened yet. */
  shared: WebSocket | undefined;
  /** To be sent when the turn is over. */
  parts: Uint8Array[];
}

/** Whose connections these are. */
export interface LaneOwner {
  /** Bytes of the connection that has this socket of its own. */
  receiveBytes(socket: WebSocket, bytes: Uint8Array): void;
  /** Its client's end has closed. */
  closed(socket: WebSocket, code: number): void;
}

export class Lanes {
  readonly #gateways = new Map<string, Gateway>();
  readonly #byShared = new Map<WebSocket, Gateway>();
  /** By the connections' own sockets. */
  readonly #lanes = new Map<WebSocket, Lane>();
  /** With something to send. */
  readonly #touched = new Set<Gateway>();

  /** Shared sockets. */
  get size(): number {
    return this.#byShared.size;
  }

  /** Takes the shared ones among sockets that outlived the memory; answers the rest. */
  adopt(sockets: readonly WebSocket[]): readonly WebSocket[] {
    return sockets.filter((socket) => {
      const name = parseShared(socket.deserializeAttachment());
      if (name === undefined) return true;
      this.#share(socket, this.#gateway(name));
      return false;
    });
  }

  /** A new shared socket, already accepted. Another one of the same gateway is lost, with its connections. */
  open(socket: WebSocket, name: string, owner: LaneOwner): void {
    const gateway = this.#gateway(name);
    if (gateway.shared !== undefined) this.closed(gateway.shared, CloseCode.Normal, owner);
    socket.serializeAttachment({ version: attachmentVersion, gateway: name });
    this.#share(socket, this.#gateway(name));
  }

  /** One that outlived the memory. False: what it shared did not. */
  restore(socket: WebSocket, attachment: Attachment | undefined): boolean {
    const lane = attachment?.introduction.lane;
    if (lane === undefined || attachment?.way === undefined) return true;
    return this.enter(socket, lane, attachment.way);
  }

  /**
   * A connection that may come on a shared socket, or did before the memory was lost. False: another one has its number,
   * or what it shared is gone.
   */
  enter(socket: WebSocket, name: LaneName, way: LaneWay | undefined): boolean {
    const gateway = this.#gateway(name.gateway);
    if (gateway.lanes.has(name.number)) return false;
    const lane: Lane = { name, socket, way };
    gateway.lanes.set(name.number, lane);
    this.#lanes.set(socket, lane);
    if (way === undefined || gateway.shared !== undefined) return true;
    this.leave(socket);
    return false;
  }

  /** `undefined`: on its own socket, as far as anybody knows. */
  wayOf(socket: WebSocket): LaneWay | undefined {
    return this.#lanes.get(socket)?.way;
  }

  /** The connection is over, or has begun on its own socket. Its stream on the shared one ends. */
  leave(socket: WebSocket): void {
    const lane = this.#lanes.get(socket);
    if (lane === undefined) return;
    this.#lanes.delete(socket);
    const gateway = this.#gateways.get(lane.name.gateway);
    if (gateway === undefined) return;
    gateway.lanes.delete(lane.name.number);
    if (lane.way === "shared") this.#add(gateway, encodeLaneEnd(lane.name.number));
    this.#forgetIdle(gateway);
  }

  /** Sends to a connection, if there is anything, the way that its bytes travel. False when its own socket takes no more. */
  send(socket: WebSocket, bytes: Uint8Array | undefined): boolean {
    if (bytes === undefined) return true;
    const lane = this.#lanes.get(socket);
    if (lane?.way !== "shared") return sendBytes(socket, bytes);
    const { gateway, number } = lane.name;
    for (let at = 0; at < bytes.length; at += messageBytes) {
      const part = bytes.subarray(at, at + messageBytes);
      this.#add(this.#gateway(gateway), encodeLaneHead(number, part.length), part);
    }
    return true;
  }

  /** A message; false when the socket is no shared one. */
  receive(socket: WebSocket, message: ArrayBuffer | string, owner: LaneOwner): boolean {
    const gateway = this.#byShared.get(socket);
    if (gateway === undefined) return false;
    const fault = typeof message === "string" ? "text in a byte stream" : this.#read(gateway, message, owner);
    if (fault === undefined) return true;
    this.#lose(socket, gateway, owner);
    closeSocket(socket, CloseCode.Dropped, fault);
    return true;
  }

  /** The gateway's end has closed; false when the socket is no shared one. */
  closed(socket: WebSocket, code: number, owner: LaneOwner): boolean {
    const gateway = this.#byShared.get(socket);
    if (gateway === undefined) return false;
    this.#lose(socket, gateway, owner);
    closeSocket(socket, code, "closed by the gateway");
    return true;
  }

  /** End of a turn: one message a shared socket, or as many as it takes. */
  flush(owner: LaneOwner): void {
    for (const gateway of this.#touched) {
      const { shared } = gateway;
      if (shared !== undefined && !sendParts(shared, gateway.parts)) {
        this.#lose(shared, gateway, owner);
        closeSocket(shared, CloseCode.Dropped, "the socket takes no more");
      }
      gateway.parts = [];
    }
    this.#touched.clear();
  }

  /** This member serves nobody; the connections have been told already. */
  closeAll(reason: string, owner: LaneOwner): void {
    this.flush(owner);
    for (const [socket, gateway] of [...this.#byShared]) {
      this.#lose(socket, gateway, owner);
      closeSocket(socket, CloseCode.NotLeading, reason);
    }
  }

  #gateway(name: string): Gateway {
    const known = this.#gateways.get(name);
    if (known !== undefined) return known;
    const gateway: Gateway = { name, lanes: new Map(), shared: undefined, parts: [] };
    this.#gateways.set(name, gateway);
    return gateway;
  }

  #share(socket: WebSocket, gateway: Gateway): void {
    gateway.shared = socket;
    this.#byShared.set(socket, gateway);
  }

  /** Before its connections are told, so that none of them says goodbye on it. */
  #lose(socket: WebSocket, gateway: Gateway, owner: LaneOwner): void {
    this.#byShared.delete(socket);
    this.#touched.delete(gateway);
    gateway.shared = undefined;
    gateway.parts = [];
    for (const lane of [...gateway.lanes.values()]) {
      // One that has yet to say something may do so on the next shared socket.
      if (lane.way !== undefined) owner.closed(lane.socket, CloseCode.NotLeading);
    }
    this.#forgetIdle(gateway);
  }

  #forgetIdle(gateway: Gateway): void {
    if (gateway.shared === undefined && gateway.lanes.size === 0) this.#gateways.delete(gateway.name);
  }

  #add(gateway: Gateway, ...parts: readonly Uint8Array[]): void {
    if (gateway.shared === undefined) return;
    gateway.parts.push(...parts);
    this.#touched.add(gateway);
  }

  /** Why it makes no sense; then nothing of it was heard. */
  #read(gateway: Gateway, message: ArrayBuffer, owner: LaneOwner): string | undefined {
    if (message.byteLength > receivedBytesMax) return "a message that is too long";
    const reader = new LaneReader();
    const parts = reader.push(new Uint8Array(message));
    if (reader.isFaulty || !reader.isBetweenParts) return "unreadable parts of connections";
    for (const part of parts) {
      const lane = gateway.lanes.get(part.lane);
      // It is over, and its gateway had not heard of that yet.
      if (lane === undefined) continue;
      if (part.kind === "end") owner.closed(lane.socket, CloseCode.Normal);
      else if (part.kind === "turn") this.#turn(gateway, lane);
      else {
        lane.way ??= "shared";
        const isLargePart = part.bytes.length * viewShareMin >= message.byteLength;
        owner.receiveBytes(lane.socket, isLargePart ? part.bytes : part.bytes.slice());
      }
    }
    return undefined;
  }

  #turn(gateway: Gateway, lane: Lane): void {
    if (lane.way !== "shared") return;
    this.#add(gateway, encodeLaneTurn(lane.name.number));
    lane.way = "turned";
    // The gateway will not take it back, whatever becomes of this memory.
    const attachment: unknown = lane.socket.deserializeAttachment();
    if (typeof attachment === "object" && attachment !== null)
      lane.socket.serializeAttachment({ ...attachment, way: lane.way });
  }
}

function parseShared(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { version, gateway }: { version?: unknown; gateway?: unknown } = value;
  return version === attachmentVersion && typeof gateway === "string" ? gateway : undefined;
}

/** False when the socket takes no more. */
function sendParts(socket: WebSocket, parts: readonly Uint8Array[]): boolean {
  for (let from = 0; from < parts.length; ) {
    let bytes = 0;
    let to = from;
    // A head and its bytes may end up in different messages: the gateway reads a stream.
    while (to < parts.length && bytes + (parts[to]?.length ?? 0) <= messageBytes) {
      bytes += parts[to]?.length ?? 0;
      to += 1;
    }
    const message = new Uint8Array(bytes);
    let at = 0;
    for (; from < to; from++) {
      const part = parts[from] ?? new Uint8Array(0);
      message.set(part, at);
      at += part.length;
    }
    if (!sendBytes(socket, message)) return false;
  }
  return true;
}
