/**
 * The door of one Zab peer: events in, duties out.
 *
 * The shell feeds `step` one event at a time and carries out the duties in field order, in the same
 * synchronous turn: `store` in one atomic write, then `send`, then the rest. On Durable Objects the
 * output gate holds what was sent until the write is durable, so the core treats `store` as done when it
 * is emitted. A shell without a gate must emulate one: hold back `send`, `deliver`, `confirmed` of this
 * step and all later ones until the write has completed (`docs/decisions/0003-one-kind-of-shell.md`).
 *
 * @module
 */

import type { ServerId, Zxid } from "../base/index.ts";
import type { Config, Membership } from "./config.ts";
import type { LinkLoss } from "./link-types.ts";
import type { Outline } from "./outline.ts";
import type { Batch, LearnerSession, Packet, Role } from "./packets.ts";

/** The promises of a member. Written as one record, always. */
export interface Promises {
  /** Highest epoch promised. */
  readonly acceptedEpoch: number;
  /** To whom; 0 before the first. */
  readonly acceptedLeader: ServerId | 0;
  /** The epoch whose initial history this member has completely stored. Invariant: `<= acceptedEpoch`. */
  readonly currentEpoch: number;
  /** The last epoch this member led as established leader. Invariant: `<= currentEpoch`. */
  readonly establishedEpoch: number;
}

/** Everything a peer is rebuilt from. */
export interface DurableState {
  readonly promises: Promises;
  /** The committed configuration. */
  readonly config: Config;
  /** One that is logged and not known to be committed. */
  readonly pending?: Config | undefined;
  /** The log: its base (compacted) and its runs. */
  readonly outline: Outline;
  /** The zxid the stored state corresponds to. Invariant: `outline.base <= applied <= last`. */
  readonly applied: Zxid;
}

/** The log and the snapshots, readable at any moment, reads see every earlier `store`. */
export interface HistoryReader {
  /**
   * Logged txns directly after `after`, oldest first, all of one epoch, at most about `bytesMax` of
   * payload but never empty unless the log ends there.
   */
  readAfter(after: Zxid, bytesMax: number): Batch | undefined;
  /**
   * Opens a consistent cut of the applied state, or joins the one that is open; a shell keeps it stable
   * until `closeSnapshot`, and the log above it. `id` is not used twice in an incarnation.
   */
  openSnapshot(): { readonly id: number; readonly zxid: Zxid };
  /** Page `page` (0-based) of an open snapshot, perhaps an empty one; `undefined` when the cut is gone. */
  readSnapshotPage(
    id: number,
    page: number,
  ): { readonly bytes: Uint8Array; readonly last: boolean } | undefined;
  /** Once for each time it was opened or joined; with the last the cut may go. */
  closeSnapshot(id: number): void;
}

/** One change to durable storage. All of one step make one atomic write, in order. */
export type StoreOp =
  | { readonly kind: "promises"; readonly promises: Promises }
  /** `prev` is what the log ends with before. */
  | { readonly kind: "append"; readonly prev: Zxid; readonly batch: Batch }
  /** Drops every logged txn above `after`. Never reaches below what was delivered. */
  | { readonly kind: "truncate"; readonly after: Zxid }
  /** Drops any staged pages. */
  | { readonly kind: "discardStaging" }
  | { readonly kind: "stagePage"; readonly page: number; readonly bytes: Uint8Array }
  /** Switches to the staged snapshot: applied = base = `zxid`, log emptied, staging dropped. */
  | { readonly kind: "installSnapshot"; readonly zxid: Zxid; readonly pages: number }
  /** Both, as one record: what a peer is rebuilt from as `config` and `pending`. */
  | { readonly kind: "configs"; readonly committed: Config; readonly pending: Config | undefined }
  /** A write whose only purpose is to fail in an instance that was replaced. */
  | { readonly kind: "fence" };

export interface Outgoing {
  readonly to: ServerId;
  readonly packet: Packet;
  /** May wait a little for company (a bare commit); everything else wants to leave at once. */
  readonly lazy: boolean;
}

export type PeerEvent =
  /** Fed first, and once. */
  | { readonly kind: "booted" }
  /** One tick of `PeerOptions`' unit has passed. Late, early, missing and repeated ones are harmless. */
  | { readonly kind: "ticked" }
  /**
   * A packet came out of a link, in order. `fresh`: at the start of a platform event, where the platform
   * has just checked that this instance is the live one. `false` in a continuation (a response to our own
   * call, anything after an await): then assertions of present authority need a fence. `reads`: the latest
   * version of packets that the sender reads, as its link knows it. Default: the same as this member.
   */
  | {
      readonly kind: "received";
      readonly from: ServerId;
      readonly packet: Packet;
      readonly fresh: boolean;
      readonly reads?: number | undefined;
    }
  /**
   * The link to `peer` lost what was under way (`lost`, the default), or `peer` has a new incarnation
   * (`restarted`). Comes before every packet of what follows.
   */
  | { readonly kind: "linkDown"; readonly peer: ServerId; readonly reason?: LinkLoss | undefined }
  /** Txns for an established leader to propose, in order, as one batch. */
  | { readonly kind: "submitted"; readonly payloads: readonly Uint8Array[] }
  /** A linearizable read or sync. Answered by `confirmed` or `rejected` with the same id. */
  | { readonly kind: "readIndex"; readonly id: number; readonly fresh: boolean }
  /**
   * A client did something here, or waits for something. Wakes the member, and puts off its sleep. While the
   * peer wants ticks, one before a tick is enough.
   */
  | { readonly kind: "active" }
  /** At a serving learner: what its clients ask of the leader. `lazy`: may wait for company. */
  | { readonly kind: "forward"; readonly bytes: Uint8Array; readonly lazy: boolean }
  /**
   * At an established leader: its word on what a learner forwarded in that session. The learner's clients
   * wait for every txn through `awaited`, whether it is proposed already or in the next step.
   */
  | {
      readonly kind: "answer";
      readonly to: ServerId;
      readonly session: LearnerSession;
      readonly bytes: Uint8Array;
      readonly awaited: Zxid;
    }
  /** The shell wrote a checkpoint of the applied state. */
  | { readonly kind: "checkpointed"; readonly applied: Zxid }
  /** The shell dropped the log through `base`. Invariant: `base <= applied`. */
  | { readonly kind: "compacted"; readonly base: Zxid };

/** What the shell owes the peer, in field order. */
export interface Duties {
  /** Durable before anything below leaves the member. */
  readonly store: readonly StoreOp[];
  readonly send: readonly Outgoing[];
  /** Committed txns to apply: everything logged in `(after, through]`, each once per incarnation. */
  readonly deliver: { readonly after: Zxid; readonly through: Zxid } | undefined;
  /** The state was replaced by a snapshot (in `store`) and stands at this zxid; comes before `deliver`. */
  readonly reloaded: Zxid | undefined;
  /** The configurations, when one has changed in this step: who is called, and whom to accept calls of. */
  readonly configs: { readonly committed: Config; readonly pending: Config | undefined } | undefined;
  /** Linearizable reads that may be answered once `index` is applied. */
  readonly confirmed: readonly { readonly id: number; readonly index: Zxid }[];
  /** Reads this member cannot confirm any more; nothing is known about them. */
  readonly rejected: readonly number[];
  /** At an established leader: what a learner's clients ask. `fresh` as in `PeerEvent`. */
  readonly forwarded: Forwarded | undefined;
  /** At a serving learner: the leader's word on what was forwarded in this session. */
  readonly answered: Uint8Array | undefined;
  /** Set when what the member may do for clients has changed in this step. */
  readonly serving: Serving | undefined;
  /**
   * Whether `ticked` is wanted from now on. A peer that sleeps wants none, and nothing of it waits for one:
   * without calls under way the shell may drop it from memory. The next event of any other kind wakes it.
   */
  readonly wantsTicks: boolean;
  /** An invariant is broken: stop this member, repair nothing. */
  readonly halt: string | undefined;
}

/** What a learner has forwarded, and the session it is to be answered in. */
export interface Forwarded {
  readonly from: ServerId;
  readonly session: LearnerSession;
  readonly bytes: Uint8Array;
  readonly fresh: boolean;
}

/** What a member may do for clients. Nothing, under a leader of a version that answers no learners. */
export type Serving =
  | { readonly kind: "none" }
  /** Established: takes writes. Everything proposed before (`through`) is committed and delivered. */
  | { readonly kind: "leading"; readonly epoch: number }
  | { readonly kind: "following"; readonly epoch: number; readonly leader: ServerId }
  | { readonly kind: "observing"; readonly epoch: number; readonly leader: ServerId };

/** All in ticks unless the name says otherwise; the shell says how long a tick is. */
export interface PeerOptions {
  readonly id: ServerId;
  /** To collect a quorum in discovery, and in synchronization since a part of it last arrived somewhere. */
  readonly initLimitTicks: number;
  /** Without contact for so long a session or a leadership ends. */
  readonly syncLimitTicks: number;
  readonly pingEveryTicks: number;
  /** How long a complete quorum of votes waits for a better one. */
  readonly finalizeWaitTicks: number;
  readonly notifyEveryTicksMin: number;
  readonly notifyEveryTicksMax: number;
  /** Per learner: payload bytes sent and not yet acknowledged or received. */
  readonly inFlightBytesMax: number;
  /** Payload bytes of one packet. */
  readonly packetBytesMax: number;
  /** Last counter ever proposed in an epoch; tests use a small one. At most 2^32-2. */
  readonly counterMax: number;
  /** This incarnation: goes into learner sessions and confirm rounds. */
  readonly incarnation: number;
  /**
   * After so long without activity the ensemble goes to sleep: no ticks, no packets. At least 1. Default: it
   * never does.
   */
  readonly idleTicks?: number | undefined;
  /**
   * A leader that lost its memory goes on in its epoch, and its learners come back to it without an election.
   * Only for a shell that makes every proposal durable before it leaves. Default: no.
   */
  readonly resumes?: boolean | undefined;
  /** Identity of this member's storage: made with it, and gone with it. Default: none. */
  readonly storageId?: string | undefined;
  /**
   * The one question that is asked of a payload: whether it changes the configuration, and to what. The same
   * answer always and everywhere. Default: none does.
   */
  readonly configOf?: ((payload: Uint8Array) => Membership | undefined) | undefined;
  /** More missing txns than this are replaced by a snapshot where one helps. Default: no limit. */
  readonly diffTxnsMax?: number | undefined;
  /** Every synchronization is a snapshot where one is possible; for tests and operators. */
  readonly forceSnapshot?: boolean | undefined;
}

/** For status pages and for the shell's bookkeeping; never for decisions about Zab. */
export interface PeerStatus {
  readonly role: Role;
  readonly phase: "election" | "discovery" | "synchronization" | "broadcast";
  readonly leader: ServerId | 0;
  readonly epoch: number;
  readonly promises: Promises;
  readonly lastLogged: Zxid;
  readonly lastCommitted: Zxid;
  /** The election's round, volatile. */
  readonly round: number;
  readonly serving: Serving;
  /** Learners with a session, at a leader. */
  readonly learners: readonly ServerId[];
  readonly asleep: boolean;
  readonly config: Config;
  readonly pending: Config | undefined;
  /** Why the peer stopped for good. */
  readonly halted: string | undefined;
}
