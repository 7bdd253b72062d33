/**
 * What a znode is made of, and the enumerations clients send, with the wire's numbers.
 *
 * Sources: ZooKeeper `zookeeper.jute`, `CreateMode`, `ZooDefs.Perms`, `Watcher.Event`.
 *
 * @module
 */

import type { SessionId } from "./ids.ts";
import type { Zxid } from "./zxid.ts";

/** A znode's public statistics, field for field as on the wire. */
export interface Stat {
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  /** Milliseconds since 1970, the leader's clock when the create was prepared. */
  readonly ctime: number;
  readonly mtime: number;
  /** Signed 32 bits; wraps. */
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  /** The owning session of an ephemeral znode; 0 for every other kind, containers and TTL included. */
  readonly ephemeralOwner: SessionId;
  readonly dataLength: number;
  readonly numChildren: number;
  readonly pzxid: Zxid;
}

/** Permission bits of an ACL entry. */
export const Perms = { Read: 1, Write: 2, Create: 4, Delete: 8, Admin: 16, All: 31 } as const;

const permLetters = [
  ["c", Perms.Create],
  ["d", Perms.Delete],
  ["r", Perms.Read],
  ["w", Perms.Write],
  ["a", Perms.Admin],
] as const;

/** `cdrwa`, as zkCli prints it. */
export function formatPerms(perms: number): string {
  return permLetters.map(([letter, bit]) => ((perms & bit) === 0 ? "" : letter)).join("");
}

/** `undefined` for a letter that is none. */
export function parsePerms(text: string): number | undefined {
  let perms = 0;
  for (const letter of text) {
    const bit = permLetters.find(([each]) => each === letter)?.[1];
    if (bit === undefined) return undefined;
    perms |= bit;
  }
  return perms;
}

/** An identity: of a connection, or named by an ACL entry. */
export interface AuthId {
  readonly scheme: string;
  readonly id: string;
}

/** One ACL entry. `perms` is stored as given; bits beyond `Perms.All` mean nothing. */
export interface Acl extends AuthId {
  readonly perms: number;
}

export const OPEN_ACL: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: Perms.All }];

/** The seven Java create modes, same numbers. An enumeration on the wire, not a bit set. */
export const CreateMode = {
  Persistent: 0,
  Ephemeral: 1,
  PersistentSequential: 2,
  EphemeralSequential: 3,
  Container: 4,
  PersistentWithTtl: 5,
  PersistentSequentialWithTtl: 6,
} as const;
export type CreateMode = (typeof CreateMode)[keyof typeof CreateMode];

/** How long a znode lives, and by whose leave. */
export type Lifetime =
  | { readonly kind: "persistent" }
  | { readonly kind: "ephemeral"; readonly owner: SessionId }
  | { readonly kind: "container" }
  /** `ttlMs`: 1 to 2^40-1. */
  | { readonly kind: "ttl"; readonly ttlMs: number };

/** A stored znode: everything about it but its name. */
export interface Znode {
  /** `null` and empty differ, and both round-trip. */
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[];
  readonly lifetime: Lifetime;
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly pzxid: Zxid;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  readonly aversion: number;
  /** Creates so far under this znode; `cversion` and the sequence suffix derive from it. */
  readonly creates: number;
  readonly numChildren: number;
}

/** A replicated session: its deadline is the leader's affair and not stored. */
export interface Session {
  readonly id: SessionId;
  readonly timeoutMs: number;
  /** Counts the connections it has had, from 1: only the last one may ask for anything. At most 2^53-1. */
  readonly ownership: number;
}

/** `WatcherEvent.type` of events a server sends. */
export const EventType = {
  NodeCreated: 1,
  NodeDeleted: 2,
  NodeDataChanged: 3,
  NodeChildrenChanged: 4,
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

/** What a watcher is told. The state on the wire is always `SyncConnected` (3). */
export interface WatchedEvent {
  readonly type: EventType;
  readonly path: string;
}

/** `addWatch` modes. */
export const AddWatchMode = { Persistent: 0, PersistentRecursive: 1 } as const;
export type AddWatchMode = (typeof AddWatchMode)[keyof typeof AddWatchMode];

/** Which watches `checkWatches` and `removeWatches` mean (Java `Watcher.WatcherType`). */
export const WatcherType = { Children: 1, Data: 2, Any: 3, Persistent: 4, PersistentRecursive: 5 } as const;
export type WatcherType = (typeof WatcherType)[keyof typeof WatcherType];
