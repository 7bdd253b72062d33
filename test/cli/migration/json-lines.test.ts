/**
 * Proves that an export's lines read back as they were, and that nothing else reads as one.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatLine, parseLine } from "../../../src/cli/migration/json-lines.ts";
import type { ZnodeRecord } from "../../../src/cli/migration/znode-record.ts";

const record = fc.record({
  path: fc.stringMatching(/^\/[a-zA-Z0-9 _%äöü-]{1,20}$/),
  data: fc.option(fc.uint8Array({ maxLength: 64 })),
  acl: fc.array(
    fc.record({ perms: fc.integer({ min: 0, max: 31 }), scheme: fc.constant("digest"), id: fc.string() }),
    { minLength: 1, maxLength: 3 },
  ),
  lifetime: fc.oneof(
    fc.constant({ kind: "persistent" } as const),
    fc.constant({ kind: "container" } as const),
    fc.record({ kind: fc.constant("ttl" as const), ttlMs: fc.integer({ min: 1 }) }),
  ),
});

describe("parseLine()", () => {
  test("reads what formatLine() wrote", () => {
    fc.assert(
      fc.property(record, (value) => {
        const data = value.data === null ? null : new Uint8Array(value.data);
        const original: ZnodeRecord = { ...value, data };
        expect(parseLine(formatLine(original), 1)).toEqual(original);
      }),
    );
  });

  const good = {
    path: "/a",
    data: "x",
    encoding: "utf8",
    acl: [{ perms: "r", scheme: "world", id: "anyone" }],
    kind: "persistent",
  };
  test.each([
    ["no JSON", "{", "not JSON"],
    ["no object", "3", "no object"],
    ["no path", JSON.stringify({ ...good, path: undefined }), '"path"'],
    ["a path no znode can have", JSON.stringify({ ...good, path: "/a//b" }), "empty component"],
    ["an unknown encoding", JSON.stringify({ ...good, encoding: "hex" }), '"encoding"'],
    ["base64 that is none", JSON.stringify({ ...good, encoding: "base64", data: "???" }), '"encoding"'],
    ["an empty ACL", JSON.stringify({ ...good, acl: [] }), '"acl"'],
    ["an unknown permission", JSON.stringify({ ...good, acl: [{ ...good.acl[0], perms: "rx" }] }), '"acl"'],
    ["a TTL without its length", JSON.stringify({ ...good, kind: "ttl" }), '"ttl_ms"'],
  ])("refuses %s, and names the line and the field", (_name, text, what) => {
    expect(() => parseLine(text, 7)).toThrow("line 7");
    expect(() => parseLine(text, 7)).toThrow(what);
  });
});
