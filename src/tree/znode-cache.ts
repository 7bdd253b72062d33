/**
 * The write-back cache: the applied tree, as changes over durable rows.
 *
 * A znode that changed since the last checkpoint is dirty and kept here until the next one; others are
 * read from the rows and remembered within a bound. A znode created and deleted between two
 * checkpoints leaves nothing to write, and one that changed a thousand times leaves one row.
 *
 * It knows where znodes are, not what a txn means: `apply.ts` keeps parents and children consistent.
 *
 * Invariants:
 * - A dirty entry with `stored: false` has a znode: the rows lack it, so its deletion is no change.
 * - `#names`, `#ephemerals` and `#sweepables` describe exactly the dirty entries.
 * - A dirty entry hides a clean one, which may be outdated until the dirty one settles over it.
 *
 * @module
 */

import { isValidPath, nameOf, parentOf, type SessionId, type Znode } from "../base/index.ts";
import { CleanCache } from "./clean-cache.ts";
import { Listings } from "./listings.ts";
import type { Census, TreeRows } from "./rows.ts";
import { weigh } from "./weight.ts";
import { isSweepable, ownerOf, sizeOf } from "./znodes.ts";

interface DirtyEntry {
  /** `undefined`: deleted, and the rows don't know yet. */
  readonly znode: Znode | undefined;
  /** Whether the rows have this path. */
  readonly stored: boolean;
}

/** How a dirty child changes its parent's listing in the rows. */
type NameChange = "added" | "removed";

/** Listings may take this part of the bound of the znodes, on top of it: 140,000 names of 20 characters. */
const listingsShare = 2;

/** Rows asked for at once while listing. Bounds the memory of a page, not of the answer. */
const pageLength = 1000;

export class ZnodeCache {
  readonly #rows: TreeRows;
  readonly #clean: CleanCache;
  readonly #listings: Listings;
  readonly #dirty = new Map<string, DirtyEntry>();
  readonly #names = new Map<string, Map<string, NameChange>>();
  readonly #ephemerals = new Map<SessionId, Set<string>>();
  readonly #sweepables = new Set<string>();
  #dirtyBytes = 0;
  /** Of everything applied; `undefined` until somebody asks. */
  #census: Census | undefined;

  constructor(rows: TreeRows, cleanBytesMax: number) {
    this.#rows = rows;
    this.#clean = new CleanCache(cleanBytesMax);
    this.#listings = new Listings(cleanBytesMax / listingsShare);
  }

  get dirtyCount(): number {
    return this.#dirty.size;
  }

  /** An estimate of the memory that only a checkpoint can free. */
  get dirtyBytes(): number {
    return this.#dirtyBytes;
  }

  /** The applied znode at `path`. A path that breaks the rules is simply missing. */
  get(path: string): Znode | undefined {
    const known = this.#recall(path);
    if (known !== undefined) return known ?? undefined;
    const znode = isValidPath(path) ? this.#rows.readZnode(path) : undefined;
    this.#clean.set(path, znode ?? null);
    return znode;
  }

  /** Like {@link get}, for a scan: what it reads does not push other znodes out of memory. */
  peek(path: string): Znode | undefined {
    const known = this.#recall(path);
    if (known !== undefined) return known ?? undefined;
    return isValidPath(path) ? this.#rows.readZnode(path) : undefined;
  }

  /** Whether memory shows a znode at `path`. Never reads rows: good for assertions only. */
  isKnownPresent(path: string): boolean {
    return Boolean(this.#recall(path));
  }

  /** How much is applied. The first answer counts the rows, and the next ones are kept up to date. */
  census(): Census {
    this.#census ??= this.#count();
    return this.#census;
  }

  /** Creates a znode where there is none. */
  create(path: string, znode: Znode): void {
    this.#recount(path, undefined, znode);
    if (path !== "/") this.#listings.forget(parentOf(path));
    this.#setDirty(path, { znode, stored: this.#dirty.get(path)?.stored ?? false });
  }

  /** Replaces a znode that is there. */
  replace(path: string, znode: Znode): void {
    const entry = this.#dirty.get(path);
    if (this.#census !== undefined) this.#recount(path, this.peek(path), znode);
    if (entry === undefined) {
      this.#setDirty(path, { znode, stored: true });
    } else {
      // A lifetime never changes, so the indexes stay as they are.
      this.#dirtyBytes += weigh(path, znode) - weigh(path, entry.znode);
      this.#dirty.set(path, { znode, stored: entry.stored });
    }
  }

  /** Deletes a znode that is there. */
  delete(path: string): void {
    const stored = this.#dirty.get(path)?.stored ?? true;
    if (this.#census !== undefined) this.#recount(path, this.peek(path), undefined);
    if (path !== "/") this.#listings.forget(parentOf(path));
    if (stored) this.#setDirty(path, { znode: undefined, stored });
    else this.#unsetDirty(path);
  }

  /** Names of children in code-unit order, strictly after `after`, at most `limit`. */
  listChildren(path: string, after: string | undefined, limit: number): readonly string[] {
    const changes = this.#names.get(path);
    if (changes === undefined) return this.#rows.listChildren(path, after, limit);

    const added: string[] = [];
    for (const [name, change] of changes) {
      if (change === "added" && (after === undefined || name > after)) added.push(name);
    }
    const kept: string[] = [];
    for (const name of this.#storedChildren(path, after, Math.min(limit, pageLength))) {
      if (kept.push(name) === limit) break;
    }
    return kept.concat(added).sort().slice(0, limit);
  }

  /**
   * Names of all children, in no order, which saves sorting them. Until one comes or goes it is the same
   * array, as far as memory reaches.
   */
  allChildren(path: string, numChildren: number): readonly string[] {
    const known = this.#listings.get(path);
    if (known !== undefined) return known;
    const names = this.#gatherChildren(path, numChildren);
    this.#listings.set(path, names);
    return names;
  }

  /** Like {@link allChildren}, for a scan: what it lists does not push other listings out of memory. */
  peekChildren(path: string, numChildren: number): readonly string[] {
    return this.#listings.get(path) ?? this.#gatherChildren(path, numChildren);
  }

  #gatherChildren(path: string, numChildren: number): readonly string[] {
    const names: string[] = [];
    for (const [name, change] of this.#names.get(path) ?? []) if (change === "added") names.push(name);
    if (names.length === numChildren) return names; // The rows have nothing to add: don't ask.
    for (const name of this.#storedChildren(path, undefined, pageLength)) names.push(name);
    return names;
  }

  /** Paths of the ephemerals a session owns. */
  ephemeralsOf(owner: SessionId): readonly string[] {
    const paths = new Set(this.#rows.ephemeralsOf(owner));
    for (const path of this.#ephemerals.get(owner) ?? []) paths.add(path);
    return [...paths].filter((path) => {
      const entry = this.#dirty.get(path);
      return entry === undefined || (entry.znode !== undefined && ownerOf(entry.znode.lifetime) === owner);
    });
  }

  /** Paths that may be containers or TTL znodes; whoever takes one looks again. */
  *sweepablePaths(): Iterable<string> {
    yield* this.#sweepables;
    let after: string | undefined;
    for (;;) {
      const page = this.#rows.listSweepable(after, pageLength);
      for (const path of page) if (!this.#dirty.has(path)) yield path;
      if (page.length < pageLength) return;
      after = page.at(-1);
    }
  }

  /** What the rows lack: the znodes of a checkpoint. Stays as it is while the tree goes on. */
  changes(): ReadonlyMap<string, Znode | undefined> {
    const changes = new Map<string, Znode | undefined>();
    for (const [path, { znode }] of this.#dirty) changes.set(path, znode);
    return changes;
  }

  /** The rows took one of the `changes`; it may have changed again since. */
  settle(path: string, taken: Znode | undefined): void {
    // A created znode that was deleted again is not dirty, until the rows take its creation after all.
    const znode = this.#dirty.get(path)?.znode;
    if (znode === taken) {
      this.#unsetDirty(path);
      this.#clean.set(path, znode ?? null);
    } else {
      this.#setDirty(path, { znode, stored: taken !== undefined });
    }
  }

  /** Drops everything, changes included: the rows were replaced. */
  clear(): void {
    this.#census = undefined;
    this.#clean.clear();
    this.#listings.clear();
    this.#forgetDirty();
  }

  #count(): Census {
    let { znodes, ephemerals, bytes } = this.#rows.census();
    for (const [path, { znode, stored }] of this.#dirty) {
      const before = weightIn(path, stored ? this.#rows.readZnode(path) : undefined);
      const after = weightIn(path, znode);
      znodes += after.znodes - before.znodes;
      ephemerals += after.ephemerals - before.ephemerals;
      bytes += after.bytes - before.bytes;
    }
    return { znodes, ephemerals, bytes };
  }

  #recount(path: string, from: Znode | undefined, to: Znode | undefined): void {
    if (this.#census === undefined) return;
    const { znodes, ephemerals, bytes } = this.#census;
    const before = weightIn(path, from);
    const after = weightIn(path, to);
    this.#census = {
      znodes: znodes + after.znodes - before.znodes,
      ephemerals: ephemerals + after.ephemerals - before.ephemerals,
      bytes: bytes + after.bytes - before.bytes,
    };
  }

  #forgetDirty(): void {
    this.#dirty.clear();
    this.#names.clear();
    this.#ephemerals.clear();
    this.#sweepables.clear();
    this.#dirtyBytes = 0;
  }

  #recall(path: string): Znode | null | undefined {
    const entry = this.#dirty.get(path);
    return entry === undefined ? this.#clean.get(path) : (entry.znode ?? null);
  }

  #setDirty(path: string, entry: DirtyEntry): void {
    this.#unsetDirty(path);
    this.#dirty.set(path, entry);
    this.#dirtyBytes += weigh(path, entry.znode);

    if (entry.stored !== (entry.znode !== undefined)) {
      this.#setName(path, entry.stored ? "removed" : "added");
    }
    if (entry.znode === undefined) return;
    if (isSweepable(entry.znode.lifetime)) this.#sweepables.add(path);
    const owner = ownerOf(entry.znode.lifetime);
    if (owner === undefined) return;
    const owned = this.#ephemerals.get(owner);
    if (owned === undefined) this.#ephemerals.set(owner, new Set([path]));
    else owned.add(path);
  }

  /** Undoes {@link #setDirty}. */
  #unsetDirty(path: string): void {
    const entry = this.#dirty.get(path);
    if (entry === undefined) return;
    this.#dirty.delete(path);
    this.#dirtyBytes -= weigh(path, entry.znode);

    if (entry.stored !== (entry.znode !== undefined)) this.#setName(path, undefined);
    if (entry.znode === undefined) return;
    this.#sweepables.delete(path);
    const owner = ownerOf(entry.znode.lifetime);
    if (owner === undefined) return;
    const owned = this.#ephemerals.get(owner);
    owned?.delete(path);
    if (owned?.size === 0) this.#ephemerals.delete(owner);
  }

  #setName(path: string, change: NameChange | undefined): void {
    if (path === "/") return;
    const parent = parentOf(path);
    const changes = this.#names.get(parent);
    if (change === undefined) {
      changes?.delete(nameOf(path));
      if (changes?.size === 0) this.#names.delete(parent);
    } else if (changes === undefined) {
      this.#names.set(parent, new Map([[nameOf(path), change]]));
    } else {
      changes.set(nameOf(path), change);
    }
  }

  /** Children the rows have and no dirty entry removed, in order. */
  *#storedChildren(path: string, after: string | undefined, limit: number): Iterable<string> {
    const changes = this.#names.get(path);
    let last = after;
    for (;;) {
      const page = this.#rows.listChildren(path, last, limit);
      for (const name of page) if (changes?.get(name) !== "removed") yield name;
      if (page.length < limit) return;
      last = page.at(-1);
    }
  }
}

/** What one znode adds to a census. */
function weightIn(path: string, znode: Znode | undefined): Census {
  if (znode === undefined) return { znodes: 0, ephemerals: 0, bytes: 0 };
  const ephemerals = Number(znode.lifetime.kind === "ephemeral");
  return { znodes: 1, ephemerals, bytes: path.length + sizeOf(znode.data) };
}
