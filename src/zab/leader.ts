/**
 * A leader's desk: which packet goes where, what time brings, and how leadership ends.
 *
 * Invariant: a learner's packet counts only under the session and the epoch on record; leftovers of an
 * abandoned attachment change nothing.
 *
 * Sources: ZooKeeper `Leader.lead`, `LearnerHandler.run`.
 *
 * @module
 */

import { equalZxid, type ServerId, ZERO_ZXID } from "../base/index.ts";
import { commitReached, hearAck, hearAckLeader } from "./broadcast.ts";
import { finishRound, hearPong, ping, rejectReads } from "./confirm-rounds.ts";
import { askForPromise, chooseEpochIfQuorum, hearAckEpoch, hearCEpoch, memberIsAhead } from "./discovery.ts";
import { answer, ownNotify } from "./election.ts";
import { hearForward } from "./forwarding.ts";
import type { LinkLoss } from "./link-types.ts";
import { mayBeUnknown, mayCount } from "./membership.ts";
import type {
  Ack,
  AckEpoch,
  AckLeader,
  Forward,
  Notify,
  Packet,
  Pong,
  Quiesced,
  Received,
  Refuse,
  Vote,
  Wake,
} from "./packets.ts";
import {
  attachTicks,
  isVoterId,
  type Leading,
  last,
  type Peer,
  penalize,
  type Slot,
  sameSession,
  send,
  turnTo,
} from "./peer-state.ts";
import { hasQuorum } from "./quorum.ts";
import { hearQuiesced, hearWake, keepOffer, owesWord } from "./sleep.ts";
import { solicit, solicitAgain } from "./solicit.ts";
import { arrived, endSession, pump } from "./stream.ts";

export function startLeading(peer: Peer, vote: Vote): void {
  const leading = newLeading(peer, {
    vote,
    phase: "discovery",
    epoch: 0,
    ihEnd: ZERO_ZXID,
    isResumed: false,
  });
  peer.role = leading;
  chooseEpochIfQuorum(peer, leading);
}

export function newLeading(
  peer: Peer,
  start: Pick<Leading, "vote" | "phase" | "epoch" | "ihEnd" | "isResumed">,
): Leading {
  peer.activeAt = peer.now;
  return {
    kind: "leading",
    ...start,
    since: peer.now,
    slots: new Map(),
    match: new Map(),
    contact: new Map(),
    deserters: new Set(),
    forgetful: new Set(),
    fitterSince: undefined,
    pingedAt: peer.now,
    toldAt: peer.now - peer.options.initLimitTicks,
    round: undefined,
    waiting: [],
    renewSince: undefined,
    solicitAt: peer.now,
    offer: undefined,
  };
}

/** Everything volatile goes at once; learners are told, so that they need not wait for silence. */
export function stopLeading(peer: Peer, leading: Leading): void {
  rejectReads(peer, leading);
  for (const slot of [...leading.slots.values()]) endSession(peer, leading, slot, "notLeading");
}

/**
 * Another configuration governs, or two do. Those who are no longer members leave; what was committed last
 * is queued for them already. New voters count from here on. A leader that is no voter has committed its
 * own departure, and commits nothing after it.
 */
export function leaderReconfigured(peer: Peer, leading: Leading): void {
  if (!peer.isVoter) {
    turnTo(peer, { kind: "look" });
    return;
  }
  forgetFormerVoters(peer, leading);
  for (const slot of [...leading.slots.values()]) {
    if (!peer.others.includes(slot.id)) endSession(peer, leading, slot, "notLeading");
    else slot.counts = mayCount(peer, slot.id, slot.storageId) && !leading.forgetful.has(slot.id);
  }
  if (leading.phase !== "broadcast") return;
  if (peer.pending === undefined) tellAbsent(peer, leading);
  commitReached(peer, leading);
  if (leading.round !== undefined) finishRound(peer, leading, leading.round);
  for (const slot of leading.slots.values()) {
    askForPromise(peer, leading, slot);
    pump(peer, leading, slot);
  }
}

/**
 * Whoever votes again later may do so with another storage: what it acknowledged before is no evidence then, and
 * what it forgot before no reproach. The quorum that made it no voter had promised nobody a later epoch.
 */
function forgetFormerVoters(peer: Peer, leading: Leading): void {
  for (const id of leading.match.keys()) if (!isVoterId(peer, id)) leading.match.delete(id);
  for (const id of leading.forgetful) if (!isVoterId(peer, id)) leading.forgetful.delete(id);
}

/** A member that was just added does not know that it is one, and one that sleeps not that it is missed. */
function tellAbsent(peer: Peer, leading: Leading): void {
  leading.toldAt = peer.now;
  // It vouches for nothing, so it needs no fence.
  const notify = { ...ownNotify(peer, false), confirmed: false };
  for (const id of peer.others) if (!leading.slots.has(id)) send(peer, id, notify);
}

export function leaderHears(peer: Peer, leading: Leading, from: ServerId, packet: Packet): void {
  switch (packet.kind) {
    case "notify":
      hearNotify(peer, leading, from, packet);
      return;
    case "cepoch":
      hearCEpoch(peer, leading, from, packet);
      break;
    case "ackEpoch":
    case "ackLeader":
    case "ack":
    case "received":
    case "pong":
    case "forward":
    case "refuse":
    case "quiesced":
    case "wake":
      hearLearner(peer, leading, from, packet);
      break;
    case "decline":
      // Promised to somebody else, or ahead: either way it joins a later epoch only.
      if (packet.epoch === leading.epoch && isVoterId(peer, from) && !leading.forgetful.has(from))
        memberIsAhead(peer, leading, packet.acceptedEpoch);
      break;
    default:
      // Meant for learners: leftovers of an earlier role.
      return;
  }
  admitObservers(peer, leading);
}

function hearLearner(
  peer: Peer,
  leading: Leading,
  from: ServerId,
  packet: AckEpoch | AckLeader | Ack | Received | Pong | Forward | Refuse | Quiesced | Wake,
): void {
  const slot = leading.slots.get(from);
  if (slot === undefined || !sameSession(slot.session, packet.session)) return;
  if (packet.kind === "refuse") {
    endSession(peer, leading, slot, undefined);
    const isAhead = packet.reason === "epoch" && packet.acceptedEpoch >= leading.epoch;
    if (isAhead && leading.epoch > 0 && !leading.forgetful.has(from))
      memberIsAhead(peer, leading, packet.acceptedEpoch);
    return;
  }
  if (packet.epoch !== leading.epoch) return;
  slot.lastHeard = peer.now;
  leading.contact.set(from, peer.now);
  switch (packet.kind) {
    case "ackEpoch":
      return hearAckEpoch(peer, leading, slot, packet);
    case "ackLeader":
      return hearAckLeader(peer, leading, slot, packet);
    case "ack":
      return hearAck(peer, leading, slot, packet);
    case "received":
      // The limit is for those who get nowhere: a long history may take longer than that to arrive.
      if (
        slot.stream !== undefined &&
        arrived(slot.stream, packet.through, packet.pages) &&
        leading.phase === "synchronization"
      ) {
        leading.since = peer.now;
      }
      return pump(peer, leading, slot);
    case "pong":
      return hearPong(peer, leading, slot, packet);
    case "quiesced":
      return hearQuiesced(peer, leading, slot, packet);
    case "wake":
      return hearWake(peer, leading, slot);
    case "forward":
      return hearForward(peer, leading, slot, packet);
  }
}

/** Observers have waited for the leader to be established. */
function admitObservers(peer: Peer, leading: Leading): void {
  if (leading.phase !== "broadcast" || peer.turn !== undefined) return;
  for (const slot of leading.slots.values()) if (!slot.asked) askForPromise(peer, leading, slot);
}

/** Somebody looks: it is told where I stand. If it was my learner, it is no longer. */
function hearNotify(peer: Peer, leading: Leading, from: ServerId, notify: Notify): void {
  if (notify.state !== "looking") return;
  answer(peer, from);
  const slot = leading.slots.get(from);
  if (slot !== undefined) endSession(peer, leading, slot, undefined);
  if (leading.phase === "broadcast" || !isVoterId(peer, from)) return;
  if (leading.isResumed) {
    // It looks because I was gone. It has not voted for me, and deserts nobody.
    solicit(peer, leading, from);
    return;
  }
  // One that votes for nobody does not know yet that it has a vote, or whom to give it.
  if (notify.vote.leader === 0) return;
  const changedItsMind =
    notify.round > peer.round || (notify.round === peer.round && notify.vote.leader !== peer.id);
  if (!changedItsMind) return;
  leading.deserters.add(from);
  // Not worth waiting for the limit when those who are left make no quorum.
  if (!hasQuorum(peer.active, (id) => !leading.deserters.has(id))) turnTo(peer, { kind: "look" });
}

export function leaderLinkDown(peer: Peer, leading: Leading, from: ServerId, reason: LinkLoss): void {
  const slot = leading.slots.get(from);
  if (slot !== undefined) endSession(peer, leading, slot, reason === "restarted" ? undefined : "outOfOrder");
  // What it was told went to its former incarnation.
  else if (reason === "restarted" && leading.phase === "broadcast" && mayBeUnknown(peer))
    tellAbsent(peer, leading);
}

export function tickLeading(peer: Peer, leading: Leading): void {
  if (leading.phase !== "broadcast") {
    if (peer.now - leading.since >= peer.options.initLimitTicks) penalize(peer, peer.id);
    else if (leading.phase !== "discovery" || !hasWaitedForFitter(peer, leading)) {
      if (leading.isResumed) solicitAgain(peer, leading);
      keepSessions(peer, leading);
      return pingWhenDue(peer, leading);
    }
    turnTo(peer, { kind: "look" });
    return;
  }
  if (!isInContact(peer, leading) || wantsNewEpoch(peer, leading)) {
    turnTo(peer, { kind: "look" });
    return;
  }
  admitObservers(peer, leading);
  keepSessions(peer, leading);
  const isDue = mayBeUnknown(peer) && peer.now - leading.toldAt >= peer.options.initLimitTicks;
  if (isDue || owesWord(peer, leading)) tellAbsent(peer, leading);
  if (!keepOffer(peer, leading)) pingWhenDue(peer, leading);
}

/** The others had their time to make a quorum without the voter that has the better history. */
function hasWaitedForFitter(peer: Peer, leading: Leading): boolean {
  return leading.fitterSince !== undefined && peer.now - leading.fitterSince >= attachTicks(peer.options);
}

function keepSessions(peer: Peer, leading: Leading): void {
  for (const slot of [...leading.slots.values()]) {
    if (isSilent(peer, slot)) {
      endSession(peer, leading, slot, "outOfOrder");
      leading.toldAt = peer.now - peer.options.initLimitTicks;
    } else pump(peer, leading, slot);
  }
}

function pingWhenDue(peer: Peer, leading: Leading): void {
  if (peer.now - leading.pingedAt < peer.options.pingEveryTicks) return;
  leading.pingedAt = peer.now;
  for (const slot of leading.slots.values()) if (slot.asked) ping(peer, leading, slot);
}

/** Answers nothing, or answers pings but does not log. */
function isSilent(peer: Peer, slot: Slot): boolean {
  if (!slot.asked) return false;
  const limit = peer.options.syncLimitTicks;
  const oldest = slot.stream?.inFlight[0];
  return peer.now - slot.lastHeard > limit || (oldest !== undefined && peer.now - oldest.sentAt > limit);
}

function isInContact(peer: Peer, leading: Leading): boolean {
  return hasQuorum(peer.active, (id) => {
    if (id === peer.id) return true;
    const at = leading.contact.get(id);
    return at !== undefined && peer.now - at <= peer.options.syncLimitTicks;
  });
}

/**
 * For a voter that is ahead, or because counters run out: at a quiet moment, and for the voter after a
 * while even under load.
 */
function wantsNewEpoch(peer: Peer, leading: Leading): boolean {
  const { renewSince } = leading;
  const { initLimitTicks, syncLimitTicks } = peer.options;
  const isQuiet =
    equalZxid(peer.delivered, last(peer)) && leading.round === undefined && leading.waiting.length === 0;
  if (isQuiet && isNearlyExhausted(peer, leading)) return true;
  if (renewSince === undefined || peer.now - leading.since < initLimitTicks) return false;
  return isQuiet || peer.now - Math.max(renewSince, leading.since + initLimitTicks) > syncLimitTicks;
}

function isNearlyExhausted(peer: Peer, leading: Leading): boolean {
  const { counterMax } = peer.options;
  const reserve = Math.min(2 ** 20, Math.floor(counterMax / 4));
  return last(peer).epoch === leading.epoch && last(peer).counter > counterMax - reserve;
}
