/**
 * Proves whom a change tells, once and in order, and what stays registered.
 *
 * A table crosses every registration with every event; a property compares the one-table implementation
 * with a naive copy of ZooKeeper's two tables; then come removal, replay and survival.
 *
 * Source: section 13 of the wire reference.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AddWatchMode, EventType, OPEN_ACL, OpCode, WatcherType } from "../../src/base/index.ts";
import { type Trigger, Watches } from "../../src/tree/index.ts";
import { bob, bobOnly, create, eve, Member, remove, setAcl, setData, verdict } from "./support.ts";

type Registration = "data" | "child" | "persistent" | "recursive";

function register(watches: Watches, registration: Registration, watcher: number, path: string): void {
  if (registration === "data") watches.addData(watcher, path);
  else if (registration === "child") watches.addChild(watcher, path);
  else
    watches.addPersistent(
      watcher,
      path,
      registration === "persistent" ? AddWatchMode.Persistent : AddWatchMode.PersistentRecursive,
    );
}

function trigger(type: EventType, path: string): Trigger {
  return { type, path, acl: OPEN_ACL };
}

function fire(
  watches: Watches,
  type: EventType,
  path: string,
  canRead: (watcher: number) => boolean = () => true,
): number[] {
  return watches.fire(trigger(type, path), canRead).map(({ watcher }) => watcher);
}

describe("fire() at the watched path, twice", () => {
  const all = ["data", "child", "persistent", "recursive"] as const;
  const { NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged } = EventType;
  const times = new Map<string, number>([
    [`data ${NodeCreated}`, 1],
    [`data ${NodeDeleted}`, 1],
    [`data ${NodeDataChanged}`, 1],
    [`child ${NodeDeleted}`, 1],
    [`child ${NodeChildrenChanged}`, 1],
    [`persistent ${NodeCreated}`, 2],
    [`persistent ${NodeDeleted}`, 2],
    [`persistent ${NodeDataChanged}`, 2],
    [`persistent ${NodeChildrenChanged}`, 2],
    [`recursive ${NodeCreated}`, 2],
    [`recursive ${NodeDeleted}`, 2],
    [`recursive ${NodeDataChanged}`, 2],
  ]);
  test.each(
    all.flatMap((registration) => Object.values(EventType).map((type) => [registration, type] as const)),
  )("%s watch, event %d", (registration, type) => {
    const watches = new Watches();
    register(watches, registration, 1, "/p/x");
    const told = [...fire(watches, type, "/p/x"), ...fire(watches, type, "/p/x")];
    expect(told.length).toBe(times.get(`${registration} ${type}`) ?? 0);
    expect(fire(watches, type, "/p"), "its parent").toEqual([]);
    expect(fire(watches, type, "/p/xy"), "a namesake").toEqual([]);
    const below = registration === "recursive" && type !== NodeChildrenChanged ? [1] : [];
    expect(fire(watches, type, "/p/x/deep/down"), "below it").toEqual(below);
  });

  test("a recursive watch on the root hears of everything, the root included", () => {
    const watches = new Watches();
    watches.addPersistent(1, "/", AddWatchMode.PersistentRecursive);
    expect(["/", "/a", "/a/b"].map((path) => fire(watches, NodeDataChanged, path))).toEqual([[1], [1], [1]]);
  });
});

describe("fire() tells each watcher at most once", () => {
  test("however many of its watches match", () => {
    const watches = new Watches();
    for (const registration of ["data", "child", "persistent", "recursive"] as const)
      register(watches, registration, 1, "/a");
    register(watches, "recursive", 1, "/");
    register(watches, "data", 1, "/a");
    expect(fire(watches, EventType.NodeDeleted, "/a")).toEqual([1]);
    expect(watches.has(1, "/a", WatcherType.Children), "the standard child watch is used up too").toBe(false);
    expect(watches.has(1, "/a", WatcherType.Data)).toBe(false);
    expect(fire(watches, EventType.NodeDeleted, "/a"), "the lasting ones stay").toEqual([1]);
  });

  test("and tells those of the data table before those of the child table", () => {
    const watches = new Watches();
    register(watches, "child", 1, "/a");
    register(watches, "data", 2, "/a");
    register(watches, "recursive", 3, "/");
    expect(fire(watches, EventType.NodeDeleted, "/a")).toEqual([2, 3, 1]);
  });

  test("and leaves the watches of those who may not read: using them up would tell of the change", () => {
    const watches = new Watches();
    register(watches, "data", 1, "/a");
    register(watches, "persistent", 2, "/a");
    expect(fire(watches, EventType.NodeDataChanged, "/a", () => false)).toEqual([]);
    expect(fire(watches, EventType.NodeDataChanged, "/a")).toEqual([1, 2]);
    expect(fire(watches, EventType.NodeDataChanged, "/a")).toEqual([2]);
  });
});

describe("in a member", () => {
  test("a delivery needs READ on the znode for its own events, on the parent for the children's", () => {
    const member = new Member();
    member.must(create("/p"));
    const { watches } = member.tree;
    const identities = new Map([
      [1, [eve]],
      [2, [bob]],
    ]);
    for (const watcher of identities.keys()) watches.addPersistent(watcher, "/p", AddWatchMode.Persistent);
    for (const watcher of identities.keys()) watches.addPersistent(watcher, "/p/x", AddWatchMode.Persistent);
    const told = () =>
      (member.lastApplied?.triggers ?? []).flatMap((fired) =>
        watches
          .fire(fired, (watcher) => member.tree.canRead(fired.acl, identities.get(watcher) ?? []))
          .map(({ watcher, event }) => `${watcher} ${event.type} ${event.path}`),
      );
    member.must(create("/p/x", { acl: bobOnly }));
    expect(told()).toEqual(["2 1 /p/x", "1 4 /p", "2 4 /p"]);
    member.must(setAcl("/p", bobOnly));
    member.must(remove("/p/x"), { identities: [bob] });
    expect(told()).toEqual(["2 2 /p/x", "2 4 /p"]);
  });

  test("exists on a missing znode leaves a watch, and no other read does", () => {
    const member = new Member();
    for (const type of [OpCode.Exists, OpCode.GetData, OpCode.GetChildren, OpCode.GetChildren2] as const) {
      expect(verdict(member.read({ type, path: "/a", watch: true }, { watcher: type }))).toBe("NoNode");
    }
    member.must(create("/a"));
    expect(member.told()).toEqual([`${OpCode.Exists} 1 /a`]);
  });

  test("a reader without READ leaves no watch, and one that is nobody's watcher never does", () => {
    const member = new Member();
    member.must(create("/a", { acl: bobOnly }));
    for (const type of [OpCode.Exists, OpCode.GetData, OpCode.GetChildren] as const) {
      expect(verdict(member.read({ type, path: "/a", watch: true }, { watcher: 1, identities: [eve] }))).toBe(
        "NoAuth",
      );
      expect(verdict(member.read({ type, path: "/a", watch: true }, { identities: [bob] }))).toBe("Ok");
    }
    expect([member.tree.watches.watcherCount, member.tree.watches.pathCount]).toEqual([0, 0]);
  });

  test("reading twice tells once; reading data and children tells of a delete once", () => {
    const member = new Member();
    member.must(create("/a"));
    for (const type of [OpCode.GetData, OpCode.GetData, OpCode.Exists, OpCode.GetChildren2] as const) {
      member.read({ type, path: "/a", watch: true }, { watcher: 1 });
    }
    member.must(remove("/a"));
    expect(member.told()).toEqual(["1 2 /a"]);
    expect(member.tree.watches.watcherCount).toBe(0);
  });
});

test("a watch on the empty path, which reads take for the root, hears nothing of the root", () => {
  const member = new Member();
  const { watches } = member.tree;
  for (const type of [OpCode.GetData, OpCode.GetChildren] as const) {
    expect(verdict(member.read({ type, path: "", watch: true }, { watcher: 1 }))).toBe("Ok");
  }
  member.must(create("/x"));
  const fired = member.lastApplied?.triggers ?? [];
  expect(fired.map(({ path }) => path)).toContain("/");
  expect(fired.flatMap((each) => watches.fire(each, () => true))).toEqual([]);
});

describe("addWatch, checkWatches and removeWatches", () => {
  const at = (type: typeof OpCode.CheckWatches | typeof OpCode.RemoveWatches, watcherType: number) =>
    ({ type, path: "/a", watcherType }) as const;

  test.each([
    ["data", WatcherType.Data],
    ["child", WatcherType.Children],
    ["persistent", WatcherType.Persistent],
    ["recursive", WatcherType.PersistentRecursive],
  ] as const)("a %s watch answers to its own type and to Any", (registration, own) => {
    for (const type of Object.values(WatcherType)) {
      const member = new Member();
      register(member.tree.watches, registration, 1, "/a");
      const code = type === own || type === WatcherType.Any ? "Ok" : "NoWatcher";
      expect(verdict(member.read(at(OpCode.CheckWatches, type), { watcher: 1 }))).toBe(code);
      expect(verdict(member.read(at(OpCode.CheckWatches, type), { watcher: 2 }))).toBe("NoWatcher");
      expect(verdict(member.read(at(OpCode.RemoveWatches, type), { watcher: 1 }))).toBe(code);
      expect(verdict(member.read(at(OpCode.RemoveWatches, type), { watcher: 1 }))).toBe("NoWatcher");
      expect(member.tree.watches.watcherCount).toBe(code === "Ok" ? 0 : 1);
    }
  });

  test("removing one type leaves the others", () => {
    const watches = new Watches();
    for (const registration of ["data", "child", "persistent", "recursive"] as const)
      register(watches, registration, 1, "/a");
    expect(watches.remove(1, "/a", WatcherType.PersistentRecursive)).toBe(true);
    expect(fire(watches, EventType.NodeCreated, "/a/b")).toEqual([]);
    expect(watches.export(1)).toEqual({
      data: ["/a"],
      child: ["/a"],
      persistent: ["/a"],
      persistentRecursive: [],
    });
  });

  test("types and modes that are none are malformed", () => {
    const member = new Member();
    for (const type of [0, 6, -1, 1.5]) {
      expect(verdict(member.read(at(OpCode.CheckWatches, type), { watcher: 1 }))).toBe("MarshallingError");
      expect(verdict(member.read(at(OpCode.RemoveWatches, type), { watcher: 1 }))).toBe("MarshallingError");
    }
    for (const mode of [-1, 2]) {
      expect(verdict(member.read({ type: OpCode.AddWatch, path: "/a", mode }, { watcher: 1 }))).toBe(
        "MarshallingError",
      );
    }
    expect(member.tree.watches.watcherCount).toBe(0);
  });

  test("addWatch answers with a body, needs no znode and no permission", () => {
    const member = new Member();
    const answer = member.read({ type: OpCode.AddWatch, path: "/a", mode: 1 }, { watcher: 1 });
    expect(answer).toEqual({ err: 0, body: { kind: "ok" } });
    member.must(create("/a"));
    member.told();
    member.must(create("/a/b"));
    expect(member.told()).toEqual(["1 1 /a/b"]);
  });
});

describe("setWatches", () => {
  /** The client has seen `/old`, `/grown` and `/set` come, and no more. */
  function returning(): Member {
    const member = new Member();
    member.must(create("/old"));
    member.must(create("/grown"));
    member.must(create("/set"));
    member.must(create("/grown/child"));
    member.must(setData("/set"));
    return member;
  }
  const none = { data: [], exist: [], child: [], persistent: [], persistentRecursive: [] };
  const relativeZxid = (1n << 32n) | 3n;
  const { NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged } = EventType;

  test.each([
    ["data", "/missing", NodeDeleted],
    ["data", "/set", NodeDataChanged],
    ["data", "/grown", undefined],
    ["data", "/old", undefined],
    ["exist", "/old", NodeCreated],
    ["exist", "/missing", undefined],
    ["child", "/missing", NodeDeleted],
    ["child", "/grown", NodeChildrenChanged],
    ["child", "/set", undefined],
    ["child", "/old", undefined],
    ["persistent", "/set", undefined],
    ["persistent", "/missing", undefined],
    ["persistentRecursive", "/grown", undefined],
  ] as const)("%s %s makes event %s", (list, path, type) => {
    const member = returning();
    const request = { type: OpCode.SetWatches2, relativeZxid, ...none, [list]: [path] };
    const answer = member.read(request, { watcher: 1 });
    expect(answer).toEqual({ err: 0, events: type === undefined ? [] : [{ type, path }] });
    const expected = { data: [], child: [], persistent: [], persistentRecursive: [] };
    const kept = { ...expected, [list === "exist" ? "data" : list]: [path] };
    expect(member.tree.watches.export(1)).toEqual(type === undefined ? kept : undefined);
  });

  test("tells in the order of the lists", () => {
    const member = returning();
    const lists = { data: ["/gone", "/set"], exist: ["/old"], child: ["/grown"] };
    const answer = member.read({ type: OpCode.SetWatches, relativeZxid, ...none, ...lists }, { watcher: 1 });
    expect(answer.events?.map(({ type, path }) => `${type} ${path}`)).toEqual([
      "2 /gone",
      "3 /set",
      "1 /old",
      "4 /grown",
    ]);
  });

  test("tells nobody of what they may not read, and watches on", () => {
    const member = returning();
    for (const path of ["/old", "/grown", "/set"]) member.must(setAcl(path, bobOnly));
    const lists = { data: ["/set"], exist: ["/old"], child: ["/grown"] };
    const request = { type: OpCode.SetWatches, relativeZxid, ...none, ...lists };
    expect(member.read(request, { watcher: 1, identities: [eve] }).events).toEqual([]);
    expect(member.tree.watches.export(1)).toEqual({
      data: ["/set", "/old"],
      child: ["/grown"],
      persistent: [],
      persistentRecursive: [],
    });
    expect(member.read(request, { watcher: 2, identities: [bob] }).events).toHaveLength(3);
  });

  test("to a client that has seen nothing, or less, everything is news", () => {
    for (const seen of [0n, -1n]) {
      const answer = returning().read(
        { type: OpCode.SetWatches, ...none, relativeZxid: seen, data: ["/old"] },
        { watcher: 1 },
      );
      expect(answer.events).toHaveLength(1);
    }
    const first = new Member().read(
      { type: OpCode.SetWatches, ...none, relativeZxid: 0n, data: ["/"] },
      { watcher: 1 },
    );
    expect(first.events).toEqual([]);
  });
});

describe("a watcher's registrations", () => {
  test("survive as plain data", () => {
    const watches = new Watches();
    register(watches, "data", 1, "/a");
    register(watches, "child", 1, "/a");
    register(watches, "persistent", 1, "/b");
    register(watches, "recursive", 1, "/c");
    register(watches, "data", 2, "/a");
    const snapshot = JSON.parse(JSON.stringify(watches.export(1)));
    const woken = new Watches();
    woken.restore(1, snapshot);
    expect(woken.export(1)).toEqual(watches.export(1));
    expect(fire(woken, EventType.NodeCreated, "/c/d")).toEqual([1]);
    expect(woken.export(2)).toBeUndefined();
  });

  test("end with it, and leave those of others", () => {
    const watches = new Watches();
    for (const path of ["/a", "/b"])
      for (const watcher of [1, 2]) register(watches, "recursive", watcher, path);
    watches.drop(1);
    expect(fire(watches, EventType.NodeCreated, "/a/x")).toEqual([2]);
    watches.drop(2);
    watches.drop(2);
    expect([watches.pathCount, watches.watcherCount]).toEqual([0, 0]);
  });
});

/** ZooKeeper's two tables, written down as the reference has them. */
class TwoTables {
  readonly data = new Map<string, Set<string>>();
  readonly child = new Map<string, Set<string>>();

  register(registration: Registration, watcher: number, path: string): void {
    const key = `${watcher} ${path}`;
    const add = (table: Map<string, Set<string>>, mode: string) =>
      table.set(key, (table.get(key) ?? new Set()).add(mode));
    if (registration !== "child") add(this.data, registration);
    if (registration === "child" || registration === "persistent") add(this.child, registration);
  }

  fire(type: EventType, path: string): Set<number> {
    if (type === EventType.NodeChildrenChanged) return this.#trigger(this.child, path);
    const told = this.#trigger(this.data, path);
    if (type === EventType.NodeDeleted)
      for (const watcher of this.#trigger(this.child, path)) told.add(watcher);
    return told;
  }

  #trigger(table: Map<string, Set<string>>, path: string): Set<number> {
    const told = new Set<number>();
    for (const [key, modes] of table) {
      const [watcher, at] = key.split(" ");
      const isAbove = modes.has("recursive") && (at === "/" || path.startsWith(`${at}/`));
      if ((at === path && modes.size > 0) || isAbove) told.add(Number(watcher));
      if (at === path) {
        modes.delete("data");
        modes.delete("child");
      }
    }
    return told;
  }
}

test("one table behaves as ZooKeeper's two", () => {
  const path = fc.constantFrom("/", "/a", "/a/b", "/a/b/c", "/ab");
  const watcher = fc.integer({ min: 1, max: 3 });
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom("data", "child", "persistent", "recursive"), watcher, path }),
    fc.record({ kind: fc.constant("fire"), type: fc.constantFrom(...Object.values(EventType)), path }),
  );
  const isEqual = fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
    const watches = new Watches();
    const tables = new TwoTables();
    for (const action of steps) {
      if ("type" in action) {
        const told = fire(watches, action.type, action.path);
        expect(new Set(told)).toEqual(tables.fire(action.type, action.path));
        expect(told.length).toBe(new Set(told).size);
      } else {
        register(watches, action.kind as Registration, action.watcher, action.path);
        tables.register(action.kind as Registration, action.watcher, action.path);
      }
    }
  });
  fc.assert(isEqual, { numRuns: 500 });
});
