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

import type { EnsembleMember, Membership, ServerId, Zxid } from "../base/index.ts";

export type { EnsembleMember as ConfigMember, Membership } from "../base/index.ts";

export interface Config extends Membership {
  /** The txn that introduced it; `ZERO_ZXID` for the first. */
  readonly version: Zxid;
}

export function isVoterOf(config: Config, id: ServerId): boolean {
  return memberOf(config, id)?.role === "voter";
}

export function memberOf(config: Config, id: ServerId): EnsembleMember | undefined {
  return config.members.find((member) => member.id === id);
}
