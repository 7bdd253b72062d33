/**
 * A transaction: several writes and checks that take effect together or not at all (ZooKeeper's multi).
 *
 * @module
 */

import { type MultiOp, type MultiResult, OpCode, ZkErrorCode, zxidFromBigint } from "../base/index.ts";
import type { Chroot } from "./chroot.ts";
import { type CreateOptions, createRequest } from "./create-request.ts";
import { badArguments, ZkError } from "./errors.ts";
import { explain, malformed } from "./refusals.ts";
import type { Session } from "./session.ts";
import { type Data, dataBytes, type ZnodeStat, znodeStat } from "./znode.ts";

/** What one operation of a committed transaction did. */
export type TransactionResult =
  | { readonly kind: "created"; readonly path: string; readonly stat: ZnodeStat }
  | { readonly kind: "set"; readonly stat: ZnodeStat }
  | { readonly kind: "deleted" }
  | { readonly kind: "checked" };

const action = "commit the transaction on";

/** What a transaction needs of its client. */
export interface TransactionHost {
  readonly chroot: Chroot;
  readonly session: Session;
}

/** Collects operations; nothing is sent before {@link Transaction.commit}. */
export class Transaction {
  readonly #host: TransactionHost;
  readonly #ops: MultiOp[] = [];
  readonly #paths: string[] = [];

  constructor(host: TransactionHost) {
    this.#host = host;
  }

  /** The znode must exist, and be at `version` when one is given. */
  check(path: string, version = -1): this {
    const serverPath = this.#host.chroot.toServer(path, "check");
    return this.#add(path, { type: OpCode.Check, path: serverPath, version });
  }

  /**
   * The lock must still be held under this token: then everything else happens under the lock, however long
   * its holder stood still. Only edgekeeper knows this; ZooKeeper refuses the transaction with
   * `MarshallingError`, and there `check(lock.contender)` says nearly as much.
   *
   * @param lock - A `Lock`, or what somebody else's has: its path and its token. At most 16 a transaction.
   * @throws {@link ZkError} `BadArguments` for a token that is no zxid. `commit` then throws `NoNode` when the
   *   lock is not held under the token.
   * @example
   * await using lock = await zk.lock("/jobs/42");
   * await zk.transaction().checkLock(lock).set("/results/42", "done").commit();
   */
  checkLock({ path, token }: { readonly path: string; readonly token: bigint }): this {
    const serverPath = this.#host.chroot.toServer(path, "check the lock");
    const zxid = zxidFromBigint(token);
    if (zxid === undefined) {
      throw badArguments(`Cannot check the lock "${path}": ${token} is no token of a lock`, path);
    }
    return this.#add(path, { type: OpCode.CheckLock, path: serverPath, token: zxid });
  }

  create(path: string, data: Data = null, options: CreateOptions = {}): this {
    return this.#add(path, createRequest(this.#host.chroot, path, data, options));
  }

  /** @param version - Set only if the znode is at it; default: whatever it is at. */
  set(path: string, data: Data, version = -1): this {
    const serverPath = this.#host.chroot.toServer(path, "set");
    return this.#add(path, { type: OpCode.SetData, path: serverPath, data: dataBytes(data), version });
  }

  delete(path: string, version = -1): this {
    const serverPath = this.#host.chroot.toServer(path, "delete");
    return this.#add(path, { type: OpCode.Delete, path: serverPath, version });
  }

  /**
   * Sends it and resolves to what each operation did, in their order.
   *
   * @throws {@link ZkError} Of the first operation that failed, with its path: then none has been applied.
   *   `ConnectionLoss` and `OperationTimeout`: all have been applied, or none.
   * @example
   * await zk.transaction().check("/config/lock").set("/config/a", "1").set("/config/b", "2").commit();
   */
  async commit(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly TransactionResult[]> {
    const [path] = this.#paths;
    if (path === undefined) return [];
    const { session, chroot } = this.#host;
    const request = { type: OpCode.Multi, ops: this.#ops } as const;
    const { err, body } = await session.submit(request, { path, signal: options.signal });
    if (err !== ZkErrorCode.Ok) throw explain(err, action, path);
    if (body?.kind !== "multi") throw malformed(action, path);
    this.#throwFailure(body.results);
    return body.results.map((result) => {
      const done = transactionResult(result, chroot);
      if (done === undefined) throw malformed(action, path);
      return done;
    });
  }

  /** Of a failed transaction's parts, the one that failed says why; those around it say nothing of note. */
  #throwFailure(results: readonly MultiResult[]): void {
    const at = results.findIndex((result) => result.kind === "error" && !isBystander(result.code));
    const failed = results[at];
    if (failed?.kind !== "error") return;
    const path = this.#paths[at];
    if (this.#ops[at]?.type === OpCode.CheckLock && failed.code === ZkErrorCode.NoNode) {
      const message = `Cannot commit operation ${at} of the transaction, on "${path}": the lock is not held under this token`;
      throw new ZkError({ code: failed.code, message, path });
    }
    throw explain(failed.code, `commit operation ${at} of the transaction, on`, path);
  }

  #add(path: string, op: MultiOp): this {
    this.#ops.push(op);
    this.#paths.push(path);
    return this;
  }
}

/** What the parts before and behind the failed one are answered. */
function isBystander(code: number): boolean {
  return code === ZkErrorCode.Ok || code === ZkErrorCode.RuntimeInconsistency;
}

/** `undefined` for a result that no successful transaction has. */
function transactionResult(result: MultiResult, chroot: Chroot): TransactionResult | undefined {
  switch (result.kind) {
    case "createdWithStat":
      return { kind: "created", path: chroot.toClient(result.path), stat: znodeStat(result.stat) };
    case "dataSet":
      return { kind: "set", stat: znodeStat(result.stat) };
    case "deleted":
      return { kind: "deleted" };
    case "checked":
      return { kind: "checked" };
    default:
      return undefined;
  }
}
