/**
 * Tables of small integers, for the parts of the search that run millions of times.
 *
 * @module
 */

/** A list of 32-bit integers that grows. */
export class Ints {
  #data = new Int32Array(1024);
  length = 0;

  push(value: number): void {
    this.reserve(1);
    this.#data[this.length] = value;
    this.length += 1;
  }

  pushAll(values: Int32Array): void {
    this.reserve(values.length);
    this.#data.set(values, this.length);
    this.length += values.length;
  }

  at(index: number): number {
    return this.#data[index] ?? 0;
  }

  set(index: number, value: number): void {
    this.#data[index] = value;
  }

  copy(start: number, into: Int32Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.#data[start + i] ?? 0;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.#data.length) return;
    const grown = new Int32Array(Math.max(this.length + more, this.#data.length * 2));
    grown.set(this.#data);
    this.#data = grown;
  }
}

/** Scrambles 32 bits; two rounds keep neighbours apart. */
export function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

/** From a pair of integers to a non-negative one. Keys are stored exactly. */
export class PairMap {
  #keys = new Int32Array(2 * 1024);
  #values = new Int32Array(1024).fill(-1);
  size = 0;

  /** -1: not there. */
  get(a: number, b: number): number {
    return this.#values[this.#slot(a, b)] ?? -1;
  }

  set(a: number, b: number, value: number): void {
    if (this.size * 2 >= this.#values.length) this.#grow();
    const slot = this.#slot(a, b);
    if (this.#values[slot] === -1) this.size += 1;
    this.#keys[2 * slot] = a;
    this.#keys[2 * slot + 1] = b;
    this.#values[slot] = value;
  }

  #slot(a: number, b: number): number {
    const mask = this.#values.length - 1;
    let slot = mix(mix(0x1234567, a), b) & mask;
    while (this.#values[slot] !== -1 && (this.#keys[2 * slot] !== a || this.#keys[2 * slot + 1] !== b))
      slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Int32Array(keys.length * 2);
    this.#values = new Int32Array(values.length * 2).fill(-1);
    this.size = 0;
    for (const [slot, value] of values.entries())
      if (value !== -1) this.set(keys[2 * slot] ?? 0, keys[2 * slot + 1] ?? 0, value);
  }
}

/**
 * The states seen, as 64-bit fingerprints: 8 bytes each at full load.
 *
 * Two states with one fingerprint would be taken for one. With `n` states about `n * n / 2^65` such pairs
 * are to be expected; the report prints the figure.
 */
export class Fingerprints {
  #low = new Uint32Array(1 << 16);
  #high = new Uint32Array(1 << 16);
  size = 0;

  /** Whether it was new. */
  add(vector: Int32Array): boolean {
    let low = 0x243f6a88;
    let high = 0x13198a2e;
    for (const value of vector) {
      low = mix(low, value);
      high = mix(Math.imul(high, 31) ^ low, value + 0x5bd1e995);
    }
    // (0, 0) marks a free place.
    return this.#insert(low >>> 0 || 1, high >>> 0);
  }

  #insert(low: number, high: number): boolean {
    if (this.size * 4 >= this.#low.length * 3) this.#grow();
    const mask = this.#low.length - 1;
    let slot = (low ^ Math.imul(high, 0x27d4eb2f)) & mask;
    while (this.#low[slot] !== 0) {
      if (this.#low[slot] === low && this.#high[slot] === high) return false;
      slot = (slot + 1) & mask;
    }
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.size += 1;
    return true;
  }

  #grow(): void {
    const low = this.#low;
    const high = this.#high;
    this.#low = new Uint32Array(low.length * 2);
    this.#high = new Uint32Array(low.length * 2);
    this.size = 0;
    for (const [slot, value] of low.entries()) if (value !== 0) this.#insert(value, high[slot] ?? 0);
  }
}

/** Things that are equal get one number. */
export class Interned<Value> {
  readonly values: Value[] = [];
  readonly #ids = new Map<string, number>();

  /** `make` is called for a key that is new. */
  id(key: string, make: () => Value): number {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.values.length;
    this.values.push(make());
    this.#ids.set(key, id);
    return id;
  }

  get size(): number {
    return this.values.length;
  }

  at(id: number): Value {
    const value = this.values[id];
    if (value === undefined) throw new Error(`nothing has number ${id}`);
    return value;
  }
}
