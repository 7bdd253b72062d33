/**
 * How far a search goes, and what of it was cut off.
 *
 * @module
 */

/** How often each may happen in one history. */
export interface Bounds {
  readonly proposals: number;
  readonly crashes: number;
  /** One end of a link gives the association up. */
  readonly linkdowns: number;
  /** A member gives its role up, or a leader gives a silent learner up. */
  readonly timeouts: number;
  /** Decisions to lead, each of which may begin one epoch. */
  readonly epochs: number;
  /** Decisions to follow. Attaching again to the same leader is free. */
  readonly follows: number;
  readonly pings: number;
  readonly compactions: number;
  /** Linearizable reads. */
  readonly reads: number;
  /** Proposals of another configuration. */
  readonly changes: number;
}

export type Bound = keyof Bounds;

export const boundNames = [
  "proposals",
  "crashes",
  "linkdowns",
  "timeouts",
  "epochs",
  "follows",
  "pings",
  "compactions",
  "reads",
  "changes",
] as const satisfies readonly Bound[];

/** Bits of each count in one integer of 32: ten bounds, each at most 7. */
const bitsPerCount = 3;

export const boundMax = 2 ** bitsPerCount - 1;

/** So much is used up: all counts in one integer. */
export function used(counts: number, bound: number): number {
  return (counts >> (bound * bitsPerCount)) & boundMax;
}

export function use(counts: number, bound: number): number {
  return counts + (1 << (bound * bitsPerCount));
}

export const noBounds: Bounds = {
  proposals: 0,
  crashes: 0,
  linkdowns: 0,
  timeouts: 0,
  epochs: 0,
  follows: 0,
  pings: 0,
  compactions: 0,
  reads: 0,
  changes: 0,
};
