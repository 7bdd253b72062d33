/**
 * Short stories and streams for testing the checkers.
 *
 * @module
 */

import {
  AddWatchMode,
  type ClientRequest,
  makeServerId,
  makeSessionId,
  OPEN_ACL,
  OpCode,
  parentOf,
  type SessionId,
  type TreeOp,
  type TxnOp,
  type Zxid,
} from "../../../src/base/index.ts";
import { type Committed, Story } from "./story.ts";
import type { EventItem, Item, ReplyItem, Stream } from "./streams.ts";

export const me = makeSessionId(7n);
export const server = makeServerId(1);

export function z(counter: number): Zxid {
  return { epoch: 1, counter };
}

/** Txns at 1.1, 1.2 and so on: `+/a` creates, `-/a` deletes, `=/a` sets; `e/a` an ephemeral of `me`; else a txn. */
export function story(
  ...lines: readonly (
    | string
    | { readonly session: SessionId; readonly op: TxnOp; readonly timeMs?: number }
  )[]
): Story {
  const creates = new Map<string, number>();
  const versions = new Map<string, number>();
  return new Story(
    lines.map((line, at): Committed => {
      const zxid = z(at + 1);
      if (typeof line !== "string") {
        return { zxid, txn: { sessionId: line.session, cxid: 0, timeMs: line.timeMs ?? 0, op: line.op } };
      }
      const path = line.slice(1);
      return { zxid, txn: { sessionId: 0n as SessionId, cxid: 0, timeMs: 0, op: opOf(line, path) } };
    }),
  );

  function opOf(line: string, path: string): TreeOp {
    if (line.startsWith("-")) return { kind: "delete", path };
    if (line.startsWith("=")) {
      const version = (versions.get(path) ?? 0) + 1;
      versions.set(path, version);
      return { kind: "setData", path, data: new Uint8Array(0), version };
    }
    const parentCreates = (creates.get(parentOf(path)) ?? 0) + 1;
    creates.set(parentOf(path), parentCreates);
    versions.set(path, 0);
    const lifetime = line.startsWith("e")
      ? ({ kind: "ephemeral", owner: me } as const)
      : ({ kind: "persistent" } as const);
    return { kind: "create", path, data: new Uint8Array(0), acl: OPEN_ACL, lifetime, parentCreates };
  }
}

export const opened = { session: me, op: { kind: "createSession", timeoutMs: 1_000 } } as const;

export function stream(...items: readonly Item[]): Stream {
  return { client: 0, member: server, session: me, floor: z(0), items: [...items] };
}

export function event(type: number, path: string, counter?: number): EventItem {
  return { kind: "event", type, path, zxid: counter === undefined ? undefined : z(counter) };
}

let lastXid = 0;

export function reply(
  counter: number,
  request: ClientRequest = { type: OpCode.Ping },
  given: Partial<ReplyItem> = {},
): ReplyItem {
  lastXid += 1;
  const xid = request.type === OpCode.Ping ? -2 : lastXid;
  return {
    kind: "reply",
    request,
    xid,
    zxid: z(counter),
    err: 0,
    body: undefined,
    acknowledged: z(0),
    ...given,
  };
}

export const exists = (path: string): ClientRequest => ({ type: OpCode.Exists, path, watch: true });
export const children = (path: string): ClientRequest => ({ type: OpCode.GetChildren, path, watch: true });
export const recursive = (path: string): ClientRequest => ({
  type: OpCode.AddWatch,
  path,
  mode: AddWatchMode.PersistentRecursive,
});
