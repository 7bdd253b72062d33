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
 * Every packet travels in a carrier that names both incarnations, so an association belongs to one pair of
 * them. An end that has not heard its peer yet cannot name it: its first request is empty, and only asks.
 * With a packet in it, a late copy could be taken in by a later incarnation of the peer, as the beginning
 * of an association it is no part of.
 *
 * The ends may run different versions. Each carrier says what its sender reads, so no packet travels to an
 * incarnation that is known not to read it. One that came back with the version before, unnoticed, refuses
 * what it cannot read; so after a failure such packets wait for an answer to an empty request.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import { bytesOf } from "./batch.ts";
import type { Carrier, LinkLoss } from "./link-types.ts";
import { packetVersion, versionOf } from "./packet-versions.ts";
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
  /** What that incarnation has said it reads; 0: none yet. */
  peerReads: number;
  /** Number of the association between this pair of incarnations; grows, and begins with 1. */
  linkNo: number;
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
  /** What the peer reads, as far as it has said. */
  readonly peerReads: number;
}

type Delivery = Omit<Received, "peerReads">;

export function createLink(ends: {
  readonly self: ServerId;
  readonly peer: ServerId;
  /** Of `self`; at least 1. */
  readonly incarnation: number;
}): Link {
  return {
    ...ends,
    peerIncarnation: 0,
    peerReads: 0,
    linkNo: 1,
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
 * packet too, and the peer must be told `linkDown`. So it is with a packet of a session that the peer does
 * not read; one that belongs to no session is only left out.
 */
export function enqueue(link: Link, packet: Packet, lazy: boolean): LinkLoss | undefined {
  if (link.peerIncarnation !== 0 && versionOf(packet) > link.peerReads) {
    return "session" in packet ? giveUp(link) : undefined;
  }
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
  return carry(link, "ok", link.peerIncarnation === 0 || mustAsk(link) ? 0 : link.queue.length);
}

/** Every version reads an empty carrier, and its answer says who is there now and what that one reads. */
function mustAsk({ failures, queue }: Link): boolean {
  return failures > 0 && queue.some(({ packet }) => versionOf(packet) === packetVersion);
}

/**
 * The answer to the request just received. Takes everything queued along, except what a request in flight
 * is about to bring anyway.
 */
export function takeResponse(link: Link): Carrier {
  const { status } = link;
  link.status = "ok";
  const expected = link.inFlight && link.failures === 0 && link.offered > 0;
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
    reads: packetVersion,
  };
}

function payloadBytes(packet: Packet): number {
  switch (packet.kind) {
    case "snapPage":
    case "forward":
    case "answer":
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
  // Before the peer was heard nothing has travelled that could be mistaken.
  startAnew(link, link.peerIncarnation === 0 ? link.linkNo : link.linkNo + 1);
  return "lost";
}

function startAnew(link: Link, linkNo: number): void {
  link.linkNo = linkNo;
  link.queue = [];
  link.firstSeq = 1;
  link.travelled = 0;
  link.offered = 0;
  link.nextRecv = 1;
}

function receive(link: Link, carrier: Carrier): Received {
  const delivery = takeIn(link, carrier);
  return { ...delivery, peerReads: link.peerReads };
}

function takeIn(link: Link, carrier: Carrier): Delivery {
  link.status = "ok";
  if (carrier.fromIncarnation < link.peerIncarnation) return refuse(link, "stale", undefined);
  const linkDown = meet(link, carrier);
  const { toIncarnation } = carrier;
  if (toIncarnation === 0) return { packets: [], linkDown };
  if (toIncarnation !== link.incarnation) return refuse(link, "reset", linkDown);
  if (carrier.linkNo !== link.linkNo) return refuse(link, "stale", linkDown);
  if (carrier.status === "gap") return { packets: [], linkDown: linkDown ?? giveUp(link) };
  if (carrier.status !== "ok") return { packets: [], linkDown };
  return accept(link, carrier, linkDown);
}

function refuse(link: Link, status: "reset" | "stale", linkDown: LinkLoss | undefined): Delivery {
  link.status = status;
  return { packets: [], linkDown };
}

/** Learns the peer's incarnation, and agrees on the association of the pair: the higher number counts. */
function meet(link: Link, carrier: Carrier): LinkLoss | undefined {
  const isOfThisPair = carrier.toIncarnation === link.incarnation;
  if (link.peerIncarnation === 0) {
    link.peerIncarnation = carrier.fromIncarnation;
    link.peerReads = carrier.reads;
    if (isOfThisPair) link.linkNo = carrier.linkNo;
    return leaveOutUnreadable(link);
  }
  if (carrier.fromIncarnation > link.peerIncarnation) {
    link.peerIncarnation = carrier.fromIncarnation;
    link.peerReads = carrier.reads;
    startAnew(link, isOfThisPair ? carrier.linkNo : 1);
    return "restarted";
  }
  // A member that says nothing of it shows what it reads by what it writes.
  link.peerReads = Math.max(link.peerReads, carrier.reads);
  if (!isOfThisPair || carrier.linkNo <= link.linkNo) return undefined;
  startAnew(link, carrier.linkNo);
  return "lost";
}

/** What was queued before it was known who is there. Nothing of it has travelled. */
function leaveOutUnreadable(link: Link): LinkLoss | undefined {
  const unreadable = link.queue.filter(({ packet }) => versionOf(packet) > link.peerReads);
  if (unreadable.some(({ packet }) => "session" in packet)) return giveUp(link);
  if (unreadable.length > 0) link.queue = link.queue.filter((queued) => !unreadable.includes(queued));
  return undefined;
}

function accept(link: Link, carrier: Carrier, linkDown: LinkLoss | undefined): Delivery {
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
