/**
 * Znode paths: the rules, and taking them apart.
 *
 * Source: ZooKeeper `PathUtils.validatePath`.
 *
 * @module
 */

import { assert } from "./assert.ts";

const forbiddenUnits = /[\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/;

/**
 * Says what is wrong with a path, or `undefined` when a znode may have it.
 *
 * The sentence fits behind a colon: `Cannot create "/a//b": it has an empty component`.
 */
export function pathFault(path: string): string | undefined {
  if (path === "") return "it is empty";
  if (!path.startsWith("/")) return 'it does not begin with "/"';
  if (path === "/") return undefined;
  if (path.endsWith("/")) return 'it ends with "/"';
  if (forbiddenUnits.test(path)) return "it has a control, surrogate or private-use character";
  for (const component of path.slice(1).split("/")) {
    if (component === "") return "it has an empty component";
    if (component === "." || component === "..") return `it has the component "${component}"`;
  }
  return undefined;
}

export function isValidPath(path: string): boolean {
  return pathFault(path) === undefined;
}

/** The parent of any path but the root: `/a` and `/a/b` have `/` and `/a`. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  assert(slash >= 0 && path !== "/", "the root has no parent");
  return slash === 0 ? "/" : path.slice(0, slash);
}

/** The last component; empty for the root. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function joinPath(parent: string, name: string): string {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}

/** What a sequential create appends: `creates` of the parent in at least ten digits (Java `%010d`). */
export function sequenceSuffix(creates: number): string {
  return creates < 0 ? `-${String(-creates).padStart(9, "0")}` : String(creates).padStart(10, "0");
}
