/**
 * One Zab peer: takes an event, owes duties.
 *
 * Hands each event to the role the peer plays, carries out the changes of role that were asked for, and
 * checks the standing relations. Changes of role happen here and nowhere else.
 *
 * Invariant: a step that breaks one of the peer's own claims owes nothing but `halt`, and so does every
 * step after it.
 *
 * Sources: ZooKeeper `QuorumPeer.run`.
 *
 * @module
 */

import {
  AssertionFailure,
  assert,
  compareZxid,
  type ServerId,
  unreachable,
  ZERO_ZXID,
} from "../base/index.ts";
import { propose } from "./broadcast.ts";
import { requestRead } from "./confirm-rounds.ts";
import { hearNotify, lookingLinkDown, roleOf, startLooking, tell, tickLooking } from "./election.ts";
import { answerForward, forward } from "./forwarding.ts";
import { checkRelations } from "./invariants.ts";
import {
  leaderHears,
  leaderLinkDown,
  leaderReconfigured,
  startLeading,
  stopLeading,
  tickLeading,
} from "./leader.ts";
import { learnerHears, learnerLinkDown, learnerReconfigured, tickLearning } from "./learner.ts";
import { startLearning } from "./learner-session.ts";
import { stopLearning } from "./learner-sync.ts";
import type { LinkLoss } from "./link-types.ts";
import { learnConfig, viewOf } from "./membership.ts";
import { compact, openHistory } from "./outline.ts";
import { packetVersion } from "./packet-versions.ts";
import type { Packet } from "./packets.ts";
import { emptyDraft, type Looking, last, type Peer, send, serve, turnTo } from "./peer-state.ts";
import type {
  DurableState,
  Duties,
  HistoryReader,
  PeerEvent,
  PeerOptions,
  PeerStatus,
} from "./peer-types.ts";
import { begin, hearSolicit } from "./resume.ts";
import { isMissed, stir, wake } from "./sleep.ts";
import { NOBODY } from "./vote.ts";

/** The last counter an epoch may reach: zxids keep 32 bits for it, and the very last stays unused. */
const counterMaxMax = 2 ** 32 - 2;

/**
 * Builds a peer from what is stored. It does nothing before its first event, which must be `booted`.
 *
 * @throws {@link AssertionFailure} when the stored state contradicts itself.
 */
export function createPeer(durable: DurableState, options: PeerOptions, history: HistoryReader): Peer {
  assert(options.counterMax >= 1 && options.counterMax <= counterMaxMax, "counterMax is 1 to 2^32-2");
  assert(options.incarnation >= 1, "an incarnation is 1 or more");
  assert((options.idleTicks ?? 1) >= 1, "idleTicks is 1 or more");
  const { config, pending } = durable;
  const peer: Peer = {
    id: options.id,
    options,
    reader: history,
    config,
    pending,
    ...viewOf(options.id, options.storageId, { config, pending }),
    promises: durable.promises,
    history: openHistory(durable.outline),
    applied: durable.applied,
    delivered: durable.applied,
    booted: false,
    halted: undefined,
    now: 0,
    round: 0,
    attempts: 0,
    confirmRounds: 0,
    offers: 0,
    activeAt: -(options.idleTicks ?? 0),
    asleep: false,
    epochHeard: 0,
    penalties: new Map(),
    stagingUnknown: true,
    role: idle(),
    serving: { kind: "none" },
    turn: undefined,
    isReconfigured: false,
    draft: emptyDraft(),
    fresh: false,
    senderReads: packetVersion,
    unwritten: undefined,
  };
  checkRelations(peer);
  return peer;
}

function idle(): Looking {
  return {
    kind: "looking",
    vote: NOBODY,
    seen: new Map(),
    settled: new Map(),
    decideAt: undefined,
    resendAt: 0,
    resendTicks: 0,
  };
}

/** Advances `peer` in place. Equal peers given equal events owe equal duties. */
export function step(peer: Peer, event: PeerEvent): Duties {
  peer.draft = emptyDraft();
  peer.unwritten = undefined;
  peer.turn = undefined;
  if (peer.halted === undefined) {
    try {
      handle(peer, event);
      settle(peer);
      checkRelations(peer);
    } catch (failure) {
      if (!(failure instanceof AssertionFailure)) throw failure;
      peer.halted = failure.message;
      peer.draft = emptyDraft();
    }
  }
  peer.draft.halt = peer.halted;
  peer.draft.wantsTicks = peer.booted && peer.isMember && !peer.asleep && peer.halted === undefined;
  return peer.draft;
}

function handle(peer: Peer, event: PeerEvent): void {
  peer.fresh = false;
  switch (event.kind) {
    case "booted":
      assert(!peer.booted, "a peer boots once");
      peer.booted = true;
      if (peer.isMember) begin(peer);
      return;
    case "ticked":
      if (peer.booted && peer.isMember && !peer.asleep) tick(peer);
      return;
    case "received":
      peer.fresh = event.fresh;
      peer.senderReads = event.reads ?? packetVersion;
      if (peer.booted) hear(peer, event.from, event.packet);
      return;
    case "linkDown":
      linkDown(peer, event.peer, event.reason ?? "lost");
      return;
    case "submitted":
      stir(peer);
      propose(peer, event.payloads);
      return;
    case "readIndex":
      stir(peer);
      requestRead(peer, event.id, event.fresh);
      return;
    case "active":
      stir(peer);
      return;
    case "forward":
      // What may wait for company is no reason to stay awake.
      if (event.lazy) wake(peer, undefined);
      else stir(peer);
      forward(peer, event.bytes, event.lazy);
      return;
    case "answer":
      answerForward(peer, event);
      return;
    case "checkpointed":
      assert(compareZxid(event.applied, peer.delivered) <= 0, "a checkpoint holds what was delivered");
      // One written before a snapshot was installed may be reported after it.
      if (compareZxid(event.applied, peer.applied) > 0) peer.applied = event.applied;
      return;
    case "compacted":
      assert(compareZxid(event.base, peer.applied) <= 0, "only applied txns are compacted");
      compact(peer.history, event.base);
      return;
    default:
      unreachable(event);
  }
}

/** Whether both of us are members: nothing else is between strangers but who is a member. */
function isTogether(peer: Peer, other: ServerId): boolean {
  return peer.booted && peer.isMember && peer.others.includes(other);
}

function hear(peer: Peer, from: ServerId, packet: Packet): void {
  if (packet.kind === "notify") {
    const isNews = learnConfig(peer, packet.config);
    // Somebody was removed or added and has not heard, and perhaps nobody else can say so.
    const knowsLess = compareZxid(packet.config?.version ?? ZERO_ZXID, peer.config.version) < 0;
    if (knowsLess && packet.wantsAnswer && !(peer.isVoter && isTogether(peer, from))) tell(peer, from);
    // What was begun with another configuration is begun again: its votes and quorums say nothing now.
    if (isNews && peer.role.kind !== "learning") return turnTo(peer, { kind: "look" });
  }
  if (!isTogether(peer, from)) return;
  wake(peer, from);
  receive(peer, from, packet);
}

function tick(peer: Peer): void {
  peer.now += 1;
  const { role } = peer;
  switch (role.kind) {
    case "looking":
      return tickLooking(peer, role);
    case "learning":
      return tickLearning(peer, role);
    case "leading":
      return tickLeading(peer, role);
  }
}

function receive(peer: Peer, from: ServerId, packet: Packet): void {
  const { role } = peer;
  if (packet.kind === "solicit") return hearSolicit(peer, from, packet);
  switch (role.kind) {
    case "looking":
      if (packet.kind === "notify") hearNotify(peer, role, from, packet);
      else if (packet.kind === "cepoch") {
        const { session } = packet;
        const { acceptedEpoch } = peer.promises;
        send(peer, from, { kind: "refuse", session, reason: "notLeading", acceptedEpoch });
      }
      return;
    case "learning":
      return learnerHears(peer, role, from, packet);
    case "leading":
      return leaderHears(peer, role, from, packet);
  }
}

function linkDown(peer: Peer, from: ServerId, reason: LinkLoss): void {
  if (!isTogether(peer, from) || !isMissed(peer, from, reason)) return;
  wake(peer, from);
  const { role } = peer;
  switch (role.kind) {
    case "looking":
      return lookingLinkDown(peer, role, from, reason);
    case "learning":
      return learnerLinkDown(peer, role, from, reason);
    case "leading":
      return leaderLinkDown(peer, role, from, reason);
  }
}

/**
 * Draws the consequences of what the handler did: of another configuration first, for it may end the role.
 * A lone voter may look, decide and lead in one step; nobody turns for ever.
 */
function settle(peer: Peer): void {
  for (let turns = 0; peer.isReconfigured || peer.turn !== undefined; turns++) {
    assert(turns < 8, "a step changes its role a few times at most");
    if (peer.isReconfigured) reconfigured(peer);
    else takeTurn(peer);
  }
}

function reconfigured(peer: Peer): void {
  peer.isReconfigured = false;
  const { role } = peer;
  peer.penalties.clear();
  if (!peer.isMember) peer.turn = { kind: "look" };
  else if (peer.turn !== undefined) return;
  else if (role.kind === "leading") leaderReconfigured(peer, role);
  else if (role.kind === "learning") learnerReconfigured(peer, role);
  else turnTo(peer, { kind: "look" });
}

function takeTurn(peer: Peer): void {
  const { turn, role } = peer;
  peer.turn = undefined;
  peer.asleep = false;
  if (turn === undefined) return;
  if (role.kind === "leading") stopLeading(peer, role);
  else if (role.kind === "learning") stopLearning(peer, role);
  switch (turn.kind) {
    case "look":
      if (peer.isMember) startLooking(peer);
      else retire(peer);
      break;
    case "lead":
      startLeading(peer, turn.vote);
      break;
    case "learn":
      startLearning(peer, turn.leader, { vote: turn.vote, isHinted: turn.isHinted });
      break;
  }
}

/** No member any more: neither votes nor learns, and tells only who asks that there is a later configuration. */
function retire(peer: Peer): void {
  serve(peer, { kind: "none" });
  peer.role = idle();
}

export function statusOf(peer: Peer): PeerStatus {
  const { role } = peer;
  return {
    role: roleOf(peer),
    phase: phaseOf(peer),
    leader: role.kind === "learning" ? role.leader : role.kind === "leading" ? peer.id : 0,
    epoch: role.kind === "looking" ? 0 : role.epoch,
    promises: peer.promises,
    lastLogged: last(peer),
    lastCommitted: peer.delivered,
    round: peer.round,
    serving: peer.serving,
    learners: role.kind === "leading" ? [...role.slots.keys()] : [],
    asleep: peer.asleep,
    config: peer.config,
    pending: peer.pending,
    halted: peer.halted,
  };
}

function phaseOf(peer: Peer): PeerStatus["phase"] {
  const { role } = peer;
  if (role.kind === "looking") return "election";
  if (role.kind === "leading") return role.phase;
  switch (role.stage) {
    case "attaching":
    case "promised":
      return "discovery";
    case "syncing":
    case "joined":
      return "synchronization";
    case "serving":
      return "broadcast";
  }
}
