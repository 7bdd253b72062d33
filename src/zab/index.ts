/**
 * Zab: one peer of an ensemble as a pure state machine, and the links between two of them.
 *
 * @module
 */

export { type Config, type ConfigMember, type Membership, memberOf } from "./config.ts";
export { isSameLearner } from "./forwarding.ts";
export {
  createLink,
  enqueue,
  giveUp,
  isIdle,
  type Link,
  queuePacketsMax,
  type Received as LinkReceived,
  receiveRequest,
  receiveResponse,
  remind,
  requestFailed,
  takeRequest,
  takeResponse,
  wantsCall,
} from "./link.ts";
export type { Carrier, LinkLoss } from "./link-types.ts";
export { attachedStorageOf, isLevelWith, type ReconfigRefusal, refuseReconfig } from "./membership.ts";
export { lastOf, type Outline, type OutlineRun } from "./outline.ts";
export { packetVersion, versionOf } from "./packet-versions.ts";
export type * from "./packets.ts";
export { createPeer, statusOf, step } from "./peer.ts";
export type { Peer } from "./peer-state.ts";
export type * from "./peer-types.ts";
