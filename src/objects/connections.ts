/**
 * The client connections of a member, on hibernatable WebSockets.
 *
 * A socket outlives the object's memory. What its connection needs afterwards stands in the socket's
 * attachment: the session, the identities, the watches, and whether something was under way that only
 * memory knew. After a wake-up a connection goes on if this member serves again and nothing was under way;
 * otherwise it is closed, and its client comes back with its session, as after any connection loss.
 *
 * Invariants:
 * - One open connection per session: the one that the session's last renewal, or its opening, is about.
 * - At the end of every turn each attachment says what its connection is.
 *
 * Platform: hibernation API, https://developers.cloudflare.com/durable-objects/best-practices/websockets/;
 * `webSocketClose` must close its side itself (2026-11).
 *
 * @module
 */

import {
  type AuthId,
  formatZxid,
  makeSessionId,
  NO_SESSION,
  type Session,
  type SessionId,
  type WatchedEvent,
  type Zxid,
  zxidToBigint,
} from "../base/index.ts";
import type { Tree, Trigger, WatcherId } from "../tree/index.ts";
import type { Introduction } from "./api.ts";
import {
  type Attachment,
  missedBy,
  parseAttachment,
  type StoredWatches,
  storableWatches,
  versionWith,
} from "./attachment.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { identitiesOf } from "./identities.ts";
import type { Lanes } from "./lanes.ts";
import { type ConnectionReport, reportConnection } from "./report.ts";
import { CloseCode, closeSocket, sendText } from "./sockets.ts";

/** Sockets of one member. The platform takes 32,768; asking for more would throw. */
export const connectionsMax = 32_000;

/** Bytes received and not handled, of all sockets together; past it the largest holder is dropped. */
const heldBytesTotalMax = 32 * 1024 * 1024;

/** How long a client may take over its handshake, in peer ticks (ZooKeeper: about 10 s). */
const handshakeTicksMax = 100;

/** What sockets that outlived the memory may send before they are heard. */
const sleeperBytesMax = 1024 * 1024;

interface Entry {
  readonly socket: WebSocket;
  readonly connection: Connection;
  readonly introduction: Introduction;
  readonly sinceMs: number;
  /** What the attachment says, in short, so that an unchanged one is not written again. */
  stored: string;
  watchesChanged: boolean;
  /** As counted in the total. */
  held: number;
  /** As of the last change: `tooMany` for watches that no attachment can hold. */
  watches: StoredWatches | "tooMany" | undefined;
}

/** A socket found at start, waiting to hear whether this member serves. */
interface Sleeper {
  readonly socket: WebSocket;
  readonly attachment: Attachment;
  readonly chunks: Uint8Array[];
  bytes: number;
}

export interface ConnectionsParts {
  readonly tree: Tree;
  readonly host: ConnectionHost;
  /** Of those whose bytes travel on a socket that they share. */
  readonly lanes: Lanes;
  /** When the platform last answered a socket's text in this member's place; `undefined`: never. */
  lastSign(socket: WebSocket): number | undefined;
  /** A sign of life of a session, now or in the past. */
  heard(session: SessionId, atMs: number): void;
  /** Runs something in a turn of its own, soon. */
  later(run: () => void): void;
  /** Numbers for watchers; the member's own have numbers of the same row. */
  nextWatcher(): WatcherId;
}

export class Connections {
  readonly #parts: ConnectionsParts;
  readonly #bySocket = new Map<WebSocket, Entry>();
  readonly #byWatcher = new Map<WatcherId, Entry>();
  readonly #bySession = new Map<SessionId, Entry>();
  readonly #sleepers = new Map<WebSocket, Sleeper>();
  /** The same by their sessions, until this member serves: closed ones too, for their last sign of life. */
  readonly #sleeping = new Map<SessionId, WebSocket>();
  /** Entries with something to send, to store or to end when the turn is over. */
  readonly #touched = new Set<Entry>();
  /** Entries with frames that nobody had room for. */
  readonly #held = new Set<Entry>();
  /** Entries with answers that the turn's output had no room for. */
  readonly #stalled = new Set<Entry>();
  /**
   * Sessions whose connection broke off, and the ownership that it had. Until they end, or are taken up again, the
   * ensemble stays awake: an end that is due while it sleeps comes a whole timeout later.
   */
  readonly #abandoned = new Map<SessionId, number>();
  #isResuming = false;
  /** Entries without a session, and the tick at which they came. */
  readonly #strangers = new Map<Entry, number>();
  #ticks = 0;
  #heldBytes = 0;
  /** The same for sleepers; they never live long. */
  #sleeperBytes = 0;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#bySocket.size;
  }

  /** Requests that wait for their answer. */
  get outstanding(): number {
    let outstanding = 0;
    for (const { connection } of this.#bySocket.values()) outstanding += connection.outstanding;
    return outstanding;
  }

  *figures(): Iterable<ConnectionReport> {
    for (const entry of this.#bySocket.values()) yield reportConnection(entry, this.#parts.tree);
  }

  /** `undefined` for a watcher that is no connection, or has no session. */
  sessionOf(watcher: WatcherId): SessionId | undefined {
    const sessionId = this.#byWatcher.get(watcher)?.connection.sessionId;
    return sessionId === NO_SESSION ? undefined : sessionId;
  }

  /** Counts each connection from zero again. */
  resetStats(): void {
    for (const { connection } of this.#bySocket.values()) connection.stats.reset();
  }

  /** Somebody has yet to be heard, or has answers coming. */
  get isBusy(): boolean {
    return this.#strangers.size + this.#stalled.size + this.#sleepers.size + this.#abandoned.size > 0;
  }

  /** When the session's client was last answered in this member's place; `undefined`: never, or not here. */
  lastSign(session: SessionId): number | undefined {
    const socket = this.#bySession.get(session)?.socket ?? this.#sleeping.get(session);
    return socket === undefined ? undefined : this.#parts.lastSign(socket);
  }

  /** Sessions whose clients were answered in this member's place after `sinceMs`. */
  *shownSince(sinceMs: number): Iterable<readonly [SessionId, number]> {
    for (const [session, { socket }] of this.#bySession) {
      const signMs = this.#parts.lastSign(socket);
      if (signMs !== undefined && signMs > sinceMs) yield [session, signMs];
    }
  }

  /** Whether another socket may be accepted. */
  get hasRoom(): boolean {
    return this.#bySocket.size + this.#sleepers.size < connectionsMax;
  }

  /** Sockets that outlived the member's memory. They wait for `wake` or `closeAll`. */
  adopt(sockets: readonly WebSocket[]): void {
    for (const socket of sockets) {
      const attachment = parseAttachment(socket.deserializeAttachment());
      const hasSession = attachment !== undefined && attachment.sessionId !== 0n;
      // A connection that cannot go on has shown its client's signs of life as any other.
      if (hasSession) this.#sleeping.set(makeSessionId(attachment.sessionId), socket);
      const isThere = this.#parts.lanes.restore(socket, attachment);
      if (isThere && hasSession && !attachment.isBound) {
        this.#sleepers.set(socket, { socket, attachment, chunks: [], bytes: 0 });
      } else {
        this.#close(socket, CloseCode.NotLeading, "member restarted");
      }
    }
  }

  /** A peer tick has passed: whoever has not shaken hands by now never will. */
  tick(): void {
    this.#ticks += 1;
    for (const [session, ownership] of this.#abandoned) {
      if (this.#parts.tree.session(session)?.ownership !== ownership) this.#abandoned.delete(session);
    }
    for (const [entry, since] of this.#strangers) {
      if (this.#ticks - since < handshakeTicksMax) return;
      this.#strangers.delete(entry);
      this.#finish(entry.socket, CloseCode.Dropped, "no connect request came");
    }
  }

  /** This member serves: connections that slept go on, with the events they missed. */
  wake(): void {
    const sleepers = [...this.#sleepers.values()];
    this.#sleepers.clear();
    this.#sleeping.clear();
    for (const sleeper of sleepers) this.#wakeOne(sleeper);
  }

  /** A new socket, already accepted. */
  open(socket: WebSocket, introduction: Introduction): void {
    const { lane } = introduction;
    if (lane !== undefined && !this.#parts.lanes.enter(socket, lane, undefined)) {
      return closeSocket(socket, CloseCode.Dropped, "the number of another connection");
    }
    const entry = this.#enter(socket, introduction, identitiesOf(introduction));
    this.#strangers.set(entry, this.#ticks);
    this.#touched.add(entry);
  }

  /** Whether the socket is a connection's, and this memory knows it. */
  has(socket: WebSocket): boolean {
    return this.#bySocket.has(socket);
  }

  /** Bytes from a connection's own socket. Text is no part of the protocol. */
  receive(socket: WebSocket, message: ArrayBuffer | string): void {
    const isText = typeof message === "string";
    if (isText || this.#parts.lanes.wayOf(socket) !== undefined) {
      this.#sleepers.delete(socket);
      const fault = isText ? "text in a byte stream" : "bytes beside the shared socket";
      return this.#finish(socket, CloseCode.Dropped, fault);
    }
    // From here on it comes this way.
    this.#parts.lanes.leave(socket);
    this.receiveBytes(socket, new Uint8Array(message));
  }

  /** Bytes of a connection, whichever way they came. */
  receiveBytes(socket: WebSocket, bytes: Uint8Array): void {
    const sleeper = this.#sleepers.get(socket);
    if (sleeper !== undefined) {
      // From here on only this memory knows of a request: should it be lost too, the connection must end.
      if (sleeper.bytes === 0) socket.serializeAttachment({ ...sleeper.attachment, isBound: true });
      sleeper.chunks.push(bytes);
      sleeper.bytes += bytes.length;
      this.#sleeperBytes += bytes.length;
      if (sleeper.bytes <= sleeperBytesMax && this.#sleeperBytes <= heldBytesTotalMax) return;
      this.#sleeperBytes -= sleeper.bytes;
      this.#sleepers.delete(socket);
      return this.#close(socket, CloseCode.NotLeading, "no leader was found");
    }
    const entry = this.#bySocket.get(socket);
    if (entry === undefined) return this.#close(socket, CloseCode.NotLeading, "not leading");
    this.#touched.add(entry);
    entry.connection.receive(bytes, true);
  }

  /** A request of this connection may have changed its watches. */
  watchesChanged(watcher: WatcherId): void {
    const entry = this.#byWatcher.get(watcher);
    if (entry !== undefined) entry.watchesChanged = true;
  }

  /** The client's end of a socket has closed. Its session goes on. */
  closed(socket: WebSocket, code: number): void {
    const connection = this.#bySocket.get(socket)?.connection;
    // On a shared socket the end may come in the message of the last requests: their answers are still here.
    if (connection !== undefined) this.#parts.lanes.send(socket, connection.takeOutput());
    const left = connection?.requester ?? this.#sleepers.get(socket)?.attachment;
    this.#sleepers.delete(socket);
    if (left !== undefined && left.sessionId !== 0n) {
      const session = makeSessionId(left.sessionId);
      const signMs = this.#parts.lastSign(socket);
      // Nobody can ask the socket afterwards.
      if (signMs !== undefined) this.#parts.heard(session, signMs);
      this.#abandoned.set(session, left.ownership ?? 0);
    }
    this.#finish(socket, code, "closed by the client");
  }

  /** No leader was found: connections that slept have waited long enough. */
  closeSleepers(reason: string): void {
    for (const { socket } of this.#sleepers.values()) this.#close(socket, CloseCode.NotLeading, reason);
    this.#sleepers.clear();
  }

  /** This member no longer serves. */
  closeAll(reason: string): void {
    this.closeSleepers(reason);
    this.#abandoned.clear();
    for (const entry of [...this.#bySocket.values()])
      this.#finish(entry.socket, CloseCode.NotLeading, reason);
  }

  /** A session now belongs to this connection; an older one of the same session ends. */
  bind(connection: Connection, sessionId: SessionId): void {
    const entry = this.#byWatcher.get(connection.watcher);
    if (entry === undefined) return;
    const older = this.#bySession.get(sessionId);
    if (older !== undefined && older !== entry) {
      this.#finish(older.socket, CloseCode.Normal, "session connected again");
    }
    this.#bySession.set(sessionId, entry);
    this.#strangers.delete(entry);
  }

  /** A session was taken up again, here or at another member: the connection it had here is no longer its own. */
  endEarlier({ id, ownership }: Session): void {
    const entry = this.#bySession.get(id);
    if (entry === undefined || entry.connection.requester.ownership === ownership) return;
    this.#finish(entry.socket, CloseCode.Normal, "session connected again");
  }

  /** A session is over: what was answered so far still leaves. */
  endSession(sessionId: SessionId): void {
    const entry = this.#bySession.get(sessionId);
    // A client that said goodbye itself still gets its answers; the last of them ends the connection.
    if (entry === undefined || entry.connection.isClosing) return;
    this.#touched.add(entry);
    entry.connection.end({ kind: "close", reason: "session closed" });
  }

  canRead(watcher: WatcherId, trigger: Trigger): boolean {
    const entry = this.#byWatcher.get(watcher);
    if (entry === undefined) return false;
    return this.#parts.tree.canRead(trigger.acl, entry.connection.requester.identities);
  }

  notify(watcher: WatcherId, event: WatchedEvent, zxid: Zxid): void {
    const entry = this.#byWatcher.get(watcher);
    if (entry === undefined) return;
    this.#touched.add(entry);
    entry.watchesChanged = true;
    entry.connection.notify(event, zxidToBigint(zxid));
  }

  /** Something was written to this connection outside of its own message. */
  touch(connection: Connection): void {
    const entry = this.#byWatcher.get(connection.watcher);
    if (entry !== undefined) this.#touched.add(entry);
  }

  /** End of a turn: one message per socket, one attachment where it changed. */
  flush(): void {
    for (const entry of this.#touched) this.#flushOne(entry);
    this.#touched.clear();
    while (this.#heldBytes > heldBytesTotalMax) this.#dropLargest();
    for (const entry of this.#held) {
      if (entry.connection.canGoOn) this.#stalled.add(entry);
      if (entry.connection.canGoOn || !entry.connection.isHeld) this.#held.delete(entry);
    }
    if (this.#stalled.size > 0 && !this.#isResuming) this.#resumeLater();
  }

  #flushOne(entry: Entry): void {
    const { connection, socket } = entry;
    if (!this.#parts.lanes.send(socket, connection.takeOutput())) {
      return this.#finish(socket, CloseCode.Dropped, "the socket takes no more");
    }
    if (connection.ending !== undefined) {
      const { kind, reason } = connection.ending;
      return this.#finish(socket, kind === "close" ? CloseCode.Normal : CloseCode.Dropped, reason);
    }
    if (connection.isStalled) this.#stalled.add(entry);
    if (connection.isHeld) this.#held.add(entry);
    const credit = entry.introduction.wantsCredit ? connection.takeCredit() : 0;
    if (credit > 0) sendText(socket, `credit ${credit}`);
    this.#count(entry, connection.heldBytes);
    this.#store(entry);
  }

  #count(entry: Entry, held: number): void {
    this.#heldBytes += held - entry.held;
    entry.held = held;
  }

  #dropLargest(): void {
    let largest: Entry | undefined;
    for (const entry of this.#bySocket.values()) {
      if (largest === undefined || entry.held > largest.held) largest = entry;
    }
    if (largest === undefined) return;
    this.#finish(largest.socket, CloseCode.Dropped, "too much is held for unfinished frames");
  }

  /** In a turn of its own, so that one client's answers do not hold up everybody's. */
  #resumeLater(): void {
    this.#isResuming = true;
    this.#parts.later(() => {
      this.#isResuming = false;
      const stalled = [...this.#stalled];
      this.#stalled.clear();
      for (const entry of stalled) {
        this.#touched.add(entry);
        entry.connection.resume();
      }
    });
  }

  #enter(socket: WebSocket, introduction: Introduction, identities: readonly AuthId[]): Entry {
    const { mustShowToken } = introduction;
    const watcher = this.#parts.nextWatcher();
    const connection = new Connection(this.#parts.host, watcher, { identities, mustShowToken });
    const entry: Entry = {
      socket,
      connection,
      introduction,
      sinceMs: this.#parts.host.now(),
      stored: "",
      watchesChanged: false,
      held: 0,
      watches: undefined,
    };
    this.#bySocket.set(socket, entry);
    this.#byWatcher.set(connection.watcher, entry);
    return entry;
  }

  #wakeOne({ socket, attachment, chunks }: Sleeper): void {
    const { tree, host } = this.#parts;
    const sessionId = makeSessionId(attachment.sessionId);
    const { introduction, identities, ownership } = attachment;
    const session = tree.session(sessionId);
    if (session === undefined) return this.#close(socket, CloseCode.Normal, "session closed");
    if (session.ownership !== ownership) {
      return this.#close(socket, CloseCode.Normal, "session connected again");
    }
    const entry = this.#enter(socket, introduction, identities);
    const { connection } = entry;
    connection.restore({ sessionId, identities, ownership });
    // Nobody remembers how much of it had been taken up, but nothing was waiting.
    if (introduction.wantsCredit) sendText(socket, "credit anew");
    this.bind(connection, sessionId);
    this.#touched.add(entry);
    entry.watchesChanged = true;
    const request = missedBy(attachment);
    if (request !== undefined) {
      const answer = host.read(request, connection.requester, connection.watcher);
      for (const event of answer.events ?? []) connection.notify(event, -1n);
    }
    for (const chunk of chunks) connection.receive(chunk, false);
  }

  #finish(socket: WebSocket, code: number, reason: string): void {
    const entry = this.#bySocket.get(socket);
    if (entry !== undefined) {
      const { connection } = entry;
      connection.end({ kind: "drop", reason });
      this.#parts.tree.watches.drop(connection.watcher);
      this.#bySocket.delete(socket);
      this.#byWatcher.delete(connection.watcher);
      this.#touched.delete(entry);
      this.#stalled.delete(entry);
      this.#held.delete(entry);
      this.#strangers.delete(entry);
      this.#count(entry, 0);
      if (this.#bySession.get(connection.sessionId) === entry) this.#bySession.delete(connection.sessionId);
    }
    this.#close(socket, code, reason);
  }

  #close(socket: WebSocket, code: number, reason: string): void {
    this.#parts.lanes.leave(socket);
    closeSocket(socket, code, reason);
  }

  #store(entry: Entry): void {
    const { tree } = this.#parts;
    const { connection, socket } = entry;
    const { sessionId, identities, ownership = 0 } = connection.requester;
    const brief = `${connection.isBusy} ${sessionId} ${identities.length}`;
    if (brief === entry.stored && !entry.watchesChanged) return;
    if (entry.watchesChanged)
      entry.watches = storableWatches(
        tree.watches.export(connection.watcher),
        connection.requester,
        (path) => tree.get(path) !== undefined,
      );
    entry.stored = brief;
    entry.watchesChanged = false;
    const { watches } = entry;
    const way = this.#parts.lanes.wayOf(socket);
    socket.serializeAttachment({
      version: versionWith(way),
      ...(way !== undefined && { way }),
      introduction: entry.introduction,
      identities,
      sessionId,
      ownership,
      zxid: formatZxid(tree.applied),
      watches: watches === "tooMany" ? undefined : watches,
      isBound: connection.isBusy || watches === "tooMany",
    } satisfies Attachment);
  }
}
