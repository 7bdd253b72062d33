/**
 * A ZooKeeper client that only pings, through the gateway, while the ensemble sleeps: it is answered, and its
 * session outlives its timeout many times.
 *
 * @module
 */

import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { startLocalProcess } from "../support/local-process.ts";
import { openSession } from "../support/raw-session.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const ping = Buffer.from("00000008fffffffe0000000b", "hex");
/** exists("/", no watch), xid 1. */
const exists = Buffer.from("0000000e 00000001 00000003 00000001 2f 00".replaceAll(" ", ""), "hex");

test("a client that only pings is answered while the ensemble sleeps, and keeps its session", async () => {
  const local = await startLocalProcess(["--members", "3"]);
  cleanups.push(() => local.dispose());
  const { socket, timeoutMs } = await openSession(local.zkPort, { timeoutMs: 4_000 });
  cleanups.push(() => socket.destroy());
  const answers: string[] = [];
  for (let elapsedMs = 0; elapsedMs < 3 * timeoutMs; elapsedMs += timeoutMs / 3) {
    socket.write(ping);
    const [answer]: unknown[] = await once(socket, "data");
    answers.push(Buffer.from(answer as Uint8Array).toString("hex"));
    await new Promise((resolve) => setTimeout(resolve, timeoutMs / 3));
  }
  // Always the same one, and no event in between.
  expect(new Set(answers).size).toBe(1);
  expect(answers[0]).toMatch(/^00000010fffffffe[0-9a-f]{16}00000000$/);
  socket.write(exists);
  const [reply]: unknown[] = await once(socket, "data");
  const bytes = Buffer.from(reply as Uint8Array);
  expect([bytes.readInt32BE(4), bytes.readInt32BE(16)]).toEqual([1, 0]);
}, 90_000);
