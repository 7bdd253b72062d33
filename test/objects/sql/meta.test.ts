/**
 * Proves that storage is brought to this version's schema once, and that a newer version's is left alone.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { AssertionFailure } from "../../../src/base/index.ts";
import { type MetaKey, migrate, readMeta, schemaVersion, writeMeta } from "../../../src/objects/sql/meta.ts";
import { openStorage } from "../support/sqlite.ts";

describe("migrate()", () => {
  test("makes the schema, and says its version", () => {
    const { storage, dump } = openStorage();
    migrate(storage);
    expect(readMeta(storage.sql, "schema")).toBe(String(schemaVersion));
    const names = storage.sql
      .exec<{ name: string }>("SELECT name FROM sqlite_schema ORDER BY name")
      .toArray();
    expect(names.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "aside",
        "aside_session",
        "draft",
        "log",
        "meta",
        "schedule",
        "session",
        "znode",
        "znode_owner",
      ]),
    );
    for (const table of ["log", "znode", "session", "aside", "aside_session", "draft", "schedule"])
      expect(dump(table)).toEqual([]);
  });

  test("a second time changes nothing and writes no row", () => {
    const { storage, dump, rowsWrittenBy } = openStorage();
    migrate(storage);
    const before = dump("sqlite_schema");
    expect(rowsWrittenBy(() => migrate(storage))).toBe(0);
    expect(dump("sqlite_schema")).toEqual(before);
  });

  test.each([String(schemaVersion + 1), "-1", "0.5", "x"])(
    "refuses schema %s and changes nothing",
    (found) => {
      const { storage, dump } = openStorage();
      migrate(storage);
      writeMeta(storage.sql, "schema", found);
      const before = [dump("sqlite_schema"), dump("meta")];
      expect(() => migrate(storage)).toThrow(AssertionFailure);
      expect([dump("sqlite_schema"), dump("meta")]).toEqual(before);
    },
  );

  test("that fails half-way leaves nothing behind, and works the next time", () => {
    const opened = openStorage();
    opened.failOn("CREATE TABLE staging");
    expect(() => migrate(opened.storage)).toThrow("disk");
    expect(opened.dump("sqlite_schema")).toEqual([]);
    opened.failOn(undefined);
    migrate(opened.storage);
    expect(readMeta(opened.storage.sql, "schema")).toBe(String(schemaVersion));
  });
});

describe("a fact of `meta`", () => {
  const keys: readonly MetaKey[] = [
    "bootstrap",
    "promises",
    "base",
    "applied",
    "generation",
    "incarnation",
    "fence",
  ];

  test.each(keys)("%s is missing, then what was written last, in one row", (key) => {
    const { storage, rowsWrittenBy } = openStorage();
    migrate(storage);
    expect(readMeta(storage.sql, key)).toBeUndefined();
    expect(rowsWrittenBy(() => writeMeta(storage.sql, key, "1"))).toBe(1);
    expect(rowsWrittenBy(() => writeMeta(storage.sql, key, "0x7fffffffffffffff"))).toBe(1);
    expect(readMeta(storage.sql, key)).toBe("0x7fffffffffffffff");
  });
});
