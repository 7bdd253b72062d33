/**
 * Jars for the suites in Java, with what they depend on.
 *
 * @module
 */

import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./programs.ts";

const fetchTimeoutMs = 600_000;
const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

export type Artifact = readonly [group: string, artifact: string, version: string, classifier?: string];

/**
 * Fetches jars into `lib` of a directory, all or none, so that two runs at once do no harm.
 *
 * @returns What is missing on this machine.
 */
export function fetchJars(directory: string, artifacts: readonly Artifact[]): string | undefined {
  const jars = join(directory, "lib");
  if (existsSync(jars)) return undefined;
  if (run("mvn", ["--version"], 30_000).code !== 0) return "mvn is not installed";
  const fetched = mkdtempSync(join(directory, "fetch-"));
  try {
    writeFileSync(join(fetched, "pom.xml"), pomOf(artifacts));
    const args = ["-B", "-q", "-U", copyGoal, "-DoutputDirectory=lib", "-DincludeScope=runtime"];
    const ended = run("mvn", args, fetchTimeoutMs, fetched);
    if (ended.code !== 0) return `mvn could not fetch ${artifacts.map(([, name]) => name).join(", ")}`;
    if (!existsSync(jars)) renameSync(join(fetched, "lib"), jars);
    return undefined;
  } finally {
    rmSync(fetched, { recursive: true, force: true });
  }
}

function pomOf(artifacts: readonly Artifact[]): string {
  const all = artifacts.map(
    ([group, artifact, version, classifier]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>` +
      `${classifier === undefined ? "" : `<classifier>${classifier}</classifier>`}</dependency>`,
  );
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0">',
    "<modelVersion>4.0.0</modelVersion>",
    "<groupId>edgekeeper</groupId><artifactId>test-clients</artifactId><version>1</version>",
    `<dependencies>${all.join("\n")}</dependencies>`,
    "</project>\n",
  ].join("\n");
}
