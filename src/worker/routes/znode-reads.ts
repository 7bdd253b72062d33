/**
 * Reading znodes: `GET` and `HEAD /v1/{ensemble}/znodes/{path}`, and `?children` for a page of
 * names, `&with=stat,value` of children with what they hold.
 *
 * The value comes as it is stored, or inside JSON with its stat for who accepts `application/json`. The
 * entity tag is the version in both. As in ZooKeeper, a znode that was deleted and created again starts
 * over at version 0; `Ek-Czxid` tells the two apart.
 *
 * @module
 */

import type { Context } from "hono";
import { OpCode, type Stat, ZkErrorCode } from "../../base/index.ts";
import type { Child, ChildPart } from "../../objects/index.ts";
import type { AppEnv } from "../env.ts";
import { readFloor } from "../floor.ts";
import type { LeaderRouter } from "../leader.ts";
import { childrenPageMax } from "../limits.ts";
import { isNotModified, isPreconditionFailed } from "../preconditions.ts";
import { badRequest, problemOfCode } from "../problems.ts";
import { readConsistency, readFlag, readMember, readQuery } from "../queries.ts";
import { jsonValue, prefersJson, statHeaders, statJson } from "../representations.ts";
import { type Ask, bodyOf, pathOf, perform, quoted, refusal } from "./shared.ts";
import { getAcl } from "./znode-acls.ts";

export async function getZnode(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = pathOf(c.req.raw);
  const query = readQuery(c.req.url, ["consistency", "member", "acl", "children", "after", "limit", "with"]);
  const how = await readingOf(c, query);
  const { after, limit, with: parts } = query;
  if (readFlag(query.children, "children")) {
    if (query.acl !== undefined) throw badRequest('Cannot read the query: "acl" or "children", not both');
    return listChildren(c, router, { path, how, after, limit, parts });
  }
  if (after !== undefined || limit !== undefined || parts !== undefined) {
    throw badRequest('Cannot read the query: "after", "limit" and "with" go with "children"', path);
  }
  if (readFlag(query.acl, "acl")) return getAcl(c, router, path, how);
  const action = `Cannot read ${quoted(path)}`;
  const request = { type: OpCode.GetData, path, watch: false } as const;
  const { outcome, zxid, ageMs } = await perform(c, router, { action, path, request, ...how });
  if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action, path });
  const { data, stat } = bodyOf(outcome, "data");
  return representation(c.req.raw, { path, data, stat, zxid, ageMs });
}

/** How a read is to be done. */
type Reading = Pick<Ask, "consistency" | "floor" | "whom">;

/**
 * A read that may be a little behind is the nearest member's, unless the client names another.
 *
 * @throws Problem 400 for a zxid, a consistency or a member that is none.
 */
async function readingOf(
  c: Context<AppEnv>,
  query: { readonly consistency: string | undefined; readonly member: string | undefined },
): Promise<Reading> {
  const consistency = readConsistency(query.consistency);
  const whom = query.member ?? (consistency === "linearizable" ? "leader" : "nearest");
  const floor = readFloor(c.req.raw.headers);
  return { consistency, whom: await readMember(whom, c.get("ensemble")), floor };
}

interface Found {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly stat: Stat;
  readonly zxid: string;
  readonly ageMs: number | undefined;
}

function representation(request: Request, { path, data, stat, zxid, ageMs }: Found): Response {
  const headers = { ...statHeaders(stat, zxid), ...ageHeader(ageMs), Vary: "Accept" };
  if (isPreconditionFailed(request.headers, stat.version)) {
    const about = { action: `Cannot read ${quoted(path)}`, path, reason: `its version is ${stat.version}` };
    throw problemOfCode(ZkErrorCode.BadVersion, about);
  }
  if (isNotModified(request.headers, stat.version)) return new Response(null, { status: 304, headers });
  if (prefersJson(request))
    return Response.json({ path, ...jsonValue(data), stat: statJson(stat) }, { headers });
  const bytes = data ?? new Uint8Array();
  return new Response(bytes, {
    headers: {
      ...headers,
      "Content-Type": "application/octet-stream",
      "Content-Length": String(bytes.byteLength), // For HEAD, whose answer has no body to be measured.
    },
  });
}

interface PageQuery {
  readonly path: string;
  readonly how: Reading;
  readonly after: string | undefined;
  readonly limit: string | undefined;
  readonly parts: string | undefined;
}

/**
 * Names in code-unit order, or objects where parts were asked for, and whether more follow: the last name is
 * the next page's `after`.
 */
async function listChildren(
  c: Context<AppEnv>,
  router: LeaderRouter,
  { path, how, after, limit, parts }: PageQuery,
): Promise<Response> {
  const action = `Cannot list ${quoted(path)}`;
  const page = { after: after === "" ? undefined : after, limit: readLimit(limit), with: readParts(parts) };
  const answer = await perform(c, router, {
    action,
    path,
    request: { type: "childrenPage", path, ...page },
    ...how,
  });
  const { outcome, zxid, more, ageMs } = answer;
  if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action, path });
  const children = answer.children?.map(childJson) ?? bodyOf(outcome, "children").children;
  return Response.json(
    { children, more: more ?? false, zxid },
    { headers: { "Ek-Zxid": zxid, ...ageHeader(ageMs) } },
  );
}

const childParts: readonly ChildPart[] = ["stat", "value"];

function readParts(text: string | undefined): readonly ChildPart[] | undefined {
  if (text === undefined) return undefined;
  return text.split(",").map((word) => {
    const part = childParts.find((one) => one === word);
    if (part !== undefined) return part;
    throw badRequest(`Cannot read the query: "with" has ${quoted(word.slice(0, 100))}, not stat or value`);
  });
}

/** A child whose value may not be read says so in its place. */
function childJson({ name, stat, data, denied }: Child) {
  return {
    name,
    ...(stat !== undefined && { stat: statJson(stat) }),
    ...(data !== undefined && jsonValue(data)),
    ...(denied === true && { codeName: "NoAuth" }),
  };
}

function ageHeader(ageMs: number | undefined): Readonly<Record<string, string>> {
  return ageMs === undefined ? {} : { "Ek-Age-Ms": String(ageMs) };
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return childrenPageMax;
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= childrenPageMax) return limit;
  throw badRequest(
    `Cannot read the query: "limit" is ${quoted(text.slice(0, 100))}, not 1 to ${childrenPageMax}`,
  );
}
