/**
 * Replies counted by their headers: a byte stream in, one call per frame out, bodies skipped unread.
 *
 * A frame is a length and at least 16 bytes: `xid`, `zxid`, `err` (ZooKeeper `ReplyHeader`). The
 * connect response has no such header but is longer than one; its second word is the session's timeout,
 * which is 0 when the session was refused.
 *
 * Nothing is copied but the few bytes of a header that a chunk boundary cuts.
 *
 * @module
 */

const prefixBytes = 4;
const headerBytes = 16;

/** `second`: the high half of the zxid, or the connect response's timeout. `bodyBytes`: behind the header. */
export type OnFrame = (xid: number, second: number, err: number, bodyBytes: number) => void;

export class FrameCounter {
  readonly #onFrame: OnFrame;
  readonly #cut = new Uint8Array(prefixBytes + headerBytes);
  readonly #cutView = new DataView(this.#cut.buffer);
  #cutBytes = 0;
  #bodyLeft = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** @throws When the bytes can't be ZooKeeper's. */
  push(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at < bytes.length) {
      if (this.#bodyLeft > 0) {
        const skipped = Math.min(this.#bodyLeft, bytes.length - at);
        this.#bodyLeft -= skipped;
        at += skipped;
      } else if (this.#cutBytes === 0 && bytes.length - at >= this.#cut.length) {
        this.#read(view, at);
        at += this.#cut.length;
      } else {
        at += this.#gather(bytes, at);
      }
    }
  }

  /** Takes what is there of a cut header; reads it once whole. */
  #gather(bytes: Uint8Array, at: number): number {
    const taken = bytes.subarray(at, at + this.#cut.length - this.#cutBytes);
    this.#cut.set(taken, this.#cutBytes);
    this.#cutBytes += taken.length;
    if (this.#cutBytes === this.#cut.length) {
      this.#cutBytes = 0;
      this.#read(this.#cutView, 0);
    }
    return taken.length;
  }

  #read(view: DataView, at: number): void {
    const length = view.getInt32(at);
    if (length < headerBytes) throw new Error(`a frame of ${length} bytes is no reply`);
    this.#bodyLeft = length - headerBytes;
    this.#onFrame(view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 16), this.#bodyLeft);
  }
}
