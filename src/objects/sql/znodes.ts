/**
 * `znode` and `session`: the tree as of the last checkpoint.
 *
 * The rows describe one moment, the zxid in `meta.applied`, together with what is left of a draft for the
 * same zxid (`draft.ts`). A snapshot for a learner is a cut through them: what changes a row while a cut is
 * open puts the old one aside first. Rows belong to a generation. One is the tree; a snapshot that arrives
 * becomes the next one, beside it, and takes its place with a single row of `meta`
 * (`docs/decisions/0013-checkpoints-in-slices.md`).
 *
 * Invariant: rows of a generation above the tree's are read by nobody before they have become the tree's.
 *
 * @module
 */

import {
  assert,
  equalZxid,
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
import type { Census, Checkpoint, TreeRows } from "../../tree/index.ts";
import { decodePart, encodePart, type Part } from "../row-codec.ts";
import { deleteDraft, deleteDraftPage, firstDraftPage, hasCompleteDraft, insertDraftPage } from "./draft.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { type SweepBounds, sweepRows } from "./sweep.ts";

type RawZnodeRow = { parent: string; name: string; record: ArrayBuffer };
type RawSessionRow = { id: string; record: ArrayBuffer };

/** Above every generation and cut. */
const noNumber = Number.MAX_SAFE_INTEGER;

/** Rows in key order as they were at a cut: what was put aside counts instead of what is there. */
const znodesAtCut = (compare: ">" | ">=") => `
  SELECT parent, name, record FROM znode AS row
  WHERE generation = ? AND (parent, name) ${compare} (?, ?)
    AND NOT EXISTS (SELECT 1 FROM aside WHERE cut = ? AND parent = row.parent AND name = row.name)
  UNION ALL
  SELECT parent, name, record FROM aside
  WHERE cut = ? AND (parent, name) ${compare} (?, ?) AND record IS NOT NULL
  ORDER BY parent, name`;
const znodesAtCutAfter = znodesAtCut(">");
const znodesAtCutFrom = znodesAtCut(">=");

const sessionsAtCut = `
  SELECT id, record FROM session AS row
  WHERE generation = ? AND id > ?
    AND NOT EXISTS (SELECT 1 FROM aside_session WHERE cut = ? AND id = row.id)
  UNION ALL
  SELECT id, record FROM aside_session WHERE cut = ? AND id > ? AND record IS NOT NULL
  ORDER BY id LIMIT ?`;

/** The root's row: no znode has an empty parent. */
const rootKey = { parent: "", name: "" };

/** What `owner` says of containers and TTL znodes: an owner no session can be. */
const sweepOwner = "sweep";

/** What a record holds besides data: an estimate for the census, right for open ACLs. */
const recordOverheadBytes = 60;

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
  #generation: number;
  /** The generation that is arriving. */
  #staged: number | undefined;
  /** The open cut, and what it shows. */
  #cut: { readonly number: number; readonly applied: Zxid } | undefined;
  #isCarrying = false;
  /** Whether there may be rows that nobody reads. */
  #mayHaveGarbage = true;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#applied = readApplied(this.#sql);
    this.#generation = readGeneration(this.#sql);
    this.#storage.transactionSync(() => this.#settleDraft());
  }

  get applied(): Zxid {
    return this.#applied;
  }

  /** Whether a part of the state at `applied` is in a draft, and not in the rows yet. */
  get isCarrying(): boolean {
    return this.#isCarrying;
  }

  readZnode(path: string): Znode | undefined {
    const { parent, name } = keyOf(path);
    const rows = this.#sql.exec<{ record: ArrayBuffer }>(
      `SELECT record FROM znode WHERE generation = ? AND parent = ? AND name = ?`,
      this.#generation,
      parent,
      name,
    );
    for (const row of rows) return parseZnode(row.record, path);
    return undefined;
  }

  listChildren(path: string, after: string | undefined, limit: number): readonly string[] {
    return this.#sql
      .exec<{ name: string }>(
        `SELECT name FROM znode WHERE generation = ? AND parent = ? AND name > ? ORDER BY name LIMIT ?`,
        this.#generation,
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
         FROM znode WHERE generation = ? AND owner = ? AND path > ? ORDER BY path LIMIT ?`,
        this.#generation,
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
        `SELECT parent, name FROM znode WHERE generation = ? AND owner = ? ORDER BY parent, name`,
        this.#generation,
        formatSessionId(owner),
      )
      .toArray()
      .map(pathOf);
  }

  listSessions(): readonly Session[] {
    return this.#sql
      .exec<{ record: ArrayBuffer }>(
        `SELECT record FROM session WHERE generation = ? ORDER BY id`,
        this.#generation,
      )
      .toArray()
      .map((row) => parseSession(row.record));
  }

  census(): Census {
    const [row] = this.#sql
      .exec<{ znodes: number; ephemerals: number; bytes: number }>(
        `SELECT count(*) AS znodes,
                count(CASE WHEN owner <> ? THEN 1 END) AS ephemerals,
                ifnull(sum(length(parent) + length(name) + (parent <> '/') + max(length(record) - ?, 0)), 0) AS bytes
         FROM znode`,
        sweepOwner,
        recordOverheadBytes,
      )
      .toArray();
    assert(row !== undefined, "a count has a row");
    return { znodes: row.znodes, ephemerals: row.ephemerals, bytes: row.bytes };
  }

  write(checkpoint: Checkpoint): void {
    this.#storage.transactionSync(() => {
      this.#put(checkpoint);
      this.#advance(checkpoint.applied);
    });
  }

  /** Notes a page of a checkpoint down. With the last one, rows and draft are the state at `goal`. */
  draft(given: {
    readonly page: number;
    readonly part: Part;
    readonly goal: Zxid;
    readonly isLast: boolean;
  }) {
    const { page, part, goal, isLast } = given;
    assert(!this.#isCarrying, "one draft at a time");
    this.#storage.transactionSync(() => {
      insertDraftPage(this.#sql, { page, isLast, bytes: encodePart(part) });
      if (!isLast) return;
      this.#advance(goal);
      this.#isCarrying = true;
    });
  }

  /** Carries a page of the complete draft into the rows. */
  carry({ page, part, isLast }: { readonly page: number; readonly part: Part; readonly isLast: boolean }) {
    assert(this.#isCarrying, "a complete draft is carried");
    this.#storage.transactionSync(() => {
      this.#put(part);
      deleteDraftPage(this.#sql, page);
    });
    if (isLast) this.#isCarrying = false;
  }

  /** What a life before left: half a draft is dropped, the rest of a complete one is carried in. */
  #settleDraft(): void {
    if (!hasCompleteDraft(this.#sql)) return deleteDraft(this.#sql);
    for (let left = firstDraftPage(this.#sql); left !== undefined; left = firstDraftPage(this.#sql)) {
      const part = decodePart(left.bytes);
      assert(part !== undefined, `page ${left.page} of the draft cannot be read`);
      this.#put(part);
      deleteDraftPage(this.#sql, left.page);
    }
  }

  #put({ znodes, sessions }: Part): void {
    for (const [path, znode] of znodes) this.#putZnode(path, znode);
    for (const [id, session] of sessions) this.#putSession(id, session);
  }

  #advance(applied: Zxid): void {
    writeMeta(this.#sql, "applied", formatZxid(applied));
    this.#applied = applied;
  }

  /** From here on what changes is put aside. One cut at a time. */
  openCut(): void {
    assert(this.#cut === undefined, "a cut is open already");
    const [last] = this.#sql
      .exec<{ cut: number }>(
        `SELECT MAX((SELECT COALESCE(MAX(cut), 0) FROM aside),
                    (SELECT COALESCE(MAX(cut), 0) FROM aside_session)) AS cut`,
      )
      .toArray();
    // Above what may be left of others, which is swept meanwhile.
    this.#cut = { number: (last?.cut ?? 0) + 1, applied: this.#applied };
  }

  closeCut(): void {
    this.#cut = undefined;
    this.#mayHaveGarbage = true;
  }

  /**
   * Znode rows at the cut in key order, strictly after `after` (from the root on when there is none), until
   * they pass `bytesMax`. Only those are read: a thousand large znodes would not fit in memory.
   */
  pageOfZnodes(after: ZnodeKey | undefined, bytesMax: number): Page<ZnodeRow> {
    const { parent, name } = after ?? rootKey;
    const cut = this.#openCutNumber();
    const cursor = this.#sql.exec<RawZnodeRow>(
      after === undefined ? znodesAtCutFrom : znodesAtCutAfter,
      this.#generation,
      parent,
      name,
      cut,
      cut,
      parent,
      name,
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

  /** Session rows at the cut in id order, strictly after `after` (empty: from the first). */
  pageOfSessions(after: string, limit: number): SessionRow[] {
    const cut = this.#openCutNumber();
    return this.#sql
      .exec<RawSessionRow>(sessionsAtCut, this.#generation, after, cut, cut, after, limit)
      .toArray()
      .map((row) => ({ id: row.id, record: new Uint8Array(row.record) }));
  }

  /** A snapshot begins to arrive. What has arrived of an earlier one is dropped. */
  beginStaging(): void {
    const [last] = this.#sql
      .exec<{ generation: number }>(
        `SELECT MAX((SELECT COALESCE(MAX(generation), 0) FROM znode),
                    (SELECT COALESCE(MAX(generation), 0) FROM session)) AS generation`,
      )
      .toArray();
    this.#staged = Math.max(last?.generation ?? 0, this.#generation) + 1;
    this.#mayHaveGarbage = true;
  }

  /** Takes a page of it in. Within a transaction, as what follows. */
  stage({ znodes, sessions }: Part): void {
    const generation = this.#staged;
    assert(generation !== undefined, "staging has begun");
    for (const [path, znode] of znodes) if (znode !== undefined) this.#insertZnode(generation, path, znode);
    for (const [, session] of sessions) if (session !== undefined) this.#insertSession(generation, session);
  }

  discardStaging(): void {
    this.#staged = undefined;
    this.#mayHaveGarbage = true;
  }

  /** What was staged is the tree from here on. */
  install(applied: Zxid): void {
    assert(this.#staged !== undefined, "something was staged");
    deleteDraft(this.#sql);
    this.#isCarrying = false;
    writeMeta(this.#sql, "generation", String(this.#staged));
    this.#generation = this.#staged;
    this.#staged = undefined;
    this.#mayHaveGarbage = true;
    this.#advance(applied);
  }

  get mayHaveGarbage(): boolean {
    return this.#mayHaveGarbage;
  }

  /** Deletes some of the rows that nobody reads. Says how many; once it says none, none are left. */
  sweep(bounds: SweepBounds): number {
    const earlier = { above: -1, below: this.#generation };
    const dropped = { above: this.#generation, below: this.#staged ?? noNumber };
    const closed = { above: -1, below: this.#cut?.number ?? noNumber };
    const sql = this.#sql;
    const rows =
      sweepRows(sql, "znode", earlier, bounds) ||
      sweepRows(sql, "znode", dropped, bounds) ||
      sweepRows(sql, "session", earlier, bounds) ||
      sweepRows(sql, "session", dropped, bounds) ||
      sweepRows(sql, "aside", closed, bounds) ||
      sweepRows(sql, "aside_session", closed, bounds);
    if (rows === 0) this.#mayHaveGarbage = false;
    return rows;
  }

  #openCutNumber(): number {
    assert(this.#cut !== undefined, "pages are read from a cut");
    return this.#cut.number;
  }

  /** The cut that what is written now would change. Carrying in the draft for its own zxid does not. */
  get #cutToSpare(): number | undefined {
    if (this.#cut === undefined) return undefined;
    return this.#isCarrying && equalZxid(this.#cut.applied, this.#applied) ? undefined : this.#cut.number;
  }

  #putZnode(path: string, znode: Znode | undefined): void {
    const { parent, name } = keyOf(path);
    const cut = this.#cutToSpare;
    if (cut !== undefined) this.#putZnodeAside(cut, parent, name);
    if (znode !== undefined) {
      this.#insertZnode(this.#generation, path, znode);
      return;
    }
    this.#sql.exec(
      `DELETE FROM znode WHERE generation = ? AND parent = ? AND name = ?`,
      this.#generation,
      parent,
      name,
    );
  }

  #insertZnode(generation: number, path: string, znode: Znode): void {
    const { parent, name } = keyOf(path);
    this.#sql.exec(
      `INSERT INTO znode (generation, parent, name, owner, record) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (generation, parent, name)
       DO UPDATE SET owner = excluded.owner, record = excluded.record`,
      generation,
      parent,
      name,
      ownerOf(znode),
      encodeZnode(znode),
    );
  }

  #putSession(id: SessionId, session: Session | undefined): void {
    const key = formatSessionId(id);
    const cut = this.#cutToSpare;
    if (cut !== undefined) this.#putSessionAside(cut, key);
    if (session !== undefined) this.#insertSession(this.#generation, session);
    else this.#sql.exec(`DELETE FROM session WHERE generation = ? AND id = ?`, this.#generation, key);
  }

  #insertSession(generation: number, session: Session): void {
    this.#sql.exec(
      `INSERT INTO session (generation, id, record) VALUES (?, ?, ?)
       ON CONFLICT (generation, id) DO UPDATE SET record = excluded.record`,
      generation,
      formatSessionId(session.id),
      encodeSession(session),
    );
  }

  /** The first change since the cut decides what the row was at it. */
  #putZnodeAside(cut: number, parent: string, name: string): void {
    this.#sql.exec(
      `INSERT OR IGNORE INTO aside (cut, parent, name, record)
       VALUES (?, ?, ?, (SELECT record FROM znode WHERE generation = ? AND parent = ? AND name = ?))`,
      cut,
      parent,
      name,
      this.#generation,
      parent,
      name,
    );
  }

  #putSessionAside(cut: number, id: string): void {
    this.#sql.exec(
      `INSERT OR IGNORE INTO aside_session (cut, id, record)
       VALUES (?, ?, (SELECT record FROM session WHERE generation = ? AND id = ?))`,
      cut,
      id,
      this.#generation,
      id,
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

function readGeneration(sql: SqlStorage): number {
  const generation = Number(readMeta(sql, "generation") ?? "1");
  assert(Number.isInteger(generation) && generation >= 1, "the stored `generation` is no number");
  return generation;
}

function readApplied(sql: SqlStorage): Zxid {
  const text = readMeta(sql, "applied");
  if (text === undefined) return ZERO_ZXID;
  const zxid = parseZxid(text);
  assert(zxid !== undefined, "the stored `applied` is no zxid");
  return zxid;
}
