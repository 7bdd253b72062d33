/**
 * Fencing tokens: zxids, 1 to 2^63-1, of which later grants of one lock have greater ones.
 *
 * The SDK has them as `bigint`, HTTP prints them as `0x100000007`. Stores keep sixteen hexadecimal digits, for
 * which text order is number order in every language and every database.
 *
 * @module
 */

/** What a holder carries: `lock.token` of the SDK, or `token` of an HTTP grant. Decimal text is read, too. */
export type FencingToken = bigint | string;

const tokenMax = 2n ** 63n - 1n;

/**
 * Reads a token; `undefined` for what is none.
 *
 * @example
 * parseToken("0x100000007") === 4294967303n;
 */
export function parseToken(token: FencingToken): bigint | undefined {
  if (typeof token === "string" && !/^(?:0x[0-9a-f]{1,16}|[0-9]{1,19})$/.test(token)) return undefined;
  const value = BigInt(token);
  return value >= 1n && value <= tokenMax ? value : undefined;
}

/**
 * @throws RangeError for what is no token.
 */
export function readToken(token: FencingToken): bigint {
  const value = parseToken(token);
  if (value === undefined) {
    throw new RangeError(`"${String(token).slice(0, 40)}" is no fencing token: 0x and hexadecimal digits`);
  }
  return value;
}

/** As HTTP prints it. */
export function formatToken(token: bigint): string {
  return `0x${token.toString(16)}`;
}

/** As stores keep it. */
export function sortableToken(token: bigint): string {
  return token.toString(16).padStart(16, "0");
}

/** The inverse of {@link sortableToken}; a store that has something else is damaged, or not ours. */
export function readSortable(text: string): bigint {
  if (!/^[0-7][0-9a-f]{15}$/.test(text)) throw new RangeError(`"${text.slice(0, 40)}" is no stored token`);
  return BigInt(`0x${text}`);
}

/** A later holder has been here: whoever brought this token has lost its lock, and nothing was written. */
export class StaleToken extends Error {
  override readonly name = "StaleToken";
  readonly resource: string;
  readonly token: bigint;
  /** The greatest token seen, where the store told it. */
  readonly highest: bigint | undefined;

  constructor(resource: string, token: bigint, highest?: bigint) {
    const seen = highest === undefined ? "a greater one" : formatToken(highest);
    super(`Cannot write to "${resource}" under token ${formatToken(token)}: ${seen} has been seen`);
    this.resource = resource;
    this.token = token;
    this.highest = highest;
  }
}
