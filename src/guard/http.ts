/**
 * The token in a request's header, and what answers a request without a good one.
 *
 * `Ek-Lock-Token: 0x100000007` says under which grant of a lock a request is made. Which resource it is
 * checked against is the server's to say, never the client's. Middleware admits requests, and their writes
 * may still land in another order than they were admitted in; inside a handler, `tokenOf` and a fence of the
 * store itself are exact.
 *
 * @module
 */

import { admit, type TokenStore } from "./store.ts";
import { type FencingToken, formatToken, parseToken, readToken, StaleToken } from "./token.ts";

export const tokenHeader = "Ek-Lock-Token";

/**
 * The header for a request under a lock.
 *
 * @throws RangeError for what is no token.
 * @example
 * await fetch(url, { method: "PUT", body, headers: fenceHeaders(lock), signal: lock.signal });
 */
export function fenceHeaders({ token }: { readonly token: FencingToken }): Record<string, string> {
  return { [tokenHeader]: formatToken(readToken(token)) };
}

/** The token of a request; `undefined` when it has none, or one that cannot be read. */
export function tokenOf(request: Request): bigint | undefined {
  const text = request.headers.get(tokenHeader);
  return text === null ? undefined : parseToken(text);
}

/**
 * Admits a request by its token: `undefined`, or the answer that refuses it.
 *
 * 428 without the header, 400 when it cannot be read, 412 when a greater token was seen; nothing has happened
 * then. Errors of the store are thrown.
 */
export async function refusalOf(
  request: Request,
  store: TokenStore,
  resource: string,
): Promise<Response | undefined> {
  const text = request.headers.get(tokenHeader);
  if (text === null) {
    const detail = `Cannot do this without a lock: send its token as ${tokenHeader}`;
    return problem(428, "lock-token-required", "Lock token is required", detail);
  }
  const token = parseToken(text);
  if (token === undefined) {
    const detail = `Cannot read ${tokenHeader}: it must be 0x and hexadecimal digits`;
    return problem(400, "bad-lock-token", "Lock token cannot be read", detail);
  }
  try {
    await admit(store, resource, token);
    return undefined;
  } catch (error) {
    if (!(error instanceof StaleToken)) throw error;
    return problem(412, "stale-lock-token", "Lock token is stale", error.message);
  }
}

/**
 * A handler behind the fence: only requests whose token passes get there.
 *
 * @param resourceOf - Which resource a request is about; `undefined` lets it pass without a token.
 * @example
 * export default { fetch: fenced(handle, tokens, (request) => new URL(request.url).pathname) };
 */
export function fenced<Rest extends readonly unknown[]>(
  handle: (request: Request, ...rest: Rest) => Response | Promise<Response>,
  store: TokenStore,
  resourceOf: (request: Request) => string | undefined,
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    const resource = resourceOf(request);
    const refusal = resource === undefined ? undefined : await refusalOf(request, store, resource);
    return refusal ?? handle(request, ...rest);
  };
}

/** Of Hono's context, what the middleware needs. */
interface HonoContext {
  readonly req: { readonly raw: Request };
}

/**
 * The same as middleware of Hono.
 *
 * @param resourceOf - Default: the request's path.
 * @example
 * app.put("/reports/*", honoFence(tokens), (c) => save(c));
 */
export function honoFence(
  store: TokenStore,
  resourceOf: (request: Request) => string = (request) => new URL(request.url).pathname,
): (c: HonoContext, next: () => Promise<void>) => Promise<Response | undefined> {
  return async (c, next) => {
    const refusal = await refusalOf(c.req.raw, store, resourceOf(c.req.raw));
    if (refusal === undefined) await next();
    return refusal;
  };
}

function problem(status: number, slug: string, title: string, detail: string): Response {
  return Response.json(
    { type: `/problems/${slug}`, title, status, detail },
    { status, headers: { "Content-Type": "application/problem+json" } },
  );
}
