/**
 * Three members without a platform around them: real lives over real storage, calls between them that are
 * counted, and time that passes only when the test says so.
 *
 * @module
 */

import { makeServerId, parseSettings, type ServerId } from "../../../src/base/index.ts";
import { Life } from "../../../src/objects/life.ts";
import { migrate } from "../../../src/objects/sql/meta.ts";
import { TestSocket } from "./socket.ts";
import { openStorage } from "./sqlite.ts";

const voters = [makeServerId(1), makeServerId(2), makeServerId(3)];
const config = { voters, observers: [], secret: "5".repeat(64) };

/** Ticks after which an ensemble of three must have a leader. */
const electionTicksMax = 100;

export class Trio {
  /** Calls of one member to another so far. */
  calls = 0;
  readonly #members = new Map<ServerId, { readonly life: Life; rowsWritten(): number }>();

  constructor() {
    for (const id of voters) this.#members.set(id, this.#start(id));
    for (const { life } of this.#members.values()) {
      life.boot([]);
      life.flush();
    }
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
    return [...this.#members.values()].map(({ rowsWritten }) => rowsWritten());
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

  #start(id: ServerId): { life: Life; rowsWritten(): number } {
    const opened = openStorage();
    migrate(opened.storage);
    const parsed = parseSettings({});
    if (!parsed.ok) throw new Error("the defaults are settings");
    const life: Life = new Life({
      id,
      config,
      settings: parsed.settings,
      incarnation: 1,
      storage: opened.storage,
      callPeer: (peer, carrier) => this.#call(peer, carrier),
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
    return { life, rowsWritten: () => opened.dump("log").length };
  }

  async #call(peer: ServerId, carrier: Uint8Array): Promise<Uint8Array> {
    this.calls += 1;
    const life = this.#members.get(peer)?.life;
    // A call arrives in an event of its own.
    await new Promise((resolve) => setImmediate(resolve));
    const answer = life?.exchange(carrier.slice());
    life?.flush();
    if (answer === undefined) throw new Error("refused");
    return answer;
  }
}
