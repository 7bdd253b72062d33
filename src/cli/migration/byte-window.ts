/**
 * Records out of a file that need not fit into memory: a window of bytes that moves forward.
 *
 * It keeps the Adler-32 checksum of all that was taken out, which is how ZooKeeper seals its files.
 *
 * Sources: ZooKeeper `SnapStream` (plain and gzip; snappy is refused by its magic).
 *
 * @module
 */

import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { Adler, type JuteReader, tryRead } from "../../jute/index.ts";

/** A record that takes more is none: ZooKeeper's own bound on a znode is 1 MiB by default. */
const recordBytesMax = 256 * 1024 * 1024;

const readBytes = 1024 * 1024;
/** The end of a file in the middle of something, or bytes that are not what they should be. */
export class FileFault extends Error {
  override readonly name = "FileFault";
}

export class ByteWindow {
  readonly #path: string;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #bytes: Uint8Array = new Uint8Array(0);
  #from = 0;
  #isDone = false;
  /** Bytes taken out so far. */
  #taken = 0;
  #adler = new Adler();

  private constructor(path: string, chunks: AsyncIterator<Uint8Array>) {
    this.#path = path;
    this.#chunks = chunks;
  }

  /** Opens a file, unzipping it when it is gzip. */
  static async open(path: string): Promise<ByteWindow> {
    const head = await headOf(path);
    if (isSnappy(head)) {
      throw new FileFault(`Cannot read "${path}": it is compressed with snappy, decompress it first`);
    }
    const stream = createReadStream(path, { highWaterMark: readBytes });
    const source = isGzip(head) ? stream.pipe(createGunzip()) : stream;
    stream.once("error", (error) => source.destroy(error));
    return new ByteWindow(path, source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>);
  }

  /** Of everything taken out. */
  get checksum(): number {
    return this.#adler.value;
  }

  /** Whether nothing is left. */
  async isAtEnd(): Promise<boolean> {
    while (this.#held === 0 && !this.#isDone) await this.#fill();
    return this.#held === 0;
  }

  /**
   * The next record.
   *
   * @throws {@link FileFault} When the file ends first, or the bytes are no such record.
   */
  async read<Value>(what: string, read: (reader: JuteReader) => Value): Promise<Value> {
    for (;;) {
      const held = this.#bytes.subarray(this.#from);
      const result = tryRead(held, (reader) => ({
        value: read(reader),
        used: held.length - reader.remaining,
      }));
      if (result !== undefined) {
        this.#adler.add(held.subarray(0, result.used));
        this.#from += result.used;
        this.#taken += result.used;
        return result.value;
      }
      if (this.#isDone || held.length > recordBytesMax) throw this.#fault(what);
      // Twice as much each time, so that a long record is not tried too often.
      const wanted = Math.max(readBytes, 2 * held.length);
      while (!this.#isDone && this.#held < wanted) await this.#fill();
    }
  }

  get #held(): number {
    return this.#bytes.length - this.#from;
  }

  async #fill(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done === true) {
      this.#isDone = true;
      return;
    }
    const held = this.#bytes.subarray(this.#from);
    // A new array: records are views of the old one.
    this.#bytes = new Uint8Array(held.length + next.value.length);
    this.#bytes.set(held);
    this.#bytes.set(next.value, held.length);
    this.#from = 0;
  }

  #fault(what: string): FileFault {
    return new FileFault(
      `Cannot read "${this.#path}": no ${what} at byte ${this.#taken}, the file is cut or damaged`,
    );
  }
}

async function headOf(path: string): Promise<Uint8Array> {
  for await (const chunk of createReadStream(path, { start: 0, end: 7 })) return chunk as Uint8Array;
  return new Uint8Array(0);
}

function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/** The magic of snappy-java's streams: 0x82, then "SNAPPY". */
function isSnappy(head: Uint8Array): boolean {
  return head[0] === 0x82 && String.fromCharCode(...head.subarray(1, 7)) === "SNAPPY";
}
