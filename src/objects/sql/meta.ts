/**
 * `meta`: the small facts of a member, one row each, and the numbered migrations of the whole schema.
 *
 * Values are text (JSON where they have parts): the runtime hands SQLite integers back as doubles, and a
 * text never loses a bit. The schema's version is a row here because `PRAGMA user_version` is refused.
 *
 * @module
 */

import { assert } from "../../base/index.ts";

/** Migration n brings version n to n + 1. Append only: stored data of every earlier version exists somewhere. */
const migrations: readonly (readonly string[])[] = [
  [
    // One row per proposal batch: rows written are the bill. `count` txns, counters from `first`.
    `CREATE TABLE log (
       epoch INTEGER NOT NULL,
       first INTEGER NOT NULL,
       count INTEGER NOT NULL,
       batch BLOB NOT NULL,
       PRIMARY KEY (epoch, first)
     ) WITHOUT ROWID, STRICT`,
    // No index but the key: children are a range scan. `owner` is the session of an ephemeral, "sweep" for
    // containers and TTL znodes, else null.
    `CREATE TABLE znode (
       parent TEXT NOT NULL,
       name TEXT NOT NULL,
       owner TEXT,
       record BLOB NOT NULL,
       PRIMARY KEY (parent, name)
     ) WITHOUT ROWID, STRICT`,
    // Partial: costs a row only for such znodes, and only for those that live through a checkpoint.
    `CREATE INDEX znode_owner ON znode (owner) WHERE owner IS NOT NULL`,
    `CREATE TABLE session (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID, STRICT`,
    `CREATE TABLE staging (page INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT`,
    `CREATE TABLE schedule (name TEXT PRIMARY KEY, due INTEGER NOT NULL) WITHOUT ROWID, STRICT`,
  ],
  [
    // Rows of several generations: one is the tree, another may be arriving, others wait to be swept.
    `CREATE TABLE znode_of (
       generation INTEGER NOT NULL,
       parent TEXT NOT NULL,
       name TEXT NOT NULL,
       owner TEXT,
       record BLOB NOT NULL,
       PRIMARY KEY (generation, parent, name)
     ) WITHOUT ROWID, STRICT`,
    `INSERT INTO znode_of SELECT 1, parent, name, owner, record FROM znode`,
    `DROP TABLE znode`,
    `ALTER TABLE znode_of RENAME TO znode`,
    `CREATE INDEX znode_owner ON znode (generation, owner) WHERE owner IS NOT NULL`,
    `CREATE TABLE session_of (
       generation INTEGER NOT NULL,
       id TEXT NOT NULL,
       record BLOB NOT NULL,
       PRIMARY KEY (generation, id)
     ) WITHOUT ROWID, STRICT`,
    `INSERT INTO session_of SELECT 1, id, record FROM session`,
    `DROP TABLE session`,
    `ALTER TABLE session_of RENAME TO session`,
    // Whoever was receiving a snapshot starts again.
    `DROP TABLE staging`,
    // What rows were at a cut, if they have changed since. A null record: there was no row.
    `CREATE TABLE aside (
       cut INTEGER NOT NULL,
       parent TEXT NOT NULL,
       name TEXT NOT NULL,
       record BLOB,
       PRIMARY KEY (cut, parent, name)
     ) WITHOUT ROWID, STRICT`,
    `CREATE TABLE aside_session (
       cut INTEGER NOT NULL,
       id TEXT NOT NULL,
       record BLOB,
       PRIMARY KEY (cut, id)
     ) WITHOUT ROWID, STRICT`,
    `CREATE TABLE draft (page INTEGER PRIMARY KEY, last INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT`,
  ],
  [
    // Replaced as a whole at every sleep of a leader with sessions: many of them to a row.
    `CREATE TABLE vigil (chunk INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, watched TEXT NOT NULL) STRICT`,
  ],
];

export const schemaVersion = migrations.length;

/**
 * Brings the schema to {@link schemaVersion}.
 *
 * @throws AssertionFailure when a newer version wrote this storage: an older one must not touch it.
 */
export function migrate(storage: DurableObjectStorage): void {
  storage.transactionSync(() => {
    storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT`,
    );
    const found = Number(readMeta(storage.sql, "schema") ?? "0");
    assert(
      Number.isInteger(found) && found >= 0 && found <= schemaVersion,
      `storage has schema ${found}, this version knows up to ${schemaVersion}`,
    );
    if (found === schemaVersion) return;
    for (const statements of migrations.slice(found)) {
      for (const statement of statements) storage.sql.exec(statement);
    }
    writeMeta(storage.sql, "schema", String(schemaVersion));
  });
}

export type MetaKey =
  | "schema"
  /** `EnsembleConfig` and whether it is active. */
  | "bootstrap"
  /** `Promises`. */
  | "promises"
  /** Zab's `Config`s: committed and, while a change is under way, pending. */
  | "configs"
  /** Identity of this storage: made with it, and gone with it. */
  | "storageId"
  /** Printed zxid: the log is compacted through it. */
  | "base"
  /** Printed zxid: what the znode and session rows correspond to, a draft for that zxid included. */
  | "applied"
  /** Which generation of rows is the tree. */
  | "generation"
  | "incarnation"
  /** Epoch, and number of the last block of session ids taken in it. */
  | "sessionIdBlock"
  | "fence";

export function readMeta(sql: SqlStorage, key: MetaKey): string | undefined {
  for (const row of sql.exec<{ value: string }>(`SELECT value FROM meta WHERE key = ?`, key))
    return row.value;
  return undefined;
}

export function writeMeta(sql: SqlStorage, key: MetaKey, value: string): void {
  sql.exec(
    `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    key,
    value,
  );
}
