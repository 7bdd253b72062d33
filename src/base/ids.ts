/**
 * Ids that must not be mixed up, each with one checked constructor.
 *
 * @module
 */

import { assert } from "./assert.ts";

declare const brand: unique symbol;
type Branded<Value, Name extends string> = Value & { readonly [brand]: Name };

/** A server's number for ever, never reused (Java `myid`). 1 to 254: it is the top byte of session ids. */
export type ServerId = Branded<number, "ServerId">;

export const serverIdMax = 254;

export function makeServerId(value: number): ServerId {
  assert(Number.isInteger(value) && value >= 1 && value <= serverIdMax, "a server id is 1 to 254");
  return value as ServerId;
}

/** A session's 64 bits, signed as on the wire. Never 0: that asks for a new session. */
export type SessionId = Branded<bigint, "SessionId">;

/** What stands in a txn's header when no session asked for it. */
export const NO_SESSION = 0n as SessionId;

/** Wraps to the signed 64 bits of the wire. */
export function makeSessionId(value: bigint): SessionId {
  return BigInt.asIntN(64, value) as SessionId;
}

/** `0x1000a3c2f5b0000`: unsigned hex, as ZooKeeper prints it. */
export function formatSessionId(id: SessionId): string {
  return `0x${BigInt.asUintN(64, id).toString(16)}`;
}

/** The inverse of {@link formatSessionId}; `undefined` for anything else. */
export function parseSessionId(text: string): SessionId | undefined {
  return /^0x(0|[1-9a-f][0-9a-f]{0,15})$/.test(text) ? makeSessionId(BigInt(text)) : undefined;
}
