/**
 * Proves that a session's password is a function of the secret and the id alone, and that no other passes.
 *
 * The golden value came from `openssl dgst -sha256 -mac HMAC`: a deploy must not change what clients hold.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeSessionId } from "../../src/base/index.ts";
import { isSessionPassword, sessionPassword } from "../../src/objects/passwords.ts";
import { hexOf } from "../jute/hostile.ts";

const secret = "00112233";
const id = makeSessionId(0x100000100000001n);

describe("sessionPassword()", () => {
  test("is the first 16 bytes of the MAC of the printed id", () => {
    expect(hexOf(sessionPassword(secret, id))).toBe("757b81d584621ad5b01db7595204eff8");
  });

  test("differs by session and by secret", () => {
    const passwords = [
      sessionPassword(secret, id),
      sessionPassword(secret, makeSessionId(id + 1n)),
      sessionPassword(`${secret}0`, id),
    ];
    expect(new Set(passwords.map(hexOf)).size).toBe(3);
  });
});

describe("isSessionPassword()", () => {
  test("passes the password, also of an id with the top bit set", () => {
    const high = makeSessionId(-1n);
    expect(isSessionPassword(secret, id, sessionPassword(secret, id))).toBe(true);
    expect(isSessionPassword(secret, high, sessionPassword(secret, high))).toBe(true);
  });

  test("refuses it with any bit flipped", () => {
    for (let bit = 0; bit < 128; bit++) {
      const flipped = sessionPassword(secret, id);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(isSessionPassword(secret, id, flipped)).toBe(false);
    }
  });

  test.each([
    ["none", null],
    ["an empty one", new Uint8Array(0)],
    ["16 zero bytes", new Uint8Array(16)],
    ["one cut short", sessionPassword(secret, id).slice(0, 15)],
    ["one with a byte more", Uint8Array.of(...sessionPassword(secret, id), 0)],
    ["another session's", sessionPassword(secret, makeSessionId(2n))],
    ["another ensemble's", sessionPassword("other", id)],
  ])("refuses %s", (_, candidate) => {
    expect(isSessionPassword(secret, id, candidate)).toBe(false);
  });
});
