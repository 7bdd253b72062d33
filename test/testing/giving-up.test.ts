/**
 * Proves that no recipe leaves a place behind in a session that lives on: whatever it is doing when the connection is
 * lost, and whether its caller gives up before or behind that, everything it made is gone once the connection is back.
 *
 * In the fake ensemble everything happens in the same order every time, one promise after the other. So each recipe is
 * cut off after every number of them, up to more than it needs.
 *
 * @module
 */

import { expect, test } from "vitest";
import type { Client } from "../../src/client/index.ts";
import {
  addTask,
  checkServices,
  DoubleBarrier,
  join,
  lead,
  lockAll,
  once,
  Queue,
  ReentrantLocks,
  registerService,
  takeSeat,
  workOnTasks,
} from "../../src/recipes/index.ts";
import { fakeEnsemble } from "../../src/testing/fake.ts";

/** More turns of promises than any of them takes to its end. */
const turnsMax = 120;

/** Begins, and ends of itself when it is done or the signal aborts. */
type Recipe = (zk: Client, signal: AbortSignal) => Promise<unknown>;

const recipes: Readonly<Record<string, Recipe>> = {
  lock: async (zk, signal) => {
    await (await zk.lock("/p", { signal })).release();
  },
  "shared lock with a delay": async (zk, signal) => {
    await (await zk.lock("/p", { signal, shared: true, lockDelay: "1h" })).release();
  },
  "lock that others hold": async (zk, signal) => {
    const held = await zk.lock("/p");
    await (await zk.lock("/p", { signal, wait: "3s" }).finally(() => held.release())).release();
  },
  "locks together": async (zk, signal) => {
    await (await lockAll(zk, ["/p/a", "/p/b"], { signal })).release();
  },
  election: (zk, signal) => lead(zk, "/p", { id: "me", signal }, async () => undefined),
  semaphore: async (zk, signal) => {
    await (await takeSeat(zk, "/p", { seats: 1, signal })).release();
  },
  queue: (zk, signal) =>
    new Queue(zk, "/queue").consume(() => Promise.reject(new Error("broken")), { signal }),
  barrier: async (zk, signal) => {
    const barrier = new DoubleBarrier(zk, "/p", 1, "me");
    await barrier.enter({ signal });
    await barrier.leave();
  },
  "barrier that nobody else comes to": (zk, signal) => new DoubleBarrier(zk, "/p", 2, "me").enter({ signal }),
  "once for each key": (zk, signal) => once(zk, "/p", "key", async () => "done", { signal }),
  "once for each key, when the work fails": (zk, signal) =>
    once(zk, "/p", "key", () => Promise.reject(new Error("broken")), { signal }),
  "lock held again": async (zk, signal) => {
    const locks = new ReentrantLocks(zk);
    await using _outer = await locks.lock("/p", { owner: "me", signal });
    await (await locks.lock("/p", { owner: "me", signal })).release();
  },
  "tasks, a worker and its assigner": async (zk, signal) => {
    await addTask(zk, "/p", "task", { signal });
    await workOnTasks(zk, "/p", { id: "me", signal }, async () => undefined);
  },
  checker: (zk, signal) => checkServices(zk, "/p", { id: "me", allow: [], signal }),
  registration: async (zk, signal) => {
    const registration = zk.register("/p/me");
    await Promise.race([registration.ready, new Promise((resolve) => (signal.onabort = resolve))]);
    await registration.close();
  },
  group: async (zk, signal) => {
    const membership = join(zk, "/p", "me");
    await Promise.race([membership.ready, new Promise((resolve) => (signal.onabort = resolve))]);
    await membership.close();
  },
  service: async (zk) => {
    const service = await registerService(zk, "/p", { name: "api", address: "10.0.0.7" });
    await service.close();
  },
};

const orders = {
  "cut off, then given up": ["cut", "abort"],
  "given up, then cut off": ["abort", "cut"],
} as const;

for (const [name, recipe] of Object.entries(recipes)) {
  test.each(Object.entries(orders))(`${name}: %s, at every turn: nothing is left`, async (_order, steps) => {
    for (let turns = 0; turns <= turnsMax; turns++) {
      const ensemble = fakeEnsemble();
      const zk = ensemble.connect({ sessionTimeout: "40s", operationTimeout: "3s" });
      const other = ensemble.connect();
      await new Queue(other, "/queue").put("item");
      await ensemble.advance(0);
      const { sessionId } = zk;
      const controller = new AbortController();
      const done = recipe(zk, controller.signal).catch(() => undefined);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      for (const step of steps) {
        if (step === "abort") controller.abort();
        else await ensemble.disconnect(zk);
        // No more promises between the one and the other than an abort makes.
        await Promise.resolve();
      }
      // Longer than any operation waits, and shorter than the session lives.
      await ensemble.advance("20s");
      ensemble.reconnect(zk);
      await ensemble.advance("15s");
      await done;
      expect(zk.sessionId, `${turns} turns`).toBe(sessionId);
      expect(sessionId).toBeDefined();
      expect(await other.ephemerals(), `${turns} turns`).toEqual([]);
      expect(await zk.ephemerals(), `${turns} turns`).toEqual([]);
    }
  });
}

test("registration: closed while cut off, it deletes nothing that the next one of its path has", async () => {
  const ensemble = fakeEnsemble();
  const zk = ensemble.connect({ sessionTimeout: "40s", operationTimeout: "3s" });
  const other = ensemble.connect();
  const first = zk.register("/p/me", "first");
  await ensemble.advance(0);
  const before = await statOf(other);
  await ensemble.disconnect(zk);
  const closing = first.close().catch((error: unknown) => error);
  await ensemble.advance("5s");
  expect(await closing).toMatchObject({ codeName: "OperationTimeout" });
  const second = zk.register("/p/me", "first");
  ensemble.reconnect(zk);
  await ensemble.advance("15s");
  expect(second.isHeld).toBe(true);
  expect((await statOf(other))?.czxid).toBe(before?.czxid);
  await second.close();
  expect(await statOf(other)).toBeUndefined();
});

test("election: goes on where it was when the connection is back, though operations have timed out", async () => {
  const ensemble = fakeEnsemble();
  const zk = ensemble.connect({ sessionTimeout: "40s", operationTimeout: "3s" });
  const controller = new AbortController();
  let terms = 0;
  await ensemble.advance(0);
  await ensemble.disconnect(zk);
  const leading = lead(zk, "/p", { id: "me", signal: controller.signal }, async () => {
    terms += 1;
    controller.abort();
  });
  await ensemble.advance("20s");
  ensemble.reconnect(zk);
  await ensemble.advance("15s");
  await leading;
  expect(terms).toBe(1);
});

function statOf(zk: Client) {
  return zk.exists("/p/me");
}
