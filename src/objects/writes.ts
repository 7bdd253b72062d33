/**
 * The leader's write pipeline: requests in, batches proposed, writers told when their txn has applied.
 *
 * Requests are prepared the moment they arrive, in order. What was prepared in one turn, and while a batch is
 * under way, is proposed as one batch: one log row and one flush per member, one packet per follower. One
 * write alone never waits for company. A batch that takes its time (followers far away) is not waited for
 * beyond `gatherMsMax`: the leader's flush of the next one then falls into the time of the call under way.
 *
 * Invariants:
 * - `#outstanding` holds the txns prepared and not applied, in that order, which is their zxid order.
 * - Once leadership is lost every outstanding writer hears `lost`, in the same turn.
 *
 * @module
 */

import {
  assert,
  isWriteType,
  type Requester,
  type ServerId,
  type Txn,
  type WriteRequest,
  type Zxid,
} from "../base/index.ts";
import { encodeTxn } from "../jute/index.ts";
import type { Applied, EnsembleView, Tree } from "../tree/index.ts";
import type { LearnerSession } from "../zab/index.ts";
import type { Call } from "./api.ts";

/** Proposed and not yet applied batches: one that is called for, and one that the next call will bring. */
const batchesInFlightMax = 2;

/**
 * How long a batch under way holds up the next, in ms. A batch costs every member a row, a flush and an event,
 * whatever is in it, so more in each is faster. Beyond a slow disk's flushes and below a round trip around the
 * world: what takes longer is the way, and the leader's next flush can fall into it.
 */
export const gatherMsMax = 20;

/** A batch closes at this many payload bytes; a single larger txn makes a batch of its own. */
const batchBytesMax = 512 * 1024;

/** Prepared and not yet applied txns; more are refused until some have applied. */
export const outstandingMax = 60_000;

/** Payload bytes of the same. */
export const outstandingBytesMax = 32 * 1024 * 1024;

/** How long a batch waits until it is as large as the one before it, in ms. A batch of one makes nobody wait. */
export const companyMsMax = 1;

export type Settlement =
  | { readonly kind: "applied"; readonly zxid: Zxid; readonly applied: Applied }
  /** Leadership ended: the write may have happened, or may yet. */
  | { readonly kind: "lost" };

export type Settle = (settlement: Settlement) => void;

/** A learner whose client it is, and the session to answer it in. */
export interface Origin {
  readonly id: ServerId;
  readonly session: LearnerSession;
}

export interface Writer {
  readonly requester: Requester;
  readonly cxid: number;
  readonly settle: Settle;
  /** Default: a client of this member, or nobody's. */
  readonly origin?: Origin | undefined;
}

interface Outstanding {
  readonly bytes: number;
  readonly settle: Settle;
}

interface BatchInFlight {
  readonly sinceMs: number;
  /** Txns in it. */
  readonly size: number;
  /** Txns of it left to apply. */
  left: number;
}

export interface WritesParts {
  readonly tree: Tree;
  /** `origins`: of each txn. */
  propose(
    txns: readonly Txn[],
    payloads: readonly Uint8Array[],
    origins: readonly (Origin | undefined)[],
  ): void;
  /** For requests to change the members. Default: those are not there. */
  readonly ensemble?: EnsembleView | undefined;
  /** Whether this member's storage is full. Default: never. */
  readonly room?: { readonly isFull: boolean } | undefined;
  now(): number;
  /** Runs something in a turn of its own after so many ms; answers how to call it off. */
  later(ms: number, run: () => void): () => void;
}

export class Writes {
  readonly #parts: WritesParts;
  #isOpen = false;
  #outstanding: Outstanding[] = [];
  /** Index of the oldest in `#outstanding`: shifting an array for every write would be quadratic. */
  #head = 0;
  #outstandingBytes = 0;
  #gatheredTxns: Txn[] = [];
  #gatheredPayloads: Uint8Array[] = [];
  #gatheredOrigins: (Origin | undefined)[] = [];
  #gatheredBytes = 0;
  /** Oldest first. */
  #inFlight: BatchInFlight[] = [];
  #isProposing = false;
  /** Writes that a batch is to hold before it leaves at once: those waiting, and as many as were just told. */
  #expected = 0;
  /** Ends the wait for company under way. */
  #endWait: (() => void) | undefined;

  constructor(parts: WritesParts) {
    this.#parts = parts;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How many writers wait for their txn to apply. */
  get outstanding(): number {
    return this.#outstanding.length - this.#head;
  }

  /** Leadership is established: everything before is applied. */
  open(): void {
    assert(this.outstanding === 0, "a new leader has proposed nothing");
    this.#isOpen = true;
  }

  /** Leadership is lost. */
  close(): void {
    this.#isOpen = false;
    const lost = this.#outstanding.slice(this.#head);
    this.#outstanding = [];
    this.#head = 0;
    this.#outstandingBytes = 0;
    this.#clearGathered();
    this.#stopWaiting();
    this.#expected = 0;
    this.#inFlight = [];
    this.#parts.tree.discardPrepared();
    for (const { settle } of lost) settle({ kind: "lost" });
  }

  /** Whether another write may be submitted now. */
  get hasRoom(): boolean {
    return this.outstanding < outstandingMax && this.#outstandingBytes < outstandingBytesMax;
  }

  /** Prepares a write; `flush` at the end of the turn proposes it. Only while open. */
  submit(request: WriteRequest, writer: Writer): void {
    assert(this.#isOpen, "only an established leader takes writes");
    const { requester, cxid, settle, origin } = writer;
    const txn = this.#parts.tree.prepare(request, {
      requester,
      cxid,
      nowMs: this.#parts.now(),
      ensemble: this.#parts.ensemble,
      isFull: this.#parts.room?.isFull,
    });
    const payload = encodeTxn(txn);
    this.#outstanding.push({ bytes: payload.length, settle });
    this.#outstandingBytes += payload.length;
    this.#gatheredTxns.push(txn);
    this.#gatheredPayloads.push(payload);
    this.#gatheredOrigins.push(origin);
    this.#gatheredBytes += payload.length;
    if (this.#gatheredBytes >= batchBytesMax) this.#propose();
  }

  /** End of a turn: proposes what was gathered, unless it is better kept for more. */
  flush(): void {
    // From within `propose` there is nothing to do: the batch under way ends in a flush of its own.
    if (this.#isProposing) return;
    while (this.#isOpen && this.#gatheredTxns.length > 0 && this.#mayPropose()) this.#propose();
  }

  #mayPropose(): boolean {
    const newest = this.#inFlight.at(-1);
    if (newest === undefined) return !this.#awaitsCompany();
    if (this.#inFlight.length >= batchesInFlightMax) return false;
    return this.#parts.now() - newest.sinceMs >= gatherMsMax && !this.#awaitsCompany();
  }

  /** Those who were told together write again at about the same time: a moment brings them together again. */
  #awaitsCompany(): boolean {
    if (this.#gatheredTxns.length >= this.#expected) return false;
    this.#endWait ??= this.#parts.later(companyMsMax, () => {
      this.#endWait = undefined;
      // Whoever has not come by now is not expected again.
      this.#expected = this.#gatheredTxns.length;
    });
    return true;
  }

  #stopWaiting(): void {
    this.#endWait?.();
    this.#endWait = undefined;
  }

  /** A txn has applied. While open it is the oldest outstanding one. */
  applied(zxid: Zxid, applied: Applied): void {
    if (!this.#isOpen) return;
    const oldest = this.#outstanding[this.#head];
    assert(oldest !== undefined, "an open leader applies what it proposed");
    this.#head += 1;
    this.#outstandingBytes -= oldest.bytes;
    if (this.#head > 1024 && this.#head * 2 > this.#outstanding.length) {
      this.#outstanding = this.#outstanding.slice(this.#head);
      this.#head = 0;
    }
    this.#countDown();
    oldest.settle({ kind: "applied", zxid, applied });
  }

  #countDown(): void {
    const [oldest] = this.#inFlight;
    assert(oldest !== undefined && oldest.left > 0, "what applies was under way");
    oldest.left -= 1;
    if (oldest.left > 0) return;
    this.#inFlight.shift();
    this.#expected = oldest.size + this.#gatheredTxns.length;
  }

  #propose(): void {
    // A lone voter applies within `propose`, and writers may submit again from there.
    if (this.#isProposing) return;
    this.#isProposing = true;
    this.#stopWaiting();
    const txns = this.#gatheredTxns;
    const payloads = this.#gatheredPayloads;
    const origins = this.#gatheredOrigins;
    this.#clearGathered();
    this.#inFlight.push({ sinceMs: this.#parts.now(), size: txns.length, left: txns.length });
    try {
      this.#parts.propose(txns, payloads, origins);
    } finally {
      this.#isProposing = false;
    }
  }

  #clearGathered(): void {
    this.#gatheredTxns = [];
    this.#gatheredPayloads = [];
    this.#gatheredOrigins = [];
    this.#gatheredBytes = 0;
  }
}

/** Whether a call is a write, whatever becomes of it. */
export function isWrite(request: Call["request"]): request is WriteRequest {
  return isWriteType(request.type);
}
