/**
 * zookeeper-async's own suite. Its servers become TCP proxies to the one that runs (`rust-async/test.rs`).
 *
 * @module
 */

import { copyFileSync, cpSync, existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheDirectory, run } from "./programs.ts";
import { type Case, linesOf, type Suite } from "./suite.ts";

const version = "5.0.0";
const buildTimeoutMs = 900_000;
const files = ["test_cache", "test_leader_latch", "test_recursive", "test_ttl", "test_zk"];
const tests = files.flatMap((file) => ["--test", file]);
const ours = join(import.meta.dirname, "rust-async");

const directory = () => cacheDirectory(`rust-async-${version}`);
const source = () => join(directory(), "zookeeper-async");

export const rustAsyncSuite: Suite = {
  name: "rust-async",
  title: `zookeeper-async ${version} (Rust), its own suite`,
  prepare() {
    if (run("cargo", ["--version"], 30_000).code !== 0) return "cargo is not installed";
    if (!existsSync(source())) {
      const missing = fetchSource();
      if (missing !== undefined) return missing;
    }
    copyFileSync(join(ours, "test.rs"), join(source(), "tests", "test.rs"));
    const built = run("cargo", ["test", "--quiet", "--no-run", ...tests], buildTimeoutMs, source());
    return built.code === 0 ? undefined : `cargo could not build the suite: ${built.output.slice(-300)}`;
  },
  async run(target) {
    const cases: Case[] = [];
    let file = "";
    const args = ["test", "--no-fail-fast", ...tests, "--", "--test-threads=1", "--show-output"];
    const env = { ...process.env, EXTERNAL_SERVER: target.address };
    // cargo names the files on its other stream.
    const script = 'exec cargo "$@" 2>&1';
    const ended = await linesOf("sh", ["-c", script, "sh", ...args], { cwd: source(), env }, (text) => {
      file = /Running tests\/(\w+)\.rs/.exec(text)?.[1] ?? file;
      const [, name, outcome] = /^test (\w+) \.\.\. (ok|FAILED|ignored)/.exec(text) ?? [];
      if (name === undefined) return;
      const title = `${file}: ${name}`;
      if (outcome === "ok") cases.push({ title, outcome: "passed", detail: "" });
      else cases.push({ title, outcome: outcome === "FAILED" ? "failed" : "skipped", detail: text });
    });
    if (cases.length > 0) return cases;
    return [{ title: "the suite runs", outcome: "failed", detail: `no test ran: exit code ${ended.code}` }];
  },
};

/** Out of the registry, through a package that depends on it. Answers why it cannot be had. */
function fetchSource(): string | undefined {
  copyFileSync(join(ours, "Cargo.toml"), join(directory(), "Cargo.toml"));
  writeFileSync(join(directory(), "empty.rs"), "");
  const metadata = run(
    "cargo",
    ["metadata", "--quiet", "--format-version", "1"],
    buildTimeoutMs,
    directory(),
  );
  const manifest = new RegExp(`"manifest_path":"([^"]*/zookeeper-async-${version}/Cargo.toml)"`).exec(
    metadata.output,
  )?.[1];
  if (manifest === undefined)
    return `cargo could not fetch zookeeper-async ${version}: ${metadata.output.slice(-300)}`;
  cpSync(dirname(manifest), source(), { recursive: true });
  return undefined;
}
