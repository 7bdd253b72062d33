/**
 * Three members without a platform around them: real lives over real storage, calls between them that are
 * counted, and time that passes only when the test says so.
 *
 * @module
 */

import { makeServerId, parseSettings, type ServerId } from "../../../src/base/index.ts";
import { Life } from "../../../src/objects/life.ts";
import { carrierVersion, decodeCarrier } from "../../../src/objects/packet-codec.ts";
import { migrate } from "../../../src/objects/sql/meta.ts";
import { TestSocket } from "./socket.ts";
import { openStorage } from "./sqlite.ts";

const voters = [makeServerId(1), makeServerId(2), makeServerId(3)];
const config = { voters, observers: [], secret: "5".repeat(64) };

/** Ticks after which an ensemble of three must have a leader. */
const electionTicksMax = 100;

type Opened = ReturnType<typeof openStorage>;

interface Running {
  readonly life: Life;
  readonly opened: Opened;
  readonly incarnation: number;
}

export class Trio {
  /** Calls of one member to another so far. */
  calls = 0;
  /** Times a learner has attached, as calls and answers say it. */
  attachments = 0;
  /** Calls and answers that a member of the version before has refused. */
  refused = 0;
  /** Members that run the version before, as far as others can tell. */
  readonly #old: Set<ServerId>;
  readonly #members = new Map<ServerId, Running>();

  constructor(old: readonly ServerId[] = []) {
    this.#old = new Set(old);
    for (const id of voters) this.#members.set(id, this.#start(id, openStorage(), 1));
    for (const { life } of this.#members.values()) {
      life.boot([]);
      life.flush();
    }
  }

  get lives(): readonly (readonly [ServerId, Life])[] {
    return [...this.#members].map(([id, { life }]) => [id, life] as const);
  }

  /** Time passes for those who want it. */
  async tick(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      for (const [, life] of this.lives) {
        if (!life.wantsTicks) continue;
        life.tick();
        life.flush();
      }
      await this.settle();
    }
  }

  /** A member loses its memory and comes back with the present version. */
  upgrade(id: ServerId): void {
    const former = this.#members.get(id);
    if (former === undefined) throw new Error("no such member");
    this.#old.delete(id);
    const running = this.#start(id, former.opened, former.incarnation + 1);
    this.#members.set(id, running);
    running.life.boot([]);
    running.life.flush();
  }

  /** The leader, with every follower serving. */
  async elect(): Promise<Life> {
    for (let ticks = 0; ticks < electionTicksMax; ticks++) {
      const lives = [...this.#members.values()].map(({ life }) => life);
      const leader = lives.find((life) => life.leaderRefusal() === undefined);
      if (leader !== undefined && lives.every((life) => life.refusal() === undefined)) return leader;
      for (const life of lives) {
        life.tick();
        life.flush();
      }
      await this.settle();
    }
    throw new Error("no leader was elected");
  }

  /** Until nobody calls anybody any more, and no timer of a millisecond is left to make somebody. */
  async settle(): Promise<void> {
    for (let calls = this.calls, quiet = 0; quiet < 3; quiet = calls === this.calls ? quiet + 1 : 0) {
      calls = this.calls;
      await new Promise((resolve) => setTimeout(resolve, 2));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Rows of the log that each member has. */
  logRows(): readonly number[] {
    return [...this.#members.values()].map(({ opened }) => opened.dump("log").length);
  }

  connect(life: Life): TestSocket {
    const socket = new TestSocket();
    life.connections.open(socket.socket, {
      address: "127.0.0.1",
      port: 0,
      mustShowToken: false,
      wantsCredit: false,
    });
    life.flush();
    return socket;
  }

  /** One WebSocket message, as a turn. */
  send(life: Life, socket: TestSocket, bytes: Uint8Array): void {
    life.connections.receive(socket.socket, bytes.slice().buffer);
    life.flush();
  }

  #start(id: ServerId, opened: Opened, incarnation: number): Running {
    migrate(opened.storage);
    const parsed = parseSettings({});
    if (!parsed.ok) throw new Error("the defaults are settings");
    const life: Life = new Life({
      id,
      config,
      settings: parsed.settings,
      incarnation,
      storage: opened.storage,
      callPeer: (peer, carrier) => this.#call(id, life, peer, carrier),
      turn: (run) => {
        const result = run();
        life.flush();
        return result;
      },
      now: () => 1_000_000,
      lastSign: () => undefined,
      plan: () => undefined,
      storageId: undefined,
      joinPeer: async () => "unreachable",
    });
    return { life, opened, incarnation };
  }

  async #call(from: ServerId, caller: Life, peer: ServerId, carrier: Uint8Array): Promise<Uint8Array> {
    this.calls += 1;
    // A call arrives in an event of its own.
    await new Promise((resolve) => setImmediate(resolve));
    const life = this.#members.get(peer)?.life;
    const answer = life?.exchange(this.#onTheWay(from, peer, carrier).slice());
    life?.flush();
    if (answer === undefined || this.#members.get(from)?.life !== caller) throw new Error("refused");
    return this.#onTheWay(peer, from, answer);
  }

  /** What passes between two versions: the one before reads its own only, and nobody says what is read. */
  #onTheWay(from: ServerId, to: ServerId, bytes: Uint8Array): Uint8Array {
    const packets = decodeCarrier(bytes)?.packets ?? [];
    this.attachments += packets.filter(({ kind }) => kind === "cepoch").length;
    if (this.#old.has(to) && bytes[0] !== carrierVersion - 1) {
      this.refused += 1;
      throw new Error(`refuses a carrier of version ${bytes[0]}`);
    }
    return this.#old.has(from) || this.#old.has(to) ? bytes.subarray(0, -1) : bytes;
  }
}
