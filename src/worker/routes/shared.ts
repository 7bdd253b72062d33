/**
 * What the routes have in common: paths out of URLs, requests to the tree, refusals, methods.
 *
 * @module
 */

import type { Context, Handler } from "hono";
import {
  assert,
  type KeyedRequest,
  OpCode,
  type Outcome,
  pathFault,
  type ResponseBody,
} from "../../base/index.ts";
import type { Answer, Call } from "../../objects/index.ts";
import type { AppEnv } from "../env.ts";
import { behind } from "../floor.ts";
import { type Idempotency, keyReused } from "../idempotency.ts";
import type { Effect, LeaderRouter, Whom } from "../leader.ts";
import { readMs, writeMs } from "../limits.ts";
import { badRequest, Problem, problemOfCode } from "../problems.ts";
import { foreignSession, readSession } from "../session-header.ts";
import { decodePath, pathTail } from "../znode-paths.ts";

/** How many segments stand before the path: `/v1/{ensemble}/znodes`. */
const routeSegments = 3;

/**
 * The znode path in the request's URL.
 *
 * @param suffix - What the server will append: a sequential znode's prefix may end with a slash.
 * @throws {@link Problem} 400 for a path no znode can have.
 */
export function pathOf(request: Request, suffix = ""): string {
  const tail = pathTail(new URL(request.url).pathname, routeSegments);
  const decoded = decodePath(tail);
  if (!decoded.ok) throw badRequest(`Cannot use the path ${quoted(tail)}: ${decoded.fault}`);
  const fault = pathFault(decoded.path + suffix);
  if (fault !== undefined) {
    throw badRequest(`Cannot use the path ${quoted(decoded.path)}: ${fault}`, decoded.path);
  }
  return decoded.path;
}

/** In double quotes, as details show values. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

export type Answered = Extract<Answer, { readonly kind: "answered" }>;

/** A request to the tree, and how it is spoken of. */
export interface Ask extends Omit<Call, "identities" | "session"> {
  readonly action: string;
  /** Absent when it concerns many. */
  readonly path?: string | undefined;
  /** Default: the leader. */
  readonly whom?: Whom | undefined;
}

/** Has the ensemble perform a request; the outcome may be a refusal. */
export async function perform(c: Context<AppEnv>, router: LeaderRouter, ask: Ask): Promise<Answered> {
  const { action, path, request, consistency, floor, whom } = ask;
  const { identities } = c.get("caller");
  const session = readSession(c.req.raw.headers);
  const effect = effectOf(request);
  const { reply } = await router.run(c.get("ensemble"), {
    action,
    path,
    effect,
    whom,
    unled: effect === "none" && consistency === "local",
    attemptMs: () => (effect === "none" ? readMs : writeMs),
    attempt: (member) => member.perform({ request, identities, session, consistency, floor }),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "foreign") throw foreignSession(action);
  if (reply.kind === "behind") throw behind(action, { path, floor: floor ?? "0x0", zxid: reply.zxid });
  if (reply.kind === "keyReused") throw keyReused(action);
  if (reply.repeated === true) c.set("repeated", true);
  return reply;
}

/** A write under the caller's `Idempotency-Key`, if it brought one. */
export async function performOnce(
  c: Context<AppEnv>,
  router: LeaderRouter,
  ask: Omit<Ask, "request" | "consistency"> & { readonly request: KeyedRequest["request"] },
  once: { readonly idempotency: Idempotency | undefined; readonly step: number },
): Promise<Answered> {
  const request = (await once.idempotency?.keyed(once.step, ask.request)) ?? ask.request;
  return perform(c, router, { ...ask, request, consistency: "linearizable" });
}

/** What is not listed here is never repeated. */
function effectOf({ type }: Call["request"]): Effect {
  switch (type) {
    case OpCode.GetData:
    case OpCode.GetAcl:
    case "childrenPage":
    case "subtree":
      return "none";
    case OpCode.Keyed:
      return "idempotent";
    default:
      return "once";
  }
}

/** The outcome's body, which is of `kind` unless a member broke the contract. */
export function bodyOf<Kind extends ResponseBody["kind"]>(
  { body }: Outcome,
  kind: Kind,
): Extract<ResponseBody, { readonly kind: Kind }> {
  assert(isOfKind(body, kind), `a member answers with ${kind}`);
  return body;
}

function isOfKind<Kind extends ResponseBody["kind"]>(
  body: ResponseBody | undefined,
  kind: Kind,
): body is Extract<ResponseBody, { readonly kind: Kind }> {
  return body?.kind === kind;
}

/** The problem of a refused outcome. */
export function refusal(
  outcome: Outcome,
  about: {
    action: string;
    path?: string | undefined;
    reason?: string | undefined;
    status?: number | undefined;
  },
): Problem {
  return problemOfCode(outcome.err, about);
}

/** Answers a method the resource does not know. */
export function allowOnly(...methods: readonly string[]): Handler<AppEnv> {
  const allowed = methods.join(", ");
  return (c) => {
    throw new Problem({
      slug: "method-not-allowed",
      title: "Method not allowed",
      status: 405,
      detail: `Cannot ${c.req.method} here: allowed are ${allowed}`,
      headers: { Allow: allowed },
    });
  };
}
