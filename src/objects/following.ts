/**
 * A learner's side of forwarding: its clients' writes go to the leader, and are answered when they apply here.
 *
 * Requests leave in the order they came, many in one message. The leader answers with the zxids they have
 * become, ahead of the commits, so a request is recognised by its zxid alone and nothing about its origin has
 * to be stored. One object per learner session: when that ends, whoever waits is told that the outcome is
 * unknown, and nothing is ever sent twice.
 *
 * Invariants:
 * - `#waiting` holds what was asked and has not applied here, in the order of asking, which is the order of
 *   the zxids it gets. The first `#sent` of it have left, the first `#assigned` of those have a zxid.
 * - What has left and not applied is bounded: it takes room at the leader, and in the link.
 *
 * Sources: ZooKeeper `FollowerRequestProcessor`, `CommitProcessor`, `Learner.request`.
 *
 * @module
 */

import { assert, compareZxid, equalZxid, formatZxid, type SessionId, type Zxid } from "../base/index.ts";
import type { Applied } from "../tree/index.ts";
import type { Agreement, ClientWrite, Renewal } from "./agreement.ts";
import { decodeReplies, EntryWriter, type Reply } from "./forwarding-codec.ts";
import { outstandingBytesMax, outstandingMax, type Settle } from "./writes.ts";

/** Requests that have left and not applied here; the rest waits at this member. */
export const inFlightMax = 16_384;

/** Bytes of the messages they left in; the last one may pass it. */
export const inFlightBytesMax = 4 * 1024 * 1024;

/** Those messages. A link that holds too many packets at once gives up. */
export const inFlightMessagesMax = 256;

/** A message takes nothing more from here on. One frame may be as large again, and a link sends a few MB at once. */
const messageBytesMax = 256 * 1024;

/** How often signs of life are reported, in peer ticks (500 ms: a fraction of the shortest timeout). */
const touchTicks = 5;

export interface FollowingParts {
  /** Everything through here has applied. */
  applied(): Zxid;
  /** Hands a message to the leader. `lazy`: it may wait for company. */
  forward(bytes: Uint8Array, lazy: boolean): void;
}

interface Waiting {
  readonly settle: Settle;
  readonly bytes: number;
}

interface Message {
  readonly bytes: Uint8Array;
  /** Requests in it; once it has left, those that have not applied. */
  count: number;
}

interface Confirmation {
  readonly index: Zxid;
  readonly waiters: readonly ((confirmed: boolean) => void)[];
}

export class Following implements Agreement {
  readonly #parts: FollowingParts;
  #waiting: Waiting[] = [];
  /** Index of the oldest in `#waiting`. */
  #head = 0;
  #waitingBytes = 0;
  #sent = 0;
  #assigned = 0;
  #inFlightBytes = 0;
  /** Zxids of the oldest that have one. */
  #runs: { first: Zxid; count: number }[] = [];
  /** Complete messages that wait for room in flight, and those that have left. */
  #messages: Message[] = [];
  #inFlight: Message[] = [];
  #writer = new EntryWriter();
  #gathered = 0;
  readonly #touched = new Set<SessionId>();
  #ticks = 0;
  /** Who asks to be confirmed by the next question, and by the one under way. */
  #asking: ((confirmed: boolean) => void)[] = [];
  #asked: readonly ((confirmed: boolean) => void)[] | undefined;
  #lastConfirm = 0;
  /** Confirmed, and waiting for what was committed before to apply here. */
  #confirmations: Confirmation[] = [];

  constructor(parts: FollowingParts) {
    this.#parts = parts;
  }

  /** Somebody waits for an answer. */
  get isBusy(): boolean {
    const isAsking = this.#asking.length > 0 || this.#asked !== undefined || this.#confirmations.length > 0;
    return this.#outstanding > 0 || isAsking;
  }

  get hasRoom(): boolean {
    return this.#outstanding < outstandingMax && this.#waitingBytes < outstandingBytesMax;
  }

  write({ requester, frame, settle }: ClientWrite): void {
    const before = this.#writer.length;
    this.#writer.request(requester, frame);
    this.#submitted(this.#writer.length - before, settle);
  }

  openSession(timeoutMs: number, settle: Settle): void {
    const before = this.#writer.length;
    this.#writer.open(timeoutMs);
    this.#submitted(this.#writer.length - before, settle);
  }

  renewSession(renewal: Renewal, settle: Settle): void {
    const before = this.#writer.length;
    this.#writer.renew(renewal);
    this.#submitted(this.#writer.length - before, settle);
  }

  /** The leader decides by itself whether what brings the question is fresh. */
  confirm(_fresh: boolean, done: (confirmed: boolean) => void): void {
    this.#asking.push(done);
  }

  touch(session: SessionId): void {
    this.#touched.add(session);
  }

  /** A tick of the peer has passed. */
  tick(): void {
    this.#ticks += 1;
    if (this.#ticks % touchTicks !== 0 || this.#touched.size === 0) return;
    const writer = new EntryWriter();
    writer.touches(this.#touched);
    this.#touched.clear();
    this.#parts.forward(writer.take(), true);
  }

  /** End of a turn: what was gathered leaves, as far as there is room. */
  flush(): void {
    while (this.#hasRoomInFlight) {
      // What has no room yet goes on gathering.
      if (this.#messages.length === 0) this.#closeMessage();
      const message = this.#messages.shift();
      if (message === undefined) break;
      this.#send(message);
    }
    this.#ask();
  }

  /** The leader's word; false when it cannot be read. */
  hear(bytes: Uint8Array): boolean {
    const replies = decodeReplies(bytes);
    for (const reply of replies ?? []) this.#hearOne(reply);
    return replies !== undefined;
  }

  /** A txn has applied. */
  applied(zxid: Zxid, applied: Applied): void {
    const [run] = this.#runs;
    if (run !== undefined) {
      assert(compareZxid(zxid, run.first) <= 0, `the leader has assigned ${formatZxid(run.first)}`);
      if (equalZxid(zxid, run.first)) this.#settleOldest(run, zxid, applied);
    }
    this.#releaseConfirmed();
  }

  /** The learner session is over: nobody knows what becomes of what was asked. */
  end(): void {
    const lost = this.#waiting.slice(this.#head);
    const unconfirmed = [
      ...this.#confirmations.flatMap(({ waiters }) => waiters),
      ...(this.#asked ?? []),
      ...this.#asking,
    ];
    this.#waiting = [];
    this.#head = 0;
    this.#runs = [];
    this.#messages = [];
    this.#inFlight = [];
    this.#gathered = 0;
    this.#confirmations = [];
    this.#asked = undefined;
    this.#asking = [];
    for (const { settle } of lost) settle({ kind: "lost" });
    for (const done of unconfirmed) done(false);
  }

  get #outstanding(): number {
    return this.#waiting.length - this.#head;
  }

  get #hasRoomInFlight(): boolean {
    const hasRoom = this.#sent < inFlightMax && this.#inFlightBytes < inFlightBytesMax;
    return hasRoom && this.#inFlight.length < inFlightMessagesMax;
  }

  #submitted(bytes: number, settle: Settle): void {
    this.#waiting.push({ settle, bytes });
    this.#waitingBytes += bytes;
    this.#gathered += 1;
    if (this.#writer.length >= messageBytesMax) this.#closeMessage();
  }

  #closeMessage(): void {
    if (this.#gathered === 0) return;
    this.#messages.push({ bytes: this.#writer.take(), count: this.#gathered });
    this.#writer = new EntryWriter();
    this.#gathered = 0;
  }

  #send(message: Message): void {
    this.#inFlight.push(message);
    this.#sent += message.count;
    this.#inFlightBytes += message.bytes.length;
    this.#parts.forward(message.bytes, false);
  }

  /** One question at a time; whoever comes meanwhile shares the next. */
  #ask(): void {
    if (this.#asking.length === 0 || this.#asked !== undefined) return;
    this.#lastConfirm += 1;
    this.#asked = this.#asking;
    this.#asking = [];
    const writer = new EntryWriter();
    writer.confirm(this.#lastConfirm);
    this.#parts.forward(writer.take(), false);
  }

  #hearOne(reply: Reply): void {
    if (reply.kind === "assigned") {
      this.#assigned += reply.count;
      assert(this.#assigned <= this.#sent, "the leader assigns zxids to what it was sent");
      this.#runs.push({ first: reply.first, count: reply.count });
      return;
    }
    const waiters = this.#asked;
    assert(waiters !== undefined && reply.id === this.#lastConfirm, "the leader answers what it was asked");
    this.#asked = undefined;
    if (reply.kind === "confirmed") this.#confirmations.push({ index: reply.index, waiters });
    else for (const done of waiters) done(false);
    this.#releaseConfirmed();
  }

  #settleOldest(run: { first: Zxid; count: number }, zxid: Zxid, applied: Applied): void {
    const oldest = this.#waiting[this.#head];
    assert(oldest !== undefined, "what was assigned waits");
    this.#head += 1;
    this.#sent -= 1;
    this.#assigned -= 1;
    this.#waitingBytes -= oldest.bytes;
    this.#countDown();
    if (run.count === 1) this.#runs.shift();
    else {
      run.count -= 1;
      run.first = { epoch: zxid.epoch, counter: zxid.counter + 1 };
    }
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    oldest.settle({ kind: "applied", zxid, applied });
  }

  #countDown(): void {
    const [message] = this.#inFlight;
    assert(message !== undefined && message.count > 0, "what applies was in flight");
    message.count -= 1;
    if (message.count > 0) return;
    this.#inFlight.shift();
    this.#inFlightBytes -= message.bytes.length;
  }

  #releaseConfirmed(): void {
    while (this.#confirmations.length > 0) {
      const [first] = this.#confirmations;
      if (first === undefined || compareZxid(first.index, this.#parts.applied()) > 0) return;
      this.#confirmations.shift();
      for (const done of first.waiters) done(true);
    }
  }
}
