/**
 * Quotas: how many znodes, and how many bytes, a subtree may hold.
 *
 * A quota of `/p` is two ordinary znodes: `/zookeeper/quota/p/zookeeper_limits`, which somebody writes,
 * and `zookeeper_stats` beside it, which every change below `/p` rewrites in place: no new version, no
 * event. Soft limits are for people to look at; hard ones are checked while a write is prepared.
 *
 * Which subtrees have a quota follows from the znodes, so a tree built anew finds them again.
 *
 * Invariant: `#roots` names the subtrees whose limits znode is applied.
 *
 * Sources: ZooKeeper `Quotas`, `StatsTrack`, `DataTree.updateQuotaForPath`, `PathTrie.findMaxPrefix`.
 *
 * @module
 */

import { joinPath, nameOf, parentOf } from "../base/index.ts";
import type { ZnodeCache } from "./znode-cache.ts";
import { sizeOf } from "./znodes.ts";

const quotaTop = "/zookeeper/quota";
const limitsName = "zookeeper_limits";
const statsName = "zookeeper_stats";

/** What a subtree holds, its top included, or what a change adds to that. */
export interface Usage {
  readonly count: number;
  readonly bytes: number;
}

/** The hard limits of a quota; `undefined`: none. */
export interface HardLimits {
  readonly count: number | undefined;
  readonly bytes: number | undefined;
}

export class Quotas {
  readonly #roots = new Set<string>();

  /** Starts over from what is applied. */
  load(znodes: ZnodeCache): void {
    this.#roots.clear();
    for (const path of subtreeOf(znodes, quotaTop)) this.added(path);
  }

  /** The deepest subtree with a quota that holds `path`: the others above do not count. */
  rootOf(path: string): string | undefined {
    if (this.#roots.size === 0) return undefined;
    for (let at = path; at !== "/"; at = parentOf(at)) if (this.#roots.has(at)) return at;
    return undefined;
  }

  /** A znode was created: quotas begin with their limits. */
  added(path: string): void {
    const root = quotaRootOf(path, limitsName);
    if (root !== undefined) this.#roots.add(root);
  }

  /** A znode was deleted: quotas end with their limits. */
  removed(path: string): void {
    const root = quotaRootOf(path, limitsName);
    if (root !== undefined) this.#roots.delete(root);
  }
}

/** Whose usage a znode is about to show; `undefined` when it is no quota's stats. */
export function statsRootOf(path: string): string | undefined {
  return quotaRootOf(path, statsName);
}

export function limitsPathOf(root: string): string {
  return `${quotaTop}${root}/${limitsName}`;
}

export function statsPathOf(root: string): string {
  return `${quotaTop}${root}/${statsName}`;
}

/** What the subtree at `root` holds. Walks it: the price of setting a quota, paid once. */
export function measure(znodes: ZnodeCache, root: string): Usage {
  let count = 0;
  let bytes = 0;
  for (const path of subtreeOf(znodes, root)) {
    count += 1;
    bytes += sizeOf(znodes.peek(path)?.data ?? null);
  }
  return { count, bytes };
}

/** As the stats znode shows it. */
export function encodeUsage({ count, bytes }: Usage): Uint8Array {
  return new TextEncoder().encode(`count=${count},bytes=${bytes}`);
}

/** What a stats znode says; somebody may have written anything into it. */
export function decodeUsage(data: Uint8Array | null): Usage {
  const fields = parseFields(data);
  return { count: fields.get("count") ?? 0, bytes: fields.get("bytes") ?? 0 };
}

export function decodeHardLimits(data: Uint8Array | null): HardLimits {
  const fields = parseFields(data);
  return { count: limitIn(fields, "countHardLimit"), bytes: limitIn(fields, "byteHardLimit") };
}

/**
 * Whether a change goes past the limits. Only what changes is looked at, in either direction: a write
 * that shrinks and is still over is refused too, as in ZooKeeper.
 */
export function exceeds(limits: HardLimits, used: Usage, change: Usage): boolean {
  const isOver = (limit: number | undefined, now: number, by: number) =>
    limit !== undefined && by !== 0 && now + by > limit;
  return isOver(limits.count, used.count, change.count) || isOver(limits.bytes, used.bytes, change.bytes);
}

function limitIn(fields: ReadonlyMap<string, number>, name: string): number | undefined {
  const value = fields.get(name);
  return value === undefined || value < 0 ? undefined : value;
}

/** `count=3,bytes=-1=;byteHardLimit=10`: the odd `=` hides what follows from older readers. */
function parseFields(data: Uint8Array | null): ReadonlyMap<string, number> {
  const fields = new Map<string, number>();
  for (const pair of new TextDecoder().decode(data ?? new Uint8Array(0)).split(/[,;]+/)) {
    const [name = "", value = ""] = pair.split("=");
    if (/^[+-]?\d{1,15}$/.test(value)) fields.set(name, Number(value));
  }
  return fields;
}

/** `/zookeeper/quota/a/b/<name>` is about `/a/b`; the root of all can have no quota. */
function quotaRootOf(path: string, name: string): string | undefined {
  if (!path.startsWith(`${quotaTop}/`) || nameOf(path) !== name) return undefined;
  const root = parentOf(path).slice(quotaTop.length);
  return root === "" ? undefined : root;
}

/** Every path of a subtree that exists, its top first. */
function* subtreeOf(znodes: ZnodeCache, top: string): Iterable<string> {
  const waiting = [top];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const znode = znodes.peek(path);
    if (znode === undefined) continue;
    yield path;
    if (znode.numChildren === 0) continue;
    for (const name of znodes.peekChildren(path, znode.numChildren)) waiting.push(joinPath(path, name));
  }
}
