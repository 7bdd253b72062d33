/**
 * `schedule`: what the one alarm of an object is to do, and when.
 *
 * @module
 */

export type ScheduleName =
  /** A session's deadline, or its suspicion, ends while its leader sleeps. */
  | "sessions"
  /** A container's or TTL znode's time is over while the leader sleeps. */
  | "sweep"
  /** The dead-man's switch: somebody may have lost its memory, or be gone. */
  | "watchdog";

/** `dueMs`: ms since 1970, below 2^53. */
export function setSchedule(sql: SqlStorage, name: ScheduleName, dueMs: number): void {
  sql.exec(
    `INSERT INTO schedule (name, due) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET due = excluded.due`,
    name,
    dueMs,
  );
}

export function clearSchedule(sql: SqlStorage, name: ScheduleName): void {
  sql.exec(`DELETE FROM schedule WHERE name = ?`, name);
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
