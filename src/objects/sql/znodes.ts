/**
 * `znode` and `session`: the tree as of the last checkpoint.
 *
 * The rows always describe one moment, the zxid in `meta.applied`; `write` moves all of them to the next
 * one in a single transaction. That makes the rows a consistent cut at any time, which is what a snapshot
 * for a learner is read from (`docs/decisions/0005-checkpoints-are-the-consistent-cut.md`).
 *
 * @module
 */

import {
  assert,
  formatSessionId,
  formatZxid,
  joinPath,
  nameOf,
  parentOf,
  parseZxid,
  type Session,
  type SessionId,
  ZERO_ZXID,
  type Znode,
  type Zxid,
} from "../../base/index.ts";
import { decodeSession, decodeZnode, encodeSession, encodeZnode } from "../../jute/index.ts";
import type { Checkpoint, TreeRows } from "../../tree/index.ts";
import { readMeta, writeMeta } from "./meta.ts";

type RawZnodeRow = { parent: string; name: string; record: ArrayBuffer };
type RawSessionRow = { id: string; record: ArrayBuffer };

/** The root's row: no znode has an empty parent. */
const rootKey = { parent: "", name: "" };

/** What `owner` says of containers and TTL znodes: an owner no session can be. */
const sweepOwner = "sweep";

function keyOf(path: string): { parent: string; name: string } {
  return path === "/" ? rootKey : { parent: parentOf(path), name: nameOf(path) };
}

function pathOf(row: { parent: string; name: string }): string {
  return row.parent === "" ? "/" : joinPath(row.parent, row.name);
}

function ownerOf(znode: Znode): string | null {
  switch (znode.lifetime.kind) {
    case "persistent":
      return null;
    case "ephemeral":
      return formatSessionId(znode.lifetime.owner);
    case "container":
    case "ttl":
      return sweepOwner;
  }
}

function parseZnode(record: ArrayBuffer, path: string): Znode {
  const znode = decodeZnode(new Uint8Array(record));
  assert(znode !== undefined, `the stored znode "${path}" cannot be read`);
  return znode;
}

function parseSession(record: ArrayBuffer): Session {
  const session = decodeSession(new Uint8Array(record));
  assert(session !== undefined, "a stored session cannot be read");
  return session;
}

export class SqlTreeRows implements TreeRows {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  #applied: Zxid;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#applied = readApplied(this.#sql);
  }

  get applied(): Zxid {
    return this.#applied;
  }

  /** After a snapshot was installed underneath. */
  reload(): void {
    this.#applied = readApplied(this.#sql);
  }

  readZnode(path: string): Znode | undefined {
    const { parent, name } = keyOf(path);
    const rows = this.#sql.exec<{ record: ArrayBuffer }>(
      `SELECT record FROM znode WHERE parent = ? AND name = ?`,
      parent,
      name,
    );
    for (const row of rows) return parseZnode(row.record, path);
    return undefined;
  }

  listChildren(path: string, after: string | undefined, limit: number): readonly string[] {
    return this.#sql
      .exec<{ name: string }>(
        `SELECT name FROM znode WHERE parent = ? AND name > ? ORDER BY name LIMIT ?`,
        path,
        after ?? "",
        limit,
      )
      .toArray()
      .map((row) => row.name);
  }

  listSweepable(after: string | undefined, limit: number): readonly string[] {
    return this.#sql
      .exec<{ path: string }>(
        `SELECT CASE parent WHEN '/' THEN '/' || name ELSE parent || '/' || name END AS path
         FROM znode WHERE owner = ? AND path > ? ORDER BY path LIMIT ?`,
        sweepOwner,
        after ?? "",
        limit,
      )
      .toArray()
      .map((row) => row.path);
  }

  ephemeralsOf(owner: SessionId): readonly string[] {
    return this.#sql
      .exec<{ parent: string; name: string }>(
        `SELECT parent, name FROM znode WHERE owner = ? ORDER BY parent, name`,
        formatSessionId(owner),
      )
      .toArray()
      .map(pathOf);
  }

  listSessions(): readonly Session[] {
    return this.#sql
      .exec<{ record: ArrayBuffer }>(`SELECT record FROM session ORDER BY id`)
      .toArray()
      .map((row) => parseSession(row.record));
  }

  write(checkpoint: Checkpoint): void {
    this.#storage.transactionSync(() => {
      for (const [path, znode] of checkpoint.znodes) this.#putZnode(path, znode);
      for (const [id, session] of checkpoint.sessions) this.#putSession(id, session);
      writeMeta(this.#sql, "applied", formatZxid(checkpoint.applied));
    });
    this.#applied = checkpoint.applied;
  }

  /**
   * Znode rows in key order, strictly after `after` (from the root on when there is none), until they
   * pass `bytesMax`. Only those are read: a thousand large znodes would not fit in memory.
   */
  pageOfZnodes(after: ZnodeKey | undefined, bytesMax: number): Page<ZnodeRow> {
    const cursor =
      after === undefined
        ? this.#sql.exec<RawZnodeRow>(`SELECT parent, name, record FROM znode ORDER BY parent, name`)
        : this.#sql.exec<RawZnodeRow>(
            `SELECT parent, name, record FROM znode WHERE (parent, name) > (?, ?) ORDER BY parent, name`,
            after.parent,
            after.name,
          );
    const rows: ZnodeRow[] = [];
    let bytes = 0;
    for (const { parent, name, record } of cursor) {
      if (bytes >= bytesMax) return { rows, isLast: false };
      rows.push({ parent, name, record: new Uint8Array(record) });
      bytes += record.byteLength + 2 * (parent.length + name.length);
    }
    return { rows, isLast: true };
  }

  /** Session rows in id order, strictly after `after` (empty: from the first). */
  pageOfSessions(after: string, limit: number): SessionRow[] {
    return this.#sql
      .exec<RawSessionRow>(`SELECT id, record FROM session WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
      .toArray()
      .map((row) => ({ id: row.id, record: new Uint8Array(row.record) }));
  }

  /** Part of installing a snapshot: the caller holds the transaction. */
  clear(): void {
    this.#sql.exec(`DELETE FROM znode`);
    this.#sql.exec(`DELETE FROM session`);
  }

  putEncodedZnode(path: string, record: Uint8Array): void {
    const znode = decodeZnode(record);
    assert(znode !== undefined, `the arriving znode "${path}" cannot be read`);
    this.#putZnode(path, znode);
  }

  putEncodedSession(record: Uint8Array): void {
    const session = decodeSession(record);
    assert(session !== undefined, "an arriving session cannot be read");
    this.#putSession(session.id, session);
  }

  #putZnode(path: string, znode: Znode | undefined): void {
    const { parent, name } = keyOf(path);
    if (znode === undefined) {
      this.#sql.exec(`DELETE FROM znode WHERE parent = ? AND name = ?`, parent, name);
      return;
    }
    this.#sql.exec(
      `INSERT INTO znode (parent, name, owner, record) VALUES (?, ?, ?, ?)
       ON CONFLICT (parent, name) DO UPDATE SET owner = excluded.owner, record = excluded.record`,
      parent,
      name,
      ownerOf(znode),
      encodeZnode(znode),
    );
  }

  #putSession(id: SessionId, session: Session | undefined): void {
    const key = formatSessionId(id);
    if (session === undefined) {
      this.#sql.exec(`DELETE FROM session WHERE id = ?`, key);
      return;
    }
    this.#sql.exec(
      `INSERT INTO session (id, record) VALUES (?, ?)
       ON CONFLICT (id) DO UPDATE SET record = excluded.record`,
      key,
      encodeSession(session),
    );
  }
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly isLast: boolean;
}

export interface ZnodeKey {
  readonly parent: string;
  readonly name: string;
}

export interface ZnodeRow extends ZnodeKey {
  readonly record: Uint8Array;
}

export interface SessionRow {
  readonly id: string;
  readonly record: Uint8Array;
}

export function znodeRowPath(row: ZnodeRow): string {
  return pathOf(row);
}

function readApplied(sql: SqlStorage): Zxid {
  const text = readMeta(sql, "applied");
  if (text === undefined) return ZERO_ZXID;
  const zxid = parseZxid(text);
  assert(zxid !== undefined, "the stored `applied` is no zxid");
  return zxid;
}
