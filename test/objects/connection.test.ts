/**
 * Proves which frames of a client are answered, in which order, and when its stream ends.
 *
 * A connection against a scripted host: the test opens sessions, settles writes and confirms reads when it
 * likes. Sources: the wire reference, sections 1, 3, 4, 9, 14 to 16, 27 and 28.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ConnectRequest,
  EventType,
  type MultiOp,
  makeSessionId,
  makeZxid,
  OPEN_ACL,
  OpCode,
  type ReadRequest,
  type Requester,
  type SessionId,
  type WriteRequest,
  ZkErrorCode,
  type Zxid,
} from "../../src/base/index.ts";
import type { ClientWrite } from "../../src/objects/agreement.ts";
import { outputBytesMax, readsAheadMax } from "../../src/objects/answers.ts";
import { Connection, connectionQueueMax, heldBytesMax } from "../../src/objects/connection.ts";
import type { ConnectionHost, Guest, OpenedSession, ReadAnswer } from "../../src/objects/connection-host.ts";
import { type AuthRules, identitiesMax, identityUnitsMax } from "../../src/objects/identities.ts";
import { creditStepBytes } from "../../src/objects/intake.ts";
import { ServerStats } from "../../src/objects/stats.ts";
import { bytesOf, hexOf } from "../jute/hostile.ts";
import { authFrame, connectFrame, Heard, join, pingFrame, rawFrame, requestFrame } from "./support/stream.ts";

const session: OpenedSession = {
  id: makeSessionId(0x100000100000001n),
  timeoutMs: 10_000,
  password: new Uint8Array(16).fill(7),
  ownership: 2,
};

const watcher = 5;

interface PendingWrite {
  readonly request: WriteRequest;
  readonly requester: Requester;
  readonly cxid: number;
  /** Applies as txn `counter` of epoch 1. */
  apply(counter: number, code?: ZkErrorCode): void;
  lose(): void;
}

class Host implements ConnectionHost {
  applied: Zxid = makeZxid(1, 10);
  authRules: AuthRules = { superDigest: undefined, token: undefined, requiredSchemes: [] };
  readonly stats = new ServerStats();
  throttledOpWaitMs = 0;
  nowMs = 1_000;
  readonly asked: ConnectRequest[] = [];
  readonly openings: ((opened: OpenedSession | undefined) => void)[] = [];
  readonly writes: PendingWrite[] = [];
  readonly reads: { readonly request: ReadRequest; readonly requester: Requester }[] = [];
  readonly confirms: { readonly fresh: boolean; readonly done: (confirmed: boolean) => void }[] = [];
  readonly touched: SessionId[] = [];
  changes = 0;
  hasRoom = true;
  opensAtOnce = true;
  answer: (request: ReadRequest) => ReadAnswer = () => ({ err: ZkErrorCode.Ok });

  openSession(
    _: Connection,
    request: ConnectRequest,
    __: boolean,
    done: (opened: OpenedSession | undefined) => void,
  ): void {
    this.asked.push(request);
    if (this.opensAtOnce) done(session);
    else this.openings.push(done);
  }

  touch(id: SessionId): void {
    this.touched.push(id);
  }

  write({ request, requester, cxid, settle }: ClientWrite): boolean {
    if (!this.hasRoom) return false;
    const apply = (counter: number, code: ZkErrorCode = ZkErrorCode.Ok) => {
      this.applied = makeZxid(1, counter);
      const outcome =
        code === ZkErrorCode.Ok
          ? ({ kind: "done", results: [] } as const)
          : ({ kind: "refused", code } as const);
      settle({ kind: "applied", zxid: this.applied, applied: { outcome, triggers: [] } });
    };
    this.writes.push({ request, requester, cxid, apply, lose: () => settle({ kind: "lost" }) });
    return true;
  }

  read(request: ReadRequest, requester: Requester, by: number): ReadAnswer {
    expect(by).toBe(watcher);
    this.reads.push({ request, requester });
    return this.answer(request);
  }

  now(): number {
    return this.nowMs;
  }

  confirm(fresh: boolean, done: (confirmed: boolean) => void): void {
    this.confirms.push({ fresh, done });
  }

  changed(): void {
    this.changes += 1;
  }
}

class World {
  readonly host = new Host();
  readonly connection: Connection;
  readonly #heard = new Heard();

  constructor(
    guest: Guest = { identities: [{ scheme: "ip", id: "::1" }], mustShowToken: false },
    rules?: AuthRules,
  ) {
    if (rules !== undefined) this.host.authRules = rules;
    this.connection = new Connection(this.host, watcher, guest);
  }

  /** Sends, and answers what came back. */
  send(...frames: readonly Uint8Array[]): string[] {
    this.connection.receive(join(...frames), true);
    return this.hear();
  }

  hear(): string[] {
    return this.#heard.read(this.connection.takeOutput());
  }

  write(at = 0): PendingWrite {
    const write = this.host.writes[at];
    if (write === undefined) throw new Error(`there is no write ${at}`);
    return write;
  }

  get end(): string | undefined {
    return this.connection.ending?.kind;
  }
}

/** Its handshake is over. */
function connected(): World {
  const world = new World();
  world.send(connectFrame());
  return world;
}

// Answered by headers alone, so nothing needs to be made up for them.
const remove = { type: OpCode.Delete, path: "/a", version: -1 } as const;
const exists = { type: OpCode.Exists, path: "/a", watch: false } as const;
const goodbye = { type: OpCode.CloseSession } as const;
const sync = { type: OpCode.Sync, path: "/a" } as const;

const zxid10 = 0x10000000an;

describe("the handshake", () => {
  const head = "00000000 00002710 0100000100000001 00000010 07070707070707070707070707070707";

  test.each([
    [false, `00000025 ${head} 00`],
    [true, `00000025 ${head} 00`],
    [undefined, `00000024 ${head}`],
  ])("of a client whose readOnly is %s is answered alike, the byte only if it was sent", (readOnly, hex) => {
    const world = new World();
    world.connection.receive(connectFrame({ readOnly }), true);
    expect(hexOf(world.connection.takeOutput() ?? new Uint8Array(0))).toBe(hexOf(bytesOf(hex)));
    expect(world.host.asked).toMatchObject([{ sessionId: 0n, timeoutMs: 10_000 }]);
    expect([world.end, world.connection.sessionId]).toEqual([undefined, session.id]);
  });

  test.each([
    [false, `00000025 ${"00".repeat(16)} 00000010 ${"00".repeat(16)} 00`],
    [undefined, `00000024 ${"00".repeat(16)} 00000010 ${"00".repeat(16)}`],
  ])("for a session that is gone is answered with zeros, then closed (readOnly %s)", (readOnly, hex) => {
    const world = new World();
    world.host.opensAtOnce = false;
    world.connection.receive(join(connectFrame({ sessionId: 9n, readOnly }), pingFrame()), true);
    world.host.openings[0]?.(undefined);
    expect(hexOf(world.connection.takeOutput() ?? new Uint8Array(0))).toBe(hexOf(bytesOf(hex)));
    expect([world.end, world.host.touched]).toEqual(["close", []]);
  });

  test("is answered when the session is open, and nothing before", () => {
    const world = new World();
    world.host.opensAtOnce = false;
    expect(world.send(connectFrame(), pingFrame())).toEqual([]);
    world.host.openings[0]?.(session);
    expect(world.hear()).toEqual([`connected ${session.id} 10000`, `-2 ${zxid10} 0`]);
  });

  test.each([
    ["cut short", "00000004 00000000"],
    ["of 0 bytes", "00000000"],
    ["of negative length", "ffffffff"],
    ["larger than a frame", "00100000"],
    ["a four-letter word", "72756f6b"],
  ])("that is %s is dropped without an answer", (_, hex) => {
    const world = new World();
    expect([world.send(bytesOf(hex)), world.end, world.host.asked]).toEqual([[], "drop", []]);
  });

  test("whose connection ended meanwhile is answered by nobody", () => {
    const world = new World();
    world.host.opensAtOnce = false;
    world.send(connectFrame(), pingFrame());
    world.connection.end({ kind: "drop", reason: "gone" });
    world.host.openings[0]?.(session);
    expect([world.hear(), world.host.touched, world.connection.sessionId]).toEqual([[], [], 0n]);
  });

  test("lets a client send heldBytesMax ahead, and not a byte more", () => {
    for (const [bytes, end] of [
      [heldBytesMax, undefined],
      [heldBytesMax + 1, "drop"],
    ] as const) {
      const world = new World();
      world.host.opensAtOnce = false;
      world.send(connectFrame());
      for (let sent = 0; sent < bytes; sent += 65_536)
        world.connection.receive(new Uint8Array(Math.min(65_536, bytes - sent)), false);
      expect(world.end).toBe(end);
    }
  });

  test("counts what comes in one message with the connect request, too", () => {
    const world = new World();
    world.host.opensAtOnce = false;
    world.connection.receive(join(connectFrame(), new Uint8Array(heldBytesMax + 1)), true);
    expect(world.end).toBe("drop");
  });
});

describe("answers", () => {
  test("carry the member's zxid, a write its own, a ping -2, auth 0", () => {
    const world = connected();
    expect(world.send(pingFrame(), pingFrame(77), requestFrame(0, exists))).toEqual([
      `-2 ${zxid10} 0`,
      `-2 ${zxid10} 0`,
      `0 ${zxid10} 0`,
    ]);
    world.send(requestFrame(3, remove));
    world.write().apply(12);
    world.host.applied = makeZxid(1, 20);
    expect(world.hear()).toEqual([`3 ${0x10000000cn} 0`]);
    expect(world.send(authFrame(-4, "digest", "bob:pw"), authFrame(9, "ip", null))).toEqual([
      "-4 0 0",
      "9 0 0",
    ]);
  });

  test("to a refused write carry its own zxid and its code", () => {
    const world = connected();
    world.send(requestFrame(3, remove));
    world.write().apply(12, ZkErrorCode.NoNode);
    expect(world.hear()).toEqual([`3 ${0x10000000cn} -101`]);
  });

  test("wait for the writes before them, each in its place", () => {
    const world = connected();
    const frames = [
      requestFrame(1, remove),
      requestFrame(2, exists),
      pingFrame(),
      requestFrame(3, sync),
      authFrame(4, "digest", "a:b"),
      requestFrame(5, { type: OpCode.Sasl, token: new Uint8Array(0) }),
      requestFrame(6, remove),
      requestFrame(7, exists),
    ];
    expect(world.send(...frames)).toEqual([]);
    world.host.confirms[0]?.done(true);
    expect([world.host.writes.length, world.host.reads.length]).toEqual([2, 0]);
    expect(world.hear()).toEqual([]);
    world.write(1).apply(12);
    world.host.applied = makeZxid(1, 12);
    expect(world.hear()).toEqual([]);
    world.write(0).apply(11);
    const said = world.hear();
    expect(said.map((line) => line.split(" ")[0])).toEqual(["1", "2", "-2", "3", "4", "5", "6", "7"]);
    expect(world.host.reads).toHaveLength(2);
  });

  test("to reads come from the state at their turn, with the identities of their arrival", () => {
    const world = connected();
    world.send(requestFrame(1, remove), requestFrame(2, exists), authFrame(3, "digest", "bob:pw"));
    world.send(requestFrame(4, exists));
    expect(world.host.reads).toEqual([]);
    world.write().apply(11);
    expect(world.hear()).toEqual([
      `1 ${0x10000000bn} 0`,
      `2 ${0x10000000bn} 0`,
      "3 0 0",
      `4 ${0x10000000bn} 0`,
    ]);
    expect(world.host.reads.map(({ requester }) => requester.identities.map(({ scheme }) => scheme))).toEqual(
      [["ip"], ["ip", "digest"]],
    );
    expect(world.host.reads[0]?.requester.sessionId).toBe(session.id);
  });

  test("to a sync wait for the confirmation", () => {
    const world = connected();
    expect(world.send(requestFrame(1, sync), pingFrame())).toEqual([]);
    world.host.confirms[0]?.done(true);
    expect(world.hear()).toEqual([`1 ${zxid10} 0`, `-2 ${zxid10} 0`]);
  });

  test("without SASL are an empty challenge, and a reconfig is ordered like any write", () => {
    const world = connected();
    world.connection.receive(requestFrame(5, { type: OpCode.Sasl, token: Uint8Array.of(1) }), true);
    expect(hexOf(world.connection.takeOutput() ?? new Uint8Array(0))).toBe(
      hexOf(bytesOf("00000014 00000005 0000000000000000 00000000 ffffffff")),
    );
    const reconfig = { joiningServers: null, leavingServers: null, newMembers: null, curConfigId: -1n };
    expect(world.send(requestFrame(6, { type: OpCode.Reconfig, ...reconfig }))).toEqual([]);
    expect(world.host.writes.map(({ request }) => request.type)).toEqual([OpCode.Reconfig]);
  });

  test("outside of `receive` are announced to the host", () => {
    const world = connected();
    world.send(requestFrame(1, remove), requestFrame(2, sync));
    const before = world.host.changes;
    world.write().apply(11);
    world.host.confirms[0]?.done(true);
    expect(world.host.changes).toBeGreaterThanOrEqual(before + 2);
  });
});

describe("a sync", () => {
  test("is fresh in the event that brought it, and not when it was held back", () => {
    const world = new World();
    world.host.opensAtOnce = false;
    world.send(connectFrame(), requestFrame(1, sync));
    world.host.openings[0]?.(session);
    world.send(requestFrame(2, sync));
    world.connection.receive(requestFrame(3, sync), false);
    expect(world.host.confirms.map(({ fresh }) => fresh)).toEqual([false, true, false]);
  });

  test("holds the writes behind it back, so that nothing before them shows them", () => {
    const world = connected();
    world.send(requestFrame(1, sync), requestFrame(2, sync), requestFrame(3, remove), pingFrame());
    expect([world.host.writes.length, world.host.confirms.length]).toEqual([0, 2]);
    world.host.confirms[0]?.done(true);
    expect(world.host.writes).toHaveLength(0);
    world.host.confirms[1]?.done(true);
    expect(world.write()).toMatchObject({ request: remove, cxid: 3 });
    world.write().apply(11);
    expect(world.hear().map((said) => said.split(" ")[0])).toEqual(["1", "2", "3", "-2"]);
  });

  test("holds a write back, and what comes behind that shows that its client is alive", () => {
    const world = connected();
    world.send(requestFrame(1, sync), requestFrame(2, remove));
    const { length } = world.host.touched;
    world.send(pingFrame());
    expect(world.host.touched.slice(length)).toEqual([session.id]);
  });

  test("that ends its connection takes the write behind it along", () => {
    const world = connected();
    world.send(requestFrame(1, sync), requestFrame(2, remove));
    expect(world.connection.heldBytes).toBeGreaterThan(0);
    world.host.confirms[0]?.done(false);
    expect([world.host.writes.length, world.connection.heldBytes]).toEqual([0, 0]);
  });

  test("that cannot be confirmed drops the connection", () => {
    const world = connected();
    world.send(requestFrame(1, sync));
    world.host.confirms[0]?.done(false);
    expect([world.hear(), world.end]).toEqual([[], "drop"]);
  });
});

describe("a write", () => {
  test("is submitted on arrival, with its xid, session and identities", () => {
    const world = connected();
    world.send(requestFrame(8, remove));
    expect(world.write()).toMatchObject({ request: remove, cxid: 8, requester: { sessionId: session.id } });
  });

  test("keeps a copy of its data, not the client's whole message", () => {
    const world = connected();
    const data = Uint8Array.of(1, 2, 3);
    const create = { type: OpCode.Create, path: "/a", data, acl: OPEN_ACL, flags: 0, ttlMs: -1 } as const;
    const set = { type: OpCode.SetData, path: "/a", data, version: -1 } as const;
    world.send(requestFrame(1, create), requestFrame(2, set));
    world.send(requestFrame(3, { type: OpCode.Multi, ops: [create, set] }));
    const kept = world.host.writes.flatMap(({ request }) => dataOf(request));
    for (const held of kept) expect([held, held?.buffer.byteLength]).toEqual([data, 3]);
    expect(kept).toHaveLength(4);
  });

  test("that is lost drops the connection, and answers nothing after it", () => {
    const world = connected();
    world.send(requestFrame(1, remove), pingFrame());
    world.write().lose();
    expect([world.hear(), world.end]).toEqual([[], "drop"]);
  });

  test("that settles after the connection has ended changes nothing", () => {
    const world = connected();
    world.send(requestFrame(1, remove), requestFrame(2, sync));
    world.connection.end({ kind: "close", reason: "elsewhere" });
    const before = world.host.changes;
    world.write().apply(11);
    world.host.confirms[0]?.done(true);
    expect([world.hear(), world.host.changes]).toEqual([[], before]);
  });
});

describe("a read ahead of a write", () => {
  const body = { kind: "children" as const, children: ["x".repeat(outputBytesMax)] };
  const reads = (count: number, first: number) =>
    Array.from({ length: count }, (_, at) => requestFrame(first + at, exists));

  /** Its reads are as large as a turn's output, and the txn that each was answered at is noted. */
  function greedy(): World & { readonly seen: number[] } {
    const seen: number[] = [];
    const world = Object.assign(connected(), { seen });
    world.host.answer = () => {
      seen.push(world.host.applied.counter);
      return { err: ZkErrorCode.Ok, body };
    };
    return world;
  }

  test("does not show it, though the output is full when the write applies", () => {
    const world = greedy();
    world.send(requestFrame(1, remove), ...reads(3, 2), requestFrame(5, remove), ...reads(3, 6));
    // Both in one turn, as txns of one batch.
    world.write(0).apply(11);
    world.write(1).apply(12);
    expect([world.seen, world.connection.isStalled]).toEqual([[11, 11, 11], true]);
    expect(world.hear().map((line) => line.split(" ")[0])).toEqual(["1", "2", "3", "4", "5"]);
    while (world.connection.isStalled) {
      world.connection.resume();
      world.hear();
    }
    expect(world.seen).toEqual([11, 11, 11, 12, 12, 12]);
  });

  test("that waits for a later turn keeps the write from being taken", () => {
    const world = greedy();
    world.send(...reads(3, 1), requestFrame(4, remove), pingFrame());
    expect([world.seen.length, world.host.writes.length, world.connection.isBusy]).toEqual([1, 0, true]);
    world.connection.resume();
    world.hear();
    expect([world.seen.length, world.host.writes.length]).toEqual([2, 0]);
    world.connection.resume();
    expect([world.seen.length, world.write().cxid]).toEqual([3, 4]);
    world.hear();
    world.write().apply(11);
    expect(world.hear().map((line) => line.split(" ")[0])).toEqual(["4", "-2"]);
  });

  test("is one of readsAheadMax at most", () => {
    for (const [count, taken] of [
      [readsAheadMax, 2],
      [readsAheadMax + 1, 1],
    ] as const) {
      const world = connected();
      world.send(requestFrame(1, remove), ...reads(count, 2), requestFrame(99, remove), pingFrame());
      expect(world.host.writes).toHaveLength(taken);
      world.write(0).apply(11);
      expect(world.host.writes).toHaveLength(2);
      world.write(1).apply(12);
      expect(world.hear().at(-1)).toBe(`-2 ${0x10000000cn} 0`);
    }
    expect(readsAheadMax).toBe(64);
  });

  test("does not show a goodbye that was sent behind it", () => {
    const world = greedy();
    world.send(...reads(2, 1), requestFrame(3, goodbye));
    expect(world.host.writes).toHaveLength(0);
    world.hear();
    world.connection.resume();
    expect([world.seen.length, world.write().cxid]).toEqual([2, 3]);
  });
});

describe("a body that cannot be read", () => {
  test.each([
    ["exists", OpCode.Exists],
    ["getData", OpCode.GetData],
    ["sync", OpCode.Sync],
    ["setWatches", OpCode.SetWatches],
    ["multiRead", OpCode.MultiRead],
    ["reconfig", OpCode.Reconfig],
    ["create", OpCode.Create],
    ["create2", OpCode.Create2],
    ["createContainer", OpCode.CreateContainer],
    ["createTTL", OpCode.CreateTtl],
    ["delete", OpCode.Delete],
    ["setData", OpCode.SetData],
    ["setACL", OpCode.SetAcl],
    ["multi", OpCode.Multi],
  ])("of %s is answered with -5 and not ordered, and the stream goes on", (_, type) => {
    const world = connected();
    expect(world.send(rawFrame(4, type, [0, 0]), pingFrame())).toEqual([`4 ${zxid10} -5`, `-2 ${zxid10} 0`]);
    expect([world.end, world.host.writes, world.host.reads]).toEqual([undefined, [], []]);
  });

  test("with a null path is one", () => {
    expect(connected().send(rawFrame(4, OpCode.Exists, [255, 255, 255, 255, 0]))).toEqual([`4 ${zxid10} -5`]);
  });

  test("with a null SASL token drops the connection", () => {
    const world = connected();
    expect([world.send(rawFrame(4, OpCode.Sasl, [255, 255, 255, 255])), world.end]).toEqual([[], "drop"]);
  });

  test.each([
    ["auth", OpCode.Auth],
    ["sasl", OpCode.Sasl],
  ])("of %s drops the connection", (_, type) => {
    const world = connected();
    expect([world.send(rawFrame(4, type, [0, 0])), world.end]).toEqual([[], "drop"]);
  });

  test("may be followed by bytes nobody knows", () => {
    const world = connected();
    const frame = rawFrame(4, OpCode.Exists, [0, 0, 0, 2, 47, 97, 0, 9, 9, 9]);
    expect(world.send(frame)).toEqual([`4 ${zxid10} 0`]);
    expect(world.host.reads[0]?.request).toEqual(exists);
  });
});

describe("an op code that no client may send", () => {
  test.each([0, 10, 13, 20, 23, 99, 999, -1, -10, -2])(
    "%d is answered with -6 and zxid -1, then closed",
    (type) => {
      const world = connected();
      expect(world.send(pingFrame(), rawFrame(4, type), pingFrame())).toEqual([`-2 ${zxid10} 0`, "4 -1 -6"]);
      expect(world.end).toBe("close");
    },
  );

  test("waits for the answers before it", () => {
    const world = connected();
    expect(world.send(requestFrame(1, remove), rawFrame(4, 999), requestFrame(5, remove))).toEqual([]);
    expect([world.end, world.host.writes.length]).toEqual([undefined, 1]);
    world.write().apply(11);
    expect([world.hear(), world.end]).toEqual([[`1 ${0x10000000bn} 0`, "4 -1 -6"], "close"]);
  });
});

describe("a frame", () => {
  test.each([
    ["of 0 bytes", "00000000"],
    ["without a whole header", "00000007 00000001 000000"],
    ["of negative length", "80000000"],
    ["of -1 bytes", "ffffffff"],
    ["a byte too long", "00100000"],
  ])("%s drops the connection at once, without an answer", (_, hex) => {
    const world = connected();
    expect([world.send(bytesOf(hex)), world.end]).toEqual([[], "drop"]);
    expect([world.send(pingFrame()), world.host.touched]).toEqual([[], []]);
  });

  test("of the largest size is taken", () => {
    const world = connected();
    const frame = rawFrame(4, OpCode.Exists, new Array<number>(1_048_575 - 8).fill(0));
    expect([world.send(frame), world.end]).toEqual([[`4 ${zxid10} 0`], undefined]);
  });

  test("shows the session's life, unless it is about who the client is", () => {
    const world = connected();
    world.send(
      authFrame(1, "digest", "a:b"),
      requestFrame(2, { type: OpCode.Sasl, token: new Uint8Array(0) }),
    );
    expect(world.host.touched).toEqual([]);
    world.send(pingFrame(), requestFrame(3, exists), rawFrame(4, OpCode.Exists), rawFrame(5, 999));
    expect(world.host.touched).toEqual(new Array(4).fill(session.id));
  });
});

describe("a goodbye", () => {
  test("is answered when it has applied, then closed; what follows it is not handled", () => {
    const world = connected();
    expect(world.send(requestFrame(9, goodbye), pingFrame(), requestFrame(10, remove))).toEqual([]);
    expect([world.connection.isClosing, world.host.writes.length]).toEqual([true, 1]);
    expect(world.send(requestFrame(11, remove), bytesOf("ffffffff"))).toEqual([]);
    expect(world.end).toBeUndefined();
    world.write().apply(11);
    expect([world.hear(), world.end]).toEqual([[`9 ${0x10000000bn} 0`], "close"]);
    expect(world.host.writes).toHaveLength(1);
  });

  test("waits for the sync before it", () => {
    const world = connected();
    world.send(requestFrame(1, sync), requestFrame(2, goodbye));
    expect([world.host.writes.length, world.end]).toEqual([0, undefined]);
    world.host.confirms[0]?.done(true);
    world.write().apply(11);
    expect([world.hear(), world.end]).toEqual([[`1 ${zxid10} 0`, `2 ${0x10000000bn} 0`], "close"]);
  });

  test("to a session already ended is answered with its code, then closed", () => {
    const world = connected();
    world.send(requestFrame(2, goodbye));
    world.write().apply(11, ZkErrorCode.SessionExpired);
    expect([world.hear(), world.end]).toEqual([[`2 ${0x10000000bn} -112`], "close"]);
  });

  test("that is lost drops", () => {
    const world = connected();
    world.send(requestFrame(2, goodbye));
    world.write().lose();
    expect([world.hear(), world.end]).toEqual([[], "drop"]);
  });
});

describe("auth", () => {
  test.each([
    ["an unknown scheme", "kerberos", "x"],
    ["world", "world", "anyone"],
    ["super", "super", "super:x"],
    ["sasl", "sasl", "bob"],
    ["no scheme", "", "x"],
    ["a digest of nothing", "digest", null],
  ])("with %s is answered with -115, then closed, and nothing behind it is handled", (_, scheme, auth) => {
    const world = connected();
    const said = world.send(authFrame(-4, scheme, auth), pingFrame(), requestFrame(2, remove));
    expect([said, world.end, world.host.writes]).toEqual([["-4 0 -115"], "close", []]);
  });

  test("that fails waits for the answers before it", () => {
    const world = connected();
    expect(world.send(requestFrame(1, remove), authFrame(-4, "no", ""))).toEqual([]);
    expect(world.end).toBeUndefined();
    world.write().apply(11);
    expect([world.hear(), world.end]).toEqual([[`1 ${0x10000000bn} 0`, "-4 0 -115"], "close"]);
  });

  test("adds identities, each once, and keeps those before", () => {
    const world = connected();
    world.send(
      authFrame(1, "digest", "bob:pw"),
      authFrame(2, "digest", "eve:pw"),
      authFrame(3, "digest", "bob:pw"),
    );
    expect(world.connection.requester.identities.map(({ id }) => id.split(":")[0])).toEqual([
      "",
      "bob",
      "eve",
    ]);
    expect(world.connection.requester.identities[1]?.id).toBe("bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
  });

  test("with the configured digest makes super", () => {
    const world = connected();
    world.host.authRules = { ...world.host.authRules, superDigest: "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=" };
    world.send(authFrame(1, "digest", "bob:pw"));
    expect(world.connection.requester.identities).toContainEqual({ scheme: "super", id: "" });
  });

  test("past identitiesMax is answered with -115, then closed", () => {
    const world = connected();
    // One is the address.
    for (let i = 1; i < identitiesMax; i++)
      expect(world.send(authFrame(i, "digest", `${i}:`))).toEqual([`${i} 0 0`]);
    expect(world.send(authFrame(1, "digest", "1:"))).toEqual(["1 0 0"]);
    expect([world.send(authFrame(99, "digest", "new:")), world.end]).toEqual([["99 0 -115"], "close"]);
  });

  test("past identityUnitsMax is answered with -115, then closed", () => {
    // "ip" and "::1"; "digest", the user, a colon and 28 of base64.
    const user = identityUnitsMax - 5 - 6 - 29;
    const fits = connected();
    expect([fits.send(authFrame(1, "digest", "u".repeat(user))), fits.end]).toEqual([["1 0 0"], undefined]);
    const over = connected();
    expect([over.send(authFrame(1, "digest", "u".repeat(user + 1))), over.end]).toEqual([
      ["1 0 -115"],
      "close",
    ]);
  });
});

describe("a connection that must authenticate", () => {
  const rules = { superDigest: undefined, token: "secret", requiredSchemes: [] };
  const guest = { identities: [{ scheme: "ip", id: "::1" }], mustShowToken: true };

  function guarded(given: Partial<AuthRules>, mustShowToken: boolean): World {
    const world = new World({ ...guest, mustShowToken }, { ...rules, ...given });
    world.send(connectFrame());
    return world;
  }

  test.each<[string, Uint8Array]>([
    ["a read", requestFrame(5, exists)],
    ["a write", requestFrame(5, remove)],
    ["a sync", requestFrame(5, sync)],
    ["a goodbye", requestFrame(5, goodbye)],
    ["an unknown request", rawFrame(5, 77)],
    ["an unreadable request", rawFrame(5, OpCode.SetData)],
  ])("has %s answered with -124 and is closed, and nothing was done", (_, frame) => {
    for (const world of [guarded({}, true), guarded({ requiredSchemes: ["digest"] }, false)]) {
      expect([world.send(frame, pingFrame()), world.end]).toEqual([["5 0 -124"], "close"]);
      expect([world.host.writes, world.host.reads, world.host.touched]).toEqual([[], [], []]);
    }
  });

  test("may ask once it has shown the token, in the same message too", () => {
    const world = guarded({}, true);
    expect(world.send(authFrame(1, "bearer", "secret"), requestFrame(2, exists))).toEqual([
      "1 0 0",
      `2 ${zxid10} 0`,
    ]);
    expect(world.connection.requester.identities).toContainEqual({ scheme: "bearer", id: "token" });
  });

  test.each([
    ["another token", "secreT"],
    ["the beginning of the token", "secre"],
    ["nothing", ""],
    ["no bytes at all", null],
  ])("that shows %s is answered with -115, then closed", (_, token) => {
    const world = guarded({}, true);
    expect([world.send(authFrame(1, "bearer", token)), world.end]).toEqual([["1 0 -115"], "close"]);
  });

  test("no token is right where none is configured", () => {
    const world = guarded({ token: undefined }, false);
    expect([world.send(authFrame(1, "bearer", "")), world.end]).toEqual([["1 0 -115"], "close"]);
  });

  test("may not do with a digest instead of the token, and must have one of the enforced schemes besides", () => {
    const digest = authFrame(1, "digest", "a:b");
    const bearer = authFrame(1, "bearer", "secret");
    const asks = (world: World, ...frames: Uint8Array[]) =>
      world.send(...frames, requestFrame(2, exists)).at(-1);
    expect(asks(guarded({}, true), digest)).toBe("2 0 -124");
    expect(asks(guarded({ requiredSchemes: ["digest", "x509"] }, false), digest)).toBe(`2 ${zxid10} 0`);
    expect(asks(guarded({ requiredSchemes: ["digest"] }, true), bearer)).toBe("2 0 -124");
    expect(asks(guarded({ requiredSchemes: ["digest"] }, true), bearer, digest)).toBe(`2 ${zxid10} 0`);
    expect(asks(guarded({ requiredSchemes: ["bearer"] }, false), bearer)).toBe(`2 ${zxid10} 0`);
  });

  test("keeps what it has shown when its member loses its memory", () => {
    const world = new World(guest, rules);
    const identities = [...guest.identities, { scheme: "bearer", id: "token" }];
    world.connection.restore({ sessionId: session.id, identities });
    world.connection.receive(requestFrame(1, exists), true);
    expect(world.host.reads).toHaveLength(1);
    const stranger = new World(guest, rules);
    stranger.connection.restore({ sessionId: session.id, identities: guest.identities });
    stranger.connection.receive(requestFrame(1, exists), true);
    expect([stranger.host.reads, stranger.end]).toEqual([[], "close"]);
  });

  test("counts as a failure of authentication only when it tries in vain", () => {
    const world = guarded({}, true);
    world.send(requestFrame(1, exists));
    expect(world.host.stats.authFailures).toBe(0);
    const other = guarded({}, true);
    other.send(authFrame(1, "bearer", "wrong"));
    expect(other.host.stats.authFailures).toBe(1);
  });
});

describe("bounds", () => {
  /** A write that waits, and pings behind it until the queue is full. */
  function full(): World {
    const world = connected();
    world.send(requestFrame(1, remove), ...Array.from({ length: connectionQueueMax - 1 }, () => pingFrame()));
    expect([world.connection.outstanding, world.connection.isHeld]).toEqual([connectionQueueMax, false]);
    return world;
  }

  test("connectionQueueMax requests wait for their answers, and the one behind them to be read", () => {
    const world = full();
    world.send(requestFrame(7, exists), requestFrame(8, exists));
    expect([world.connection.outstanding, world.connection.isHeld]).toEqual([connectionQueueMax, true]);
    expect([world.connection.canGoOn, world.connection.isBusy, world.end]).toEqual([false, true, undefined]);
    const before = world.host.changes;
    world.write().apply(11);
    expect(world.host.changes).toBeGreaterThan(before);
    expect([world.hear().length, world.connection.canGoOn]).toEqual([connectionQueueMax, true]);
    expect(world.host.reads).toEqual([]);
    world.connection.resume();
    expect(world.hear()).toEqual([`7 ${0x10000000bn} 0`, `8 ${0x10000000bn} 0`]);
    expect([world.connection.isHeld, world.connection.isBusy]).toEqual([false, false]);
  });

  test("requests wait while the member has no room, and none is dropped", () => {
    const world = connected();
    world.host.hasRoom = false;
    expect(world.send(requestFrame(1, remove), pingFrame())).toEqual([]);
    expect([world.host.writes, world.connection.isHeld, world.end]).toEqual([[], true, undefined]);
    world.connection.resume();
    expect(world.connection.isHeld).toBe(true);
    world.host.hasRoom = true;
    world.connection.resume();
    world.write().apply(11);
    expect(world.hear()).toHaveLength(2);
  });

  test("heldBytesMax may wait, and not a byte more", () => {
    const payload = { ...remove, path: `/${"x".repeat(64 * 1024)}` };
    const frame = requestFrame(1, payload);
    const world = connected();
    world.host.hasRoom = false;
    for (let held = 0; held + frame.length <= heldBytesMax; held += frame.length) world.send(frame);
    world.send(frame.subarray(0, heldBytesMax - world.connection.heldBytes));
    expect([world.connection.heldBytes, world.end]).toEqual([heldBytesMax, undefined]);
    expect([world.send(Uint8Array.of(0)), world.end]).toEqual([[], "drop"]);
  });

  test("requests that are answered do not count as waiting", () => {
    const world = connected();
    const many = Array.from({ length: connectionQueueMax + 10 }, () => pingFrame());
    expect([world.send(...many).length, world.connection.isHeld]).toEqual([many.length, false]);
  });

  test("a request that waited for throttledOpWaitMs is done, and one that waited for longer is refused", () => {
    for (const [waitedMs, code] of [
      [500, 0],
      [501, ZkErrorCode.ThrottledOp],
    ] as const) {
      const world = connected();
      world.host.throttledOpWaitMs = 500;
      world.host.hasRoom = false;
      world.send(
        requestFrame(1, exists),
        requestFrame(2, remove),
        pingFrame(),
        authFrame(4, "digest", "a:b"),
      );
      world.host.nowMs += 400;
      world.send(requestFrame(5, exists), requestFrame(6, goodbye));
      world.host.nowMs += waitedMs - 400;
      world.host.hasRoom = true;
      world.connection.resume();
      for (const write of world.host.writes) write.apply(11);
      const said = world.hear().map((line) =>
        line
          .split(" ")
          .filter((_, at) => at !== 1)
          .join(" "),
      );
      expect(said).toEqual([`1 ${code}`, `2 ${code}`, "-2 0", "4 0", "5 0", "6 0"]);
      expect(world.host.writes).toHaveLength(code === 0 ? 2 : 1);
      expect(world.host.stats.throttledOps).toBe(code === 0 ? 0 : 2);
    }
  });

  test("credit is given for what was taken up, in steps, and not for what is held", () => {
    const world = connected();
    const frame = requestFrame(1, { ...exists, path: "x".repeat(1_000) });
    const fitting = Math.ceil((creditStepBytes - connectFrame().length) / frame.length);
    world.send(...Array.from({ length: fitting - 1 }, () => frame));
    expect(world.connection.takeCredit()).toBe(0);
    world.send(frame.subarray(0, 500));
    world.host.hasRoom = false;
    world.send(frame.subarray(500), frame);
    expect(world.connection.takeCredit()).toBe(0);
    world.host.hasRoom = true;
    world.connection.resume();
    expect(world.connection.takeCredit()).toBe(connectFrame().length + (fitting + 1) * frame.length);
    expect(world.connection.takeCredit()).toBe(0);
  });

  test("answers past outputBytesMax wait for a later turn, in order and unread until then", () => {
    const world = connected();
    const body = { kind: "children" as const, children: ["x".repeat(1024 * 1024)] };
    world.host.answer = () => ({ err: ZkErrorCode.Ok, body });
    const frames = Array.from({ length: 10 }, (_, i) => requestFrame(i + 1, exists));
    const rounds = [world.send(...frames)];
    while (world.connection.isStalled) {
      expect(world.host.reads.length).toBe(rounds.flat().length);
      world.connection.resume();
      rounds.push(world.hear());
    }
    expect(rounds.map(({ length }) => length)).toEqual([4, 4, 2]);
    expect(rounds.flat().map((line) => Number(line.split(" ")[0]))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(outputBytesMax).toBe(4 * 1024 * 1024);
  });

  test("a stalled connection is busy, tells its host, and takes requests behind the others", () => {
    const world = connected();
    const body = { kind: "children" as const, children: ["x".repeat(outputBytesMax)] };
    world.host.answer = ({ type }) => (type === OpCode.Exists ? { err: 0, body } : { err: 0 });
    const before = world.host.changes;
    world.connection.receive(join(requestFrame(1, exists), requestFrame(2, exists)), true);
    expect([world.connection.isStalled, world.connection.isBusy]).toEqual([true, true]);
    expect(world.host.changes).toBeGreaterThan(before);
    world.connection.receive(pingFrame(), true);
    expect(world.hear()).toHaveLength(1);
    world.connection.resume();
    expect(world.hear().map((line) => line.split(" ")[0])).toEqual(["2"]);
    world.connection.resume();
    expect(world.hear().map((line) => line.split(" ")[0])).toEqual(["-2"]);
    expect([world.connection.isStalled, world.connection.isBusy]).toEqual([false, false]);
  });
});

describe("events", () => {
  test("come before the answers not yet written, with the zxid of their txn", () => {
    const world = connected();
    world.send(requestFrame(1, remove), requestFrame(2, exists));
    world.connection.notify({ type: EventType.NodeDeleted, path: "/a" }, 0x10000000bn);
    world.write().apply(11);
    expect(world.hear()).toEqual([
      `event 2 /a ${0x10000000bn}`,
      `1 ${0x10000000bn} 0`,
      `2 ${0x10000000bn} 0`,
    ]);
  });

  test("that were missed come before the answer to setWatches, with zxid -1", () => {
    const world = connected();
    const events = [
      { type: EventType.NodeDataChanged, path: "/a" },
      { type: EventType.NodeDeleted, path: "/b" },
    ];
    world.host.answer = () => ({ err: ZkErrorCode.Ok, events });
    const request = {
      type: OpCode.SetWatches,
      relativeZxid: 1n,
      data: ["/a", "/b"],
      exist: [],
      child: [],
      persistent: [],
      persistentRecursive: [],
    } as const;
    expect(world.send(requestFrame(-8, request))).toEqual([
      "event 3 /a -1",
      "event 2 /b -1",
      `-8 ${zxid10} 0`,
    ]);
  });

  test("have golden bytes, and are not written once the connection has ended", () => {
    const world = connected();
    const event = { type: EventType.NodeDataChanged, path: "/a" };
    world.connection.notify(event, 0x100000002n);
    expect(hexOf(world.connection.takeOutput() ?? new Uint8Array(0))).toBe(
      hexOf(bytesOf("0000001e ffffffff 0000000100000002 00000000 00000003 00000003 00000002 2f61")),
    );
    world.connection.end({ kind: "close", reason: "over" });
    world.connection.notify(event, 2n);
    expect(world.connection.takeOutput()).toBeUndefined();
  });
});

describe("a connection", () => {
  test("is busy until it is open, while a frame is half there, and while an answer is due", () => {
    const world = new World();
    const { connection, host } = world;
    expect(connection.isBusy).toBe(true);
    world.send(connectFrame());
    expect(connection.isBusy).toBe(false);
    const ping = pingFrame();
    world.send(ping.slice(0, 5));
    expect(connection.isBusy).toBe(true);
    expect(world.send(ping.slice(5))).toEqual([`-2 ${zxid10} 0`]);
    expect(connection.isBusy).toBe(false);
    world.send(requestFrame(1, remove));
    expect(connection.isBusy).toBe(true);
    host.writes[0]?.apply(11);
    expect(connection.isBusy).toBe(false);
  });

  test("restored goes on with its session and identities, without a handshake", () => {
    const world = new World();
    const requester = {
      sessionId: session.id,
      identities: [{ scheme: "digest", id: "bob:h" }],
      ownership: 3,
    };
    world.connection.restore(requester);
    world.connection.receive(requestFrame(4, exists), true);
    expect(new Heard(true).read(world.connection.takeOutput())).toEqual([`4 ${zxid10} 0`]);
    expect(world.host.reads[0]?.requester).toEqual(requester);
    expect(world.connection.isBusy).toBe(false);
  });

  test("closed keeps what was written before, dropped does not, and the first ending counts", () => {
    for (const kind of ["close", "drop"] as const) {
      const world = connected();
      world.connection.receive(pingFrame(), true);
      world.connection.end({ kind, reason: "first" });
      world.connection.end({ kind: "drop", reason: "second" });
      expect(world.connection.ending).toEqual({ kind, reason: "first" });
      expect(world.hear()).toHaveLength(kind === "close" ? 1 : 0);
    }
  });
});

test("a stream says the same whole and byte by byte, also when it ends badly (property)", () => {
  const part = fc.constantFrom(
    pingFrame(),
    requestFrame(1, exists),
    requestFrame(2, remove),
    requestFrame(3, sync),
    authFrame(4, "digest", "a:b"),
    rawFrame(5, OpCode.Exists, [1]),
    rawFrame(6, OpCode.Create, [1]),
    rawFrame(7, 999),
    requestFrame(8, goodbye),
    authFrame(9, "no", "x"),
  );
  const cut = fc.constantFrom(1, 3, 7, 50);
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), cut, (parts, size) => {
      const stream = join(connectFrame(), ...parts);
      const settle = (world: World) => {
        for (const write of world.host.writes) write.apply(11);
        for (const { done } of world.host.confirms) done(true);
      };
      const whole = new World();
      whole.connection.receive(stream.slice(), true);
      settle(whole);
      const pieces = new World();
      for (let at = 0; at < stream.length; at += size)
        pieces.connection.receive(stream.slice(at, at + size), true);
      pieces.host.applied = makeZxid(1, 10);
      settle(pieces);
      const [said, ending] = [whole.hear(), whole.end];
      expect([pieces.hear().map(withoutZxid), pieces.end]).toEqual([said.map(withoutZxid), ending]);
      expect(pieces.host.writes.map(({ cxid }) => cxid)).toEqual(whole.host.writes.map(({ cxid }) => cxid));
    }),
  );
});

function dataOf(request: WriteRequest | MultiOp): (Uint8Array | null)[] {
  if (request.type === OpCode.Multi) return request.ops.flatMap(dataOf);
  return "data" in request ? [request.data] : [];
}

/** Reads answered early and late differ in what had applied by then. */
function withoutZxid(line: string): string {
  const [xid, , err] = line.split(" ");
  return `${xid} ${err}`;
}
