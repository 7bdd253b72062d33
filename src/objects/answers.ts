/**
 * Answers of one connection, in the order of their requests.
 *
 * Some are ready when their request has been read, some when a txn has applied; each keeps its place. One
 * is written when it reaches the head of the queue, so whatever it reads then is as of all before it.
 *
 * Invariants:
 * - What is ahead of a write has been written when the write applies. So nothing stalls ahead of a write, and
 *   no write is taken while `mayWrite` is false.
 * - Nothing else is written past `outputBytesMax` in one turn but the answer that passes it.
 *
 * @module
 */

import type { JuteWriter, RequestHeader } from "../jute/index.ts";

/** Bytes answered in one turn, the last answer not counted; the other answers wait for a later turn. */
export const outputBytesMax = 4 * 1024 * 1024;

/**
 * Reads that may wait ahead of a write: that many are answered at once if need be, whatever their size. A client
 * that mixes reads and writes in one pipeline gets its writes into one batch up to here. With the largest znodes
 * that is 64 MiB of output, sent in messages of a MiB; a member has 128.
 */
export const readsAheadMax = 64;

/** What an answer is to. */
export interface Origin {
  readonly header: RequestHeader;
  /** When the request was taken up. */
  readonly sinceMs: number;
}

/** A place in the queue. */
export interface Slot extends Origin {
  readonly kind: "read" | "sync" | "write";
  isReady: boolean;
  /** Writes the answer, when its turn has come. */
  answer: () => void;
}

export interface AnswersParts {
  readonly out: JuteWriter;
  /** An answer of so many bytes was written. */
  answered(origin: Origin, bytes: number): void;
  /** Answers wait for a later turn. */
  stalled(): void;
}

export class Answers {
  readonly #parts: AnswersParts;
  #slots: Slot[] = [];
  #head = 0;
  #isStalled = false;
  /** Of those that are due. */
  #reads = 0;
  #writes = 0;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** Answers that are due, ready or not. */
  get length(): number {
    return this.#slots.length - this.#head;
  }

  /** Some are ready that this turn's output has no room for. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Whether all ahead of a write that is taken now will have been answered when it applies. */
  get mayWrite(): boolean {
    return !this.#isStalled && this.#reads <= readsAheadMax;
  }

  /** Queues an answer that is ready as it stands. */
  add({ header, sinceMs }: Origin, answer: () => void): void {
    this.#slots.push({ kind: "read", header, sinceMs, isReady: true, answer });
    this.#reads += 1;
    this.drain();
  }

  /** Keeps a place for an answer that is settled later. A write's only while `mayWrite`. */
  reserve(kind: "sync" | "write", { header, sinceMs }: Origin): Slot {
    const slot: Slot = { kind, header, sinceMs, isReady: false, answer: nothing };
    this.#slots.push(slot);
    if (kind === "write") this.#writes += 1;
    return slot;
  }

  settle(slot: Slot, answer: () => void): void {
    slot.isReady = true;
    slot.answer = answer;
    this.drain();
  }

  /** Writes what has reached the head. */
  drain(): void {
    const { out, answered, stalled } = this.#parts;
    this.#isStalled = false;
    for (;;) {
      const slot = this.#slots[this.#head];
      if (slot === undefined || !slot.isReady) break;
      if (out.length >= outputBytesMax && this.#writes === 0) {
        this.#isStalled = true;
        stalled();
        break;
      }
      this.#head += 1;
      if (slot.kind === "read") this.#reads -= 1;
      if (slot.kind === "write") this.#writes -= 1;
      const before = out.length;
      slot.answer();
      answered(slot, out.length - before);
    }
    if (this.#head === this.#slots.length) {
      this.clear();
    } else if (this.#head > 1024 && this.#head * 2 > this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Forgets all that are due: nobody waits any more. */
  clear(): void {
    this.#slots = [];
    this.#head = 0;
    this.#reads = 0;
    this.#writes = 0;
    this.#isStalled = false;
  }
}

function nothing(): void {}
