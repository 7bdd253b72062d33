/**
 * The Worker as one module, built from source at every start: it takes a tenth of a second, and what runs
 * is what the files say. In the package it is built already, and esbuild is not asked for.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

export const workerEntryPath = join(import.meta.dirname, "..", "worker", "index.ts");

/**
 * Bundles as `wrangler deploy` does: the same conditions, the runtime's own modules left out.
 *
 * @throws esbuild's error, whose message names file and line.
 */
export async function bundleWorker(entryPath: string): Promise<string> {
  if (entryPath.endsWith(".js")) return await readFile(entryPath, "utf8");
  const { build } = await import("esbuild");
  const result = await build({
    entryPoints: [entryPath],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    keepNames: true,
    // Stack traces on stderr then name our files.
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "silent",
  });
  const output = result.outputFiles[0];
  if (output === undefined) throw new Error("esbuild wrote no output");
  return output.text;
}
