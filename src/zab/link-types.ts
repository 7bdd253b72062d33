/**
 * Links: gap-free, first-in first-out channels over calls that may fail, repeat or arrive late.
 *
 * A call carries one `Carrier` there and its answer one back. Both directions have one sequence of
 * packets each; a packet gets its number when queued and travels in whichever carrier comes first.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import type { Packet } from "./packets.ts";

export interface Carrier {
  readonly from: ServerId;
  readonly to: ServerId;
  readonly fromIncarnation: number;
  /** 0: not known yet. */
  readonly toIncarnation: number;
  /** Number of this association; grows whenever either end gave up on what was queued. */
  readonly linkNo: number;
  /** Sequence number of the first packet, 1-based; the next one to be sent when there is none. */
  readonly firstSeq: number;
  readonly packets: readonly Packet[];
  /** Everything through this was received from the other end. */
  readonly ackSeq: number;
  /** `ok`, or why nothing was delivered. */
  readonly status: "ok" | "reset" | "stale" | "gap";
  /** The latest version of packets that the sender reads (`packet-versions.ts`). */
  readonly reads: number;
}

/**
 * Why a link went down: what was under way is `lost`, or the other end `restarted` and has forgotten
 * everything volatile.
 */
export type LinkLoss = "lost" | "restarted";
