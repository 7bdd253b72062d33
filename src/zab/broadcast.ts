/**
 * Establishment and broadcast: how a leader turns payloads into one agreed order.
 *
 * A leader is established once a quorum has stored the whole initial history and joined the epoch; that
 * commits the initial history. From then on a proposal is committed once a quorum has stored it and
 * everything before it. Acknowledgements and commits are bounds: "through z".
 *
 * Invariants:
 * - Counters of an epoch are used once, in order, and never beyond `counterMax`.
 * - Only txns of the leader's own epoch are committed by counting.
 * - A proposal is in the leader's own log before it leaves.
 *
 * Sources: Junqueira, Reed and Serafini, "Zab", DSN 2011, phases 2 and 3; ZooKeeper
 * `Leader.waitForNewLeaderAck`, `Leader.propose`, `Leader.tryToCommit`.
 *
 * @module
 */

import { assert, compareZxid, equalZxid, maxZxid, minZxid } from "../base/index.ts";
import { isVoterOf } from "./config.ts";
import { isAwaited } from "./forwarding.ts";
import type { Ack, AckLeader, Commit } from "./packets.ts";
import {
  append,
  deliver,
  type Leading,
  last,
  type Peer,
  promise,
  type Slot,
  send,
  sendLazily,
  serve,
  turnTo,
} from "./peer-state.ts";
import { hasQuorum, reachedByQuorum } from "./quorum.ts";
import { arrived, endSession, pump } from "./stream.ts";

export function hearAckLeader(peer: Peer, leading: Leading, slot: Slot, packet: AckLeader): void {
  const { stream } = slot;
  if (slot.joined) return;
  if (stream === undefined || !stream.newLeaderSent || !equalZxid(packet.syncEnd, stream.syncEnd)) {
    endSession(peer, leading, slot, "outOfOrder");
    return;
  }
  slot.joined = true;
  arrived(stream, stream.syncEnd, Number.MAX_SAFE_INTEGER);
  if (slot.counts)
    leading.match.set(slot.id, maxZxid(leading.match.get(slot.id) ?? stream.syncEnd, stream.syncEnd));
  if (leading.phase === "broadcast") {
    admit(peer, leading, slot);
    commitReached(peer, leading);
  } else {
    establishIfQuorum(peer, leading);
  }
  pump(peer, leading, slot);
}

/** Lets a learner serve: everything through `commitTo` is committed. */
function admit(peer: Peer, leading: Leading, slot: Slot): void {
  slot.served = true;
  send(peer, slot.id, {
    kind: "upToDate",
    session: slot.session,
    epoch: leading.epoch,
    commitTo: peer.delivered,
  });
}

/** The quorum that joined the epoch commits the whole initial history, and the leader may propose. */
export function establishIfQuorum(peer: Peer, leading: Leading): void {
  if (leading.phase !== "synchronization") return;
  if (!hasQuorum(peer.active, (id) => id === peer.id || joins(leading.slots.get(id)))) return;
  leading.phase = "broadcast";
  leading.since = peer.now;
  peer.penalties.clear();
  // A resumed leader is in the epoch it was established in.
  if (peer.promises.establishedEpoch !== leading.epoch) {
    promise(peer, { establishedEpoch: leading.epoch });
  }
  deliver(peer, leading.ihEnd);
  serve(peer, { kind: "leading", epoch: leading.epoch });
  for (const slot of leading.slots.values()) if (slot.joined) admit(peer, leading, slot);
}

function joins(slot: Slot | undefined): boolean {
  return slot?.counts === true && slot.joined;
}

/** Proposes payloads as one batch. Whoever is not the established leader proposes nothing. */
export function propose(peer: Peer, payloads: readonly Uint8Array[]): void {
  const { role } = peer;
  if (role.kind !== "leading" || role.phase !== "broadcast" || payloads.length === 0) return;
  const prev = last(peer);
  const counter = prev.epoch === role.epoch ? prev.counter : 0;
  if (counter + payloads.length > peer.options.counterMax) {
    // The counter never wraps: only a new epoch helps. These payloads go with the leadership.
    turnTo(peer, { kind: "look" });
    return;
  }
  const { config } = peer;
  append(peer, { epoch: role.epoch, first: counter + 1, payloads });
  assert(config === peer.config, "one configuration is pending at a time");
  commitReached(peer, role);
  for (const slot of role.slots.values()) pump(peer, role, slot);
}

export function hearAck(peer: Peer, leading: Leading, slot: Slot, packet: Ack): void {
  const { stream } = slot;
  // An ack before the epoch was joined would be a promise about a history nobody has checked.
  if (stream === undefined || !slot.joined || compareZxid(packet.through, stream.sentThrough) > 0) {
    endSession(peer, leading, slot, "outOfOrder");
    return;
  }
  arrived(stream, packet.through, Number.MAX_SAFE_INTEGER);
  if (slot.counts) {
    const match = leading.match.get(slot.id);
    if (match === undefined || compareZxid(packet.through, match) > 0)
      leading.match.set(slot.id, packet.through);
    commitReached(peer, leading);
  }
  pump(peer, leading, slot);
}

/**
 * Commits what a quorum has stored. A leader whose departure is pending commits through that and no further:
 * the others count without it from there on.
 */
export function commitReached(peer: Peer, leading: Leading): void {
  if (leading.phase !== "broadcast") return;
  const { pending } = peer;
  const mine = last(peer);
  let reached = reachedByQuorum(peer.active, (id) => (id === peer.id ? mine : leading.match.get(id)));
  if (pending !== undefined && !isVoterOf(pending, peer.id)) reached = minZxid(reached, pending.version);
  if (reached.epoch !== leading.epoch || compareZxid(reached, peer.delivered) <= 0) return;
  const before = peer.delivered;
  deliver(peer, reached);
  for (const slot of leading.slots.values()) {
    const { stream } = slot;
    if (stream === undefined) continue;
    // An observer hears with the txns that they are committed, but one that has voted may have some already.
    const hasIt = compareZxid(stream.sentThrough, reached) >= 0;
    if (!slot.counts) pump(peer, leading, slot);
    if (slot.served && (slot.counts || hasIt)) {
      const { session } = slot;
      const commit: Commit = { kind: "commit", session, epoch: leading.epoch, commitTo: reached };
      if (isAwaited(peer, slot, before)) send(peer, slot.id, commit);
      else sendLazily(peer, slot.id, commit);
    }
  }
}
