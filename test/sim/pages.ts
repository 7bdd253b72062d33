/**
 * A stored state as snapshot pages, and back. Tiny pages make transfers long, which is the point.
 *
 * @module
 */

import { joinPath, type Znode } from "../../src/base/index.ts";
import { decodeSession, decodeZnode, encodeSession, encodeZnode } from "../../src/jute/index.ts";
import { MemoryRows } from "../../src/tree/index.ts";
import type { Image } from "./disk.ts";
import { violate } from "./violation.ts";

const utf8 = new TextEncoder();
const text = new TextDecoder();
const childrenMax = 1_000_000;

/** Every znode with its path, parents first. */
export function* znodesOf(rows: MemoryRows, path = "/"): Generator<readonly [string, Znode]> {
  const znode = rows.readZnode(path);
  if (znode === undefined) return;
  yield [path, znode];
  for (const name of rows.listChildren(path, undefined, childrenMax))
    yield* znodesOf(rows, joinPath(path, name));
}

export function pagesOf(image: Image, rowsPerPage: number): readonly Uint8Array[] {
  const pages: Uint8Array[] = [];
  let rows: Uint8Array[] = [headOf(image)];
  const add = (row: Uint8Array): void => {
    if (rows.length >= rowsPerPage) {
      pages.push(joined(rows));
      rows = [];
    }
    rows.push(row);
  };
  for (const session of image.rows.listSessions()) add(joined([new Uint8Array(0), encodeSession(session)]));
  for (const [path, znode] of znodesOf(image.rows)) add(joined([utf8.encode(path), encodeZnode(znode)]));
  pages.push(joined(rows));
  return pages;
}

export function imageOfPages(pages: readonly Uint8Array[]): Image {
  const rows = pages.flatMap(split);
  const head = rows.shift();
  if (head === undefined || head.length !== 12) violate("I9", "a snapshot without a head installed");
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const zxid = { epoch: view.getUint32(0), counter: view.getUint32(4) };
  const image = { zxid, chain: view.getUint32(8), rows: new MemoryRows() };
  const znodes = new Map<string, Znode>();
  const sessions = new Map();
  for (const row of rows) {
    const [name, bytes] = split(row);
    if (name === undefined || bytes === undefined) violate("I9", "half a row in a snapshot");
    if (name.length === 0) {
      const session = decodeSession(bytes);
      if (session === undefined) violate("I9", "a damaged session in a snapshot");
      sessions.set(session.id, session);
    } else {
      const znode = decodeZnode(bytes);
      if (znode === undefined) violate("I9", "a damaged znode in a snapshot");
      znodes.set(text.decode(name), znode);
    }
  }
  image.rows.write({ applied: zxid, znodes, sessions });
  return image;
}

function headOf(image: Image): Uint8Array {
  const head = new Uint8Array(12);
  const view = new DataView(head.buffer);
  view.setUint32(0, image.zxid.epoch);
  view.setUint32(4, image.zxid.counter);
  view.setUint32(8, image.chain);
  return head;
}

function joined(rows: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const row of rows) size += 2 + row.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const row of rows) {
    bytes[at] = row.length >>> 8;
    bytes[at + 1] = row.length & 255;
    bytes.set(row, at + 2);
    at += 2 + row.length;
  }
  return bytes;
}

function split(bytes: Uint8Array): Uint8Array[] {
  const rows: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    rows.push(bytes.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  return rows;
}
