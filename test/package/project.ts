/**
 * A user's project: the packed package unpacked into a directory of its own, which knows nothing of this one.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");
export const programTimeoutMs = 110_000;

export interface PackedProject {
  readonly path: string;
  /** What the package holds. */
  readonly files: readonly string[];
  remove(): void;
}

/** Runs to the end and answers stdout; throws with everything it said when it fails. */
export function run(program: string, args: readonly string[], cwd: string): string {
  const ended = spawnSync(program, args, { cwd, encoding: "utf8", timeout: programTimeoutMs });
  if (ended.status !== 0) {
    throw new Error(`${program} ${args.join(" ")}: ${ended.error ?? ""}${ended.stdout}${ended.stderr}`);
  }
  return ended.stdout;
}

/** Builds and packs, and unpacks it beside the files of `consumer/`. */
export function makeProject(): PackedProject {
  const path = mkdtempSync(join(tmpdir(), "edgekeeper-package-"));
  run(process.execPath, [join("scripts", "build.ts")], root);
  const packed = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", path], root);
  const [first]: { readonly filename: string; readonly files: readonly { readonly path: string }[] }[] =
    JSON.parse(packed);
  if (first === undefined) throw new Error("npm has packed nothing");
  cpSync(join(import.meta.dirname, "consumer"), path, { recursive: true });
  const installed = join(path, "node_modules", "edgekeeper");
  mkdirSync(installed, { recursive: true });
  run("tar", ["-xzf", join(path, first.filename), "-C", installed, "--strip-components=1"], path);
  // Its only peer, which not everybody needs.
  symlinkSync(join(root, "node_modules", "miniflare"), join(path, "node_modules", "miniflare"));
  writeFileSync(join(path, "package.json"), JSON.stringify({ type: "module", private: true }));
  return {
    path,
    files: first.files.map((file) => file.path),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
