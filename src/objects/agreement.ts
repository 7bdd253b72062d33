/**
 * What a serving member asks of the ensemble on behalf of its clients, whoever leads it.
 *
 * The leader turns to itself (`leading.ts`). A serving member has exactly one `Agreement`, from the moment
 * it may serve until it may not, and a new one each time.
 *
 * Invariants:
 * - Writes of one connection take effect in the order they were given, or not at all from some point on.
 * - Whoever waits hears exactly once, and by the end of the agreement at the latest: `lost`, or `false`.
 *
 * @module
 */

import type { Requester, SessionId, WriteRequest } from "../base/index.ts";
import type { Settle } from "./writes.ts";

/** A client's write, as its connection hands it on. */
export interface ClientWrite {
  readonly request: WriteRequest;
  /** The frame it came in, without its length: what a member that does not lead passes on. */
  readonly frame: Uint8Array;
  readonly requester: Requester;
  /** The request's xid. */
  readonly cxid: number;
  readonly settle: Settle;
}

/** A session to be taken over, as this member knows it. */
export interface Renewal {
  readonly id: SessionId;
  readonly timeoutMs: number;
  /** Of the connection it had; when it has had another one since, the renewal is refused. */
  readonly ownership: number;
}

export interface Agreement {
  /** Whether another write, or session, may be asked for now. */
  readonly hasRoom: boolean;
  /** Settles when the txn has applied here. */
  write(write: ClientWrite): void;
  openSession(timeoutMs: number, settle: Settle): void;
  /** Refused with `SessionExpired`, or with `SessionMoved` when another connection was quicker. */
  renewSession(renewal: Renewal, settle: Settle): void;
  /**
   * Calls back once leadership was confirmed after now and this member has applied all that was committed
   * before, or with `false` when that could not be.
   *
   * @param fresh - Whether the platform event that asks has just begun (`PeerEvent`).
   */
  confirm(fresh: boolean, done: (confirmed: boolean) => void): void;
  /** A sign of life of a session. */
  touch(session: SessionId): void;
}
