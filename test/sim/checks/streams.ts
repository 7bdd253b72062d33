/**
 * What a client saw on one connection, and whether the committed sequence allows it.
 *
 * A stream is everything the server said, in order. Its replies carry zxids, so each is checked against the
 * reference tree at that zxid: 13.2 (results, order, freshness), E2 and E7.
 *
 * @module
 */

import {
  type ClientRequest,
  compareZxid,
  formatZxid,
  OpCode,
  type ResponseBody,
  type ServerId,
  type SessionId,
  ZkErrorCode,
  type Zxid,
} from "../../../src/base/index.ts";
import { violate } from "../violation.ts";
import type { Story } from "./story.ts";

export interface ReplyItem {
  readonly kind: "reply";
  readonly request: ClientRequest;
  readonly xid: number;
  readonly zxid: Zxid;
  readonly err: number;
  readonly body: ResponseBody | undefined;
  /** Highest zxid of a write that anybody had been told of when this was asked. */
  readonly acknowledged: Zxid;
}

export interface EventItem {
  readonly kind: "event";
  readonly type: number;
  readonly path: string;
  /** `undefined` for what was missed while nobody listened. */
  readonly zxid: Zxid | undefined;
}

/** The member lost its memory here, and the connection did not. */
export interface SleptItem {
  readonly kind: "slept";
}

export type Item = ReplyItem | EventItem | SleptItem;

export interface Stream {
  readonly client: number;
  readonly member: ServerId;
  session: SessionId;
  /** What the client had seen before it connected. */
  readonly floor: Zxid;
  readonly items: Item[];
}

export function checkStream(story: Story, stream: Stream): void {
  const { session, client } = stream;
  const closedAt = story.closes.get(session);
  let highest = stream.floor;
  let lastXid = 0;
  for (const item of stream.items) {
    if (item.kind !== "reply") continue;
    const { zxid, request, xid } = item;
    const what = `client ${client}, request ${xid} of ${session}`;
    // Their headers carry no zxid.
    if (request.type === OpCode.Auth || request.type === OpCode.Sasl) continue;
    if (xid > 0) {
      if (xid <= lastXid) violate("E7", `${what} is answered behind ${lastXid}`);
      lastXid = xid;
    }
    if (compareZxid(zxid, highest) < 0)
      violate(
        "13.2",
        `${what} (type ${request.type}) goes back from ${formatZxid(highest)} to ${formatZxid(zxid)}`,
      );
    highest = zxid;
    if (closedAt !== undefined && request.type !== OpCode.CloseSession && compareZxid(zxid, closedAt) >= 0) {
      violate("E2", `${what} is answered at ${formatZxid(zxid)}, after its session's end`);
    }
    if (isWrite(request)) checkWrite(story, session, item, what);
    else checkRead(story, item, what);
  }
}

export function isWrite(request: ClientRequest): boolean {
  switch (request.type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.Delete:
    case OpCode.SetData:
    case OpCode.Multi:
    case OpCode.CloseSession:
      return true;
    default:
      return false;
  }
}

function checkWrite(
  story: Story,
  session: SessionId,
  { zxid, xid, err, body }: ReplyItem,
  what: string,
): void {
  const committed = story.ofRequest(session, xid);
  if (committed === undefined || compareZxid(committed.zxid, zxid) !== 0) {
    violate("durability", `${what} was acknowledged at ${formatZxid(zxid)}, where it is not`);
  }
  const { op } = committed.txn;
  const isTold = body?.kind === "multi" && body.results.some((result) => result.kind === "error");
  if (op.kind === "failedMulti" && isTold) return;
  const isRefused = op.kind === "error" || op.kind === "failedMulti";
  if (isRefused !== (err !== ZkErrorCode.Ok)) violate("13.2", `${what} was told ${err}, and is a ${op.kind}`);
  if (op.kind === "error" && op.code !== err) violate("13.2", `${what} was told another refusal`);
  if (op.kind === "create" && body?.kind === "create" && body.path !== op.path) {
    violate("13.2", `${what} was told of ${body.path}, and made ${op.path}`);
  }
  if (op.kind === "setData" && body?.kind === "stat" && body.stat.version !== op.version) {
    violate("13.2", `${what} was told a wrong version`);
  }
}

function checkRead(story: Story, { request, zxid, err, body, acknowledged }: ReplyItem, what: string): void {
  switch (request.type) {
    case OpCode.Sync:
      if (compareZxid(zxid, acknowledged) < 0) {
        violate("13.2", `${what}: sync at ${formatZxid(zxid)}, below ${formatZxid(acknowledged)}`);
      }
      return;
    case OpCode.Exists:
    case OpCode.GetData: {
      const znode = story.at(request.path, zxid);
      if ((znode === undefined) !== (err === ZkErrorCode.NoNode)) {
        violate("13.2", `${what}: ${request.path} is told wrong at ${formatZxid(zxid)}`);
      }
      if (znode === undefined || body === undefined) return;
      if (body.kind !== "stat" && body.kind !== "data") violate("13.2", `${what}: another answer`);
      if (body.stat.version !== znode.version || compareZxid(body.stat.mzxid, znode.mzxid) !== 0) {
        violate("13.2", `${what}: another version of ${request.path} than at ${formatZxid(zxid)}`);
      }
      if (body.kind === "data" && !areSame(body.data, znode.data)) violate("13.2", `${what}: other data`);
      return;
    }
    case OpCode.GetChildren: {
      const isThere = request.path === "/" || story.at(request.path, zxid) !== undefined;
      if (isThere !== (err === ZkErrorCode.Ok)) violate("13.2", `${what}: ${request.path} is told wrong`);
      if (body?.kind !== "children") return;
      const wanted = story.children(request.path, story.countThrough(zxid));
      if ([...body.children].sort().join() !== wanted.join()) {
        violate("13.2", `${what}: other children of ${request.path} than at ${formatZxid(zxid)}`);
      }
      return;
    }
    default:
  }
}

function areSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
