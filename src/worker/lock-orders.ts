/**
 * What a client may say when it asks for a lock, read from JSON once and strictly.
 *
 * @module
 */

import { durationForms, formatDuration, type LockMode, parseDuration } from "../base/index.ts";
import { ownerBytesMax } from "./limits.ts";
import { isLockId } from "./lock-ids.ts";
import { badRequest } from "./problems.ts";

export interface LockOrder {
  readonly mode: LockMode;
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly owner: string;
  readonly delayMs: number;
  /** The client's own, for its own repeats. */
  readonly id: string | undefined;
}

const ttlMsMin = 1_000;
const ttlMsMax = 600_000;
const ttlMsDefault = 30_000;
const waitMsMax = 60_000;
const delayMsMax = 600_000;

/** What is wrong with a `ttl` beside an `Ek-Session`. */
export const ttlOfSession = "is that of the session in Ek-Session, leave it out";

const fields = ["mode", "ttl", "wait", "owner", "lock_delay", "id"];

/**
 * Reads the body of a lock request; an empty one asks for an exclusive lock of 30 s, without waiting.
 *
 * @param isInSession - The place is to be in a session of the caller's, whose timeout counts.
 * @throws Problem 400 naming the field at fault.
 */
export function readLockOrder(
  body: Uint8Array,
  { path, isInSession }: { readonly path: string; readonly isInSession: boolean },
): LockOrder {
  const refuse = (reason: string) => badRequest(`Cannot lock ${JSON.stringify(path)}: ${reason}`, path);
  const order = body.byteLength === 0 ? {} : parseObject(body);
  if (order === undefined) throw refuse("the body is not a JSON object");
  const unknown = Object.keys(order).find((field) => !fields.includes(field));
  if (unknown !== undefined) {
    throw refuse(`${JSON.stringify(unknown.slice(0, 100))} is not a field, ${fields.join(", ")} are`);
  }
  const { mode = "exclusive", ttl = ttlMsDefault, wait = 0, owner = "", lock_delay = 0, id } = order;
  if (mode !== "exclusive" && mode !== "shared") throw refuse('"mode" must be "exclusive" or "shared"');
  if (isInSession && order["ttl"] !== undefined) throw refuse(`"ttl" ${ttlOfSession}`);
  const ttlMs = readWithin(ttl, ttlMsMin, ttlMsMax);
  if (ttlMs === undefined) throw refuse(durationFault("ttl", ttlMsMin, ttlMsMax));
  const waitMs = readWithin(wait, 0, waitMsMax);
  if (waitMs === undefined) throw refuse(durationFault("wait", 0, waitMsMax));
  const delayMs = readWithin(lock_delay, 0, delayMsMax);
  if (delayMs === undefined) throw refuse(durationFault("lock_delay", 0, delayMsMax));
  if (!isOwner(owner)) throw refuse(`"owner" must be text of at most ${ownerBytesMax} bytes of UTF-8`);
  if (id !== undefined && !isId(id)) throw refuse('"id" must be 32 lower-case hex digits');
  return { mode, ttlMs, waitMs, owner, delayMs, id };
}

export interface StealOrder {
  readonly by: string;
  readonly reason: string;
}

/**
 * Reads the body of a steal: who, and why, both of which are kept.
 *
 * @throws Problem 400 naming the field at fault.
 */
export function readStealOrder(
  body: Uint8Array,
  { action, path }: { readonly action: string; readonly path: string },
): StealOrder {
  const order = parseObject(body);
  if (order === undefined) throw badRequest(`${action}: the body is not a JSON object`, path);
  const unknown = Object.keys(order).find((field) => field !== "by" && field !== "reason");
  if (unknown !== undefined) {
    const field = JSON.stringify(unknown.slice(0, 100));
    throw badRequest(`${action}: ${field} is not a field, by and reason are`, path);
  }
  const { by, reason } = order;
  const form = `must be text of 1 to ${ownerBytesMax} bytes of UTF-8`;
  if (!isOwner(by) || by === "") throw badRequest(`${action}: "by" ${form}`, path);
  if (!isOwner(reason) || reason === "") throw badRequest(`${action}: "reason" ${form}`, path);
  return { by, reason };
}

function parseObject(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body),
    );
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readWithin(value: unknown, min: number, max: number): number | undefined {
  const ms = parseDuration(value);
  return ms !== undefined && ms >= min && ms <= max ? ms : undefined;
}

function durationFault(field: string, min: number, max: number): string {
  return `"${field}" must be ${formatDuration(min)} to ${formatDuration(max)}, as ${durationForms}`;
}

function isOwner(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value.isWellFormed() &&
    new TextEncoder().encode(value).byteLength <= ownerBytesMax
  );
}

function isId(value: unknown): value is string {
  return typeof value === "string" && isLockId(value);
}
