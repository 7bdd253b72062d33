/**
 * Room: whether the member's database may still grow.
 *
 * A database ends at 10 GB, and a member that cannot log cannot go on. So a leader refuses what would add to the
 * tree long before, and takes everything else: deletes, sessions and their ends, data that is no longer than what
 * it replaces. What a delete frees counts once a checkpoint has written it.
 *
 * Platform: at most 10 GB a database; `databaseSize` leaves free pages out (2026-11).
 *
 * @module
 */

/**
 * Bytes in use past which nothing more is added. The other 2.5 GB are for what comes without growth of the tree: a
 * GiB of log that an open snapshot may keep, as much put aside for it, a checkpoint under way, and
 * followers whose pages are filled otherwise.
 */
export const databaseBytesMax = 7_500_000_000;

/** Asking takes SQLite a few microseconds, so not every write asks. What comes in between is far below the margin. */
const lookEveryMs = 100;

export class Room {
  readonly #sql: { readonly databaseSize: number };
  readonly #bytesMax: number;
  readonly #now: () => number;
  #lookedMs: number | undefined;
  #isFull = false;

  constructor(sql: { readonly databaseSize: number }, now: () => number, bytesMax = databaseBytesMax) {
    this.#sql = sql;
    this.#now = now;
    this.#bytesMax = bytesMax;
  }

  /** As of at most 100 ms ago. */
  get isFull(): boolean {
    const nowMs = this.#now();
    if (this.#lookedMs === undefined || Math.abs(nowMs - this.#lookedMs) >= lookEveryMs) {
      this.#lookedMs = nowMs;
      this.#isFull = this.#sql.databaseSize > this.#bytesMax;
    }
    return this.#isFull;
  }
}
