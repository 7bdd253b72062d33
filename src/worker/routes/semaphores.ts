/**
 * Semaphores: `/v1/{ensemble}/semaphores/{path}`.
 *
 * `POST` queues for one of so many seats and waits for it, `PUT ?id=` keeps the seat for another `ttl`,
 * `DELETE ?id=` gives it back, `GET` shows who has seats and who waits. The layout is that of the SDK's recipe:
 * holders of both count together. A seat's `token` is a zxid that grows from grant to grant, over all seats.
 *
 * Ids and `Ek-Session` are as with locks (`locks.ts`).
 *
 * @module
 */

import type { Context } from "hono";
import { formatDuration, type Outcome, unreachable } from "../../base/index.ts";
import type { SeatAnswer, SemaphoreState } from "../../objects/index.ts";
import { readBody } from "../bodies.ts";
import type { AppEnv, MemberStub } from "../env.ts";
import { JsonObject } from "../json-objects.ts";
import type { LeaderRouter } from "../leader.ts";
import {
  findLeaderMs,
  lockBodyBytesMax,
  lockMarginMs,
  ownerBytesMax,
  readMs,
  seatsMax,
  sessionTtlMsDefault,
  sessionTtlMsMax,
  sessionTtlMsMin,
  waitMsMax,
  writeMs,
} from "../limits.ts";
import { isLockId, makeLockId, placeOf } from "../lock-ids.ts";
import { ttlOfSession } from "../lock-orders.ts";
import { badRequest, Problem } from "../problems.ts";
import { readQuery } from "../queries.ts";
import { foreignPlace, readSession } from "../session-header.ts";
import { contenderJson } from "./locks.ts";
import { pathOf, quoted, refusal } from "./shared.ts";

export async function postSemaphore(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const path = semaphorePathOf(c.req.raw);
  const action = `Cannot take a seat of ${quoted(path)}`;
  const session = readSession(c.req.raw.headers);
  const body = await readBody(c.req.raw, lockBodyBytesMax, { action, path });
  const order = readSeatOrder(body, { action, path, isInSession: session !== undefined });
  const { id = makeLockId(), seats, ttlMs, owner } = order;
  const place = await placeOf(id);
  const { identities } = c.get("caller");
  const waitUntil = Date.now() + order.waitMs;
  const waitMs = () => Math.max(0, waitUntil - Date.now());
  const { reply } = await router.run(c.get("ensemble"), {
    ...{ action, path, effect: "idempotent", searchMs: order.waitMs + findLeaderMs, more: { id } },
    attemptMs: () => waitMs() + lockMarginMs,
    attempt: (member) =>
      member.takeSeat({ path, id: place, session, seats, ttlMs, waitMs: waitMs(), owner, identities }),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "timedOut") {
    // Its own place is listed, and is given up by now.
    const queue = reply.queue.filter((contender) => contender.id !== place);
    const reason = `none was free within ${formatDuration(order.waitMs)}`;
    throw seatsTaken(`${action}: ${reason}`, path, { ...reply, queue });
  }
  if (reply.kind === "gone") throw placeLost(action, path);
  return seatAnswer(reply, { action, path, id, seats, status: 201 });
}

export async function putSemaphore(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = semaphorePathOf(c.req.raw);
  const action = `Cannot keep the seat of ${quoted(path)}`;
  const { id, reply } = await askOfSeat(c, router, {
    ...{ action, path, ask: (member, reference) => member.keepSeat(reference) },
  });
  return seatAnswer(reply, { action, path, id, status: 200 });
}

export async function deleteSemaphore(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const path = semaphorePathOf(c.req.raw);
  const action = `Cannot release the seat of ${quoted(path)}`;
  const { id, reply, repeated } = await askOfSeat(c, router, {
    ...{ action, path, ask: (member, reference) => member.releaseSeat(reference) },
  });
  // If an earlier attempt may have released it, then "gone" is what it was asked to be.
  if (reply.kind === "gone" && repeated) return new Response(null, { status: 204 });
  return seatAnswer(reply, { action, path, id, status: 204 });
}

export async function getSemaphore(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const path = semaphorePathOf(c.req.raw);
  const { identities } = c.get("caller");
  const action = `Cannot show the semaphore at ${quoted(path)}`;
  const { reply } = await router.run(c.get("ensemble"), {
    ...{ action, path, effect: "none", attemptMs: () => readMs },
    attempt: (member) => member.describeSemaphore(path, identities),
  });
  c.set("zxid", reply.zxid);
  if (reply.kind === "refused") throw seatRefusal(reply, action, path);
  return Response.json({ path, seats: reply.seats ?? null, ...stateJson(reply), zxid: reply.zxid });
}

interface SeatErrand {
  readonly action: string;
  readonly path: string;
  readonly ask: (
    member: MemberStub,
    reference: Parameters<MemberStub["keepSeat"]>[0],
  ) => ReturnType<MemberStub["keepSeat"]>;
}

/** About the seat that the query names. */
async function askOfSeat(c: Context<AppEnv>, router: LeaderRouter, { action, path, ask }: SeatErrand) {
  const { id } = readQuery(c.req.url, ["id"]);
  if (id === undefined || !isLockId(id))
    throw badRequest('Cannot tell which seat is meant: "id" must be the 32 hex digits of its grant', path);
  const session = readSession(c.req.raw.headers);
  const { identities } = c.get("caller");
  const place = await placeOf(id);
  const { reply, repeated } = await router.run(c.get("ensemble"), {
    ...{ action, path, effect: "idempotent", more: { id }, attemptMs: () => writeMs },
    attempt: (member) => ask(member, { path, id: place, session, identities }),
  });
  c.set("zxid", reply.zxid);
  return { id, reply, repeated };
}

function semaphorePathOf(request: Request): string {
  const path = pathOf(request);
  if (path === "/") throw badRequest("Cannot use the root: name a path below /semaphores/", path);
  return path;
}

function readSeatOrder(
  body: Uint8Array,
  about: { readonly action: string; readonly path: string; readonly isInSession: boolean },
) {
  const order = new JsonObject(body, ["seats", "ttl", "wait", "owner", "id"], about);
  const isOwner = (text: string) =>
    text.isWellFormed() && new TextEncoder().encode(text).byteLength <= ownerBytesMax;
  if (about.isInSession && order.has("ttl")) throw order.fault("ttl", ttlOfSession);
  return {
    seats: order.integer("seats", { min: 1, max: seatsMax }),
    ttlMs: order.duration("ttl", {
      ...{ min: sessionTtlMsMin, max: sessionTtlMsMax, otherwise: sessionTtlMsDefault },
    }),
    waitMs: order.duration("wait", { min: 0, max: waitMsMax, otherwise: 0 }),
    owner: order.text("owner", isOwner, `text of at most ${ownerBytesMax} bytes of UTF-8`) ?? "",
    id: order.text("id", isLockId, "32 lower-case hex digits"),
  };
}

type Settled = Exclude<
  SeatAnswer,
  { readonly kind: "notLeader" | "blank" | "overloaded" | "halted" | "unknown" }
>;

interface SeatContext {
  readonly action: string;
  readonly path: string;
  readonly id: string;
  readonly status: 200 | 201 | 204;
  /** What was asked for. */
  readonly seats?: number;
}

function seatAnswer(reply: Settled, { action, path, id, status, seats }: SeatContext): Response {
  switch (reply.kind) {
    case "granted": {
      const { token, ttlMs, expiresAtMs } = reply;
      const expiresAt = new Date(expiresAtMs).toISOString();
      return Response.json({ id, token, path, ttl_ms: ttlMs, expires_at: expiresAt }, { status });
    }
    case "released":
      return new Response(null, { status: 204 });
    case "otherSeats":
      throw otherSeats(action, path, { asked: seats, agreed: reply.seats });
    case "gone":
      throw seatGone(action, path);
    case "foreign":
      throw foreignPlace(action);
    case "timedOut":
      throw seatsTaken(`${action}: it is not granted`, path, reply);
    case "refused":
      throw seatRefusal(reply, action, path);
    default:
      return unreachable(reply);
  }
}

function stateJson({ taken, holders, queue }: SemaphoreState) {
  return {
    taken,
    holders: holders.map(({ name, owner, token, sinceMs }) => {
      return { name, owner, token, since: new Date(sinceMs).toISOString() };
    }),
    queue: queue.map(contenderJson),
  };
}

function seatsTaken(detail: string, path: string, state: SemaphoreState): Problem {
  return new Problem({
    ...{ slug: "seats-taken", title: "All seats are taken", status: 409, detail, path },
    more: stateJson(state),
  });
}

function otherSeats(
  action: string,
  path: string,
  { asked, agreed }: { readonly asked: number | undefined; readonly agreed: number | undefined },
): Problem {
  const counted =
    agreed === undefined ? 'its znode "seats" has no number' : `others count on ${agreed} seats`;
  return new Problem({
    ...{ slug: "other-seats", title: "Others count on other seats", status: 409, path },
    detail: `${action}: ${counted}, not ${asked}`,
    more: { seats: agreed ?? null },
  });
}

/** While it waited: its session lapsed, or somebody deleted its znode or released its id. */
function placeLost(action: string, path: string): Problem {
  return new Problem({
    ...{ slug: "seat-place-lost", title: "Place in the queue was lost", status: 409, path },
    detail: `${action}: it lost its place in the queue and has no seat, try again`,
  });
}

function seatGone(action: string, path: string): Problem {
  return new Problem({
    ...{ slug: "seat-gone", title: "Seat does not exist", status: 404, path },
    detail: `${action}: no seat of that id is held or waited for here, it was released or has expired`,
  });
}

function seatRefusal(
  refused: { readonly outcome: Outcome; readonly path: string },
  action: string,
  path: string,
): Problem {
  // The culprit may be an ancestor of the semaphore, or one of its znodes.
  const reason = refused.path === path ? undefined : `${quoted(refused.path)} was refused`;
  return refusal(refused.outcome, { action, path: refused.path, reason });
}
