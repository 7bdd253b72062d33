/**
 * What a member leaves to its alarm, awake and asleep, so that sessions are ended in any case.
 *
 * - No sessions: no alarm. (A leader with TTL znodes or containers has one for the next that is due.)
 * - Awake with sessions: a dead-man's switch, should every member lose its memory at once.
 * - Asleep, the leader: its deadlines are left behind, and the alarm is set to the first.
 * - Asleep, another voter: an alarm now and then, to ask whether the leader's is still there.
 *
 * @module
 */

import type { Plan } from "./alarms.ts";
import type { Leading } from "./leading.ts";
import { deleteVigil, readVigil, writeVigil } from "./sql/vigil.ts";
import { sleepingWatchdogMs, watchdogMs } from "./timing.ts";
import { earliest } from "./vigil.ts";

export interface RestParts {
  readonly sql: SqlStorage;
  readonly isVoter: boolean;
  now(): number;
  /** Replaces what is to be done, and when, should nobody be awake. */
  plan(plan: Plan): void;
  sessionCount(): number;
  /** While this member leads. */
  leading(): Leading | undefined;
}

export class Rest {
  readonly #parts: RestParts;
  #isAsleep = false;
  /** The dead-man's switch is set until then. */
  #watchedUntilMs = 0;

  constructor(parts: RestParts) {
    this.#parts = parts;
  }

  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  /** A tick has passed. */
  tick(): void {
    const nowMs = this.#parts.now();
    if (this.#parts.sessionCount() === 0 || nowMs < this.#watchedUntilMs) return;
    this.#watchedUntilMs = nowMs + watchdogMs;
    this.#parts.plan({ watchdog: this.#watchedUntilMs });
  }

  /** End of a turn; whether the member has just woken, with its memory. */
  turn(isAsleep: boolean): boolean {
    if (isAsleep === this.#isAsleep) return false;
    this.#isAsleep = isAsleep;
    if (isAsleep) this.#fallAsleep();
    else this.#wake();
    return !isAsleep;
  }

  #fallAsleep(): void {
    const { sql, isVoter, now, plan, sessionCount, leading } = this.#parts;
    const reign = leading();
    if (reign === undefined) {
      const isWatching = sessionCount() > 0 && isVoter;
      return plan(isWatching ? { watchdog: now() + sleepingWatchdogMs } : {});
    }
    const { watched, sweepAtMs: sweep } = reign.rest();
    writeVigil(sql, { epoch: reign.epoch, watched });
    plan({ sweep, sessions: watched.length === 0 ? undefined : earliest(watched) });
  }

  #wake(): void {
    const { sql, leading } = this.#parts;
    this.#watchedUntilMs = 0;
    this.tick();
    leading()?.wake(readVigil(sql)?.watched ?? []);
    deleteVigil(sql);
  }
}
