/**
 * A fresh start: what a watch stream's filter is about, as it is now, for who has missed how it came to be.
 *
 * Nobody sees here what they could not read znode by znode: names are for those who may list them, and what
 * stands below a znode that they may not read is left out.
 *
 * @module
 */

import { type AuthId, joinPath, type Znode } from "../base/index.ts";
import type { StreamFilter, Tree } from "../tree/index.ts";

/** Znodes of one start. Who watches more than this reads the rest page by page. */
export const startZnodesMax = 1_000;

/** Data in them; a first znode may have more, alone. */
export const startBytesMax = 1024 * 1024;

export interface StartZnode {
  readonly path: string;
  readonly znode: Znode;
  /** A listed child that may not itself be read is shown without its value. */
  readonly isReadable: boolean;
}

export interface Start {
  readonly znodes: readonly StartZnode[];
  /** There are more than fit. */
  readonly more: boolean;
}

export function startOf(
  tree: Tree,
  filter: StreamFilter,
  { identities, withValue }: { readonly identities: readonly AuthId[]; readonly withValue: boolean },
): Start {
  const znodes: StartZnode[] = [];
  let bytes = 0;
  for (const found of walk(tree, filter, identities)) {
    bytes += withValue ? (found.znode.data?.byteLength ?? 0) : 0;
    const isFull = znodes.length >= startZnodesMax || (znodes.length > 0 && bytes > startBytesMax);
    if (isFull) return { znodes, more: true };
    znodes.push(found);
  }
  return { znodes, more: false };
}

function* walk(
  tree: Tree,
  { path, scope }: StreamFilter,
  identities: readonly AuthId[],
): Iterable<StartZnode> {
  const ahead = [path];
  for (let at = ahead.pop(); at !== undefined; at = ahead.pop()) {
    const znode = tree.get(at);
    if (znode === undefined) continue;
    const isReadable = tree.canRead(znode.acl, identities);
    const isChild = scope === "children" && at !== path;
    if (isReadable || isChild) yield { path: at, znode, isReadable };
    if (!isReadable || isChild || scope === "znode" || znode.numChildren === 0) continue;
    // One more than is wanted tells that there is more.
    const names = tree.children(at, undefined, startZnodesMax + 1);
    for (const name of names.toReversed()) ahead.push(joinPath(at, name));
  }
}
