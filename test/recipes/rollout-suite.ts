/**
 * A rollout over a real ensemble: what each step shows to whom, live, and which steps are refused.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import type { Client } from "../../src/client/index.ts";
import { Rollout, rolloutView } from "../../src/recipes/index.ts";

export function rolloutSuite(open: () => Client): void {
  describe("staged rollout", () => {
    test("reaches rings, then a share, then all; can be paused and taken back; participants see it live", async () => {
      const zk = open();
      const path = `/rollouts/${Math.random().toString(36).slice(2)}`;
      const rollout = new Rollout(zk, path);
      expect(await rollout.read()).toBeUndefined();
      await expect(rollout.begin("b", [{}])).rejects.toThrow("no stable value yet");
      await rollout.set("a");
      const other = open();
      const of = (key: string, ring?: string) =>
        other.config(path, { schema: rolloutView<string>({ key, ring }) });
      using canary = of("anybody", "canary");
      using rest = of("everybody");
      const seen = async (values: readonly string[]) => {
        const { generation } = (await rollout.read()) ?? { generation: 0 };
        for (const config of [canary, rest]) await until(config, generation);
        expect([canary.get().value, rest.get().value]).toEqual(values);
      };
      await Promise.all([canary.ready, rest.ready]);
      await seen(["a", "a"]);
      await rollout.begin("b", [{ rings: ["canary"] }, { rings: ["canary"], percent: 100 }]);
      await seen(["b", "a"]);
      await expect(rollout.begin("c", [{}])).rejects.toThrow("is under way");
      const { generation } = await rollout.pause();
      await expect(rollout.promote()).rejects.toThrow("it is paused");
      await seen(["b", "a"]);
      await rollout.resume({ generation });
      // Decided on what was there before somebody else's step.
      await expect(rollout.promote({ generation })).rejects.toMatchObject({ codeName: "BadVersion" });
      await rollout.promote();
      await seen(["b", "b"]);
      await rollout.rollBack();
      await seen(["a", "a"]);
      await expect(rollout.rollBack()).rejects.toThrow("no rollout under way");
      await rollout.begin("c", [{ percent: 0 }]);
      expect(await rollout.promote()).toEqual({ generation: 8, stable: "c", candidate: null });
      await seen(["c", "c"]);
      await zk.set(path, "{}");
      await expect(rollout.read()).rejects.toMatchObject({ codeName: "MarshallingError" });
      expect(canary.get().value).toBe("c");
      await Promise.all([zk.close(), other.close()]);
    });

    test("steps taken at once are taken one after the other", async () => {
      const zk = open();
      const path = `/rollouts/${Math.random().toString(36).slice(2)}`;
      const rollouts = [new Rollout(zk, path), new Rollout(zk, path), new Rollout(zk, path)];
      const states = await Promise.all(rollouts.map((rollout, at) => rollout.set(at)));
      expect(states.map(({ generation }) => generation).sort()).toEqual([1, 2, 3]);
      await zk.close();
    });
  });
}

function until(
  config: { get(): { generation: number }; subscribe(listener: () => void): () => void },
  generation: number,
): Promise<void> {
  return new Promise((resolve) => {
    const stop = config.subscribe(() => look());
    const look = () => {
      if (config.get().generation < generation) return;
      stop();
      resolve();
    };
    look();
  });
}
