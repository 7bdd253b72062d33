/**
 * A semaphore whose seats are taken by the SDK and over HTTP at once: over a real ensemble.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import type { Client } from "../../src/client/index.ts";
import { takeSeat } from "../../src/recipes/index.ts";

interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

export function semaphoresSuite(open: () => Client, origin: () => string): void {
  describe("a semaphore of the SDK and of HTTP", () => {
    async function ask(method: string, path: string, body?: unknown, session?: string): Promise<Answer> {
      const response = await fetch(`${origin()}/v1/main/${path}`, {
        method,
        ...(session !== undefined && { headers: { "Ek-Session": session } }),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, json: text === "" ? {} : JSON.parse(text) };
    }

    test("never has more holders than seats, whose tokens grow, and leaves nothing behind", async () => {
      const path = `/semaphores/${Math.random().toString(36).slice(2)}`;
      const zk = open();
      let holders = 0;
      let most = 0;
      const tokens: bigint[] = [];
      async function hold(token: bigint): Promise<void> {
        tokens.push(token);
        holders += 1;
        most = Math.max(most, holders);
        await zk.sync();
        holders -= 1;
      }
      async function bySdk(): Promise<void> {
        const seat = await takeSeat(zk, path, { seats: 2 });
        await hold(seat.token);
        await seat.release();
      }
      async function byHttp(): Promise<void> {
        const { status, json } = await ask("POST", `semaphores${path}`, { seats: 2, wait: "1m" });
        expect(status).toBe(201);
        await hold(BigInt(String(json["token"])));
        expect((await ask("DELETE", `semaphores${path}?id=${json["id"]}`)).status).toBe(204);
      }
      await Promise.all(Array.from({ length: 12 }, (_, turn) => (turn % 2 === 0 ? bySdk() : byHttp())));
      expect(most).toBe(2);
      expect(new Set(tokens).size).toBe(12);
      expect(await zk.children(`${path}/leases`)).toEqual([]);
      expect(await zk.children(`${path}/lock`)).toEqual([]);
      await zk.close();
    });

    test("each sees the other's holders, waits for them, and gets the seats of the lost", async () => {
      const path = `/semaphores/${Math.random().toString(36).slice(2)}`;
      const [zk, doomed] = [open(), open()];
      const session = String((await ask("POST", "sessions", { ttl: "1m" })).json["session"]);
      const inSession = await ask("POST", `semaphores${path}`, { seats: 2, owner: "lent" }, session);
      expect(inSession.status).toBe(201);
      await takeSeat(doomed, path, { seats: 2, owner: "doomed" });

      const full = await ask("POST", `semaphores${path}`, { seats: 2 });
      expect(full).toMatchObject({ status: 409, json: { type: "/problems/seats-taken", taken: 2 } });
      await expect(takeSeat(zk, path, { seats: 2, wait: 0 })).rejects.toThrow("all are taken");
      const shown = await ask("GET", `semaphores${path}`);
      expect(shown.json).toMatchObject({ seats: 2, holders: [{ owner: "lent" }, { owner: "doomed" }] });
      // What is shown gives nobody the seat.
      const [place] = JSON.stringify(shown.json).match(/[0-9a-f]{32}/) ?? [];
      expect((await ask("DELETE", `semaphores${path}?id=${place}`)).status).toBe(404);

      const next = ask("POST", `semaphores${path}`, { seats: 2, owner: "next", wait: "1m" });
      await doomed.close();
      expect((await next).status).toBe(201);
      const bySdk = takeSeat(zk, path, { seats: 2 });
      await ask("DELETE", `sessions/${session.split(":")[0]}`, undefined, session);
      await (await bySdk).release();
      expect(
        (await ask("PUT", `semaphores${path}?id=${inSession.json["id"]}`, undefined, session)).status,
      ).toBe(410);
      expect((await ask("POST", `semaphores${path}`, { seats: 3 })).status).toBe(409);
      await expect(takeSeat(zk, path, { seats: 3 })).rejects.toMatchObject({ codeName: "BadArguments" });
      await zk.close();
    });
  });
}
