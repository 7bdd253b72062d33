/**
 * `Ek-Session`: the session in whose name a request is made, as `<id>:<password>`.
 *
 * Invariant: what stands in it is told to members alone, and to nobody else: no URL, log or answer has it.
 *
 * @module
 */

import type { SessionCredential } from "../objects/index.ts";
import { badRequest, Problem } from "./problems.ts";

const sessionHeader = "Ek-Session";

/** @throws Problem 400 for a header that is none. */
export function readSession(headers: Headers): SessionCredential | undefined {
  const text = headers.get(sessionHeader);
  if (text === null) return undefined;
  const [, id, password] = /^(0x[1-9a-f][0-9a-f]{0,15}):([0-9a-f]{32})$/.exec(text) ?? [];
  if (id !== undefined && password !== undefined) return { id, password };
  throw badRequest(
    `Cannot read ${sessionHeader}: it is no session, which is an id, a colon and its password`,
  );
}

/** For a place in a queue: it was taken in one session, and is asked for in another, or in none. */
export function foreignPlace(action: string): Problem {
  return foreignSession(
    action,
    `the session in ${sessionHeader} is not the caller's, or not that of the place`,
  );
}

/** What the header is to say. */
export function formatSession({ id, password }: SessionCredential): string {
  return `${id}:${password}`;
}

/** @param reason - Default: it is the password's fault. */
export function foreignSession(
  action: string,
  reason = `the password in ${sessionHeader} is not that of the session`,
): Problem {
  return new Problem({
    slug: "foreign-session",
    title: "Session is not yours",
    status: 401,
    detail: `${action}: ${reason}`,
    codeName: "AuthFailed",
    // RFC 9110 wants a challenge with every 401.
    headers: { "WWW-Authenticate": `${sessionHeader} realm="edgekeeper"` },
  });
}
