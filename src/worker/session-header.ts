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

/** What the header is to say. */
export function formatSession({ id, password }: SessionCredential): string {
  return `${id}:${password}`;
}

export function foreignSession(action: string): Problem {
  return new Problem({
    slug: "foreign-session",
    title: "Session is not yours",
    status: 401,
    detail: `${action}: the password in ${sessionHeader} is not that of the session`,
    codeName: "AuthFailed",
    // RFC 9110 wants a challenge with every 401.
    headers: { "WWW-Authenticate": `${sessionHeader} realm="edgekeeper"` },
  });
}
