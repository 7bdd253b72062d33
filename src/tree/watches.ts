/**
 * Watches: who on this member wants to hear of which path, and whom a change tells.
 *
 * A watcher is a number the shell gave: a connection, or one of its own for what it must hear itself.
 * ZooKeeper keeps a data table and a child table; here they are one, with a bit per registration:
 * standard watches are in either table, persistent ones in both, recursive ones in the data table only.
 *
 * Invariants:
 * - `#byPath` and `#byWatcher` name the same pairs; no pair has zero bits.
 * - `#recursiveCount` is the number of pairs with `Recursive`.
 *
 * Sources: ZooKeeper `WatchManager.triggerWatch`, `DataTree.setWatches`.
 *
 * @module
 */

import { type Acl, AddWatchMode, assert, EventType, type WatchedEvent, WatcherType } from "../base/index.ts";

/** A connection, or something of the shell's own, that events can be sent to. */
export type WatcherId = number;

/** A change that watches react to. One change of a child makes two: the child's, then its parent's. */
export interface Trigger extends WatchedEvent {
  /** Read permission on this decides who may be told: the changed znode's ACL, or its parent's. */
  readonly acl: readonly Acl[];
}

export interface Notification {
  readonly watcher: WatcherId;
  readonly event: WatchedEvent;
}

/** A watcher's registrations as plain data, to outlive the member's memory. */
export interface WatchSnapshot {
  readonly data: readonly string[];
  readonly child: readonly string[];
  readonly persistent: readonly string[];
  readonly persistentRecursive: readonly string[];
}

const Bit = { Data: 1, Child: 2, Persistent: 4, Recursive: 8 } as const;
type Bit = (typeof Bit)[keyof typeof Bit];

/** Which of ZooKeeper's two tables hold a registration. */
const dataTable = Bit.Data | Bit.Persistent | Bit.Recursive;
const childTable = Bit.Child | Bit.Persistent;

export class Watches {
  readonly #byPath = new Map<string, Map<WatcherId, number>>();
  readonly #byWatcher = new Map<WatcherId, Set<string>>();
  #recursiveCount = 0;

  /** Watched paths. */
  get pathCount(): number {
    return this.#byPath.size;
  }

  /** Watchers with at least one registration. */
  get watcherCount(): number {
    return this.#byWatcher.size;
  }

  /** Registrations as ZooKeeper counts them: by watcher and path, those of either table. */
  get total(): number {
    let total = 0;
    for (const watchers of this.#byPath.values()) {
      for (const bits of watchers.values()) {
        total += Number((bits & dataTable) !== 0) + Number((bits & childTable) !== 0);
      }
    }
    return total;
  }

  /** Who is in the data table, which is all that `wchc`, `wchp` and `wchs` show. */
  *dataTable(): Iterable<{ readonly path: string; readonly watcher: WatcherId }> {
    for (const [path, watchers] of this.#byPath) {
      for (const [watcher, bits] of watchers) if ((bits & dataTable) !== 0) yield { path, watcher };
    }
  }

  /** getData and exists. */
  addData(watcher: WatcherId, path: string): void {
    this.#add(watcher, path, Bit.Data);
  }

  /** getChildren and getChildren2. */
  addChild(watcher: WatcherId, path: string): void {
    this.#add(watcher, path, Bit.Child);
  }

  addPersistent(watcher: WatcherId, path: string, mode: AddWatchMode): void {
    this.#add(watcher, path, mode === AddWatchMode.Persistent ? Bit.Persistent : Bit.Recursive);
  }

  has(watcher: WatcherId, path: string, type: WatcherType): boolean {
    return ((this.#byPath.get(path)?.get(watcher) ?? 0) & bitsOf(type)) !== 0;
  }

  /** Whether there was something to remove. */
  remove(watcher: WatcherId, path: string, type: WatcherType): boolean {
    const before = this.#byPath.get(path)?.get(watcher) ?? 0;
    this.#set(watcher, path, before & ~bitsOf(type));
    return (before & bitsOf(type)) !== 0;
  }

  /** Forgets a watcher: its connection has ended. */
  drop(watcher: WatcherId): void {
    for (const path of this.#byWatcher.get(watcher) ?? []) this.#set(watcher, path, 0);
  }

  /**
   * Whom a change tells, in the order to tell them: each watcher at most once.
   *
   * Standard watches are used up, but for those of watchers who may not be told.
   *
   * @param canRead - Whether a watcher's identities have Read on `trigger.acl`.
   */
  fire(trigger: Trigger, canRead: (watcher: WatcherId) => boolean): readonly Notification[] {
    if (this.#byPath.size === 0) return [];
    const told = new Set<WatcherId>();
    if (trigger.type === EventType.NodeChildrenChanged) {
      this.#collect(trigger.path, Bit.Child, told, canRead);
    } else {
      this.#collect(trigger.path, Bit.Data, told, canRead);
      this.#collectRecursive(trigger.path, told, canRead);
      if (trigger.type === EventType.NodeDeleted) this.#collect(trigger.path, Bit.Child, told, canRead);
    }
    const event: WatchedEvent = { type: trigger.type, path: trigger.path };
    return Array.from(told, (watcher) => ({ watcher, event }));
  }

  /** Everything a watcher registered; `undefined` when that is nothing. */
  export(watcher: WatcherId): WatchSnapshot | undefined {
    const paths = this.#byWatcher.get(watcher);
    if (paths === undefined) return undefined;
    const having = (bit: Bit) =>
      [...paths].filter((path) => ((this.#byPath.get(path)?.get(watcher) ?? 0) & bit) !== 0);
    return {
      data: having(Bit.Data),
      child: having(Bit.Child),
      persistent: having(Bit.Persistent),
      persistentRecursive: having(Bit.Recursive),
    };
  }

  /** Adds back what {@link export} gave. Events between the two are the caller's affair. */
  restore(watcher: WatcherId, snapshot: WatchSnapshot): void {
    for (const path of snapshot.data) this.#add(watcher, path, Bit.Data);
    for (const path of snapshot.child) this.#add(watcher, path, Bit.Child);
    for (const path of snapshot.persistent) this.#add(watcher, path, Bit.Persistent);
    for (const path of snapshot.persistentRecursive) this.#add(watcher, path, Bit.Recursive);
  }

  /**
   * Adds those at `path` in one of ZooKeeper's tables to `told`, and uses up standard watches there. A
   * watch whose watcher may not read stays: that it was used up would tell of the change.
   */
  #collect(
    path: string,
    table: typeof Bit.Data | typeof Bit.Child,
    told: Set<WatcherId>,
    canRead: (watcher: WatcherId) => boolean,
  ): void {
    const listeners = table | Bit.Persistent | (table === Bit.Data ? Bit.Recursive : 0);
    const watchers = this.#byPath.get(path);
    if (watchers === undefined) return;
    for (const [watcher, bits] of watchers) {
      if ((bits & listeners) === 0 || !canRead(watcher)) continue;
      told.add(watcher);
      if ((bits & table) !== 0) this.#set(watcher, path, bits & ~table);
    }
  }

  #collectRecursive(path: string, told: Set<WatcherId>, canRead: (watcher: WatcherId) => boolean): void {
    if (this.#recursiveCount === 0) return;
    for (const ancestor of ancestorsOf(path)) {
      for (const [watcher, bits] of this.#byPath.get(ancestor) ?? []) {
        if ((bits & Bit.Recursive) !== 0 && canRead(watcher)) told.add(watcher);
      }
    }
  }

  #add(watcher: WatcherId, path: string, bit: Bit): void {
    this.#set(watcher, path, (this.#byPath.get(path)?.get(watcher) ?? 0) | bit);
  }

  #set(watcher: WatcherId, path: string, bits: number): void {
    const watchers = this.#byPath.get(path) ?? new Map<WatcherId, number>();
    const before = watchers.get(watcher) ?? 0;
    if (before === bits) return;
    this.#recursiveCount += Number((bits & Bit.Recursive) !== 0) - Number((before & Bit.Recursive) !== 0);
    assert(this.#recursiveCount >= 0, "recursive watches are counted");

    if (bits === 0) {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#byPath.delete(path);
      const paths = this.#byWatcher.get(watcher);
      paths?.delete(path);
      if (paths?.size === 0) this.#byWatcher.delete(watcher);
      return;
    }
    watchers.set(watcher, bits);
    if (before !== 0) return;
    this.#byPath.set(path, watchers);
    const paths = this.#byWatcher.get(watcher);
    if (paths === undefined) this.#byWatcher.set(watcher, new Set([path]));
    else paths.add(path);
  }
}

function bitsOf(type: WatcherType): number {
  switch (type) {
    case WatcherType.Children:
      return Bit.Child;
    case WatcherType.Data:
      return Bit.Data;
    case WatcherType.Any:
      return Bit.Data | Bit.Child | Bit.Persistent | Bit.Recursive;
    case WatcherType.Persistent:
      return Bit.Persistent;
    case WatcherType.PersistentRecursive:
      return Bit.Recursive;
  }
}

/** From the parent up to and including the root; none for the root itself. */
function* ancestorsOf(path: string): Iterable<string> {
  if (path === "/") return;
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    yield path.slice(0, slash);
  }
  yield "/";
}
