/**
 * The client: znodes, watches, transactions and the session, as methods that throw `ZkError`.
 *
 * Every method takes `signal`; aborting stops the waiting, not a write that was sent. Paths are absolute
 * and below the chroot, which is added to requests and taken off answers here and nowhere else.
 *
 * Sources: ZooKeeper `ZooKeeper`, `PathUtils`.
 *
 * @module
 */

import {
  type Acl,
  formatSessionId,
  OpCode,
  type ReadRequest,
  type ResponseBody,
  ZkErrorCode,
} from "../base/index.ts";
import type { CallOptions, Watched } from "./call.ts";
import type { Chroot } from "./chroot.ts";
import type { Answer } from "./connection.ts";
import { type CreateOptions, createRequest } from "./create-request.ts";
import { ZkError } from "./errors.ts";
import { EventStream } from "./event-stream.ts";
import { type ConfigOptions, LiveConfig } from "./live-config.ts";
import { acquireLock, type Lock, type LockOptions } from "./lock.ts";
import { explain, malformed } from "./refusals.ts";
import { Registration } from "./registration.ts";
import { type Credential, Session, type SessionState } from "./session.ts";
import { createPath, deleteTree } from "./subtree.ts";
import { Transaction } from "./transaction.ts";
import type { Clock, Transport } from "./transport.ts";
import { type WatchOptions, type WatchStream, watchEvents } from "./watch-events.ts";
import { type OnceKind, Watches } from "./watches.ts";
import {
  type Data,
  dataBytes,
  Znode,
  type ZnodeEvent,
  type ZnodeStat,
  znodeEvent,
  znodeStat,
} from "./znode.ts";

export interface ClientParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly chroot: Chroot;
  readonly sessionTimeoutMs: number;
  readonly operationMsMax: number;
  readonly credentials: readonly Credential[];
}

/** States kept for a slow consumer. */
const stateBufferMax = 100;

/** A connection to an ensemble. Made by `connect`; share one among everything that runs in a process. */
export class Client implements AsyncDisposable {
  /** For what builds on the client, so that a test can hold its time as well. */
  readonly clock: Clock;
  readonly #chroot: Chroot;
  readonly #session: Session;
  readonly #watches = new Watches();
  readonly #stateListeners = new Set<(state: SessionState) => void>();
  readonly #closing = new AbortController();
  /** Aborts when `close` is called, before the server hears of it: whoever holds something stops first. */
  readonly closing: AbortSignal = this.#closing.signal;
  #wasConnected = false;

  constructor(parts: ClientParts) {
    this.clock = parts.clock;
    this.#chroot = parts.chroot;
    this.#session = new Session({
      transport: parts.transport,
      clock: parts.clock,
      timeoutMs: parts.sessionTimeoutMs,
      operationMsMax: parts.operationMsMax,
      credentials: parts.credentials,
      onState: (state) => this.#changed(state),
      onEvent: (event) => this.#watches.dispatch(event),
      watchRequests: (zxid) => this.#watches.requests(zxid),
    });
  }

  /** What is known of the session right now. */
  get state(): SessionState {
    return this.#session.state;
  }

  /** As ZooKeeper prints it, `0x1000a3c2f5b0000`; `undefined` while there is none. */
  get sessionId(): string | undefined {
    const { sessionId } = this.#session;
    return sessionId === undefined ? undefined : formatSessionId(sessionId);
  }

  /**
   * 16 bytes; `undefined` while there is no session. A secret: whoever has it and the id may take the session over.
   *
   * @see ZooKeeper `ZooKeeper#getSessionPasswd`
   */
  get sessionPassword(): Uint8Array | undefined {
    return this.#session.password;
  }

  /** As negotiated with the server, ms. */
  get sessionTimeoutMs(): number {
    return this.#session.timeoutMs;
  }

  /** How long the session certainly lives on, should the server never be heard of again, ms. */
  get sessionMarginMs(): number {
    return this.#session.marginMs;
  }

  /** The greatest zxid seen: no later answer will be older. */
  get lastZxid(): bigint {
    return this.#session.lastZxid;
  }

  /** Calls `listener` at every change of state. Answers a function that stops that. */
  onState(listener: (state: SessionState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => void this.#stateListeners.delete(listener);
  }

  /** The states from now on, as a loop. Ends when the client is closed or the signal aborts. */
  states(options: CallOptions = {}): AsyncIterable<SessionState> {
    let stop: (() => void) | undefined;
    const stream = new EventStream<SessionState>({
      bufferMax: stateBufferMax,
      missed: this.state,
      signal: options.signal,
      onEnd: () => stop?.(),
    });
    stop = this.onState((state) => {
      stream.push(state);
      if (state.kind === "closed") stream.end();
    });
    return stream;
  }

  /**
   * Creates a znode and resolves to the path it was given.
   *
   * In a sequential mode the server appends a ten-digit counter, so keep the resolved path. The write may
   * have happened even when this rejects with `ConnectionLoss`; a recipe looks before it retries.
   *
   * @param path - Absolute, below the chroot, no trailing slash (but in a sequential mode).
   * @param data - With the rest of the request, at most 1 MiB. Default: none.
   * @throws {@link ZkError} `NodeExists`; `NoNode` if the parent is missing; `NoChildrenForEphemerals`;
   *   `InvalidACL`; `NoAuth`; `QuotaExceeded`; `SessionExpired`; `ConnectionLoss`; `OperationTimeout`.
   * @see ZooKeeper `ZooKeeper#create`
   * @example
   * await zk.create("/test", "data");
   * const path = await zk.create("/queue/n-", "job", { mode: CreateMode.PersistentSequential });
   */
  async create(path: string, data: Data = null, options: CreateOptions = {}): Promise<string> {
    return (await this.createWithStat(path, data, options)).path;
  }

  /** As {@link Client.create}, and tells the new znode's Stat: `czxid` is a lock's fencing token. */
  async createWithStat(
    path: string,
    data: Data = null,
    options: CreateOptions = {},
  ): Promise<{ readonly path: string; readonly stat: ZnodeStat }> {
    const body = await this.#ask(createRequest(this.#chroot, path, data, options), path, "create", options);
    if (body?.kind !== "create2") throw malformed("create", path);
    return { path: this.#chroot.toClient(body.path), stat: znodeStat(body.stat) };
  }

  /**
   * Creates what is missing of a path, every znode without data. Existing ones are left as they are.
   *
   * @throws {@link ZkError} As {@link Client.create}, but `NodeExists` and `NoNode`.
   */
  createPath(
    path: string,
    options: CallOptions & { readonly acl?: readonly Acl[] | undefined } = {},
  ): Promise<void> {
    return createPath(this, path, options);
  }

  /**
   * Reads a znode.
   *
   * @throws {@link ZkError} `NoNode`; `NoAuth`; `ConnectionLoss` only when the client is closed meanwhile.
   * @example
   * const znode = await zk.get("/test", { watch: true });
   * console.log(znode.text);
   * znode.changed.then((event) => console.log(event.kind));
   */
  get(path: string, options: CallOptions & { readonly watch: true }): Promise<Znode & Watched>;
  get(path: string, options?: CallOptions & { readonly watch?: false | undefined }): Promise<Znode>;
  async get(
    path: string,
    options: CallOptions & { readonly watch?: boolean | undefined } = {},
  ): Promise<Znode> {
    const { body, changed } = await this.#read(OpCode.GetData, path, options);
    if (body?.kind !== "data") throw malformed("read", path);
    const znode = new Znode(path, body.data === null ? null : body.data.slice(), znodeStat(body.stat));
    return changed === undefined ? znode : Object.assign(znode, { changed });
  }

  /**
   * Sets a znode's data and resolves to its new Stat.
   *
   * @param options.version - Only if the znode is at this version (compare and set).
   * @throws {@link ZkError} `NoNode`; `BadVersion`; `NoAuth`; `QuotaExceeded`; `SessionExpired`;
   *   `ConnectionLoss` and `OperationTimeout` (it may have been applied: `outcome`).
   */
  async set(
    path: string,
    data: Data,
    options: CallOptions & { readonly version?: number | undefined } = {},
  ): Promise<ZnodeStat> {
    const serverPath = this.#chroot.toServer(path, "set");
    const { version = -1 } = options;
    const request = { type: OpCode.SetData, path: serverPath, data: dataBytes(data), version } as const;
    return statOf(await this.#ask(request, path, "set", options), "set", path);
  }

  /**
   * Deletes a znode that has no children.
   *
   * @throws {@link ZkError} `NoNode`; `NotEmpty`; `BadVersion`; `NoAuth`; `SessionExpired`;
   *   `ConnectionLoss` and `OperationTimeout` (it may have been applied: `outcome`).
   */
  async delete(
    path: string,
    options: CallOptions & { readonly version?: number | undefined } = {},
  ): Promise<void> {
    const serverPath = this.#chroot.toServer(path, "delete");
    const request = { type: OpCode.Delete, path: serverPath, version: options.version ?? -1 } as const;
    await this.#ask(request, path, "delete", options);
  }

  /**
   * Deletes a znode and all below it, children first; what others create there meanwhile is deleted too.
   * Not one txn: others may see it half done. Gone already is success.
   *
   * @param options.limit - Znodes at most; with more nothing is deleted. Default: 10,000.
   * @returns How many were deleted.
   * @throws {@link ZkError} `BadArguments` for the root or with more than `limit`; `NoAuth`; as `delete`.
   */
  deleteTree(
    path: string,
    options: CallOptions & { readonly limit?: number | undefined } = {},
  ): Promise<number> {
    return deleteTree(this, path, options);
  }

  /**
   * A znode's Stat, `undefined` when there is no such znode. With `watch`, also tells when it is created,
   * changed or deleted.
   */
  exists(
    path: string,
    options: CallOptions & { readonly watch: true },
  ): Promise<{ readonly stat: ZnodeStat | undefined } & Watched>;
  exists(
    path: string,
    options?: CallOptions & { readonly watch?: false | undefined },
  ): Promise<ZnodeStat | undefined>;
  async exists(
    path: string,
    options: CallOptions & { readonly watch?: boolean | undefined } = {},
  ): Promise<ZnodeStat | undefined | ({ readonly stat: ZnodeStat | undefined } & Watched)> {
    const { body, changed } = await this.#read(OpCode.Exists, path, options);
    const stat = body === undefined ? undefined : statOf(body, "read", path);
    return changed === undefined ? stat : { stat, changed };
  }

  /**
   * The names of a znode's children, in no order.
   *
   * @throws {@link ZkError} `NoNode`; `NoAuth`.
   */
  children(
    path: string,
    options: CallOptions & { readonly watch: true },
  ): Promise<{ readonly children: readonly string[]; readonly stat: ZnodeStat } & Watched>;
  children(
    path: string,
    options?: CallOptions & { readonly watch?: false | undefined },
  ): Promise<readonly string[]>;
  async children(
    path: string,
    options: CallOptions & { readonly watch?: boolean | undefined } = {},
  ): Promise<
    readonly string[] | ({ readonly children: readonly string[]; readonly stat: ZnodeStat } & Watched)
  > {
    const { body, changed } = await this.#read(OpCode.GetChildren2, path, options);
    if (body?.kind !== "children2") throw malformed("list", path);
    if (changed === undefined) return body.children;
    return { children: body.children, stat: znodeStat(body.stat), changed };
  }

  /** How many znodes there are below a path, at any depth. */
  async descendantCount(path: string, options: CallOptions = {}): Promise<number> {
    const request = {
      type: OpCode.GetAllChildrenNumber,
      path: this.#chroot.toServer(path, "count"),
    } as const;
    const body = await this.#ask(request, path, "count", options);
    if (body?.kind !== "number") throw malformed("count", path);
    return body.total;
  }

  /** The ephemeral znodes of this session below a path. */
  async ephemerals(prefix = "/", options: CallOptions = {}): Promise<readonly string[]> {
    const request = { type: OpCode.GetEphemerals, path: this.#chroot.toServer(prefix, "list") } as const;
    const body = await this.#ask(request, prefix, "list", options);
    if (body?.kind !== "ephemerals") throw malformed("list", prefix);
    return body.paths.map((path) => this.#chroot.toClient(path));
  }

  async getAcl(
    path: string,
    options: CallOptions = {},
  ): Promise<{ readonly acl: readonly Acl[]; readonly stat: ZnodeStat }> {
    const request = { type: OpCode.GetAcl, path: this.#chroot.toServer(path, "read") } as const;
    const body = await this.#ask(request, path, "read the ACL of", options);
    if (body?.kind !== "acl") throw malformed("read the ACL of", path);
    return { acl: body.acl, stat: znodeStat(body.stat) };
  }

  /** @param options.version - Compared with the Stat's `aversion`. */
  async setAcl(
    path: string,
    acl: readonly Acl[],
    options: CallOptions & { readonly version?: number | undefined } = {},
  ): Promise<ZnodeStat> {
    const serverPath = this.#chroot.toServer(path, "set the ACL of");
    const request = { type: OpCode.SetAcl, path: serverPath, acl, version: options.version ?? -1 } as const;
    return statOf(await this.#ask(request, path, "set the ACL of", options), "set the ACL of", path);
  }

  /** Resolves when this connection's server has caught up with everything committed before the call. */
  async sync(path = "/", options: CallOptions = {}): Promise<void> {
    await this.#ask({ type: OpCode.Sync, path: this.#chroot.toServer(path, "sync") }, path, "sync", options);
  }

  /** Shows the server another identity, now and after every reconnection. */
  addAuth(scheme: string, auth: string | Uint8Array): Promise<void> {
    return this.#session.addCredential({ scheme, auth: dataBytes(auth) ?? new Uint8Array(0) });
  }

  /** The identities the server knows this connection by. */
  async whoAmI(
    options: CallOptions = {},
  ): Promise<readonly { readonly scheme: string; readonly id: string }[]> {
    const body = await this.#ask({ type: OpCode.WhoAmI }, undefined, "ask who I am", options);
    if (body?.kind !== "identities") throw malformed("ask who I am", "");
    return body.identities;
  }

  /** Several writes and checks that take effect together or not at all. */
  transaction(): Transaction {
    return new Transaction({ chroot: this.#chroot, session: this.#session });
  }

  /**
   * Events of a znode, or of all below it as well, until the loop is left or the signal aborts.
   *
   * Of one znode: created, dataChanged, deleted, childrenChanged. Of a subtree: created, dataChanged and
   * deleted of every znode in it. Survives reconnections and new sessions, with a `missed` each time.
   *
   * @throws {@link ZkError} From the loop: `NoAuth`, `BadArguments`.
   * @example
   * for await (const event of zk.watch("/config", { subtree: true })) console.log(event.kind, event.path);
   */
  watch(path: string, options: WatchOptions = {}): WatchStream {
    const host = { chroot: this.#chroot, watches: this.#watches, session: this.#session };
    return watchEvents(host, path, options);
  }

  /**
   * Takes a lock, waiting for its turn; the lock's znode is created when it is missing.
   *
   * The session holds it: keep its signal in sight, and its token with every write that it protects.
   *
   * @throws {@link ZkError} `OperationTimeout` when `wait` is over; `BadArguments`; `NoAuth`; `NoNode` when
   *   somebody deleted the place in the queue; the signal's reason when it aborts.
   * @example
   * await using lock = await zk.lock("/jobs/42", { wait: "10s" });
   * await fetch(url, { signal: lock.signal, headers: { "Ek-Lock-Token": String(lock.token) } });
   */
  lock(path: string, options: LockOptions = {}): Promise<Lock> {
    return acquireLock(this, path, options);
  }

  /**
   * Keeps an ephemeral znode there for as long as this client lives, sessions come and go.
   *
   * @throws {@link ZkError} From `ready`: `NoAuth`, `InvalidACL` and the like, which no retry cures.
   * @example
   * await using me = zk.register("/services/api/node-1", json({ url: "https://10.0.0.1" }));
   */
  register(path: string, data: Data = null): Registration {
    return new Registration(this, path, data);
  }

  /**
   * Follows a znode's JSON: `get()` always answers the newest good value.
   *
   * @example
   * using flags = zk.config("/flags", { initial: { beta: false } });
   * flags.subscribe((value) => console.log(value.beta));
   */
  config<Value>(path: string, options: ConfigOptions<Value> = {}): LiveConfig<Value> {
    return new LiveConfig(this, path, options);
  }

  /** Drops the connection, as a network may; the session goes on with another one. */
  reconnect(): void {
    this.#session.reconnect();
  }

  /** Ends the session: its ephemeral znodes, locks and registrations go. Waits for what was asked before. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #changed(state: SessionState): void {
    if (state.kind === "connected") {
      if (this.#wasConnected) this.#watches.reconnected();
      this.#wasConnected = true;
    }
    if (state.kind === "expired" || state.kind === "closed") this.#watches.expire();
    for (const listener of [...this.#stateListeners]) listener(state);
  }

  /** @throws {@link ZkError} For every code but `Ok`. */
  async #ask(
    request: Parameters<Session["submit"]>[0],
    path: string | undefined,
    action: string,
    { signal, recall }: CallOptions & { readonly recall?: AbortSignal | undefined },
  ): Promise<ResponseBody | undefined> {
    const answer = await this.#session.submit(request, { path, signal, recall });
    if (answer.err !== ZkErrorCode.Ok) throw explain(answer.err, action, path);
    return answer.body;
  }

  /** `body` is `undefined` only when `exists` found nothing. */
  async #read(
    type: Extract<ReadRequest, { watch: boolean }>["type"],
    path: string,
    { watch = false, signal }: CallOptions & { readonly watch?: boolean | undefined },
  ): Promise<{ readonly body: ResponseBody | undefined; readonly changed: Promise<ZnodeEvent> | undefined }> {
    const serverPath = this.#chroot.toServer(path, "read");
    const isMissing = ({ err }: Answer) => err === ZkErrorCode.NoNode && type === OpCode.Exists;
    let changed: Promise<ZnodeEvent> | undefined;
    // At once: the event may be in the frame behind the answer, and that one in the same message.
    const answered = (answer: Answer) => {
      if (!watch || (answer.err !== ZkErrorCode.Ok && !isMissing(answer))) return;
      const kind: OnceKind = type === OpCode.GetChildren2 ? "child" : isMissing(answer) ? "exist" : "data";
      changed = this.#once(kind, serverPath, path);
    };
    const answer = await this.#session.submit({ type, path: serverPath, watch }, { path, signal, answered });
    if (answer.err !== ZkErrorCode.Ok && !isMissing(answer)) throw explain(answer.err, "read", path);
    return { body: answer.body, changed };
  }

  #once(kind: OnceKind, serverPath: string, path: string): Promise<ZnodeEvent> {
    const changed = new Promise<ZnodeEvent>((resolve, reject) => {
      this.#watches.addOnce(kind, serverPath, (event) => {
        if (event !== undefined) return resolve({ kind: znodeEvent(event).kind, path });
        const message = `Nobody watches "${path}" any more: the session has ended`;
        reject(new ZkError({ code: ZkErrorCode.SessionExpired, message, path }));
      });
    });
    // Nobody has to wait for it.
    changed.catch(() => undefined);
    return changed;
  }
}

function statOf(body: ResponseBody | undefined, action: string, path: string): ZnodeStat {
  if (body?.kind !== "stat") throw malformed(action, path);
  return znodeStat(body.stat);
}
