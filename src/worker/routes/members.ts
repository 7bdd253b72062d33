/**
 * Members: `/v1/{ensemble}/members`.
 *
 * `GET` tells what every member says of itself, or why it says nothing. It looks and changes nothing: an
 * ensemble that has never been used is shown blank, not bootstrapped.
 *
 * `POST` adds a member, changes its role, or moves one to a new place; `DELETE .../{id}` removes one. Both may
 * be repeated: a repeated order goes on where it stopped. Whoever was let in here is the operator.
 *
 * @module
 */

import type { Context } from "hono";
import {
  type AuthId,
  compareZxid,
  formatZxid,
  parseZxid,
  unreachable,
  ZkErrorCode,
} from "../../base/index.ts";
import type { MemberStatus, MembersReply } from "../../objects/index.ts";
import { readBody } from "../bodies.ts";
import { hasActiveMember } from "../bootstrap.ts";
import { type Sighting, statusesOf, survey } from "../calls.ts";
import type { AppEnv, MemberStub } from "../env.ts";
import { type LeaderRouter, pickLeader } from "../leader.ts";
import { memberBodyBytesMax, memberOrderMs } from "../limits.ts";
import { readMemberId, readMemberOrder } from "../member-orders.ts";
import { problemOfCode } from "../problems.ts";
import { readQuery } from "../queries.ts";

export async function getMembers(c: Context<AppEnv>): Promise<Response> {
  readQuery(c.req.url, []);
  const ensemble = c.get("ensemble");
  const sightings = await survey(ensemble);
  const statuses = statusesOf(sightings);
  const begun = hasActiveMember(statuses);
  const latest = latestApplied(statuses);
  if (latest !== undefined) c.set("zxid", latest);
  return Response.json({
    ensemble: ensemble.name,
    leader: pickLeader(statuses) ?? null,
    members: sightings.map((sighting) => sightingJson(sighting, begun)),
  });
}

export async function postMember(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const order = readMemberOrder(
    await readBody(c.req.raw, memberBodyBytesMax, { action: "Cannot read the order" }),
  );
  const action = `Cannot make server ${order.id} a member`;
  return carryOut(c, router, { action, attempt: (member) => member.addMember(order, operator) });
}

export async function deleteMember(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  readQuery(c.req.url, []);
  const id = readMemberId(c.req.param("id") ?? "");
  const action = `Cannot remove server ${id}`;
  return carryOut(c, router, { action, attempt: (member) => member.removeMember(id, operator) });
}

/** There is one credential, and who holds it may do this whatever the ACL of `/zookeeper/config` says. */
const operator: readonly AuthId[] = [{ scheme: "super", id: "" }];

async function carryOut(
  c: Context<AppEnv>,
  router: LeaderRouter,
  order: { readonly action: string; attempt(member: MemberStub): Promise<MembersReply> },
): Promise<Response> {
  const { action, attempt } = order;
  const ensemble = c.get("ensemble");
  const { reply } = await router.run(ensemble, {
    action,
    effect: "idempotent",
    searchMs: memberOrderMs,
    attemptMs: () => memberOrderMs,
    attempt,
  });
  c.set("zxid", reply.zxid);
  switch (reply.kind) {
    case "done":
      return Response.json({
        ensemble: ensemble.name,
        config_version: reply.version,
        members: reply.members,
      });
    case "waiting":
      throw problemOfCode(ZkErrorCode.NewConfigNoQuorum, {
        action,
        reason: `${reply.reason}; send the same order again, it goes on where it stopped`,
        headers: { "Retry-After": "1" },
      });
    case "refused":
      throw problemOfCode(reply.code, { action, reason: reply.reason });
    default:
      return unreachable(reply);
  }
}

/** What the one that is furthest ahead has applied. */
function latestApplied(statuses: readonly MemberStatus[]): string | undefined {
  const applied = statuses.flatMap(({ lastApplied }) => parseZxid(lastApplied) ?? []);
  const [latest] = applied.toSorted((a, b) => compareZxid(b, a));
  return latest && formatZxid(latest);
}

function sightingJson(sighting: Sighting, begun: boolean) {
  if (sighting.kind === "unseen") return { id: sighting.id, reachable: false, failure: sighting.failure };
  const { status } = sighting;
  return {
    id: sighting.id,
    reachable: true,
    role: status.role,
    phase: status.phase,
    serving: status.serving,
    leader: status.leader === 0 ? null : status.leader,
    epoch: status.epoch,
    last_logged_zxid: status.lastLogged,
    last_committed_zxid: status.lastCommitted,
    last_applied_zxid: status.lastApplied,
    bootstrap: status.bootstrap,
    voters: status.voters,
    observers: status.observers,
    config_version: status.configVersion,
    incarnation: status.incarnation,
    sessions: status.sessions,
    connections: status.connections,
    unreadable_messages: status.unreadable,
    failure: failureOf(status, begun),
  };
}

/** `undefined`, and so absent, for a member in good health. */
function failureOf(status: MemberStatus, begun: boolean): string | undefined {
  if (status.halted !== undefined) return `halted: ${status.halted}`;
  if (status.bootstrap === "blank" && begun) return "blank: storage lost";
  return undefined;
}
