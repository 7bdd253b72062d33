/**
 * Multi and multiRead: parts behind little headers, closed by a header that says "done".
 *
 * One bad part makes the whole request unreadable, whatever the parts before it.
 *
 * Sources: ZooKeeper `MultiOperationRecord`, `MultiResponse`, `Op.Create#getOpcode`.
 *
 * @module
 */

import {
  type CheckLockRequest,
  CreateMode,
  type CreateRequest,
  type MultiOp,
  type MultiResult,
  OpCode,
  unreachable,
  type WatchableReadRequest,
  zxidFromBigint,
  zxidToBigint,
} from "../base/index.ts";
import {
  readCheck,
  readCreate,
  readDelete,
  readSetData,
  readWatchableRead,
  writeCreate,
  writePathAndVersion,
  writeSetData,
  writeWatchableRead,
} from "./operations.ts";
import { JuteError, type JuteReader, type JuteWriter } from "./primitives.ts";
import { readStat, readUstrings, writeStat, writeUstrings } from "./records.ts";

/** What clients and servers put where no error can stand. */
const noErr = -1;

export function writeMultiOps(writer: JuteWriter, ops: readonly MultiOp[]): void {
  for (const op of ops) {
    writePartHeader(writer, op.type, noErr);
    writeMultiOp(writer, op);
  }
  writeTerminator(writer);
}

function writeMultiOp(writer: JuteWriter, op: MultiOp): void {
  switch (op.type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      writeCreate(writer, op);
      break;
    case OpCode.Delete:
    case OpCode.Check:
      writePathAndVersion(writer, op);
      break;
    case OpCode.SetData:
      writeSetData(writer, op);
      break;
    case OpCode.CheckLock:
      writer.writeUstring(op.path);
      writer.writeLong(zxidToBigint(op.token));
      break;
    default:
      unreachable(op);
  }
}

export function readMultiOps(reader: JuteReader): MultiOp[] {
  return readParts(reader, readMultiOp);
}

function readMultiOp(reader: JuteReader, type: number): MultiOp {
  switch (type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
      return readCreatePart(reader, type);
    case OpCode.CreateTtl:
      return readCreate(reader, type);
    case OpCode.Delete:
      return readDelete(reader);
    case OpCode.SetData:
      return readSetData(reader);
    case OpCode.Check:
      return readCheck(reader);
    case OpCode.CheckLock:
      return readCheckLock(reader);
    default:
      throw new JuteError(`op ${type} in a multi`);
  }
}

/** Our own part: a path and 64 bits of zxid. */
function readCheckLock(reader: JuteReader): CheckLockRequest {
  const path = reader.readUstringNotNull();
  const token = zxidFromBigint(reader.readLong());
  if (token === undefined) throw new JuteError("a token that is no zxid");
  return { type: OpCode.CheckLock, path, token };
}

/**
 * A create that is no `CreateTtl`. Stricter than at top level, as in Java, whose server builds a client's
 * `Op` here. Container flags make a container, whatever the part's type said.
 */
function readCreatePart(
  reader: JuteReader,
  type: Exclude<CreateRequest["type"], typeof OpCode.CreateTtl>,
): CreateRequest {
  const create = readCreate(reader, type);
  if (create.acl === null) throw new JuteError("null ACL in a multi");
  if (create.flags < CreateMode.Persistent || create.flags > CreateMode.Container) {
    throw new JuteError(`create flags ${create.flags} in a multi`);
  }
  return create.flags === CreateMode.Container ? { ...create, type: OpCode.CreateContainer } : create;
}

export function writeMultiReadOps(writer: JuteWriter, ops: readonly WatchableReadRequest[]): void {
  for (const op of ops) {
    writePartHeader(writer, op.type, noErr);
    writeWatchableRead(writer, op);
  }
  writeTerminator(writer);
}

export function readMultiReadOps(reader: JuteReader): WatchableReadRequest[] {
  return readParts(reader, (_, type) => {
    if (type === OpCode.GetData || type === OpCode.GetChildren) return readWatchableRead(reader, type);
    throw new JuteError(`op ${type} in a multiRead`);
  });
}

/** A failed part says its code twice: in its header and as an `ErrorResponse`. */
export function writeMultiResults(writer: JuteWriter, results: readonly MultiResult[]): void {
  for (const result of results) writeMultiResult(writer, result);
  writeTerminator(writer);
}

function writeMultiResult(writer: JuteWriter, result: MultiResult): void {
  switch (result.kind) {
    case "created":
      writePartHeader(writer, OpCode.Create, 0);
      writer.writeUstring(result.path);
      break;
    case "createdWithStat":
      writePartHeader(writer, OpCode.Create2, 0);
      writer.writeUstring(result.path);
      writeStat(writer, result.stat);
      break;
    case "deleted":
      writePartHeader(writer, OpCode.Delete, 0);
      break;
    case "dataSet":
      writePartHeader(writer, OpCode.SetData, 0);
      writeStat(writer, result.stat);
      break;
    case "checked":
      writePartHeader(writer, OpCode.Check, 0);
      break;
    case "data":
      writePartHeader(writer, OpCode.GetData, 0);
      writer.writeBuffer(result.data);
      writeStat(writer, result.stat);
      break;
    case "children":
      writePartHeader(writer, OpCode.GetChildren, 0);
      writeUstrings(writer, result.children);
      break;
    case "error":
      writePartHeader(writer, OpCode.Error, result.code);
      writer.writeInt(result.code);
      break;
    default:
      unreachable(result);
  }
}

export function readMultiResults(reader: JuteReader): MultiResult[] {
  return readParts(reader, readMultiResult);
}

function readMultiResult(reader: JuteReader, type: number): MultiResult {
  switch (type) {
    case OpCode.Create:
      return { kind: "created", path: reader.readUstringNotNull() };
    case OpCode.Create2:
      return { kind: "createdWithStat", path: reader.readUstringNotNull(), stat: readStat(reader) };
    case OpCode.Delete:
      return { kind: "deleted" };
    case OpCode.SetData:
      return { kind: "dataSet", stat: readStat(reader) };
    case OpCode.Check:
      return { kind: "checked" };
    case OpCode.GetData:
      return { kind: "data", data: reader.readBuffer(), stat: readStat(reader) };
    case OpCode.GetChildren:
      return { kind: "children", children: readUstrings(reader) };
    case OpCode.Error:
      return { kind: "error", code: reader.readInt() };
    default:
      throw new JuteError(`result of type ${type}`);
  }
}

function writePartHeader(writer: JuteWriter, type: number, err: number): void {
  writer.writeInt(type);
  writer.writeBoolean(false);
  writer.writeInt(err);
}

function writeTerminator(writer: JuteWriter): void {
  writer.writeInt(-1);
  writer.writeBoolean(true);
  writer.writeInt(noErr);
}

/** Reads parts up to the header that says "done", whose type nobody looks at. */
function readParts<Part>(reader: JuteReader, readPart: (reader: JuteReader, type: number) => Part): Part[] {
  const parts: Part[] = [];
  for (;;) {
    const type = reader.readInt();
    const isDone = reader.readBoolean();
    reader.readInt(); // Clients put anything into `err`.
    if (isDone) return parts;
    parts.push(readPart(reader, type));
  }
}
