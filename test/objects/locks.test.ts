/**
 * Proves who is granted a lock, when, and that no place outlives its holder or is taken twice.
 *
 * Locks over a real tree and pipeline, kept by a lone voter. The clock is the test's: timers fire when time
 * is made to pass, and a lock that nobody keeps lapses when the test ends its session.
 *
 * @module
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type AuthId,
  CreateMode,
  makeServerId,
  makeSessionId,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  Perms,
  type SessionId,
  ZkErrorCode,
} from "../../src/base/index.ts";
import type { LockAnswer, LockRequest } from "../../src/objects/api.ts";
import { contendersMax, Locks, waitersMax } from "../../src/objects/locks.ts";
import { Sessions } from "../../src/objects/sessions.ts";
import type { Settlement } from "../../src/objects/writes.ts";
import { bob, bobOnly, create, remove } from "../tree/support.ts";
import { Leader } from "./support/leader.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});

afterEach(() => {
  vi.useRealTimers();
});

const [a, b, c] = ["a", "b", "c"].map((digit) => digit.repeat(32)) as [string, string, string];

class World {
  readonly touched: SessionId[] = [];
  /** What `confirm` answers. */
  isConfirmed = true;
  hasRoom = true;
  isLeading = true;
  /** Held back until the test lets them go. */
  readonly held: (() => void)[] = [];
  holdsWrites = false;
  readonly #watchers = new Map<number, () => void>();
  #lastSession = 0;
  #lastWatcher = 0;
  readonly leader: Leader = new Leader({
    isLone: true,
    applied: (_, __, { triggers }) => {
      for (const trigger of triggers)
        for (const { watcher } of this.leader.tree.watches.fire(trigger, () => true))
          this.#watchers.get(watcher)?.();
    },
  });
  readonly locks = new Locks({
    tree: this.leader.tree,
    now: () => this.leader.nowMs,
    isLeading: () => this.isLeading,
    hasRoom: () => this.hasRoom,
    newSessionId: () => (this.isLeading ? this.newSessionId() : undefined),
    sessionOf: ({ id, password }) => (password === "right" ? makeSessionId(BigInt(id)) : undefined),
    write: (request, requester) => {
      if (!this.isLeading) return Promise.resolve({ kind: "lost" });
      return new Promise<Settlement>((resolve) => {
        const submit = () => {
          this.leader.submit(request, { requester, settle: resolve });
          this.leader.writes.flush();
        };
        if (this.holdsWrites) this.held.push(submit);
        else submit();
      });
    },
    touch: (session) => {
      this.touched.push(session);
      return this.leader.nowMs;
    },
    confirm: () => Promise.resolve(this.isConfirmed),
    watchZnode: (path, changed) => {
      this.#lastWatcher += 1;
      this.#watchers.set(this.#lastWatcher, changed);
      this.leader.tree.watches.addData(this.#lastWatcher, path);
      return this.#lastWatcher;
    },
    unwatch: (watcher) => {
      this.#watchers.delete(watcher);
      this.leader.tree.watches.drop(watcher);
    },
  });

  /** Watchers that nobody removed. */
  get watchers(): number {
    return this.#watchers.size + this.leader.tree.watches.watcherCount;
  }

  newSessionId(): SessionId {
    this.#lastSession += 1;
    return makeSessionId(BigInt(this.#lastSession));
  }

  acquire(id: string, given: Partial<LockRequest> = {}): Promise<LockAnswer> {
    return this.locks.acquire({
      path: "/locks/x",
      id,
      mode: "exclusive",
      ttlMs: 10_000,
      waitMs: 0,
      owner: `owner ${id.slice(0, 1)}`,
      identities: [],
      ...given,
    });
  }

  release(id: string): Promise<LockAnswer> {
    return this.locks.release({ path: "/locks/x", id, identities: [] }, true);
  }

  keep(id: string): Promise<LockAnswer> {
    return this.locks.keep({ path: "/locks/x", id, identities: [] }, true);
  }

  /** A session's timeout is over. */
  lapse(session: SessionId): void {
    this.leader.submit({ type: OpCode.CloseSession }, { requester: { sessionId: session, identities: [] } });
    this.leader.writes.flush();
  }

  ownerOf(name: string): SessionId {
    const lifetime = this.leader.tree.get(`/locks/x/${name}`)?.lifetime;
    if (lifetime?.kind !== "ephemeral") throw new Error(`${name} is no ephemeral`);
    return lifetime.owner;
  }

  get queue(): readonly string[] {
    return this.leader.tree.children("/locks/x", undefined, 99);
  }

  /** A kazoo client takes a place. */
  kazoo(marker = "__lock__"): string {
    const sessionId = this.newSessionId();
    const requester = { sessionId, identities: [] };
    this.leader.submit({ type: OpCode.CreateSession, timeoutMs: 10_000 }, { requester });
    const name = `0123456789abcdef0123456789abcdef${marker}`;
    const flags = CreateMode.EphemeralSequential;
    const before = new Set(this.queue);
    this.leader.submit(create(`/locks/x/${name}`, { flags }), { requester });
    this.leader.writes.flush();
    const made = this.queue.find((each) => !before.has(each));
    if (made === undefined) throw new Error("no place was taken");
    return made;
  }

  remove(name: string): void {
    this.leader.submit(remove(`/locks/x/${name}`));
    this.leader.writes.flush();
  }

  /** Time passes, timers fire, and what waits for them goes on. */
  async pass(ms: number): Promise<void> {
    this.leader.nowMs += ms;
    await vi.advanceTimersByTimeAsync(ms);
  }
}

/** Lets what can go on without time passing go on. */
function breathe(): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(0);
}

/** The answer if there is one by now. */
async function soFar(promise: Promise<LockAnswer>): Promise<LockAnswer | "waiting"> {
  await breathe();
  return Promise.race([promise, Promise.resolve("waiting" as const)]);
}

function tokenOf(answer: LockAnswer): bigint {
  if (answer.kind !== "granted") throw new Error(`not granted: ${answer.kind}`);
  return BigInt(answer.token);
}

describe("a free lock", () => {
  test("is granted at once, in a place of its own, and its parents are made", async () => {
    const world = new World();
    const answer = await world.acquire(a);
    expect(answer).toEqual({
      kind: "granted",
      id: a,
      mode: "exclusive",
      token: expect.stringMatching(/^0x[0-9a-f]+$/),
      ttlMs: 10_000,
      expiresAtMs: world.leader.nowMs + 10_000,
      isRevoked: false,
    });
    expect(world.queue).toEqual([`ek-${a}__lock__0000000000`]);
    expect(world.leader.tree.get("/locks")?.lifetime.kind).toBe("persistent");
    const owner = world.ownerOf(`ek-${a}__lock__0000000000`);
    expect(world.leader.tree.session(owner)).toEqual({ id: owner, timeoutMs: 10_000, ownership: 1 });
    expect([world.leader.tree.sessionCount, world.watchers]).toEqual([1, 0]);
  });

  test("asked for again by the same caller is the same grant", async () => {
    const world = new World();
    const first = await world.acquire(a);
    world.leader.nowMs += 500;
    const again = await world.acquire(a);
    expect([tokenOf(again), world.queue.length]).toEqual([tokenOf(first), 1]);
    expect(again).toMatchObject({ kind: "granted", expiresAtMs: world.leader.nowMs + 10_000 });
  });

  test("goes to several who share it, and greater tokens to the later ones", async () => {
    const world = new World();
    const answers = [await world.acquire(a, { mode: "shared" }), await world.acquire(b, { mode: "shared" })];
    expect(answers).toMatchObject([{ kind: "granted", mode: "shared" }, { kind: "granted" }]);
    const [first, second] = answers.map(tokenOf);
    expect(Number(second)).toBeGreaterThan(Number(first));
  });

  test("under a znode that refuses creates is refused, and leaves no session", async () => {
    const world = new World();
    world.leader.submit(create("/locks", { acl: bobOnly }));
    world.leader.writes.flush();
    const refused = { kind: "refused", outcome: { err: ZkErrorCode.NoAuth }, path: "/locks/x" };
    expect(await world.acquire(a)).toEqual(refused);
    expect(world.leader.tree.sessionCount).toBe(0);
    expect(await world.acquire(a, { identities: [bob] })).toMatchObject({ kind: "granted" });
  });

  test("under an ephemeral is refused, and leaves no session", async () => {
    const world = new World();
    const requester = { sessionId: world.newSessionId(), identities: [] };
    world.leader.submit({ type: OpCode.CreateSession, timeoutMs: 9_000 }, { requester });
    world.leader.submit(create("/locks", { flags: CreateMode.Ephemeral }), { requester });
    world.leader.writes.flush();
    expect(await world.acquire(a)).toMatchObject({
      kind: "refused",
      outcome: { err: ZkErrorCode.NoChildrenForEphemerals },
    });
    expect(world.leader.tree.sessionCount).toBe(1);
  });

  test("is not queued for when there is no room or no leader", async () => {
    const world = new World();
    world.hasRoom = false;
    expect(await world.acquire(a)).toEqual({ kind: "overloaded" });
    world.hasRoom = true;
    world.isLeading = false;
    expect(await world.acquire(a)).toEqual({ kind: "notLeader", leader: 0 });
    expect([world.queue, world.leader.tree.sessionCount]).toEqual([[], 0]);
  });

  test("has a queue of contendersMax: one more is told so, and leaves nothing behind", async () => {
    const world = new World();
    await world.acquire(a);
    // Whoever queues up over the ZooKeeper protocol counts as well.
    for (let place = 2; place < contendersMax; place++)
      world.leader.submit(create(`/locks/x/other__lock__${String(place).padStart(10, "0")}`));
    world.leader.writes.flush();
    const last = world.acquire(b, { waitMs: 1_000 });
    expect(await soFar(last)).toBe("waiting");
    expect(world.leader.tree.get("/locks/x")?.numChildren).toBe(contendersMax);
    expect(await world.acquire(c, { waitMs: 1_000 })).toEqual({ kind: "overloaded" });
    expect(world.leader.tree.get("/locks/x")?.numChildren).toBe(contendersMax);
    expect(world.leader.tree.sessionCount).toBe(2);
    await world.pass(1_000);
    expect((await last).kind).toBe("timedOut");
    expect(await soFar(world.acquire(c, { waitMs: 1_000 }))).toBe("waiting");
  });

  test("is waited for by waitersMax in all: one more gives its place up at once, and others may try", async () => {
    const world = new World();
    const wait = (index: number) => {
      const path = `/locks/${Math.floor(index / 100)}`;
      return world.acquire(index.toString(16).padStart(32, "0"), { path, waitMs: 5_000 });
    };
    // The first of each hundred is granted the lock.
    const granted = Math.ceil(waitersMax / 99);
    const answers = Array.from({ length: waitersMax + granted }, (_, index) => wait(index));
    await breathe();
    const path = `/locks/${granted - 1}`;
    const places = world.leader.tree.get(path)?.numChildren;
    expect(await world.acquire(a, { path, waitMs: 5_000 })).toEqual({ kind: "overloaded" });
    expect(world.leader.tree.get(path)?.numChildren).toBe(places);
    // Whose first try waits keeps its place.
    expect(await wait(1)).toEqual({ kind: "overloaded" });
    expect(world.leader.tree.get("/locks/0")?.numChildren).toBe(100);
    // A free lock is granted all the same: nobody waits for it.
    expect((await world.acquire(a, { waitMs: 5_000 })).kind).toBe("granted");
    await world.pass(5_000);
    const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "granted")).toHaveLength(granted);
    expect(kinds.filter((kind) => kind === "timedOut")).toHaveLength(waitersMax);
    expect(world.watchers).toBe(0);
  });
});

describe("a lock that is taken", () => {
  test("is not waited for without patience: the place is given up, and the queue told", async () => {
    const world = new World();
    await world.acquire(a);
    const answer = await world.acquire(b);
    expect(answer).toMatchObject({
      kind: "timedOut",
      contenders: [
        { id: a, holds: true, mode: "exclusive", owner: "owner a" },
        { id: b, holds: false },
      ],
    });
    expect([world.queue.length, world.leader.tree.sessionCount]).toEqual([1, 1]);
  });

  test("is granted when its holder lets go, to the next in line", async () => {
    const world = new World();
    const first = tokenOf(await world.acquire(a));
    const second = world.acquire(b, { waitMs: 5_000 });
    const third = world.acquire(c, { waitMs: 5_000 });
    expect(await soFar(second)).toBe("waiting");
    expect(await world.release(a)).toEqual({ kind: "released" });
    expect(tokenOf(await second)).toBeGreaterThan(first);
    expect(await soFar(third)).toBe("waiting");
    await world.release(b);
    expect(tokenOf(await third)).toBeGreaterThan(tokenOf(await second));
    expect(world.watchers).toBe(0);
  });

  test("is granted when its holder lapses", async () => {
    const world = new World();
    await world.acquire(a);
    const second = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    world.lapse(world.ownerOf(`ek-${a}__lock__0000000000`));
    expect(await second).toMatchObject({ kind: "granted", id: b });
    expect(await world.keep(a)).toEqual({ kind: "gone" });
  });

  test("is waited for as long as was asked, then given up", async () => {
    const world = new World();
    await world.acquire(a);
    const second = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    await world.pass(4_999);
    expect(await soFar(second)).toBe("waiting");
    await world.pass(1);
    expect(await second).toMatchObject({ kind: "timedOut" });
    expect([world.queue.length, world.watchers]).toEqual([1, 0]);
  });

  test("keeps those who wait for it alive, and nobody after", async () => {
    const world = new World();
    await world.acquire(a);
    const second = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    const waiting = world.ownerOf(`ek-${b}__lock__0000000001`);
    world.touched.length = 0;
    world.locks.tick();
    expect(world.touched).toEqual([waiting]);
    await world.release(a);
    await second;
    world.touched.length = 0;
    world.locks.tick();
    expect(world.touched).toEqual([]);
  });

  test("whose waiting ones see others come and go wait on", async () => {
    const world = new World();
    await world.acquire(a);
    const second = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    const other = world.kazoo();
    await world.pass(1_000);
    world.remove(other);
    await world.pass(1_000);
    expect(await soFar(second)).toBe("waiting");
    await world.pass(3_000);
    expect(await second).toMatchObject({ kind: "timedOut" });
  });

  test("lets shared ones wait behind an exclusive one, and exclusive ones behind shared ones", async () => {
    const world = new World();
    await world.acquire(a, { mode: "shared" });
    const exclusive = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    const shared = world.acquire(c, { waitMs: 5_000, mode: "shared" });
    expect([await soFar(exclusive), await soFar(shared)]).toEqual(["waiting", "waiting"]);
    await world.release(a);
    expect(await exclusive).toMatchObject({ kind: "granted" });
    expect(await soFar(shared)).toBe("waiting");
    await world.release(b);
    expect(await shared).toMatchObject({ kind: "granted", mode: "shared" });
  });
});

describe("kazoo's contenders", () => {
  test("are waited for, and wait for ours", async () => {
    const world = new World();
    await world.acquire(a);
    await world.release(a);
    const theirs = world.kazoo();
    const ours = world.acquire(b, { waitMs: 5_000 });
    expect(await soFar(ours)).toBe("waiting");
    world.remove(theirs);
    expect(await ours).toMatchObject({ kind: "granted" });
  });

  test("that read do not wait for ours that read, and ours not for them", async () => {
    const world = new World();
    await world.acquire(a, { mode: "shared" });
    world.kazoo("__rlock__");
    expect(await world.acquire(b, { mode: "shared" })).toMatchObject({ kind: "granted" });
    expect(await world.acquire(c)).toMatchObject({ kind: "timedOut" });
  });

  test("are described by their names, and are nobody's to release or keep", async () => {
    const world = new World();
    await world.acquire(a);
    const theirs = world.kazoo();
    const view = await world.locks.describe("/locks/x", { sessionId: NO_SESSION, identities: [] }, true);
    expect(view).toMatchObject({
      kind: "described",
      contenders: [
        { id: a, holds: true },
        { id: theirs, holds: false, owner: "" },
      ],
    });
    const id = theirs.slice(0, 32);
    expect(await world.release(id)).toEqual({ kind: "gone" });
    expect(await world.keep(id)).toEqual({ kind: "gone" });
    expect(world.queue).toContain(theirs);
  });
});

describe("keeping a lock", () => {
  test("touches its session and tells how long it lives now", async () => {
    const world = new World();
    const granted = await world.acquire(a, { ttlMs: 3_000, mode: "shared" });
    world.leader.nowMs += 1_000;
    expect(await world.keep(a)).toEqual({ ...granted, expiresAtMs: world.leader.nowMs + 3_000 });
    expect(world.touched).toContain(world.ownerOf(`ek-${a}__rlock__0000000000`));
  });

  test("that one only waits for tells who holds it", async () => {
    const world = new World();
    await world.acquire(a);
    const waiting = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    expect(await world.keep(b)).toMatchObject({ kind: "timedOut", contenders: [{ id: a }, { id: b }] });
    expect(await soFar(waiting)).toBe("waiting");
    await world.pass(5_000);
    await waiting;
  });

  test.each([
    [true, "gone"],
    [false, "unknown"],
  ])("that is not there answers for sure only when confirmed (%s)", async (isConfirmed, kind) => {
    const world = new World();
    world.isConfirmed = isConfirmed;
    expect(await world.keep(a)).toEqual({ kind });
    expect(await world.release(a)).toEqual({ kind });
  });

  test("without a confirmed leader is not promised", async () => {
    const world = new World();
    await world.acquire(a);
    world.isConfirmed = false;
    expect(await world.keep(a)).toEqual({ kind: "unknown" });
    expect(await world.acquire(a)).toEqual({ kind: "unknown" });
  });
});

describe("releasing a lock", () => {
  test("takes the place and its session away; a second time there is none", async () => {
    const world = new World();
    await world.acquire(a);
    expect(await world.release(a)).toEqual({ kind: "released" });
    expect([world.queue, world.leader.tree.sessionCount]).toEqual([[], 0]);
    expect(await world.release(a)).toEqual({ kind: "gone" });
  });

  test("that one waits for gives up the place; the call that waits hears so", async () => {
    const world = new World();
    await world.acquire(a);
    const waiting = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    expect(await world.release(b)).toEqual({ kind: "released" });
    expect(await waiting).toEqual({ kind: "gone" });
  });

  test("when leadership is lost may have happened", async () => {
    const world = new World();
    await world.acquire(a);
    world.isLeading = false;
    expect(await world.release(a)).toEqual({ kind: "unknown" });
  });
});

describe("retries with one id", () => {
  test("that overlap while the place is being taken take one place", async () => {
    const world = new World();
    world.holdsWrites = true;
    const both = [world.acquire(a), world.acquire(a)];
    for (let i = 0; i < 20; i++) {
      for (const submit of world.held.splice(0)) submit();
      await breathe();
    }
    const answers = await Promise.all(both);
    expect(answers).toMatchObject([{ kind: "granted" }, { kind: "granted" }]);
    expect(new Set(answers.map(tokenOf)).size).toBe(1);
    expect([world.queue.length, world.leader.tree.sessionCount]).toEqual([1, 1]);
  });

  test("that overlap while waiting are both granted, and keep the place alive until the last has ended", async () => {
    const world = new World();
    await world.acquire(a);
    const short = world.acquire(b, { waitMs: 60_000 });
    await breathe();
    const long = world.acquire(b, { waitMs: 60_000 });
    await breathe();
    expect(world.queue).toHaveLength(2);
    await world.release(a);
    expect([await short, await long]).toMatchObject([{ kind: "granted" }, { kind: "granted" }]);
    world.touched.length = 0;
    world.locks.tick();
    expect(world.touched).toEqual([]);
  });

  test("for two locks at once are two places", async () => {
    const world = new World();
    const answers = [await world.acquire(a), await world.acquire(a, { path: "/locks/y" })];
    expect(answers).toMatchObject([{ kind: "granted" }, { kind: "granted" }]);
    expect(world.leader.tree.sessionCount).toBe(2);
  });

  test("after a release take a new place with a greater token", async () => {
    const world = new World();
    const first = tokenOf(await world.acquire(a));
    await world.release(a);
    expect(tokenOf(await world.acquire(a))).toBeGreaterThan(first);
  });
});

describe("a leader that is none any more", () => {
  test("answers those who wait that nothing is known", async () => {
    const world = new World();
    await world.acquire(a);
    const waiting = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    world.isLeading = false;
    await world.pass(5_000);
    expect(await waiting).toEqual({ kind: "unknown" });
    expect(world.watchers).toBe(0);
  });

  test("describes nothing", async () => {
    const world = new World();
    world.isConfirmed = false;
    expect(await world.locks.describe("/locks/x", { sessionId: NO_SESSION, identities: [] }, true)).toEqual({
      kind: "unknown",
    });
  });
});

describe("describing a lock", () => {
  function describeAs(world: World, ...identities: AuthId[]) {
    return world.locks.describe("/locks/x", { sessionId: NO_SESSION, identities }, true);
  }

  test("that nobody ever asked for shows nobody", async () => {
    expect(await describeAs(new World())).toEqual({ kind: "described", contenders: [], zxid: "0x0" });
  });

  test("is for whoever may read it", async () => {
    const world = new World();
    world.leader.submit(create("/locks"));
    world.leader.submit(create("/locks/x", { acl: bobOnly }));
    world.leader.writes.flush();
    expect(await describeAs(world)).toMatchObject({ kind: "refused", outcome: { err: ZkErrorCode.NoAuth } });
    expect(await describeAs(world, bob)).toMatchObject({ kind: "described" });
  });

  test("hides the owners that the reader may not read", async () => {
    const world = new World();
    await world.acquire(a);
    const name = world.queue[0] ?? "";
    world.leader.submit({ type: OpCode.SetAcl, path: `/locks/x/${name}`, acl: bobOnly, version: -1 });
    world.leader.writes.flush();
    expect(await describeAs(world)).toMatchObject({ contenders: [{ id: a, owner: "" }] });
    expect(await describeAs(world, bob)).toMatchObject({ contenders: [{ id: a, owner: "owner a" }] });
  });

  test("leaves out children that are no contenders", async () => {
    const world = new World();
    await world.acquire(a);
    world.leader.submit(create("/locks/x/note", { acl: OPEN_ACL }));
    world.leader.writes.flush();
    expect(await describeAs(world)).toMatchObject({ contenders: [{ id: a }] });
  });
});

describe("a retry", () => {
  test("keeps its place when its first try runs out of patience", async () => {
    const world = new World();
    await world.acquire(a);
    const short = world.acquire(b, { waitMs: 1_000 });
    await breathe();
    await world.pass(900);
    const long = world.acquire(b, { waitMs: 5_000 });
    await breathe();
    await world.pass(200);
    expect(await soFar(short)).toMatchObject({ kind: "timedOut" });
    expect(await soFar(long)).toBe("waiting");
  });

  test("is told the ttl that its place really has", async () => {
    const world = new World();
    await world.acquire(a, { ttlMs: 1_000 });
    expect(await world.acquire(a, { ttlMs: 600_000 })).toMatchObject({
      ttlMs: 1_000,
      expiresAtMs: world.leader.nowMs + 1_000,
    });
  });
});

describe("a session that is ending", () => {
  test("a lock whose end was proposed is not kept", async () => {
    const leader = new Leader();
    let nowMs = 1_000_000;
    const sessions = new Sessions({
      id: makeServerId(1),
      epoch: 1,
      tree: leader.tree,
      tickMs: 1000,
      takeIdBlock: () => 0,
      lastSign: () => undefined,
      now: () => nowMs,
      submit: (request, requester, settle) => void leader.submit(request, { requester, settle }),
    });
    const locks = new Locks({
      tree: leader.tree,
      now: () => nowMs,
      isLeading: () => true,
      hasRoom: () => true,
      newSessionId: () => sessions.newId(),
      sessionOf: () => undefined,
      write: (request, requester) =>
        new Promise((resolve) => {
          leader.submit(request, {
            requester,
            settle: (settled) => {
              if (request.type === OpCode.CreateSession)
                sessions.applied({
                  sessionId: requester.sessionId,
                  cxid: 0,
                  timeMs: 0,
                  op: { kind: "createSession", timeoutMs: request.timeoutMs },
                });
              resolve(settled);
            },
          });
          leader.writes.flush();
          leader.agree();
        }),
      // As life.ts does.
      touch: (session) => (leader.tree.isOpen(session) && sessions.touch(session, nowMs) ? nowMs : undefined),
      confirm: async () => true,
      watchZnode: () => 1,
      unwatch: () => undefined,
    });
    const ask = {
      path: "/l",
      id: a,
      mode: "exclusive" as const,
      ttlMs: 2000,
      waitMs: 0,
      owner: "",
      identities: [],
    };
    expect((await locks.acquire(ask)).kind).toBe("granted");
    for (let i = 0; i < 40; i++) {
      nowMs += 100;
      sessions.tick();
    }
    leader.writes.flush();
    const kept = await locks.keep({ path: "/l", id: a, identities: [] }, true);
    leader.agree();
    expect(leader.tree.children("/l", undefined, 9)).toEqual([]);
    expect(kept.kind).not.toBe("granted");
  });
});

describe("releasing", () => {
  test("of a place that is being taken waits for it, and gives it up", async () => {
    const world = new World();
    world.holdsWrites = true;
    const acquired = world.acquire(a, { ttlMs: 600_000 });
    await breathe();
    const released = world.release(a);
    for (let i = 0; i < 20; i++) {
      for (const submit of world.held.splice(0)) submit();
      await breathe();
    }
    await acquired;
    expect([(await released).kind, world.queue]).toEqual(["released", []]);
  });
});

describe("a long queue", () => {
  test("costs whoever joins it a look, and wakes nobody", async () => {
    const world = new World();
    await world.acquire(a);
    const join = async (i: number) => {
      void world.acquire(i.toString(16).padStart(32, "0"), { waitMs: 60_000 });
      await breathe();
    };
    for (let i = 0; i < 30; i++) await join(i);
    const looks = vi.spyOn(world.leader.tree, "children");
    await join(30);
    const first = looks.mock.calls.length;
    for (let i = 31; i < 60; i++) await join(i);
    looks.mockClear();
    await join(60);
    expect(looks.mock.calls.length).toBe(first);
  });
});

describe("a lock whose holder asked for a delay", () => {
  const delayed = { delayMs: 5_000 };
  const tombstones = (world: World) => world.queue.filter((name) => name.endsWith("__delay"));

  test("leaves nothing behind when it is released, and is free at once", async () => {
    const world = new World();
    expect(await world.acquire(a, delayed)).toMatchObject({ kind: "granted" });
    expect(tombstones(world)).toEqual([`ek-${a}__lock__0000000000__delay`]);
    expect(await world.keep(a)).toMatchObject({ kind: "granted" });
    expect(await world.release(a)).toEqual({ kind: "released" });
    expect(world.queue).toEqual([]);
    expect(await world.acquire(b)).toMatchObject({ kind: "granted" });
  });

  test("is nobody's for the delay when its holder lapses, and then the next one's", async () => {
    const world = new World();
    await world.acquire(a, delayed);
    const waiting = world.acquire(b, { waitMs: 60_000 });
    await breathe();
    world.lapse(world.ownerOf(`ek-${a}__lock__0000000000`));
    expect(await soFar(waiting)).toBe("waiting");
    await world.pass(4_999);
    expect(await soFar(waiting)).toBe("waiting");
    // It stands first, and holds nothing yet.
    expect(await world.keep(b)).toMatchObject({ kind: "timedOut" });
    await world.pass(1);
    expect(await waiting).toMatchObject({ kind: "granted", id: b });
    expect(tombstones(world)).toEqual([]);
    expect(await world.keep(b)).toMatchObject({ kind: "granted" });
    expect(world.watchers).toBe(0);
  });

  test("delays once, also when nobody waits for all of it, and by the clock of whoever leads", async () => {
    const world = new World();
    await world.acquire(a, delayed);
    world.lapse(world.ownerOf(`ek-${a}__lock__0000000000`));
    // The delay begins with the first who wants the lock.
    await world.pass(60_000);
    expect(await world.acquire(b)).toMatchObject({ kind: "timedOut" });
    await world.pass(3_000);
    expect(await world.acquire(b)).toMatchObject({ kind: "timedOut" });
    await world.pass(2_000);
    expect(await world.acquire(b)).toMatchObject({ kind: "granted" });
    expect(world.queue).toHaveLength(1);
  });

  test("delays whom its holder excluded: shared ones do not wait for a lost shared one", async () => {
    const world = new World();
    await world.acquire(a, { ...delayed, mode: "shared" });
    world.lapse(world.ownerOf(`ek-${a}__rlock__0000000000`));
    expect(await world.acquire(b, { mode: "shared" })).toMatchObject({ kind: "granted" });
    expect(await world.keep(b)).toMatchObject({ kind: "granted" });
    await world.release(b);
    expect(await world.acquire(c)).toMatchObject({ kind: "timedOut" });
    // Its delay has begun with those who did not have to wait for it.
    await world.pass(5_000);
    expect(await world.acquire(c)).toMatchObject({ kind: "granted" });
    expect(tombstones(world)).toEqual([]);
  });

  test("whose place is lost during the delay is not granted", async () => {
    const world = new World();
    await world.acquire(a, delayed);
    world.lapse(world.ownerOf(`ek-${a}__lock__0000000000`));
    const waiting = world.acquire(b, { waitMs: 60_000 });
    await breathe();
    const [place = ""] = world.queue.filter((name) => name.includes(b) && !name.endsWith("__delay"));
    world.remove(place);
    expect(await soFar(waiting)).toEqual({ kind: "gone" });
  });

  test("taken over from a tombstone that says nothing is delayed by nothing", async () => {
    const world = new World();
    await world.acquire(a, delayed);
    const holder = world.ownerOf(`ek-${a}__lock__0000000000`);
    world.remove(`ek-${a}__lock__0000000000__delay`);
    world.leader.submit(create(`/locks/x/ek-${a}__lock__0000000000__delay`));
    world.leader.writes.flush();
    world.lapse(holder);
    expect(await world.acquire(b)).toMatchObject({ kind: "granted" });
    expect(tombstones(world)).toEqual([]);
  });
});

describe("a place in a session of the caller's", () => {
  /** Opens a session, and what its caller says of it. */
  function lend(world: World) {
    const sessionId = world.newSessionId();
    const requester = { sessionId, identities: [] };
    world.leader.submit({ type: OpCode.CreateSession, timeoutMs: 7_000 }, { requester });
    world.leader.writes.flush();
    return { sessionId, session: { id: String(sessionId), password: "right" } };
  }
  const reference = { path: "/locks/x", id: a, identities: [] };
  const expired = { kind: "refused", outcome: { err: ZkErrorCode.SessionExpired }, path: "/locks/x" };

  test("is granted by its timeout, kept as the session is, and released without its end", async () => {
    const world = new World();
    const { sessionId, session } = lend(world);
    expect(await world.acquire(a, { session })).toMatchObject({ kind: "granted", ttlMs: 7_000 });
    expect([world.queue, world.ownerOf(world.queue[0] ?? "")]).toEqual([
      [`eks-${a}__lock__0000000000`],
      sessionId,
    ]);
    world.touched.length = 0;
    expect(await world.locks.keep({ ...reference, session }, true)).toMatchObject({ kind: "granted" });
    expect(new Set(world.touched)).toEqual(new Set([sessionId]));
    expect(await world.locks.release({ ...reference, session }, true)).toEqual({ kind: "released" });
    expect([world.queue, world.leader.tree.hasSession(sessionId)]).toEqual([[], true]);
    expect(await world.locks.release({ ...reference, session }, true)).toEqual({ kind: "gone" });
  });

  test("that is not granted in time is given up, though the session waits for another lock", async () => {
    const world = new World();
    const { sessionId, session } = lend(world);
    await world.acquire(b);
    await world.acquire(b, { path: "/locks/y" });
    const elsewhere = world.acquire(a, { session, path: "/locks/y", waitMs: 5_000 });
    expect((await world.acquire(a, { session })).kind).toBe("timedOut");
    expect(world.queue).toEqual([`ek-${b}__lock__0000000000`]);
    expect(world.leader.tree.children("/locks/y", undefined, 9)).toHaveLength(2);
    await world.locks.release({ path: "/locks/y", id: b, identities: [] }, true);
    expect((await elsewhere).kind).toBe("granted");
    expect(world.leader.tree.hasSession(sessionId)).toBe(true);
  });

  test("goes with the session, and whoever asks for it hears so", async () => {
    const world = new World();
    const { sessionId, session } = lend(world);
    await world.acquire(a, { session });
    world.lapse(sessionId);
    expect(world.queue).toEqual([]);
    expect(await world.acquire(a, { session })).toEqual(expired);
    expect(await world.locks.keep({ ...reference, session }, true)).toEqual(expired);
    expect(await world.locks.release({ ...reference, session }, true)).toEqual(expired);
    expect([world.queue, world.leader.tree.sessionCount]).toEqual([[], 0]);
  });

  test("is nobody's who asks without it, with another, or with a wrong password", async () => {
    const world = new World();
    const { sessionId, session } = lend(world);
    const { session: other } = lend(world);
    await world.acquire(a, { session });
    for (const asked of [undefined, other, { ...session, password: "wrong" }]) {
      world.touched.length = 0;
      expect(await world.acquire(a, { session: asked })).toEqual({ kind: "foreign" });
      expect(await world.locks.keep({ ...reference, session: asked }, true)).toEqual({ kind: "foreign" });
      expect(await world.locks.release({ ...reference, session: asked }, true)).toEqual({ kind: "foreign" });
      expect(world.touched).not.toContain(sessionId);
    }
    expect(world.queue).toEqual([`eks-${a}__lock__0000000000`]);
    // Nor the other way round.
    await world.acquire(c, { path: "/locks/y" });
    const own = { path: "/locks/y", id: c, session, identities: [] };
    expect(await world.locks.release(own, true)).toEqual({ kind: "foreign" });
    expect(world.leader.tree.children("/locks/y", undefined, 9)).toHaveLength(1);
  });

  test("that may not be deleted stays, and that is said", async () => {
    const world = new World();
    const { session } = lend(world);
    await world.acquire(a, { session });
    const name = world.queue[0] ?? "";
    // Who may create below the lock need not be allowed to delete there.
    const acl = [{ scheme: "world", id: "anyone", perms: Perms.Read | Perms.Create }];
    world.leader.submit(
      { type: OpCode.SetAcl, path: "/locks/x", acl, version: -1 },
      { requester: { sessionId: NO_SESSION, identities: [] } },
    );
    world.leader.writes.flush();
    expect(await world.locks.release({ ...reference, session }, true)).toEqual({
      kind: "refused",
      outcome: { err: ZkErrorCode.NoAuth },
      path: `/locks/x/${name}`,
    });
    expect(world.queue).toEqual([name]);
  });
});
