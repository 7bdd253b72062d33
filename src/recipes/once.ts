/**
 * Work that is done once for each key, whoever is asked to do it: the nightly job, the migration, the mail.
 *
 * A lock keeps others out while somebody works; a znode that stays says that it is done. One who dies at
 * work leaves no such znode, so the next one does it over: the work may be begun more than once, but it is
 * recorded as done once, and only by who still held the lock.
 *
 * @module
 */

import { joinPath } from "../base/index.ts";
import { type Client, type Duration, type Lock, undefinedIf } from "../client/index.ts";

export interface OnceOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long it is remembered that it was done, after which it may be done again. Default: for ever. */
  readonly remember?: Duration | undefined;
}

export type OnceResult =
  /** By this call. */
  | { readonly kind: "done" }
  /** By another, before. `result` is what its work resolved to, as text. */
  | { readonly kind: "doneBefore"; readonly result: string };

/**
 * Does the work for a key unless it is done.
 *
 * @param key - A name, such as the day: `new Date().toISOString().slice(0, 10)`.
 * @param work - Gets the lock: its `signal` ends the work, its `token` proves whose turn it is. What it
 *   resolves to is kept, as text. When it throws, the key stays undone.
 * @example
 * await once(zk, "/jobs/report", "2026-11-23", async ({ signal }) => sendReport(signal));
 */
export async function once(
  zk: Client,
  path: string,
  key: string,
  work: (lock: Lock) => Promise<string | undefined>,
  { signal, remember }: OnceOptions = {},
): Promise<OnceResult> {
  const done = joinPath(joinPath(path, "done"), key);
  const before = await resultOf(zk, done, signal);
  if (before !== undefined) return before;
  await zk.createPath(joinPath(path, "done"), { signal });
  await using lock = await zk.lock(joinPath(joinPath(path, "locks"), key), { signal });
  const meanwhile = await resultOf(zk, done, signal);
  if (meanwhile !== undefined) return meanwhile;
  const result = (await work(lock)) ?? "";
  lock.signal.throwIfAborted();
  // Only with the lock's own znode still there: not after its session has ended.
  await zk
    .transaction()
    .check(lock.contender)
    .create(done, result, remember === undefined ? {} : { ttl: remember })
    .commit({ signal });
  return { kind: "done" };
}

async function resultOf(
  zk: Client,
  done: string,
  signal: AbortSignal | undefined,
): Promise<OnceResult | undefined> {
  const znode = await zk.get(done, { signal }).catch(undefinedIf("NoNode"));
  return znode === undefined ? undefined : { kind: "doneBefore", result: znode.text };
}
