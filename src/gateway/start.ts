/**
 * `npm run gateway`: ZooKeeper's port in front of an ensemble that runs elsewhere.
 *
 * stdout carries one line, when it listens; everything else goes to stderr. Exit codes: 0 after SIGTERM,
 * SIGINT or SIGHUP, 1 when it cannot listen, 2 for bad flags. The ensemble need not be there yet.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { parseGatewayFlags } from "./flags.ts";
import { type Gateway, type GatewayOptions, startGateway } from "./gateway.ts";
import { inUrl, obey, stopSignals } from "./program.ts";

async function run(options: GatewayOptions): Promise<void> {
  if (options.token === undefined) {
    console.error("EK_TOKEN is not set: only an ensemble that is open on this machine can be reached.");
  } else if (options.clientsShowToken !== true) {
    console.error("Whoever reaches this gateway is let in with its token: ACLs guard what they may do.");
  }
  let gateway: Gateway;
  try {
    gateway = await startGateway({ ...options, log: (line) => console.error(line) });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
    return;
  }
  for (const signal of stopSignals) {
    process.once(signal, () => {
      void gateway.close().then(() => process.exit(0));
    });
  }
  const host = inUrl(options.listenHost);
  const doors = [
    ...(gateway.port === -1 ? [] : [`zookeeper://${host}:${gateway.port}`]),
    ...(gateway.securePort === -1 ? [] : [`zookeepers://${host}:${gateway.securePort}`]),
  ];
  process.stdout.write(`ready ${doors.join(" ")}\n`);
}

const readFile = (path: string) => readFileSync(path, "utf8");
await obey(parseGatewayFlags(process.argv.slice(2), process.env, readFile), run);
