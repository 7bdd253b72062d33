/**
 * Deliberate mistakes, each small and realistic: the text to find, which must occur exactly once in its
 * file, and what takes its place. Nothing of it is in the shipped source.
 *
 * Numbers are those of the simulation notes; a letter marks a variant. `benign` ones are controls: they
 * change nothing that matters, and a checker that minds them cries wolf.
 *
 * @module
 */

import type { Settings } from "./settings.ts";

export interface Mutant {
  readonly id: string;
  readonly file: string;
  readonly mistake: string;
  readonly find: string;
  readonly replace: string;
  /** The runs lean this way, for mistakes that need a rare coincidence. */
  readonly lean?: Partial<Settings>;
  /** Why nothing goes wrong. */
  readonly benign?: string;
}

const zab = (name: string): string => `src/zab/${name}.ts`;
const tree = (name: string): string => `src/tree/${name}.ts`;
const shell = "test/sim/member.ts";
const disk = "test/sim/disk.ts";

const undisturbed: Partial<Settings> = {
  voters: 3,
  observers: 0,
  crashMs: 0,
  everybodyMs: 0,
  replaceMs: 0,
  apartMs: 0,
  hold: 0,
  partitionMs: 0,
  stallMs: 0,
  loss: 0,
  answerLoss: 0,
  refusal: 0,
  duplicate: 0,
  late: 0,
  hang: 0,
  slowness: 1,
  flushMs: 1,
  aims: [],
};

export const mutants: readonly Mutant[] = [
  {
    id: "M1",
    file: zab("learner"),
    mistake: "accepts an epoch already promised to another leader",
    find: "if (packet.epoch <= acceptedEpoch && !isRepeated) {",
    replace: "if (packet.epoch < acceptedEpoch && !isRepeated) {",
  },
  {
    id: "M2",
    file: zab("discovery"),
    mistake: "a new epoch is the last logged one plus one",
    find: "leading.epoch = highest + 1;",
    replace: "leading.epoch = last(peer).epoch + 1;",
  },
  {
    id: "M3",
    file: zab("discovery"),
    mistake: "fixes the history one promise short of a quorum",
    find: "if (!hasQuorum(peer.active, (id) => id === peer.id || promises(leading.slots.get(id)))) return;",
    replace: "",
  },
  {
    id: "M4",
    file: zab("peer-state"),
    mistake: "a learner's promise stays in memory",
    find: 'peer.draft.store.push({ kind: "promises", promises: peer.promises });',
    replace:
      'if (peer.role.kind !== "learning" || change.acceptedEpoch === undefined) peer.draft.store.push({ kind: "promises", promises: peer.promises });',
  },
  {
    id: "M5",
    file: zab("leader"),
    mistake: "counts answers of an ended session",
    find: "if (slot === undefined || !sameSession(slot.session, packet.session)) return;",
    replace: "if (slot === undefined) return;",
    benign: "a learner's packets of an ended session stand before its new CEPOCH in the same queue",
  },
  {
    id: "M5b",
    file: zab("leader"),
    mistake: "counts answers for another epoch",
    find: "if (packet.epoch !== leading.epoch) return;",
    replace: "",
    benign: "a new attempt of a leader has no session on record until a CEPOCH comes, behind the old answers",
  },
  {
    id: "M6",
    file: zab("discovery"),
    mistake: "does not compare histories on ACKEPOCH",
    find: "if (!slot.counts || compareRecency(theirs, mine) <= 0) return;",
    replace: "return;",
  },
  {
    id: "M7",
    file: zab("vote"),
    mistake: "compares last zxids only, ignores currentEpoch",
    find: "return a.currentEpoch === b.currentEpoch\n    ?",
    replace: "return true\n    ?",
  },
  {
    id: "M8",
    file: zab("quorum"),
    mistake: "counts observers as voters",
    find: 'config.members.filter((member) => member.role === "voter")',
    replace: "config.members",
  },
  {
    id: "M8b",
    file: zab("quorum"),
    mistake: "half of the voters are a quorum of an odd number",
    find: "return Math.floor(voters / 2) + 1;",
    replace: "return Math.max(1, Math.floor(voters / 2));",
  },
  {
    id: "M9",
    file: zab("learner"),
    mistake: "follows a leader of a lower epoch after promising a higher one",
    find: "if (packet.epoch <= acceptedEpoch && !isRepeated) {",
    replace: "if (false) {",
  },
  {
    id: "M10",
    file: zab("learner-sync"),
    mistake: "writes currentEpoch before the sync entries",
    find: 'learning.stage = "syncing";\n',
    replace: 'learning.stage = "syncing";\n  promise(peer, { currentEpoch: learning.epoch });\n',
  },
  {
    id: "M12",
    file: zab("broadcast"),
    mistake: "is established by the quorum of promises",
    find: "return slot?.counts === true && slot.joined;",
    replace: "return slot?.counts === true && slot.promised !== undefined;",
  },
  {
    id: "M13",
    file: zab("learner-sync"),
    mistake: "never truncates",
    find: "else if (!equalZxid(after, last(peer))) truncate(peer, after);",
    replace: "",
  },
  {
    id: "M14",
    file: zab("learner-sync"),
    mistake: "truncates one txn too many",
    find: "else if (!equalZxid(after, last(peer))) truncate(peer, after);",
    replace:
      "else if (!equalZxid(after, last(peer))) truncate(peer, after.counter > 1 ? { epoch: after.epoch, counter: after.counter - 1 } : after);",
  },
  {
    id: "M15",
    file: zab("sync-decision"),
    mistake: "takes a last zxid within its own range for a common point",
    find: 'if (!equalZxid(common, learnerLast)) return { kind: "trunc", row: "D6", after: common };',
    replace:
      'if (!equalZxid(common, learnerLast)) return compareZxid(learnerLast, leaderLast) < 0 ? { kind: "diff", row: "D5", after: learnerLast } : { kind: "trunc", row: "D6", after: common };',
  },
  {
    id: "M16",
    file: zab("broadcast"),
    mistake: "forwards only what is proposed after ACKLEADER",
    find: "slot.joined = true;\n",
    replace: "slot.joined = true;\n  stream.sentThrough = last(peer);\n",
  },
  {
    id: "M17",
    file: zab("stream"),
    mistake: "NEWLEADER names the end of the log of its own moment",
    find: 'send(peer, slot.id, { kind: "newLeader", session, epoch: leading.epoch, syncEnd: stream.syncEnd });',
    replace:
      'send(peer, slot.id, { kind: "newLeader", session, epoch: leading.epoch, syncEnd: last(peer) });',
    benign: "learner and leader both refuse another end than the one synchronized, and try again",
  },
  {
    id: "M19",
    file: zab("broadcast"),
    mistake: "UPTODATE names the end of the synchronization instead of the commit bound",
    find: "epoch: leading.epoch,\n    commitTo: peer.delivered,",
    replace: "epoch: leading.epoch,\n    commitTo: slot.stream?.syncEnd ?? peer.delivered,",
  },
  {
    id: "M20",
    file: shell,
    mistake: "labels a snapshot with what is applied, not with its cut",
    find: "return { id: this.#cut.id, zxid: this.#cut.image.zxid };",
    replace: "return { id: this.#cut.id, zxid: this.tree.applied };",
  },
  {
    id: "M22",
    file: disk,
    mistake: "a snapshot's switch keeps the old log",
    find: "    this.log = [];\n    this.staging = [];",
    replace: "    this.staging = [];",
  },
  {
    id: "M23",
    file: zab("stream"),
    mistake: "sends a snapshot that reaches less far than what both have",
    find: "compareZxid(source.zxid, above) > 0 &&",
    replace: "",
  },
  {
    id: "M25",
    file: zab("learner-sync"),
    mistake: "reports sync entries it has not stored",
    find: "  append(peer, batch);\n  reportReceived(peer, learning);",
    replace:
      "  if (batch.first % 5 !== 3) append(peer, batch);\n  else peer.history.last = lastOfBatch(batch);\n  reportReceived(peer, learning);",
  },
  {
    id: "M26",
    file: zab("quorum"),
    mistake: "commits with any one follower",
    find: "const here = descending[majority(voters.length) - 1] ?? ZERO_ZXID;",
    replace: "const here = descending[Math.min(1, voters.length - 1)] ?? ZERO_ZXID;",
  },
  {
    id: "M26b",
    file: zab("broadcast"),
    mistake: "an ack commits everything the leader has logged",
    find: "  deliver(peer, reached);",
    replace: "  deliver(peer, mine);",
  },
  {
    id: "M27",
    file: zab("discovery"),
    mistake: "delivers the initial history with the quorum of promises",
    find: "leading.ihEnd = last(peer);\n",
    replace:
      "leading.ihEnd = last(peer);\n  if (compareZxid(last(peer), peer.delivered) > 0) {\n    peer.draft.deliver = { after: peer.delivered, through: last(peer) };\n    peer.delivered = last(peer);\n  }\n",
  },
  {
    id: "M28",
    file: shell,
    mistake: "messages and acks do not wait for the writes before them",
    find: "if (after <= disk.settled && this.#gate.length === 0) run();",
    replace: "if (to >= 1) run();\n    else if (after <= disk.settled && this.#gate.length === 0) run();",
  },
  {
    id: "M30",
    file: zab("learner-sync"),
    mistake: "delivers on PROPOSE",
    find: '"ack", session, epoch, through: last(peer) });\n  commitThrough(peer, learning, packet.commitTo);',
    replace: '"ack", session, epoch, through: last(peer) });\n  commitThrough(peer, learning, last(peer));',
  },
  {
    id: "M31",
    file: zab("peer"),
    mistake: "delivers the whole log at start",
    find: "peer.booted = true;\n",
    replace:
      "peer.booted = true;\n      peer.draft.deliver = { after: peer.delivered, through: last(peer) };\n      peer.delivered = last(peer);\n",
  },
  {
    id: "M32",
    file: shell,
    mistake: "moves applied in another write than the state",
    find: "    rows.write(checkpoint);",
    replace: "    rows.write({ ...checkpoint, znodes: new Map() });",
  },
  {
    id: "M36",
    file: zab("broadcast"),
    mistake: "goes on beyond the last counter",
    find: "if (counter + payloads.length > peer.options.counterMax) {",
    replace: "if (false) {",
  },
  {
    id: "M36b",
    file: zab("broadcast"),
    mistake: "the counter wraps",
    find: "if (counter + payloads.length > peer.options.counterMax) {",
    replace:
      "if (counter + payloads.length > peer.options.counterMax) {\n    append(peer, { epoch: role.epoch, first: 1, payloads });\n    return;",
  },
  {
    id: "M37",
    file: shell,
    mistake: "speculation outlives the leadership it was made under",
    find: "    this.tree.discardPrepared();\n",
    replace: "",
  },
  {
    id: "M39",
    file: zab("learner"),
    mistake: "a learner does not check the session",
    find: "if (from !== learning.leader || !sameSession(packet.session, learning.session)) return;",
    replace: "if (from !== learning.leader) return;",
  },
  {
    id: "M39b",
    file: zab("learner"),
    mistake: "a learner listens to anybody who has its session",
    find: "if (from !== learning.leader || !sameSession(packet.session, learning.session)) return;",
    replace: "if (packet.session.incarnation !== learning.session.incarnation) return;",
  },
  {
    id: "M40",
    file: zab("link"),
    mistake: "the link ignores sequence numbers",
    find: "const seen = link.nextRecv - carrier.firstSeq;",
    replace: "const seen = 0;",
  },
  {
    id: "M41",
    file: shell,
    mistake: "the incarnation is not raised",
    find: "this.incarnation = disk.incarnation + 1;",
    replace: "this.incarnation = 1;",
  },
  {
    id: "M41b",
    file: zab("link"),
    mistake: "packets of an older incarnation are taken",
    find: 'if (carrier.fromIncarnation < link.peerIncarnation) return refuse(link, "stale", undefined);',
    replace: "",
  },
  {
    id: "M41c",
    file: zab("link"),
    mistake: "packets meant for an earlier incarnation are taken",
    find: 'if (toIncarnation !== link.incarnation) return refuse(link, "reset", linkDown);',
    replace: "",
  },
  {
    id: "M41d",
    file: zab("link"),
    mistake: "a carrier for an earlier incarnation says nothing about who sent it",
    find: "  const linkDown = meet(link, carrier);\n",
    replace:
      '  if (carrier.toIncarnation !== 0 && carrier.toIncarnation !== link.incarnation) return refuse(link, "reset", undefined);\n  const linkDown = meet(link, carrier);\n',
  },
  {
    id: "M41e",
    file: zab("link"),
    mistake: "packets come with a carrier that does not name its receiver",
    find: "if (toIncarnation === 0) return { packets: [], linkDown };",
    replace: "if (toIncarnation === 0) return accept(link, carrier, linkDown);",
    benign: "nobody sends packets to a peer it has not heard",
  },
  {
    id: "M42",
    file: zab("link"),
    mistake: "a new association keeps the old queue",
    find: "  link.queue = [];\n",
    replace: "",
  },
  {
    id: "M45",
    file: zab("confirm-rounds"),
    mistake: "answers a linearizable read without a confirm round",
    find: "if (!hasQuorum(peer.active, (id) => id === peer.id || round.confirmedBy.has(id))) return;",
    replace: "",
  },
  {
    id: "M46",
    file: zab("confirm-rounds"),
    mistake: "any answer confirms the round under way",
    find: "pong.confirmRound !== round.number",
    replace: "false",
    // An answer to an older question must be read after a newer one was asked, when others have moved on.
    lean: {
      ...undisturbed,
      stallMs: 1_500,
      stallLifeMs: 1_500,
      callTimeoutMs: 6_000,
      reads: 800_000,
      clients: 6,
      thinkMs: 10,
      drawTies: true,
    },
  },
  {
    id: "M47",
    file: zab("confirm-rounds"),
    mistake: "a leader counts itself in a continuation without a fence",
    find: "if (!round.reads.every((read) => read.fresh)) fence(peer);",
    replace: "",
  },
  {
    id: "M47b",
    file: zab("learner"),
    mistake: "a learner confirms in a continuation without a fence",
    find: "if (confirmRound !== 0 && !peer.fresh) fence(peer);",
    replace: "",
    // The zombie must hear nothing it would have to store, while the others elect, commit and tell a client.
    lean: {
      ...undisturbed,
      apartMs: 3_000,
      cutFails: true,
      callTimeoutMs: 500,
      failuresMax: 40,
      delayMs: 40,
      zombieMs: 10_000,
      partitionLifeMs: 8_000,
      reads: 930_000,
      clients: 3,
      thinkMs: 10,
    },
  },
  {
    id: "M48",
    file: zab("confirm-rounds"),
    mistake: "a read's index is what was delivered when it is answered, minus one",
    find: "index: peer.delivered,",
    replace: "index: peer.applied,",
    benign: "reads wait until the index is applied, and the leader's tree stands at what it delivered",
  },
  {
    id: "M49",
    file: shell,
    mistake: "no zxid floor on reconnect",
    find: 'if (this.serving.kind === "none" || compareZxid(this.tree.applied, floor) < 0) return false;',
    replace: 'if (this.serving.kind === "none") return false;',
  },
  {
    id: "M52",
    file: tree("speculative-view"),
    mistake: "a closing session takes a new ephemeral",
    find: "return this.#sessions.get(id)?.isOpen ?? this.#applied.session(id) !== undefined;",
    replace: "return this.#applied.session(id) !== undefined;",
  },
  {
    id: "M55",
    file: tree("prepare"),
    mistake: "closing a session leaves its ephemerals in the speculative view",
    find: 'for (const path of ephemerals) desk.view.stage({ kind: "delete", path }, desk.nowMs);',
    replace: "",
  },
  {
    id: "M55b",
    file: tree("speculative-view"),
    mistake: "closing a session forgets ephemerals that are still being created",
    find: "for (const path of this.#ephemerals.get(owner) ?? []) paths.add(path);",
    replace: "",
  },
  {
    id: "M67",
    file: zab("peer-state"),
    mistake: "no penalty for a candidate that cannot be followed",
    find: "return penalty !== undefined && penalty.until > peer.now;",
    replace: "return false;",
  },
  {
    id: "M68",
    file: zab("election"),
    mistake: "election rounds go backwards",
    find: "peer.round = Math.max(peer.round, claim.round);",
    replace: "peer.round = claim.round;",
    benign: "rounds are hints: only members that look compare them, and they agree on the highest",
  },
  {
    id: "M69",
    file: zab("election"),
    mistake: "claims of settled members are compared on the round too",
    find: "return theirs.vote.currentEpoch === currentEpoch && (id === leader || theirs.confirmed);",
    replace:
      "return theirs.vote.currentEpoch === currentEpoch && theirs.round === claim.round && equalVotes(theirs.vote, claim.vote);",
  },
  {
    id: "M70",
    file: zab("discovery"),
    mistake: "a leader never renews its epoch for a voter that is ahead",
    find: 'if (leading.phase === "broadcast") leading.renewSince ??= peer.now;',
    replace: 'if (leading.phase === "broadcast") return;',
  },
  {
    id: "M72",
    file: zab("learner-session"),
    mistake: "a commit bound beyond the log is forgotten",
    find: "learning.bound = maxZxid(learning.bound, bound);",
    replace: "learning.bound = maxZxid(learning.bound, minZxid(bound, last(peer)));",
    benign: "every later ping and proposal repeats the bound",
  },
  {
    id: "Z1",
    file: zab("learner"),
    mistake: "a learner never leaves a silent leader",
    find: 'if (peer.now - learning.lastHeard > peer.options.syncLimitTicks) turnTo(peer, { kind: "look" });',
    replace: "",
  },
  {
    id: "Z2",
    file: zab("broadcast"),
    mistake: "a leader is not durably established",
    find: "  promise(peer, { establishedEpoch: leading.epoch });\n",
    replace: "",
  },
  {
    id: "Z3",
    file: zab("discovery"),
    mistake: "a leader's own promise is not written",
    find: "promise(peer, { acceptedEpoch: leading.epoch, acceptedLeader: peer.id });",
    replace: "peer.promises = { ...peer.promises, acceptedEpoch: leading.epoch, acceptedLeader: peer.id };",
    benign: "the promise is written with currentEpoch, just before the leader counts its own answer",
  },
  {
    id: "Z4",
    file: zab("learner-sync"),
    mistake: "acks one txn more than it has stored",
    find: 'send(peer, learning.leader, { kind: "ack", session, epoch, through: last(peer) });',
    replace:
      'send(peer, learning.leader, { kind: "ack", session, epoch, through: { epoch, counter: last(peer).counter + 1 } });',
  },
  {
    id: "Z5",
    file: zab("learner-sync"),
    mistake: "joins the epoch although the synchronization is incomplete",
    find: "const isComplete = learning.staging === undefined && equalZxid(last(peer), packet.syncEnd);",
    replace: "const isComplete = true;",
    benign: "links lose nothing in the middle, so what is in order is complete",
  },
  {
    id: "Z6",
    file: zab("stream"),
    mistake: "an observer's synchronization holds uncommitted txns, and it is told they are committed",
    find: "const end = slot.counts ? last(peer) : peer.delivered;",
    replace: "const end = last(peer);",
  },
  {
    id: "Z7",
    file: zab("peer-state"),
    mistake: "a half-received snapshot is installed: staged pages of an earlier attempt are kept",
    find: "restartHistory(peer.history, zxid);",
    replace:
      "restartHistory(peer.history, zxid); peer.history.last = { epoch: zxid.epoch, counter: zxid.counter + 1 };",
  },
  {
    id: "Z8",
    file: zab("learner-sync"),
    mistake: "staged pages of an earlier incarnation are kept",
    find: 'if (peer.stagingUnknown) peer.draft.store.push({ kind: "discardStaging" });',
    replace: "",
  },
  {
    id: "Z9",
    file: zab("outline"),
    mistake: "the common point ignores epochs the other has not",
    find: "if (other === undefined || other.epoch !== run.epoch) return common;",
    replace: "if (other === undefined) return common;",
  },
  {
    id: "Z10",
    file: zab("outline"),
    mistake: "a truncation forgets the rest of its epoch in the outline",
    find: "const last = run.epoch === through.epoch ? Math.min(run.last, through.counter) : run.last;",
    replace: "const last = run.last;",
  },
  {
    id: "T1",
    file: tree("prepare"),
    mistake: "a set does not raise the version",
    find: 'return { kind: "setData", path: request.path, data: request.data, version: (znode.version + 1) | 0 };',
    replace: 'return { kind: "setData", path: request.path, data: request.data, version: znode.version };',
  },
  {
    id: "T2",
    file: tree("prepare"),
    mistake: "two sequential creates in flight take one number",
    find: "const parentCreates = Math.min(parent.creates + 1, createsMax);",
    replace: "const parentCreates = Math.min(parent.numChildren + 1, createsMax);",
  },
  {
    id: "T3",
    file: tree("speculative-view"),
    mistake: "requests are decided against what is, not against what will be",
    find: "return pending === undefined ? this.#applied.znode(path) : pending.znode;",
    replace: "return this.#applied.znode(path);",
  },
  {
    id: "T4",
    file: tree("prepare"),
    mistake: "a failed multi leaves its first parts in the speculative view",
    find: "      desk.view.unstage();\n",
    replace: "",
  },
  {
    id: "T5",
    file: tree("speculative-view"),
    mistake: "an applied txn takes away what later ones left in the speculative view",
    find: "if (this.#znodes.get(path)?.by === this.#oldest) this.#put(path, undefined);",
    replace: "this.#put(path, undefined);",
  },
  {
    id: "T6",
    file: tree("tree"),
    mistake: "a reload keeps the cached znodes",
    find: "  reload(): void {\n    this.#znodes.clear();",
    replace: "  reload(): void {",
  },
  {
    id: "T7",
    file: tree("apply"),
    mistake: "a delete does not touch the parent's pzxid",
    find: "numChildren: parent.numChildren - 1, pzxid: zxid",
    replace: "numChildren: parent.numChildren - 1",
  },
  {
    id: "T8",
    file: tree("tree"),
    mistake: "closing a session deletes the ephemerals of the moment, and keeps the session",
    find: "        this.#setSession(sessionId, undefined);\n",
    replace: "",
  },
  {
    id: "S1",
    file: zab("stream"),
    mistake: "a snapshot by choice is insisted on although its cut does not reach far enough",
    find: '(decision.row === "D0" || decision.row === "D8")',
    replace: "false",
  },
  {
    id: "T9",
    file: tree("prepare"),
    mistake: "a conditional set ignores the version",
    find: '  if (!agrees(request.version, znode.version)) return refuse(ZkErrorCode.BadVersion);\n  return { kind: "setData"',
    replace: '  return { kind: "setData"',
  },
];
