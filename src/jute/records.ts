/**
 * Records that others are made of: Stat, ACL, Id, and vectors of strings.
 *
 * Source: ZooKeeper `zookeeper.jute`, module `org.apache.zookeeper.data`.
 *
 * @module
 */

import type { Acl, AuthId, Stat } from "../base/index.ts";
import { JuteError, type JuteReader, JuteWriter } from "./primitives.ts";

const ustringBytesMin = 4;
/** `perms`, `scheme`, `id`. */
const aclBytesMin = 12;

/** 68 bytes, in the wire's order. */
export function writeStat(writer: JuteWriter, stat: Stat): void {
  writer.writeZxid(stat.czxid);
  writer.writeZxid(stat.mzxid);
  writer.writeMs(stat.ctime);
  writer.writeMs(stat.mtime);
  writer.writeInt(stat.version);
  writer.writeInt(stat.cversion);
  writer.writeInt(stat.aversion);
  writer.writeSessionId(stat.ephemeralOwner);
  writer.writeInt(stat.dataLength);
  writer.writeInt(stat.numChildren);
  writer.writeZxid(stat.pzxid);
}

export function readStat(reader: JuteReader): Stat {
  return {
    czxid: reader.readZxid(),
    mzxid: reader.readZxid(),
    ctime: reader.readMs(),
    mtime: reader.readMs(),
    version: reader.readInt(),
    cversion: reader.readInt(),
    aversion: reader.readInt(),
    ephemeralOwner: reader.readSessionId(),
    dataLength: reader.readInt(),
    numChildren: reader.readInt(),
    pzxid: reader.readZxid(),
  };
}

export function writeAuthId(writer: JuteWriter, identity: AuthId): void {
  writer.writeUstring(identity.scheme);
  writer.writeUstring(identity.id);
}

/** Null reads as empty: kazoo sends the empty id of scheme `auth` as null. The tree refuses `""` schemes. */
export function readAuthId(reader: JuteReader): AuthId {
  return { scheme: reader.readUstring() ?? "", id: reader.readUstring() ?? "" };
}

export function writeAcls(writer: JuteWriter, acls: readonly Acl[] | null): void {
  if (acls === null) {
    writer.writeInt(-1);
    return;
  }
  writer.writeInt(acls.length);
  for (const acl of acls) {
    writer.writeInt(acl.perms);
    writeAuthId(writer, acl);
  }
}

export function readAcls(reader: JuteReader): Acl[] | null {
  const count = reader.readVectorCount(aclBytesMin);
  if (count === null) return null;
  const acls: Acl[] = [];
  for (let i = 0; i < count; i++) acls.push({ perms: reader.readInt(), ...readAuthId(reader) });
  return acls;
}

/** From so many on, the bytes of a listing are kept with it. */
export const listingLengthMin = 64;

const listingBytes = new WeakMap<readonly string[], Uint8Array>();

/** Like {@link writeUstrings}, for a vector that is never changed and may be written again. */
export function writeListing(writer: JuteWriter, texts: readonly string[]): void {
  if (texts.length < listingLengthMin) return writeUstrings(writer, texts);
  let bytes = listingBytes.get(texts);
  if (bytes === undefined) {
    const own = new JuteWriter(texts.length * 24);
    writeUstrings(own, texts);
    bytes = own.take();
    listingBytes.set(texts, bytes);
  }
  writer.writeRaw(bytes);
}

export function writeUstrings(writer: JuteWriter, texts: readonly string[]): void {
  writer.writeInt(texts.length);
  for (const text of texts) writer.writeUstring(text);
}

/** Refuses a null vector, and a null in it. */
export function readUstrings(reader: JuteReader): string[] {
  const count = reader.readVectorCount(ustringBytesMin);
  if (count === null) throw new JuteError("null vector");
  const texts: string[] = [];
  for (let i = 0; i < count; i++) texts.push(reader.readUstringNotNull());
  return texts;
}
