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
  /**
   * The storage this entry is about. A member with another one has lost what it promised, and counts for
   * nothing. Absent: any storage will do.
   */
  readonly storageId?: string | undefined;
}

export interface Config {
  /** The txn that introduced it; `ZERO_ZXID` for the first. */
  readonly version: Zxid;
  readonly members: readonly ConfigMember[];
  /** Ids that were members once. An id is never used again: its next storage would know no promises. */
  readonly retired?: readonly ServerId[] | undefined;
}

/** What a txn that changes the configuration says; its zxid becomes the version. */
export type Membership = Pick<Config, "members" | "retired">;

export function isVoterOf(config: Config, id: ServerId): boolean {
  return memberOf(config, id)?.role === "voter";
}

export function memberOf(config: Config, id: ServerId): ConfigMember | undefined {
  return config.members.find((member) => member.id === id);
}
