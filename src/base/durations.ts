/**
 * Durations in requests and options: `"500ms"`, `"30s"`, `"2m"`, `"1h"`, or an integer of milliseconds.
 *
 * @module
 */

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `"500ms"`, `"30s"`, `"2m"`, `"1h"`, or an integer of milliseconds. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h"}`;

/** How a duration is spelt, for messages. */
export const durationForms = '"500ms", "30s", "2m", "1h" or an integer of milliseconds';

/** Milliseconds, or `undefined` for anything that is no duration. Whole numbers only. */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const parts = /^([0-9]{1,9})(ms|s|m|h)$/.exec(value);
  if (parts === null) return undefined;
  const [, amount = "", unit = ""] = parts;
  return Number(amount) * (unitMs[unit] ?? Number.NaN);
}

/** The shortest exact spelling: 30,000 is `30s`, 1,500 is `1500ms`. */
export function formatDuration(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}
