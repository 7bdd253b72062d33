/**
 * Peer links: carries packets to the other members by calls on their objects.
 *
 * One call at a time and peer; what gathers meanwhile goes with the next one, which is group commit on the
 * way between members. Order, duplicates and incarnations are the pure link's affair (`zab/link.ts`); here
 * are calls, their timeouts and their retries.
 *
 * Invariant: an answer counts only while the call it belongs to is the current one of its link. A late one
 * is ignored: what it carried comes again.
 *
 * @module
 */

import { assert, type ServerId } from "../base/index.ts";
import {
  type Carrier,
  createLink,
  enqueue,
  type Link,
  type LinkLoss,
  type LinkReceived,
  type Outgoing,
  receiveRequest,
  receiveResponse,
  remind,
  requestFailed,
  takeRequest,
  takeResponse,
  wantsCall,
} from "../zab/index.ts";
import { decodeCarrier, encodeCarrier, whyUnreadable } from "./packet-codec.ts";
import { backoffTicksMax, callTicksMax } from "./timing.ts";

/** How often packets that travelled in an answer, and were not acknowledged, ask for a call of their own. */
const remindTicks = 5;

/** Calls `exchange` on a member's object. Rejects when the outcome is unknown. */
export type CallPeer = (peer: ServerId, carrier: Uint8Array) => Promise<Uint8Array>;

/** What the shell does with packets that came in an answer, in a turn of their own. */
export type OnAnswer = (peer: ServerId, received: LinkReceived) => void;

interface PeerLink {
  readonly peer: ServerId;
  readonly link: Link;
  /** Number of the current call; late answers carry an older one. */
  call: number;
  /** Tick at which the current call began; `undefined` when none is under way. */
  calledAt: number | undefined;
  failures: number;
  retryAt: number;
}

export class Links {
  readonly #links = new Map<ServerId, PeerLink>();
  readonly #self: ServerId;
  readonly #incarnation: number;
  readonly #callPeer: CallPeer;
  readonly #onAnswer: OnAnswer;
  #tick = 0;
  #unreadable = 0;
  #lastReason: string | undefined;

  constructor(
    self: ServerId,
    incarnation: number,
    io: {
      readonly callPeer: CallPeer;
      readonly onAnswer: OnAnswer;
    },
  ) {
    this.#callPeer = io.callPeer;
    this.#onAnswer = io.onAnswer;
    this.#self = self;
    this.#incarnation = incarnation;
  }

  /** One for every server that ever called or was called: members come and go, and outsiders ask who they are. */
  #entryOf(peer: ServerId): PeerLink {
    const known = this.#links.get(peer);
    if (known !== undefined) return known;
    const link = createLink({ self: this.#self, peer, incarnation: this.#incarnation });
    const entry = { peer, link, call: 0, calledAt: undefined, failures: 0, retryAt: 0 };
    this.#links.set(peer, entry);
    return entry;
  }

  /** A call is under way. */
  get isBusy(): boolean {
    for (const { calledAt } of this.#links.values()) if (calledAt !== undefined) return true;
    return false;
  }

  /** Carriers refused since the start, because they could not be read. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** Queues a packet; `lost` when the peer does not listen and everything queued for it was dropped. */
  post(outgoing: Outgoing): LinkLoss | undefined {
    assert(outgoing.to !== this.#self, "nobody calls itself");
    return enqueue(this.#entryOf(outgoing.to).link, outgoing.packet, outgoing.lazy);
  }

  /**
   * Takes a carrier that a peer's call brought.
   *
   * `undefined` when it is not for us or unreadable: nothing was delivered. Call `answer` once what was
   * delivered has been carried out: it holds what is to go back.
   */
  receive(bytes: Uint8Array, self: ServerId): { peer: ServerId; received: LinkReceived } | undefined {
    const carrier = this.#decode(bytes, "a call");
    if (carrier === undefined || carrier.to !== self) return undefined;
    if (carrier.from === self) return undefined;
    const entry = this.#entryOf(carrier.from);
    return { peer: entry.peer, received: receiveRequest(entry.link, carrier) };
  }

  answer(peer: ServerId): Uint8Array {
    const entry = this.#links.get(peer);
    assert(entry !== undefined, "only a peer is answered");
    return encodeCarrier(takeResponse(entry.link));
  }

  /** A tick has passed: gives up calls that hang, and reminds of what an answer carried without effect. */
  tick(): void {
    this.#tick += 1;
    for (const entry of this.#links.values()) {
      if (entry.calledAt !== undefined && this.#tick - entry.calledAt >= callTicksMax) this.#fail(entry);
      if (this.#tick % remindTicks === 0) remind(entry.link);
    }
  }

  /** Starts the calls that are due. `includeLazy`: also for packets that only wait for company. */
  flush(includeLazy: boolean): void {
    for (const entry of this.#links.values()) {
      if (entry.calledAt !== undefined || this.#tick < entry.retryAt) continue;
      const wish = wantsCall(entry.link);
      if (wish === "no" || (wish === "soon" && !includeLazy)) continue;
      const carrier = takeRequest(entry.link);
      if (carrier !== undefined) this.#call(entry, carrier);
    }
  }

  #call(entry: PeerLink, carrier: Carrier): void {
    entry.call += 1;
    entry.calledAt = this.#tick;
    const call = entry.call;
    this.#callPeer(entry.peer, encodeCarrier(carrier))
      .then(
        (bytes) => this.#answered(entry, call, bytes),
        () => {
          if (entry.call === call && entry.calledAt !== undefined) this.#fail(entry);
        },
      )
      // A broken invariant has aborted the object already; nobody is left to tell.
      .catch(() => undefined);
  }

  #answered(entry: PeerLink, call: number, bytes: Uint8Array): void {
    if (entry.call !== call || entry.calledAt === undefined) return;
    const carrier = this.#decode(bytes, `the answer of server ${entry.peer}`);
    if (carrier === undefined || carrier.from !== entry.peer) return this.#fail(entry);
    entry.calledAt = undefined;
    entry.failures = 0;
    this.#onAnswer(entry.peer, receiveResponse(entry.link, carrier));
  }

  #decode(bytes: Uint8Array, what: string): Carrier | undefined {
    const carrier = decodeCarrier(bytes);
    if (carrier !== undefined) return carrier;
    this.#unreadable += 1;
    // A member that is behind calls again and again: each reason in a row is said once.
    const reason = `${what}: ${whyUnreadable(bytes)}`;
    if (reason !== this.#lastReason) console.warn(`Refused ${reason}`);
    this.#lastReason = reason;
    return undefined;
  }

  #fail(entry: PeerLink): void {
    entry.calledAt = undefined;
    entry.call += 1;
    entry.failures += 1;
    entry.retryAt = this.#tick + Math.min(2 ** entry.failures, backoffTicksMax);
    requestFailed(entry.link);
  }
}
