/**
 * `log`: the history above the base, one row per batch.
 *
 * A row's borders are storage only: members store the same txns in different rows, and a truncation may
 * cut one in two.
 *
 * @module
 */

export interface LogRow {
  readonly epoch: number;
  readonly first: number;
  readonly count: number;
  readonly batch: Uint8Array;
}

type RawLogRow = { epoch: number; first: number; count: number; batch: ArrayBuffer };

function fromRaw(row: RawLogRow): LogRow {
  // A BLOB is read as an ArrayBuffer, never as the Uint8Array that was bound.
  return { epoch: row.epoch, first: row.first, count: row.count, batch: new Uint8Array(row.batch) };
}

export function insertLogRow(sql: SqlStorage, row: LogRow): void {
  sql.exec(
    `INSERT INTO log (epoch, first, count, batch) VALUES (?, ?, ?, ?)`,
    row.epoch,
    row.first,
    row.count,
    row.batch,
  );
}

/** The row that holds txn `counter` of `epoch`, if any. */
export function findLogRow(sql: SqlStorage, epoch: number, counter: number): LogRow | undefined {
  const rows = sql.exec<RawLogRow>(
    `SELECT epoch, first, count, batch FROM log WHERE epoch = ? AND first <= ? ORDER BY first DESC LIMIT 1`,
    epoch,
    counter,
  );
  for (const row of rows) return row.first + row.count > counter ? fromRaw(row) : undefined;
  return undefined;
}

/** The first row of the first epoch after `epoch`, if any. */
export function firstLogRowAfterEpoch(sql: SqlStorage, epoch: number): LogRow | undefined {
  const rows = sql.exec<RawLogRow>(
    `SELECT epoch, first, count, batch FROM log WHERE epoch > ? ORDER BY epoch, first LIMIT 1`,
    epoch,
  );
  for (const row of rows) return fromRaw(row);
  return undefined;
}

/** Sizes of all rows, oldest first; read only as far as wanted. */
export function logSizes(
  sql: SqlStorage,
): Iterable<{ epoch: number; first: number; count: number; bytes: number }> {
  return sql.exec<{ epoch: number; first: number; count: number; bytes: number }>(
    `SELECT epoch, first, count, LENGTH(batch) AS bytes FROM log ORDER BY epoch, first`,
  );
}

/** Bytes of the rows that begin above (`epoch`, `counter`). */
export function logBytesAbove(sql: SqlStorage, epoch: number, counter: number): number {
  const [row] = sql
    .exec<{ bytes: number }>(
      `SELECT COALESCE(SUM(LENGTH(batch)), 0) AS bytes FROM log WHERE (epoch, first) > (?, ?)`,
      epoch,
      counter,
    )
    .toArray();
  return row?.bytes ?? 0;
}

/** Sizes of the rows that begin at or below (`epoch`, `counter`), newest first; read only as far as wanted. */
export function logSizesBelow(
  sql: SqlStorage,
  epoch: number,
  counter: number,
): Iterable<{ epoch: number; first: number; count: number; bytes: number }> {
  return sql.exec<{ epoch: number; first: number; count: number; bytes: number }>(
    `SELECT epoch, first, count, LENGTH(batch) AS bytes FROM log
     WHERE (epoch, first) <= (?, ?) ORDER BY epoch DESC, first DESC`,
    epoch,
    counter,
  );
}

/** First and last counter of each logged epoch, oldest first. */
export function logRuns(sql: SqlStorage): { epoch: number; first: number; last: number }[] {
  return sql
    .exec<{ epoch: number; first: number; last: number }>(
      `SELECT epoch, MIN(first) AS first, MAX(first + count - 1) AS last FROM log GROUP BY epoch ORDER BY epoch`,
    )
    .toArray();
}

/** Drops the rows that begin above (`epoch`, `counter`). */
export function deleteLogRowsAbove(sql: SqlStorage, epoch: number, counter: number): void {
  sql.exec(`DELETE FROM log WHERE (epoch, first) > (?, ?)`, epoch, counter);
}

export function deleteLogRow(sql: SqlStorage, epoch: number, first: number): void {
  sql.exec(`DELETE FROM log WHERE epoch = ? AND first = ?`, epoch, first);
}

/** Drops the rows that begin at or below (`epoch`, `counter`), where one of them ends. */
export function deleteLogRowsThrough(sql: SqlStorage, epoch: number, counter: number): void {
  sql.exec(`DELETE FROM log WHERE (epoch, first) <= (?, ?)`, epoch, counter);
}

export function deleteLog(sql: SqlStorage): void {
  sql.exec(`DELETE FROM log`);
}
