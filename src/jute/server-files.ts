/**
 * The records of ZooKeeper's own files: snapshots and transaction logs.
 *
 * What the txns add up to, checksums and compression are the migration's affair.
 *
 * Sources: ZooKeeper `FileHeader`, `SerializeUtils`, `DataTree.serialize`, `ReferenceCountedACLCache`,
 * `StatPersisted`, `TxnHeader`, `zookeeper.jute` module `org.apache.zookeeper.txn`, `EphemeralType`.
 *
 * @module
 */

import { type Acl, type Lifetime, makeSessionId, OpCode, type SessionId } from "../base/index.ts";
import { JuteError, type JuteReader, type JuteWriter } from "./primitives.ts";
import { readAcls, writeAcls } from "./records.ts";

/** "ZKSN" and "ZKLG". */
export const FileMagic = { Snapshot: 0x5a4b534e, Log: 0x5a4b4c47 } as const;

/** The only one there has been since 3.0. */
export const fileVersion = 2;

/** Where a znode's ACL would be named by number, -1 says "open to all" without one. */
export const openAclIndex = -1n;

const sessionBytes = 12;
const aclEntryBytesMin = 12;
const containerOwner = -(2n ** 63n);
const ttlMask = 0xff00_0000_0000_0000n;
const ttlReservedMask = 0x00ff_ff00_0000_0000n;

export interface FileHeader {
  readonly magic: number;
  readonly version: number;
}

/** A znode as a snapshot has it. */
export interface SnapshotZnode {
  /** Empty for the root. */
  readonly path: string;
  readonly data: Uint8Array | null;
  /** Into the snapshot's ACLs; {@link openAclIndex} stands for itself. */
  readonly aclIndex: bigint;
  readonly stat: PersistedStat;
}

export interface PersistedStat {
  readonly czxid: bigint;
  readonly mzxid: bigint;
  readonly ctime: bigint;
  readonly mtime: bigint;
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  /** Raw: says what kind of znode it is, see {@link lifetimeOf}. */
  readonly ephemeralOwner: bigint;
  readonly pzxid: bigint;
}

/** What stands before a snapshot's znodes. */
export interface SnapshotPreamble {
  readonly sessions: ReadonlyMap<SessionId, number>;
  readonly acls: ReadonlyMap<bigint, readonly Acl[]>;
}

/** What a logged txn changes. Creates of all kinds look alike. */
export type LoggedOp =
  | {
      readonly kind: "create";
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly acl: readonly Acl[];
      /** Whose owner, when it is ephemeral, the header names. */
      readonly lifetime: "persistent" | "ephemeral" | "container" | { readonly ttlMs: bigint };
    }
  | { readonly kind: "delete"; readonly path: string }
  | {
      readonly kind: "setData";
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly version: number;
    }
  | { readonly kind: "setAcl"; readonly path: string; readonly acl: readonly Acl[]; readonly version: number }
  /** Its session's ephemerals go; older servers do not list them. */
  | { readonly kind: "closeSession" }
  | { readonly kind: "multi"; readonly ops: readonly LoggedOp[] }
  /** Sessions opened, errors, checks: no znode changes. */
  | { readonly kind: "nothing" };

export interface LoggedTxn {
  readonly sessionId: SessionId;
  readonly zxid: bigint;
  readonly time: bigint;
  readonly op: LoggedOp;
}

export function readFileHeader(reader: JuteReader): FileHeader {
  const header = { magic: reader.readInt(), version: reader.readInt() };
  reader.readLong(); // The database's id, which nobody has ever used.
  return header;
}

export function writeFileHeader(writer: JuteWriter, { magic, version }: FileHeader): void {
  writer.writeInt(magic);
  writer.writeInt(version);
  writer.writeLong(magic === FileMagic.Snapshot ? -1n : 0n);
}

export function readSnapshotPreamble(reader: JuteReader): SnapshotPreamble {
  const sessions = new Map<SessionId, number>();
  for (let left = countOf(reader, sessionBytes); left > 0; left--) {
    sessions.set(makeSessionId(reader.readLong()), reader.readInt());
  }
  const acls = new Map<bigint, readonly Acl[]>();
  for (let left = countOf(reader, aclEntryBytesMin); left > 0; left--) {
    acls.set(reader.readLong(), readAcls(reader) ?? []);
  }
  return { sessions, acls };
}

export function writeSnapshotPreamble(writer: JuteWriter, { sessions, acls }: SnapshotPreamble): void {
  writer.writeInt(sessions.size);
  for (const [id, timeoutMs] of sessions) {
    writer.writeLong(id);
    writer.writeInt(timeoutMs);
  }
  writer.writeInt(acls.size);
  for (const [index, acl] of acls) {
    writer.writeLong(index);
    writeAcls(writer, acl);
  }
}

/** `undefined` for the mark that ends a snapshot's znodes. `data` is a view. */
export function readSnapshotZnode(reader: JuteReader): SnapshotZnode | undefined {
  const path = reader.readUstringNotNull();
  if (path === "/") return undefined;
  return {
    path,
    data: reader.readBuffer(),
    aclIndex: reader.readLong(),
    stat: {
      czxid: reader.readLong(),
      mzxid: reader.readLong(),
      ctime: reader.readLong(),
      mtime: reader.readLong(),
      version: reader.readInt(),
      cversion: reader.readInt(),
      aversion: reader.readInt(),
      ephemeralOwner: reader.readLong(),
      pzxid: reader.readLong(),
    },
  };
}

export function writeSnapshotZnode(writer: JuteWriter, { path, data, aclIndex, stat }: SnapshotZnode): void {
  writer.writeUstring(path);
  writer.writeBuffer(data);
  writer.writeLong(aclIndex);
  writer.writeLong(stat.czxid);
  writer.writeLong(stat.mzxid);
  writer.writeLong(stat.ctime);
  writer.writeLong(stat.mtime);
  writer.writeInt(stat.version);
  writer.writeInt(stat.cversion);
  writer.writeInt(stat.aversion);
  writer.writeLong(stat.ephemeralOwner);
  writer.writeLong(stat.pzxid);
}

/** The mark that ends a snapshot's znodes, and the seal behind it: a checksum, and the mark again. */
export function writeSnapshotEnd(writer: JuteWriter): void {
  writer.writeUstring("/");
}

export function writeSeal(writer: JuteWriter, checksum: number): void {
  writer.writeLong(BigInt(checksum));
  writer.writeUstring("/");
}

/** What kind of znode a raw owner means, with extended types on, as they are wherever TTLs work. */
export function lifetimeOf(ephemeralOwner: bigint): Lifetime {
  const raw = BigInt.asUintN(64, ephemeralOwner);
  if (ephemeralOwner === containerOwner) return { kind: "container" };
  if ((raw & ttlMask) === ttlMask && (raw & ttlReservedMask) === 0n) {
    return { kind: "ttl", ttlMs: Number(raw & ~(ttlMask | ttlReservedMask)) };
  }
  if (ephemeralOwner === 0n) return { kind: "persistent" };
  return { kind: "ephemeral", owner: makeSessionId(ephemeralOwner) };
}

/** The inverse of {@link lifetimeOf}. */
export function ownerOf(lifetime: Lifetime): bigint {
  switch (lifetime.kind) {
    case "persistent":
      return 0n;
    case "ephemeral":
      return lifetime.owner;
    case "container":
      return containerOwner;
    case "ttl":
      return BigInt.asIntN(64, ttlMask | BigInt(lifetime.ttlMs));
  }
}

/** One log entry's payload: a header, a record by its type, and perhaps a digest, which is not looked at. */
export function readLoggedTxn(reader: JuteReader): LoggedTxn {
  const sessionId = makeSessionId(reader.readLong());
  reader.readInt(); // cxid
  const zxid = reader.readLong();
  const time = reader.readLong();
  const type = reader.readInt();
  return { sessionId, zxid, time, op: readOp(reader, type) };
}

function readOp(reader: JuteReader, type: number): LoggedOp {
  switch (type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return readCreate(reader, type);
    case OpCode.Delete:
    case OpCode.DeleteContainer:
      return { kind: "delete", path: reader.readUstringNotNull() };
    case OpCode.SetData:
    case OpCode.Reconfig:
      return {
        kind: "setData",
        path: reader.readUstringNotNull(),
        data: reader.readBuffer(),
        version: reader.readInt(),
      };
    case OpCode.SetAcl:
      return {
        kind: "setAcl",
        path: reader.readUstringNotNull(),
        acl: readAcls(reader) ?? [],
        version: reader.readInt(),
      };
    case OpCode.CloseSession:
      // A list of paths may follow, or a digest, or nothing.
      return { kind: "closeSession" };
    case OpCode.Multi:
      return { kind: "multi", ops: readParts(reader) };
    case OpCode.CreateSession:
    case OpCode.Error:
    case OpCode.Check:
      return { kind: "nothing" };
    default:
      throw new JuteError(`txn type ${type}`);
  }
}

function readCreate(reader: JuteReader, type: number): LoggedOp {
  const path = reader.readUstringNotNull();
  const data = reader.readBuffer();
  const acl = readAcls(reader) ?? [];
  if (type === OpCode.CreateContainer || type === OpCode.CreateTtl) {
    reader.readInt(); // The parent's cversion.
    const lifetime = type === OpCode.CreateContainer ? "container" : { ttlMs: reader.readLong() };
    return { kind: "create", path, data, acl, lifetime };
  }
  const lifetime = reader.readBoolean() ? "ephemeral" : "persistent";
  // Before 3.4 nothing followed.
  if (reader.remaining >= 4) reader.readInt();
  return { kind: "create", path, data, acl, lifetime };
}

/** Parts are records in buffers of their own. One error among them says that none has been applied. */
function readParts(reader: JuteReader): readonly LoggedOp[] {
  const ops: LoggedOp[] = [];
  let isFailed = false;
  for (let left = countOf(reader, 8); left > 0; left--) {
    const type = reader.readInt();
    const bytes = reader.readBuffer();
    if (bytes === null) throw new JuteError("null txn");
    if (type === OpCode.Error) isFailed = true;
    ops.push(readOp(reader.over(bytes), type));
  }
  return isFailed ? [] : ops;
}

function countOf(reader: JuteReader, elementBytesMin: number): number {
  return reader.readVectorCount(elementBytesMin) ?? 0;
}
