/**
 * Transactions: `POST /v1/{ensemble}/transactions`, a list of operations that are all done, under one zxid,
 * or none of them.
 *
 * `check-lock` makes the rest depend on a lock. Who holds it is looked up first, at the leader, and the
 * transaction then checks that the holder's znode exists. That is enough: a holder stays one until its
 * znode goes, because those that come later queue up behind it; and no later contender gets its name,
 * which has the lock's id in it and a number that grows. (Only a lock znode that is itself deleted counts
 * anew; an id that is used for one lock once, as it should be, is still different.)
 *
 * A refusal names the first operation that did not hold, and nothing was changed. A check that fails is
 * 412 whatever ZooKeeper's code for it, like the preconditions of a single write.
 *
 * @module
 */

import type { Context } from "hono";
import {
  assert,
  joinPath,
  type MultiOp,
  type MultiResult,
  OpCode,
  ZkErrorCode,
  zkErrorName,
} from "../../base/index.ts";
import type { Contender } from "../../objects/index.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv } from "../env.ts";
import type { LeaderRouter } from "../leader.ts";
import { readMs, transactionBodyBytesMax } from "../limits.ts";
import { type Problem, problemOfCode } from "../problems.ts";
import { readQuery } from "../queries.ts";
import { statJson } from "../representations.ts";
import { readSession } from "../session-header.ts";
import { type LockCheck, type Operation, readTransaction } from "../transaction-orders.ts";
import { bodyOf, perform, quoted, refusal } from "./shared.ts";

const action = "Cannot run the transaction";

export async function postTransaction(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const hasSession = readSession(c.req.raw.headers) !== undefined;
  const body = await readBody(c.req.raw, transactionBodyBytesMax, { action });
  const operations = readTransaction(body, hasSession);
  const queues = await readQueues(c, router, operations);
  const ops = operations.map((operation, index) => partOf(operation, index, queues));
  const { outcome, zxid } = await perform(c, router, {
    action,
    request: { type: OpCode.Multi, ops },
    consistency: "linearizable",
  });
  if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action });
  const { results } = bodyOf(outcome, "multi");
  assert(results.length === operations.length, "every operation has a result");
  throwIfRefused(operations, results);
  const done = operations.map((operation, index) => resultJson(operation, results[index]));
  return Response.json({ zxid, results: done }, { headers: { "Ek-Zxid": zxid } });
}

type Queues = ReadonlyMap<string, readonly Contender[]>;

/** The contenders of every lock that is checked, each lock looked up once. */
async function readQueues(
  c: Context<AppEnv>,
  router: LeaderRouter,
  operations: readonly Operation[],
): Promise<Queues> {
  const indexes = new Map<string, number>();
  for (const [index, { op, path }] of operations.entries()) {
    if (op === "check-lock" && !indexes.has(path)) indexes.set(path, index);
  }
  const { identities } = c.get("caller");
  const read = Array.from(indexes, async ([path, index]) => {
    const { reply } = await router.run(c.get("ensemble"), {
      action,
      path,
      effect: "none",
      attemptMs: () => readMs,
      attempt: (member) => member.describeLock(path, identities),
    });
    if (reply.kind === "refused") throw refusedAt(reply.outcome.err, "check-lock", path, index);
    return [path, reply.contenders] as const;
  });
  return new Map(await Promise.all(read));
}

function partOf(operation: Operation, index: number, queues: Queues): MultiOp {
  if (operation.op !== "check-lock") return operation.part;
  const { path, check } = operation;
  const holder = (queues.get(path) ?? []).find((contender) => isMeant(contender, check));
  if (holder === undefined) throw lockNotHeld(path, index);
  return { type: OpCode.Check, path: joinPath(path, holder.name), version: -1 };
}

function isMeant({ holds, id, token }: Contender, check: LockCheck): boolean {
  return holds && (check.id ?? id) === id && (check.token ?? token) === token;
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
function versionOf(operation: Operation): number {
  return operation.op !== "check-lock" && "version" in operation.part ? operation.part.version : -1;
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
    reason: "no holder has this id and token, the lock was released, has expired or was not granted yet",
    more: { index, op: "check-lock" },
  });
}

function resultJson({ op, path }: Operation, result: MultiResult | undefined) {
  if (result?.kind === "createdWithStat") return { op, path: result.path, stat: statJson(result.stat) };
  return result?.kind === "dataSet" ? { op, path, stat: statJson(result.stat) } : { op, path };
}
