/**
 * Proves when sessions expire: between their timeout and a tick later, never sooner, and once.
 *
 * Source: section 15 of the wire reference, "Expiry time".
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionFailure, makeSessionId } from "../../src/base/index.ts";
import { SessionDeadlines } from "../../src/tree/index.ts";

const a = makeSessionId(1n);
const b = makeSessionId(2n);

describe("SessionDeadlines", () => {
  test.each([
    [0, 1_000, 1_100],
    [1, 1_000, 1_100],
    [99, 1_000, 1_100],
    [100, 1_000, 1_200],
    [0, 50, 100],
  ])("rounds %d + %d up to the tick strictly above: %d", (nowMs, timeoutMs, deadlineMs) => {
    const deadlines = new SessionDeadlines(100);
    deadlines.start(a, timeoutMs, nowMs);
    expect(deadlines.nextDeadlineMs).toBe(deadlineMs);
    expect(deadlines.expired(deadlineMs - 1)).toEqual([]);
    expect(deadlines.expired(deadlineMs)).toEqual([a]);
  });

  test("a touch moves the deadline, and one from the past moves nothing", () => {
    const deadlines = new SessionDeadlines(100);
    deadlines.start(a, 1_000, 500);
    expect(deadlines.touch(a, 1_050)).toBe(true);
    expect(deadlines.nextDeadlineMs).toBe(2_100);
    expect(deadlines.touch(a, 0)).toBe(true);
    expect(deadlines.nextDeadlineMs).toBe(2_100);
  });

  test("a new connection's timeout may bring the deadline closer", () => {
    const deadlines = new SessionDeadlines(100);
    deadlines.start(a, 10_000, 0);
    deadlines.start(a, 1_000, 0);
    expect(deadlines.nextDeadlineMs).toBe(1_100);
    expect(deadlines.size).toBe(1);
  });

  test("tells of each session once, the earliest first, and touches no dead one", () => {
    const deadlines = new SessionDeadlines(100);
    deadlines.start(b, 900, 0);
    deadlines.start(a, 500, 0);
    expect(deadlines.expired(5_000)).toEqual([a, b]);
    expect(deadlines.expired(5_000)).toEqual([]);
    expect([deadlines.touch(a, 5_000), deadlines.nextDeadlineMs, deadlines.size]).toEqual([
      false,
      undefined,
      0,
    ]);
  });

  test("a closed session does not expire", () => {
    const deadlines = new SessionDeadlines(100);
    deadlines.start(a, 500, 0);
    deadlines.start(b, 500, 0);
    deadlines.stop(a);
    deadlines.stop(a);
    expect(deadlines.expired(600)).toEqual([b]);
  });

  test("a new leader gives everybody the full timeout again, and forgets others", () => {
    const deadlines = new SessionDeadlines(100);
    deadlines.start(a, 500, 0);
    deadlines.restartAll([{ id: b, timeoutMs: 300, ownership: 1 }], 10_000);
    expect(deadlines.expired(10_399)).toEqual([]);
    expect(deadlines.expired(10_400)).toEqual([b]);
    expect(deadlines.size).toBe(0);
  });

  test("refuses a tick or a timeout of no time", () => {
    expect(() => new SessionDeadlines(0)).toThrow(AssertionFailure);
    expect(() => new SessionDeadlines(1).start(a, 0, 0)).toThrow(AssertionFailure);
  });

  test("whatever happens, a session expires between timeout and timeout plus tick after its last sign", () => {
    const step = fc.record({
      id: fc.bigInt(1n, 4n),
      elapsedMs: fc.nat(400),
      doing: fc.constantFrom("start", "touch", "touch", "stop"),
      timeoutMs: fc.integer({ min: 1, max: 1_000 }),
    });
    const steps = fc.array(step, { maxLength: 60, size: "max" });
    const holds = fc.property(fc.integer({ min: 1, max: 300 }), steps, (tickMs, lives) => {
      const deadlines = new SessionDeadlines(tickMs);
      const alive = new Map<bigint, { sinceMs: number; timeoutMs: number }>();
      let nowMs = 0;
      for (const { id, elapsedMs, doing, timeoutMs } of lives) {
        nowMs += elapsedMs;
        for (const dead of deadlines.expired(nowMs)) {
          const { sinceMs, timeoutMs: allowedMs } = alive.get(dead) ?? { sinceMs: Infinity, timeoutMs: 0 };
          expect(nowMs - sinceMs).toBeGreaterThan(allowedMs);
          alive.delete(dead);
        }
        for (const { sinceMs, timeoutMs: allowedMs } of alive.values()) {
          expect(nowMs - sinceMs).toBeLessThan(allowedMs + tickMs + 1);
        }
        const known = alive.get(id);
        if (doing === "start") {
          deadlines.start(makeSessionId(id), timeoutMs, nowMs);
          alive.set(id, { sinceMs: nowMs, timeoutMs });
        } else if (doing === "touch") {
          expect(deadlines.touch(makeSessionId(id), nowMs)).toBe(known !== undefined);
          if (known !== undefined) alive.set(id, { ...known, sinceMs: nowMs });
        } else {
          deadlines.stop(makeSessionId(id));
          alive.delete(id);
        }
        expect(deadlines.size).toBe(alive.size);
      }
    });
    fc.assert(holds);
  });
});
