/**
 * Proves that waiting ends with its signal, and that a promise nobody waits for any more is still heard.
 *
 * A promise that rejects unheard would fail the run by itself: vitest counts unhandled rejections as errors. The
 * listeners here say so without it.
 *
 * @module
 */

import { expect, test } from "vitest";
import { orAbort } from "../../src/client/abort.ts";

const reason = new Error("the caller gave up");

/** What rejected and was heard by nobody while `run` went on, and a turn of the event loop longer. */
async function unheardDuring(run: () => Promise<void>): Promise<unknown[]> {
  const unheard: unknown[] = [];
  const hear = (error: unknown) => unheard.push(error);
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", hear);
  try {
    await run();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.removeListener("unhandledRejection", hear);
    for (const other of others) process.on("unhandledRejection", other);
  }
  return unheard;
}

test("orAbort() with a signal that has aborted rejects with its reason and hears the promise's rejection", async () => {
  const unheard = await unheardDuring(async () => {
    const late = Promise.reject(new Error("nobody waits for this"));
    await expect(orAbort(late, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
  expect(unheard).toEqual([]);
});

test("orAbort() with a signal that aborts meanwhile rejects with its reason and hears the promise's rejection", async () => {
  const unheard = await unheardDuring(async () => {
    const controller = new AbortController();
    let fail: (error: unknown) => void = () => undefined;
    const promise = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const waited = orAbort(promise, controller.signal);
    controller.abort(reason);
    await expect(waited).rejects.toBe(reason);
    fail(new Error("nobody waits for this"));
  });
  expect(unheard).toEqual([]);
});

test("orAbort() with a signal that has aborted prefers its reason to a value that is there", async () => {
  await expect(orAbort(Promise.resolve(1), AbortSignal.abort(reason))).rejects.toBe(reason);
});

test.each([
  ["a signal that stays quiet", new AbortController().signal],
  ["no signal", undefined],
])("orAbort() with %s passes the promise's end on", async (_, signal) => {
  await expect(orAbort(Promise.resolve(1), signal)).resolves.toBe(1);
  await expect(orAbort(Promise.reject(reason), signal)).rejects.toBe(reason);
});
