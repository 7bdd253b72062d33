/**
 * Who is at the other end of a socket, as the Worker says in the headers of the request that opens it.
 *
 * Only the Worker makes these requests: nothing here is read from a client.
 *
 * @module
 */

import type { AuthId } from "../base/index.ts";
import type { Introduction } from "./api.ts";

/** What the Worker says of a client. */
export function introductionIn(headers: Headers): Introduction {
  const x509 = headers.get("Ek-Remote-X509");
  const lane = headers.get("Ek-Lane")?.split("/");
  return {
    ...(lane !== undefined && { lane: { gateway: lane[0] ?? "", number: Number(lane[1]) } }),
    ...(x509 !== null && { x509: decodeURIComponent(x509) }),
    mustShowToken: headers.get("Ek-Must-Show-Token") === "yes",
    wantsCredit: headers.get("Ek-Wants-Credit") === "yes",
    address: headers.get("Ek-Remote-Address") ?? "",
    port: Number(headers.get("Ek-Remote-Port") ?? "0"),
  };
}

/** Who opens a watch stream, as the Worker knows them; `undefined` for a connection of ZooKeeper's protocol. */
export function listenerIn(headers: Headers): readonly AuthId[] | undefined {
  const identities = headers.get("Ek-Stream-Identities");
  if (identities === null) return undefined;
  return JSON.parse(decodeURIComponent(identities)) as AuthId[];
}
