/**
 * One peer on a bench: packets in by hand, duties out, with a disk that holds what was stored.
 *
 * @module
 */

import { assert, makeServerId, type ServerId, ZERO_ZXID, type Zxid } from "../../src/base/index.ts";
import {
  createPeer,
  type Duties,
  type LearnerSession,
  type Outline,
  type Packet,
  type Peer,
  type PeerEvent,
  type PeerOptions,
  type Promises,
  statusOf,
  step,
} from "../../src/zab/index.ts";
import { Disk, Reader } from "./disk.ts";

export const ids = {
  one: makeServerId(1),
  two: makeServerId(2),
  three: makeServerId(3),
  four: makeServerId(4),
};

const options: Omit<PeerOptions, "id" | "incarnation"> = {
  initLimitTicks: 20,
  syncLimitTicks: 10,
  pingEveryTicks: 2,
  finalizeWaitTicks: 2,
  notifyEveryTicksMin: 2,
  notifyEveryTicksMax: 16,
  inFlightBytesMax: 1000,
  packetBytesMax: 100,
  counterMax: 2 ** 32 - 2,
};

export interface BenchOptions {
  readonly id: ServerId;
  readonly observers?: readonly ServerId[];
  readonly disk?: Disk;
  readonly peer?: Partial<PeerOptions>;
}

/** A history with these promises and txns, all of one byte. */
export function diskWith(promises: Partial<Promises>, runs: readonly (readonly [number, number])[]): Disk {
  const disk = new Disk();
  const all = {
    acceptedEpoch: 0,
    acceptedLeader: ids.one,
    currentEpoch: 0,
    establishedEpoch: 0,
    ...promises,
  };
  disk.write({ kind: "step", ops: [{ kind: "promises", promises: all }] });
  for (const [epoch, last] of runs) {
    const payloads = Array.from({ length: last }, (_, i) => Uint8Array.of(i));
    const batch = { epoch, first: 1, payloads };
    disk.write({ kind: "step", ops: [{ kind: "append", prev: disk.last.zxid, batch }] });
  }
  return disk;
}

export class Bench {
  readonly id: ServerId;
  readonly disk: Disk;
  readonly peer: Peer;
  /** Everything sent, oldest first. */
  readonly sent: Duties["send"][number][] = [];
  #live = ZERO_ZXID;

  constructor({ id, observers = [], disk = new Disk(), peer = {} }: BenchOptions) {
    this.id = id;
    this.disk = disk;
    this.#live = disk.applied.zxid;
    const voters = [ids.one, ids.two, ids.three].map((each) => ({ id: each, role: "voter" as const }));
    const others = observers.map((each) => ({ id: each, role: "observer" as const }));
    const config = { version: ZERO_ZXID, members: [...voters, ...others] };
    const reader = new Reader(
      () => this.disk,
      () => ({ zxid: this.#live, hash: this.disk.hashAt(this.#live) ?? 0 }),
      2,
    );
    this.peer = createPeer(disk.durable(config), { ...options, ...peer, id, incarnation: 1 }, reader);
    this.feed({ kind: "booted" });
  }

  feed(event: PeerEvent): Duties {
    const duties = step(this.peer, event);
    this.disk.write({ kind: "step", ops: duties.store });
    this.#live = duties.deliver?.through ?? duties.reloaded ?? this.#live;
    this.sent.push(...duties.send);
    return duties;
  }

  hear(from: ServerId, packet: Packet, fresh = true): Duties {
    return this.feed({ kind: "received", from, packet, fresh });
  }

  tick(times: number): void {
    for (let i = 0; i < times; i++) this.feed({ kind: "ticked" });
  }

  submit(...texts: string[]): Duties {
    return this.feed({ kind: "submitted", payloads: texts.map((text) => Uint8Array.of(text.length)) });
  }

  get status() {
    return statusOf(this.peer);
  }

  /** The last packet of a kind sent to a member. */
  lastTo<Kind extends Packet["kind"]>(to: ServerId, kind: Kind): Extract<Packet, { kind: Kind }> {
    const found = this.sent.findLast((each) => each.to === to && each.packet.kind === kind)?.packet;
    assert(found !== undefined && isKind(found, kind), `sent ${kind} to ${to}`);
    return found;
  }

  /** Lets every other voter vote for `leader`, so that this one decides. */
  decideFor(leader: ServerId): void {
    for (const from of [ids.one, ids.two, ids.three]) {
      if (from === this.id || this.status.role !== "looking") continue;
      const { round, lastLogged, promises } = this.status;
      const own = { leader, lastZxid: lastLogged, currentEpoch: promises.currentEpoch };
      const high = { leader, lastZxid: { epoch: 2 ** 30, counter: 1 }, currentEpoch: 2 ** 30 };
      const vote = leader === this.id ? own : high;
      const rest = { confirmed: false, wantsAnswer: false } as const;
      this.hear(from, { kind: "notify", state: "looking", round, vote, ...rest });
    }
  }

  /** As leader: takes in a learner's CEPOCH. */
  hearCEpoch(from: ServerId, accepted: number, outline: Outline, attempt = 1): LearnerSession {
    const session = { incarnation: 1, attempt };
    const observer = from === ids.four;
    const currentEpoch = Math.min(accepted, outline.runs.at(-1)?.epoch ?? accepted);
    this.hear(from, { kind: "cepoch", session, acceptedEpoch: accepted, currentEpoch, outline, observer });
    return session;
  }

  /** As leader: brings a level learner all the way to ACKLEADER. */
  join(from: ServerId, attempt = 1): LearnerSession {
    const outline = this.disk.outline();
    const session = this.hearCEpoch(from, 0, outline, attempt);
    const { epoch, lastLogged } = this.status;
    const { currentEpoch } = this.disk.promises;
    this.hear(from, { kind: "ackEpoch", session, epoch, currentEpoch, outline, delivered: ZERO_ZXID });
    this.hear(from, { kind: "ackLeader", session, epoch, syncEnd: lastLogged });
    return session;
  }

  /** As leader of three: established with the one named. */
  lead(follower: ServerId): LearnerSession {
    this.decideFor(this.id);
    return this.join(follower);
  }

  /** As learner: attached to a leader, and asked to promise an epoch. */
  follow(leader: ServerId, epoch: number): LearnerSession {
    this.decideFor(leader);
    const { session } = this.lastTo(leader, "cepoch");
    this.hear(leader, { kind: "newEpoch", session, epoch });
    return session;
  }

  /** As learner: level with its leader, and serving. */
  serve(leader: ServerId, epoch: number, commitTo: Zxid = ZERO_ZXID): LearnerSession {
    const session = this.follow(leader, epoch);
    const after = this.status.lastLogged;
    this.hear(leader, { kind: "sync", session, epoch, mode: "diff", after, syncEnd: after, snapshotId: 0 });
    this.hear(leader, { kind: "newLeader", session, epoch, syncEnd: after });
    this.hear(leader, { kind: "upToDate", session, epoch, commitTo });
    return session;
  }
}

function isKind<Kind extends Packet["kind"]>(
  packet: Packet,
  kind: Kind,
): packet is Extract<Packet, { kind: Kind }> {
  return packet.kind === kind;
}
