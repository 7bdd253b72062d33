/**
 * The packets members exchange, one type per purpose.
 *
 * "e" below: names the leader's epoch and is checked against it. "s": names the learner session.
 * A learner drops a leader's packet whose session is not its current one; a leader drops a learner's
 * packet whose session is not the one it has on record. That is what keeps leftovers of an abandoned
 * attachment from changing anything.
 *
 * Sources: Junqueira, Reed and Serafini, "Zab", DSN 2011; ZooKeeper `Leader`, `Learner`,
 * `FastLeaderElection.Notification`. Where a packet has a namesake in ZooKeeper it differs in being
 * cumulative: an ack or commit "through z" covers everything before z.
 *
 * @module
 */

import type { ServerId, Zxid } from "../base/index.ts";
import type { Batch } from "./batch.ts";
import type { Config } from "./config.ts";
import type { Outline } from "./outline.ts";

export type { Batch } from "./batch.ts";

/** One attachment of a learner to a leader, chosen by the learner; never used twice. */
export interface LearnerSession {
  readonly incarnation: number;
  readonly attempt: number;
}

/** A vote: this candidate, with this history. Greater (currentEpoch, lastZxid, leader) wins. */
export interface Vote {
  /** 0: nobody (a non-voter's own vote). */
  readonly leader: ServerId | 0;
  readonly lastZxid: Zxid;
  readonly currentEpoch: number;
}

export type Role = "looking" | "following" | "leading" | "observing";

/** P<->P: what I vote for, or whom I have settled on. */
export interface Notify {
  readonly kind: "notify";
  readonly state: Role;
  readonly round: number;
  readonly vote: Vote;
  /** Settled members: contact with the leader in this incarnation within the last `syncLimit` ticks. */
  readonly confirmed: boolean;
  /** The sender is looking and wants an answer. */
  readonly wantsAnswer: boolean;
  /** The committed configuration, as the sender knows it. Members that cannot be reconfigured send none. */
  readonly config?: Config | undefined;
}

/** F->L (s): attaches; the learner's promises and history, exactly as stored. */
export interface CEpoch {
  readonly kind: "cepoch";
  readonly session: LearnerSession;
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  readonly outline: Outline;
  /** What the learner takes itself for. The leader counts by its own configurations. */
  readonly observer: boolean;
  readonly storageId?: string | undefined;
}

/** L->F (e, s): the epoch a quorum is asked to promise. */
export interface NewEpoch {
  readonly kind: "newEpoch";
  readonly session: LearnerSession;
  readonly epoch: number;
}

/** F->L (e, s): the promise is durable. */
export interface AckEpoch {
  readonly kind: "ackEpoch";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly currentEpoch: number;
  readonly outline: Outline;
  /** What the learner has delivered: a truncation below it would undo committed state. */
  readonly delivered: Zxid;
}

/** Either way (s): the packet cannot be accepted. */
export interface Refuse {
  readonly kind: "refuse";
  readonly session: LearnerSession;
  readonly reason: "epoch" | "notLeading" | "outOfOrder" | "damaged";
  readonly acceptedEpoch: number;
}

/** L->F (e, s): how the learner is brought level; entries follow. */
export interface Sync {
  readonly kind: "sync";
  readonly session: LearnerSession;
  readonly epoch: number;
  /** `trunc`: drop what is above `after` first. `snap`: pages first, labelled `after`. */
  readonly mode: "diff" | "trunc" | "snap";
  /** Last common zxid, or the snapshot's zxid. */
  readonly after: Zxid;
  /** The leader's last logged zxid when it decided (observers: last committed). */
  readonly syncEnd: Zxid;
  /** Only for `snap`. */
  readonly snapshotId: number;
  /** The committed configuration: a snapshot does not say it. */
  readonly config?: Config | undefined;
}

/** L->F (e, s): one page of a snapshot, in key order. The last one says so and carries the digest of all. */
export interface SnapPage {
  readonly kind: "snapPage";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly snapshotId: number;
  /** 0, 1, 2, ... */
  readonly page: number;
  readonly last: boolean;
  readonly bytes: Uint8Array;
}

/** L->F (e, s): history below `syncEnd`. Stored, never acknowledged, applied or served by itself. */
export interface Entries {
  readonly kind: "entries";
  readonly session: LearnerSession;
  readonly epoch: number;
  /** What stands directly before. */
  readonly prev: Zxid;
  readonly batch: Batch;
}

/** F->L (e, s): pacing only: how far entries, or pages, have arrived. Proves nothing, is never counted. */
export interface Received {
  readonly kind: "received";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly through: Zxid;
  /** Snapshot pages received so far. */
  readonly pages: number;
}

/** L->F (e, s): the learner now has the history through `syncEnd` and may join the epoch. */
export interface NewLeader {
  readonly kind: "newLeader";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly syncEnd: Zxid;
}

/** F->L (e, s): history through `syncEnd` and `currentEpoch = epoch` are durable. */
export interface AckLeader {
  readonly kind: "ackLeader";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly syncEnd: Zxid;
}

/** L->F (e, s): the leader is established; deliver through `commitTo` and serve. */
export interface UpToDate {
  readonly kind: "upToDate";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly commitTo: Zxid;
}

/** L->F (e, s): store, then ack. `commitTo` rides along. */
export interface Propose {
  readonly kind: "propose";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly prev: Zxid;
  readonly batch: Batch;
  readonly commitTo: Zxid;
}

/** F->L (e, s): everything through this is durable here. */
export interface Ack {
  readonly kind: "ack";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly through: Zxid;
}

/** L->F (e, s): everything through this is committed. */
export interface Commit {
  readonly kind: "commit";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly commitTo: Zxid;
}

/** L->O (e, s): committed txns for an observer. */
export interface Inform {
  readonly kind: "inform";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly prev: Zxid;
  readonly batch: Batch;
}

/** L->F (e, s): contact, the commit bound, and the confirm round the leader wants answered. */
export interface Ping {
  readonly kind: "ping";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly commitTo: Zxid;
  /** 0: none. */
  readonly confirmRound: number;
}

/** F->L (e, s): contact. `confirmRound` confirms that the learner still follows this epoch. */
export interface Pong {
  readonly kind: "pong";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly through: Zxid;
  readonly confirmRound: number;
}

/**
 * L->P (e): I was established in this epoch, have lost my memory since, and go on: attach to me. Answered by
 * CEPOCH, or by DECLINE.
 */
export interface Solicit {
  readonly kind: "solicit";
  readonly epoch: number;
}

/** P->L (e): the epoch of SOLICIT cannot be joined any more: a later one is promised, or this one to another. */
export interface Decline {
  readonly kind: "decline";
  /** The epoch solicited for. */
  readonly epoch: number;
  readonly acceptedEpoch: number;
}

/** L->F (e, s): nothing is under way, everything through `through` is committed everywhere: let us sleep. */
export interface Quiesce {
  readonly kind: "quiesce";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly through: Zxid;
  /** Of the offer; not used twice in an incarnation. */
  readonly number: number;
}

/** F->L (e, s): answers QUIESCE. A learner that accepts is asleep from here on. */
export interface Quiesced {
  readonly kind: "quiesced";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly number: number;
  readonly accepted: boolean;
}

/** F->L (e, s): I have slept, and need to hear that you lead. Answered by PING. */
export interface Wake {
  readonly kind: "wake";
  readonly session: LearnerSession;
  readonly epoch: number;
}

/** F->L (e, s): what the learner's clients ask of the leader, in their order. The shells' bytes. */
export interface Forward {
  readonly kind: "forward";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly bytes: Uint8Array;
}

/** L->F (e, s): the leader's word on what was forwarded, ahead of the commits it is about. The shells' bytes. */
export interface Answer {
  readonly kind: "answer";
  readonly session: LearnerSession;
  readonly epoch: number;
  readonly bytes: Uint8Array;
}

export type Packet =
  | Notify
  | CEpoch
  | NewEpoch
  | AckEpoch
  | Refuse
  | Sync
  | SnapPage
  | Entries
  | Received
  | NewLeader
  | AckLeader
  | UpToDate
  | Propose
  | Ack
  | Commit
  | Inform
  | Ping
  | Pong
  | Solicit
  | Decline
  | Quiesce
  | Quiesced
  | Wake
  | Forward
  | Answer;
