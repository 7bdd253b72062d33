/**
 * Reads: answers from the applied state, and the watches they leave.
 *
 * Reads know no path rules: a path no znode can have is just missing. The empty path is the root.
 *
 * Sources: ZooKeeper `FinalRequestProcessor.processRequest`, `DataTree.setWatches`.
 *
 * @module
 */

import {
  type AddWatchMode,
  type AddWatchRequest,
  compareZxid,
  EventType,
  AddWatchMode as Mode,
  type MultiReadRequest,
  type MultiResult,
  OpCode,
  type Outcome,
  Perms,
  type ReadRequest,
  type Requester,
  type ResponseBody,
  type SetWatchesRequest,
  unreachable,
  type WatchableReadRequest,
  type WatchedEvent,
  WatcherType,
  type WatchesRequest,
  ZkErrorCode,
  type Znode,
  type Zxid,
  zxidFromBigint,
} from "../base/index.ts";
import { isAllowed, publicIdentity, redactAcl } from "./acl.ts";
import type { WatcherId, Watches } from "./watches.ts";
import type { ZnodeCache } from "./znode-cache.ts";
import { statOf } from "./znodes.ts";

/**
 * Bytes of a multiRead's answer, when it has more than one part. ZooKeeper's clients take no longer one by default
 * (`jute.maxbuffer`); and a request of one frame could name a large znode 60,000 times.
 */
export const multiReadBytesMax = 1_048_575;

/** On the wire: a reply's header and the mark behind the last part; a part's header; a `Stat`; a length. */
const wireBytes = { frame: 16 + 9, part: 9, stat: 68, length: 4 } as const;

/** Who reads. */
export interface Reader {
  readonly requester: Requester;
  /** Whom watches are for; `undefined` leaves none, whatever the request says. */
  readonly watcher: WatcherId | undefined;
}

/** An answer, and what the reader must be told before it. */
export interface Answer extends Outcome {
  /** Missed events, from setWatches only: not filtered by ACL, and sent with zxid -1. */
  readonly events?: readonly WatchedEvent[] | undefined;
}

/** The state reads are answered from. */
export interface ReadDesk {
  readonly znodes: ZnodeCache;
  readonly watches: Watches;
  readonly skipAcl: boolean;
}

export function answerRead(desk: ReadDesk, request: ReadRequest, reader: Reader): Answer {
  switch (request.type) {
    case OpCode.Exists:
      return answerExists(desk, request, reader);
    case OpCode.GetData:
    case OpCode.GetChildren:
    case OpCode.GetChildren2:
      return answerWatchable(desk, request, reader);
    case OpCode.GetAcl:
      return answerGetAcl(desk, request.path, reader);
    case OpCode.GetAllChildrenNumber:
      return withReadable(desk, request.path, reader, (path) => ({
        kind: "number",
        total: countDescendants(desk, path, reader),
      }));
    case OpCode.GetEphemerals:
      return ok({ kind: "ephemerals", paths: ephemeralsBelow(desk, request.path, reader) });
    case OpCode.MultiRead:
      return answerMultiRead(desk, request, reader);
    case OpCode.SetWatches:
    case OpCode.SetWatches2:
      return answerSetWatches(desk, request, reader);
    case OpCode.AddWatch:
      return answerAddWatch(desk, request, reader);
    case OpCode.CheckWatches:
    case OpCode.RemoveWatches:
      return answerWatches(desk, request, reader);
    case OpCode.WhoAmI:
      return ok({ kind: "identities", identities: reader.requester.identities.map(publicIdentity) });
    case OpCode.Ping:
      return { err: ZkErrorCode.Ok };
    default:
      return unreachable(request);
  }
}

/** The only read whose watch is registered although the znode is missing. */
function answerExists(desk: ReadDesk, request: WatchableReadRequest, reader: Reader): Answer {
  if (request.path.includes("\0")) return refuse(ZkErrorCode.BadArguments);
  const path = rooted(request.path);
  const znode = desk.znodes.get(path);
  if (znode !== undefined && !may(desk, znode, Perms.Read, reader)) return refuse(ZkErrorCode.NoAuth);
  if (request.watch && reader.watcher !== undefined) desk.watches.addData(reader.watcher, request.path);
  return znode === undefined ? refuse(ZkErrorCode.NoNode) : ok({ kind: "stat", stat: statOf(znode) });
}

function answerWatchable(desk: ReadDesk, request: WatchableReadRequest, reader: Reader): Answer {
  return withReadable(desk, request.path, reader, (path, znode) => {
    if (request.watch && reader.watcher !== undefined) {
      if (request.type === OpCode.GetData) desk.watches.addData(reader.watcher, request.path);
      else desk.watches.addChild(reader.watcher, request.path);
    }
    if (request.type === OpCode.GetData) return { kind: "data", data: znode.data, stat: statOf(znode) };
    const children = desk.znodes.allChildren(path, znode.numChildren);
    if (request.type === OpCode.GetChildren) return { kind: "children", children };
    return { kind: "children2", children, stat: statOf(znode) };
  });
}

function answerGetAcl(desk: ReadDesk, path: string, reader: Reader): Answer {
  const znode = desk.znodes.get(rooted(path));
  if (znode === undefined) return refuse(ZkErrorCode.NoNode);
  if (!may(desk, znode, Perms.Read | Perms.Admin, reader)) return refuse(ZkErrorCode.NoAuth);
  const acl = may(desk, znode, Perms.Admin, reader) ? znode.acl : redactAcl(znode.acl);
  return ok({ kind: "acl", acl, stat: statOf(znode) });
}

/**
 * Parts fail one by one. Only getData and getChildren may be parts, and neither leaves a watch. What comes to more
 * than `multiReadBytesMax` is refused as a whole, unless it is one part, which would be answered by itself too.
 */
function answerMultiRead(desk: ReadDesk, request: MultiReadRequest, reader: Reader): Answer {
  const results: MultiResult[] = [];
  let bytes: number = wireBytes.frame;
  for (const part of request.ops) {
    if (part.type !== OpCode.GetData && part.type !== OpCode.GetChildren) {
      return refuse(ZkErrorCode.MarshallingError);
    }
    const { err, body } = answerWatchable(desk, { ...part, watch: false }, reader);
    const result: MultiResult =
      body?.kind === "data" || body?.kind === "children" ? body : { kind: "error", code: err };
    results.push(result);
    bytes += resultBytes(result);
    if (bytes > multiReadBytesMax && request.ops.length > 1) return refuse(ZkErrorCode.MarshallingError);
  }
  return ok({ kind: "multi", results });
}

function resultBytes(result: MultiResult): number {
  const { part, stat, length } = wireBytes;
  if (result.kind === "data") return part + length + (result.data?.byteLength ?? 0) + stat;
  if (result.kind !== "children") return part + length;
  return result.children.reduce((sum, name) => sum + length + utf8Bytes(name), part + length);
}

/** Of a name, which has no surrogates. */
function utf8Bytes(name: string): number {
  let bytes = 0;
  for (let at = 0; at < name.length; at++) {
    const unit = name.charCodeAt(at);
    bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
  }
  return bytes;
}

/**
 * Someone who lost a connection says what it watched and had seen: tell what it missed, or watch on.
 *
 * Unlike in ZooKeeper nobody is told of a znode that they may not read: with a zxid of one's own choice,
 * the replay would answer when it last changed. Such a watch stays, as it would have without the loss.
 */
function answerSetWatches(desk: ReadDesk, request: SetWatchesRequest, reader: Reader): Answer {
  const { watcher } = reader;
  if (watcher === undefined) return { err: ZkErrorCode.Ok };
  const { znodes, watches } = desk;
  const seen = zxidFromBigint(request.relativeZxid);
  const events: WatchedEvent[] = [];
  const mayTell = (znode: Znode) => may(desk, znode, Perms.Read, reader);
  for (const path of request.data) {
    const znode = znodes.get(rooted(path));
    if (znode === undefined) events.push({ type: EventType.NodeDeleted, path });
    else if (isNewer(znode.mzxid, seen) && mayTell(znode))
      events.push({ type: EventType.NodeDataChanged, path });
    else watches.addData(watcher, path);
  }
  for (const path of request.exist) {
    const znode = znodes.get(rooted(path));
    if (znode !== undefined && mayTell(znode)) events.push({ type: EventType.NodeCreated, path });
    else watches.addData(watcher, path);
  }
  for (const path of request.child) {
    const znode = znodes.get(rooted(path));
    if (znode === undefined) events.push({ type: EventType.NodeDeleted, path });
    else if (isNewer(znode.pzxid, seen) && mayTell(znode))
      events.push({ type: EventType.NodeChildrenChanged, path });
    else watches.addChild(watcher, path);
  }
  for (const path of request.persistent) watches.addPersistent(watcher, path, Mode.Persistent);
  for (const path of request.persistentRecursive) {
    watches.addPersistent(watcher, path, Mode.PersistentRecursive);
  }
  return { err: ZkErrorCode.Ok, events };
}

/** A value no ensemble could have issued is negative, and everything is newer. */
function isNewer(zxid: Zxid, seen: Zxid | undefined): boolean {
  return seen === undefined || compareZxid(zxid, seen) > 0;
}

function answerAddWatch(desk: ReadDesk, request: AddWatchRequest, reader: Reader): Answer {
  if (!isAddWatchMode(request.mode)) return refuse(ZkErrorCode.MarshallingError);
  if (reader.watcher !== undefined) {
    desk.watches.addPersistent(reader.watcher, request.path, request.mode);
  }
  return ok({ kind: "ok" });
}

function answerWatches(desk: ReadDesk, request: WatchesRequest, reader: Reader): Answer {
  const { path, watcherType } = request;
  if (!isWatcherType(watcherType)) return refuse(ZkErrorCode.MarshallingError);
  if (reader.watcher === undefined) return refuse(ZkErrorCode.NoWatcher);
  const found =
    request.type === OpCode.CheckWatches
      ? desk.watches.has(reader.watcher, path, watcherType)
      : desk.watches.remove(reader.watcher, path, watcherType);
  return { err: found ? ZkErrorCode.Ok : ZkErrorCode.NoWatcher };
}

/** What Java's `String.trim` takes away, at either end. */
const javaSpace = /^[\u0000-\u0020]+|[\u0000-\u0020]+$/g;

/** The session's own ephemerals under a prefix: of the text, not of the path. */
function ephemeralsBelow(desk: ReadDesk, prefix: string, reader: Reader): readonly string[] {
  const paths = desk.znodes.ephemeralsOf(reader.requester.sessionId);
  const trimmed = prefix.replaceAll(javaSpace, "");
  return trimmed === "" || trimmed === "/" ? paths : paths.filter((path) => path.startsWith(prefix));
}

/**
 * Walks the subtree: a rare question that costs what it counts. Unlike in ZooKeeper the children of a
 * znode count for those only who may list them.
 */
function countDescendants(desk: ReadDesk, top: string, reader: Reader): number {
  const { znodes } = desk;
  let total = 0;
  const waiting = [top];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const znode = znodes.peek(path);
    if (znode === undefined || znode.numChildren === 0 || !may(desk, znode, Perms.Read, reader)) continue;
    const { numChildren } = znode;
    total += numChildren;
    const prefix = path === "/" ? "/" : `${path}/`;
    for (const name of znodes.peekChildren(path, numChildren)) waiting.push(prefix + name);
  }
  return total;
}

/** Answers about a znode that exists and may be read. */
function withReadable(
  desk: ReadDesk,
  requestPath: string,
  reader: Reader,
  describe: (path: string, znode: Znode) => ResponseBody,
): Answer {
  const path = rooted(requestPath);
  const znode = desk.znodes.get(path);
  if (znode === undefined) return refuse(ZkErrorCode.NoNode);
  if (!may(desk, znode, Perms.Read, reader)) return refuse(ZkErrorCode.NoAuth);
  return ok(describe(path, znode));
}

function may(desk: ReadDesk, znode: Znode, wanted: number, reader: Reader): boolean {
  return desk.skipAcl || isAllowed(znode.acl, wanted, reader.requester.identities);
}

/**
 * Reads take the empty path for the root. Watches do not: nothing ever happens to "", and a watch there is
 * as idle as ZooKeeper's.
 */
function rooted(path: string): string {
  return path === "" ? "/" : path;
}

function ok(body: ResponseBody): Answer {
  return { err: ZkErrorCode.Ok, body };
}

function refuse(err: ZkErrorCode): Answer {
  return { err };
}

function isAddWatchMode(mode: number): mode is AddWatchMode {
  return mode === Mode.Persistent || mode === Mode.PersistentRecursive;
}

function isWatcherType(type: number): type is WatcherType {
  return Object.values<number>(WatcherType).includes(type);
}
