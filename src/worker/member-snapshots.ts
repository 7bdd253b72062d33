/**
 * Snapshot files of members: asking for one, and what the answer means.
 *
 * The member gets a request made here: of the client's own it carries who the caller is.
 *
 * @module
 */

import type { AuthId } from "../base/index.ts";
import type { NotServed } from "../objects/index.ts";
import type { MemberStub } from "./env.ts";
import { leaderIn } from "./member-sockets.ts";

export type OpenedSnapshot =
  | {
      readonly kind: "opened";
      /** Printed. */
      readonly zxid: string;
      readonly bytes: string;
      readonly body: ReadableStream;
    }
  | { readonly kind: "denied" }
  | { readonly kind: "failed" }
  | NotServed;

export async function openSnapshot(
  member: MemberStub,
  identities: readonly AuthId[],
): Promise<OpenedSnapshot> {
  const headers = { "Ek-Snapshot-Identities": encodeURIComponent(JSON.stringify(identities)) };
  const response = await member.fetch(new Request("https://member/snapshot", { headers }));
  switch (response.status) {
    case 200:
      return openedIn(response);
    case 403:
      return { kind: "denied" };
    case 421:
      return { kind: "notLeader", leader: leaderIn(response) };
    case 429:
      return { kind: "overloaded" };
    case 503:
      return { kind: "notLeader", leader: 0 };
    default:
      return { kind: "failed" };
  }
}

function openedIn({ body, headers }: Response): OpenedSnapshot {
  const [zxid, bytes] = [headers.get("Ek-Snapshot-Zxid"), headers.get("Ek-Snapshot-Bytes")];
  if (body === null || zxid === null || bytes === null) return { kind: "failed" };
  return { kind: "opened", zxid, bytes, body };
}
