/**
 * A broken promise, by the name the specification gives it.
 *
 * @module
 */

export class Violation extends Error {
  override readonly name = "Violation";
  readonly invariant: string;

  constructor(invariant: string, claim: string) {
    super(`${invariant}: ${claim}`);
    this.invariant = invariant;
  }
}

export function violate(invariant: string, claim: string): never {
  throw new Violation(invariant, claim);
}
