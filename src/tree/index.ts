/**
 * The replicated state machine, its member-local watches, and the leader's session deadlines.
 *
 * @module
 */

export { isAllowed } from "./acl.ts";
export type { OpResult } from "./apply.ts";
export {
  type Change,
  type ChangedTxn,
  ChangeHistory,
  changeHistoryBounds,
  type HistoryBounds,
} from "./change-history.ts";
export {
  defaultAddress,
  formatConfig,
  formatServers,
  locationOf,
  parseServers,
  type ServerLine,
} from "./config-text.ts";
export { MemoryRows } from "./memory-rows.ts";
export type { PrepareContext } from "./prepare.ts";
export type { Answer, Reader } from "./reads.ts";
export { type EnsembleView, presentServers } from "./reconfig.ts";
export { respond, type TxnOutcome } from "./respond.ts";
export type { Census, Checkpoint, TreeRows } from "./rows.ts";
export { SessionDeadlines } from "./session-deadlines.ts";
export {
  aclFor,
  FilterIndex,
  lastOfEachPath,
  parseStreamFilter,
  type StreamFilter,
  type StreamScope,
  streamScopes,
} from "./stream-filters.ts";
export { type Applied, Tree, type TreeOptions } from "./tree.ts";
export { review, vigilLateMsMax, type Watched } from "./vigil.ts";
export { type Notification, type Trigger, type WatcherId, Watches, type WatchSnapshot } from "./watches.ts";
export { statOf } from "./znodes.ts";
