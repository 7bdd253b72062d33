/**
 * The gateway between a TCP client and a WebSocket a test drives by hand: bytes, pressure, and every way a
 * connection can end.
 *
 * @module
 */

import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type Gateway, type GatewayOptions, startGateway } from "../../src/gateway/index.ts";
import { type StubSocket, type StubWorker, startStubWorker } from "../support/stub-worker.ts";

/** A connect request as far as the gateway looks: a length and as many bytes. */
const connectRequest = Buffer.concat([Buffer.of(0, 0, 0, 44), Buffer.alloc(44, 0xee)]);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Bench {
  readonly worker: StubWorker;
  readonly gateway: Gateway;
  readonly log: string[];
}

async function start(options: Partial<GatewayOptions> = {}): Promise<Bench> {
  const worker = await startStubWorker();
  const log: string[] = [];
  const gateway = await startGateway({
    listenHost: "127.0.0.1",
    listenPort: 0,
    url: worker.url,
    ensemble: "main",
    maxConnectionsPerAddress: 0,
    fourLetterWords: "*",
    log: (line) => log.push(line),
    ...options,
  });
  // The worker first: its broken WebSockets save the gateway waiting for goodbyes.
  cleanups.push(async () => {
    await worker.close();
    await gateway.close();
  });
  return { worker, gateway, log };
}

interface Client {
  readonly socket: Socket;
  /** Everything received so far. */
  readonly bytes: Buffer;
  received(count: number): Promise<Buffer>;
  readonly closed: Promise<unknown>;
}

function dial(gateway: Gateway): Client {
  const socket = createConnection(gateway.port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => socket.destroy());
  // Not `once()`, which rejects on the errors these sockets are meant to have.
  const closed = new Promise((resolve) => socket.once("close", resolve));
  return {
    socket,
    get bytes() {
      return Buffer.concat(chunks);
    },
    async received(count) {
      while (Buffer.concat(chunks).length < count) await once(socket, "data");
      return Buffer.concat(chunks);
    },
    closed,
  };
}

/** A client whose connect request has reached the accepted WebSocket. */
async function connect({ worker, gateway }: Bench): Promise<{ client: Client; socket: StubSocket }> {
  const client = dial(gateway);
  client.socket.write(connectRequest);
  const socket = (await worker.nextUpgrade()).accept();
  await socket.receivedBytes(connectRequest.length);
  return { client, socket };
}

/** Waits for what must come about; the test's own timeout is the bound. */
async function eventually(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Deterministic noise. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

async function writeInChunks(write: (chunk: Buffer) => void, bytes: Buffer, seed: number): Promise<void> {
  const sizes = noise(64, seed);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = 1 + sizes.readUInt8(i % 64) ** 2;
    write(bytes.subarray(at, at + size));
    at += size;
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

test("bytes pass untouched both ways, in any chunks", async () => {
  const bench = await start();
  const client = dial(bench.gateway);
  const up = Buffer.concat([connectRequest, noise(3_000_000, 1)]);
  const down = noise(3_000_000, 2);
  const sending = writeInChunks((chunk) => client.socket.write(chunk), up, 3);
  const socket = (await bench.worker.nextUpgrade()).accept();
  const answering = writeInChunks((chunk) => socket.send(chunk), down, 4);
  expect((await socket.receivedBytes(up.length)).equals(up)).toBe(true);
  expect((await client.received(down.length)).equals(down)).toBe(true);
  await Promise.all([sending, answering]);
});

test("what arrived while the WebSocket opened goes out as one message", async () => {
  const bench = await start();
  const client = dial(bench.gateway);
  for (const byte of connectRequest) {
    client.socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const upgrade = await bench.worker.nextUpgrade();
  const pipelined = noise(1000, 5);
  client.socket.write(pipelined);
  // The gateway has read it all once a later connection's bytes have come through.
  await connect(bench);
  const socket = upgrade.accept();
  const first = Buffer.concat([connectRequest, pipelined]);
  expect(await socket.receivedBytes(first.length)).toEqual(first);
  expect(socket.messages.length).toBe(1);
});

test("the upgrade names ensemble, subprotocol, bearer and the client's address", async () => {
  const bench = await start({ ensemble: "a b", token: "hush?" });
  dial(bench.gateway).socket.write(connectRequest);
  const { request } = await bench.worker.nextUpgrade();
  expect(request.url).toBe("/v1/a%20b/connect");
  expect(request.headers["sec-websocket-protocol"]).toBe(
    `zookeeper, bearer.${Buffer.from("hush?").toString("base64url")}`,
  );
  expect(request.headers["ek-gateway-address"]).toBe("127.0.0.1");
  expect(request.headers["sec-websocket-extensions"]).toBeUndefined();
});

test("no WebSocket is opened for noise, words or silence", async () => {
  const bench = await start();
  for (const opening of ["ruok", "GET / HTTP/1.1\r\n\r\n", "\0\0\0\0"]) {
    const client = dial(bench.gateway);
    client.socket.write(opening);
    await client.closed;
  }
  const silent = dial(bench.gateway);
  silent.socket.end();
  await silent.closed;
  expect(bench.worker.upgradeCount).toBe(0);
  expect(bench.gateway.connectionCount).toBe(0);
});

test("a refused upgrade resets the client, and the log says why, once", async () => {
  const bench = await start({ token: "hush" });
  for (const status of [503, 503, 401]) {
    const client = dial(bench.gateway);
    client.socket.write(connectRequest);
    (await bench.worker.nextUpgrade()).refuse(status);
    await client.closed;
    expect(client.bytes.length).toBe(0);
  }
  await connect(bench);
  expect(bench.log).toEqual([
    "no connection to the ensemble: status 503",
    "no connection to the ensemble: status 401",
    "connections to the ensemble succeed again",
  ]);
});

test.each([
  ["another subprotocol", { "Sec-WebSocket-Protocol": "edgekeeper.json" }],
  ["no WebSocket server", { "Sec-WebSocket-Accept": "none" }],
  ["an extension nobody offered", { "Sec-WebSocket-Extensions": "permessage-deflate" }],
])("an upgrade by %s is refused", async (_name, overrides) => {
  const bench = await start();
  const client = dial(bench.gateway);
  client.socket.write(connectRequest);
  const socket = (await bench.worker.nextUpgrade()).accept(overrides);
  await client.closed;
  await socket.closed;
  expect(socket.messages).toEqual([]);
});

test("a Worker that is not there resets the client", async () => {
  const bench = await start();
  await bench.worker.close();
  const client = dial(bench.gateway);
  client.socket.write(connectRequest);
  await client.closed;
  expect(bench.log[0]).toMatch(/ECONNREFUSED/);
});

test("a client that leaves during the upgrade abandons it", async () => {
  const bench = await start();
  const client = dial(bench.gateway);
  client.socket.write(connectRequest);
  const { request } = await bench.worker.nextUpgrade();
  client.socket.resetAndDestroy();
  await once(request.socket, "close");
  await eventually(() => bench.gateway.connectionCount === 0);
  expect(bench.log).toEqual([]);
});

test("a client that half-closes still gets its answers", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  client.socket.end("last words");
  expect(await socket.closeReceived()).toBe(1000);
  expect(socket.bytes.subarray(connectRequest.length).toString()).toBe("last words");
  socket.send(Buffer.from("an answer"));
  socket.close(1000);
  await client.closed;
  expect(client.bytes.toString()).toBe("an answer");
});

test("a client that half-closes during the upgrade still gets its answers", async () => {
  const bench = await start();
  const client = dial(bench.gateway);
  client.socket.end(connectRequest);
  const socket = (await bench.worker.nextUpgrade()).accept();
  expect(await socket.closeReceived()).toBe(1000);
  socket.send(Buffer.from("an answer"));
  socket.close(1000);
  await client.closed;
  expect(client.bytes.toString()).toBe("an answer");
});

test("a client that breaks off closes the WebSocket", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  client.socket.resetAndDestroy();
  expect(await socket.closeReceived()).toBe(1000);
  socket.close(1000);
  await socket.closed;
  await eventually(() => bench.gateway.connectionCount === 0);
});

test("a client that is silent for its session's timeout is dropped, and its WebSocket closed", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  const answer = Buffer.alloc(41);
  answer.writeInt32BE(37, 0);
  answer.writeInt32BE(50, 8);
  socket.send(answer);
  expect(await socket.closeReceived()).toBe(1000);
  socket.close(1000);
  await client.closed;
  expect(client.bytes.equals(answer)).toBe(true);
});

test("a WebSocket that closes ends the client behind the last byte", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  const last = noise(500_000, 6);
  socket.send(last);
  socket.close(4001);
  await client.closed;
  expect(client.bytes.equals(last)).toBe(true);
  expect(await socket.closeReceived()).toBe(4001);
});

test("a WebSocket that breaks ends the client", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  socket.send(Buffer.from("so far"));
  await client.received(6);
  socket.destroy();
  await client.closed;
  await eventually(() => bench.gateway.connectionCount === 0);
});

/** Keeps writing until the other side's buffers are full and stay so for a while of event-loop turns. */
async function fillUntilStuck(write: () => void, unsentBytes: () => number, limit: number): Promise<number> {
  let written = 0;
  for (let idleTurns = 0, before = -1; idleTurns < 200 && written < limit; ) {
    if (unsentBytes() === 0) {
      write();
      written += 1;
      idleTurns = 0;
    } else {
      idleTurns = unsentBytes() === before ? idleTurns + 1 : 0;
    }
    before = unsentBytes();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return written;
}

test("a member that does not read stops the client, and gets everything later", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  socket.pause();
  const block = noise(1024 * 1024, 7);
  const written = await fillUntilStuck(
    () => client.socket.write(block),
    () => client.socket.writableLength,
    100,
  );
  expect(written).toBeLessThan(100);
  socket.resume();
  const all = await socket.receivedBytes(connectRequest.length + written * block.length);
  for (let i = 0; i < written; i++) {
    const from = connectRequest.length + i * block.length;
    expect(all.subarray(from, from + block.length).equals(block)).toBe(true);
  }
});

test("a client that does not read stops the member, and gets everything later", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  client.socket.pause();
  const block = noise(1024 * 1024, 8);
  const written = await fillUntilStuck(
    () => socket.send(block),
    () => socket.unsentBytes,
    100,
  );
  expect(written).toBeLessThan(100);
  // Nor is such a client read: its requests would only make more answers.
  client.socket.write("more");
  await connect(bench);
  expect(socket.bytes.length).toBe(connectRequest.length);
  client.socket.resume();
  await client.received(written * block.length);
  await socket.receivedBytes(connectRequest.length + 4);
});

test("an address may have so many connections and no more, until one is gone", async () => {
  const bench = await start({ maxConnectionsPerAddress: 2 });
  const first = await connect(bench);
  await connect(bench);
  const surplus = dial(bench.gateway);
  await surplus.closed;
  expect(bench.gateway.connectionCount).toBe(2);
  first.client.socket.destroy();
  await first.socket.closeReceived();
  first.socket.close(1000);
  await first.socket.closed;
  await eventually(() => bench.gateway.connectionCount === 1);
  await connect(bench);
});

test("close() says goodbye to both sides and stops listening", async () => {
  const bench = await start();
  const { client, socket } = await connect(bench);
  const closing = bench.gateway.close();
  expect(await socket.closeReceived()).toBe(1001);
  socket.send(Buffer.from("parting words"));
  socket.close(1001);
  await closing;
  expect(client.bytes.toString()).toBe("parting words");
  const late = dial(bench.gateway);
  await late.closed;
});

test("startGateway() rejects when the port is taken", async () => {
  const bench = await start();
  await expect(start({ listenPort: bench.gateway.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});
