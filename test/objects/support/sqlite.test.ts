/**
 * Proves that the storage for tests has the traps of the platform's: a double that is kinder hides bugs.
 *
 * Each row is one of the platform reference's, "the traps in binding and reading".
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { openStorage } from "./sqlite.ts";

function withTable() {
  const opened = openStorage();
  opened.storage.sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, value)");
  return { ...opened, sql: opened.storage.sql };
}

describe("the storage for tests", () => {
  test("binds numbers as REAL, reads integers as doubles and BLOBs as ArrayBuffers", () => {
    const { sql } = withTable();
    sql.exec("INSERT INTO t (id, value) VALUES (?, ?)", 1, 7);
    expect(sql.exec("SELECT typeof(value) AS type FROM t").toArray()).toEqual([{ type: "real" }]);
    expect(sql.exec("SELECT 9007199254740993 AS big").toArray()).toEqual([{ big: 9007199254740992 }]);
    sql.exec("INSERT INTO t (id, value) VALUES (?, ?)", 2, Uint8Array.of(1, 2, 3).subarray(1));
    const [row] = sql.exec<{ value: ArrayBuffer }>("SELECT value FROM t WHERE id = ?", 2).toArray();
    expect(row?.value).toEqual(Uint8Array.of(2, 3).buffer);
  });

  test("refuses a bigint, more than 100 parameters and a value past 2 MB", () => {
    const { sql } = withTable();
    const insert = (value: unknown) => sql.exec("INSERT INTO t (value) VALUES (?)", value);
    expect(() => insert(1n)).toThrow(TypeError);
    expect(() => insert(new Uint8Array(2_000_001))).toThrow("too big");
    expect(() => insert("é".repeat(1_000_001))).toThrow("too big");
    expect(() => sql.exec("SELECT 1", ...new Array(101).fill(1))).toThrow("too many");
    insert(new Uint8Array(2_000_000));
  });

  test.each(["BEGIN", "SAVEPOINT a", "PRAGMA user_version"])("refuses %s", (statement) => {
    expect(() => withTable().sql.exec(statement)).toThrow("not authorized");
  });

  test("rolls a transaction back when it throws, and one within another alone", () => {
    const { storage, sql, dump } = withTable();
    storage.transactionSync(() => {
      sql.exec("INSERT INTO t (id) VALUES (1)");
      const inner = () => {
        sql.exec("INSERT INTO t (id) VALUES (2)");
        throw new Error("inner");
      };
      expect(() => storage.transactionSync(inner)).toThrow("inner");
    });
    expect(dump("t")).toEqual(["[1,null]"]);
  });

  test("keeps what was written outside of a transaction before an error", () => {
    const { sql, dump } = withTable();
    sql.exec("INSERT INTO t (id) VALUES (1)");
    expect(() => sql.exec("INSERT INTO t (id) VALUES (1)")).toThrow("UNIQUE");
    expect(dump("t")).toHaveLength(1);
  });

  test("reads no further than it is asked to, and counts the rows written", () => {
    const { sql, rowsWrittenBy } = withTable();
    const fill = () => sql.exec("INSERT INTO t (id) VALUES (1), (2), (3)");
    expect(rowsWrittenBy(fill)).toBe(3);
    for (const row of sql.exec("SELECT id FROM t ORDER BY id")) {
      expect(row).toEqual({ id: 1 });
      break;
    }
    expect(rowsWrittenBy(() => sql.exec("DELETE FROM t WHERE id > ?", 1))).toBe(2);
    expect(rowsWrittenBy(() => sql.exec("SELECT id FROM t").toArray())).toBe(0);
  });
});
