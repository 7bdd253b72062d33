/**
 * Prepare: how the leader turns a request into a txn.
 *
 * Everything a request leaves open is decided here, against the speculative view: whether it may, which
 * version, which name, which list. A refusal is a txn too, ordered like any write. The first failing
 * check wins, in the order of ZooKeeper; each `decide` function reads as that list.
 *
 * Nothing a client sends makes this throw.
 *
 * Sources: ZooKeeper `PrepRequestProcessor.pRequest2Txn`, `pRequest2TxnCreate`, `SessionTrackerImpl.checkSession`.
 *
 * @module
 */

import {
  assert,
  type CheckLockRequest,
  type CheckRequest,
  type CreateRequest,
  type DeleteContainerRequest,
  type DeleteRequest,
  equalZxid,
  joinPath,
  type KeyedRequest,
  type Lifetime,
  lockChecksMax,
  type MultiOp,
  type MultiRequest,
  NO_SESSION,
  OpCode,
  Perms,
  pathFault,
  queueOf,
  type ReconfigRequest,
  type Requester,
  type RequestOp,
  type SetAclRequest,
  type SetDataRequest,
  sequenceSuffix,
  type TreeOp,
  type Txn,
  type TxnOp,
  unreachable,
  type WriteRequest,
  ZkErrorCode,
} from "../base/index.ts";
import { aclUnits, fixUpAcl, isAllowed } from "./acl.ts";
import { type CreatePlan, isMalformedInMulti, normalizeInMulti, planCreate } from "./create-plan.ts";
import { decodeHardLimits, decodeUsage, exceeds, limitsPathOf, statsPathOf, type Usage } from "./quotas.ts";
import { type EnsembleView, planReconfig } from "./reconfig.ts";
import { isOfRequestWindow, refusalOfKey, requestsPath, stageRecord } from "./request-window.ts";
import { ephemeralUnitsOf, type SpeculativeView, type ZnodeOutline } from "./speculative-view.ts";
import { configPath, isSpecialPath, isSweepable, isSweepDue, sizeOf } from "./znodes.ts";

const textDecoder = new TextDecoder();

/** What comes with a request besides its body. */
export interface PrepareContext {
  readonly requester: Requester;
  /** The request's xid on its connection. */
  readonly cxid: number;
  /** The leader's clock, ms since 1970. */
  readonly nowMs: number;
  /** For reconfig alone. Default: none, and reconfig is not there. */
  readonly ensemble?: EnsembleView | undefined;
  /** The leader's storage has no room for more: what would add to it is refused. Default: it has. */
  readonly isFull?: boolean | undefined;
}

export interface PrepareRules {
  /** Whether TTL znodes may be created (Java `extendedTypesEnabled`). */
  readonly ttlNodes: boolean;
  /** Whether ACLs are checked at all. */
  readonly skipAcl: boolean;
  /** Whether hard limits of quotas refuse writes (Java `enforceQuota`). */
  readonly enforceQuota: boolean;
  /** Whether ACLs may name the scheme `x509`. */
  readonly x509: boolean;
  /** Whether members may be changed (Java `reconfigEnabled`). */
  readonly reconfig: boolean;
}

/** One request on the desk, with all it is decided by. */
interface Desk extends PrepareContext {
  readonly view: SpeculativeView;
  readonly rules: PrepareRules;
}

type Refusal = Extract<TxnOp, { kind: "error" }>;
type Decision = TreeOp | Refusal;

/** A container's or TTL znode's deletion keeps its place among these: one that is no longer due is refused. */
type TreeRequest = MultiOp | SetAclRequest | DeleteContainerRequest;

/**
 * UTF-16 units by which a multi's ACLs may outgrow the request: `auth` entries expand, and the txn must fit
 * a row of SQLite (2 MB) with everything else a request can carry.
 */
const multiAclGrowthMax = 256 * 1024;

/**
 * How long the list of one session's ephemerals may get, in UTF-16 units: about 10,000 of 40 characters.
 * The txn that ends the session names them all, cannot be refused, and must fit a row of SQLite (2 MB,
 * three bytes for the longest unit). ZooKeeper has no bound, and fails to end such a session.
 */
export const ephemeralUnitsMax = 500_000;

/** 2^31-1: a counter of creates stops there (ZooKeeper calls what follows undefined). */
const createsMax = 2 ** 31 - 1;

/** Decides `request` and leaves its effects in `view`. */
export function prepareTxn(
  view: SpeculativeView,
  rules: PrepareRules,
  request: WriteRequest,
  context: PrepareContext,
): Txn {
  const op = decide({ ...context, view, rules }, request);
  const txn = { sessionId: context.requester.sessionId, cxid: context.cxid, timeMs: context.nowMs, op };
  view.commit(txn);
  return txn;
}

function decide(desk: Desk, request: WriteRequest): TxnOp {
  const { view, requester } = desk;
  if (hasMoved(desk)) return refuse(ZkErrorCode.SessionMoved);
  switch (request.type) {
    case OpCode.Multi:
      return decideMulti(desk, request);
    case OpCode.CreateSession:
      assert(requester.sessionId !== NO_SESSION, "a session has an id");
      assert(request.timeoutMs > 0, "a session's timeout is positive");
      return { kind: "createSession", timeoutMs: request.timeoutMs };
    case OpCode.RenewSession:
      if (!view.isOpen(requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
      return {
        kind: "renewSession",
        timeoutMs: request.timeoutMs,
        ownership: view.ownershipOf(requester.sessionId) + 1,
      };
    case OpCode.CloseSession:
      if (requester.sessionId === NO_SESSION || !view.isOpen(requester.sessionId)) {
        return refuse(ZkErrorCode.SessionExpired);
      }
      return closeSession(desk);
    case OpCode.Reconfig:
      return decideReconfig(desk, request);
    case OpCode.Keyed:
      return decideKeyed(desk, request);
    default:
      return decideSingle(desk, request);
  }
}

function decideSingle(desk: Desk, request: TreeRequest): Decision {
  const op = decideTreeOp(desk, request);
  if (op.kind !== "error") desk.view.stage(op, desk.nowMs);
  return op;
}

/** What is known is not decided again; what is decided, also a refusal, is known from then on. */
function decideKeyed(desk: Desk, keyed: KeyedRequest): TxnOp {
  const { key, fingerprint, request } = keyed;
  const refusal = refusalOfKey(desk.view, keyed, desk.nowMs);
  if (refusal !== undefined) return refuse(refusal);
  // A record takes room, whatever the request does.
  if (desk.isFull === true) return refuse(ZkErrorCode.QuotaExceeded);
  const op = request.type === OpCode.Multi ? decideMulti(desk, request) : decideSingle(desk, request);
  stageRecord(desk.view, keyed, desk.nowMs);
  return { kind: "keyed", key, fingerprint, op };
}

/** Whether a later connection has taken the session over. One that has ended is refused as such, and elsewhere. */
function hasMoved({ view, requester: { sessionId, ownership } }: Desk): boolean {
  return ownership !== undefined && view.isOpen(sessionId) && view.ownershipOf(sessionId) !== ownership;
}

/** All or nothing. Each part is decided against what the parts before it leave behind. */
function decideMulti(desk: Desk, request: MultiRequest): RequestOp {
  if (request.ops.some(isMalformedInMulti)) return refuse(ZkErrorCode.MarshallingError);
  if (request.ops.filter(({ type }) => type === OpCode.CheckLock).length > lockChecksMax) {
    return refuse(ZkErrorCode.BadArguments);
  }
  const ops: TreeOp[] = [];
  let growth = 0;
  for (const part of request.ops) {
    let op = decideTreeOp(desk, isCreate(part) ? normalizeInMulti(part) : part);
    if (op.kind === "create" && isCreate(part)) growth += aclUnits(op.acl) - aclUnits(part.acl ?? []);
    if (growth > multiAclGrowthMax) op = refuse(ZkErrorCode.InvalidACL);
    if (op.kind === "error") {
      desk.view.unstage();
      return failedMulti(request.ops.length, ops.length, op.code);
    }
    desk.view.stage(op, desk.nowMs);
    ops.push(op);
  }
  return { kind: "multi", ops };
}

function failedMulti(length: number, culprit: number, code: ZkErrorCode): RequestOp {
  const codes = Array.from({ length }, (_, at) => {
    if (at === culprit) return code;
    return at < culprit ? ZkErrorCode.Ok : ZkErrorCode.RuntimeInconsistency;
  });
  return { kind: "failedMulti", codes };
}

function decideReconfig(desk: Desk, request: ReconfigRequest): TxnOp {
  const { view, rules, ensemble } = desk;
  if (!rules.reconfig) return refuse(ZkErrorCode.ReconfigDisabled);
  if (!view.isOpen(desk.requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
  if (ensemble === undefined) return refuse(ZkErrorCode.Unimplemented);
  if (view.isReconfiguring) return refuse(ZkErrorCode.ReconfigInProgress);
  const znode = view.znode(configPath);
  assert(znode !== undefined, "the config znode is always there");
  const plan = planReconfig(ensemble, textDecoder.decode(znode.data ?? undefined), request);
  if (typeof plan === "number") return refuse(plan);
  return may(desk, znode, Perms.Write) ? plan : refuse(ZkErrorCode.NoAuth);
}

function closeSession(desk: Desk): TxnOp {
  const ephemerals = desk.view.ephemeralsOf(desk.requester.sessionId);
  for (const path of ephemerals) desk.view.stage({ kind: "delete", path }, desk.nowMs);
  return { kind: "closeSession", ephemerals };
}

function decideTreeOp(desk: Desk, request: TreeRequest): Decision {
  switch (request.type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return decideCreate(desk, request);
    case OpCode.Delete:
      return decideDelete(desk, request);
    case OpCode.SetData:
      return decideSetData(desk, request);
    case OpCode.SetAcl:
      return decideSetAcl(desk, request);
    case OpCode.Check:
      return decideCheck(desk, request);
    case OpCode.CheckLock:
      return decideCheckLock(desk, request);
    case OpCode.DeleteContainer:
      return decideDeleteContainer(desk, request);
    default:
      return unreachable(request);
  }
}

function decideCreate(desk: Desk, request: CreateRequest): Decision {
  const { view, requester } = desk;
  const plan = planCreate(request, desk.rules.ttlNodes);
  if (typeof plan === "number") return refuse(plan);
  // The HTTP door writes without a session: there is nobody an ephemeral could belong to.
  if (plan.kind === "ephemeral" && requester.sessionId === NO_SESSION)
    return refuse(ZkErrorCode.BadArguments);
  if (!view.isOpen(requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
  const parentPath = looseParentOf(request.path);
  if (parentPath === undefined) return refuse(ZkErrorCode.BadArguments);
  const acl = fixUpAcl(request.acl, requester.identities, desk.rules.x509);
  if (acl === undefined) return refuse(ZkErrorCode.InvalidACL);
  const parent = view.znode(parentPath);
  if (parent === undefined) return refuse(ZkErrorCode.NoNode);
  if (!may(desk, parent, Perms.Create) || isOfRequestWindow(request.path)) return refuse(ZkErrorCode.NoAuth);
  const path = plan.isSequential ? request.path + sequenceSuffix(parent.creates) : request.path;
  if (pathFault(path) !== undefined) return refuse(ZkErrorCode.BadArguments);
  if (view.znode(path) !== undefined) return refuse(ZkErrorCode.NodeExists);
  if (parent.lifetime.kind === "ephemeral") return refuse(ZkErrorCode.NoChildrenForEphemerals);
  if (plan.kind === "ephemeral") {
    const units = view.ephemeralUnits(requester.sessionId) + ephemeralUnitsOf(path);
    if (units > ephemeralUnitsMax) return refuse(ZkErrorCode.QuotaExceeded);
  }
  if (desk.isFull === true || isOverQuota(desk, path, { count: 1, bytes: sizeOf(request.data) })) {
    return refuse(ZkErrorCode.QuotaExceeded);
  }

  const lifetime = lifetimeOf(plan, request, requester);
  const parentCreates = Math.min(parent.creates + 1, createsMax);
  return { kind: "create", path, data: request.data, acl, lifetime, parentCreates };
}

function lifetimeOf(plan: CreatePlan, request: CreateRequest, requester: Requester): Lifetime {
  switch (plan.kind) {
    case "ephemeral":
      return { kind: "ephemeral", owner: requester.sessionId };
    case "ttl":
      return { kind: "ttl", ttlMs: request.ttlMs };
    default:
      return { kind: plan.kind };
  }
}

function decideDelete(desk: Desk, request: DeleteRequest): Decision {
  const { view } = desk;
  if (!view.isOpen(desk.requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
  const parentPath = looseParentOf(request.path);
  if (parentPath === undefined || isSpecialPath(request.path)) return refuse(ZkErrorCode.BadArguments);
  const parent = view.znode(parentPath);
  if (parent === undefined) return refuse(ZkErrorCode.NoNode);
  if (!may(desk, parent, Perms.Delete) || request.path === requestsPath) return refuse(ZkErrorCode.NoAuth);
  const znode = view.znode(request.path);
  if (znode === undefined) return refuse(ZkErrorCode.NoNode);
  if (!agrees(request.version, znode.version)) return refuse(ZkErrorCode.BadVersion);
  if (znode.numChildren > 0) return refuse(ZkErrorCode.NotEmpty);
  return { kind: "delete", path: request.path };
}

function decideSetData(desk: Desk, request: SetDataRequest): Decision {
  const { view } = desk;
  if (!view.isOpen(desk.requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
  const znode = view.znode(request.path);
  if (znode === undefined) return refuseMissing(request.path);
  if (!may(desk, znode, Perms.Write) || isOfRequestWindow(request.path)) return refuse(ZkErrorCode.NoAuth);
  const bytes = sizeOf(request.data) - sizeOf(znode.data);
  if ((desk.isFull === true && bytes > 0) || isOverQuota(desk, request.path, { count: 0, bytes })) {
    return refuse(ZkErrorCode.QuotaExceeded);
  }
  if (!agrees(request.version, znode.version)) return refuse(ZkErrorCode.BadVersion);
  return { kind: "setData", path: request.path, data: request.data, version: (znode.version + 1) | 0 };
}

function decideSetAcl(desk: Desk, request: SetAclRequest): Decision {
  const { view, requester } = desk;
  if (!view.isOpen(requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
  if (pathFault(request.path) !== undefined) return refuse(ZkErrorCode.BadArguments);
  const acl = fixUpAcl(request.acl, requester.identities, desk.rules.x509);
  if (acl === undefined) return refuse(ZkErrorCode.InvalidACL);
  const znode = view.znode(request.path);
  if (znode === undefined) return refuse(ZkErrorCode.NoNode);
  if (!may(desk, znode, Perms.Admin) || isOfRequestWindow(request.path)) return refuse(ZkErrorCode.NoAuth);
  if (desk.isFull === true && aclUnits(acl) > aclUnits(znode.acl)) return refuse(ZkErrorCode.QuotaExceeded);
  if (!agrees(request.version, znode.aversion)) return refuse(ZkErrorCode.BadVersion);
  return { kind: "setAcl", path: request.path, acl, aversion: (znode.aversion + 1) | 0 };
}

function decideCheck(desk: Desk, request: CheckRequest): Decision {
  const { view } = desk;
  if (!view.isOpen(desk.requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
  const znode = view.znode(request.path);
  if (znode === undefined) return refuseMissing(request.path);
  if (!may(desk, znode, Perms.Read)) return refuse(ZkErrorCode.NoAuth);
  if (!agrees(request.version, znode.version)) return refuse(ZkErrorCode.BadVersion);
  return { kind: "check", path: request.path };
}

/**
 * Our own: whether the lock at `path` is held, once everything before has applied, by the contender that the
 * txn `token` created. It tells what listing the lock and reading its holder tell, to those who may do both.
 */
function decideCheckLock(desk: Desk, request: CheckLockRequest): Decision {
  const { view } = desk;
  const { path, token } = request;
  if (!view.isOpen(desk.requester.sessionId)) return refuse(ZkErrorCode.SessionExpired);
  const lock = view.znode(path);
  if (lock === undefined) return refuseMissing(path);
  if (!may(desk, lock, Perms.Read)) return refuse(ZkErrorCode.NoAuth);
  let isHidden = false;
  for (const { name, holds } of queueOf(view.children(path))) {
    const contender = joinPath(path, name);
    const znode = holds ? view.znode(contender) : undefined;
    if (znode === undefined) continue;
    if (!may(desk, znode, Perms.Read)) isHidden = true;
    else if (znode.czxid !== undefined && equalZxid(znode.czxid, token)) {
      return { kind: "check", path: contender };
    }
  }
  return refuse(isHidden ? ZkErrorCode.NoAuth : ZkErrorCode.NoNode);
}

/**
 * The sweep asks on nobody's behalf, so no ACL is in its way. Unlike ZooKeeper we look at the time to
 * live once more: a write that overtook the sweep has earned the znode another one.
 */
function decideDeleteContainer(desk: Desk, request: DeleteContainerRequest): Decision {
  const { path } = request;
  if (isSpecialPath(path)) return refuse(ZkErrorCode.BadArguments);
  const znode = desk.view.znode(path);
  if (znode === undefined) return refuse(ZkErrorCode.NoNode);
  if (znode.numChildren > 0) return refuse(ZkErrorCode.NotEmpty);
  if (!isSweepable(znode.lifetime) || !isSweepDue(znode, desk.nowMs)) return refuse(ZkErrorCode.BadVersion);
  return { kind: "delete", path };
}

/**
 * Whether a change would go past a hard limit, given everything prepared before it. ZooKeeper looks at
 * what has applied only, so that a pipelined burst, or a multi, goes past its limits.
 */
function isOverQuota({ view, rules }: Desk, path: string, change: Usage): boolean {
  if (!rules.enforceQuota) return false;
  const root = view.quotaRootOf(path);
  if (root === undefined) return false;
  const used = decodeUsage(view.appliedData(statsPathOf(root)));
  const pending = view.pendingUsage(root);
  const total = { count: used.count + pending.count, bytes: used.bytes + pending.bytes };
  return exceeds(decodeHardLimits(view.appliedData(limitsPathOf(root))), total, change);
}

function refuse(code: ZkErrorCode): Refusal {
  return { kind: "error", code };
}

/** A znode that is there has a good path, so only missing ones pay for the check that outranks `NoNode`. */
function refuseMissing(path: string): Refusal {
  return refuse(pathFault(path) === undefined ? ZkErrorCode.NoNode : ZkErrorCode.BadArguments);
}

function may(desk: Desk, znode: ZnodeOutline, wanted: number): boolean {
  return desk.rules.skipAcl || isAllowed(znode.acl, wanted, desk.requester.identities);
}

function agrees(wanted: number, actual: number): boolean {
  return wanted === -1 || wanted === actual;
}

/**
 * What stands before the last slash, before anything else about the path was checked: create and delete
 * look for the parent first. `undefined` when there is no slash, or a NUL anywhere.
 */
function looseParentOf(path: string): string | undefined {
  const slash = path.lastIndexOf("/");
  if (slash === -1 || path.includes("\0")) return undefined;
  return slash === 0 ? "/" : path.slice(0, slash);
}

function isCreate(part: MultiOp): part is CreateRequest {
  switch (part.type) {
    case OpCode.Delete:
    case OpCode.SetData:
    case OpCode.Check:
    case OpCode.CheckLock:
      return false;
    default:
      return true;
  }
}
