/**
 * Four kinds of test, by where they have to run.
 *
 * - `unit`: plain Node. Everything that is not one of the others.
 * - `sim`: the cluster simulator, a short run of it.
 * - `workerd`: inside the Workers runtime, `*.workerd.test.ts` only, with the Worker of `wrangler.toml`.
 * - `process`: real processes on real ports; one file at a time, because they measure and kill.
 *
 * @module
 */

import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const workerd = ["test/**/*.workerd.test.ts"];
const sim = ["test/sim/**/*.test.ts"];
const processes = ["test/local/**/*.test.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [...workerd, ...sim, ...processes],
        },
      },
      { test: { name: "sim", include: sim, testTimeout: 120_000 } },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            // As `npm start` sets it: without it and without EK_TOKEN the Worker serves nobody.
            miniflare: { bindings: { EK_OPEN_ON_LOOPBACK: "on" } },
          }),
        ],
        test: { name: "workerd", include: workerd, testTimeout: 30_000 },
      },
      {
        test: {
          name: "process",
          include: processes,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
