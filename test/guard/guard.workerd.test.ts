/**
 * Proves the fences against the real stores: a Durable Object's SQLite, D1 and R2 as the runtime has them.
 */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { D1Fence, DurableFence, fenceSchema, R2Fence, StaleToken } from "../../src/guard/index.ts";
import type { Member } from "../../src/objects/index.ts";

declare global {
  namespace Cloudflare {
    interface Env {
      MEMBER: DurableObjectNamespace<Member>;
      GUARDED_BUCKET: R2Bucket;
      GUARDED_DATABASE: D1Database;
    }
  }
}

describe("guard: Durable Object", () => {
  /** Any object with SQLite will do; nobody ever makes this one a member. */
  function inObject<Result>(work: (storage: DurableObjectStorage) => Result): Promise<Result> {
    return runInDurableObject(env.MEMBER.getByName("guarded/1"), (_, state) => work(state.storage));
  }

  test("guard: a write and its token are kept together, or neither; a stale one changes nothing", async () => {
    await inObject((storage) => {
      storage.sql.exec("CREATE TABLE report (text TEXT NOT NULL)");
      const write = (token: bigint, text: string | null) =>
        new DurableFence(storage).run("report", token, () => {
          storage.sql.exec("DELETE FROM report");
          storage.sql.exec("INSERT INTO report (text) VALUES (?)", text);
          return text;
        });
      const text = () => storage.sql.exec("SELECT text FROM report").one()["text"];
      expect(write(7n, "a")).toBe("a");
      expect(write(7n, "b")).toBe("b");
      expect(() => write(6n, "stale")).toThrow(StaleToken);
      expect(text()).toBe("b");
      // What fails leaves no token behind either.
      expect(() => write(9n, null)).toThrow("NOT NULL");
      expect([write(8n, "c"), text()]).toEqual(["c", "c"]);
      expect(() => write(0n, "x")).toThrow(RangeError);
      new DurableFence(storage).run("another", 1n, () => undefined);
    });
  });

  test("guard: the token outlives the object's memory", async () => {
    await inObject((storage) => {
      const run = () => new DurableFence(storage).run("report", 7n, () => undefined);
      expect(run).toThrow("0x8 has been seen");
    });
  });
});

describe("guard: D1", () => {
  const database = env.GUARDED_DATABASE;

  beforeAll(async () => {
    await database.batch([
      database.prepare(fenceSchema),
      database.prepare("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT NOT NULL)"),
      database.prepare("INSERT INTO jobs VALUES (42, 'new')"),
    ]);
  });

  const setState = (token: bigint, ...states: (string | null)[]) =>
    new D1Fence(database).batch(
      "jobs/42",
      token,
      states.map((state) => database.prepare("UPDATE jobs SET state = ?1 WHERE id = 42").bind(state)),
    );
  const state = () => database.prepare("SELECT state FROM jobs WHERE id = 42").first("state");

  test("guard: a batch under the greatest token is done, one under a lower token is not", async () => {
    const outcomes = await setState(7n, "a", "b");
    expect(outcomes.map(({ meta }) => meta.changes)).toEqual([1, 1]);
    await setState(7n, "c");
    await expect(setState(6n, "stale")).rejects.toBeInstanceOf(StaleToken);
    expect(await state()).toBe("c");
    await expect(setState(9n, "d", null)).rejects.toThrow("jobs.state");
    await setState(8n, "e");
    expect(await state()).toBe("e");
  });

  test("guard: of batches that race, none lands behind a greater token's", async () => {
    const tokens = Array.from({ length: 40 }, (_, n) => 100n + BigInt((n * 17) % 40));
    const settled = await Promise.allSettled(tokens.map((token) => setState(token, String(token))));
    expect(await state()).toBe("139");
    for (const result of settled) {
      if (result.status === "rejected") expect(result.reason).toBeInstanceOf(StaleToken);
    }
  });
});

describe("guard: R2", () => {
  const fence = new R2Fence(env.GUARDED_BUCKET);
  const text = async (key: string) => (await env.GUARDED_BUCKET.get(key))?.text();

  test("guard: an object is replaced under the same token or a greater one, never a lower one", async () => {
    await fence.put("report", "a", 7n, { customMetadata: { by: "me" } });
    await fence.put("report", "b", "0x7");
    await fence.put("report", "c", 8n);
    await expect(fence.put("report", "stale", 7n)).rejects.toMatchObject({ name: "StaleToken", highest: 8n });
    expect(await text("report")).toBe("c");
  });

  test("guard: an object that nobody guarded gets its token, and its own metadata stays the caller's", async () => {
    await env.GUARDED_BUCKET.put("old", "x");
    await fence.put("old", "y", 3n, { customMetadata: { by: "me" } });
    const head = await env.GUARDED_BUCKET.head("old");
    expect(head?.customMetadata).toEqual({ by: "me", "ek-lock-token": "0000000000000003" });
  });

  test("guard: of puts that race, the greatest token's stays", async () => {
    const tokens = Array.from({ length: 12 }, (_, n) => 100n + BigInt((n * 5) % 12));
    const settled = await Promise.allSettled(tokens.map((token) => fence.put("raced", String(token), token)));
    expect(settled.some(({ status }) => status === "fulfilled")).toBe(true);
    const kept = (await env.GUARDED_BUCKET.head("raced"))?.customMetadata?.["ek-lock-token"];
    expect(BigInt(`0x${kept}`)).toBe(BigInt((await text("raced")) ?? "0"));
    await expect(fence.put("raced", "stale", BigInt(`0x${kept}`) - 1n)).rejects.toBeInstanceOf(StaleToken);
  });
});
