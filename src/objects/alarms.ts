/**
 * The one alarm of an object, and the plan behind it.
 *
 * The plan is durable and says what is due when; the alarm is set to the earliest. It changes when a member
 * falls asleep or wakes, not with every event: each change is a row and a row of the alarm's.
 *
 * Platform: one alarm per object; it may run late, twice, or get lost; set to the present from within itself
 * it stalls (workerd issue 6866, 2026-11).
 *
 * @module
 */

import { clearSchedule, nextDueMs, type ScheduleName, setSchedule, takeDue } from "./sql/schedule.ts";

/** When which is due, in ms since 1970; what is not named is not planned. */
export type Plan = Readonly<Partial<Record<ScheduleName, number | undefined>>>;

const names = ["sessions", "sweep", "watchdog"] as const satisfies readonly ScheduleName[];

export class Alarms {
  readonly #storage: DurableObjectStorage;
  /** What the platform was told: `undefined` for nothing yet in this incarnation, `0` for no alarm. */
  #armedMs: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  get nextDueMs(): number | undefined {
    return nextDueMs(this.#storage.sql);
  }

  /** Replaces the plan. */
  plan(plan: Plan, nowMs: number): void {
    const { sql } = this.#storage;
    for (const name of names) {
      const dueMs = plan[name];
      if (dueMs === undefined) clearSchedule(sql, name);
      else setSchedule(sql, name, dueMs);
    }
    this.arm(nowMs);
  }

  /** The alarm has gone off: what is due, which is planned no longer. The platform has no alarm now. */
  take(nowMs: number): ReadonlySet<string> {
    this.#armedMs = undefined;
    return new Set(takeDue(this.#storage.sql, nowMs));
  }

  /** Sets the platform's alarm to the plan. */
  arm(nowMs: number): void {
    const dueMs = this.nextDueMs ?? 0;
    if (dueMs === this.#armedMs) return;
    this.#armedMs = dueMs;
    // Errors surface through the output gate; there is nothing to await.
    if (dueMs === 0) void this.#storage.deleteAlarm();
    else void this.#storage.setAlarm(Math.max(dueMs, nowMs + 1));
  }
}
