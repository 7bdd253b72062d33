/**
 * The SDK: `connect` to an ensemble from a browser, a Worker, Deno, Bun or Node, without dependencies.
 *
 * @module
 */

export {
  type Acl,
  type AuthId,
  CreateMode,
  type Duration,
  type LockMode,
  OPEN_ACL,
  Perms,
  ZkErrorCode,
  type ZkErrorName,
} from "../base/index.ts";
export { orAbort, pause } from "./abort.ts";
export type { CallOptions, Watched } from "./call.ts";
export { Client } from "./client.ts";
export { type BindingTarget, type ConnectOptions, connect, connectThrough } from "./connect.ts";
export type { CreateOptions } from "./create-request.ts";
export { isZkError, undefinedIf, type WriteOutcome, ZkError } from "./errors.ts";
export { type ConfigOptions, LiveConfig } from "./live-config.ts";
export { Lock, type LockOptions } from "./lock.ts";
export { persistently, undefinedIfPassing } from "./persistence.ts";
export { leave, leaveLater, type Place, takeNamed, takeNumbered } from "./place.ts";
export { Registration } from "./registration.ts";
export type { SessionState } from "./session.ts";
export { type LossCause, Lost, Tenure } from "./tenure.ts";
export type { Transaction, TransactionResult } from "./transaction.ts";
export type { Clock, Transport, Wire, WireEvents } from "./transport.ts";
export type { WatchEvent, WatchOptions, WatchStream } from "./watch-events.ts";
export {
  type StreamChange,
  type StreamEvent,
  type StreamStat,
  type StreamZnode,
  type WatchStreamOptions,
  watchStream,
} from "./watch-stream.ts";
export type { ServiceBinding, WebSocketClass, WebSocketLike } from "./web-socket.ts";
export { type Data, json, type Schema, Znode, type ZnodeEvent, type ZnodeStat } from "./znode.ts";
