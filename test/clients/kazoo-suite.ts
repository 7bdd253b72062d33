/**
 * kazoo's own suite, all of it; its harness is given the server that runs. What wants several servers,
 * TLS, SASL or a server's files cannot run, here or there.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, run } from "./programs.ts";
import { casesOf, type Suite } from "./suite.ts";

const version = "2.11.0";
const packages = [`kazoo[test]==${version}`, "pytest==9.2.0", "pytest-timeout==2.4.0"];
const suitePath = join(import.meta.dirname, "kazoo_suite.py");
const installTimeoutMs = 300_000;

/** They want a key store, or an authentication server. */
const skipped = ["TestSSLClient", "TestUpdateSSL", "TestSASLDigestAuthentication", "TestSASLGSSAPI"];

const directory = () => cacheDirectory(`kazoo-${version}`);
const python = () => join(directory(), "bin", "python");

export const kazooSuite: Suite = {
  name: "kazoo",
  title: `kazoo ${version} (Python), its own suite`,
  prepare() {
    const works = () =>
      run(python(), ["-c", "import kazoo.client, OpenSSL, pytest_timeout"], 60_000).code === 0;
    if (existsSync(python()) && works()) return undefined;
    if (run("python3", ["--version"], 10_000).code !== 0) return "python3 is not installed";
    if (run("python3", ["-m", "venv", directory()], installTimeoutMs).code !== 0) {
      return "python3 -m venv failed";
    }
    run(python(), ["-m", "pip", "install", "--quiet", ...packages], installTimeoutMs);
    return works() ? undefined : `pip could not install ${packages.join(" ")}`;
  },
  run: (target) =>
    casesOf(python(), [suitePath, target.address, target.controlUrl, ...skipped], { cwd: directory() }),
};
