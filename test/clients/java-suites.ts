/**
 * Apache Curator's recipes and ZooKeeper's own Java client: their own JUnit suites.
 *
 * Both start servers in their own process. `java/Patch.java` changes the classes that do so, not the tests,
 * so that they use the server that runs; tests that reach into a server's inside cannot run, here or there.
 *
 * @module
 */

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { zookeeperVersion } from "../../bench/servers/jars.ts";
import { type Artifact, fetchJars } from "./maven.ts";
import { cacheDirectory, run } from "./programs.ts";
import { type Case, casesOf, linesOf, type Suite } from "./suite.ts";
import type { Target } from "./targets.ts";

const curatorVersion = "5.9.0";
const javaPath = join(import.meta.dirname, "java");
const consoleJar = "junit-platform-console-standalone-1.9.3.jar";

const dependencies: readonly Artifact[] = [
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

/** What this process has compiled and changed. Another's may be in the making, and lack what it changes. */
let built: string | undefined;

export const javaClientSuite: Suite = {
  name: "java",
  title: `ZooKeeper ${zookeeperVersion}'s Java client, its own suite`,
  prepare,
  run: (target) => runClasses(target, clientTests),
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

/** Classes whose tests share a path: threads that one leaves behind hold what the next one waits for. */
const classesTakenApart: ReadonlySet<string> = new Set([
  "org.apache.curator.framework.recipes.locks.TestInterProcessSemaphore",
]);

/** Most classes take seconds. Past this one counts as hung. */
const classLimitMs = 480_000;

function curatorSuite(kind: keyof typeof recipeTests, what: string): Suite {
  const classes = recipeTests[kind].map((name) => `org.apache.curator.framework.recipes.${name}`);
  return {
    name: `curator-${kind}`,
    title: `Apache Curator ${curatorVersion} (Java), its own suite: ${what}`,
    prepare,
    run: (target) => runClasses(target, classes),
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
  const missing = fetchJars(directory(), dependencies);
  if (missing !== undefined) return missing;
  built ??= build();
  return undefined;
}

function build(): string {
  const path = mkdtempSync(join(directory(), "build-"));
  process.once("exit", () => rmSync(path, { recursive: true, force: true }));
  const [classes, patched] = [join(path, "classes"), join(path, "patched")];
  mkdirSync(patched);
  const sources = readdirSync(javaPath).map((name) => join(javaPath, name));
  const compiled = run("javac", ["-d", classes, "-cp", join(jars(), "*"), ...sources], 120_000);
  if (compiled.code !== 0) throw new Error(`javac failed:\n${compiled.output}`);
  const changed = run("java", ["-cp", `${classes}:${join(jars(), "*")}`, "Patch", patched], 120_000);
  if (changed.code !== 0) throw new Error(`the suites could not be pointed at a server:\n${changed.output}`);
  return path;
}

/** A process for each class, one after the other: one that hangs costs what is left of its own tests. */
async function runClasses(target: Target, classes: readonly string[]): Promise<readonly Case[]> {
  const cases: Case[] = [];
  for (const name of classes) {
    const selected = classesTakenApart.has(name) ? await testsOf(target, name) : [name];
    for (const each of selected) cases.push(...(await runTests(target, each, name)));
  }
  return cases;
}

/** @param selected - The class, or one test of it. */
async function runTests(target: Target, selected: string, className: string): Promise<readonly Case[]> {
  const end =
    selected === className ? "its end" : `the end of ${selected.slice(selected.lastIndexOf("[") + 1, -1)}`;
  const title = `${className.split(".").at(-1)}, to ${end}`;
  // A class that hangs may have stopped it.
  await fetch(`${target.controlUrl}/start`, { method: "POST" });
  return await casesOf("java", javaArgs(target, [selected]), {
    cwd: directory(),
    limitMs: classLimitMs,
    title,
  });
}

/** What JUnit calls each test of a class. */
async function testsOf(target: Target, className: string): Promise<readonly string[]> {
  const ids: string[] = [];
  const args = javaArgs(target, ["--list", className]);
  const ended = await linesOf("java", args, { cwd: directory(), limitMs: 60_000 }, (text) => {
    if (text.startsWith("[")) ids.push(text);
  });
  if (ended.code !== 0) throw new Error(`the tests of ${className} could not be listed:\n${ended.errors}`);
  return ids;
}

function javaArgs(target: Target, args: readonly string[]): string[] {
  if (built === undefined) throw new Error("a suite is prepared before it runs");
  return [
    ...["-Xmx1g", `-Dtarget=${target.address}`, `-Dcontrol=${target.controlUrl}`],
    // Curator's semaphores make 25,000 requests in one test.
    "-Djunit.jupiter.execution.timeout.default=120s",
    // One test leaves 65,000 znodes behind, and what comes before the next takes them away.
    "-Djunit.jupiter.execution.timeout.lifecycle.method.default=240s",
    ...["-cp", [join(built, "patched"), join(built, "classes"), `lib/${consoleJar}`, "lib/*"].join(":")],
    ...["RunTests", ...args],
  ];
}
