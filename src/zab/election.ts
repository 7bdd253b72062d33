/**
 * Leader election: whom to try next.
 *
 * An oracle for liveness: nothing about safety depends on who wins, or on how many winners there are;
 * discovery and synchronization check everything again with a quorum. What it must bring about is that,
 * when the network behaves, one well-connected voter with the most recent history wins soon.
 *
 * Invariants:
 * - `round` never decreases in an incarnation.
 * - A vote for a candidate under penalty is neither adopted nor counted: votes travel by gossip, following
 *   needs a direct path.
 *
 * Sources: ZooKeeper `FastLeaderElection`; Medeiros, "ZooKeeper's atomic broadcast protocol", 2012, 4.
 *
 * @module
 */

import { compareZxid, type ServerId, ZERO_ZXID } from "../base/index.ts";
import type { LinkLoss } from "./link-types.ts";
import type { Notify, Role, Vote } from "./packets.ts";
import {
  type Claim,
  fence,
  isPenalized,
  isVoterId,
  type Looking,
  last,
  type Peer,
  send,
  serve,
  stagger,
  turnTo,
} from "./peer-state.ts";
import { hasQuorum } from "./quorum.ts";
import { compareVotes, equalVotes, NOBODY } from "./vote.ts";

/** Begins a round: votes for itself, tells everybody, and decides if that is enough. */
export function startLooking(peer: Peer): void {
  serve(peer, { kind: "none" });
  peer.round += 1;
  const resendTicks = peer.options.notifyEveryTicksMin;
  const looking: Looking = {
    kind: "looking",
    vote: ownVote(peer),
    seen: new Map(),
    settled: new Map(),
    decideAt: undefined,
    resendAt: peer.now + resendTicks + stagger(peer, 1),
    resendTicks,
  };
  peer.role = looking;
  broadcast(peer, true);
  evaluate(peer, looking);
}

/** My history, as stored; nobody's while I may not lead. */
function ownVote(peer: Peer): Vote {
  if (!peer.isVoter || isPenalized(peer, peer.id)) return NOBODY;
  return { leader: peer.id, lastZxid: last(peer), currentEpoch: peer.promises.currentEpoch };
}

function isAcceptable(peer: Peer, vote: Vote): boolean {
  const { leader } = vote;
  if (leader === 0 || isPenalized(peer, leader)) return false;
  // Also one that is only being made a voter: who has not logged that yet must still be able to join it. About
  // myself nobody knows better: some may still vote for me when I know that I have no vote any more.
  return leader === peer.id ? peer.isVoter : peer.others.includes(leader);
}

/**
 * Votes are counted in the committed configuration alone. A pending one may be known to few, who then could
 * not gather its votes; discovery and synchronization count in both, and that is where it matters.
 */
function hasElected(peer: Peer, has: (id: ServerId) => boolean): boolean {
  return hasQuorum(peer.active.slice(0, 1), has);
}

/** What I tell about myself. */
export function ownNotify(peer: Peer, wantsAnswer: boolean): Notify {
  return {
    kind: "notify",
    state: roleOf(peer),
    round: peer.round,
    vote: presentVote(peer),
    confirmed: isConfirmed(peer),
    wantsAnswer,
    ...(compareZxid(peer.config.version, ZERO_ZXID) > 0 ? { config: peer.config } : {}),
  };
}

export function roleOf(peer: Peer): Role {
  switch (peer.role.kind) {
    case "looking":
      return "looking";
    case "leading":
      return "leading";
    case "learning":
      return peer.isVoter ? "following" : "observing";
  }
}

/** A settled vote names the joined epoch, so that all who settled on a leader say the same. */
function presentVote(peer: Peer): Vote {
  const { role } = peer;
  if (role.kind === "looking") return role.vote;
  const joined =
    role.kind === "leading"
      ? role.phase !== "discovery"
      : role.stage === "joined" || role.stage === "serving";
  return joined ? { ...role.vote, currentEpoch: role.epoch } : role.vote;
}

/** Whether I can vouch for the leader I name: heard in this session, lately, and since I last slept. */
function isConfirmed(peer: Peer): boolean {
  const { role } = peer;
  if (role.kind === "looking") return false;
  if (role.kind === "leading") return role.phase === "broadcast";
  return (
    role.stage !== "attaching" && !role.isUnheard && peer.now - role.lastHeard <= peer.options.syncLimitTicks
  );
}

function broadcast(peer: Peer, wantsAnswer: boolean): void {
  const notify = ownNotify(peer, wantsAnswer);
  for (const id of peer.others) send(peer, id, notify);
}

/** Tells a member that looks where I stand. Only voters' words count, so only they answer. */
export function answer(peer: Peer, to: ServerId): void {
  if (peer.isVoter) tell(peer, to);
}

/** Tells one member, or one that is none, where I stand and which configuration I know. */
export function tell(peer: Peer, to: ServerId): void {
  const notify = ownNotify(peer, false);
  // To vouch for somebody is to assert present authority: not from memory in a continuation.
  if (notify.confirmed && !peer.fresh) fence(peer);
  send(peer, to, notify);
}

export function hearNotify(peer: Peer, looking: Looking, from: ServerId, notify: Notify): void {
  if (notify.state === "looking" && !isVoterId(peer, from)) {
    if (notify.wantsAnswer) answer(peer, from);
    return;
  }
  if (notify.state === "looking") hearLooking(peer, looking, from, notify);
  else if (notify.state !== "observing") {
    const { state, round, vote, confirmed } = notify;
    hearSettled(peer, looking, from, { state, round, vote, confirmed });
  }
}

function hearLooking(peer: Peer, looking: Looking, from: ServerId, notify: Notify): void {
  looking.settled.delete(from);
  let changed = false;
  if (notify.round > peer.round) {
    peer.round = notify.round;
    looking.seen.clear();
    looking.vote = ownVote(peer);
    changed = true;
  }
  if (notify.round < peer.round) {
    answer(peer, from);
    return;
  }
  looking.seen.set(from, notify.vote);
  if (adopt(peer, looking, notify.vote)) changed = true;
  if (changed) broadcast(peer, false);
  else if (notify.wantsAnswer) answer(peer, from);
  evaluate(peer, looking);
}

function hearSettled(peer: Peer, looking: Looking, from: ServerId, claim: Claim): void {
  looking.settled.set(from, claim);
  if (claim.state === "leading" && claim.round === peer.round && equalVotes(claim.vote, looking.vote)) {
    // My own choice says that it has won; who else voted for it may be out of my sight.
    decide(peer, looking);
    return;
  }
  if (claim.round === peer.round) {
    looking.seen.set(from, claim.vote);
    if (adopt(peer, looking, claim.vote)) broadcast(peer, false);
    evaluate(peer, looking);
  }
  evaluateSettled(peer, looking, claim);
}

function adopt(peer: Peer, looking: Looking, vote: Vote): boolean {
  if (!isAcceptable(peer, vote) || compareVotes(vote, looking.vote) <= 0) return false;
  looking.vote = vote;
  looking.decideAt = undefined;
  return true;
}

/** Decides at once when every voter says the same, after a short wait when only a quorum does. */
function evaluate(peer: Peer, looking: Looking): void {
  if (looking.vote.leader === 0) {
    // A moment to decide that was set in an earlier round would come again and again, and decide nothing.
    looking.decideAt = undefined;
    return;
  }
  const agrees = (id: ServerId): boolean => {
    if (id === peer.id) return true;
    const vote = looking.seen.get(id);
    return vote !== undefined && equalVotes(vote, looking.vote);
  };
  if (!hasElected(peer, agrees)) {
    looking.decideAt = undefined;
  } else if (peer.active.every((voters) => voters.every(agrees))) {
    decide(peer, looking);
  } else {
    looking.decideAt ??= peer.now + peer.options.finalizeWaitTicks;
  }
}

function decide(peer: Peer, looking: Looking): void {
  const { vote } = looking;
  if (vote.leader === peer.id) turnTo(peer, { kind: "lead", vote });
  else if (vote.leader !== 0) turnTo(peer, { kind: "learn", leader: vote.leader, vote, isHinted: false });
}

/**
 * Joins a leader that others have settled on, without deciding a round.
 *
 * Rounds and last zxids are bookkeeping that drifts and is not compared. A follower's word counts only if
 * it has heard the leader lately, and the leader must itself say that it leads. The one who asks counts
 * as well: it is about to follow, and a leader with a bare quorum must get its lost follower back without
 * first stepping down. A claim that I lead is no news to me: that is for votes to decide.
 */
function evaluateSettled(peer: Peer, looking: Looking, claim: Claim): void {
  const { leader, currentEpoch } = claim.vote;
  if (leader === 0 || leader === peer.id || !isAcceptable(peer, claim.vote)) return;
  if (looking.settled.get(leader)?.state !== "leading") return;
  const supports = (id: ServerId): boolean => {
    if (id === peer.id) return peer.isVoter;
    const theirs = looking.settled.get(id);
    if (theirs === undefined || theirs.vote.leader !== leader) return false;
    return theirs.vote.currentEpoch === currentEpoch && (id === leader || theirs.confirmed);
  };
  if (!hasElected(peer, supports)) return;
  peer.round = Math.max(peer.round, claim.round);
  turnTo(peer, { kind: "learn", leader, vote: claim.vote, isHinted: false });
}

export function tickLooking(peer: Peer, looking: Looking): void {
  if (looking.decideAt !== undefined && looking.decideAt <= peer.now) {
    decide(peer, looking);
    return;
  }
  reconsider(peer, looking);
  if (peer.turn === undefined && looking.resendAt <= peer.now) {
    looking.resendTicks = Math.min(looking.resendTicks * 2, peer.options.notifyEveryTicksMax);
    looking.resendAt = peer.now + looking.resendTicks + stagger(peer, Math.floor(looking.resendTicks / 4));
    broadcast(peer, true);
  }
}

/** A penalty may have ended: the best acceptable vote may be another one now. */
function reconsider(peer: Peer, looking: Looking): void {
  let changed = adopt(peer, looking, ownVote(peer));
  for (const vote of looking.seen.values()) if (adopt(peer, looking, vote)) changed = true;
  if (!changed) return;
  broadcast(peer, false);
  evaluate(peer, looking);
}

export function lookingLinkDown(peer: Peer, looking: Looking, from: ServerId, reason: LinkLoss): void {
  if (reason === "restarted") {
    looking.seen.delete(from);
    looking.settled.delete(from);
    evaluate(peer, looking);
  }
  if (peer.turn === undefined) send(peer, from, ownNotify(peer, true));
}
