/**
 * `If-Match` and `If-None-Match`: an entity tag is a znode's version in quotes.
 *
 * Writes take one tag or `*`. A weak tag (`W/"3"`) means the same version: proxies that compress weaken
 * tags, and the number still says which data it is. `"-1"` is refused, because ZooKeeper reads -1 as
 * "any version", which is spelt `*` here.
 *
 * Source: RFC 9110 sections 8.8.3 and 13.1.
 *
 * @module
 */

import { badRequest } from "./problems.ts";

/** What must be true of the znode for a write to be done. */
export type WriteCondition =
  | { readonly kind: "none" }
  /** `If-None-Match: *` */
  | { readonly kind: "absent" }
  /** `If-Match: *` */
  | { readonly kind: "present" }
  /** `If-Match: "3"` */
  | { readonly kind: "version"; readonly version: number };

const versionMin = -(2 ** 31);
const versionMax = 2 ** 31 - 1;

/** @throws Problem 400 for headers that say nothing a znode can be compared with. */
export function readWriteCondition(headers: Headers): WriteCondition {
  const ifMatch = headers.get("If-Match")?.trim();
  const ifNoneMatch = headers.get("If-None-Match")?.trim();
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw badRequest("Cannot read the preconditions: If-Match and If-None-Match exclude each other");
  }
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch === "*") return { kind: "absent" };
    throw badRequest(`Cannot read If-None-Match: a write takes only "*", not ${quoted(ifNoneMatch)}`);
  }
  if (ifMatch === undefined) return { kind: "none" };
  return ifMatch === "*" ? { kind: "present" } : { kind: "version", version: readVersion(ifMatch) };
}

function readVersion(tag: string): number {
  const digits = /^(?:W\/)?"(-?[0-9]{1,10})"$/.exec(tag)?.[1];
  const version = Number(digits ?? Number.NaN);
  if (isSettableVersion(version)) return version;
  throw badRequest(`Cannot read If-Match: it takes one version in double quotes or "*", not ${quoted(tag)}`);
}

/** Whether a write may ask for this version: -1 would be "any". */
export function isSettableVersion(version: number): boolean {
  return Number.isInteger(version) && version >= versionMin && version <= versionMax && version !== -1;
}

/** Whether a read may be answered with 304: `If-None-Match` lists the version, or is `*`. */
export function isNotModified(headers: Headers, version: number): boolean {
  const ifNoneMatch = headers.get("If-None-Match");
  return ifNoneMatch !== null && listsVersion(ifNoneMatch, version);
}

/** Whether a read must be answered with 412: `If-Match` is there and does not list the version. */
export function isPreconditionFailed(headers: Headers, version: number): boolean {
  const ifMatch = headers.get("If-Match");
  return ifMatch !== null && !listsVersion(ifMatch, version);
}

function listsVersion(header: string, version: number): boolean {
  const tags = header.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(entityTag(version));
}

export function entityTag(version: number): string {
  return `"${version}"`;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
