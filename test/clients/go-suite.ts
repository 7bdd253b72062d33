/**
 * go-zookeeper's own suite. Its servers become TCP proxies to the one that runs (`go/server_java_test.go`).
 *
 * @module
 */

import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, run } from "./programs.ts";
import { type Case, linesOf, type Outcome, type Suite } from "./suite.ts";

const fetchTimeoutMs = 300_000;
const standInPath = join(import.meta.dirname, "go", "server_java_test.go");

interface GoModule {
  readonly path: string;
  readonly version: string;
  /** Of its one package, in the module. */
  readonly directory: string;
}

export const goSuite = goSuiteOf("go", "go-zookeeper/zk v1.0.4 (Go), its own suite", {
  path: "github.com/go-zookeeper/zk",
  version: "v1.0.4",
  directory: ".",
});

/** What it was made from, which many programs still carry. */
export const goAncestorSuite = goSuiteOf("go-samuel", "samuel/go-zookeeper of 2020 (Go), its own suite", {
  path: "github.com/samuel/go-zookeeper",
  version: "v0.0.0-20201211165307-7117e9ea2414",
  directory: "zk",
});

function goSuiteOf(name: string, title: string, module: GoModule): Suite {
  const root = () => join(cacheDirectory(`go-zookeeper-${module.version}`), "src");
  const source = () => join(root(), module.directory);
  return {
    name,
    title,
    prepare() {
      if (run("go", ["version"], 30_000).code !== 0) return "go is not installed";
      if (!existsSync(root())) {
        const missing = fetchSource(module, root());
        if (missing !== undefined) return missing;
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
    run: (target) => runTests(source(), target.address),
  };
}

/** Answers why it cannot be had. */
function fetchSource({ path, version }: GoModule, root: string): string | undefined {
  const answer = run("go", ["mod", "download", "-json", `${path}@${version}`], fetchTimeoutMs);
  const directory = /"Dir": "([^"]+)"/.exec(answer.output)?.[1];
  if (directory === undefined) return `go could not fetch ${path}@${version}`;
  cpSync(directory, root, { recursive: true });
  run("chmod", ["-R", "u+w", root], 10_000);
  // Modules were younger than the code.
  if (!existsSync(join(root, "go.mod"))) run("go", ["mod", "init", path], 30_000, root);
  return undefined;
}

async function runTests(source: string, address: string): Promise<readonly Case[]> {
  const cases: Case[] = [];
  const output = new Map<string, string>();
  // How its code looks to a newer Go is not the question.
  const args = ["test", "-json", "-vet=off", "-count=1", "-timeout=20m", "."];
  const env = { ...process.env, EXTERNAL_SERVER: address, GOFLAGS: "-mod=mod" };
  await linesOf("go", args, { cwd: source, env }, (text) => {
    const event = parse(text);
    if (event?.Test === undefined) return;
    if (event.Output !== undefined) output.set(event.Test, (output.get(event.Test) ?? "") + event.Output);
    const outcome = outcomes[event.Action ?? ""];
    if (outcome === undefined) return;
    const detail = outcome === "passed" ? "" : (output.get(event.Test) ?? "").slice(-1500);
    cases.push({ title: event.Test, outcome, detail });
  });
  return cases.length > 0 ? cases : [{ title: "the suite runs", outcome: "failed", detail: "no test ran" }];
}

const outcomes: Readonly<Record<string, Outcome>> = { pass: "passed", fail: "failed", skip: "skipped" };

interface GoEvent {
  readonly Action?: string;
  readonly Test?: string;
  readonly Output?: string;
}

function parse(text: string): GoEvent | undefined {
  return text.startsWith("{") ? JSON.parse(text) : undefined;
}
