/**
 * `vigil`: the sessions' deadlines as a leader left them when it fell asleep.
 *
 * Rows written are the bill, and this is written at every sleep: many sessions share a row.
 *
 * @module
 */

import { assert, makeSessionId } from "../../base/index.ts";
import type { Watched } from "../../tree/index.ts";

/** Sessions of one row: about 500 KB of text, where a row takes 2 MB. */
export const vigilRowSessions = 10_000;

export interface Vigil {
  /** Of the leader that left it. */
  readonly epoch: number;
  readonly watched: readonly Watched[];
}

/** Replaces what was there. */
export function writeVigil(sql: SqlStorage, { epoch, watched }: Vigil): void {
  const rows = Math.ceil(watched.length / vigilRowSessions);
  sql.exec(`DELETE FROM vigil WHERE chunk >= ?`, rows);
  for (let chunk = 0; chunk < rows; chunk++) {
    const some = watched.slice(chunk * vigilRowSessions, (chunk + 1) * vigilRowSessions);
    sql.exec(
      `INSERT INTO vigil (chunk, epoch, watched) VALUES (?, ?, ?)
       ON CONFLICT (chunk) DO UPDATE SET epoch = excluded.epoch, watched = excluded.watched`,
      chunk,
      epoch,
      JSON.stringify(some.map(toTuple)),
    );
  }
}

/** `undefined` when nobody left any. */
export function readVigil(sql: SqlStorage): Vigil | undefined {
  const watched: Watched[] = [];
  let epoch: number | undefined;
  for (const row of sql.exec<{ epoch: number; watched: string }>(
    `SELECT epoch, watched FROM vigil ORDER BY chunk`,
  )) {
    assert(epoch === undefined || epoch === row.epoch, "a vigil is of one epoch");
    epoch = row.epoch;
    const tuples: unknown = JSON.parse(row.watched);
    assert(Array.isArray(tuples), "a row of the vigil is a list");
    for (const tuple of tuples) watched.push(fromTuple(tuple));
  }
  return epoch === undefined ? undefined : { epoch, watched };
}

export function deleteVigil(sql: SqlStorage): void {
  sql.exec(`DELETE FROM vigil`);
}

function toTuple({ id, timeoutMs, deadlineMs, isSuspected }: Watched): unknown[] {
  return [id.toString(16), timeoutMs, deadlineMs, isSuspected ? 1 : 0];
}

function fromTuple(tuple: unknown): Watched {
  assert(Array.isArray(tuple) && tuple.length === 4, "a session of the vigil has four parts");
  const [id, timeoutMs, deadlineMs, isSuspected]: unknown[] = tuple;
  assert(typeof id === "string" && /^-?[0-9a-f]{1,16}$/.test(id), "a session of the vigil has an id");
  assert(Number.isInteger(timeoutMs) && Number.isInteger(deadlineMs), "times of the vigil are whole ms");
  const magnitude = BigInt(`0x${id.replace("-", "")}`);
  return {
    id: makeSessionId(id.startsWith("-") ? -magnitude : magnitude),
    timeoutMs: Number(timeoutMs),
    deadlineMs: Number(deadlineMs),
    isSuspected: isSuspected === 1,
  };
}
