/**
 * Proves what watch streams promise: nothing missed, nothing twice, in order, and only to those who may know.
 *
 * A tree that agrees with itself, fake sockets, and turns that end when the test says so. Memory is lost by
 * building the tree anew over its rows and applying the log above them, as a member does. What must be told is
 * derived from the log alone, by a model that shares nothing with the code.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Acl,
  type AuthId,
  compareZxid,
  formatZxid,
  makeSessionId,
  OPEN_ACL,
  OpCode,
  Perms,
  parseZxid,
  type TreeOp,
  type Txn,
  type WriteRequest,
  type Zxid,
} from "../../src/base/index.ts";
import { CloseCode } from "../../src/objects/sockets.ts";
import { ServerStats } from "../../src/objects/stats.ts";
import { coalesceAfter, progressChanges, windowMessages, windowUnits } from "../../src/objects/stream.ts";
import { attachmentBytesMax } from "../../src/objects/stream-attachment.ts";
import { messageUnitsMax, subscriptionIdUnitsMax } from "../../src/objects/stream-messages.ts";
import { startBytesMax, startZnodesMax } from "../../src/objects/stream-start.ts";
import { faultsMax, Streams, subscriptionsMax } from "../../src/objects/streams.ts";
import {
  changeHistoryBounds,
  MemoryRows,
  type StreamFilter,
  streamScopes,
  Tree,
} from "../../src/tree/index.ts";
import { type RandomWrite, randomWrite } from "../tree/random-requests.ts";
import {
  bob,
  bobOnly,
  bytes,
  create,
  eve,
  Member,
  multi,
  options,
  remove,
  root,
  setAcl,
  setData,
  type Who,
} from "../tree/support.ts";
import { TestSocket } from "./support/socket.ts";

interface Told {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A member, from one loss of memory to the next. */
class World {
  /** Decides what the txns are; the tree that is told of has rows of its own. */
  readonly member = new Member();
  readonly #rows = new MemoryRows();
  tree = new Tree(this.#rows, options);
  stats = new ServerStats();
  #confirming: ((confirmed: boolean) => void)[] = [];
  streams = this.#begin();

  /** Memory is gone; sockets, rows and log are not. */
  forget(sockets: readonly TestSocket[], options_: { readonly serve: boolean } = { serve: true }): void {
    this.tree = new Tree(this.#rows, options);
    this.stats = new ServerStats();
    this.streams = this.#begin();
    const others = this.streams.adopt(sockets.map(({ socket }) => socket));
    expect(others).toEqual([]);
    this.turn(() => {
      for (const { zxid, txn } of this.member.log)
        if (compareZxid(zxid, this.tree.applied) > 0) this.apply(zxid, txn);
      if (options_.serve) this.streams.wake();
    });
  }

  apply(zxid: Zxid, txn: Txn): void {
    this.tree.apply(zxid, txn);
    this.streams.applied(zxid);
  }

  turn(run: () => void): void {
    run();
    this.streams.flush();
  }

  /** Each in a turn of its own. */
  write(...requests: readonly (WriteRequest | RandomWrite)[]): void {
    for (const request of requests) {
      this.turn(() =>
        "type" in request ? this.writeOne(request) : this.writeOne(request.request, request.who),
      );
    }
  }

  writeOne(request: WriteRequest, who: Who = { identities: [root] }): void {
    this.member.write(request, who);
    const last = this.member.log.at(-1);
    if (last === undefined) throw new Error("a write is logged");
    this.apply(last.zxid, last.txn);
  }

  open(identities: readonly AuthId[] = [root]): TestSocket {
    const socket = new TestSocket();
    this.turn(() => this.streams.open(socket.socket, identities));
    expect(said(socket)).toMatchObject([{ type: "welcome", version: 1 }]);
    return socket;
  }

  send(socket: TestSocket, message: unknown): Told[] {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    this.turn(() => expect(this.streams.receive(socket.socket, text)).toBe(true));
    return said(socket);
  }

  /** A socket with one subscription, whose answer was read. */
  subscribe(
    path: string,
    more: Readonly<Record<string, unknown>> = {},
    identities?: readonly AuthId[],
  ): TestSocket {
    const socket = this.open(identities);
    expect(this.send(socket, { type: "subscribe", id: "s", path, ...more })[0]?.type).toBe("subscribed");
    return socket;
  }

  confirm(confirmed: boolean): void {
    this.turn(() => {
      for (const done of this.#confirming.splice(0)) done(confirmed);
    });
  }

  get applied(): string {
    return formatZxid(this.tree.applied);
  }

  #begin(): Streams {
    const streams = new Streams({
      ...{ tree: this.tree, stats: this.stats, now: () => 1_000 },
      confirm: (done) => this.#confirming.push(done),
    });
    streams.adopt([]);
    return streams;
  }
}

/** Messages since the last question. */
function said(socket: TestSocket): Told[] {
  return socket.texts.splice(0).map((text) => JSON.parse(text) as Told);
}

/** `0x100000002 created /a`, of all messages. */
function events(told: readonly Told[]): string[] {
  return told.flatMap(({ type, events: list }) =>
    type === "events" ? (list as Told[]).map(({ zxid, kind, path }) => `${zxid} ${kind} ${path}`) : [],
  );
}

const last = (told: readonly Told[]) => told.at(-1) ?? { type: "nothing" };

describe("streams: what is told", () => {
  test("streams: one znode, with its stat and its value as of each txn", () => {
    const world = new World();
    const socket = world.subscribe("/a", { with: "value" });
    world.turn(() => {
      world.writeOne(create("/a", { data: bytes("1") }));
      world.writeOne(setData("/a", bytes("2")));
      world.writeOne(create("/b"));
      world.writeOne(setData("/a", Uint8Array.of(255)));
      world.writeOne(remove("/a"));
    });
    const told = said(socket);
    expect(told).toMatchObject([{ type: "events", id: "s", seq: 1, zxid: "0x100000005" }]);
    expect(told[0]?.["events"]).toMatchObject([
      {
        kind: "created",
        zxid: "0x100000001",
        path: "/a",
        value: "1",
        encoding: "utf8",
        stat: { version: 0 },
      },
      { kind: "changed", zxid: "0x100000002", value: "2", stat: { version: 1, mzxid: "0x100000002" } },
      { kind: "changed", zxid: "0x100000004", value: "/w==", encoding: "base64", stat: { version: 2 } },
      { kind: "deleted", zxid: "0x100000005", stat: { version: 2 } },
    ]);
    expect(told[0]).not.toHaveProperty("events.3.value");
  });

  test("streams: children that come and go, a subtree, and no value unless asked for", () => {
    const world = new World();
    const children = world.subscribe("/a/*");
    const subtree = world.subscribe("/a/**");
    world.write(create("/a"), create("/a/x"), create("/a/x/q"), setData("/a/x", bytes("1")), create("/ab"));
    world.write(remove("/a/x/q"), multi(remove("/a/x"), remove("/a")));
    expect(events(said(children))).toEqual([
      "0x100000001 created /a",
      "0x100000002 created /a/x",
      "0x100000007 deleted /a/x",
      "0x100000007 deleted /a",
    ]);
    const told = said(subtree);
    expect(JSON.stringify(told)).not.toContain("value");
    expect(events(told)).toEqual([
      "0x100000001 created /a",
      "0x100000002 created /a/x",
      "0x100000003 created /a/x/q",
      "0x100000004 changed /a/x",
      "0x100000006 deleted /a/x/q",
      "0x100000007 deleted /a/x",
      "0x100000007 deleted /a",
    ]);
  });

  test("streams: a txn is told in one message, however large", () => {
    const world = new World();
    const socket = world.subscribe("/**", { with: "value" });
    const data = new Uint8Array(50_000).fill(120);
    world.write(multi(...Array.from({ length: 10 }, (_, i) => create(`/${i}`, { data }))));
    expect(said(socket).map((message) => (message["events"] as unknown[]).length)).toEqual([10]);
    // Two txns that are large together are two messages.
    world.turn(() => {
      for (const i of [1, 2, 3]) world.writeOne(setData(`/${i}`, data));
    });
    expect(said(socket).map((message) => (message["events"] as unknown[]).length)).toEqual([2, 1]);
  });

  test("streams: who may not read hears nothing, and who may list hears of children only", () => {
    const world = new World();
    world.write(create("/open"), create("/shut", { acl: bobOnly }));
    const eves = world.subscribe("/**", { with: "value" }, [eve]);
    const bobs = world.subscribe("/**", { with: "value" }, [bob]);
    const lists = world.subscribe("/open/*", { with: "value" }, [eve]);
    world.write(create("/shut/x", { acl: bobOnly }), setData("/shut", bytes("secret")));
    world.write(create("/open/y", { acl: bobOnly, data: bytes("secret") }), setAcl("/open", bobOnly));
    world.write(remove("/open/y"), remove("/shut/x"));
    expect(said(eves)).toEqual([]);
    expect(events(said(bobs))).toHaveLength(6);
    const listed = said(lists);
    expect(events(listed)).toEqual(["0x100000005 created /open/y"]);
    expect(listed[0]?.["events"]).toMatchObject([{ path: "/open/y", codeName: "NoAuth" }]);
    expect(JSON.stringify(listed)).not.toContain("secret");
  });

  test("streams: who may not read the path may not subscribe to it", () => {
    const world = new World();
    world.write(create("/shut", { acl: bobOnly }));
    const socket = world.open([eve]);
    for (const path of ["/shut", "/shut/*", "/shut/**"]) {
      const told = world.send(socket, { type: "subscribe", id: "s", path });
      expect(told).toMatchObject([{ type: "error", id: "s", code: -102, codeName: "NoAuth" }]);
    }
    // What is not there yet has no ACL, and the one it gets decides.
    expect(world.send(socket, { type: "subscribe", id: "s", path: "/later" })[0]?.type).toBe("subscribed");
    world.write(create("/later", { acl: bobOnly }), setAcl("/later", OPEN_ACL), setAcl("/later", bobOnly));
    expect(events(said(socket))).toEqual(["0x100000003 acl /later"]);
  });
});

describe("streams: resuming", () => {
  test("streams: from a zxid everything after it is told, then what comes", () => {
    const world = new World();
    world.write(create("/a"), setData("/a"), create("/b"), setData("/a"));
    const socket = world.open();
    const told = world.send(socket, { type: "subscribe", id: "s", path: "/a", since: "0x100000001" });
    expect(told[0]).toEqual({ type: "subscribed", id: "s", zxid: "0x100000001", path: "/a", scope: "znode" });
    world.write(setData("/a"));
    expect(events([...told, ...said(socket)])).toEqual([
      "0x100000002 changed /a",
      "0x100000004 changed /a",
      "0x100000005 changed /a",
    ]);
  });

  test("streams: who has seen more than this member has applied waits for it, and is told nothing twice", () => {
    const world = new World();
    world.write(create("/a"));
    const socket = world.open();
    expect(world.send(socket, { type: "subscribe", id: "s", path: "/a", since: "0x100000003" })).toEqual([]);
    expect(world.streams.isBusy).toBe(true);
    world.write(setData("/a"), setData("/a"));
    world.confirm(true);
    expect(said(socket)).toMatchObject([{ type: "subscribed", zxid: "0x100000003" }]);
    expect(world.streams.isBusy).toBe(false);
    world.write(setData("/a"));
    expect(events(said(socket))).toEqual(["0x100000004 changed /a"]);
  });

  test("streams: a floor that nobody has reached is refused, and so is one while there is no leader", () => {
    const world = new World();
    const socket = world.open();
    const subscribe = { type: "subscribe", id: "s", path: "/a", floor: "0x100000009" };
    world.send(socket, subscribe);
    world.confirm(true);
    expect(said(socket)).toMatchObject([{ type: "error", id: "s", codeName: "BadVersion" }]);
    world.send(socket, subscribe);
    world.confirm(false);
    expect(said(socket)).toMatchObject([{ type: "error", id: "s", codeName: "ConnectionLoss" }]);
    // Given up while it waits: nobody is told anything later.
    world.send(socket, subscribe);
    expect(world.send(socket, { type: "unsubscribe", id: "s" })).toMatchObject([{ type: "unsubscribed" }]);
    world.confirm(true);
    expect(said(socket)).toEqual([]);
  });

  test("streams: what is no longer known is told as a fresh start, then what comes", () => {
    const world = new World();
    world.write(
      create("/a"),
      create("/a/x", { data: bytes("1") }),
      create("/a/y", { acl: bobOnly }),
      create("/b"),
    );
    world.tree.checkpoint();
    world.forget([]);
    const socket = world.open([eve]);
    const told = world.send(socket, {
      type: "subscribe",
      id: "s",
      path: "/a/**",
      since: "0x100000001",
      with: "value",
    });
    // Resumed from in between, it must get its fresh start again.
    expect(told[0]).toMatchObject({ type: "subscribed", zxid: "0x100000001" });
    expect(told[1]).toMatchObject({
      type: "compacted",
      since: "0x100000001",
      zxid: "0x100000004",
      more: false,
    });
    expect(told[1]?.["znodes"]).toMatchObject([
      { path: "/a" },
      { path: "/a/x", value: "1", encoding: "utf8" },
    ]);
    expect(told[1]?.["znodes"]).toHaveLength(2);
    world.write(setData("/a/x", bytes("2")));
    expect(events(said(socket))).toEqual(["0x100000005 changed /a/x"]);
  });

  test("streams: who has seen nothing gets a fresh start, of what its filter is about", () => {
    const world = new World();
    world.write(
      create("/a"),
      create("/a/x", { acl: bobOnly }),
      create("/a/x/q"),
      create("/b", { acl: bobOnly }),
    );
    const start = (path: string, scope: string) => {
      const told = world.send(world.open([eve]), {
        type: "subscribe",
        id: "s",
        path,
        scope,
        since: "0x0",
        with: "value",
      });
      return (last(told)["znodes"] as Told[]).map(({ path: at, codeName = "" }) => `${at}${codeName}`);
    };
    expect(start("/a", "znode")).toEqual(["/a"]);
    expect(start("/a", "children")).toEqual(["/a", "/a/xNoAuth"]);
    expect(start("/a", "subtree")).toEqual(["/a"]);
    expect(start("/missing", "subtree")).toEqual([]);
  });

  test("streams: a fresh start has a thousand znodes, or a mebibyte, and says that there are more", () => {
    const world = new World();
    const many = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => create(`/a/${from + i}`));
    world.write(create("/a"), multi(...many(0, startZnodesMax - 1)));
    const start = (path: string) =>
      last(world.send(world.open(), { type: "subscribe", id: "s", path, since: "0x0", with: "value" }));
    for (const path of ["/a/*", "/a/**"]) expect(start(path)).toMatchObject({ more: false });
    world.write(create("/a/one-more"));
    for (const path of ["/a/*", "/a/**"]) {
      expect(start(path)).toMatchObject({ more: true });
      expect(start(path)["znodes"]).toHaveLength(startZnodesMax);
    }
    world.write(create("/big"), create("/big/1", { data: new Uint8Array(startBytesMax) }));
    expect(start("/big/**")).toMatchObject({ more: false });
    world.write(create("/big/2", { data: new Uint8Array(1) }));
    expect(start("/big/**")).toMatchObject({ more: true });
  });
});

describe("streams: memory that is lost", () => {
  test("streams: a hibernated stream goes on where it was, though the log is applied again", () => {
    const world = new World();
    const socket = world.subscribe("/a/**");
    world.write(create("/a"), setData("/a"));
    expect(events(said(socket))).toHaveLength(2);
    world.forget([socket]);
    expect(said(socket)).toEqual([]);
    world.write(setData("/a"));
    expect(events(said(socket))).toEqual(["0x100000003 changed /a"]);
  });

  test("streams: one that heard of nothing for long goes on, too: what it was spared is not missing", () => {
    const world = new World();
    const socket = world.subscribe("/a");
    world.write(create("/b"), setData("/b"));
    // Its attachment is older than the rows now, and it was told all there was.
    world.tree.checkpoint();
    world.forget([socket]);
    world.write(create("/a"));
    expect(events(said(socket))).toEqual(["0x100000003 created /a"]);
  });

  test("streams: what applied while nobody was served is told when somebody is", () => {
    const world = new World();
    const socket = world.subscribe("/a");
    world.forget([socket], { serve: false });
    world.turn(() => world.writeOne(create("/a")));
    expect(said(socket)).toEqual([]);
    // Heard once it is awake.
    world.send(socket, { type: "subscribe", id: "t", path: "/b" });
    expect(world.streams.isBusy).toBe(true);
    world.turn(() => world.streams.wake());
    const told = said(socket);
    expect(events(told)).toEqual(["0x100000001 created /a"]);
    expect(told.map(({ type }) => type)).toContain("subscribed");
  });

  test("streams: a message that only memory knew of ends the stream, should that be lost, too", () => {
    const world = new World();
    const socket = world.subscribe("/a");
    world.forget([socket], { serve: false });
    world.send(socket, { type: "subscribe", id: "t", path: "/b" });
    world.forget([socket]);
    expect(socket.closed?.code).toBe(CloseCode.NotLeading);
    const waiting = world.open();
    world.send(waiting, { type: "subscribe", id: "s", path: "/a", since: "0x100000009" });
    world.forget([waiting]);
    expect(waiting.closed?.code).toBe(CloseCode.NotLeading);
  });

  test("streams: one that has sent too much before it was heard is closed, and so are all that wait in vain", () => {
    const world = new World();
    const [noisy, silent] = [world.subscribe("/a"), world.subscribe("/a")];
    world.forget([noisy, silent], { serve: false });
    for (let i = 0; i < 16; i++) world.send(noisy, { type: "ack", seq: 0 });
    expect(noisy.closed).toBeUndefined();
    world.send(noisy, { type: "ack", seq: 0 });
    expect(noisy.closed?.code).toBe(CloseCode.NotLeading);
    world.streams.closeSleepers("no leader was found");
    expect(silent.closed).toEqual({ code: CloseCode.NotLeading, reason: "no leader was found" });
    expect(world.streams.size).toBe(0);
  });

  test("streams: a snapshot that replaced the state is a fresh start for all", () => {
    const world = new World();
    const socket = world.subscribe("/a");
    world.write(create("/a"));
    said(socket);
    // The rows are replaced while the member serves nobody.
    const other = new Member();
    for (let i = 0; i < 5; i++) other.must(create(`/${i}`));
    other.tree.checkpoint();
    world.streams.adopt([]);
    const streams = new Streams({
      ...{ tree: other.tree, stats: new ServerStats(), now: () => 0 },
      confirm: () => undefined,
    });
    other.tree.reload();
    streams.adopt([]);
    const fresh = new TestSocket();
    streams.open(fresh.socket, [root]);
    streams.receive(
      fresh.socket,
      JSON.stringify({ type: "subscribe", id: "s", path: "/0", since: "0x100000001" }),
    );
    expect(last(said(fresh))).toMatchObject({ type: "compacted", zxid: "0x100000005" });
  });

  test("streams: a member that serves no longer says so to everybody", () => {
    const world = new World();
    const sockets = [world.subscribe("/a"), world.subscribe("/b")];
    world.streams.closeAll("no longer in touch with a leader");
    for (const { closed } of sockets) expect(closed?.code).toBe(CloseCode.NotLeading);
    expect(world.streams.size).toBe(0);
    world.write(create("/a"));
    expect(sockets.flatMap(said)).toEqual([]);
  });
});

describe("streams: slow clients", () => {
  test("streams: with a window of messages on their way a stream pauses, and an ack lets it go on", () => {
    const world = new World();
    const socket = world.subscribe("/a");
    world.write(create("/a"));
    for (let i = 1; i < windowMessages; i++) world.write(setData("/a"));
    expect(said(socket)).toHaveLength(windowMessages);
    world.write(setData("/a"), setData("/a"));
    expect(said(socket)).toEqual([{ type: "paused", seq: windowMessages }]);
    expect(world.send(socket, { type: "ack", seq: 1 })).toMatchObject([
      // One message of both, so there is room for no more.
      { type: "events", seq: windowMessages + 1, events: [{ kind: "changed" }, { kind: "changed" }] },
    ]);
    world.write(setData("/a"));
    expect(said(socket)).toMatchObject([{ type: "paused" }]);
    expect(events(world.send(socket, { type: "ack", seq: windowMessages + 1 }))).toHaveLength(1);
  });

  test("streams: a window of characters pauses it, too", () => {
    const world = new World();
    const socket = world.subscribe("/a", { with: "value" });
    const data = new Uint8Array(windowUnits / 2).fill(120);
    world.write(create("/a", { data }), setData("/a", data), setData("/a", data));
    expect(said(socket).map(({ type }) => type)).toEqual(["events", "events", "paused"]);
    expect(world.send(socket, { type: "ack", seq: 1 }).map(({ type }) => type)).toEqual(["events"]);
  });

  const lagBehind = (world: World): TestSocket => {
    const socket = world.subscribe("/**");
    world.write(create("/0"));
    for (let i = 1; i < windowMessages; i++) world.write(setData("/0"));
    world.write(create("/a"), create("/b"));
    said(socket);
    return socket;
  };

  test("streams: who lags a little is told everything, who lags more is told how each path ended", () => {
    for (const [extra, coalesced] of [
      [coalesceAfter - 2, false],
      [coalesceAfter - 1, true],
    ] as const) {
      const world = new World();
      const socket = lagBehind(world);
      for (let i = 0; i < extra; i++) world.write(setData(i % 2 === 0 ? "/a" : "/b"));
      const told = world.send(socket, { type: "ack", seq: windowMessages });
      if (!coalesced) {
        expect(events(told)).toHaveLength(coalesceAfter);
        continue;
      }
      expect(told[0]).toMatchObject({ type: "coalesced", id: "s", events: coalesceAfter + 1, kept: 2 });
      expect(told[0]).toMatchObject({
        after: formatZxid({ epoch: 1, counter: windowMessages }),
        through: world.applied,
      });
      expect(events(told).map((line) => line.split(" ")[2])).toEqual(["/b", "/a"]);
      expect(last(told)["zxid"]).toBe(world.applied);
    }
  });

  test("streams: who lags so much that it is forgotten is closed, and may resume with a fresh start", () => {
    const world = new World();
    const socket = lagBehind(world);
    const batch = Array.from({ length: 512 }, () => setData("/a"));
    for (let i = 0; i * 512 < changeHistoryBounds.changes - 1_024; i++) world.write(multi(...batch));
    expect(socket.closed).toBeUndefined();
    for (let i = 0; i < 4; i++) world.write(multi(...batch));
    expect(socket.closed?.code).toBe(CloseCode.TooSlow);
    const again = world.open();
    const since = formatZxid({ epoch: 1, counter: windowMessages });
    const told = world.send(again, { type: "subscribe", id: "s", path: "/a", since });
    expect(told.map(({ type }) => type)).toEqual(["subscribed", "compacted"]);
  });

  test("streams: who lags and is forgotten with its member's memory is closed, too", () => {
    const world = new World();
    const socket = lagBehind(world);
    world.tree.checkpoint();
    world.forget([socket]);
    expect(said(socket)).toEqual([]);
    expect(socket.closed?.code).toBe(CloseCode.TooSlow);
    // And one whose log is still there is told what it lacks.
    const other = new World();
    const slow = lagBehind(other);
    other.forget([slow]);
    expect(events(said(slow)).map((line) => line.split(" ")[2])).toEqual(["/a", "/b"]);
  });

  test("streams: who hears of nothing is told now and then from where to resume", () => {
    const world = new World();
    const socket = world.subscribe("/a");
    const batch = Array.from({ length: progressChanges / 2 }, () => setData("/b"));
    world.write(create("/b"), multi(...batch));
    expect(said(socket)).toEqual([]);
    world.write(multi(...batch));
    expect(said(socket)).toMatchObject([{ type: "progress", id: "s", seq: 1, zxid: world.applied }]);
  });
});

describe("streams: malformed messages", () => {
  test.each([
    ["no JSON", "{", "no JSON object"],
    ["no object", "[1]", "no JSON object"],
    ["an unknown type", { type: "constructor" }, '"type" is not'],
    ["a field too many", { type: "subscribe", id: "t", path: "/a", sinec: "0x1" }, '"sinec" is not a field'],
    ["no id", { type: "subscribe", path: "/a" }, '"id" is not a text'],
    ["an empty id", { type: "unsubscribe", id: "" }, '"id" is not a text'],
    [
      "an id too long",
      { type: "unsubscribe", id: "i".repeat(subscriptionIdUnitsMax + 1) },
      '"id" is not a text',
    ],
    ["no path", { type: "subscribe", id: "t" }, '"path" is no text'],
    ["a path no znode can have", { type: "subscribe", id: "t", path: "/a//b" }, "empty component"],
    ["another scope", { type: "subscribe", id: "t", path: "/a", scope: "tree" }, '"scope" is not'],
    ["another part", { type: "subscribe", id: "t", path: "/a", with: "stat" }, '"with" is not'],
    ["a zxid that is none", { type: "subscribe", id: "t", path: "/a", since: 7 }, '"since" is no zxid'],
    ["a floor that is none", { type: "subscribe", id: "t", path: "/a", floor: "0x" }, '"floor" is no zxid'],
    ["an ack of nothing sent", { type: "ack", seq: 1 }, "the last message sent is 0"],
    ["an ack of half a message", { type: "ack", seq: 0.5 }, '"seq" is no whole number'],
    ["an id in use", { type: "subscribe", id: "s", path: "/a" }, "in use"],
    ["an id nobody has", { type: "unsubscribe", id: "t" }, "no subscription of this id"],
    ["too long", " ".repeat(messageUnitsMax + 1), "longer than"],
  ])("streams: %s is answered with an error, and changes nothing", (_, message, reason) => {
    const world = new World();
    const socket = world.subscribe("/a");
    const told = world.send(socket, message);
    expect(told).toMatchObject([{ type: "error", code: expect.any(Number), codeName: expect.any(String) }]);
    expect(told[0]?.["detail"]).toContain(reason);
    world.write(create("/a"));
    expect(events(said(socket))).toEqual(["0x100000001 created /a"]);
  });

  test("streams: whatever is sent is answered, and the stream goes on", () => {
    const world = new World();
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), fc.constantFrom("null", '"x"', "{}")), (text) => {
        const socket = world.open();
        expect(world.send(socket, text)[0]?.type).toBe("error");
        world.streams.closed(socket.socket, 1000);
      }),
      { numRuns: 300 },
    );
  });

  test("streams: binary messages are refused; who is refused too often is closed", () => {
    const world = new World();
    const socket = world.open();
    world.turn(() => world.streams.receive(socket.socket, new ArrayBuffer(3)));
    for (let i = 2; i < faultsMax; i++) world.send(socket, "?");
    expect(socket.closed).toBeUndefined();
    world.send(socket, "?");
    expect(socket.closed?.code).toBe(CloseCode.Dropped);
  });

  test("streams: a stream takes so many subscriptions, and one more when another is given up", () => {
    const world = new World();
    const socket = world.open();
    const subscribe = (i: number) => world.send(socket, { type: "subscribe", id: `${i}`, path: `/${i}` })[0];
    for (let i = 0; i < subscriptionsMax; i++) expect(subscribe(i)?.type).toBe("subscribed");
    expect(subscribe(99)).toMatchObject({ type: "error", id: "99", codeName: "ThrottledOp" });
    world.send(socket, { type: "unsubscribe", id: "0" });
    expect(subscribe(99)?.type).toBe("subscribed");
    world.write(create("/0"), create("/99"));
    expect(events(said(socket))).toEqual(["0x100000002 created /99"]);
  });

  test("streams: a client that has too much on its way is told nothing anew", () => {
    const world = new World();
    const data = new Uint8Array(startBytesMax).fill(120);
    world.write(create("/a", { data }));
    const socket = world.open();
    const subscribe = (id: string) =>
      world.send(socket, { type: "subscribe", id, path: "/a", since: "0x0", with: "value" });
    expect(subscribe("1").map(({ type }) => type)).toEqual(["subscribed", "compacted"]);
    expect(subscribe("2")).toMatchObject([{ type: "error", id: "2", codeName: "ThrottledOp" }]);
    world.send(socket, { type: "ack", seq: 1 });
    expect(subscribe("2").map(({ type }) => type)).toEqual(["subscribed", "compacted"]);
  });

  test("streams: paths that fit no attachment are refused, and those that are taken do fit", () => {
    const world = new World();
    const socket = world.open();
    const longest = `/${"ż".repeat((attachmentBytesMax - 700 - 4 * 200) / 2)}`;
    for (const [id, path, type] of [
      ["1", longest, "subscribed"],
      ["2", longest, "error"],
      ["3", "/c", "subscribed"],
    ]) {
      expect(world.send(socket, { type: "subscribe", id, path })[0]?.type).toBe(type);
    }
    world.forget([socket]);
    world.write(create(longest));
    expect(events(said(socket))).toHaveLength(1);
  });
});

/** What the log says, with nothing of the code: who may read which change, and which filter wants it. */
class Model {
  readonly #acls = new Map<string, readonly Acl[]>([["/", OPEN_ACL]]);
  readonly #told: { zxid: Zxid; kind: string; path: string; acl: readonly Acl[]; parent: readonly Acl[] }[] =
    [];

  add(zxid: Zxid, { op }: Txn): void {
    if (op.kind === "multi") for (const part of op.ops) this.#one(zxid, part);
    else if (op.kind === "closeSession")
      for (const path of op.ephemerals) this.#one(zxid, { kind: "delete", path });
    else if (op.kind === "create" || op.kind === "delete" || op.kind === "setData" || op.kind === "setAcl")
      this.#one(zxid, op);
  }

  #one(zxid: Zxid, op: TreeOp): void {
    if (op.kind === "check") return;
    const { path } = op;
    if (op.kind === "create" || op.kind === "setAcl") this.#acls.set(path, op.acl);
    const kind = { create: "created", delete: "deleted", setData: "changed", setAcl: "acl" }[op.kind];
    const above = path.slice(0, path.lastIndexOf("/")) || "/";
    const [acl = OPEN_ACL, parent = OPEN_ACL] = [this.#acls.get(path), this.#acls.get(above)];
    this.#told.push({ zxid, kind, path, acl, parent });
    if (op.kind === "delete") this.#acls.delete(path);
  }

  expected({ path: at, scope }: StreamFilter, who: readonly AuthId[], after: Zxid): string[] {
    const mayRead = (acl: readonly Acl[]) =>
      who.includes(root) ||
      acl.some(({ scheme, id, perms }) => {
        const isMeant = scheme === "world" || who.some((one) => one.scheme === scheme && one.id === id);
        return isMeant && (perms & Perms.Read) !== 0;
      });
    return this.#told.flatMap(({ zxid, kind, path, acl, parent }) => {
      if (compareZxid(zxid, after) <= 0) return [];
      const isChild = path !== at && path.startsWith(at === "/" ? "/" : `${at}/`);
      const isDirect = isChild && !path.slice(at.length + 1).includes("/");
      const comesOrGoes = kind === "created" || kind === "deleted";
      const needed = {
        znode: path === at,
        subtree: path === at || isChild,
        children: path === at && comesOrGoes,
      };
      const isTold =
        (needed[scope] && mayRead(acl)) ||
        (scope === "children" && isDirect && comesOrGoes && mayRead(parent));
      return isTold ? [`${formatZxid(zxid)} ${kind} ${path}`] : [];
    });
  }
}

describe("streams: any history, any losses of memory and connections", () => {
  const filter = fc.record({
    path: fc.constantFrom("/", "/a", "/a/x", "/b"),
    scope: fc.constantFrom(...streamScopes),
  });
  const path = fc.constantFrom("/a", "/b", "/a/x", "/a/y", "/a/x/q");
  const likely = fc.oneof(
    path.map((at) => setData(at)),
    path.map((at) => create(at)),
    path.map((at) => create(at, { acl: bobOnly })),
    fc.tuple(path, fc.constantFrom(bobOnly, OPEN_ACL)).map(([at, acl]) => setAcl(at, acl)),
    path.map((at) => multi(setData(at), setData("/a"), create("/a/m"), remove("/a/m"))),
    path.map((at) => remove(at)),
  );
  const step = fc.oneof(
    {
      weight: 12,
      arbitrary: likely.map((request) => {
        return { kind: "write" as const, write: { request, who: { identities: [root] } } };
      }),
    },
    { weight: 8, arbitrary: randomWrite.map((write) => ({ kind: "write" as const, write })) },
    { weight: 1, arbitrary: fc.constant({ kind: "hibernate" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "checkpoint" as const }) },
    { weight: 2, arbitrary: fc.nat(3).map((client) => ({ kind: "reconnect" as const, client })) },
    { weight: 2, arbitrary: fc.constant({ kind: "turn" as const }) },
  );
  const client = fc.record({ filter, who: fc.constantFrom([root], [bob], [eve], []) });

  test("streams: everybody is told what the log says, once and in order, live, after a sleep and resumed", () => {
    const counts = { live: 0, compacted: 0 };
    fc.assert(
      fc.property(
        fc.array(client, { minLength: 1, maxLength: 4 }),
        fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
        (given, steps) => {
          const world = new World();
          const model = new Model();
          for (const id of [1n, 2n]) {
            const session = makeSessionId(id);
            world.writeOne({ type: OpCode.CreateSession, timeoutMs: 1_000 }, { session });
          }
          world.write(create("/a"), create("/b"), create("/a/x"));
          for (const { zxid, txn } of world.member.log) model.add(zxid, txn);
          const start = world.applied;
          const clients = given.map(({ filter: { path, scope }, who }) => {
            // Whoever asks at the start may ask for anything: nobody has shut it yet.
            return {
              path,
              scope,
              who,
              socket: world.subscribe(path, { scope }, who),
              got: [] as string[],
              from: start,
              at: start,
            };
          });
          const listen = () => {
            for (const one of clients) {
              for (const message of said(one.socket)) {
                if (message.type === "compacted") {
                  counts.compacted += 1;
                  one.got = [];
                  one.from = String(message["zxid"]);
                } else {
                  counts.live += events([message]).length;
                  one.got.push(...events([message]));
                }
                one.at = String(message["zxid"] ?? one.at);
              }
            }
          };
          for (const one of steps) {
            switch (one.kind) {
              case "write": {
                const before = world.member.log.length;
                // Left pending, so that turns hold several.
                world.writeOne(one.write.request, one.write.who);
                for (const { zxid, txn } of world.member.log.slice(before)) model.add(zxid, txn);
                break;
              }
              case "turn":
                world.turn(() => undefined);
                break;
              case "checkpoint":
                world.turn(() => undefined);
                world.tree.checkpoint();
                break;
              case "hibernate":
                world.turn(() => undefined);
                world.forget(clients.map(({ socket }) => socket));
                break;
              case "reconnect": {
                const lost = clients[one.client];
                if (lost === undefined) break;
                listen();
                world.streams.closed(lost.socket.socket, 1006);
                lost.socket = world.open(lost.who);
                const { path, scope, at: since } = lost;
                const told = world.send(lost.socket, { type: "subscribe", id: "s", path, scope, since });
                // An ACL may have shut it out meanwhile: then it is no client any more.
                if (told[0]?.type === "error") clients.splice(clients.indexOf(lost), 1);
                else for (const message of told) lost.socket.texts.push(JSON.stringify(message));
                break;
              }
            }
          }
          world.turn(() => undefined);
          listen();
          for (const { path, scope, who, got, from } of clients) {
            const after = parseZxid(from);
            if (after === undefined) throw new Error(`no zxid: ${from}`);
            expect(got).toEqual(model.expected({ path, scope }, who, after));
          }
        },
      ),
      { numRuns: 400 },
    );
    // It would prove little if hardly anything was told, or nothing forgotten.
    expect(counts.live).toBeGreaterThan(2_000);
    expect(counts.compacted).toBeGreaterThan(20);
  });
});

describe("figures", () => {
  const ip: AuthId = { scheme: "ip", id: "10.0.0.9" };

  test("a stream is a connection, its messages are packets, and its subscriptions watches", () => {
    const world = new World();
    world.write(create("/a"));
    const socket = world.open([ip]);
    const other = world.open([]);
    const subscribe = (id: string, path: string) => world.send(socket, { type: "subscribe", id, path });
    subscribe("one", "/a");
    subscribe("two", "/a/**");
    world.write(setData("/a", bytes("x")));
    const { streams } = world;
    expect([streams.size, streams.watchCount, streams.outstanding]).toEqual([2, 2, 0]);
    expect([...streams.figures()]).toMatchObject([
      // Welcome, two answers, and an event for each subscription.
      { address: "10.0.0.9", port: 0, sessionId: undefined, received: 2, sent: 5, establishedMs: 1_000 },
      { address: "", received: 0, sent: 1 },
    ]);
    expect([world.stats.received, world.stats.sent]).toEqual([2, 6]);
    const listed = () =>
      Array.from(world.streams.subscriptions(), ({ id, filter }) => `${id} ${filter.path}`);
    expect(listed()).toEqual(["one /a", "two /a"]);

    streams.resetStats();
    expect([...streams.figures()]).toMatchObject([{ received: 0, sent: 0 }, { sent: 0 }]);
    world.send(socket, { type: "unsubscribe", id: "one" });
    expect([streams.watchCount, ...listed()]).toEqual([1, "two /a"]);
    world.forget([socket, other]);
    expect([world.streams.size, world.streams.watchCount, ...listed()]).toEqual([2, 1, "two /a"]);
    expect([...world.streams.figures()]).toMatchObject([{ address: "10.0.0.9" }, { address: "" }]);
    world.streams.closed(socket.socket, 1000);
    expect([world.streams.size, world.streams.watchCount, ...listed()]).toEqual([1, 0]);
  });

  test("one that waits for its answer is outstanding, and no watch yet", () => {
    const world = new World();
    const socket = world.open();
    const since = formatZxid({ epoch: 9, counter: 9 });
    world.send(socket, { type: "subscribe", id: "s", path: "/a", since });
    expect([world.streams.outstanding, world.streams.watchCount]).toEqual([1, 0]);
    expect([...world.streams.figures()]).toMatchObject([{ outstanding: 1 }]);
    world.confirm(true);
    expect([world.streams.outstanding, world.streams.watchCount]).toEqual([0, 0]);
  });
});
