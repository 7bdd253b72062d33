/**
 * Assertions: our own bugs, never a client's mistake.
 *
 * A failed assertion stops the member, which restarts from SQLite. It never becomes an error code and
 * is never shown to a client.
 *
 * @module
 */

/** A broken invariant of ours. Nothing catches it but the shell, which stops the member. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}

/**
 * Throws unless `condition` holds.
 *
 * @throws {@link AssertionFailure} when it does not.
 */
export function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new AssertionFailure(claim);
}

/** Closes a `switch` over a union: does not typecheck while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${String(value)}`);
}
