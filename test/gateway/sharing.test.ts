/**
 * Connections that share a WebSocket, between TCP clients and a member a test drives by hand: who shares, in which
 * order bytes and ends arrive, clients that do not read, and everything that can be missing or break.
 *
 * @module
 */

import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../../src/gateway/index.ts";
import { encodeLaneEnd, encodeLaneHead, encodeLaneTurn, LaneReader } from "../../src/jute/index.ts";
import {
  type StubSocket,
  type StubUpgrade,
  type StubWorker,
  startStubWorker,
} from "../support/stub-worker.ts";

/** A connect request as far as the gateway looks: a length and as many bytes. */
const connectRequest = Buffer.concat([Buffer.of(0, 0, 0, 44), Buffer.alloc(44, 0xee)]);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Waits for what must come about, whatever timers a test holds; its own timeout is the bound. */
async function eventually(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise((resolve) => setImmediate(resolve));
}

interface Client {
  readonly socket: Socket;
  readonly chunks: Buffer[];
  isEnded: boolean;
}

class Bench {
  readonly worker: StubWorker;
  readonly gateway: Gateway;

  constructor(worker: StubWorker, gateway: Gateway) {
    this.worker = worker;
    this.gateway = gateway;
  }

  dial(): Client {
    const socket = createConnection(this.gateway.port, "127.0.0.1");
    cleanups.push(() => socket.destroy());
    const client: Client = { socket, chunks: [], isEnded: false };
    socket.on("data", (chunk: Buffer) => client.chunks.push(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      client.isEnded = true;
    });
    socket.write(connectRequest);
    return client;
  }

  /** A connection that this member takes; its own WebSocket. */
  async take(member: string | undefined): Promise<{ own: StubSocket; upgrade: StubUpgrade; number: number }> {
    const upgrade = await this.worker.nextUpgrade();
    const own = upgrade.accept(member === undefined ? {} : { "Ek-Lane": member });
    return { own, upgrade, number: Number(laneOf(upgrade)[1]) };
  }

  /** A lone connection, one that shares, and what it shares. */
  async share(): Promise<Shared> {
    this.dial();
    const first = await this.take("2");
    await first.own.receivedBytes(connectRequest.length);
    const client = this.dial();
    const { own, number } = await this.take("2");
    const shared = (await this.worker.nextUpgrade()).accept({ "Ek-Shared": "yes" });
    await shared.receivedBytes(8 + connectRequest.length);
    return { first: first.own, client, own, number, shared };
  }
}

interface Shared {
  readonly first: StubSocket;
  readonly client: Client;
  readonly own: StubSocket;
  readonly number: number;
  readonly shared: StubSocket;
}

async function start(): Promise<Bench> {
  const worker = await startStubWorker();
  const gateway = await startGateway({
    listenHost: "127.0.0.1",
    listenPort: 0,
    url: worker.url,
    ensemble: "main",
    maxConnectionsPerAddress: 0,
    fourLetterWords: "*",
    token: "hush",
  });
  // The worker first: its broken WebSockets save the gateway waiting for goodbyes.
  cleanups.push(async () => {
    await worker.close();
    await gateway.close();
  });
  return new Bench(worker, gateway);
}

function laneOf({ request }: StubUpgrade): string[] {
  return String(request.headers["ek-gateway-lane"]).split("/");
}

/** What the gateway said of each connection, its bytes end to end. */
function said(shared: StubSocket): Record<number, (Buffer | "end" | "turn")[]> {
  const all: Record<number, (Buffer | "end" | "turn")[]> = {};
  for (const part of new LaneReader().push(shared.bytes)) {
    all[part.lane] ??= [];
    const before = all[part.lane]?.at(-1);
    if (part.kind !== "bytes") all[part.lane]?.push(part.kind);
    else if (before instanceof Buffer) all[part.lane]?.splice(-1, 1, Buffer.concat([before, part.bytes]));
    else all[part.lane]?.push(Buffer.from(part.bytes));
  }
  return all;
}

function bytesOf(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([encodeLaneHead(number, bytes.length), bytes]);
}

describe("who shares", () => {
  test("the second connection to a member, with a name that is the same and a number that is not", async () => {
    const bench = await start();
    bench.dial();
    const first = await bench.take("2");
    expect((await first.own.receivedBytes(48)).equals(connectRequest)).toBe(true);
    expect(bench.worker.upgradeCount).toBe(1);
    const clients = [bench.dial(), bench.dial()];
    const [second, third] = [await bench.take("2"), await bench.take("2")];
    const upgrade = await bench.worker.nextUpgrade();
    expect(upgrade.request.url).toBe("/v1/main/connect?member=2");
    const [name, ...others] = [first, second, third].map(({ upgrade }) => laneOf(upgrade)[0]);
    expect(name).toMatch(/^[0-9a-f]{32}$/);
    expect(others).toEqual([name, name]);
    expect(upgrade.request.headers["ek-gateway-shared"]).toBe(name);
    expect(upgrade.request.headers["sec-websocket-protocol"]).toBe(
      second.upgrade.request.headers["sec-websocket-protocol"],
    );
    expect(new Set([first, second, third].map(({ number }) => number)).size).toBe(3);
    const shared = upgrade.accept({ "Ek-Shared": "yes" });
    await shared.receivedBytes(2 * 56);
    // What waited for it went out as one message.
    expect(shared.messages).toHaveLength(1);
    expect(said(shared)).toEqual({ [second.number]: [connectRequest], [third.number]: [connectRequest] });
    const answers = [second, third].map(({ number }) => bytesOf(number, Buffer.from(`answer ${number}`)));
    // However the stream is cut.
    for (const byte of Buffer.concat(answers)) shared.send(Buffer.of(byte));
    await eventually(() => clients.every(({ chunks }) => Buffer.concat(chunks).length === 8));
    const heard = clients.map(({ chunks }) => Buffer.concat(chunks).toString()).sort();
    expect(heard).toEqual([second, third].map(({ number }) => `answer ${number}`).sort());
    expect([second.own.bytes.length, third.own.bytes.length]).toEqual([0, 0]);
    expect(bench.worker.upgradeCount).toBe(4);
  });

  test("nobody, with a member that knows nothing of it", async () => {
    const bench = await start();
    for (let i = 0; i < 2; i++) {
      const client = bench.dial();
      const { own } = await bench.take(undefined);
      await own.receivedBytes(48);
      own.send(Buffer.from("hello"));
      await eventually(() => client.chunks.length > 0);
    }
    expect(bench.worker.upgradeCount).toBe(2);
  });

  test("nobody, with members of which each has one connection", async () => {
    const bench = await start();
    for (const member of ["1", "2", "3"]) {
      bench.dial();
      const { own } = await bench.take(member);
      await own.receivedBytes(48);
    }
    expect(bench.worker.upgradeCount).toBe(3);
  });

  test.each([
    ["is refused", (upgrade: StubUpgrade) => upgrade.refuse(503)],
    ["was taken for a connection", (upgrade: StubUpgrade) => void upgrade.accept()],
    ["is not answered in time", () => vi.advanceTimersByTime(2_000)],
  ])("nobody, while what they would share %s", async (_, answer) => {
    const bench = await start();
    bench.dial();
    await (await bench.take("2")).own.receivedBytes(48);
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const client = bench.dial();
    const { own } = await bench.take("2");
    answer(await bench.worker.nextUpgrade());
    await eventually(() => own.bytes.length === 48);
    own.send(Buffer.from("hello"));
    await eventually(() => client.chunks.length > 0);
  });
});

describe("an end", () => {
  test("of the member's comes behind its answers, though its own WebSocket closes ahead of them", async () => {
    const bench = await start();
    const { client, own, number, shared } = await bench.share();
    own.close(1000);
    await own.closeReceived();
    shared.send(bytesOf(number, Buffer.from("goodbye")));
    await eventually(() => client.chunks.length > 0);
    expect(client.isEnded).toBe(false);
    shared.send(Buffer.from(encodeLaneEnd(number)));
    await eventually(() => client.isEnded);
    expect(Buffer.concat(client.chunks).toString()).toBe("goodbye");
  });

  test("of the client's comes behind its bytes, and its own WebSocket is the member's to close", async () => {
    const bench = await start();
    const { client, own, number, shared } = await bench.share();
    client.socket.end("bye");
    await eventually(() => said(shared)[number]?.at(-1) === "end");
    expect(said(shared)[number]).toEqual([Buffer.concat([connectRequest, Buffer.from("bye")]), "end"]);
    expect(own.closeCode).toBe(undefined);
    shared.send(Buffer.concat([bytesOf(number, Buffer.from("bye")), encodeLaneEnd(number)]));
    await eventually(() => client.isEnded);
    expect([Buffer.concat(client.chunks).toString(), await own.closeReceived()]).toEqual(["bye", 1000]);
  });

  test("of a client that broke off is told as well", async () => {
    const bench = await start();
    const { client, number, shared } = await bench.share();
    client.socket.resetAndDestroy();
    await eventually(() => said(shared)[number]?.at(-1) === "end");
  });

  test("that is not told on what they share comes when its own WebSocket is gone for long enough", async () => {
    const bench = await start();
    const { client, own, number, shared } = await bench.share();
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    own.destroy();
    await eventually(() => said(shared)[number]?.at(-1) === "end");
    vi.advanceTimersByTime(1_999);
    expect(client.isEnded).toBe(false);
    vi.advanceTimersByTime(1);
    await eventually(() => client.isEnded);
  });

  test("of what they share ends those who do, and the next connections share another one", async () => {
    const bench = await start();
    const { first, client, own, shared } = await bench.share();
    shared.destroy();
    await eventually(() => client.isEnded);
    await own.closeReceived();
    expect(first.closeCode).toBe(undefined);
    bench.dial();
    const { number } = await bench.take("2");
    const next = (await bench.worker.nextUpgrade()).accept({ "Ek-Shared": "yes" });
    await next.receivedBytes(56);
    expect(said(next)[number]).toEqual([connectRequest]);
  });

  test("of the gateway is told to all, and what they share is left last", async () => {
    const bench = await start();
    const { first, number, shared } = await bench.share();
    const closed = bench.gateway.close();
    await eventually(() => said(shared)[number]?.at(-1) === "end");
    shared.send(Buffer.from(encodeLaneEnd(number)));
    expect(await first.closeReceived()).toBe(1001);
    first.close(1001);
    await closed;
    expect(await shared.closeReceived()).toBe(1001);
  });
});

describe("what they share", () => {
  test("is found gone when a ping is not answered", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const bench = await start();
    const { client, number, shared } = await bench.share();
    vi.advanceTimersByTime(10_000);
    await eventually(() => shared.texts.length === 1);
    shared.sendText("pong");
    // Behind the pong, so that it has been heard.
    shared.send(bytesOf(number, Buffer.from("x")));
    await eventually(() => client.chunks.length === 1);
    vi.advanceTimersByTime(10_000);
    await eventually(() => shared.texts.length === 2);
    expect(shared.texts).toEqual(["ping", "ping"]);
    vi.advanceTimersByTime(10_000);
    await eventually(() => client.isEnded);
    expect(await shared.closeReceived()).toBe(1001);
  });

  test("is left when nobody has used it for long, and asked for again after that", async () => {
    const bench = await start();
    const { client, number, shared } = await bench.share();
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    shared.send(Buffer.from(encodeLaneEnd(number)));
    await eventually(() => client.isEnded);
    vi.advanceTimersByTime(29_999);
    expect(shared.closeCode).toBe(undefined);
    vi.advanceTimersByTime(1);
    expect(await shared.closeReceived()).toBe(1000);
    bench.dial();
    await bench.take("2");
    expect((await bench.worker.nextUpgrade()).request.headers["ek-gateway-shared"]).toBeDefined();
  });

  test("that says nonsense is left, and a part of nobody's is nothing", async () => {
    const bench = await start();
    const { client, shared } = await bench.share();
    shared.send(Buffer.concat([bytesOf(77, Buffer.from("?")), encodeLaneEnd(78), encodeLaneTurn(79)]));
    shared.send(Buffer.from(encodeLaneHead(0, -9)));
    expect(await shared.closeReceived()).toBe(1002);
    await eventually(() => client.isEnded);
  });
});

test("a client that does not read turns to its own WebSocket, holds up nobody, and gets everything in order", async () => {
  const bench = await start();
  const { client, own, number, shared } = await bench.share();
  const other = bench.dial();
  const { number: otherNumber } = await bench.take("2");
  await shared.receivedBytes(2 * 56);
  client.socket.pause();
  const chunk = Buffer.alloc(1024 * 1024);
  let sent = 0;
  // More than the gateway holds, and what the network does.
  for (; !said(shared)[number]?.includes("turn"); sent++) {
    chunk.writeUInt32BE(sent);
    shared.send(bytesOf(number, chunk));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // On its own ahead of the mark, as it may overtake.
  const ahead = sent;
  for (; sent < ahead + 4; sent++) {
    chunk.writeUInt32BE(sent + 1);
    own.send(chunk);
  }
  shared.send(bytesOf(otherNumber, Buffer.from("hello")));
  await eventually(() => other.chunks.length > 0);
  chunk.writeUInt32BE(ahead);
  shared.send(Buffer.concat([bytesOf(number, chunk), encodeLaneTurn(number)]));
  client.socket.resume();
  const total = (sent + 1) * chunk.length;
  let received = 0;
  const order: number[] = [];
  const take = () => {
    const bytes = Buffer.concat(client.chunks.splice(0));
    for (
      let at = (chunk.length - (received % chunk.length)) % chunk.length;
      at < bytes.length;
      at += chunk.length
    ) {
      order.push(bytes.readUInt32BE(at));
    }
    received += bytes.length;
  };
  while (received < total) {
    await once(client.socket, "data");
    take();
  }
  expect(order).toEqual(Array.from({ length: sent + 1 }, (_, i) => i));
  // What it sends still travels with the others', and its end is its own WebSocket's now.
  client.socket.write("more");
  await eventually(() => said(shared)[number]?.at(-1)?.toString() === "more");
  own.close(1000);
  await eventually(() => client.isEnded);
  expect(other.isEnded).toBe(false);
});
