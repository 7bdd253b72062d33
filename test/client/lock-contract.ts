/**
 * What locks must give, whatever server is behind them: exclusion, order, tokens, and an honest end.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Client, CreateMode, isZkError, type Lock, Lost } from "../../src/client/index.ts";
import { type ContractServer, describeOn } from "./contract-server.ts";

/** @param options.hasLockChecks - Whether transactions may check a lock's token: ZooKeeper's cannot. */
export function lockContract(
  name: string,
  start: () => Promise<ContractServer>,
  { hasLockChecks = true }: { readonly hasLockChecks?: boolean } = {},
): void {
  describeOn(`lock contract: ${name}`, start, (on) => {
    let other: Client;
    let path = "";

    beforeAll(() => {
      other = on.connect();
    });
    afterAll(() => other?.close());
    beforeEach(() => {
      path = `/locks/${Math.random().toString(36).slice(2)}`;
    });

    test("are granted in order, one at a time, with growing tokens, and leave nothing behind", async () => {
      let holders = 0;
      const tokens: bigint[] = [];
      const clients = [on.zk, other, on.zk, other, on.zk];
      await Promise.all(
        clients.map((client) =>
          client.lock(path).then((lock) =>
            lock.run(async () => {
              holders += 1;
              expect(holders).toBe(1);
              tokens.push(lock.token);
              await on.zk.sync();
              holders -= 1;
            }),
          ),
        ),
      );
      expect(tokens.length).toBe(5);
      expect(tokens.every((token, i) => i === 0 || token > (tokens[i - 1] ?? 0n))).toBe(true);
      expect(await on.zk.children(path)).toEqual([]);
    });

    test.runIf(hasLockChecks)(
      "checked in a transaction: under the lock it happens, without the lock nothing does",
      async () => {
        const lock = await on.zk.lock(path, { shared: true });
        const { path: lockPath, token } = lock;
        await other.transaction().checkLock({ path: lockPath, token }).create(`${path}-done`).commit();
        const waiting = other.lock(path);
        await waitForChildren(on.zk, path, 2);
        const [, place] = (await on.zk.children(path)).toSorted((a, b) =>
          a.slice(-10) < b.slice(-10) ? -1 : 1,
        );
        const early = await on.zk.exists(`${path}/${place}`);
        const notHeld = { codeName: "NoNode", outcome: "notApplied" };
        const writeUnder = (token: bigint) =>
          on.zk.transaction().checkLock({ path, token }).set(`${path}-done`, "late").commit();
        await expect(writeUnder(early?.czxid ?? 0n)).rejects.toMatchObject(notHeld);
        await lock.release();
        await expect(writeUnder(token)).rejects.toThrow("not held under this token");
        expect((await on.zk.get(`${path}-done`)).stat.version).toBe(0);
        await writeUnder((await waiting).token);
        await (await waiting).release();
        expect(() => on.zk.transaction().checkLock({ path, token: -1n })).toThrow("no token");
      },
    );

    test("shared: held together, and exclude exclusive ones in the order of the queue", async () => {
      const first = await on.zk.lock(path, { shared: true });
      const second = await other.lock(path, { shared: true, wait: 0 });
      const order: string[] = [];
      const exclusive = on.zk.lock(path).then((lock) => {
        order.push("exclusive");
        return lock;
      });
      await waitForChildren(other, path, 3);
      const late = other.lock(path, { shared: true }).then((lock) => {
        order.push("late shared");
        return lock;
      });
      await waitForChildren(other, path, 4);
      await first.release();
      await second.release();
      await (await exclusive).release();
      await (await late).release();
      expect(order).toEqual(["exclusive", "late shared"]);
    });

    test("not to be had: a wait that is over, an abort; nobody stays in the queue", async () => {
      const lock = await on.zk.lock(path, { owner: "billing" });
      await expect(other.lock(path, { wait: 0 })).rejects.toMatchObject({
        codeName: "OperationTimeout",
        outcome: "notApplied",
      });
      await expect(other.lock(path, { wait: "50ms" })).rejects.toThrow("within 50 ms");
      const controller = new AbortController();
      const waiting = other.lock(path, { signal: controller.signal });
      await waitForChildren(on.zk, path, 2);
      controller.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow("enough");
      await waitForChildren(on.zk, path, 1);
      const [name] = await on.zk.children(path);
      expect((await on.zk.get(`${path}/${name}`)).text).toBe("billing");
      await lock.release();
      await lock.release();
      expect(reasonOf(lock)).toBe("released");
    });

    test("lost when somebody deletes the holder's znode: the signal says so", async () => {
      const lock = await on.zk.lock(path);
      const [name] = await other.children(path);
      await other.delete(`${path}/${name}`);
      await aborted(lock.signal);
      expect(reasonOf(lock)).toBe("deleted");
      await lock.release();
    });

    test("lost with the client, and free for the next at once", async () => {
      const holder = on.connect();
      const lock = await holder.lock(path);
      const next = on.zk.lock(path);
      await waitForChildren(on.zk, path, 2);
      const closing = holder.close();
      // Already: the next one may have it as soon as the server hears of the end.
      expect(reasonOf(lock)).toBe("clientClosed");
      await closing;
      const granted = await next;
      expect(granted.token > lock.token).toBe(true);
      await granted.release();
    });

    test("kept over a lost connection", async () => {
      const lock = await on.zk.lock(path);
      on.zk.reconnect();
      await on.zk.sync();
      await expect(other.lock(path, { wait: 0 })).rejects.toMatchObject({ codeName: "OperationTimeout" });
      expect(lock.signal.aborted).toBe(false);
      await lock.release();
    });

    test("with a delay: nobody gets it for a while when the holder was lost, at once when it released", async () => {
      const holder = on.connect();
      await (await holder.lock(path, { lockDelay: "1h" })).release();
      expect(await on.zk.children(path)).toEqual([]);
      await holder.lock(path, { lockDelay: "300ms" });
      await holder.close();
      await expect(on.zk.lock(path, { wait: "20ms" })).rejects.toMatchObject({
        codeName: "OperationTimeout",
      });
      const lock = await on.zk.lock(path);
      expect((await on.zk.children(path)).length).toBe(1);
      await lock.release();
    });

    test("with a delay: it runs once, also when nobody waits for all of it", async () => {
      const holder = on.connect();
      const lost = await holder.lock(path, { lockDelay: "200ms" });
      await holder.close();
      let tries = 0;
      let lock: Lock | undefined;
      while (lock === undefined) {
        tries += 1;
        await setImmediate();
        lock = await on.zk.lock(path, { wait: 0 }).catch((error: unknown) => {
          if (isZkError(error, "OperationTimeout")) return undefined;
          throw error;
        });
      }
      expect(tries).toBeGreaterThan(1);
      expect(lock.token > lost.token).toBe(true);
      expect((await on.zk.children(path)).length).toBe(1);
      await lock.release();
    });

    test("with a delay: shared ones wait for a lost exclusive one, not for a lost shared one", async () => {
      const holder = on.connect();
      await holder.lock(path, { shared: true, lockDelay: "1h" });
      await holder.close();
      await (await on.zk.lock(path, { shared: true, wait: 0 })).release();
      const timedOut = { codeName: "OperationTimeout" };
      await expect(on.zk.lock(path, { wait: 0 })).rejects.toMatchObject(timedOut);
      const exclusive = on.connect();
      await exclusive.lock(`${path}x`, { lockDelay: "1h" });
      await exclusive.close();
      await expect(on.zk.lock(`${path}x`, { shared: true, wait: 0 })).rejects.toMatchObject(timedOut);
    });

    test("queue up with other clients' contenders of kazoo's layout", async () => {
      await on.zk.createPath(path);
      const theirs = await other.create(`${path}/abc__lock__`, "them", {
        mode: CreateMode.EphemeralSequential,
      });
      await expect(on.zk.lock(path, { wait: 0 })).rejects.toMatchObject({ codeName: "OperationTimeout" });
      const waiting = on.zk.lock(path);
      await waitForChildren(other, path, 2);
      await other.delete(theirs);
      await (await waiting).release();
    });

    test.each([
      ["wait", { wait: "soon" as never }],
      ["lockDelay", { lockDelay: -1 }],
    ])("refused before anything is sent: %s", async (option, options) => {
      await expect(on.zk.lock(path, options)).rejects.toMatchObject({ codeName: "BadArguments" });
      await expect(on.zk.lock(path, options)).rejects.toThrow(option);
      expect(await on.zk.exists(path)).toBeUndefined();
    });
  });
}

async function waitForChildren(client: Client, path: string, count: number): Promise<void> {
  for (;;) {
    const { children, changed } = await client.children(path, { watch: true });
    if (children.length === count) return;
    await changed;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function reasonOf(lock: Lock): string {
  const { reason } = lock.signal;
  return reason instanceof Lost ? reason.cause : String(reason);
}
