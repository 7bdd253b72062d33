/**
 * Proves what a fake ensemble adds to the contracts: time that only the test moves, sessions that end on
 * command, connections that break, and the same course of events every time.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { CreateMode, Lost, type SessionState } from "../../src/client/index.ts";
import { fakeEnsemble } from "../../src/testing/index.ts";

function stateKinds(zk: { onState(listener: (state: SessionState) => void): unknown }): string[] {
  const kinds: string[] = [];
  zk.onState(({ kind }) => kinds.push(kind));
  return kinds;
}

describe("fakeEnsemble()", () => {
  test("needs no time for what needs none", async () => {
    const ensemble = fakeEnsemble();
    const zk = ensemble.connect();
    const before = ensemble.clock.now();
    await zk.create("/a", "1");
    expect((await zk.get("/a")).text).toBe("1");
    expect((await zk.exists("/a"))?.ctime).toBe(before);
    expect(ensemble.clock.now()).toBe(before);
  });

  test("expires a session that is cut off, when its timeout has passed and not before", async () => {
    const ensemble = fakeEnsemble();
    const holder = ensemble.connect({ sessionTimeout: "10s" });
    const zk = ensemble.connect();
    await holder.create("/mine", null, { mode: CreateMode.Ephemeral });
    const lock = await holder.lock("/lock");
    const states = stateKinds(holder);
    await ensemble.disconnect(holder);
    expect(states).toEqual(["suspended"]);
    await ensemble.advance("8s");
    expect(await zk.exists("/mine")).toBeDefined();
    expect(lock.signal.aborted).toBe(false);
    await ensemble.advance("1s");
    expect(lock.signal.reason).toBeInstanceOf(Lost);
    expect(lock.signal.reason).toMatchObject({ cause: "unreachable" });
    expect(await zk.exists("/mine")).toBeDefined();
    await ensemble.advance("4s");
    expect(await zk.exists("/mine")).toBeUndefined();
    ensemble.reconnect(holder);
    await ensemble.advance("6s");
    expect(states).toEqual(["suspended", "expired", "connected"]);
  });

  test("keeps sessions alive for as long as their clients are there", async () => {
    const ensemble = fakeEnsemble();
    const zk = ensemble.connect({ sessionTimeout: "4s" });
    await zk.create("/mine", null, { mode: CreateMode.Ephemeral });
    await ensemble.advance("10m");
    expect(await zk.exists("/mine")).toBeDefined();
    expect(zk.sessionMarginMs).toBeGreaterThan(2_000);
  });

  test("expires a session on command; registrations come back under the next", async () => {
    const ensemble = fakeEnsemble();
    const zk = ensemble.connect();
    const me = zk.register("/services/me", "here");
    await me.ready;
    const states = stateKinds(zk);
    const first = zk.sessionId;
    await ensemble.expire(zk);
    await ensemble.advance("2s");
    expect(states).toEqual(["suspended", "expired", "connected"]);
    expect(zk.sessionId).not.toBe(first);
    expect((await zk.get("/services/me")).stat.ephemeralOwner).toBe(BigInt(zk.sessionId ?? 0));
  });

  test("says so when there is no session to expire", async () => {
    const ensemble = fakeEnsemble();
    await expect(ensemble.expire(ensemble.connect())).rejects.toMatchObject({ codeName: "SessionExpired" });
  });

  test("knows only its own clients", async () => {
    const stranger = fakeEnsemble().connect();
    await expect(fakeEnsemble().disconnect(stranger)).rejects.toMatchObject({ codeName: "BadArguments" });
  });

  test("leaves the outcome of a write open whose answer was cut off, and tells watchers afterwards", async () => {
    const ensemble = fakeEnsemble();
    const zk = ensemble.connect();
    await zk.create("/a", "old");
    const { changed } = await zk.get("/a", { watch: true });
    const writing = zk.set("/a", "new").catch((error: unknown) => error);
    // Long enough for the request to get there, not for the answer to come back.
    for (let turn = 0; turn < 2; turn++) await Promise.resolve();
    await ensemble.disconnect();
    expect(await writing).toMatchObject({ codeName: "ConnectionLoss", outcome: "unknown" });
    ensemble.reconnect();
    const reading = zk.get("/a");
    await ensemble.advance("1s");
    // It had arrived; only the answer was lost.
    expect((await reading).text).toBe("new");
    expect((await changed).kind).toBe("dataChanged");
  });

  test("deletes TTL znodes and empty containers when their time has come", async () => {
    const ensemble = fakeEnsemble();
    const zk = ensemble.connect();
    await zk.create("/ttl", null, { ttl: "30s" });
    await zk.create("/container", null, { mode: CreateMode.Container });
    await zk.create("/container/child");
    await zk.delete("/container/child");
    await ensemble.advance("3m");
    expect(await zk.children("/")).toEqual(["zookeeper"]);
  });

  test("refuses what is no duration", async () => {
    const ensemble = fakeEnsemble();
    await expect(ensemble.advance(-1)).rejects.toMatchObject({ codeName: "BadArguments" });
  });

  test("goes the same way every time", async () => {
    async function course(): Promise<readonly string[]> {
      const ensemble = fakeEnsemble();
      const [one, two] = [ensemble.connect(), ensemble.connect()];
      const seen: string[] = [];
      const note = (what: string) => seen.push(`${ensemble.clock.now()} ${what}`);
      for (const [name, zk] of Object.entries({ one, two })) {
        zk.onState(({ kind }) => note(`${name} ${kind}`));
        void (async () => {
          for (let turn = 0; turn < 3; turn++) {
            await using lock = await zk.lock("/lock");
            note(`${name} ${lock.token}`);
            await zk.set("/lock", name);
          }
        })();
      }
      await ensemble.advance("1s");
      await ensemble.disconnect(one);
      await ensemble.advance("5s");
      ensemble.reconnect();
      await ensemble.advance("20s");
      return seen;
    }
    const first = await course();
    expect(first.filter((line) => /\d$/.test(line))).toHaveLength(6);
    expect(await course()).toEqual(first);
  });
});
