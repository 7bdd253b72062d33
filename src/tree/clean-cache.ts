/**
 * A bounded cache of what the rows hold, known absences included.
 *
 * Least recently used, roughly: two generations, each at most half of the bound. A hit in the old one
 * moves to the young one; when the young one is full it becomes the old one, and the old one is
 * forgotten. A hit in the young one costs a single map lookup, which an exact order could not offer.
 *
 * Invariant: no path is in both generations.
 *
 * @module
 */

import type { Znode } from "../base/index.ts";
import { weigh } from "./weight.ts";

export class CleanCache {
  readonly #generationBytesMax: number;
  #young = new Map<string, Znode | null>();
  #old = new Map<string, Znode | null>();
  #youngBytes = 0;

  /** @param bytesMax - Estimated memory of all entries. */
  constructor(bytesMax: number) {
    this.#generationBytesMax = bytesMax / 2;
  }

  /** The znode, `null` when the rows are known to have none, `undefined` when nothing is known. */
  get(path: string): Znode | null | undefined {
    const young = this.#young.get(path);
    if (young !== undefined) return young;
    const old = this.#old.get(path);
    if (old === undefined) return undefined;
    this.set(path, old);
    return old;
  }

  set(path: string, znode: Znode | null): void {
    this.delete(path);
    const bytes = weigh(path, znode);
    if (bytes > this.#generationBytesMax) return;
    if (this.#youngBytes + bytes > this.#generationBytesMax) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(path, znode);
    this.#youngBytes += bytes;
  }

  delete(path: string): void {
    const young = this.#young.get(path);
    if (young === undefined) {
      this.#old.delete(path);
      return;
    }
    this.#young.delete(path);
    this.#youngBytes -= weigh(path, young);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#youngBytes = 0;
  }
}
