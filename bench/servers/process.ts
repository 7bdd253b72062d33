/**
 * Servers as child processes: started in a temporary directory, stopped by their own process id.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const saidMax = 10_000;

// What a run that ends early, on a signal in the middle of a start, must not leave behind.
const living = new Set<ChildProcess>();
const directories = new Set<string>();

process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
  for (const path of directories) remove(path);
});

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  #hasExited = false;
  /** The end of what it said on stderr. */
  said = "";
  stdout = "";

  constructor(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = process.env) {
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: environment });
    living.add(this.#child);
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout = (this.stdout + chunk.toString()).slice(-saidMax);
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.said = (this.said + chunk.toString()).slice(-saidMax);
    });
    this.#exit = once(this.#child, "close")
      .catch((error: unknown) => {
        this.said += String(error);
      })
      .then(() => {
        this.#hasExited = true;
        living.delete(this.#child);
      });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** Stops it where it stands, or lets it go on. */
  freeze(isFrozen: boolean): void {
    this.#child.kill(isFrozen ? "SIGSTOP" : "SIGCONT");
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (this.#hasExited) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await this.#exit;
    clearTimeout(timer);
  }
}

export interface TemporaryDirectory {
  readonly path: string;
  remove(): void;
}

export function makeTemporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), "edgekeeper-bench-"));
  directories.add(path);
  return {
    path,
    remove() {
      directories.delete(path);
      remove(path);
    },
  };
}

/** Different free ports: all are held until the last is found. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  const ports = await Promise.all(
    servers.map(async (server) => {
      await once(server, "listening");
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
      return address.port;
    }),
  );
  await Promise.all(
    servers.map((server) => {
      server.close();
      return once(server, "close");
    }),
  );
  return ports;
}
