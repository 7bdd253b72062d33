/**
 * Members of one ensemble over simulated distances: real replicas and write pipelines, real SQLite in
 * memory, virtual time.
 *
 * What is modelled: the time a call travels, with a tenth of jitter; the time until a write is durable, and
 * the output gate that holds everything a member says until then; ticks. What is not: CPU, which takes no
 * time here, loss, and the client's own way to the leader.
 *
 * @module
 */

import { makeServerId, NO_SESSION, OpCode, type ServerId, type WriteRequest } from "../../src/base/index.ts";
import { History } from "../../src/objects/history.ts";
import { Replica } from "../../src/objects/replica.ts";
import { migrate } from "../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../src/objects/sql/znodes.ts";
import { peerOptions, peerTickMs } from "../../src/objects/timing.ts";
import { Writes } from "../../src/objects/writes.ts";
import { Tree } from "../../src/tree/index.ts";
import { openStorage, type TestStorage } from "../objects/support/sqlite.ts";
import { RandomChooser, Stream } from "../sim/choose.ts";
import { Heap, type Timed } from "../sim/heap.ts";
import { type Place, roundTripMs, type Topology } from "./places.ts";

const anyWrite: WriteRequest = { type: OpCode.SetData, path: "/", data: new Uint8Array(100), version: -1 };

interface Event extends Timed {
  run(): void;
}

interface Member {
  readonly id: ServerId;
  readonly place: Place;
  readonly opened: TestStorage;
  readonly tree: Tree;
  readonly replica: Replica;
  readonly writes: Writes;
  /** Nothing said before this leaves. */
  gateMs: number;
  /** What the turn under way says. */
  readonly said: ((leavesMs: number) => void)[];
}

export class World {
  nowMs = 0;
  /** How often a member came to lead. */
  reigns = 0;
  readonly #members = new Map<ServerId, Member>();
  readonly #queue = new Heap<Event>();
  #order = 0;
  readonly #cut = new Set<ServerId>();
  readonly #flushMs: number;
  readonly #chooser = new RandomChooser(1);

  constructor({ voters, observers }: Topology, flushMs: number) {
    this.#flushMs = flushMs;
    const places = [...voters, ...observers];
    const ids = places.map((_, i) => makeServerId(i + 1));
    const config = { voters: ids.slice(0, voters.length), observers: ids.slice(voters.length), secret: "s" };
    places.forEach((place, i) => {
      const id = ids[i];
      if (id !== undefined) this.#members.set(id, this.#make(id, place, config));
    });
    for (const member of this.#members.values()) {
      this.#at(this.#draw(peerTickMs), () => this.#turn(member, () => member.replica.boot()));
      this.#tickLater(member, peerTickMs + this.#draw(peerTickMs));
    }
  }

  /** The established leader. */
  get leader(): { readonly id: ServerId; readonly place: Place } | undefined {
    return this.#leading;
  }

  get #leading(): Member | undefined {
    return [...this.#members.values()].find(({ replica }) => replica.serving.kind === "leading");
  }

  /** Until every member serves. */
  async settle(): Promise<void> {
    const isSettled = () =>
      [...this.#members.values()].every(({ replica }) => replica.serving.kind !== "none");
    while (!isSettled() && this.nowMs < 60_000) await this.#step();
    if (!isSettled()) throw new Error("no quorum in a minute");
  }

  /** What a member has, for a look from outside. */
  look(id: ServerId): { readonly tree: Tree; readonly opened: TestStorage } {
    const member = this.#members.get(id);
    if (member === undefined) throw new Error(`no server ${id}`);
    return member;
  }

  /** Whatever this member says, and is told, is lost from now on. */
  cut(id: ServerId): void {
    this.#cut.add(id);
  }

  heal(id: ServerId): void {
    this.#cut.delete(id);
  }

  /** One write, submitted at the leader now; `done` hears how long it took there, in ms. */
  write(done: (tookMs: number) => void, request: WriteRequest = anyWrite): void {
    const leader = this.#leading;
    if (leader === undefined) throw new Error("nobody leads");
    const beganMs = this.nowMs;
    this.#turn(leader, () =>
      leader.writes.submit(request, {
        requester: { sessionId: NO_SESSION, identities: [] },
        cxid: 0,
        settle: (settlement) => {
          if (settlement.kind !== "applied") throw new Error("the leader was lost");
          leader.said.push((leavesMs) => this.#at(leavesMs, () => done(leavesMs - beganMs)));
        },
      }),
    );
  }

  async runUntil(isDone: () => boolean): Promise<void> {
    while (!isDone()) await this.#step();
  }

  async #step(): Promise<void> {
    const next = this.#queue.pop();
    if (next === undefined) throw new Error("nothing will ever happen again");
    this.nowMs = Math.max(this.nowMs, next.at);
    next.run();
    // Answers settle promises; what follows from them belongs to this moment.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #make(id: ServerId, place: Place, config: ConstructorParameters<typeof Replica>[0]["config"]): Member {
    const opened = openStorage();
    migrate(opened.storage);
    const rows = new SqlTreeRows(opened.storage);
    const tree = new Tree(rows, { cacheBytesMax: 1_000_000 });
    const writes = new Writes({
      tree,
      propose: (txns, payloads) => member.replica.propose(txns, payloads),
      // As the platform tells it.
      now: () => Math.floor(this.nowMs),
      later: (ms, run) => this.#later(() => member, ms, run),
    });
    const replica = new Replica({
      id,
      config,
      options: peerOptions(id, 1),
      history: new History(opened.storage, rows),
      rows,
      tree,
      callPeer: (peer, carrier) => this.#call(member, peer, carrier),
      hooks: {
        serving: ({ kind }) => {
          if (kind === "leading") {
            this.reigns += 1;
            writes.open();
          } else if (writes.isOpen) writes.close();
        },
        applied: (zxid, _txn, applied) => writes.applied(zxid, applied),
        reconfigured: () => undefined,
        confirmed: () => undefined,
        rejected: () => undefined,
        forwarded: () => true,
        heardLeader: () => true,
        answering: () => undefined,
        answered: (take) => this.#turn(member, take),
        halted: (reason) => {
          throw new Error(`server ${id} has halted: ${reason}`);
        },
      },
    });
    const member: Member = { id, place, opened, tree, replica, writes, gateMs: 0, said: [] };
    return member;
  }

  /** Runs one event on a member; what it says leaves once what it wrote is durable. */
  #turn(member: Member, run: () => void): void {
    const rows = member.opened.rowsWrittenBy(() => {
      run();
      member.writes.flush();
      member.replica.flush();
    });
    if (rows > 0) member.gateMs = Math.max(member.gateMs, this.nowMs + this.#flushMs);
    for (const say of member.said.splice(0)) say(Math.max(this.nowMs, member.gateMs));
  }

  #call(from: Member, peer: ServerId, carrier: Uint8Array): Promise<Uint8Array> {
    const to = this.#members.get(peer);
    if (to === undefined) throw new Error(`no server ${peer}`);
    return new Promise((resolve, reject) => {
      from.said.push((leavesMs) =>
        this.#at(leavesMs + this.#way(from, to), () => {
          // The caller gives it up in time.
          if (this.#cut.has(from.id) || this.#cut.has(to.id)) return;
          this.#turn(to, () => {
            const answer = to.replica.exchange(carrier);
            to.said.push((answersMs) =>
              this.#at(answersMs + this.#way(to, from), () =>
                answer === undefined ? reject(new Error("refused")) : resolve(answer),
              ),
            );
          });
        }),
      );
    });
  }

  #way(from: Member, to: Member): number {
    const half = roundTripMs(from.place, to.place) / 2;
    return half + this.#draw(half / 10);
  }

  #tickLater(member: Member, ms: number): void {
    this.#at(this.nowMs + ms, () => {
      this.#turn(member, () => member.replica.tick());
      this.#tickLater(member, peerTickMs);
    });
  }

  #later(member: () => Member, ms: number, run: () => void): () => void {
    let isOff = false;
    this.#at(this.nowMs + ms, () => {
      if (!isOff) this.#turn(member(), run);
    });
    return () => {
      isOff = true;
    };
  }

  #draw(below: number): number {
    return (this.#chooser.choose(1 << 20, Stream.Net) / (1 << 20)) * below;
  }

  #at(atMs: number, run: () => void): void {
    this.#order += 1;
    this.#queue.push({ at: atMs, tie: 0, order: this.#order, run });
  }
}
