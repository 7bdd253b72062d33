/**
 * Proves that no two leaders, and no leader twice, give the same session id, and that ids are well formed.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatSessionId,
  makeServerId,
  makeSessionId,
  NO_SESSION,
  serverIdMax,
} from "../../src/base/index.ts";
import { SessionIds } from "../../src/objects/session-ids.ts";

const free = () => false;

const server = fc.integer({ min: 1, max: serverIdMax }).map(makeServerId);

describe("SessionIds", () => {
  test.each([
    [1, 1, "0x100000100000001"],
    [254, 0, "0xfe00000000000001"],
    [128, 0xffffff, "0x80ffffff00000001"],
    [2, 0x1000003, "0x200000300000001"],
  ])("of server %d in epoch %d begin with %s", (id, epoch, first) => {
    const ids = new SessionIds(makeServerId(id), epoch);
    expect(formatSessionId(ids.next(free))).toBe(first);
    expect(ids.next(free)).toBe(makeSessionId(BigInt(first) + 1n));
  });

  test("never repeat within a leader, nor between servers or epochs", () => {
    const reign = fc.tuple(server, fc.nat({ max: 0xffffff }));
    fc.assert(
      fc.property(fc.uniqueArray(reign, { selector: String, maxLength: 8 }), (reigns) => {
        const given = reigns.flatMap(([id, epoch]) => {
          const ids = new SessionIds(id, epoch);
          return [ids.next(free), ids.next(free), ids.next(free)];
        });
        expect(new Set(given).size).toBe(given.length);
      }),
    );
  });

  test("are never 0, nor the smallest long, and name their server in the top byte", () => {
    fc.assert(
      fc.property(server, fc.nat({ max: 2 ** 31 - 1 }), (id, epoch) => {
        const given = new SessionIds(id, epoch).next(free);
        expect([NO_SESSION, -(2n ** 63n)]).not.toContain(given);
        expect(BigInt.asUintN(64, given) >> 56n).toBe(BigInt(id));
      }),
    );
  });

  test("pass over those that sessions have", () => {
    const ids = new SessionIds(makeServerId(1), 1);
    const taken = new Set([0x100000100000001n, 0x100000100000002n].map(makeSessionId));
    expect(ids.next((id) => taken.has(id))).toBe(makeSessionId(0x100000100000003n));
  });
});
