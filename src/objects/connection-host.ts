/**
 * What stands around a client's connection: the member that takes its requests, and how it comes and goes.
 *
 * @module
 */

import type {
  AuthId,
  ConnectRequest,
  Outcome,
  ReadRequest,
  Requester,
  SessionId,
  WatchedEvent,
  Zxid,
} from "../base/index.ts";
import type { WatcherId } from "../tree/index.ts";
import type { ClientWrite } from "./agreement.ts";
import type { Connection } from "./connection.ts";
import type { AuthRules } from "./identities.ts";
import type { ServerStats } from "./stats.ts";

/** What a connection asks of the member. */
export interface ConnectionHost {
  /** Applied through here. */
  readonly applied: Zxid;
  readonly authRules: AuthRules;
  /** Of all connections. */
  readonly stats: ServerStats;
  /** Whether requests may be taken up now; otherwise they wait. */
  readonly hasRoom: boolean;
  /** A request that has waited for longer is refused (`ThrottledOp`); 0: none is. */
  readonly throttledOpWaitMs: number;
  /** The clock as of this turn. */
  now(): number;
  /** Opens a new session, or takes one over; `undefined`: that session is no longer. May end the connection. */
  openSession(
    connection: Connection,
    request: ConnectRequest,
    fresh: boolean,
    done: (opened: OpenedSession | undefined) => void,
  ): void;
  touch(session: SessionId): void;
  /** `false`: no room; nothing was submitted. */
  write(write: ClientWrite): boolean;
  read(request: ReadRequest, requester: Requester, watcher: WatcherId): ReadAnswer;
  /**
   * Calls back once leadership was confirmed after now, and all that was committed before has applied
   * here; or with `false` when that could not be.
   *
   * @param fresh - Whether the platform event that brought the request has just begun (`PeerEvent`).
   */
  confirm(fresh: boolean, done: (confirmed: boolean) => void): void;
  /** Something was written, or the connection ended, outside of `receive`. */
  changed(connection: Connection): void;
}

export interface OpenedSession {
  readonly id: SessionId;
  readonly timeoutMs: number;
  readonly password: Uint8Array;
  /** Of this connection, among those the session has had. */
  readonly ownership: number;
}

export interface ReadAnswer extends Outcome {
  readonly events?: readonly WatchedEvent[] | undefined;
}

/** Why a connection ends; `drop` leaves out what was not sent yet. */
export type Ending =
  | { readonly kind: "close"; readonly reason: string }
  | { readonly kind: "drop"; readonly reason: string };

/** Somebody who has said nothing yet. */
export interface Guest {
  readonly identities: readonly AuthId[];
  readonly mustShowToken: boolean;
}
