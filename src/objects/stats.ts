/**
 * Figures about traffic: what ZooKeeper's `srvr`, `cons` and `mntr` show.
 *
 * Volatile, and of this life only: a member that lost its memory counts from zero. Times are differences of
 * the turn's clock, which stands still within a turn, so whatever is answered in the turn it came in took
 * 0 ms.
 *
 * Sources: ZooKeeper `ServerStats`, `ServerCnxn.updateStatsForResponse`, `BufferStats`, `AvgMinMaxCounter`.
 *
 * @module
 */

import { ZERO_ZXID, type Zxid } from "../base/index.ts";

/** `min`, `max` and `last` are -1 before the first. */
export interface SizeFigures {
  readonly last: number;
  readonly min: number;
  readonly max: number;
}

/** Milliseconds; all 0 before the first. */
export interface LatencyFigures {
  readonly min: number;
  readonly max: number;
  readonly sum: number;
  readonly count: number;
}

export class Sizes {
  #figures: SizeFigures = noSizes;

  get figures(): SizeFigures {
    return this.#figures;
  }

  add(size: number): void {
    const { min, max } = this.#figures;
    this.#figures = { last: size, min: min === -1 ? size : Math.min(min, size), max: Math.max(max, size) };
  }

  reset(): void {
    this.#figures = noSizes;
  }
}

const noSizes: SizeFigures = { last: -1, min: -1, max: -1 };

export class Latencies {
  #min = 0;
  #max = 0;
  #sum = 0;
  #count = 0;

  get figures(): LatencyFigures {
    return { min: this.#min, max: this.#max, sum: this.#sum, count: this.#count };
  }

  add(ms: number): void {
    this.#min = this.#count === 0 ? ms : Math.min(this.#min, ms);
    this.#max = Math.max(this.#max, ms);
    this.#sum += ms;
    this.#count += 1;
  }

  reset(): void {
    this.#min = this.#max = this.#sum = this.#count = 0;
  }
}

/** Of all connections together, those that have gone included. */
export class ServerStats {
  received = 0;
  sent = 0;
  /** Auth packets that were refused. */
  authFailures = 0;
  /** Requests that were refused because they had waited for too long. */
  throttledOps = 0;
  /** What `stmk` set, and `gtmk` tells; ZooKeeper's default. */
  traceMask = "306";
  readonly latencies = new Latencies();
  readonly responses = new Sizes();
  readonly proposals = new Sizes();

  /** As `srst` does; when it last did is nobody's concern. */
  reset(): void {
    this.received = 0;
    this.sent = 0;
    this.latencies.reset();
    this.responses.reset();
    this.proposals.reset();
  }
}

/** Of one connection, as `cons` shows it. */
export interface ConnectionFigures {
  readonly received: number;
  readonly sent: number;
  /** Op code of the last request answered; `undefined` before the first. */
  readonly lastOp: number | undefined;
  /** Its xid; -1 before the first. */
  readonly lastCxid: number;
  /** Printed: what this member had applied when it answered it; `undefined` before the first. */
  readonly lastZxid: string | undefined;
  /** When it answered it, ms since 1970; 0 before the first. */
  readonly lastResponseMs: number;
  readonly lastLatencyMs: number;
  readonly latency: LatencyFigures;
}

/** What is remembered of an answer. */
export interface Answered {
  readonly type: number;
  readonly xid: number;
  readonly zxid: Zxid;
  /** When its request came, and now. */
  readonly sinceMs: number;
  readonly nowMs: number;
  readonly bytes: number;
}

export class ConnectionStats {
  readonly #server: ServerStats;
  readonly latencies = new Latencies();
  received = 0;
  sent = 0;
  lastOp: number | undefined;
  lastCxid = -1;
  lastZxid: Zxid = ZERO_ZXID;
  lastResponseMs = 0;
  lastLatencyMs = 0;

  constructor(server: ServerStats) {
    this.#server = server;
  }

  /** A frame has come. */
  took(): void {
    this.received += 1;
    this.#server.received += 1;
  }

  /** An event was sent. */
  notified(): void {
    this.sent += 1;
    this.#server.sent += 1;
  }

  answered({ type, xid, zxid, sinceMs, nowMs, bytes }: Answered): void {
    const latencyMs = Math.max(0, nowMs - sinceMs);
    this.sent += 1;
    this.lastOp = type;
    this.lastCxid = xid;
    this.lastZxid = zxid;
    this.lastResponseMs = nowMs;
    this.lastLatencyMs = latencyMs;
    this.latencies.add(latencyMs);
    this.#server.sent += 1;
    this.#server.latencies.add(latencyMs);
    this.#server.responses.add(bytes);
  }

  /** As `crst` does. */
  reset(): void {
    this.received = 0;
    this.sent = 0;
    this.lastOp = undefined;
    this.lastCxid = -1;
    this.lastZxid = ZERO_ZXID;
    this.lastResponseMs = 0;
    this.lastLatencyMs = 0;
    this.latencies.reset();
  }
}
