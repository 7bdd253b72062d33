/**
 * `GET /v1/{ensemble}/members`: what every member says of itself, or why it says nothing.
 *
 * It looks and changes nothing: an ensemble that has never been used is shown blank, not bootstrapped.
 *
 * @module
 */

import type { Context } from "hono";
import type { MemberStatus } from "../../objects/index.ts";
import { hasActiveMember } from "../bootstrap.ts";
import { type Sighting, statusesOf, survey } from "../calls.ts";
import type { AppEnv } from "../env.ts";
import { pickLeader } from "../leader.ts";
import { readQuery } from "../queries.ts";

export async function getMembers(c: Context<AppEnv>): Promise<Response> {
  readQuery(c.req.url, []);
  const ensemble = c.get("ensemble");
  const sightings = await survey(ensemble);
  const statuses = statusesOf(sightings);
  const begun = hasActiveMember(statuses);
  return Response.json({
    ensemble: ensemble.name,
    leader: pickLeader(statuses) ?? null,
    members: sightings.map((sighting) => sightingJson(sighting, begun)),
  });
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
