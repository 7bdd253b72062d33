/**
 * Identities: what a connection may call itself.
 *
 * Source: ZooKeeper `DigestAuthenticationProvider`.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { AuthId } from "../base/index.ts";
import type { Introduction } from "./api.ts";

// Java decodes and encodes again, and keeps a leading U+FEFF.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: false });
const encoder = new TextEncoder();

/** Identities of one connection. They go into attachments, and into ACLs by the scheme `auth`. */
export const identitiesMax = 32;

/** UTF-16 units of all their ids together; what remains of an attachment is for watches. */
export const identityUnitsMax = 2000;

/** What decides who a connection may be, and who it must be. */
export interface AuthRules {
  /** `super:<base64>`. */
  readonly superDigest: string | undefined;
  /** The deployment's `EK_TOKEN`. */
  readonly token: string | undefined;
  /** An identity of one of them is needed to ask anything; none: nobody needs one. */
  readonly requiredSchemes: readonly string[];
}

/** Of who has shown the deployment's token. It is in no ACL, and nobody's superiority. */
const bearer: AuthId = { scheme: "bearer", id: "token" };

/**
 * What an auth packet makes of its sender; `undefined` refuses it (`AuthFailed`).
 *
 * Scheme `bearer` is ours: any ZooKeeper client can send it, and so show the token that HTTP clients show.
 */
export function authenticate(
  scheme: string,
  auth: Uint8Array | null,
  rules: AuthRules,
): readonly AuthId[] | undefined {
  switch (scheme) {
    case "ip":
      return [];
    case "digest":
      return auth === null ? undefined : digestIdentities(auth, rules.superDigest);
    case "bearer":
      if (auth === null || rules.token === undefined) return undefined;
      return isSame(decoder.decode(auth), rules.token) ? [bearer] : undefined;
    default:
      return undefined;
  }
}

/**
 * Whether someone with these identities may ask anything but who they are.
 *
 * @param mustShowToken - Whoever let the connection in wants to see the token, or has seen nothing better.
 */
export function mayAsk(identities: readonly AuthId[], rules: AuthRules, mustShowToken: boolean): boolean {
  const has = (wanted: string) => identities.some(({ scheme }) => scheme === wanted);
  if (mustShowToken && !has(bearer.scheme)) return false;
  return rules.requiredSchemes.length === 0 || rules.requiredSchemes.some(has);
}

/** Whether a connection may have so many. */
export function fitIdentities(identities: readonly AuthId[]): boolean {
  const units = identities.reduce((sum, { scheme, id }) => sum + scheme.length + id.length, 0);
  return identities.length <= identitiesMax && units <= identityUnitsMax;
}

/**
 * `user:password` becomes `user:base64(SHA-1("user:password"))`: it always succeeds, there is no user
 * database. Someone whose digest is the configured one is `super` as well.
 *
 * @param superDigest - `super:<base64>`, or `undefined`.
 */
export function digestIdentities(auth: Uint8Array, superDigest: string | undefined): readonly AuthId[] {
  const text = decoder.decode(auth);
  const [user = ""] = text.split(":", 1);
  const id = `${user}:${createHash("sha1").update(encoder.encode(text)).digest("base64")}`;
  const digest: AuthId = { scheme: "digest", id };
  return superDigest !== undefined && isSame(id, superDigest)
    ? [digest, { scheme: "super", id: "" }]
    : [digest];
}

/** Takes the same time wherever the texts differ, and however long they are. */
function isSame(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash("sha256").update(encoder.encode(text)).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}

/** What a client is before it has said anything. */
export function identitiesOf({ address, x509 }: Introduction): readonly AuthId[] {
  return [
    ...(address === "" ? [] : [{ scheme: "ip", id: address }]),
    ...(x509 === undefined ? [] : [{ scheme: "x509", id: x509 }]),
  ];
}
