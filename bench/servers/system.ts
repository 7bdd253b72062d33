/**
 * What is measured: something that speaks ZooKeeper's protocol on some addresses.
 *
 * @module
 */

import type { Address } from "../load/connection.ts";

export type SystemName = "edgekeeper" | "zookeeper" | "bare object";

export interface System {
  readonly name: SystemName;
  /** It ran before we came. */
  readonly isGiven?: boolean | undefined;
  /** Where clients connect. A single connection goes to the first: of ZooKeeper's servers, the leader. */
  readonly addresses: readonly Address[];
  /** Only edgekeeper and what stands in for it: `http://host:port`. */
  readonly url?: string | undefined;
  /** From the command to the first session, when we have started it. */
  readonly readyMs?: number | undefined;
  /** Resolves when there is a leader: one that was struck lately may just have been replaced. */
  readonly awaitLeader?: (() => Promise<void>) | undefined;
  /** Kills the leader, without a word to anybody. Absent where it can't be done. */
  readonly killLeader?: (() => Promise<void>) | undefined;
  /** Has the leader do nothing, for five seconds at least: it is not gone, and answers nobody. */
  readonly hangLeader?: (() => Promise<void>) | undefined;
  /** Brings back what was killed, or waits until what hangs does so no more. */
  readonly mend?: (() => Promise<void>) | undefined;
  /** The end of what its processes said. */
  said?(): string;
  stop(): Promise<void>;
}
