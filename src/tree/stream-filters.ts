/**
 * What a watch stream is about, and which changes concern it.
 *
 * Who may be told follows ZooKeeper's watches: a change of a znode is for those who may read the znode, that
 * a child came or went for those who may list it (read its parent).
 *
 * Invariant: an index finds exactly the subscribers whose filter has an answer in {@link aclFor}.
 *
 * @module
 */

import { type Acl, assert, parentOf, pathFault } from "../base/index.ts";
import type { Change } from "./change-history.ts";

/**
 * `znode`: one path. `children`: which children it has, and whether it is there itself. `subtree`: it and
 * everything below it.
 */
export type StreamScope = "znode" | "children" | "subtree";

export const streamScopes: readonly StreamScope[] = ["znode", "children", "subtree"];

export interface StreamFilter {
  /** A znode's path. It need not exist. */
  readonly path: string;
  readonly scope: StreamScope;
}

/**
 * What a client names: a path, with a scope or with a suffix for one, `/**` for a subtree and `/*` for
 * children. With a scope the path is taken as it stands.
 *
 * @returns What is wrong with it, fit behind a colon, where something is.
 */
export function parseStreamFilter(pattern: string, scope?: StreamScope): StreamFilter | { fault: string } {
  const filter = scope === undefined ? withoutSuffix(pattern) : { path: pattern, scope };
  const fault = pathFault(filter.path);
  return fault === undefined ? filter : { fault };
}

function withoutSuffix(pattern: string): StreamFilter {
  for (const [suffix, scope] of [
    ["/**", "subtree"],
    ["/*", "children"],
  ] as const) {
    if (pattern.endsWith(suffix)) return { path: pattern.slice(0, -suffix.length) || "/", scope };
  }
  return { path: pattern, scope: "znode" };
}

/** Whom it takes Read of to be told of a change; `undefined` when the change is none of the filter's. */
export function aclFor({ path, scope }: StreamFilter, change: Change): readonly Acl[] | undefined {
  const isOwn = change.path === path;
  const comesOrGoes = change.kind === "created" || change.kind === "deleted";
  switch (scope) {
    case "znode":
      return isOwn ? change.znode.acl : undefined;
    case "subtree":
      return isOwn || isBelow(change.path, path) ? change.znode.acl : undefined;
    case "children":
      if (!comesOrGoes) return undefined;
      if (isOwn) return change.znode.acl;
      return change.path !== "/" && parentOf(change.path) === path ? change.parentAcl : undefined;
  }
}

function isBelow(path: string, top: string): boolean {
  return top === "/" || (path.length > top.length && path[top.length] === "/" && path.startsWith(top));
}

/** The last of each path, in the order they have: where there were too many, these say how it ended. */
export function lastOfEachPath<Event extends { readonly change: Change }>(
  events: readonly Event[],
): readonly Event[] {
  const last = new Map<string, Event>();
  for (const event of events) {
    // Taken out first, so that it stands where it happened.
    last.delete(event.change.path);
    last.set(event.change.path, event);
  }
  return [...last.values()];
}

/** Finds those a change concerns without asking everybody. */
export class FilterIndex<Subscriber extends { readonly filter: StreamFilter }> {
  readonly #byScope: Readonly<Record<StreamScope, Map<string, Set<Subscriber>>>> = {
    znode: new Map(),
    children: new Map(),
    subtree: new Map(),
  };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(subscriber: Subscriber): void {
    const { path, scope } = subscriber.filter;
    const subscribers = this.#byScope[scope].get(path) ?? new Set();
    assert(!subscribers.has(subscriber), "a subscriber is added once");
    subscribers.add(subscriber);
    this.#byScope[scope].set(path, subscribers);
    this.#size += 1;
  }

  delete(subscriber: Subscriber): void {
    const { path, scope } = subscriber.filter;
    const subscribers = this.#byScope[scope].get(path);
    if (subscribers?.delete(subscriber) !== true) return;
    this.#size -= 1;
    if (subscribers.size === 0) this.#byScope[scope].delete(path);
  }

  *concernedBy({ path, kind }: Change): Iterable<Subscriber> {
    const { znode, children, subtree } = this.#byScope;
    yield* znode.get(path) ?? [];
    if (children.size > 0 && (kind === "created" || kind === "deleted")) {
      yield* children.get(path) ?? [];
      if (path !== "/") yield* children.get(parentOf(path)) ?? [];
    }
    if (subtree.size === 0) return;
    for (let at = path; at !== "/"; at = parentOf(at)) yield* subtree.get(at) ?? [];
    yield* subtree.get("/") ?? [];
  }
}
