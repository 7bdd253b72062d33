/**
 * Proves who gets a session, with which timeout, and when the leader ends one.
 *
 * A leader of one: what is submitted is prepared at once and applied when the test says so. Sources: the
 * wire reference, sections 3 and 15.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  type ConnectRequest,
  makeServerId,
  makeSessionId,
  makeZxid,
  OpCode,
  type Requester,
  type SessionId,
  type Txn,
  type WriteRequest,
} from "../../src/base/index.ts";
import type { OpenedSession } from "../../src/objects/connection.ts";
import { sessionPassword } from "../../src/objects/passwords.ts";
import { type Opening, Sessions, sessionsMax } from "../../src/objects/sessions.ts";
import { tickGapMs } from "../../src/objects/timing.ts";
import type { Settle } from "../../src/objects/writes.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";

const tickMs = 1_000;
const config = { voters: [makeServerId(3)], observers: [], secret: "s" };
const nobody: Requester = { sessionId: makeSessionId(0n), identities: [{ scheme: "ip", id: "::1" }] };

interface Submitted {
  readonly request: WriteRequest;
  readonly requester: Requester;
  readonly txn: Txn;
  readonly settle: Settle;
}

class World {
  readonly tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  readonly submitted: Submitted[] = [];
  nowMs = 1_000_000;
  readonly sessions = new Sessions({
    id: makeServerId(3),
    config,
    tree: this.tree,
    tickMs,
    now: () => this.nowMs,
    submit: (request, requester, settle) => {
      const txn = this.tree.prepare(request, { requester, cxid: 0, nowMs: this.nowMs });
      this.submitted.push({ request, requester, txn, settle });
    },
  });
  #counter = 0;

  constructor() {
    this.sessions.lead(1);
  }

  /** What waits is agreed on. */
  apply(): void {
    for (const { txn, settle } of this.submitted.splice(0)) {
      this.#counter += 1;
      const zxid = makeZxid(1, this.#counter);
      const applied = this.tree.apply(zxid, txn);
      this.sessions.applied(txn);
      settle({ kind: "applied", zxid, applied });
    }
  }

  /** Ticks of the member's, so that no gap shows; answers whose end was proposed. */
  pass(ms: number): SessionId[] {
    const endMs = this.nowMs + ms;
    const before = this.submitted.length;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(this.nowMs + 100, endMs);
      this.sessions.tick();
    }
    return this.submitted.slice(before).map(({ requester }) => requester.sessionId);
  }

  open(timeoutMs = 4_000): OpenedSession {
    const { opened } = this.ask({ timeoutMs });
    this.apply();
    const session = opened();
    if (session === undefined) throw new Error("not opened");
    return session;
  }

  ask(given: Partial<ConnectRequest>): { opening: Opening; opened: () => OpenedSession | undefined } {
    let told: OpenedSession | undefined;
    const request: ConnectRequest = {
      protocolVersion: 0,
      lastZxidSeen: 0n,
      timeoutMs: 4_000,
      sessionId: 0n,
      password: null,
      readOnly: false,
      ...given,
    };
    const opening = this.sessions.open(request, nobody, (opened) => {
      told = opened;
    });
    return { opening, opened: () => told };
  }

  renew(session: OpenedSession, given: Partial<ConnectRequest> = {}): Opening {
    return this.ask({ sessionId: session.id, password: session.password, ...given }).opening;
  }
}

describe("a new session", () => {
  test("is proposed first, and opened when its txn has applied", () => {
    const world = new World();
    const { opening, opened } = world.ask({});
    expect([opening, opened()]).toEqual([{ kind: "pending" }, undefined]);
    const [{ request, requester } = { request: undefined, requester: undefined }] = world.submitted;
    expect(request).toEqual({ type: OpCode.CreateSession, timeoutMs: 4_000 });
    expect(requester?.identities).toEqual(nobody.identities);
    world.apply();
    const id = makeSessionId(0x300000100000001n);
    expect(opened()).toEqual({ id, timeoutMs: 4_000, password: sessionPassword("s", id) });
    expect(world.tree.session(id)).toEqual({ id, timeoutMs: 4_000 });
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
    const { opened } = world.ask({});
    for (const { settle } of world.submitted) settle({ kind: "lost" });
    expect(opened()).toBeUndefined();
  });

  test("has another id each time, and a follower gives none", () => {
    const world = new World();
    expect(new Set([world.open().id, world.open().id, world.sessions.newId()]).size).toBe(3);
    world.sessions.follow();
    expect(world.sessions.newId()).toBeUndefined();
    expect(world.ask({}).opening).toEqual({ kind: "gone" });
  });

  test.each([
    [sessionsMax - 1, true],
    [sessionsMax, false],
  ])("beside %d others finds room: %s", (count, hasRoom) => {
    const world = new World();
    Object.defineProperty(world.tree, "sessionCount", { value: count });
    expect(world.sessions.hasRoom).toBe(hasRoom);
  });

  test("may ask with any password", () => {
    const world = new World();
    expect(world.ask({ password: new Uint8Array(16) }).opening).toEqual({ kind: "pending" });
  });
});

describe("a session taken up again", () => {
  test("keeps its id and password and gets the timeout asked for now", () => {
    const world = new World();
    const session = world.open(4_000);
    const opening = world.renew(session, { timeoutMs: 2_000 });
    expect(opening).toEqual({ kind: "opened", session: { ...session, timeoutMs: 2_000 } });
    expect(world.pass(2_000)).toEqual([]);
    expect(world.pass(tickMs)).toEqual([session.id]);
  });

  test("starts its timeout anew", () => {
    const world = new World();
    const session = world.open(4_000);
    world.pass(3_500);
    world.renew(session);
    expect(world.pass(4_000)).toEqual([]);
    expect(world.pass(tickMs)).toEqual([session.id]);
  });

  test("at a new leader of another epoch is the same session", () => {
    const world = new World();
    const session = world.open();
    world.sessions.follow();
    world.sessions.lead(2);
    expect(world.renew(session).kind).toBe("opened");
    expect(world.open().id).not.toBe(session.id);
  });

  test.each<[string, (session: OpenedSession) => Partial<ConnectRequest>]>([
    ["no password", () => ({ password: null })],
    ["zeros for a password", () => ({ password: new Uint8Array(16) })],
    [
      "an id nobody has",
      ({ id }) => ({ sessionId: id + 1n, password: sessionPassword("s", makeSessionId(id + 1n)) }),
    ],
    ["another's password", ({ id }) => ({ password: sessionPassword("s", makeSessionId(id + 1n)) })],
  ])("is gone with %s, and its timeout goes on", (_, given) => {
    const world = new World();
    const session = world.open(4_000);
    world.pass(3_000);
    expect(world.renew(session, given(session))).toEqual({ kind: "gone" });
    expect(world.pass(2 * tickMs)).toEqual([session.id]);
  });

  test("is gone once its end was proposed, and when it has ended", () => {
    const world = new World();
    const session = world.open(2_000);
    world.pass(3_000);
    expect(world.renew(session)).toEqual({ kind: "gone" });
    world.apply();
    expect(world.renew(session)).toEqual({ kind: "gone" });
  });

  test("with id 0 is a new one, whatever the password", () => {
    const world = new World();
    const password = sessionPassword("s", makeSessionId(0n));
    expect(world.ask({ sessionId: 0n, password }).opening).toEqual({ kind: "pending" });
  });
});

describe("a silent session", () => {
  test("ends between its timeout and a tick later, once", () => {
    const world = new World();
    const session = world.open(4_000);
    expect(world.pass(4_000)).toEqual([]);
    expect(world.pass(tickMs)).toEqual([session.id]);
    expect(world.submitted.map(({ request }) => request)).toEqual([{ type: OpCode.CloseSession }]);
    expect(world.pass(10 * tickMs)).toEqual([]);
    world.apply();
    expect(world.tree.hasSession(session.id)).toBe(false);
    expect(world.pass(10 * tickMs)).toEqual([]);
  });

  test("lives on while it is touched, and cannot be touched back to life", () => {
    const world = new World();
    const { id } = world.open(2_000);
    for (let i = 0; i < 10; i++) {
      expect(world.pass(1_900)).toEqual([]);
      expect(world.sessions.touch(id, world.nowMs)).toBe(true);
    }
    expect(world.pass(3_000)).toEqual([id]);
    expect(world.sessions.touch(id, world.nowMs)).toBe(false);
  });

  test("that has said goodbye is not ended again", () => {
    const world = new World();
    const { id } = world.open(2_000);
    const goodbye = {
      request: { type: OpCode.CloseSession },
      requester: { sessionId: id, identities: [] },
    } as const;
    const txn = world.tree.prepare(goodbye.request, {
      requester: goodbye.requester,
      cxid: 0,
      nowMs: world.nowMs,
    });
    expect(world.pass(5_000)).toEqual([]);
    world.submitted.push({ ...goodbye, txn, settle: () => undefined });
    world.apply();
    expect(world.pass(5_000)).toEqual([]);
  });

  test("gets its full timeout again from a new leader", () => {
    const world = new World();
    const { id } = world.open(4_000);
    world.pass(3_900);
    world.sessions.lead(2);
    expect(world.pass(4_000)).toEqual([]);
    expect(world.pass(tickMs)).toEqual([id]);
  });

  test.each([
    ["slept longer than tickGapMs", tickGapMs + 1],
    ["had its clock set back", -50_000],
  ])("is no evidence for a member that has %s", (_, jumpMs) => {
    const world = new World();
    const { id } = world.open(4_000);
    world.pass(3_900);
    world.nowMs += jumpMs;
    world.sessions.tick();
    expect(world.submitted).toEqual([]);
    expect(world.pass(4_000)).toEqual([]);
    expect(world.pass(tickMs)).toEqual([id]);
  });

  test("is evidence after a pause of tickGapMs", () => {
    const world = new World();
    const { id } = world.open(4_000);
    world.pass(1_500);
    world.nowMs += tickGapMs;
    world.sessions.tick();
    expect(world.submitted.map(({ requester }) => requester.sessionId)).toEqual([id]);
  });
});
