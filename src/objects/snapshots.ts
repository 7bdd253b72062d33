/**
 * Snapshots for learners: pages of the tree's rows as they were at one zxid.
 *
 * Checkpoints go on while pages leave: the rows put aside what they change. Several learners share one
 * open snapshot, and each may ask for a page again and gets the same bytes.
 *
 * A snapshot that is opened while a draft for the same zxid is being carried into the rows waits for that:
 * until then its pages are empty.
 *
 * @module
 */

import { assert, equalZxid, type Zxid } from "../base/index.ts";
import { packPayloads } from "../jute/index.ts";
import { encodeSessionRow, encodeZnodeRow } from "./row-codec.ts";
import { type SqlTreeRows, type ZnodeKey, znodeRowPath } from "./sql/znodes.ts";

/** Sessions per page. */
const pageSessionsMax = 1000;

/** A page's aim, in bytes of znode rows; the last row may pass it. Reading one is part of somebody's turn. */
const pageBytes = 256 * 1024;

type Cursor =
  | { readonly kind: "znodes"; readonly after: ZnodeKey | undefined }
  | { readonly kind: "sessions"; readonly after: string };

const firstCursor: Cursor = { kind: "znodes", after: undefined };

interface OpenSnapshot {
  readonly id: number;
  readonly zxid: Zxid;
  /** Where each page known so far begins. A page that ends where it begins is empty. */
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

  /** Who reads an open snapshot goes on with the log above it, so that must not be dropped. */
  get heldFrom(): Zxid | undefined {
    return this.#open?.zxid;
  }

  open(): { id: number; zxid: Zxid } {
    if (this.#open === undefined) {
      this.#lastId += 1;
      this.#rows.openCut();
      this.#open = { id: this.#lastId, zxid: this.#rows.applied, cursors: [firstCursor], holders: 0 };
    }
    this.#open.holders += 1;
    return { id: this.#open.id, zxid: this.#open.zxid };
  }

  /** Pages are asked for in order, or again. */
  readPage(id: number, page: number): { bytes: Uint8Array; last: boolean } | undefined {
    const snapshot = this.#open;
    if (snapshot === undefined || snapshot.id !== id) return undefined;
    const { cursors } = snapshot;
    const cursor = cursors[page];
    if (cursor === undefined) return undefined;
    const isWaiting = this.#rows.isCarrying && equalZxid(this.#rows.applied, snapshot.zxid);
    if (isWaiting || cursors[page + 1] === cursor) {
      assert(cursor === firstCursor, "a snapshot waits before its first row");
      cursors[page + 1] = cursor;
      return { bytes: packPayloads([]), last: false };
    }
    const { payloads, next } =
      cursor.kind === "znodes" ? this.#znodePage(cursor.after) : this.#sessionPage(cursor.after);
    if (next !== undefined) cursors[page + 1] ??= next;
    return { bytes: packPayloads(payloads), last: next === undefined };
  }

  close(id: number): void {
    if (this.#open?.id !== id) return;
    this.#open.holders -= 1;
    if (this.#open.holders === 0) this.giveUp();
  }

  /** Its holders find it gone. */
  giveUp(): void {
    if (this.#open === undefined) return;
    this.#open = undefined;
    this.#rows.closeCut();
  }

  #znodePage(after: ZnodeKey | undefined): { payloads: Uint8Array[]; next: Cursor } {
    const { rows, isLast } = this.#rows.pageOfZnodes(after, pageBytes);
    const end = rows.at(-1);
    const next: Cursor =
      isLast || end === undefined
        ? { kind: "sessions", after: "" }
        : { kind: "znodes", after: { parent: end.parent, name: end.name } };
    return { payloads: rows.map((row) => encodeZnodeRow(znodeRowPath(row), row.record)), next };
  }

  #sessionPage(after: string): { payloads: Uint8Array[]; next: Cursor | undefined } {
    const rows = this.#rows.pageOfSessions(after, pageSessionsMax);
    const end = rows.at(-1);
    const next: Cursor | undefined =
      rows.length < pageSessionsMax || end === undefined ? undefined : { kind: "sessions", after: end.id };
    return { payloads: rows.map(({ record }) => encodeSessionRow(record)), next };
  }
}
