/**
 * A transaction: several writes and checks that take effect together or not at all (ZooKeeper's multi).
 *
 * @module
 */

import { type MultiOp, type MultiResult, OpCode } from "../base/index.ts";
import type { Chroot } from "./chroot.ts";
import { type CreateOptions, createRequest } from "./create-request.ts";
import { type Data, dataBytes, type ZnodeStat, znodeStat } from "./znode.ts";

/** What one operation of a committed transaction did. */
export type TransactionResult =
  | { readonly kind: "created"; readonly path: string; readonly stat: ZnodeStat }
  | { readonly kind: "set"; readonly stat: ZnodeStat }
  | { readonly kind: "deleted" }
  | { readonly kind: "checked" };

/** What a transaction needs of its client. */
export interface TransactionHost {
  readonly chroot: Chroot;
  /** @param paths - As the caller named them, one for each operation. */
  commit(
    ops: readonly MultiOp[],
    paths: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<readonly TransactionResult[]>;
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
  commit(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<readonly TransactionResult[]> {
    return this.#host.commit(this.#ops, this.#paths, options.signal);
  }

  #add(path: string, op: MultiOp): this {
    this.#ops.push(op);
    this.#paths.push(path);
    return this;
  }
}

/** `undefined` for a result that no successful transaction has. */
export function transactionResult(result: MultiResult, chroot: Chroot): TransactionResult | undefined {
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
