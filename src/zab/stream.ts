/**
 * The replication stream: everything one learner is sent, from the point both histories share.
 *
 * Deciding is one moment: in one step the leader fixes `syncEnd`, queues the synchronization, NEWLEADER
 * directly behind it, and every later proposal behind that. There is no window in which a txn is neither
 * synchronized nor proposed, and none in which it is both. A learner that is slow, or far behind, is
 * served from the log by the same stream: what is sent and has not arrived is bounded, and each
 * arrival pulls the next part.
 *
 * Invariants:
 * - `sentThrough` only grows, and each batch stands directly behind it.
 * - An observer's stream ends at the last committed txn.
 * - Only the live instance truncates: in a continuation TRUNC leaves behind a fence write.
 *
 * Sources: ZooKeeper `LearnerHandler.syncFollower`, `Leader.startForwarding`.
 *
 * @module
 */

import { compareZxid, equalZxid, ZERO_ZXID, type Zxid } from "../base/index.ts";
import { bytesOf, cutBatch, lastOfBatch } from "./batch.ts";
import { queuePacketsMax } from "./link.ts";
import { cutOutline, nextAfter } from "./outline.ts";
import type { AckEpoch, Batch, Refuse } from "./packets.ts";
import { fence, type Leading, last, type Peer, type Slot, type Stream, send } from "./peer-state.ts";
import { decideSync } from "./sync-decision.ts";

/** Snapshot pages under way to one learner: reading a page is work, and a step sends as many as may be. */
const pagesInFlightMax = 4;

/** Packets under way to one learner. A log of small batches is many: the link's queue keeps room for the rest. */
const packetsInFlightMax = queuePacketsMax / 2;

/** Ends a learner's session. With a reason the learner is told, and may attach again. */
export function endSession(
  peer: Peer,
  leading: Leading,
  slot: Slot,
  reason: Refuse["reason"] | undefined,
): void {
  if (leading.slots.get(slot.id) !== slot) return;
  leading.slots.delete(slot.id);
  if (slot.stream !== undefined) closeSnapshot(peer, slot.stream);
  if (reason !== undefined) refuse(peer, slot, reason);
}

export function refuse(peer: Peer, to: Pick<Slot, "id" | "session">, reason: Refuse["reason"]): void {
  const { acceptedEpoch } = peer.promises;
  send(peer, to.id, { kind: "refuse", session: to.session, reason, acceptedEpoch });
}

/** Decides how the learner is brought level, and queues as much of it as may be under way. */
export function startStream(peer: Peer, leading: Leading, slot: Slot, ack: AckEpoch): void {
  const syncEnd = slot.counts ? last(peer) : peer.delivered;
  const { outline } = peer.history;
  const { forceSnapshot = false, diffTxnsMax = Number.MAX_SAFE_INTEGER } = peer.options;
  const question = {
    leader: slot.counts ? outline : cutOutline(outline, syncEnd),
    leaderDelivered: peer.delivered,
    learner: ack.outline,
    learnerDelivered: ack.delivered,
  };
  let decision = decideSync({ ...question, forceSnapshot, diffTxnsMax });
  const source = decision.kind === "snap" ? openSnapshot(peer, decision.above) : undefined;
  if (source === undefined && decision.kind === "snap" && (decision.row === "D0" || decision.row === "D8")) {
    // By choice only, and the cut there is does not reach far enough: the log does.
    decision = decideSync({ ...question, forceSnapshot: false, diffTxnsMax: Number.MAX_SAFE_INTEGER });
  }
  if (decision.kind === "refuse" || (decision.kind === "snap" && source === undefined)) {
    endSession(peer, leading, slot, "damaged");
    return;
  }
  // My successor may have proposed in this very epoch what I take for superfluous. A stale instance cannot write.
  if (decision.kind === "trunc" && !peer.fresh) fence(peer);
  const after = decision.kind === "snap" ? (source?.zxid ?? syncEnd) : decision.after;
  slot.stream = {
    syncEnd,
    sentThrough: after,
    newLeaderSent: false,
    snapshot: source === undefined ? undefined : { id: source.id, nextPage: 0, isSent: false },
    inFlight: [],
    inFlightBytes: 0,
  };
  const { session } = slot;
  const snapshotId = source?.id ?? 0;
  send(peer, slot.id, {
    kind: "sync",
    session,
    epoch: leading.epoch,
    mode: decision.kind,
    after,
    syncEnd,
    snapshotId,
    ...(compareZxid(peer.config.version, ZERO_ZXID) > 0 ? { config: peer.config } : {}),
  });
  pump(peer, leading, slot);
}

/** A cut that reaches far enough; one that is open already may have been made before a compaction. */
function openSnapshot(peer: Peer, above: Zxid): { readonly id: number; readonly zxid: Zxid } | undefined {
  const source = peer.reader.openSnapshot();
  const { base } = peer.history.outline;
  const usable =
    compareZxid(source.zxid, above) > 0 &&
    compareZxid(source.zxid, base) >= 0 &&
    compareZxid(source.zxid, peer.delivered) <= 0;
  if (usable) return source;
  peer.reader.closeSnapshot(source.id);
  return undefined;
}

function closeSnapshot(peer: Peer, stream: Stream): void {
  if (stream.snapshot === undefined) return;
  peer.reader.closeSnapshot(stream.snapshot.id);
  stream.snapshot = undefined;
}

/** Pages first. */
function isSendingPages({ snapshot }: Stream): boolean {
  return snapshot !== undefined && !snapshot.isSent;
}

function isEnoughUnderWay(peer: Peer, stream: Stream): boolean {
  if (stream.inFlightBytes >= peer.options.inFlightBytesMax) return true;
  if (stream.inFlight.length >= packetsInFlightMax) return true;
  return isSendingPages(stream) && stream.inFlight.length >= pagesInFlightMax;
}

/** Sends what comes next, until everything is sent or enough is under way. */
export function pump(peer: Peer, leading: Leading, slot: Slot): void {
  const { stream } = slot;
  if (stream === undefined) return;
  const end = slot.counts ? last(peer) : peer.delivered;
  while (leading.slots.get(slot.id) === slot) {
    const isSynchronized = !isSendingPages(stream) && equalZxid(stream.sentThrough, stream.syncEnd);
    if (isSynchronized && !stream.newLeaderSent) sendNewLeader(peer, leading, slot, stream);
    if (isEnoughUnderWay(peer, stream)) return;
    if (isSendingPages(stream)) sendPage(peer, leading, slot, stream);
    else if (!stream.newLeaderSent) sendBatch(peer, leading, slot, stream, stream.syncEnd);
    else if (compareZxid(stream.sentThrough, end) < 0) sendBatch(peer, leading, slot, stream, end);
    // Only now: an open snapshot keeps the log above it, which the learner needed until here.
    else return closeSnapshot(peer, stream);
  }
}

function sendNewLeader(peer: Peer, leading: Leading, slot: Slot, stream: Stream): void {
  stream.newLeaderSent = true;
  const { session } = slot;
  send(peer, slot.id, { kind: "newLeader", session, epoch: leading.epoch, syncEnd: stream.syncEnd });
}

function sendPage(peer: Peer, leading: Leading, slot: Slot, stream: Stream): void {
  const { snapshot } = stream;
  if (snapshot === undefined) return;
  const page = peer.reader.readSnapshotPage(snapshot.id, snapshot.nextPage);
  if (page === undefined) {
    endSession(peer, leading, slot, "damaged");
    return;
  }
  const { session } = slot;
  send(peer, slot.id, {
    kind: "snapPage",
    session,
    epoch: leading.epoch,
    snapshotId: snapshot.id,
    page: snapshot.nextPage,
    last: page.last,
    bytes: page.bytes,
  });
  track(peer, stream, snapshot.nextPage, page.bytes.length);
  snapshot.nextPage += 1;
  snapshot.isSent = page.last;
}

function sendBatch(peer: Peer, leading: Leading, slot: Slot, stream: Stream, end: Zxid): void {
  const batch = readLog(peer, stream.sentThrough, end);
  if (batch === undefined) {
    // A new session finds another way.
    endSession(peer, leading, slot, "damaged");
    return;
  }
  const prev = stream.sentThrough;
  const { session } = slot;
  const { epoch } = leading;
  stream.sentThrough = lastOfBatch(batch);
  track(peer, stream, -1, bytesOf(batch));
  if (!stream.newLeaderSent) {
    send(peer, slot.id, { kind: "entries", session, epoch, prev, batch });
  } else if (slot.counts) {
    const commitTo = peer.delivered;
    send(peer, slot.id, { kind: "propose", session, epoch, prev, batch, commitTo });
  } else {
    send(peer, slot.id, { kind: "inform", session, epoch, prev, batch });
  }
}

/**
 * The log directly after `after`; what this step appends is in hand, for the reader does not show it yet.
 * `undefined` when what comes next was compacted away: what the log then shows would leave a hole that no
 * zxid betrays.
 */
function readLog(peer: Peer, after: Zxid, through: Zxid): Batch | undefined {
  const bytesMax = peer.options.packetBytesMax;
  const { unwritten } = peer;
  if (unwritten !== undefined && compareZxid(after, unwritten.prev) >= 0) {
    return cutBatch(unwritten.batch, { after, through, bytesMax });
  }
  const { outline } = peer.history;
  if (compareZxid(after, outline.base) < 0) return undefined;
  const next = nextAfter(outline, after);
  const batch = peer.reader.readAfter(after, bytesMax);
  if (batch === undefined || batch.epoch !== next?.epoch || batch.first !== next.counter) return undefined;
  return cutBatch(batch, { after, through, bytesMax });
}

function track(peer: Peer, stream: Stream, page: number, bytes: number): void {
  stream.inFlight.push({ page, through: stream.sentThrough, bytes, sentAt: peer.now });
  stream.inFlightBytes += bytes;
}

/** Takes note that everything through `through`, and so many pages, has arrived; says whether that is news. */
export function arrived(stream: Stream, through: Zxid, pages: number): boolean {
  let count = 0;
  for (const item of stream.inFlight) {
    const here = item.page >= 0 ? item.page < pages : compareZxid(item.through, through) <= 0;
    if (!here) break;
    stream.inFlightBytes -= item.bytes;
    count += 1;
  }
  if (count > 0) stream.inFlight.splice(0, count);
  return count > 0;
}
