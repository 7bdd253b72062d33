/**
 * A local ensemble: the deployed Worker and members on workerd, HTTP and the ZooKeeper port in front, state
 * in a directory.
 *
 * The order of a start: the directory is ours, the ports are free, the runtime runs, a leader serves, and
 * only then ZooKeeper clients are let in. Anything that fails undoes what came before it.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { parseSettings, type Settings } from "../base/index.ts";
import { discreetWords, type Gateway, inUrl, startGateway } from "../gateway/index.ts";
import { bundleWorker, workerEntryPath } from "./bundle.ts";
import { claimDataDirectory, type DataDirectory, StartRefusal } from "./data-directory.ts";
import { findPort } from "./ports.ts";
import { type Runtime, startRuntime } from "./runtime.ts";

/** How long a leader may take to serve. A first election takes a tenth of a second. */
const readyTimeoutMs = 60_000;
const readyPollMs = 20;

export interface LocalOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** 0 picks a free one. */
  readonly zkPort: number;
  /** The member ZooKeeper clients are connected to: `leader`, `nearest`, or a server id. Default: `leader`. */
  readonly zkMember?: string | undefined;
  /** Whether ZooKeeper clients must show the token, where there is one. Default: true. */
  readonly zkClientsShowToken?: boolean | undefined;
  readonly data: string;
  /** The Worker's `EK_` variables. */
  readonly vars: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
  /** The Worker's source, for tests that bring their own. Default: ours. */
  readonly workerEntryPath?: string | undefined;
}

export interface LocalEnsemble {
  readonly host: string;
  readonly port: number;
  readonly zkPort: number;
  /** `http://host:port`. */
  readonly url: string;
  /** Drops a member, such as `main/1`, from memory, as the platform may at any time. */
  evict(memberName: string, webSockets: "hibernate" | "close"): Promise<void>;
  /** Stops everything; sessions and data live on in the directory. */
  close(): Promise<void>;
}

/**
 * Starts a local ensemble and resolves when it serves.
 *
 * @throws {@link StartRefusal} for what the caller can mend: a directory or a port that is in use, a
 *   directory made for another number of members.
 */
export async function startLocal(options: LocalOptions): Promise<LocalEnsemble> {
  const settings = readSettings(options.vars);
  const script = bundleWorker(options.workerEntryPath ?? workerEntryPath);
  // Awaited further down; a refusal before that must not leave it unheard.
  script.catch(() => undefined);
  const undo: (() => unknown)[] = [];
  try {
    const directory = await claimDataDirectory(options.data, settings);
    undo.push(() => directory.release());
    const port = await findPort("port", options.host, options.port);
    const zkPort = await findPort("zk-port", options.host, options.zkPort);
    const runtime = await startRuntime({ ...options, port, directory, script: await script });
    undo.push(() => runtime.stop());
    const url = `http://${inUrl(options.host)}:${port}`;
    const reachableUrl = `http://${inUrl(reachable(options.host))}:${port}`;
    await waitUntilServing(reachableUrl, settings);
    const gateway = await startGateway({
      listenHost: options.host,
      listenPort: zkPort,
      url: reachableUrl,
      ensemble: settings.ensembles[0] ?? "main",
      member: options.zkMember,
      token: settings.token,
      clientsShowToken: settings.token !== undefined && options.zkClientsShowToken !== false,
      maxConnectionsPerAddress: settings.maxConnectionsPerAddress,
      fourLetterWords: wordsAnswered(options.vars, settings),
      log: options.log,
    });
    return {
      host: options.host,
      port,
      zkPort: gateway.port,
      url,
      evict: (memberName, webSockets) => runtime.evict(memberName, webSockets),
      close: () => stop({ gateway, runtime, directory }),
    };
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

/**
 * Words show paths and sessions to whoever asks: where a token guards the ensemble, those that do are
 * answered only when somebody has said so.
 */
function wordsAnswered(vars: LocalOptions["vars"], settings: Settings): Settings["fourLetterWords"] {
  const isGiven = vars["EK_FOUR_LETTER_WORDS"] !== undefined;
  return isGiven || settings.token === undefined ? settings.fourLetterWords : discreetWords;
}

function readSettings(vars: Readonly<Record<string, string>>): Settings {
  const parsed = parseSettings(vars);
  if (!parsed.ok) throw new StartRefusal(parsed.faults.join("\n"));
  return parsed.settings;
}

async function stop(parts: { gateway: Gateway; runtime: Runtime; directory: DataDirectory }): Promise<void> {
  await parts.gateway.close();
  await parts.runtime.stop();
  parts.directory.release();
}

/** A linearizable read of the root answers only when a leader has a quorum. */
async function waitUntilServing(url: string, settings: Settings): Promise<void> {
  const headers = settings.token === undefined ? undefined : { Authorization: `Bearer ${settings.token}` };
  const deadline = performance.now() + readyTimeoutMs;
  for (let last = "no answer"; ; ) {
    if (performance.now() > deadline) {
      throw new StartRefusal(
        `Cannot serve: no leader within ${readyTimeoutMs / 1000} s, the last answer was ${last}`,
      );
    }
    try {
      const response = await fetch(`${url}/v1/${settings.ensembles[0] ?? "main"}/znodes/`, {
        ...(headers && { headers }),
        signal: AbortSignal.timeout(readyTimeoutMs),
      });
      const body = await response.text();
      if (response.ok) return;
      last = `${response.status} ${body.slice(0, 500)}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await delay(readyPollMs);
  }
}

/** Where a listener on all addresses can be reached from here. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
