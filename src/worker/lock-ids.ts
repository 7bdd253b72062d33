/**
 * Ids of places in a queue: whoever shows the id of a lock, a seat or a candidacy may keep it and give it up.
 *
 * So the id is told to nobody but its owner. Members, the tree, and whoever may list its znodes know a place by
 * a digest of the id, which leads back to no id, and which is none itself: it would be digested again.
 *
 * @module
 */

import { hexOf } from "./bootstrap.ts";

/** Hex digits of an id, and of its digest: 128 bits. */
const idDigits = 32;

export function isLockId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** Made here rather than at the member, so that a repeated call is known to be the same. */
export function makeLockId(): string {
  return hexOf(crypto.getRandomValues(new Uint8Array(idDigits / 2)));
}

/** What members are told instead of the id. */
export async function placeOf(id: string): Promise<string> {
  const bytes = new TextEncoder().encode(`edgekeeper lock id ${id}`);
  return hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))).slice(0, idDigits);
}
