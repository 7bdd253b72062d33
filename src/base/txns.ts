/**
 * Txns: what the leader decided, as absolute facts.
 *
 * Replaying a txn needs no decision: versions, names, times and lists are spelled out, a refused write
 * is a fact too. Applying one txn over the state just before it always gives the same state.
 *
 * Source: ZooKeeper `TxnHeader`, `CreateTxn`, `ErrorTxn`, `CloseSessionTxn`, `MultiTxn`.
 *
 * @module
 */

import type { ZkErrorCode } from "./errors.ts";
import type { ServerId, SessionId } from "./ids.ts";
import type { Acl, Lifetime } from "./records.ts";

/** A change to the tree. Several of them make a multi; they share its zxid and its time. */
export type TreeOp =
  | {
      readonly kind: "create";
      /** Final, with its sequence suffix. */
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly acl: readonly Acl[];
      readonly lifetime: Lifetime;
      /** The parent's `creates` afterwards. */
      readonly parentCreates: number;
    }
  | { readonly kind: "delete"; readonly path: string }
  /** `version`: afterwards. */
  | {
      readonly kind: "setData";
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly version: number;
    }
  /** `aversion`: afterwards. */
  | {
      readonly kind: "setAcl";
      readonly path: string;
      readonly acl: readonly Acl[];
      readonly aversion: number;
    }
  /** A check that held. It changes nothing and keeps its place in a multi. */
  | { readonly kind: "check"; readonly path: string };

/** A server as a configuration names it. */
export interface EnsembleMember {
  readonly id: ServerId;
  readonly role: "voter" | "observer";
  /**
   * The storage this entry is about. A server with another one has lost what it promised, and counts for
   * nothing. Absent: any storage will do.
   */
  readonly storageId?: string | undefined;
}

/** Who the members are. */
export interface Membership {
  readonly members: readonly EnsembleMember[];
  /** Ids that were members once. An id is never used again: its next storage would know no promises. */
  readonly retired?: readonly ServerId[] | undefined;
}

/** What a request of a client came to. */
export type RequestOp =
  | TreeOp
  | { readonly kind: "multi"; readonly ops: readonly TreeOp[] }
  | { readonly kind: "error"; readonly code: ZkErrorCode }
  /** One code per part: 0 before the culprit, its own code, `RuntimeInconsistency` after it. */
  | { readonly kind: "failedMulti"; readonly codes: readonly ZkErrorCode[] };

export type TxnOp =
  | RequestOp
  /** What a keyed request came to, to be remembered under its key. Both are 64 hex digits. */
  | { readonly kind: "keyed"; readonly key: string; readonly fingerprint: string; readonly op: RequestOp }
  | { readonly kind: "createSession"; readonly timeoutMs: number }
  /** A session's connection moved: what comes from an earlier one counts no more. `ownership`: afterwards. */
  | { readonly kind: "renewSession"; readonly timeoutMs: number; readonly ownership: number }
  /** Lists the ephemerals to remove, so that replay never looks them up. */
  | { readonly kind: "closeSession"; readonly ephemerals: readonly string[] }
  /** `servers`: the text of `/zookeeper/config` but for its last line, which is this txn's zxid. */
  | ({ readonly kind: "reconfig"; readonly servers: string } & Membership);

export interface Txn {
  /** Who asked; for a session's own txns the session concerned; 0 for the HTTP door. */
  readonly sessionId: SessionId;
  /** The request's xid on its connection. */
  readonly cxid: number;
  /** The leader's clock when it prepared the txn, ms since 1970. */
  readonly timeMs: number;
  readonly op: TxnOp;
}
