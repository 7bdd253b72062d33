/**
 * `DELETE /v1/{ensemble}/znodes/{path}?recursive`: a znode and everything below it, in one transaction.
 *
 * The znodes are listed and counted first; above the limit nothing is done. What others create or delete
 * meanwhile makes the transaction fail as a whole, and it is begun again from a new list.
 *
 * @module
 */

import type { Context } from "hono";
import { OpCode, ZkErrorCode, zkErrorName } from "../../base/index.ts";
import { utf8Bytes } from "../acls.ts";
import type { AppEnv } from "../env.ts";
import type { LeaderRouter } from "../leader.ts";
import {
  operationOverheadBytes,
  recursiveRoundsMax,
  transactionBytesMax,
  transactionOperationsMax,
} from "../limits.ts";
import { badRequest, Problem, problemOfCode, tooLarge } from "../problems.ts";
import { bodyOf, perform, quoted, refusal } from "./shared.ts";

export async function deleteSubtree(
  c: Context<AppEnv>,
  router: LeaderRouter,
  path: string,
  limitText: string | undefined,
): Promise<Response> {
  const limit = readLimit(limitText);
  const action = `Cannot delete ${quoted(path)} and what is below it`;
  if (path === "/") throw badRequest(`${action}: the root cannot be deleted`, path);
  for (let round = 1; ; round++) {
    const paths = await listSubtree(c, router, { action, path, limit });
    const request = {
      type: OpCode.Multi,
      ops: paths.map((one) => ({ type: OpCode.Delete, path: one, version: -1 })),
    } as const;
    const { outcome, zxid } = await perform(c, router, {
      action,
      path,
      request,
      consistency: "linearizable",
    });
    if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action, path });
    const { results } = bodyOf(outcome, "multi");
    const at = results.findIndex((result) => result.kind === "error" && result.code !== ZkErrorCode.Ok);
    const culprit = results[at];
    if (culprit?.kind !== "error") {
      return Response.json({ path, deleted: paths.length, zxid }, { headers: { "Ek-Zxid": zxid } });
    }
    const code = ZkErrorCode[zkErrorName(culprit.code) ?? "SystemError"];
    const wasOvertaken = code === ZkErrorCode.NoNode || code === ZkErrorCode.NotEmpty;
    if (!wasOvertaken || round === recursiveRoundsMax) throw refusedAt(code, action, paths[at] ?? path);
  }
}

function refusedAt(code: ZkErrorCode, action: string, culprit: string): Problem {
  const reason = `${quoted(culprit)} was refused (${zkErrorName(code)}), nothing was deleted`;
  return problemOfCode(code, { action, path: culprit, reason });
}

/** Children before their parents. @throws Problem when there are too many, or their paths too long. */
async function listSubtree(
  c: Context<AppEnv>,
  router: LeaderRouter,
  { action, path, limit }: { action: string; path: string; limit: number },
): Promise<readonly string[]> {
  const request = { type: "subtree", path, limit } as const;
  const { outcome, more } = await perform(c, router, { action, path, request, consistency: "linearizable" });
  if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action, path });
  if (more === true) throw tooMany(action, path, limit);
  const { children } = bodyOf(outcome, "children");
  const bytes = children.reduce((sum, one) => sum + operationOverheadBytes + utf8Bytes(one), 0);
  if (bytes > transactionBytesMax)
    throw tooLarge(`${action}: its paths are too long for one transaction`, path);
  return children;
}

function tooMany(action: string, path: string, limit: number): Problem {
  return new Problem({
    slug: "too-many-znodes",
    title: "Too many znodes",
    status: 409,
    detail: `${action}: it has more than ${limit} znodes, nothing was deleted`,
    codeName: "NotEmpty",
    path,
    more: { limit },
  });
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return transactionOperationsMax;
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= transactionOperationsMax) return limit;
  throw badRequest(
    `Cannot read the query: "limit" is ${quoted(text.slice(0, 100))}, not 1 to ${transactionOperationsMax}`,
  );
}
