/**
 * A member's answer to who wants its tree as a file: the file as the body, or why there is none.
 *
 * 200 with `Ek-Snapshot-Zxid` (printed) and `Ek-Snapshot-Bytes`; otherwise nothing happened: 403, 429, or what
 * is answered to whom the member does not serve.
 *
 * @module
 */

import { type AuthId, formatZxid } from "../base/index.ts";
import type { NoCopy, SnapshotFile } from "./tree-copies.ts";

const identitiesHeader = "Ek-Snapshot-Identities";

/** Who wants a snapshot, as the Worker knows them; `undefined` when none is wanted. */
export function copierIn(headers: Headers): readonly AuthId[] | undefined {
  const identities = headers.get(identitiesHeader);
  if (identities === null) return undefined;
  // Only the Worker makes these requests.
  return JSON.parse(decodeURIComponent(identities)) as AuthId[];
}

export function answerSnapshot(file: SnapshotFile | NoCopy): Response {
  if (file === "denied") return new Response("not everything at the root is allowed\n", { status: 403 });
  if (file === "busy") return new Response("another copy is under way\n", { status: 429 });
  return new Response(file.body, {
    headers: { "Ek-Snapshot-Zxid": formatZxid(file.zxid), "Ek-Snapshot-Bytes": String(file.bytes) },
  });
}
