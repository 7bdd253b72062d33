/**
 * `staging`: pages of a snapshot that is still arriving. Nothing reads them before the last one is here.
 *
 * @module
 */

export function insertStagedPage(sql: SqlStorage, page: number, bytes: Uint8Array): void {
  sql.exec(`INSERT OR REPLACE INTO staging (page, bytes) VALUES (?, ?)`, page, bytes);
}

export function readStagedPage(sql: SqlStorage, page: number): Uint8Array | undefined {
  for (const row of sql.exec<{ bytes: ArrayBuffer }>(`SELECT bytes FROM staging WHERE page = ?`, page)) {
    return new Uint8Array(row.bytes);
  }
  return undefined;
}

export function deleteStaging(sql: SqlStorage): void {
  sql.exec(`DELETE FROM staging`);
}
