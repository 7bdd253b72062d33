/**
 * What a learner stores: the synchronization, then the proposals.
 *
 * Nothing of a synchronization is acknowledged, delivered or served by itself. Entries come first, the
 * epoch last: a state in between is an old `currentEpoch` with a prefix of the new leader's history, which
 * can only understate how recent the member is. The other order would let it win an election against
 * members that do have committed txns.
 *
 * Invariants:
 * - Every batch stands directly behind the last logged txn; anything else ends the session.
 * - ACKLEADER leaves with, or after, everything through `syncEnd` and `currentEpoch`.
 * - A snapshot replaces history and state in one write, or not at all.
 *
 * Sources: ZooKeeper `Learner.syncWithLeader`, `Follower.processPacket`, `Observer.processPacket`.
 *
 * @module
 */

import { assert, compareZxid, equalZxid } from "../base/index.ts";
import { follows, lastOfBatch } from "./batch.ts";
import { commitThrough, leaveSession, reattach } from "./learner-session.ts";
import { learnConfig } from "./membership.ts";
import { contains } from "./outline.ts";
import type { Entries, Inform, NewLeader, Propose, SnapPage, Sync } from "./packets.ts";
import {
  append,
  installSnapshot,
  type Learning,
  last,
  type Peer,
  promise,
  send,
  truncate,
} from "./peer-state.ts";

export function hearSync(peer: Peer, learning: Learning, packet: Sync): void {
  if (learning.stage !== "promised") {
    reattach(peer, learning);
    return;
  }
  // Pages of an earlier incarnation may have been left behind by a crash.
  if (peer.stagingUnknown) peer.draft.store.push({ kind: "discardStaging" });
  peer.stagingUnknown = false;
  learnConfig(peer, packet.config);
  learning.stage = "syncing";
  const { after } = packet;
  switch (packet.mode) {
    case "diff":
      if (!equalZxid(after, last(peer))) reattach(peer, learning);
      break;
    case "trunc":
      assert(compareZxid(after, peer.delivered) >= 0, "a leader's truncation spares what was delivered");
      if (!contains(peer.history.outline, after)) reattach(peer, learning);
      else if (!equalZxid(after, last(peer))) truncate(peer, after);
      break;
    case "snap":
      assert(compareZxid(after, peer.delivered) >= 0, "a leader's snapshot holds what was delivered");
      learning.staging = { id: packet.snapshotId, zxid: after, pages: 0 };
      break;
  }
}

export function hearPage(peer: Peer, learning: Learning, packet: SnapPage): void {
  const { staging } = learning;
  if (staging === undefined || staging.id !== packet.snapshotId || staging.pages !== packet.page) {
    reattach(peer, learning);
    return;
  }
  peer.draft.store.push({ kind: "stagePage", page: packet.page, bytes: packet.bytes });
  staging.pages += 1;
  learning.pages = staging.pages;
  if (packet.last) {
    learning.staging = undefined;
    installSnapshot(peer, staging.zxid, staging.pages);
  }
  reportReceived(peer, learning);
}

export function hearEntries(peer: Peer, learning: Learning, packet: Entries): void {
  const { batch, prev } = packet;
  const isNext = equalZxid(prev, last(peer)) && follows(batch, prev) && batch.epoch <= learning.epoch;
  if (learning.stage !== "syncing" || learning.staging !== undefined || !isNext) {
    reattach(peer, learning);
    return;
  }
  append(peer, batch);
  reportReceived(peer, learning);
}

/** Pacing only: lets the leader send the next part. */
function reportReceived(peer: Peer, learning: Learning): void {
  const { session, epoch, pages } = learning;
  send(peer, learning.leader, { kind: "received", session, epoch, through: last(peer), pages });
}

export function hearNewLeader(peer: Peer, learning: Learning, packet: NewLeader): void {
  const isComplete = learning.staging === undefined && equalZxid(last(peer), packet.syncEnd);
  if (learning.stage !== "syncing" || !isComplete) {
    reattach(peer, learning);
    return;
  }
  learning.stage = "joined";
  promise(peer, { currentEpoch: learning.epoch });
  const { session, epoch } = learning;
  send(peer, learning.leader, { kind: "ackLeader", session, epoch, syncEnd: packet.syncEnd });
}

export function hearPropose(peer: Peer, learning: Learning, packet: Propose): void {
  if (!store(peer, learning, packet)) return;
  const { session, epoch } = learning;
  send(peer, learning.leader, { kind: "ack", session, epoch, through: last(peer) });
  commitThrough(peer, learning, packet.commitTo);
}

/** An observer's commit: what it is told is committed already. */
export function hearInform(peer: Peer, learning: Learning, packet: Inform): void {
  if (!store(peer, learning, packet)) return;
  reportReceived(peer, learning);
  commitThrough(peer, learning, lastOfBatch(packet.batch));
}

/** Stores a batch of this epoch; says whether it is stored, now or before. */
function store(peer: Peer, learning: Learning, packet: Propose | Inform): boolean {
  const { batch, prev } = packet;
  const hasJoined = learning.stage === "joined" || learning.stage === "serving";
  if (hasJoined && batch.epoch === learning.epoch && batch.payloads.length > 0) {
    if (compareZxid(lastOfBatch(batch), last(peer)) <= 0) return true;
    if (equalZxid(prev, last(peer)) && follows(batch, prev)) {
      append(peer, batch);
      return true;
    }
  }
  reattach(peer, learning);
  return false;
}

/** Drops what a session left unfinished. */
export function stopLearning(peer: Peer, learning: Learning): void {
  leaveSession(peer, learning);
}
