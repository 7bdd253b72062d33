/**
 * A leader without followers: a real tree and a real write pipeline over rows in memory.
 *
 * As a lone voter it applies what it proposes on the spot; otherwise a proposal waits until `agree`.
 *
 * @module
 */

import { makeZxid, NO_SESSION, type Txn, type WriteRequest, type Zxid } from "../../../src/base/index.ts";
import { type Settlement, type Writer, Writes, type WritesParts } from "../../../src/objects/writes.ts";
import { type Applied, MemoryRows, Tree } from "../../../src/tree/index.ts";

export interface LeaderOptions {
  /** Default: false. */
  readonly isLone?: boolean;
  readonly room?: WritesParts["room"];
  /** Between a txn's being applied and its writer's being told. */
  readonly applied?: (zxid: Zxid, txn: Txn, applied: Applied) => void;
}

export class Leader {
  readonly tree = new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000 });
  readonly writes: Writes;
  /** Sizes of all batches proposed so far. */
  readonly batches: number[] = [];
  nowMs = 1_000_000;
  /** What waits for time to pass; a lone voter's time passes by itself. */
  readonly timers = new Set<{ readonly ms: number; readonly run: () => void }>();
  readonly #options: LeaderOptions;
  readonly #waiting: (readonly Txn[])[] = [];

  constructor(options: LeaderOptions = {}) {
    this.#options = options;
    this.writes = new Writes({
      tree: this.tree,
      room: options.room,
      now: () => this.nowMs,
      propose: (txns, payloads) => this.#propose(txns, payloads),
      later: (ms, run) => {
        const timer = { ms, run };
        this.timers.add(timer);
        if (options.isLone === true) setImmediate(() => this.elapse());
        return () => this.timers.delete(timer);
      },
    });
    this.writes.open();
  }

  /** The oldest batch under way is committed; false when there is none. */
  agree(): boolean {
    const batch = this.#waiting.shift();
    for (const txn of batch ?? []) this.#apply(txn);
    return batch !== undefined;
  }

  /** Every timer set goes off, each in a turn of its own; false when none was. */
  elapse(): boolean {
    const timers = [...this.timers];
    for (const timer of timers) {
      if (!this.timers.delete(timer)) continue;
      timer.run();
      this.writes.flush();
    }
    return timers.length > 0;
  }

  /** Agrees to everything, and lets as much time pass as that takes. */
  settle(): void {
    do this.writes.flush();
    while (this.agree() || this.elapse());
  }

  /** Submits without an end of the turn; what came of it turns up in the answer. */
  submit(request: WriteRequest, writer: Partial<Writer> = {}): Settlement[] {
    const settled: Settlement[] = [];
    this.writes.submit(request, {
      requester: { sessionId: NO_SESSION, identities: [] },
      cxid: 0,
      settle: (settlement) => settled.push(settlement),
      ...writer,
    });
    return settled;
  }

  #propose(txns: readonly Txn[], payloads: readonly Uint8Array[]): void {
    if (txns.length !== payloads.length) throw new Error("every txn has its payload");
    this.batches.push(txns.length);
    if (this.#options.isLone === true) for (const txn of txns) this.#apply(txn);
    else this.#waiting.push(txns);
  }

  #apply(txn: Txn): void {
    const zxid = makeZxid(1, this.tree.applied.counter + 1);
    const applied = this.tree.apply(zxid, txn);
    this.#options.applied?.(zxid, txn, applied);
    this.writes.applied(zxid, applied);
  }
}
