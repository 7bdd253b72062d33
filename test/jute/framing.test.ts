/**
 * Framing: however a stream is cut into chunks, the same frames come out; limits hold at their edges.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameDecoder, frameBytesMax } from "../../src/jute/framing.ts";
import { bytesOf, hexOf } from "./hostile.ts";

function framed(...bodies: Uint8Array[]): Uint8Array {
  const stream = new Uint8Array(bodies.reduce((sum, body) => sum + 4 + body.length, 0));
  let at = 0;
  for (const body of bodies) {
    new DataView(stream.buffer).setInt32(at, body.length);
    stream.set(body, at + 4);
    at += 4 + body.length;
  }
  return stream;
}

/** The frames that are whole by now. */
function drain(decoder: FrameDecoder): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (;;) {
    const next = decoder.next();
    if (next.kind === "fault") throw new Error(next.reason);
    if (next.kind === "incomplete") return frames;
    frames.push(next.bytes);
  }
}

function split(stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return at.slice(1).map((end, i) => stream.slice(at[i], end));
}

const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });

describe("FrameDecoder", () => {
  test("finds the same frames however the stream is split, drained after each chunk or at the end", () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat({ max: 500 })), fc.boolean(), (bodies, cuts, isLate) => {
        const decoder = new FrameDecoder();
        const frames: Uint8Array[] = [];
        for (const chunk of split(framed(...bodies), cuts)) {
          decoder.push(chunk);
          if (!isLate) frames.push(...drain(decoder));
        }
        frames.push(...drain(decoder));
        expect(frames).toEqual(bodies);
        expect(decoder.buffered).toBe(0);
      }),
    );
  });

  test("finds them when fed byte by byte, and frames handed out stay as they were", () => {
    const wanted = Array.from({ length: 50 }, (_, i) => new Uint8Array(i).fill(i));
    const decoder = new FrameDecoder();
    const frames: Uint8Array[] = [];
    for (const byte of framed(...wanted)) {
      decoder.push(Uint8Array.of(byte));
      frames.push(...drain(decoder));
    }
    expect(frames).toEqual(wanted);
  });

  test("finds a chunk that is a view into a larger buffer", () => {
    const whole = bytesOf("ffff 00000002 0102 ffff");
    const decoder = new FrameDecoder();
    decoder.push(whole.subarray(2, 8));
    expect(drain(decoder).map(hexOf)).toEqual(["0102"]);
  });

  test("tells how much of a frame it holds", () => {
    const decoder = new FrameDecoder();
    expect([decoder.next().kind, decoder.buffered]).toEqual(["incomplete", 0]);
    decoder.push(bytesOf("00000002"));
    expect([decoder.next().kind, decoder.buffered]).toEqual(["incomplete", 4]);
    decoder.push(bytesOf("01"));
    expect([decoder.next().kind, decoder.buffered]).toEqual(["incomplete", 5]);
    decoder.push(bytesOf("02 0000"));
    expect([decoder.next().kind, decoder.buffered]).toEqual(["frame", 2]);
  });

  test("hands out a frame of zero bytes", () => {
    const decoder = new FrameDecoder();
    decoder.push(bytesOf("00000000"));
    expect(drain(decoder)).toEqual([new Uint8Array(0)]);
  });

  test("takes a frame of frameBytesMax", () => {
    const decoder = new FrameDecoder();
    decoder.push(framed(new Uint8Array(frameBytesMax)));
    expect(drain(decoder).map((frame) => frame.length)).toEqual([1_048_575]);
  });

  test.each([
    ["frameBytesMax + 1", "00100000"],
    ["-1", "ffffffff"],
    ["a late four-letter word", "72756f6b"],
  ])("refuses the length %s as soon as its four bytes are there, for good", (_, hex) => {
    const decoder = new FrameDecoder();
    decoder.push(bytesOf(hex).subarray(0, 3));
    expect(decoder.next().kind).toBe("incomplete");
    decoder.push(bytesOf(hex).subarray(3));
    expect(decoder.next().kind).toBe("fault");
    decoder.push(bytesOf("00000000"));
    expect([decoder.next().kind, decoder.buffered]).toEqual(["fault", 0]);
  });

  test("hands out the frames before a bad length first", () => {
    const decoder = new FrameDecoder();
    decoder.push(bytesOf("00000001 07 80000000"));
    expect(decoder.next().kind).toBe("frame");
    expect(decoder.next().kind).toBe("fault");
  });

  test("copies a large frame in small chunks a bounded number of times", () => {
    const stream = framed(new Uint8Array(frameBytesMax).fill(7));
    const decoder = new FrameDecoder();
    for (let at = 0; at < stream.length; at += 64) decoder.push(stream.subarray(at, at + 64));
    const [frame] = drain(decoder);
    expect(frame?.every((byte) => byte === 7)).toBe(true);
  }, 2_000);
});
