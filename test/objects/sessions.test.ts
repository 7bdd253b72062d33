/**
 * Proves when the leader ends a session, and when it must not.
 *
 * A leader of one: what is submitted is prepared at once and applied when the test says so. Source: the
 * wire reference, section 15.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  makeServerId,
  makeSessionId,
  makeZxid,
  OpCode,
  type Requester,
  type SessionId,
  type Txn,
  type WriteRequest,
} from "../../src/base/index.ts";
import { Sessions, sessionsMax } from "../../src/objects/sessions.ts";
import { dueHoldTicks, expiryHoldTicks, peerTickMs, tickGapMs } from "../../src/objects/timing.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";

const tickMs = 1_000;

/** How late a session may end: its deadline is rounded up, and the member looks twice. */
const lateMs = tickMs + peerTickMs;

interface Submitted {
  readonly request: WriteRequest;
  readonly requester: Requester;
  readonly txn: Txn;
}

class World {
  readonly tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  readonly submitted: Submitted[] = [];
  nowMs = 1_000_000;
  sessions = this.#begin(1);
  #counter = 0;

  /** What waits is agreed on. */
  apply(): void {
    for (const { txn } of this.submitted.splice(0)) {
      this.#counter += 1;
      this.tree.apply(makeZxid(1, this.#counter), txn);
      this.sessions.applied(txn);
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

  open(timeoutMs = 4_000): { readonly id: SessionId } {
    const id = this.sessions.newId();
    this.submit({ type: OpCode.CreateSession, timeoutMs }, { sessionId: id, identities: [] });
    this.apply();
    return { id };
  }

  renew(sessionId: SessionId, timeoutMs: number): void {
    this.submit({ type: OpCode.RenewSession, timeoutMs }, { sessionId, identities: [] });
    this.apply();
  }

  submit(request: WriteRequest, requester: Requester): void {
    const txn = this.tree.prepare(request, { requester, cxid: 0, nowMs: this.nowMs });
    this.submitted.push({ request, requester, txn });
  }

  /** Another leader, with the same state. */
  beginAgain(): void {
    this.sessions = this.#begin(2);
  }

  #begin(epoch: number): Sessions {
    return new Sessions({
      id: makeServerId(3),
      epoch,
      tree: this.tree,
      tickMs,
      takeIdBlock: () => 0,
      lastSign: () => undefined,
      now: () => this.nowMs,
      submit: (request, requester) => this.submit(request, requester),
    });
  }
}

describe("a session", () => {
  test("has another id each time, and another still under another leader", () => {
    const world = new World();
    const ids = [world.open().id, world.open().id, world.sessions.newId()];
    expect(ids[0]).toBe(makeSessionId(0x300000100000001n));
    world.beginAgain();
    expect(new Set([...ids, world.open().id]).size).toBe(4);
  });

  test.each([
    [sessionsMax - 1, true],
    [sessionsMax, false],
  ])("beside %d others finds room: %s", (count, hasRoom) => {
    const world = new World();
    Object.defineProperty(world.tree, "sessionCount", { value: count });
    expect(world.sessions.hasRoom).toBe(hasRoom);
  });
});

describe("a session taken up again", () => {
  test("has the timeout asked for now, from now on", () => {
    const world = new World();
    const { id } = world.open(4_000);
    world.pass(3_500);
    world.renew(id, 2_000);
    expect(world.pass(2_000)).toEqual([]);
    expect(world.pass(tickMs)).toEqual([id]);
  });

  test("keeps that timeout under the next leader", () => {
    const world = new World();
    const { id } = world.open(4_000);
    world.renew(id, 8_000);
    world.beginAgain();
    expect(world.pass(8_000)).toEqual([]);
    expect(world.pass(lateMs)).toEqual([id]);
  });
});

describe("a silent session", () => {
  test("ends between its timeout and lateMs after it, once", () => {
    const world = new World();
    const session = world.open(4_000);
    expect(world.pass(4_000)).toEqual([]);
    expect(world.pass(lateMs)).toEqual([session.id]);
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
    expect(world.pass(2_000 + lateMs)).toEqual([id]);
    expect(world.sessions.touch(id, world.nowMs)).toBe(false);
  });

  test("that has said goodbye is not ended again", () => {
    const world = new World();
    const { id } = world.open(2_000);
    world.submit({ type: OpCode.CloseSession }, { sessionId: id, identities: [] });
    expect(world.pass(5_000)).toEqual([]);
    world.apply();
    expect(world.pass(5_000)).toEqual([]);
  });

  test("gets its full timeout again from a new leader", () => {
    const world = new World();
    const { id } = world.open(4_000);
    world.pass(3_900);
    world.beginAgain();
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

  test("is evidence after a stall of tickGapMs, once what waited meanwhile has been read", () => {
    const world = new World();
    const { id } = world.open(4_000);
    world.pass(1_500);
    world.nowMs += tickGapMs;
    world.sessions.tick();
    expect(world.submitted).toEqual([]);
    expect(world.sessions.isHolding).toBe(true);
    expect(world.pass(peerTickMs)).toEqual([id]);
  });
});

describe("a session that falls due while its leader stalls", () => {
  test("lives on when signs of life waited behind the leader's first tick", () => {
    const world = new World();
    const { id } = world.open(2_000);
    world.pass(1_900);
    world.nowMs += 3_000;
    world.sessions.tick();
    expect(world.sessions.touch(id, world.nowMs)).toBe(true);
    expect(world.sessions.isHolding).toBe(false);
    expect(world.pass(2_000)).toEqual([]);
    expect(world.pass(lateMs)).toEqual([id]);
  });
});

describe("a session that is due when its leader wakes", () => {
  /** Its deadline has passed, and then that of the suspicion. */
  function wakeWithOneDue(): { world: World; id: SessionId } {
    const world = new World();
    const { id } = world.open(4_000);
    const [watched] = world.sessions.watched;
    if (watched === undefined) throw new Error("a session that is open is watched");
    world.nowMs += 60_000;
    world.sessions.wake([{ ...watched, deadlineMs: world.nowMs, isSuspected: true }]);
    return { world, id };
  }

  test("is ended once every member has had dueHoldTicks to report it", () => {
    const { world, id } = wakeWithOneDue();
    expect(world.pass(dueHoldTicks * peerTickMs)).toEqual([]);
    expect(world.sessions.isHolding).toBe(true);
    expect(world.pass(peerTickMs)).toEqual([id]);
    expect(world.sessions.isHolding).toBe(false);
  });

  test("lives on when a member that had to attach first reports it, and keeps nobody awake any more", () => {
    const { world, id } = wakeWithOneDue();
    world.pass((expiryHoldTicks + 10) * peerTickMs);
    expect(world.sessions.touch(id, world.nowMs)).toBe(true);
    expect(world.sessions.isHolding).toBe(false);
    expect(world.pass(3_900)).toEqual([]);
  });
});

describe("a leader that wakes with its memory", () => {
  test("keeps what it heard in the moment it woke, before it looked at the vigil", () => {
    const world = new World();
    const { id } = world.open(4_000);
    const vigil = world.sessions.watched;
    world.nowMs += 3_900;
    expect(world.sessions.touch(id, world.nowMs)).toBe(true);
    world.sessions.wake(vigil);
    expect(world.pass(4_000)).toEqual([]);
    expect(world.pass(tickMs)).toEqual([id]);
  });

  test("believes the vigil where it has heard nothing: an alarm has looked meanwhile", () => {
    const world = new World();
    const { id } = world.open(4_000);
    const [watched] = world.sessions.watched;
    if (watched === undefined) throw new Error("a session that is open is watched");
    world.nowMs += 6_000;
    world.sessions.wake([{ ...watched, deadlineMs: watched.deadlineMs + 4_000, isSuspected: true }]);
    expect(world.sessions.watched).toMatchObject([{ isSuspected: true }]);
    expect(world.pass(5_000)).toEqual([id]);
  });
});
