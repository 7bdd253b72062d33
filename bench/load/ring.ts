/**
 * Requests encoded before the clock starts: a ring of frames that a connection sends round and round.
 *
 * Their xids are 1 to n and repeat with the ring. A server only echoes an xid, so that is no lie as long as
 * fewer requests are outstanding than the ring has.
 *
 * @module
 */

import { type Acl, type ClientRequest, CreateMode, OpCode } from "../../src/base/index.ts";
import { encodeRequest, JuteWriter } from "../../src/jute/index.ts";

export interface Ring {
  readonly bytes: Uint8Array;
  /** Where frame `i` begins; one more for the end. */
  readonly offsets: Uint32Array;
  readonly size: number;
}

export function encodeRing(requests: readonly ClientRequest[]): Ring {
  const writer = new JuteWriter(requests.length * 160);
  const offsets = new Uint32Array(requests.length + 1);
  for (const [index, request] of requests.entries()) {
    offsets[index] = writer.length;
    encodeRequest(writer, index + 1, request);
  }
  offsets[requests.length] = writer.length;
  return { bytes: writer.take(), offsets, size: requests.length };
}

/** A ring of at least `sizeMin` whose frame `i` is `make(i)`. */
export function makeRing(sizeMin: number, make: (index: number) => ClientRequest): Ring {
  return encodeRing(Array.from({ length: sizeMin }, (_, index) => make(index)));
}

const openAcl: readonly Acl[] = [{ perms: 31, scheme: "world", id: "anyone" }];

/** Not all the same byte, so that nobody compresses it to nothing. */
export function makeValue(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + 7) % 251);
}

export function create(path: string, data: Uint8Array, flags: number = CreateMode.Persistent): ClientRequest {
  return { type: OpCode.Create, path, data, acl: openAcl, flags, ttlMs: -1 };
}

export function set(path: string, data: Uint8Array): ClientRequest {
  return { type: OpCode.SetData, path, data, version: -1 };
}

export function get(path: string, watch = false): ClientRequest {
  return { type: OpCode.GetData, path, watch };
}

export function children(path: string): ClientRequest {
  return { type: OpCode.GetChildren2, path, watch: false };
}
