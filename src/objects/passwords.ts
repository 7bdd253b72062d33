/**
 * Session passwords: a MAC of the session id under the ensemble's secret, so that every member can check
 * one without storing any. ZooKeeper's own are a public function of the id, which anyone can compute.
 *
 * @module
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { formatSessionId, type SessionId } from "../base/index.ts";
import { passwordBytes } from "../jute/index.ts";

export function sessionPassword(secret: string, id: SessionId): Uint8Array {
  const digest = createHmac("sha256", secret).update(formatSessionId(id)).digest();
  return new Uint8Array(digest.subarray(0, passwordBytes));
}

/** In constant time. */
export function isSessionPassword(secret: string, id: SessionId, candidate: Uint8Array | null): boolean {
  if (candidate === null || candidate.length !== passwordBytes) return false;
  return timingSafeEqual(sessionPassword(secret, id), candidate);
}
