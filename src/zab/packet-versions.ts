/**
 * Which version of the protocol brought which packets: members of two versions talk during every deploy.
 *
 * Every carrier says what its sender reads, so an end of a link knows it before the first packet travels.
 *
 * @module
 */

import type { Packet } from "./packets.ts";

/** What this code reads, and the version before it. */
export const packetVersion = 2;

/** Learners forward, ensembles sleep, and leaders resume their epochs, since this version. */
const versionOfForwarding = 2;

/** The first version that has such packets. */
export function versionOf({ kind }: Packet): number {
  switch (kind) {
    case "solicit":
    case "decline":
    case "quiesce":
    case "quiesced":
    case "wake":
    case "forward":
    case "answer":
      return versionOfForwarding;
    default:
      return 1;
  }
}

/** Whether a member that reads packets of `version` takes part in sleep, and answers what is forwarded to it. */
export function sleepsAndForwards(version: number): boolean {
  return version >= versionOfForwarding;
}
