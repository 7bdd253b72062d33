/** Histories of watches, good and bad: what the checker must let pass, and what it must not. */

import { describe, expect, it } from "vitest";
import { EventType, OpCode, ZkErrorCode } from "../../../src/base/index.ts";
import { children, event, exists, recursive, reply, story, stream, z } from "./telling.ts";
import { checkWatches } from "./watches.ts";

const { NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged } = EventType;
const told = story("+/a", "=/a", "=/a", "+/a/x", "-/a/x", "-/a", "+/a");

function setWatches(seen: number, given: { data?: string[]; exist?: string[]; child?: string[] }) {
  const lists = { data: [], exist: [], child: [], persistent: [], persistentRecursive: [], ...given };
  return { type: OpCode.SetWatches2, relativeZxid: (1n << 32n) | BigInt(seen), ...lists } as const;
}

describe("checkWatches() lets pass", () => {
  it.each([
    [
      "an event before the reply that shows it, once",
      [reply(1, exists("/a")), event(NodeDataChanged, "/a", 2), reply(3)],
    ],
    ["a change that nobody watched", [reply(1), reply(5)]],
    [
      "a watch on what is not there",
      [reply(0, exists("/a"), { err: ZkErrorCode.NoNode }), event(NodeCreated, "/a", 1), reply(2)],
    ],
    [
      "the child's event before its parent's",
      [
        reply(3, recursive("/a")),
        reply(3, children("/a")),
        event(NodeCreated, "/a/x", 4),
        event(NodeChildrenChanged, "/a", 4),
        event(NodeDeleted, "/a/x", 5),
        reply(5),
      ],
    ],
    [
      "one event for two watches on a deleted znode",
      [reply(5, exists("/a")), reply(5, children("/a")), event(NodeDeleted, "/a", 6), reply(6)],
    ],
    [
      "an event that comes early",
      [reply(1, exists("/a")), event(NodeDataChanged, "/a", 2), reply(1), reply(2)].filter(
        (_, at) => at !== 2,
      ),
    ],
    [
      "what setWatches says was missed",
      [event(NodeDataChanged, "/a"), reply(3, setWatches(1, { data: ["/a"] }))],
    ],
    [
      "setWatches that keeps the watch",
      [reply(3, setWatches(3, { data: ["/a"] })), event(NodeDeleted, "/a", 6), reply(7)],
    ],
    [
      "a sleep in which one of two changes is told",
      [reply(1, exists("/a")), { kind: "slept" }, event(NodeDataChanged, "/a"), reply(3)],
    ],
    [
      "a sleep in which nothing happened",
      [reply(3, exists("/a")), { kind: "slept" }, event(NodeDeleted, "/a", 6), reply(6)],
    ],
    ["the end of a connection before the event", [reply(1, exists("/a"))]],
  ] as const)("%s", (_, items) => {
    expect(() => checkWatches(told, stream(...items))).not.toThrow();
  });
});

describe("checkWatches() refuses", () => {
  it.each([
    [
      "a reply ahead of its event",
      "W2",
      [reply(1, exists("/a")), reply(2), event(NodeDataChanged, "/a", 2), reply(3)],
    ],
    ["a missed event", "W2", [reply(1, exists("/a")), reply(3)]],
    [
      "an event that comes twice",
      "W5",
      [reply(1, exists("/a")), event(NodeDataChanged, "/a", 2), event(NodeDataChanged, "/a", 3), reply(3)],
    ],
    ["an event without a change", "W5", [reply(1, exists("/a")), event(NodeDeleted, "/a", 1), reply(1)]],
    ["an event nobody asked for", "W5", [reply(1), event(NodeDataChanged, "/a", 2), reply(2)]],
    ["another event than the change", "W4", [reply(1, exists("/a")), event(NodeDeleted, "/a", 2), reply(2)]],
    [
      "the parent's event before the child's",
      "W4",
      [
        reply(3, recursive("/a")),
        reply(3, children("/a")),
        event(NodeChildrenChanged, "/a", 4),
        event(NodeCreated, "/a/x", 4),
        reply(4),
      ],
    ],
    ["a change that setWatches does not tell", "W4", [reply(3, setWatches(1, { data: ["/a"] }))]],
    ["a watch lost at setWatches", "W2", [reply(3, setWatches(3, { data: ["/a"] })), reply(7)]],
    ["a sleep that swallows a change", "W6", [reply(1, exists("/a")), { kind: "slept" }, reply(3)]],
    [
      "a sleep that invents one",
      "W6",
      [reply(3, exists("/a")), { kind: "slept" }, event(NodeDataChanged, "/a"), reply(3)],
    ],
  ] as const)("%s (%s)", (_, invariant, items) => {
    expect(() => checkWatches(told, stream(...items))).toThrow(new RegExp(`^${invariant}:`));
  });

  it("a replayed event of what the client had seen", () => {
    const seen = {
      ...stream(event(NodeDataChanged, "/a"), reply(3, setWatches(3, { data: ["/a"] }))),
      floor: z(3),
    };
    expect(() => checkWatches(told, seen)).toThrow(/^W/);
  });
});
