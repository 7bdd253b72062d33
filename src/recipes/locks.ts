/**
 * Locks in company: read and write sides by name, and several locks at once without deadlock.
 *
 * @module
 */

import { type Client, type Lock, type LockOptions, undefinedIfPassing } from "../client/index.ts";

/** As kazoo's `ReadLock`: shared with other readers. */
export function readLock(zk: Client, path: string, options: Omit<LockOptions, "shared"> = {}): Promise<Lock> {
  return zk.lock(path, { ...options, shared: true });
}

/** As kazoo's `WriteLock`: alone. */
export function writeLock(
  zk: Client,
  path: string,
  options: Omit<LockOptions, "shared"> = {},
): Promise<Lock> {
  return zk.lock(path, { ...options, shared: false });
}

/** Several locks held together. */
export interface LockSet extends AsyncDisposable {
  /** By path. */
  readonly locks: ReadonlyMap<string, Lock>;
  /** Aborts when the first of them is lost. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/**
 * Takes all of the locks, or none. They are taken in the order of their paths, whatever order they are
 * named in, so that two who want some of the same never wait for each other in a circle.
 *
 * @throws {@link ZkError} As `Client.lock`; those taken already have been released then, or are as soon as the
 *   connection is back.
 */
export async function lockAll(
  zk: Client,
  paths: Iterable<string>,
  options: LockOptions = {},
): Promise<LockSet> {
  const locks = new Map<string, Lock>();
  const release = async (): Promise<void> => {
    await Promise.all([...locks.values()].map((lock) => lock.release()));
  };
  try {
    for (const path of [...new Set(paths)].sort()) locks.set(path, await zk.lock(path, options));
  } catch (error) {
    await release().catch(undefinedIfPassing);
    throw error;
  }
  const signal = AbortSignal.any([...locks.values()].map((lock) => lock.signal));
  return { locks, signal, release, [Symbol.asyncDispose]: release };
}
