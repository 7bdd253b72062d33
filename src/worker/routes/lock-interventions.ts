/**
 * What others may do about a lock that is held: `POST ...?revoke=<token>` asks its holder to give it back,
 * `POST ...?steal=<token>` takes it from the holder.
 *
 * Both name the grant they mean, and are one transaction that checks it: whoever holds the lock by then under
 * another token is left alone. A steal gives the lock to nobody; the next in the queue has it, whose token
 * is greater, as ever. So whoever wants it queues up first.
 *
 * @module
 */

import type { Context } from "hono";
import {
  contenderData,
  formatZxid,
  joinPath,
  type MultiOp,
  OPEN_ACL,
  OpCode,
  parseZxid,
  revokedData,
  type Steal,
  stealsName,
  withSteal,
  ZkErrorCode,
  type Zxid,
  zkErrorName,
} from "../../base/index.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv } from "../env.ts";
import type { LeaderRouter } from "../leader.ts";
import { interventionRoundsMax, lockBodyBytesMax, readMs } from "../limits.ts";
import { readStealOrder, type StealOrder } from "../lock-orders.ts";
import { badRequest, Problem } from "../problems.ts";
import { bodyOf, perform, quoted, refusal } from "./shared.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export type Intervention = "revoke" | "steal";

/** The holder's znode, as it was found under the token. */
interface Held {
  readonly path: string;
  readonly token: Zxid;
  readonly contender: string;
  readonly data: string;
  readonly version: number;
}

export async function intervene(
  c: Context<AppEnv>,
  router: LeaderRouter,
  about: { readonly kind: Intervention; readonly path: string; readonly tokenText: string },
): Promise<Response> {
  const { kind, path, tokenText } = about;
  const action = `Cannot ${kind} the lock on ${quoted(path)}`;
  const token = parseZxid(tokenText);
  if (token === undefined) {
    throw badRequest(`${action}: "${kind}" must be the token of its grant, 0x and hex digits`, path);
  }
  const body = await readBody(c.req.raw, lockBodyBytesMax, { action, path });
  const order = kind === "steal" ? readStealOrder(body, { action, path }) : undefined;
  if (order === undefined && body.byteLength > 0) throw badRequest(`${action}: it takes no body`, path);
  for (let round = 1; ; round++) {
    const held = await findHolder(c, router, { action, path, token });
    const ops = order === undefined ? revocationOf(held) : await stealOf(c, router, { held, order, action });
    const { outcome, zxid } = await perform(c, router, {
      action,
      path,
      request: { type: OpCode.Multi, ops },
      consistency: "linearizable",
    });
    if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action, path });
    const failed = bodyOf(outcome, "multi").results.find(
      (result) => result.kind === "error" && result.code !== ZkErrorCode.Ok,
    );
    if (failed?.kind !== "error") {
      return Response.json({ path, token: tokenText, zxid }, { headers: { "Ek-Zxid": zxid } });
    }
    const name = zkErrorName(failed.code) ?? "SystemError";
    // By another who was quicker: the next round finds the lock lost, or the znode at its new version.
    const wasOvertaken = ["NoNode", "BadVersion", "NodeExists"].includes(name);
    if (wasOvertaken && round < interventionRoundsMax) continue;
    const reason = wasOvertaken ? "its znodes changed all the time, nothing was done" : undefined;
    throw refusal({ err: ZkErrorCode[name] }, { action, path, reason });
  }
}

function revocationOf({ path, token, contender, data, version }: Held): readonly MultiOp[] {
  return [
    { type: OpCode.CheckLock, path, token },
    { type: OpCode.SetData, path: contender, data: encoder.encode(revokedData(data)), version },
  ];
}

async function stealOf(
  c: Context<AppEnv>,
  router: LeaderRouter,
  { held, order, action }: { held: Held; order: StealOrder; action: string },
): Promise<readonly MultiOp[]> {
  const { path, token, contender } = held;
  const at = joinPath(path, stealsName);
  const stored = await readZnode(c, router, { action, path: at });
  const steal: Steal = {
    token: formatZxid(token),
    owner: contenderData(held.data).owner,
    ...order,
    identities: c.get("caller").identities.map(({ scheme, id }) => `${scheme}:${id}`),
    at: new Date().toISOString(),
  };
  const data = encoder.encode(withSteal(stored?.data ?? "", steal));
  const record: MultiOp =
    stored === undefined
      ? { type: OpCode.Create2, path: at, data, acl: OPEN_ACL, flags: 0, ttlMs: -1 }
      : { type: OpCode.SetData, path: at, data, version: stored.version };
  return [
    { type: OpCode.CheckLock, path, token },
    { type: OpCode.Delete, path: contender, version: -1 },
    record,
  ];
}

async function findHolder(
  c: Context<AppEnv>,
  router: LeaderRouter,
  { action, path, token }: { action: string; path: string; token: Zxid },
): Promise<Held> {
  const { identities } = c.get("caller");
  const { reply } = await router.run(c.get("ensemble"), {
    action,
    path,
    effect: "none",
    attemptMs: () => readMs,
    attempt: (member) => member.describeLock(path, identities),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "refused") throw refusal(reply.outcome, { action, path });
  const holder = reply.contenders.find((each) => each.holds && each.token === formatZxid(token));
  const contender = holder === undefined ? undefined : joinPath(path, holder.name);
  const znode = contender === undefined ? undefined : await readZnode(c, router, { action, path: contender });
  if (contender !== undefined && znode !== undefined) return { path, token, contender, ...znode };
  throw new Problem({
    slug: "lock-not-held",
    title: "Lock is not held under this token",
    status: 412,
    detail: `${action}: it is not held under token ${formatZxid(token)}, nothing was changed`,
    path,
  });
}

/** `undefined` when it is not there. */
async function readZnode(
  c: Context<AppEnv>,
  router: LeaderRouter,
  { action, path }: { action: string; path: string },
): Promise<{ readonly data: string; readonly version: number } | undefined> {
  const request = { type: OpCode.GetData, path, watch: false } as const;
  const { outcome } = await perform(c, router, { action, path, request, consistency: "linearizable" });
  if (outcome.err === ZkErrorCode.NoNode) return undefined;
  if (outcome.err !== ZkErrorCode.Ok) throw refusal(outcome, { action, path });
  const { data, stat } = bodyOf(outcome, "data");
  return { data: decoder.decode(data ?? undefined), version: stat.version };
}
