/**
 * Proves how a session behaves when connections come and go: order, retries, outcomes, margin, expiry.
 *
 * A scripted server says every word, and time moves only when the test says so.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { OpCode } from "../../src/base/index.ts";
import { Chroot } from "../../src/client/chroot.ts";
import { Client } from "../../src/client/client.ts";
import type { SessionState } from "../../src/client/session.ts";
import { HeldClock, settled } from "../../src/testing/held-clock.ts";
import { ScriptedServer } from "./scripted-server.ts";

const stat = {
  czxid: { epoch: 1, counter: 2 },
  mzxid: { epoch: 1, counter: 2 },
  pzxid: { epoch: 1, counter: 2 },
  ctime: 5,
  mtime: 6,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: 0n as never,
  dataLength: 1,
  numChildren: 0,
};
const data = { kind: "data", data: new TextEncoder().encode("x"), stat } as const;

function start() {
  const server = new ScriptedServer();
  const clock = new HeldClock();
  const zk = new Client({
    transport: server,
    clock,
    chroot: new Chroot("/"),
    sessionTimeoutMs: 9_000,
    operationMsMax: 20_000,
    credentials: [],
  });
  const states: SessionState["kind"][] = [];
  zk.onState((state) => states.push(state.kind));
  return { server, clock, zk, states };
}

/** What a promise came to, without waiting for it. */
function watch(promise: Promise<unknown>): {
  value?: unknown;
  error?: { codeName?: string; outcome?: string };
} {
  const seen: { value?: unknown; error?: never } = {};
  promise.then(
    (value) => Object.assign(seen, { value }),
    (error: unknown) => Object.assign(seen, { error }),
  );
  return seen;
}

describe("a session", () => {
  test("asks for nothing before the handshake, then in order, in one piece", async () => {
    const { server, zk } = start();
    const created = watch(zk.create("/a", "1"));
    const read = watch(zk.get("/a"));
    await settled();
    expect(server.wire.hello).toBeUndefined();
    await server.wire.accept();
    expect(server.wire.seen.map(({ xid, request }) => [xid, request.type])).toEqual([
      [1, OpCode.Create2],
      [2, OpCode.GetData],
    ]);
    await server.wire.reply({ kind: "create2", path: "/a", stat });
    await server.wire.reply(data);
    expect(created.value).toBe("/a");
    expect(read.value).toMatchObject({ text: "x", path: "/a" });
  });

  test("names its session, its password and what it has seen when it comes again", async () => {
    const { server, clock, zk, states } = start();
    expect(await server.wire.accept()).toMatchObject({ sessionId: 0n, lastZxidSeen: 0n });
    void watch(zk.get("/a"));
    await settled();
    await server.wire.reply(data, { zxid: 0x100000009n });
    await server.wire.break();
    await clock.advance(5_000);
    const hello = await server.wire.accept();
    expect(hello).toMatchObject({ sessionId: 7n, lastZxidSeen: 0x100000009n });
    expect(hello.password).toEqual(new Uint8Array(16).fill(3));
    expect(states).toEqual(["connected", "suspended", "connected"]);
  });

  test("asks reads again on the next connection, in their order, and never writes", async () => {
    const { server, clock, zk } = start();
    await server.wire.accept();
    const first = watch(zk.get("/a"));
    const write = watch(zk.set("/a", "2"));
    const second = watch(zk.get("/b"));
    await settled();
    await server.wire.break();
    expect(write.error).toMatchObject({ codeName: "ConnectionLoss", outcome: "unknown", path: "/a" });
    const third = watch(zk.set("/c", "3"));
    await clock.advance(5_000);
    await server.wire.accept();
    expect(server.wire.seen.map(({ request }) => ("path" in request ? request.path : ""))).toEqual([
      "/a",
      "/b",
      "/c",
    ]);
    await server.wire.reply(data);
    await server.wire.reply(data);
    await server.wire.reply({ kind: "stat", stat });
    expect([first, second, third].map(({ value }) => value !== undefined)).toEqual([true, true, true]);
  });

  test("tells holders when the server has ended it, then opens another", async () => {
    const { server, clock, zk, states } = start();
    await server.wire.accept();
    await server.wire.break();
    const waiting = watch(zk.set("/a", "2"));
    await clock.advance(60);
    await server.wire.accept({ timeoutMs: 0 });
    expect(waiting.error).toMatchObject({ codeName: "SessionExpired", outcome: "notApplied" });
    expect(zk.sessionMarginMs).toBe(0);
    await clock.advance(5_000);
    expect(await server.wire.accept({ id: 8n })).toMatchObject({ sessionId: 0n });
    expect(zk.sessionId).toBe("0x8");
    expect(states).toEqual(["connected", "suspended", "expired", "connected"]);
  });

  test("pings after a third of its timeout, and gives a silent server up after two thirds", async () => {
    const { server, clock, states } = start();
    await server.wire.accept();
    await clock.advance(3_000);
    expect(server.wire.pings).toBe(1);
    await server.wire.pong();
    await clock.advance(5_999);
    expect(states).toEqual(["connected"]);
    await clock.advance(1);
    expect(states).toEqual(["connected", "suspended"]);
    expect(server.wires[0]?.isClosed).toBe(true);
  });

  test("counts its margin from what was sent and answered, not from the answer", async () => {
    const { server, clock, zk } = start();
    await server.wire.accept();
    expect(zk.sessionMarginMs).toBe(9_000);
    await clock.advance(1_000);
    void watch(zk.get("/a"));
    await settled();
    await clock.advance(2_000);
    expect(zk.sessionMarginMs).toBe(6_000);
    await server.wire.reply(data);
    expect(zk.sessionMarginMs).toBe(7_000);
    await server.wire.break();
    await clock.advance(6_999);
    expect(zk.sessionMarginMs).toBe(1);
    await clock.advance(2);
    expect(zk.sessionMarginMs).toBe(0);
  });

  test("ends operations that take too long: unknown when a write was sent, not applied when not", async () => {
    const { server, clock, zk } = start();
    await server.wire.accept({ timeoutMs: 60_000 });
    const sent = watch(zk.set("/a", "1"));
    await clock.advance(20_250);
    expect(sent.error).toMatchObject({ codeName: "OperationTimeout", outcome: "unknown" });
    // Its reply still has its place in the order.
    const next = watch(zk.get("/a"));
    await settled();
    await server.wire.reply({ kind: "stat", stat });
    await server.wire.reply(data);
    expect(next.value).toMatchObject({ text: "x" });
    await server.wire.break();
    const unsent = watch(zk.set("/a", "1"));
    await clock.advance(20_250);
    expect(unsent.error).toMatchObject({ codeName: "OperationTimeout", outcome: "notApplied" });
  });

  test("stops waiting when the signal aborts, and never sends what had not been sent", async () => {
    const { server, zk } = start();
    const controller = new AbortController();
    const aborted = watch(zk.set("/a", "1", { signal: controller.signal }));
    controller.abort("enough");
    await server.wire.accept();
    expect(aborted.error).toBe("enough");
    expect(server.wire.seen).toEqual([]);
  });

  test("says goodbye behind everything asked before, and leaves no timer", async () => {
    const { server, clock, zk, states } = start();
    await server.wire.accept();
    const write = watch(zk.set("/a", "1"));
    const closed = watch(zk.close());
    await settled();
    expect(server.wire.seen.map(({ request }) => request.type)).toEqual([
      OpCode.SetData,
      OpCode.CloseSession,
    ]);
    await server.wire.reply({ kind: "stat", stat });
    await server.wire.reply();
    expect(write.value).toBeDefined();
    expect(closed).toHaveProperty("value");
    expect(states).toEqual(["connected", "closed"]);
    expect(clock.timers).toBe(0);
    expect(watch(zk.get("/a"))).toEqual({});
    await expect(zk.get("/a")).rejects.toMatchObject({ codeName: "SessionExpired" });
  });

  test("shows its credentials on every connection, and closes when the server takes them no more", async () => {
    const { server, clock, zk, states } = start();
    await server.wire.accept();
    const added = watch(zk.addAuth("digest", "me:secret"));
    await settled();
    await server.wire.reply();
    expect(added).toHaveProperty("value");
    await server.wire.break();
    await clock.advance(5_000);
    await server.wire.accept();
    expect(server.wire.seen.map(({ xid, request }) => [xid, request.type])).toEqual([[-4, OpCode.Auth]]);
    await server.wire.reply(undefined, { err: -115 });
    expect(states.at(-1)).toBe("closed");
    await expect(zk.get("/a")).rejects.toMatchObject({ codeName: "AuthFailed" });
  });

  test.each([
    ["a frame length that is none", Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
    ["a reply without a header", Uint8Array.of(0, 0, 0, 1, 0)],
    ["a reply to nothing", Uint8Array.of(0, 0, 0, 16, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
  ])("drops a server that says %s", async (_name, bytes) => {
    const { server, states } = start();
    await server.wire.accept();
    server.wire.say(bytes);
    expect(states).toEqual(["connected", "suspended"]);
    expect(server.wires[0]?.isClosed).toBe(true);
  });
});

describe("watches", () => {
  test("are registered again before anything else is asked, with what was seen last", async () => {
    const { server, clock, zk } = start();
    await server.wire.accept();
    const read = zk.get("/a", { watch: true });
    const missing = zk.exists("/b", { watch: true });
    await settled();
    await server.wire.reply(data, { zxid: 3n });
    await server.wire.reply(undefined, { err: -101, zxid: 4n });
    const { changed } = await read;
    expect((await missing).stat).toBeUndefined();
    await server.wire.break();
    void watch(zk.get("/c"));
    await clock.advance(5_000);
    await server.wire.accept();
    expect(server.wire.seen[0]).toMatchObject({
      xid: -8,
      request: { type: OpCode.SetWatches2, relativeZxid: 4n, data: ["/a"], exist: ["/b"], child: [] },
    });
    await server.wire.event(3, "/a");
    expect(await changed).toEqual({ kind: "dataChanged", path: "/a" });
  });

  test("hear of a change that comes in one message with what was read", async () => {
    const { server, zk } = start();
    await server.wire.accept();
    const reading = zk.get("/a", { watch: true });
    await settled();
    await server.wire.replyAndEvent(data, 3, "/a");
    const changed = watch((await reading).changed);
    await settled();
    expect(changed.value).toEqual({ kind: "dataChanged", path: "/a" });
  });

  test("of an ended session reject, and need nobody to listen", async () => {
    const { server, clock, zk } = start();
    await server.wire.accept();
    const read = zk.get("/a", { watch: true });
    await settled();
    await server.wire.reply(data);
    const changed = watch((await read).changed);
    await server.wire.break();
    await clock.advance(60);
    await server.wire.accept({ timeoutMs: 0 });
    expect(changed.error).toMatchObject({ codeName: "SessionExpired" });
  });

  test("as a loop: events in order, one `missed` for a gap, and the server told when it is left", async () => {
    const { server, clock, zk } = start();
    await server.wire.accept();
    const loop = zk.watch("/a", { subtree: true });
    const first = loop.next();
    await settled();
    await server.wire.reply({ kind: "ok" });
    await server.wire.event(1, "/a/b");
    await server.wire.event(3, "/other");
    await server.wire.event(2, "/a/b");
    expect((await first).value).toEqual({ kind: "created", path: "/a/b" });
    expect((await loop.next()).value).toEqual({ kind: "deleted", path: "/a/b" });
    await server.wire.break();
    await clock.advance(5_000);
    await server.wire.accept();
    expect(server.wire.seen).toMatchObject([{ request: { persistentRecursive: ["/a"] } }]);
    await server.wire.reply();
    expect((await loop.next()).value).toEqual({ kind: "missed", path: "/a" });
    await loop.return();
    await settled();
    expect(server.wire.seen).toMatchObject([
      { request: { type: OpCode.RemoveWatches, path: "/a", watcherType: 5 } },
    ]);
  });

  test("as a loop nobody reads: a bounded buffer, then one `missed` for all of it", async () => {
    const { server, zk } = start();
    await server.wire.accept();
    const loop = zk.watch("/a", { buffer: 2 });
    const first = loop.next();
    await settled();
    await server.wire.reply({ kind: "ok" });
    for (let i = 0; i < 4; i++) await server.wire.event(3, "/a");
    expect((await first).value).toMatchObject({ kind: "dataChanged" });
    expect((await loop.next()).value).toMatchObject({ kind: "missed" });
  });

  test("in many pieces when the paths are long", async () => {
    const { server, clock, zk } = start();
    await server.wire.accept();
    const name = "x".repeat(1_000);
    for (let i = 0; i < 300; i++) void watch(zk.exists(`/${name}${i}`, { watch: true }));
    await settled();
    for (let i = 0; i < 300; i++) await server.wire.reply(undefined, { err: -101 });
    await server.wire.break();
    await clock.advance(5_000);
    await server.wire.accept();
    expect(server.wire.seen.length).toBe(3);
    const paths = server.wire.seen.flatMap(({ request }) => ("exist" in request ? request.exist : []));
    expect(new Set(paths).size).toBe(300);
  });
});
