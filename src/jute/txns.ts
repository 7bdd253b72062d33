/**
 * Txns as bytes: the payload of a log row and of a proposal.
 *
 * Lossless and our own; ZooKeeper's txn log has another layout. This runs on every write, hence one
 * shared writer and as few `bigint`s as can be.
 *
 * | Field | Bytes |
 * | --- | --- |
 * | version, kind | 1 each |
 * | sessionId, timeMs | 8 each |
 * | cxid | 4 |
 * | the op's own fields | see `packOp` |
 *
 * @module
 */

import {
  type EnsembleMember,
  type Membership,
  makeServerId,
  type RequestOp,
  type ServerId,
  serverIdMax,
  type TreeOp,
  type Txn,
  type TxnOp,
  unreachable,
  type ZkErrorCode,
  zkErrorName,
} from "../base/index.ts";
import { packAcls, packLifetime, tryUnpack, unpackAcls, unpackLifetime } from "./packing.ts";
import { JuteError, type JuteReader, JuteWriter } from "./primitives.ts";

const txnVersion = 1;

/** Numbers of `TxnOp` kinds. They are on disk: never reuse one. */
const TxnKind = {
  Create: 1,
  Delete: 2,
  SetData: 3,
  SetAcl: 4,
  Check: 5,
  Multi: 6,
  CreateSession: 7,
  CloseSession: 8,
  Error: 9,
  FailedMulti: 10,
  RenewSession: 11,
  Reconfig: 12,
  Keyed: 13,
} as const;

/** Where the kind stands: behind the version, the session id, the cxid and the time. */
const kindAt = 1 + 8 + 4 + 8;

/** Numbers of roles: their places. */
const memberRoles = ["voter", "observer"] as const satisfies readonly EnsembleMember["role"][];

/** A kind and the shortest path. */
const packedOpBytesMin = 2;

/** Reused by every call: nothing in here is asynchronous, and each call takes its bytes out. */
const writer = new JuteWriter(4096);

export function encodeTxn(txn: Txn): Uint8Array {
  writer.clear(); // An assertion may have left half a txn.
  writer.writeByte(txnVersion);
  writer.writeSessionId(txn.sessionId);
  writer.writeInt(txn.cxid);
  writer.writeMs(txn.timeMs);
  packOp(txn.op);
  return writer.take();
}

function packOp(op: TxnOp): void {
  switch (op.kind) {
    case "create":
      writer.writeByte(TxnKind.Create);
      writer.writePackedText(op.path);
      writer.writePackedBytes(op.data);
      packAcls(writer, op.acl);
      packLifetime(writer, op.lifetime);
      writer.writeInt(op.parentCreates);
      break;
    case "delete":
      writer.writeByte(TxnKind.Delete);
      writer.writePackedText(op.path);
      break;
    case "setData":
      writer.writeByte(TxnKind.SetData);
      writer.writePackedText(op.path);
      writer.writePackedBytes(op.data);
      writer.writeInt(op.version);
      break;
    case "setAcl":
      writer.writeByte(TxnKind.SetAcl);
      writer.writePackedText(op.path);
      packAcls(writer, op.acl);
      writer.writeInt(op.aversion);
      break;
    case "check":
      writer.writeByte(TxnKind.Check);
      writer.writePackedText(op.path);
      break;
    case "multi":
      writer.writeByte(TxnKind.Multi);
      writer.writeVarint(op.ops.length);
      for (const part of op.ops) packOp(part);
      break;
    case "createSession":
      writer.writeByte(TxnKind.CreateSession);
      writer.writeInt(op.timeoutMs);
      break;
    case "renewSession":
      writer.writeByte(TxnKind.RenewSession);
      writer.writeInt(op.timeoutMs);
      writer.writeMs(op.ownership);
      break;
    case "closeSession":
      writer.writeByte(TxnKind.CloseSession);
      writer.writeVarint(op.ephemerals.length);
      for (const path of op.ephemerals) writer.writePackedText(path);
      break;
    case "reconfig":
      writer.writeByte(TxnKind.Reconfig);
      writer.writePackedText(op.servers);
      packMembership(op);
      break;
    case "keyed":
      writer.writeByte(TxnKind.Keyed);
      writer.writePackedText(op.key);
      writer.writePackedText(op.fingerprint);
      packOp(op.op);
      break;
    case "error":
      writer.writeByte(TxnKind.Error);
      writer.writeInt(op.code);
      break;
    case "failedMulti":
      writer.writeByte(TxnKind.FailedMulti);
      writer.writeVarint(op.codes.length);
      for (const code of op.codes) writer.writeInt(code);
      break;
    default:
      unreachable(op);
  }
}

function packMembership({ members, retired = [] }: Membership): void {
  writer.writeVarint(members.length);
  for (const { id, role, storageId } of members) {
    writer.writeByte(id);
    writer.writeByte(memberRoles.indexOf(role));
    writer.writePackedText(storageId ?? "");
  }
  writer.writeVarint(retired.length);
  for (const id of retired) writer.writeByte(id);
}

/**
 * What a txn makes of the membership; `undefined` for the many that leave it alone, at the cost of a look at
 * one byte. Total: bytes that are no txn leave it alone too.
 */
export function membershipOf(payload: Uint8Array): Membership | undefined {
  if (payload[kindAt] !== TxnKind.Reconfig) return undefined;
  const op = decodeTxn(payload)?.op;
  return op?.kind === "reconfig" ? { members: op.members, retired: op.retired } : undefined;
}

/** `undefined` for bytes that no {@link encodeTxn} wrote. Data is copied, never a view. */
export function decodeTxn(bytes: Uint8Array): Txn | undefined {
  return tryUnpack(bytes, txnVersion, (reader) => ({
    sessionId: reader.readSessionId(),
    cxid: reader.readInt(),
    timeMs: reader.readMs(),
    op: unpackOp(reader),
  }));
}

function unpackOp(reader: JuteReader): TxnOp {
  const kind = reader.readByte();
  switch (kind) {
    case TxnKind.Keyed:
      return {
        kind: "keyed",
        key: unpackDigest(reader),
        fingerprint: unpackDigest(reader),
        op: unpackRequestOp(reader, reader.readByte()),
      };
    case TxnKind.CreateSession:
      return { kind: "createSession", timeoutMs: reader.readInt() };
    case TxnKind.RenewSession:
      return { kind: "renewSession", timeoutMs: reader.readInt(), ownership: reader.readMs() };
    case TxnKind.CloseSession:
      return { kind: "closeSession", ephemerals: unpackList(reader, 1, unpackText) };
    case TxnKind.Reconfig:
      return { kind: "reconfig", servers: reader.readPackedText(), ...unpackMembership(reader) };
    default:
      return unpackRequestOp(reader, kind);
  }
}

function unpackRequestOp(reader: JuteReader, kind: number): RequestOp {
  switch (kind) {
    case TxnKind.Multi:
      return { kind: "multi", ops: unpackList(reader, packedOpBytesMin, unpackPart) };
    case TxnKind.Error:
      return { kind: "error", code: unpackCode(reader) };
    case TxnKind.FailedMulti:
      return { kind: "failedMulti", codes: unpackList(reader, 4, unpackCode) };
    default:
      return unpackTreeOp(reader, kind);
  }
}

function unpackTreeOp(reader: JuteReader, kind: number): TreeOp {
  switch (kind) {
    case TxnKind.Create:
      return {
        kind: "create",
        path: reader.readPackedText(),
        data: reader.readPackedBytes(),
        acl: unpackAcls(reader),
        lifetime: unpackLifetime(reader),
        parentCreates: reader.readInt(),
      };
    case TxnKind.Delete:
      return { kind: "delete", path: reader.readPackedText() };
    case TxnKind.SetData:
      return {
        kind: "setData",
        path: reader.readPackedText(),
        data: reader.readPackedBytes(),
        version: reader.readInt(),
      };
    case TxnKind.SetAcl:
      return {
        kind: "setAcl",
        path: reader.readPackedText(),
        acl: unpackAcls(reader),
        aversion: reader.readInt(),
      };
    case TxnKind.Check:
      return { kind: "check", path: reader.readPackedText() };
    default:
      throw new JuteError(`txn kind ${kind}`);
  }
}

function unpackPart(reader: JuteReader): TreeOp {
  return unpackTreeOp(reader, reader.readByte());
}

function unpackMembership(reader: JuteReader): Membership {
  const members = unpackList(reader, 3, unpackMember);
  const isVoted = members.some(({ role }) => role === "voter");
  if (!isVoted || new Set(members.map(({ id }) => id)).size !== members.length) {
    throw new JuteError("no membership");
  }
  return { members, retired: unpackList(reader, 1, unpackServerId) };
}

function unpackMember(reader: JuteReader): EnsembleMember {
  const id = unpackServerId(reader);
  const role = memberRoles[reader.readByte()];
  if (role === undefined) throw new JuteError("no role");
  const storageId = reader.readPackedText();
  return storageId === "" ? { id, role } : { id, role, storageId };
}

function unpackServerId(reader: JuteReader): ServerId {
  const id = reader.readByte();
  if (id < 1 || id > serverIdMax) throw new JuteError(`server id ${id}`);
  return makeServerId(id);
}

function unpackDigest(reader: JuteReader): string {
  const text = reader.readPackedText();
  if (!/^[0-9a-f]{64}$/.test(text)) throw new JuteError("no digest");
  return text;
}

function unpackText(reader: JuteReader): string {
  return reader.readPackedText();
}

function unpackCode(reader: JuteReader): ZkErrorCode {
  const code = reader.readInt();
  if (!isZkErrorCode(code)) throw new JuteError(`error code ${code}`);
  return code;
}

function isZkErrorCode(code: number): code is ZkErrorCode {
  return zkErrorName(code) !== undefined;
}

function unpackList<Element>(
  reader: JuteReader,
  elementBytesMin: number,
  unpack: (reader: JuteReader) => Element,
): Element[] {
  const count = reader.readVarint();
  if (count * elementBytesMin > reader.remaining) throw new JuteError("list longer than its record");
  const list: Element[] = [];
  for (let i = 0; i < count; i++) list.push(unpack(reader));
  return list;
}
