/**
 * Proves the recipes against a local ensemble: what each promises, and what becomes of it when a
 * participant is lost.
 *
 * @module
 */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Client, type ConnectOptions, json } from "../../src/client/index.ts";
import { connect } from "../../src/client/node/index.ts";
import {
  Barrier,
  Counter,
  DoubleBarrier,
  join,
  lead,
  leaderOf,
  lockAll,
  membersOf,
  observeLeader,
  observeMembers,
  once,
  Queue,
  readLock,
  SubtreeCache,
  stand,
  takeSeat,
  updateJson,
  writeLock,
} from "../../src/recipes/index.ts";
import { type LocalProcess, startLocalProcess } from "../support/local-process.ts";
import { locksSuite } from "./locks-suite.ts";
import { rolloutSuite } from "./rollout-suite.ts";
import { semaphoresSuite } from "./semaphores-suite.ts";
import { servicesSuite } from "./services-suite.ts";
import { tasksSuite } from "./tasks-suite.ts";

let ensemble: LocalProcess;
let zk: Client;
let other: Client;
let path = "";

function open(options: ConnectOptions = {}): Client {
  return connect(`zookeeper://127.0.0.1:${ensemble.zkPort}`, options);
}

beforeAll(async () => {
  ensemble = await startLocalProcess();
  zk = open();
  other = open();
});
afterAll(async () => {
  await zk?.close();
  await other?.close();
  await ensemble?.dispose();
});
beforeEach(() => {
  path = `/recipes/${Math.random().toString(36).slice(2)}`;
});

describe("election", () => {
  test("one leads, the next follows when it resigns or is lost, and everybody sees who", async () => {
    const seen: (string | undefined)[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const leader of observeLeader(zk, path, controller.signal)) {
        seen.push(leader?.id);
        if (leader?.id === "c") controller.abort();
      }
    })();
    expect(await leaderOf(zk, path)).toBeUndefined();
    const first = await stand(zk, path, { id: "a" });
    const second = stand(other, path, { id: "b" });
    expect(await leaderOf(other, path)).toEqual({ id: "a", token: first.token });
    await first.release();
    const leadership = await second;
    expect(leadership.token > first.token).toBe(true);
    const doomed = open();
    const third = stand(doomed, path, { id: "c" });
    await leadership.release();
    await third;
    await watching;
    expect(seen.at(-1)).toBe("c");
    await doomed.close();
    expect(await leaderOf(zk, path)).toBeUndefined();
  });

  test("lead() leads again and again, and ends with its signal", async () => {
    const controller = new AbortController();
    const tokens: bigint[] = [];
    await lead(zk, path, { id: "a", signal: controller.signal }, async ({ token }) => {
      tokens.push(token);
      if (tokens.length === 3) controller.abort();
    });
    expect(new Set(tokens).size).toBe(3);
    expect(await leaderOf(zk, path)).toBeUndefined();
  });
});

describe("locks in company", () => {
  test("read and write sides exclude each other", async () => {
    const reader = await readLock(zk, path);
    await (await readLock(other, path, { wait: 0 })).release();
    await expect(writeLock(other, path, { wait: 0 })).rejects.toMatchObject({ codeName: "OperationTimeout" });
    await reader.release();
    await (await writeLock(other, path, { wait: 0 })).release();
  });

  test("lockAll() takes all in one order, or none", async () => {
    const paths = ["a", "b", "c"].map((name) => `${path}/${name}`);
    const orders = [paths, paths.toReversed(), [...paths.slice(1), ...paths.slice(0, 1)]];
    await Promise.all(
      [zk, other, zk].map(async (client, i) => {
        await using set = await lockAll(client, orders[i] ?? []);
        expect([...set.locks.keys()]).toEqual(paths);
      }),
    );
    const held = await zk.lock(`${path}/c`);
    await expect(lockAll(other, paths, { wait: 0 })).rejects.toMatchObject({ codeName: "OperationTimeout" });
    expect(await zk.children(`${path}/a`)).toEqual([]);
    await held.release();
  });
});

describe("semaphore", () => {
  test("never has more holders than seats, and passes them on in order", async () => {
    let holders = 0;
    let most = 0;
    await Promise.all(
      [zk, other, zk, other, zk, other].map(async (client) => {
        await using _seat = await takeSeat(client, path, { seats: 2 });
        holders += 1;
        most = Math.max(most, holders);
        await client.sync();
        holders -= 1;
      }),
    );
    expect(most).toBeLessThanOrEqual(2);
    expect(await zk.children(`${path}/leases`)).toEqual([]);
  });

  test("gives the seats of the lost away, and refuses another count", async () => {
    const doomed = open();
    const seat = await takeSeat(doomed, path, { seats: 1 });
    await expect(takeSeat(zk, path, { seats: 1, wait: 0 })).rejects.toThrow("all are taken");
    await expect(takeSeat(zk, path, { seats: 1, wait: "50ms" })).rejects.toMatchObject({
      codeName: "OperationTimeout",
    });
    await expect(takeSeat(zk, path, { seats: 2 })).rejects.toMatchObject({ codeName: "BadArguments" });
    const next = takeSeat(zk, path, { seats: 1 });
    await doomed.close();
    expect(seat.signal.aborted).toBe(true);
    await (await next).release();
  });
});

describe("values that many change", () => {
  test("a counter loses nothing", async () => {
    const counters = [new Counter(zk, path), new Counter(other, path)];
    await Promise.all(Array.from({ length: 40 }, (_, i) => counters[i % 2]?.add(i)));
    expect(await counters[0]?.get()).toBe((39 * 40) / 2);
    await zk.set(path, "x");
    await expect(counters[0]?.add(1)).rejects.toMatchObject({ codeName: "BadArguments" });
  });

  test("updateJson() makes the znode with its parents, and decides anew when it was too late", async () => {
    const add =
      (name: string) =>
      (names: string[] = []) => [...names, name];
    await Promise.all([
      updateJson(zk, `${path}/deep`, add("a")),
      updateJson(other, `${path}/deep`, add("b")),
      updateJson(zk, `${path}/deep`, add("c")),
    ]);
    expect((await (await zk.get(`${path}/deep`)).json<string[]>()).sort()).toEqual(["a", "b", "c"]);
  });
});

describe("barriers", () => {
  test("hold everybody until they are opened", async () => {
    const barrier = new Barrier(zk, path);
    await barrier.close();
    let passed = false;
    const waiting = new Barrier(other, path).pass().then(() => {
      passed = true;
    });
    await other.sync();
    expect(passed).toBe(false);
    await barrier.open();
    await waiting;
    await barrier.pass();
  });

  test("double: all begin together and end together", async () => {
    const steps: string[] = [];
    await Promise.all(
      [zk, other, zk].map(async (client, i) => {
        const barrier = new DoubleBarrier(client, path, 3, `p${i}`);
        await barrier.enter();
        steps.push("in");
        await barrier.leave();
        steps.push("out");
      }),
    );
    expect(steps.slice(0, 1)).toEqual(["in"]);
    expect(await zk.children(path)).toEqual([]);
  });
});

describe("queue", () => {
  test("gives each item to one taker, by priority, then in order", async () => {
    const queue = new Queue(zk, path);
    for (const text of ["b1", "b2"]) await queue.put(text);
    await queue.put("a", { priority: 1 });
    expect(await queue.size()).toBe(3);
    const texts = [];
    for (let i = 0; i < 3; i++) texts.push((await new Queue(i % 2 === 0 ? zk : other, path).take()).text);
    expect(texts).toEqual(["a", "b1", "b2"]);
    const waiting = Promise.all([queue.take(), new Queue(other, path).take()]);
    await queue.put("c1");
    await queue.put("c2");
    expect((await waiting).map(({ text }) => text).sort()).toEqual(["c1", "c2"]);
  });

  test("keeps an item until its time", async () => {
    const queue = new Queue(zk, path);
    const dueMs = Date.now() + 300;
    await queue.put("later", { notBeforeMs: dueMs });
    await queue.put("now", { priority: 200 });
    expect((await queue.take()).text).toBe("now");
    expect((await queue.take()).text).toBe("later");
    expect(Date.now()).toBeGreaterThanOrEqual(dueMs);
  });

  test("consume() gives an item back when its worker is lost or fails, and deletes it when it is done", async () => {
    const queue = new Queue(zk, path);
    await queue.put("job");
    await expect(queue.consume(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    const doomed = open();
    let began: () => void = () => undefined;
    const working = new Promise<void>((resolve) => {
      began = resolve;
    });
    const lost = new Queue(doomed, path).consume(async (_item, signal) => {
      began();
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    lost.catch(() => undefined);
    await working;
    const next = queue.consume(async ({ text }) => text);
    // Time to find it held, and to wait: nothing then changes but the item.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await doomed.close();
    expect(await next).toBe("job");
    expect(await queue.size()).toBe(0);
    await expect(queue.put("x", { priority: 1_000 })).rejects.toMatchObject({ codeName: "BadArguments" });
  });
});

describe("once()", () => {
  test("is done by one, and known to all", async () => {
    let runs = 0;
    const work = async () => {
      runs += 1;
      return "42";
    };
    const results = await Promise.all(
      [zk, other, zk].map((client) => once(client, path, "2026-11-23", work)),
    );
    expect(results.map(({ kind }) => kind).sort()).toEqual(["done", "doneBefore", "doneBefore"]);
    expect(runs).toBe(1);
    expect(await once(other, path, "2026-11-23", work)).toEqual({ kind: "doneBefore", result: "42" });
  });

  test("is done over when the work failed, and not recorded by who has lost the lock", async () => {
    await expect(once(zk, path, "k", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    const stolen = once(zk, path, "k", async (lock) => {
      await other.delete(lock.contender);
      return "stale";
    });
    await expect(stolen).rejects.toThrow();
    expect(await once(other, path, "k", async () => "fresh")).toEqual({ kind: "done" });
    expect(await once(zk, path, "k", async () => "again")).toEqual({ kind: "doneBefore", result: "fresh" });
  });
});

describe("group", () => {
  test("lists who is there, and tells of every change", async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const members of observeMembers(zk, path, controller.signal)) {
        seen.push(members.join());
        if (seen.length > 1 && members.join() === "b") controller.abort();
      }
    })();
    const leaving = open();
    await join(leaving, path, "a").ready;
    const me = join(other, path, "b", json({ port: 1 }));
    await me.ready;
    expect(await membersOf(zk, path)).toEqual(["a", "b"]);
    await leaving.close();
    await watching;
    expect([seen[0], seen.at(-1)]).toEqual(["", "b"]);
    await me.close();
    expect(await membersOf(zk, path)).toEqual([]);
    expect(await membersOf(zk, `${path}/none`)).toEqual([]);
  });
});

describe("subtree cache", () => {
  test("has all of it, follows every change, and survives a lost connection", async () => {
    await zk.createPath(`${path}/a/b`);
    await using cache = new SubtreeCache(zk, path);
    await cache.ready;
    expect(cache.list().map((znode) => znode.path)).toEqual([path, `${path}/a`, `${path}/a/b`]);
    const until = (isSo: () => boolean) =>
      new Promise<void>((resolve) => {
        const stop = cache.subscribe(() => {
          if (isSo()) resolve(stop());
        });
      });
    const changed = until(
      () => cache.get(`${path}/a`)?.text === "new" && cache.children(path).join() === "a,c",
    );
    await other.set(`${path}/a`, "new");
    await other.create(`${path}/c`);
    await changed;
    const gone = until(() => cache.get(`${path}/a/b`) === undefined);
    zk.reconnect();
    await other.delete(`${path}/a/b`);
    await gone;
    expect(cache.fault).toBeUndefined();
  });

  test("ends at its limit, and says so", async () => {
    await zk.createPath(`${path}/a/b`);
    await using cache = new SubtreeCache(zk, path, { limit: 2 });
    await expect(cache.ready).rejects.toMatchObject({ codeName: "BadArguments" });
    expect(cache.fault?.message).toContain("more than 2");
  });
});

tasksSuite(open);
rolloutSuite(open);
servicesSuite(open);
locksSuite(open);
semaphoresSuite(open, () => ensemble.url);
