/**
 * ACLs: what may stand in one, who passes it, and what others may see of it.
 *
 * Identities come with the request, as they were when it arrived. How a connection earns them, and
 * what a digest is made of, is decided at the door.
 *
 * Sources: ZooKeeper `PrepRequestProcessor.fixupACL`, `ZooKeeperServer.checkACL`,
 * `DigestAuthenticationProvider`, `FinalRequestProcessor.getACL`.
 *
 * @module
 */

import { type Acl, type AuthId, OPEN_ACL, Perms } from "../base/index.ts";
import { isInIpBlock, isIpBlock } from "./ip-address.ts";

/** Entries of a stored ACL. ZooKeeper has no bound; lists that people write are a hundred times shorter. */
export const aclEntriesMax = 1_000;

/**
 * UTF-16 units of a stored ACL. With the largest data a request can carry, a znode still fits a row of
 * SQLite, which holds 2 MB.
 */
export const aclUnitsMax = 64 * 1024;

/** Identities that an `auth` entry stands for. An address is none: it proves nobody. */
const expandableSchemes = new Set(["digest", "sasl", "x509"]);

/** How large an ACL is, in UTF-16 units and a little for each entry. */
export function aclUnits(acl: readonly Acl[]): number {
  return acl.reduce((sum, { scheme, id }) => sum + scheme.length + id.length + 8, 0);
}

/**
 * The ACL to store for the one a client gave; `undefined` when it must be refused (`InvalidACL`).
 *
 * Exact duplicates go, and `auth` becomes one entry per identity of the requester. Perms are stored as
 * given, whatever they are.
 *
 * @param x509 - Whether there is a scheme `x509`.
 */
export function fixUpAcl(
  given: readonly Acl[] | null,
  identities: readonly AuthId[],
  x509: boolean,
): readonly Acl[] | undefined {
  if (given === null || given.length === 0) return undefined;
  const [first] = given;
  if (given.length === 1 && first !== undefined && isOpenEntry(first)) return OPEN_ACL;
  if (given.length > aclEntriesMax) return undefined;

  const fixed: Acl[] = [];
  for (const entry of withoutDuplicates(given)) {
    if (entry.scheme === "auth") {
      const expanded = identities.filter(({ scheme }) => expandableSchemes.has(scheme));
      if (expanded.length === 0) return undefined;
      if (fixed.length + expanded.length > aclEntriesMax) return undefined;
      for (const { scheme, id } of expanded) fixed.push({ scheme, id, perms: entry.perms });
    } else {
      if (!isValidId(entry, x509)) return undefined;
      fixed.push(entry);
    }
  }
  return aclUnits(fixed) <= aclUnitsMax ? fixed : undefined;
}

/**
 * Whether someone with these identities may do any of `wanted` (bits of `Perms`).
 *
 * Several bits mean "any of them". The scheme `super` passes everywhere.
 */
export function isAllowed(acl: readonly Acl[], wanted: number, identities: readonly AuthId[]): boolean {
  for (const entry of acl) {
    if ((entry.perms & wanted) === 0) continue;
    if (entry.scheme === "world" && entry.id === "anyone") return true;
    for (const identity of identities) if (matches(identity, entry)) return true;
  }
  return identities.some(({ scheme }) => scheme === "super");
}

/** What `getACL` shows to a caller who may read but not administer: no digest. */
export function redactAcl(acl: readonly Acl[]): readonly Acl[] {
  return acl.map((entry) =>
    entry.scheme === "digest" ? { ...entry, id: entry.id.replace(/:.*/s, ":x") } : entry,
  );
}

/** What `whoAmI` shows of a connection's identity. */
export function publicIdentity(identity: AuthId): AuthId {
  const { scheme, id } = identity;
  if (scheme === "super") return { scheme, id: "" };
  return scheme === "digest" ? { scheme, id: userOf(id) } : identity;
}

/** Shares the usual ACL, so that a million open znodes don't carry a million of them. */
export function internAcl(acl: readonly Acl[]): readonly Acl[] {
  const [first] = acl;
  return acl.length === 1 && first !== undefined && isOpenEntry(first) ? OPEN_ACL : acl;
}

function isOpenEntry({ scheme, id, perms }: Acl): boolean {
  return scheme === "world" && id === "anyone" && perms === Perms.All;
}

function withoutDuplicates(acl: readonly Acl[]): readonly Acl[] {
  if (acl.length === 1) return acl;
  const firsts = new Map<string, Acl>();
  for (const entry of acl) {
    const key = JSON.stringify([entry.perms, entry.scheme, entry.id]);
    if (!firsts.has(key)) firsts.set(key, entry);
  }
  return [...firsts.values()];
}

function isValidId({ scheme, id }: AuthId, x509: boolean): boolean {
  switch (scheme) {
    case "world":
      return id === "anyone";
    case "digest":
      return isDigestId(id);
    case "ip":
      return isIpBlock(id);
    case "x509":
      return x509 && isDistinguishedName(id);
    default:
      return false;
  }
}

/** Two parts around one colon, where Java's `split` overlooks trailing empty parts: `:h` and `u:h:` pass. */
function isDigestId(id: string): boolean {
  const parts = id.replace(/:+$/, "").split(":");
  return parts.length === 2;
}

/** `CN=alice,O=Example`: attributes with values, as in RFC 2253. What each means is not looked at. */
function isDistinguishedName(id: string): boolean {
  return distinguishedName.test(id);
}

const attribute = String.raw`\s*([A-Za-z][A-Za-z0-9-]*|\d+(\.\d+)+)\s*=([^,+"\\<>;=]|\\.|"[^"]*")*`;
const distinguishedName = new RegExp(`^${attribute}([,+;]${attribute})*$`, "s");

function matches(identity: AuthId, entry: Acl): boolean {
  if (identity.scheme !== entry.scheme) return false;
  return identity.id === entry.id || (entry.scheme === "ip" && isInIpBlock(identity.id, entry.id));
}

function userOf(digestId: string): string {
  const colon = digestId.indexOf(":");
  return colon === -1 ? digestId : digestId.slice(0, colon);
}
