/**
 * Beginning an incarnation: whom it belongs to is durable, so most begin without an election.
 *
 * An established leader goes on in its epoch. It is *unconfirmed* until a quorum has attached again and
 * holds all of its log; until then it is a leader in synchronization like any other: it serves nobody,
 * proposes nothing and confirms nothing. Everybody else first tries the leader it promised its epoch to.
 *
 * Why that is safe. The promise "epoch e is yours" is durable at a quorum, so nobody else is ever established
 * in e, and a member that has promised a later epoch declines. Every proposal of e was in this member's log
 * before it left, so no zxid is used for two txns. If a successor was established, its quorum has promised a
 * later epoch and shares a member with every quorum of e: the resumed leader commits nothing.
 *
 * Invariants (R1-R4):
 * - R1: `establishedEpoch = currentEpoch = acceptedEpoch > 0`, promised to itself.
 * - R2: whatever it proposed in that epoch is in its log; `PeerOptions.resumes` is the shell's word for it.
 * - R3: it has not been told otherwise: this is the first step of the incarnation.
 * - R4: it is a voter.
 *
 * Source: ours; ZooKeeper always elects. The promise has the part of Raft's `votedFor` here.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import { establishIfQuorum } from "./broadcast.ts";
import { startLooking } from "./election.ts";
import { newLeading } from "./leader.ts";
import { attach, startLearning } from "./learner-session.ts";
import type { Solicit, Vote } from "./packets.ts";
import { isVoterId, last, type Peer, send, turnTo } from "./peer-state.ts";
import { solicitAgain } from "./solicit.ts";

/** The first step of an incarnation. */
export function begin(peer: Peer): void {
  const { acceptedLeader, acceptedEpoch } = peer.promises;
  if (peer.options.resumes !== true) startLooking(peer);
  else if (mayResume(peer)) resume(peer);
  else if (acceptedLeader !== 0 && acceptedLeader !== peer.id && isVoterId(peer, acceptedLeader)) {
    const vote = voteFor(peer, acceptedLeader, acceptedEpoch);
    startLearning(peer, acceptedLeader, { vote, isHinted: true });
  } else {
    startLooking(peer);
  }
}

function mayResume({ isVoter, id, promises }: Peer): boolean {
  const { acceptedEpoch, acceptedLeader, currentEpoch, establishedEpoch } = promises;
  return (
    isVoter &&
    acceptedEpoch > 0 &&
    acceptedLeader === id &&
    currentEpoch === acceptedEpoch &&
    establishedEpoch === acceptedEpoch
  );
}

function resume(peer: Peer): void {
  const epoch = peer.promises.establishedEpoch;
  const leading = newLeading(peer, {
    vote: voteFor(peer, peer.id, epoch),
    phase: "synchronization",
    epoch,
    // All of it: what was committed is in it, and what was not may still be stored by a quorum.
    ihEnd: last(peer),
    isResumed: true,
  });
  peer.role = leading;
  solicitAgain(peer, leading);
  establishIfQuorum(peer, leading);
}

/** Nobody has voted: what is told to those who look names the leader, and of the history what I know. */
function voteFor(peer: Peer, leader: ServerId, currentEpoch: number): Vote {
  return { leader, lastZxid: last(peer), currentEpoch };
}

/** A leader that lost its memory wants me back. */
export function hearSolicit(peer: Peer, from: ServerId, { epoch }: Solicit): void {
  const { role } = peer;
  const { acceptedEpoch, acceptedLeader } = peer.promises;
  if (epoch < acceptedEpoch || (epoch === acceptedEpoch && acceptedLeader !== from)) {
    send(peer, from, { kind: "decline", epoch, acceptedEpoch });
  } else if (role.kind === "looking") {
    turnTo(peer, { kind: "learn", leader: from, vote: voteFor(peer, from, epoch), isHinted: true });
  } else if (role.kind === "learning" && role.leader === from && role.stage === "attaching") {
    role.leaderKnown = true;
    if (role.attachAt !== undefined) attach(peer, role);
  }
  // Otherwise another attempt is under way. It succeeds, and I decline the next time; or it fails, and I come.
}
