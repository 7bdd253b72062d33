/**
 * Reads of HTTP, from what has applied; and pages of children and lists of subtrees, which ZooKeeper has no
 * op codes for.
 *
 * @module
 */

import {
  type AuthId,
  assert,
  formatZxid,
  joinPath,
  NO_SESSION,
  type ReadRequest,
  ZkErrorCode,
} from "../base/index.ts";
import { statOf, type Tree } from "../tree/index.ts";
import type { Answer, Child, ChildPart, ChildrenPageRequest, SubtreeRequest } from "./api.ts";

/** Values on one page of children: what a single znode can have. A page of one may have as much alone. */
export const pageValueBytesMax = 1024 * 1024;

type Znode = NonNullable<ReturnType<Tree["get"]>>;
type Answered = Extract<Answer, { kind: "answered" }>;

export function answerRead(
  tree: Tree,
  request: ReadRequest | ChildrenPageRequest | SubtreeRequest,
  identities: readonly AuthId[],
): Answered {
  const zxid = formatZxid(tree.applied);
  if (request.type === "childrenPage") return { ...childrenPage(tree, request, identities), zxid };
  if (request.type === "subtree") return { ...subtree(tree, request, identities), zxid };
  const requester = { sessionId: NO_SESSION, identities };
  const { err, body } = tree.answer(request, { requester, watcher: undefined });
  return { kind: "answered", outcome: { err, body }, zxid };
}

function childrenPage(
  tree: Tree,
  request: ChildrenPageRequest,
  identities: readonly AuthId[],
): Omit<Answered, "zxid"> {
  const { path, after, limit } = request;
  const znode = tree.get(path);
  if (znode === undefined) return { kind: "answered", outcome: { err: ZkErrorCode.NoNode } };
  if (!tree.canRead(znode.acl, identities)) return { kind: "answered", outcome: { err: ZkErrorCode.NoAuth } };
  // One more than asked for tells whether there is more.
  const names = tree.children(path, after, limit + 1);
  const asked = names.slice(0, limit);
  if (request.with === undefined) {
    const outcome = { err: ZkErrorCode.Ok, body: { kind: "children", children: asked } } as const;
    return { kind: "answered", outcome, more: names.length > limit };
  }
  const children = describeChildren(tree, asked, request, identities);
  return {
    ...{ kind: "answered", outcome: { err: ZkErrorCode.Ok }, children },
    more: names.length > children.length,
  };
}

/** As many of the children as fit a page; the first always does. */
function describeChildren(
  tree: Tree,
  names: readonly string[],
  { path, with: parts = [] }: ChildrenPageRequest,
  identities: readonly AuthId[],
): readonly Child[] {
  const children: Child[] = [];
  let bytes = 0;
  for (const name of names) {
    const znode = tree.get(joinPath(path, name));
    assert(znode !== undefined, "a child that is listed exists");
    const child = describeChild(tree, name, znode, { parts, identities });
    bytes += child.data?.byteLength ?? 0;
    if (children.length > 0 && bytes > pageValueBytesMax) break;
    children.push(child);
  }
  return children;
}

/** As in ZooKeeper, a stat is anybody's, and a value is for those whom the child's ACL lets read. */
function describeChild(
  tree: Tree,
  name: string,
  znode: Znode,
  { parts, identities }: { parts: readonly ChildPart[]; identities: readonly AuthId[] },
): Child {
  const stat = parts.includes("stat") ? { stat: statOf(znode) } : {};
  if (!parts.includes("value")) return { name, ...stat };
  const isReadable = tree.canRead(znode.acl, identities);
  return { name, ...stat, ...(isReadable ? { data: znode.data } : { denied: true }) };
}

const tooMany: Omit<Answered, "zxid"> = {
  kind: "answered",
  outcome: { err: ZkErrorCode.Ok, body: { kind: "children", children: [] } },
  more: true,
};

/** Looks no further once there are more znodes than asked for. Who may not list one of them gets nothing. */
function subtree(
  tree: Tree,
  { path, limit }: SubtreeRequest,
  identities: readonly AuthId[],
): Omit<Answered, "zxid"> {
  const paths: string[] = [];
  const ahead = [path];
  for (let at = ahead.pop(); at !== undefined; at = ahead.pop()) {
    const znode = tree.get(at);
    if (znode === undefined) return { kind: "answered", outcome: { err: ZkErrorCode.NoNode } };
    paths.push(at);
    if (znode.numChildren === 0) continue;
    if (!tree.canRead(znode.acl, identities))
      return { kind: "answered", outcome: { err: ZkErrorCode.NoAuth } };
    for (const name of tree.children(at, undefined, limit + 1)) ahead.push(joinPath(at, name));
    if (paths.length + ahead.length > limit) return tooMany;
  }
  // Every znode was pushed before what is below it.
  const body = { kind: "children", children: paths.reverse() } as const;
  return { kind: "answered", outcome: { err: ZkErrorCode.Ok, body }, more: false };
}
