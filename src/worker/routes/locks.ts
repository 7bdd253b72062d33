/**
 * Locks: `/v1/{ensemble}/locks/{path}`.
 *
 * `POST` takes a place in the queue and waits for its turn, `PUT ?id=` keeps a granted lock alive,
 * `DELETE ?id=` gives it back, `GET` shows who holds and who waits. The lock's id is made here, before
 * the first try, so that a call may be repeated at another leader without queueing twice; a client that
 * wants to repeat its own calls brings an id. It is told to the lock's owner alone (`lock-ids.ts`).
 *
 * With `Ek-Session` the place is taken in the caller's session, and is kept and released in its name.
 *
 * A granted lock's `token` is a zxid that grows from grant to grant: the resource it protects refuses a
 * token smaller than one it has seen.
 *
 * @module
 */

import type { Context } from "hono";
import { formatDuration, type Outcome, unreachable } from "../../base/index.ts";
import type { Contender, LockAnswer } from "../../objects/index.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv } from "../env.ts";
import type { LeaderRouter } from "../leader.ts";
import { findLeaderMs, lockBodyBytesMax, lockMarginMs, readMs, writeMs } from "../limits.ts";
import { isLockId, makeLockId, placeOf } from "../lock-ids.ts";
import { readLockOrder } from "../lock-orders.ts";
import { badRequest, Problem } from "../problems.ts";
import { readQuery } from "../queries.ts";
import { foreignPlace, readSession } from "../session-header.ts";
import { intervene } from "./lock-interventions.ts";
import { pathOf, quoted, refusal } from "./shared.ts";

export async function postLock(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = lockPathOf(c.req.raw);
  const { revoke, steal } = readQuery(c.req.url, ["revoke", "steal"]);
  if (revoke !== undefined && steal !== undefined) {
    throw badRequest('Cannot do both to a lock: either "revoke" or "steal" may be given', path);
  }
  if (revoke !== undefined) return intervene(c, router, { kind: "revoke", path, tokenText: revoke });
  if (steal !== undefined) return intervene(c, router, { kind: "steal", path, tokenText: steal });
  const action = `Cannot lock ${quoted(path)}`;
  const session = readSession(c.req.raw.headers);
  const order = readLockOrder(await readBody(c.req.raw, lockBodyBytesMax, { action, path }), {
    ...{ path, isInSession: session !== undefined },
  });
  const id = order.id ?? makeLockId();
  const place = await placeOf(id);
  const { identities } = c.get("caller");
  const waitUntil = Date.now() + order.waitMs;
  const waitMs = () => Math.max(0, waitUntil - Date.now());
  const { mode, ttlMs, owner, delayMs } = order;
  const { reply } = await router.run(c.get("ensemble"), {
    action,
    path,
    effect: "idempotent",
    searchMs: order.waitMs + findLeaderMs,
    more: { id },
    attemptMs: () => waitMs() + lockMarginMs,
    attempt: (member) =>
      member.acquireLock({
        path,
        id: place,
        session,
        mode,
        ttlMs,
        waitMs: waitMs(),
        owner,
        delayMs,
        identities,
      }),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "timedOut") {
    // Its own place is listed, and is given up by now.
    const others = reply.contenders.filter((contender) => contender.id !== place);
    throw lockHeld(`${action}: it was not granted within ${formatDuration(order.waitMs)}`, path, others);
  }
  if (reply.kind === "gone") throw placeLost(action, path);
  return lockAnswer(reply, { action, path, id, status: 201 });
}

export async function putLock(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = lockPathOf(c.req.raw);
  const id = readIdParameter(c.req.url, path);
  const place = await placeOf(id);
  const session = readSession(c.req.raw.headers);
  const { identities } = c.get("caller");
  const action = `Cannot keep the lock on ${quoted(path)}`;
  const { reply } = await router.run(c.get("ensemble"), {
    action,
    path,
    effect: "idempotent",
    more: { id },
    attemptMs: () => writeMs,
    attempt: (member) => member.keepLock({ path, id: place, session, identities }),
  });
  c.set("zxid", reply.zxid);
  return lockAnswer(reply, { action, path, id, status: 200 });
}

export async function deleteLock(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = lockPathOf(c.req.raw);
  const id = readIdParameter(c.req.url, path);
  const place = await placeOf(id);
  const session = readSession(c.req.raw.headers);
  const { identities } = c.get("caller");
  const action = `Cannot release the lock on ${quoted(path)}`;
  const { reply, repeated } = await router.run(c.get("ensemble"), {
    action,
    path,
    effect: "idempotent",
    more: { id },
    attemptMs: () => writeMs,
    attempt: (member) => member.releaseLock({ path, id: place, session, identities }),
  });
  c.set("zxid", reply.zxid);
  // If an earlier attempt may have released it, then "gone" is what it was asked to be.
  if (reply.kind === "gone" && repeated) return new Response(null, { status: 204 });
  return lockAnswer(reply, { action, path, id, status: 204 });
}

export async function getLock(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = lockPathOf(c.req.raw);
  readQuery(c.req.url, []);
  const { identities } = c.get("caller");
  const action = `Cannot show the lock on ${quoted(path)}`;
  const { reply } = await router.run(c.get("ensemble"), {
    action,
    path,
    effect: "none",
    attemptMs: () => readMs,
    attempt: (member) => member.describeLock(path, identities),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "refused") throw lockRefusal(reply, action, path);
  return Response.json({ path, ...splitQueue(reply.contenders), zxid: reply.zxid });
}

function lockPathOf(request: Request): string {
  const path = pathOf(request);
  if (path === "/") throw badRequest("Cannot lock the root: name a path below /locks/", path);
  return path;
}

function readIdParameter(url: string, path: string): string {
  const { id } = readQuery(url, ["id"]);
  if (id !== undefined && isLockId(id)) return id;
  throw badRequest('Cannot tell which lock is meant: "id" must be the 32 hex digits of its grant', path);
}

type SettledLock = Exclude<
  LockAnswer,
  { readonly kind: "notLeader" | "blank" | "overloaded" | "halted" | "unknown" }
>;

function lockAnswer(
  reply: SettledLock,
  { action, path, id, status }: { action: string; path: string; id: string; status: 200 | 201 | 204 },
): Response {
  switch (reply.kind) {
    case "granted":
      return Response.json(grantJson(reply, { id, path }), { status });
    case "released":
      return new Response(null, { status: 204 });
    case "gone":
      throw lockGone(action, path);
    case "foreign":
      throw foreignPlace(action);
    case "timedOut":
      throw lockHeld(`${action}: it is not granted`, path, reply.contenders);
    case "refused":
      throw lockRefusal(reply, action, path);
    default:
      return unreachable(reply);
  }
}

function grantJson(
  grant: Extract<LockAnswer, { readonly kind: "granted" }>,
  { id, path }: { readonly id: string; readonly path: string },
) {
  const { token, mode, ttlMs, expiresAtMs, isRevoked } = grant;
  const expiresAt = new Date(expiresAtMs).toISOString();
  const asked = isRevoked && { revocation_requested: true };
  return { id, token, mode, path, ttl_ms: ttlMs, expires_at: expiresAt, ...asked };
}

function splitQueue(contenders: readonly Contender[]) {
  const shown = (holds: boolean) =>
    contenders.filter((contender) => contender.holds === holds).map(contenderJson);
  return { holders: shown(true), queue: shown(false) };
}

/** How a contender is shown to others. */
export function contenderJson({ name, mode, owner, token, sinceMs, isRevoked }: Contender) {
  const since = new Date(sinceMs).toISOString();
  return { name, mode, owner, token, since, ...(isRevoked && { revocation_requested: true }) };
}

function lockHeld(detail: string, path: string, contenders: readonly Contender[]): Problem {
  return new Problem({
    slug: "lock-held",
    title: "Lock is held",
    status: 409,
    detail,
    path,
    more: splitQueue(contenders),
  });
}

/** While it waited: its session lapsed, or somebody deleted its znode or released its id. */
function placeLost(action: string, path: string): Problem {
  return new Problem({
    slug: "lock-place-lost",
    title: "Place in the queue was lost",
    status: 409,
    detail: `${action}: it lost its place in the queue and does not hold it, try again`,
    path,
  });
}

function lockGone(action: string, path: string): Problem {
  return new Problem({
    slug: "lock-gone",
    title: "Lock does not exist",
    status: 404,
    detail: `${action}: no lock of that id is held or waits here, it was released or has expired`,
    path,
  });
}

function lockRefusal(
  refused: { readonly outcome: Outcome; readonly path: string },
  action: string,
  path: string,
): Problem {
  // The culprit may be an ancestor of the lock, or one of its contenders.
  const reason = refused.path === path ? undefined : `${quoted(refused.path)} was refused`;
  return refusal(refused.outcome, { action, path: refused.path, reason });
}
