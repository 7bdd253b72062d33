/**
 * Proves that a member's name has one spelling, and that nothing else is one.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeServerId, serverIdMax } from "../../src/base/index.ts";
import { formatMemberName, parseMemberName } from "../../src/objects/member-name.ts";

describe("parseMemberName()", () => {
  test("reads back what formatMemberName() wrote", () => {
    const name = fc.record({
      ensemble: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/),
      id: fc.integer({ min: 1, max: serverIdMax }).map(makeServerId),
    });
    fc.assert(
      fc.property(name, (given) => {
        expect(parseMemberName(formatMemberName(given))).toEqual(given);
      }),
    );
  });

  test.each([
    ["main/1", "main", 1],
    ["main/254", "main", 254],
    ["0/9", "0", 9],
    [`${"a".repeat(63)}/1`, "a".repeat(63), 1],
  ])("reads %s", (text, ensemble, id) => {
    expect(parseMemberName(text)).toEqual({ ensemble, id });
  });

  test.each([
    "",
    "main",
    "main/",
    "/1",
    "main/0",
    "main/01",
    "main/255",
    "main/1000",
    "main/1.0",
    "main/+1",
    "main/1e1",
    "main/1/2",
    "Main/1",
    "-main/1",
    "ma in/1",
    "mäin/1",
    " main/1",
    "main/1 ",
    "main/1\n",
    `${"a".repeat(64)}/1`,
  ])('refuses "%s"', (text) => {
    expect(parseMemberName(text)).toBeUndefined();
  });
});
