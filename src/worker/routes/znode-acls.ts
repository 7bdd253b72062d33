/**
 * ACLs: `GET` and `PUT /v1/{ensemble}/znodes/{path}?acl`.
 *
 * The entity tag is the version of the ACL (`aversion`), which counts apart from that of the value, and
 * `If-Match` compares with it. As in ZooKeeper, who may read a znode and not administer it is shown no digests,
 * and who may do neither is shown nothing.
 *
 * @module
 */

import type { Context } from "hono";
import { formatPerms, OpCode, ZkErrorCode } from "../../base/index.ts";
import { aclForm, parseAcl } from "../acls.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv } from "../env.ts";
import { readIdempotency } from "../idempotency.ts";
import type { LeaderRouter } from "../leader.ts";
import { aclBodyBytesMax } from "../limits.ts";
import { entityTag, isNotModified, isPreconditionFailed, readWriteCondition } from "../preconditions.ts";
import { badRequest, problemOfCode } from "../problems.ts";
import { statJson } from "../representations.ts";
import { type Ask, bodyOf, perform, performOnce, quoted, refusal } from "./shared.ts";

export async function getAcl(
  c: Context<AppEnv>,
  router: LeaderRouter,
  path: string,
  how: Pick<Ask, "consistency" | "floor" | "whom">,
): Promise<Response> {
  const action = `Cannot read the ACL of ${quoted(path)}`;
  const request = { type: OpCode.GetAcl, path } as const;
  const { outcome, zxid } = await perform(c, router, { action, path, request, ...how });
  if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action, path });
  const { acl, stat } = bodyOf(outcome, "acl");
  const { headers: given } = c.req.raw;
  if (isPreconditionFailed(given, stat.aversion)) {
    throw problemOfCode(ZkErrorCode.BadVersion, { action, path, reason: `its version is ${stat.aversion}` });
  }
  const headers = { ETag: entityTag(stat.aversion), "Ek-Zxid": zxid };
  if (isNotModified(given, stat.aversion)) return new Response(null, { status: 304, headers });
  const entries = acl.map(({ perms, scheme, id }) => ({ perms: formatPerms(perms), scheme, id }));
  return Response.json({ path, acl: entries, zxid, stat: statJson(stat) }, { headers });
}

export async function putAcl(c: Context<AppEnv>, router: LeaderRouter, path: string): Promise<Response> {
  const action = `Cannot set the ACL of ${quoted(path)}`;
  const condition = readWriteCondition(c.req.raw.headers);
  if (condition.kind === "absent") throw badRequest(`${action}: If-None-Match is for creating`, path);
  const version = condition.kind === "version" ? condition.version : -1;
  const body = await readBody(c.req.raw, aclBodyBytesMax, { action, path });
  const acl = parseAcl(parseJson(body));
  if (acl === undefined) throw badRequest(`${action}: the body must be ${aclForm}`, path);
  const request = { type: OpCode.SetAcl, path, acl, version } as const;
  const once = { idempotency: await readIdempotency(c.req.raw, body, c.get("caller")), step: 1 };
  const { outcome, zxid } = await performOnce(c, router, { action, path, request }, once);
  if (outcome.err !== ZkErrorCode.Ok) {
    const isPrecondition = condition.kind !== "none" && outcome.err === ZkErrorCode.NoNode;
    const reason = outcome.err === ZkErrorCode.BadVersion ? `the ACL's version is not ${version}` : undefined;
    throw refusal(outcome, { action, path, reason, status: isPrecondition ? 412 : undefined });
  }
  const { stat } = bodyOf(outcome, "stat");
  return Response.json(
    { path, zxid, stat: statJson(stat) },
    { headers: { ETag: entityTag(stat.aversion), "Ek-Zxid": zxid } },
  );
}

/** `undefined` for what is no JSON: no ACL either. */
function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body));
  } catch {
    return undefined;
  }
}
