/**
 * `npm run test:clients [-- --all [--only NAME] [--write]]`: unmodified ZooKeeper clients of other languages
 * against a server that this starts.
 *
 * Without flags: what takes a few minutes, for every change. With `--all` the clients' own suites too, each
 * against us and against a real ZooKeeper; `--only` runs one of them, `--write` keeps the results and puts
 * them into `docs/compatibility.md`. Needs Python, Java with Maven, Go, Rust and a C compiler, and says plainly what it
 * skips without them. Prints a line per case and a total; exits 1 when a case failed here that passes
 * there, or one that is said to fail did not.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { startLocalProcess } from "../support/local-process.ts";
import { testKazoo } from "./kazoo.ts";
import { reasonFor, staleReasons } from "./known.ts";
import { keepResult, writePage } from "./page.ts";
import { Report } from "./report.ts";
import { testSdk } from "./sdk.ts";
import { type Case, type Compared, compare, type Suite } from "./suite.ts";
import { suites } from "./suites.ts";
import { startEdgekeeperTarget, startZooKeeperTarget, superDigest, type Target } from "./targets.ts";
import { testZkCli } from "./zkcli.ts";

const { values } = parseArgs({
  options: {
    all: { type: "boolean", default: false },
    only: { type: "string" },
    write: { type: "boolean", default: false },
  },
});
const asked = suites.filter(({ name }) => values.only === undefined || values.only === name);
if (asked.length === 0) throw new Error(`--only is one of ${suites.map(({ name }) => name).join(", ")}`);

const report = new Report();
if (values.only === undefined) await runQuick();
if (values.all || values.only !== undefined) await runSuites();
process.exitCode = report.finish();

/** At the leader, as by default, and at an observer, whose clients write through the leader. */
async function runQuick(): Promise<void> {
  await runQuickAt("the leader", []);
  await runQuickAt("an observer", ["--observers", "1", "--zk-member", "4"]);
  report.begin("at ZooKeeper");
  await testSdk(report);
}

async function runQuickAt(where: string, flags: readonly string[]): Promise<void> {
  const local = await startLocalProcess([...flags, "--super-digest", superDigest]);
  const failedBefore = report.failed;
  report.begin(`at ${where}`);
  try {
    await testKazoo(local, report);
    await testZkCli(local, report);
  } finally {
    await local.dispose();
  }
  // What the server had to say is only of interest beside a failure.
  if (report.failed > failedBefore) console.error(local.stderr.slice(-20_000));
}

async function runSuites(): Promise<void> {
  report.begin("its own suite");
  for (const suite of asked) {
    const missing = suite.prepare();
    if (missing !== undefined) {
      report.skip(suite.name, missing);
      continue;
    }
    const cases = await runOnBoth(suite);
    for (const each of cases) tell(suite, each);
    for (const title of staleReasons(suite.name, cases)) {
      report.fail(suite.name, title, "its reason in known.ts is out of date: here it does not fail any more");
    }
    if (!values.write) continue;
    const kept = cases.map(({ title, verdict }) => ({ title, verdict }));
    keepResult({ name: suite.name, title: suite.title, cases: kept });
    writePage(suites.map(({ name }) => name));
  }
}

/** A server of its own for each: suites leave traces, and some kill it. Both at once: they mostly wait. */
async function runOnBoth(suite: Suite): Promise<readonly Compared[]> {
  const everyMember = suite.everyMember ?? false;
  const zookeeper = await startZooKeeperTarget(everyMember);
  if (zookeeper === undefined)
    report.skip(suite.name, "no ZooKeeper to compare with: Java or Maven is missing");
  const [ours, theirs] = await Promise.all([
    startEdgekeeperTarget(everyMember).then((target) => runOn(suite, target)),
    zookeeper === undefined ? undefined : runOn(suite, zookeeper),
  ]);
  return compare(ours, theirs);
}

async function runOn(suite: Suite, target: Target): Promise<readonly Case[]> {
  try {
    return await suite.run(target);
  } finally {
    await target.dispose();
  }
}

function tell(suite: Suite, { title, verdict, detail }: Compared): void {
  switch (verdict) {
    case "passes":
    case "passes here alone":
      return report.pass(suite.name, title);
    case "cannot run":
      return report.skip(suite.name, `${title}: it does not pass on ZooKeeper either`);
    case "fails": {
      const reason = reasonFor(suite.name, title);
      if (reason !== undefined) return report.skip(suite.name, `${title}: ${reason}`);
      return report.fail(suite.name, title, detail);
    }
  }
}
