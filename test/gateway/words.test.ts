/**
 * Four-letter words at the TCP port: what is asked of the Worker and what is not, half-closed clients,
 * the whitelist, and an ensemble that cannot be reached.
 *
 * @module
 */

import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createConnection } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type GatewayOptions, startGateway } from "../../src/gateway/index.ts";
import { wordsInFlightMax } from "../../src/gateway/words.ts";
import { type StubWorker, startStubWorker } from "../support/stub-worker.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Bench {
  readonly worker: StubWorker;
  readonly port: number;
  /** What the Worker was asked, as paths with queries. */
  readonly asked: string[];
  readonly bearers: (string | undefined)[];
}

async function start(options: Partial<GatewayOptions> = {}): Promise<Bench> {
  const worker = await startStubWorker();
  const gateway = await startGateway({
    listenHost: "127.0.0.1",
    listenPort: 0,
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
  const bench: Bench = { worker, port: gateway.port, asked: [], bearers: [] };
  worker.answer = (request: IncomingMessage, response: ServerResponse) => {
    bench.asked.push(request.url ?? "");
    bench.bearers.push(request.headers.authorization);
    response.end(`about ${/words\/(\w+)/.exec(request.url ?? "")?.[1]}\n`);
  };
  return bench;
}

/** Sends, half-closes if asked to, and answers everything heard until the other side ends. */
async function ask(port: number, bytes: string | Uint8Array, halfClose = false): Promise<string> {
  const socket = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
  cleanups.push(() => socket.destroy());
  socket.on("error", () => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (halfClose) socket.end(bytes);
  else socket.write(bytes);
  await Promise.race([once(socket, "end"), once(socket, "close")]);
  socket.destroy();
  return Buffer.concat(chunks).toString();
}

test("ruok is answered by the gateway itself, without a newline", async () => {
  const { port, asked } = await start();
  expect(await ask(port, "ruok")).toBe("imok");
  expect(asked).toEqual([]);
});

test("other words are answered with the Worker's text, whether the client has closed its side or not", async () => {
  const { port, asked, bearers } = await start({ token: "hush" });
  for (const halfClose of [true, false]) expect(await ask(port, "srvr\n", halfClose)).toBe("about srvr\n");
  const path = `/v1/main/admin/words/srvr?clientPort=${port}&secureClientPort=-1`;
  expect([asked, bearers]).toEqual([
    [path, path],
    ["Bearer hush", "Bearer hush"],
  ]);
});

test("stmk waits for its mask, and carries it with its sign", async () => {
  const { port, asked } = await start();
  const mask = Buffer.alloc(12, "stmk");
  mask.writeBigInt64BE(-2n, 4);
  expect(await ask(port, mask)).toBe("about stmk\n");
  expect(asked[0]).toContain("traceMask=-2");
});

test("a word that is not allowed is refused in ZooKeeper's words", async () => {
  const { port, asked } = await start({ fourLetterWords: ["srvr"] });
  expect(await ask(port, "srvr")).toBe("about srvr\n");
  for (const word of ["mntr", "ruok"]) {
    expect(await ask(port, word)).toBe(`${word} is not executed because it is not in the whitelist.\n`);
  }
  expect(asked).toHaveLength(1);
});

test("an ensemble that cannot be reached answers as a ZooKeeper that does not serve", async () => {
  const { port, worker } = await start();
  worker.answer = (_request, response) => response.writeHead(503).end("no");
  expect(await ask(port, "srvr")).toBe("This ZooKeeper instance is not currently serving requests\n");
  expect(await ask(port, "isro")).toBe("null");
  await worker.close();
  expect(await ask(port, "mntr")).toBe("This ZooKeeper instance is not currently serving requests\n");
  expect(await ask(port, "ruok")).toBe("imok");
});

test("wordsInFlightMax words are answered at once, and one more is dropped", async () => {
  const { port, worker } = await start();
  const waiting: ServerResponse[] = [];
  let arrived = () => {};
  const allHere = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  worker.answer = (_request, response) => {
    if (waiting.push(response) === wordsInFlightMax) arrived();
  };
  const answers = Array.from({ length: wordsInFlightMax }, () => ask(port, "srvr"));
  await allHere;
  expect(await ask(port, "srvr")).toBe("");
  for (const response of waiting) response.end("late\n");
  expect(new Set(await Promise.all(answers))).toEqual(new Set(["late\n"]));
});

test("what is no word is dropped without an answer", async () => {
  const { port, asked } = await start();
  expect(await ask(port, "abcd")).toBe("");
  expect(asked).toEqual([]);
});
