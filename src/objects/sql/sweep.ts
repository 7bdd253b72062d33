/**
 * Rows that nobody reads any more: of earlier generations, of snapshots given up, of cuts closed.
 *
 * There may be millions of them, so they go in slices.
 *
 * @module
 */

/** At most so much at a time; at least one row if there is any. */
export interface SweepBounds {
  readonly rows: number;
  /** Of records; the last one may pass it. */
  readonly bytes: number;
}

/** Numbers strictly between these are garbage. */
export interface GarbageRange {
  readonly above: number;
  readonly below: number;
}

interface Statements {
  readonly first: string;
  readonly sizes: string;
  readonly drop: string;
}

type SweptTable = "znode" | "session" | "aside" | "aside_session";

function statementsOf(table: SweptTable, number: string, key: string): Statements {
  const parameters = key.replaceAll(/\w+/g, "?");
  return {
    first: `SELECT MIN(${number}) AS number FROM ${table} WHERE ${number} > ? AND ${number} < ?`,
    sizes: `SELECT ${key}, LENGTH(record) AS bytes FROM ${table} WHERE ${number} = ? ORDER BY ${key}`,
    drop: `DELETE FROM ${table} WHERE ${number} = ? AND (${key}) <= (${parameters})`,
  };
}

const statements: Readonly<Record<SweptTable, Statements>> = {
  znode: statementsOf("znode", "generation", "parent, name"),
  session: statementsOf("session", "generation", "id"),
  aside: statementsOf("aside", "cut", "parent, name"),
  aside_session: statementsOf("aside_session", "cut", "id"),
};

/** Deletes the first of a table's garbage in key order; says how many rows that were. */
export function sweepRows(
  sql: SqlStorage,
  table: SweptTable,
  range: GarbageRange,
  bounds: SweepBounds,
): number {
  const { first, sizes, drop } = statements[table];
  const [found] = sql.exec<{ number: number | null }>(first, range.above, range.below).toArray();
  const number = found?.number;
  if (number === null || number === undefined) return 0;
  let rows = 0;
  let bytes = 0;
  let key: (number | string)[] = [];
  for (const row of sql.exec<{ [column: string]: number | string }>(sizes, number)) {
    const { bytes: size, ...columns } = row;
    key = Object.values(columns);
    rows += 1;
    bytes += Number(size ?? 0);
    if (rows >= bounds.rows || bytes >= bounds.bytes) break;
  }
  sql.exec(drop, number, ...key);
  return rows;
}
