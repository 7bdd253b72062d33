/**
 * Configuration txns of the peer's tests: a payload that says who is a member.
 *
 * `reconfig v1 v2 o4 r3`: voters 1 and 2, observer 4, and 3 retired. `v1@x`: with storage `x`.
 *
 * @module
 */

import { makeServerId } from "../../src/base/index.ts";
import type { ConfigMember, Membership } from "../../src/zab/index.ts";

const prefix = "reconfig ";

export function encodeMembership({ members, retired = [] }: Membership): Uint8Array {
  const words = members.map(
    ({ id, role, storageId }) =>
      `${role === "voter" ? "v" : "o"}${id}${storageId === undefined ? "" : `@${storageId}`}`,
  );
  const text = prefix + [...words, ...retired.map((id) => `r${id}`)].join(" ");
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** The peer's one question about a payload. */
export function configOf(payload: Uint8Array): Membership | undefined {
  if (payload[0] !== prefix.charCodeAt(0) || payload.length <= prefix.length) return undefined;
  const text = String.fromCharCode(...payload);
  return text.startsWith(prefix) ? parseMembership(text.slice(prefix.length)) : undefined;
}

export function parseMembership(text: string): Membership {
  const members: ConfigMember[] = [];
  const retired: ReturnType<typeof makeServerId>[] = [];
  for (const word of text.split(" ")) {
    const [name = "", storageId] = word.split("@");
    const id = makeServerId(Number(name.slice(1)));
    if (name.startsWith("r")) retired.push(id);
    else {
      const role = name.startsWith("v") ? "voter" : "observer";
      members.push(storageId === undefined ? { id, role } : { id, role, storageId });
    }
  }
  return { members, retired };
}
