/**
 * The secure port: who gets past the handshake, and what the Worker is told of whom.
 *
 * The certificates beside this file are for this test alone.
 *
 * @module
 */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { type Gateway, type GatewayOptions, startGateway } from "../../src/gateway/index.ts";
import { type StubWorker, startStubWorker } from "../support/stub-worker.ts";

const pem = (name: string) => readFileSync(join(import.meta.dirname, "certificates", name), "utf8");
const ca = pem("ca.pem");
const secure = { listenPort: 0, certificate: pem("server.pem"), key: pem("server.key") };
const connectRequest = Buffer.concat([Buffer.of(0, 0, 0, 44), Buffer.alloc(44, 0xee)]);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Partial<GatewayOptions>): Promise<{ worker: StubWorker; gateway: Gateway }> {
  const worker = await startStubWorker();
  const gateway = await startGateway({
    listenHost: "127.0.0.1",
    listenPort: undefined,
    secure,
    url: worker.url,
    ensemble: "main",
    maxConnectionsPerAddress: 0,
    fourLetterWords: "*",
    ...options,
  });
  cleanups.push(async () => {
    await worker.close();
    await gateway.close();
  });
  return { worker, gateway };
}

function dial({ securePort }: Gateway, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ port: securePort, host: "127.0.0.1", ca, ...options });
  cleanups.push(() => socket.destroy());
  socket.on("error", () => socket.destroy());
  return socket;
}

/** Not `once()`, which rejects on the errors these sockets are meant to have. */
function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once("close", resolve));
}

test("carries bytes both ways, and says nothing of who has no certificate", async () => {
  const { worker, gateway } = await start({});
  expect(gateway.port).toBe(-1);
  const client = dial(gateway);
  client.write(connectRequest);
  const upgrade = await worker.nextUpgrade();
  expect(upgrade.request.headers["ek-gateway-x509"]).toBeUndefined();
  expect(upgrade.request.headers["ek-gateway-wants-token"]).toBeUndefined();
  const socket = upgrade.accept();
  while (socket.bytes.length < connectRequest.length) await once(socket, "received");
  expect(socket.bytes.equals(connectRequest)).toBe(true);
});

test("names the client whose certificate the authority has signed, and asks it for no token", async () => {
  const { worker, gateway } = await start({ secure: { ...secure, clientCa: ca }, clientsShowToken: true });
  const client = dial(gateway, { cert: pem("client.pem"), key: pem("client.key") });
  client.write(connectRequest);
  const { headers } = (await worker.nextUpgrade()).request;
  expect(decodeURIComponent(String(headers["ek-gateway-x509"]))).toBe(
    String.raw`CN=client,OU=dev,O=Example\, Inc.,C=DE`,
  );
  expect(headers["ek-gateway-wants-token"]).toBeUndefined();
});

test.each<[string, ConnectionOptions]>([
  ["no certificate", {}],
  ["one that another authority signed", { cert: pem("stranger.pem"), key: pem("stranger.key") }],
])("a client with %s gets nowhere where one is asked for", async (_name, options) => {
  const { worker, gateway } = await start({ secure: { ...secure, clientCa: ca } });
  const client = dial(gateway, options);
  client.write(connectRequest);
  await closed(client);
  expect([worker.upgradeCount, gateway.connectionCount]).toEqual([0, 0]);
});

test("a client that speaks no TLS is dropped", async () => {
  const { worker, gateway } = await start({});
  const client = createConnection(gateway.securePort, "127.0.0.1");
  cleanups.push(() => client.destroy());
  client.on("error", () => client.destroy());
  client.resume();
  client.write(connectRequest);
  await closed(client);
  expect(worker.upgradeCount).toBe(0);
});

test("answers words, and counts connections per address together with the plain port", async () => {
  const { gateway } = await start({ listenPort: 0, maxConnectionsPerAddress: 1 });
  expect(gateway.port).toBeGreaterThan(0);
  const client = dial(gateway);
  client.end("ruok");
  const [answer]: unknown[] = await once(client, "data");
  expect(String(answer)).toBe("imok");
  client.destroy();
  while (gateway.connectionCount > 0) await new Promise(setImmediate);
  const held = dial(gateway);
  held.write("\0\0");
  while (gateway.connectionCount === 0) await new Promise(setImmediate);
  const surplus = dial(gateway);
  surplus.resume();
  await closed(surplus);
  expect(gateway.connectionCount).toBe(1);
});

test("clients without a certificate show the token, when that is asked for", async () => {
  const { worker, gateway } = await start({ clientsShowToken: true });
  dial(gateway).write(connectRequest);
  expect((await worker.nextUpgrade()).request.headers["ek-gateway-wants-token"]).toBe("yes");
});
