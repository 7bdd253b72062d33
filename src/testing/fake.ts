/**
 * A fake ensemble for unit tests: in this process's memory, with time in the test's hands.
 *
 * Only the network, the storage and the other members are missing. Requests are prepared, applied and answered by the code of a
 * deployed member (`lone-member.ts`), and clients are real ones, on a transport of the fake's.
 *
 * @module
 */

import { makeSessionId } from "../base/index.ts";
import {
  type Client,
  type ConnectOptions,
  connectThrough,
  type Duration,
  type Transport,
  type WireEvents,
  ZkError,
  ZkErrorCode,
} from "../client/index.ts";
import { HeldClock, settled } from "./held-clock.ts";
import { LoneMember } from "./lone-member.ts";

/** ZooKeeper's default: sessions live 4 to 40 s without a sign of life. */
const tickMsDefault = 2_000;

export interface FakeOptions {
  /** ZooKeeper's `tickTime`, ms: session timeouts are 2 to 20 of it. Default: 2,000. */
  readonly tickMs?: number | undefined;
}

export type FakeConnectOptions = Omit<ConnectOptions, "clock" | "webSocket" | "token">;

/**
 * Makes an ensemble in memory. Nothing of it runs by itself, so there is nothing to stop.
 *
 * @example
 * const ensemble = fakeEnsemble();
 * const zk = ensemble.connect();
 * await zk.create("/test", "data");
 * await ensemble.advance("1m");
 */
export function fakeEnsemble(options: FakeOptions = {}): FakeEnsemble {
  return new FakeEnsemble(options);
}

/** Made by {@link fakeEnsemble}. */
export class FakeEnsemble {
  /** The time of the ensemble and of its clients. */
  readonly clock: HeldClock;
  readonly #member: LoneMember;
  readonly #lines = new Map<Client, FakeTransport>();
  /** Of everything that was ever delivered: tells whether something still happens. */
  #deliveries = 0;

  constructor({ tickMs = tickMsDefault }: FakeOptions) {
    this.clock = new HeldClock(() => this.#settled());
    this.#member = new LoneMember({
      tickMs,
      now: () => this.clock.now(),
      soon: (run) => this.#deliver(run),
      setTimer: (run, ms) => void this.clock.setTimer(run, ms),
    });
  }

  /** A client of this ensemble, on its clock. */
  connect(options: FakeConnectOptions = {}): Client {
    const transport = new FakeTransport(this.#member, (run) => this.#deliver(run));
    const client = connectThrough(transport, { ...options, clock: this.clock });
    this.#lines.set(client, transport);
    return client;
  }

  /**
   * Lets time pass, for the ensemble and its clients: timers run out, sessions expire, TTL znodes go.
   *
   * @param duration - `"30s"`, `"500ms"`, or ms.
   */
  advance(duration: Duration): Promise<void> {
    return this.clock.advance(duration);
  }

  /**
   * Ends a client's session, as if it had not been heard of for its timeout. The client hears of it when it
   * connects again, within a second of the fake's time.
   *
   * @throws {@link ZkError} `SessionExpired` when it has none.
   */
  async expire(client: Client): Promise<void> {
    const { sessionId } = client;
    const id = sessionId === undefined ? undefined : makeSessionId(BigInt(sessionId));
    if (id === undefined || !this.#member.hasSession(id)) {
      const message = "Cannot expire the session: the client has none";
      throw new ZkError({ code: ZkErrorCode.SessionExpired, message });
    }
    this.#member.expire(id);
    await this.#settled();
  }

  /**
   * Cuts a client off, or all of them: connections break, and new ones fail until {@link FakeEnsemble.reconnect}.
   *
   * @throws {@link ZkError} `BadArguments` for a client that is not of this ensemble.
   */
  async disconnect(client?: Client): Promise<void> {
    for (const transport of this.#transportsOf(client)) transport.cut();
    await this.#settled();
  }

  /** Lets a client, or all of them, connect again; they try within a few seconds of the fake's time. */
  reconnect(client?: Client): void {
    for (const transport of this.#transportsOf(client)) transport.mend();
  }

  #transportsOf(client: Client | undefined): readonly FakeTransport[] {
    if (client === undefined) return [...this.#lines.values()];
    const transport = this.#lines.get(client);
    if (transport === undefined) {
      const message = "Cannot reach the client: it is not of this ensemble";
      throw new ZkError({ code: ZkErrorCode.BadArguments, message });
    }
    return [transport];
  }

  #deliver(run: () => void): void {
    queueMicrotask(() => {
      this.#deliveries += 1;
      run();
    });
  }

  /** Until neither side has said anything for a while. */
  async #settled(): Promise<void> {
    for (let seen = -1; seen !== this.#deliveries; ) {
      seen = this.#deliveries;
      await settled();
    }
  }
}

/** One client's way to the member. Everything arrives a little later, in order. */
class FakeTransport implements Transport {
  readonly target = "the fake ensemble";
  readonly #member: LoneMember;
  readonly #deliver: (run: () => void) => void;
  /** Breaks what is open. */
  readonly #wires = new Set<() => void>();
  #isCut = false;

  constructor(member: LoneMember, deliver: (run: () => void) => void) {
    this.#member = member;
    this.#deliver = deliver;
  }

  cut(): void {
    this.#isCut = true;
    for (const breakWire of [...this.#wires]) breakWire();
  }

  mend(): void {
    this.#isCut = false;
  }

  open(events: WireEvents): () => void {
    let isOver = false;
    let isBroken = false;
    const tell = (run: () => void) =>
      this.#deliver(() => {
        if (!isOver && !isBroken) run();
      });
    const closed = (reason: string) =>
      this.#deliver(() => {
        if (isOver) return;
        isOver = true;
        this.#wires.delete(breakWire);
        events.closed(reason);
      });
    const line = this.#member.open({
      received: (bytes) => tell(() => events.received(bytes)),
      closed,
    });
    const breakWire = () => {
      // What is under way is lost, in both directions.
      isBroken = true;
      line.close();
      closed("cut off by the test");
    };
    const giveUp = () => {
      isOver = true;
      this.#wires.delete(breakWire);
      // Behind what was sent, a goodbye among it.
      this.#deliver(() => line.close());
    };
    if (this.#isCut) {
      breakWire();
      return giveUp;
    }
    this.#wires.add(breakWire);
    const wire = { send: (bytes: Uint8Array) => this.#deliver(() => line.send(bytes)), close: giveUp };
    tell(() => events.opened(wire));
    return giveUp;
  }
}
