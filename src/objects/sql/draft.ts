/**
 * `draft`: a checkpoint too large for one write, noted down before it is carried into the rows.
 *
 * A draft is complete once its last page is there. Until then the rows are as they were and the draft is
 * worth nothing; from then on the rows and what is left of the draft are the state at `meta.applied`.
 * Pages go in their order, so the last one stays until all are carried.
 *
 * @module
 */

export interface DraftPage {
  readonly page: number;
  readonly isLast: boolean;
  readonly bytes: Uint8Array;
}

export function insertDraftPage(sql: SqlStorage, { page, isLast, bytes }: DraftPage): void {
  sql.exec(`INSERT INTO draft (page, last, bytes) VALUES (?, ?, ?)`, page, isLast ? 1 : 0, bytes);
}

/** Whether there is a draft, and all of it that has not been carried. */
export function hasCompleteDraft(sql: SqlStorage): boolean {
  return sql.exec(`SELECT page FROM draft WHERE last = 1`).toArray().length > 0;
}

/** The first page that is left. */
export function firstDraftPage(sql: SqlStorage): Omit<DraftPage, "isLast"> | undefined {
  const rows = sql.exec<{ page: number; bytes: ArrayBuffer }>(
    `SELECT page, bytes FROM draft ORDER BY page LIMIT 1`,
  );
  for (const { page, bytes } of rows) return { page, bytes: new Uint8Array(bytes) };
  return undefined;
}

export function deleteDraftPage(sql: SqlStorage, page: number): void {
  sql.exec(`DELETE FROM draft WHERE page = ?`, page);
}

export function deleteDraft(sql: SqlStorage): void {
  sql.exec(`DELETE FROM draft`);
}
