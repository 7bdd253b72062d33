/**
 * Payload lists: what goes in comes out, and a damaged blob is never read as a shorter list.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packPayloads, unpackPayloads } from "../../src/jute/payloads.ts";
import * as arb from "./arbitraries.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "./hostile.ts";

describe("packPayloads()", () => {
  test("golden blob", () => {
    const payloads = [bytesOf("aabb"), new Uint8Array(0), new Uint8Array(128)];
    expect(hexOf(packPayloads(payloads))).toBe(
      `01 03 02 aabb 00 8001 ${"00".repeat(128)}`.replaceAll(" ", ""),
    );
    expect(hexOf(packPayloads([]))).toBe("0100");
  });
});

describe("unpackPayloads()", () => {
  test("reads back any list", () => {
    fc.assert(
      fc.property(fc.array(arb.bytes, { maxLength: 200 }), (payloads) => {
        expect(unpackPayloads(packPayloads(payloads))).toEqual(payloads);
      }),
    );
  });

  test("refuses cut, longer and other-version blobs, and never throws", () => {
    const blob = packPayloads([bytesOf("aabb"), new Uint8Array(0), bytesOf("cc")]);
    for (const cut of truncationsOf(blob)) expect(unpackPayloads(cut)).toBe(undefined);
    expect(unpackPayloads(Uint8Array.of(...blob, 0))).toBe(undefined);
    expect(unpackPayloads(Uint8Array.of(2, ...blob.subarray(1)))).toBe(undefined);
    feedDamaged(blob, unpackPayloads);
  });

  test("refuses a count that the bytes cannot hold", () => {
    expect(unpackPayloads(bytesOf("01 ffffffff0f"))).toBe(undefined);
  });
});
