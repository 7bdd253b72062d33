/**
 * A Python of a suite's own, with the packages that it wants.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, run } from "./programs.ts";

const installTimeoutMs = 300_000;
const probeTimeoutMs = 60_000;

export interface Python {
  /** Where it runs, and is kept. */
  readonly directory: string;
  readonly program: string;
  /** Makes it, unless it is there and works. Answers what is missing on this machine. */
  prepare(): string | undefined;
}

/**
 * @param name - Of its directory in the cache.
 * @param packages - For `pip`, each with its version.
 * @param modules - What can be imported once all are there.
 */
export function pythonWith(name: string, packages: readonly string[], modules: readonly string[]): Python {
  const directory = cacheDirectory(name);
  const program = join(directory, "bin", "python");
  const works = () =>
    existsSync(program) && run(program, ["-c", `import ${modules.join(", ")}`], probeTimeoutMs).code === 0;
  return {
    directory,
    program,
    prepare() {
      if (works()) return undefined;
      if (run("python3", ["--version"], probeTimeoutMs).code !== 0) return "python3 is not installed";
      if (run("python3", ["-m", "venv", directory], installTimeoutMs).code !== 0) {
        return "python3 -m venv failed";
      }
      run(program, ["-m", "pip", "install", "--quiet", ...packages], installTimeoutMs);
      return works() ? undefined : `pip could not install ${packages.join(" ")}`;
    },
  };
}
