/**
 * The machine a run is made on, as far as a reader of the figures needs it.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import type { Machine } from "./results.ts";
import { javaVersion, zookeeperVersion } from "./servers/jars.ts";

/** @param hasZooKeeper - `given`: its version is not ours to know. */
export function describeMachine(hasZooKeeper: "started" | "given" | "none"): Machine {
  const processors = cpus();
  const versions: Record<string, string> = {
    edgekeeper: versionOf("../package.json"),
    node: process.version.slice(1),
    miniflare: versionOf("miniflare/package.json"),
  };
  if (hasZooKeeper === "started") {
    versions["zookeeper"] = zookeeperVersion;
    versions["java"] = javaVersion();
  }
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cpus: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release().replace(/-.*/, "")}`,
    loadBefore: loadavg()[0] ?? 0,
    versions,
  };
}

function versionOf(path: string): string {
  const found: { version: string } = JSON.parse(
    readFileSync(createRequire(import.meta.url).resolve(path), "utf8"),
  );
  return found.version;
}

/** The commit, or "unknown" outside a repository; "+" when files differ from it. */
export function commitOfCode(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const isChanged = git("status", "--porcelain", "--", "src", "bench") !== "";
    return git("rev-parse", "--short", "HEAD") + (isChanged ? "+" : "");
  } catch {
    return "unknown";
  }
}
