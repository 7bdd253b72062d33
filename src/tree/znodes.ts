/**
 * Arithmetic on single znodes: the public `Stat`, and the tree every ensemble starts with.
 *
 * `creates` is the one stored child counter. What clients see as `cversion` derives from it: one step
 * per child created and one per child deleted.
 *
 * Sources: ZooKeeper `DataNode.copyStat`, `DataTree` constructor.
 *
 * @module
 */

import {
  type Acl,
  type Lifetime,
  NO_SESSION,
  OPEN_ACL,
  Perms,
  type SessionId,
  type Stat,
  ZERO_ZXID,
  type Znode,
} from "../base/index.ts";

/** What clients see of a znode besides its data and ACL. */
export function statOf(znode: Znode): Stat {
  return {
    czxid: znode.czxid,
    mzxid: znode.mzxid,
    ctime: znode.ctime,
    mtime: znode.mtime,
    version: znode.version,
    cversion: (2 * znode.creates - znode.numChildren) | 0,
    aversion: znode.aversion,
    ephemeralOwner: ownerOf(znode.lifetime) ?? NO_SESSION,
    dataLength: sizeOf(znode.data),
    numChildren: znode.numChildren,
    pzxid: znode.pzxid,
  };
}

/** Bytes of a znode's data; none for null. */
export function sizeOf(data: Uint8Array | null): number {
  return data?.byteLength ?? 0;
}

/** The session an ephemeral belongs to; `undefined` for every other kind. */
export function ownerOf(lifetime: Lifetime): SessionId | undefined {
  return lifetime.kind === "ephemeral" ? lifetime.owner : undefined;
}

/** Whether the leader's sweep may ever remove such a znode. */
export function isSweepable(lifetime: Lifetime): boolean {
  return lifetime.kind === "container" || lifetime.kind === "ttl";
}

/**
 * Whether the sweep may remove this znode now: a container that has been used and is empty again, or a
 * childless TTL znode whose data is older than its time to live.
 *
 * Source: ZooKeeper `ContainerManager.getCandidates`, with `maxNeverUsedIntervalMs` 0.
 */
export function isSweepDue(znode: Sweepable, nowMs: number): boolean {
  const dueMs = sweepDueMs(znode);
  return dueMs !== undefined && dueMs <= nowMs;
}

/** From when on the sweep may remove this znode as it is; `undefined`: never. */
export function sweepDueMs({ lifetime, numChildren, creates, mtime }: Sweepable): number | undefined {
  if (numChildren > 0) return undefined;
  if (lifetime.kind === "container") return creates > 0 ? 0 : undefined;
  return lifetime.kind === "ttl" ? mtime + lifetime.ttlMs + 1 : undefined;
}

type Sweepable = Pick<Znode, "lifetime" | "numChildren" | "creates" | "mtime">;

/** Says who the members are. */
export const configPath = "/zookeeper/config";

/** Undeletable, for everybody. */
const specialPaths = new Set(["/", "/zookeeper", "/zookeeper/quota", configPath]);

export function isSpecialPath(path: string): boolean {
  return specialPaths.has(path);
}

/**
 * The znodes of a fresh ensemble, identical on every member.
 *
 * They were never created, so no parent counts them: hence the cversion of -1 on the root and -2 on
 * `/zookeeper`. The config znode's aversion of -1 is just as ZooKeeper has it.
 *
 * @param config - What `/zookeeper/config` says until somebody reconfigures. Default: nothing.
 */
export function initialZnodes(config = ""): ReadonlyMap<string, Znode> {
  const readOnly: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: Perms.Read }];
  return new Map([
    ["/", initialZnode({ numChildren: 1 })],
    ["/zookeeper", initialZnode({ numChildren: 2 })],
    [configPath, initialZnode({ acl: readOnly, aversion: -1, data: new TextEncoder().encode(config) })],
    ["/zookeeper/quota", initialZnode({})],
  ]);
}

function initialZnode(oddities: Partial<Znode>): Znode {
  return {
    data: new Uint8Array(0),
    acl: OPEN_ACL,
    lifetime: { kind: "persistent" },
    czxid: ZERO_ZXID,
    mzxid: ZERO_ZXID,
    pzxid: ZERO_ZXID,
    ctime: 0,
    mtime: 0,
    version: 0,
    aversion: 0,
    creates: 0,
    numChildren: 0,
    ...oddities,
  };
}
