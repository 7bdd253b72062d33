/**
 * The recorded history of one lock's contenders, and what is wrong with it.
 *
 * The order of records is the order in which one process made them. A hold begins where its grant was
 * recorded and ends where its holder was about to release it, or was told that it is lost: the lock itself
 * was held longer than that, so whatever overlaps here has overlapped there.
 *
 * @module
 */

import type { LockMode } from "../../src/base/index.ts";

export interface LockRecord {
  readonly kind: "granted" | "ended";
  /** The contender's place in the queue: its znode's sequence. */
  readonly place: number;
  readonly mode: LockMode;
  /** The fencing token. */
  readonly token: bigint;
}

/**
 * Every breach of what a fair lock promises; none for a good history.
 *
 * - Exclusion: an exclusive hold overlaps no other hold.
 * - Order: nobody is granted the lock while a contender before it, which excludes it, has yet to end.
 * - Tokens: one contender each, greater for later places.
 * - Completeness: one grant and one end for everybody.
 *
 * @param count - Contenders there were.
 */
export function faultsOf(records: readonly LockRecord[], count: number): readonly string[] {
  return [...orderFaults(records), ...tokenFaults(records), ...countFaults(records, count)];
}

function orderFaults(records: readonly LockRecord[]): string[] {
  const faults: string[] = [];
  const contenders = records.filter(({ kind }) => kind === "granted");
  const held = new Map<number, LockRecord>();
  const ended = new Set<number>();
  for (const record of records) {
    if (record.kind === "ended") {
      if (!held.delete(record.place)) faults.push(`${record.place} ends what it does not hold`);
      ended.add(record.place);
      continue;
    }
    for (const holder of held.values()) {
      if (excludes(holder, record)) faults.push(`${record.place} holds it together with ${holder.place}`);
    }
    const overtaken = contenders.find(
      (other) =>
        other.place < record.place &&
        excludes(other, record) &&
        !ended.has(other.place) &&
        !held.has(other.place),
    );
    if (overtaken !== undefined) faults.push(`${record.place} overtakes ${overtaken.place}`);
    held.set(record.place, record);
  }
  return faults;
}

function excludes(one: LockRecord, other: LockRecord): boolean {
  return one.mode === "exclusive" || other.mode === "exclusive";
}

function tokenFaults(records: readonly LockRecord[]): string[] {
  const queue = records
    .filter(({ kind }) => kind === "granted")
    .toSorted((one, other) => one.place - other.place);
  return queue.flatMap((record, at) => {
    const before = queue[at - 1];
    if (before === undefined || record.token > before.token) return [];
    return [`${record.place} has token ${record.token}, and ${before.place} before it ${before.token}`];
  });
}

function countFaults(records: readonly LockRecord[], count: number): string[] {
  return (["granted", "ended"] as const).flatMap((kind) => {
    const places = records.filter((record) => record.kind === kind).map(({ place }) => place);
    const distinct = new Set(places).size;
    if (places.length === count && distinct === count) return [];
    return [`${places.length} records "${kind}" of ${distinct} contenders, where there were ${count}`];
  });
}

/**
 * Releases that told more clients than they had to; none when no herd was woken.
 *
 * A release is told to its holder, to the exclusive contender that waited for it, if any, and to every shared one
 * that has the lock by it: those between an exclusive holder and the next exclusive contender.
 *
 * @param told - By place: how many clients were told that it is gone.
 */
export function herdFaults(
  records: readonly LockRecord[],
  told: ReadonlyMap<number, number>,
): readonly string[] {
  const queue = records
    .filter(({ kind }) => kind === "granted")
    .toSorted((one, other) => one.place - other.place);
  return queue.flatMap(({ place, mode }, at) => {
    const behind = queue.slice(at + 1);
    const exclusiveAt = behind.findIndex((other) => other.mode === "exclusive");
    const shared = exclusiveAt === -1 ? behind.length : exclusiveAt;
    const most = 2 + (mode === "exclusive" ? shared : 0);
    const events = told.get(place) ?? 0;
    return events <= most ? [] : [`the release of ${place} told ${events}, ${most} had to know`];
  });
}
