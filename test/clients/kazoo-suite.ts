/**
 * kazoo's own suite, all of it; its harness is given the server that runs. What wants several servers,
 * TLS, SASL or a server's files cannot run, here or there.
 *
 * @module
 */

import { join } from "node:path";
import { pythonWith } from "./python.ts";
import { casesOf, type Suite } from "./suite.ts";

const version = "2.11.0";
const suitePath = join(import.meta.dirname, "kazoo_suite.py");

/** They want a key store, or an authentication server. */
const skipped = ["TestSSLClient", "TestUpdateSSL", "TestSASLDigestAuthentication", "TestSASLGSSAPI"];

const python = pythonWith(
  `kazoo-${version}`,
  [`kazoo[test]==${version}`, "pytest==9.2.0", "pytest-timeout==2.4.0"],
  ["kazoo.client", "OpenSSL", "pytest_timeout"],
);

export const kazooSuite: Suite = {
  name: "kazoo",
  title: `kazoo ${version} (Python), its own suite`,
  prepare: () => python.prepare(),
  run: ({ address, controlUrl }) =>
    casesOf(python.program, [suitePath, address, controlUrl, ...skipped], { cwd: python.directory }),
};
