/**
 * Cases that pass on ZooKeeper and not here, and why that is meant, or not yet otherwise.
 *
 * @module
 */

export interface Known {
  readonly suite: string;
  /** The case's whole title. */
  readonly title: string;
  readonly reason: string;
}

export const knownDifferences: readonly Known[] = [];

export function reasonFor(suite: string, title: string): string | undefined {
  return knownDifferences.find((known) => known.suite === suite && known.title === title)?.reason;
}
