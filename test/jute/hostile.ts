/**
 * What every decoder is put through: cut-off and damaged bytes.
 *
 * @module
 */

import fc from "fast-check";

/** Spaces and the spec's dots are for reading. */
export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.replace(/[^0-9a-f]/g, "").match(/../g) ?? [], (byte) =>
    Number.parseInt(byte, 16),
  );
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Every proper prefix, the empty one included. */
export function truncationsOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, length) => bytes.subarray(0, length));
}

/** Calls `decode` with `bytes` damaged in one to eight places; fails if it ever throws. */
export function feedDamaged(bytes: Uint8Array, decode: (damaged: Uint8Array) => unknown): void {
  const position = fc.nat({ max: Math.max(bytes.length - 1, 0) });
  const damage = fc.array(fc.tuple(position, fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(damage, (places) => {
      const damaged = bytes.slice();
      for (const [at, byte] of places) damaged[at] = byte;
      decode(damaged);
    }),
    { numRuns: 200 },
  );
}
