/**
 * `npm run test:clients`: unmodified ZooKeeper clients of other languages against a server that this
 * starts.
 *
 * Needs Python with kazoo (or pip to install it) and Java with Maven, and says plainly what it skips
 * without them. Prints a line per case and a total; exits 1 when a case failed.
 *
 * @module
 */

import { startLocalProcess } from "../support/local-process.ts";
import { testKazoo } from "./kazoo.ts";
import { Report } from "./report.ts";
import { testZkCli } from "./zkcli.ts";

const report = new Report();
const local = await startLocalProcess();
try {
  await testKazoo(local, report);
  await testZkCli(local, report);
} finally {
  await local.dispose();
}
process.exitCode = report.finish();
// What the server had to say is only of interest beside a failure.
if (process.exitCode !== 0) console.error(local.stderr.slice(-20_000));
