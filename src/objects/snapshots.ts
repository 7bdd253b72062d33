/**
 * Snapshots for learners: pages of the checkpointed rows, out at the leader and in at the learner.
 *
 * The rows change only in checkpoints. While a snapshot is open the member puts checkpoints off, so the
 * rows are a consistent cut at `applied` and nothing needs to be copied aside. A snapshot that keeps a
 * checkpoint waiting for too long is given up: its pages are gone and the learner starts again.
 *
 * @module
 */

import { assert, equalZxid, type Zxid } from "../base/index.ts";
import { JuteWriter, packPayloads, tryRead, unpackPayloads } from "../jute/index.ts";
import {
  type SessionRow,
  type SqlTreeRows,
  type ZnodeKey,
  type ZnodeRow,
  znodeRowPath,
} from "./sql/znodes.ts";

/** Sessions per page. */
const pageSessionsMax = 1000;

/** A page's aim, in bytes of znode rows; the last row may pass it. */
const pageBytes = 256 * 1024;

const RowKind = { Znode: 1, Session: 2 } as const;

type Cursor =
  | { readonly kind: "znodes"; readonly after: ZnodeKey | undefined }
  | { readonly kind: "sessions"; readonly after: string };

const firstCursor: Cursor = { kind: "znodes", after: undefined };

interface OpenSnapshot {
  readonly id: number;
  readonly zxid: Zxid;
  /** Where each page known so far begins. */
  readonly cursors: Cursor[];
  holders: number;
}

export class SnapshotSource {
  readonly #rows: SqlTreeRows;
  #open: OpenSnapshot | undefined;
  #lastId = 0;

  constructor(rows: SqlTreeRows) {
    this.#rows = rows;
  }

  /** While true, the rows must not change. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  open(): { id: number; zxid: Zxid } {
    if (this.#open === undefined) {
      this.#lastId += 1;
      this.#open = { id: this.#lastId, zxid: this.#rows.applied, cursors: [firstCursor], holders: 0 };
    }
    this.#open.holders += 1;
    return { id: this.#open.id, zxid: this.#open.zxid };
  }

  /** Pages are asked for in order, or again. */
  readPage(id: number, page: number): { bytes: Uint8Array; last: boolean } | undefined {
    const snapshot = this.#open;
    if (snapshot === undefined || snapshot.id !== id) return undefined;
    assert(equalZxid(snapshot.zxid, this.#rows.applied), "the rows stay put while a snapshot is open");
    const cursor = snapshot.cursors[page];
    if (cursor === undefined) return undefined;
    const { payloads, next } =
      cursor.kind === "znodes" ? this.#znodePage(cursor.after) : this.#sessionPage(cursor.after);
    if (next !== undefined) snapshot.cursors[page + 1] = next;
    return { bytes: packPayloads(payloads), last: next === undefined };
  }

  close(id: number): void {
    if (this.#open?.id !== id) return;
    this.#open.holders -= 1;
    if (this.#open.holders === 0) this.#open = undefined;
  }

  /** A checkpoint cannot wait any longer. */
  giveUp(): void {
    this.#open = undefined;
  }

  #znodePage(after: ZnodeKey | undefined): { payloads: Uint8Array[]; next: Cursor } {
    const { rows, isLast } = this.#rows.pageOfZnodes(after, pageBytes);
    const end = rows.at(-1);
    const next: Cursor =
      isLast || end === undefined
        ? { kind: "sessions", after: "" }
        : { kind: "znodes", after: { parent: end.parent, name: end.name } };
    return { payloads: rows.map(encodeZnodeRow), next };
  }

  #sessionPage(after: string): { payloads: Uint8Array[]; next: Cursor | undefined } {
    const rows = this.#rows.pageOfSessions(after, pageSessionsMax);
    const end = rows.at(-1);
    const next: Cursor | undefined =
      rows.length < pageSessionsMax || end === undefined ? undefined : { kind: "sessions", after: end.id };
    return { payloads: rows.map(encodeSessionRow), next };
  }
}

function encodeZnodeRow(row: ZnodeRow): Uint8Array {
  const writer = new JuteWriter(row.record.length + 64);
  writer.writeByte(RowKind.Znode);
  writer.writePackedText(znodeRowPath(row));
  writer.writeRaw(row.record);
  return writer.take();
}

function encodeSessionRow(row: SessionRow): Uint8Array {
  const writer = new JuteWriter(row.record.length + 1);
  writer.writeByte(RowKind.Session);
  writer.writeRaw(row.record);
  return writer.take();
}

/** Puts one page's rows in place; the caller holds the transaction and has cleared the rows before page 0. */
export function installPage(rows: SqlTreeRows, page: Uint8Array): void {
  const payloads = unpackPayloads(page);
  assert(payloads !== undefined, "a staged page cannot be read");
  for (const payload of payloads) {
    const row = tryRead(payload, (reader) =>
      reader.readByte() === RowKind.Znode
        ? { path: reader.readPackedText(), record: reader.readRaw(reader.remaining) }
        : { path: undefined, record: reader.readRaw(reader.remaining) },
    );
    assert(row !== undefined, "a staged row cannot be read");
    if (row.path === undefined) rows.putEncodedSession(row.record);
    else rows.putEncodedZnode(row.path, row.record);
  }
}
