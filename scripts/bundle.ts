/**
 * Builds the Worker as a deployment would, and the SDK as a user's bundler would, and fails when one has grown past
 * its limit.
 *
 * The limits are our own: a Worker's start-up time and an ensemble's wake-up grow with its code, and a browser loads
 * the SDK. What is in it, and what it would take to halve it: `docs/sdk.md`, Size.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build as bundle } from "esbuild";

const gzipBytesMax = 250 * 1024;
/** Of what `connect` alone brings along. */
const sdkGzipBytesMax = 17 * 1024;
const root = join(import.meta.dirname, "..");
const outDir = join(root, "out", "bundle");
const wrangler = join(root, "node_modules", ".bin", "wrangler");

const build = spawnSync(wrangler, ["deploy", "--dry-run", "--outdir", outDir], {
  cwd: root,
  encoding: "utf8",
  env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
});
if (build.status !== 0) {
  console.error(`${build.stdout ?? ""}${build.stderr ?? ""}${build.error ?? ""}`);
  process.exit(1);
}

const files = readdirSync(outDir).filter((name) => /\.(?:js|wasm)$/.test(name));
const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(outDir, name))).length, 0);
console.log(`Worker bundle: ${(bytes / 1024).toFixed(1)} of ${gzipBytesMax / 1024} KiB gzip`);
if (bytes === 0 || bytes > gzipBytesMax) process.exit(1);

const sdk = await bundle({
  stdin: { contents: 'export { connect } from "./src/client/index.ts";', resolveDir: root },
  ...{ bundle: true, minify: true, write: false, format: "esm", target: "es2022" },
});
const sdkBytes = sdk.outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
console.log(`SDK, connect alone: ${(sdkBytes / 1024).toFixed(1)} of ${sdkGzipBytesMax / 1024} KiB gzip`);
if (sdkBytes === 0 || sdkBytes > sdkGzipBytesMax) process.exit(1);
