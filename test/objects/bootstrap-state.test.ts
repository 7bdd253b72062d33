/**
 * Proves that what a member learns of its ensemble is what it reads back, and that damage stops it: a
 * member that cannot read its configuration must not pass for a blank one.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionFailure, makeServerId, serverIdMax } from "../../src/base/index.ts";
import { readBootstrap, writeBootstrap } from "../../src/objects/bootstrap-state.ts";
import { migrate, writeMeta } from "../../src/objects/sql/meta.ts";
import { openStorage } from "./support/sqlite.ts";

function blank() {
  const opened = openStorage();
  migrate(opened.storage);
  return { ...opened, sql: opened.storage.sql };
}

const config = { voters: [makeServerId(1), makeServerId(2)], observers: [makeServerId(9)], secret: "ab12" };

describe("a member's bootstrap", () => {
  test("is blank at first", () => {
    expect(readBootstrap(blank().sql)).toEqual({ state: "blank" });
  });

  test("is read as it was written, in one row", () => {
    const ids = fc.array(fc.integer({ min: 1, max: serverIdMax }).map(makeServerId), { maxLength: 9 });
    const given = fc.record({
      state: fc.constantFrom("prepared" as const, "active" as const),
      config: fc.record({ voters: ids, observers: ids, secret: fc.string() }),
    });
    const { sql, rowsWrittenBy } = blank();
    fc.assert(
      fc.property(given, (bootstrap) => {
        expect(rowsWrittenBy(() => writeBootstrap(sql, bootstrap))).toBe(1);
        expect(readBootstrap(sql)).toEqual(bootstrap);
      }),
    );
  });

  test("goes from prepared to active", () => {
    const { sql } = blank();
    writeBootstrap(sql, { state: "prepared", config });
    writeBootstrap(sql, { state: "active", config });
    expect(readBootstrap(sql)).toEqual({ state: "active", config });
  });

  test.each([
    ["null", null],
    ["a number", 1],
    ["a state nobody knows", { state: "halted", config }],
    ["blank", { state: "blank" }],
    ["no configuration", { state: "active" }],
    ["voters that are no list", { state: "active", config: { ...config, voters: 3 } }],
    ["observers that are missing", { state: "active", config: { ...config, observers: undefined } }],
    ["server 0", { state: "active", config: { ...config, voters: [0] } }],
    ["server 255", { state: "active", config: { ...config, observers: [255] } }],
    ["a secret that is no text", { state: "active", config: { ...config, secret: 5 } }],
  ])("that says %s stops the member", (_, stored) => {
    const { sql } = blank();
    writeMeta(sql, "bootstrap", JSON.stringify(stored));
    expect(() => readBootstrap(sql)).toThrow(AssertionFailure);
  });

  test("that is no JSON stops the member", () => {
    const { sql } = blank();
    writeMeta(sql, "bootstrap", '{"state":"act');
    expect(() => readBootstrap(sql)).toThrow(SyntaxError);
  });
});
