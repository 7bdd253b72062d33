/**
 * `npm run test:runtimes`: the packed package on Bun and Deno, which this installs on the first run.
 *
 * The same program that `npm test` runs on Node: a WebSocket, the ZooKeeper port, a fake ensemble. Exits 1 when a
 * runtime does not get through it, and says plainly which it could not install.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeProject, root, run } from "./project.ts";

const installTimeoutMs = 300_000;
const cachePath = join(root, "node_modules", ".cache", "edgekeeper-runtimes");
const runtimes = [
  { name: "bun", version: "1.4.4", installer: "install.js", args: [] },
  { name: "deno", version: "2.9.6", installer: "install.cjs", args: ["run", "-A"] },
];

function install(): void {
  if (existsSync(join(cachePath, "node_modules"))) return;
  mkdirSync(cachePath, { recursive: true });
  writeFileSync(join(cachePath, "package.json"), JSON.stringify({ private: true }));
  const packages = runtimes.map(({ name, version }) => `${name}@${version}`);
  const options = { cwd: cachePath, timeout: installTimeoutMs };
  spawnSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...packages], options);
  for (const { name, installer } of runtimes) {
    spawnSync(process.execPath, [join("node_modules", name, installer)], options);
  }
}

function isThere(program: string): boolean {
  return spawnSync(program, ["--version"], { timeout: installTimeoutMs }).status === 0;
}

install();
const project = makeProject();
try {
  for (const { name, version, args } of runtimes) {
    const program = join(cachePath, "node_modules", ".bin", name);
    if (!isThere(program)) {
      console.log(`SKIP  ${name} ${version}: npm could not install it`);
      continue;
    }
    const said = run(process.execPath, ["serve.mjs", [program, ...args].join(" ")], project.path);
    console.log(`ok    ${name} ${version}: ${said.trim()}`);
  }
} finally {
  project.remove();
}
