/**
 * The request window: how long, and how many, keyed requests are remembered with what they came to.
 *
 * @module
 */

/**
 * How long a key is remembered after its request was decided, by the leader's clock, in ms. Longer than anybody
 * retries who still waits for the answer; each record costs a row to write and one to remove meanwhile.
 */
export const requestWindowMs = 600_000;

/** Remembered requests of an ensemble; above that, new keys are refused until some are forgotten. */
export const requestWindowMax = 100_000;

/** Parts of one keyed multi: what each came to is remembered with its stat, about 200 bytes. */
export const keyedPartsMax = 200;

/** UTF-16 units of all paths in one keyed request, which are remembered too. */
export const keyedPathUnitsMax = 64 * 1024;
