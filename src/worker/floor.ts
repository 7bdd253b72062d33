/**
 * `Ek-Session-Zxid`: what a client has seen. What it is shown next is never older.
 *
 * Reads of znodes and watch streams tell their member, which catches up first. Whatever else a `GET` answers is
 * held to it here, by the zxid of the answer: an ensemble that lost its storage, or a member that was asked by
 * its id, may be behind.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import { compareZxid, parseZxid } from "../base/index.ts";
import type { AppEnv } from "./env.ts";
import { badRequest, Problem, problemResponse } from "./problems.ts";

const floorHeader = "Ek-Session-Zxid";

/** Printed. @throws Problem 400 for what is no zxid. */
export function readFloor(headers: Headers): string | undefined {
  const text = headers.get(floorHeader) ?? undefined;
  if (text === undefined || parseZxid(text) !== undefined) return text;
  throw badRequest(
    `Cannot read ${floorHeader}: "${text.slice(0, 100)}" is no zxid, which is 0x and hex digits`,
  );
}

/** Nobody can have seen what is not committed: it was another ensemble, or one that lost its storage. */
export function behind(
  action: string,
  {
    floor,
    zxid,
    path,
  }: { readonly floor: string; readonly zxid: string; readonly path?: string | undefined },
): Problem {
  return new Problem({
    slug: "behind",
    title: "Nothing as late is committed",
    status: 412,
    detail: `${action}: ${floorHeader} is ${floor}, the ensemble has committed through ${zxid}`,
    more: { path, zxid },
  });
}

export const neverOlder: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.req.method !== "GET" && c.req.method !== "HEAD") return next();
  const floorText = readFloor(c.req.raw.headers);
  await next();
  const zxidText = c.get("zxid");
  const floor = floorText === undefined ? undefined : parseZxid(floorText);
  const zxid = zxidText === undefined ? undefined : parseZxid(zxidText);
  if (floorText === undefined || zxidText === undefined || floor === undefined || zxid === undefined) return;
  if (compareZxid(zxid, floor) >= 0 || c.res.status === 412) return;
  await c.res.body?.cancel();
  c.res = problemResponse(behind("Cannot show it", { floor: floorText, zxid: zxidText }).fields);
};
