/**
 * Linearizable reads: is this leader still the leader, after the read was invoked?
 *
 * A read takes the commit bound as its index and joins a confirm round that starts after it arrived. A
 * round asks every voter that has promised this epoch; a quorum of answers to that round confirms all its
 * reads. One round is under way at a time; what arrives meanwhile shares the next.
 *
 * Why a `fresh` event needs no fence. At the start of an event the platform has just checked that this
 * instance is the live one, and the read was invoked before that. So whatever epoch a quorum had promised
 * before the invocation was promised by members of which one confirms this round: either a learner, whose
 * own answer is as fresh and who then refuses, or this member, and then it was this very instance or an
 * earlier one, and it knows. A replacement of this instance can promise only after the check, hence after
 * the invocation, and what it helps to commit was not completed before the read began. In a
 * continuation there was no check: an instance replaced long ago would count its own stale memory. There
 * the step writes a fence, which fails in a replaced instance and takes the answer with it.
 *
 * Invariants:
 * - Round numbers are not used twice in an incarnation, and answers are bound to epoch and session.
 * - A read is confirmed or rejected exactly once; leaving leadership rejects all.
 *
 * Sources: Ongaro, "Consensus: Bridging Theory and Practice", 2014, 6.4 (ReadIndex); etcd `readOnly`.
 *
 * @module
 */

import type { Pong } from "./packets.ts";
import { fence, type Leading, type Peer, type ReadRound, type Slot, send } from "./peer-state.ts";
import { hasQuorum } from "./quorum.ts";

/** Reads that wait for a round; more are rejected at once. */
export const readsWaitingMax = 65_536;

export function requestRead(peer: Peer, id: number, fresh: boolean): void {
  const { role } = peer;
  if (role.kind !== "leading" || role.phase !== "broadcast" || role.waiting.length >= readsWaitingMax) {
    peer.draft.rejected.push(id);
    return;
  }
  role.waiting.push({ id, fresh });
  if (role.round === undefined) startRound(peer, role);
}

function startRound(peer: Peer, leading: Leading): void {
  peer.confirmRounds += 1;
  leading.round = {
    number: peer.confirmRounds,
    index: peer.delivered,
    reads: leading.waiting,
    confirmedBy: new Set(),
  };
  leading.waiting = [];
  for (const slot of leading.slots.values())
    if (slot.counts && slot.promised !== undefined) ping(peer, leading, slot);
  finishRound(peer, leading, leading.round);
}

/** Contact, the commit bound, and the question of the round under way. */
export function ping(peer: Peer, leading: Leading, slot: Slot): void {
  send(peer, slot.id, {
    kind: "ping",
    session: slot.session,
    epoch: leading.epoch,
    commitTo: peer.delivered,
    confirmRound: slot.counts ? (leading.round?.number ?? 0) : 0,
  });
}

export function hearPong(peer: Peer, leading: Leading, slot: Slot, pong: Pong): void {
  const { round } = leading;
  if (round === undefined || !slot.counts || pong.confirmRound !== round.number) return;
  round.confirmedBy.add(slot.id);
  finishRound(peer, leading, round);
}

/** Answers the reads of a round that a quorum has confirmed. */
export function finishRound(peer: Peer, leading: Leading, round: ReadRound): void {
  if (!hasQuorum(peer.active, (id) => id === peer.id || round.confirmedBy.has(id))) return;
  if (!round.reads.every((read) => read.fresh)) fence(peer);
  for (const { id } of round.reads) peer.draft.confirmed.push({ id, index: round.index });
  leading.round = undefined;
  if (leading.waiting.length > 0) startRound(peer, leading);
}

/** Nothing is known about any pending read any more. */
export function rejectReads(peer: Peer, leading: Leading): void {
  for (const { id } of leading.round?.reads ?? []) peer.draft.rejected.push(id);
  for (const { id } of leading.waiting) peer.draft.rejected.push(id);
  leading.round = undefined;
  leading.waiting = [];
}
