/**
 * A connection's first bytes: who is it, and is it worth a WebSocket?
 *
 * A WebSocket may wake a sleeping ensemble, so port scans, health checks and noise end here. What a
 * connect request asks for is the member's affair.
 *
 * Four-letter words are recognised, so that they are never taken for a length, but not answered yet: the
 * connection is closed.
 *
 * Source: ZooKeeper `NIOServerCnxn.readLength`, `FourLetterCommands`.
 *
 * @module
 */

import { frameBytesMax } from "../jute/index.ts";

const fourLetterWords: ReadonlySet<string> = new Set([
  ..."conf cons crst dirs dump envi gtmk hash isro".split(" "),
  ..."mntr ruok srst srvr stat stmk wchc wchp wchs".split(" "),
]);

export type Opening =
  /** A whole connect request, and whatever came behind it. */
  | "session"
  | "incomplete"
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
  if (fourLetterWords.has(String.fromCharCode(...head.subarray(0, 4)))) return "fourLetterWord";
  const length = new DataView(head.buffer, head.byteOffset, 4).getInt32(0);
  if (length <= 0 || length > frameBytesMax) return "malformed";
  return receivedBytes >= 4 + length ? "session" : "incomplete";
}
