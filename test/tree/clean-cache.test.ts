/**
 * Proves that the clean cache stays within its bound, keeps what is used, and never lies.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Znode } from "../../src/base/index.ts";
import { CleanCache } from "../../src/tree/clean-cache.ts";
import { weigh } from "../../src/tree/weight.ts";
import { initialZnodes } from "../../src/tree/znodes.ts";

const [rootZnode] = initialZnodes().values();
const plain: Znode = { ...(rootZnode as Znode) };
const oneBytes = weigh("/00", plain);

function pathOf(at: number): string {
  return `/${String(at).padStart(2, "0")}`;
}

function heldBy(cache: CleanCache, count: number): number[] {
  return Array.from({ length: count }, (_, at) => at).filter((at) => cache.get(pathOf(at)) !== undefined);
}

describe("CleanCache", () => {
  test("holds as many as its bound allows and no more", () => {
    const cache = new CleanCache(8 * oneBytes);
    for (let at = 0; at < 50; at += 1) cache.set(pathOf(at), plain);
    const held = heldBy(cache, 50);
    expect(held.length).toBeLessThanOrEqual(8);
    expect(held.length).toBeGreaterThanOrEqual(4);
    expect(held.at(-1)).toBe(49);
  });

  test("keeps what is asked for, while others pass through", () => {
    const cache = new CleanCache(8 * oneBytes);
    for (let at = 0; at < 50; at += 1) {
      cache.set(pathOf(at), plain);
      expect(cache.get(pathOf(0))).toBe(plain);
    }
    expect(cache.get(pathOf(20))).toBeUndefined();
  });

  test("does not give up everything for one znode that is too large", () => {
    const cache = new CleanCache(8 * oneBytes);
    cache.set("/small", plain);
    cache.set("/large", { ...plain, data: new Uint8Array(4 * oneBytes) });
    expect([cache.get("/small"), cache.get("/large")]).toEqual([plain, undefined]);
  });

  test("is not filled by one znode set over and over", () => {
    const cache = new CleanCache(8 * oneBytes);
    cache.set("/kept", plain);
    for (let round = 0; round < 100; round += 1) cache.set("/busy", plain);
    expect(cache.get("/kept")).toBe(plain);
  });

  test("of no size holds nothing", () => {
    const cache = new CleanCache(0);
    cache.set("/a", plain);
    cache.set("/b", null);
    expect([cache.get("/a"), cache.get("/b")]).toEqual([undefined, undefined]);
  });

  test("says what was set last, or that it does not know", () => {
    const step = fc.record({
      at: fc.nat(12),
      doing: fc.constantFrom("set", "setAbsent", "delete", "get", "get"),
      dataLength: fc.nat(1_000),
    });
    const isHonest = fc.property(
      fc.array(step, { maxLength: 100, size: "max" }),
      fc.nat(12),
      (steps, capacity) => {
        const cache = new CleanCache(capacity * oneBytes);
        const truth = new Map<string, Znode | null>();
        for (const { at, doing, dataLength } of steps) {
          const path = pathOf(at);
          if (doing === "get") {
            const known = cache.get(path);
            if (known !== undefined) expect(known).toBe(truth.get(path));
          } else if (doing === "delete") {
            cache.delete(path);
            truth.delete(path);
            expect(cache.get(path)).toBeUndefined();
          } else {
            const znode = doing === "set" ? { ...plain, data: new Uint8Array(dataLength) } : null;
            cache.set(path, znode);
            truth.set(path, znode);
          }
          let bytes = 0;
          // Two probes: a hit may move a path, and moving may forget others.
          for (const held of heldBy(cache, 13)) if (cache.get(pathOf(held)) !== undefined) bytes += 1;
          expect(bytes * weigh("/00", null)).toBeLessThanOrEqual(Math.max(capacity * oneBytes, 0));
        }
      },
    );
    fc.assert(isHonest, { numRuns: 300 });
  });
});
