/**
 * Running other people's programs, and keeping what had to be fetched for them.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const cachePath = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "edgekeeper-clients");

/** A directory that survives from run to run and is never committed. */
export function cacheDirectory(name: string): string {
  const path = join(cachePath, name);
  mkdirSync(path, { recursive: true });
  return path;
}

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs to the end. `code` is `null` when there is no such program, or it took too long. */
export function run(program: string, args: readonly string[], timeoutMs: number, cwd = cachePath): Ended {
  mkdirSync(cwd, { recursive: true });
  const ended = spawnSync(program, args, { encoding: "utf8", timeout: timeoutMs, cwd });
  return {
    code: ended.status,
    output: `${ended.stdout ?? ""}${ended.stderr ?? ""}${ended.error?.message ?? ""}`,
  };
}

/** A program that is talked to. */
export class Conversation {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<number | null>;
  /** Everything it said, on either stream. */
  output = "";

  constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, args, { cwd: cachePath });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    this.#child.stdin.on("error", () => this.#child.kill("SIGKILL"));
    this.#ended = new Promise((resolve) => this.#child.once("close", resolve));
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Everything said since `from`, once it matches. Throws when that takes too long, with what was said. */
  async expect(pattern: RegExp, from = 0, timeoutMs = 60_000): Promise<string> {
    const deadline = performance.now() + timeoutMs;
    while (!pattern.test(this.output.slice(from))) {
      if (performance.now() > deadline) {
        throw new Error(`${pattern} was not said, but:\n${this.output.slice(from).slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.output.slice(from);
  }

  async end(timeoutMs = 60_000): Promise<number | null> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), timeoutMs);
    const code = await this.#ended;
    clearTimeout(timer);
    return code;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
