/**
 * The request that creates a znode, from the options a caller gives.
 *
 * @module
 */

import {
  type Acl,
  CreateMode,
  type CreateRequest,
  type Duration,
  OPEN_ACL,
  OpCode,
  parseDuration,
} from "../base/index.ts";
import type { Chroot } from "./chroot.ts";
import { badArguments } from "./errors.ts";
import { type Data, dataBytes } from "./znode.ts";

export interface CreateOptions {
  /** Stops the waiting. A create that was sent may still be applied. */
  readonly signal?: AbortSignal | undefined;
  /** Takes the create back while it waits to be sent. Of one that was sent, the outcome is waited for. */
  readonly recall?: AbortSignal | undefined;
  /** Default: `CreateMode.Persistent`; with `ttl`, `CreateMode.PersistentWithTtl`. */
  readonly mode?: CreateMode | undefined;
  /** Default: anyone may do anything. */
  readonly acl?: readonly Acl[] | undefined;
  /** How long it lives after its last change, while it has no children. 1 ms to about 34 years. */
  readonly ttl?: Duration | undefined;
}

const sequential: ReadonlySet<CreateMode> = new Set([
  CreateMode.PersistentSequential,
  CreateMode.EphemeralSequential,
  CreateMode.PersistentSequentialWithTtl,
]);

const withTtl: ReadonlySet<CreateMode> = new Set([
  CreateMode.PersistentWithTtl,
  CreateMode.PersistentSequentialWithTtl,
]);

/** @throws {@link ZkError} `BadArguments` for a path, a TTL, or a mode with it that makes no sense. */
export function createRequest(
  chroot: Chroot,
  path: string,
  data: Data,
  { mode, acl = OPEN_ACL, ttl }: CreateOptions,
): CreateRequest {
  const flags = mode ?? (ttl === undefined ? CreateMode.Persistent : CreateMode.PersistentWithTtl);
  const isTtl = withTtl.has(flags);
  if (isTtl !== (ttl !== undefined)) {
    throw badArguments(`Cannot create "${path}": a ttl and a mode with TTL go together`, path);
  }
  const ttlMs = ttl === undefined ? -1 : parseDuration(ttl);
  if (ttlMs === undefined) throw badArguments(`Cannot create "${path}": ttl "${ttl}" is no duration`, path);
  const type =
    flags === CreateMode.Container ? OpCode.CreateContainer : isTtl ? OpCode.CreateTtl : OpCode.Create2;
  const serverPath = chroot.toServer(path, "create", sequential.has(flags));
  return { type, path: serverPath, data: dataBytes(data), acl, flags, ttlMs };
}
