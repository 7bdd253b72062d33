/**
 * A fence for one object of R2: its token is kept in its own metadata, and every put is conditional on the
 * object being the one whose token was looked at.
 *
 * Guaranteed, as long as everybody writes through a fence: a put under a token never replaces an object that
 * was put under a greater one. Not guaranteed: R2 compares entity tags, which are made of the bytes alone. If,
 * between the look and the put, a later holder puts the very bytes that were there, the put of the earlier
 * one still passes. And who deletes the object deletes its token. Where that matters, put a Durable Object
 * in front, or make the bytes differ.
 *
 * @module
 */

import { type FencingToken, readSortable, readToken, StaleToken, sortableToken } from "./token.ts";

/** Of an R2 bucket, what a fence needs; `Value` is what may be put, `Stored` what a put answers. */
export interface ObjectBucket<Value, Stored> {
  head(key: string): Promise<{
    readonly etag: string;
    readonly customMetadata?: Record<string, string>;
  } | null>;
  /** `null`: the condition did not hold. */
  put(
    key: string,
    value: Value,
    options: {
      readonly onlyIf: { readonly etagMatches?: string; readonly etagDoesNotMatch?: string };
      readonly customMetadata: Record<string, string>;
    },
  ): Promise<Stored | null>;
}

/** The name of the token in the object's custom metadata. */
const metadataName = "ek-lock-token";

/** How often a put looks again when others were quicker. */
const roundsMax = 8;

export interface FencedPutOptions {
  /** The object's own metadata; `ek-lock-token` is the fence's. */
  readonly customMetadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * Guards the objects of a bucket.
 *
 * @example
 * await new R2Fence(env.BUCKET).put("reports/42", text, lock.token);
 */
export class R2Fence<Value, Stored> {
  readonly #bucket: ObjectBucket<Value, Stored>;

  constructor(bucket: ObjectBucket<Value, Stored>) {
    this.#bucket = bucket;
  }

  /**
   * Puts `value`, unless a greater token has put the object before.
   *
   * @param value - No stream: it may have to be sent more than once.
   * @throws {@link StaleToken}: nothing was put; RangeError for what is no token; Error when others were quicker
   *   eight times in a row, and nothing was put; what R2 throws, after which it may have been put.
   */
  async put(
    key: string,
    value: Value,
    token: FencingToken,
    { customMetadata = {} }: FencedPutOptions = {},
  ): Promise<Stored> {
    const own = readToken(token);
    const metadata = { ...customMetadata, [metadataName]: sortableToken(own) };
    for (let round = 0; round < roundsMax; round++) {
      const found = await this.#bucket.head(key);
      const kept = found?.customMetadata?.[metadataName];
      const highest = kept === undefined ? undefined : readSortable(kept);
      if (highest !== undefined && highest > own) throw new StaleToken(key, own, highest);
      const onlyIf = found === null ? { etagDoesNotMatch: "*" } : { etagMatches: found.etag };
      const stored = await this.#bucket.put(key, value, { onlyIf, customMetadata: metadata });
      if (stored !== null) return stored;
    }
    throw new Error(`Cannot put "${key}": others were quicker ${roundsMax} times, and nothing was put`);
  }
}
