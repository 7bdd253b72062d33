/**
 * `GET /v1/{ensemble}/connect`: a WebSocket of subprotocol `zookeeper`, handed to a member's object.
 *
 * `?member=` says to which: the leader (the default: writes are fastest there, and reads no slower unless
 * another member is much nearer), the nearest, or one by its id.
 *
 * Once the member's 101 is returned, the Worker is out of the way. ZooKeeper's own `auth` packets identify the client inside; the
 * token that let it in does not make it super.
 *
 * @module
 */

import type { Context } from "hono";
import type { Caller } from "../auth.ts";
import type { AppEnv } from "../env.ts";
import type { LeaderRouter } from "../leader.ts";
import { connectMs } from "../limits.ts";
import { checkUpgrade, openSocket, refusedSocket, withSubprotocol } from "../member-sockets.ts";
import { badRequest } from "../problems.ts";
import { readMember, readQuery } from "../queries.ts";

const subprotocol = "zookeeper";

export async function connect(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const query = readQuery(c.req.url, ["member"]);
  checkUpgrade(c.req.raw, subprotocol);
  const headers = { ...introductionOf(c.get("caller")), ...sharingOf(c.req.raw) };
  const ensemble = c.get("ensemble");
  const whom = await readMember(query.member ?? "leader", ensemble);
  const action = `Cannot connect to ensemble "${ensemble.name}"`;
  const { reply } = await router.run(ensemble, {
    action,
    effect: "none",
    whom,
    attemptMs: () => connectMs,
    attempt: (member) => openSocket(member, ensemble, whom, headers),
  });
  if (reply.kind === "refused") throw refusedSocket(action, reply.status);
  return withSubprotocol(reply.response, subprotocol);
}

function introductionOf(caller: Caller): Readonly<Record<string, string>> {
  return {
    "Sec-WebSocket-Protocol": subprotocol,
    "Ek-Remote-Address": caller.address,
    "Ek-Remote-Port": String(caller.port),
    ...(caller.x509 !== undefined && { "Ek-Remote-X509": encodeURIComponent(caller.x509) }),
    ...(caller.mustShowToken && { "Ek-Must-Show-Token": "yes" }),
    ...(caller.wantsCredit && { "Ek-Wants-Credit": "yes" }),
  };
}

const laneNumberMax = 0xffff_ffff;

/**
 * What a gateway shares among its connections: a WebSocket of this connection's bytes and others', or this one
 * itself. Its name is a secret of the gateway's.
 */
function sharingOf(request: Request): Readonly<Record<string, string>> {
  const lane = request.headers.get("Ek-Gateway-Lane");
  const shared = request.headers.get("Ek-Gateway-Shared");
  const number = lane === null ? undefined : /^[0-9a-f]{32}\/([0-9]{1,10})$/.exec(lane)?.[1];
  if (lane !== null && (number === undefined || Number(number) > laneNumberMax)) {
    throw badRequest("Cannot read Ek-Gateway-Lane: it is no name of 32 hex digits, slash, number of 32 bits");
  }
  if (shared !== null && !/^[0-9a-f]{32}$/.test(shared)) {
    throw badRequest("Cannot read Ek-Gateway-Shared: it is no name of 32 hex digits");
  }
  return { ...(lane !== null && { "Ek-Lane": lane }), ...(shared !== null && { "Ek-Shared": shared }) };
}
