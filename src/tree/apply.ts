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
  type Stat,
  type TreeOp,
  unreachable,
  type Znode,
  type Zxid,
} from "../base/index.ts";
import { internAcl } from "./acl.ts";
import type { Change } from "./change-history.ts";
import { formatConfig } from "./config-text.ts";
import {
  decodeUsage,
  encodeUsage,
  measure,
  type Quotas,
  statsPathOf,
  statsRootOf,
  type Usage,
} from "./quotas.ts";
import type { Trigger } from "./watches.ts";
import type { ZnodeCache } from "./znode-cache.ts";
import { configPath, sizeOf } from "./znodes.ts";

const textEncoder = new TextEncoder();

/** What one change came to: enough to tell the writer. */
export interface OpResult {
  readonly path: string;
  /** The znode right after this change, before later ones of the same multi; `undefined` for deletes and checks. */
  readonly znode: Znode | undefined;
  /** Instead of the znode, where it is remembered and not there any more. */
  readonly stat?: Stat | undefined;
}

/** Where and when a txn applies. */
export interface Application {
  readonly znodes: ZnodeCache;
  readonly quotas: Quotas;
  readonly zxid: Zxid;
  readonly timeMs: number;
  /** In the order they happen; grows. */
  readonly triggers: Trigger[];
  /** What streams and their history are told: likewise. */
  readonly changes: Change[];
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

function applyCreate(application: Application, op: Extract<TreeOp, { kind: "create" }>): OpResult {
  const { znodes, quotas, zxid, timeMs, triggers, changes } = application;
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
  quotas.added(path);
  const measured = statsRootOf(path);
  if (measured !== undefined) showUsage(znodes, measured, measure(znodes, measured));
  charge(application, path, { count: 1, bytes: sizeOf(op.data) });
  triggers.push({ type: EventType.NodeCreated, path, acl: znode.acl });
  triggers.push({ type: EventType.NodeChildrenChanged, path: parentPath, acl: parent.acl });
  changes.push({ kind: "created", path, znode, parentAcl: parent.acl });
  return { path, znode };
}

/** The version of the text is the zxid of the txn; the znode's own stays -1, as in ZooKeeper. */
export function applyReconfig(application: Application, servers: string): OpResult {
  const { znodes, zxid, timeMs, triggers, changes } = application;
  const path = configPath;
  const data = textEncoder.encode(formatConfig(servers, zxid));
  const znode: Znode = { ...expect(znodes, path), data, version: -1, mzxid: zxid, mtime: timeMs };
  znodes.replace(path, znode);
  triggers.push({ type: EventType.NodeDataChanged, path, acl: znode.acl });
  changes.push({ kind: "changed", path, znode });
  return { path, znode };
}

export function applyDelete(application: Application, path: string): OpResult {
  const { znodes, quotas, zxid, triggers, changes } = application;
  const znode = expect(znodes, path);
  assert(znode.numChildren === 0, "a deleted znode has no children");
  const parentPath = parentOf(path);
  const parent = expect(znodes, parentPath);
  assert(parent.numChildren > 0, "a parent counts its children");

  znodes.delete(path);
  znodes.replace(parentPath, { ...parent, numChildren: parent.numChildren - 1, pzxid: zxid });
  quotas.removed(path);
  charge(application, path, { count: -1, bytes: -sizeOf(znode.data) });
  triggers.push({ type: EventType.NodeDeleted, path, acl: znode.acl });
  triggers.push({ type: EventType.NodeChildrenChanged, path: parentPath, acl: parent.acl });
  changes.push({ kind: "deleted", path, znode, parentAcl: parent.acl });
  return { path, znode: undefined };
}

function applySetData(application: Application, op: Extract<TreeOp, { kind: "setData" }>): OpResult {
  const { znodes, zxid, timeMs, triggers, changes } = application;
  const { path, version } = op;
  const before = expect(znodes, path);
  const znode: Znode = { ...before, data: ownBytes(op.data), version, mzxid: zxid, mtime: timeMs };
  znodes.replace(path, znode);
  charge(application, path, { count: 0, bytes: sizeOf(op.data) - sizeOf(before.data) });
  triggers.push({ type: EventType.NodeDataChanged, path, acl: znode.acl });
  changes.push({ kind: "changed", path, znode });
  return { path, znode };
}

/** Watches hear nothing of it, as in ZooKeeper. */
function applySetAcl({ znodes, changes }: Application, op: Extract<TreeOp, { kind: "setAcl" }>): OpResult {
  const { path, aversion } = op;
  const znode: Znode = { ...expect(znodes, path), acl: internAcl(op.acl), aversion };
  znodes.replace(path, znode);
  changes.push({ kind: "acl", path, znode });
  return { path, znode };
}

/** Keeps the books of the quota that a changed path falls under, where there is one. */
function charge({ znodes, quotas }: Application, path: string, change: Usage): void {
  const root = quotas.rootOf(path);
  if (root === undefined) return;
  const used = decodeUsage(znodes.get(statsPathOf(root))?.data ?? null);
  showUsage(znodes, root, { count: used.count + change.count, bytes: used.bytes + change.bytes });
}

/** In place: clients see other data in the same version. Somebody may have deleted the stats. */
function showUsage(znodes: ZnodeCache, root: string, usage: Usage): void {
  const stats = znodes.get(statsPathOf(root));
  if (stats !== undefined) znodes.replace(statsPathOf(root), { ...stats, data: encodeUsage(usage) });
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
