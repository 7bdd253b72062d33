/**
 * Replies are counted rightly wherever the stream is cut, and bytes that are no replies are refused. The
 * frames are written out here as ZooKeeper sends them, so that no encoder of ours has a say.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { FrameCounter } from "../../bench/load/frames.ts";
import { AnswerCounter } from "../../bench/load/http.ts";

type Seen = readonly [xid: number, second: number, err: number, bodyBytes: number];

const handshake = `00000025 00000000 00007530 0102030405060708 00000010${"ab".repeat(16)}00`;
const created = "00000016 00000001 0000000100000002 00000000 00000002 2f61";
const missing = "00000010 00000005 0000000100000003 ffffff9b";
const event = "0000001e ffffffff 0000000100000004 00000000 00000003 00000003 00000002 2f61";

const conversation = Buffer.from([handshake, created, event, missing].join("").replaceAll(" ", ""), "hex");
const wanted: Seen[] = [
  // Of a handshake only the timeout means anything.
  [0, 30_000, 0x05060708, 21],
  [1, 1, 0, 6],
  [-1, 1, 0, 14],
  [5, 1, -101, 0],
];

function count(chunks: readonly Uint8Array[]): Seen[] {
  const seen: Seen[] = [];
  const counter = new FrameCounter((...frame) => seen.push(frame));
  for (const chunk of chunks) counter.push(chunk);
  return seen;
}

describe("FrameCounter", () => {
  test("reads every header of a whole chunk", () => {
    expect(count([conversation])).toEqual(wanted);
  });

  test("reads the same when the stream is cut once, anywhere", () => {
    for (let at = 0; at <= conversation.length; at++) {
      expect(count([conversation.subarray(0, at), conversation.subarray(at)])).toEqual(wanted);
    }
  });

  test("reads the same byte by byte, and in chunks of 3 and 23 bytes", () => {
    for (const size of [1, 3, 23]) {
      const chunks = [];
      for (let at = 0; at < conversation.length; at += size) {
        chunks.push(conversation.subarray(at, at + size));
      }
      expect(count(chunks)).toEqual(wanted);
    }
  });

  test("does not keep the chunk: it may be overwritten after the call", () => {
    const chunk = Buffer.from(conversation.subarray(0, 50));
    const seen: Seen[] = [];
    const counter = new FrameCounter((...frame) => seen.push(frame));
    counter.push(chunk);
    chunk.fill(0xff);
    counter.push(conversation.subarray(50));
    expect(seen).toEqual(wanted);
  });

  test.each([
    ["shorter than a header", "0000000f"],
    ["of negative length", "ffffffff"],
  ])("refuses a frame %s", (_name, prefix) => {
    const bytes = Buffer.concat([Buffer.from(prefix, "hex"), Buffer.alloc(16)]);
    expect(() => count([bytes])).toThrow("is no reply");
  });
});

describe("AnswerCounter", () => {
  const answers = Buffer.from(
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "1"\r\n\r\nhello',
      "HTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n",
      "HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    ].join(""),
  );

  function statuses(chunks: readonly Buffer[]): number[] {
    const seen: number[] = [];
    const counter = new AnswerCounter((status) => seen.push(status));
    for (const chunk of chunks) counter.push(chunk);
    return seen;
  }

  test("reads every status, wherever the stream is cut", () => {
    for (let at = 0; at <= answers.length; at++) {
      expect(statuses([answers.subarray(0, at), answers.subarray(at)])).toEqual([200, 201, 404]);
    }
  });

  test("reads the same byte by byte", () => {
    const bytes = Array.from(answers, (_, at) => answers.subarray(at, at + 1));
    expect(statuses(bytes)).toEqual([200, 201, 404]);
  });

  test.each([
    ["without a length", "HTTP/1.1 200 OK\r\n\r\n"],
    ["that is none", "SSH-2.0\r\nContent-Length: 0\r\n\r\n"],
  ])("refuses an answer %s", (_name, text) => {
    expect(() => statuses([Buffer.from(text)])).toThrow("without status or length");
  });

  test("refuses a head without an end", () => {
    expect(() => statuses([Buffer.alloc(20_000, "a")])).toThrow("no end");
  });
});
