/**
 * Forwarding: what a learner's clients ask, carried to the leader, and what the leader says of it.
 *
 * The bytes are the shells' affair. Here is what makes their order and their end certain: they travel within
 * a learner session, first in, first out with proposals and commits, and when the session ends nothing of
 * it is heard any more, at either end.
 *
 * Invariants:
 * - Only a learner that serves forwards; only an established leader hears it, from a learner it has let in.
 * - What the leader says of a forwarded request comes before the commit of the txn it became.
 * - A commit leaves at once for a learner that has clients.
 *
 * Sources: ZooKeeper `Learner.request`, `LearnerHandler` (REQUEST), `CommitProcessor`.
 *
 * @module
 */

import { assert, compareZxid, maxZxid, type ServerId, type Zxid } from "../base/index.ts";
import type { Answer, Forward, LearnerSession } from "./packets.ts";
import { type Leading, type Peer, type Slot, sameSession, send, sendLazily } from "./peer-state.ts";
import type { Serving } from "./peer-types.ts";
import { endSession } from "./stream.ts";

/** A member that has forwarded nothing for so long, not even a sign of life, has no clients: 40 s, the longest session timeout. */
export const clientTicks = 400;

/** Hands on what a serving learner's clients ask; whoever does not serve as one hands on nothing. */
export function forward(peer: Peer, bytes: Uint8Array, lazy: boolean): void {
  const { role } = peer;
  if (role.kind !== "learning" || role.stage !== "serving" || peer.serving.kind === "none") return;
  const { session, epoch, leader } = role;
  const packet: Forward = { kind: "forward", session, epoch, bytes };
  if (lazy) sendLazily(peer, leader, packet);
  else send(peer, leader, packet);
}

export function hearForward(peer: Peer, leading: Leading, slot: Slot, packet: Forward): void {
  if (!slot.served) {
    endSession(peer, leading, slot, "outOfOrder");
    return;
  }
  slot.forwardedAt = peer.now;
  const { id: from, session } = slot;
  peer.draft.forwarded = { from, session, bytes: packet.bytes, fresh: peer.fresh };
}

/** The leader's word on what a learner forwarded; lost when that session is over. */
export function answerForward(
  peer: Peer,
  {
    to,
    session,
    bytes,
    awaited,
  }: { to: ServerId; session: LearnerSession; bytes: Uint8Array; awaited: Zxid },
): void {
  const { role } = peer;
  if (role.kind !== "leading" || role.phase !== "broadcast") return;
  const slot = role.slots.get(to);
  if (slot === undefined || !sameSession(slot.session, session)) return;
  assert(slot.served, "only a learner that was let in is answered");
  slot.awaited = maxZxid(slot.awaited, awaited);
  send(peer, to, { kind: "answer", session, epoch: role.epoch, bytes });
}

export function hearAnswer(peer: Peer, packet: Answer): void {
  peer.draft.answered = packet.bytes;
}

/**
 * Whether clients of that learner wait for a txn above `committed`, or may read or watch what it changes: whoever
 * wrote it elsewhere may tell them, and they would not find it. A member without clients can be told later.
 */
export function isAwaited(peer: Peer, slot: Slot, committed: Zxid): boolean {
  const { forwardedAt } = slot;
  if (forwardedAt !== undefined && peer.now - forwardedAt <= clientTicks) return true;
  return compareZxid(slot.awaited, committed) > 0;
}

/**
 * Whether what a learner has forwarded will still be answered after that change of `Duties.serving`: only its
 * role has changed, with the configuration. A new session never follows another within one step.
 */
export function isSameLearner(before: Serving, after: Serving): boolean {
  if (!("leader" in before) || !("leader" in after)) return false;
  return before.epoch === after.epoch && before.leader === after.leader;
}
