/**
 * The platform, as far as members see it: objects, storage, sockets, timers, alarms, calls between objects.
 *
 * Runs the real `Member` class. An event enters one object; what the object's code does until the next event,
 * continuations of its promises included, is one turn: its writes are one unit, and what it sends waits behind
 * them. Promises settle first in, first out, so with one event at a time the world stays deterministic.
 *
 * While a world runs, the clock, the timers and the classes of the platform that the code finds in the global
 * scope are the platform's; `enter` and `leave` of the world put them there and take them away again.
 *
 * @module
 */

import { deserialize, serialize } from "node:v8";
import type { ServerId } from "../../../src/base/index.ts";
import { Member, type MemberEnv } from "../../../src/objects/index.ts";
import { Store } from "./store.ts";

/** Time 0 of the world on a clock that is right. */
export const clockOrigin = 1_700_000_000_000;

const attachmentBytesMax = 16_384;

/** Decides when things happen, and hears of what objects do. */
export interface Fate {
  readonly now: number;
  /** A timer of an instance runs out after `ms` of its own. */
  timer(instance: Instance, ms: number, run: () => void): void;
  callLeft(call: Call): void;
  sentToClient(socket: Socket, message: Uint8Array | string): void;
  closedByServer(socket: Socket, code: number, reason: string): void;
  alarmSet(host: Host): void;
  wrote(host: Host, query: string, bindings: readonly unknown[]): void;
  turnEnded(host: Host): void;
  aborted(instance: Instance, reason: string): void;
  said(instance: Instance | undefined, line: string): void;
}

/** One call of a method of another object. */
export interface Call {
  readonly from: Instance;
  readonly to: ServerId;
  readonly method: string;
  readonly args: readonly unknown[];
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The server's end of a WebSocket. It outlives instances; its attachment does, too. */
export class Socket {
  readonly host: Host;
  isOpen = true;
  /** What the platform answers texts with, and when it last did. */
  answeredAt: number | undefined;
  #attachment: Buffer | undefined;

  constructor(host: Host) {
    this.host = host;
  }

  send(message: Uint8Array | ArrayBuffer | string): void {
    if (!this.isOpen) throw new TypeError("cannot send: the socket is closed");
    const copy = typeof message === "string" ? message : new Uint8Array(message).slice();
    this.host.platform.leave(() => {
      this.host.platform.fate.sentToClient(this, copy);
    });
  }

  close(code = 1000, reason = ""): void {
    if (code !== 1000 && (code < 3000 || code > 4999)) throw new RangeError(`invalid close code ${code}`);
    if (!this.isOpen) return;
    this.isOpen = false;
    this.host.sockets.delete(this);
    this.host.platform.leave(() => {
      this.host.platform.fate.closedByServer(this, code, reason);
    });
  }

  serializeAttachment(value: unknown): void {
    const bytes = serialize(value);
    if (bytes.length > attachmentBytesMax) throw new Error(`an attachment of ${bytes.length} bytes`);
    this.#attachment = bytes;
  }

  deserializeAttachment(): unknown {
    return this.#attachment === undefined ? null : deserialize(this.#attachment);
  }
}

/** A Durable Object: a name, a storage, sockets, and at most one instance that is the live one. */
export class Host {
  readonly platform: Platform;
  readonly id: ServerId;
  readonly store = new Store();
  readonly sockets = new Set<Socket>();
  live: Instance | undefined;
  clockOffsetMs = 0;
  /** Nothing wakes it before. */
  downUntil = 0;
  /** `ping` and `pong`: what `setWebSocketAutoResponse` was given. */
  autoResponse: { readonly request: string; readonly response: string } | undefined;
  /** How many instances there were. */
  lives = 0;

  constructor(platform: Platform, id: ServerId) {
    this.platform = platform;
    this.id = id;
    this.store.onWrite = (query, bindings) => platform.fate.wrote(this, query, bindings);
  }

  get clockMs(): number {
    return clockOrigin + this.platform.fate.now + this.clockOffsetMs;
  }

  /** The live instance, made when there is none. */
  wake(): Instance {
    if (this.live !== undefined) return this.live;
    this.lives += 1;
    const instance = new Instance(this);
    this.live = instance;
    this.platform.run(instance, () => instance.construct());
    return instance;
  }

  /**
   * Power off. The oldest `survive` writes not yet confirmed stay; what waited for those may have left, and what
   * waited for one that is lost never has.
   */
  crash(survive: number, mayLeave: boolean): void {
    this.store.confirm(survive);
    this.live?.end(mayLeave);
    this.store.crash();
  }
}

interface Held {
  readonly after: number;
  readonly run: () => void;
}

/** One life of an object in memory. */
export class Instance {
  readonly host: Host;
  isAlive = true;
  readonly timers = new Set<number>();
  #member: Member | undefined;
  #gate: Held[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  get isLive(): boolean {
    return this.host.live === this;
  }

  get member(): Member {
    if (this.#member === undefined) throw new Error("this instance was not constructed");
    return this.#member;
  }

  construct(): void {
    this.#member = new Member(this.#context() as DurableObjectState, this.#env() as unknown as MemberEnv);
  }

  /** Something leaves the object: behind every write before it. What has no storage any more is not held. */
  leave(run: () => void): void {
    const { store } = this.host;
    if (!this.isLive || (store.pending === 0 && this.#gate.length === 0)) return run();
    this.#gate.push({ after: store.written, run });
  }

  /** Writes were confirmed. */
  release(): void {
    const { settled } = this.host.store;
    while (this.isAlive) {
      const next = this.#gate[0];
      if (next === undefined || next.after > settled) return;
      this.#gate.shift();
      next.run();
    }
  }

  /** The end of a life; what waited for writes that are confirmed may have left before it. */
  end(mayLeave = false): void {
    const { settled } = this.host.store;
    const gate = this.#gate;
    this.#gate = [];
    if (mayLeave) for (const held of gate) if (held.after <= settled) held.run();
    this.isAlive = false;
    if (this.isLive) this.host.live = undefined;
  }

  #storage(): Store {
    if (!this.isLive) throw new Error("this object was replaced");
    return this.host.store;
  }

  #context(): unknown {
    const { host } = this;
    const { platform } = host;
    return {
      id: { name: `sim/${host.id}` },
      storage: {
        sql: { exec: (query: string, ...bindings: unknown[]) => this.#storage().exec(query, bindings) },
        transactionSync: <Result>(run: () => Result) => this.#storage().transactionSync(run),
        setAlarm: async (at: number | Date) => {
          this.#storage().setAlarm(Number(at));
          platform.fate.alarmSet(host);
        },
        getAlarm: async () => this.#storage().alarmAt ?? null,
        deleteAlarm: async () => this.#storage().setAlarm(undefined),
        sync: async () => undefined,
      },
      acceptWebSocket: (socket: Socket) => host.sockets.add(socket),
      getWebSockets: () => (this.isLive ? [...host.sockets] : []),
      setWebSocketAutoResponse: (pair: { request: string; response: string }) => {
        host.autoResponse = pair;
      },
      getWebSocketAutoResponseTimestamp: ({ answeredAt }: Socket) =>
        answeredAt === undefined ? null : new Date(answeredAt),
      blockConcurrencyWhile: <Result>(run: () => Promise<Result>) => run(),
      waitUntil: () => undefined,
      abort: (reason: string) => platform.fate.aborted(this, reason),
    };
  }

  #env(): unknown {
    const stubOf = (id: ServerId): unknown =>
      new Proxy(
        {},
        {
          get:
            (_, method) =>
            (...args: unknown[]) =>
              this.#call(id, String(method), args),
        },
      );
    return {
      ...this.host.platform.settings,
      MEMBER: { getByName: (name: string) => stubOf(Number(name.split("/")[1]) as ServerId) },
    };
  }

  #call(to: ServerId, method: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = { from: this, to, method, args: args.map(copied), resolve, reject };
      this.leave(() => {
        if (this.isAlive) this.host.platform.fate.callLeft(call);
      });
    });
  }
}

function copied(value: unknown): unknown {
  return value instanceof Uint8Array ? value.slice() : value;
}

const replaced = [
  "setTimeout",
  "clearTimeout",
  "WebSocketPair",
  "WebSocketRequestResponsePair",
  "Response",
] as const;

export class Platform {
  readonly fate: Fate;
  /** Variables of the Worker. */
  readonly settings: Readonly<Record<string, string>>;
  readonly hosts: readonly Host[];
  /** Whose code runs. */
  #current: Instance | undefined;
  #lastTimer = 0;
  readonly #saved: { name: string; value: unknown }[] = [];
  readonly #dateNow = Date.now;
  readonly #console = { error: console.error, warn: console.warn };

  constructor(fate: Fate, ids: readonly ServerId[], settings: Readonly<Record<string, string>>) {
    this.fate = fate;
    this.settings = settings;
    this.hosts = ids.map((id) => new Host(this, id));
  }

  host(id: ServerId): Host {
    const host = this.hosts.find((each) => each.id === id);
    if (host === undefined) throw new Error(`no member ${id}`);
    return host;
  }

  /** From now on the global scope is the platform's. */
  enter(): void {
    const platform = this;
    const scope = globalThis as unknown as Record<string, unknown>;
    const realSetTimeout = setTimeout;
    for (const name of replaced) this.#saved.push({ name, value: scope[name] });
    scope["setTimeout"] = (run: () => void, ms = 0): number => {
      const instance = this.#current;
      // Somebody else's, such as the test runner's.
      if (instance === undefined) return Number(realSetTimeout(run, ms));
      this.#lastTimer += 1;
      const id = this.#lastTimer;
      instance.timers.add(id);
      this.fate.timer(instance, ms, () => {
        if (instance.timers.delete(id)) run();
      });
      return id;
    };
    const realClearTimeout = clearTimeout;
    scope["clearTimeout"] = (id: number): void => {
      if (this.#current === undefined) realClearTimeout(id);
      else this.#current.timers.delete(id);
    };
    scope["WebSocketPair"] = class {
      readonly 0: { readonly server: Socket };
      readonly 1: Socket;
      constructor() {
        const instance = platform.#current;
        if (instance === undefined) throw new Error("a socket of nobody");
        this[1] = new Socket(instance.host);
        this[0] = { server: this[1] };
      }
    };
    scope["WebSocketRequestResponsePair"] = class {
      readonly request: string;
      readonly response: string;
      constructor(request: string, response: string) {
        this.request = request;
        this.response = response;
      }
    };
    scope["Response"] = class {
      readonly status: number;
      readonly headers: Headers;
      readonly webSocket: unknown;
      constructor(
        _body: unknown,
        init: { status?: number; headers?: Record<string, string>; webSocket?: unknown } = {},
      ) {
        this.status = init.status ?? 200;
        this.headers = new Headers(init.headers ?? {});
        this.webSocket = init.webSocket;
      }
    };
    Date.now = () => this.#current?.host.clockMs ?? clockOrigin + this.fate.now;
    console.error = (...parts: unknown[]) => this.fate.said(this.#current, parts.map(textOf).join(" "));
    console.warn = console.error;
  }

  /** Gives everything back. */
  exit(): void {
    const scope = globalThis as unknown as Record<string, unknown>;
    for (const { name, value } of this.#saved.splice(0)) scope[name] = value;
    Date.now = this.#dateNow;
    console.error = this.#console.error;
    console.warn = this.#console.warn;
    for (const { store } of this.hosts) store.close();
  }

  /** An event enters an object. What it throws is its own affair: the platform would log it. */
  run(instance: Instance, body: () => unknown): void {
    this.#current = instance;
    try {
      const result = body();
      if (result instanceof Promise) {
        result.catch((error: unknown) => {
          this.fate.said(instance, textOf(error));
        });
      }
    } catch (error) {
      this.fate.said(instance, textOf(error));
    }
  }

  /** The turn of the last event ends: promises have settled, and what leaves now waits for the writes. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const instance = this.#current;
    this.#current = undefined;
    if (instance === undefined) return;
    instance.host.store.endTurn();
    this.fate.turnEnded(instance.host);
  }

  /** Sends on behalf of whoever runs. */
  leave(run: () => void): void {
    if (this.#current === undefined) run();
    else this.#current.leave(run);
  }
}

function textOf(value: unknown): string {
  return value instanceof Error ? (value.stack ?? value.message) : String(value);
}
