/**
 * Where a semaphore's znodes are: the same for the SDK's recipe and for seats over HTTP, so that both count.
 *
 * Below the semaphore's path, `lock` is a lock whose holder alone waits for room, `leases` has one ephemeral for
 * each seat that is taken, and `seats` says how many there may be. Whatever is a child of `leases` counts.
 *
 * @module
 */

import { joinPath } from "./paths.ts";

/** The lock whose holder has the turn. */
export function turnOf(path: string): string {
  return joinPath(path, "lock");
}

/** The parent of the seats that are taken. */
export function leasesOf(path: string): string {
  return joinPath(path, "leases");
}

/** How many seats everybody counts on, as JSON: a number. */
export function seatsOf(path: string): string {
  return joinPath(path, "seats");
}

/**
 * A seat that HTTP knows by its id, by a name of its own: nobody takes two under one id.
 *
 * @param isLent - It is taken in a session of the caller's, who may have more in it.
 */
export function ownLeaseName(id: string, isLent: boolean): string {
  return `${isLent ? "eks" : "ek"}-${id}`;
}
