/**
 * Plays a script's steps to one server and says what came back, as lines that can be compared.
 *
 * One step is over before the next begins, on all clients. What a server sends to one client because of
 * another's request must therefore be on its way before that request's answer is, and is read in the next
 * step of the client that it is for: the lines show on which side of which answer every event came. At several
 * members the next step waits until its member has caught up.
 *
 * @module
 */

import { type ClientRequest, OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { encodeConnectRequest, encodeRequest, JuteReader, JuteWriter } from "../../src/jute/index.ts";
import { describeConnect, describeEvent, describeReply, readHeader } from "./describe.ts";
import type { Names } from "./names.ts";
import { clientCount, type Step } from "./script.ts";
import { Wire } from "./wire.ts";

/** Where a client can connect. */
export interface Place {
  readonly port: number;
  /** Resolves when everything that was committed has been applied there, and its events are on their way. */
  settle(): Promise<void>;
}

/** Past this a server counts as silent. Generous: nothing is judged by how fast it is. */
const patienceMs = 20_000;
const eventXid = -1;
const pingXid = -2;
const passwordBytes = 16;

interface Client {
  wire: Wire | undefined;
  /** Where its connection is, or was last. */
  place: Place;
  /** Sessions move: each connection is made one member further. */
  connects: number;
  /** 0: it has never had one. */
  session: bigint;
  password: Uint8Array;
  xid: number;
  /** Said at the next step: what was read while waiting for something else. */
  backlog: string[];
}

/** What is still to be answered. */
interface Expected {
  readonly xid: number;
  readonly type: number;
}

type ConnectStep = Extract<Step, { kind: "connect" }>;

export class Player {
  readonly #places: readonly Place[];
  readonly #names: Names;
  readonly #clients: Client[];
  /** Every session that the script has opened and not closed, by id. */
  readonly #sessions = new Map<bigint, Uint8Array>();
  /** The newest zxid, asked on a connection that is no part of the script. */
  readonly #askZxid: () => Promise<bigint>;

  /** @param places - A client begins at the place of its number, counted round. */
  constructor(places: readonly Place[], names: Names, askZxid: () => Promise<bigint>) {
    this.#places = places;
    this.#names = names;
    this.#askZxid = askZxid;
    this.#clients = Array.from({ length: clientCount }, (_, index) => newClient(this.#place(index)));
  }

  async play(step: Step): Promise<string[]> {
    const client = this.#client(step.client);
    const said = client.backlog;
    client.backlog = [];
    await client.place.settle();
    switch (step.kind) {
      case "connect":
        await this.#connect(client, step, said);
        break;
      case "cut":
        this.#cut(client);
        break;
      case "expire":
        await this.#expire(client, said);
        break;
      case "requests":
        await this.#request(client, step.requests, said);
        break;
      case "frame":
        await this.#sendFrame(client, step.bytes, said);
        break;
      case "bytes":
        await this.#sendBytes(client, step.isFirst, step.bytes, said);
        break;
      case "ping":
        await this.#ping(client, said);
        break;
    }
    return said;
  }

  /** Closes every session of the script, so that none of them expires in a later one. */
  async finish(): Promise<void> {
    for (const client of this.#clients) this.#cut(client);
    for (const [session, password] of [...this.#sessions]) {
      const client = this.#client(0);
      Object.assign(client, newClient(client.place), { session, password });
      await this.#connect(client, renewal, []);
      if (client.wire !== undefined) await this.#request(client, [{ type: OpCode.CloseSession }], []);
      this.#cut(client);
    }
    this.#sessions.clear();
  }

  #client(index: number): Client {
    const client = this.#clients[index];
    if (client === undefined) throw new Error(`there is no client ${index}`);
    return client;
  }

  #place(index: number): Place {
    const place = this.#places[index % this.#places.length];
    if (place === undefined) throw new Error("there is nowhere to connect");
    return place;
  }

  /**
   * A session that is connected is taken over at its member. At another one ZooKeeper would let both connections
   * live until the older one writes; we end the older one at once.
   */
  #nextPlace(client: Client, owner: Client | undefined): Place {
    const holder = this.#clients.find(
      ({ wire, session }) => wire !== undefined && session === owner?.session,
    );
    client.connects += 1;
    return holder?.place ?? this.#place(this.#clients.indexOf(client) + client.connects - 1);
  }

  async #connect(client: Client, step: ConnectStep, said: string[]): Promise<void> {
    const owner = step.sessionOf === undefined ? undefined : this.#client(step.sessionOf);
    client.place = this.#nextPlace(client, owner);
    await client.place.settle();
    this.#cut(client);
    const offset = step.zxidOffset;
    const writer = new JuteWriter();
    encodeConnectRequest(writer, {
      protocolVersion: 0,
      lastZxidSeen: offset === undefined ? 0n : this.#names.newestZxid + BigInt(offset),
      timeoutMs: step.timeoutMs,
      sessionId: owner?.session ?? 0n,
      password: passwordOf(owner, step.password),
      readOnly: step.readOnly,
    });
    const wire = new Wire(client.place.port);
    wire.send(writer.take());
    const incoming = await wire.next(patienceMs);
    if (incoming.kind !== "frame") {
      said.push(incoming.kind);
      wire.cut();
      return;
    }
    const { text, session } = describeConnect(incoming.bytes, this.#names);
    said.push(text);
    if (session === 0n) {
      said.push((await wire.next(patienceMs)).kind);
      wire.cut();
      return;
    }
    client.wire = wire;
    client.session = session;
    client.password = readPassword(incoming.bytes);
    client.xid = 0;
    this.#sessions.set(session, client.password);
  }

  #cut(client: Client): void {
    client.wire?.cut();
    client.wire = undefined;
  }

  /** Everybody else goes on pinging meanwhile. */
  async #expire(client: Client, said: string[]): Promise<void> {
    if (client.wire === undefined) {
      said.push("not connected");
      return;
    }
    this.#cut(client);
    const before = await this.#askZxid();
    const deadlineMs = performance.now() + 3 * patienceMs;
    let now = before;
    while (now === before && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      for (const other of this.#clients) await this.#keepAlive(other);
      now = await this.#askZxid();
    }
    this.#sessions.delete(client.session);
    said.push(`expired zxid=${this.#names.zxid(now)}`);
  }

  /** How many pings that takes is the clock's affair; what else has come is not. */
  async #keepAlive(client: Client): Promise<void> {
    if (client.wire === undefined) return;
    const said: string[] = [];
    await client.place.settle();
    await this.#ping(client, said);
    client.backlog.push(...said.filter((line) => !line.startsWith(`xid=${pingXid} `)));
  }

  async #request(client: Client, requests: readonly ClientRequest[], said: string[]): Promise<void> {
    const writer = new JuteWriter();
    const expected: Expected[] = [];
    for (const request of requests) {
      client.xid += 1;
      encodeRequest(writer, client.xid, this.#withZxid(request));
      expected.push({ xid: client.xid, type: request.type });
    }
    if (requests.length > 1) expected.push(appendPing(writer));
    await this.#exchange(client, writer.take(), expected, said);
    if (requests.some(mayEndConnection)) {
      await this.#probe(
        client,
        said,
        requests.some(({ type }) => type === OpCode.CloseSession),
      );
    }
  }

  /** Whether the connection is still there. What a server reads behind the end it may answer or not. */
  async #probe(client: Client, said: string[], isGoodbye: boolean): Promise<void> {
    if (client.wire === undefined) return;
    if (!isGoodbye && !endsConnection(said.at(-1))) return await this.#ping(client, said);
    said.push((await client.wire.next(patienceMs)).kind);
    this.#cut(client);
  }

  /** A script counts back from the newest zxid. */
  #withZxid(request: ClientRequest): ClientRequest {
    return request.type === OpCode.SetWatches || request.type === OpCode.SetWatches2
      ? { ...request, relativeZxid: this.#names.newestZxid - request.relativeZxid }
      : request;
  }

  async #sendFrame(client: Client, body: Uint8Array, said: string[]): Promise<void> {
    const writer = new JuteWriter();
    writer.writeBuffer(body);
    const header = body.length < 8 ? undefined : new JuteReader(body);
    const expected = header === undefined ? [] : [{ xid: header.readInt(), type: header.readInt() }];
    await this.#exchange(client, writer.take(), expected, said);
    await this.#probe(client, said, false);
  }

  async #sendBytes(client: Client, isFirst: boolean, bytes: Uint8Array, said: string[]): Promise<void> {
    if (isFirst) {
      this.#cut(client);
      client.wire = new Wire(client.place.port);
    }
    if (client.wire === undefined) {
      said.push("not connected");
      return;
    }
    client.wire.send(bytes);
    await this.#listen(client, [], said);
    this.#cut(client);
  }

  async #ping(client: Client, said: string[]): Promise<void> {
    const writer = new JuteWriter();
    const expected = [appendPing(writer)];
    await this.#exchange(client, writer.take(), expected, said);
  }

  async #exchange(
    client: Client,
    bytes: Uint8Array,
    expected: readonly Expected[],
    said: string[],
  ): Promise<void> {
    if (client.wire === undefined) {
      said.push("not connected");
      return;
    }
    client.wire.send(bytes);
    await this.#listen(client, expected, said);
  }

  /** Until the last expected answer, or the end. With none expected, until the end. */
  async #listen(client: Client, expected: readonly Expected[], said: string[]): Promise<void> {
    const { wire } = client;
    const last = expected.at(-1);
    const due = [...expected];
    while (wire !== undefined) {
      const incoming = await wire.next(patienceMs);
      if (incoming.kind !== "frame") {
        said.push(incoming.kind);
        this.#cut(client);
        return;
      }
      const { xid, err } = readHeader(incoming.bytes);
      if (xid === eventXid) {
        said.push(describeEvent(incoming.bytes, this.#names));
        continue;
      }
      const at = due.findIndex((other) => other.xid === xid);
      const answered = at === -1 ? undefined : due[at];
      due.splice(0, at + 1);
      said.push(describeReply(answered?.type, incoming.bytes, this.#names));
      if (answered?.type === OpCode.CloseSession && err === 0) this.#sessions.delete(client.session);
      if (last !== undefined && answered === last) return;
    }
  }
}

const renewal: ConnectStep = {
  kind: "connect",
  client: 0,
  sessionOf: 0,
  timeoutMs: 30_000,
  password: "right",
  zxidOffset: undefined,
  readOnly: false,
};

function newClient(place: Place): Client {
  const nothing = { wire: undefined, session: 0n, password: new Uint8Array(passwordBytes) };
  return { ...nothing, place, connects: 0, xid: 0, backlog: [] };
}

/** What these answers say, the connection does not outlive. */
const endings = [ZkErrorCode.Unimplemented, ZkErrorCode.AuthFailed];

function endsConnection(line = ""): boolean {
  return endings.some((code) => line.endsWith(` err=${code}`));
}

function passwordOf(owner: Client | undefined, kind: ConnectStep["password"]): Uint8Array {
  if (kind === "none") return new Uint8Array(0);
  const password = owner?.password ?? new Uint8Array(passwordBytes);
  return kind === "right" ? password : password.map((byte) => byte ^ 0x5a);
}

function readPassword(response: Uint8Array): Uint8Array {
  const reader = new JuteReader(response);
  reader.skip(16);
  return reader.readBuffer()?.slice() ?? new Uint8Array(0);
}

function appendPing(writer: JuteWriter): Expected {
  encodeRequest(writer, pingXid, { type: OpCode.Ping });
  return { xid: pingXid, type: OpCode.Ping };
}

/** After one of these it has to be seen whether the connection is still there. */
function mayEndConnection(request: ClientRequest): boolean {
  return request.type === OpCode.CloseSession || request.type === OpCode.Auth || request.type === OpCode.Sasl;
}
