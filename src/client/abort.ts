/**
 * Waiting that an AbortSignal can end.
 *
 * @module
 */

import type { Clock } from "./transport.ts";

/**
 * The promise's end, or a rejection with the signal's reason, whichever comes first.
 *
 * A promise that nobody waits for any more may reject: it is heard, and nothing comes of it.
 */
export function orAbort<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: unknown;
  const paused = new Promise<void>((resolve) => {
    timer = clock.setTimer(resolve, ms);
  });
  try {
    await orAbort(paused, signal);
  } finally {
    clock.clearTimer(timer);
  }
}
