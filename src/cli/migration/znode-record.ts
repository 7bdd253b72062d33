/**
 * A znode on its way from one ensemble to another, whatever it is read from and written to.
 *
 * @module
 */

import { type Acl, OPEN_ACL, Perms } from "../../base/index.ts";

/** What can be created anew. Ephemeral znodes cannot: their sessions do not move. */
export interface ZnodeRecord {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[];
  readonly lifetime: RecordLifetime;
  /** For people who read an export; not created anew. */
  readonly stat?: RecordStat | undefined;
}

export type RecordLifetime =
  | { readonly kind: "persistent" }
  | { readonly kind: "container" }
  | { readonly kind: "ttl"; readonly ttlMs: number };

export interface RecordStat {
  readonly czxid: bigint;
  readonly mzxid: bigint;
  readonly pzxid: bigint;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
}

/**
 * Whether a path is the ensemble's own: its configuration, and the books of its quotas. Limits that
 * somebody has set are worth moving; the figures beside them are kept by whoever owns the tree.
 */
export function isOwnPath(path: string): boolean {
  if (path !== "/zookeeper" && !path.startsWith("/zookeeper/")) return false;
  return !path.startsWith("/zookeeper/quota/") || path.endsWith("/zookeeper_stats");
}

const letters = [
  ["c", Perms.Create],
  ["d", Perms.Delete],
  ["r", Perms.Read],
  ["w", Perms.Write],
  ["a", Perms.Admin],
] as const;

/** `cdrwa`, as zkCli prints it. */
export function formatPerms(perms: number): string {
  return letters.map(([letter, bit]) => ((perms & bit) === 0 ? "" : letter)).join("");
}

/** `undefined` for a letter that is none. */
export function parsePerms(text: string): number | undefined {
  let perms = 0;
  for (const letter of text) {
    const bit = letters.find(([each]) => each === letter)?.[1];
    if (bit === undefined) return undefined;
    perms |= bit;
  }
  return perms;
}

export function isOpenAcl(acl: readonly Acl[]): boolean {
  const [only] = acl;
  const [open] = OPEN_ACL;
  return (
    acl.length === 1 && only?.scheme === open?.scheme && only?.id === open?.id && only?.perms === open?.perms
  );
}
