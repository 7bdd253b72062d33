/**
 * Our own client against Apache ZooKeeper: the contracts that every server of the SDK is held to.
 *
 * On our servers they run in `npm test` (`test/testing`).
 *
 * @module
 */

import { join } from "node:path";
import { run } from "./programs.ts";
import type { Report } from "./report.ts";
import { startZooKeeperTarget } from "./targets.ts";

/** Where the contracts' ZooKeeper is, `host:port`. */
export const addressVariable = "EK_CONTRACT_ZOOKEEPER";

const timeoutMs = 300_000;
const root = join(import.meta.dirname, "..", "..");

/** What is used of Vitest's JSON. */
interface Outcome {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: "passed" | "failed" | "skipped" | "pending" | "todo";
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export async function testSdk(report: Report): Promise<void> {
  const zookeeper = await startZooKeeperTarget(false);
  if (zookeeper === undefined) return report.skip("sdk", "no ZooKeeper: Java or Maven is missing");
  process.env[addressVariable] = zookeeper.address;
  try {
    tell(report, await runContracts());
  } finally {
    delete process.env[addressVariable];
    await zookeeper.dispose();
  }
}

async function runContracts(): Promise<string> {
  const vitest = join(root, "node_modules", ".bin", "vitest");
  const args = ["run", "--config", join("test", "clients", "vitest.zookeeper.ts"), "--reporter=json"];
  return run(vitest, args, timeoutMs, root).output;
}

function tell(report: Report, output: string): void {
  const json = output.slice(output.indexOf("{"), output.lastIndexOf("}") + 1);
  const { testResults }: Outcome = json === "" ? { testResults: [] } : JSON.parse(json);
  const cases = testResults.flatMap(({ assertionResults }) => assertionResults);
  if (cases.length === 0) report.fail("sdk", "runs its contracts", output.slice(-2_000));
  for (const { fullName, status, failureMessages } of cases) {
    if (status === "passed") report.pass("sdk", fullName);
    else if (status === "failed") report.fail("sdk", fullName, failureMessages.join("\n"));
    else report.skip("sdk", `${fullName}: ZooKeeper has no such operation`);
  }
}
