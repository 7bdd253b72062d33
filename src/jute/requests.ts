/**
 * Request frames: a header of `xid` and `type`, then the body of that type.
 *
 * Reading decides only whether the bytes are a request. Flags, modes, versions and ids are passed on as
 * they came; whether they make sense is for the tree to say.
 *
 * Sources: ZooKeeper `zookeeper.jute`, `ByteBufferInputStream`, `Request.isValid`, `PrepRequestProcessor`.
 *
 * @module
 */

import {
  type AuthRequest,
  type ClientRequest,
  OpCode,
  type ReconfigRequest,
  type SetAclRequest,
  type SetWatchesRequest,
  unreachable,
  ZkErrorCode,
} from "../base/index.ts";
import { readMultiOps, readMultiReadOps, writeMultiOps, writeMultiReadOps } from "./multi.ts";
import {
  readCreate,
  readDelete,
  readSetData,
  readWatchableRead,
  writeCreate,
  writePathAndVersion,
  writeSetData,
  writeWatchableRead,
} from "./operations.ts";
import { JuteError, type JuteReader, type JuteWriter, tryRead } from "./primitives.ts";
import { readAcls, readUstrings, writeAcls, writeUstrings } from "./records.ts";

const requestHeaderBytes = 8;

export interface RequestHeader {
  readonly xid: number;
  /** An `OpCode` if the client is honest. */
  readonly type: number;
}

/** What a request frame came to. */
export type DecodedRequest =
  | { readonly ok: true; readonly request: ClientRequest }
  | {
      readonly ok: false;
      /**
       * `Unimplemented`: no request has this type; answer it with zxid -1, then close.
       * `MarshallingError`: its body can't be read; answer, and a write is ordered and fails with it.
       */
      readonly code: typeof ZkErrorCode.Unimplemented | typeof ZkErrorCode.MarshallingError;
      /** Close without an answer: the connection layer's own packets (auth, sasl) can't be read. */
      readonly drop: boolean;
    };

const UNIMPLEMENTED: DecodedRequest = { ok: false, code: ZkErrorCode.Unimplemented, drop: false };
const MALFORMED: DecodedRequest = { ok: false, code: ZkErrorCode.MarshallingError, drop: false };
const MALFORMED_DROP: DecodedRequest = { ok: false, code: ZkErrorCode.MarshallingError, drop: true };

/** `undefined` for a frame too short for a header: drop the connection. */
export function decodeRequestHeader(frame: Uint8Array): RequestHeader | undefined {
  return tryRead(frame, (reader) => ({ xid: reader.readInt(), type: reader.readInt() }));
}

/**
 * Reads the request of a frame whose header said `type`.
 *
 * Byte arrays in the request are views of the frame: copy what is kept. Bytes after the record are
 * ignored.
 *
 * @param type - From {@link decodeRequestHeader} of the same frame.
 * @param frame - With its header, without its length prefix.
 */
export function decodeRequest(type: number, frame: Uint8Array): DecodedRequest {
  const decoded = tryRead(frame, (reader): DecodedRequest => {
    reader.skip(requestHeaderBytes);
    const request = readRequest(reader, type);
    return request === undefined ? UNIMPLEMENTED : { ok: true, request };
  });
  if (decoded !== undefined) return decoded;
  return type === OpCode.Auth || type === OpCode.Sasl ? MALFORMED_DROP : MALFORMED;
}

/** `undefined` when no client may send such a type. */
function readRequest(reader: JuteReader, type: number): ClientRequest | undefined {
  switch (type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return readCreate(reader, type);
    case OpCode.Delete:
      return readDelete(reader);
    case OpCode.SetData:
      return readSetData(reader);
    case OpCode.SetAcl:
      return readSetAcl(reader);
    case OpCode.Multi:
      return { type, ops: readMultiOps(reader) };
    case OpCode.MultiRead:
      return { type, ops: readMultiReadOps(reader) };
    case OpCode.Exists:
    case OpCode.GetData:
    case OpCode.GetChildren:
    case OpCode.GetChildren2:
      return readWatchableRead(reader, type);
    case OpCode.GetAcl:
    case OpCode.GetAllChildrenNumber:
    case OpCode.Sync:
      return { type, path: reader.readUstringNotNull() };
    case OpCode.GetEphemerals:
      // No prefix is one that everything begins with.
      return { type, path: reader.readUstring() ?? "" };
    case OpCode.SetWatches:
    case OpCode.SetWatches2:
      return readSetWatches(reader, type);
    case OpCode.AddWatch:
      return { type, path: reader.readUstringNotNull(), mode: reader.readInt() };
    case OpCode.CheckWatches:
    case OpCode.RemoveWatches:
      return { type, path: reader.readUstringNotNull(), watcherType: reader.readInt() };
    case OpCode.Reconfig:
      return readReconfig(reader);
    case OpCode.Auth:
      return readAuth(reader);
    case OpCode.Sasl:
      return { type, token: readToken(reader) };
    case OpCode.Ping:
    case OpCode.WhoAmI:
    case OpCode.CloseSession:
      return { type };
    default:
      return undefined;
  }
}

function readSetAcl(reader: JuteReader): SetAclRequest {
  return {
    type: OpCode.SetAcl,
    path: reader.readUstringNotNull(),
    acl: readAcls(reader),
    version: reader.readInt(),
  };
}

function readSetWatches(reader: JuteReader, type: SetWatchesRequest["type"]): SetWatchesRequest {
  const hasPersistent = type === OpCode.SetWatches2;
  return {
    type,
    relativeZxid: reader.readLong(),
    data: readUstrings(reader),
    exist: readUstrings(reader),
    child: readUstrings(reader),
    persistent: hasPersistent ? readUstrings(reader) : [],
    persistentRecursive: hasPersistent ? readUstrings(reader) : [],
  };
}

/** A null token is unreadable to ZooKeeper too, which ends the connection over it. */
function readToken(reader: JuteReader): Uint8Array {
  const token = reader.readBuffer();
  if (token === null) throw new JuteError("null token");
  return token;
}

function readReconfig(reader: JuteReader): ReconfigRequest {
  return {
    type: OpCode.Reconfig,
    joiningServers: reader.readUstring(),
    leavingServers: reader.readUstring(),
    newMembers: reader.readUstring(),
    curConfigId: reader.readLong(),
  };
}

function readAuth(reader: JuteReader): AuthRequest {
  reader.readInt(); // `type`, which nobody has ever used.
  return { type: OpCode.Auth, scheme: reader.readUstring() ?? "", auth: reader.readBuffer() };
}

/** Appends the request as a frame. */
export function encodeRequest(writer: JuteWriter, xid: number, request: ClientRequest): void {
  const at = writer.beginLength();
  writer.writeInt(xid);
  writer.writeInt(request.type);
  writeRequest(writer, request);
  writer.endLength(at);
}

function writeRequest(writer: JuteWriter, request: ClientRequest): void {
  switch (request.type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      writeCreate(writer, request);
      break;
    case OpCode.Delete:
      writePathAndVersion(writer, request);
      break;
    case OpCode.SetData:
      writeSetData(writer, request);
      break;
    case OpCode.SetAcl:
      writeSetAcl(writer, request);
      break;
    case OpCode.Multi:
      writeMultiOps(writer, request.ops);
      break;
    case OpCode.MultiRead:
      writeMultiReadOps(writer, request.ops);
      break;
    case OpCode.Exists:
    case OpCode.GetData:
    case OpCode.GetChildren:
    case OpCode.GetChildren2:
      writeWatchableRead(writer, request);
      break;
    case OpCode.GetAcl:
    case OpCode.GetEphemerals:
    case OpCode.GetAllChildrenNumber:
    case OpCode.Sync:
      writer.writeUstring(request.path);
      break;
    case OpCode.SetWatches:
    case OpCode.SetWatches2:
      writeSetWatches(writer, request);
      break;
    case OpCode.AddWatch:
      writer.writeUstring(request.path);
      writer.writeInt(request.mode);
      break;
    case OpCode.CheckWatches:
    case OpCode.RemoveWatches:
      writer.writeUstring(request.path);
      writer.writeInt(request.watcherType);
      break;
    case OpCode.Reconfig:
      writeReconfig(writer, request);
      break;
    case OpCode.Auth:
      writeAuth(writer, request);
      break;
    case OpCode.Sasl:
      writer.writeBuffer(request.token);
      break;
    case OpCode.Ping:
    case OpCode.WhoAmI:
    case OpCode.CloseSession:
      break;
    default:
      unreachable(request);
  }
}

function writeSetAcl(writer: JuteWriter, request: SetAclRequest): void {
  writer.writeUstring(request.path);
  writeAcls(writer, request.acl);
  writer.writeInt(request.version);
}

function writeSetWatches(writer: JuteWriter, request: SetWatchesRequest): void {
  writer.writeLong(request.relativeZxid);
  writeUstrings(writer, request.data);
  writeUstrings(writer, request.exist);
  writeUstrings(writer, request.child);
  if (request.type === OpCode.SetWatches) return;
  writeUstrings(writer, request.persistent);
  writeUstrings(writer, request.persistentRecursive);
}

function writeReconfig(writer: JuteWriter, request: ReconfigRequest): void {
  writer.writeUstring(request.joiningServers);
  writer.writeUstring(request.leavingServers);
  writer.writeUstring(request.newMembers);
  writer.writeLong(request.curConfigId);
}

function writeAuth(writer: JuteWriter, request: AuthRequest): void {
  writer.writeInt(0);
  writer.writeUstring(request.scheme);
  writer.writeBuffer(request.auth);
}
