/**
 * One end of a link: a gap-free, first-in first-out channel to one other member.
 *
 * Calls may fail, repeat or arrive late, and either end may restart. A failed call says nothing about
 * delivery: the queue is kept and sent again, and sequence numbers drop what arrives twice. When an end
 * gives up it takes a higher association number, which the other end adopts; that is how both agree to
 * forget. Packets travel in whichever carrier comes first, a request or the answer to the peer's.
 *
 * Guarantees:
 * - L1: what is received between two `linkDown`s is a gap-free prefix, in order, of what the peer queued
 *   on that association.
 * - L2: after `linkDown` nothing of the old association is delivered any more.
 * - L3 (a warning): the two ends see `linkDown` at different times, or only one of them does.
 *
 * An end that has not heard its peer yet cannot name the peer's incarnation; such an unbound carrier may
 * be a late copy meant for an earlier one. Hence: an end never uses an association number twice, whatever
 * the peer's incarnation was, and takes unbound packets only under the number by which the peer
 * introduced itself.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import { bytesOf } from "./batch.ts";
import type { Carrier, LinkLoss } from "./link-types.ts";
import type { Packet } from "./packets.ts";

/** Unacknowledged packets of one link; more than this and the peer is not listening. */
export const queuePacketsMax = 2048;
/** Packets of one carrier. */
export const carrierPacketsMax = 256;
/** Payload bytes after which a carrier takes no further packet. */
export const carrierBytesMax = 4 * 1024 * 1024;

interface Queued {
  readonly packet: Packet;
  readonly lazy: boolean;
}

/** Opaque outside this file. */
export interface Link {
  readonly self: ServerId;
  readonly peer: ServerId;
  readonly incarnation: number;
  /** Highest incarnation heard; 0: none yet. */
  peerIncarnation: number;
  /** Never decreases, never used for two associations. */
  linkNo: number;
  /** The number an unbound peer used before it learnt `linkNo`; 0: none. */
  alias: number;
  /** Not yet acknowledged. */
  queue: Queued[];
  /** Sequence number of `queue[0]`. */
  firstSeq: number;
  /** So many of the queue have travelled: their numbers are fixed. */
  travelled: number;
  /** So many of the queue travelled since the last failure and need no call of their own. */
  offered: number;
  nextRecv: number;
  inFlight: boolean;
  /** Failed requests in a row. */
  failures: number;
  /** What the answer to the request just received must say. */
  status: Carrier["status"];
}

/** What came out of a carrier. `linkDown` comes before `packets`. */
export interface Received {
  readonly packets: readonly Packet[];
  readonly linkDown: LinkLoss | undefined;
}

export function createLink(ends: {
  readonly self: ServerId;
  readonly peer: ServerId;
  /** Of `self`; at least 1. */
  readonly incarnation: number;
}): Link {
  return {
    ...ends,
    peerIncarnation: 0,
    linkNo: 1,
    alias: 0,
    queue: [],
    firstSeq: 1,
    travelled: 0,
    offered: 0,
    nextRecv: 1,
    inFlight: false,
    failures: 0,
    status: "ok",
  };
}

/**
 * Queues a packet. `lazy` ones wait for company.
 *
 * A later packet replaces the last one in the queue when it says everything that one said and the earlier
 * one has not travelled. Returns `"lost"` when the queue was full: then everything queued is gone, this
 * packet too, and the peer must be told `linkDown`.
 */
export function enqueue(link: Link, packet: Packet, lazy: boolean): LinkLoss | undefined {
  if (link.queue.length >= queuePacketsMax) return giveUp(link);
  const tail = link.queue.at(-1);
  if (tail !== undefined && link.queue.length > link.travelled && supersedes(packet, tail.packet)) {
    link.queue[link.queue.length - 1] = { packet, lazy: lazy && tail.lazy };
    return undefined;
  }
  // A vote is worth nothing once there is a newer one, wherever it waits: a member that comes back must
  // not be told the history of an election. Moving it back past others is harmless.
  if (packet.kind === "notify") dropWaitingNotify(link);
  link.queue.push({ packet, lazy });
  return undefined;
}

function supersedes(packet: Packet, earlier: Packet): boolean {
  switch (earlier.kind) {
    case "notify":
      return packet.kind === "notify";
    case "commit":
      return (
        (packet.kind === "commit" || packet.kind === "propose" || packet.kind === "ping") &&
        sameSession(packet.session, earlier.session)
      );
    case "ack":
      return packet.kind === "ack" && sameSession(packet.session, earlier.session);
    case "received":
      return packet.kind === "received" && sameSession(packet.session, earlier.session);
    default:
      return false;
  }
}

interface SessionName {
  readonly incarnation: number;
  readonly attempt: number;
}

function sameSession(a: SessionName, b: SessionName): boolean {
  return a.incarnation === b.incarnation && a.attempt === b.attempt;
}

function dropWaitingNotify(link: Link): void {
  for (let i = link.queue.length - 1; i >= link.travelled; i--) {
    if (link.queue[i]?.packet.kind !== "notify") continue;
    link.queue.splice(i, 1);
    return;
  }
}

/** `now`: something wants to leave at once. `soon`: only lazy packets wait. `no`: nothing does, or a call is out. */
export function wantsCall(link: Link): "now" | "soon" | "no" {
  if (link.inFlight || link.queue.length <= link.offered) return "no";
  for (let i = link.offered; i < link.queue.length; i++) if (link.queue[i]?.lazy === false) return "now";
  return "soon";
}

/** Nothing is queued and nothing is under way. */
export function isIdle(link: Link): boolean {
  return !link.inFlight && link.queue.length === 0;
}

/**
 * Makes what travelled in an answer, and was not acknowledged since, want a call again. For a slow timer:
 * normally the peer repeats its request when it misses the answer.
 */
export function remind(link: Link): void {
  link.offered = 0;
}

/** The next request, if there is something to send and none is in flight. */
export function takeRequest(link: Link): Carrier | undefined {
  if (link.inFlight || link.queue.length === 0) return undefined;
  link.inFlight = true;
  return carry(link, "ok", link.queue.length);
}

/**
 * The answer to the request just received. Takes everything queued along, except what a request in flight
 * is about to bring anyway.
 */
export function takeResponse(link: Link): Carrier {
  const { status } = link;
  link.status = "ok";
  const expected = link.inFlight && link.failures === 0;
  return carry(link, status, status === "ok" && !expected ? link.queue.length : 0);
}

function carry(link: Link, status: Carrier["status"], packetsMax: number): Carrier {
  const packets: Packet[] = [];
  let bytes = 0;
  for (const { packet } of link.queue) {
    if (packets.length >= packetsMax || packets.length >= carrierPacketsMax || bytes >= carrierBytesMax)
      break;
    packets.push(packet);
    bytes += payloadBytes(packet);
  }
  link.travelled = Math.max(link.travelled, packets.length);
  link.offered = Math.max(link.offered, packets.length);
  return {
    from: link.self,
    to: link.peer,
    fromIncarnation: link.incarnation,
    toIncarnation: link.peerIncarnation,
    linkNo: link.linkNo,
    firstSeq: link.firstSeq,
    packets,
    ackSeq: link.nextRecv - 1,
    status,
  };
}

function payloadBytes(packet: Packet): number {
  switch (packet.kind) {
    case "snapPage":
      return packet.bytes.length;
    case "entries":
    case "propose":
    case "inform":
      return bytesOf(packet.batch);
    default:
      return 0;
  }
}

/** Takes in a request of the peer; `takeResponse` answers it. */
export function receiveRequest(link: Link, carrier: Carrier): Received {
  return receive(link, carrier);
}

/** Takes in the answer to our request. */
export function receiveResponse(link: Link, carrier: Carrier): Received {
  link.inFlight = false;
  link.failures = 0;
  link.offered = 0;
  const received = receive(link, carrier);
  link.status = "ok";
  return received;
}

/** The request failed: delivered or not, nobody knows. Its packets stay queued. */
export function requestFailed(link: Link): void {
  link.inFlight = false;
  link.failures += 1;
  link.offered = 0;
}

/** Drops everything queued and starts a new association. The caller reports the loss as `linkDown`. */
export function giveUp(link: Link): LinkLoss {
  startAnew(link, link.linkNo + 1);
  return "lost";
}

function startAnew(link: Link, linkNo: number): void {
  link.linkNo = linkNo;
  link.alias = 0;
  link.queue = [];
  link.firstSeq = 1;
  link.travelled = 0;
  link.offered = 0;
  link.nextRecv = 1;
}

function receive(link: Link, carrier: Carrier): Received {
  if (carrier.toIncarnation !== 0 && carrier.toIncarnation !== link.incarnation) return reset(link, carrier);
  if (carrier.fromIncarnation < link.peerIncarnation) return refuse(link, "stale");
  const linkDown = meet(link, carrier);
  if (carrier.linkNo !== link.linkNo && !isUnderAlias(link, carrier)) {
    return { ...refuse(link, "stale"), linkDown };
  }
  link.status = "ok";
  if (carrier.status === "gap") return { packets: [], linkDown: linkDown ?? giveUp(link) };
  if (carrier.status !== "ok") return { packets: [], linkDown };
  return accept(link, carrier, linkDown);
}

/**
 * A carrier for an earlier incarnation of mine delivers nothing. That its sender lives is the truth all the
 * same: two ends that each had heard an earlier incarnation of the other would otherwise reset each other
 * for ever.
 */
function reset(link: Link, carrier: Carrier): Received {
  const isNews = link.peerIncarnation !== 0 && carrier.fromIncarnation > link.peerIncarnation;
  const linkDown = isNews ? meet(link, carrier) : undefined;
  return { ...refuse(link, "reset"), linkDown };
}

function refuse(link: Link, status: "reset" | "stale"): Received {
  link.status = status;
  return { packets: [], linkDown: undefined };
}

/** An unbound peer that has not read our number yet: its packets belong to the present association. */
function isUnderAlias(link: Link, carrier: Carrier): boolean {
  return carrier.toIncarnation === 0 && link.alias !== 0 && carrier.linkNo === link.alias;
}

/** Agrees on the association: adopts the higher number, and notices a restarted peer. */
function meet(link: Link, carrier: Carrier): LinkLoss | undefined {
  const unbound = carrier.toIncarnation === 0;
  if (link.peerIncarnation === 0) {
    // Nothing was heard, so nothing was acknowledged: the whole queue is still here and only its label
    // changes.
    link.peerIncarnation = carrier.fromIncarnation;
    link.linkNo = Math.max(link.linkNo, carrier.linkNo);
    link.alias = unbound ? carrier.linkNo : 0;
    return undefined;
  }
  if (carrier.fromIncarnation > link.peerIncarnation) {
    link.peerIncarnation = carrier.fromIncarnation;
    startAnew(link, Math.max(link.linkNo + 1, carrier.linkNo));
    link.alias = unbound ? carrier.linkNo : 0;
    return "restarted";
  }
  if (carrier.linkNo > link.linkNo) {
    startAnew(link, carrier.linkNo);
    return "lost";
  }
  return undefined;
}

function accept(link: Link, carrier: Carrier, linkDown: LinkLoss | undefined): Received {
  if (carrier.firstSeq > link.nextRecv) {
    link.status = "gap";
    return { packets: [], linkDown };
  }
  const seen = link.nextRecv - carrier.firstSeq;
  const packets = seen === 0 ? carrier.packets : carrier.packets.slice(seen);
  link.nextRecv += packets.length;
  const acked = Math.min(carrier.ackSeq - link.firstSeq + 1, link.travelled);
  if (acked > 0) {
    link.queue.splice(0, acked);
    link.firstSeq += acked;
    link.travelled -= acked;
    link.offered = Math.max(0, link.offered - acked);
  }
  return { packets, linkDown };
}
