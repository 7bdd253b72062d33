/**
 * Sleep: an ensemble nobody talks to sends nothing and wants no ticks.
 *
 * The leader offers it once nothing has happened for `idleTicks` and all attached learners hold and have
 * committed all of its log. A learner that agrees is asleep at once; the leader follows when all have.
 * A refusal, or anything that happens meanwhile, cancels: the leader's next ping wakes who was asleep.
 * Voters that are not attached are not waited for. With a learner of a version that does not sleep nobody does.
 *
 * Sleep is not agreed on in any way that matters: it changes nothing durable, and to everybody else it looks
 * like a long delay. Memory may survive it or not. A dead leader is discovered by the first member that
 * needs it, at the price of `attachTicks`.
 *
 * Invariants:
 * - Asleep, a peer is an established leader with a fully committed log, or a learner that serves.
 * - What was heard before a sleep is no evidence after it: who wakes counts all limits anew, and a learner
 *   vouches for its leader only once it has heard it again.
 *
 * Sources: ours; quiescence of idle replication groups in CockroachDB and TiKV.
 *
 * @module
 */

import { equalZxid, type ServerId } from "../base/index.ts";
import { ping } from "./confirm-rounds.ts";
import type { LinkLoss } from "./link-types.ts";
import { mayBeUnknown } from "./membership.ts";
import { sleepsAndForwards } from "./packet-versions.ts";
import type { Quiesce, Quiesced } from "./packets.ts";
import {
  type Leading,
  type Learning,
  last,
  type Peer,
  type SleepOffer,
  type Slot,
  send,
} from "./peer-state.ts";
import { hasQuorum } from "./quorum.ts";

/** Something happened that is a reason to stay awake. */
export function stir(peer: Peer): void {
  wake(peer, undefined);
  peer.activeAt = peer.now;
}

/** Ends a sleep. `heard`: the member that did it, by a packet or by its link. */
export function wake(peer: Peer, heard: ServerId | undefined): void {
  if (!peer.asleep) return;
  const { role } = peer;
  peer.asleep = false;
  if (role.kind === "leading") wakeLeader(peer, role);
  else if (role.kind === "learning") wakeLearner(peer, role, heard);
}

function wakeLeader(peer: Peer, leading: Leading): void {
  peer.activeAt = peer.now;
  leading.pingedAt = peer.now;
  leading.toldAt = peer.now - peer.options.initLimitTicks;
  for (const slot of leading.slots.values()) {
    slot.lastHeard = peer.now;
    if (slot.counts) leading.contact.set(slot.id, peer.now);
    ping(peer, leading, slot);
  }
}

function wakeLearner(peer: Peer, learning: Learning, heard: ServerId | undefined): void {
  const { session, epoch, leader } = learning;
  learning.lastHeard = peer.now;
  if (heard !== leader) send(peer, leader, { kind: "wake", session, epoch });
}

/**
 * Whether the end of a link means anything here: asleep, only that of one's leader or of a learner does, and
 * that of a member that has restarted: what it was told last has not reached it.
 */
export function isMissed(peer: Peer, other: ServerId, reason: LinkLoss): boolean {
  const { role, asleep } = peer;
  if (!asleep || role.kind === "looking") return true;
  if (role.kind === "learning") return role.leader === other;
  return role.slots.has(other) || (reason === "restarted" && mayBeUnknown(peer));
}

/** Members that are not attached were told that there is a leader before the last activity, and not since. */
export function owesWord(peer: Peer, { offer, toldAt }: Leading): boolean {
  return offer === undefined && isIdle(peer) && toldAt < peer.activeAt;
}

/** A tick of an established leader: offers sleep, or gives an offer up. True: an offer is under way. */
export function keepOffer(peer: Peer, leading: Leading): boolean {
  const { offer } = leading;
  if (offer === undefined) {
    if (!isIdle(peer) || !isSettled(peer, leading)) return false;
    peer.offers += 1;
    leading.offer = { number: peer.offers, since: peer.now, acceptedBy: new Set() };
    for (const slot of leading.slots.values()) sendOffer(peer, leading, slot, peer.offers);
    sleepIfAccepted(peer, leading, leading.offer);
    return true;
  }
  // Pings wait while an offer is under way, and no longer than they may.
  if (isIdle(peer) && peer.now - offer.since < 2 * peer.options.pingEveryTicks) {
    sleepIfAccepted(peer, leading, offer);
    return true;
  }
  withdraw(peer, leading);
  return false;
}

function sendOffer(peer: Peer, leading: Leading, { id, session }: Slot, number: number): void {
  send(peer, id, { kind: "quiesce", session, epoch: leading.epoch, through: last(peer), number });
}

/** Another one comes after another `idleTicks` at the earliest. */
function withdraw(peer: Peer, leading: Leading): void {
  leading.offer = undefined;
  peer.activeAt = peer.now;
}

export function hearQuiesced(peer: Peer, leading: Leading, slot: Slot, packet: Quiesced): void {
  const { offer } = leading;
  if (offer?.number !== packet.number) return;
  if (!packet.accepted) return withdraw(peer, leading);
  offer.acceptedBy.add(slot.id);
  sleepIfAccepted(peer, leading, offer);
}

function sleepIfAccepted(peer: Peer, leading: Leading, offer: SleepOffer): void {
  if (!isIdle(peer) || !isSettled(peer, leading)) return;
  for (const id of leading.slots.keys()) if (!offer.acceptedBy.has(id)) return;
  leading.offer = undefined;
  peer.asleep = true;
}

/** A learner that sleeps no longer: if it had accepted the offer under way, it does so no more. */
export function hearWake(peer: Peer, leading: Leading, slot: Slot): void {
  if (leading.offer !== undefined) withdraw(peer, leading);
  ping(peer, leading, slot);
}

/** The leader offers sleep. Whoever agrees sleeps: nothing of it waits for an answer. */
export function hearQuiesce(peer: Peer, learning: Learning, packet: Quiesce): void {
  const { session, epoch } = learning;
  const { through, number } = packet;
  const accepted =
    learning.stage === "serving" &&
    isIdle(peer) &&
    equalZxid(through, last(peer)) &&
    equalZxid(through, peer.delivered);
  send(peer, learning.leader, { kind: "quiesced", session, epoch, number, accepted });
  if (!accepted) return;
  peer.asleep = true;
  learning.isUnheard = true;
}

function isIdle(peer: Peer): boolean {
  const { idleTicks } = peer.options;
  return idleTicks !== undefined && peer.now - peer.activeAt >= idleTicks;
}

/** Nothing is under way at the leader, all attached learners are where it is, and with it they are a quorum. */
function isSettled(peer: Peer, leading: Leading): boolean {
  if (!equalZxid(peer.delivered, last(peer)) || leading.round !== undefined || leading.waiting.length > 0)
    return false;
  if (leading.renewSince !== undefined) return false;
  for (const slot of leading.slots.values()) {
    const { stream } = slot;
    if (!slot.served || !sleepsAndForwards(slot.reads) || stream === undefined || stream.inFlight.length > 0)
      return false;
    if (slot.counts && !equalZxid(leading.match.get(slot.id) ?? stream.syncEnd, last(peer))) return false;
    if (!equalZxid(stream.sentThrough, last(peer))) return false;
  }
  // Others might be electing somebody else.
  return hasQuorum(peer.active, (id) => id === peer.id || leading.slots.get(id)?.counts === true);
}
