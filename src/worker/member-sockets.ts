/**
 * WebSockets to members: asking for one, and what the answer means.
 *
 * The member gets a request made here: of the client's own it carries what the caller says, so neither its
 * credentials nor any header that members trust can pass through.
 *
 * @module
 */

import { makeServerId, type ServerId, serverIdMax, ZkErrorCode } from "../base/index.ts";
import type { NotServed } from "../objects/index.ts";
import { subprotocolsOf } from "./auth.ts";
import type { Ensemble } from "./ensemble.ts";
import type { MemberStub } from "./env.ts";
import type { Whom } from "./leader.ts";
import { badRequest, Problem, problemOfCode } from "./problems.ts";

export type Opened =
  | { readonly kind: "upgraded"; readonly response: Response }
  | { readonly kind: "refused"; readonly status: number }
  | NotServed;

/** Whether the client asks for a WebSocket. */
export function isUpgrade(request: Request): boolean {
  return request.headers.get("Upgrade")?.toLowerCase() === "websocket";
}

/** @throws Problem 426 for what is no WebSocket, 400 for one of another subprotocol. */
export function checkUpgrade(request: Request, subprotocol: string): void {
  if (!isUpgrade(request)) {
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

/** @param headers - What the member is to know of the caller. */
export async function openSocket(
  member: MemberStub,
  ensemble: Ensemble,
  whom: Whom,
  headers: Readonly<Record<string, string>>,
): Promise<Opened> {
  const response = await member.fetch(
    new Request(`https://member/v1/${ensemble.name}/connect`, {
      headers: {
        Upgrade: "websocket",
        // The leader refuses nothing that any member takes.
        ...(whom === "leader" ? {} : { "Ek-Member": "any" }),
        ...headers,
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
export function leaderIn(response: Response): ServerId | 0 {
  const told = Number(response.headers.get("Ek-Leader"));
  return Number.isInteger(told) && told >= 1 && told <= serverIdMax ? makeServerId(told) : 0;
}

/** The problem of an answer that is none of those a member gives. */
export function refusedSocket(action: string, status: number): Problem {
  if (status === 429) {
    return problemOfCode(ZkErrorCode.ThrottledOp, { action, reason: "too many connections are open" });
  }
  return problemOfCode(ZkErrorCode.SystemError, { action });
}

/** The member's 101, saying which of the client's subprotocols was chosen. */
export function withSubprotocol(response: Response, subprotocol: string): Response {
  if (response.headers.get("Sec-WebSocket-Protocol") === subprotocol) return response;
  return new Response(null, {
    status: 101,
    webSocket: response.webSocket,
    headers: { "Sec-WebSocket-Protocol": subprotocol },
  });
}
