/**
 * `npm run build`: what the package holds, in `dist/`.
 *
 * The SDK, the recipes and the test helpers as modules of their own, with declarations, so that bundlers leave
 * out what nobody uses; the Worker with its members as one module, for `edgekeeper/testing`.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleWorker } from "../src/local/bundle.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const tsc = join(root, "node_modules", ".bin", "tsc");
const compiled = spawnSync(tsc, ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
if (compiled.status !== 0) process.exit(1);

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (name.endsWith(".d.ts")) finishDeclaration(join(dist, name));
}
const worker = await bundleWorker(join(root, "src", "testing", "worker.ts"));
// Its source map names files that the package does not have.
writeFileSync(join(dist, "testing", "worker.js"), worker.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, "\n"));
const wrapper = join("local", "workerd.sh");
copyFileSync(join(root, "src", wrapper), join(dist, wrapper));

/**
 * The compiler writes the extensions of imports anew in modules and not in declarations. And whoever compiles
 * against ours may not have asked for what `await using` needs.
 */
function finishDeclaration(path: string): void {
  const text = readFileSync(path, "utf8").replaceAll(/(from "\.{1,2}\/[^"]+)\.ts"/g, '$1.js"');
  const needsDispose = /Symbol\.(?:asyncD|d)ispose|(?:Async)?Disposable/.test(text);
  writeFileSync(path, needsDispose ? `/// <reference lib="esnext.disposable" />\n${text}` : text);
}
