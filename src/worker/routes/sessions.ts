/**
 * Sessions for clients without a connection: `/v1/{ensemble}/sessions`.
 *
 * `POST` opens one, `PUT .../{id}` keeps it alive, `DELETE .../{id}` closes it, `GET .../{id}` shows it. Its id
 * stands in URLs and logs; its password, which only `POST` tells, never leaves the header `Ek-Session`.
 *
 * @module
 */

import type { Context } from "hono";
import { assert, unreachable, ZkErrorCode } from "../../base/index.ts";
import type { SessionAnswer, SessionCredential, SessionOrder } from "../../objects/index.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv } from "../env.ts";
import { JsonObject } from "../json-objects.ts";
import type { Effect, LeaderRouter } from "../leader.ts";
import {
  readMs,
  sessionBodyBytesMax,
  sessionTtlMsDefault,
  sessionTtlMsMax,
  sessionTtlMsMin,
  writeMs,
} from "../limits.ts";
import { badRequest, problemOfCode } from "../problems.ts";
import { readQuery } from "../queries.ts";
import { foreignSession, formatSession, readSession } from "../session-header.ts";
import { quoted } from "./shared.ts";

export async function postSession(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const action = "Cannot open a session";
  const body = new JsonObject(await readBody(c.req.raw, sessionBodyBytesMax, { action }), ["ttl"], {
    action,
  });
  const bounds = { min: sessionTtlMsMin, max: sessionTtlMsMax, otherwise: sessionTtlMsDefault };
  const timeoutMs = body.duration("ttl", bounds);
  // Opened twice, one of the two is used by nobody and lapses.
  const opened = await attend(c, router, {
    action,
    effect: "idempotent",
    order: { kind: "open", timeoutMs },
  });
  assert(opened.kind === "session", "who opens a session is told of it");
  const { id, password } = opened;
  const location = `/v1/${c.get("ensemble").name}/sessions/${id}`;
  return Response.json(
    { ...sessionJson(opened), session: formatSession({ id, password }) },
    { status: 201, headers: { Location: location } },
  );
}

export async function getSession(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const { action, credential } = sessionOf(c, "show");
  const order = { kind: "describe", credential } as const;
  const shown = await attend(c, router, { action, effect: "none", order });
  if (shown.kind !== "session") throw expired(action);
  return Response.json({ ...sessionJson(shown), ephemerals: shown.ephemerals });
}

export async function putSession(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const { action, credential } = sessionOf(c, "keep");
  const kept = await attend(c, router, { action, effect: "idempotent", order: { kind: "keep", credential } });
  if (kept.kind !== "session") throw expired(action);
  return Response.json(sessionJson(kept));
}

export async function deleteSession(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const { action, credential } = sessionOf(c, "close");
  const order = { kind: "close", credential } as const;
  const closed = await attend(c, router, { action, effect: "idempotent", order });
  // If an earlier attempt may have closed it, then its end is what was asked for.
  if (closed.kind === "closed" || closed.repeated) return new Response(null, { status: 204 });
  throw expired(action);
}

/** The session in the path, and the proof in the header that it is the caller's. */
function sessionOf(
  c: Context<AppEnv>,
  verb: "show" | "keep" | "close",
): { readonly action: string; readonly credential: SessionCredential } {
  readQuery(c.req.url, []);
  const id = c.req.param("id") ?? "";
  const action = `Cannot ${verb} session ${quoted(id.slice(0, 100))}`;
  const credential = readSession(c.req.raw.headers);
  if (credential === undefined) throw badRequest(`${action}: send its id and password as Ek-Session`);
  if (credential.id !== id) throw badRequest(`${action}: Ek-Session is another one`);
  return { action, credential };
}

interface Attendance {
  readonly action: string;
  readonly effect: Effect;
  readonly order: SessionOrder;
}

type Attended = Extract<SessionAnswer, { readonly kind: "session" | "closed" | "expired" }>;

async function attend(
  c: Context<AppEnv>,
  router: LeaderRouter,
  { action, effect, order }: Attendance,
): Promise<Attended & { readonly repeated: boolean }> {
  const { reply, repeated } = await router.run(c.get("ensemble"), {
    action,
    effect,
    attemptMs: () => (effect === "none" ? readMs : writeMs),
    attempt: (member) => member.attendSession(order),
  });
  c.set("zxid", reply.zxid);
  switch (reply.kind) {
    case "foreign":
      throw foreignSession(action);
    case "session":
    case "closed":
    case "expired":
      return { ...reply, repeated };
    default:
      return unreachable(reply);
  }
}

function expired(action: string) {
  return problemOfCode(ZkErrorCode.SessionExpired, { action, reason: "it has expired or was closed" });
}

function sessionJson({ id, timeoutMs, expiresAtMs, zxid }: Extract<Attended, { readonly kind: "session" }>) {
  return { id, ttl_ms: timeoutMs, expires_at: new Date(expiresAtMs).toISOString(), zxid };
}
