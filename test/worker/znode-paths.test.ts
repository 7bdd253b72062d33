/**
 * Proves that a path and its place in a URL tell each other, both ways and through a real URL parser.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodePath, encodePath, pathTail } from "../../src/worker/znode-paths.ts";
import { znodePath } from "../support/znode-arbitraries.ts";

function throughUrl(encoded: string) {
  return decodePath(pathTail(new URL(`http://host/v1/main/znodes${encoded}?x=/y#/z`).pathname, 3));
}

describe("znode paths in URLs", () => {
  test("decodePath() undoes encodePath(), through a URL parser", () => {
    fc.assert(
      fc.property(fc.oneof(znodePath, fc.constant("/")), (one) => {
        expect(throughUrl(encodePath(one))).toEqual({ ok: true, path: one });
      }),
    );
  });

  test("decodePath() does not mind what was encoded without need", () => {
    const encodeAll = (one: string) =>
      one
        .split("/")
        .map((part) => Buffer.from(part).toString("hex").replaceAll(/../g, "%$&"))
        .join("/");
    fc.assert(
      fc.property(fc.oneof(znodePath, fc.constant("/")), (one) => {
        expect(decodePath(encodeAll(one))).toEqual({ ok: true, path: one });
      }),
    );
  });

  test("encodePath() undoes decodePath() for a URL in normal form", () => {
    fc.assert(
      fc.property(znodePath.map(encodePath), (encoded) => {
        const decoded = decodePath(encoded);
        expect(decoded.ok && encodePath(decoded.path)).toBe(encoded);
      }),
    );
  });

  test("decodePath() either refuses or answers what has as many components, whatever it is given", () => {
    const piece = fc.constantFrom("/", "%", "%2", "%2F", "%2f", "%41", "%C3%A9", "%FF", "a", ".", "+", "%25");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const tail = `/${pieces.join("")}`;
        const decoded = decodePath(tail);
        if (decoded.ok) expect(decoded.path.split("/").length).toBe(tail.split("/").length);
        else expect(decoded.fault).toMatch(/^it/);
      }),
    );
  });

  test.each([
    ["", "/"],
    ["/", "/"],
    ["/a+b", "/a+b"],
    ["/a%20b", "/a b"],
    ["/%2541", "/%41"],
    ["//a", "//a"],
  ])("decodePath(%j) is %j", (tail, expected) => {
    expect(decodePath(tail)).toEqual({ ok: true, path: expected });
  });

  test.each([
    ["/v1/main/znodes", ""],
    ["/v1/main/znodes/", "/"],
    ["/v1/main/znodes/a/b", "/a/b"],
    ["/v1/main/znodes//a", "//a"],
  ])("pathTail(%j, 3) is %j", (pathname, expected) => {
    expect(pathTail(pathname, 3)).toBe(expected);
  });
});
