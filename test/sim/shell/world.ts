/**
 * The world of members: the real `Member` class on a platform double, clients, users, and what befalls them.
 *
 * Slower than the world of peers and closer to what is deployed: here are the turns of the real shell, its
 * storage, its sockets, its sessions, watches and locks. The run is told as a story when it is over, and the
 * checkers judge by that and by what clients and the platform saw.
 *
 * @module
 */

import {
  compareZxid,
  makeServerId,
  maxZxid,
  OpCode,
  type ServerId,
  type SessionId,
  ZERO_ZXID,
  type Zxid,
} from "../../../src/base/index.ts";
import { unpackPayloads } from "../../../src/jute/index.ts";
import type { MemberStatus } from "../../../src/objects/index.ts";
import { type Grant, Resource } from "../checks/locks.ts";
import type { Arrival, Jump, Lapse, SessionRecord } from "../checks/sessions.ts";
import type { Stream as ClientStream } from "../checks/streams.ts";
import { around, type Chooser, mix, occurs, Stream } from "../choose.ts";
import { Heap, type Timed } from "../heap.ts";
import { Violation, violate } from "../violation.ts";
import { type ClientWorld, SimClient } from "./client.ts";
import { Operator } from "./operators.ts";
import {
  type Call,
  clockOrigin,
  type Fate,
  type Host,
  type Instance,
  Platform,
  type Socket,
} from "./platform.ts";
import type { ShellSettings } from "./settings.ts";
import { drawRequest, HttpLocker, LockClient, type UserWorld } from "./users.ts";

interface Entry extends Timed {
  readonly run: () => void;
  /** Whose stall holds it back. */
  readonly host: Host | undefined;
}

/** A client's connection to a member. Both directions keep their order; each end learns of its end by itself. */
interface Pipe {
  readonly client: SimClient;
  readonly socket: Socket;
  isBroken: boolean;
  readonly member: ServerId;
  /** When the last message of the client reached the member. */
  deliveredAt: number;
  toServerAt: number;
  toClientAt: number;
}

const tickMs = 100;

/** With which a member closes what it has when it serves no longer. */
const notServingCode = 4001;

export class ShellWorld implements Fate, ClientWorld, UserWorld {
  readonly settings: ShellSettings;
  readonly platform: Platform;
  readonly clients: SimClient[] = [];
  readonly lockClients: LockClient[] = [];
  readonly lockers: HttpLocker[] = [];
  readonly streams: ClientStream[] = [];
  readonly grants: Grant[] = [];
  readonly resource = new Resource();
  readonly sessions = new Map<SessionId, SessionRecord>();
  readonly lapses: Lapse[] = [];
  /** What members sent each other and when it arrived, by path. */
  readonly #arrivals = new Map<number, Arrival[]>();
  readonly jumps: Jump[] = [];
  readonly counts = new Map<string, number>();
  /** First logged by whom and when, by zxid; and since when who has led which epoch. */
  readonly proposals = new Map<string, { leader: ServerId; atMs: number }>();
  readonly reigns = new Map<string, number>();
  readonly toleratesHalts: boolean;
  log: ((line: string) => void) | undefined;
  now = 0;
  events = 0;
  hash = 0;
  acknowledged: Zxid = ZERO_ZXID;
  logged: Zxid = ZERO_ZXID;
  isCalm = false;
  /** Users have stopped: what is left is to agree. */
  isQuiet = false;
  readonly #chooser: Chooser;
  readonly #heap = new Heap<Entry>();
  readonly #pipes = new Map<Socket, Pipe>();
  readonly #pipeOf = new Map<SimClient, Pipe>();
  readonly #cut = new Set<number>();
  readonly #parked = new Map<Host, Entry[]>();
  readonly #tickFactor = new Map<Host, number>();
  readonly #flushing = new Map<Host, number>();
  readonly #polledAt = new Map<Host, number>();
  readonly #broken: Violation[] = [];
  #order = 0;
  #settles = false;

  constructor(chooser: Chooser, settings: ShellSettings, toleratesHalts: boolean) {
    this.#chooser = chooser;
    this.settings = settings;
    this.toleratesHalts = toleratesHalts;
    const size = settings.voters + settings.observers + settings.outsiders;
    const ids = Array.from({ length: size }, (_, at) => makeServerId(at + 1));
    this.platform = new Platform(this, ids, { EK_TICK_MS: String(settings.sessionTickMs) });
    for (const host of this.platform.hosts) {
      const percent = this.#choose(2 * settings.drift + 1, Stream.Clock) - settings.drift;
      this.#tickFactor.set(host, 100 + percent);
    }
  }

  get ids(): readonly ServerId[] {
    return this.platform.hosts.map(({ id }) => id);
  }

  /** Prepares and activates every member, starts clients and faults. */
  begin(): void {
    const { settings } = this;
    const firstObserver = settings.voters;
    const firstOutsider = firstObserver + settings.observers;
    const voters = this.ids.slice(0, firstObserver);
    const observers = this.ids.slice(firstObserver, firstOutsider);
    const config = { voters, observers, secret: "5".repeat(64) };
    for (const [at, host] of this.platform.hosts.entries()) {
      if (at < firstOutsider) {
        this.#at(0, host, () => this.#enter(host, (instance) => instance.member.prepareBootstrap(config)));
        this.#at(1, host, () => this.#enter(host, (instance) => instance.member.activateBootstrap()));
      }
      this.after(tickMs, () => this.#poll(host));
    }
    for (let at = 0; at < settings.workers; at++) this.#addWorker();
    for (let at = 0; at < settings.lockClients; at++) this.#addLockClient();
    for (let at = 0; at < settings.httpLockers; at++) {
      const locker = new HttpLocker(this, at);
      this.lockers.push(locker);
      this.#repeat(
        () => settings.thinkMs * 5,
        () => {
          if (!this.isQuiet) locker.think();
        },
      );
    }
    if (settings.orderMs > 0) {
      const operator = new Operator(this, this.ids);
      this.#repeat(
        () => settings.orderMs,
        () => {
          if (!this.isCalm) operator.think();
        },
      );
    }
    this.#scheduleFaults();
  }

  async run(untilMs: number): Promise<void> {
    while (this.now < untilMs) {
      const entry = this.#heap.pop();
      if (entry === undefined) violate("LV1", "nothing left to happen");
      this.now = Math.max(this.now, entry.at);
      const parked = entry.host === undefined ? undefined : this.#parked.get(entry.host);
      if (parked !== undefined) {
        parked.push(entry);
        continue;
      }
      this.events++;
      this.#settles = false;
      entry.run();
      if (this.#settles) await this.platform.settle();
      const [broken] = this.#broken;
      if (broken !== undefined) throw broken;
    }
  }

  /** Faults end: everybody is there, reachable, and awake. */
  becalm(): void {
    this.isCalm = true;
    this.#cut.clear();
    for (const host of this.platform.hosts) {
      host.downUntil = 0;
      this.#wakeUp(host);
      this.#at(0, host, () => this.#enter(host, (instance) => instance.member.inspect()));
    }
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  // Of the platform.

  timer(instance: Instance, ms: number, run: () => void): void {
    const factor = this.#tickFactor.get(instance.host) ?? 100;
    const delay = Math.max(0, Math.round((ms * factor) / 100) + this.#choose(3, Stream.Clock) - 1);
    this.#at(delay, instance.host, () => {
      if (instance.isAlive) this.#run(instance, run);
    });
  }

  callLeft(call: Call): void {
    const path = call.from.host.id * 16 + call.to;
    const leftMs = this.now;
    let isAnswered = false;
    const fail = (): void => {
      if (isAnswered || !call.from.isAlive) return;
      isAnswered = true;
      this.#run(call.from, () => call.reject(new Error("network")));
    };
    const deliver = (): void => {
      this.#note("call", call.from.host.id, call.to);
      if (this.#isCut(path, call.from) || this.#strikes(this.settings.loss, Stream.Net))
        return void this.#at(1_000, call.from.host, fail);
      const host = this.platform.host(call.to);
      if (this.now < host.downUntil) return void this.#at(this.#delay(), call.from.host, fail);
      this.#reached(call.from.host.id, call.to, leftMs);
      this.#enter(host, (instance) => {
        const method = (
          instance.member as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
        )[call.method];
        if (method === undefined) throw new Error(`no method ${call.method}`);
        const answer = (settle: () => void): void =>
          instance.leave(() => {
            if (this.#isCut(call.to * 16 + call.from.host.id, call.from)) return;
            if (this.#strikes(this.settings.loss, Stream.Net)) return;
            const answeredMs = this.now;
            this.#at(this.#delay(), call.from.host, () => {
              if (isAnswered || !call.from.isAlive) return;
              isAnswered = true;
              this.#reached(call.to, call.from.host.id, answeredMs);
              this.#run(call.from, settle);
            });
          });
        method.apply(instance.member, call.args as unknown[]).then(
          (value) => answer(() => call.resolve(value)),
          (error: unknown) =>
            answer(() => call.reject(error instanceof Error ? error : new Error(String(error)))),
        );
      });
    };
    this.#at(this.#delay(), this.platform.host(call.to), deliver);
    this.#at(20_000, call.from.host, fail);
    if (this.#strikes(this.settings.duplicate, Stream.Net)) {
      this.count("fault duplicate");
      this.#at(this.#delay() * 10, this.platform.host(call.to), deliver);
    }
    if (this.#strikes(this.settings.late, Stream.Net)) {
      this.count("fault late");
      this.#at(this.#choose(8_000, Stream.Net), this.platform.host(call.to), deliver);
      this.#at(this.#delay(), call.from.host, fail);
    }
  }

  arrivals(from: ServerId, to: ServerId): readonly Arrival[] {
    return this.#arrivals.get(from * 16 + to) ?? [];
  }

  #reached(from: ServerId, to: ServerId, leftMs: number): void {
    const path = from * 16 + to;
    const arrivals = this.#arrivals.get(path) ?? [];
    arrivals.push({ leftMs, atMs: this.now });
    this.#arrivals.set(path, arrivals);
  }

  sentToClient(socket: Socket, message: Uint8Array | string): void {
    const pipe = this.#pipes.get(socket);
    if (pipe === undefined || pipe.isBroken) return;
    const { client } = pipe;
    const record = client.session === undefined ? undefined : this.sessions.get(client.session.id);
    record?.touches.push({ atMs: pipe.deliveredAt, member: pipe.member });
    this.#note("sent", client.id, message.length);
    this.#toClient(pipe, () => client.receive(message));
  }

  closedByServer(socket: Socket, code: number, reason: string): void {
    if (code === notServingCode) this.lapses.push({ member: socket.host.id, atMs: this.now });
    const pipe = this.#pipes.get(socket);
    if (pipe === undefined) return;
    this.#note("closed", pipe.client.id, code);
    this.log?.(`      closes the connection of client ${pipe.client.id}: ${code} ${reason}`);
    this.#toClient(pipe, () => this.#unpipe(pipe));
  }

  alarmSet(host: Host): void {
    const at = host.store.alarmAt;
    if (at === undefined) return;
    const late = this.#choose(4, Stream.Clock) === 0 ? this.#choose(2_000, Stream.Clock) : 0;
    this.#at(Math.max(0, at - host.clockMs) + late, host, () => {
      if (host.store.alarmAt !== at || host.clockMs < at) {
        if (host.store.alarmAt === at) this.alarmSet(host);
        return;
      }
      if (this.now < host.downUntil)
        return void this.#at(host.downUntil - this.now, host, () => this.alarmSet(host));
      this.count("alarm");
      host.store.takeAlarm();
      this.#enter(host, (instance) => instance.member.alarm());
    });
  }

  wrote(host: Host, query: string, bindings: readonly unknown[]): void {
    this.#note("wrote", host.id, query.length);
    if (!query.startsWith("INSERT INTO log ")) return;
    const [epoch = 0, first = 0, count = 0] = bindings.map(Number);
    for (let counter = first; counter < first + count; counter++) {
      const key = `${epoch}.${counter}`;
      if (!this.proposals.has(key)) this.proposals.set(key, { leader: host.id, atMs: this.now });
    }
    this.logged = maxZxid(this.logged, { epoch, counter: first + count - 1 });
  }

  turnEnded(host: Host): void {
    const { store } = host;
    if (store.pending === 0 || this.#flushing.get(host) === store.written) return;
    const upTo = store.written;
    this.#flushing.set(host, upTo);
    this.#at(around(this.#chooser, this.settings.flushMs, Stream.Storage), host, () => {
      store.confirm(Math.max(0, upTo - store.settled));
      host.live?.release();
    });
  }

  aborted(instance: Instance, reason: string): void {
    this.log?.(`      ${instance.host.id} aborts: ${reason}`);
    this.count("abort");
    if (instance.isLive && !this.toleratesHalts)
      this.#broken.push(new Violation("halt", `${instance.host.id}: ${reason}`));
    if (instance.isLive) this.#breakSockets(instance.host);
    instance.end();
  }

  said(instance: Instance | undefined, line: string): void {
    this.log?.(`      ${instance?.host.id ?? "nobody"} says: ${line}`);
    if (instance?.isLive !== true || this.toleratesHalts) return;
    if (line.includes("AssertionFailure")) this.#broken.push(new Violation("assertion", line));
    else if (line.includes("has halted")) this.#broken.push(new Violation("halt", line));
  }

  // Of clients.

  connect(client: SimClient, member: ServerId): void {
    const host = this.platform.host(member);
    const wants = this.#choose(100, Stream.Work) < this.settings.anyMember ? "any" : "leader";
    this.#at(this.#delay(), host, () => {
      if (this.now < host.downUntil) return;
      this.#enter(host, (instance) => {
        const headers = new Headers({ Upgrade: "websocket", "Ek-Member": wants });
        const request = { headers, url: "https://member/" };
        return instance.member.fetch(request as unknown as Request).then((response) => {
          const { status, webSocket, headers } = response as unknown as {
            status: number;
            webSocket: { server: Socket } | undefined;
            headers: Headers;
          };
          const next = Number(headers.get("Ek-Leader") ?? "0");
          instance.leave(() => this.#answerConnect(client, webSocket?.server, status === 421 ? next : 0));
        });
      });
    });
  }

  send(client: SimClient, message: Uint8Array | string): void {
    const pipe = this.#pipeOf.get(client);
    if (pipe === undefined || pipe.isBroken) return;
    const { socket } = pipe;
    const { host } = socket;
    pipe.toServerAt = Math.max(pipe.toServerAt + 1, this.now + this.#delay());
    this.#at(pipe.toServerAt - this.now, host, () => {
      if (pipe.isBroken || !socket.isOpen) return;
      if (this.now < host.downUntil) return;
      if (typeof message === "string" && message === host.autoResponse?.request) {
        socket.answeredAt = host.clockMs;
        const { response } = host.autoResponse;
        return this.sentToClient(socket, response);
      }
      pipe.deliveredAt = this.now;
      this.#note("heard", client.id, message.length);
      const bytes = typeof message === "string" ? message : message.slice().buffer;
      this.#enter(host, (instance) =>
        instance.member.webSocketMessage(socket as unknown as WebSocket, bytes),
      );
    });
  }

  hangUp(client: SimClient): void {
    const pipe = this.#pipeOf.get(client);
    if (pipe !== undefined) this.#break(pipe);
  }

  opened(_client: SimClient, stream: ClientStream): void {
    this.streams.push(stream);
  }

  granted(session: SessionId | Grant, timeoutMs = 0): void {
    if (typeof session !== "bigint") return void this.grants.push(session);
    const known = this.sessions.get(session);
    if (known === undefined) {
      this.sessions.set(session, { timeoutMs, touches: [], goodbyeAt: undefined, vanishedAt: undefined });
    } else known.timeoutMs = timeoutMs;
  }

  saidGoodbye(session: SessionId): void {
    const record = this.sessions.get(session);
    if (record !== undefined) record.goodbyeAt = this.now;
  }

  // Of users.

  choose(n: number): number {
    return this.#choose(n, Stream.Work);
  }

  after(delayMs: number, run: () => void): void {
    this.#at(delayMs, undefined, run);
  }

  ask(member: ServerId, method: string, args: readonly unknown[], done: (answer: unknown) => void): void {
    const host = this.platform.host(member);
    let isDone = false;
    const finish = (answer: unknown): void => {
      if (isDone) return;
      isDone = true;
      done(answer);
    };
    this.after(15_000, () => finish(undefined));
    this.#at(this.#delay(), host, () => {
      if (this.now < host.downUntil) return void this.after(this.#delay(), () => finish(undefined));
      this.#enter(host, (instance) => {
        const body = (instance.member as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[
          method
        ];
        if (body === undefined) throw new Error(`no method ${method}`);
        body.apply(instance.member, args as unknown[]).then(
          (value) => instance.leave(() => this.after(this.#delay(), () => finish(value))),
          () => this.after(this.#delay(), () => finish(undefined)),
        );
      });
    });
  }

  anyMember(): ServerId {
    return this.ids[this.#choose(this.ids.length, Stream.Work)] ?? makeServerId(1);
  }

  leader(): ServerId {
    return this.anyMember();
  }

  // Within.

  #choose(n: number, stream: number): number {
    return this.#chooser.choose(n, stream);
  }

  #strikes(perMillion: number, stream: number): boolean {
    return !this.isCalm && occurs(this.#chooser, perMillion, stream);
  }

  #delay(): number {
    const mean = this.isCalm ? Math.min(5, this.settings.delayMs) : this.settings.delayMs;
    return around(this.#chooser, mean, Stream.Net);
  }

  #at(delayMs: number, host: Host | undefined, run: () => void): void {
    const tie = this.settings.drawTies ? this.#choose(1024, Stream.Sched) : 0;
    this.#order += 1;
    this.#heap.push({ at: this.now + delayMs, tie, order: this.#order, run, host });
  }

  #repeat(meanMs: () => number, run: () => void): void {
    this.after(1 + around(this.#chooser, meanMs(), Stream.Work), () => {
      run();
      this.#repeat(meanMs, run);
    });
  }

  #run(instance: Instance, body: () => unknown): void {
    this.#settles = true;
    this.platform.run(instance, body);
  }

  #enter(host: Host, body: (instance: Instance) => unknown): void {
    this.#settles = true;
    const before = host.live;
    const instance = host.wake();
    if (before === undefined) {
      this.count("start");
      this.lapses.push({ member: host.id, atMs: this.now });
      this.log?.(`${this.now} ${host.id} starts`);
    }
    if (instance.isAlive) this.platform.run(instance, () => body(instance));
  }

  #isCut(path: number, from: Instance): boolean {
    return from.isLive && this.#cut.has(path);
  }

  #note(what: string, a = 0, b = 0): void {
    this.hash = mix(this.hash ^ what.length, mix(this.now, a, b), this.events);
    this.log?.(`${String(this.now).padStart(7)} ${what} ${a} ${b}`);
  }

  #poll(host: Host): void {
    const { live } = host;
    this.#at(tickMs, host, () => this.#poll(host));
    if (live === undefined) return;
    const before = this.#polledAt.get(host) ?? 0;
    this.#polledAt.set(host, this.now);
    this.#run(live, () =>
      live.member.inspect().then((status: MemberStatus) => {
        const key = `${host.id} ${status.epoch}`;
        if (status.role === "leading" && status.serving && !this.reigns.has(key)) {
          this.reigns.set(key, before);
          this.count("reign");
        }
      }),
    );
  }

  // Connections.

  #answerConnect(client: SimClient, socket: Socket | undefined, next: number): void {
    const fallback = this.anyMember();
    if (socket === undefined) {
      const member = next === 0 ? fallback : makeServerId(next);
      return this.after(this.#delay() + 20, () => client.refused(member));
    }
    const { now } = this;
    const member = socket.host.id;
    const pipe = { client, socket, member, isBroken: false, deliveredAt: now, toServerAt: 0, toClientAt: 0 };
    this.#pipes.set(socket, pipe);
    this.#toClient(pipe, () => {
      if (client.state !== "connecting") return this.#break(pipe);
      this.#pipeOf.set(client, pipe);
      client.connected();
    });
  }

  #toClient(pipe: Pipe, run: () => void): void {
    pipe.toClientAt = Math.max(pipe.toClientAt + 1, this.now + this.#delay());
    this.#at(pipe.toClientAt - this.now, undefined, () => {
      if (!pipe.isBroken) run();
    });
  }

  /** The connection is no more; its member is told, its client told itself. */
  #break(pipe: Pipe): void {
    this.#unpipe(pipe);
    const { socket } = pipe;
    const { host } = socket;
    this.#at(this.#choose(2_000, Stream.Net), host, () => {
      if (!socket.isOpen) return;
      socket.isOpen = false;
      host.sockets.delete(socket);
      if (host.live === undefined) return;
      this.#run(host.live, () => host.live?.member.webSocketClose(socket as unknown as WebSocket, 1006));
    });
  }

  #unpipe(pipe: Pipe): void {
    pipe.isBroken = true;
    this.#pipes.delete(pipe.socket);
    if (this.#pipeOf.get(pipe.client) !== pipe) return;
    this.#pipeOf.delete(pipe.client);
    pipe.client.member = this.anyMember();
    pipe.client.disconnected();
  }

  /** A member's sockets are gone with it. */
  #breakSockets(host: Host): void {
    for (const socket of host.sockets) {
      socket.isOpen = false;
      const pipe = this.#pipes.get(socket);
      // Some hear of it at once; others only by the silence.
      if (pipe !== undefined && this.#choose(2, Stream.Net) === 0)
        this.#toClient(pipe, () => this.#unpipe(pipe));
      else if (pipe !== undefined) this.#pipes.delete(socket);
    }
    host.sockets.clear();
  }

  // Clients and their lives.

  #newClient(): SimClient {
    const timeoutMs = this.settings.sessionTickMs * (2 + this.#choose(6, Stream.Work));
    const client = new SimClient(this, this.clients.length, this.anyMember(), timeoutMs);
    this.clients.push(client);
    this.#repeat(
      () => 50,
      () => client.tick(),
    );
    return client;
  }

  #addWorker(): void {
    const client = this.#newClient();
    this.#repeat(
      () => this.settings.thinkMs,
      () => {
        if (this.isCalm || !client.isOpen || client.outstanding > 4) return;
        if (this.#choose(300, Stream.Work) === 0) client.request({ type: OpCode.CloseSession });
        else client.request(drawRequest(this, client, this.settings.paths));
      },
    );
  }

  #addLockClient(): void {
    const user = new LockClient(this, this.#newClient());
    this.lockClients.push(user);
    this.#repeat(
      () => this.settings.thinkMs,
      () => {
        if (!this.isQuiet) user.think();
      },
    );
  }

  // Faults.

  #scheduleFaults(): void {
    const { settings } = this;
    const every = (meanMs: number, stream: number, strike: () => void): void => {
      if (meanMs === 0) return;
      const again = (): void =>
        this.after(1 + around(this.#chooser, meanMs, stream), () => {
          if (this.isCalm) return;
          strike();
          again();
        });
      again();
    };
    every(settings.crashMs, Stream.Life, () => this.#crash(this.#victim()));
    every(settings.evictMs, Stream.Life, () => this.#evict(this.#victim()));
    every(settings.replaceMs, Stream.Life, () => this.#replace(this.#victim()));
    every(settings.partitionMs, Stream.Net, () => this.#partition(this.#victim()));
    every(settings.stallMs, Stream.Clock, () => this.#stall(this.#victim()));
    every(settings.jumpMs, Stream.Clock, () => this.#jump(this.#victim()));
    every(settings.breakMs, Stream.Net, () => {
      const client = this.clients[this.#choose(this.clients.length, Stream.Net)];
      const pipe = client === undefined ? undefined : this.#pipeOf.get(client);
      if (pipe === undefined) return;
      this.count("fault connection broken");
      this.#break(pipe);
    });
    every(settings.vanishMs, Stream.Work, () => this.#vanish());
  }

  #victim(): Host {
    const { hosts } = this.platform;
    const host = hosts[this.#choose(hosts.length, Stream.Life)];
    return host ?? violate("simulator", "no members");
  }

  #crash(host: Host): void {
    const { live, store } = host;
    if (live === undefined) return;
    this.count("fault crash");
    this.#note("crash", host.id);
    this.#breakSockets(host);
    const survive = this.#choose(store.pending + 1, Stream.Life);
    host.crash(survive, this.#choose(2, Stream.Life) === 1);
    this.#down(host);
  }

  #down(host: Host): void {
    const delay = 1 + around(this.#chooser, this.settings.restartMs, Stream.Life);
    host.downUntil = this.now + delay;
    this.#at(delay, host, () => this.#enter(host, (instance) => instance.member.inspect()));
  }

  /** Memory gone, everything else as it was: what was written is durable, sockets wait. */
  #evict(host: Host): void {
    const { live, store } = host;
    if (live === undefined) return;
    this.count("fault evict");
    this.#note("evict", host.id);
    store.confirm(store.pending);
    live.release();
    live.end();
    for (const socket of host.sockets) {
      const pipe = this.#pipes.get(socket);
      if (pipe !== undefined) this.#toClient(pipe, () => pipe.client.slept());
    }
    if (this.#choose(2, Stream.Life) === 1)
      this.#at(this.#choose(3_000, Stream.Life), host, () =>
        this.#enter(host, (instance) => instance.member.inspect()),
      );
  }

  /** A deployment: a new instance from here on, while the old one runs on without a storage. */
  #replace(host: Host): void {
    const { live, store } = host;
    if (live === undefined) return;
    this.count("fault replace");
    this.#note("replace", host.id);
    store.confirm(store.pending);
    live.release();
    this.#breakSockets(host);
    host.live = undefined;
    this.after(around(this.#chooser, this.settings.zombieMs, Stream.Life), () => live.end());
    this.#enter(host, (instance) => instance.member.inspect());
  }

  #partition(host: Host): void {
    this.count("fault partition");
    const paths: number[] = [];
    const directions = 1 + this.#choose(3, Stream.Net);
    for (const id of this.ids) {
      if (id === host.id) continue;
      if ((directions & 1) !== 0) paths.push(id * 16 + host.id);
      if ((directions & 2) !== 0) paths.push(host.id * 16 + id);
    }
    for (const path of paths) this.#cut.add(path);
    this.after(1 + around(this.#chooser, this.settings.partitionLifeMs, Stream.Net), () => {
      for (const path of paths) this.#cut.delete(path);
    });
  }

  #stall(host: Host): void {
    if (this.#parked.has(host)) return;
    this.count("fault stall");
    this.#parked.set(host, []);
    this.after(1 + this.#choose(2 * this.settings.stallLifeMs, Stream.Clock), () => this.#wakeUp(host));
  }

  /** What waited happens now, in the order in which it came: sockets keep theirs. */
  #wakeUp(host: Host): void {
    const parked = this.#parked.get(host) ?? [];
    this.#parked.delete(host);
    for (const { run } of parked) {
      this.#order += 1;
      this.#heap.push({ at: this.now, tie: -1, order: this.#order, run, host });
    }
  }

  #jump(host: Host): void {
    const byMs = this.#choose(2 * this.settings.jumpByMs, Stream.Clock) - this.settings.jumpByMs;
    this.count("fault clock jump");
    host.clockOffsetMs += byMs;
    this.jumps.push({ member: host.id, atMs: this.now, byMs });
    this.alarmSet(host);
  }

  #vanish(): void {
    const client = this.clients[this.#choose(this.clients.length, Stream.Work)];
    if (client === undefined || client.session === undefined) return;
    // A user of locks stays: somebody has to wait for whoever is gone.
    if (this.lockClients.some((user) => user.client === client)) return;
    this.count("fault client vanished");
    const record = this.sessions.get(client.session.id);
    if (record !== undefined) record.vanishedAt = this.now;
    client.vanish();
    this.#addWorker();
  }

  // What remains.

  /** The leader of a txn, and when its clock last said `timeMs` before the txn was logged. */
  decidedAt({ epoch, counter }: Zxid, timeMs: number): { leader: ServerId; atMs: number } | undefined {
    const proposed = this.proposals.get(`${epoch}.${counter}`);
    if (proposed === undefined) return undefined;
    const { leader } = proposed;
    let best = 0;
    let offset = 0;
    let from = 0;
    const own = this.jumps.filter(({ member }) => member === leader);
    for (const { atMs, byMs } of [...own, { atMs: this.now + 1, byMs: 0 }]) {
      const at = timeMs - clockOrigin - offset;
      if (at >= from && at <= atMs && at <= proposed.atMs) best = Math.max(best, at);
      offset += byMs;
      from = atMs;
    }
    return { leader, atMs: best };
  }

  /** The log of a member, as stored: payloads by zxid, in order. */
  storedLog(host: Host): { readonly zxid: Zxid; readonly payload: Uint8Array }[] {
    const rows = host.store.read("SELECT epoch, first, count, batch FROM log ORDER BY epoch, first");
    const entries: { zxid: Zxid; payload: Uint8Array }[] = [];
    for (const { epoch, first, batch } of rows) {
      const payloads = batch instanceof ArrayBuffer ? unpackPayloads(new Uint8Array(batch)) : undefined;
      if (payloads === undefined) violate("simulator", "a log row that cannot be read");
      payloads.forEach((payload, at) => {
        entries.push({ zxid: { epoch: Number(epoch), counter: Number(first) + at }, payload });
      });
    }
    return entries.sort((a, b) => compareZxid(a.zxid, b.zxid));
  }
}
