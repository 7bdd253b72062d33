/**
 * A connection's first bytes: who is it, and is it worth a WebSocket?
 *
 * A WebSocket may wake a sleeping ensemble, so port scans, health checks and noise end here. What a
 * connect request asks for is the member's affair.
 *
 * Source: ZooKeeper `NIOServerCnxn.readLength`.
 *
 * @module
 */

import { frameBytesMax } from "../jute/index.ts";
import { isWord, wordLength } from "./words.ts";

export type Opening =
  /** A whole connect request, and whatever came behind it. */
  | "session"
  | "incomplete"
  /** Whole, and whatever came behind it, which is ignored. */
  | "fourLetterWord"
  /** The first frame would be empty, or longer than a frame may be. */
  | "malformed";

/**
 * Judges a connection by the first of its bytes and by how many there are.
 *
 * Any four letters read as a length lie far above the frame limit, so there is no ambiguity.
 *
 * @param head - At least the first four bytes, once so many have come.
 */
export function judgeOpening(head: Uint8Array, receivedBytes: number): Opening {
  if (head.length < 4) return "incomplete";
  if (isWord(head)) return receivedBytes >= wordLength(head) ? "fourLetterWord" : "incomplete";
  const length = new DataView(head.buffer, head.byteOffset, 4).getInt32(0);
  if (length <= 0 || length > frameBytesMax) return "malformed";
  return receivedBytes >= 4 + length ? "session" : "incomplete";
}
