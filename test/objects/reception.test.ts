/**
 * Proves who gets a session, with which timeout, and who is turned away how.
 *
 * A real tree behind an agreement that the test settles: what was asked for is prepared at once and
 * applies, or is lost, when the test says so. Sources: the wire reference, sections 3 and 15.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  type ConnectRequest,
  makeSessionId,
  makeZxid,
  OpCode,
  type Requester,
  type SessionId,
  type Txn,
  type WriteRequest,
  zxidToBigint,
} from "../../src/base/index.ts";
import type { Agreement } from "../../src/objects/agreement.ts";
import { Connection } from "../../src/objects/connection.ts";
import type { OpenedSession } from "../../src/objects/connection-host.ts";
import { sessionPassword } from "../../src/objects/passwords.ts";
import { Reception } from "../../src/objects/reception.ts";
import { sessionsMax } from "../../src/objects/sessions.ts";
import { ServerStats } from "../../src/objects/stats.ts";
import type { Settle } from "../../src/objects/writes.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";
import { create } from "../tree/support.ts";

const tickMs = 1_000;

interface Asked {
  readonly txn: Txn;
  readonly settle: Settle;
}

class World {
  readonly tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  readonly asked: Asked[] = [];
  readonly confirms: ((confirmed: boolean) => void)[] = [];
  readonly bound: SessionId[] = [];
  hasRoom = true;
  isServing = true;
  #lastSession = 0n;
  readonly #agreement: Agreement;
  readonly reception: Reception;

  constructor() {
    const world = this;
    this.#agreement = {
      get hasRoom() {
        return world.hasRoom;
      },
      write: ({ request, requester, settle }) => this.#ask(request, requester, settle),
      openSession: (timeoutMs, settle) => {
        this.#lastSession += 1n;
        const requester = { sessionId: makeSessionId(this.#lastSession), identities: [] };
        this.#ask({ type: OpCode.CreateSession, timeoutMs }, requester, settle);
      },
      renewSession: ({ id, timeoutMs, ownership }, settle) => {
        const requester = { sessionId: id, identities: [], ownership };
        this.#ask({ type: OpCode.RenewSession, timeoutMs }, requester, settle);
      },
      confirm: (_, done) => this.confirms.push(done),
      touch: () => undefined,
    };
    this.reception = new Reception({
      tree: this.tree,
      secret: "s",
      tickMs,
      authRules: { superDigest: undefined, token: undefined, requiredSchemes: [] },
      stats: new ServerStats(),
      throttledOpWaitMs: 0,
      now: () => 1_000,
      agreement: () => (this.isServing ? this.#agreement : undefined),
      bind: (_, id) => this.bound.push(id),
      changed: () => undefined,
      watchesChanged: () => undefined,
    });
  }

  /** What waits is agreed on. */
  apply(): void {
    for (const { txn, settle } of this.asked.splice(0)) {
      const zxid = makeZxid(1, this.tree.applied.counter + 1);
      settle({ kind: "applied", zxid, applied: this.tree.apply(zxid, txn) });
    }
  }

  lose(): void {
    for (const { settle } of this.asked.splice(0)) settle({ kind: "lost" });
  }

  /** Agreed on elsewhere. */
  write(request: WriteRequest, sessionId = makeSessionId(0n)): void {
    this.#ask(request, { sessionId, identities: [] }, () => undefined);
  }

  connect(given: Partial<ConnectRequest> = {}): Caller {
    return new Caller(this.reception, given);
  }

  open(timeoutMs = 4_000): OpenedSession {
    const caller = this.connect({ timeoutMs });
    this.apply();
    if (caller.opened === undefined) throw new Error("not opened");
    return caller.opened;
  }

  renew(session: OpenedSession, given: Partial<ConnectRequest> = {}): Caller {
    return this.connect({ sessionId: session.id, password: session.password, ...given });
  }

  #ask(request: WriteRequest, requester: Requester, settle: Settle): void {
    const txn = this.tree.prepare(request, { requester, cxid: 0, nowMs: 1 });
    this.asked.push({ txn, settle });
  }
}

/** A client's connect request, and what came of it. */
class Caller {
  readonly connection: Connection;
  opened: OpenedSession | undefined;
  answers = 0;

  constructor(reception: Reception, given: Partial<ConnectRequest>) {
    this.connection = new Connection(reception, 1, { identities: [], mustShowToken: false });
    const request: ConnectRequest = {
      protocolVersion: 0,
      lastZxidSeen: 0n,
      timeoutMs: 4_000,
      sessionId: 0n,
      password: null,
      readOnly: false,
      ...given,
    };
    reception.openSession(this.connection, request, true, (opened) => {
      this.answers += 1;
      this.opened = opened;
    });
  }

  /** `session`; `gone`: told that there is none; otherwise why it was dropped, or `undefined` so far. */
  get outcome(): string | undefined {
    if (this.connection.ending !== undefined) return this.connection.ending.reason;
    if (this.answers === 0) return undefined;
    return this.opened === undefined ? "gone" : "session";
  }
}

describe("a new session", () => {
  test("is opened when its txn has applied", () => {
    const world = new World();
    const caller = world.connect();
    expect(caller.outcome).toBeUndefined();
    world.apply();
    const id = makeSessionId(1n);
    expect(caller.opened).toEqual({ id, timeoutMs: 4_000, ownership: 1, password: sessionPassword("s", id) });
    expect(world.bound).toEqual([id]);
  });

  test.each([
    [0, 2 * tickMs],
    [-5, 2 * tickMs],
    [-(2 ** 31), 2 * tickMs],
    [2 * tickMs - 1, 2 * tickMs],
    [2 * tickMs, 2 * tickMs],
    [4_001, 4_001],
    [20 * tickMs, 20 * tickMs],
    [20 * tickMs + 1, 20 * tickMs],
    [2 ** 31 - 1, 20 * tickMs],
  ])("that asks for %d ms gets %d", (asked, got) => {
    expect(new World().open(asked).timeoutMs).toBe(got);
  });

  test("is not opened when leadership is lost under way", () => {
    const world = new World();
    const caller = world.connect();
    world.lose();
    expect(caller.outcome).toBe("leadership lost");
  });

  test.each([
    [sessionsMax - 1, undefined],
    [sessionsMax, "no room for a session"],
  ])("beside %d others: %s", (count, outcome) => {
    const world = new World();
    Object.defineProperty(world.tree, "sessionCount", { value: count });
    expect(world.connect().outcome).toBe(outcome);
  });

  test("may ask with any password", () => {
    const world = new World();
    const caller = world.connect({ password: sessionPassword("s", makeSessionId(0n)) });
    world.apply();
    expect(caller.outcome).toBe("session");
  });

  test("finds no room behind a full pipeline, nor where nobody serves", () => {
    const world = new World();
    world.hasRoom = false;
    expect(world.connect().outcome).toBe("no room for a session");
    world.hasRoom = true;
    world.isServing = false;
    expect(world.connect().outcome).toBe("no room for a session");
  });
});

describe("a session taken up again", () => {
  test("keeps its id and password and gets the timeout asked for now, everywhere", () => {
    const world = new World();
    const session = world.open(4_000);
    const caller = world.renew(session, { timeoutMs: 2_000 });
    expect(caller.outcome).toBeUndefined();
    world.apply();
    expect(caller.opened).toEqual({ ...session, timeoutMs: 2_000, ownership: 2 });
    expect(world.tree.session(session.id)).toEqual({ id: session.id, timeoutMs: 2_000, ownership: 2 });
  });

  test("is answered behind every write of its earlier connection, and none comes after", () => {
    const world = new World();
    const { id } = world.open();
    world.write(create("/before"), id);
    const caller = world.renew({ ...world.open(), id, password: sessionPassword("s", id) });
    world.apply();
    expect(caller.outcome).toBe("session");
    expect(world.tree.get("/before")).toBeDefined();
    let late: unknown;
    world.reception.write({
      request: create("/late"),
      frame: new Uint8Array(0),
      requester: { sessionId: id, identities: [], ownership: 1 },
      cxid: 1,
      settle: (settled) => {
        late = settled.kind === "applied" ? settled.applied.outcome : undefined;
      },
    });
    world.apply();
    expect(late).toEqual({ kind: "refused", code: -118 });
    expect(world.tree.get("/late")).toBeUndefined();
  });

  test("row 38: a slow attempt elsewhere comes too late, and takes nothing back", () => {
    const world = new World();
    const session = world.open();
    const slow = world.renew(session);
    const quick = world.renew(session);
    // The order in which the leader hears of them.
    world.asked.reverse();
    const [first, second] = world.asked.splice(0);
    if (first === undefined || second === undefined) throw new Error("two renewals are under way");
    // Prepared again in that order: what was prepared above stands for neither.
    world.tree.discardPrepared();
    const requester = { sessionId: session.id, identities: [], ownership: 1 };
    for (const { settle } of [first, second]) {
      const request = { type: OpCode.RenewSession, timeoutMs: 4_000 } as const;
      world.asked.push({ txn: world.tree.prepare(request, { requester, cxid: 0, nowMs: 1 }), settle });
    }
    world.apply();
    expect([quick.outcome, slow.outcome]).toEqual(["session", "session moved"]);
    expect(world.tree.session(session.id)?.ownership).toBe(2);
  });

  test.each<[string, (session: OpenedSession) => Partial<ConnectRequest>]>([
    ["no password", () => ({ password: null })],
    ["zeros for a password", () => ({ password: new Uint8Array(16) })],
    ["another's password", ({ id }) => ({ password: sessionPassword("s", makeSessionId(id + 1n)) })],
  ])("is gone with %s, and no txn", (_, given) => {
    const world = new World();
    const session = world.open(4_000);
    expect(world.renew(session, given(session)).outcome).toBe("gone");
    expect([world.asked, world.confirms]).toEqual([[], []]);
  });

  test("is gone only once it is certain that nobody knows it", () => {
    const world = new World();
    const id = makeSessionId(77n);
    const unknown = { sessionId: id, password: sessionPassword("s", id) };
    const caller = world.connect(unknown);
    const deposed = world.connect(unknown);
    expect(caller.outcome).toBeUndefined();
    world.confirms[0]?.(true);
    world.confirms[1]?.(false);
    expect([caller.outcome, deposed.outcome]).toEqual(["gone", "leadership lost"]);
  });

  test("goes on when it turns up while that is found out", () => {
    const world = new World();
    const id = makeSessionId(1n);
    const caller = world.connect({ sessionId: id, password: sessionPassword("s", id) });
    world.open();
    world.confirms[0]?.(true);
    world.apply();
    expect(caller.outcome).toBe("session");
  });

  test("is gone once its end was proposed, and when it has ended", () => {
    const world = new World();
    const session = world.open(2_000);
    world.write({ type: OpCode.CloseSession }, session.id);
    const closing = world.renew(session);
    world.apply();
    const closed = world.renew(session);
    world.confirms[0]?.(true);
    expect([closing.outcome, closed.outcome]).toEqual(["gone", "gone"]);
  });

  test("whose client has left meanwhile is bound to nobody", () => {
    const world = new World();
    const session = world.open();
    const caller = world.renew(session);
    caller.connection.end({ kind: "drop", reason: "left" });
    world.apply();
    expect([world.bound, caller.answers]).toEqual([[session.id], 0]);
  });
});

describe("a client that has seen a newer zxid", () => {
  const seen = zxidToBigint(makeZxid(1, 3));

  test("waits until this member has caught up", () => {
    const world = new World();
    const caller = world.connect({ lastZxidSeen: seen });
    expect(world.asked).toEqual([]);
    for (let i = 0; i < 3; i++) world.write(create(`/${i}`));
    world.apply();
    world.confirms[0]?.(true);
    world.apply();
    expect(caller.outcome).toBe("session");
  });

  test.each([
    [2, "client has seen a newer zxid"],
    [3, "session"],
  ])("and has caught up through %d: %s", (count, outcome) => {
    const world = new World();
    const caller = world.connect({ lastZxidSeen: seen });
    for (let i = 0; i < count; i++) world.write(create(`/${i}`));
    world.apply();
    world.confirms[0]?.(true);
    world.apply();
    expect(caller.outcome).toBe(outcome);
  });

  test("is dropped where leadership cannot be confirmed", () => {
    const world = new World();
    const caller = world.connect({ lastZxidSeen: seen });
    world.confirms[0]?.(false);
    expect(caller.outcome).toBe("leadership lost");
  });

  test.each([0n, -1n, zxidToBigint(makeZxid(1, 1))])(
    "unlike one that has seen %d, waits for nothing",
    (lastZxidSeen) => {
      const world = new World();
      world.write(create("/a"));
      world.apply();
      const caller = world.connect({ lastZxidSeen });
      world.apply();
      expect([caller.outcome, world.confirms]).toEqual(["session", []]);
    },
  );
});
