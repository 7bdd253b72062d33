/**
 * A learner's side: promising the leader's epoch, following it, and leaving it.
 *
 * Trouble with the order of packets is a reason to attach again under a new session, not for an election.
 * Silence, a restarted leader, or one that says it does not lead, is a reason for an election.
 *
 * Invariants:
 * - A promise is durable before it is told, and binds: nothing of a lower epoch is acknowledged after it.
 * - An epoch is promised to one leader; told to that one again, it is repeated.
 * - Nothing is delivered before UPTODATE, nor beyond the commit bound, nor beyond the log.
 *
 * Sources: Junqueira, Reed and Serafini, "Zab", DSN 2011; ZooKeeper `Learner`, `Follower.followLeader`.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import { answer } from "./election.ts";
import { hearAnswer } from "./forwarding.ts";
import { attach, commitThrough, giveLeaderUp, reattach } from "./learner-session.ts";
import { hearEntries, hearInform, hearNewLeader, hearPage, hearPropose, hearSync } from "./learner-sync.ts";
import type { LinkLoss } from "./link-types.ts";
import { sleepsAndForwards } from "./packet-versions.ts";
import type { NewEpoch, Notify, Packet, Ping, Refuse, UpToDate } from "./packets.ts";
import {
  attachTicks,
  fence,
  type Learning,
  last,
  type Peer,
  promise,
  sameSession,
  send,
  serve,
  turnTo,
} from "./peer-state.ts";
import { hearQuiesce } from "./sleep.ts";

export function learnerHears(peer: Peer, learning: Learning, from: ServerId, packet: Packet): void {
  if (packet.kind === "notify") {
    hearNotify(peer, learning, from, packet);
    return;
  }
  if (packet.kind === "cepoch") {
    const { session } = packet;
    const { acceptedEpoch } = peer.promises;
    send(peer, from, { kind: "refuse", session, reason: "notLeading", acceptedEpoch });
    return;
  }
  // Leftovers of another session, or meant for a leader, or from somebody who is not mine.
  if (packet.kind === "solicit" || packet.kind === "decline") return;
  if (from !== learning.leader || !sameSession(packet.session, learning.session)) return;
  if (packet.kind === "refuse") {
    hearRefuse(peer, learning, packet);
    return;
  }
  if (packet.kind === "newEpoch") {
    hearNewEpoch(peer, learning, packet);
    return;
  }
  if (learning.stage === "attaching" || packet.epoch !== learning.epoch) {
    reattach(peer, learning);
    return;
  }
  learning.lastHeard = peer.now;
  learning.isUnheard = false;
  hearLeader(peer, learning, packet);
  if (learning.askers.size > 0 && !learning.isUnheard) tellAskers(peer, learning);
}

/**
 * Whoever looks asks again only after a while, and by then the ensemble may sleep once more: so it is told
 * as soon as there is something to vouch for.
 */
function tellAskers(peer: Peer, learning: Learning): void {
  for (const id of learning.askers) answer(peer, id);
  learning.askers.clear();
}

function hearLeader(peer: Peer, learning: Learning, packet: Packet): void {
  switch (packet.kind) {
    case "sync":
      return hearSync(peer, learning, packet);
    case "snapPage":
      return hearPage(peer, learning, packet);
    case "entries":
      return hearEntries(peer, learning, packet);
    case "newLeader":
      return hearNewLeader(peer, learning, packet);
    case "upToDate":
      return hearUpToDate(peer, learning, packet);
    case "propose":
      return hearPropose(peer, learning, packet);
    case "inform":
      return hearInform(peer, learning, packet);
    case "commit":
      return commitThrough(peer, learning, packet.commitTo);
    case "ping":
      return hearPing(peer, learning, packet);
    case "quiesce":
      return hearQuiesce(peer, learning, packet);
    case "answer":
      return hearAnswer(peer, packet);
    default:
      return;
  }
}

function hearNewEpoch(peer: Peer, learning: Learning, packet: NewEpoch): void {
  if (learning.stage !== "attaching") {
    reattach(peer, learning);
    return;
  }
  const { acceptedEpoch, acceptedLeader } = peer.promises;
  const isRepeated = packet.epoch === acceptedEpoch && acceptedLeader === learning.leader;
  if (packet.epoch <= acceptedEpoch && !isRepeated) {
    const { session } = learning;
    send(peer, learning.leader, { kind: "refuse", session, reason: "epoch", acceptedEpoch });
    giveLeaderUp(peer, learning);
    return;
  }
  if (!isRepeated) promise(peer, { acceptedEpoch: packet.epoch, acceptedLeader: learning.leader });
  learning.stage = "promised";
  learning.epoch = packet.epoch;
  learning.lastHeard = peer.now;
  send(peer, learning.leader, {
    kind: "ackEpoch",
    session: learning.session,
    epoch: packet.epoch,
    currentEpoch: peer.promises.currentEpoch,
    outline: peer.history.outline,
    delivered: peer.delivered,
  });
}

function hearUpToDate(peer: Peer, learning: Learning, packet: UpToDate): void {
  if (learning.stage !== "joined") {
    reattach(peer, learning);
    return;
  }
  learning.stage = "serving";
  learning.attaches = 0;
  learning.isHinted = false;
  learning.leaderReads = peer.senderReads;
  peer.penalties.clear();
  commitThrough(peer, learning, packet.commitTo);
  serveLearning(peer, learning);
}

/** A leader that answers nothing that is forwarded leaves a learner nothing to do for clients: they are sent to it. */
function serveLearning(peer: Peer, learning: Learning): void {
  if (!sleepsAndForwards(learning.leaderReads)) return;
  const kind = peer.isVoter ? "following" : "observing";
  serve(peer, { kind, epoch: learning.epoch, leader: learning.leader });
}

/** Another configuration: the leader may be the same, and says so itself when it is not. */
export function learnerReconfigured(peer: Peer, learning: Learning): void {
  if (!peer.others.includes(learning.leader)) turnTo(peer, { kind: "look" });
  else if (learning.stage === "serving") serveLearning(peer, learning);
}

/** In a continuation the answer asserts authority from memory, so a fence goes with it. */
function hearPing(peer: Peer, learning: Learning, packet: Ping): void {
  const { session, epoch } = learning;
  const { confirmRound } = packet;
  if (confirmRound !== 0 && !peer.fresh) fence(peer);
  send(peer, learning.leader, { kind: "pong", session, epoch, through: last(peer), confirmRound });
  commitThrough(peer, learning, packet.commitTo);
}

function hearRefuse(peer: Peer, learning: Learning, packet: Refuse): void {
  switch (packet.reason) {
    case "epoch":
      // It will take a later epoch when it can, and then I can join.
      giveLeaderUp(peer, learning);
      break;
    case "notLeading":
      // It may decide a little later than I did. One that was only remembered has nothing to decide.
      if (learning.stage === "attaching" && !learning.isHinted) reattach(peer, learning);
      else turnTo(peer, { kind: "look" });
      break;
    case "outOfOrder":
    case "damaged":
      reattach(peer, learning);
      break;
  }
}

function hearNotify(peer: Peer, learning: Learning, from: ServerId, notify: Notify): void {
  if (from === learning.leader) {
    if (notify.state === "leading") learning.leaderKnown = true;
    else if (notify.state !== "looking" || learning.stage !== "attaching" || learning.isHinted) {
      // It led, in this session or when memory was lost, and does so no longer.
      turnTo(peer, { kind: "look" });
      return;
    }
  }
  if (notify.state !== "looking") return;
  answer(peer, from);
  if (learning.isUnheard) learning.askers.add(from);
}

export function tickLearning(peer: Peer, learning: Learning): void {
  if (learning.stage !== "attaching") {
    const limit = learning.isUnheard ? attachTicks(peer.options) : peer.options.syncLimitTicks;
    if (peer.now - learning.lastHeard > limit) turnTo(peer, { kind: "look" });
  } else if (learning.attachAt !== undefined) {
    if (learning.attachBy !== undefined && learning.attachBy <= peer.now) giveLeaderUp(peer, learning);
    else if (learning.attachAt <= peer.now) attach(peer, learning);
  } else if (!learning.leaderKnown && learning.attachBy !== undefined && learning.attachBy <= peer.now) {
    giveLeaderUp(peer, learning);
  } else if (learning.epochBy <= peer.now) {
    turnTo(peer, { kind: "look" });
  }
}

export function learnerLinkDown(peer: Peer, learning: Learning, from: ServerId, reason: LinkLoss): void {
  if (from !== learning.leader) return;
  if (reason === "restarted") {
    // It has forgotten that it led, and may go on all the same.
    if (peer.options.resumes !== true || learning.stage !== "serving") {
      turnTo(peer, { kind: "look" });
      return;
    }
    learning.isHinted = true;
  }
  reattach(peer, learning);
}
