/**
 * Elections: `/v1/{ensemble}/elections/{path}`.
 *
 * An election is an exclusive lock whose holder leads and whose queue is the line of succession, in the layout of
 * the SDK's recipe and of kazoo's `Election`: candidates over HTTP stand with theirs. `POST` stands and waits to
 * lead, `PUT ?id=` stays the leader for another `ttl`, `DELETE ?id=` resigns, `GET` shows who leads and who would
 * be next. A leader's `token` is a zxid that grows from leader to leader.
 *
 * @module
 */

import type { Context } from "hono";
import { formatDuration } from "../../base/index.ts";
import type { Contender, LockReply, LockView } from "../../objects/index.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv, MemberStub } from "../env.ts";
import { JsonObject } from "../json-objects.ts";
import type { Effect, LeaderRouter } from "../leader.ts";
import {
  candidateBytesMax,
  findLeaderMs,
  lockBodyBytesMax,
  lockMarginMs,
  readMs,
  sessionTtlMsDefault,
  sessionTtlMsMax,
  sessionTtlMsMin,
  waitMsMax,
  writeMs,
} from "../limits.ts";
import { isLockId, makeLockId, placeOf } from "../lock-ids.ts";
import { ttlOfSession } from "../lock-orders.ts";
import { badRequest, Problem } from "../problems.ts";
import { readQuery } from "../queries.ts";
import { foreignPlace, readSession } from "../session-header.ts";
import { pathOf, quoted, refusal } from "./shared.ts";

export async function postElection(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const path = electionPathOf(c.req.raw);
  const action = `Cannot stand for election at ${quoted(path)}`;
  const session = readSession(c.req.raw.headers);
  const { candidate, ttlMs, waitMs, id } = readCandidacy(
    await readBody(c.req.raw, lockBodyBytesMax, { action, path }),
    { action, path, isInSession: session !== undefined },
  );
  const { identities } = c.get("caller");
  const waitUntil = Date.now() + waitMs;
  const leftMs = () => Math.max(0, waitUntil - Date.now());
  const place = await placeOf(id);
  const lock = { path, id: place, session, mode: "exclusive", ttlMs, owner: candidate, identities } as const;
  const { reply } = await run(c, router, {
    ...{ action, path, effect: "idempotent", more: { id }, searchMs: waitMs + findLeaderMs },
    attemptMs: () => leftMs() + lockMarginMs,
    attempt: (member) => member.acquireLock({ ...lock, waitMs: leftMs() }),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "granted")
    return Response.json(leadershipJson(reply, { id, path, candidate }), { status: 201 });
  if (reply.kind === "foreign") throw foreignPlace(action);
  if (reply.kind === "refused") throw refusal(reply.outcome, { action, path: reply.path });
  const others =
    reply.kind === "timedOut" ? reply.contenders.filter((contender) => contender.id !== place) : [];
  throw notElected(`${action}: it was not elected within ${formatDuration(waitMs)}`, path, others);
}

export async function putElection(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = electionPathOf(c.req.raw);
  const id = readId(c.req.url, path);
  const place = await placeOf(id);
  const session = readSession(c.req.raw.headers);
  const action = `Cannot stay the leader at ${quoted(path)}`;
  const { identities } = c.get("caller");
  const { reply } = await run(c, router, {
    ...{ action, path, effect: "idempotent", more: { id }, attemptMs: () => writeMs },
    attempt: (member) => member.keepLock({ path, id: place, session, identities }),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "granted") return Response.json(leadershipJson(reply, { id, path }));
  if (reply.kind === "foreign") throw foreignPlace(action);
  if (reply.kind === "refused") throw refusal(reply.outcome, { action, path: reply.path });
  if (reply.kind === "timedOut") throw notElected(`${action}: it does not lead`, path, reply.contenders);
  throw noCandidate(action, path);
}

export async function deleteElection(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = electionPathOf(c.req.raw);
  const id = readId(c.req.url, path);
  const place = await placeOf(id);
  const session = readSession(c.req.raw.headers);
  const action = `Cannot resign at ${quoted(path)}`;
  const { identities } = c.get("caller");
  const { reply, repeated } = await run(c, router, {
    ...{ action, path, effect: "idempotent", more: { id }, attemptMs: () => writeMs },
    attempt: (member) => member.releaseLock({ path, id: place, session, identities }),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "foreign") throw foreignPlace(action);
  // If an earlier attempt may have resigned, then "gone" is what it was asked to be.
  const isGone = reply.kind === "released" || (reply.kind === "gone" && repeated);
  if (isGone) return new Response(null, { status: 204 });
  if (reply.kind === "refused") throw refusal(reply.outcome, { action, path: reply.path });
  throw noCandidate(action, path);
}

export async function getElection(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const path = electionPathOf(c.req.raw);
  const action = `Cannot show the election at ${quoted(path)}`;
  const { identities } = c.get("caller");
  const { reply } = await run(c, router, {
    ...{ action, path, effect: "none", attemptMs: () => readMs },
    attempt: (member) => member.describeLock(path, identities),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "refused") throw refusal(reply.outcome, { action, path: reply.path });
  return Response.json({ path, ...lineOf(reply.contenders), zxid: reply.zxid });
}

interface Step<Reply> {
  readonly action: string;
  readonly path: string;
  readonly effect: Effect;
  readonly more?: Readonly<Record<string, unknown>>;
  readonly searchMs?: number;
  attemptMs(): number;
  attempt(member: MemberStub): Promise<Reply>;
}

function run<Reply extends LockReply | LockView>(
  c: Context<AppEnv>,
  router: LeaderRouter,
  step: Step<Reply>,
) {
  return router.run(c.get("ensemble"), step);
}

function electionPathOf(request: Request): string {
  const path = pathOf(request);
  if (path === "/")
    throw badRequest("Cannot hold an election at the root: name a path below /elections/", path);
  return path;
}

function readId(url: string, path: string): string {
  const { id } = readQuery(url, ["id"]);
  if (id !== undefined && isLockId(id)) return id;
  throw badRequest('Cannot tell which candidate is meant: "id" must be the 32 hex digits it was given', path);
}

function readCandidacy(
  body: Uint8Array,
  about: { readonly action: string; readonly path: string; readonly isInSession: boolean },
) {
  const order = new JsonObject(body, ["candidate", "ttl", "wait", "id"], about);
  const isCandidate = (text: string) =>
    text.isWellFormed() && new TextEncoder().encode(text).byteLength <= candidateBytesMax;
  if (about.isInSession && order.has("ttl")) throw order.fault("ttl", ttlOfSession);
  return {
    candidate:
      order.text("candidate", isCandidate, `text of at most ${candidateBytesMax} bytes of UTF-8`) ?? "",
    ttlMs: order.duration("ttl", {
      ...{ min: sessionTtlMsMin, max: sessionTtlMsMax, otherwise: sessionTtlMsDefault },
    }),
    waitMs: order.duration("wait", { min: 0, max: waitMsMax, otherwise: 0 }),
    id: order.text("id", isLockId, "32 lower-case hex digits") ?? makeLockId(),
  };
}

function leadershipJson(
  grant: Extract<LockReply, { readonly kind: "granted" }>,
  { id, path, candidate }: { readonly id: string; readonly path: string; readonly candidate?: string },
) {
  const { token, ttlMs, expiresAtMs } = grant;
  const expiresAt = new Date(expiresAtMs).toISOString();
  return {
    id,
    token,
    path,
    ...(candidate !== undefined && { candidate }),
    ttl_ms: ttlMs,
    expires_at: expiresAt,
  };
}

/** The leader, and who would be next, in order. */
function lineOf(contenders: readonly Contender[]) {
  const [leader, ...rest] = contenders.map(({ name, owner, token, sinceMs }) => {
    return { name, candidate: owner, token, since: new Date(sinceMs).toISOString() };
  });
  return { leader: leader ?? null, candidates: rest };
}

function notElected(detail: string, path: string, others: readonly Contender[]): Problem {
  return new Problem({
    ...{ slug: "not-elected", title: "Another one leads", status: 409, detail, path },
    more: lineOf(others),
  });
}

function noCandidate(action: string, path: string): Problem {
  return new Problem({
    slug: "no-candidate",
    title: "Candidate does not exist",
    status: 404,
    detail: `${action}: no candidate of that id stands here, it resigned or has expired`,
    path,
  });
}
