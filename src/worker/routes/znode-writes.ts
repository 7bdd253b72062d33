/**
 * Writing znodes: `PUT`, `POST` and `DELETE /v1/{ensemble}/znodes/{path}`.
 *
 * `PUT` sets the value, or creates the znode when it is missing; `If-Match: "3"` makes it a compare and
 * set, `If-Match: *` wants the znode to exist, `If-None-Match: *` wants to create it. A precondition that
 * fails is 412 whatever ZooKeeper's code for it (`BadVersion`, `NodeExists`, `NoNode`), as RFC 9110 has
 * it; without a precondition those are 409 and 404.
 *
 * `POST` creates a sequential child: the path is the prefix of its name, and `Location` tells the name.
 *
 * @module
 */

import type { Context } from "hono";
import {
  CreateMode,
  OPEN_ACL,
  OpCode,
  type Outcome,
  type Stat,
  unreachable,
  ZkErrorCode,
} from "../../base/index.ts";
import { readBody } from "../bodies.ts";
import { type CreateKind, createKindOf, createModes, ephemeralNeeds } from "../create-modes.ts";
import type { AppEnv } from "../env.ts";
import { type Idempotency, readIdempotency, refuseKey } from "../idempotency.ts";
import type { LeaderRouter } from "../leader.ts";
import { upsertRoundsMax, znodeDataBytesMax } from "../limits.ts";
import { readWriteCondition } from "../preconditions.ts";
import { badRequest } from "../problems.ts";
import { readFlag, readQuery } from "../queries.ts";
import { statHeaders, statJson } from "../representations.ts";
import { readSession } from "../session-header.ts";
import { encodePath } from "../znode-paths.ts";
import { deleteSubtree } from "./recursive-delete.ts";
import { type Answered, bodyOf, pathOf, performOnce, quoted, refusal } from "./shared.ts";
import { putAcl } from "./znode-acls.ts";

/** A value on its way to a path. */
interface Writing {
  readonly c: Context<AppEnv>;
  readonly router: LeaderRouter;
  readonly path: string;
  readonly data: Uint8Array;
  readonly idempotency: Idempotency | undefined;
}

export async function putZnode(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = pathOf(c.req.raw);
  const { acl } = readQuery(c.req.url, ["acl"]);
  if (readFlag(acl, "acl")) return putAcl(c, router, path);
  const condition = readWriteCondition(c.req.raw.headers);
  const writing = await readWriting(c, router, path, "set");
  switch (condition.kind) {
    case "none":
      return upsert(writing);
    case "absent":
      return created(writing, await create(writing), 412);
    case "present":
      return changed(writing, await set(writing, -1), 412);
    case "version":
      return changed(writing, await set(writing, condition.version), 412, condition.version);
    default:
      return unreachable(condition);
  }
}

/**
 * Sets, or creates what is missing. Others may delete and create between the two, so it goes round; each
 * refusal proves that nothing was written, and an unknown outcome ends it with 504.
 */
async function upsert(writing: Writing): Promise<Response> {
  for (let round = 1; ; round++) {
    const setting = await set(writing, -1, 2 * round - 1);
    if (setting.outcome.err !== ZkErrorCode.NoNode) return changed(writing, setting);
    const creating = await create(writing, undefined, 2 * round);
    const lostRace = creating.outcome.err === ZkErrorCode.NodeExists && round < upsertRoundsMax;
    if (!lostRace) return created(writing, creating);
  }
}

export async function postZnode(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const { mode } = readQuery(c.req.url, ["mode"]);
  const kind = readMode(mode);
  const path = pathOf(c.req.raw, kind.isSequential === true ? "0" : "");
  if (kind.isEphemeral === true && readSession(c.req.raw.headers) === undefined) {
    throw badRequest(`Cannot create ${quoted(path)}: ${ephemeralNeeds}`, path);
  }
  if (readWriteCondition(c.req.raw.headers).kind !== "none") {
    throw badRequest(`Cannot create ${quoted(path)}: POST takes no preconditions, PUT does`, path);
  }
  const writing = await readWriting(c, router, path, "create");
  return created(writing, await create(writing, kind));
}

function readMode(mode = "persistent_sequential"): CreateKind {
  const kind = createKindOf(mode);
  if (kind !== undefined) return kind;
  const modes = createModes.join(", ");
  throw badRequest(`Cannot read the query: "mode" is ${quoted(mode.slice(0, 100))}, not one of ${modes}`);
}

export async function deleteZnode(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = pathOf(c.req.raw);
  const { recursive, limit } = readQuery(c.req.url, ["recursive", "limit"]);
  const condition = readWriteCondition(c.req.raw.headers);
  const action = `Cannot delete ${quoted(path)}`;
  if (readFlag(recursive, "recursive")) {
    if (condition.kind !== "none") throw badRequest(`${action}: recursive takes no preconditions`, path);
    refuseKey(
      c.req.raw.headers,
      "a recursive delete may be sent again, and answers 404 when nothing is left",
    );
    return deleteSubtree(c, router, path, limit);
  }
  if (limit !== undefined) throw badRequest('Cannot read the query: "limit" goes with "recursive"', path);
  if (condition.kind === "absent") throw badRequest(`${action}: If-None-Match goes with PUT`, path);
  const version = condition.kind === "version" ? condition.version : -1;
  const request = { type: OpCode.Delete, path, version } as const;
  const idempotency = await readIdempotency(c.req.raw, new Uint8Array(), c.get("caller"));
  const once = { idempotency, step: 1 };
  const { outcome, zxid } = await performOnce(c, router, { action, path, request }, once);
  if (outcome.err !== ZkErrorCode.Ok) {
    const status = condition.kind === "none" ? undefined : preconditionStatus(outcome, 412);
    throw refusal(outcome, { action, path, status, reason: versionReason(outcome, version) });
  }
  return new Response(null, { status: 204, headers: { "Ek-Zxid": zxid } });
}

async function readWriting(
  c: Context<AppEnv>,
  router: LeaderRouter,
  path: string,
  verb: "set" | "create",
): Promise<Writing> {
  const bytesMax = znodeDataBytesMax(new TextEncoder().encode(path).byteLength);
  const data = await readBody(c.req.raw, bytesMax, { action: `Cannot ${verb} ${quoted(path)}`, path });
  return { c, router, path, data, idempotency: await readIdempotency(c.req.raw, data, c.get("caller")) };
}

/** `step`: which write of its request it is. */
function set({ c, router, path, data, idempotency }: Writing, version: number, step = 1): Promise<Answered> {
  const request = { type: OpCode.SetData, path, data, version } as const;
  const action = `Cannot set ${quoted(path)}`;
  return performOnce(c, router, { action, path, request }, { idempotency, step });
}

const persistent: CreateKind = { type: OpCode.Create2, flags: CreateMode.Persistent };

function create(
  { c, router, path, data, idempotency }: Writing,
  { type, flags }: CreateKind = persistent,
  step = 1,
): Promise<Answered> {
  const request = { type, flags, path, data, acl: OPEN_ACL, ttlMs: -1 };
  const action = `Cannot create ${quoted(path)}`;
  return performOnce(c, router, { action, path, request }, { idempotency, step });
}

function changed({ path }: Writing, answer: Answered, failedStatus?: number, version = -1): Response {
  const { outcome, zxid } = answer;
  if (outcome.err === ZkErrorCode.Ok) return written(200, { path, stat: bodyOf(outcome, "stat").stat, zxid });
  throw refusal(outcome, {
    action: `Cannot set ${quoted(path)}`,
    path,
    status: preconditionStatus(outcome, failedStatus),
    reason: versionReason(outcome, version),
  });
}

function created({ c, path }: Writing, { outcome, zxid }: Answered, failedStatus?: number): Response {
  if (outcome.err !== ZkErrorCode.Ok) {
    throw refusal(outcome, {
      action: `Cannot create ${quoted(path)}`,
      path,
      status: outcome.err === ZkErrorCode.NodeExists ? failedStatus : undefined,
      reason: outcome.err === ZkErrorCode.NoNode ? "its parent does not exist" : undefined,
    });
  }
  const { path: name, stat } = bodyOf(outcome, "create2");
  const location = `/v1/${c.get("ensemble").name}/znodes${encodePath(name)}`;
  return written(201, { path: name, stat, zxid }, { Location: location });
}

interface Written {
  readonly path: string;
  readonly stat: Stat;
  readonly zxid: string;
}

function written(status: 200 | 201, { path, stat, zxid }: Written, headers: Record<string, string> = {}) {
  return Response.json(
    { path, zxid, stat: statJson(stat) },
    { status, headers: { ...headers, ...statHeaders(stat, zxid) } },
  );
}

/** Only what the precondition spoke of fails it: not a missing permission. */
function preconditionStatus({ err }: Outcome, failedStatus: number | undefined): number | undefined {
  return err === ZkErrorCode.BadVersion || err === ZkErrorCode.NoNode ? failedStatus : undefined;
}

function versionReason({ err }: Outcome, version: number): string | undefined {
  return err === ZkErrorCode.BadVersion ? `its version is not ${version}` : undefined;
}
