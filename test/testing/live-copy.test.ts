/**
 * Proves that a copy of a server that cannot be had fails by its own error, and by nothing besides: an error
 * that nobody hears would end the command before it could say what happened.
 *
 * @module
 */

import { afterEach, beforeEach, expect, test } from "vitest";
import { copyLive } from "../../src/cli/migration/live-copy.ts";
import { fakeEnsemble } from "../../src/testing/index.ts";

const unheard: unknown[] = [];
const listen = (reason: unknown) => void unheard.push(reason);
beforeEach(() => void process.on("unhandledRejection", listen));
afterEach(() => void process.off("unhandledRejection", listen));

test("copyLive() of an unreachable server rejects with OperationTimeout, and nothing goes unheard", async () => {
  const ensemble = fakeEnsemble();
  const zk = ensemble.connect({ operationTimeout: "2s" });
  await zk.create("/app", "data");
  await ensemble.disconnect(zk);
  const failed = copyLive(zk).catch((error: unknown) => error);
  await ensemble.advance("10s");
  expect(await failed).toMatchObject({ codeName: "OperationTimeout", outcome: "notApplied" });
  await new Promise((resolve) => setImmediate(resolve));
  expect(unheard).toEqual([]);
});
