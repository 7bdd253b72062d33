/**
 * Fences in SQL: the token is checked in the transaction that writes, so no write lands behind a later
 * holder's.
 *
 * One table, one statement. Where a greater token is kept, the statement puts NULL into a column that takes
 * none: the database itself ends the transaction, with everything else in it. Tested on D1 and on a Durable
 * Object's SQLite.
 *
 * @module
 */

import { type FencingToken, readSortable, readToken, StaleToken, sortableToken } from "./token.ts";

/** The table of tokens; for D1 and other databases a migration of yours. `DurableFence` makes it by itself. */
export const fenceSchema =
  "CREATE TABLE IF NOT EXISTS ek_fence (resource TEXT PRIMARY KEY, token TEXT NOT NULL)";

const raiseStatement = `
  INSERT INTO ek_fence (resource, token) VALUES (?1, ?2)
  ON CONFLICT (resource) DO UPDATE
  SET token = CASE WHEN excluded.token >= ek_fence.token THEN excluded.token END`;

const selectStatement = "SELECT token FROM ek_fence WHERE resource = ?1";

/** What SQLite says when the statement above met a greater token. */
const refusal = /NOT NULL constraint failed: ek_fence\.token/;

/** Of a Durable Object's `ctx.storage`, what a fence needs. */
export interface DurableStorage {
  readonly sql: {
    exec(statement: string, ...bindings: string[]): { toArray(): Record<string, unknown>[] };
  };
  transactionSync<Result>(work: () => Result): Result;
}

/**
 * Guards what a Durable Object keeps in its SQLite storage.
 *
 * The object's writes under one token happen before or behind those under another, never in between, and
 * none happens once a greater token has been seen. What the object does elsewhere is not covered.
 *
 * @example
 * const fence = new DurableFence(this.ctx.storage);
 * fence.run("report", token, () => this.ctx.storage.sql.exec("UPDATE report SET text = ?", text));
 */
export class DurableFence {
  readonly #storage: DurableStorage;

  constructor(storage: DurableStorage) {
    this.#storage = storage;
    storage.sql.exec(fenceSchema);
  }

  /**
   * Runs `write` in a transaction that keeps the token, or neither.
   *
   * @param write - Synchronous: what it leaves for later is not under the token.
   * @throws {@link StaleToken}: nothing was written; RangeError for what is no token; what `write` throws.
   */
  run<Result>(resource: string, token: FencingToken, write: () => Result): Result {
    const value = readToken(token);
    return this.#storage.transactionSync(() => {
      const highest = this.#highest(resource);
      if (highest !== undefined && highest > value) throw new StaleToken(resource, value, highest);
      if (highest !== value) this.#storage.sql.exec(raiseStatement, resource, sortableToken(value));
      return write();
    });
  }

  #highest(resource: string): bigint | undefined {
    const [row] = this.#storage.sql.exec(selectStatement, resource).toArray();
    return row === undefined ? undefined : readSortable(String(row["token"]));
  }
}

/** Of a D1 database, what a fence needs; `Statement` is its prepared statement. */
export interface SqlDatabase<Statement, Outcome> {
  prepare(statement: string): { bind(...values: string[]): Statement };
  batch(statements: Statement[]): Promise<Outcome[]>;
}

/**
 * Guards rows of a D1 database: a batch of statements is one transaction, and the fence its first statement.
 *
 * No statement has an effect once a greater token has been seen. Needs the table of {@link fenceSchema}.
 *
 * @example
 * const fence = new D1Fence(env.DB);
 * await fence.batch("/jobs/42", token, [env.DB.prepare("UPDATE jobs SET state = 'done' WHERE id = 42")]);
 */
export class D1Fence<Statement, Outcome> {
  readonly #database: SqlDatabase<Statement, Outcome>;

  constructor(database: SqlDatabase<Statement, Outcome>) {
    this.#database = database;
  }

  /**
   * @returns What became of `statements`, in their order.
   * @throws {@link StaleToken}: nothing was written; RangeError for what is no token; what D1 throws, after
   *   which the outcome is D1's to tell.
   */
  async batch(resource: string, token: FencingToken, statements: readonly Statement[]): Promise<Outcome[]> {
    const value = readToken(token);
    const raise = this.#database.prepare(raiseStatement).bind(resource, sortableToken(value));
    try {
      const [, ...outcomes] = await this.#database.batch([raise, ...statements]);
      return outcomes;
    } catch (error) {
      if (error instanceof Error && refusal.test(error.message)) throw new StaleToken(resource, value);
      throw error;
    }
  }
}
