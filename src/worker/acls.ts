/**
 * ACLs as JSON: `[{ "perms": "cdrwa", "scheme": "world", "id": "anyone" }]`, as exports have them.
 *
 * Only the shape is looked at here. Which schemes there are, and what an id of theirs looks like, the tree
 * knows; it refuses the rest with `InvalidACL`.
 *
 * @module
 */

import { type Acl, parsePerms } from "../base/index.ts";
import { aclEntriesMax } from "./limits.ts";

/** What an ACL must be, to stand behind `must be`. */
export const aclForm = `a list of 1 to ${aclEntriesMax} entries {"perms": "cdrwa", "scheme": "world", "id": "anyone"}`;

/** `undefined` for what is none, down to a field too many in one of its entries. */
export function parseAcl(value: unknown): readonly Acl[] | undefined {
  if (!Array.isArray(value) || value.length < 1 || value.length > aclEntriesMax) return undefined;
  const acl: Acl[] = [];
  for (const entry of value) {
    const parsed = parseEntry(entry);
    if (parsed === undefined) return undefined;
    acl.push(parsed);
  }
  return acl;
}

function parseEntry(entry: unknown): Acl | undefined {
  if (typeof entry !== "object" || entry === null || Object.keys(entry).length !== 3) return undefined;
  const { perms, scheme, id }: Partial<Record<"perms" | "scheme" | "id", unknown>> = entry;
  if (typeof perms !== "string" || !isText(scheme) || !isText(id)) return undefined;
  const bits = parsePerms(perms);
  return bits === undefined ? undefined : { perms: bits, scheme, id };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.isWellFormed();
}

const encoder = new TextEncoder();

/** On the wire: a count, and three fields to each entry. */
export function aclBytes(acl: readonly Acl[]): number {
  return acl.reduce((sum, { scheme, id }) => sum + 12 + utf8Bytes(scheme) + utf8Bytes(id), 4);
}

/** Of the text as UTF-8. */
export function utf8Bytes(text: string): number {
  return encoder.encode(text).byteLength;
}
