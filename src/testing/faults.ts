/**
 * What is wrong between the members of a local ensemble, as its test wants it.
 *
 * @module
 */

export interface Faults {
  /** Server ids of members that are not there. */
  readonly down: readonly number[];
  /** Members reach each other only within a group. Whoever is in none reaches nobody. None: all reach all. */
  readonly groups: readonly (readonly number[])[];
}

export function isDown({ down }: Faults, id: number): boolean {
  return down.includes(id);
}

/** Whether a member's calls reach another. */
export function isLinked(faults: Faults, from: number, to: number): boolean {
  if (isDown(faults, from) || isDown(faults, to)) return false;
  return (
    faults.groups.length === 0 || faults.groups.some((group) => group.includes(from) && group.includes(to))
  );
}
