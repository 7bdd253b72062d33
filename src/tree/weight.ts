/**
 * How much memory a cached znode takes: an estimate to bound caches with, not an account.
 *
 * @module
 */

import { OPEN_ACL, type Znode } from "../base/index.ts";

/** A map slot, the path's header, the record and its boxed numbers, as measured in V8, generously. */
const entryBytes = 320;
const aclEntryBytes = 96;

/** Bytes held by `znode` under `path`; `null` is a remembered absence. */
export function weigh(path: string, znode: Znode | null | undefined): number {
  const bytes = entryBytes + 2 * path.length;
  if (znode === null || znode === undefined) return bytes;
  const aclBytes = znode.acl === OPEN_ACL ? 0 : znode.acl.length * aclEntryBytes;
  return bytes + (znode.data?.byteLength ?? 0) + aclBytes;
}
