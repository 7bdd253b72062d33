/**
 * Znodes and sessions as bytes: rows of a snapshot and what a snapshot page carries.
 *
 * A znode's name is not in it; neither is anything that follows from its children.
 *
 * @module
 */

import type { Session, Znode } from "../base/index.ts";
import { packAcls, packLifetime, tryUnpack, unpackAcls, unpackLifetime } from "./packing.ts";
import { JuteWriter } from "./primitives.ts";

const znodeVersion = 1;
/** Version 1 knew no ownership: every session had had one connection. */
const sessionVersion = 2;

/** Reused by every call: nothing in here is asynchronous, and each call takes its bytes out. */
const writer = new JuteWriter(4096);

export function encodeZnode(znode: Znode): Uint8Array {
  writer.clear(); // An assertion may have left half a znode.
  writer.writeByte(znodeVersion);
  writer.writeZxid(znode.czxid);
  writer.writeZxid(znode.mzxid);
  writer.writeZxid(znode.pzxid);
  writer.writeMs(znode.ctime);
  writer.writeMs(znode.mtime);
  writer.writeInt(znode.version);
  writer.writeInt(znode.aversion);
  writer.writeInt(znode.creates);
  writer.writeInt(znode.numChildren);
  packAcls(writer, znode.acl);
  packLifetime(writer, znode.lifetime);
  writer.writePackedBytes(znode.data);
  return writer.take();
}

/** `undefined` for bytes that no {@link encodeZnode} wrote. Data is copied, never a view. */
export function decodeZnode(bytes: Uint8Array): Znode | undefined {
  return tryUnpack(bytes, znodeVersion, (reader) => ({
    czxid: reader.readZxid(),
    mzxid: reader.readZxid(),
    pzxid: reader.readZxid(),
    ctime: reader.readMs(),
    mtime: reader.readMs(),
    version: reader.readInt(),
    aversion: reader.readInt(),
    creates: reader.readInt(),
    numChildren: reader.readInt(),
    acl: unpackAcls(reader),
    lifetime: unpackLifetime(reader),
    data: reader.readPackedBytes(),
  }));
}

export function encodeSession(session: Session): Uint8Array {
  writer.clear();
  writer.writeByte(sessionVersion);
  writer.writeSessionId(session.id);
  writer.writeInt(session.timeoutMs);
  writer.writeMs(session.ownership);
  return writer.take();
}

/** `undefined` for bytes that no {@link encodeSession} wrote. */
export function decodeSession(bytes: Uint8Array): Session | undefined {
  return tryUnpack(bytes, bytes[0] === 1 ? 1 : sessionVersion, (reader) => ({
    id: reader.readSessionId(),
    timeoutMs: reader.readInt(),
    ownership: bytes[0] === 1 ? 1 : reader.readMs(),
  }));
}
