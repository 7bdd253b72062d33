/**
 * A learner's attachment to its leader: beginning, repeating and giving up one.
 *
 * Invariant: session numbers are not used twice in an incarnation, and a leader's packet counts only
 * under the present one.
 *
 * Source: ZooKeeper `Learner.connectToLeader`, `Learner.registerWithLeader`.
 *
 * @module
 */

import { compareZxid, maxZxid, minZxid, type ServerId, ZERO_ZXID, type Zxid } from "../base/index.ts";
import type { Vote } from "./packets.ts";
import {
  attachTicks,
  deliver,
  type Learning,
  last,
  type Peer,
  penalize,
  send,
  serve,
  turnTo,
} from "./peer-state.ts";

export function startLearning(
  peer: Peer,
  leader: ServerId,
  choice: { readonly vote: Vote; readonly isHinted: boolean },
): void {
  const learning: Learning = {
    kind: "learning",
    leader,
    ...choice,
    leaderReads: 0,
    session: nextSession(peer),
    stage: "attaching",
    epoch: 0,
    bound: ZERO_ZXID,
    staging: undefined,
    pages: 0,
    lastHeard: peer.now,
    isUnheard: false,
    askers: new Set(),
    attachBy: undefined,
    epochBy: 0,
    leaderKnown: false,
    attachAt: undefined,
    attaches: 0,
  };
  peer.role = learning;
  attach(peer, learning);
}

function nextSession(peer: Peer): Learning["session"] {
  peer.attempts += 1;
  return { incarnation: peer.options.incarnation, attempt: peer.attempts };
}

/** Tells the leader my promises and my history, exactly as stored. */
export function attach(peer: Peer, learning: Learning): void {
  learning.attachAt = undefined;
  learning.attaches += 1;
  learning.attachBy ??= peer.now + attachTicks(peer.options);
  learning.epochBy = peer.now + peer.options.initLimitTicks;
  send(peer, learning.leader, {
    kind: "cepoch",
    session: learning.session,
    acceptedEpoch: peer.promises.acceptedEpoch,
    currentEpoch: peer.promises.currentEpoch,
    outline: peer.history.outline,
    observer: !peer.isVoter,
    ...(peer.options.storageId === undefined ? {} : { storageId: peer.options.storageId }),
  });
}

/**
 * Ends the session and attaches to the same leader under a new one: at once the first time, then after
 * pauses that double until the member has served again.
 */
export function reattach(peer: Peer, learning: Learning): void {
  leaveSession(peer, learning);
  serve(peer, { kind: "none" });
  if (learning.stage !== "attaching") {
    // Woken, and not yet answered: the time for that goes on.
    const { isUnheard, lastHeard } = learning;
    learning.attachBy = isUnheard ? lastHeard + attachTicks(peer.options) : undefined;
  }
  learning.session = nextSession(peer);
  learning.stage = "attaching";
  learning.epoch = 0;
  learning.bound = ZERO_ZXID;
  learning.pages = 0;
  learning.leaderKnown = false;
  const pause = learning.attaches === 0 ? 0 : 2 ** Math.min(learning.attaches - 1, 10);
  if (pause === 0) attach(peer, learning);
  // A pause under way is not begun anew, or a link that breaks often enough would put it off for ever.
  else learning.attachAt ??= peer.now + Math.min(pause, peer.options.notifyEveryTicksMax);
}

/** A half-received snapshot is worth nothing to anybody else. */
export function leaveSession(peer: Peer, learning: Learning): void {
  if (learning.staging === undefined) return;
  learning.staging = undefined;
  peer.draft.store.push({ kind: "discardStaging" });
}

/** The leader cannot be followed: looks for another one, for a while. */
export function giveLeaderUp(peer: Peer, learning: Learning): void {
  penalize(peer, learning.leader);
  turnTo(peer, { kind: "look" });
}

/** Everything through `bound` is committed. What is not logged yet waits; so does a learner not up to date. */
export function commitThrough(peer: Peer, learning: Learning, bound: Zxid): void {
  learning.bound = maxZxid(learning.bound, bound);
  if (learning.stage !== "serving" || compareZxid(learning.bound, peer.delivered) <= 0) return;
  deliver(peer, minZxid(learning.bound, last(peer)));
}
