/**
 * What the tree asks of durable storage, below its write-back cache.
 *
 * Synchronous on purpose: SQLite in a Durable Object is, and an apply must not be interrupted. The
 * tree's rows always describe one moment, `applied`; whatever came later is in the txn log and is
 * replayed over them.
 *
 * @module
 */

import type { Session, SessionId, Znode, Zxid } from "../base/index.ts";

/** The durable state of one member's tree. */
export interface TreeRows {
  /** Only ever asked about valid paths. */
  readZnode(path: string): Znode | undefined;
  /**
   * Names of children in code-unit order, strictly after `after`, at most `limit` of them.
   *
   * Names hold no surrogate and no private-use character, so SQLite's byte order is the same order.
   */
  listChildren(path: string, after: string | undefined, limit: number): readonly string[];
  /** Paths of containers and TTL znodes, in code-unit order, strictly after `after`, at most `limit`. */
  listSweepable(after: string | undefined, limit: number): readonly string[];
  ephemeralsOf(owner: SessionId): readonly string[];
  listSessions(): readonly Session[];
  /** Counts the rows. May read all of them: asked for once in a life, and only when somebody wants to know. */
  census(): Census;
  /** The zxid the rows correspond to; `ZERO_ZXID` while they are empty. */
  readonly applied: Zxid;
  /** One atomic write: every change, and the new `applied`. */
  write(checkpoint: Checkpoint): void;
}

/** How much there is. */
export interface Census {
  readonly znodes: number;
  readonly ephemerals: number;
  /** Of paths and data, estimated. */
  readonly bytes: number;
}

/** What changed since the last one. `undefined` stands for a row to delete. */
export interface Checkpoint {
  readonly applied: Zxid;
  readonly znodes: ReadonlyMap<string, Znode | undefined>;
  readonly sessions: ReadonlyMap<SessionId, Session | undefined>;
}
