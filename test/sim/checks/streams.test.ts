/** Streams of one connection, good and bad. */

import { describe, expect, it } from "vitest";
import { OpCode, ZkErrorCode } from "../../../src/base/index.ts";
import { checkStream } from "./streams.ts";
import { children, exists, me, opened, reply, story, stream, z } from "./telling.ts";

const closed = { session: me, op: { kind: "closeSession", ephemerals: [] } } as const;
const told = story(opened, "+/a", "=/a", "+/b", "-/b", closed);
const stat = (counter: number, version: number) => {
  const znode = told.at("/a", z(counter));
  return { kind: "stat", stat: { ...znode, mzxid: znode?.mzxid ?? z(0), version } } as never;
};
const names = (...found: string[]) => ({ body: { kind: "children", children: found } }) as const;
const sync = { type: OpCode.Sync, path: "/" } as const;
const create = { type: OpCode.Create, path: "/a", data: null, acl: [], flags: 0, ttlMs: -1 } as const;

describe("checkStream() lets pass", () => {
  it.each([
    [
      "reads of what stood there",
      [reply(2, exists("/a"), { body: stat(2, 0) }), reply(3, exists("/a"), { body: stat(3, 1) })],
    ],
    ["a znode that is not there", [reply(1, exists("/a"), { err: ZkErrorCode.NoNode })]],
    ["children", [reply(4, children("/"), names("a", "b", "zookeeper"))]],
    ["a sync as fresh as what was acknowledged", [reply(3, sync, { acknowledged: z(3) })]],
  ] as const)("%s", (_, items) => {
    expect(() => checkStream(told, stream(...items))).not.toThrow();
  });
});

describe("checkStream() refuses", () => {
  it.each([
    ["a stale read", "13.2", [reply(3, exists("/a"), { body: stat(3, 0) })]],
    ["a read that goes back", "13.2", [reply(3), reply(2)]],
    ["a znode that was never there", "13.2", [reply(1, exists("/a"), { body: stat(2, 0) })]],
    ["a child too few", "13.2", [reply(4, children("/"), names("a", "zookeeper"))]],
    ["a sync behind an acknowledged write", "13.2", [reply(2, sync, { acknowledged: z(3) })]],
    ["an acknowledged write that never happened", "durability", [reply(2, create)]],
    ["an answer at the end of its session", "E2", [reply(6)]],
    ["answers out of order", "E7", [reply(2, sync, { xid: 9 }), reply(2, sync, { xid: 8 })]],
  ] as const)("%s (%s)", (_, invariant, items) => {
    expect(() => checkStream(told, stream(...items))).toThrow(new RegExp(`^${invariant}:`));
  });
});

describe("a story", () => {
  it.each([
    ["a session opened twice", "E1", [opened, opened]],
    ["a session closed twice", "E2", [opened, closed, closed]],
    ["an ephemeral of a session that is over", "E3", [opened, closed, "e/a"]],
    ["an ephemeral left behind", "E3", [opened, "e/a", closed]],
    [
      "a txn of a session after its end",
      "E2",
      [opened, closed, { session: me, op: { kind: "setData", path: "/", data: null, version: 1 } }],
    ],
  ] as const)("cannot tell of %s (%s)", (_, invariant, lines) => {
    expect(() => story(...lines)).toThrow(new RegExp(`^${invariant}:`));
  });
});
