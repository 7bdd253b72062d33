/**
 * The replicated half of a member: its Zab peer, its history, its tree and its links, without clients.
 *
 * Every event becomes one `step`, and its duties are carried out at once, in order, in the same synchronous
 * turn: store, send, apply, answer. There is no `await` in here, so no other event can come between. What
 * the duties put into the links leaves at the end of the turn, behind the output gate.
 *
 * @module
 */

import {
  assert,
  compareZxid,
  formatZxid,
  type Membership,
  type ServerId,
  type Txn,
  type Zxid,
} from "../base/index.ts";
import { decodeTxn } from "../jute/index.ts";
import type { Applied, EnsembleView, Tree } from "../tree/index.ts";
import {
  attachedStorageOf,
  type Config,
  createPeer,
  type Duties,
  type Forwarded,
  isLevelWith,
  isSameLearner,
  type LinkReceived,
  type Outgoing,
  type Peer,
  type PeerEvent,
  type PeerOptions,
  type PeerStatus,
  refuseReconfig,
  type Serving,
  statusOf,
  step,
} from "../zab/index.ts";
import type { EnsembleConfig } from "./api.ts";
import { Chores } from "./chores.ts";
import type { History } from "./history.ts";
import { type CallPeer, Links } from "./links.ts";
import type { Room } from "./room.ts";
import type { SqlTreeRows } from "./sql/znodes.ts";
import type { Origin } from "./writes.ts";

/** Payload bytes read from the log at a time while applying. */
const applyBytes = 1024 * 1024;

export interface ReplicaHooks {
  /** What the member may do for clients has changed. */
  serving(serving: Serving): void;
  /** A txn was applied, here and now: tell watchers, then the writer. */
  applied(zxid: Zxid, txn: Txn, applied: Applied): void;
  /** Another configuration is committed, or one is pending. */
  reconfigured(committed: Config): void;
  confirmed(id: number): void;
  rejected(id: number): void;
  /** At the leader: what a learner's clients ask; false when it cannot be read. */
  forwarded(forwarded: Forwarded): boolean;
  /** At a learner: the leader's word on what was forwarded; false when it cannot be read. */
  heardLeader(bytes: Uint8Array): boolean;
  /** A peer's call was taken in and is about to be answered: what has gathered may go along. */
  answering(): void;
  /** A peer's answer has come: `take` takes it in, in a turn. */
  answered(take: () => void): void;
  halted(reason: string): void;
}

export interface ReplicaParts {
  readonly id: ServerId;
  readonly config: EnsembleConfig;
  readonly options: PeerOptions;
  readonly history: History;
  readonly rows: SqlTreeRows;
  readonly tree: Tree;
  readonly callPeer: CallPeer;
  readonly hooks: ReplicaHooks;
}

export class Replica {
  readonly #parts: ReplicaParts;
  readonly #peer: Peer;
  readonly #links: Links;
  readonly #chores: Chores;
  /** Txns this member proposed and has not applied: saves decoding its own. */
  readonly #proposed = new Map<number, Txn>();
  #serving: Serving = { kind: "none" };
  #halted: string | undefined;
  #wantsTicks = true;
  #leaderHeardMs: number | undefined;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    const { id, config, options, history } = parts;
    this.#links = new Links(id, options.incarnation, {
      callPeer: parts.callPeer,
      onAnswer: (peer, received) => parts.hooks.answered(() => this.#receive(peer, received, false)),
    });
    this.#peer = createPeer(history.load(config), options, history);
    this.#chores = new Chores({
      history,
      rows: parts.rows,
      tree: parts.tree,
      checkpointed: (applied) => this.#run({ kind: "checkpointed", applied }),
      compacted: (base) => this.#run({ kind: "compacted", base }),
    });
  }

  get status(): PeerStatus {
    return statusOf(this.#peer);
  }

  /** The members as they are now. A live view. */
  get ensemble(): EnsembleView {
    const peer = this.#peer;
    return {
      get version() {
        return statusOf(peer).config.version;
      },
      get membership() {
        return statusOf(peer).config;
      },
      get isChanging() {
        return statusOf(peer).pending !== undefined;
      },
      storageIdOf: (id) => attachedStorageOf(peer, id),
      hasQuorum: (next) => refuseReconfig(peer, next) === undefined && areKnown(peer, next),
    };
  }

  get room(): Room {
    return this.#parts.history.room;
  }

  /** Whether a member is attached and has what this leader has committed. */
  isLevel(id: ServerId): boolean {
    return isLevelWith(this.#peer, id);
  }

  get serving(): Serving {
    return this.#serving;
  }

  /** Messages of peers that could not be read, since the start. */
  get unreadable(): number {
    return this.#links.unreadable;
  }

  /** When a packet of the leader followed now or last was last taken in; `undefined`: never yet. */
  get leaderHeardMs(): number | undefined {
    return this.#leaderHeardMs;
  }

  get halted(): string | undefined {
    return this.#halted;
  }

  /** The ensemble sleeps, as far as this member knows, and nothing of it is under way. */
  get isAsleep(): boolean {
    if (this.#halted !== undefined) return true;
    return !this.#wantsTicks && !this.#links.isBusy && !this.#chores.isBusy;
  }

  boot(): void {
    this.#run({ kind: "booted" });
  }

  /** A client does something, or waits for something. */
  stir(): void {
    this.#run({ kind: "active" });
  }

  tick(): void {
    this.#links.tick();
    this.#run({ kind: "ticked" });
    this.#chores.tick();
    this.#links.flush(true);
  }

  /** One carrier there, one back, in one synchronous turn: what it confirms, it confirms at the event's start. */
  exchange(bytes: Uint8Array): Uint8Array | undefined {
    const delivery = this.#links.receive(bytes, this.#parts.id);
    if (delivery === undefined) return undefined;
    this.#receive(delivery.peer, delivery.received, true);
    if (this.#halted !== undefined) return undefined;
    this.#parts.hooks.answering();
    return this.#links.answer(delivery.peer);
  }

  /** Proposes txns as one batch; they were prepared in this order. */
  propose(txns: readonly Txn[], payloads: readonly Uint8Array[]): void {
    const { counter } = this.nextZxid;
    txns.forEach((txn, i) => {
      this.#proposed.set(counter + i, txn);
    });
    this.#run({ kind: "submitted", payloads });
  }

  /** What the first txn of the next proposal will be. */
  get nextZxid(): Zxid {
    assert(this.#serving.kind === "leading", "only an established leader proposes");
    const { epoch } = this.#serving;
    const { lastLogged } = this.status;
    return { epoch, counter: lastLogged.epoch === epoch ? lastLogged.counter + 1 : 1 };
  }

  /** At a serving learner: a message to the leader. `lazy`: it may wait for company. */
  forward(bytes: Uint8Array, lazy: boolean): void {
    this.#run({ kind: "forward", bytes, lazy });
  }

  /** At an established leader: a message to a learner, whose clients wait for everything through `awaited`. */
  answer({ id, session }: Origin, bytes: Uint8Array, awaited: Zxid): void {
    this.#run({ kind: "answer", to: id, session, bytes, awaited });
  }

  /**
   * Answered by the `confirmed` or `rejected` hook.
   *
   * @param fresh - Whether the platform event that asks has just begun (`PeerEvent`).
   */
  readIndex(id: number, fresh: boolean): void {
    this.#run({ kind: "readIndex", id, fresh });
  }

  /** End of a turn: what was posted leaves. */
  flush(): void {
    if (this.#halted !== undefined) return;
    this.#chores.work();
    this.#links.flush(false);
  }

  #receive(peer: ServerId, received: LinkReceived, fresh: boolean): void {
    if (received.linkDown !== undefined) this.#run({ kind: "linkDown", peer, reason: received.linkDown });
    const serving = this.#serving;
    const isOfLeader = "leader" in serving && serving.leader === peer;
    if (isOfLeader && received.packets.length > 0) this.#leaderHeardMs = Date.now();
    const reads = received.peerReads;
    for (const packet of received.packets) this.#run({ kind: "received", from: peer, packet, fresh, reads });
  }

  #run(event: PeerEvent): void {
    if (this.#halted !== undefined) return;
    const duties = step(this.#peer, event);
    this.#wantsTicks = duties.wantsTicks;
    if (duties.halt !== undefined) return this.#halt(duties.halt);
    this.#carryOut(duties);
  }

  #carryOut(duties: Duties): void {
    const { hooks, history, tree } = this.#parts;
    history.write(duties.store);
    const lost = this.#post(duties.send);
    // A learner that becomes a voter, or ceases to be one, keeps its session, and its clients their connections.
    const { serving } = duties;
    const goesOn = serving !== undefined && isSameLearner(this.#serving, serving);
    if (goesOn) this.#serving = serving;
    // Every other change of serving ends the reign before it, also one that begins the next in the same step.
    else if (serving !== undefined) this.#serve({ kind: "none" });
    if (duties.reloaded !== undefined) {
      this.#chores.abandon();
      tree.reload();
    }
    if (duties.deliver !== undefined) this.#apply(duties.deliver.after, duties.deliver.through);
    if (serving !== undefined && serving.kind !== "none" && !goesOn) this.#serve(serving);
    for (const { id } of duties.confirmed) hooks.confirmed(id);
    for (const id of duties.rejected) hooks.rejected(id);
    if (duties.forwarded !== undefined && !hooks.forwarded(duties.forwarded)) {
      lost.add(duties.forwarded.from);
    }
    if (duties.answered !== undefined && !hooks.heardLeader(duties.answered)) {
      const { leader } = this.status;
      if (leader !== 0) lost.add(leader);
    }
    if (duties.configs !== undefined) hooks.reconfigured(duties.configs.committed);
    for (const peer of lost) this.#run({ kind: "linkDown", peer, reason: "lost" });
  }

  /** Answers the peers whose links overflowed. */
  #post(send: readonly Outgoing[]): Set<ServerId> {
    const lost = new Set<ServerId>();
    for (const outgoing of send) if (this.#links.post(outgoing) !== undefined) lost.add(outgoing.to);
    return lost;
  }

  #serve(serving: Serving): void {
    this.#serving = serving;
    if (serving.kind !== "leading") this.#proposed.clear();
    this.#parts.hooks.serving(serving);
  }

  #apply(after: Zxid, through: Zxid): void {
    const { history, tree } = this.#parts;
    assert(
      compareZxid(tree.applied, after) === 0,
      `applied ${formatZxid(tree.applied)}, not ${formatZxid(after)}`,
    );
    let at = after;
    while (compareZxid(at, through) < 0) {
      const batch = history.readAfter(at, applyBytes);
      assert(batch !== undefined, `the log ends at ${formatZxid(at)}, before ${formatZxid(through)}`);
      for (const [i, payload] of batch.payloads.entries()) {
        const zxid = { epoch: batch.epoch, counter: batch.first + i };
        if (compareZxid(zxid, through) > 0) break;
        this.#applyOne(zxid, payload);
        at = zxid;
      }
    }
  }

  #applyOne(zxid: Zxid, payload: Uint8Array): void {
    const { tree, hooks } = this.#parts;
    const txn = this.#takeProposed(zxid) ?? decodeTxn(payload);
    assert(txn !== undefined, `the txn ${formatZxid(zxid)} cannot be read`);
    hooks.applied(zxid, txn, tree.apply(zxid, txn));
  }

  #takeProposed(zxid: Zxid): Txn | undefined {
    if (this.#serving.kind !== "leading" || zxid.epoch !== this.#serving.epoch) return undefined;
    const txn = this.#proposed.get(zxid.counter);
    if (txn !== undefined) this.#proposed.delete(zxid.counter);
    return txn;
  }

  /** Writes the applied state to its rows at once; the log that it makes unnecessary goes bit by bit. */
  checkpoint(): void {
    this.#chores.checkpoint();
  }

  /** Brings the rows up to what has applied, bit by bit, from the next turn on. */
  demandCheckpoint(): void {
    this.#chores.demand();
  }

  #halt(reason: string): void {
    this.#halted = reason;
    this.#serving = { kind: "none" };
    this.#parts.hooks.halted(reason);
  }
}

/**
 * Whether everybody who begins to vote is attached, so that it is known by which storage it promises. One that was
 * never heard of could come with any, and come back with another; it is added as an observer first.
 */
function areKnown(peer: Peer, next: Membership): boolean {
  const { members } = statusOf(peer).config;
  const votes = (id: ServerId) => members.some((member) => member.id === id && member.role === "voter");
  return next.members.every(
    ({ id, role }) => role !== "voter" || votes(id) || attachedStorageOf(peer, id) !== undefined,
  );
}
