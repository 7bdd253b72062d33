/**
 * Identities: what a connection may call itself.
 *
 * Source: ZooKeeper `DigestAuthenticationProvider`.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { AuthId } from "../base/index.ts";

// Java decodes and encodes again, and keeps a leading U+FEFF.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: false });
const encoder = new TextEncoder();

/** Identities of one connection. They go into attachments, and into ACLs by the scheme `auth`. */
export const identitiesMax = 32;

/** UTF-16 units of all their ids together; what remains of an attachment is for watches. */
export const identityUnitsMax = 2000;

/** Whether a connection may have so many. */
export function fitIdentities(identities: readonly AuthId[]): boolean {
  const units = identities.reduce((sum, { scheme, id }) => sum + scheme.length + id.length, 0);
  return identities.length <= identitiesMax && units <= identityUnitsMax;
}

/**
 * `user:password` becomes `user:base64(SHA-1("user:password"))`: it always succeeds, there is no user
 * database. Someone whose digest is the configured one is `super` as well.
 *
 * @param superDigest - `super:<base64>`, or `undefined`.
 */
export function digestIdentities(auth: Uint8Array, superDigest: string | undefined): readonly AuthId[] {
  const text = decoder.decode(auth);
  const [user = ""] = text.split(":", 1);
  const id = `${user}:${createHash("sha1").update(encoder.encode(text)).digest("base64")}`;
  const digest: AuthId = { scheme: "digest", id };
  return superDigest !== undefined && isSame(id, superDigest)
    ? [digest, { scheme: "super", id: "" }]
    : [digest];
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
