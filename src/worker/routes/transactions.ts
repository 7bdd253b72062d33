/**
 * Transactions: `POST /v1/{ensemble}/transactions`, a list of operations that are all done, under one zxid,
 * or none of them.
 *
 * `check-lock` makes the rest depend on a lock: the leader decides it with the rest of the transaction, so
 * nobody can lose or take the lock in between.
 *
 * A refusal names the first operation that did not hold, and nothing was changed. A check that fails is
 * 412 whatever ZooKeeper's code for it, like the preconditions of a single write.
 *
 * @module
 */

import type { Context } from "hono";
import {
  assert,
  keyedPartsMax,
  keyedPathUnitsMax,
  type MultiResult,
  OpCode,
  ZkErrorCode,
  zkErrorName,
} from "../../base/index.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv } from "../env.ts";
import { readIdempotency } from "../idempotency.ts";
import type { LeaderRouter } from "../leader.ts";
import { transactionBodyBytesMax } from "../limits.ts";
import { type Problem, problemOfCode, tooLarge } from "../problems.ts";
import { readQuery } from "../queries.ts";
import { statJson } from "../representations.ts";
import { readSession } from "../session-header.ts";
import { type Operation, readTransaction } from "../transaction-orders.ts";
import { bodyOf, performOnce, quoted, refusal } from "./shared.ts";

const action = "Cannot run the transaction";

export async function postTransaction(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const hasSession = readSession(c.req.raw.headers) !== undefined;
  const body = await readBody(c.req.raw, transactionBodyBytesMax, { action });
  const operations = readTransaction(body, hasSession);
  const idempotency = await readIdempotency(c.req.raw, body, c.get("caller"));
  if (idempotency !== undefined) checkKeyed(operations);
  const request = { type: OpCode.Multi, ops: operations.map(({ part }) => part) } as const;
  const { outcome, zxid } = await performOnce(c, router, { action, request }, { idempotency, step: 1 });
  if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action });
  const { results } = bodyOf(outcome, "multi");
  assert(results.length === operations.length, "every operation has a result");
  throwIfRefused(operations, results);
  const done = operations.map((operation, index) => resultJson(operation, results[index]));
  return Response.json({ zxid, results: done }, { headers: { "Ek-Zxid": zxid } });
}

/** What is remembered of every operation is bounded. */
function checkKeyed(operations: readonly Operation[]): void {
  const { length } = operations;
  if (length > keyedPartsMax) {
    throw tooLarge(
      `${action}: it has ${length} operations, ${keyedPartsMax} are allowed with an Idempotency-Key`,
    );
  }
  const units = operations.reduce((sum, { path }) => sum + path.length, 0);
  if (units > keyedPathUnitsMax) {
    throw tooLarge(
      `${action}: its paths have ${units} characters, ${keyedPathUnitsMax} are allowed with an Idempotency-Key`,
    );
  }
}

function throwIfRefused(operations: readonly Operation[], results: readonly MultiResult[]): void {
  // Those before it say Ok, those behind it RuntimeInconsistency.
  const index = results.findIndex((result) => result.kind === "error" && result.code !== ZkErrorCode.Ok);
  const result = results[index];
  const operation = operations[index];
  if (result?.kind !== "error" || operation === undefined) return;
  const code = zkErrorOf(result.code);
  if (operation.op === "check-lock" && code === ZkErrorCode.NoNode) throw lockNotHeld(operation.path, index);
  throw refusedAt(code, operation.op, operation.path, index, versionOf(operation));
}

/** On the wire a part's code is any number. */
function zkErrorOf(code: number): ZkErrorCode {
  const name = zkErrorName(code);
  return name === undefined ? ZkErrorCode.SystemError : ZkErrorCode[name];
}

/** -1 where none was asked for. */
function versionOf({ part }: Operation): number {
  return "version" in part ? part.version : -1;
}

function refusedAt(
  code: ZkErrorCode,
  op: Operation["op"],
  path: string,
  index: number,
  version = -1,
): Problem {
  const isPrecondition = code === ZkErrorCode.NoNode && (op === "check" || version !== -1);
  return problemOfCode(code, {
    action: `${action}, operation ${index} cannot ${op} ${quoted(path)} and nothing was changed`,
    path,
    status: isPrecondition ? 412 : undefined,
    reason: reasonOf(code, op, version),
    more: { index, op },
  });
}

function reasonOf(code: ZkErrorCode, op: Operation["op"], version: number): string | undefined {
  if (code === ZkErrorCode.BadVersion) return `its version is not ${version}`;
  return code === ZkErrorCode.NoNode && op === "create" ? "its parent does not exist" : undefined;
}

function lockNotHeld(path: string, index: number): Problem {
  return problemOfCode(ZkErrorCode.NoNode, {
    action: `${action}, operation ${index} cannot check-lock ${quoted(path)} and nothing was changed`,
    path,
    status: 412,
    reason: "it is not held under this token: it was released, has expired or was not granted yet",
    more: { index, op: "check-lock" },
  });
}

function resultJson({ op, path }: Operation, result: MultiResult | undefined) {
  if (result?.kind === "createdWithStat") return { op, path: result.path, stat: statJson(result.stat) };
  return result?.kind === "dataSet" ? { op, path, stat: statJson(result.stat) } : { op, path };
}
