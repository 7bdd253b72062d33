/**
 * The recorded history of those who take seats of one semaphore, or lead in one election, and what is wrong with it.
 *
 * The order of records is the order in which one process made them. A hold lies within the time its seat was really
 * held, as in `lock-history.ts`, so whatever overlaps here has overlapped there.
 *
 * @module
 */

export interface SeatRecord {
  /** `asked`: began to wait. */
  readonly kind: "asked" | "granted" | "ended";
  /** Which of all the holds. */
  readonly hold: number;
  /** The fencing token; `undefined` for who has just asked. */
  readonly token?: bigint | undefined;
}

export interface SeatBounds {
  /** Holders at most; 1 for an election. */
  readonly seats: number;
  /** Holds there were. */
  readonly count: number;
}

/**
 * Every breach of what seats promise; none for a good history.
 *
 * - Exclusion: never more holders than seats.
 * - Tokens: each its own, and greater than that of every hold that ended before it was granted. With several seats the
 *   grant itself may be heard of late, so there it is every hold that ended before it was asked for.
 * - Completeness: one grant and one end for everybody, so nobody who waited was forgotten.
 */
export function seatFaults(records: readonly SeatRecord[], { seats, count }: SeatBounds): readonly string[] {
  return [
    ...exclusionFaults(records, seats),
    ...tokenFaults(records, seats === 1 ? "granted" : "asked"),
    ...(["asked", "granted", "ended"] as const).flatMap((kind) => countFaults(records, kind, count)),
  ];
}

function exclusionFaults(records: readonly SeatRecord[], seats: number): string[] {
  const faults: string[] = [];
  const held = new Set<number>();
  for (const { kind, hold } of records) {
    if (kind === "ended" && !held.delete(hold)) faults.push(`${hold} ends what it does not hold`);
    if (kind !== "granted") continue;
    held.add(hold);
    if (held.size > seats) faults.push(`${[...held].join(", ")} hold ${seats} together`);
  }
  return faults;
}

function tokenFaults(records: readonly SeatRecord[], after: "asked" | "granted"): string[] {
  const tokens = new Map(
    records.flatMap(({ kind, hold, token }) =>
      kind === "granted" && token !== undefined ? [[hold, token] as const] : [],
    ),
  );
  const faults: string[] = [];
  if (new Set(tokens.values()).size !== tokens.size) faults.push("two holds have one token");
  let greatest: readonly [hold: number, token: bigint] | undefined;
  for (const { kind, hold } of records) {
    const token = tokens.get(hold);
    if (token === undefined) continue;
    if (kind === after && greatest !== undefined && token <= greatest[1]) {
      faults.push(`${hold} has token ${token}, and ${greatest[0]} before it ${greatest[1]}`);
    }
    if (kind === "ended" && (greatest === undefined || token > greatest[1])) greatest = [hold, token];
  }
  return faults;
}

function countFaults(records: readonly SeatRecord[], kind: SeatRecord["kind"], count: number): string[] {
  const holds = records.filter((record) => record.kind === kind).map(({ hold }) => hold);
  const distinct = new Set(holds).size;
  if (holds.length === count && distinct === count) return [];
  return [`${holds.length} records "${kind}" of ${distinct} holds, where there were ${count}`];
}
