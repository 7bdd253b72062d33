/**
 * Proves what sockets carry: one message a turn, attachments that outlive the memory, one socket a session.
 *
 * A leader with a real tree and pipeline, fake sockets, and a turn that ends when the test says so. A new
 * `Connections` over the same sockets is a member that has lost its memory.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AddWatchMode,
  type AuthId,
  type ClientRequest,
  makeSessionId,
  NO_SESSION,
  OpCode,
  type SessionId,
  type WriteRequest,
} from "../../src/base/index.ts";
import { encodeLaneEnd, encodeLaneHead, encodeLaneTurn, LaneReader } from "../../src/jute/index.ts";
import type { Introduction } from "../../src/objects/api.ts";
import { sessionOfSocket } from "../../src/objects/attachment.ts";
import type { Connection } from "../../src/objects/connection.ts";
import type { ConnectionHost } from "../../src/objects/connection-host.ts";
import { Connections, connectionsMax } from "../../src/objects/connections.ts";
import { identityUnitsMax } from "../../src/objects/identities.ts";
import { Lanes } from "../../src/objects/lanes.ts";
import { CloseCode } from "../../src/objects/sockets.ts";
import { ServerStats } from "../../src/objects/stats.ts";
import { bobOnly, create, remove, setData } from "../tree/support.ts";
import { Leader } from "./support/leader.ts";
import { TestSocket } from "./support/socket.ts";
import { authFrame, connectFrame, Heard, join, pingFrame, requestFrame } from "./support/stream.ts";

/** A member that leads, alone, from one loss of memory to the next. */
class World {
  readonly leader: Leader = new Leader({
    isLone: true,
    applied: (zxid, _, { triggers, closedSession }) => {
      for (const trigger of triggers) {
        const canRead = (watcher: number) => this.connections.canRead(watcher, trigger);
        for (const { watcher, event } of this.leader.tree.watches.fire(trigger, canRead))
          this.connections.notify(watcher, event, zxid);
      }
      if (closedSession !== undefined) this.#closedSessions.push(closedSession);
    },
  });
  readonly later: (() => void)[] = [];
  /** When the platform last answered which socket. */
  readonly signs = new Map<WebSocket, number>();
  readonly #closedSessions: SessionId[] = [];
  #lastWatcher = 0;
  #lastSession = 0;
  hasRoom = true;
  lanes = new Lanes();
  connections = this.#begin();

  /** Memory is gone; sockets and storage are not. */
  forget(sockets: readonly TestSocket[]): void {
    for (let watcher = 1; watcher <= this.#lastWatcher; watcher++) this.leader.tree.watches.drop(watcher);
    this.later.length = 0;
    this.lanes = new Lanes();
    this.connections = this.#begin();
    this.connections.adopt(this.lanes.adopt(sockets.map(({ socket }) => socket)));
  }

  turn(run: () => void): void {
    run();
    this.leader.writes.flush();
    for (const session of this.#closedSessions.splice(0)) this.connections.endSession(session);
    this.connections.flush();
    this.lanes.flush(this.connections);
  }

  open(given: Partial<Introduction> = {}): TestSocket {
    const socket = new TestSocket();
    const introduction = { address: "", port: 0, mustShowToken: false, wantsCredit: false, ...given };
    this.turn(() => this.connections.open(socket.socket, introduction));
    return socket;
  }

  send(socket: TestSocket, ...frames: readonly Uint8Array[]): void {
    const { buffer } = join(...frames);
    this.turn(() => this.connections.receive(socket.socket, buffer as ArrayBuffer));
  }

  connect(sessionId = 0n): TestSocket {
    const socket = this.open();
    this.send(socket, connectFrame({ sessionId }));
    socket.take();
    return socket;
  }

  ask(socket: TestSocket, request: ClientRequest, xid = 1): void {
    this.send(socket, requestFrame(xid, request));
  }

  write(request: WriteRequest): void {
    this.turn(() => this.leader.submit(request));
  }

  /** At another member. */
  renew(sessionId: SessionId): void {
    const requester = { sessionId, identities: [] };
    this.turn(() => this.leader.submit({ type: OpCode.RenewSession, timeoutMs: 4_000 }, { requester }));
  }

  #begin(): Connections {
    const { leader } = this;
    const world = this;
    const host: ConnectionHost = {
      get hasRoom() {
        return world.hasRoom;
      },
      get applied() {
        return leader.tree.applied;
      },
      authRules: { superDigest: undefined, token: undefined, requiredSchemes: [] },
      stats: new ServerStats(),
      throttledOpWaitMs: 0,
      now: () => leader.nowMs,
      openSession: (connection, { sessionId, timeoutMs }, _, done) => {
        const id = sessionId === 0n ? this.#newSession(timeoutMs) : makeSessionId(sessionId);
        if (!leader.tree.hasSession(id)) return done(undefined);
        this.connections.bind(connection, id);
        done({ id, timeoutMs, password: new Uint8Array(16), ownership: 1 });
      },
      touch: () => undefined,
      write: ({ request, requester, cxid, settle }) => {
        leader.writes.submit(request, { requester, cxid, settle });
        return true;
      },
      read: (request, requester, watcher) => {
        this.connections.watchesChanged(watcher);
        return leader.tree.answer(request, { requester, watcher });
      },
      confirm: (_, done) => this.confirms.push(done),
      changed: (connection: Connection) => this.connections.touch(connection),
    };
    return new Connections({
      tree: leader.tree,
      host,
      lanes: this.lanes,
      lastSign: (socket) => this.signs.get(socket),
      heard: () => undefined,
      later: (run) => this.later.push(run),
      nextWatcher: () => {
        this.#lastWatcher += 1;
        return this.#lastWatcher;
      },
    });
  }

  readonly confirms: ((confirmed: boolean) => void)[] = [];

  #newSession(timeoutMs: number): SessionId {
    this.#lastSession += 1;
    const sessionId = makeSessionId(BigInt(this.#lastSession));
    this.leader.submit(
      { type: OpCode.CreateSession, timeoutMs },
      { requester: { sessionId, identities: [] } },
    );
    this.leader.writes.flush();
    return sessionId;
  }
}

interface Stored {
  readonly identities: readonly AuthId[];
  readonly sessionId: bigint;
  readonly zxid: string;
  readonly watches: unknown;
  readonly isBound: boolean;
}

function attachmentOf(socket: TestSocket): Stored {
  return socket.deserializeAttachment() as Stored;
}

/** What a client that is connected hears of messages. */
function said(socket: TestSocket): string[] {
  const heard = new Heard(true);
  return socket.take().flatMap((message) => heard.read(message));
}

function xids(socket: TestSocket): string[] {
  return said(socket).map((line) => line.replace(/ -?\d+ -?\d+$/, ""));
}

const exists = (path: string) => ({ type: OpCode.Exists, path, watch: true }) as const;
const children = (path: string) => ({ type: OpCode.GetChildren, path, watch: true }) as const;
const sync = { type: OpCode.Sync, path: "/" } as const;
const goodbye = { type: OpCode.CloseSession } as const;

describe("a turn", () => {
  test("sends each socket one message, whatever happened in it", () => {
    const world = new World();
    const [a, b] = [world.connect(), world.connect()];
    world.turn(() => {
      for (const socket of [a, b, a])
        world.connections.receive(socket.socket, join(pingFrame(), pingFrame()).buffer as ArrayBuffer);
    });
    expect([a.messages.length, b.messages.length]).toEqual([1, 1]);
    expect([said(a).length, said(b).length]).toEqual([4, 2]);
  });

  test("that has nothing to say to a socket sends nothing and stores nothing", () => {
    const world = new World();
    const socket = world.connect();
    const { attached } = socket;
    world.send(socket, pingFrame());
    expect([said(socket).length, socket.attached]).toEqual([1, attached]);
    world.turn(() => undefined);
    expect(socket.take()).toEqual([]);
  });

  test("cuts what is long into messages of 1 MiB, and the stream is the same", () => {
    const world = new World();
    world.write(create("/a", { data: new Uint8Array(900_000) }));
    const socket = world.connect();
    const get = { type: OpCode.GetData, path: "/a", watch: false } as const;
    world.send(socket, requestFrame(1, get), requestFrame(2, get), requestFrame(3, get));
    const messages = socket.take();
    expect(messages.map(({ length }) => length).slice(0, 2)).toEqual([1024 * 1024, 1024 * 1024]);
    expect(new Heard(true).read(join(...messages)).map((line) => line.split(" ")[0])).toEqual([
      "1",
      "2",
      "3",
    ]);
  });

  test("takes up what was held in a later turn, once there is room", () => {
    const world = new World();
    const socket = world.connect();
    world.hasRoom = false;
    world.ask(socket, { type: OpCode.Exists, path: "/", watch: false });
    world.turn(() => {});
    expect([world.later.length, socket.take()]).toEqual([0, []]);
    world.hasRoom = true;
    world.turn(() => {});
    expect([world.later.length, socket.take()]).toEqual([1, []]);
    world.turn(world.later.shift() ?? (() => {}));
    expect(socket.take()).toHaveLength(1);
    world.turn(() => {});
    expect(world.later).toEqual([]);
  });

  test("gives credit to who wants it, as text, and anew after the memory was lost", () => {
    const world = new World();
    const sockets = [world.open({ wantsCredit: true }), world.open()] as const;
    for (const socket of sockets) world.send(socket, connectFrame());
    const frame = requestFrame(1, { type: OpCode.Exists, path: "x".repeat(1_000_000), watch: false });
    for (const socket of sockets) world.send(socket, frame);
    expect(sockets.map(({ texts }) => texts)).toEqual([
      [`credit ${connectFrame().length + frame.length}`],
      [],
    ]);
    world.forget(sockets);
    world.turn(() => world.connections.wake());
    expect(sockets.map(({ texts }) => texts.slice(1))).toEqual([["credit anew"], []]);
  });

  test("answers a stalled client on in later turns, and others at once", () => {
    const world = new World();
    world.write(create("/a", { data: new Uint8Array(1_000_000) }));
    const [greedy, other] = [world.connect(), world.connect()];
    const get = { type: OpCode.GetData, path: "/a", watch: false } as const;
    world.send(greedy, ...Array.from({ length: 12 }, (_, i) => requestFrame(i + 1, get)));
    world.send(other, pingFrame());
    expect(said(other)).toHaveLength(1);
    const bytes = [total(greedy)];
    for (let run = world.later.shift(); run !== undefined; run = world.later.shift()) {
      expect(world.later).toEqual([]);
      world.turn(run);
      bytes.push(total(greedy));
    }
    expect(bytes.map((each) => Math.round(each / 1_000_000))).toEqual([5, 5, 2]);
    expect(attachmentOf(greedy).isBound).toBe(false);
  });

  test("drops a socket that takes no more", () => {
    const world = new World();
    const socket = world.connect();
    socket.isBroken = true;
    world.send(socket, pingFrame());
    expect([socket.closed?.code, world.connections.size]).toEqual([CloseCode.Dropped, 0]);
  });
});

function total(socket: TestSocket): number {
  return socket.take().reduce((sum, { length }) => sum + length, 0);
}

describe("an attachment", () => {
  test("is bound to the memory before the handshake, and says who it is after", () => {
    const world = new World();
    const address = { scheme: "ip", id: "::1" };
    const socket = world.open({ address: "::1" });
    expect(attachmentOf(socket)).toMatchObject({ isBound: true, sessionId: NO_SESSION });
    world.send(socket, connectFrame());
    expect(attachmentOf(socket)).toMatchObject({
      isBound: false,
      sessionId: 1n,
      identities: [address],
      watches: undefined,
    });
    world.send(socket, authFrame(1, "digest", "bob:pw"));
    expect(attachmentOf(socket).identities).toHaveLength(2);
  });

  test("is bound while an answer is due or half a frame is there", () => {
    const world = new World();
    const socket = world.connect();
    world.ask(socket, sync);
    expect(attachmentOf(socket).isBound).toBe(true);
    world.turn(() => world.confirms[0]?.(true));
    expect(attachmentOf(socket).isBound).toBe(false);
    world.send(socket, pingFrame().slice(0, 3));
    expect(attachmentOf(socket).isBound).toBe(true);
    world.send(socket, pingFrame().slice(3));
    expect(attachmentOf(socket).isBound).toBe(false);
  });

  test("holds the watches as setWatches wants them, as of what was applied then", () => {
    const world = new World();
    world.write(create("/a"));
    const socket = world.connect();
    for (const request of [exists("/a"), exists("/none"), children("/")]) world.ask(socket, request);
    const zxid = `0x${((1n << 32n) | BigInt(world.leader.tree.applied.counter)).toString(16)}`;
    const watches = { data: ["/a"], exist: ["/none"], child: ["/"] };
    expect(attachmentOf(socket)).toMatchObject({ isBound: false, zxid, watches });
    world.write(setData("/a"));
    expect(attachmentOf(socket).watches).toEqual({ ...watches, data: [] });
    world.write(create("/none"));
    expect(attachmentOf(socket).watches).toBeUndefined();
  });

  test("is bound once there are watches whose missed events nobody could tell", () => {
    const world = new World();
    const socket = world.connect();
    world.ask(socket, { type: OpCode.AddWatch, path: "/a", mode: AddWatchMode.PersistentRecursive });
    expect(attachmentOf(socket).isBound).toBe(true);
    world.ask(socket, { type: OpCode.RemoveWatches, path: "/a", watcherType: 3 });
    expect(attachmentOf(socket).isBound).toBe(false);
  });

  test("that is bound costs the connection when memory is lost, and not what its client has shown of life", () => {
    const world = new World();
    const socket = world.connect();
    const session = makeSessionId(attachmentOf(socket).sessionId);
    world.ask(socket, { type: OpCode.AddWatch, path: "/a", mode: AddWatchMode.PersistentRecursive });
    world.signs.set(socket.socket, 17);
    world.forget([socket]);
    expect(socket.closed?.code).toBe(CloseCode.NotLeading);
    expect(world.connections.lastSign(session)).toBe(17);
    expect(sessionOfSocket(socket.socket)).toBe(session);
  });

  test("always fits, whatever the paths and identities; what does not fit costs the connection (property)", () => {
    const unit = fc.constantFrom("a", "é", "漢", "\u00ff");
    const path = fc.array(unit, { minLength: 1, maxLength: 400 }).map((units) => `/${units.join("")}`);
    const user = fc.array(unit, { maxLength: 900 }).map((units) => units.join(""));
    fc.assert(
      fc.property(fc.array(path, { maxLength: 60 }), fc.array(user, { maxLength: 3 }), (paths, users) => {
        const world = new World();
        const socket = world.connect();
        world.send(socket, ...users.map((name, i) => authFrame(i, "digest", `${name}:`)));
        if (socket.closed !== undefined) return;
        for (const each of paths) world.ask(socket, exists(each));
        const { isBound, watches } = attachmentOf(socket);
        expect(isBound).toBe(watches === undefined && paths.length > 0);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ["Latin", "é"],
    ["wider", "漢"],
  ])("holds 66 watches of 100 %s characters, and not one more", (_, unit) => {
    const world = new World();
    const socket = world.connect();
    const path = (i: number) => `/${unit.repeat(98)}${String(i).padStart(2, "0")}`;
    for (let i = 0; i < 66; i++) world.ask(socket, exists(path(i)));
    expect(attachmentOf(socket).isBound).toBe(false);
    world.ask(socket, exists(path(66)));
    expect(attachmentOf(socket).isBound).toBe(true);
    world.write(create(path(0)));
    expect(attachmentOf(socket).isBound).toBe(false);
  });

  test("fits with as many identities as there may be, of any text", () => {
    const world = new World();
    const socket = world.connect();
    const user = "漢".repeat(identityUnitsMax - 6 - 29);
    world.send(socket, authFrame(1, "digest", user));
    expect([socket.closed, attachmentOf(socket).identities.length]).toEqual([undefined, 1]);
  });
});

describe("a socket that outlived the memory", () => {
  test("goes on with its session, its identities and the requests it sent meanwhile", () => {
    const world = new World();
    const socket = world.connect();
    world.send(socket, authFrame(1, "digest", "bob:pw"));
    socket.take();
    world.forget([socket]);
    world.send(socket, pingFrame());
    world.send(socket, requestFrame(7, { type: OpCode.WhoAmI }));
    expect([said(socket), socket.closed]).toEqual([[], undefined]);
    world.turn(() => world.connections.wake());
    expect(xids(socket)).toEqual(["-2", "7"]);
    world.ask(socket, exists("/"), 8);
    expect([xids(socket), world.connections.size]).toEqual([["8"], 1]);
  });

  test("ends when the memory is lost again, which alone knew of a request", () => {
    const world = new World();
    const [silent, asking] = [world.connect(), world.connect()];
    world.forget([silent, asking]);
    world.send(asking, requestFrame(7, { type: OpCode.WhoAmI }));
    world.forget([silent, asking]);
    expect([silent.closed, asking.closed?.code]).toEqual([undefined, CloseCode.NotLeading]);
  });

  test("hears the events it missed first, with zxid -1, and keeps the other watches", () => {
    const world = new World();
    for (const path of ["/set", "/gone", "/same", "/parent"]) world.write(create(path));
    const socket = world.connect();
    for (const path of ["/set", "/gone", "/same", "/new", "/later"]) world.ask(socket, exists(path));
    world.ask(socket, children("/parent"));
    socket.take();
    world.forget([socket]);
    for (const request of [setData("/set"), remove("/gone"), create("/new"), create("/parent/x")])
      world.write(request);
    world.send(socket, pingFrame());
    world.turn(() => world.connections.wake());
    const heard = said(socket);
    expect(heard.slice(0, -1).toSorted()).toEqual([
      "event 1 /new -1",
      "event 2 /gone -1",
      "event 3 /set -1",
      "event 4 /parent -1",
    ]);
    expect(heard.at(-1)).toMatch(/^-2 /);
    expect(attachmentOf(socket).watches).toEqual({ data: ["/same"], exist: ["/later"], child: [] });
    world.write(setData("/same"));
    world.write(create("/later"));
    expect(xids(socket).map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "event 3 /same",
      "event 1 /later",
    ]);
  });

  test.each<[string, (world: World, socket: TestSocket) => void]>([
    ["before its handshake", () => undefined],
    [
      "with a write under way",
      (world, socket) => {
        world.send(socket, connectFrame());
        world.ask(socket, sync);
      },
    ],
    [
      "with a persistent watch",
      (world, socket) => {
        world.send(socket, connectFrame());
        world.ask(socket, { type: OpCode.AddWatch, path: "/", mode: AddWatchMode.Persistent });
      },
    ],
    [
      "of another version",
      (world, socket) => {
        world.send(socket, connectFrame());
        socket.serializeAttachment({ ...attachmentOf(socket), version: 1 });
      },
    ],
    ["without an attachment of ours", (_, socket) => socket.serializeAttachment("x")],
  ])("%s is closed: its client comes back with its session", (_, prepare) => {
    const world = new World();
    const socket = world.open();
    prepare(world, socket);
    world.forget([socket]);
    expect(socket.closed?.code).toBe(CloseCode.NotLeading);
    world.turn(() => world.connections.wake());
    expect(world.connections.size).toBe(0);
  });

  test("whose session has ended is closed", () => {
    const world = new World();
    const socket = world.connect();
    const sessionId = makeSessionId(1n);
    world.forget([socket]);
    world.turn(() => world.leader.submit(goodbye, { requester: { sessionId, identities: [] } }));
    world.turn(() => world.connections.wake());
    expect([socket.closed?.code, said(socket)]).toEqual([CloseCode.Normal, []]);
  });

  test("is closed when nobody was found to lead, or another does", () => {
    for (const end of ["closeSleepers", "closeAll"] as const) {
      const world = new World();
      const socket = world.connect();
      world.forget([socket]);
      world.connections[end]("no leader");
      expect(socket.closed).toEqual({ code: CloseCode.NotLeading, reason: "no leader" });
      world.turn(() => world.connections.wake());
      expect(world.connections.size).toBe(0);
    }
  });

  test("may send 1 MiB while it waits, and not a byte more", () => {
    const world = new World();
    const socket = world.connect();
    world.forget([socket]);
    world.send(socket, new Uint8Array(1024 * 1024));
    expect(socket.closed).toBeUndefined();
    world.send(socket, new Uint8Array(1));
    expect(socket.closed?.code).toBe(CloseCode.NotLeading);
  });

  test("that its client closed does not wake", () => {
    const world = new World();
    const socket = world.connect();
    world.forget([socket]);
    world.turn(() => world.connections.closed(socket.socket, 1000));
    world.turn(() => world.connections.wake());
    expect(world.connections.size).toBe(0);
  });

  test("and shares its session with another gives way to the later one", () => {
    const world = new World();
    const first = world.connect();
    const second = new TestSocket();
    second.serializeAttachment(attachmentOf(first));
    world.forget([first, second]);
    world.turn(() => world.connections.wake());
    expect([first.closed?.code, second.closed]).toEqual([CloseCode.Normal, undefined]);
  });
});

describe("a session", () => {
  test("connected again closes the older socket, and is not closed with it", () => {
    const world = new World();
    const first = world.connect();
    const second = world.connect(1n);
    expect([first.closed?.code, second.closed, world.connections.size]).toEqual([
      CloseCode.Normal,
      undefined,
      1,
    ]);
    world.turn(() => world.connections.closed(first.socket, 1000));
    world.turn(() => world.connections.endSession(makeSessionId(1n)));
    expect(second.closed?.code).toBe(CloseCode.Normal);
  });

  test.each([
    [1, false],
    [2, true],
  ])("taken up again, as its connection %d, ends the first one: %s", (ownership, isClosed) => {
    const world = new World();
    const first = world.connect();
    world.turn(() => world.connections.endEarlier({ id: makeSessionId(1n), timeoutMs: 4_000, ownership }));
    expect(first.closed !== undefined).toBe(isClosed);
    world.turn(() => world.connections.endEarlier({ id: makeSessionId(9n), timeoutMs: 4_000, ownership }));
  });

  test.each([
    [0, 1],
    [1, 0],
  ])(
    "taken up elsewhere %d times while its member was out of memory leaves it %d connections",
    (times, left) => {
      const world = new World();
      const socket = world.connect();
      for (let i = 0; i < times; i++) world.renew(makeSessionId(1n));
      world.forget([socket]);
      world.turn(() => world.connections.wake());
      expect([world.connections.size, socket.closed === undefined]).toEqual([left, left === 1]);
    },
  );

  test("that ends sends what was answered, then closes", () => {
    const world = new World();
    const socket = world.connect();
    world.turn(() => {
      world.connections.receive(socket.socket, join(pingFrame()).buffer as ArrayBuffer);
      world.connections.endSession(makeSessionId(1n));
    });
    expect([said(socket).length, socket.closed?.code]).toEqual([1, CloseCode.Normal]);
  });

  test("that said goodbye is answered first, and is over no sooner than its sync is confirmed", () => {
    const world = new World();
    const socket = world.connect();
    world.send(socket, requestFrame(1, sync), requestFrame(2, goodbye));
    expect([world.leader.tree.hasSession(makeSessionId(1n)), socket.closed]).toEqual([true, undefined]);
    world.turn(() => world.confirms[0]?.(true));
    expect([xids(socket), socket.closed?.code]).toEqual([["1", "2"], CloseCode.Normal]);
  });

  test("that nobody is connected to ends silently", () => {
    const world = new World();
    expect(() => world.turn(() => world.connections.endSession(makeSessionId(9n)))).not.toThrow();
  });
});

describe("events", () => {
  test("are told to whoever may read, before the writer's answer", () => {
    const world = new World();
    const socket = world.connect();
    world.ask(socket, exists("/b"));
    socket.take();
    world.send(socket, requestFrame(3, create("/b")));
    expect(xids(socket).map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual(["event 1 /b", "3"]);
  });

  test("are kept from whoever may not", () => {
    const world = new World();
    const socket = world.connect();
    world.ask(socket, exists("/secret"));
    socket.take();
    world.write(create("/secret", { acl: bobOnly }));
    expect(said(socket)).toEqual([]);
  });
});

describe("a socket", () => {
  test("that sends text is dropped", () => {
    const world = new World();
    const socket = world.connect();
    world.turn(() => world.connections.receive(socket.socket, "hello"));
    expect([socket.closed?.code, world.connections.size]).toEqual([CloseCode.Dropped, 0]);
  });

  test("nobody knows is closed", () => {
    const world = new World();
    const socket = new TestSocket();
    world.send(socket, pingFrame());
    expect(socket.closed?.code).toBe(CloseCode.NotLeading);
  });

  test.each([
    [1000, 1000],
    [4321, 4321],
    [1001, 1000],
    [1005, 1000],
    [1006, 1000],
  ])(
    "closed by its client with %d is closed here with %d; its session and nothing else stays",
    (code, answer) => {
      const world = new World();
      const socket = world.connect();
      world.ask(socket, exists("/a"));
      world.turn(() => world.connections.closed(socket.socket, code));
      expect([socket.closed?.code, world.connections.size]).toEqual([answer, 0]);
      expect(world.leader.tree.watches.watcherCount).toBe(0);
      expect(world.leader.tree.hasSession(makeSessionId(1n))).toBe(true);
    },
  );

  test("that breaks the protocol is dropped without an answer", () => {
    const world = new World();
    const socket = world.connect();
    world.send(socket, pingFrame(), Uint8Array.of(255, 255, 255, 255));
    expect([said(socket), socket.closed?.code]).toEqual([[], CloseCode.Dropped]);
  });

  test("of a member that leads no more is closed, unanswered and forgotten", () => {
    const world = new World();
    const sockets = [world.connect(), world.connect(), world.open()];
    const [first] = sockets;
    if (first !== undefined) world.ask(first, exists("/a"));
    for (const socket of sockets) socket.take();
    world.turn(() => {
      if (first !== undefined)
        world.connections.receive(first.socket, join(pingFrame()).buffer as ArrayBuffer);
      world.connections.closeAll("leadership lost");
    });
    for (const socket of sockets) {
      expect([socket.closed, said(socket)]).toEqual([
        { code: CloseCode.NotLeading, reason: "leadership lost" },
        [],
      ]);
    }
    expect([world.connections.size, world.leader.tree.watches.watcherCount]).toEqual([0, 0]);
  });

  test("finds room until there are connectionsMax, those that sleep counted", () => {
    const world = new World();
    const sleeper = world.connect();
    world.forget([sleeper]);
    const fill = (size: number) => {
      while (world.connections.size < size)
        world.connections.open(new TestSocket().socket, {
          address: "",
          port: 0,
          mustShowToken: false,
          wantsCredit: false,
        });
    };
    fill(connectionsMax - 2);
    expect(world.connections.hasRoom).toBe(true);
    fill(connectionsMax - 1);
    expect([world.connections.hasRoom, world.connections.size]).toEqual([false, connectionsMax - 1]);
    world.turn(() => world.connections.closed(sleeper.socket, 1000));
    expect(world.connections.hasRoom).toBe(true);
  });
});

describe("what is held for sockets", () => {
  test("is bounded for all sleepers together", () => {
    const world = new World();
    const sockets = Array.from({ length: 40 }, () => world.connect());
    world.forget(sockets);
    for (const { socket } of sockets) world.connections.receive(socket, new ArrayBuffer(1024 * 1024));
    const closed = sockets.filter(({ closed }) => closed !== undefined);
    expect([sockets.length - closed.length, closed[0]?.closed?.code]).toEqual([32, CloseCode.NotLeading]);
  });

  test("is bounded for all unfinished frames together: the largest goes", () => {
    const world = new World();
    const sockets = Array.from({ length: 40 }, () => world.connect());
    const part = new Uint8Array(1_000_000);
    new DataView(part.buffer).setInt32(0, 1_040_000);
    for (const [i, { socket }] of sockets.entries()) {
      world.turn(() => world.connections.receive(socket, part.slice(0, 900_000 + i).buffer));
    }
    const open = sockets.filter(({ closed }) => closed === undefined);
    expect(open.length).toBe(37);
    expect(open.includes(sockets[0] as TestSocket)).toBe(true);
  });

  test("ends for a socket that never shakes hands, and only for it", () => {
    const world = new World();
    const client = world.connect();
    const stranger = new TestSocket();
    world.turn(() =>
      world.connections.open(stranger.socket, {
        address: "",
        port: 0,
        mustShowToken: false,
        wantsCredit: false,
      }),
    );
    for (let tick = 0; tick < 99; tick++) world.connections.tick();
    expect(stranger.closed).toBeUndefined();
    world.connections.tick();
    expect(stranger.closed?.code).toBe(CloseCode.Dropped);
    expect(client.closed).toBeUndefined();
  });
});

describe("a socket that connections share", () => {
  const gateway = "0123456789abcdef0123456789abcdef";

  /** A gateway with one, and as many connections that may use it. */
  class Gateway {
    readonly world = new World();
    readonly shared = new TestSocket();
    readonly own: TestSocket[];
    readonly #heard: Heard[];
    /** Of each connection, since last asked: what its client hears, marks and ends. */
    readonly #said: string[][];

    constructor(count: number) {
      this.own = Array.from({ length: count }, (_, number) => this.world.open({ lane: { gateway, number } }));
      this.#heard = this.own.map(() => new Heard());
      this.#said = this.own.map(() => []);
      this.world.turn(() => this.world.lanes.open(this.shared.socket, gateway, this.world.connections));
    }

    /** One message. */
    send(...parts: readonly Uint8Array[]): void {
      this.sendRaw(join(...parts));
    }

    sendRaw(message: Uint8Array | string): void {
      const { world } = this;
      const raw = typeof message === "string" ? message : (message.slice().buffer as ArrayBuffer);
      world.turn(() => world.lanes.receive(this.shared.socket, raw, world.connections));
    }

    connect(): void {
      this.send(...this.own.map((_, lane) => bytesOf(lane, connectFrame())));
      this.said(0);
      for (const said of this.#said) said.length = 0;
      this.shared.take();
    }

    said(lane: number): string[] {
      const reader = new LaneReader();
      for (const message of this.shared.take()) {
        for (const part of reader.push(message)) {
          const said = this.#said[part.lane] ?? [];
          if (part.kind === "bytes") said.push(...(this.#heard[part.lane]?.read(part.bytes) ?? []));
          else said.push(part.kind);
        }
      }
      const told = this.#said[lane]?.splice(0) ?? [];
      return told.map((line) => line.replace(/ -?\d+ -?\d+$/, ""));
    }

    forget(...without: readonly TestSocket[]): void {
      const sockets = [...this.own, this.shared].filter((socket) => !without.includes(socket));
      this.world.forget(sockets);
    }
  }

  const bytesOf = (lane: number, ...frames: readonly Uint8Array[]) => {
    const bytes = join(...frames);
    return join(encodeLaneHead(lane, bytes.length), bytes);
  };

  test("carries the answers of all in one message, and nothing on their own", () => {
    const gateway = new Gateway(3);
    gateway.connect();
    gateway.send(
      bytesOf(0, pingFrame(), pingFrame(-3)),
      bytesOf(2, requestFrame(7, { type: OpCode.WhoAmI })),
      bytesOf(1, pingFrame()),
    );
    expect(gateway.shared.messages).toHaveLength(1);
    expect([0, 1, 2].map((lane) => gateway.said(lane))).toEqual([["-2", "-2"], ["-2"], ["7"]]);
    expect(gateway.own.flatMap(({ messages }) => messages)).toEqual([]);
  });

  test("carries one event to each of many watchers in one message", () => {
    const gateway = new Gateway(200);
    gateway.connect();
    gateway.send(...gateway.own.map((_, lane) => bytesOf(lane, requestFrame(1, exists("/a")))));
    gateway.shared.take();
    gateway.world.write(create("/a"));
    expect(gateway.shared.messages).toHaveLength(1);
    expect(gateway.said(199)).toEqual([expect.stringMatching(/^event 1 \/a/)]);
  });

  test("cuts what is long into messages of at most 1 MiB, and the streams are the same", () => {
    const gateway = new Gateway(2);
    gateway.connect();
    gateway.world.write(create("/a", { data: new Uint8Array(900_000) }));
    const get = { type: OpCode.GetData, path: "/a", watch: false } as const;
    gateway.send(bytesOf(0, requestFrame(1, get), requestFrame(2, get)), bytesOf(1, requestFrame(3, get)));
    expect(gateway.shared.messages.every(({ length }) => length <= 1024 * 1024)).toBe(true);
    const reader = new LaneReader();
    const streams: Uint8Array[][] = [[], []];
    for (const message of gateway.shared.take()) {
      for (const part of reader.push(message))
        if (part.kind === "bytes") streams[part.lane]?.push(part.bytes);
    }
    const heard = streams.map((stream) =>
      new Heard(true).read(join(...stream)).map((line) => line.split(" ")[0]),
    );
    expect(heard).toEqual([["1", "2"], ["3"]]);
  });

  test("is not used by who begins on its own, nor may who uses it come there", () => {
    const gateway = new Gateway(2);
    const [alone, other] = gateway.own;
    if (alone === undefined || other === undefined) throw new Error("there are two");
    gateway.world.send(alone, connectFrame());
    expect(alone.take()).toHaveLength(1);
    gateway.send(bytesOf(0, pingFrame()), bytesOf(1, connectFrame()));
    expect([alone.messages, gateway.said(0), gateway.said(1).length]).toEqual([[], [], 1]);
    gateway.world.send(other, pingFrame());
    expect([other.closed?.code, gateway.said(1)]).toEqual([CloseCode.Dropped, ["end"]]);
    expect([alone.closed, gateway.shared.closed]).toEqual([undefined, undefined]);
  });

  test("ends a connection behind its answers, from either side", () => {
    const gateway = new Gateway(2);
    gateway.connect();
    gateway.send(
      bytesOf(0, pingFrame(), requestFrame(1, goodbye)),
      join(bytesOf(1, requestFrame(2, { type: OpCode.WhoAmI })), encodeLaneEnd(1)),
    );
    gateway.world.turn(() => undefined);
    expect([gateway.said(0), gateway.own[0]?.closed?.code]).toEqual([["-2", "1", "end"], CloseCode.Normal]);
    expect([gateway.said(1), gateway.own[1]?.closed?.code]).toEqual([["2", "end"], CloseCode.Normal]);
    expect(gateway.world.connections.size).toBe(0);
    // Its number says nothing any more.
    gateway.send(bytesOf(0, pingFrame()), encodeLaneEnd(0), encodeLaneTurn(1));
    expect([gateway.said(0), gateway.shared.closed]).toEqual([[], undefined]);
  });

  test("is left by who reads too slowly: its own socket carries on behind the mark", () => {
    const gateway = new Gateway(2);
    gateway.connect();
    gateway.send(bytesOf(0, pingFrame()), encodeLaneTurn(0), encodeLaneTurn(0), bytesOf(0, pingFrame()));
    // What the turn had to say when it was over came behind the mark.
    expect(gateway.said(0)).toEqual(["turn"]);
    expect(gateway.own[0]?.take().flatMap((message) => new Heard(true).read(message))).toHaveLength(2);
    expect(attachmentOf(gateway.own[0] as TestSocket)).toMatchObject({ way: "turned", version: 4 });
    gateway.forget();
    gateway.world.turn(() => gateway.world.connections.wake());
    gateway.send(bytesOf(0, pingFrame()), bytesOf(1, pingFrame()));
    expect(gateway.own[0]?.take()).toHaveLength(1);
    expect([gateway.said(0), gateway.said(1)]).toEqual([[], ["-2"]]);
  });

  test("and its connections go on when the memory was lost, also with what came meanwhile", () => {
    const gateway = new Gateway(2);
    gateway.connect();
    expect(gateway.own.map(attachmentOf)).toMatchObject([{ way: "shared" }, { way: "shared" }]);
    gateway.forget();
    gateway.send(bytesOf(1, requestFrame(7, { type: OpCode.WhoAmI })));
    expect(gateway.said(1)).toEqual([]);
    gateway.world.turn(() => gateway.world.connections.wake());
    expect([gateway.said(1), gateway.world.connections.size]).toEqual([["7"], 2]);
  });

  test("tells who could not go on when the memory was lost", () => {
    const gateway = new Gateway(2);
    gateway.connect();
    gateway.send(bytesOf(0, pingFrame().slice(0, 5)));
    gateway.forget();
    gateway.world.turn(() => gateway.world.connections.wake());
    expect([gateway.said(0), gateway.own[0]?.closed?.code]).toEqual([["end"], CloseCode.NotLeading]);
    expect(gateway.world.connections.size).toBe(1);
  });

  test("takes its connections with it: when it closes, and when it was lost with the memory", () => {
    const closing = new Gateway(3);
    closing.send(bytesOf(0, connectFrame()), bytesOf(1, connectFrame()));
    closing.world.turn(() =>
      closing.world.lanes.closed(closing.shared.socket, 1006, closing.world.connections),
    );
    const codes = closing.own.map(({ closed }) => closed?.code);
    // The last one has said nothing yet, and may do so on another.
    expect(codes).toEqual([CloseCode.NotLeading, CloseCode.NotLeading, undefined]);
    const losing = new Gateway(1);
    losing.connect();
    losing.forget(losing.shared);
    losing.world.turn(() => losing.world.connections.wake());
    expect([losing.own[0]?.closed?.code, losing.world.connections.size]).toEqual([CloseCode.NotLeading, 0]);
  });

  test("gives way to another one of the same gateway, with its connections", () => {
    const gateway = new Gateway(2);
    gateway.send(bytesOf(0, connectFrame()));
    const { world } = gateway;
    const next = new TestSocket();
    world.turn(() => world.lanes.open(next.socket, "0123456789abcdef0123456789abcdef", world.connections));
    expect([gateway.shared.closed?.code, gateway.own[0]?.closed?.code]).toEqual([1000, CloseCode.NotLeading]);
    const message = bytesOf(1, connectFrame());
    world.turn(() => world.lanes.receive(next.socket, message.buffer as ArrayBuffer, world.connections));
    expect([next.messages.length, world.lanes.size]).toEqual([1, 1]);
  });

  test.each([
    ["text", "hello"],
    ["half a head", Uint8Array.of(0, 0, 0)],
    ["fewer bytes than it says", join(encodeLaneHead(0, 3), Uint8Array.of(1, 2))],
    ["a word that says nothing", encodeLaneHead(0, -7)],
  ])("is dropped for %s, and nothing of it is heard", (_, message) => {
    const gateway = new Gateway(1);
    gateway.connect();
    gateway.sendRaw(typeof message === "string" ? message : join(bytesOf(0, pingFrame()), message));
    expect([gateway.shared.closed?.code, gateway.said(0)]).toEqual([CloseCode.Dropped, []]);
    expect([gateway.own[0]?.closed?.code, gateway.world.lanes.size]).toEqual([CloseCode.NotLeading, 0]);
  });

  test("hears messages of 4 MiB, and is dropped for a byte more", () => {
    const gateway = new Gateway(1);
    gateway.connect();
    const ping = bytesOf(0, pingFrame());
    // Nobody has the number 7.
    const filled = (length: number) => join(ping, bytesOf(7, new Uint8Array(length - ping.length - 8)));
    gateway.sendRaw(filled(4 * 1024 * 1024));
    expect([gateway.shared.closed, gateway.said(0)]).toEqual([undefined, ["-2"]]);
    gateway.sendRaw(filled(4 * 1024 * 1024 + 1));
    expect(gateway.shared.closed?.code).toBe(CloseCode.Dropped);
  });

  test("that takes no more is dropped, with its connections", () => {
    const gateway = new Gateway(1);
    gateway.connect();
    gateway.shared.isBroken = true;
    gateway.send(bytesOf(0, pingFrame()));
    expect([gateway.own[0]?.closed?.code, gateway.world.connections.size]).toEqual([CloseCode.NotLeading, 0]);
  });

  test("does not let a number be used twice", () => {
    const first = new Gateway(1);
    first.connect();
    const second = first.world.open({ lane: { gateway, number: 0 } });
    expect([second.closed?.code, first.own[0]?.closed]).toEqual([CloseCode.Dropped, undefined]);
  });

  test("keeps no message alive for a few bytes of it", () => {
    const gateway = new Gateway(2);
    const kept: Uint8Array[] = [];
    const owner = {
      receiveBytes: (_: WebSocket, bytes: Uint8Array) => kept.push(bytes),
      closed: () => undefined,
    };
    const large = new Uint8Array(1_000);
    const message = join(bytesOf(0, Uint8Array.of(1)), bytesOf(1, large));
    gateway.world.lanes.receive(gateway.shared.socket, message.buffer as ArrayBuffer, owner);
    expect(kept.map(({ buffer, length }) => [length, buffer.byteLength === message.length])).toEqual([
      [1, false],
      [1_000, true],
    ]);
  });
});
