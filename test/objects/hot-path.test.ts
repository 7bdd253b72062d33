/**
 * Proves the counts that explain the speed: calls between members, and rows, per committed write.
 *
 * Three lives with real storage; time stands still, so nothing but the writes makes them call. Times are the
 * benchmark's affair: these counts are exact.
 *
 * @module
 */

import { expect, test } from "vitest";
import { type ClientRequest, OpCode } from "../../src/base/index.ts";
import type { Life } from "../../src/objects/life.ts";
import { create, setData } from "../tree/support.ts";
import type { TestSocket } from "./support/socket.ts";
import { connectFrame, join, requestFrame } from "./support/stream.ts";
import { Trio } from "./support/trio.ts";

interface Stage {
  readonly trio: Trio;
  readonly leader: Life;
}

async function stage(): Promise<Stage> {
  const trio = new Trio();
  return { trio, leader: await trio.elect() };
}

async function openSession({ trio, leader }: Stage): Promise<TestSocket> {
  const socket = trio.connect(leader);
  trio.send(leader, socket, connectFrame());
  await trio.settle();
  socket.take();
  return socket;
}

/** What `work` costs: calls in all, and rows of the log at each member. */
async function cost({ trio }: Stage, work: () => Promise<void>): Promise<{ calls: number; rows: number[] }> {
  await trio.settle();
  const calls = trio.calls;
  const rows = trio.logRows();
  await work();
  await trio.settle();
  const after = trio.logRows();
  return { calls: trio.calls - calls, rows: after.map((count, at) => count - (rows[at] ?? 0)) };
}

function countReplies(socket: TestSocket): number {
  let replies = 0;
  for (const message of socket.take()) {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    for (let at = 0; at < message.length; at += 4 + view.getInt32(at)) replies += 1;
  }
  return replies;
}

const set = setData("/a", new Uint8Array(100));
const get: ClientRequest = { type: OpCode.GetData, path: "/a", watch: false };

test("writes one at a time: two calls and one row per member each, the commit riding along", async () => {
  const world = await stage();
  const { trio, leader } = world;
  const socket = await openSession(world);
  trio.send(leader, socket, requestFrame(1, create("/a")));
  await trio.settle();
  socket.take();
  const { calls, rows } = await cost(world, async () => {
    for (let xid = 2; xid < 22; xid++) {
      trio.send(leader, socket, requestFrame(xid, set));
      await trio.settle();
      expect(countReplies(socket)).toBe(1);
    }
  });
  expect(calls).toBe(2 * 20);
  expect(rows).toEqual([20, 20, 20]);
});

test("64 writes in a message: two calls and a row per member in all", async () => {
  const world = await stage();
  const { trio, leader } = world;
  const socket = await openSession(world);
  trio.send(leader, socket, requestFrame(1, create("/a")));
  await trio.settle();
  socket.take();
  const rounds = 10;
  const { calls, rows } = await cost(world, async () => {
    for (let round = 0; round < rounds; round++) {
      trio.send(leader, socket, join(...Array.from({ length: 64 }, (_, at) => requestFrame(at + 2, set))));
      await trio.settle();
      expect(countReplies(socket)).toBe(64);
    }
  });
  expect(calls).toBe(2 * rounds);
  expect(calls / (64 * rounds)).toBeLessThan(0.1);
  expect(rows).toEqual([rounds, rounds, rounds]);
});

test("nine reads to a write, 64 in a message: the writes share their batch", async () => {
  const world = await stage();
  const { trio, leader } = world;
  const socket = await openSession(world);
  trio.send(leader, socket, requestFrame(1, create("/a")));
  await trio.settle();
  socket.take();
  const mixed = Array.from({ length: 64 }, (_, at) => requestFrame(at + 2, at % 10 === 0 ? set : get));
  const { calls, rows } = await cost(world, async () => {
    trio.send(leader, socket, join(...mixed));
    await trio.settle();
    expect(countReplies(socket)).toBe(64);
  });
  expect({ calls, rows }).toEqual({ calls: 2, rows: [1, 1, 1] });
});

test("64 connections with one write each: two batches at most, where every message is a turn", async () => {
  const world = await stage();
  const { trio, leader } = world;
  const first = await openSession(world);
  trio.send(leader, first, requestFrame(1, create("/a")));
  await trio.settle();
  const sockets = [first];
  while (sockets.length < 64) sockets.push(await openSession(world));
  for (const socket of sockets) socket.take();
  const writeAll = async () => {
    for (const socket of sockets) trio.send(leader, socket, requestFrame(2, set));
    await trio.settle();
    expect(sockets.map(countReplies)).toEqual(sockets.map(() => 1));
  };
  await writeAll();
  for (let round = 0; round < 5; round++) {
    const { calls, rows } = await cost(world, writeAll);
    expect(Math.max(...rows)).toBeLessThanOrEqual(2);
    expect(calls / 64).toBeLessThan(0.1);
  }
});

test("reads call nobody", async () => {
  const world = await stage();
  const socket = await openSession(world);
  const { calls } = await cost(world, async () => {
    world.trio.send(world.leader, socket, requestFrame(2, get));
    expect(countReplies(socket)).toBe(1);
  });
  expect(calls).toBe(0);
});
