/**
 * Apply: what a committed txn does to the tree, and which watches it may set off.
 *
 * Nothing is decided here. Every value comes from the txn, and every txn finds the state it was prepared
 * for: a missing znode is our bug and stops the member.
 *
 * Source: ZooKeeper `DataTree.processTxn`, `createNode`, `deleteNode`, `setData`, `setACL`, `killSession`.
 *
 * @module
 */

import {
  assert,
  EventType,
  parentOf,
  type TreeOp,
  unreachable,
  type Znode,
  type Zxid,
} from "../base/index.ts";
import { internAcl } from "./acl.ts";
import type { Trigger } from "./watches.ts";
import type { ZnodeCache } from "./znode-cache.ts";

/** What one change came to: enough to tell the writer. */
export interface OpResult {
  readonly path: string;
  /** The znode right after this change, before later ones of the same multi; `undefined` for deletes and checks. */
  readonly znode: Znode | undefined;
}

/** Where and when a txn applies. */
export interface Application {
  readonly znodes: ZnodeCache;
  readonly zxid: Zxid;
  readonly timeMs: number;
  /** In the order they happen; grows. */
  readonly triggers: Trigger[];
}

export function applyOp(application: Application, op: TreeOp): OpResult {
  switch (op.kind) {
    case "create":
      return applyCreate(application, op);
    case "delete":
      return applyDelete(application, op.path);
    case "setData":
      return applySetData(application, op);
    case "setAcl":
      return applySetAcl(application, op);
    case "check":
      return { path: op.path, znode: undefined };
    default:
      return unreachable(op);
  }
}

function applyCreate(
  { znodes, zxid, timeMs, triggers }: Application,
  op: Extract<TreeOp, { kind: "create" }>,
): OpResult {
  const { path } = op;
  const parentPath = parentOf(path);
  const parent = expect(znodes, parentPath);
  assert(!znodes.isKnownPresent(path), "a create finds its path free");
  assert(parent.lifetime.kind !== "ephemeral", "an ephemeral has no children");
  const znode: Znode = {
    data: ownBytes(op.data),
    acl: internAcl(op.acl),
    lifetime: op.lifetime,
    czxid: zxid,
    mzxid: zxid,
    pzxid: zxid,
    ctime: timeMs,
    mtime: timeMs,
    version: 0,
    aversion: 0,
    creates: 0,
    numChildren: 0,
  };
  znodes.create(path, znode);
  const numChildren = parent.numChildren + 1;
  znodes.replace(parentPath, { ...parent, creates: op.parentCreates, numChildren, pzxid: zxid });
  triggers.push({ type: EventType.NodeCreated, path, acl: znode.acl });
  triggers.push({ type: EventType.NodeChildrenChanged, path: parentPath, acl: parent.acl });
  return { path, znode };
}

export function applyDelete({ znodes, zxid, triggers }: Application, path: string): OpResult {
  const znode = expect(znodes, path);
  assert(znode.numChildren === 0, "a deleted znode has no children");
  const parentPath = parentOf(path);
  const parent = expect(znodes, parentPath);
  assert(parent.numChildren > 0, "a parent counts its children");

  znodes.delete(path);
  znodes.replace(parentPath, { ...parent, numChildren: parent.numChildren - 1, pzxid: zxid });
  triggers.push({ type: EventType.NodeDeleted, path, acl: znode.acl });
  triggers.push({ type: EventType.NodeChildrenChanged, path: parentPath, acl: parent.acl });
  return { path, znode: undefined };
}

function applySetData(
  { znodes, zxid, timeMs, triggers }: Application,
  op: Extract<TreeOp, { kind: "setData" }>,
): OpResult {
  const { path, version } = op;
  const before = expect(znodes, path);
  const znode: Znode = { ...before, data: ownBytes(op.data), version, mzxid: zxid, mtime: timeMs };
  znodes.replace(path, znode);
  triggers.push({ type: EventType.NodeDataChanged, path, acl: znode.acl });
  return { path, znode };
}

function applySetAcl({ znodes }: Application, op: Extract<TreeOp, { kind: "setAcl" }>): OpResult {
  const { path, aversion } = op;
  const znode: Znode = { ...expect(znodes, path), acl: internAcl(op.acl), aversion };
  znodes.replace(path, znode);
  return { path, znode };
}

function expect(znodes: ZnodeCache, path: string): Znode {
  const znode = znodes.get(path);
  assert(znode !== undefined, "a committed change finds its znode");
  return znode;
}

/** A view of a whole message would keep that message in memory for as long as the znode lives. */
function ownBytes(data: Uint8Array | null): Uint8Array | null {
  return data === null || data.byteLength === data.buffer.byteLength ? data : new Uint8Array(data);
}
