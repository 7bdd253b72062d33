/**
 * What others may do about a held lock, and what its owner may do again: over a real ensemble.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { type Client, CreateMode, type Lock, Lost } from "../../src/client/index.ts";
import { ReentrantLocks, revokeLock, stealLock, untilRevoked } from "../../src/recipes/index.ts";

export function locksSuite(open: () => Client): void {
  const pathOf = () => `/locks/${Math.random().toString(36).slice(2)}`;

  async function withClients(work: (zk: Client, other: Client) => Promise<void>): Promise<void> {
    const clients = [open(), open()] as const;
    try {
      await work(...clients);
    } finally {
      await Promise.all(clients.map((client) => client.close()));
    }
  }

  describe("a lock that is asked back", () => {
    test("its holder hears of it, once and by token, and whose it is can still be read", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        const lock = await zk.lock(path, { owner: "billing" });
        const asked = untilRevoked(zk, lock);
        const wrong = { path, token: lock.token + 1n };
        await expect(revokeLock(other, wrong)).rejects.toMatchObject({ codeName: "NoNode", path });
        await revokeLock(other, lock);
        await revokeLock(other, lock);
        expect(await asked).toBe(true);
        expect((await zk.get(lock.contender)).text).toBe("billing__REVOKE__");
        await lock.release();
        await expect(revokeLock(other, lock)).rejects.toThrow("not held under token");
      });
    });

    test("as Curator's Revoker does it; who waits for it to no avail hears when the lock ends", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        const lock = await zk.lock(path);
        await other.set(lock.contender, "__REVOKE__");
        expect(await untilRevoked(zk, lock)).toBe(true);
        await lock.release();
        const next = await zk.lock(path);
        const never = untilRevoked(zk, next);
        await next.release();
        expect(await never).toBe(false);
        expect(await untilRevoked(zk, next)).toBe(false);
      });
    });
  });

  describe("a lock that is stolen", () => {
    const theft = { by: "operator", reason: "it hangs" };

    test("its holder's signal aborts, the next has it under a greater token, and it is recorded", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        const lock = await zk.lock(path, { owner: "billing" });
        const next = other.lock(path);
        const lost = aborted(lock);
        for (const options of [
          { ...theft, by: "" },
          { ...theft, reason: "x".repeat(1_025) },
        ]) {
          const refused = { codeName: "BadArguments", outcome: "notApplied" };
          await expect(stealLock(other, lock, options)).rejects.toMatchObject(refused);
        }
        await stealLock(other, lock, { ...theft });
        expect(await lost).toBe("deleted");
        const { token } = await next;
        expect(token > lock.token).toBe(true);
        await expect(stealLock(other, lock, theft)).rejects.toMatchObject({ codeName: "NoNode" });
        await stealLock(zk, await next, { by: "me", reason: "mine" });
        const steals = await zk.get(`${path}/ek-steals`);
        expect(await steals.json()).toMatchObject([
          { token: `0x${lock.token.toString(16)}`, owner: "billing", ...theft },
          { token: `0x${token.toString(16)}`, owner: "", by: "me", reason: "mine" },
        ]);
        expect(steals.stat.version).toBe(1);
        await (await zk.lock(path, { wait: 0 })).release();
      });
    });

    test("from a kazoo client, and never from whoever waits", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        await zk.createPath(path);
        const mode = CreateMode.EphemeralSequential;
        const theirs = await other.createWithStat(`${path}/abc__lock__`, "them", { mode });
        const waiting = await other.createWithStat(`${path}/abc__lock__`, "them", { mode });
        const late = { path, token: waiting.stat.czxid };
        await expect(stealLock(zk, late, theft)).rejects.toMatchObject({ codeName: "NoNode" });
        await stealLock(zk, { path, token: theirs.stat.czxid }, theft);
        expect(await zk.exists(theirs.path)).toBeUndefined();
        await stealLock(zk, late, theft);
      });
    });

    test("the delay that its holder asked for is waited for", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        const lock = await zk.lock(path, { lockDelay: "1h" });
        await stealLock(other, lock, theft);
        await expect(other.lock(path, { wait: 0 })).rejects.toMatchObject({ codeName: "OperationTimeout" });
      });
    });
  });

  describe("re-entrant locks", () => {
    test("an owner holds it as often as it asks, and others get it after its last release", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        const locks = new ReentrantLocks(zk);
        const [first, second] = await Promise.all([
          locks.lock(path, { owner: "a" }),
          locks.lock(path, { owner: "a" }),
        ]);
        const third = await locks.lock(path, { owner: "a", shared: true });
        expect(new Set([first, second, third].map(({ lock }) => lock.token)).size).toBe(1);
        await expect(locks.lock(path, { owner: "b", wait: 0 })).rejects.toMatchObject({
          codeName: "OperationTimeout",
        });
        await first.release();
        await first.release();
        await second.release();
        await expect(other.lock(path, { wait: 0 })).rejects.toMatchObject({ codeName: "OperationTimeout" });
        expect(third.lock.signal.aborted).toBe(false);
        await third.release();
        await (await other.lock(path, { wait: 0 })).release();
      });
    });

    test("a shared hold is not made exclusive: it would wait for itself", async () => {
      await withClients(async (zk) => {
        const path = pathOf();
        const locks = new ReentrantLocks(zk);
        await using hold = await locks.lock(path, { owner: "a", shared: true });
        await expect(locks.lock(path, { owner: "a" })).rejects.toMatchObject({ codeName: "BadArguments" });
        expect(hold.lock.signal.aborted).toBe(false);
      });
    });

    test("those who wait give up one by one; with the last of them the place in the queue goes", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        const held = await other.lock(path);
        const locks = new ReentrantLocks(zk);
        const controller = new AbortController();
        const patient = locks.lock(path, { owner: "a" });
        const impatient = locks.lock(path, { owner: "a", signal: controller.signal });
        controller.abort(new Error("enough"));
        await expect(impatient).rejects.toThrow("enough");
        await held.release();
        await (await patient).release();
        expect(await zk.children(path)).toEqual([]);
      });
    });

    test("one that was lost is taken anew, and its old holds release nothing of it", async () => {
      await withClients(async (zk, other) => {
        const path = pathOf();
        const locks = new ReentrantLocks(zk);
        const old = await locks.lock(path, { owner: "a" });
        const lost = aborted(old.lock);
        await other.delete(old.lock.contender);
        await lost;
        await using hold = await locks.lock(path, { owner: "a" });
        expect(hold.lock.token > old.lock.token).toBe(true);
        await old.release();
        await expect(other.lock(path, { wait: 0 })).rejects.toMatchObject({ codeName: "OperationTimeout" });
      });
    });
  });
}

/** Why it was lost, once it is. */
function aborted({ signal }: Lock): Promise<string> {
  return new Promise((resolve) => {
    const told = () => resolve(signal.reason instanceof Lost ? signal.reason.cause : String(signal.reason));
    if (signal.aborted) told();
    else signal.addEventListener("abort", told, { once: true });
  });
}
