/**
 * Going on through what passes: lost connections, ended sessions, a server that is too busy.
 *
 * @module
 */

import { pause } from "./abort.ts";
import type { Client } from "./client.ts";
import { isZkError } from "./errors.ts";

/** Pause after a failure that time may cure, ms. */
export const retryMs = 1_000;

const passing = ["SessionExpired", "ConnectionLoss", "OperationTimeout", "ThrottledOp"] as const;

/** Whether time, another connection or the next session may cure it. */
export function isPassing(error: unknown): boolean {
  return passing.some((name) => isZkError(error, name));
}

/** For `catch`, where what has not passed yet goes on behind the caller, as `leave` does. */
export function undefinedIfPassing(error: unknown): undefined {
  if (!isPassing(error)) throw error;
}

/**
 * Runs until it succeeds. What fails with the connection is run again; what else it throws is thrown.
 *
 * @returns `undefined` when the signal aborts, or the client is closed, before it has succeeded.
 */
export async function persistently<Result>(
  client: Client,
  signal: AbortSignal,
  run: () => Promise<Result>,
): Promise<Result | undefined> {
  // One that is closing has ended its locks, and is not yet closed.
  const isOver = () => signal.aborted || client.closing.aborted || client.state.kind === "closed";
  while (!isOver()) {
    try {
      return await run();
    } catch (error) {
      if (isOver()) return undefined;
      if (!isPassing(error)) throw error;
      // The end of a session is followed by another at once; the rest takes its time.
      if (!isZkError(error, "SessionExpired"))
        await pause(client.clock, retryMs, signal).catch(() => undefined);
    }
  }
  return undefined;
}
