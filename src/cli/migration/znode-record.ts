/**
 * A znode on its way from one ensemble to another, whatever it is read from and written to.
 *
 * @module
 */

import type { Acl } from "../../base/index.ts";

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
  readonly numChildren: number;
}

/**
 * Whether a path is the ensemble's own: its configuration, and the books of its quotas. Limits that
 * somebody has set are worth moving; the figures beside them are kept by whoever owns the tree.
 */
export function isOwnPath(path: string): boolean {
  if (path !== "/zookeeper" && !path.startsWith("/zookeeper/")) return false;
  return !path.startsWith("/zookeeper/quota/") || path.endsWith("/zookeeper_stats");
}
