/**
 * What a server sends after the handshake: replies, and notifications among them.
 *
 * A reply does not say what kind of body it has; the reader knows which request it answers. A reply with
 * an error is a header alone. No string or vector in a reply is ever null: several clients crash on it.
 *
 * Sources: ZooKeeper `ReplyHeader`, `WatcherEvent`, `FinalRequestProcessor`.
 *
 * @module
 */

import {
  type AuthId,
  EventType,
  OpCode,
  type Reply,
  type ResponseBody,
  unreachable,
  type WatchedEvent,
} from "../base/index.ts";
import { readMultiResults, writeMultiResults } from "./multi.ts";
import { JuteError, type JuteReader, type JuteWriter, tryRead } from "./primitives.ts";
import {
  readAcls,
  readAuthId,
  readStat,
  readUstrings,
  writeAcls,
  writeAuthId,
  writeListing,
  writeStat,
  writeUstrings,
} from "./records.ts";

const replyHeaderBytes = 16;

/** The xid of every notification. */
const notificationXid = -1;

/** Java `KeeperState.SyncConnected`: what every notification says. */
const syncConnectedState = 3;

/** `scheme` and `id`. */
const authIdBytesMin = 8;

export type ReplyHeader = Omit<Reply, "body">;

/** `body` is `undefined` for a request that is answered by a header alone. */
export type DecodedBody =
  | { readonly ok: true; readonly body: ResponseBody | undefined }
  | { readonly ok: false };

/** Appends the reply as a frame. */
export function encodeReply(writer: JuteWriter, reply: Reply): void {
  const at = writer.beginLength();
  writeReplyHeader(writer, reply);
  if (reply.err === 0 && reply.body !== undefined) writeBody(writer, reply.body);
  writer.endLength(at);
}

/**
 * Appends a notification as a frame.
 *
 * @param zxid - Of the txn that fired the watch; -1 when `setWatches` replays what was missed.
 */
export function encodeEvent(writer: JuteWriter, event: WatchedEvent, zxid: bigint): void {
  const at = writer.beginLength();
  writeReplyHeader(writer, { xid: notificationXid, zxid, err: 0 });
  writer.writeInt(event.type);
  writer.writeInt(syncConnectedState);
  writer.writeUstring(event.path);
  writer.endLength(at);
}

function writeReplyHeader(writer: JuteWriter, header: ReplyHeader): void {
  writer.writeInt(header.xid);
  writer.writeLong(header.zxid);
  writer.writeInt(header.err);
}

function writeBody(writer: JuteWriter, body: ResponseBody): void {
  switch (body.kind) {
    case "create":
    case "path":
      writer.writeUstring(body.path);
      break;
    case "create2":
      writer.writeUstring(body.path);
      writeStat(writer, body.stat);
      break;
    case "stat":
      writeStat(writer, body.stat);
      break;
    case "data":
      writer.writeBuffer(body.data);
      writeStat(writer, body.stat);
      break;
    case "children":
      writeListing(writer, body.children);
      break;
    case "children2":
      writeListing(writer, body.children);
      writeStat(writer, body.stat);
      break;
    case "acl":
      writeAcls(writer, body.acl);
      writeStat(writer, body.stat);
      break;
    case "multi":
      writeMultiResults(writer, body.results);
      break;
    case "ephemerals":
      writeUstrings(writer, body.paths);
      break;
    case "number":
      writer.writeInt(body.total);
      break;
    case "identities":
      writeIdentities(writer, body.identities);
      break;
    case "token":
      writer.writeBuffer(body.token);
      break;
    case "ok":
      writer.writeInt(0);
      break;
    default:
      unreachable(body);
  }
}

function writeIdentities(writer: JuteWriter, identities: readonly AuthId[]): void {
  writer.writeInt(identities.length);
  for (const identity of identities) writeAuthId(writer, identity);
}

/** `undefined` for a frame too short for a header. `xid` -1 means a notification: {@link decodeEvent}. */
export function decodeReplyHeader(frame: Uint8Array): ReplyHeader | undefined {
  return tryRead(frame, readReplyHeader);
}

/**
 * Reads the body of a reply whose header said `err` 0.
 *
 * Byte arrays in the body are views of the frame.
 *
 * @param requestType - Of the request that is answered.
 * @param frame - With its header, without its length prefix.
 */
export function decodeReplyBody(requestType: OpCode, frame: Uint8Array): DecodedBody {
  const decoded = tryRead(frame, (reader): DecodedBody => {
    reader.skip(replyHeaderBytes);
    return { ok: true, body: readBody(reader, requestType) };
  });
  return decoded ?? { ok: false };
}

/** `undefined` for a frame that is no notification of a znode's event. */
export function decodeEvent(
  frame: Uint8Array,
): { readonly event: WatchedEvent; readonly zxid: bigint } | undefined {
  return tryRead(frame, (reader) => {
    const { xid, zxid } = readReplyHeader(reader);
    if (xid !== notificationXid) throw new JuteError("not a notification");
    const type = readEventType(reader);
    reader.readInt(); // The state is always the same.
    return { event: { type, path: reader.readUstringNotNull() }, zxid };
  });
}

function readReplyHeader(reader: JuteReader): ReplyHeader {
  return { xid: reader.readInt(), zxid: reader.readLong(), err: reader.readInt() };
}

function readEventType(reader: JuteReader): EventType {
  const type = reader.readInt();
  switch (type) {
    case EventType.NodeCreated:
    case EventType.NodeDeleted:
    case EventType.NodeDataChanged:
    case EventType.NodeChildrenChanged:
      return type;
    default:
      throw new JuteError(`event type ${type}`);
  }
}

function readBody(reader: JuteReader, requestType: OpCode): ResponseBody | undefined {
  switch (requestType) {
    case OpCode.Create:
      return { kind: "create", path: reader.readUstringNotNull() };
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return { kind: "create2", path: reader.readUstringNotNull(), stat: readStat(reader) };
    case OpCode.Exists:
    case OpCode.SetData:
    case OpCode.SetAcl:
      return { kind: "stat", stat: readStat(reader) };
    case OpCode.GetData:
    case OpCode.Reconfig:
      return { kind: "data", data: reader.readBuffer(), stat: readStat(reader) };
    case OpCode.GetChildren:
      return { kind: "children", children: readUstrings(reader) };
    case OpCode.GetChildren2:
      return { kind: "children2", children: readUstrings(reader), stat: readStat(reader) };
    case OpCode.GetAcl:
      return { kind: "acl", acl: readAcls(reader) ?? [], stat: readStat(reader) };
    case OpCode.Sync:
      return { kind: "path", path: reader.readUstringNotNull() };
    case OpCode.Multi:
    case OpCode.MultiRead:
      return { kind: "multi", results: readMultiResults(reader) };
    case OpCode.GetEphemerals:
      return { kind: "ephemerals", paths: readUstrings(reader) };
    case OpCode.GetAllChildrenNumber:
      return { kind: "number", total: reader.readInt() };
    case OpCode.WhoAmI:
      return { kind: "identities", identities: readIdentities(reader) };
    case OpCode.Sasl:
      return { kind: "token", token: reader.readBuffer() };
    case OpCode.AddWatch:
      reader.readInt();
      return { kind: "ok" };
    default:
      return undefined;
  }
}

function readIdentities(reader: JuteReader): AuthId[] {
  const count = reader.readVectorCount(authIdBytesMin) ?? 0;
  const identities: AuthId[] = [];
  for (let i = 0; i < count; i++) identities.push(readAuthId(reader));
  return identities;
}
