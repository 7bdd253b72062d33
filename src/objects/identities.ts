/**
 * Identities: what a connection may call itself.
 *
 * Source: ZooKeeper `DigestAuthenticationProvider`.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { AuthId } from "../base/index.ts";

const decoder = new TextDecoder();

/**
 * `user:password` becomes `user:base64(SHA-1("user:password"))`: it always succeeds, there is no user
 * database. Someone whose digest is the configured one is `super` as well.
 *
 * @param superDigest - `super:<base64>`, or `undefined`.
 */
export function digestIdentities(auth: Uint8Array, superDigest: string | undefined): readonly AuthId[] {
  const text = decoder.decode(auth);
  const [user = ""] = text.split(":", 1);
  const id = `${user}:${createHash("sha1").update(auth).digest("base64")}`;
  const digest: AuthId = { scheme: "digest", id };
  return superDigest !== undefined && isSame(id, superDigest)
    ? [digest, { scheme: "super", id: "" }]
    : [digest];
}

function isSame(a: string, b: string): boolean {
  const encoder = new TextEncoder();
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
