/**
 * Vitest for the SDK's contracts on a ZooKeeper that somebody else has started: `test/clients/sdk.ts`.
 *
 * @module
 */

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["test/clients/sdk-contract.ts"], testTimeout: 120_000 },
});
