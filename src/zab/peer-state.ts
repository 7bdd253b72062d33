/**
 * What one peer knows, and the small moves every phase is written with.
 *
 * The peer's durable fields mirror what was handed out in `store`; a change of one goes through the
 * functions here, which record the write in the step under way. Changes of role are asked for with
 * `turnTo` and carried out by `peer.ts` when the handler has returned: nothing of the old role may happen
 * afterwards in the same step.
 *
 * Invariants (checked after every step by `invariants.ts`):
 * - `currentEpoch <= acceptedEpoch`, `establishedEpoch <= currentEpoch`.
 * - `base <= applied <= delivered <= last`, and `last.epoch <= acceptedEpoch`.
 *
 * @module
 */

import { assert, compareZxid, type ServerId, type Zxid } from "../base/index.ts";
import { follows } from "./batch.ts";
import type { Config } from "./config.ts";
import {
  type MembershipView,
  noteAppended,
  noteDelivered,
  noteReplaced,
  noteTruncated,
} from "./membership.ts";
import {
  append as appendToOutline,
  type History,
  restart as restartHistory,
  truncate as truncateOutline,
} from "./outline.ts";
import type { AckEpoch, Batch, LearnerSession, Packet, Vote } from "./packets.ts";
import type { Forwarded, HistoryReader, PeerOptions, Promises, Serving, StoreOp } from "./peer-types.ts";

/** What a settled member said of itself when it was last heard in this election. */
export interface Claim {
  readonly state: "following" | "leading";
  readonly round: number;
  readonly vote: Vote;
  readonly confirmed: boolean;
}

export interface Looking {
  readonly kind: "looking";
  vote: Vote;
  /** Votes of this round, by voter; my own is `vote`. */
  readonly seen: Map<ServerId, Vote>;
  /** The latest claims of settled voters, of any round. */
  readonly settled: Map<ServerId, Claim>;
  /** Tick at which a complete quorum decides; `undefined` while there is none. */
  decideAt: number | undefined;
  resendAt: number;
  resendTicks: number;
}

/** `attaching`: CEPOCH is out. `promised`: the epoch is. `joined`: currentEpoch is stored. */
export type LearnerStage = "attaching" | "promised" | "syncing" | "joined" | "serving";

export interface Learning {
  readonly kind: "learning";
  readonly leader: ServerId;
  /** What I decided for, and answer those who look. */
  readonly vote: Vote;
  session: LearnerSession;
  stage: LearnerStage;
  /** 0 while attaching. */
  epoch: number;
  /** Highest commit bound heard; may lie beyond what is logged. */
  bound: Zxid;
  /** The snapshot being staged. */
  staging: { readonly id: number; readonly zxid: Zxid; pages: number } | undefined;
  /** Snapshot pages received in this session. */
  pages: number;
  lastHeard: number;
  /** Has slept and not heard the leader since: vouches for nobody. */
  isUnheard: boolean;
  /** Who asked meanwhile, and is told once the leader is heard again. */
  readonly askers: Set<ServerId>;
  /** The leader is the one promised before memory was lost, or that lost its own: nobody has voted for it. */
  isHinted: boolean;
  /** The latest version of packets that the leader of this session reads. */
  leaderReads: number;
  /** While attaching: without a sign of the leader by then it is given up. */
  attachBy: number | undefined;
  /** While attaching: with a sign, but without an epoch, by then it is given up. */
  epochBy: number;
  /** The leader has said that it leads, and waits for others. */
  leaderKnown: boolean;
  /** Tick of the next CEPOCH; `undefined` when one is out. */
  attachAt: number | undefined;
  /** CEPOCHs since the member last served. */
  attaches: number;
}

/** Something sent and not yet known to have arrived. */
export interface InFlight {
  /** Snapshot page, or -1. */
  readonly page: number;
  readonly through: Zxid;
  readonly bytes: number;
  readonly sentAt: number;
}

/** The one stream from leader to learner: sync, pages, entries, NEWLEADER, proposals. */
export interface Stream {
  /** Entries through here are synchronization; everything after is broadcast. */
  readonly syncEnd: Zxid;
  sentThrough: Zxid;
  newLeaderSent: boolean;
  /** Open until the stream has caught up; its pages come before everything else. */
  snapshot: { readonly id: number; nextPage: number; isSent: boolean } | undefined;
  readonly inFlight: InFlight[];
  inFlightBytes: number;
}

/** A learner's session at its leader. */
export interface Slot {
  readonly id: ServerId;
  readonly session: LearnerSession;
  /** Which storage it says it has. */
  readonly storageId: string | undefined;
  /** The latest version of packets that it reads. */
  readonly reads: number;
  /** Whether its answers count: a voter of an active configuration, with its storage. */
  counts: boolean;
  readonly acceptedEpoch: number;
  /** Its history is more recent than the leader's: no part of the quorum that fixes the history. */
  isFitter: boolean;
  lastHeard: number;
  /** NEWEPOCH was sent. */
  asked: boolean;
  promised: AckEpoch | undefined;
  stream: Stream | undefined;
  /** ACKLEADER came. */
  joined: boolean;
  /** UPTODATE was sent. */
  served: boolean;
  /** Its clients wait for everything through here. */
  awaited: Zxid;
  /** The tick at which it last forwarded something for its clients; `undefined`: it has not yet. */
  forwardedAt: number | undefined;
}

export interface Read {
  readonly id: number;
  readonly fresh: boolean;
}

export interface ReadRound {
  readonly number: number;
  readonly index: Zxid;
  readonly reads: readonly Read[];
  readonly confirmedBy: Set<ServerId>;
}

export interface Leading {
  readonly kind: "leading";
  readonly vote: Vote;
  phase: "discovery" | "synchronization" | "broadcast";
  /** 0 until a quorum has told what it promised. */
  epoch: number;
  /** The phase began at this tick. */
  since: number;
  /** End of the initial history; fixed with the quorum of promises. */
  ihEnd: Zxid;
  readonly slots: Map<ServerId, Slot>;
  /** What voters have acknowledged in this epoch; outlives their sessions, for it stays true. */
  readonly match: Map<ServerId, Zxid>;
  /** When a voter was last heard in a session. */
  readonly contact: Map<ServerId, number>;
  /** Electors that look for another leader. */
  readonly deserters: Set<ServerId>;
  /** Voters seen without what they had acknowledged in this epoch: their storage was lost or set back. */
  readonly forgetful: Set<ServerId>;
  /** Since when a voter with a more recent history waits, before the history is fixed. */
  fitterSince: number | undefined;
  pingedAt: number;
  /**
   * When members without a session were last told of the configuration. Who begins to lead, wakes, or gives up a
   * silent learner tells them with that tick or the next: it may be asleep before another limit has passed.
   */
  toldAt: number;
  round: ReadRound | undefined;
  waiting: Read[];
  /** Since when a new epoch is wanted for a member that has promised a later one. */
  renewSince: number | undefined;
  /** Goes on in an epoch it was established in before it lost its memory. */
  readonly isResumed: boolean;
  /** While a resumed one has no quorum yet: when it solicits next. */
  solicitAt: number;
  /** The offer to sleep that is under way. */
  offer: SleepOffer | undefined;
}

/** A leader's offer to sleep. */
export interface SleepOffer {
  readonly number: number;
  readonly since: number;
  readonly acceptedBy: Set<ServerId>;
}

export type RoleState = Looking | Learning | Leading;

export type Turn =
  | { readonly kind: "look" }
  | { readonly kind: "lead"; readonly vote: Vote }
  | { readonly kind: "learn"; readonly leader: ServerId; readonly vote: Vote; readonly isHinted: boolean };

export interface Penalty {
  readonly until: number;
  readonly strikes: number;
}

/** The duties of the step under way. */
export interface Draft {
  readonly store: StoreOp[];
  readonly send: { to: ServerId; packet: Packet; lazy: boolean }[];
  deliver: { readonly after: Zxid; readonly through: Zxid } | undefined;
  reloaded: Zxid | undefined;
  configs: { readonly committed: Config; readonly pending: Config | undefined } | undefined;
  readonly confirmed: { readonly id: number; readonly index: Zxid }[];
  readonly rejected: number[];
  forwarded: Forwarded | undefined;
  answered: Uint8Array | undefined;
  serving: Serving | undefined;
  wantsTicks: boolean;
  halt: string | undefined;
}

export interface Peer extends MembershipView {
  readonly id: ServerId;
  readonly options: PeerOptions;
  readonly reader: HistoryReader;
  /** The committed configuration; how both change is the affair of `membership.ts`. */
  config: Config;
  /** Logged, and not known to be committed. */
  pending: Config | undefined;

  promises: Promises;
  readonly history: History;
  applied: Zxid;
  /** Everything through here is committed and was handed to the state machine. */
  delivered: Zxid;

  booted: boolean;
  halted: string | undefined;
  /** Ticks so far. */
  now: number;
  round: number;
  /** Attempts of learner sessions so far. */
  attempts: number;
  /** Confirm rounds so far. */
  confirmRounds: number;
  /** Offers to sleep so far. */
  offers: number;
  /** Tick of the last reason to stay awake: a client's request, or the beginning of a reign or of a wake. */
  activeAt: number;
  /** Wants no ticks, tells nobody anything, and has no evidence about anybody. */
  asleep: boolean;
  /** The highest epoch a voter is known to have promised. */
  epochHeard: number;
  readonly penalties: Map<ServerId, Penalty>;
  /** Pages of an earlier incarnation may still be staged. */
  stagingUnknown: boolean;
  role: RoleState;
  serving: Serving;

  turn: Turn | undefined;
  /** A configuration has changed in this step. */
  isReconfigured: boolean;
  draft: Draft;
  /** Whether the event under way came at the start of a platform event. */
  fresh: boolean;
  /** What the sender of the packet under way reads. */
  senderReads: number;
  /** Appended in this step, and not yet visible to the reader. */
  unwritten: { readonly prev: Zxid; readonly batch: Batch } | undefined;
}

export function emptyDraft(): Draft {
  return {
    store: [],
    send: [],
    deliver: undefined,
    reloaded: undefined,
    configs: undefined,
    confirmed: [],
    rejected: [],
    forwarded: undefined,
    answered: undefined,
    serving: undefined,
    wantsTicks: false,
    halt: undefined,
  };
}

/** Asks for another role. The first request of a step wins; the caller returns at once. */
export function turnTo(peer: Peer, turn: Turn): void {
  peer.turn ??= turn;
}

export function send(peer: Peer, to: ServerId, packet: Packet): void {
  peer.draft.send.push({ to, packet, lazy: false });
}

export function sendLazily(peer: Peer, to: ServerId, packet: Packet): void {
  peer.draft.send.push({ to, packet, lazy: true });
}

export function last(peer: Peer): Zxid {
  return peer.history.last;
}

export function promise(peer: Peer, change: Partial<Promises>): void {
  peer.promises = { ...peer.promises, ...change };
  peer.draft.store.push({ kind: "promises", promises: peer.promises });
}

export function append(peer: Peer, batch: Batch): void {
  const prev = last(peer);
  assert(follows(batch, prev), "a batch stands directly behind the last logged txn");
  assert(peer.unwritten === undefined, "a step appends once");
  peer.draft.store.push({ kind: "append", prev, batch });
  appendToOutline(peer.history, batch);
  noteAppended(peer, batch);
  peer.unwritten = { prev, batch };
}

export function truncate(peer: Peer, after: Zxid): void {
  assert(compareZxid(after, peer.delivered) >= 0, "nothing delivered is ever truncated");
  peer.draft.store.push({ kind: "truncate", after });
  truncateOutline(peer.history, after);
  noteTruncated(peer, after);
}

export function installSnapshot(peer: Peer, zxid: Zxid, pages: number): void {
  assert(compareZxid(zxid, peer.delivered) >= 0, "a snapshot never undoes what was delivered");
  peer.draft.store.push({ kind: "installSnapshot", zxid, pages });
  restartHistory(peer.history, zxid);
  peer.applied = zxid;
  peer.delivered = zxid;
  peer.draft.reloaded = zxid;
  noteReplaced(peer);
}

/** A write whose only purpose is to fail in an instance that was replaced. Once per step is enough. */
export function fence(peer: Peer): void {
  if (peer.draft.store.at(-1)?.kind !== "fence") peer.draft.store.push({ kind: "fence" });
}

/** Hands everything through `through` to the state machine. Never beyond the log. */
export function deliver(peer: Peer, through: Zxid): void {
  if (compareZxid(through, peer.delivered) <= 0) return;
  assert(compareZxid(through, last(peer)) <= 0, "nothing is delivered beyond the log");
  peer.draft.deliver = { after: peer.draft.deliver?.after ?? peer.delivered, through };
  peer.delivered = through;
  noteDelivered(peer, through);
}

export function serve(peer: Peer, serving: Serving): void {
  if (equalServing(peer.serving, serving)) return;
  peer.serving = serving;
  peer.draft.serving = serving;
}

function equalServing(a: Serving, b: Serving): boolean {
  if (a.kind === "none" || b.kind === "none") return a.kind === b.kind;
  if (a.kind !== b.kind || a.epoch !== b.epoch) return false;
  return a.kind === "leading" || b.kind === "leading" || a.leader === b.leader;
}

export function isVoterId(peer: Peer, id: ServerId): boolean {
  return peer.active.some((voters) => voters.includes(id));
}

export function sameSession(a: LearnerSession, b: LearnerSession): boolean {
  return a.attempt === b.attempt && a.incarnation === b.incarnation;
}

/**
 * How long a sign of life from a chosen leader is awaited: about a second, when the first repetition of a
 * vote comes after a fifth of one.
 */
export function attachTicks(options: PeerOptions): number {
  return Math.min(options.initLimitTicks, Math.max(2, 5 * options.notifyEveryTicksMin));
}

/** Spreads members that would otherwise act in step; deterministic, for the core draws nothing. */
export function stagger(peer: Peer, spread: number): number {
  return spread <= 0 ? 0 : (peer.id * 7 + peer.round * 13) % (spread + 1);
}

/** Keeps a candidate that could not be followed out of the next elections, longer each time. */
export function penalize(peer: Peer, id: ServerId): void {
  const strikes = Math.min((peer.penalties.get(id)?.strikes ?? 0) + 1, 6);
  const base = attachTicks(peer.options);
  const ticks = Math.min(base * 2 ** (strikes - 1), 4 * peer.options.initLimitTicks);
  peer.penalties.set(id, { until: peer.now + ticks + stagger(peer, base), strikes });
}

export function isPenalized(peer: Peer, id: ServerId): boolean {
  const penalty = peer.penalties.get(id);
  return penalty !== undefined && penalty.until > peer.now;
}
