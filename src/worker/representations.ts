/**
 * How a znode looks over HTTP: its stat as headers, and who wants JSON (`base/json.ts`).
 *
 * @module
 */

import { formatSessionId, formatZxid, type Stat } from "../base/index.ts";
import { entityTag } from "./preconditions.ts";

export { jsonValue, statJson } from "../base/index.ts";

/** `zxid`: printed, of the write that was done or the state that was read. */
export function statHeaders(stat: Stat, zxid: string): Record<string, string> {
  return {
    ETag: entityTag(stat.version),
    "Ek-Zxid": zxid,
    "Ek-Czxid": formatZxid(stat.czxid),
    "Ek-Mzxid": formatZxid(stat.mzxid),
    "Ek-Ephemeral-Owner": formatSessionId(stat.ephemeralOwner),
    "Ek-Num-Children": String(stat.numChildren),
  };
}

/** Whether the client asks for JSON by name; anything else gets the bytes. */
export function prefersJson(request: Request): boolean {
  const ranges = (request.headers.get("Accept") ?? "").toLowerCase().split(",");
  return ranges.some(
    (range) => /^\s*application\/json\s*(;|$)/.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/.test(range),
  );
}
