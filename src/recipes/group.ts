/**
 * Group membership: who is there, by ephemerals below one znode.
 *
 * @module
 */

import { joinPath } from "../base/index.ts";
import {
  type Client,
  type Data,
  isZkError,
  orAbort,
  type Registration,
  undefinedIf,
} from "../client/index.ts";

/** Joins, and stays a member for as long as the client lives. */
export function join(zk: Client, path: string, id: string, data: Data = null): Registration {
  return zk.register(joinPath(path, id), data);
}

/** The ids of the members now, in order. */
export async function membersOf(zk: Client, path: string, signal?: AbortSignal): Promise<readonly string[]> {
  return [...((await zk.children(path, { signal }).catch(undefinedIf("NoNode"))) ?? [])].sort();
}

/** The members, now and after every change; changes in quick succession may be told as one. */
export async function* observeMembers(
  zk: Client,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<readonly string[], void, undefined> {
  while (!signal.aborted) {
    try {
      const { stat, changed: created } = await zk.exists(path, { watch: true, signal });
      if (stat === undefined) {
        yield [];
        await orAbort(created, signal);
        continue;
      }
      const { children, changed } = await zk.children(path, { watch: true, signal });
      yield [...children].sort();
      await orAbort(changed, signal);
    } catch (error) {
      if (signal.aborted) return;
      // The next session watches again; a znode deleted between two looks is looked for again.
      if (!isZkError(error, "SessionExpired") && !isZkError(error, "NoNode")) throw error;
    }
  }
}
