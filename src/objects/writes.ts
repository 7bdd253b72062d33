/**
 * The leader's write pipeline: requests in, batches proposed, writers told when their txn has applied.
 *
 * Requests are prepared the moment they arrive, in order. What was prepared in one turn, and while enough
 * batches are under way already, is proposed as one batch: one log row, one packet per follower. One write
 * alone never waits for company.
 *
 * Invariants:
 * - `#outstanding` holds the txns prepared and not applied, in that order, which is their zxid order.
 * - Once leadership is lost every outstanding writer hears `lost`, in the same turn.
 *
 * @module
 */

import { assert, type Requester, type Txn, type WriteRequest, type Zxid } from "../base/index.ts";
import { encodeTxn } from "../jute/index.ts";
import type { Applied, Tree } from "../tree/index.ts";

/** Proposed and not yet applied batches. Two keep the links busy while the next one gathers. */
const batchesInFlightMax = 2;

/** A batch closes at this many payload bytes; a single larger txn makes a batch of its own. */
const batchBytesMax = 512 * 1024;

/** Prepared and not yet applied txns; more are refused until some have applied. */
export const outstandingMax = 60_000;

/** Payload bytes of the same. */
export const outstandingBytesMax = 32 * 1024 * 1024;

export type Settlement =
  | { readonly kind: "applied"; readonly zxid: Zxid; readonly applied: Applied }
  /** Leadership ended: the write may have happened, or may yet. */
  | { readonly kind: "lost" };

export type Settle = (settlement: Settlement) => void;

export interface Writer {
  readonly requester: Requester;
  readonly cxid: number;
  readonly settle: Settle;
}

interface Outstanding {
  readonly txn: Txn;
  readonly bytes: number;
  readonly settle: Settle;
}

export interface WritesParts {
  readonly tree: Tree;
  propose(txns: readonly Txn[], payloads: readonly Uint8Array[]): void;
  now(): number;
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
  #gatheredBytes = 0;
  /** Txns left to apply in each batch under way. */
  #inFlight: number[] = [];
  #isProposing = false;

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
    const { requester, cxid, settle } = writer;
    const txn = this.#parts.tree.prepare(request, { requester, cxid, nowMs: this.#parts.now() });
    const payload = encodeTxn(txn);
    this.#outstanding.push({ txn, bytes: payload.length, settle });
    this.#outstandingBytes += payload.length;
    this.#gatheredTxns.push(txn);
    this.#gatheredPayloads.push(payload);
    this.#gatheredBytes += payload.length;
    if (this.#gatheredBytes >= batchBytesMax) this.#propose();
  }

  /** End of a turn: proposes what was gathered, unless enough is under way. */
  flush(): void {
    // From within `propose` there is nothing to do: the batch under way ends in a flush of its own.
    if (this.#isProposing) return;
    while (this.#isOpen && this.#gatheredTxns.length > 0 && this.#inFlight.length < batchesInFlightMax) {
      this.#propose();
    }
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
    const [left] = this.#inFlight;
    assert(left !== undefined && left > 0, "what applies was under way");
    if (left === 1) this.#inFlight.shift();
    else this.#inFlight[0] = left - 1;
  }

  #propose(): void {
    // A lone voter applies within `propose`, and writers may submit again from there.
    if (this.#isProposing) return;
    this.#isProposing = true;
    const txns = this.#gatheredTxns;
    const payloads = this.#gatheredPayloads;
    this.#clearGathered();
    this.#inFlight.push(txns.length);
    try {
      this.#parts.propose(txns, payloads);
    } finally {
      this.#isProposing = false;
    }
  }

  #clearGathered(): void {
    this.#gatheredTxns = [];
    this.#gatheredPayloads = [];
    this.#gatheredBytes = 0;
  }
}
