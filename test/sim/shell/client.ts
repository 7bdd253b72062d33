/**
 * A ZooKeeper client in the world of members: one session, watches it minds itself, a connection that breaks.
 *
 * Behaves as the usual clients do: pings at a third of its timeout, gives a connection up after two thirds of
 * silence, takes its session to the next connection with its zxid and its watches, and begins anew when it is
 * told that the session is over. Everything it hears is written down in the stream of its connection.
 *
 * @module
 */

import {
  AddWatchMode,
  type ClientRequest,
  EventType,
  makeSessionId,
  NO_SESSION,
  OpCode,
  type ServerId,
  type SessionId,
  ZERO_ZXID,
  ZkErrorCode,
  type Zxid,
  zxidFromBigint,
  zxidToBigint,
} from "../../../src/base/index.ts";
import {
  decodeConnectResponse,
  decodeEvent,
  decodeReplyBody,
  decodeReplyHeader,
  encodeConnectRequest,
  encodeRequest,
  FrameDecoder,
  JuteWriter,
} from "../../../src/jute/index.ts";
import { isWrite, type ReplyItem, type Stream } from "../checks/streams.ts";
import { violate } from "../violation.ts";

/** What the client asks of its world. */
export interface ClientWorld {
  readonly now: number;
  /** Highest zxid of a write that any client was told of. */
  acknowledged: Zxid;
  /** Calls `connected` or `refused` of the client some time later, or never. */
  connect(client: SimClient, member: ServerId): void;
  send(client: SimClient, message: Uint8Array | string): void;
  hangUp(client: SimClient): void;
  opened(client: SimClient, stream: Stream): void;
  /** A session was granted, to a new connection or again. */
  granted(session: SessionId, timeoutMs: number): void;
  saidGoodbye(session: SessionId): void;
}

interface Pending {
  readonly xid: number;
  readonly request: ClientRequest;
  readonly acknowledged: Zxid;
  readonly done: ((reply: ReplyItem | undefined) => void) | undefined;
}

/** The xids that the protocol keeps for them. */
const pingXid = -2;
const setWatchesXid = -8;

export class SimClient {
  readonly id: number;
  readonly #world: ClientWorld;
  readonly #askedTimeoutMs: number;
  state: "idle" | "connecting" | "handshake" | "open" = "idle";
  session: { readonly id: SessionId; readonly password: Uint8Array; readonly timeoutMs: number } | undefined;
  /** Of the last reply: what a reconnection tells. */
  lastZxid: Zxid = ZERO_ZXID;
  /** Where it will try next. */
  member: ServerId;
  stream: Stream | undefined;
  /** Calls back for every event, and (with `undefined`) when the session is over. */
  onEvent: ((event: { readonly type: number; readonly path: string } | undefined) => void) | undefined;
  readonly watches = {
    data: new Set<string>(),
    exist: new Set<string>(),
    child: new Set<string>(),
    persistent: new Set<string>(),
    recursive: new Set<string>(),
  };
  #decoder = new FrameDecoder();
  #pending: Pending[] = [];
  #xid = 0;
  #heardAt = 0;
  #saidAt = 0;
  isGone = false;
  /** Sessions over, as far as it was told. */
  sessionsLost = 0;

  constructor(world: ClientWorld, id: number, member: ServerId, timeoutMs: number) {
    this.#world = world;
    this.id = id;
    this.member = member;
    this.#askedTimeoutMs = timeoutMs;
  }

  get isOpen(): boolean {
    return this.state === "open";
  }

  get outstanding(): number {
    return this.#pending.length;
  }

  /** Time passes: connects, pings, or gives a silent connection up. */
  tick(): void {
    if (this.isGone) return;
    const { now } = this.#world;
    const timeoutMs = this.session?.timeoutMs ?? this.#askedTimeoutMs;
    if (this.state === "idle") {
      this.state = "connecting";
      this.#heardAt = now;
      this.#world.connect(this, this.member);
    } else if (now - this.#heardAt > (2 * timeoutMs) / 3) {
      this.#world.hangUp(this);
      this.disconnected();
    } else if (this.state === "open" && now - this.#saidAt > timeoutMs / 3) {
      this.#send({ type: OpCode.Ping }, pingXid, undefined);
    }
  }

  /** Stops for good, without a word. */
  vanish(): void {
    this.isGone = true;
    this.#world.hangUp(this);
    this.disconnected();
  }

  request(request: ClientRequest, done?: (reply: ReplyItem | undefined) => void): void {
    if (this.state !== "open") return void done?.(undefined);
    this.#xid += 1;
    if (request.type === OpCode.CloseSession && this.session !== undefined)
      this.#world.saidGoodbye(this.session.id);
    this.#send(request, this.#xid, done);
  }

  // What the world tells.

  connected(): void {
    if (this.state !== "connecting") return this.#world.hangUp(this);
    const { session } = this;
    this.#decoder = new FrameDecoder();
    this.state = "handshake";
    this.#heardAt = this.#world.now;
    this.stream = {
      client: this.id,
      member: this.member,
      session: session?.id ?? NO_SESSION,
      floor: this.lastZxid,
      items: [],
    };
    const writer = new JuteWriter();
    encodeConnectRequest(writer, {
      protocolVersion: 0,
      lastZxidSeen: zxidToBigint(this.lastZxid),
      timeoutMs: this.#askedTimeoutMs,
      sessionId: session?.id ?? 0n,
      password: session?.password ?? new Uint8Array(16),
      readOnly: false,
    });
    this.#world.send(this, writer.take());
  }

  refused(next: ServerId): void {
    if (this.state !== "connecting") return;
    this.state = "idle";
    this.member = next;
  }

  disconnected(): void {
    if (this.state === "idle") return;
    this.state = "idle";
    const lost = this.#pending;
    this.#pending = [];
    for (const { done } of lost) done?.(undefined);
  }

  /** The member lost its memory, and what it said up to here is all that came before. */
  slept(): void {
    this.stream?.items.push({ kind: "slept" });
  }

  receive(message: Uint8Array | string): void {
    this.#heardAt = this.#world.now;
    if (typeof message === "string") return;
    this.#decoder.push(message);
    for (let next = this.#decoder.next(); next.kind !== "incomplete"; next = this.#decoder.next()) {
      if (next.kind === "fault") violate("wire", next.reason);
      if (this.state === "handshake") this.#handshaken(next.bytes);
      else if (this.state === "open") this.#frame(next.bytes);
    }
  }

  #handshaken(bytes: Uint8Array): void {
    const response = decodeConnectResponse(bytes) ?? violate("wire", "no connect response");
    const { stream } = this;
    if (stream === undefined) return;
    if (response.sessionId === 0n) {
      this.#endSession();
      this.#world.hangUp(this);
      return this.disconnected();
    }
    const id = makeSessionId(response.sessionId);
    if (this.session !== undefined && this.session.id !== id)
      violate("E6", `client ${this.id} got another session`);
    this.session = { id, password: response.password, timeoutMs: response.timeoutMs };
    stream.session = id;
    this.#world.granted(id, response.timeoutMs);
    this.#world.opened(this, stream);
    this.state = "open";
    this.#rewatch();
  }

  #rewatch(): void {
    const { data, exist, child, persistent, recursive } = this.watches;
    if (data.size + exist.size + child.size + persistent.size + recursive.size === 0) return;
    this.#send(
      {
        type: OpCode.SetWatches2,
        relativeZxid: zxidToBigint(this.lastZxid),
        data: [...data],
        exist: [...exist],
        child: [...child],
        persistent: [...persistent],
        persistentRecursive: [...recursive],
      },
      setWatchesXid,
      undefined,
    );
  }

  #frame(bytes: Uint8Array): void {
    const event = decodeEvent(bytes);
    if (event !== undefined) return this.#event(event.event.type, event.event.path, event.zxid);
    const header = decodeReplyHeader(bytes) ?? violate("wire", "a frame without a header");
    const pending = this.#pending.shift();
    if (pending === undefined || pending.xid !== header.xid) {
      violate("E7", `client ${this.id} is answered ${header.xid}, and waits for ${pending?.xid}`);
    }
    const { request, acknowledged, done } = pending;
    const decoded = header.err === 0 ? decodeReplyBody(request.type, bytes) : undefined;
    if (decoded?.ok === false) violate("wire", `an unreadable answer to ${request.type}`);
    const zxid = zxidFromBigint(header.zxid) ?? ZERO_ZXID;
    const body = decoded?.body;
    const item: ReplyItem = {
      kind: "reply",
      request,
      xid: header.xid,
      zxid,
      err: header.err,
      body,
      acknowledged,
    };
    this.stream?.items.push(item);
    if (header.zxid > 0n) this.lastZxid = zxid;
    if (isWrite(request) && zxidToBigint(zxid) > zxidToBigint(this.#world.acknowledged))
      this.#world.acknowledged = zxid;
    this.#remember(request, header.err);
    if (request.type === OpCode.CloseSession) {
      this.#endSession();
      this.disconnected();
    }
    done?.(item);
  }

  #remember(request: ClientRequest, err: number): void {
    const { watches } = this;
    const isFound = err === ZkErrorCode.Ok;
    if (request.type === OpCode.Exists && request.watch) {
      if (isFound) watches.data.add(request.path);
      else if (err === ZkErrorCode.NoNode) watches.exist.add(request.path);
    }
    if (request.type === OpCode.GetData && request.watch && isFound) watches.data.add(request.path);
    if (request.type === OpCode.GetChildren && request.watch && isFound) watches.child.add(request.path);
    if (request.type === OpCode.AddWatch && isFound) {
      if (request.mode === AddWatchMode.Persistent) watches.persistent.add(request.path);
      else watches.recursive.add(request.path);
    }
  }

  #event(type: number, path: string, zxid: bigint): void {
    const at = zxid === -1n ? undefined : (zxidFromBigint(zxid) ?? violate("W3", "an event of no zxid"));
    this.stream?.items.push({ kind: "event", type, path, zxid: at });
    const { data, exist, child } = this.watches;
    if (type !== EventType.NodeChildrenChanged) {
      data.delete(path);
      exist.delete(path);
    }
    if (type === EventType.NodeChildrenChanged || type === EventType.NodeDeleted) child.delete(path);
    this.onEvent?.({ type, path });
  }

  #endSession(): void {
    this.session = undefined;
    this.sessionsLost += 1;
    this.lastZxid = ZERO_ZXID;
    for (const each of Object.values(this.watches)) each.clear();
    this.onEvent?.(undefined);
  }

  #send(request: ClientRequest, xid: number, done: Pending["done"]): void {
    this.#saidAt = this.#world.now;
    this.#pending.push({ xid, request, acknowledged: this.#world.acknowledged, done });
    const writer = new JuteWriter();
    encodeRequest(writer, xid, request);
    this.#world.send(this, writer.take());
  }
}
