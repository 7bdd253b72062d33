/**
 * The HTTP API as a type, for callers in TypeScript: `hc<Api>(url)` of `hono/client` knows every path, what goes in
 * and what comes out. No code: it is for `import type`.
 *
 * Routes whose answer is JSON are here. A znode's value as bytes, watch streams and sockets are left to `fetch`.
 * What is refused is a {@link ProblemJson}, under a status that says so.
 *
 * `test/worker/rpc.test.ts` calls the app through it.
 *
 * @module
 */

import type { Hono } from "hono";
import type { Duration, Stat } from "../base/index.ts";
import type { AppEnv } from "./env.ts";

/** Hexadecimal text: `0x100000002`. */
type ZxidText = string;

/** ZooKeeper's stat; what has 64 bits is hexadecimal text. */
export type StatJson = {
  readonly [Name in keyof Stat]: Stat[Name] extends number ? number : string;
};

/** RFC 9457, with ZooKeeper's code where it has one. */
export interface ProblemJson {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code?: number;
  readonly codeName?: string;
  readonly path?: string;
}

interface ValueJson {
  readonly value: string | null;
  readonly encoding: "utf8" | "base64" | "null";
}

export interface ZnodeWritten {
  readonly path: string;
  readonly zxid: ZxidText;
  readonly stat: StatJson;
}

export interface ZnodesDeleted {
  readonly path: string;
  readonly deleted: number;
  readonly zxid: ZxidText;
}

export interface AclEntryJson {
  readonly perms: string;
  readonly scheme: string;
  readonly id: string;
}

/** Of `GET` with `Accept: application/json`; with `?acl`; with `?children`. */
export type ZnodeShown =
  | ({ readonly path: string; readonly stat: StatJson } & ValueJson)
  | {
      readonly path: string;
      readonly acl: readonly AclEntryJson[];
      readonly zxid: ZxidText;
      readonly stat: StatJson;
    }
  | {
      readonly children: readonly string[] | readonly ({ readonly name: string } & Partial<ValueJson>)[];
      readonly more: boolean;
      readonly zxid: ZxidText;
    };

export type CreateModeName =
  | "persistent"
  | "persistent_sequential"
  | "ephemeral"
  | "ephemeral_sequential"
  | "container";

/** One operation of a transaction. `version` is left out for any. */
export type OperationJson =
  | ({
      readonly op: "create";
      readonly path: string;
      readonly mode?: CreateModeName;
      readonly acl?: readonly AclEntryJson[];
      readonly ttl?: Duration;
    } & Partial<ValueJson>)
  | ({ readonly op: "set"; readonly path: string; readonly version?: number } & Partial<ValueJson>)
  | { readonly op: "delete" | "check"; readonly path: string; readonly version?: number }
  | { readonly op: "check-lock"; readonly path: string; readonly token: ZxidText };

export interface TransactionDone {
  readonly zxid: ZxidText;
  readonly results: readonly { readonly op: string; readonly path: string; readonly stat?: StatJson }[];
}

export interface SessionKept {
  readonly id: string;
  readonly ttl_ms: number;
  /** By the leader's clock. */
  readonly expires_at: string;
  readonly zxid: ZxidText;
}

/** `session` is what `Ek-Session` is to say: nobody tells it again. */
export type SessionOpened = SessionKept & { readonly session: string };

export type SessionShown = SessionKept & { readonly ephemerals: readonly string[] };

export interface LockGrant {
  readonly id: string;
  /** The fencing token. */
  readonly token: ZxidText;
  readonly mode: "exclusive" | "shared";
  readonly path: string;
  readonly ttl_ms: number;
  readonly expires_at: string;
  /** Somebody asks for the lock back. */
  readonly revocation_requested?: boolean | undefined;
}

export interface ContenderJson {
  /** Of its znode, below the lock's. */
  readonly name: string;
  readonly mode: "exclusive" | "shared";
  readonly owner: string;
  readonly token: ZxidText;
  readonly since: string;
  /** Somebody asks for the lock back. */
  readonly revocation_requested?: boolean | undefined;
}

export interface LockQueue {
  readonly path: string;
  readonly holders: readonly ContenderJson[];
  readonly queue: readonly ContenderJson[];
  readonly zxid: ZxidText;
}

export interface LockOrderJson {
  readonly mode?: "exclusive" | "shared";
  readonly ttl?: Duration;
  readonly wait?: Duration;
  readonly owner?: string;
  readonly lock_delay?: Duration;
  readonly id?: string;
}

export interface SeatGrant {
  readonly id: string;
  /** The fencing token. */
  readonly token: ZxidText;
  readonly path: string;
  readonly ttl_ms: number;
  readonly expires_at: string;
}

export interface SeatOrderJson {
  /** How many there are: the same for everybody. */
  readonly seats: number;
  readonly ttl?: Duration;
  readonly wait?: Duration;
  readonly owner?: string;
  readonly id?: string;
}

export interface SemaphoreShown {
  readonly path: string;
  /** `null`: nobody has taken one yet. */
  readonly seats: number | null;
  readonly taken: number;
  /** At most 1,000. */
  readonly holders: readonly Omit<ContenderJson, "mode">[];
  readonly queue: readonly ContenderJson[];
  readonly zxid: ZxidText;
}

/** Of `?revoke=` and `?steal=`: the holder was asked, or has the lock no more. */
export interface LockIntervened {
  readonly path: string;
  /** As it was named. */
  readonly token: ZxidText;
  readonly zxid: ZxidText;
}

/** Who steals, and why; both are kept. */
export interface StealOrderJson {
  readonly by: string;
  readonly reason: string;
}

export interface Leadership {
  /** The candidate's secret: keeps and ends its leadership. */
  readonly id: string;
  /** Grows from leader to leader. */
  readonly token: ZxidText;
  readonly path: string;
  /** Only in the answer to who stood. */
  readonly candidate?: string | undefined;
  readonly ttl_ms: number;
  /** By the leader of the ensemble, and its clock. */
  readonly expires_at: string;
}

export interface CandidateJson {
  /** Of its znode, below the election's. */
  readonly name: string;
  readonly candidate: string;
  readonly token: ZxidText;
  readonly since: string;
}

export interface ElectionShown {
  readonly path: string;
  readonly leader: CandidateJson | null;
  /** Who would be next, in order. */
  readonly candidates: readonly CandidateJson[];
  readonly zxid: ZxidText;
}

export interface CandidacyJson {
  readonly candidate?: string;
  readonly ttl?: Duration;
  readonly wait?: Duration;
  readonly id?: string;
}

/** No interface: Hono wants what could have an index signature. */
type Endpoint<Input, Output, Status extends number> = {
  input: Input;
  output: Output;
  outputFormat: "json";
  status: Status;
};

type Refused<Input> = Endpoint<
  Input,
  ProblemJson,
  400 | 401 | 403 | 404 | 409 | 410 | 412 | 413 | 422 | 429 | 503 | 504
>;

/** What is answered when it goes well, and what is answered otherwise. */
type Answers<Input, Output, Status extends number> = Endpoint<Input, Output, Status> | Refused<Input>;

/** Done, and nothing to say about it. */
type Silent<Input> = { input: Input; output: null; outputFormat: "body"; status: 204 } | Refused<Input>;

interface InEnsemble {
  param: { ensemble: string };
}

/** `path`: without its first slash. Slashes stay, everything else is to be percent-encoded by the caller. */
interface AtPath {
  param: { ensemble: string; path: string };
}

interface AtId {
  param: { ensemble: string; id: string };
}

/** A lock, or a candidate, by the secret that its owner was told. */
type AtPathOfId = AtPath & { query: { id: string } };

/** Without a query it asks for the lock, and is answered with 201; with one it is about the grant of that token. */
type LockPost = AtPath & {
  query?: { revoke: ZxidText } | { steal: ZxidText };
  json?: LockOrderJson | StealOrderJson;
};

interface ReadQuery {
  consistency?: "linearizable" | "session" | "local";
  member?: string;
  acl?: "" | "true";
  children?: "" | "true";
  after?: string;
  limit?: string;
  with?: "stat" | "value" | "stat,value";
}

interface DeleteQuery {
  recursive?: "" | "true";
  limit?: string;
}

/** Keys are paths as Hono has them, and methods. */
export type ApiSchema = {
  "/health": { $get: Endpoint<Record<never, never>, { status: "ok"; version: string }, 200> };
  "/v1/:ensemble/znodes/:path{.+}": {
    $get: Answers<AtPath & { query: ReadQuery }, ZnodeShown, 200>;
    $delete: Answers<AtPath & { query: DeleteQuery }, ZnodesDeleted, 200>;
    $post: Answers<AtPath & { query: { mode?: CreateModeName } }, ZnodeWritten, 201>;
    $put: Answers<AtPath & { query: { acl?: "" | "true" } }, ZnodeWritten, 200 | 201>;
  };
  "/v1/:ensemble/transactions": {
    $post: Answers<InEnsemble & { json: readonly OperationJson[] }, TransactionDone, 200>;
  };
  "/v1/:ensemble/sessions": {
    $post: Answers<InEnsemble & { json: { ttl?: Duration } }, SessionOpened, 201>;
  };
  "/v1/:ensemble/sessions/:id": {
    $get: Answers<AtId, SessionShown, 200>;
    $put: Answers<AtId, SessionKept, 200>;
    $delete: Silent<AtId>;
  };
  "/v1/:ensemble/locks/:path{.+}": {
    $get: Answers<AtPath, LockQueue, 200>;
    $post: Answers<LockPost, LockGrant, 201> | Answers<LockPost, LockIntervened, 200>;
    $put: Answers<AtPathOfId, LockGrant, 200>;
    $delete: Silent<AtPathOfId>;
  };
  "/v1/:ensemble/elections/:path{.+}": {
    $get: Answers<AtPath, ElectionShown, 200>;
    $post: Answers<AtPath & { json: CandidacyJson }, Leadership, 201>;
    $put: Answers<AtPathOfId, Leadership, 200>;
    $delete: Silent<AtPathOfId>;
  };
  "/v1/:ensemble/semaphores/:path{.+}": {
    $get: Answers<AtPath, SemaphoreShown, 200>;
    $post: Answers<AtPath & { json: SeatOrderJson }, SeatGrant, 201>;
    $put: Answers<AtPathOfId, SeatGrant, 200>;
    $delete: Silent<AtPathOfId>;
  };
};

/**
 * The app, as `hc` wants to know it.
 *
 * @example
 * const api = hc<Api>("https://edgekeeper.example.workers.dev", { headers: { Authorization: `Bearer ${token}` } });
 * const sent = await api.v1[":ensemble"].transactions.$post({
 *   param: { ensemble: "main" },
 *   json: [{ op: "set", path: "/config", value: "blue", version: 3 }],
 * });
 * if (sent.status === 200) console.log((await sent.json()).zxid);
 */
export type Api = Hono<AppEnv, ApiSchema, "/">;
