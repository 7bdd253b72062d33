/**
 * Proves that the one alarm of an object learns the earliest time, and each duty is taken once.
 *
 * @module
 */

import { expect, test } from "vitest";
import { migrate } from "../../../src/objects/sql/meta.ts";
import { nextDueMs, setSchedule, takeDue } from "../../../src/objects/sql/schedule.ts";
import { openStorage } from "../support/sqlite.ts";

const nowMs = 1_800_000_000_123;

test("a duty is due at its time, not before, and once", () => {
  const { storage, rowsWrittenBy } = openStorage();
  migrate(storage);
  expect(nextDueMs(storage.sql)).toBeUndefined();
  expect(rowsWrittenBy(() => setSchedule(storage.sql, "watchdog", nowMs))).toBe(1);
  expect(nextDueMs(storage.sql)).toBe(nowMs);
  expect(takeDue(storage.sql, nowMs - 1)).toEqual([]);
  expect(takeDue(storage.sql, nowMs)).toEqual(["watchdog"]);
  expect(rowsWrittenBy(() => expect(takeDue(storage.sql, nowMs)).toEqual([]))).toBe(0);
});

test("a duty set again is due at the new time only", () => {
  const { storage } = openStorage();
  migrate(storage);
  setSchedule(storage.sql, "watchdog", nowMs);
  setSchedule(storage.sql, "watchdog", nowMs + 1);
  expect(nextDueMs(storage.sql)).toBe(nowMs + 1);
  expect(takeDue(storage.sql, nowMs)).toEqual([]);
});
