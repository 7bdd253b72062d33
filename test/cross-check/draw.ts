/**
 * Random draws from a seed. The n-th draw depends on the seed and n alone.
 *
 * @module
 */

import { mix } from "../sim/choose.ts";

export class Draw {
  readonly #seed: number;
  readonly #stream: number;
  #count = 0;

  constructor(seed: number, stream: number) {
    this.#seed = seed;
    this.#stream = stream;
  }

  /** From 0 to `n - 1`. */
  below(n: number): number {
    this.#count += 1;
    return mix(this.#seed, this.#stream, this.#count) % n;
  }

  /** True `perMille` times in a thousand. */
  occurs(perMille: number): boolean {
    return this.below(1000) < perMille;
  }

  oneOf<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error("a list to draw from is not empty");
    return items[this.below(items.length)] as Item; // `undefined` may be one of them.
  }

  /** One of the keys, as often as its weight says. */
  weighted<Key extends string>(weights: Readonly<Record<Key, number>>): Key {
    const entries = Object.entries(weights) as [Key, number][];
    let left = this.below(entries.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [key, weight] of entries) {
      if (left < weight) return key;
      left -= weight;
    }
    throw new Error("weights are positive");
  }
}
