/**
 * Copies of a peer, and what makes two of them the same.
 *
 * A copy is in normal form: what cannot change what the peer does next is set to a constant. `encodePeer`
 * writes down exactly the rest, so equal encodings mean equal peers (a test compares them field by field).
 * Left out, and why that is sound:
 *
 * - Time (`now`, every tick at which something was heard or is due): the search lets any time-out happen
 *   at any time, by asking for it.
 * - The election (votes, rounds, penalties, who looks): an oracle decides instead; see `members.ts`.
 * - What an attachment to a leader has waited for, and how often it was repeated: a CEPOCH sent later is a
 *   CEPOCH that waits in its channel.
 * - What a learner reported, once its stream has begun; what it had promised, once the epoch is chosen.
 * - Flow control, unless the search is about it: then `inFlight` counts.
 *
 * The types below fail to compile, and `checkFields` fails to run, when a peer has a field that is not
 * dealt with here.
 *
 * @module
 */

import { assert, type ServerId, unreachable, ZERO_ZXID, type Zxid } from "../../src/base/index.ts";
import {
  type AckEpoch,
  type Config,
  type HistoryReader,
  type LearnerSession,
  type Outline,
  type Peer,
  type PeerOptions,
  packetVersion,
} from "../../src/zab/index.ts";
// Past the door: a test that copies a peer must know all of it.
import {
  emptyDraft,
  type Leading,
  type Learning,
  type Read,
  type ReadRound,
  type RoleState,
  type Slot,
  type Stream,
} from "../../src/zab/peer-state.ts";
import { NOBODY } from "../../src/zab/vote.ts";
import { nameOf } from "./configurations.ts";

/** All fields, optional ones too: a literal of this type misses none and has none too many. */
type Whole<Value> = { [Field in keyof Required<Value>]: Value[Field] };

/** What a server is, apart from its state. */
export type Identity = Pick<
  Peer,
  "id" | "options" | "config" | "pending" | "active" | "isVoter" | "isMember" | "others"
>;

export interface Copying {
  /** Of the copy. */
  readonly identity: Identity;
  readonly reader: HistoryReader;
  /** New names: of servers, and of the attempts in a server's learner sessions (`of` is its old name). */
  readonly renameId: (id: ServerId) => ServerId;
  readonly renameAttempt: (of: ServerId, attempt: number) => number;
  /** Whether what is under way to learners matters. */
  readonly flow: boolean;
}

const peerFields: Record<keyof Peer, true> = {
  id: true,
  options: true,
  reader: true,
  config: true,
  pending: true,
  active: true,
  isVoter: true,
  isMember: true,
  others: true,
  promises: true,
  history: true,
  applied: true,
  delivered: true,
  booted: true,
  halted: true,
  now: true,
  round: true,
  attempts: true,
  confirmRounds: true,
  offers: true,
  activeAt: true,
  asleep: true,
  epochHeard: true,
  penalties: true,
  stagingUnknown: true,
  role: true,
  serving: true,
  turn: true,
  isReconfigured: true,
  draft: true,
  fresh: true,
  senderReads: true,
  unwritten: true,
};

/** @throws when the peer has a field that copies would lose. */
export function checkFields(peer: Peer): void {
  const unknown = Object.keys(peer).filter((field) => !(field in peerFields));
  assert(unknown.length === 0, `copies of a peer keep all its fields: ${unknown.join(", ")} is new`);
}

export function copyPeer(peer: Peer, how: Copying): Peer {
  const { identity } = how;
  const role = copyRole(peer, how);
  const copy: Whole<Peer> = {
    ...identity,
    reader: how.reader,
    promises: { ...peer.promises, acceptedLeader: renamePromisee(peer.promises.acceptedLeader, how) },
    history: { outline: peer.history.outline, last: peer.history.last },
    applied: peer.applied,
    delivered: peer.delivered,
    booted: peer.booted,
    halted: peer.halted,
    now: 0,
    round: 0,
    // The next session takes the last number there is; it is ranked afterwards.
    attempts: 0,
    confirmRounds: peer.confirmRounds,
    // Nobody offers sleep here: time is free, and a sleep is only a long wait.
    offers: 0,
    activeAt: 0,
    asleep: false,
    epochHeard: peer.epochHeard,
    penalties: new Map(),
    stagingUnknown: peer.stagingUnknown,
    role,
    serving: servingOf(role, identity.isVoter),
    turn: undefined,
    isReconfigured: false,
    draft: emptyDraft(),
    fresh: false,
    // One version everywhere.
    senderReads: packetVersion,
    unwritten: undefined,
  };
  return copy;
}

function renamePromisee(id: ServerId | 0, how: Copying): ServerId | 0 {
  return id === 0 ? 0 : how.renameId(id);
}

function servingOf(role: RoleState, isVoter: boolean): Peer["serving"] {
  if (role.kind === "leading" && role.phase === "broadcast") return { kind: "leading", epoch: role.epoch };
  if (role.kind !== "learning" || role.stage !== "serving") return { kind: "none" };
  return { kind: isVoter ? "following" : "observing", epoch: role.epoch, leader: role.leader };
}

function copyRole(peer: Peer, how: Copying): RoleState {
  const { role } = peer;
  switch (role.kind) {
    case "looking":
      return {
        kind: "looking",
        vote: NOBODY,
        seen: new Map(),
        settled: new Map(),
        decideAt: undefined,
        resendAt: 0,
        resendTicks: 0,
      } satisfies Whole<typeof role>;
    case "learning":
      return copyLearning(peer, role, how);
    case "leading":
      return copyLeading(role, how);
    default:
      return unreachable(role);
  }
}

/** Never due: the options' limits are far smaller. */
const never = 2 ** 30;

function copyLearning(peer: Peer, role: Learning, how: Copying): Learning {
  const copy: Whole<Learning> = {
    kind: "learning",
    leader: how.renameId(role.leader),
    vote: NOBODY,
    session: copySession(peer.id, role.session, how),
    stage: role.stage,
    epoch: role.epoch,
    bound: role.bound,
    staging: role.staging === undefined ? undefined : { ...role.staging },
    pages: role.pages,
    lastHeard: 0,
    isUnheard: false,
    askers: new Set(),
    isHinted: role.isHinted,
    leaderReads: packetVersion,
    attachBy: undefined,
    epochBy: never,
    leaderKnown: false,
    attachAt: undefined,
    attaches: 0,
  };
  return copy;
}

function copyLeading(role: Leading, how: Copying): Leading {
  const slots = [...role.slots.values()].map((slot) => copySlot(role, slot, how));
  const match = [...role.match].map(([id, zxid]): [ServerId, Zxid] => [how.renameId(id), zxid]);
  const copy: Whole<Leading> = {
    kind: "leading",
    vote: NOBODY,
    phase: role.phase,
    epoch: role.epoch,
    since: 0,
    ihEnd: role.ihEnd,
    slots: new Map(slots.sort((a, b) => a.id - b.id).map((slot) => [slot.id, slot])),
    match: new Map(match.sort(([a], [b]) => a - b)),
    contact: new Map(),
    deserters: new Set(),
    // Storage is never lost here, so nobody forgets what it acknowledged.
    forgetful: new Set(),
    fitterSince: undefined,
    pingedAt: 0,
    toldAt: 0,
    round: role.round === undefined ? undefined : copyRound(role.round, how),
    waiting: [...role.waiting],
    renewSince: undefined,
    // It only asks others to attach, and they do that without being asked.
    isResumed: false,
    solicitAt: never,
    offer: undefined,
  };
  return copy;
}

function copyRound(round: ReadRound, how: Copying): ReadRound {
  const confirmedBy = [...round.confirmedBy].map(how.renameId).sort((a, b) => a - b);
  const copy: Whole<ReadRound> = {
    number: round.number,
    index: round.index,
    reads: round.reads,
    confirmedBy: new Set(confirmedBy),
  };
  return copy;
}

function copySlot(role: Leading, slot: Slot, how: Copying): Slot {
  const session = copySession(slot.id, slot.session, how);
  const copy: Whole<Slot> = {
    id: how.renameId(slot.id),
    session,
    storageId: slot.storageId,
    reads: packetVersion,
    counts: slot.counts,
    acceptedEpoch: role.epoch > 0 ? 0 : slot.acceptedEpoch,
    isFitter: slot.isFitter,
    lastHeard: 0,
    asked: slot.asked,
    promised: slot.promised === undefined ? undefined : copyReport(slot, slot.promised, session),
    stream: slot.stream === undefined ? undefined : copyStream(slot.stream, how),
    joined: slot.joined,
    served: slot.served,
    awaited: slot.awaited,
    forwardedAt: undefined,
  };
  return copy;
}

function copyReport(slot: Slot, report: AckEpoch, session: LearnerSession): AckEpoch {
  if (slot.stream === undefined) return { ...report, session };
  return {
    ...report,
    session,
    currentEpoch: 0,
    outline: { base: ZERO_ZXID, runs: [] },
    delivered: ZERO_ZXID,
  };
}

function copyStream(stream: Stream, how: Copying): Stream {
  const copy: Whole<Stream> = {
    syncEnd: stream.syncEnd,
    sentThrough: stream.sentThrough,
    newLeaderSent: stream.newLeaderSent,
    snapshot: stream.snapshot === undefined ? undefined : { ...stream.snapshot },
    inFlight: how.flow ? stream.inFlight.map((item) => ({ ...item, sentAt: 0 })) : [],
    inFlightBytes: how.flow ? stream.inFlightBytes : 0,
  };
  return copy;
}

/** Sessions here have their learner's id for an incarnation: no two members' sessions are ever equal. */
function copySession(of: ServerId, session: LearnerSession, how: Copying): LearnerSession {
  return { incarnation: how.renameId(of), attempt: how.renameAttempt(of, session.attempt) };
}

const stages = ["attaching", "promised", "syncing", "joined", "serving"] as const;
const phases = ["discovery", "synchronization", "broadcast"] as const;

/** Everything `copyPeer` keeps, as numbers. Lists are preceded by their length. */
export function encodePeer(peer: Peer, flow: boolean): number[] {
  const { acceptedEpoch, acceptedLeader, currentEpoch, establishedEpoch } = peer.promises;
  const code = [peer.id, acceptedEpoch, acceptedLeader, currentEpoch, establishedEpoch];
  encodeConfig(code, peer.config);
  code.push(peer.pending === undefined ? 0 : 1);
  if (peer.pending !== undefined) encodeConfig(code, peer.pending);
  encodeOutline(code, peer.history.outline);
  encodeZxid(code, peer.applied);
  encodeZxid(code, peer.delivered);
  code.push(peer.confirmRounds, Number(peer.booted), peer.epochHeard, Number(peer.stagingUnknown));
  const { role } = peer;
  switch (role.kind) {
    case "looking":
      code.push(0);
      break;
    case "learning":
      encodeLearning(code, role);
      break;
    case "leading":
      encodeLeading(code, role, flow);
      break;
    default:
      unreachable(role);
  }
  return code;
}

function encodeLearning(code: number[], role: Learning): void {
  code.push(1, role.leader, role.session.attempt, stages.indexOf(role.stage), role.epoch);
  encodeZxid(code, role.bound);
  code.push(Number(role.isHinted), role.pages, role.staging?.id ?? 0, role.staging?.pages ?? 0);
  encodeZxid(code, role.staging?.zxid ?? ZERO_ZXID);
}

function encodeLeading(code: number[], role: Leading, flow: boolean): void {
  code.push(2, phases.indexOf(role.phase), role.epoch);
  encodeZxid(code, role.ihEnd);
  code.push(role.slots.size);
  for (const slot of [...role.slots.values()].sort((a, b) => a.id - b.id)) encodeSlot(code, role, slot, flow);
  code.push(role.match.size);
  for (const [id, zxid] of [...role.match].sort(([a], [b]) => a - b)) {
    code.push(id);
    encodeZxid(code, zxid);
  }
  encodeReads(code, role.waiting);
  const { round } = role;
  code.push(round?.number ?? 0);
  if (round === undefined) return;
  encodeZxid(code, round.index);
  encodeReads(code, round.reads);
  code.push(round.confirmedBy.size, ...[...round.confirmedBy].sort((a, b) => a - b));
}

function encodeReads(code: number[], reads: readonly Read[]): void {
  code.push(reads.length, ...reads.flatMap(({ id, fresh }) => [id, Number(fresh)]));
}

function encodeSlot(code: number[], role: Leading, slot: Slot, flow: boolean): void {
  code.push(slot.id, slot.session.attempt, Number(slot.counts), role.epoch > 0 ? 0 : slot.acceptedEpoch);
  code.push(Number(slot.asked), Number(slot.joined), Number(slot.served), Number(slot.isFitter));
  const { promised, stream } = slot;
  code.push(promised === undefined ? 0 : 1);
  if (promised !== undefined && stream === undefined) {
    code.push(promised.epoch, promised.currentEpoch);
    encodeOutline(code, promised.outline);
    encodeZxid(code, promised.delivered);
  }
  code.push(stream === undefined ? 0 : 1);
  if (stream !== undefined) encodeStream(code, stream, flow);
}

function encodeStream(code: number[], stream: Stream, flow: boolean): void {
  encodeZxid(code, stream.syncEnd);
  encodeZxid(code, stream.sentThrough);
  code.push(Number(stream.newLeaderSent), stream.snapshot?.id ?? 0, stream.snapshot?.nextPage ?? 0);
  code.push(Number(stream.snapshot?.isSent ?? false));
  if (!flow) return;
  code.push(stream.inFlightBytes, stream.inFlight.length);
  for (const { page, through, bytes } of stream.inFlight) {
    code.push(page, bytes);
    encodeZxid(code, through);
  }
}

function encodeZxid(code: number[], { epoch, counter }: Zxid): void {
  code.push(epoch, counter);
}

/** Names are different digits: as a number, they say who is in it. */
function encodeConfig(code: number[], { version, members }: Config): void {
  encodeZxid(code, version);
  code.push(...nameOf(members).split("+").map(Number), -1);
}

function encodeOutline(code: number[], { base, runs }: Outline): void {
  encodeZxid(code, base);
  code.push(runs.length);
  for (const { epoch, last } of runs) code.push(epoch, last);
}

/** No limit of time is ever reached by itself. */
export function optionsOf(
  id: ServerId,
  {
    flow,
    snapshots,
    resumes,
    configOf,
  }: Pick<PeerOptions, "configOf"> & {
    readonly flow: boolean;
    readonly snapshots: boolean;
    readonly resumes: boolean;
  },
): PeerOptions {
  return {
    id,
    initLimitTicks: 1_000_000,
    syncLimitTicks: 1_000_000,
    pingEveryTicks: 1_000_000,
    finalizeWaitTicks: 1_000_000,
    notifyEveryTicksMin: 1_000,
    notifyEveryTicksMax: 1_000,
    // With flow control in view, one txn at a time is under way; and every packet carries one.
    inFlightBytesMax: flow ? 1 : 1_000_000,
    packetBytesMax: 1,
    counterMax: 1_000_000,
    incarnation: id,
    forceSnapshot: snapshots,
    resumes,
    configOf,
  };
}
