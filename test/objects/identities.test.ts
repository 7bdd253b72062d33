/**
 * Proves what a digest makes of credentials, who is super, and how many identities a connection may have.
 *
 * `bob:pw` is of the wire reference, section 28; the other digests came from `openssl dgst -sha1`.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import type { AuthId } from "../../src/base/index.ts";
import {
  digestIdentities,
  fitIdentities,
  identitiesMax,
  identityUnitsMax,
} from "../../src/objects/identities.ts";
import { bytesOf } from "../jute/hostile.ts";

const superDigest = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

function auth(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

describe("digestIdentities()", () => {
  test.each([
    ["user and password", auth("bob:pw"), "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="],
    ["a password with a colon", auth("a:b:c"), "a:cLzgnoJ6mP5qz3w+mwvPE2vDgu0="],
    ["no colon at all", auth("nocolon"), "nocolon:Ra+cHr2ZoHvBjtNArFGNGlVie4g="],
    ["no user", auth(":pw"), ":krPDEYdCl854cFNT6IXnoMv+VVA="],
    ["nothing", auth(""), ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="],
    [
      "a leading byte order mark, which Java keeps",
      auth("\ufeffa:b"),
      "\ufeffa:g9nR3qjBSsMYMFwjb7nbwAndnMk=",
    ],
    [
      "bytes that are no UTF-8, as Java replaces them",
      bytesOf("ff 3a 62"),
      "\ufffd:l69RhR5a9IxG6gMtC2ex+9FDwLU=",
    ],
  ])("of %s", (_, given, id) => {
    expect(digestIdentities(given, undefined)).toEqual([{ scheme: "digest", id }]);
    expect(digestIdentities(given, superDigest)).toEqual([{ scheme: "digest", id }]);
  });

  test("makes whoever has the configured digest super, besides", () => {
    expect(digestIdentities(auth("super:secret"), superDigest)).toEqual([
      { scheme: "digest", id: superDigest },
      { scheme: "super", id: "" },
    ]);
  });

  test.each([
    ["another password", "super:secreT", superDigest],
    ["the digest itself sent as a password", superDigest, superDigest],
    ["nothing configured", "super:secret", undefined],
    ["a digest that only begins the same", "super:secret", superDigest.slice(0, -1)],
    ["an empty configured digest", "", ""],
  ])("makes nobody super by %s", (_, given, configured) => {
    expect(digestIdentities(auth(given), configured)).toHaveLength(1);
  });
});

describe("fitIdentities()", () => {
  function identities(count: number, unitsEach: number): AuthId[] {
    return Array.from({ length: count }, () => ({ scheme: "s", id: "x".repeat(unitsEach - 1) }));
  }

  test("takes none", () => {
    expect(fitIdentities([])).toBe(true);
  });

  test("takes identitiesMax of them, and not one more", () => {
    expect(fitIdentities(identities(identitiesMax, 1))).toBe(true);
    expect(fitIdentities(identities(identitiesMax + 1, 1))).toBe(false);
  });

  test("takes identityUnitsMax units of text, schemes counted, and not one more", () => {
    expect(fitIdentities(identities(1, identityUnitsMax))).toBe(true);
    expect(fitIdentities(identities(1, identityUnitsMax + 1))).toBe(false);
    expect(fitIdentities(identities(2, identityUnitsMax / 2))).toBe(true);
    expect(fitIdentities([...identities(1, identityUnitsMax), ...identities(1, 1)])).toBe(false);
  });
});
