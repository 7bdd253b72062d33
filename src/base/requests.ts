/**
 * What clients ask and what they are answered, decoded: `type` is the wire's op code.
 *
 * A path that was null on the wire never gets here; `jute` refuses it with `MarshallingError`.
 *
 * Sources: ZooKeeper `ZooDefs.OpCode`, `zookeeper.jute`, `MultiOperationRecord`.
 *
 * @module
 */

import type { ZkErrorCode } from "./errors.ts";
import type { SessionId } from "./ids.ts";
import type { Acl, AuthId, Stat } from "./records.ts";
import type { Zxid } from "./zxid.ts";

export const OpCode = {
  Create: 1,
  Delete: 2,
  Exists: 3,
  GetData: 4,
  SetData: 5,
  GetAcl: 6,
  SetAcl: 7,
  GetChildren: 8,
  Sync: 9,
  Ping: 11,
  GetChildren2: 12,
  Check: 13,
  Multi: 14,
  Create2: 15,
  Reconfig: 16,
  CheckWatches: 17,
  RemoveWatches: 18,
  CreateContainer: 19,
  DeleteContainer: 20,
  CreateTtl: 21,
  MultiRead: 22,
  Auth: 100,
  SetWatches: 101,
  Sasl: 102,
  GetEphemerals: 103,
  GetAllChildrenNumber: 104,
  SetWatches2: 105,
  AddWatch: 106,
  WhoAmI: 107,
  CreateSession: -10,
  CloseSession: -11,
  /** Our own, and on no wire: a client took its session up again. */
  RenewSession: -12,
  /** Our own, in a multi: a lock is held by a certain grant. ZooKeeper answers it with `MarshallingError`. */
  CheckLock: 1013,
  /** Our own, and on no wire: a write that is done once, however often it is asked for. */
  Keyed: -13,
  Error: -1,
} as const;
export type OpCode = (typeof OpCode)[keyof typeof OpCode];

/** `data` and everything else of a create. `flags` is a `CreateMode` if the client is honest. */
export interface CreateRequest {
  readonly type:
    | typeof OpCode.Create
    | typeof OpCode.Create2
    | typeof OpCode.CreateContainer
    | typeof OpCode.CreateTtl;
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[] | null;
  readonly flags: number;
  /** Only `CreateTtl` carries one; -1 stands for "none" elsewhere. Milliseconds. */
  readonly ttlMs: number;
}

export interface DeleteRequest {
  readonly type: typeof OpCode.Delete;
  readonly path: string;
  /** -1 skips the check. */
  readonly version: number;
}

export interface SetDataRequest {
  readonly type: typeof OpCode.SetData;
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly version: number;
}

export interface SetAclRequest {
  readonly type: typeof OpCode.SetAcl;
  readonly path: string;
  readonly acl: readonly Acl[] | null;
  /** Compared with the aversion; -1 skips the check. */
  readonly version: number;
}

export interface CheckRequest {
  readonly type: typeof OpCode.Check;
  readonly path: string;
  readonly version: number;
}

/** Holds while the lock at `path` is held by the contender that the txn `token` created. */
export interface CheckLockRequest {
  readonly type: typeof OpCode.CheckLock;
  /** The lock's znode. */
  readonly path: string;
  readonly token: Zxid;
}

/** A part of a multi. "Member" stays the word for a server. */
export type MultiOp = CreateRequest | DeleteRequest | SetDataRequest | CheckRequest | CheckLockRequest;

export interface MultiRequest {
  readonly type: typeof OpCode.Multi;
  readonly ops: readonly MultiOp[];
}

/** Internal: opens the session named in the txn's header. */
export interface CreateSessionRequest {
  readonly type: typeof OpCode.CreateSession;
  readonly timeoutMs: number;
}

/**
 * Internal: a client took its session up again, with the timeout it wants now. The requester's `ownership`
 * is the one it found: when another connection was quicker, the renewal is refused with `SessionMoved`.
 */
export interface RenewSessionRequest {
  readonly type: typeof OpCode.RenewSession;
  readonly timeoutMs: number;
}

/** A client's goodbye, or the leader's verdict that a session has expired. */
export interface CloseSessionRequest {
  readonly type: typeof OpCode.CloseSession;
}

/**
 * Internal: the leader's sweep of empty containers and TTL znodes whose time is over.
 * Becomes a delete, or an error txn when the znode is no longer a candidate.
 */
export interface DeleteContainerRequest {
  readonly type: typeof OpCode.DeleteContainer;
  readonly path: string;
}

/**
 * Internal: a write of HTTP that is remembered under a key with what it came to. Asked again within the request
 * window, it changes nothing.
 */
export interface KeyedRequest {
  readonly type: typeof OpCode.Keyed;
  /** 64 hex digits: who asks, and the key it chose. */
  readonly key: string;
  /** 64 hex digits: what is asked. Another one under the same key is another request, and is refused. */
  readonly fingerprint: string;
  readonly request: CreateRequest | DeleteRequest | SetDataRequest | SetAclRequest | MultiRequest;
}

/** Everything that goes through agreement and takes a zxid, also when it fails. */
export type WriteRequest =
  | CreateRequest
  | DeleteRequest
  | SetDataRequest
  | SetAclRequest
  | MultiRequest
  | CreateSessionRequest
  | RenewSessionRequest
  | CloseSessionRequest
  | DeleteContainerRequest
  | ReconfigRequest
  | KeyedRequest;

const writeTypes: ReadonlySet<unknown> = new Set<WriteRequest["type"]>([
  OpCode.Create,
  OpCode.Create2,
  OpCode.CreateContainer,
  OpCode.CreateTtl,
  OpCode.Delete,
  OpCode.SetData,
  OpCode.SetAcl,
  OpCode.Multi,
  OpCode.CreateSession,
  OpCode.RenewSession,
  OpCode.CloseSession,
  OpCode.DeleteContainer,
  OpCode.Reconfig,
  OpCode.Keyed,
]);

/** Whether requests of this op code are ordered, whatever becomes of them. */
export function isWriteType(type: unknown): type is WriteRequest["type"] {
  return writeTypes.has(type);
}

/** exists, getData, getChildren and getChildren2 look alike. */
export interface WatchableReadRequest {
  readonly type:
    | typeof OpCode.Exists
    | typeof OpCode.GetData
    | typeof OpCode.GetChildren
    | typeof OpCode.GetChildren2;
  readonly path: string;
  readonly watch: boolean;
}

export interface PathReadRequest {
  readonly type: typeof OpCode.GetAcl | typeof OpCode.GetEphemerals | typeof OpCode.GetAllChildrenNumber;
  /** For `GetEphemerals` a prefix. */
  readonly path: string;
}

export interface MultiReadRequest {
  readonly type: typeof OpCode.MultiRead;
  /** `watch` is ignored. */
  readonly ops: readonly WatchableReadRequest[];
}

export interface SetWatchesRequest {
  readonly type: typeof OpCode.SetWatches | typeof OpCode.SetWatches2;
  /** What the client had seen when it lost its connection; a raw 64-bit value. */
  readonly relativeZxid: bigint;
  readonly data: readonly string[];
  readonly exist: readonly string[];
  readonly child: readonly string[];
  /** Empty under `SetWatches`. */
  readonly persistent: readonly string[];
  readonly persistentRecursive: readonly string[];
}

export interface AddWatchRequest {
  readonly type: typeof OpCode.AddWatch;
  readonly path: string;
  /** An `AddWatchMode` if the client is honest. */
  readonly mode: number;
}

export interface WatchesRequest {
  readonly type: typeof OpCode.CheckWatches | typeof OpCode.RemoveWatches;
  readonly path: string;
  /** A `WatcherType` if the client is honest. */
  readonly watcherType: number;
}

/** Served from applied state by the member the client is connected to, in the session's order. */
export type ReadRequest =
  | WatchableReadRequest
  | PathReadRequest
  | MultiReadRequest
  | SetWatchesRequest
  | AddWatchRequest
  | WatchesRequest
  | { readonly type: typeof OpCode.WhoAmI }
  | { readonly type: typeof OpCode.Ping };

export interface SyncRequest {
  readonly type: typeof OpCode.Sync;
  /** Echoed, never looked at. */
  readonly path: string;
}

export interface AuthRequest {
  readonly type: typeof OpCode.Auth;
  readonly scheme: string;
  readonly auth: Uint8Array | null;
}

export interface SaslRequest {
  readonly type: typeof OpCode.Sasl;
  readonly token: Uint8Array;
}

export interface ReconfigRequest {
  readonly type: typeof OpCode.Reconfig;
  readonly joiningServers: string | null;
  readonly leavingServers: string | null;
  readonly newMembers: string | null;
  readonly curConfigId: bigint;
}

/** Everything a client can send inside a session. */
export type ClientRequest =
  | Exclude<WriteRequest, CreateSessionRequest | RenewSessionRequest | DeleteContainerRequest | KeyedRequest>
  | ReadRequest
  | SyncRequest
  | AuthRequest
  | SaslRequest;

/** The first frame of a connection. */
export interface ConnectRequest {
  readonly protocolVersion: number;
  /** Raw 64 bits: clients have been seen to send 0 and -1. */
  readonly lastZxidSeen: bigint;
  readonly timeoutMs: number;
  /** 0 asks for a new session. */
  readonly sessionId: bigint;
  readonly password: Uint8Array | null;
  /** `undefined`: the byte was absent, and must be absent from the response too. */
  readonly readOnly: boolean | undefined;
}

export interface ConnectResponse {
  /** 0 says: that session is no longer. */
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  /** Exactly 16 bytes. */
  readonly password: Uint8Array;
  readonly readOnly: boolean | undefined;
}

/** One part's outcome in a multi's or multiRead's response. */
export type MultiResult =
  | { readonly kind: "created"; readonly path: string }
  | { readonly kind: "createdWithStat"; readonly path: string; readonly stat: Stat }
  | { readonly kind: "deleted" }
  | { readonly kind: "dataSet"; readonly stat: Stat }
  | { readonly kind: "checked" }
  | { readonly kind: "data"; readonly data: Uint8Array | null; readonly stat: Stat }
  | { readonly kind: "children"; readonly children: readonly string[] }
  | { readonly kind: "error"; readonly code: number };

/** A response body, named by its record. */
export type ResponseBody =
  | { readonly kind: "create"; readonly path: string }
  | { readonly kind: "create2"; readonly path: string; readonly stat: Stat }
  /** exists, setData and setACL. */
  | { readonly kind: "stat"; readonly stat: Stat }
  /** getData and reconfig. */
  | { readonly kind: "data"; readonly data: Uint8Array | null; readonly stat: Stat }
  | { readonly kind: "children"; readonly children: readonly string[] }
  | { readonly kind: "children2"; readonly children: readonly string[]; readonly stat: Stat }
  | { readonly kind: "acl"; readonly acl: readonly Acl[]; readonly stat: Stat }
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "multi"; readonly results: readonly MultiResult[] }
  | { readonly kind: "ephemerals"; readonly paths: readonly string[] }
  | { readonly kind: "number"; readonly total: number }
  /** whoAmI; `id` holds the user. */
  | { readonly kind: "identities"; readonly identities: readonly AuthId[] }
  | { readonly kind: "token"; readonly token: Uint8Array | null }
  /** addWatch answers four zero bytes. */
  | { readonly kind: "ok" };

/** A reply frame: the header, and a body only when `err` is 0 and the request has one. */
export interface Reply {
  readonly xid: number;
  /** Raw 64 bits: auth answers 0 and an unknown op code -1. */
  readonly zxid: bigint;
  readonly err: number;
  readonly body?: ResponseBody | undefined;
}

/** What a request came to, before it meets a connection: an error code, or a body. */
export interface Outcome {
  readonly err: ZkErrorCode;
  readonly body?: ResponseBody | undefined;
}

/** Who asks: the session (0 for none) and the identities it had when the request arrived. */
export interface Requester {
  readonly sessionId: SessionId;
  readonly identities: readonly AuthId[];
  /** Of the connection that asks; a session that was renewed since refuses it with `SessionMoved`. */
  readonly ownership?: number | undefined;
}
