/**
 * `GET /v1/{ensemble}/connect`: a WebSocket of subprotocol `zookeeper`, handed to a member's object.
 *
 * `?member=` says to which: the leader (the default: writes are fastest there, and reads no slower unless
 * another member is much nearer), the nearest, or one by its id.
 *
 * The member gets a request made here: of the client's own it carries the protocol and the address, so
 * neither its credentials nor any header that members trust can pass through. Once the member's 101 is
 * returned, the Worker is out of the way. ZooKeeper's own `auth` packets identify the client inside; the
 * token that let it in does not make it super.
 *
 * @module
 */

import type { Context } from "hono";
import { makeServerId, type ServerId, serverIdMax, ZkErrorCode } from "../../base/index.ts";
import type { NotServed } from "../../objects/index.ts";
import { type Caller, subprotocolsOf } from "../auth.ts";
import type { Ensemble } from "../ensemble.ts";
import type { AppEnv, MemberStub } from "../env.ts";
import type { LeaderRouter, Whom } from "../leader.ts";
import { connectMs } from "../limits.ts";
import { badRequest, Problem, problemOfCode } from "../problems.ts";
import { readMember, readQuery } from "../queries.ts";

const subprotocol = "zookeeper";

export async function connect(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const query = readQuery(c.req.url, ["member"]);
  checkUpgrade(c.req.raw);
  const caller = c.get("caller");
  const ensemble = c.get("ensemble");
  const whom = readMember(query.member ?? "leader", ensemble);
  const action = `Cannot connect to ensemble "${ensemble.name}"`;
  const { reply } = await router.run(ensemble, {
    action,
    effect: "none",
    whom,
    attemptMs: () => connectMs,
    attempt: (member) => open(member, caller, ensemble, whom),
  });
  if (reply.kind === "refused") throw refused(action, reply.status);
  return withSubprotocol(reply.response);
}

function checkUpgrade(request: Request): void {
  if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
    throw new Problem({
      slug: "upgrade-required",
      title: "WebSocket required",
      status: 426,
      detail: "Cannot connect: send Upgrade: websocket",
      headers: { Upgrade: "websocket" },
    });
  }
  if (!subprotocolsOf(request).includes(subprotocol)) {
    throw badRequest(`Cannot connect: the WebSocket must offer the subprotocol "${subprotocol}"`);
  }
}

type Opened =
  | { readonly kind: "upgraded"; readonly response: Response }
  | { readonly kind: "refused"; readonly status: number }
  | NotServed;

async function open(member: MemberStub, caller: Caller, ensemble: Ensemble, whom: Whom): Promise<Opened> {
  const response = await member.fetch(
    new Request(`https://member/v1/${ensemble.name}/connect`, {
      headers: {
        Upgrade: "websocket",
        "Sec-WebSocket-Protocol": subprotocol,
        "Ek-Remote-Address": caller.address,
        "Ek-Remote-Port": String(caller.port),
        // The leader refuses nothing that any member takes.
        ...(whom === "leader" ? {} : { "Ek-Member": "any" }),
        ...(caller.x509 !== undefined && { "Ek-Remote-X509": encodeURIComponent(caller.x509) }),
        ...(caller.mustShowToken && { "Ek-Must-Show-Token": "yes" }),
        ...(caller.wantsCredit && { "Ek-Wants-Credit": "yes" }),
      },
    }),
  );
  switch (response.status) {
    case 101:
      return { kind: "upgraded", response };
    case 421:
      return { kind: "notLeader", leader: leaderIn(response) };
    case 503:
      return { kind: "notLeader", leader: 0 };
    default:
      return { kind: "refused", status: response.status };
  }
}

/** It may be a member that this Worker has not heard of yet. */
function leaderIn(response: Response): ServerId | 0 {
  const told = Number(response.headers.get("Ek-Leader"));
  return Number.isInteger(told) && told >= 1 && told <= serverIdMax ? makeServerId(told) : 0;
}

function refused(action: string, status: number): Problem {
  if (status === 429) {
    return problemOfCode(ZkErrorCode.ThrottledOp, { action, reason: "too many connections are open" });
  }
  return problemOfCode(ZkErrorCode.SystemError, { action });
}

function withSubprotocol(response: Response): Response {
  if (response.headers.get("Sec-WebSocket-Protocol") === subprotocol) return response;
  return new Response(null, {
    status: 101,
    webSocket: response.webSocket,
    headers: { "Sec-WebSocket-Protocol": subprotocol },
  });
}
