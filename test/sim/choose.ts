/**
 * The only source of nondeterminism: everything the state does not determine is asked here.
 *
 * Answer 0 is always the dull one (no fault, smallest delay, oldest first), so an empty tape is a healthy
 * run and a smaller number makes a simpler history.
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
const streamCount = 8;

export interface Chooser {
  /** An integer from 0 to `n - 1`. */
  choose(n: number, stream: Stream): number;
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
  readonly #drawn = new Int32Array(streamCount);

  constructor(seed: number) {
    assert(Number.isInteger(seed) && seed >= 0, "a seed is a non-negative integer");
    this.#seed = mix(seed >>> 0, Math.floor(seed / 2 ** 32) | 0, 0x51ed27);
  }

  choose(n: number, stream: Stream): number {
    const index = this.#drawn[stream] ?? 0;
    this.#drawn[stream] = index + 1;
    return mix(this.#seed, stream, index) % n;
  }
}

/** Answers from a list, then 0 for ever. */
export class TapeChooser implements Chooser {
  readonly #tape: readonly number[];
  #position = 0;

  constructor(tape: readonly number[]) {
    this.#tape = tape;
  }

  choose(n: number): number {
    return (this.#tape[this.#position++] ?? 0) % n;
  }
}

/**
 * Answers in every possible way, one way per run: depth first, like an odometer.
 *
 * @example
 * const all = new EnumeratingChooser();
 * do run(all); while (all.advance());
 */
export class EnumeratingChooser implements Chooser {
  readonly #answers: number[] = [];
  readonly #sizes: number[] = [];
  #position = 0;

  choose(n: number): number {
    if (this.#position === this.#answers.length) {
      this.#answers.push(0);
      this.#sizes.push(n);
    }
    return this.#answers[this.#position++] ?? 0;
  }

  /** Turns to the next way; `false` when there is none. */
  advance(): boolean {
    this.#position = 0;
    for (;;) {
      const last = this.#answers.pop();
      const size = this.#sizes.pop();
      if (last === undefined || size === undefined) return false;
      if (last + 1 < size) {
        this.#answers.push(last + 1);
        this.#sizes.push(size);
        return true;
      }
    }
  }
}

/** True `perMillion` times in a million. */
export function occurs(chooser: Chooser, perMillion: number, stream: Stream): boolean {
  return perMillion > 0 && chooser.choose(1_000_000, stream) >= 1_000_000 - perMillion;
}

/** One of a list; the first is the dull one. */
export function oneOf<Item>(chooser: Chooser, items: readonly Item[], stream: Stream): Item {
  const item = items[chooser.choose(items.length, stream)];
  assert(item !== undefined, "a list to choose from is not empty");
  return item;
}

/** A whole number around `mean`, never less than 0: mostly below twice the mean, one in 64 up to 20 times. */
export function around(chooser: Chooser, mean: number, stream: Stream): number {
  const draw = chooser.choose(1 << 20, stream);
  const body = draw & 0x3fff;
  const tail = draw >>> 14 === 63 ? 20 : 2;
  return Math.floor((body * tail * mean) / 0x3fff);
}
