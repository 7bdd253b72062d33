/**
 * WebSocket frames: what we encode is what RFC 6455 says, and what a server sends comes apart the same way
 * however the bytes are cut.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeFrame,
  type FramePart,
  FrameReader,
  WebSocketOpcode,
} from "../../src/websocket/websocket-frames.ts";

const { Binary, Close, Continuation, Ping, Pong, Text } = WebSocketOpcode;

/** A server's frame: unmasked. */
function serverFrame(opcode: number, payload: Uint8Array, isFinal = true): Buffer {
  const first = (isFinal ? 0x80 : 0) | opcode;
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.of(first, length), payload]);
  const header = Buffer.alloc(length < 65_536 ? 4 : 10);
  header[0] = first;
  header[1] = header.length === 4 ? 126 : 127;
  if (header.length === 4) header.writeUInt16BE(length, 2);
  else header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}

/** Reads a client's frame as a server would. */
function unmask(frame: Uint8Array): { opcode: number; payload: Buffer } {
  const bytes = Buffer.from(frame);
  const short = bytes.readUInt8(1);
  expect(short & 0x80, "the mask bit").toBe(0x80);
  const [from, length] =
    (short & 0x7f) === 127
      ? [10, Number(bytes.readBigUInt64BE(2))]
      : (short & 0x7f) === 126
        ? [4, bytes.readUInt16BE(2)]
        : [2, short & 0x7f];
  const key = bytes.subarray(from, from + 4);
  const payload = bytes.subarray(from + 4).map((byte, i) => byte ^ key.readUInt8(i % 4));
  expect(payload.length, "the announced length").toBe(length);
  return { opcode: bytes.readUInt8(0), payload: Buffer.from(payload) };
}

/** Neighbouring bytes joined, so that how they were cut does not show. */
function normalise(parts: readonly FramePart[]): unknown[] {
  const seen: unknown[] = [];
  let bytes: Uint8Array[] = [];
  const flush = () => {
    if (bytes.length > 0) seen.push(`bytes ${Buffer.concat(bytes).toString("hex")}`);
    bytes = [];
  };
  for (const part of parts) {
    if (part.kind === "bytes") {
      bytes.push(part.bytes);
    } else {
      flush();
      seen.push(part.kind === "ping" ? `ping ${Buffer.from(part.payload).toString("hex")}` : part);
    }
  }
  flush();
  return seen;
}

function readInPieces(stream: Uint8Array, cuts: readonly number[]): unknown[] {
  const reader = new FrameReader();
  const parts: FramePart[] = [];
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    parts.push(...reader.push(stream.subarray(at, cut)));
    at = Math.max(at, cut);
  }
  parts.push(...reader.push(stream.subarray(at)));
  return normalise(parts);
}

describe("encodeFrame()", () => {
  test.each([0, 1, 3, 4, 125, 126, 127, 65_535, 65_536, 1_000_003])("carries %i bytes, masked", (length) => {
    const payload = Buffer.alloc(length, "edgekeeper");
    const frame = unmask(encodeFrame(Binary, [payload]));
    expect(frame.opcode).toBe(0x82);
    expect(frame.payload.equals(payload)).toBe(true);
  });

  test("joins chunks and leaves them as they were", () => {
    const chunks = [Buffer.from("ab"), Buffer.alloc(0), Buffer.from("cde")];
    expect(unmask(encodeFrame(Close, chunks))).toEqual({ opcode: 0x88, payload: Buffer.from("abcde") });
    expect(Buffer.concat(chunks).toString()).toBe("abcde");
  });

  test("draws a new key for every frame", () => {
    const keys = new Set<string>();
    for (let i = 0; i < 3000; i++) {
      keys.add(Buffer.from(encodeFrame(Binary, [Buffer.of(0)]).subarray(2, 6)).toString("hex"));
    }
    expect(keys.size).toBeGreaterThan(2990);
  });
});

describe("FrameReader", () => {
  test("reads the same from every cut of messages, fragments and control frames", () => {
    const frames = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }).map((payload) => [serverFrame(Binary, payload)]),
        fc.uint8Array({ maxLength: 100 }).map((payload) => [serverFrame(Text, payload)]),
        fc.uint8Array({ maxLength: 125 }).map((payload) => [serverFrame(Ping, payload)]),
        fc.uint8Array({ maxLength: 125 }).map((payload) => [serverFrame(Pong, payload)]),
        // A fragmented message with a ping between its parts.
        fc
          .tuple(fc.constantFrom(Binary, Text), fc.uint8Array({ maxLength: 200 }))
          .map(([opcode, payload]) => [
            serverFrame(opcode, payload, false),
            serverFrame(Ping, Buffer.from("p")),
            serverFrame(Continuation, payload, false),
            serverFrame(Continuation, Buffer.alloc(0)),
          ]),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(frames, fc.array(fc.nat(1000), { maxLength: 20 }), (groups, cuts) => {
        const stream = Buffer.concat([...groups.flat(), serverFrame(Close, Buffer.of(0x0f, 0xa1))]);
        const whole = readInPieces(stream, []);
        expect(whole.at(-1)).toEqual({ kind: "close", code: 4001 });
        expect(readInPieces(stream, cuts)).toEqual(whole);
        const single = Array.from({ length: stream.length }, (_, i) => i);
        expect(readInPieces(stream, single)).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });

  test("hands binary payload on before its message is complete", () => {
    const parts = new FrameReader().push(serverFrame(Binary, Buffer.alloc(70_000, 7)).subarray(0, 1000));
    expect(normalise(parts)).toEqual([`bytes ${"07".repeat(990)}`]);
  });

  test("gathers text, continuations of it included, and skips what is longer than 125 bytes", () => {
    const long = [Buffer.alloc(125, "x"), Buffer.alloc(1, "y")];
    const stream = [
      ...[serverFrame(Text, Buffer.from("a"), false), serverFrame(Continuation, Buffer.from("b"))],
      serverFrame(Binary, Buffer.of(1)),
      serverFrame(Text, Buffer.concat(long)),
      ...long.map((bytes, at) => serverFrame(at === 0 ? Text : Continuation, bytes, at === 1)),
      serverFrame(Text, long[0] ?? Buffer.alloc(0)),
      serverFrame(Text, Buffer.alloc(0)),
    ];
    expect(readInPieces(Buffer.concat(stream), [])).toEqual([
      { kind: "text", text: "ab" },
      "bytes 01",
      { kind: "text", text: "x".repeat(125) },
      { kind: "text", text: "" },
    ]);
  });

  test("takes a close without a code for 1005", () => {
    expect(readInPieces(serverFrame(Close, Buffer.alloc(0)), [])).toEqual([{ kind: "close", code: 1005 }]);
  });

  test.each([
    ["a reserved bit", Buffer.of(0xc2, 0), "a reserved bit is set"],
    ["a mask", Buffer.of(0x82, 0x81, 0, 0, 0, 0, 1), "a server's frame is masked"],
    ["an unknown opcode", Buffer.of(0x83, 0), "opcode 3 is unknown"],
    [
      "a continuation of nothing",
      serverFrame(Continuation, Buffer.of(1)),
      "a continuation follows no message",
    ],
    [
      "a message inside a message",
      Buffer.concat([serverFrame(Binary, Buffer.alloc(0), false), serverFrame(Binary, Buffer.of(1))]),
      "a message begins inside another",
    ],
    ["a fragmented ping", serverFrame(Ping, Buffer.alloc(0), false), "a control frame is fragmented"],
    ["a ping of 126 bytes", serverFrame(Ping, Buffer.alloc(126)), "a control frame is longer than 125 bytes"],
    [
      "a length of 2^63",
      Buffer.of(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0),
      "a frame is longer than 2^53 bytes",
    ],
  ])("stops for good at %s", (_name, bytes, reason) => {
    const reader = new FrameReader();
    expect(reader.push(bytes)).toEqual([{ kind: "fault", reason }]);
    expect(reader.push(serverFrame(Binary, Buffer.of(1)))).toEqual([]);
  });
});
