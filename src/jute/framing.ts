/**
 * Frames: cutting a byte stream at the length prefixes.
 *
 * Four-letter words come before the first frame and are the gateway's affair. What a frame means is for
 * the record files, and writing one is `JuteWriter.beginLength` and `endLength`.
 *
 * Invariant: bytes handed out are never written again, so frames may be views.
 *
 * Source: ZooKeeper `NIOServerCnxn.readLength`, `jute.maxbuffer`.
 *
 * @module
 */

/** The longest frame a client may send, prefix not counted: ZooKeeper's default `jute.maxbuffer`. */
export const frameBytesMax = 1_048_575;

const prefixBytes = 4;

export type NextFrame =
  /** A view of what was pushed; copy what outlives the connection's next few frames. */
  | { readonly kind: "frame"; readonly bytes: Uint8Array }
  | { readonly kind: "incomplete" }
  /** For good: the stream has lost its frame boundaries. */
  | { readonly kind: "fault"; readonly reason: string };

const INCOMPLETE: NextFrame = { kind: "incomplete" };

/** Cuts pushed chunks into frames. A frame of zero bytes is a frame; servers drop its sender. */
export class FrameDecoder {
  #bytes: Uint8Array = new Uint8Array(0);
  /** Whether `#bytes` is ours to append to, behind `#end`. A pushed chunk is not. */
  #isOurs = false;
  // Invariant: 0 <= #start <= #end <= #bytes.length; the bytes between are held.
  #start = 0;
  #end = 0;
  #fault: NextFrame | undefined;
  readonly #lengthMax: number;

  /** @param lengthMax - The longest frame taken, prefix not counted. Clients take longer ones than servers. */
  constructor(lengthMax = frameBytesMax) {
    this.#lengthMax = lengthMax;
  }

  /** Bytes held: more than 0 after `incomplete` means part of a frame has come. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /** Takes the next bytes of the stream. They belong to the decoder now: don't write to them again. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#fault !== undefined) return;
    if (this.buffered === 0) {
      this.#bytes = chunk;
      this.#isOurs = false;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    this.#makeRoom(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole frame; call until `incomplete`. */
  next(): NextFrame {
    if (this.#fault !== undefined) return this.#fault;
    if (this.buffered < prefixBytes) return INCOMPLETE;
    const length = this.#peekLength();
    if (length < 0 || length > this.#lengthMax) {
      this.#fault = { kind: "fault", reason: `frame length ${length} is not 0 to ${this.#lengthMax}` };
      this.#bytes = new Uint8Array(0);
      this.#start = this.#end = 0;
      return this.#fault;
    }
    if (this.buffered < prefixBytes + length) return INCOMPLETE;
    const from = this.#start + prefixBytes;
    this.#start = from + length;
    return { kind: "frame", bytes: this.#bytes.subarray(from, this.#start) };
  }

  /**
   * Makes room by moving to a new buffer twice the held size, never by shifting: old frames stay whole,
   * and each byte is copied a bounded number of times on average.
   */
  #makeRoom(count: number): void {
    if (this.#isOurs && this.#end + count <= this.#bytes.length) return;
    const held = this.#bytes.subarray(this.#start, this.#end);
    this.#bytes = new Uint8Array(2 * (held.length + count));
    this.#bytes.set(held);
    this.#isOurs = true;
    this.#start = 0;
    this.#end = held.length;
  }

  #peekLength(): number {
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#start, prefixBytes).getInt32(0);
  }
}
