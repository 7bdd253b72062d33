/**
 * Discovery, as the leader sees it: a quorum promises one new epoch to one leader, and the leader learns
 * that its history is at least as recent as everyone's in that quorum.
 *
 * Invariants:
 * - The new epoch is above every epoch that a member of the quorum had promised.
 * - The leader's own promise is durable before NEWEPOCH leaves.
 * - A promise counts only if it names this epoch and the learner's present session.
 *
 * Sources: Junqueira, Reed and Serafini, "Zab", DSN 2011, phase 1; ZooKeeper `Leader.getEpochToPropose`,
 * `Leader.waitForEpochAck`.
 *
 * @module
 */

import { compareZxid, type ServerId, ZERO_ZXID } from "../base/index.ts";
import { establishIfQuorum } from "./broadcast.ts";
import { ownNotify } from "./election.ts";
import { mayCount } from "./membership.ts";
import { contains, lastOf, outlineFault } from "./outline.ts";
import type { AckEpoch, CEpoch } from "./packets.ts";
import {
  type Leading,
  last,
  type Peer,
  promise,
  type Slot,
  sameSession,
  send,
  turnTo,
} from "./peer-state.ts";
import { hasQuorum } from "./quorum.ts";
import { endSession, refuse, startStream } from "./stream.ts";
import { compareRecency } from "./vote.ts";

/** A learner attaches. Its former session, and everything volatile known of it, ends with that. */
export function hearCEpoch(peer: Peer, leading: Leading, from: ServerId, packet: CEpoch): void {
  const former = leading.slots.get(from);
  if (former !== undefined) {
    if (sameSession(former.session, packet.session)) return;
    endSession(peer, leading, former, undefined);
  }
  leading.deserters.delete(from);
  const slot: Slot = {
    id: from,
    session: packet.session,
    storageId: packet.storageId,
    reads: peer.senderReads,
    counts: mayCount(peer, from, packet.storageId) && !leading.forgetful.has(from),
    acceptedEpoch: packet.acceptedEpoch,
    isFitter: false,
    lastHeard: peer.now,
    asked: false,
    promised: undefined,
    stream: undefined,
    joined: false,
    served: false,
    awaited: ZERO_ZXID,
    forwardedAt: undefined,
  };
  if (leading.epoch > 0 && packet.acceptedEpoch > leading.epoch) {
    refuse(peer, slot, "epoch");
    if (!leading.forgetful.has(from)) memberIsAhead(peer, leading, packet.acceptedEpoch);
    return;
  }
  leading.slots.set(from, slot);
  if (leading.phase === "discovery") compareHistories(peer, leading, slot, packet);
  if (leading.epoch > 0) askForPromise(peer, leading, slot);
  else chooseEpochIfQuorum(peer, leading);
  // So that it waits with patience: there may be no quorum for a while.
  if (!slot.asked && peer.turn === undefined) send(peer, from, ownNotify(peer, false));
}

/** Once a quorum has told what it has promised, the epoch is one more than all of that. */
export function chooseEpochIfQuorum(peer: Peer, leading: Leading): void {
  if (leading.epoch > 0 || peer.turn !== undefined) return;
  if (!hasQuorum(peer.active, (id) => id === peer.id || isSupport(leading.slots.get(id)))) return;
  let highest = Math.max(peer.promises.acceptedEpoch, peer.epochHeard);
  for (const slot of leading.slots.values()) highest = Math.max(highest, slot.acceptedEpoch);
  leading.epoch = highest + 1;
  promise(peer, { acceptedEpoch: leading.epoch, acceptedLeader: peer.id });
  for (const slot of leading.slots.values()) askForPromise(peer, leading, slot);
  fixHistoryIfQuorum(peer, leading);
}

/**
 * An observer is asked only once the leader is established. Its promise counts for nothing, and promised
 * to a leader that fails it would only keep the observer from joining another one of that epoch.
 */
export function askForPromise(peer: Peer, leading: Leading, slot: Slot): void {
  if (slot.asked || (!slot.counts && leading.phase !== "broadcast")) return;
  slot.asked = true;
  slot.lastHeard = peer.now;
  send(peer, slot.id, { kind: "newEpoch", session: slot.session, epoch: leading.epoch });
}

export function hearAckEpoch(peer: Peer, leading: Leading, slot: Slot, packet: AckEpoch): void {
  if (slot.promised !== undefined) return;
  if (outlineFault(packet.outline) !== undefined || hasForgotten(leading, slot, packet)) {
    endSession(peer, leading, slot, "damaged");
    return;
  }
  slot.promised = packet;
  if (leading.phase !== "discovery") {
    // What a late one has in excess cannot be committed, and will be truncated.
    startStream(peer, leading, slot, packet);
    return;
  }
  compareHistories(peer, leading, slot, packet);
  fixHistoryIfQuorum(peer, leading);
}

/**
 * A voter with a more recent history than the leader's must not be part of the quorum that fixes it: the
 * leader might lack what that voter helped to commit. A quorum without it proves that nothing is lacking.
 * If there cannot be one, the leader is not fit; if it does not come soon, the same.
 */
function compareHistories(peer: Peer, leading: Leading, slot: Slot, packet: CEpoch | AckEpoch): void {
  const theirs = { currentEpoch: packet.currentEpoch, lastZxid: lastOf(packet.outline) };
  const mine = { currentEpoch: peer.promises.currentEpoch, lastZxid: last(peer) };
  if (!slot.counts || compareRecency(theirs, mine) <= 0) return;
  slot.isFitter = true;
  leading.fitterSince ??= peer.now;
  if (!hasQuorum(peer.active, (id) => leading.slots.get(id)?.isFitter !== true))
    turnTo(peer, { kind: "look" });
}

function isSupport(slot: Slot | undefined): boolean {
  return slot?.counts === true && !slot.isFitter;
}

/**
 * A voter that no longer has what it acknowledged in this epoch has lost its storage, and never counts in it
 * again: it may have forgotten a promise to somebody else, too. It may attach and learn.
 */
function hasForgotten(leading: Leading, slot: Slot, packet: AckEpoch): boolean {
  const match = leading.match.get(slot.id);
  if (match === undefined || !slot.counts) return false;
  const whole = contains(packet.outline, match) && compareZxid(lastOf(packet.outline), match) >= 0;
  if (whole) return false;
  leading.match.delete(slot.id);
  leading.forgetful.add(slot.id);
  return true;
}

/** With a quorum of promises the initial history of the epoch is fixed: it is the leader's own. */
function fixHistoryIfQuorum(peer: Peer, leading: Leading): void {
  if (peer.turn !== undefined) return;
  if (!hasQuorum(peer.active, (id) => id === peer.id || promises(leading.slots.get(id)))) return;
  leading.phase = "synchronization";
  leading.since = peer.now;
  leading.ihEnd = last(peer);
  promise(peer, { currentEpoch: leading.epoch });
  for (const slot of leading.slots.values()) {
    if (slot.promised !== undefined) startStream(peer, leading, slot, slot.promised);
  }
  establishIfQuorum(peer, leading);
}

function promises(slot: Slot | undefined): boolean {
  return isSupport(slot) && slot?.promised !== undefined;
}

/**
 * A member has promised an epoch that this leader's is not above: it can join only a later one. An observer
 * may have promised it when it still had a vote.
 *
 * Not yet established, the attempt ends at once. An established leader steps down soon, but at most once
 * per `initLimitTicks` (see `tickLeading`): a sick member must not disturb a healthy ensemble without end.
 */
export function memberIsAhead(peer: Peer, leading: Leading, acceptedEpoch: number): void {
  peer.epochHeard = Math.max(peer.epochHeard, acceptedEpoch);
  if (leading.phase === "broadcast") leading.renewSince ??= peer.now;
  else turnTo(peer, { kind: "look" });
}
