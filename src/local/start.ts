/**
 * `npm start`: flags in, a local ensemble, one line on stdout when it serves.
 *
 * stdout carries only that line, for whoever started us; everything else goes to stderr. Exit codes: 0
 * after SIGTERM, SIGINT or SIGHUP, 1 when it cannot start or go on, 2 for bad flags.
 *
 * @module
 */

import { inUrl, obey, stopSignals } from "../gateway/index.ts";
import { StartRefusal } from "./data-directory.ts";
import { parseFlags, type StartOptions } from "./flags.ts";
import type { LocalEnsemble } from "./local.ts";

/** How soon it is noticed that npm is gone. */
const parentPollMs = 100;

async function run(options: StartOptions): Promise<void> {
  if (options.settings.token === undefined) {
    console.error(
      `No token is set: every process on this machine may use the ensemble at ${options.host}. Set EK_TOKEN to ask for one.`,
    );
  } else {
    console.error(
      options.zkClientsShowToken
        ? "Everything asks for the token. ZooKeeper clients show it by addauth bearer."
        : "HTTP and WebSocket ask for the token. The ZooKeeper port asks for none: ACLs guard it.",
    );
  }
  stopWithoutNpm();
  const ensemble = await start(options);
  if (ensemble === undefined) return;
  stopOnSignal(ensemble);
  const host = inUrl(ensemble.host);
  process.stdout.write(`ready http://${host}:${ensemble.port} zookeeper://${host}:${ensemble.zkPort}\n`);
}

async function start(options: StartOptions): Promise<LocalEnsemble | undefined> {
  try {
    // Not before the flags are known to be good: Miniflare and esbuild take longer to load than to refuse.
    const { startLocal } = await import("./local.ts");
    return await startLocal({ ...options, log: (line) => console.error(line) });
  } catch (error) {
    console.error(error instanceof StartRefusal ? error.message : error);
    process.exitCode = 1;
    return undefined;
  }
}

/**
 * Ends with npm when npm is killed, which it cannot pass on: who kills the command means what it started.
 *
 * Signals that npm can catch it passes on, to us and not to a shell, because the script begins with `exec`.
 */
function stopWithoutNpm(): void {
  const { npm_lifecycle_event: script } = process.env;
  if (script === undefined) return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, parentPollMs).unref();
}

/** Stops cleanly once; a second signal does not wait. */
function stopOnSignal(ensemble: LocalEnsemble): void {
  let isStopping = false;
  for (const signal of stopSignals) {
    // Miniflare's own listeners would end the process at once, with another code.
    process.removeAllListeners(signal);
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      console.error(`${signal}: stopping`);
      ensemble.close().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
    });
  }
}

// Whoever read our output may go; the ensemble stays.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

await obey(parseFlags(process.argv.slice(2), process.env), run);
