/**
 * Admission by token, over whatever can remember one number for each resource.
 *
 * Admission alone orders admissions, not writes: one that was admitted earlier may land later. A resource that
 * can raise the token and write in one atomic step should do that instead: `DurableFence`, `D1Fence`.
 *
 * @module
 */

import { type FencingToken, readSortable, readToken, StaleToken, sortableToken } from "./token.ts";

/** Remembers the greatest token of each resource. */
export interface TokenStore {
  /**
   * Keeps `token` as the resource's greatest unless a greater one is kept, and answers the greatest there is
   * then: in one atomic step, and durably before it answers.
   *
   * @param token - Sixteen hexadecimal digits: text order is number order.
   */
  raise(resource: string, token: string): string | Promise<string>;
}

/**
 * Lets a token pass that is at least as great as every one that passed before it.
 *
 * @throws {@link StaleToken} when a greater one has passed; RangeError for what is no token.
 * @example
 * await admit(tokens, "/jobs/42", lock.token);
 */
export async function admit(store: TokenStore, resource: string, token: FencingToken): Promise<void> {
  const value = readToken(token);
  const highest = readSortable(await store.raise(resource, sortableToken(value)));
  if (highest > value) throw new StaleToken(resource, value, highest);
}

export interface MemoryTokensOptions {
  /** Resources at most, 1 or more: to forget one would let its old tokens pass. Default: 100,000. */
  readonly resourcesMax?: number | undefined;
}

/** For one process, and as long as it lives: after a restart every token passes again. */
export class MemoryTokens implements TokenStore {
  readonly #tokens = new Map<string, string>();
  readonly #resourcesMax: number;

  constructor({ resourcesMax = 100_000 }: MemoryTokensOptions = {}) {
    this.#resourcesMax = resourcesMax;
  }

  /** @throws RangeError when it has no room for another resource. */
  raise(resource: string, token: string): string {
    const known = this.#tokens.get(resource);
    if (known !== undefined && known >= token) return known;
    if (known === undefined && this.#tokens.size >= this.#resourcesMax) {
      throw new RangeError(`Cannot guard "${resource}": ${this.#resourcesMax} resources are guarded already`);
    }
    this.#tokens.set(resource, token);
    return token;
  }
}
