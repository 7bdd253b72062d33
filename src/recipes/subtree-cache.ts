/**
 * A subtree kept in memory, and up to date: reads without asking, and a word for every change.
 *
 * It watches first and reads then; what is told while it reads is read again. After a `missed` everything is
 * read anew, so the cache is never wrong for longer than the connection is. Between a change and its event
 * it is behind, as any cache.
 *
 * Source: Curator `CuratorCache`.
 *
 * @module
 */

import { joinPath, parentOf, ZkErrorCode } from "../base/index.ts";
import {
  type Client,
  persistently,
  undefinedIf,
  type WatchStream,
  ZkError,
  type Znode,
} from "../client/index.ts";

export interface SubtreeCacheOptions {
  /** Znodes at most; a larger subtree ends the cache. Default: 10,000. */
  readonly limit?: number | undefined;
}

export type CacheListener = (path: string, znode: Znode | undefined) => void;

const limitDefault = 10_000;

export class SubtreeCache implements AsyncDisposable {
  readonly path: string;
  /** Resolves when all of it has been read; rejects when the cache ends before. */
  readonly ready: Promise<void>;
  readonly #zk: Client;
  readonly #limit: number;
  readonly #znodes = new Map<string, Znode>();
  readonly #listeners = new Set<CacheListener>();
  readonly #controller = new AbortController();
  #fault: ZkError | undefined;
  readonly #over: Promise<void>;

  constructor(zk: Client, path: string, { limit = limitDefault }: SubtreeCacheOptions = {}) {
    this.#zk = zk;
    this.path = path;
    this.#limit = limit;
    let isReady: () => void = () => undefined;
    let isOver: (error: unknown) => void = () => undefined;
    this.ready = new Promise((resolve, reject) => {
      isReady = resolve;
      isOver = reject;
    });
    this.ready.catch(() => undefined);
    const { signal } = this.#controller;
    const events = zk.watch(path, { subtree: true, signal });
    this.#over = this.#follow(events, isReady, signal).catch((error: unknown) => {
      if (error instanceof ZkError) this.#fault = error;
      isOver(error);
    });
  }

  /** Why the cache is no longer kept up to date; `undefined` while it is. */
  get fault(): ZkError | undefined {
    return this.#fault;
  }

  /** `undefined` when there is no such znode, as far as is known. */
  get(path: string): Znode | undefined {
    return this.#znodes.get(path);
  }

  /** All of it, parents before children. */
  list(): readonly Znode[] {
    return [...this.#znodes.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The names of a znode's children, in order. */
  children(path: string): readonly string[] {
    const paths = [...this.#znodes.keys()].filter((each) => each !== "/" && parentOf(each) === path);
    return paths.map((each) => each.slice(path === "/" ? 1 : path.length + 1)).sort();
  }

  /** Calls `listener` for every znode that is new, changed or gone. Answers a function that stops that. */
  subscribe(listener: CacheListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#over;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #follow(events: WatchStream, isReady: () => void, signal: AbortSignal): Promise<void> {
    await events.ready;
    // What failed with the connection is tried again: the cache must not stay wrong.
    await persistently(this.#zk, signal, () => this.#readAll(signal));
    isReady();
    for await (const event of events) {
      await persistently(this.#zk, signal, () =>
        event.kind === "missed" ? this.#readAll(signal) : this.#readOne(event.path, signal),
      );
    }
  }

  async #readAll(signal: AbortSignal): Promise<void> {
    const found = new Set<string>();
    const open = [this.path];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      const children = await this.#readChildren(path, signal);
      if (children === undefined) continue;
      found.add(path);
      if (found.size + open.length > this.#limit) throw this.#tooMany();
      await this.#readOne(path, signal);
      open.push(...children.map((name) => joinPath(path, name)));
    }
    for (const path of [...this.#znodes.keys()]) if (!found.has(path)) this.#set(path, undefined);
  }

  #readChildren(path: string, signal: AbortSignal): Promise<readonly string[] | undefined> {
    return this.#zk.children(path, { signal }).catch(undefinedIf("NoNode"));
  }

  async #readOne(path: string, signal: AbortSignal): Promise<void> {
    this.#set(path, await this.#zk.get(path, { signal }).catch(undefinedIf("NoNode")));
    if (this.#znodes.size > this.#limit) throw this.#tooMany();
  }

  #set(path: string, znode: Znode | undefined): void {
    const known = this.#znodes.get(path);
    if (known === undefined && znode === undefined) return;
    if (known?.stat.mzxid === znode?.stat.mzxid && known?.stat.czxid === znode?.stat.czxid) return;
    if (znode === undefined) this.#znodes.delete(path);
    else this.#znodes.set(path, znode);
    for (const listener of [...this.#listeners]) listener(path, znode);
  }

  #tooMany(): ZkError {
    const message = `Cannot cache "${this.path}": it has more than ${this.#limit} znodes`;
    return new ZkError({ code: ZkErrorCode.BadArguments, message, path: this.path });
  }
}
