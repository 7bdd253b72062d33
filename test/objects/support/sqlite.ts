/**
 * A Durable Object's SQLite storage, on Node's own: as much of it as members use, with its traps.
 *
 * Numbers are bound as REAL, a `bigint` is refused, BLOBs come back as `ArrayBuffer`s, integers as doubles,
 * cursors are lazy, values past 2 MB are refused (as documented; the local runtime is more lenient), and
 * only `transactionSync` makes a transaction. It counts the table rows written; the platform bills index
 * rows besides.
 *
 * Source: https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/ (2026-11).
 *
 * @module
 */

import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite";

const valueBytesMax = 2_000_000;
const parametersMax = 100;

const refused = /^\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|VACUUM|PRAGMA\s+user_version)\b/i;

/** What a test may look at behind a storage's back. */
export interface TestStorage {
  readonly storage: DurableObjectStorage;
  /** Table rows that `run` inserts, updates and deletes. */
  rowsWrittenBy(run: () => void): number;
  /** All rows of a table in key order, as text: for comparing two storages. */
  dump(table: string): string[];
  /** Bytes of the file, free pages included: what `databaseSize` was at its most. */
  fileSize(): number;
  /** Lets statements that begin so fail from now on; `undefined`: none. */
  failOn(statement: string | undefined): void;
  /** Runs what the platform refuses its objects: savepoints, for a world in which writes get lost. */
  raw(statement: string): void;
  close(): void;
}

/** An empty one. */
export function openStorage(): TestStorage {
  const database = new DatabaseSync(":memory:");
  let depth = 0;
  let failing: string | undefined;
  const test: TestStorage = {
    // Only what members use of it; anything else would be missed at once.
    storage: {
      sql: {
        exec,
        get databaseSize() {
          return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
        },
      },
      transactionSync,
    } as unknown as DurableObjectStorage,
    rowsWrittenBy(run) {
      const before = totalChanges();
      run();
      return totalChanges() - before;
    },
    dump(table) {
      const rows = database.prepare(`SELECT * FROM ${table}`).all();
      return rows.map((row) => JSON.stringify(Object.values(row).map(printed)));
    },
    fileSize() {
      return pragma("page_count") * pragma("page_size");
    },
    failOn(statement) {
      failing = statement;
    },
    raw(statement) {
      database.exec(statement);
    },
    close() {
      database.close();
    },
  };

  function exec(query: string, ...bindings: unknown[]): Cursor {
    if (refused.test(query)) throw new Error(`not authorized: ${query}`);
    if (bindings.length > parametersMax) throw new Error("too many SQL variables");
    if (failing !== undefined && query.startsWith(failing)) throw new Error("disk I/O error");
    const statement = database.prepare(query);
    statement.setReadBigInts(true);
    const values = bindings.map(bound);
    // Writes happen when they are executed, reads when they are asked for.
    if (!/^\s*SELECT\b/i.test(query)) return new Cursor(statement.all(...values).values());
    return new Cursor(statement.iterate(...values));
  }

  function transactionSync<Result>(run: () => Result): Result {
    depth += 1;
    const name = `t${depth}`;
    database.exec(`SAVEPOINT ${name}`);
    try {
      const result = run();
      if (result instanceof Promise) throw new Error("an async function commits half of a transaction");
      database.exec(`RELEASE ${name}`);
      return result;
    } catch (error) {
      database.exec(`ROLLBACK TO ${name}`);
      database.exec(`RELEASE ${name}`);
      throw error;
    } finally {
      depth -= 1;
    }
  }

  function pragma(name: string): number {
    return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  }

  function totalChanges(): number {
    const [row] = database.prepare("SELECT total_changes() AS total").all();
    return Number(row?.["total"] ?? 0);
  }

  return test;
}

type Row = Record<string, number | string | ArrayBuffer | null>;

class Cursor {
  readonly #rows: Iterator<Record<string, SQLOutputValue>>;

  constructor(rows: Iterator<Record<string, SQLOutputValue>>) {
    this.#rows = rows;
  }

  toArray(): Row[] {
    return [...this];
  }

  *[Symbol.iterator](): Iterator<Row> {
    try {
      for (let next = this.#rows.next(); next.done !== true; next = this.#rows.next())
        yield rowOf(next.value);
    } finally {
      this.#rows.return?.();
    }
  }
}

function rowOf(raw: Record<string, SQLOutputValue>): Row {
  const row: Row = {};
  for (const [column, value] of Object.entries(raw)) {
    if (typeof value === "bigint") row[column] = Number(value);
    else if (value instanceof Uint8Array) row[column] = new Uint8Array(value).buffer;
    else row[column] = value;
  }
  return row;
}

function bound(value: unknown): SQLInputValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") throw new TypeError("Cannot convert a BigInt value to a number");
  if (value instanceof ArrayBuffer) return checked(new Uint8Array(value));
  if (value instanceof Uint8Array) return checked(value);
  // Node binds numbers as REAL, as the platform does.
  return typeof value === "number" ? value : checked(String(value));
}

function checked<Value extends string | Uint8Array>(value: Value): Value {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value).length : value.length;
  if (bytes > valueBytesMax) throw new Error(`string or blob too big: ${bytes} bytes`);
  return value;
}

function printed(value: SQLOutputValue): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}
