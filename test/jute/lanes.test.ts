/**
 * Lanes: however the stream is cut, each connection's bytes come out whole and in order, and nothing else.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeLaneEnd,
  encodeLaneHead,
  encodeLaneTurn,
  LaneReader,
  laneHeadBytes,
  laneMax,
} from "../../src/jute/lanes.ts";

type Said = { readonly lane: number; readonly bytes?: Uint8Array; readonly what?: "end" | "turn" };

function encode(said: readonly Said[]): Uint8Array {
  const parts = said.map(({ lane, bytes, what }) => {
    if (what === "end") return encodeLaneEnd(lane);
    if (what === "turn") return encodeLaneTurn(lane);
    return Buffer.concat([encodeLaneHead(lane, bytes?.length ?? 0), bytes ?? new Uint8Array(0)]);
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** What each lane has said, its bytes end to end. */
function hear(reader: LaneReader, chunks: readonly Uint8Array[]): Map<number, string[]> {
  const heard = new Map<number, string[]>();
  for (const chunk of chunks) {
    for (const part of reader.push(chunk)) {
      const said = heard.get(part.lane) ?? [];
      heard.set(part.lane, said);
      if (part.kind === "bytes") said.push(...[...part.bytes].map(String));
      else said.push(part.kind);
    }
  }
  return heard;
}

const lane = fc.constantFrom(0, 1, 2, 0x7fff_ffff, 0x8000_0000, laneMax);
const said: fc.Arbitrary<Said> = fc.oneof(
  fc.record({ lane, bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
  fc.record({ lane, what: fc.constantFrom("end" as const, "turn" as const) }),
);

describe("LaneReader", () => {
  test("gives each lane what was said to it, however the stream is cut (property)", () => {
    fc.assert(
      fc.property(fc.array(said, { maxLength: 20 }), fc.array(fc.nat(), { maxLength: 10 }), (all, cuts) => {
        const stream = encode(all);
        const at = cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b);
        const chunks = [0, ...at].map((from, i) => stream.subarray(from, at[i] ?? stream.length));
        const wanted = new Map<number, string[]>();
        for (const { lane, bytes, what } of all) {
          wanted.set(lane, [
            ...(wanted.get(lane) ?? []),
            ...(what ? [what] : [...(bytes ?? [])].map(String)),
          ]);
        }
        const reader = new LaneReader();
        expect(hear(reader, chunks)).toEqual(wanted);
        expect([reader.isBetweenParts, reader.isFaulty]).toEqual([true, false]);
      }),
    );
  });

  test("knows at every byte whether it is between two parts", () => {
    const stream = encode([
      { lane: 3, bytes: Uint8Array.of(1, 2) },
      { lane: 3, what: "end" },
    ]);
    const ends = [0, laneHeadBytes + 2, stream.length];
    for (let length = 0; length <= stream.length; length++) {
      const reader = new LaneReader();
      reader.push(stream.subarray(0, length));
      expect([length, reader.isBetweenParts]).toEqual([length, ends.includes(length)]);
    }
  });

  test.each([-2, -(2 ** 31)])("is faulty for good behind the word %i, and not before", (word) => {
    const reader = new LaneReader();
    const stream = Buffer.concat([encodeLaneEnd(1), encodeLaneHead(2, word), encodeLaneEnd(3)]);
    expect(reader.push(stream)).toEqual([{ kind: "end", lane: 1 }]);
    expect([reader.isFaulty, reader.push(encodeLaneEnd(4))]).toEqual([true, []]);
  });
});
