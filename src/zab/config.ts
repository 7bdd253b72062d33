/**
 * Who votes, and what counts as a quorum.
 *
 * A member keeps the committed configuration and, while a change is under way, a pending one. Every
 * quorum test means "a quorum in each active configuration".
 *
 * Source: ZooKeeper `QuorumVerifier`, `QuorumMaj`.
 *
 * @module
 */

import type { ServerId, Zxid } from "../base/index.ts";

export interface ConfigMember {
  readonly id: ServerId;
  readonly role: "voter" | "observer";
}

export interface Config {
  /** The txn that introduced it; `ZERO_ZXID` for the first. */
  readonly version: Zxid;
  readonly members: readonly ConfigMember[];
}
