/**
 * What stands before routes that take less than others: a body or a key that would do nothing is refused, so
 * that nobody believes it did.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import { readBody } from "./bodies.ts";
import type { AppEnv } from "./env.ts";
import { refuseKey } from "./idempotency.ts";
import { lockBodyBytesMax } from "./limits.ts";
import { badRequest } from "./problems.ts";

/** For routes that say all in path, query and headers. */
export const takesNoBody: MiddlewareHandler<AppEnv> = async (c, next) => {
  const action = `Cannot ${c.req.method} with a body here`;
  const body = await readBody(c.req.raw, lockBodyBytesMax, { action });
  if (body.byteLength > 0) throw badRequest(`${action}: none is taken, leave it out`);
  await next();
};

/** For routes whose requests may be sent again as they are, or under an `id`. */
export const takesNoKey: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.req.method !== "GET" && c.req.method !== "HEAD")
    refuseKey(
      c.req.raw.headers,
      'only writes of znodes and transactions are remembered; locks, elections and semaphores take an "id"',
    );
  await next();
};
