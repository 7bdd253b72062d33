/**
 * Clients without a suite that can run against a server that is there already: a scripted session each.
 *
 * @module
 */

import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, run } from "./programs.ts";
import { casesOf, type Suite } from "./suite.ts";

const buildTimeoutMs = 900_000;
const here = import.meta.dirname;

export const nodeSuite: Suite = {
  name: "node",
  title: "node-zookeeper-client 1.1.3 (Node), a scripted session",
  prepare: () => undefined,
  run: (target) => casesOf(process.execPath, [join(here, "node_session.ts"), target.address], { cwd: here }),
};

export const cSuite: Suite = {
  name: "c",
  title: "libzookeeper_mt (C), a scripted session",
  prepare() {
    if (!existsSync("/usr/include/zookeeper/zookeeper.h")) return "libzookeeper-mt-dev is not installed";
    const [source, program] = [join(here, "c", "session.c"), join(cacheDirectory("c"), "session")];
    const args = ["-std=gnu11", "-DTHREADED", "-o", program, source, "-lzookeeper_mt", "-lpthread"];
    const built = run("cc", args, buildTimeoutMs);
    return built.code === 0 ? undefined : `cc could not build the session: ${built.output.slice(0, 300)}`;
  },
  run(target) {
    const cwd = cacheDirectory("c");
    return casesOf(join(cwd, "session"), [target.address], { cwd });
  },
};

export const rustSuite: Suite = {
  name: "rust",
  title: "zookeeper-client 0.11.2 (Rust), a scripted session",
  prepare() {
    if (run("cargo", ["--version"], 30_000).code !== 0) return "cargo is not installed";
    const project = cacheDirectory("rust");
    mkdirSync(join(project, "src"), { recursive: true });
    for (const file of ["Cargo.toml", join("src", "main.rs")]) {
      copyFileSync(join(here, "rust", file), join(project, file));
    }
    const built = run("cargo", ["build", "--quiet"], buildTimeoutMs, project);
    return built.code === 0 ? undefined : `cargo could not build the session: ${built.output.slice(0, 300)}`;
  },
  run(target) {
    const cwd = cacheDirectory("rust");
    return casesOf(join(cwd, "target", "debug", "session"), [target.address], { cwd });
  },
};
