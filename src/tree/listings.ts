/**
 * A bounded memory of whole listings: the names of a znode's children, as they were last put together.
 *
 * A listing is exact or forgotten: whoever creates or deletes a child says so. Asked for again it is the same
 * array, so that what others made of it, its bytes for example, can be kept with it.
 *
 * Least recently used goes first; one that alone passes the bound is not kept.
 *
 * @module
 */

export class Listings {
  readonly #bytesMax: number;
  /** Oldest use first. */
  readonly #byParent = new Map<string, { readonly names: readonly string[]; readonly bytes: number }>();
  #bytes = 0;

  /** @param bytesMax - Estimated memory of all listings, and of as many bytes again made of them. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(parent: string): readonly string[] | undefined {
    const known = this.#byParent.get(parent);
    if (known === undefined) return undefined;
    this.#byParent.delete(parent);
    this.#byParent.set(parent, known);
    return known.names;
  }

  set(parent: string, names: readonly string[]): void {
    this.forget(parent);
    const bytes = weighNames(parent, names);
    if (bytes > this.#bytesMax) return;
    this.#byParent.set(parent, { names, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#byParent.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.forget(oldest);
    }
  }

  /** A child came or went. */
  forget(parent: string): void {
    const known = this.#byParent.get(parent);
    if (known === undefined) return;
    this.#byParent.delete(parent);
    this.#bytes -= known.bytes;
  }

  clear(): void {
    this.#byParent.clear();
    this.#bytes = 0;
  }
}

/** A string's header and its place in the array, two bytes a unit; then length and bytes as a reply has them. */
function weighNames(parent: string, names: readonly string[]): number {
  let units = parent.length;
  for (const name of names) units += name.length;
  return 200 + names.length * (24 + 4) + units * 3;
}
