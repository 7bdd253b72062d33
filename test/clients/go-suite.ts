/**
 * go-zookeeper's own suite. Its servers become TCP proxies to the one that runs (`go/server_java_test.go`).
 *
 * @module
 */

import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, run } from "./programs.ts";
import { type Case, linesOf, type Outcome, type Suite } from "./suite.ts";

const version = "v1.0.4";
const fetchTimeoutMs = 300_000;
const standInPath = join(import.meta.dirname, "go", "server_java_test.go");

const source = () => join(cacheDirectory(`go-zookeeper-${version}`), "src");

export const goSuite: Suite = {
  name: "go",
  title: `go-zookeeper/zk ${version} (Go), its own suite`,
  prepare() {
    if (run("go", ["version"], 30_000).code !== 0) return "go is not installed";
    if (!existsSync(join(source(), "go.mod"))) {
      const answer = run(
        "go",
        ["mod", "download", "-json", `github.com/go-zookeeper/zk@${version}`],
        fetchTimeoutMs,
      );
      const directory = /"Dir": "([^"]+)"/.exec(answer.output)?.[1];
      if (directory === undefined) return `go could not fetch github.com/go-zookeeper/zk@${version}`;
      cpSync(directory, source(), { recursive: true });
      run("chmod", ["-R", "u+w", source()], 10_000);
    }
    cpSync(standInPath, join(source(), "server_java_test.go"));
    // It takes a server for up that answers `srvr` with a date as ZooKeeper 3.6 wrote it; 3.9's it cannot read.
    const helpPath = join(source(), "server_help_test.go");
    const help = readFileSync(helpPath, "utf8");
    writeFileSync(
      helpPath,
      help.replace("_, ok := FLWSrvr(serverAddrs, time.Second)", "ok := isUp(serverAddrs)"),
    );
    return undefined;
  },
  async run(target) {
    const cases: Case[] = [];
    const output = new Map<string, string>();
    const args = ["test", "-json", "-count=1", "-timeout=20m", "."];
    const env = { ...process.env, EXTERNAL_SERVER: target.address, GOFLAGS: "-mod=mod" };
    await linesOf("go", args, { cwd: source(), env }, (text) => {
      const event = parse(text);
      if (event?.Test === undefined) return;
      if (event.Output !== undefined) output.set(event.Test, (output.get(event.Test) ?? "") + event.Output);
      const outcome = outcomes[event.Action ?? ""];
      if (outcome === undefined) return;
      const detail = outcome === "passed" ? "" : (output.get(event.Test) ?? "").slice(-1500);
      cases.push({ title: event.Test, outcome, detail });
    });
    return cases.length > 0 ? cases : [{ title: "the suite runs", outcome: "failed", detail: "no test ran" }];
  },
};

const outcomes: Readonly<Record<string, Outcome>> = { pass: "passed", fail: "failed", skip: "skipped" };

interface GoEvent {
  readonly Action?: string;
  readonly Test?: string;
  readonly Output?: string;
}

function parse(text: string): GoEvent | undefined {
  return text.startsWith("{") ? JSON.parse(text) : undefined;
}
