/**
 * Primitives: what is written is read back, at every width's edges, and nothing is read past the end.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeSessionId, NO_SESSION } from "../../src/base/index.ts";
import { JuteError, JuteReader, JuteWriter, tryRead } from "../../src/jute/primitives.ts";
import * as arb from "./arbitraries.ts";
import { bytesOf, hexOf } from "./hostile.ts";

function written(write: (writer: JuteWriter) => void, capacity?: number): Uint8Array {
  const writer = new JuteWriter(capacity);
  write(writer);
  return writer.take();
}

function hexWritten(write: (writer: JuteWriter) => void): string {
  return hexOf(written(write));
}

describe("JuteWriter", () => {
  test("writes ints, longs and booleans big-endian", () => {
    expect(hexWritten((w) => w.writeInt(-2))).toBe("fffffffe");
    expect(hexWritten((w) => w.writeLong(0xff00a3c2f5b00001n))).toBe("ff00a3c2f5b00001");
    expect(hexWritten((w) => w.writeBoolean(true))).toBe("01");
    expect(hexWritten((w) => w.writeZxid({ epoch: 1, counter: 0xfffffffe }))).toBe("00000001fffffffe");
    expect(hexWritten((w) => w.writeMs(-1))).toBe("ffffffffffffffff");
    expect(hexWritten((w) => w.writeMs(1_700_000_000_123))).toBe("0000018bcfe5687b");
  });

  test("writes text as UTF-8 and null as length -1 (captured from ZooKeeper 3.9.4)", () => {
    expect(hexWritten((w) => w.writeUstring("hé€"))).toBe("0000000668c3a9e282ac");
    expect(hexWritten((w) => w.writeUstring(null))).toBe("ffffffff");
    expect(hexWritten((w) => w.writeUstring(""))).toBe("00000000");
    expect(hexWritten((w) => w.writeBuffer(null))).toBe("ffffffff");
    expect(hexWritten((w) => w.writeBuffer(new Uint8Array(0)))).toBe("00000000");
  });

  test("writes a lone surrogate as U+FFFD", () => {
    expect(hexWritten((w) => w.writeUstring("a\ud800"))).toBe("0000000461efbfbd");
  });

  test("grows from nothing and keeps what was written", () => {
    const bytes = written((w) => {
      for (let i = 0; i < 1000; i++) w.writeInt(i);
    }, 0);
    const reader = new JuteReader(bytes);
    for (let i = 0; i < 1000; i++) expect(reader.readInt()).toBe(i);
  });

  test("take() hands over its own array and starts empty again", () => {
    const writer = new JuteWriter(4);
    writer.writeInt(1);
    const full = writer.take();
    writer.writeInt(2);
    writer.writeInt(3);
    const grown = writer.take();
    writer.writeInt(4);
    expect([hexOf(full), hexOf(grown), hexOf(writer.take())]).toEqual([
      "00000001",
      "0000000200000003",
      "00000004",
    ]);
    expect(writer.take()).toHaveLength(0);
  });

  test("endLength() counts what followed beginLength(), for several frames in one writer", () => {
    const bytes = written((w) => {
      for (const text of ["ab", ""]) {
        const at = w.beginLength();
        w.writeUstring(text);
        w.endLength(at);
      }
    }, 0);
    expect(hexOf(bytes)).toBe("00000006000000026162" + "0000000400000000");
  });

  test("clear() forgets", () => {
    const writer = new JuteWriter();
    writer.writeInt(1);
    writer.clear();
    expect(writer.length).toBe(0);
  });
});

describe("JuteReader", () => {
  const cases = [
    ["int", arb.int, (w, v) => w.writeInt(v), (r) => r.readInt()],
    ["long", arb.long, (w, v) => w.writeLong(v), (r) => r.readLong()],
    ["boolean", fc.boolean(), (w, v) => w.writeBoolean(v), (r) => r.readBoolean()],
    ["zxid", arb.zxid, (w, v) => w.writeZxid(v), (r) => r.readZxid()],
    ["ms", arb.ms, (w, v) => w.writeMs(v), (r) => r.readMs()],
    ["session id", arb.sessionId, (w, v) => w.writeSessionId(v), (r) => r.readSessionId()],
    ["ustring", fc.option(arb.text), (w, v) => w.writeUstring(v), (r) => r.readUstring()],
    ["buffer", arb.bytesOrNull, (w, v) => w.writeBuffer(v), (r) => r.readBuffer()],
    ["varint", fc.nat({ max: 2 ** 32 - 1 }), (w, v) => w.writeVarint(v), (r) => r.readVarint()],
    ["packed text", arb.text, (w, v) => w.writePackedText(v), (r) => r.readPackedText()],
    ["packed bytes", arb.bytesOrNull, (w, v) => w.writePackedBytes(v), (r) => r.readPackedBytes()],
  ] as const satisfies readonly (readonly [
    string,
    fc.Arbitrary<unknown>,
    (writer: JuteWriter, value: never) => void,
    (reader: JuteReader) => unknown,
  ])[];

  test.each(cases)("reads back every %s, and no shorter", (_, values, write, read) => {
    fc.assert(
      fc.property(values as fc.Arbitrary<never>, (value) => {
        const bytes = written((writer) => write(writer, value), 0);
        const reader = new JuteReader(bytes);
        expect(read(reader)).toEqual(value);
        expect(reader.remaining).toBe(0);
        const cut = new JuteReader(bytes.subarray(0, bytes.length - 1));
        expect(() => read(cut)).toThrow(JuteError);
      }),
    );
  });

  test.each([0, 1, 23, 24, 25, 200])("reads text of %i units, ASCII and not", (units) => {
    for (const text of ["a".repeat(units), "é".repeat(units), `${"a".repeat(units)}𝄞`]) {
      const reader = new JuteReader(written((writer) => writer.writeUstring(text)));
      expect(reader.readUstring()).toBe(text);
    }
  });

  test("reads from the middle of a larger buffer", () => {
    const whole = bytesOf("ffff 00000007 00000002 6869 ffff");
    const reader = new JuteReader(whole.subarray(2, 12));
    expect([reader.readInt(), reader.readUstring(), reader.remaining]).toEqual([7, "hi", 0]);
  });

  test("readUstring() replaces malformed UTF-8 and keeps a byte order mark", () => {
    expect(new JuteReader(bytesOf("00000003 61ff62")).readUstring()).toBe("a\ufffdb");
    expect(new JuteReader(bytesOf("00000003 efbbbf")).readUstring()).toBe("\ufeff");
  });

  test.each(["fffffffe", "80000000", "00000001", "7fffffff 00"])("refuses the length %s", (hex) => {
    expect(() => new JuteReader(bytesOf(hex)).readUstring()).toThrow(JuteError);
    expect(() => new JuteReader(bytesOf(hex)).readBuffer()).toThrow(JuteError);
  });

  test("readUstringNotNull() refuses null", () => {
    expect(() => new JuteReader(bytesOf("ffffffff")).readUstringNotNull()).toThrow(JuteError);
  });

  test("readBoolean() takes any byte but 0 for true", () => {
    expect(new JuteReader(bytesOf("02")).readBoolean()).toBe(true);
  });

  test("readZxid() refuses a negative one", () => {
    expect(() => new JuteReader(bytesOf("ffffffffffffffff")).readZxid()).toThrow(JuteError);
  });

  test("readMs() clamps to safe integers", () => {
    expect(new JuteReader(bytesOf("7fffffffffffffff")).readMs()).toBe(Number.MAX_SAFE_INTEGER);
    expect(new JuteReader(bytesOf("0020000000000000")).readMs()).toBe(Number.MAX_SAFE_INTEGER);
    expect(new JuteReader(bytesOf("001fffffffffffff")).readMs()).toBe(Number.MAX_SAFE_INTEGER);
    expect(new JuteReader(bytesOf("8000000000000000")).readMs()).toBe(Number.MIN_SAFE_INTEGER);
  });

  test("readSessionId() keeps the top bit, and knows 0 from an id with an empty half", () => {
    expect(new JuteReader(bytesOf("ff00a3c2f5b00001")).readSessionId()).toBe(
      makeSessionId(0xff00a3c2f5b00001n),
    );
    expect(new JuteReader(bytesOf("0000000100000000")).readSessionId()).toBe(makeSessionId(1n << 32n));
    expect(new JuteReader(bytesOf("0000000000000000")).readSessionId()).toBe(NO_SESSION);
  });

  test("readVectorCount() tells null, reads other negatives as 0, and refuses what cannot fit", () => {
    expect(new JuteReader(bytesOf("ffffffff")).readVectorCount(4)).toBe(null);
    expect(new JuteReader(bytesOf("fffffffe")).readVectorCount(4)).toBe(0);
    expect(new JuteReader(bytesOf("00000001 00000000")).readVectorCount(4)).toBe(1);
    expect(() => new JuteReader(bytesOf("00000002 00000000")).readVectorCount(4)).toThrow(JuteError);
    expect(() => new JuteReader(bytesOf("7fffffff 00000000")).readVectorCount(4)).toThrow(JuteError);
  });

  test.each(["ffffffffff7f", "ffffffff10", "8080808080"])("readVarint() refuses %s", (hex) => {
    expect(() => new JuteReader(bytesOf(hex)).readVarint()).toThrow(JuteError);
  });

  test("readBuffer() is a view, readPackedBytes() a copy", () => {
    const wire = bytesOf("00000001 78");
    expect(new JuteReader(wire).readBuffer()?.buffer).toBe(wire.buffer);
    const packed = bytesOf("02 78");
    expect(new JuteReader(packed).readPackedBytes()?.buffer).not.toBe(packed.buffer);
  });
});

describe("tryRead()", () => {
  test("turns a JuteError into undefined and lets our own bugs through", () => {
    expect(tryRead(bytesOf("0000"), (reader) => reader.readInt())).toBe(undefined);
    expect(() =>
      tryRead(bytesOf(""), () => {
        throw new TypeError("a bug");
      }),
    ).toThrow(TypeError);
  });
});
