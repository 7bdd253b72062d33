/**
 * A page of child names: the one read that ZooKeeper has no op code for.
 *
 * @module
 */

import { type AuthId, ZkErrorCode } from "../base/index.ts";
import type { Tree } from "../tree/index.ts";
import type { Answer, ChildrenPageRequest } from "./api.ts";

export function childrenPage(
  tree: Tree,
  { path, after, limit }: ChildrenPageRequest,
  identities: readonly AuthId[],
): Omit<Extract<Answer, { kind: "answered" }>, "zxid"> {
  const znode = tree.get(path);
  if (znode === undefined) return { kind: "answered", outcome: { err: ZkErrorCode.NoNode } };
  if (!tree.canRead(znode.acl, identities)) return { kind: "answered", outcome: { err: ZkErrorCode.NoAuth } };
  // One more than asked for tells whether there is more.
  const names = tree.children(path, after, limit + 1);
  const children = names.slice(0, limit);
  const outcome = { err: ZkErrorCode.Ok, body: { kind: "children", children } } as const;
  return { kind: "answered", outcome, more: names.length > limit };
}
