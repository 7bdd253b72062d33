/**
 * zkCli.sh, which is `org.apache.zookeeper.ZooKeeperMain` of Apache ZooKeeper's own Java client, fetched
 * through Maven with what it needs.
 *
 * @module
 */

import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zookeeperVersion } from "../../bench/servers/jars.ts";
import type { LocalProcess } from "../support/local-process.ts";
import { Conversation, cacheDirectory, run } from "./programs.ts";
import type { Report } from "./report.ts";

const fetchTimeoutMs = 300_000;
const client = "zkCli";

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>edgekeeper</groupId>
  <artifactId>clients</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.zookeeper</groupId>
      <artifactId>zookeeper</artifactId>
      <version>${zookeeperVersion}</version>
    </dependency>
    <dependency>
      <groupId>commons-cli</groupId>
      <artifactId>commons-cli</artifactId>
      <version>1.5.0</version>
    </dependency>
  </dependencies>
</project>
`;

export async function testZkCli(local: LocalProcess, report: Report): Promise<void> {
  const found = findClassPath();
  if (!("classPath" in found)) {
    report.skip(client, found.missing);
    return;
  }
  const java = (...command: string[]) => [
    ...["-cp", found.classPath, "org.apache.zookeeper.ZooKeeperMain"],
    ...["-timeout", "30000", "-server", `127.0.0.1:${local.zkPort}`],
    ...command,
  ];
  await oneShots(java, report);
  await interactive(java, local, report);
}

/** The jars, fetched on the first run. */
function findClassPath(): { classPath: string } | { missing: string } {
  if (run("java", ["-version"], 30_000).code !== 0) return { missing: "java is not installed" };
  const directory = cacheDirectory(`zookeeper-${zookeeperVersion}`);
  const jars = join(directory, "lib");
  const classPath = join(jars, "*");
  const isFetched = () => existsSync(jars) && readdirSync(jars).includes(`zookeeper-${zookeeperVersion}.jar`);
  if (isFetched()) return { classPath };
  if (run("mvn", ["--version"], 30_000).code !== 0) return { missing: "mvn is not installed" };
  writeFileSync(join(directory, "pom.xml"), pom);
  const copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
  const args = [
    "-B",
    "-q",
    "-f",
    join(directory, "pom.xml"),
    copy,
    `-DoutputDirectory=${jars}`,
    "-DincludeScope=runtime",
  ];
  const fetched = run("mvn", args, fetchTimeoutMs);
  if (isFetched()) return { classPath };
  return {
    missing: `mvn could not fetch org.apache.zookeeper:zookeeper:${zookeeperVersion}: ${firstLine(fetched.output)}`,
  };
}

function firstLine(output: string): string {
  return output.trim().split("\n")[0] ?? "";
}

/**
 * The two messages that the program prints from its event thread once it is connected. A list of children is
 * printed name by name on another thread, so a message may land in the middle of it.
 */
const announcement = /\n(?:WATCHER::|WatchedEvent state:SyncConnected type:None [^\n]*)\n/g;

/** Output of a command that succeeds without a word. */
const quiet = /^(?![\s\S]*(?:Exception|KeeperErrorCode|does not exist|not empty|usage))/;

type JavaArgs = (...command: string[]) => string[];

async function oneShots(java: JavaArgs, report: Report): Promise<void> {
  const shots: readonly (readonly [title: string, command: readonly string[], answer: RegExp])[] = [
    ["create /cli", ["create", "/cli", "one"], /^Created \/cli$/m],
    [
      "create -s -e prints the name with its number",
      ["create", "-s", "-e", "/cli/e-", ""],
      /^Created \/cli\/e-0000000000$/m,
    ],
    ["get /cli", ["get", "/cli"], /^one$/m],
    ["set -v 0 /cli", ["set", "-s", "-v", "0", "/cli", "two"], /^dataVersion = 1$/m],
    [
      "set with a stale version is refused",
      ["set", "-v", "0", "/cli", "x"],
      /version No is not valid : \/cli/,
    ],
    ["get -s /cli shows data and stat", ["get", "-s", "/cli"], /^two$[\s\S]*^dataVersion = 1$/m],
    ["stat / shows the root", ["stat", "/"], /^cZxid = 0x0$[\s\S]*^numChildren = \d+$/m],
    ["ls / lists the tree", ["ls", "/"], /^\[.*\bcli\b.*\bzookeeper\b.*\]$/m],
    ["ls -s / lists it with its stat", ["ls", "-s", "/"], /^\[.*\bcli\b.*\][\s\S]*^numChildren = \d+$/m],
    ["ls -R /cli walks it", ["ls", "-R", "/cli"], /^\/cli$/m],
    ["getAcl /cli", ["getAcl", "/cli"], /^'world,'anyone$[\s\S]*^: cdrwa$/m],
    ["getEphemerals lists none of another session", ["getEphemerals"], /^\[\]$/m],
    ["ls of a znode that is missing says so", ["ls", "/none"], /Node does not exist: \/none/],
    // The program leaves without closing its session, so the ephemeral is still there.
    ["delete of a znode with children is refused", ["delete", "/cli"], /Node not empty: \/cli/],
    ["deleteall /cli", ["deleteall", "/cli"], quiet],
    ["get of what was deleted says so", ["get", "/cli"], /Node does not exist: \/cli/],
  ];
  for (const [title, command, answer] of shots) {
    await report.check(client, title, async () => {
      const output = run("java", java(...command), 120_000).output.replace(announcement, "");
      if (!answer.test(output)) throw new Error(`${answer} is not in:\n${output.slice(-2000)}`);
    });
  }
}

async function interactive(java: JavaArgs, local: LocalProcess, report: Report): Promise<void> {
  const cli = new Conversation("java", java());
  await report.check(client, "get -w: the watch fires when HTTP changes the znode", async () => {
    await cli.expect(/SyncConnected/);
    cli.say("create /cli-watched one");
    await cli.expect(/Created \/cli-watched/);
    const from = cli.output.length;
    cli.say("get -w /cli-watched");
    await cli.expect(/^one$/m, from);
    const put = await fetch(`${local.url}/v1/main/znodes/cli-watched`, { method: "PUT", body: "two" });
    if (put.status !== 200) throw new Error(`PUT answered ${put.status}`);
    await cli.expect(/type:NodeDataChanged path:\/cli-watched/, from);
  });
  await report.check(client, "killed and started again, the server has the same session for it", async () => {
    cli.say("create -e /cli-mine");
    await cli.expect(/Created \/cli-mine/);
    await local.kill9();
    await local.restart();
    const from = cli.output.length;
    await cli.expect(/WatchedEvent state:SyncConnected/, from);
    cli.say("getEphemerals");
    await cli.expect(/\/cli-mine/, from);
    if (/Expired/.test(cli.output)) throw new Error("the session expired");
  });
  await report.check(client, "quit ends the session and the program", async () => {
    cli.say("quit");
    const code = await cli.end();
    if (code !== 0) throw new Error(`exit code ${code}:\n${cli.output.slice(-2000)}`);
    const left = await fetch(`${local.url}/v1/main/znodes/cli-mine`);
    if (left.status !== 404) throw new Error(`its ephemeral is still there: ${left.status}`);
  });
  cli.kill();
}
