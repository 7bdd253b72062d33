/**
 * What registrations and live configuration must give, whatever server is behind them.
 *
 * @module
 */

import { beforeEach, expect, test } from "vitest";
import { type Client, json, type Schema } from "../../src/client/index.ts";
import { type ContractServer, describeOn } from "./contract-server.ts";

const withTtl: Schema<{ ttl: number }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) =>
      typeof value === "object" && value !== null && "ttl" in value && typeof value.ttl === "number"
        ? { value: { ttl: value.ttl } }
        : { issues: [{ message: "ttl is no number" }] },
  },
};

export function holdingContract(name: string, start: () => Promise<ContractServer>): void {
  describeOn(`holding contract: ${name}`, start, (on) => {
    let path = "";

    beforeEach(() => {
      path = `/held/${Math.random().toString(36).slice(2)}`;
    });

    test("a registration is there with its client, comes back when deleted, and goes with it", async () => {
      const holder = on.connect();
      const me = holder.register(path, "one");
      await me.ready;
      expect((await on.zk.get(path)).text).toBe("one");
      const gone = await on.zk.exists(path, { watch: true });
      await on.zk.delete(path);
      await gone.changed;
      await until(async () => (await on.zk.exists(path)) !== undefined, on.zk, path);
      await me.update("two");
      await until(async () => (await on.zk.get(path)).text === "two", on.zk, path);
      await me.close();
      expect(await on.zk.exists(path)).toBeUndefined();
      await me.close();
      await holder.close();
    });

    test("a registration waits for the session of another holder to end", async () => {
      const first = on.connect();
      const second = on.connect();
      const held = first.register(path, "first");
      await held.ready;
      const waiting = second.register(path, "second");
      await second.sync();
      expect(waiting.isHeld).toBe(false);
      await first.close();
      await waiting.ready;
      expect((await on.zk.get(path)).text).toBe("second");
      await second.close();
    });

    test("a registration that can never be says why", async () => {
      const me = on.zk.register("/zookeeper/config/x");
      await expect(me.ready).rejects.toMatchObject({ name: "ZkError" });
      await me.close();
    });

    test("configuration follows its znode, keeps the last good value, and says what is wrong", async () => {
      using config = on.zk.config(path, { schema: withTtl, initial: { ttl: 1 } });
      await config.ready;
      expect([config.get(), config.fault?.codeName]).toEqual([{ ttl: 1 }, "NoNode"]);
      const seen: number[] = [];
      const told = new Promise<void>((resolve) => {
        config.subscribe(({ ttl }) => {
          seen.push(ttl);
          if (ttl === 30) resolve();
        });
      });
      await on.zk.createPath(path);
      await on.zk.set(path, json({ ttl: 2 }));
      await until(async () => config.get().ttl === 2, on.zk, path);
      await on.zk.set(path, json({ ttl: "x" }));
      await until(async () => config.fault?.codeName === "MarshallingError", on.zk, path);
      expect(config.get()).toEqual({ ttl: 2 });
      await on.zk.set(path, json({ ttl: 30 }));
      await told;
      expect([seen.at(-1), config.fault]).toEqual([30, undefined]);
      expect(config.version).toBe((await on.zk.get(path)).stat.mzxid);
    });

    test("configuration without an initial value throws until there is one", async () => {
      using config = on.zk.config(path);
      expect(() => config.get()).toThrow("not been read");
      await config.ready;
      expect(() => config.get()).toThrow("does not exist");
    });
  });
}

/** Looks again whenever the ensemble has taken a step. */
async function until(isSo: () => Promise<boolean>, zk: Client, path: string): Promise<void> {
  while (!(await isSo().catch(() => false))) await zk.sync(path);
}
