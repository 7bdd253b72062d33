/**
 * Records of single operations, which occur by themselves and as parts of a multi or multiRead.
 *
 * Each pair reads and writes what stands behind the request's header, or behind the part's.
 *
 * Source: ZooKeeper `zookeeper.jute`, module `org.apache.zookeeper.proto`.
 *
 * @module
 */

import {
  type CheckRequest,
  type CreateRequest,
  type DeleteRequest,
  OpCode,
  type SetDataRequest,
  type WatchableReadRequest,
} from "../base/index.ts";
import type { JuteReader, JuteWriter } from "./primitives.ts";
import { readAcls, writeAcls } from "./records.ts";

/** What a create without a TTL carries, as in Java. */
const noTtlMs = -1;

export function writeCreate(writer: JuteWriter, request: CreateRequest): void {
  writer.writeUstring(request.path);
  writer.writeBuffer(request.data);
  writeAcls(writer, request.acl);
  writer.writeInt(request.flags);
  if (request.type === OpCode.CreateTtl) writer.writeMs(request.ttlMs);
}

export function readCreate(reader: JuteReader, type: CreateRequest["type"]): CreateRequest {
  return {
    type,
    path: reader.readUstringNotNull(),
    data: reader.readBuffer(),
    acl: readAcls(reader),
    flags: reader.readInt(),
    ttlMs: type === OpCode.CreateTtl ? reader.readMs() : noTtlMs,
  };
}

export function writeSetData(writer: JuteWriter, request: SetDataRequest): void {
  writer.writeUstring(request.path);
  writer.writeBuffer(request.data);
  writer.writeInt(request.version);
}

export function readSetData(reader: JuteReader): SetDataRequest {
  return {
    type: OpCode.SetData,
    path: reader.readUstringNotNull(),
    data: reader.readBuffer(),
    version: reader.readInt(),
  };
}

export function writePathAndVersion(writer: JuteWriter, request: DeleteRequest | CheckRequest): void {
  writer.writeUstring(request.path);
  writer.writeInt(request.version);
}

export function readDelete(reader: JuteReader): DeleteRequest {
  return { type: OpCode.Delete, path: reader.readUstringNotNull(), version: reader.readInt() };
}

export function readCheck(reader: JuteReader): CheckRequest {
  return { type: OpCode.Check, path: reader.readUstringNotNull(), version: reader.readInt() };
}

export function writeWatchableRead(writer: JuteWriter, request: WatchableReadRequest): void {
  writer.writeUstring(request.path);
  writer.writeBoolean(request.watch);
}

export function readWatchableRead(
  reader: JuteReader,
  type: WatchableReadRequest["type"],
): WatchableReadRequest {
  return { type, path: reader.readUstringNotNull(), watch: reader.readBoolean() };
}
