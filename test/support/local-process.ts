/**
 * `npm start` as a child process: started, watched, stopped politely or not at all.
 *
 * It runs what the script of `package.json` runs, without npm in between unless told otherwise. The child leads a process group
 * of its own, so killing the group kills everything that belongs to it and nothing else.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const rootPath = join(import.meta.dirname, "..", "..");
const startPath = join(rootPath, "src", "local", "start.ts");

/** Past this a start counts as hung. Ten seconds are promised for an idle machine. */
const readyTimeoutMs = 60_000;

export type StopSignal = "SIGTERM" | "SIGINT" | "SIGHUP";

export interface LocalProcess {
  readonly directory: string;
  /** The same from one start to the next. */
  readonly port: number;
  readonly zkPort: number;
  readonly url: string;
  /** Milliseconds from the command to its line. */
  readonly readyMs: number;
  /** Everything on stdout since the last start. */
  readonly stdout: string;
  /** Everything on stderr since the first start. */
  readonly stderr: string;
  /** Kills the runtime alone; the start gets another one. */
  killRuntime(): void;
  /** SIGKILL to the process and all its children at once. */
  kill9(): Promise<void>;
  /** SIGKILL to the process alone, as the system does that runs out of memory. */
  kill9Parent(): Promise<void>;
  /** Stops reading stdout and stderr, whose pipes break. */
  closeOutput(): void;
  /** SIGKILL to what was started, npm as it may be, and waits for that alone. */
  killCommand(): Promise<void>;
  /** SIGTERM, or what a terminal sends to the whole group; answers the exit code. */
  stop(signal?: StopSignal): Promise<number | null>;
  /** Starts again with the same flags, ports and directory. */
  restart(): Promise<void>;
  /** Kills what runs and removes the directory. */
  dispose(): Promise<void>;
}

type Command = readonly [program: string, ...args: string[]];

const direct: Command = [process.execPath, startPath];

/** As people do it; without its banner, so that stdout is the program's alone. */
export const throughNpm: Command = ["npm", "--silent", "start", "--"];

/** Starts and waits for the ready line. `flags` may override everything but ports and directory. */
export async function startLocalProcess(
  flags: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
  command: Command = direct,
): Promise<LocalProcess> {
  const directory = mkdtempSync(join(tmpdir(), "edgekeeper-"));
  const [port, zkPort] = await Promise.all([freePort(), freePort()]);
  const args = ["--data", directory, "--port", String(port), "--zk-port", String(zkPort), ...flags];
  const started = new Started(args, environment, command);
  await started.start();
  return Object.assign(started, { directory, port, zkPort, url: `http://127.0.0.1:${port}` });
}

/** Runs `npm start` with flags that make it stop by itself. */
export async function runStart(
  flags: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const run = new Started(flags, environment);
  run.spawn();
  const code = await run.exited();
  return { code, stdout: run.stdout, stderr: run.stderr };
}

class Started {
  readonly #args: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;
  readonly #command: Command;
  #child: ChildProcess | undefined;
  #exit: Promise<number | null> = Promise.resolve(null);
  stdout = "";
  stderr = "";
  readyMs = 0;

  constructor(
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    command: Command = direct,
  ) {
    this.#args = args;
    this.#environment = environment;
    this.#command = command;
  }

  spawn(): void {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("EK_"));
    const [program, ...args] = this.#command;
    const child = spawn(program, [...args, ...this.#args], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      cwd: rootPath,
      env: { ...Object.fromEntries(inherited), ...this.#environment },
    });
    this.stdout = "";
    child.stdout.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.#child = child;
    // `close`, unlike `exit`, waits for the last of the output.
    this.#exit = once(child, "close").then(([code]: (number | null)[]) => code ?? null);
  }

  async start(): Promise<void> {
    const began = performance.now();
    this.spawn();
    let exited = false;
    this.#exit.then(() => {
      exited = true;
    });
    while (!this.stdout.includes("\n")) {
      if (exited) throw new Error(`the start ended before it was ready:\n${this.stderr}`);
      if (performance.now() - began > readyTimeoutMs) {
        await this.kill9();
        throw new Error(`the start is not ready after ${readyTimeoutMs} ms:\n${this.stderr}`);
      }
      await delay(5);
    }
    this.readyMs = performance.now() - began;
  }

  exited(): Promise<number | null> {
    return this.#exit;
  }

  restart(): Promise<void> {
    return this.start();
  }

  killRuntime(): void {
    for (const pid of this.runtimePids()) process.kill(pid, "SIGKILL");
  }

  /** The workerd processes of this start, by `/proc`. */
  runtimePids(): readonly number[] {
    const pid = this.#child?.pid;
    if (pid === undefined) return [];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children
      .split(" ")
      .map(Number)
      .filter((child) => child > 0 && readFileSync(`/proc/${child}/comm`, "utf8").startsWith("workerd"));
  }

  async kill9(): Promise<void> {
    this.#signalGroup("SIGKILL");
    await this.#exit;
  }

  async kill9Parent(): Promise<void> {
    const [...pids] = this.runtimePids();
    this.#child?.kill("SIGKILL");
    await this.#exit;
    // The pipes close only when the runtime, which shares them not, and the wrapper are gone too.
    while (pids.some(isAlive)) await delay(1);
  }

  closeOutput(): void {
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
  }

  async killCommand(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  async stop(signal: StopSignal = "SIGTERM"): Promise<number | null> {
    if (signal !== "SIGTERM") this.#signalGroup(signal);
    else this.#child?.kill(signal);
    return await this.#exit;
  }

  async dispose(): Promise<void> {
    await this.kill9();
    const data = this.#args[this.#args.indexOf("--data") + 1];
    if (data !== undefined) rmSync(data, { recursive: true, force: true, maxRetries: 3 });
  }

  #signalGroup(signal: "SIGKILL" | StopSignal): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // Nobody is left in the group.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }
}

/** Whether a process is there and no zombie. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^Z/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
  return address.port;
}
