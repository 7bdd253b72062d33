/**
 * Lock-delays: for how long nobody gets a lock whose holder was lost without releasing it.
 *
 * A holder that asked for a delay leaves a tombstone beside its contender; its release takes both away in one
 * txn, the end of its session only the contender. A tombstone alone delays whoever its holder excluded. The
 * delay runs from when the first of them finds it, which is written into the tree as a second version of the
 * tombstone: a new leader goes on with it, as exactly as the members' clocks agree.
 *
 * @module
 */

import {
  CreateMode,
  delayOf,
  excludes,
  joinPath,
  type LockMode,
  OPEN_ACL,
  OpCode,
  type Requester,
  tombstoneOf,
  tombstonesIn,
  type WriteRequest,
  ZkErrorCode,
} from "../base/index.ts";
import type { Tree } from "../tree/index.ts";
import type { Unknown } from "./api.ts";
import type { Settlement } from "./writes.ts";

export interface LockDelaysHost {
  readonly tree: Tree;
  now(): number;
  write(request: WriteRequest, requester: Requester): Promise<Settlement>;
}

/** A write that was needed was refused, or may have happened. */
type Failure =
  | { readonly kind: "refused"; readonly outcome: { readonly err: ZkErrorCode }; readonly path: string }
  | Unknown;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class LockDelays {
  readonly #host: LockDelaysHost;

  constructor(host: LockDelaysHost) {
    this.#host = host;
  }

  /** Whether a lost holder may be in the way of those who would hold the lock at `path` in this mode. */
  isInTheWay(path: string, mode: LockMode): boolean {
    return tombstonesIn(this.#children(path)).some((tombstone) => excludes(tombstone.mode, mode));
  }

  /** Makes delays run, takes those away that are over, and answers how long the rest delays this mode, ms. */
  async leftMs(path: string, mode: LockMode, requester: Requester): Promise<number | Failure> {
    let leftMs = 0;
    for (const tombstone of tombstonesIn(this.#children(path))) {
      const at = joinPath(path, tombstone.name);
      const left = await this.#leftOf(at, requester);
      if (typeof left !== "number") return left;
      if (left > 0) {
        if (excludes(tombstone.mode, mode)) leftMs = Math.max(leftMs, left);
        continue;
      }
      const gone = await this.#write({ type: OpCode.Delete, path: at, version: -1 }, requester);
      if (gone !== undefined) return gone;
    }
    return leftMs;
  }

  /** Before a grant is answered: from now on the holder's loss has a delay. */
  entomb(contenderPath: string, delayMs: number, requester: Requester): Promise<Failure | undefined> {
    const path = tombstoneOf(contenderPath);
    const data = encoder.encode(String(delayMs));
    const flags = CreateMode.Persistent;
    return this.#write({ type: OpCode.Create, path, data, acl: OPEN_ACL, flags, ttlMs: -1 }, requester);
  }

  /** Takes a holder's tombstone away, its contender with it. Nothing to do when it has none. */
  async exhume(contenderPath: string, requester: Requester): Promise<void> {
    const tombstone = tombstoneOf(contenderPath);
    if (this.#host.tree.get(tombstone) === undefined) return;
    const ops = [tombstone, contenderPath].map(
      (path) => ({ type: OpCode.Delete, path, version: -1 }) as const,
    );
    // Refused, the tombstone stays, and the next holder waits.
    await this.#host.write({ type: OpCode.Multi, ops }, requester);
  }

  async #leftOf(path: string, requester: Requester): Promise<number | Failure> {
    for (;;) {
      const znode = this.#host.tree.get(path);
      const delayMs = znode === undefined || znode.data === null ? 0 : delayOf(decoder.decode(znode.data));
      if (znode === undefined || delayMs === 0) return 0;
      // The clock of an earlier leader may have been ahead.
      if (znode.version > 0) return Math.min(delayMs, znode.mtime + delayMs - this.#host.now());
      const { data } = znode;
      const failed = await this.#write({ type: OpCode.SetData, path, data, version: 0 }, requester);
      if (failed !== undefined) return failed;
    }
  }

  /** `undefined` when it is done, or another was quicker. */
  async #write(request: WriteRequest & { path: string }, requester: Requester): Promise<Failure | undefined> {
    const settled = await this.#host.write(request, requester);
    if (settled.kind === "lost") return { kind: "unknown" };
    const { outcome } = settled.applied;
    if (outcome.kind !== "refused" || overtaken.includes(outcome.code)) return undefined;
    return { kind: "refused", outcome: { err: outcome.code }, path: request.path };
  }

  #children(path: string): readonly string[] {
    const { tree } = this.#host;
    return tree.children(path, undefined, (tree.get(path)?.numChildren ?? 0) + 1);
  }
}

const overtaken: readonly ZkErrorCode[] = [
  ZkErrorCode.NoNode,
  ZkErrorCode.NodeExists,
  ZkErrorCode.BadVersion,
];
