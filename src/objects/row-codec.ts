/**
 * Rows of the tree as bytes: pages of a snapshot for a learner, and of a checkpoint's draft.
 *
 * A page is a list of rows, each a kind and a record. Only a draft has rows that are gone.
 *
 * @module
 */

import type { Session, SessionId, Znode } from "../base/index.ts";
import {
  decodeSession,
  decodeZnode,
  encodeSession,
  encodeZnode,
  JuteWriter,
  packPayloads,
  tryRead,
  unpackPayloads,
} from "../jute/index.ts";

const RowKind = { Znode: 1, Session: 2, NoZnode: 3, NoSession: 4 } as const;

/** Znodes and sessions; `undefined` stands for a row that is gone. */
export interface Part {
  readonly znodes: ReadonlyMap<string, Znode | undefined>;
  readonly sessions: ReadonlyMap<SessionId, Session | undefined>;
}

export function encodePart({ znodes, sessions }: Part): Uint8Array {
  const rows: Uint8Array[] = [];
  for (const [path, znode] of znodes) {
    rows.push(znode === undefined ? encodeNoZnode(path) : encodeZnodeRow(path, encodeZnode(znode)));
  }
  for (const [id, session] of sessions) {
    rows.push(session === undefined ? encodeNoSession(id) : encodeSessionRow(encodeSession(session)));
  }
  return packPayloads(rows);
}

export function encodeZnodeRow(path: string, record: Uint8Array): Uint8Array {
  const writer = new JuteWriter(record.length + path.length + 16);
  writer.writeByte(RowKind.Znode);
  writer.writePackedText(path);
  writer.writeRaw(record);
  return writer.take();
}

export function encodeSessionRow(record: Uint8Array): Uint8Array {
  const writer = new JuteWriter(record.length + 1);
  writer.writeByte(RowKind.Session);
  writer.writeRaw(record);
  return writer.take();
}

function encodeNoZnode(path: string): Uint8Array {
  const writer = new JuteWriter(path.length + 16);
  writer.writeByte(RowKind.NoZnode);
  writer.writePackedText(path);
  return writer.take();
}

function encodeNoSession(id: SessionId): Uint8Array {
  const writer = new JuteWriter(16);
  writer.writeByte(RowKind.NoSession);
  writer.writeSessionId(id);
  return writer.take();
}

/** `undefined` for bytes that are no page. */
export function decodePart(page: Uint8Array): Part | undefined {
  const znodes = new Map<string, Znode | undefined>();
  const sessions = new Map<SessionId, Session | undefined>();
  for (const row of unpackPayloads(page) ?? [new Uint8Array(0)]) {
    if (!decodeRow(row, znodes, sessions)) return undefined;
  }
  return { znodes, sessions };
}

/** Adds the row to where it belongs; says whether it could be read. */
function decodeRow(
  row: Uint8Array,
  znodes: Map<string, Znode | undefined>,
  sessions: Map<SessionId, Session | undefined>,
): boolean {
  const read = tryRead(row, (reader) => {
    switch (reader.readByte()) {
      case RowKind.Znode: {
        const path = reader.readPackedText();
        const znode = decodeZnode(reader.readRaw(reader.remaining));
        if (znode !== undefined) znodes.set(path, znode);
        return znode !== undefined;
      }
      case RowKind.Session: {
        const session = decodeSession(reader.readRaw(reader.remaining));
        if (session !== undefined) sessions.set(session.id, session);
        return session !== undefined;
      }
      case RowKind.NoZnode:
        znodes.set(reader.readPackedText(), undefined);
        return reader.remaining === 0;
      case RowKind.NoSession:
        sessions.set(reader.readSessionId(), undefined);
        return reader.remaining === 0;
      default:
        return false;
    }
  });
  return read === true;
}
