/**
 * What takes several requests: making a path with its parents, deleting a znode with all below it.
 *
 * @module
 */

import { type Acl, joinPath, parentOf } from "../base/index.ts";
import type { CreateOptions } from "./create-request.ts";
import { badArguments, isZkError, undefinedIf } from "./errors.ts";
import type { Data } from "./znode.ts";

/** The client's methods that are used here. */
export interface SubtreeHost {
  create(path: string, data: Data, options: CreateOptions): Promise<string>;
  children(path: string, options: { readonly signal: AbortSignal | undefined }): Promise<readonly string[]>;
  delete(path: string, options: { readonly signal: AbortSignal | undefined }): Promise<void>;
}

/** Deletes sent together. */
const deleteBatch = 64;

export async function createPath(
  host: SubtreeHost,
  path: string,
  options: { readonly acl?: readonly Acl[] | undefined; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  if (path === "/") return;
  try {
    await host.create(path, null, options);
  } catch (error) {
    if (isZkError(error, "NodeExists")) return;
    if (!isZkError(error, "NoNode")) throw error;
    await createPath(host, parentOf(path), options);
    await createPath(host, path, options);
  }
}

export async function deleteTree(
  host: SubtreeHost,
  path: string,
  {
    limit = 10_000,
    signal,
  }: { readonly limit?: number | undefined; readonly signal?: AbortSignal | undefined },
): Promise<number> {
  if (path === "/") throw badArguments('Cannot delete "/": name a znode below it', path);
  const tree = await collect(host, path, limit, signal);
  // Deepest first; a batch leaves in one piece and is applied in order.
  tree.reverse();
  let count = 0;
  for (let at = 0; at < tree.length; at += deleteBatch) {
    const batch = tree.slice(at, at + deleteBatch);
    const counts = await Promise.all(batch.map((each) => deleteOne(host, each, limit, signal)));
    count += counts.reduce((sum, each) => sum + each, 0);
  }
  return count;
}

/** Parents before their children. */
async function collect(
  host: SubtreeHost,
  path: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const found: string[] = [];
  const open = [path];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    found.push(at);
    open.push(...(await childPaths(host, at, signal)));
    if (found.length + open.length > limit) {
      throw badArguments(`Cannot delete "${path}": there are more than ${limit} znodes`, path);
    }
  }
  return found;
}

async function childPaths(
  host: SubtreeHost,
  path: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const names = await host.children(path, { signal }).catch(undefinedIf("NoNode"));
  return (names ?? []).map((name) => joinPath(path, name));
}

/** How many znodes that took: 0 when it was gone, more than 1 when somebody had put others below it. */
async function deleteOne(
  host: SubtreeHost,
  path: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    await host.delete(path, { signal });
    return 1;
  } catch (error) {
    if (isZkError(error, "NoNode")) return 0;
    if (!isZkError(error, "NotEmpty")) throw error;
    return deleteTree(host, path, { limit, signal });
  }
}
