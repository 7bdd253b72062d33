/**
 * Proves what silence proves while a leader sleeps: nothing at first, the end of a session a timeout later, and
 * nothing at all when nobody looked in time.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeSessionId } from "../../src/base/index.ts";
import { review, SessionDeadlines, vigilLateMsMax, type Watched } from "../../src/tree/index.ts";

const id = makeSessionId(7n);
const tickMs = 2_000;
const timeoutMs = 30_000;
const hourMs = 3_600_000;

const watched = (deadlineMs: number, isSuspected = false): Watched => ({
  id,
  timeoutMs,
  deadlineMs,
  isSuspected,
});

describe("review()", () => {
  test.each([
    // A look at 100 s. Deadlines are rounded up to the next tick above: 132 s.
    ["before the deadline: it stands", watched(102_000), undefined, watched(102_000), false],
    ["at the deadline: a suspicion", watched(100_000), undefined, watched(132_000, true), false],
    ["long after it: a suspicion all the same", watched(1_000), undefined, watched(132_000, true), false],
    ["a suspicion that runs: it stands", watched(102_000, true), undefined, watched(102_000, true), false],
    ["one that has run out: the end", watched(100_000, true), undefined, watched(100_000, true), true],
    [
      "as late as an alarm may be: the end",
      watched(100_000 - vigilLateMsMax, true),
      undefined,
      watched(100_000 - vigilLateMsMax, true),
      true,
    ],
    [
      "later: nobody has been looking",
      watched(100_000 - vigilLateMsMax - 1, true),
      undefined,
      watched(132_000, true),
      false,
    ],
    ["a sign of life moves the deadline", watched(100_000), 95_000, watched(126_000), false],
    ["and ends a suspicion", watched(100_000, true), 75_000, watched(106_000), false],
    ["one from before the suspicion does not", watched(100_000, true), 60_000, watched(100_000, true), true],
    ["one too long ago begins a suspicion", watched(90_000, true), 69_000, watched(132_000, true), false],
    ["one from the future counts as of now", watched(100_000, true), 200_000, watched(132_000), false],
    ["the clock was set back: a timeout at most", watched(9_000_000), undefined, watched(132_000), false],
  ])("%s", (_, before, signMs, after, isDue) => {
    expect(review(before, { nowMs: 100_000, tickMs, signMs })).toEqual({ watched: after, isDue });
  });

  test("never ends a session that showed life within its timeout, whenever anybody looks", () => {
    const look = fc.record({ afterMs: fc.nat({ max: 3 * timeoutMs }), isAlive: fc.boolean() });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 12 }), fc.boolean(), (looks, isSuspected) => {
        let nowMs = 1_000_000;
        let entry = watched(nowMs + timeoutMs, isSuspected);
        let signMs = nowMs;
        for (const { afterMs, isAlive } of looks) {
          nowMs += afterMs;
          if (isAlive) signMs = nowMs - Math.min(afterMs, 1_000);
          const reviewed = review(entry, { nowMs, tickMs, signMs });
          if (reviewed.isDue) expect(nowMs - signMs).toBeGreaterThanOrEqual(timeoutMs);
          entry = reviewed.watched;
        }
      }),
    );
  });
});

describe("an hour asleep", () => {
  /** Looks when the first deadline is due, as the alarm does; answers how often, and who ended. */
  function sleep(sessions: readonly Watched[], lastSign: (id: bigint, nowMs: number) => number | undefined) {
    let entries = sessions;
    let looks = 0;
    const ended: bigint[] = [];
    let nowMs = 0;
    for (;;) {
      nowMs = Math.min(...entries.map(({ deadlineMs }) => deadlineMs));
      if (nowMs > hourMs) return { looks, ended };
      looks += 1;
      const reviews = entries.map((entry) =>
        review(entry, { nowMs, tickMs, signMs: lastSign(entry.id, nowMs) }),
      );
      ended.push(...reviews.filter(({ isDue }) => isDue).map((reviewed) => reviewed.watched.id));
      entries = reviews.filter(({ isDue }) => !isDue).map((reviewed) => reviewed.watched);
    }
  }

  const hundred = Array.from({ length: 100 }, (_, i) => ({
    ...watched(timeoutMs + i * 100),
    id: makeSessionId(BigInt(i + 1)),
  }));

  test("of a hundred sessions with live sockets takes one alarm for all in two thirds of a timeout", () => {
    // Pings come every third of a timeout, each session's at its own time.
    const period = timeoutMs / 3;
    const { looks, ended } = sleep(hundred, (session, nowMs) => {
      const phase = Number(session) * 100;
      return Math.floor((nowMs - phase) / period) * period + phase;
    });
    expect(ended).toEqual([]);
    expect(looks).toBeLessThanOrEqual(hourMs / ((timeoutMs * 2) / 3) + 1);
  });

  test("ends the one that is gone, once, and nobody else", () => {
    const { ended } = sleep(hundred, (session, nowMs) => (session === 42n ? 0 : nowMs - 1));
    expect(ended).toEqual([42n]);
  });
});

test("deadlines are left behind and taken up as they were", () => {
  const before = new SessionDeadlines(tickMs);
  before.start(id, timeoutMs, 1_000);
  const after = new SessionDeadlines(tickMs);
  after.restore(before.watched());
  expect(after.watched()).toEqual([watched(32_000)]);
  after.restore([watched(40_000, true)]);
  expect(after.watched()).toEqual([watched(40_000, true)]);
  expect(after.touch(id, 12_000)).toBe(true);
  expect(after.watched()).toEqual([watched(44_000)]);
  expect(after.expired(44_000)).toEqual([id]);
});
