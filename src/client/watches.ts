/**
 * The client's side of watches: who asked for what, and what must be registered again after a reconnection.
 *
 * One-shot watches are the reads' (`watch: true`), persistent ones the streams'. The server tells of the
 * one-shot ones what happened while the connection was gone; of persistent ones it cannot, so their
 * streams are told that they may have missed something.
 *
 * Source: ZooKeeper `ZKWatchManager`, `ClientCnxn.SendThread.primeConnection`.
 *
 * @module
 */

import {
  AddWatchMode,
  type ClientRequest,
  EventType,
  OpCode,
  parentOf,
  type WatchedEvent,
} from "../base/index.ts";

/** A one-shot watch's end: the event, or `undefined` when its session ended first. */
export type OnceListener = (event: WatchedEvent | undefined) => void;

export type OnceKind = "data" | "exist" | "child";

/** Listens until it is removed. */
export interface StreamListener {
  event(event: WatchedEvent): void;
  /** Events may have been missed: read anew what matters. */
  missed(): void;
}

/** Paths' bytes in one setWatches, as Java's client has it: servers bound their frames. */
const setWatchesUnitsMax = 128 * 1024;

export class Watches {
  readonly #once: Readonly<Record<OnceKind, Map<string, Set<OnceListener>>>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
  };
  readonly #streams: Readonly<Record<AddWatchMode, Map<string, Set<StreamListener>>>> = {
    [AddWatchMode.Persistent]: new Map(),
    [AddWatchMode.PersistentRecursive]: new Map(),
  };

  addOnce(kind: OnceKind, path: string, listener: OnceListener): void {
    add(this.#once[kind], path, listener);
  }

  removeOnce(kind: OnceKind, path: string, listener: OnceListener): void {
    remove(this.#once[kind], path, listener);
  }

  /** Whether it is the first there: the server must be asked to watch. */
  addStream(mode: AddWatchMode, path: string, listener: StreamListener): boolean {
    const isFirst = !this.#streams[mode].has(path);
    add(this.#streams[mode], path, listener);
    return isFirst;
  }

  /** Whether it was the last there: the server may stop watching. */
  removeStream(mode: AddWatchMode, path: string, listener: StreamListener): boolean {
    if (!this.#streams[mode].has(path)) return false;
    remove(this.#streams[mode], path, listener);
    return !this.#streams[mode].has(path);
  }

  dispatch(event: WatchedEvent): void {
    for (const kind of firedBy(event.type)) {
      const listeners = this.#once[kind].get(event.path);
      this.#once[kind].delete(event.path);
      for (const listener of listeners ?? []) listener(event);
    }
    for (const listener of this.#streams[AddWatchMode.Persistent].get(event.path) ?? [])
      listener.event(event);
    // A recursive watch hears of no children's change: it hears of the children.
    if (event.type === EventType.NodeChildrenChanged) return;
    const recursive = this.#streams[AddWatchMode.PersistentRecursive];
    if (recursive.size === 0) return;
    for (let at = event.path; ; at = parentOf(at)) {
      for (const listener of recursive.get(at) ?? []) listener.event(event);
      if (at === "/") return;
    }
  }

  /** The session is over: one-shot watches end with it, streams go on with the next. */
  expire(): void {
    for (const watches of Object.values(this.#once)) {
      const listeners = [...watches.values()];
      watches.clear();
      for (const set of listeners) for (const listener of set) listener(undefined);
    }
  }

  /** A connection has been made anew: the streams may have missed something. */
  reconnected(): void {
    for (const watches of Object.values(this.#streams)) {
      for (const set of watches.values()) for (const listener of set) listener.missed();
    }
  }

  /** What tells the server of all watches, in pieces that it takes. */
  requests(relativeZxid: bigint): readonly ClientRequest[] {
    const lists = {
      data: [...this.#once.data.keys()],
      exist: [...this.#once.exist.keys()],
      child: [...this.#once.child.keys()],
      persistent: [...this.#streams[AddWatchMode.Persistent].keys()],
      persistentRecursive: [...this.#streams[AddWatchMode.PersistentRecursive].keys()],
    };
    const requests: ClientRequest[] = [];
    let piece = emptyPiece();
    let units = 0;
    for (const kind of ["data", "exist", "child", "persistent", "persistentRecursive"] as const) {
      for (const path of lists[kind]) {
        if (units + path.length > setWatchesUnitsMax) {
          requests.push({ type: OpCode.SetWatches2, relativeZxid, ...piece });
          piece = emptyPiece();
          units = 0;
        }
        piece[kind].push(path);
        units += path.length + 4;
      }
    }
    if (units > 0) requests.push({ type: OpCode.SetWatches2, relativeZxid, ...piece });
    return requests;
  }
}

function firedBy(type: EventType): readonly OnceKind[] {
  switch (type) {
    case EventType.NodeCreated:
    case EventType.NodeDataChanged:
      return ["data", "exist"];
    case EventType.NodeChildrenChanged:
      return ["child"];
    case EventType.NodeDeleted:
      return ["data", "exist", "child"];
  }
}

function emptyPiece(): Record<"data" | "exist" | "child" | "persistent" | "persistentRecursive", string[]> {
  return { data: [], exist: [], child: [], persistent: [], persistentRecursive: [] };
}

function add<Listener>(watches: Map<string, Set<Listener>>, path: string, listener: Listener): void {
  const listeners = watches.get(path);
  if (listeners === undefined) watches.set(path, new Set([listener]));
  else listeners.add(listener);
}

function remove<Listener>(watches: Map<string, Set<Listener>>, path: string, listener: Listener): void {
  const listeners = watches.get(path);
  listeners?.delete(listener);
  if (listeners?.size === 0) watches.delete(path);
}
