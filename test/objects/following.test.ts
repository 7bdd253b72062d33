/**
 * Proves how a learner's clients are served: in order, once, each by its own txn, and never beyond what has
 * applied there.
 *
 * A real leader's desk and a real learner's, each over a tree of its own; messages and txns move when the
 * test says so, in the order in which a link would bring them.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  type CreateRequest,
  compareZxid,
  makeServerId,
  makeSessionId,
  makeZxid,
  NO_SESSION,
  OpCode,
  type Requester,
  type SetDataRequest,
  type Txn,
  ZERO_ZXID,
  ZkErrorCode,
  type Zxid,
} from "../../src/base/index.ts";
import {
  Following,
  inFlightBytesMax,
  inFlightMax,
  inFlightMessagesMax,
} from "../../src/objects/following.ts";
import { decodeEntries, decodeReplies, encodeReplies } from "../../src/objects/forwarding-codec.ts";
import { Leading } from "../../src/objects/leading.ts";
import { outstandingMax, type Settlement } from "../../src/objects/writes.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";
import { create, setData } from "../tree/support.ts";
import { requestFrame } from "./support/stream.ts";

const session = { incarnation: 1, attempt: 1 };
const nobody: Requester = { sessionId: NO_SESSION, identities: [], ownership: 0 };
const tickMs = 1_000;

type Moved =
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  | { readonly kind: "txns"; readonly first: Zxid; readonly txns: readonly Txn[] };

class World {
  readonly leaderTree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  readonly tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  /** What the learner has sent and the leader not heard. */
  readonly sent: { readonly bytes: Uint8Array; readonly lazy: boolean }[] = [];
  /** What the leader has sent, in order. */
  readonly moved: Moved[] = [];
  readonly awaited: Zxid[] = [];
  readonly confirms: number[] = [];
  /** What the learner's clients were told, in order. */
  readonly told: string[] = [];
  readonly #next = { counter: 1 };
  readonly #timers = new Set<() => void>();
  nowMs = 1_000_000;
  readonly following = new Following({
    applied: () => this.tree.applied,
    forward: (bytes, lazy) => this.sent.push({ bytes, lazy }),
  });
  readonly leading = new Leading({
    id: makeServerId(1),
    epoch: 1,
    tree: this.leaderTree,
    tickMs,
    vigil: undefined,
    takeIdBlock: () => 0,
    lastSign: () => undefined,
    now: () => this.nowMs,
    nextZxid: () => makeZxid(1, this.#next.counter),
    propose: (txns) => {
      const first = makeZxid(1, this.#next.counter);
      this.#next.counter += txns.length;
      this.moved.push({ kind: "txns", first, txns });
    },
    later: (_, run) => {
      this.#timers.add(run);
      return () => this.#timers.delete(run);
    },
    answer: (_, bytes, awaited) => {
      this.moved.push({ kind: "answer", bytes });
      this.awaited.push(awaited);
    },
    readIndex: (id) => this.confirms.push(id),
  });

  /** A client of the learner's writes; the answer turns up in `told`. */
  write(
    name: string,
    request: CreateRequest | SetDataRequest = create(`/${name}`),
    requester = nobody,
  ): void {
    this.following.write({
      request,
      frame: requestFrame(1, request).slice(4),
      requester,
      cxid: 1,
      settle: (settled) => this.told.push(`${name} ${outcomeOf(settled)}`),
    });
  }

  /** The leader hears everything sent so far; false when it could not read something. */
  hear(count = this.sent.length): boolean {
    const heard = this.sent
      .splice(0, count)
      .map(({ bytes }) => this.leading.forwarded({ from: makeServerId(2), session, bytes, fresh: true }));
    this.leading.flush();
    return !heard.includes(false);
  }

  /** What the leader has sent reaches the learner, and everything proposed is committed. */
  apply(): void {
    for (const item of this.moved.splice(0)) {
      if (item.kind === "answer") this.following.hear(item.bytes);
      else this.#applyAll(item);
    }
  }

  /** All of it, until nothing moves. */
  settle(): void {
    for (let round = 0; round < 20; round++) {
      this.following.flush();
      this.hear();
      for (const run of [...this.#timers]) run();
      this.#timers.clear();
      this.leading.flush();
      this.apply();
    }
  }

  #applyAll({ first, txns }: Extract<Moved, { kind: "txns" }>): void {
    for (const [i, txn] of txns.entries()) {
      const zxid = makeZxid(first.epoch, first.counter + i);
      this.leading.applied(zxid, txn, this.leaderTree.apply(zxid, txn));
      this.following.applied(zxid, this.tree.apply(zxid, txn));
    }
    this.leading.flush();
  }
}

function outcomeOf(settled: Settlement): string {
  if (settled.kind === "lost") return "lost";
  const { outcome } = settled.applied;
  return outcome.kind === "refused" ? String(outcome.code) : outcome.kind;
}

function repliesIn(world: World) {
  return world.moved.flatMap((item) => (item.kind === "answer" ? (decodeReplies(item.bytes) ?? []) : []));
}

describe("a learner's clients", () => {
  test("are answered in order, each by its own txn, whatever else the leader proposes", () => {
    const world = new World();
    world.write("a");
    world.write("b");
    world.write("again", create("/a"));
    world.following.flush();
    expect(world.sent).toHaveLength(1);
    const ignore = () => undefined;
    world.leading.submit(create("/own"), { requester: nobody, cxid: 0, settle: ignore });
    world.hear();
    world.leading.submit(create("/own2"), { requester: nobody, cxid: 0, settle: ignore });
    world.write("c");
    world.settle();
    expect(world.told).toEqual(["a done", "b done", `again ${ZkErrorCode.NodeExists}`, "c done"]);
    expect(compareZxid(world.tree.applied, makeZxid(1, 6))).toBe(0);
  });

  test("hear nothing before their txn has applied at their own member", () => {
    const world = new World();
    world.write("a");
    world.following.flush();
    world.hear();
    for (const item of world.moved) if (item.kind === "answer") world.following.hear(item.bytes);
    expect(world.told).toEqual([]);
    world.moved.splice(0, 1);
    world.apply();
    expect(world.told).toEqual(["a done"]);
  });

  test("hear that nothing is known when the learner session ends, and nothing is sent again", () => {
    const world = new World();
    world.write("a");
    world.following.flush();
    world.write("b");
    world.following.confirm(true, (confirmed) => world.told.push(`confirm ${confirmed}`));
    world.following.end();
    expect(world.told).toEqual(["a lost", "b lost", "confirm false"]);
    world.following.flush();
    world.following.tick();
    expect(world.sent).toHaveLength(1);
    expect(world.following.isBusy).toBe(false);
  });

  test("open and renew sessions at the leader, which names them", () => {
    const world = new World();
    let opened: Settlement | undefined;
    world.following.openSession(4_000, (settled) => {
      opened = settled;
    });
    world.settle();
    const id = opened?.kind === "applied" ? (opened.applied.session?.id ?? NO_SESSION) : NO_SESSION;
    expect(world.tree.session(id)).toEqual({ id, timeoutMs: 4_000, ownership: 1 });
    const outcomes: string[] = [];
    const settle = (settled: Settlement) => void outcomes.push(outcomeOf(settled));
    world.following.renewSession({ id, timeoutMs: 8_000, ownership: 1 }, settle);
    world.following.renewSession({ id, timeoutMs: 9_000, ownership: 1 }, settle);
    world.write("late", create("/late"), { sessionId: id, identities: [], ownership: 1 });
    world.write("now", create("/now"), { sessionId: id, identities: [], ownership: 2 });
    world.settle();
    expect(outcomes).toEqual(["done", String(ZkErrorCode.SessionMoved)]);
    expect(world.told).toEqual([`late ${ZkErrorCode.SessionMoved}`, "now done"]);
    expect(world.tree.session(id)).toEqual({ id, timeoutMs: 8_000, ownership: 2 });
  });

  test("keep their sessions alive by their requests, and by what is reported of them", () => {
    const world = new World();
    const ids = [1, 2, 3].map(() => {
      let id = NO_SESSION;
      world.following.openSession(4_000, (settled) => {
        if (settled.kind === "applied") id = settled.applied.session?.id ?? NO_SESSION;
      });
      world.settle();
      return id;
    });
    const [writer = NO_SESSION, pinger = NO_SESSION, silent = NO_SESSION] = ids;
    for (let passed = 0; passed < 8_000; passed += 100) {
      world.nowMs += 100;
      if (passed % 1_000 === 0)
        world.write("x", setData("/"), { sessionId: writer, identities: [], ownership: 1 });
      world.following.touch(pinger);
      world.following.tick();
      world.settle();
      world.leading.tick();
      world.settle();
    }
    expect([writer, pinger, silent].map((id) => world.tree.hasSession(id))).toEqual([true, true, false]);
  });

  test("are reported every fifth tick, each once, and without a call of their own", () => {
    const world = new World();
    const [a, b] = [makeSessionId(1n), makeSessionId(2n)];
    for (let tick = 0; tick < 10; tick++) {
      if (tick < 5) for (const id of [a, b, a]) world.following.touch(id);
      world.following.tick();
    }
    expect(world.sent.map(({ bytes, lazy }) => [decodeEntries(bytes), lazy])).toEqual([
      [[{ kind: "touches", sessions: [a, b] }], true],
    ]);
  });
});

describe("what is in flight", () => {
  test.each([
    ["requests", inFlightMax, 0],
    ["requests", inFlightMax + 300, 300],
  ])("is bounded in %s: of %d, %d wait", (_, count, waiting) => {
    const world = new World();
    for (let i = 0; i < count; i++) world.write(`${i}`);
    world.following.flush();
    const left = world.sent.flatMap(({ bytes }) => decodeEntries(bytes) ?? []).length;
    // A message is not cut: the last one may pass the bound.
    expect(left).toBeGreaterThanOrEqual(count - waiting);
    world.settle();
    expect(world.told).toHaveLength(count);
    expect(world.told.every((line, i) => line === `${i} done`)).toBe(true);
    // In the order of asking, also across messages.
    const counters = world.told.map((_, i) => world.tree.get(`/${i}`)?.czxid.counter ?? 0);
    expect(counters).toEqual(counters.toSorted((a, b) => a - b));
  });

  test("is bounded in messages: what comes behind them gathers in one", () => {
    const world = new World();
    for (let i = 0; i < inFlightMessagesMax + 3; i++) {
      world.write(`${i}`);
      world.following.flush();
    }
    expect(world.sent).toHaveLength(inFlightMessagesMax);
    world.hear(1);
    world.apply();
    world.following.flush();
    expect(decodeEntries(world.sent.at(-1)?.bytes ?? new Uint8Array(0))).toHaveLength(3);
    world.settle();
    expect(world.told).toHaveLength(inFlightMessagesMax + 3);
  });

  test("is bounded in bytes", () => {
    const world = new World();
    const data = new Uint8Array(900_000);
    for (let i = 0; i < 8; i++) world.write(`${i}`, create(`/${i}`, { data }));
    world.following.flush();
    const bytes = world.sent.reduce((sum, message) => sum + message.bytes.length, 0);
    expect(bytes).toBeGreaterThanOrEqual(inFlightBytesMax);
    expect(bytes).toBeLessThan(inFlightBytesMax + 1_000_000);
    world.settle();
    expect(world.told).toHaveLength(8);
  });

  test.each([
    [outstandingMax - 1, true],
    [outstandingMax, false],
  ])("and waits here: behind %d there is room: %s", (count, hasRoom) => {
    const world = new World();
    for (let i = 0; i < count; i++) world.write("x", setData("/"));
    expect(world.following.hasRoom).toBe(hasRoom);
  });
});

describe("a confirmation", () => {
  test("waits until what was committed before has applied here", () => {
    const world = new World();
    const done: boolean[] = [];
    world.leading.submit(create("/own"), { requester: nobody, cxid: 0, settle: () => undefined });
    world.leading.flush();
    const [own] = world.moved.splice(0);
    if (own?.kind !== "txns") throw new Error("the leader has proposed");
    const [txn] = own.txns;
    if (txn === undefined) throw new Error("a txn is proposed");
    world.leading.applied(own.first, txn, world.leaderTree.apply(own.first, txn));

    world.following.confirm(true, (confirmed) => done.push(confirmed));
    world.following.flush();
    world.hear();
    world.leading.confirmed(1, true);
    world.apply();
    expect([world.confirms, done]).toEqual([[1], []]);
    world.following.applied(own.first, world.tree.apply(own.first, txn));
    expect(done).toEqual([true]);
  });

  test("is asked for once by many; who comes later is no part of it", () => {
    const world = new World();
    const done: string[] = [];
    for (const name of ["a", "b"]) world.following.confirm(true, () => done.push(name));
    world.following.flush();
    world.following.confirm(true, () => done.push("c"));
    world.following.flush();
    world.hear();
    world.leading.confirmed(1, true);
    world.apply();
    expect([world.confirms, done]).toEqual([[1], ["a", "b"]]);
    world.following.flush();
    world.hear();
    world.leading.confirmed(2, true);
    world.apply();
    expect([world.confirms, done]).toEqual([
      [1, 2],
      ["a", "b", "c"],
    ]);
  });

  test("that the leader cannot give is denied", () => {
    const world = new World();
    const done: boolean[] = [];
    world.following.confirm(true, (confirmed) => done.push(confirmed));
    world.following.flush();
    world.hear();
    world.leading.confirmed(1, false);
    world.apply();
    expect(done).toEqual([false]);
  });
});

describe("the leader", () => {
  test("tells a learner which txns are its clients', ahead of them, in as few words as it can", () => {
    const world = new World();
    const own = () =>
      world.leading.submit(setData("/"), { requester: nobody, cxid: 0, settle: () => undefined });
    for (const name of ["a", "b"]) world.write(name);
    world.following.flush();
    own();
    world.sent.splice(0).forEach(({ bytes }) => {
      world.leading.forwarded({ from: makeServerId(2), session, bytes, fresh: true });
    });
    own();
    world.write("c");
    world.following.flush();
    world.hear();
    expect(world.moved.map(({ kind }) => kind)).toEqual(["answer", "txns"]);
    expect(repliesIn(world)).toEqual([
      { kind: "assigned", first: makeZxid(1, 2), count: 2 },
      { kind: "assigned", first: makeZxid(1, 5), count: 1 },
    ]);
    expect(world.awaited).toEqual([makeZxid(1, 5)]);
  });

  test("takes no message that makes no sense, nor does the learner", () => {
    const world = new World();
    const read = { type: OpCode.GetData, path: "/", watch: false } as const;
    world.following.write({
      request: create("/a"),
      frame: requestFrame(1, read).slice(4),
      requester: nobody,
      cxid: 1,
      settle: () => undefined,
    });
    world.following.flush();
    expect(world.hear()).toBe(false);
    world.sent.push({ bytes: Uint8Array.of(9), lazy: false });
    expect(world.hear()).toBe(false);
    expect(world.following.hear(Uint8Array.of(9))).toBe(false);
    const stray = encodeReplies([{ kind: "assigned", first: ZERO_ZXID, count: 9 }]);
    expect(() => world.following.hear(stray)).toThrow(/assigns zxids to what it was sent/);
  });

  test("takes nothing more once its reign is over", () => {
    const world = new World();
    world.write("a");
    world.following.flush();
    world.leading.end();
    expect(world.hear()).toBe(true);
    expect(world.moved).toEqual([]);
  });
});
