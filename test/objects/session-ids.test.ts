/**
 * Proves that no two leaders, and no leader twice, give the same session id, and that ids are well formed.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AssertionFailure,
  formatSessionId,
  makeServerId,
  makeSessionId,
  NO_SESSION,
  serverIdMax,
} from "../../src/base/index.ts";
import { SessionIds, sessionIdBlock, takeSessionIdBlock } from "../../src/objects/session-ids.ts";
import { migrate } from "../../src/objects/sql/meta.ts";
import { openStorage } from "./support/sqlite.ts";

const free = () => false;

/** Blocks as an epoch hands them out. */
function blocks(first = 0): () => number {
  let next = first;
  return () => next++;
}

const server = fc.integer({ min: 1, max: serverIdMax }).map(makeServerId);

describe("SessionIds", () => {
  test.each([
    [1, 1, "0x100000100000001"],
    [254, 0, "0xfe00000000000001"],
    [128, 0xffffff, "0x80ffffff00000001"],
    [2, 0x1000003, "0x200000300000001"],
  ])("of server %d in epoch %d begin with %s", (id, epoch, first) => {
    const ids = new SessionIds(makeServerId(id), epoch, blocks());
    expect(formatSessionId(ids.next(free))).toBe(first);
    expect(ids.next(free)).toBe(makeSessionId(BigInt(first) + 1n));
  });

  test("never repeat within a leader, nor between servers or epochs", () => {
    const reign = fc.tuple(server, fc.nat({ max: 0xffffff }));
    fc.assert(
      fc.property(fc.uniqueArray(reign, { selector: String, maxLength: 8 }), (reigns) => {
        const given = reigns.flatMap(([id, epoch]) => {
          const ids = new SessionIds(id, epoch, blocks());
          return [ids.next(free), ids.next(free), ids.next(free)];
        });
        expect(new Set(given).size).toBe(given.length);
      }),
    );
  });

  test("are never 0, nor the smallest long, and name their server in the top byte", () => {
    fc.assert(
      fc.property(server, fc.nat({ max: 2 ** 31 - 1 }), (id, epoch) => {
        const given = new SessionIds(id, epoch, blocks()).next(free);
        expect([NO_SESSION, -(2n ** 63n)]).not.toContain(given);
        expect(BigInt.asUintN(64, given) >> 56n).toBe(BigInt(id));
      }),
    );
  });

  test("of an epoch that goes on after memory was lost repeat none, wherever it was lost", () => {
    const { storage } = openStorage();
    migrate(storage);
    const given = new Set<bigint>();
    for (const count of [1, sessionIdBlock - 1, sessionIdBlock, sessionIdBlock + 1, 0, 3]) {
      const ids = new SessionIds(makeServerId(1), 7, () => takeSessionIdBlock(storage.sql, 7));
      for (let i = 0; i < count; i++) {
        const id = ids.next(free);
        expect(given.has(id)).toBe(false);
        given.add(id);
      }
    }
    expect(takeSessionIdBlock(storage.sql, 8)).toBe(0);
  });

  test("cost one row for a block", () => {
    const { storage, rowsWrittenBy } = openStorage();
    migrate(storage);
    const ids = new SessionIds(makeServerId(1), 7, () => takeSessionIdBlock(storage.sql, 7));
    const rows = rowsWrittenBy(() => {
      for (let i = 0; i < sessionIdBlock - 1; i++) ids.next(free);
    });
    expect(rows).toBe(1);
    expect(rowsWrittenBy(() => ids.next(free))).toBe(1);
  });

  test("end with the last block", () => {
    const ids = new SessionIds(makeServerId(1), 1, blocks(2 ** 24 - 1));
    for (let i = 0; i < sessionIdBlock - 1; i++) ids.next(free);
    expect(() => ids.next(free)).toThrow(AssertionFailure);
  });

  test("pass over those that sessions have", () => {
    const ids = new SessionIds(makeServerId(1), 1, blocks());
    const taken = new Set([0x100000100000001n, 0x100000100000002n].map(makeSessionId));
    expect(ids.next((id) => taken.has(id))).toBe(makeSessionId(0x100000100000003n));
  });
});
