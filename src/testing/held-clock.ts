/**
 * A clock that only its holder moves: nothing waits, and everything happens in the same order every time.
 *
 * @module
 */

import { durationForms, parseDuration } from "../base/index.ts";
import { type Clock, type Duration, ZkError, ZkErrorCode } from "../client/index.ts";

/** An afternoon of 2026: znodes say that they were made then. */
const startMs = Date.UTC(2026, 0, 1, 12);

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

export class HeldClock implements Clock {
  readonly #settle: () => Promise<void>;
  #nowMs = startMs;
  readonly #timers = new Set<Timer>();

  /** @param settle - Lets everything happen that waits for nothing but its turn. */
  constructor(settle: () => Promise<void> = settled) {
    this.#settle = settle;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimer(run: () => void, ms: number): unknown {
    const timer: Timer = { atMs: this.#nowMs + ms, run };
    this.#timers.add(timer);
    return timer;
  }

  clearTimer(timer: unknown): void {
    this.#timers.delete(timer as Timer);
  }

  /** Always the middle: jitter is no part of a test. */
  random(): number {
    return 0.5;
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /**
   * Lets time pass: runs what falls due, in order, and lets promises settle in between.
   *
   * @param duration - `"30s"`, `"500ms"`, or ms. 0: only lets promises settle.
   * @throws {@link ZkError} `BadArguments` for what is no duration.
   */
  async advance(duration: Duration): Promise<void> {
    const ms = parseDuration(duration);
    if (ms === undefined) {
      const message = `Cannot advance the clock by "${duration}": write ${durationForms}`;
      throw new ZkError({ code: ZkErrorCode.BadArguments, message });
    }
    const untilMs = this.#nowMs + ms;
    await this.#settle();
    for (let due = this.#dueBy(untilMs); due !== undefined; due = this.#dueBy(untilMs)) {
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
      await this.#settle();
    }
    this.#nowMs = untilMs;
  }

  /** The earliest; of several the one that was set first. */
  #dueBy(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
    }
    return next;
  }
}

/** Turns of promises in a row that nothing between a client and a server exceeds. */
const settleTurns = 20;

/** Lets everything run that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let i = 0; i < settleTurns; i++) await Promise.resolve();
}
