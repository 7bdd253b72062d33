/**
 * Proves that what a leader leaves behind is read back as it was, in few rows, and replaced as a whole.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeSessionId } from "../../../src/base/index.ts";
import { migrate } from "../../../src/objects/sql/meta.ts";
import {
  deleteVigil,
  readVigil,
  type Vigil,
  vigilRowSessions,
  writeVigil,
} from "../../../src/objects/sql/vigil.ts";
import { openStorage } from "../support/sqlite.ts";

function vigil(sessions: number, epoch = 3): Vigil {
  const watched = Array.from({ length: sessions }, (_, i) => ({
    // The top bit of an id is its sign.
    id: makeSessionId(i % 2 === 0 ? BigInt(i + 1) : -(2n ** 63n) + BigInt(i + 1)),
    timeoutMs: 4_000 + i,
    deadlineMs: 1_800_000_000_000 + i,
    isSuspected: i % 3 === 0,
  }));
  return { epoch, watched };
}

test.each([
  [1, 1],
  [vigilRowSessions, 1],
  [vigilRowSessions + 1, 2],
])("%i sessions are %i rows", (sessions, rows) => {
  const { storage, rowsWrittenBy } = openStorage();
  migrate(storage);
  const left = vigil(sessions);
  expect(rowsWrittenBy(() => writeVigil(storage.sql, left))).toBe(rows);
  expect(readVigil(storage.sql)).toEqual(left);
});

test("a vigil replaces the one before, and none is left of none", () => {
  const { storage } = openStorage();
  migrate(storage);
  expect(readVigil(storage.sql)).toBeUndefined();
  writeVigil(storage.sql, vigil(vigilRowSessions + 1));
  writeVigil(storage.sql, vigil(2, 4));
  expect(readVigil(storage.sql)).toEqual(vigil(2, 4));
  writeVigil(storage.sql, vigil(0, 5));
  expect(readVigil(storage.sql)).toBeUndefined();
  writeVigil(storage.sql, vigil(1));
  deleteVigil(storage.sql);
  expect(readVigil(storage.sql)).toBeUndefined();
});
