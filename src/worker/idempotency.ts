/**
 * `Idempotency-Key`: a write that is done once, however often it is sent.
 *
 * The key, and what was asked under it, reach the members as digests: the leader remembers them in the txn that
 * decides the write (`src/tree/request-window.ts`). Who asks is part of the key, so that nobody finds another
 * one's; the address is not, for a client may come from another one when it tries again.
 *
 * A request that takes more than one write (an unconditional `PUT`) numbers them, and takes the same way again
 * when it is sent again: each step is remembered by itself.
 *
 * Source: draft-ietf-httpapi-idempotency-key-header-07.
 *
 * @module
 */

import { type KeyedRequest, OpCode } from "../base/index.ts";
import type { Caller } from "./auth.ts";
import { hexOf } from "./bootstrap.ts";
import { badRequest, Problem } from "./problems.ts";

const keyHeader = "Idempotency-Key";

/** Characters of a key. */
export const keyLengthMax = 255;

/** What makes the writes of one HTTP request known again. */
export interface Idempotency {
  /** Makes the write of that number a keyed one. */
  keyed(step: number, request: KeyedRequest["request"]): Promise<KeyedRequest>;
}

/** @throws Problem 400 for a key that is none. */
function readKey(headers: Headers): string | undefined {
  const key = headers.get(keyHeader);
  if (key === null) return undefined;
  if (key.length <= keyLengthMax && /^[\x21-\x7e]+$/.test(key)) return key;
  throw badRequest(
    `Cannot read ${keyHeader}: it must be 1 to ${keyLengthMax} visible ASCII characters without a space`,
  );
}

/** For who sends no key where none is taken. @throws Problem 400 with that reason. */
export function refuseKey(headers: Headers, reason: string): void {
  if (headers.has(keyHeader)) throw badRequest(`Cannot take an ${keyHeader}: ${reason}`);
}

/** `undefined` for a request without a key. */
export async function readIdempotency(
  request: Request,
  body: Uint8Array,
  { identities }: Caller,
): Promise<Idempotency | undefined> {
  const key = readKey(request.headers);
  if (key === undefined) return undefined;
  const caller = identities.filter(({ scheme }) => scheme !== "ip").map(({ scheme, id }) => [scheme, id]);
  const { pathname, search } = new URL(request.url);
  const session = request.headers.get("Ek-Session")?.split(":")[0];
  const conditions = ["If-Match", "If-None-Match"].map((name) => request.headers.get(name));
  const asked = [request.method, pathname, search, session ?? null, ...conditions, await digestOf(body)];
  const fingerprint = await digestOf(encode(asked));
  return {
    keyed: async (step, keyedRequest) => ({
      type: OpCode.Keyed,
      key: await digestOf(encode([caller, key, step])),
      fingerprint,
      request: keyedRequest,
    }),
  };
}

export function keyReused(action: string): Problem {
  return new Problem({
    slug: "idempotency-key-reused",
    title: "Idempotency-Key was used before",
    status: 422,
    detail: `${action}: its ${keyHeader} was used for another request, nothing was changed`,
    codeName: "BadArguments",
  });
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

async function digestOf(bytes: Uint8Array): Promise<string> {
  return hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes))));
}
