/**
 * Quorums: any two of them share a member, which is what everything else rests on.
 *
 * There may be several active configurations; a quorum is one in each. Servers that are not in the list,
 * observers among them, are not counted and not an error.
 *
 * Source: ZooKeeper `QuorumMaj`, `SyncedLearnerTracker`.
 *
 * @module
 */

import { assert, compareZxid, minZxid, type ServerId, ZERO_ZXID, type Zxid } from "../base/index.ts";
import type { Config } from "./config.ts";

/** The voters of one configuration. */
export type Voters = readonly ServerId[];

/** @throws {@link AssertionFailure} unless ids are distinct and somebody votes. */
export function votersOf(config: Config): Voters {
  const ids = new Set(config.members.map((member) => member.id));
  assert(ids.size === config.members.length, "a server is in the configuration once");
  const voters = config.members.filter((member) => member.role === "voter").map((member) => member.id);
  assert(voters.length > 0, "a configuration has a voter");
  return voters;
}

/** The fewest voters that are more than half. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Whether those for whom `has` holds are a quorum in each active configuration. */
export function hasQuorum(active: readonly Voters[], has: (id: ServerId) => boolean): boolean {
  for (const voters of active) {
    let count = 0;
    for (const id of voters) if (has(id)) count += 1;
    if (count < majority(voters.length)) return false;
  }
  return true;
}

/** The greatest zxid that a quorum in each active configuration has reached. */
export function reachedByQuorum(
  active: readonly Voters[],
  reached: (id: ServerId) => Zxid | undefined,
): Zxid {
  let result: Zxid | undefined;
  for (const voters of active) {
    const descending = voters.map((id) => reached(id) ?? ZERO_ZXID).sort((a, b) => compareZxid(b, a));
    const here = descending[majority(voters.length) - 1] ?? ZERO_ZXID;
    result = result === undefined ? here : minZxid(result, here);
  }
  return result ?? ZERO_ZXID;
}
