/**
 * Reads of HTTP, from what has applied; and a page of child names, which ZooKeeper has no op code for.
 *
 * @module
 */

import { type AuthId, formatZxid, NO_SESSION, type ReadRequest, ZkErrorCode } from "../base/index.ts";
import type { Tree } from "../tree/index.ts";
import type { Answer, ChildrenPageRequest } from "./api.ts";

type Answered = Extract<Answer, { kind: "answered" }>;

export function answerRead(
  tree: Tree,
  request: ReadRequest | ChildrenPageRequest,
  identities: readonly AuthId[],
): Answered {
  const zxid = formatZxid(tree.applied);
  if (request.type === "childrenPage") return { ...childrenPage(tree, request, identities), zxid };
  const requester = { sessionId: NO_SESSION, identities };
  const { err, body } = tree.answer(request, { requester, watcher: undefined });
  return { kind: "answered", outcome: { err, body }, zxid };
}

function childrenPage(
  tree: Tree,
  { path, after, limit }: ChildrenPageRequest,
  identities: readonly AuthId[],
): Omit<Answered, "zxid"> {
  const znode = tree.get(path);
  if (znode === undefined) return { kind: "answered", outcome: { err: ZkErrorCode.NoNode } };
  if (!tree.canRead(znode.acl, identities)) return { kind: "answered", outcome: { err: ZkErrorCode.NoAuth } };
  // One more than asked for tells whether there is more.
  const names = tree.children(path, after, limit + 1);
  const children = names.slice(0, limit);
  const outcome = { err: ZkErrorCode.Ok, body: { kind: "children", children } } as const;
  return { kind: "answered", outcome, more: names.length > limit };
}
