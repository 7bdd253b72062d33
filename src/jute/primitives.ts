/**
 * Jute's primitive types, big-endian, and the few packed ones of our own records.
 *
 * A writer grows and cannot fail. A reader checks every bound and throws `JuteError`, which `tryRead`
 * turns into `undefined` at each door of this room; it never leaves the room. Which fields make a record
 * is for the other files to say.
 *
 * Sources: ZooKeeper `BinaryInputArchive`, `BinaryOutputArchive`.
 *
 * @module
 */

import { makeSessionId, NO_SESSION, type SessionId, type Zxid } from "../base/index.ts";

/** Bytes that are not the record they should be. */
export class JuteError extends Error {
  override readonly name = "JuteError";
}

const encoder = new TextEncoder();
// Without `ignoreBOM` a leading U+FEFF would vanish from names and ids.
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** Up to here a loop in JavaScript beats a call of the platform's coder (measured in V8). */
const shortTextUnitsMax = 24;

const twoTo32 = 2 ** 32;
const nothing = new Uint8Array(0);

/** A growing buffer. Every `write` appends. */
export class JuteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written, in an array of its own; the writer starts empty again. */
  take(): Uint8Array {
    if (this.#length < this.#bytes.length) {
      const taken = this.#bytes.slice(0, this.#length);
      this.#length = 0;
      return taken;
    }
    const taken = this.#bytes;
    this.#bytes = nothing;
    this.#view = new DataView(nothing.buffer);
    this.#length = 0;
    return taken;
  }

  /** Forgets what was written and keeps the capacity. */
  clear(): void {
    this.#length = 0;
  }

  /** Leaves room for a length prefix and says where; {@link endLength} fills it in. */
  beginLength(): number {
    return this.#reserve(4);
  }

  /** Writes at `at` how many bytes followed the prefix. */
  endLength(at: number): void {
    this.#view.setInt32(at, this.#length - at - 4);
  }

  writeByte(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }

  writeBoolean(value: boolean): void {
    this.writeByte(value ? 1 : 0);
  }

  writeInt(value: number): void {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value);
  }

  writeLong(value: bigint): void {
    const at = this.#reserve(8);
    this.#view.setBigInt64(at, value);
  }

  /** A long whose halves are at hand: no `bigint` is made. */
  writeZxid(zxid: Zxid): void {
    const at = this.#reserve(8);
    this.#view.setInt32(at, zxid.epoch);
    this.#view.setUint32(at + 4, zxid.counter);
  }

  /** A long from a safe integer: a time, or a span, in milliseconds. */
  writeMs(value: number): void {
    const at = this.#reserve(8);
    this.#view.setInt32(at, Math.floor(value / twoTo32));
    this.#view.setUint32(at + 4, value >>> 0);
  }

  writeSessionId(id: SessionId): void {
    if (id === NO_SESSION) this.writeMs(0);
    else this.writeLong(id);
  }

  /** `null` is length -1. A lone surrogate becomes U+FFFD. */
  writeUstring(text: string | null): void {
    if (text === null) {
      this.writeInt(-1);
      return;
    }
    const at = this.beginLength();
    this.#appendUtf8(text);
    this.endLength(at);
  }

  /** `null` is length -1, and not the same as empty. */
  writeBuffer(bytes: Uint8Array | null): void {
    if (bytes === null) {
      this.writeInt(-1);
      return;
    }
    this.writeInt(bytes.length);
    this.writeRaw(bytes);
  }

  /** Bytes without a length. */
  writeRaw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** 0 to 2^32-1 in one to five bytes, seven bits each, low bits first. */
  writeVarint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.writeByte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.writeByte(rest);
  }

  /** UTF-8 after a varint length. */
  writePackedText(text: string): void {
    const start = this.#length;
    this.writeVarint(text.length);
    if (this.#appendUtf8(text) === text.length) return;
    // Not ASCII, so the length was a wrong guess.
    this.#length = start;
    const bytes = encoder.encode(text);
    this.writeVarint(bytes.length);
    this.writeRaw(bytes);
  }

  /** Bytes after a varint of their length plus one; 0 is `null`. */
  writePackedBytes(bytes: Uint8Array | null): void {
    if (bytes === null) {
      this.writeVarint(0);
      return;
    }
    this.writeVarint(bytes.length + 1);
    this.writeRaw(bytes);
  }

  #reserve(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#bytes.length) this.#grow(end);
    this.#length = end;
    return at;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length, 64));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** Returns the bytes it took: `text.length` exactly when the text is ASCII. */
  #appendUtf8(text: string): number {
    const units = text.length;
    if (units <= shortTextUnitsMax && this.#appendAscii(text)) return units;
    const at = this.#reserve(units * 3);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(at));
    this.#length = at + written;
    return written;
  }

  #appendAscii(text: string): boolean {
    const at = this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) {
        this.#length = at;
        return false;
      }
      this.#view.setUint8(at + i, unit);
    }
    return true;
  }
}

/**
 * Reads forward over bytes it does not own.
 *
 * Every `read` throws {@link JuteError} rather than pass the end; use it under {@link tryRead}. Buffers
 * come back as views of the bytes given, so copy what outlives them.
 */
export class JuteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  skip(count: number): void {
    this.#advance(count);
  }

  /** A reader of bytes that were found in these: what it throws ends the same {@link tryRead}. */
  over(bytes: Uint8Array): JuteReader {
    return new JuteReader(bytes);
  }

  /** For records of ours, which nothing may follow. ZooKeeper's may be followed by anything. */
  expectEnd(): void {
    if (this.remaining > 0) throw new JuteError("bytes after the end of the record");
  }

  readByte(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** Any byte but 0 is true. */
  readBoolean(): boolean {
    return this.readByte() !== 0;
  }

  readInt(): number {
    return this.#view.getInt32(this.#advance(4));
  }

  readLong(): bigint {
    return this.#view.getBigInt64(this.#advance(8));
  }

  /** Refuses the negative: no ensemble issues such a zxid. */
  readZxid(): Zxid {
    const at = this.#advance(8);
    const epoch = this.#view.getInt32(at);
    if (epoch < 0) throw new JuteError("negative zxid");
    return { epoch, counter: this.#view.getUint32(at + 4) };
  }

  /** A long as the nearest safe integer. */
  readMs(): number {
    const at = this.#advance(8);
    const value = this.#view.getInt32(at) * twoTo32 + this.#view.getUint32(at + 4);
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(value, Number.MAX_SAFE_INTEGER));
  }

  readSessionId(): SessionId {
    const at = this.#advance(8);
    if (this.#view.getInt32(at) === 0 && this.#view.getInt32(at + 4) === 0) return NO_SESSION;
    return makeSessionId(this.#view.getBigInt64(at));
  }

  /** Malformed UTF-8 becomes U+FFFD, as in Java. */
  readUstring(): string | null {
    const length = this.#readLength();
    return length === -1 ? null : this.#readUtf8(length);
  }

  /** For fields whose null no handler could use, paths above all. */
  readUstringNotNull(): string {
    const text = this.readUstring();
    if (text === null) throw new JuteError("null string");
    return text;
  }

  /** A view, not a copy. */
  readBuffer(): Uint8Array | null {
    const length = this.#readLength();
    return length === -1 ? null : this.readRaw(length);
  }

  /** A view, not a copy. */
  readRaw(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /**
   * The count of a vector; -1 is `null`, other negatives count as 0.
   *
   * Refuses a count that the bytes left cannot hold, so that nobody allocates for a lie.
   *
   * @param elementBytesMin - The least an element takes.
   */
  readVectorCount(elementBytesMin: number): number | null {
    const count = this.readInt();
    if (count === -1) return null;
    if (count * elementBytesMin > this.remaining) throw new JuteError("vector longer than its frame");
    return Math.max(count, 0);
  }

  readVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.readByte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value >= twoTo32) break;
        return value;
      }
    }
    throw new JuteError("varint of more than 32 bits");
  }

  readPackedText(): string {
    return this.#readUtf8(this.readVarint());
  }

  /** A copy: what is unpacked goes into the tree, where a view would pin a whole page or batch. */
  readPackedBytes(): Uint8Array | null {
    const lengthPlusOne = this.readVarint();
    return lengthPlusOne === 0 ? null : this.readRaw(lengthPlusOne - 1).slice();
  }

  #readLength(): number {
    const length = this.readInt();
    if (length < -1) throw new JuteError("negative length");
    return length;
  }

  #readUtf8(length: number): string {
    const start = this.#advance(length);
    if (length <= shortTextUnitsMax) {
      const ascii = this.#sliceAscii(start, length);
      if (ascii !== undefined) return ascii;
    }
    return decoder.decode(this.#bytes.subarray(start, start + length));
  }

  #sliceAscii(start: number, length: number): string | undefined {
    const units = new Array<number>(length);
    for (let i = 0; i < length; i++) {
      const unit = this.#view.getUint8(start + i);
      if (unit > 0x7f) return undefined;
      units[i] = unit;
    }
    return String.fromCharCode.apply(null, units);
  }

  /** Returns where the passed bytes start. */
  #advance(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw new JuteError("past the end");
    this.#at = at + count;
    return at;
  }
}

/** Runs `read` over `bytes`; `undefined` when they are not what it wants. */
export function tryRead<Value>(bytes: Uint8Array, read: (reader: JuteReader) => Value): Value | undefined {
  try {
    return read(new JuteReader(bytes));
  } catch (error) {
    if (error instanceof JuteError) return undefined;
    throw error;
  }
}
