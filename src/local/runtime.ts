/**
 * workerd through Miniflare: one Worker with the class of the members, and nothing else in front.
 *
 * The public port is a direct socket of the Worker. Miniflare's own entry, which would add development
 * routes, stack traces in answers and a hop to every request, listens on another loopback port that nobody
 * is told of; measured, it halves the rate of small WebSocket messages. The registry by which development
 * servers find each other is off: its debug port would lead past the Worker, to the members themselves.
 *
 * Compatibility date and flags are those of `wrangler.toml`; a test compares them.
 *
 * @module
 */

import { createRequire } from "node:module";
import { join } from "node:path";
import type { MiniflareOptions } from "miniflare";
import { type DataDirectory, dataVariable, StartRefusal } from "./data-directory.ts";

export const compatibilityDate = "2026-10-01";
export const compatibilityFlags: readonly string[] = ["nodejs_compat"];

/** Miniflare's way to run another workerd. */
const wrapperVariable = "MINIFLARE_WORKERD_PATH";
/** The workerd that the wrapper runs. */
const workerdVariable = "EDGEKEEPER_LOCAL_WORKERD";

const workerName = "edgekeeper";
const className = "Member";
const moduleName = "worker.js";

export interface RuntimeOptions {
  readonly host: string;
  /** Never 0: a runtime that crashed and was started again must be found where it was. */
  readonly port: number;
  readonly directory: DataDirectory;
  readonly script: string;
  readonly vars: Readonly<Record<string, string>>;
  /** Told what the Worker and the members log. */
  readonly log: (line: string) => void;
}

export interface Runtime {
  /** Drops a member from memory, as the platform may at any time. Waits for requests under way. */
  evict(memberName: string, webSockets: "hibernate" | "close"): Promise<void>;
  stop(): Promise<void>;
}

/** @throws {@link StartRefusal} without the package; Miniflare's error when the runtime does not start. */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const loaded = await loadMiniflare();
  useWrapper();
  const miniflare = new loaded.Miniflare({
    ...miniflareOptions(options),
    log: new loaded.Log(loaded.LogLevel.NONE),
  });
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose().catch(() => undefined);
    throw error;
  }
  return {
    evict: (name, webSockets) =>
      miniflare.unsafeEvictDurableObject(workerName, className, { name, webSockets }),
    stop: () => miniflare.dispose(),
  };
}

type MiniflareModule = typeof import("miniflare");

/**
 * Not imported before a runtime is wanted: it takes its time, and who uses `edgekeeper/testing` for its fake
 * alone need not have the package, an optional peer of ours.
 */
async function loadMiniflare(): Promise<MiniflareModule> {
  try {
    return await import("miniflare");
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("Cannot find package 'miniflare'"))) throw error;
    const ours: { peerDependencies: { miniflare: string } } = createRequire(import.meta.url)(
      "../../package.json",
    );
    throw new StartRefusal(
      `Cannot start an ensemble: it needs the package miniflare, npm install --save-dev miniflare@${ours.peerDependencies.miniflare}`,
    );
  }
}

/**
 * Has every Miniflare of this process start workerd through `workerd.sh`, which leaves those of others as they are. On Windows, which has no `sh`, a killed start leaves workerd behind.
 */
function useWrapper(): void {
  if (process.platform === "win32") return;
  process.env[wrapperVariable] ??= join(import.meta.dirname, "workerd.sh");
  process.env[workerdVariable] ??= workerdPath();
}

function workerdPath(): string {
  const fromMiniflare = createRequire(createRequire(import.meta.url).resolve("miniflare"));
  const workerd: { default: string } = fromMiniflare("workerd");
  return workerd.default;
}

function miniflareOptions(options: RuntimeOptions): MiniflareOptions {
  const { directory } = options;
  return {
    host: "127.0.0.1",
    port: 0,
    logRequests: false,
    // No download of a sample `request.cf`, and no word to anybody.
    cf: false,
    telemetry: { enabled: false },
    enableDevRegistry: false,
    handleStructuredLogs: ({ level, message }) => options.log(`${level}: ${message}`),
    resourcePersistencePath: directory.statePath,
    unsafeRuntimeEnv: {
      [dataVariable]: directory.path,
      EDGEKEEPER_LOCAL_PID_FILE: directory.workerdPidPath,
      [workerdVariable]: workerdPath(),
    },
    workers: [
      {
        dev: { unsafeDirectSockets: [{ host: options.host, port: options.port }] },
        config: {
          name: workerName,
          compatibilityDate,
          compatibilityFlags: [...compatibilityFlags],
          manifest: {
            mainModule: moduleName,
            modules: { [moduleName]: { type: "esm", contents: options.script } },
          },
          env: {
            MEMBER: { type: "durable-object", worker: workerName, exportName: className },
            ...Object.fromEntries(
              Object.entries(options.vars).map(([name, value]) => [name, { type: "text" as const, value }]),
            ),
          },
          exports: { [className]: { type: "durable-object", storage: "sqlite" } },
        },
      },
    ],
  };
}
