/**
 * `schedule`: what the one alarm of an object is to do, and when.
 *
 * @module
 */

export type ScheduleName = "watchdog";

/** `dueMs`: ms since 1970, below 2^53. */
export function setSchedule(sql: SqlStorage, name: ScheduleName, dueMs: number): void {
  sql.exec(
    `INSERT INTO schedule (name, due) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET due = excluded.due`,
    name,
    dueMs,
  );
}

export function nextDueMs(sql: SqlStorage): number | undefined {
  for (const row of sql.exec<{ due: number }>(`SELECT due FROM schedule ORDER BY due LIMIT 1`))
    return row.due;
  return undefined;
}

export function takeDue(sql: SqlStorage, nowMs: number): string[] {
  const names = sql.exec<{ name: string }>(`SELECT name FROM schedule WHERE due <= ?`, nowMs).toArray();
  if (names.length > 0) sql.exec(`DELETE FROM schedule WHERE due <= ?`, nowMs);
  return names.map((row) => row.name);
}
