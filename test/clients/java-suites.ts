/**
 * Apache Curator's recipes and ZooKeeper's own Java client: their own JUnit suites.
 *
 * Both start servers in their own process. `java/Patch.java` changes the classes that do so, not the tests,
 * so that they use the server that runs; tests that reach into a server's inside cannot run, here or there.
 *
 * @module
 */

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zookeeperVersion } from "../../bench/servers/jars.ts";
import { cacheDirectory, run } from "./programs.ts";
import { type Case, casesOf, type Suite } from "./suite.ts";
import type { Target } from "./targets.ts";

const curatorVersion = "5.9.0";
const fetchTimeoutMs = 600_000;
const javaPath = join(import.meta.dirname, "java");
const consoleJar = "junit-platform-console-standalone-1.9.3.jar";

const dependencies: readonly (readonly [
  group: string,
  artifact: string,
  version: string,
  classifier?: string,
])[] = [
  ["org.apache.zookeeper", "zookeeper", zookeeperVersion],
  ["org.apache.zookeeper", "zookeeper", zookeeperVersion, "tests"],
  ["org.apache.curator", "curator-recipes", curatorVersion],
  ["org.apache.curator", "curator-recipes", curatorVersion, "tests"],
  ["org.apache.curator", "curator-framework", curatorVersion, "tests"],
  ["org.apache.curator", "curator-test", curatorVersion],
  ["org.javassist", "javassist", "3.30.2-GA"],
  ["org.mockito", "mockito-core", "4.9.0"],
  ["org.awaitility", "awaitility", "4.2.0"],
  ["org.assertj", "assertj-core", "3.24.2"],
  ["org.hamcrest", "hamcrest-all", "1.3"],
  ["commons-cli", "commons-cli", "1.5.0"],
  ["commons-io", "commons-io", "2.17.0"],
  ["org.apache.commons", "commons-math", "2.2"],
  ["io.dropwizard.metrics", "metrics-core", "4.1.12.1"],
  ["org.xerial.snappy", "snappy-java", "1.1.10.5"],
  ["org.junit.platform", "junit-platform-console-standalone", "1.9.3"],
];

/** Of ZooKeeper's suite, the classes that test the client against one server of the usual set-up. */
const clientTests = [
  ...["GetAllChildrenNumberTest", "GetEphemeralsTest", "RemoveWatchesCmdTest", "RemoveWatchesTest"],
  ...["ZKUtilTest", "ZooKeeperTest", "test.ACLRootTest", "test.AsyncOpsTest", "test.AuthTest"],
  ...["test.CheckTest", "test.ChrootAsyncTest", "test.ChrootClientTest"],
  ...["test.ChrootTest", "test.ClientRetryTest", "test.ClientTest"],
  ...["test.CreateTest", "test.FourLetterWordsTest"],
  ...["test.GetChildren2Test", "test.MultiAsyncTransactionTest", "test.MultiOperationTest"],
  ...["test.NullDataTest", "test.PersistentRecursiveWatcherTest", "test.PersistentWatcherACLTest"],
  ...["test.PersistentWatcherTest", "test.SessionInvalidationTest", "test.SessionTimeoutTest"],
  ...["test.StatTest", "test.SyncCallTest", "test.UnsupportedAddWatcherTest", "test.WatcherFuncTest"],
  ...["test.WatcherTest", "test.ZooKeeperQuotaTest"],
].map((name) => `org.apache.zookeeper.${name}`);

const directory = () => cacheDirectory(`java-${zookeeperVersion}-${curatorVersion}`);
const jars = () => join(directory(), "lib");

export const javaClientSuite: Suite = {
  name: "java",
  title: `ZooKeeper ${zookeeperVersion}'s Java client, its own suite`,
  prepare,
  run: (target) => runClasses(target, clientTests, classLimitMs),
};

/**
 * Of Curator's, the classes of the recipes that it recommends, as far as one server is enough for them.
 *
 * Left out: what starts clusters in its own process (`*Cluster`, `TestCuratorCacheConsistency`); queues, which
 * Curator advises against; the caches that `CuratorCache` has replaced (`TestNodeCache`, `TestTreeCache*`,
 * `TestPathChildrenCache*`, `*EventOrdering`).
 */
const recipeTests = {
  locks: [
    ...["locks.TestInterProcessMultiMutex", "locks.TestInterProcessMutex"],
    ...["locks.TestInterProcessReadWriteLock", "locks.TestInterProcessSemaphore"],
    ...["locks.TestInterProcessSemaphoreMutex", "locks.TestLockACLs", "locks.TestLockInternals"],
  ],
  leader: [
    ...["leader.TestLeaderAcls", "leader.TestLeaderLatch", "leader.TestLeaderSelector"],
    ...["leader.TestLeaderSelectorEdges", "leader.TestLeaderSelectorParticipants"],
    "leader.TestLeaderSelectorWithExecutor",
  ],
  cache: [
    ...["cache.TestCuratorCache", "cache.TestCuratorCacheBridge", "cache.TestCuratorCacheEdges"],
    ...["cache.TestCuratorCacheWrappers", "cache.TestWrappedNodeCache", "watch.TestPersistentWatcher"],
  ],
  nodes: [
    ...["nodes.TestGroupMember", "nodes.TestPersistentEphemeralNode"],
    ...["nodes.TestPersistentEphemeralNodeListener", "nodes.TestPersistentNode"],
    "nodes.TestPersistentTtlNode",
  ],
  counters: [
    ...["atomic.TestCachedAtomicCounter", "atomic.TestDistributedAtomicLong", "shared.TestSharedCount"],
    ...["barriers.TestDistributedBarrier", "barriers.TestDistributedDoubleBarrier"],
  ],
} as const satisfies Record<string, readonly string[]>;

/** Most classes take seconds. Past this one counts as hung. */
const classLimitMs = 480_000;

function curatorSuite(kind: keyof typeof recipeTests, what: string): Suite {
  const classes = recipeTests[kind].map((name) => `org.apache.curator.framework.recipes.${name}`);
  return {
    name: `curator-${kind}`,
    title: `Apache Curator ${curatorVersion} (Java), its own suite: ${what}`,
    prepare,
    run: (target) => runClasses(target, classes, classLimitMs),
  };
}

export const curatorSuites: readonly Suite[] = [
  curatorSuite("locks", "locks and semaphores"),
  curatorSuite("leader", "leader election"),
  curatorSuite("cache", "caches and persistent watches"),
  curatorSuite("nodes", "persistent nodes and groups"),
  curatorSuite("counters", "counters and barriers"),
];

function prepare(): string | undefined {
  if (run("javac", ["-version"], 30_000).code !== 0) return "javac (a JDK) is not installed";
  if (!existsSync(join(jars(), consoleJar))) {
    if (run("mvn", ["--version"], 30_000).code !== 0) return "mvn is not installed";
    writeFileSync(join(directory(), "pom.xml"), pom());
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
    const args = ["-B", "-q", "-U", goal, `-DoutputDirectory=${jars()}`, "-DincludeScope=runtime"];
    run("mvn", args, fetchTimeoutMs, directory());
    if (!existsSync(join(jars(), consoleJar))) return "mvn could not fetch Curator and ZooKeeper's tests";
  }
  const [classes, patched] = [join(directory(), "classes"), join(directory(), "patched")];
  for (const path of [classes, patched]) rmSync(path, { recursive: true, force: true });
  mkdirSync(patched, { recursive: true });
  const sources = readdirSync(javaPath).map((name) => join(javaPath, name));
  const compiled = run("javac", ["-d", classes, "-cp", join(jars(), "*"), ...sources], 120_000);
  if (compiled.code !== 0) throw new Error(`javac failed:\n${compiled.output}`);
  const changed = run("java", ["-cp", `${classes}:${join(jars(), "*")}`, "Patch", patched], 120_000);
  if (changed.code !== 0) throw new Error(`the suites could not be pointed at a server:\n${changed.output}`);
  return undefined;
}

/**
 * A process for each class, one after the other: one that hangs costs what is left of its own tests.
 *
 * @param limitMs - For one class.
 */
async function runClasses(
  target: Target,
  classes: readonly string[],
  limitMs: number,
): Promise<readonly Case[]> {
  const cases: Case[] = [];
  for (const name of classes) {
    const title = `${name.split(".").at(-1)}, to its end`;
    cases.push(...(await casesOf("java", javaArgs(target, name), { cwd: directory(), limitMs, title })));
  }
  return cases;
}

function javaArgs(target: Target, className: string): string[] {
  return [
    ...["-Xmx1g", `-Dtarget=${target.address}`, `-Dcontrol=${target.controlUrl}`],
    "-Djunit.jupiter.execution.timeout.default=60s",
    // One test leaves 65,000 znodes behind, and what comes before the next takes them away.
    "-Djunit.jupiter.execution.timeout.lifecycle.method.default=240s",
    ...["-cp", ["patched", "classes", `lib/${consoleJar}`, "lib/*"].join(":")],
    ...["RunTests", className],
  ];
}

function pom(): string {
  const all = dependencies.map(
    ([group, artifact, version, classifier]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>` +
      `${classifier === undefined ? "" : `<classifier>${classifier}</classifier>`}</dependency>`,
  );
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0">',
    "<modelVersion>4.0.0</modelVersion>",
    "<groupId>edgekeeper</groupId><artifactId>java-suites</artifactId><version>1</version>",
    `<dependencies>${all.join("\n")}</dependencies>`,
    "</project>\n",
  ].join("\n");
}
