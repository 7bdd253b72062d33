/**
 * Apache ZooKeeper's jars, fetched through Maven on the first run and kept beside what npm installed.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const zookeeperVersion = "3.9.5";

const cachePath = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "edgekeeper-bench");
const probeTimeoutMs = 30_000;
const fetchTimeoutMs = 300_000;

/** The server wants two more than the client: metrics-core and snappy, which its own pom leaves out. */
const dependencies = [
  ["org.apache.zookeeper", "zookeeper", zookeeperVersion],
  ["io.dropwizard.metrics", "metrics-core", "4.1.12.1"],
  ["org.xerial.snappy", "snappy-java", "1.1.10.5"],
];

function pom(): string {
  const all = dependencies.map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0">',
    "<modelVersion>4.0.0</modelVersion>",
    "<groupId>edgekeeper</groupId><artifactId>bench</artifactId><version>1</version>",
    `<dependencies>${all.join("\n")}</dependencies>`,
    "</project>\n",
  ].join("\n");
}

/** The class path, or what is missing. */
export function findJars(): { readonly classPath: string } | { readonly missing: string } {
  if (!runs("java", ["-version"])) return { missing: "java is not installed" };
  const directory = join(cachePath, `zookeeper-${zookeeperVersion}`);
  const jars = join(directory, "lib");
  const classPath = join(jars, "*");
  const isFetched = () => existsSync(jars) && readdirSync(jars).length > dependencies.length;
  if (isFetched()) return { classPath };
  if (!runs("mvn", ["--version"])) return { missing: "mvn is not installed" };
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "pom.xml"), pom());
  const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
  const args = ["-B", "-q", goal, `-DoutputDirectory=${jars}`, "-DincludeScope=runtime"];
  spawnSync("mvn", args, { cwd: directory, timeout: fetchTimeoutMs, stdio: "ignore" });
  if (isFetched()) return { classPath };
  return { missing: `mvn could not fetch org.apache.zookeeper:zookeeper:${zookeeperVersion}` };
}

/** Such as `17.0.15`. */
export function javaVersion(): string {
  const { stderr } = spawnSync("java", ["-version"], { encoding: "utf8", timeout: probeTimeoutMs });
  return /version "([^"]+)"/.exec(stderr ?? "")?.[1] ?? "unknown";
}

function runs(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore", timeout: probeTimeoutMs }).status === 0;
}
