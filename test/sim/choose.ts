/**
 * The only source of nondeterminism: everything the state does not determine is asked here.
 *
 * Answer 0 is the dull one: no fault, smallest delay, oldest first.
 *
 * Random answers are counter-based, one stream per concern: an additional draw for the network does not
 * shift what the storage draws, and a seed stays comparable under small changes of the code.
 *
 * @module
 */

import { assert } from "../../src/base/index.ts";

/** One stream per concern. */
export const Stream = { Setup: 0, Net: 1, Storage: 2, Life: 3, Work: 4, Clock: 5, Sched: 6, Aim: 7 } as const;
export type Stream = (typeof Stream)[keyof typeof Stream];

/** Streams of features, by their place in the list. */
export const firstFeatureStream = 8;
const streamsMax = 32;

export interface Chooser {
  /** An integer from 0 to `n - 1`. */
  choose(n: number, stream: number): number;
}

/** Mixes three 32-bit integers into one; the finalizer of MurmurHash3 twice. */
export function mix(a: number, b: number, c: number): number {
  let h = (a ^ Math.imul(b + 1, 0x9e3779b1)) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = (h ^ Math.imul(c + 1, 0xc2b2ae35)) | 0;
  h = Math.imul(h ^ (h >>> 13), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0xc2b2ae35);
  return (h ^ (h >>> 15)) >>> 0;
}

/** Answers from a seed. */
export class RandomChooser implements Chooser {
  readonly #seed: number;
  readonly #drawn = new Int32Array(streamsMax);

  constructor(seed: number) {
    assert(Number.isInteger(seed) && seed >= 0, "a seed is a non-negative integer");
    this.#seed = mix(seed >>> 0, Math.floor(seed / 2 ** 32) | 0, 0x51ed27);
  }

  choose(n: number, stream: number): number {
    const index = this.#drawn[stream] ?? 0;
    this.#drawn[stream] = index + 1;
    return mix(this.#seed, stream, index) % n;
  }
}

/** True `perMillion` times in a million. */
export function occurs(chooser: Chooser, perMillion: number, stream: number): boolean {
  return perMillion > 0 && chooser.choose(1_000_000, stream) >= 1_000_000 - perMillion;
}

/** One of a list; the first is the dull one. */
export function oneOf<Item>(chooser: Chooser, items: readonly Item[], stream: number): Item {
  const item = items[chooser.choose(items.length, stream)];
  assert(item !== undefined, "a list to choose from is not empty");
  return item;
}

/** A whole number around `mean`, never less than 0: mostly below twice the mean, one in 64 up to 20 times. */
export function around(chooser: Chooser, mean: number, stream: number): number {
  const draw = chooser.choose(1 << 20, stream);
  const body = draw & 0x3fff;
  const tail = draw >>> 14 === 63 ? 20 : 2;
  return Math.floor((body * tail * mean) / 0x3fff);
}
