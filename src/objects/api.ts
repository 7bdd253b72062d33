/**
 * What a member offers to the Worker, as remote calls on its object.
 *
 * Clients never get here: a client's request reaches a member only through the Worker, which makes these
 * calls itself, or as a WebSocket through `fetch`. `exchange` is for members alone; the Worker has no
 * route that leads to it.
 *
 * Every answer says whether the request took effect. "Nothing happened" is a promise: the caller may try
 * another member. A call that throws, or answers `unknown`, may or may not have happened.
 *
 * @module
 */

import type {
  AuthId,
  LockMode,
  Outcome,
  ReadRequest,
  ServerId,
  Stat,
  WriteRequest,
  ZkErrorCode,
} from "../base/index.ts";
import type { MemberReport, ReportRequest } from "./report.ts";

/**
 * What a member is made with: the servers there were then, and what all members share for ever. Later
 * configurations are txns, and come with the history or by word of mouth.
 */
export interface EnsembleConfig {
  readonly voters: readonly ServerId[];
  readonly observers: readonly ServerId[];
  /**
   * By server id: which storage each member was made with, 32 hex digits. A member that has another one has
   * lost what it promised. Absent: made before there were storage ids, and any will do.
   */
  readonly storageIds?: Readonly<Record<string, string>> | undefined;
  /** 32 random bytes, hex: session passwords are a MAC under it. */
  readonly secret: string;
}

/** `blank`: never heard of the ensemble. `prepared`: knows the configuration, must not vote yet. */
export type BootstrapState = "blank" | "prepared" | "active" | "halted";

export interface MemberStatus {
  readonly id: ServerId;
  readonly bootstrap: BootstrapState;
  /** Of the configuration that it knows to be committed. */
  readonly voters: readonly ServerId[];
  readonly observers: readonly ServerId[];
  /** Printed zxid of that configuration; `0x0` for the first. */
  readonly configVersion: string;
  readonly role: "looking" | "following" | "leading" | "observing";
  readonly phase: "election" | "discovery" | "synchronization" | "broadcast";
  /** Takes clients: leading and established, or in the care of such a leader. */
  readonly serving: boolean;
  /** 0: nobody known. */
  readonly leader: ServerId | 0;
  readonly epoch: number;
  /** Printed zxids. */
  readonly lastLogged: string;
  readonly lastCommitted: string;
  readonly lastApplied: string;
  readonly incarnation: number;
  readonly sessions: number;
  readonly connections: number;
  /** Messages of peers that could not be read, since the start: damaged, or of another version. */
  readonly unreadable: number;
  /** Why the member has stopped itself, when it has. */
  readonly halted?: string | undefined;
}

/** A change of the members that may be ordered again and again: it goes on where it stopped. */
export interface MemberOrder {
  readonly id: ServerId;
  readonly role: "voter" | "observer";
  /** Where its object is made, if it is new: a location hint of the platform. Default: where it is first called. */
  readonly location?: string | undefined;
  /** A member that leaves with the txn that gives the new one its role. */
  readonly replaces?: ServerId | undefined;
}

export interface MemberDescription {
  readonly id: ServerId;
  readonly role: "voter" | "observer";
  /** As `/zookeeper/config` has it. */
  readonly address: string;
}

export type MembersAnswer =
  | {
      readonly kind: "done";
      /** Printed zxid of the txn that made it so. */
      readonly version: string;
      readonly members: readonly MemberDescription[];
    }
  /** Not yet, and not refused: to be ordered again. */
  | { readonly kind: "waiting"; readonly reason: string }
  | { readonly kind: "refused"; readonly code: ZkErrorCode; readonly reason?: string | undefined }
  | NotServed
  | Unknown;

/** `zxid`: what this member had applied when it answered, printed. */
export type MembersReply = (MembersAnswer & { readonly zxid: string }) | NotServed;

/** What a server is told that is to be a member. */
export interface JoinOrder {
  /** The ensemble's, as in {@link EnsembleConfig}. */
  readonly secret: string;
  /** Of the configuration there is, which may or may not name the server. Printed zxid. */
  readonly version: string;
  readonly members: readonly {
    readonly id: ServerId;
    readonly role: "voter" | "observer";
    readonly storageId?: string | undefined;
  }[];
  readonly retired: readonly ServerId[];
}

/** `foreign`: it belongs to another ensemble, or has stopped itself. */
export type Joined = "joined" | "foreign" | "unreachable";

/** How fresh a read must be. */
export type Consistency = "linearizable" | "session" | "local";

/** A page of child names, which no ZooKeeper op code offers. */
export interface ChildrenPageRequest {
  readonly type: "childrenPage";
  readonly path: string;
  /** Names strictly after this one, in code-unit order. */
  readonly after: string | undefined;
  /** 1 to 1,000. */
  readonly limit: number;
  /** What to tell of each child beside its name. The page ends earlier when their values are large. */
  readonly with?: readonly ChildPart[] | undefined;
}

export type ChildPart = "stat" | "value";

/** A child on a page that was asked for more than names. */
export interface Child {
  readonly name: string;
  readonly stat?: Stat | undefined;
  /** Only if asked for and allowed to be read. */
  readonly data?: Uint8Array | null | undefined;
  /** The value was asked for, and the child's ACL does not let the caller read it. */
  readonly denied?: boolean | undefined;
}

/** A znode and all below it, children before their parents: paths, as children of the outcome's body. */
export interface SubtreeRequest {
  readonly type: "subtree";
  readonly path: string;
  /** 1 to 1,000. With more znodes than this the answer says `more`, and no paths. */
  readonly limit: number;
}

/** Proves that a session is the caller's. Never printed, logged or told to anybody but who opened it. */
export interface SessionCredential {
  /** As sessions are printed: `0x1000000100000001`. */
  readonly id: string;
  /** 32 hex digits. */
  readonly password: string;
}

export interface Call {
  readonly request: WriteRequest | ReadRequest | ChildrenPageRequest | SubtreeRequest;
  readonly identities: readonly AuthId[];
  /** Who asks, and shows a sign of life by it. Default: nobody's session. */
  readonly session?: SessionCredential | undefined;
  /** Ignored for writes. */
  readonly consistency: Consistency;
  /** Printed: what the caller has seen. A read is never answered with older data. */
  readonly floor?: string | undefined;
}

/** Nothing happened; `leader` is a hint, 0 when the member knows none. */
export type NotServed =
  | { readonly kind: "notLeader"; readonly leader: ServerId | 0 }
  | { readonly kind: "blank" }
  | { readonly kind: "overloaded" }
  | { readonly kind: "halted" };

/** Leadership ended while the request was under way: it may or may not have happened. */
export interface Unknown {
  readonly kind: "unknown";
}

export type Answer =
  | {
      readonly kind: "answered";
      readonly outcome: Outcome;
      /** Printed: a write's own zxid, a read's applied one. */
      readonly zxid: string;
      /** Only for a children page: whether more follow; for a subtree: whether it has more than the limit. */
      readonly more?: boolean | undefined;
      /** Only for a children page that was asked for parts; then the outcome has no body. */
      readonly children?: readonly Child[] | undefined;
      /** A keyed write that was decided before: its outcome, and the zxid it had then. */
      readonly repeated?: boolean | undefined;
      /** Only for reads: ms since this member last heard from its leader, 0 at the leader; absent: never yet. */
      readonly ageMs?: number | undefined;
    }
  /** Confirmed by a leader: nothing as late as the caller's floor is committed. `zxid`: what is, printed. */
  | { readonly kind: "behind"; readonly zxid: string }
  /** Nothing happened: the key of a keyed write is remembered for another request. */
  | { readonly kind: "keyReused"; readonly zxid: string }
  | Foreign
  | NotServed
  | Unknown;

/** Nothing happened: the password that was shown is not the session's. Whether there is one is not told. */
export interface Foreign {
  readonly kind: "foreign";
  /** Printed: what had applied. */
  readonly zxid: string;
}

/** What is to become of a session without a connection. */
export type SessionOrder =
  /** `timeoutMs`: 1,000 to 600,000, how long it lives without a request. */
  | { readonly kind: "open"; readonly timeoutMs: number }
  | { readonly kind: "describe" | "keep" | "close"; readonly credential: SessionCredential };

export type SessionAnswer =
  | ({
      readonly kind: "session";
      readonly timeoutMs: number;
      /** Ms since 1970, by the leader's clock: it ends no earlier, unless it is closed. */
      readonly expiresAtMs: number;
      /** Paths of the znodes that go with it. */
      readonly ephemerals: readonly string[];
      /** Printed: what had applied. */
      readonly zxid: string;
    } & SessionCredential)
  /** `zxid`: of the txn that ended it, printed. */
  | { readonly kind: "closed"; readonly zxid: string }
  /** Confirmed by a leader: it has ended, or never was. */
  | { readonly kind: "expired"; readonly zxid: string }
  | Foreign
  | NotServed
  | Unknown;

export interface LockRequest {
  readonly path: string;
  /**
   * 32 hex digits, the same for a caller's retries: asking twice takes one place in the queue. Part of the znode's
   * name, so no secret: whoever calls here has made it of one that it tells nobody.
   */
  readonly id: string;
  readonly mode: LockMode;
  /** How long the lock lives without a keep-alive, ms. 1,000 to 600,000. With `session` its timeout counts. */
  readonly ttlMs: number;
  /** 0 to 60,000: how long the call may wait for its turn. */
  readonly waitMs: number;
  /** Shown to others. At most 1,024 bytes of UTF-8. */
  readonly owner: string;
  /** 0 to 600,000: how long nobody else gets the lock when this holder is lost. Default: 0. */
  readonly delayMs?: number | undefined;
  /** The caller's, in which the place is taken. Default: one of its own, which ends with the place. */
  readonly session?: SessionCredential | undefined;
  readonly identities: readonly AuthId[];
}

/** One contender, in queue order. ZooKeeper clients' contenders are listed too. */
export interface Contender {
  /** The lock id of an HTTP contender, the znode's name otherwise. */
  readonly id: string;
  /** Of its znode, which stands below the lock's. */
  readonly name: string;
  readonly mode: LockMode;
  readonly holds: boolean;
  readonly owner: string;
  /** Somebody asks for the lock back. */
  readonly isRevoked: boolean;
  /** Printed zxid of its znode; the fencing token when it holds. */
  readonly token: string;
  readonly sinceMs: number;
}

export type LockAnswer =
  | {
      readonly kind: "granted";
      readonly id: string;
      readonly mode: LockMode;
      /** Printed zxid: later grants of this lock always carry a greater one. */
      readonly token: string;
      readonly ttlMs: number;
      /** Ms since 1970, by the leader's clock. */
      readonly expiresAtMs: number;
      /** Somebody asks for the lock back. */
      readonly isRevoked: boolean;
    }
  /** Not granted within `waitMs`; the place in the queue is given up. */
  | { readonly kind: "timedOut"; readonly contenders: readonly Contender[] }
  | { readonly kind: "released" }
  /** No lock of that id (any more). */
  | { readonly kind: "gone" }
  /** The password is not the session's, or the place of that id is another session's. Nothing happened. */
  | { readonly kind: "foreign" }
  | { readonly kind: "refused"; readonly outcome: Outcome; readonly path: string }
  | NotServed
  | Unknown;

/** `zxid`: what this member had applied when it answered, printed. */
export type LockReply = (LockAnswer & { readonly zxid: string }) | NotServed;

export type LockView =
  | { readonly kind: "described"; readonly contenders: readonly Contender[]; readonly zxid: string }
  | {
      readonly kind: "refused";
      readonly outcome: Outcome;
      readonly path: string;
      readonly zxid: string;
    }
  | NotServed
  | Unknown;

export interface LockReference {
  readonly path: string;
  readonly id: string;
  /** In which the place was taken. */
  readonly session?: SessionCredential | undefined;
  readonly identities: readonly AuthId[];
}

export interface SeatRequest extends Omit<LockRequest, "mode" | "delayMs"> {
  /** 1 to 100,000: how many there are. The same for everybody. */
  readonly seats: number;
}

/** Who has a seat. ZooKeeper clients' leases are listed too. */
export interface SeatHolder {
  /** Of its znode, below `leases`. */
  readonly name: string;
  readonly owner: string;
  /** Printed zxid of its znode: the fencing token. */
  readonly token: string;
  readonly sinceMs: number;
}

export interface SemaphoreState {
  /** Seats, of which `holders` shows the first 1,000. */
  readonly taken: number;
  readonly holders: readonly SeatHolder[];
  /** The first of them has the turn. */
  readonly queue: readonly Contender[];
}

export type SeatAnswer =
  | {
      readonly kind: "granted";
      /** Printed zxid: later grants of this semaphore always carry a greater one. */
      readonly token: string;
      readonly ttlMs: number;
      /** Ms since 1970, by the leader's clock. */
      readonly expiresAtMs: number;
    }
  /** No seat within `waitMs`; the place in the queue is given up. */
  | ({ readonly kind: "timedOut" } & SemaphoreState)
  /** Nothing happened: others count on so many; `undefined`: what they wrote down is no number. */
  | { readonly kind: "otherSeats"; readonly seats: number | undefined }
  | Extract<LockAnswer, { readonly kind: "released" | "gone" | "foreign" | "refused" }>
  | NotServed
  | Unknown;

/** `zxid`: what this member had applied when it answered, printed. */
export type SeatReply = (SeatAnswer & { readonly zxid: string }) | NotServed;

export type SemaphoreView =
  | ({
      readonly kind: "described";
      /** `undefined`: nobody has taken one yet. */
      readonly seats: number | undefined;
      readonly zxid: string;
    } & SemaphoreState)
  | Exclude<LockView, { readonly kind: "described" }>;

/** Who is at the other end of a connection, as the Worker vouches for it. */
export interface Introduction {
  /** Empty: unknown. */
  readonly address: string;
  /** 0: unknown. */
  readonly port: number;
  /** Distinguished name of a TLS client certificate that a gateway has checked. */
  readonly x509?: string | undefined;
  /** Whether it must show the deployment's token before it may ask anything. */
  readonly mustShowToken: boolean;
  /** Whether its gateway wants to hear how much of what it sent has been taken up. */
  readonly wantsCredit: boolean;
  /** Its gateway may send its bytes on a WebSocket that all its connections share. */
  readonly lane?: LaneName | undefined;
}

/** Which connection of which gateway. */
export interface LaneName {
  /** A secret of the gateway's: who knows it speaks for its clients. */
  readonly gateway: string;
  /** 0 to `laneMax`; never used again. */
  readonly number: number;
}

/** The digest of a tree as ZooKeeper makes it, as of a txn. */
export type DigestAnswer =
  | {
      readonly kind: "digest";
      /** Printed. */
      readonly zxid: string;
      /** Unsigned, 64 bits, decimal. */
      readonly digest: string;
      /** How it is made: ZooKeeper's `DIGEST_VERSION`. */
      readonly version: number;
    }
  /** The caller may not do everything at the root. */
  | { readonly kind: "denied" }
  | NotServed;

export interface MemberApi {
  /** Members only: one carrier of packets there, one back. */
  exchange(carrier: Uint8Array): Promise<Uint8Array>;
  /**
   * Starts a member whose memory is gone; one that sleeps sleeps on, unless `rouse`: somebody doubts its leader,
   * and a sleeping learner would not notice that it hangs.
   */
  inspect(options?: { readonly rouse?: boolean | undefined }): Promise<MemberStatus>;
  /** Figures, and the lists asked for. A member that is not active yet is `blank`. */
  report(request: ReportRequest): Promise<MemberReport | NotServed>;
  /** Reads the whole tree. `overloaded`: another copy is under way, or a member far behind is sent one. */
  digestTree(identities: readonly AuthId[]): Promise<DigestAnswer>;
  /** First half of bootstrap: remembers the configuration, does not vote. Answers the state afterwards. */
  prepareBootstrap(config: EnsembleConfig): Promise<BootstrapState>;
  /** What `prepareBootstrap` stored; `undefined` while blank. */
  bootstrapConfig(): Promise<EnsembleConfig | undefined>;
  /** Second half, once every member is prepared. */
  activateBootstrap(): Promise<BootstrapState>;
  /** Members only: makes a blank object an outsider that waits to be named. Any number of times. */
  joinEnsemble(order: JoinOrder): Promise<Joined>;
  addMember(order: MemberOrder, identities: readonly AuthId[]): Promise<MembersReply>;
  removeMember(id: ServerId, identities: readonly AuthId[]): Promise<MembersReply>;
  perform(call: Call): Promise<Answer>;
  attendSession(order: SessionOrder): Promise<SessionAnswer>;
  acquireLock(request: LockRequest): Promise<LockReply>;
  keepLock(reference: LockReference): Promise<LockReply>;
  releaseLock(reference: LockReference): Promise<LockReply>;
  describeLock(path: string, identities: readonly AuthId[]): Promise<LockView>;
  takeSeat(request: SeatRequest): Promise<SeatReply>;
  keepSeat(reference: LockReference): Promise<SeatReply>;
  releaseSeat(reference: LockReference): Promise<SeatReply>;
  describeSemaphore(path: string, identities: readonly AuthId[]): Promise<SemaphoreView>;
  /**
   * Opens a client connection: a WebSocket of subprotocol `zookeeper` carrying the ZooKeeper byte stream.
   *
   * 101 with the socket; otherwise nothing happened: 421 with `Ek-Leader` when this member does not lead (0:
   * who does is unknown), 429 when it has too many connections, 503. With `Ek-Member: any` a member that
   * serves without leading takes it, too.
   * The Worker sets `Ek-Remote-Address` to the client's address, and `Ek-Remote-Port` where it knows it;
   * `Ek-Remote-X509` (percent-encoded) names the certificate of a client that a trusted gateway has checked, and
   * `Ek-Must-Show-Token: yes` lets the client ask nothing before it has shown the token.
   * With `Ek-Wants-Credit: yes` the 101 says `Ek-Credit: yes`, and text messages tell how many bytes have been
   * taken up: `credit <bytes>` since the last one, or `credit anew`: all that had come by then.
   *
   * With `Ek-Lane: <gateway>/<number>` the 101 says `Ek-Lane: <server id>`: the connection's bytes may come on a WebSocket
   * that the gateway shares among its connections to this server, all of them or none (`src/jute/lanes.ts`).
   * `Ek-Shared: <gateway>` opens that one; its 101 says `Ek-Shared: yes`.
   *
   * With `Ek-Stream-Identities` (percent-encoded JSON of the caller's identities) it opens a watch stream
   * instead: JSON messages, described in `docs/http.md`.
   *
   * With `Ek-Snapshot-Identities` (the same) it is no WebSocket: the tree is answered as a snapshot file of
   * ZooKeeper's. 200 with `Ek-Snapshot-Zxid` and `Ek-Snapshot-Bytes`, 403, 429 while another copy is under way, or as above.
   */
  fetch(request: Request): Promise<Response>;
}
