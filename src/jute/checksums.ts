/**
 * The two checksums of ZooKeeper's files: Adler-32 seals them, CRC-32 makes the digest of a tree.
 *
 * Sources: RFC 1950, sections 8.2 and 9; RFC 1952, section 8.
 *
 * @module
 */

const adlerModulus = 65_521;
/** So many bytes can be summed before the sums have to be reduced. */
const adlerRun = 3_800;

/** Adler-32 of all that was added. */
export class Adler {
  #low = 1;
  #high = 0;

  get value(): number {
    return this.#high * 65_536 + this.#low;
  }

  add(bytes: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(at + adlerRun, bytes.length);
      for (; at < end; at++) {
        low += bytes[at] ?? 0;
        high += low;
      }
      low %= adlerModulus;
      high %= adlerModulus;
    }
    this.#low = low;
    this.#high = high;
  }
}

const crcPolynomial = 0xedb8_8320;

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest & 1) === 0 ? rest >>> 1 : (rest >>> 1) ^ crcPolynomial;
  return rest;
});

/** CRC-32 of all the parts, as if they were one; unsigned. */
export function crc32(...parts: readonly Uint8Array[]): number {
  let rest = -1;
  for (const bytes of parts) {
    for (let at = 0; at < bytes.length; at++) {
      rest = (rest >>> 8) ^ (crcTable[(rest ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
    }
  }
  return ~rest >>> 0;
}
