/**
 * Every history of a small ensemble: the real peers over abstract channels, all choices, within bounds.
 *
 * Three replacements keep the space small, and allow more than the real thing. The election is an oracle:
 * a looking voter may decide for itself or for anybody. Time is free: whatever may time out may do so now.
 * Channels are first-in first-out queues; when one end gives up, all under way is lost, and the other end
 * hears of it before the next packet, or never. Members store what a step tells them to, at once and whole;
 * a crash takes memory, and what was sent either arrives or not. Snapshots are left out.
 *
 * A state is kept as a 53-bit fingerprint of everything that can matter later; what only measures time is
 * left out, for time is free. Depth first, so that memory holds one history and the fingerprints.
 *
 * @module
 */

import { compareZxid, makeServerId, type ServerId, ZERO_ZXID, type Zxid } from "../../src/base/index.ts";
import {
  type Batch,
  type Config,
  createPeer,
  type Duties,
  type Packet,
  type Peer,
  type PeerEvent,
  type PeerOptions,
  type Promises,
  step,
} from "../../src/zab/index.ts";
import { mix } from "./choose.ts";
import { Violation, violate } from "./violation.ts";

export interface Bounds {
  readonly members: number;
  /** Highest epoch anybody may promise. */
  readonly epochs: number;
  readonly txns: number;
  readonly crashes: number;
  readonly timeouts: number;
  /** Decisions of the oracle to follow. */
  readonly attaches: number;
  readonly linkDowns: number;
  /** States after which the search gives up. */
  readonly statesMax: number;
}

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** False when `statesMax` ended the search. */
  readonly isComplete: boolean;
  /** Bounds that forbade something. */
  readonly cutBy: readonly string[];
  /** States in which something worth reaching had happened: a claim about nothing is worth nothing. */
  readonly reached: {
    readonly established: number;
    readonly committed: number;
    readonly twoReigns: number;
    readonly truncated: number;
  };
  readonly violation: Violation | undefined;
  readonly history: readonly string[];
}

type Action =
  | { readonly kind: "deliver" | "down"; readonly from: number; readonly to: number }
  | { readonly kind: "crash"; readonly who: number; readonly keeps: boolean }
  | { readonly kind: "timeout" | "tick" | "lead" | "propose"; readonly who: number }
  | { readonly kind: "follow"; readonly who: number; readonly leader: number };

interface Txn {
  readonly zxid: Zxid;
  readonly payload: Uint8Array;
  /** Names the history through here. */
  readonly chain: number;
}

interface Node {
  peer: Peer;
  promises: Promises;
  log: readonly Txn[];
  /** Everything ever delivered here is below. */
  delivered: number;
  incarnation: number;
  /** What the peer last said of itself while looking: the vote an election would have to agree on. */
  ballot: Extract<Packet, { kind: "notify" }> | undefined;
}

interface State {
  readonly nodes: Node[];
  /** `channels[from * members + to]`. */
  readonly channels: (readonly Packet[])[];
  /** What `to` has yet to hear of its link from `from`, before the next packet. */
  readonly losses: ("lost" | "restarted" | undefined)[];
  /** The delivered sequence. */
  committed: readonly Txn[];
  /** Chain of each zxid ever proposed, by epoch and counter. */
  proposed: ReadonlyMap<string, number>;
  established: ReadonlyMap<number, number>;
  epochsUsed: number;
  truncations: number;
  txns: number;
  crashes: number;
  timeouts: number;
  attaches: number;
  linkDowns: number;
}

const never = 1_000_000_000;

export class Explorer {
  readonly #bounds: Bounds;
  readonly #config: Config;
  readonly #ids: readonly ServerId[];
  readonly #seen = new Set<number>();
  readonly #cutBy = new Set<string>();
  readonly #reached = { established: 0, committed: 0, twoReigns: 0, truncated: 0 };
  #transitions = 0;
  #depth = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#ids = Array.from({ length: bounds.members }, (_, at) => makeServerId(at + 1));
    this.#config = { version: ZERO_ZXID, members: this.#ids.map((id) => ({ id, role: "voter" })) };
  }

  run(): Explored {
    const path: string[] = [];
    let violation: Violation | undefined;
    let isComplete = true;
    const start = this.#initial();
    this.#seen.add(fingerprint(start));
    const stack: { state: State; actions: Action[]; at: number }[] = [
      { state: start, actions: this.#actions(start), at: 0 },
    ];
    try {
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        const action = top.actions[top.at++];
        if (action === undefined) {
          stack.pop();
          path.pop();
          continue;
        }
        const next = clone(top.state);
        path.push(format(action));
        this.#transitions++;
        this.#act(next, action);
        const print = fingerprint(next);
        if (this.#seen.has(print)) {
          path.pop();
          continue;
        }
        this.#seen.add(print);
        this.#note(next);
        if (this.#seen.size >= this.#bounds.statesMax) {
          isComplete = false;
          break;
        }
        stack.push({ state: next, actions: this.#actions(next), at: 0 });
        this.#depth = Math.max(this.#depth, stack.length - 1);
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      violation = error;
      isComplete = false;
    }
    return {
      states: this.#seen.size,
      transitions: this.#transitions,
      depth: this.#depth,
      isComplete,
      cutBy: [...this.#cutBy].sort(),
      reached: this.#reached,
      violation,
      history: violation === undefined ? [] : path,
    };
  }

  #note(state: State): void {
    if (state.established.size > 0) this.#reached.established++;
    if (state.established.size > 1) this.#reached.twoReigns++;
    if (state.committed.length > 0) this.#reached.committed++;
    if (state.truncations > 0) this.#reached.truncated++;
  }

  #initial(): State {
    const { members } = this.#bounds;
    const promises: Promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 };
    const state: State = {
      nodes: [],
      channels: Array.from({ length: members * members }, () => []),
      losses: Array.from({ length: members * members }, () => undefined),
      committed: [],
      proposed: new Map(),
      established: new Map(),
      epochsUsed: 0,
      truncations: 0,
      txns: 0,
      crashes: 0,
      timeouts: 0,
      attaches: 0,
      linkDowns: 0,
    };
    for (let who = 0; who < members; who++) {
      const node = { promises, log: [], delivered: 0, incarnation: 0, ballot: undefined };
      // The peer comes with the first boot.
      state.nodes.push({ ...node, peer: undefined as unknown as Peer });
    }
    for (let who = 0; who < members; who++) this.#boot(state, who);
    return state;
  }

  #boot(state: State, who: number): void {
    const node = this.#node(state, who);
    node.incarnation++;
    const options: PeerOptions = {
      id: this.#ids[who] ?? violate("explorer", "no id"),
      initLimitTicks: 2,
      syncLimitTicks: 2,
      pingEveryTicks: never,
      finalizeWaitTicks: 1,
      notifyEveryTicksMin: 1,
      notifyEveryTicksMax: 4,
      inFlightBytesMax: never,
      packetBytesMax: never,
      counterMax: never,
      incarnation: node.incarnation,
    };
    const runs: { epoch: number; last: number }[] = [];
    for (const { zxid } of node.log) {
      const run = runs.at(-1);
      if (run?.epoch === zxid.epoch) run.last = zxid.counter;
      else runs.push({ epoch: zxid.epoch, last: zxid.counter });
    }
    const durable = {
      promises: node.promises,
      config: this.#config,
      outline: { base: ZERO_ZXID, runs },
      // The state is written back lazily: a restarted member stands where it was delivered to.
      applied: node.log[node.delivered - 1]?.zxid ?? ZERO_ZXID,
    };
    node.peer = createPeer(durable, options, readerOf(node));
    this.#step(state, who, { kind: "booted" });
  }

  #node(state: State, who: number): Node {
    return state.nodes[who] ?? violate("explorer", "no such member");
  }

  #actions(state: State): Action[] {
    const actions: Action[] = [];
    const { bounds, members } = { bounds: this.#bounds, members: this.#bounds.members };
    const may = (name: keyof Bounds, used: number): boolean => {
      if (used < bounds[name]) return true;
      this.#cutBy.add(name);
      return false;
    };
    for (let from = 0; from < members; from++) {
      for (let to = 0; to < members; to++) {
        const channel = state.channels[from * members + to] ?? [];
        if (channel.length > 0) actions.push({ kind: "deliver", from, to });
        if (from !== to && this.#isTied(state, to, from) && may("linkDowns", state.linkDowns)) {
          actions.push({ kind: "down", from, to });
        }
      }
    }
    state.nodes.forEach(({ peer }, who) => {
      const { role } = peer;
      if (role.kind === "looking") {
        if (may("epochs", state.epochsUsed)) actions.push({ kind: "lead", who });
        if (may("attaches", state.attaches)) {
          for (let leader = 0; leader < members; leader++) {
            if (leader !== who) actions.push({ kind: "follow", who, leader });
          }
        }
      } else {
        if (may("timeouts", state.timeouts)) actions.push({ kind: "timeout", who });
        if (role.kind === "learning" && role.attachAt !== undefined && may("attaches", state.attaches)) {
          actions.push({ kind: "tick", who });
        }
        if (role.kind === "leading" && role.phase === "broadcast" && may("txns", state.txns)) {
          actions.push({ kind: "propose", who });
        }
      }
      if (may("crashes", state.crashes)) {
        actions.push({ kind: "crash", who, keeps: false });
        actions.push({ kind: "crash", who, keeps: true });
      }
    });
    return actions;
  }

  /** A link is only worth losing between a leader and its learner. */
  #isTied(state: State, who: number, other: number): boolean {
    const { role } = this.#node(state, who).peer;
    const id = this.#ids[other];
    if (id === undefined) return false;
    return role.kind === "learning" ? role.leader === id : role.kind === "leading" && role.slots.has(id);
  }

  #act(state: State, action: Action): void {
    const { members } = this.#bounds;
    switch (action.kind) {
      case "deliver": {
        const { from, to } = action;
        const at = from * members + to;
        const loss = state.losses[at];
        if (loss !== undefined) {
          state.losses[at] = undefined;
          this.#step(state, to, { kind: "linkDown", peer: this.#id(from), reason: loss });
        }
        const [packet, ...rest] = state.channels[at] ?? [];
        if (packet === undefined) return;
        state.channels[at] = rest;
        this.#step(state, to, { kind: "received", from: this.#id(from), packet, fresh: true });
        return;
      }
      case "down": {
        const { from, to } = action;
        state.linkDowns++;
        this.#empty(state, from, to);
        this.#empty(state, to, from);
        state.losses[to * members + from] ??= "lost";
        this.#step(state, to, { kind: "linkDown", peer: this.#id(from), reason: "lost" });
        return;
      }
      case "crash":
        return this.#crash(state, action.who, action.keeps);
      case "timeout":
        state.timeouts++;
        return this.#untilChanged(state, action.who);
      case "tick":
        state.attaches++;
        this.#step(state, action.who, { kind: "ticked" });
        return;
      case "lead": {
        const { ballot } = this.#node(state, action.who);
        if (ballot !== undefined) this.#elect(state, action.who, ballot.vote);
        return;
      }
      case "follow": {
        state.attaches++;
        const vote = {
          leader: this.#id(action.leader),
          lastZxid: { epoch: never, counter: 1 },
          currentEpoch: never,
        };
        this.#elect(state, action.who, vote);
        return;
      }
      case "propose": {
        state.txns++;
        this.#step(state, action.who, {
          kind: "submitted",
          payloads: [Uint8Array.of(state.txns, action.who)],
        });
      }
    }
  }

  #id(who: number): ServerId {
    return this.#ids[who] ?? violate("explorer", "no such member");
  }

  #empty(state: State, from: number, to: number): void {
    state.channels[from * this.#bounds.members + to] = [];
  }

  #crash(state: State, who: number, keeps: boolean): void {
    const { members } = this.#bounds;
    state.crashes++;
    for (let other = 0; other < members; other++) {
      if (other === who) continue;
      this.#empty(state, other, who);
      state.losses[other * members + who] = undefined;
      if (!keeps) this.#empty(state, who, other);
    }
    this.#boot(state, who);
    if (keeps) {
      // What it had sent arrives first; then a word of the new incarnation tells of the restart.
      return;
    }
    for (let other = 0; other < members; other++)
      if (other !== who) state.losses[who * members + other] = "restarted";
  }

  /** Everybody else is said to vote like this, in this round. */
  #elect(state: State, who: number, vote: Extract<Packet, { kind: "notify" }>["vote"]): void {
    const node = this.#node(state, who);
    node.peer.penalties.clear();
    for (const from of this.#ids) {
      if (from === this.#id(who) || node.peer.role.kind !== "looking") continue;
      const { round } = node.peer;
      const packet: Packet = {
        kind: "notify",
        state: "looking",
        round,
        vote,
        confirmed: false,
        wantsAnswer: false,
      };
      this.#step(state, who, { kind: "received", from, packet, fresh: true });
    }
  }

  #untilChanged(state: State, who: number): void {
    const { peer } = this.#node(state, who);
    const { role } = peer;
    for (let ticks = 0; ticks < 50 && peer.role === role; ticks++) this.#step(state, who, { kind: "ticked" });
  }

  #step(state: State, who: number, event: PeerEvent): void {
    const node = this.#node(state, who);
    const duties = step(node.peer, event);
    if (duties.halt !== undefined) violate("halt", `${who + 1}: ${duties.halt}`);
    for (const op of duties.store) {
      if (op.kind === "promises") this.#promise(state, who, op.promises);
      else if (op.kind === "append") this.#append(state, who, op.batch);
      else if (op.kind === "truncate") this.#truncate(state, who, op.after);
    }
    for (const { to, packet } of duties.send) {
      if (packet.kind === "notify") {
        if (packet.state === "looking") node.ballot = packet;
        continue;
      }
      const at = who * this.#bounds.members + (to - 1);
      state.channels[at] = [...(state.channels[at] ?? []), packet];
    }
    this.#deliver(state, who, duties);
  }

  #promise(state: State, who: number, promises: Promises): void {
    const node = this.#node(state, who);
    const before = node.promises;
    if (promises.acceptedEpoch < before.acceptedEpoch || promises.currentEpoch < before.currentEpoch) {
      violate("I2", `${who + 1}: an epoch went back`);
    }
    if (
      promises.acceptedEpoch === before.acceptedEpoch &&
      promises.acceptedLeader !== before.acceptedLeader
    ) {
      violate("I1", `${who + 1} promised epoch ${promises.acceptedEpoch} twice`);
    }
    node.promises = promises;
    state.epochsUsed = Math.max(state.epochsUsed, promises.acceptedEpoch);
    if (promises.establishedEpoch <= before.establishedEpoch) return;
    const epoch = promises.establishedEpoch;
    const other = state.established.get(epoch);
    if (other !== undefined && other !== who) violate("I1", `two leaders established epoch ${epoch}`);
    state.established = new Map(state.established).set(epoch, who);
    for (const txn of state.committed) {
      if (txn.zxid.epoch < epoch && !node.log.some(({ chain }) => chain === txn.chain)) {
        violate("I3", `${who + 1} leads epoch ${epoch} without (${txn.zxid.epoch},${txn.zxid.counter})`);
      }
    }
  }

  #append(state: State, who: number, batch: Batch): void {
    const node = this.#node(state, who);
    batch.payloads.forEach((payload, at) => {
      const zxid = { epoch: batch.epoch, counter: batch.first + at };
      const last = node.log.at(-1);
      const follows =
        last?.zxid.epoch === zxid.epoch ? zxid.counter === last.zxid.counter + 1 : zxid.counter === 1;
      if (!follows || (last !== undefined && zxid.epoch < last.zxid.epoch))
        violate("I6", `${who + 1} logs with a gap`);
      const chain = mix(mix(last?.chain ?? 0, zxid.epoch, zxid.counter), payload[0] ?? 0, payload[1] ?? 0);
      const name = `${zxid.epoch},${zxid.counter}`;
      const known = state.proposed.get(name);
      if (known === undefined) {
        if (node.promises.establishedEpoch !== zxid.epoch)
          violate("B1", `${who + 1} stores (${name}) of nobody`);
        state.proposed = new Map(state.proposed).set(name, chain);
      } else if (known !== chain) {
        violate("I5", `${who + 1} stores another (${name})`);
      }
      node.log = [...node.log, { zxid, payload, chain }];
    });
  }

  #truncate(state: State, who: number, after: Zxid): void {
    const node = this.#node(state, who);
    state.truncations++;
    node.log = node.log.filter(({ zxid }) => compareZxid(zxid, after) <= 0);
    if (node.log.length < node.delivered) violate("I8", `${who + 1} truncates what it delivered`);
    this.#commitsAreSafe(state);
  }

  #deliver(state: State, who: number, duties: Duties): void {
    if (duties.deliver === undefined) return;
    const node = this.#node(state, who);
    const { through } = duties.deliver;
    for (let txn = node.log[node.delivered]; txn !== undefined; txn = node.log[node.delivered]) {
      if (compareZxid(txn.zxid, through) > 0) break;
      const there = state.committed[node.delivered];
      if (there === undefined) state.committed = [...state.committed, txn];
      else if (there.chain !== txn.chain)
        violate("B3", `${who + 1} delivers another txn at ${node.delivered}`);
      node.delivered++;
    }
    this.#commitsAreSafe(state);
  }

  #commitsAreSafe(state: State): void {
    const tip = state.committed.at(-1);
    if (tip === undefined) return;
    const lacking = state.nodes.filter(({ log }) => !log.some(({ chain }) => chain === tip.chain)).length;
    if (lacking * 2 > state.nodes.length)
      violate("I7", `a quorum lacks (${tip.zxid.epoch},${tip.zxid.counter})`);
  }
}

function readerOf(node: { log: readonly Txn[] }): Peer["reader"] {
  return {
    readAfter(after: Zxid): Batch | undefined {
      const rest = node.log.filter(({ zxid }) => compareZxid(zxid, after) > 0);
      const first = rest[0];
      if (first === undefined) return undefined;
      const { epoch, counter } = first.zxid;
      const payloads = rest.filter(({ zxid }) => zxid.epoch === epoch).map(({ payload }) => payload);
      return { epoch, first: counter, payloads };
    },
    openSnapshot: () => ({ id: 1, zxid: ZERO_ZXID }),
    readSnapshotPage: () => undefined,
    closeSnapshot: () => {},
  };
}

function clone(state: State): State {
  return {
    ...state,
    nodes: state.nodes.map((node) => {
      const copy = { ...node };
      copy.peer = clonePeer(node.peer, readerOf(copy));
      return copy;
    }),
    channels: [...state.channels],
    losses: [...state.losses],
  };
}

/** What a peer changes in place; the rest is shared. */
function clonePeer(peer: Peer, reader: Peer["reader"]): Peer {
  return {
    ...peer,
    reader,
    history: { ...peer.history },
    penalties: new Map(peer.penalties),
    snapshots: new Map(peer.snapshots),
    role: cloneRole(peer.role),
  };
}

function cloneRole(role: Peer["role"]): Peer["role"] {
  switch (role.kind) {
    case "looking":
      return { ...role, seen: new Map(role.seen), settled: new Map(role.settled) };
    case "learning":
      return { ...role };
    case "leading": {
      const slots = new Map(role.slots);
      for (const [id, slot] of slots) {
        const { stream } = slot;
        slots.set(id, { ...slot, stream: stream && { ...stream, inFlight: [...stream.inFlight] } });
      }
      return {
        ...role,
        slots,
        match: new Map(role.match),
        contact: new Map(role.contact),
        deserters: new Set(role.deserters),
      };
    }
  }
}

/** What only measures time, or names what an oracle decides; and what repeats the rest. */
const ignored = new Set([
  "vote",
  "seen",
  "settled",
  "decideAt",
  "resendAt",
  "resendTicks",
  "lastHeard",
  "attachBy",
  "epochBy",
  "since",
  "contact",
  "pingedAt",
  "inFlight",
  "inFlightBytes",
  "fitterSince",
  "fitter",
  "deserters",
  "waiting",
  "round",
  "attaches",
  "chain",
  "payload",
  "payloads",
]);

/** 53 bits of everything that can matter later. */
function fingerprint(state: State): number {
  let a = 0x9e3779b9;
  let b = 0x85ebca6b;
  const put = (value: number): void => {
    a = mix(a, value, 1);
    b = mix(b, value, 2);
  };
  const putText = (text: string): void => {
    for (let at = 0; at < text.length; at++) put(text.charCodeAt(at));
    put(-1);
  };
  const take = (value: unknown): void => {
    if (typeof value === "number") put(value);
    else if (typeof value === "string") putText(value);
    else if (typeof value === "boolean") put(value ? 1 : 2);
    else if (value === undefined || value === null) put(-3);
    else if (value instanceof Map) {
      put(value.size);
      for (const [key, item] of value) {
        take(key);
        take(item);
      }
    } else if (value instanceof Set) for (const item of value) take(item);
    else if (Array.isArray(value)) {
      put(value.length);
      for (const item of value) take(item);
    } else if (typeof value === "object") {
      for (const key in value) {
        if (ignored.has(key)) continue;
        const item: unknown = Reflect.get(value, key);
        // `attachAt` says when; that there is such a moment is what counts.
        if (key === "attachAt" || key === "renewSince") put(item === undefined ? 0 : 1);
        else take(item);
      }
    }
  };
  for (const { peer, promises, log, delivered, incarnation } of state.nodes) {
    take(promises);
    put(log.length);
    for (const { zxid } of log) take(zxid);
    put(delivered);
    put(incarnation);
    put(peer.attempts);
    put(peer.epochHeard);
    take(peer.role);
  }
  for (const channel of state.channels) {
    put(channel.length);
    for (const packet of channel) {
      take(packet);
      if ("batch" in packet) put(packet.batch.payloads.length);
    }
  }
  take(state.losses);
  put(state.committed.length);
  put(state.proposed.size);
  take(state.established);
  for (const used of [state.txns, state.crashes, state.timeouts, state.attaches, state.linkDowns]) put(used);
  return (a & 0x1fffff) * 2 ** 32 + b;
}

function format(action: Action): string {
  switch (action.kind) {
    case "deliver":
    case "down":
      return `${action.kind} ${action.from + 1}->${action.to + 1}`;
    case "follow":
      return `follow ${action.who + 1}->${action.leader + 1}`;
    case "crash":
      return `crash ${action.who + 1}${action.keeps ? ", what it sent arrives" : ""}`;
    default:
      return `${action.kind} ${action.who + 1}`;
  }
}
