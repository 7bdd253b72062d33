/**
 * How fast a member's peer lives. All limits but the tick are in ticks.
 *
 * A tick is short, because the time to notice a hung leader is what clients see of a failure: `syncLimit`
 * of silence, then an election of a few round trips. It must be well above a round trip between members
 * plus a flush; wide-area topologies will want more.
 *
 * @module
 */

import { assert, type ServerId } from "../base/index.ts";
import { membershipOf } from "../jute/index.ts";
import type { PeerOptions } from "../zab/index.ts";

export const peerTickMs = 100;

/** A gap between two ticks after which nobody's silence is evidence: sessions start their timeouts anew. */
export const tickGapMs = 4000;

/** The alarm that wakes a member whose memory was lost while there were sessions, and it was not asleep. */
export const watchdogMs = 30_000;

/** How often a member that sleeps asks whether its leader still watches over the sessions. */
export const sleepingWatchdogMs = 300_000;

/** An alarm that is later than this is lost. */
export const alarmLateMsMax = 60_000;

/** How long a member may take to say that it watches. */
export const watchCallMs = 10_000;

/** A leader that begins, or wakes, expires nobody for so long: learners have signs of life to report. */
export const expiryHoldTicks = 10;

/**
 * One that wakes because a session's end is due waits for so long, and stays awake for it: the member that has
 * the session's connection may have to attach before it can report a sign of life, from far away.
 */
export const dueHoldTicks = 50;

/** A call between members that takes longer is given up; its outcome is unknown and its packets go again. */
export const callTicksMax = 10;

/** After n failures in a row the next call waits 2^n ticks, at most this many. */
export const backoffTicksMax = 16;

/** @param storageId - Of this member's storage; absent when it was made before there were such ids. */
export function peerOptions(
  id: ServerId,
  incarnation: number,
  storageId: string | undefined = undefined,
): PeerOptions {
  const options = { ...optionsOf(id, incarnation), storageId, configOf: membershipOf };
  // One call at a time: a single one that hangs must not look like a dead member.
  assert(callTicksMax + 2 < options.syncLimitTicks, "a lost call costs less than the sync limit");
  return options;
}

function optionsOf(id: ServerId, incarnation: number): PeerOptions {
  return {
    id,
    incarnation,
    initLimitTicks: 50,
    syncLimitTicks: 13,
    pingEveryTicks: 4,
    finalizeWaitTicks: 2,
    notifyEveryTicksMin: 2,
    notifyEveryTicksMax: 20,
    // Waking costs a call or two, staying awake costs calls and memory all the time.
    idleTicks: 20,
    // `history.ts` writes a proposal before `links.ts` sends it, behind the output gate.
    resumes: true,
    inFlightBytesMax: 4 * 1024 * 1024,
    packetBytesMax: 1024 * 1024,
    counterMax: 2 ** 32 - 2,
  };
}
