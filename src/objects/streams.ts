/**
 * The watch streams of a member, on hibernatable WebSockets: who listens, told as txns apply.
 *
 * A socket outlives the object's memory. Its attachment says to what it listens and how far it was told, and
 * at the next start the log above the rows is applied again, so whatever came since is in the tree's history.
 * A member that loses its leader closes its streams: their clients resume elsewhere, from the zxid they have.
 *
 * Invariants:
 * - At the end of every turn each attachment says what its stream is.
 * - A subscription that lags is covered by the history, or its stream is closed: it is too slow.
 *
 * Platform: hibernation API, https://developers.cloudflare.com/durable-objects/best-practices/websockets/
 * (2026-11).
 *
 * @module
 */

import { type AuthId, compareZxid, formatZxid, maxZxid, ZERO_ZXID, type Zxid } from "../base/index.ts";
import { type Change, FilterIndex, type Tree } from "../tree/index.ts";
import { type ConnectionReport, reportStream } from "./report.ts";
import { CloseCode, closeSocket } from "./sockets.ts";
import type { ServerStats } from "./stats.ts";
import { progressChanges, Stream, type StreamDesk, type Subscription } from "./stream.ts";
import {
  attachedBytes,
  attachmentBytesMax,
  parseStreamAttachment,
  type StreamAttachment,
} from "./stream-attachment.ts";
import {
  eventJson,
  type Fault,
  parseClientMessage,
  type StreamEvent,
  type Subscribe,
} from "./stream-messages.ts";

/** Of one socket. */
export const subscriptionsMax = 64;

/** Of one member: each costs about a kilobyte. */
export const subscriptionsTotalMax = 50_000;

/** Faulty messages after which a stream is closed: its client does not learn from being told. */
export const faultsMax = 100;

/** What a socket that outlived the memory may send before it is heard. */
const sleeperMessagesMax = 16;

interface Sleeper {
  readonly socket: WebSocket;
  readonly attachment: StreamAttachment;
  readonly messages: (ArrayBuffer | string)[];
}

export interface StreamsParts {
  readonly tree: Tree;
  /** Of the member; its streams' messages count as packets. */
  readonly stats: ServerStats;
  /** The clock as of this turn. */
  now(): number;
  /** Calls back once everything committed by now has applied here, or with `false` when that could not be. */
  confirm(done: (confirmed: boolean) => void): void;
}

export class Streams {
  readonly #parts: StreamsParts;
  readonly #bySocket = new Map<WebSocket, { readonly stream: Stream; faults: number }>();
  readonly #sleepers = new Map<WebSocket, Sleeper>();
  readonly #index = new FilterIndex<Subscription>();
  readonly #lagging = new Set<Subscription>();
  readonly #touched = new Set<Stream>();
  readonly #texts = new Map<Change, Partial<Record<StreamEvent["value"], string>>>();
  readonly #desk: StreamDesk;
  /** What the rows had when this life began: who was up to date then has heard of it. */
  #base: Zxid = ZERO_ZXID;
  #progressAt = 0;
  /** How far the history reached back when those that lag were last looked at. */
  #lookedAfter: Zxid | undefined;

  constructor(parts: StreamsParts) {
    this.#parts = parts;
    this.#desk = {
      tree: parts.tree,
      stats: parts.stats,
      now: () => parts.now(),
      lagging: this.#lagging,
      eventText: (event) => this.#eventText(event),
    };
  }

  get size(): number {
    return this.#bySocket.size + this.#sleepers.size;
  }

  /** Subscriptions: each is a watch. */
  get watchCount(): number {
    return this.#index.size;
  }

  /** Subscriptions that wait for their answer. */
  get outstanding(): number {
    let outstanding = 0;
    for (const { stream } of this.#bySocket.values()) outstanding += stream.waiting.size;
    return outstanding;
  }

  *figures(): Iterable<ConnectionReport> {
    for (const { stream } of this.#bySocket.values()) yield reportStream(stream);
  }

  *subscriptions(): Iterable<Subscription> {
    for (const { stream } of this.#bySocket.values()) yield* stream.subscriptions.values();
  }

  /** Counts each stream's messages from zero again. */
  resetStats(): void {
    for (const { stream } of this.#bySocket.values()) stream.stats.reset();
  }

  /** Somebody waits to hear whether this member is as far as it wants, or whether it serves. */
  get isBusy(): boolean {
    if (this.#sleepers.size > 0) return true;
    for (const { stream } of this.#bySocket.values()) if (stream.waiting.size > 0) return true;
    return false;
  }

  /** Takes the streams among sockets that outlived the memory, before anything is applied; answers the rest. */
  adopt(sockets: readonly WebSocket[]): readonly WebSocket[] {
    this.#base = this.#parts.tree.applied;
    return sockets.filter((socket) => {
      const attachment = parseStreamAttachment(socket.deserializeAttachment());
      if (attachment === undefined) return true;
      if (attachment.isBound) closeSocket(socket, CloseCode.NotLeading, "member restarted");
      else this.#sleepers.set(socket, { socket, attachment, messages: [] });
      return false;
    });
  }

  /** This member serves: streams that slept go on, with what they missed. */
  wake(): void {
    const sleepers = [...this.#sleepers.values()];
    this.#sleepers.clear();
    this.#lookedAfter = undefined;
    for (const { socket, attachment, messages } of sleepers) {
      const stream = this.#enter(socket, attachment.identities);
      stream.restore(attachment, this.#base);
      for (const subscription of stream.subscriptions.values()) this.#index.add(subscription);
      for (const message of messages) this.receive(socket, message);
    }
  }

  /** A new socket, already accepted. */
  open(socket: WebSocket, identities: readonly AuthId[]): void {
    this.#enter(socket, identities).welcome();
  }

  /** A client's message; false when the socket is no stream. */
  receive(socket: WebSocket, message: ArrayBuffer | string): boolean {
    const sleeper = this.#sleepers.get(socket);
    if (sleeper !== undefined) {
      this.#hold(sleeper, message);
      return true;
    }
    const entry = this.#bySocket.get(socket);
    if (entry === undefined) return parseStreamAttachment(socket.deserializeAttachment()) !== undefined;
    entry.stream.stats.took();
    const fault = this.#handle(entry.stream, message);
    this.#touched.add(entry.stream);
    if (fault === undefined) return true;
    entry.stream.refuse(fault);
    entry.faults += 1;
    if (entry.faults >= faultsMax) this.#finish(entry.stream, CloseCode.Dropped, "too many faulty messages");
    return true;
  }

  /** The client's end has closed; false when the socket is no stream. */
  closed(socket: WebSocket, code: number): boolean {
    const isSleeper = this.#sleepers.delete(socket);
    const entry = this.#bySocket.get(socket);
    if (entry !== undefined) this.#finish(entry.stream, code, "closed by the client");
    else if (isSleeper) closeSocket(socket, code, "closed by the client");
    return isSleeper || entry !== undefined;
  }

  /** No leader was found: streams that slept have waited long enough. */
  closeSleepers(reason: string): void {
    for (const socket of this.#sleepers.keys()) closeSocket(socket, CloseCode.NotLeading, reason);
    this.#sleepers.clear();
  }

  /** This member no longer serves. */
  closeAll(reason: string): void {
    this.closeSleepers(reason);
    for (const { stream } of [...this.#bySocket.values()]) this.#finish(stream, CloseCode.NotLeading, reason);
  }

  /** A txn has applied. */
  applied(zxid: Zxid): void {
    if (this.#index.size === 0) return;
    const { newest } = this.#parts.tree.history;
    // One that changed nothing has left no trace.
    if (newest === undefined || compareZxid(newest.zxid, zxid) !== 0) return;
    for (const change of newest.changes) {
      for (const subscription of this.#index.concernedBy(change)) {
        subscription.stream.offer(subscription, zxid, change);
        this.#touched.add(subscription.stream);
      }
    }
  }

  /** End of a turn: what is pending leaves. */
  flush(): void {
    const { history } = this.#parts.tree;
    if (this.#lagging.size > 0) this.#closeForgotten();
    for (const stream of this.#touched) stream.flush();
    if (history.added - this.#progressAt >= progressChanges) this.#tellProgress();
    for (const stream of this.#touched) stream.attach();
    this.#touched.clear();
    this.#texts.clear();
  }

  #closeForgotten(): void {
    const { history } = this.#parts.tree;
    if (history.after === this.#lookedAfter) return;
    this.#lookedAfter = history.after;
    for (const subscription of this.#lagging) {
      if (history.covers(subscription.cursor)) continue;
      this.#finish(subscription.stream, CloseCode.TooSlow, "too slow: what it has not read is forgotten");
    }
  }

  #tellProgress(): void {
    this.#progressAt = this.#parts.tree.history.added;
    for (const { stream } of this.#bySocket.values()) if (stream.tellProgress()) this.#touched.add(stream);
  }

  #eventText(event: StreamEvent): string {
    const texts = this.#texts.get(event.change) ?? {};
    const text = texts[event.value] ?? eventJson(event);
    texts[event.value] = text;
    this.#texts.set(event.change, texts);
    return text;
  }

  #enter(socket: WebSocket, identities: readonly AuthId[]): Stream {
    const stream = new Stream(socket, identities, this.#desk);
    this.#bySocket.set(socket, { stream, faults: 0 });
    this.#touched.add(stream);
    return stream;
  }

  #hold(sleeper: Sleeper, message: ArrayBuffer | string): void {
    const { socket, attachment, messages } = sleeper;
    // From here on only this memory knows of it: should it be lost too, the stream must end.
    if (messages.length === 0) socket.serializeAttachment({ ...attachment, isBound: true });
    messages.push(message);
    if (messages.length <= sleeperMessagesMax) return;
    this.#sleepers.delete(socket);
    closeSocket(socket, CloseCode.NotLeading, "no leader was found");
  }

  #handle(stream: Stream, text: ArrayBuffer | string): Fault | undefined {
    if (typeof text !== "string") {
      return { codeName: "BadArguments", detail: "Cannot read the message: it is binary, not text" };
    }
    const message = parseClientMessage(text);
    if ("fault" in message) return message.fault;
    switch (message.type) {
      case "ack":
        return stream.ack(message.seq);
      case "subscribe":
        return this.#subscribe(stream, message);
      case "unsubscribe":
        return this.#unsubscribe(stream, message.id);
    }
  }

  #subscribe(stream: Stream, message: Subscribe): Fault | undefined {
    const fault = this.#whyNot(stream, message);
    if (fault !== undefined) return fault;
    const { id, since = ZERO_ZXID, floor = ZERO_ZXID } = message;
    // Who has seen a later state than this member has, was elsewhere before.
    const goal = maxZxid(since, floor);
    if (compareZxid(this.#parts.tree.applied, goal) >= 0) return this.#begin(stream, message);
    stream.waiting.set(id, message);
    this.#parts.confirm((confirmed) => {
      // Given up meanwhile, or asked for anew.
      if (stream.waiting.get(id) !== message) return;
      stream.waiting.delete(id);
      this.#touched.add(stream);
      const refusal = this.#whyBehind(id, goal, confirmed) ?? this.#begin(stream, message);
      if (refusal !== undefined) stream.refuse(refusal);
    });
    return undefined;
  }

  /** `undefined` when there is room for another subscription of this id. */
  #whyNot(stream: Stream, { id, filter }: Subscribe): Fault | undefined {
    const fault = (codeName: Fault["codeName"], reason: string): Fault => {
      return {
        id,
        codeName,
        detail: `Cannot subscribe to ${JSON.stringify(filter.path.slice(0, 100))}: ${reason}`,
      };
    };
    const { subscriptions, waiting, identities } = stream;
    if (subscriptions.has(id) || waiting.has(id)) return fault("BadArguments", "the id is in use");
    if (subscriptions.size + waiting.size >= subscriptionsMax) {
      return fault("ThrottledOp", `a stream has at most ${subscriptionsMax} subscriptions`);
    }
    // A fresh start may be large.
    if (!stream.hasRoom) return fault("ThrottledOp", "acknowledge what was sent before, and ask again");
    if (this.#index.size >= subscriptionsTotalMax) {
      return fault("ThrottledOp", "this member has as many subscriptions as it can hold");
    }
    const all = [...subscriptions.values(), ...waiting.values(), { id, filter }];
    if (attachedBytes(identities, all) > attachmentBytesMax) {
      return fault("ThrottledOp", "the paths of this stream are too long together, open another");
    }
    return undefined;
  }

  #whyBehind(id: string, goal: Zxid, confirmed: boolean): Fault | undefined {
    const { applied } = this.#parts.tree;
    if (!confirmed) {
      return { id, codeName: "ConnectionLoss", detail: "Cannot subscribe: this member lost its leader" };
    }
    if (compareZxid(applied, goal) >= 0) return undefined;
    const detail = `Cannot subscribe: it is to begin at ${formatZxid(goal)}, the ensemble has committed through ${formatZxid(applied)}`;
    return { id, codeName: "BadVersion", detail };
  }

  #begin(stream: Stream, { id, filter, withValue, since }: Subscribe): Fault | undefined {
    const { tree } = this.#parts;
    const znode = tree.get(filter.path);
    if (znode !== undefined && !tree.canRead(znode.acl, stream.identities)) {
      const detail = `Cannot subscribe to ${JSON.stringify(filter.path.slice(0, 100))}: its ACL does not allow it`;
      return { id, codeName: "NoAuth", detail };
    }
    this.#index.add(stream.begin({ id, filter, withValue }, since));
    return undefined;
  }

  #unsubscribe(stream: Stream, id: string): Fault | undefined {
    const subscription = stream.subscriptions.get(id);
    if (subscription === undefined && !stream.waiting.delete(id)) {
      return { id, codeName: "NoWatcher", detail: "Cannot unsubscribe: there is no subscription of this id" };
    }
    if (subscription !== undefined) this.#forget(subscription);
    stream.subscriptions.delete(id);
    stream.end(id);
    return undefined;
  }

  #forget(subscription: Subscription): void {
    this.#index.delete(subscription);
    this.#lagging.delete(subscription);
  }

  #finish(stream: Stream, code: number, reason: string): void {
    for (const subscription of stream.subscriptions.values()) this.#forget(subscription);
    stream.waiting.clear();
    this.#touched.delete(stream);
    this.#bySocket.delete(stream.socket);
    closeSocket(stream.socket, code, reason);
  }
}
