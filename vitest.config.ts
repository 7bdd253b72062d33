/**
 * Four kinds of test, by where they have to run.
 *
 * - `unit`: plain Node. Everything that is not one of the others.
 * - `sim`: the cluster simulator, a short run of it.
 * - `workerd`: inside the Workers runtime, `*.workerd.test.ts` only, with the Worker of `wrangler.toml`.
 * - `process`: real processes on real ports, one file at a time, because they measure and kill.
 *
 * The last two come after the first two and one after the other: what has a deadline of its own wants the
 * machine to itself.
 *
 * @module
 */

import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const workerd = ["test/**/*.workerd.test.ts"];
const sim = ["test/sim/**/*.test.ts"];
const processes = [
  "test/local/**/*.test.ts",
  "test/testing/local-*.test.ts",
  "test/package/**/*.test.ts",
  "test/gateway/gateway.test.ts",
  "test/gateway/words.test.ts",
  "test/gateway/tls.test.ts",
  "test/client/contenders.test.ts",
  "test/cli/ek.test.ts",
  "test/recipes/recipes.test.ts",
];

/** No test waits for the clock to pass; this is how long a busy machine may make it wait. */
const patienceMs = 30_000;

/**
 * An object that is made while its test file ends, because another one called it, asks for its module and gets no answer
 * any more. The tests are over by then.
 */
function isOfTheEnd({ name, message }: { readonly name?: unknown; readonly message: string }): boolean {
  return name === "EnvironmentTeardownError" && message.endsWith('Closing rpc while "resolve" was pending');
}

export default defineConfig({
  test: {
    onUnhandledError: (error) => !isOfTheEnd(error),
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [...workerd, ...sim, ...processes],
          testTimeout: patienceMs,
        },
      },
      {
        // The world of members runs the real `Member` on a double of the platform.
        resolve: { alias: { "cloudflare:workers": `${import.meta.dirname}/test/sim/shell/workers.ts` } },
        test: { name: "sim", include: sim, testTimeout: 4 * patienceMs },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            // As `npm start` sets it: without it and without EK_TOKEN the Worker serves nobody.
            miniflare: {
              bindings: { EK_OPEN_ON_LOOPBACK: "on" },
              // For the guard's tests: stores of the kind that its users have.
              r2Buckets: ["GUARDED_BUCKET"],
              d1Databases: ["GUARDED_DATABASE"],
            },
          }),
        ],
        test: { name: "workerd", include: workerd, testTimeout: patienceMs, sequence: { groupOrder: 1 } },
      },
      {
        test: {
          name: "process",
          include: processes,
          fileParallelism: false,
          testTimeout: 4 * patienceMs,
          hookTimeout: 2 * patienceMs,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
