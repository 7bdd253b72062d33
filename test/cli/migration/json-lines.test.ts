/**
 * Proves that an export's lines read back as they were, and that nothing else reads as one.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatLine, linesOf, parseLine } from "../../../src/cli/migration/json-lines.ts";
import type { ZnodeRecord } from "../../../src/cli/migration/znode-record.ts";
import { znodePath, znodeValue } from "../../support/znode-arbitraries.ts";

const record = fc.record({
  path: znodePath,
  data: znodeValue,
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

async function* cutAt(text: string, places: readonly number[]): AsyncGenerator<string> {
  let from = 0;
  for (const place of places.map((each) => each % (text.length + 1)).sort((a, b) => a - b)) {
    yield text.slice(from, place);
    from = place;
  }
  yield text.slice(from);
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const collected: string[] = [];
  for await (const line of lines) collected.push(line);
  return collected;
}

describe("linesOf()", () => {
  test("gives back what was joined, wherever it is cut", async () => {
    const line = fc.oneof(
      record.map((each) => formatLine(each)),
      fc.constantFrom("", "\u2028", "\u2029", "\u0085", "\r"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat()), async (lines, places) => {
        const text = lines.map((each) => `${each}\n`).join("");
        expect(await collect(linesOf(cutAt(text, places)))).toEqual(lines);
      }),
    );
  });

  test("a last line needs no end", async () => {
    expect(await collect(linesOf(cutAt("a\nb", [1])))).toEqual(["a", "b"]);
  });
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
