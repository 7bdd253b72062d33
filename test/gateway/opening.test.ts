/**
 * A connection's first bytes: a connect request opens, noise and four-letter words do not.
 *
 * @module
 */

import { expect, test } from "vitest";
import { judgeOpening } from "../../src/gateway/opening.ts";
import { frameBytesMax } from "../../src/jute/index.ts";

function prefix(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(length);
  return bytes;
}

test.each([
  ["nothing", Buffer.alloc(0), 0, "incomplete"],
  ["three bytes", Buffer.of(0, 0, 0), 3, "incomplete"],
  ["a prefix of 44", prefix(44), 4, "incomplete"],
  ["a frame short of one byte", prefix(44), 47, "incomplete"],
  ["a frame", prefix(44), 48, "session"],
  ["a frame and what is pipelined behind it", prefix(44), 1000, "session"],
  ["the longest frame", prefix(frameBytesMax), 4 + frameBytesMax, "session"],
  ["a frame of one byte too many", prefix(frameBytesMax + 1), 4, "malformed"],
  ["an empty frame", prefix(0), 4, "malformed"],
  ["a negative length", prefix(-1), 4, "malformed"],
  ["HTTP", Buffer.from("GET / HTTP/1.1"), 14, "malformed"],
  ["ruok", Buffer.from("ruok"), 4, "fourLetterWord"],
  ["mntr with a newline", Buffer.from("mntr\n"), 5, "fourLetterWord"],
  ["stmk short of a byte of its mask", Buffer.from("stmk\0\0\0\0\0\0\0"), 11, "incomplete"],
  ["stmk with its mask", Buffer.from("stmk\0\0\0\0\0\0\0\0"), 12, "fourLetterWord"],
  ["a word nobody knows", Buffer.from("nope"), 4, "malformed"],
])("judgeOpening() of %s", (_name, head, receivedBytes, opening) => {
  expect(judgeOpening(head, receivedBytes)).toBe(opening);
});
