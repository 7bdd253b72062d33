/**
 * One watch stream: a client's WebSocket with its subscriptions, and how much it may be ahead of its client.
 *
 * The client says how far it has read (`ack`). When too much is on its way the stream pauses: from then on a
 * subscription holds nothing but how far it was told, and goes on from the tree's history when there is room
 * again. So a slow client costs no memory, however many there are. What has piled up meanwhile is told in
 * full, or, past a bound, as the last change of each path, with a notice of how many that replaces.
 *
 * Invariants:
 * - A subscription is told each change that concerns it and that it may know of once, in zxid order, all of a
 *   txn in one message; or it is told that changes were left out, and which.
 * - One that does not lag has been told, or has pending, everything applied.
 *
 * @module
 */

import {
  type AuthId,
  assert,
  equalZxid,
  formatZxid,
  maxZxid,
  parseZxid,
  ZERO_ZXID,
  type Zxid,
} from "../base/index.ts";
import {
  aclFor,
  type Change,
  type ChangedTxn,
  lastOfEachPath,
  type StreamFilter,
  type Tree,
} from "../tree/index.ts";
import { sendText } from "./sockets.ts";
import { ConnectionStats, type ServerStats } from "./stats.ts";
import { makeStreamAttachment, type StoredSubscription, type StreamAttachment } from "./stream-attachment.ts";
import {
  errorMessage,
  eventsMessage,
  type Fault,
  type StreamEvent,
  type Subscribe,
  znodeJson,
} from "./stream-messages.ts";
import { startOf } from "./stream-start.ts";

/** Messages on their way to a client that it has not acknowledged; the next one waits. */
export const windowMessages = 256;

/** UTF-16 units in them; the last may pass it. */
export const windowUnits = 1024 * 1024;

/** A message of events takes no further txn from here on. */
const messageUnits = 64 * 1024;

/** So many changes are told one by one to who lagged behind; of more, the last of each path. */
export const coalesceAfter = 1_000;

/** After so many changes of others a subscription is told how far it is, so that it can resume from there. */
export const progressChanges = 1_024;

/** What all streams of a member share. */
export interface StreamDesk {
  readonly tree: Tree;
  /** Of the member. */
  readonly stats: ServerStats;
  /** The clock as of this turn. */
  now(): number;
  /** JSON of an event, made once for everybody. */
  eventText(event: StreamEvent): string;
  /** Subscriptions that wait for their client. */
  readonly lagging: Set<Subscription>;
}

export interface Subscription {
  readonly stream: Stream;
  readonly id: string;
  readonly filter: StreamFilter;
  readonly withValue: boolean;
  /** Nothing at or below it is told any more. */
  cursor: Zxid;
  /** Not yet sent, in this turn. */
  pending: StreamEvent[];
  /** `history.added` when it was last told anything. */
  toldAt: number;
}

export class Stream {
  readonly socket: WebSocket;
  readonly identities: readonly AuthId[];
  readonly subscriptions = new Map<string, Subscription>();
  /** By their ids, those that wait to hear whether this member is as far as they want. */
  readonly waiting = new Map<string, Subscribe>();
  readonly #desk: StreamDesk;
  /** Messages, each a packet of its own. */
  readonly stats: ConnectionStats;
  /** Since when this life of the member knows it. */
  readonly sinceMs: number;
  #seq = 0;
  #acked = 0;
  #onTheWay: { readonly seq: number; readonly units: number }[] = [];
  #unitsOnTheWay = 0;
  #isPaused = false;

  constructor(socket: WebSocket, identities: readonly AuthId[], desk: StreamDesk) {
    this.socket = socket;
    this.identities = identities;
    this.#desk = desk;
    this.stats = new ConnectionStats(desk.stats);
    this.sinceMs = desk.now();
  }

  /** Whether the client has taken in enough to be told more. */
  get hasRoom(): boolean {
    return this.#onTheWay.length < windowMessages && this.#unitsOnTheWay < windowUnits;
  }

  /** Version, and how much may be on its way: what a client must know to keep up. */
  welcome(): void {
    this.#send({
      type: "welcome",
      version: 1,
      window: { messages: windowMessages, characters: windowUnits },
    });
  }

  refuse(fault: Fault): void {
    this.#sendText(errorMessage(fault));
  }

  /**
   * Begins a subscription. With `since` it goes on behind it, with a fresh start if that is too long ago; without,
   * from now on.
   */
  begin(wanted: Pick<Subscription, "id" | "filter" | "withValue">, since: Zxid | undefined): Subscription {
    const { tree } = this.#desk;
    // Who has seen nothing wants to know what there is, not how it came to be.
    const isMissed = (zxid: Zxid) => equalZxid(zxid, ZERO_ZXID) || !tree.history.covers(zxid);
    const missed = since !== undefined && isMissed(since) ? since : undefined;
    const cursor = since ?? tree.applied;
    const subscription = this.#add(wanted, cursor);
    this.#send({ type: "subscribed", id: wanted.id, zxid: formatZxid(cursor), ...wanted.filter });
    if (missed === undefined) this.#catchUp(subscription);
    else this.#startAnew(subscription, missed);
    return subscription;
  }

  end(id: string): void {
    this.#send({ type: "unsubscribed", id });
  }

  /** Takes up what was attached. `through`: everything the member had applied when it lost its memory, at least. */
  restore({ seq, acked, subscriptions, through }: StreamAttachment, base: Zxid): void {
    this.#seq = seq;
    this.#acked = acked;
    const told = maxZxid(parseZxid(through) ?? base, base);
    for (const { id, path, scope, withValue, cursor } of subscriptions) {
      const behind = cursor === undefined ? undefined : parseZxid(cursor);
      this.#add({ id, filter: { path, scope }, withValue }, behind ?? told);
    }
    for (const subscription of this.subscriptions.values()) {
      // Told anew, all at once, they would take more memory than there is: their client comes back for it.
      if (this.#desk.tree.history.covers(subscription.cursor)) this.#catchUp(subscription);
      else this.#desk.lagging.add(subscription);
    }
  }

  /** A txn has applied; `change` is one of it that concerns the subscription. */
  offer(subscription: Subscription, zxid: Zxid, change: Change): void {
    if (this.#desk.lagging.has(subscription)) return;
    const event = this.#eventFor(subscription, zxid, change);
    if (event !== undefined) subscription.pending.push(event);
  }

  /** The client has taken in everything through `seq`; what is wrong with that, if something is. */
  ack(seq: number): Fault | undefined {
    if (seq > this.#seq) {
      const detail = `Cannot ack ${seq}: the last message sent is ${this.#seq}`;
      return { codeName: "BadArguments", detail };
    }
    this.#acked = Math.max(this.#acked, seq);
    const left = this.#onTheWay.filter((message) => message.seq > seq);
    this.#onTheWay = left;
    this.#unitsOnTheWay = left.reduce((sum, { units }) => sum + units, 0);
    if (!this.hasRoom) return undefined;
    this.#isPaused = false;
    for (const subscription of this.subscriptions.values()) {
      if (this.#desk.lagging.delete(subscription)) this.#catchUp(subscription);
    }
    return undefined;
  }

  /** End of a turn: what is pending leaves, and the attachment says how far. */
  flush(): void {
    for (const subscription of this.subscriptions.values()) {
      const { pending } = subscription;
      if (pending.length === 0) continue;
      subscription.pending = [];
      this.#tell(subscription, pending);
    }
  }

  /** Tells those that heard of nothing for long how far they are; whether there were any. */
  tellProgress(): boolean {
    const { tree, lagging } = this.#desk;
    const before = this.#seq;
    for (const subscription of this.subscriptions.values()) {
      const silent = tree.history.added - subscription.toldAt;
      if (silent < progressChanges || lagging.has(subscription) || !this.hasRoom) continue;
      const { id } = subscription;
      this.#post(subscription, tree.applied, (seq, zxid) =>
        JSON.stringify({ type: "progress", id, seq, zxid: formatZxid(zxid) }),
      );
    }
    return this.#seq > before;
  }

  attach(): void {
    const subscriptions = Array.from(this.subscriptions.values(), (subscription): StoredSubscription => {
      const { id, filter, withValue, cursor } = subscription;
      const isLagging = this.#desk.lagging.has(subscription);
      return { id, ...filter, withValue, cursor: isLagging ? formatZxid(cursor) : undefined };
    });
    this.socket.serializeAttachment(
      makeStreamAttachment({
        identities: this.identities,
        seq: this.#seq,
        acked: this.#acked,
        through: formatZxid(this.#desk.tree.applied),
        subscriptions,
        isBound: this.waiting.size > 0,
      }),
    );
  }

  #add(wanted: Pick<Subscription, "id" | "filter" | "withValue">, cursor: Zxid): Subscription {
    const toldAt = this.#desk.tree.history.added;
    const subscription: Subscription = { stream: this, ...wanted, cursor, pending: [], toldAt };
    assert(!this.subscriptions.has(wanted.id), "ids of subscriptions differ");
    this.subscriptions.set(wanted.id, subscription);
    return subscription;
  }

  /** What it missed, behind its cursor. */
  #catchUp(subscription: Subscription): void {
    const { cursor } = subscription;
    const events = this.#eventsSince(subscription, this.#desk.tree.history.since(cursor));
    if (events.length <= coalesceAfter) return this.#tell(subscription, events);
    const kept = lastOfEachPath(events);
    const last = events.at(-1);
    assert(last !== undefined, "many events have a last");
    const counts = { events: events.length, kept: kept.length };
    const span = { after: formatZxid(cursor), through: formatZxid(last.zxid) };
    this.#post(subscription, cursor, (seq) =>
      JSON.stringify({ type: "coalesced", id: subscription.id, seq, ...counts, ...span }),
    );
    this.#tell(subscription, kept);
  }

  /** What it missed is not known any more: it is told what there is. */
  #startAnew(subscription: Subscription, since: Zxid): void {
    const { tree } = this.#desk;
    const { id, filter, withValue } = subscription;
    const { znodes, more } = startOf(tree, filter, { identities: this.identities, withValue });
    const shown = znodes.map(({ path, znode, isReadable }) =>
      znodeJson(path, znode, withValue ? (isReadable ? "told" : "denied") : "none"),
    );
    const missed = formatZxid(since);
    this.#post(subscription, tree.applied, (seq, zxid) =>
      JSON.stringify({
        type: "compacted",
        id,
        seq,
        since: missed,
        zxid: formatZxid(zxid),
        znodes: shown,
        more,
      }),
    );
  }

  #eventsSince(subscription: Subscription, txns: Iterable<ChangedTxn>): StreamEvent[] {
    const events: StreamEvent[] = [];
    for (const { zxid, changes } of txns) {
      for (const change of changes) {
        const event = this.#eventFor(subscription, zxid, change);
        if (event !== undefined) events.push(event);
      }
    }
    return events;
  }

  /** `undefined` when the change is none of its affair, or none that it may know of. */
  #eventFor(
    { filter, withValue }: Pick<Subscription, "filter" | "withValue">,
    zxid: Zxid,
    change: Change,
  ): StreamEvent | undefined {
    const { tree } = this.#desk;
    const acl = aclFor(filter, change);
    if (acl === undefined || !tree.canRead(acl, this.identities)) return undefined;
    if (!withValue || change.kind === "deleted") return { zxid, change, value: "none" };
    return { zxid, change, value: tree.canRead(change.znode.acl, this.identities) ? "told" : "denied" };
  }

  /** In messages of whole txns, as long as there is room; the rest later, from the history. */
  #tell(subscription: Subscription, events: readonly StreamEvent[]): void {
    let first: Zxid | undefined;
    let texts: string[] = [];
    let units = 0;
    for (const [i, event] of events.entries()) {
      first ??= event.zxid;
      const text = this.#desk.eventText(event);
      texts.push(text);
      units += text.length;
      const next = events[i + 1];
      const isCut = next === undefined || (!equalZxid(next.zxid, event.zxid) && units >= messageUnits);
      if (!isCut) continue;
      if (!this.hasRoom) return this.#pause(subscription, first);
      const told = texts;
      this.#post(subscription, event.zxid, (seq, zxid) => eventsMessage(subscription.id, seq, zxid, told));
      first = undefined;
      texts = [];
      units = 0;
    }
  }

  /** `first`: of what is not told. Nothing below it that concerns the subscription is left. */
  #pause(subscription: Subscription, { epoch, counter }: Zxid): void {
    subscription.cursor = { epoch, counter: counter - 1 };
    this.#desk.lagging.add(subscription);
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#send({ type: "paused", seq: this.#seq });
  }

  #post(subscription: Subscription, zxid: Zxid, make: (seq: number, zxid: Zxid) => string): void {
    this.#seq += 1;
    const text = make(this.#seq, zxid);
    this.#onTheWay.push({ seq: this.#seq, units: text.length });
    this.#unitsOnTheWay += text.length;
    subscription.cursor = zxid;
    subscription.toldAt = this.#desk.tree.history.added;
    this.#sendText(text);
  }

  #send(message: object): void {
    this.#sendText(JSON.stringify(message));
  }

  #sendText(text: string): void {
    this.stats.notified();
    sendText(this.socket, text);
  }
}
