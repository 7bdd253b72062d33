/**
 * Runs every example against one local ensemble, and compares what it prints with what its README says.
 *
 * The commands of the README's first block are run as they stand. Python's is skipped, and said to be, where
 * there is no python3 or kazoo cannot be installed.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLocal } from "../src/local/index.ts";
import { findPython } from "../test/clients/kazoo.ts";

/** Past this an example counts as hung. */
const exampleMsMax = 60_000;

const root = join(import.meta.dirname, "..");

interface Example {
  readonly name: string;
  readonly commands: readonly string[];
  readonly prints: string;
}

function readExample(name: string): Example {
  const text = readFileSync(join(import.meta.dirname, name, "README.md"), "utf8");
  const block = (language: string) => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "ms").exec(text)?.[1];
  const [commands, prints] = [block("sh"), block("text")];
  if (commands === undefined || prints === undefined)
    throw new Error(`examples/${name} has no command or output`);
  return { name, commands: commands.trim().split("\n"), prints };
}

async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), exampleMsMax);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  return code === 0 ? output : `${output}exit code ${code ?? `none, killed after ${exampleMsMax} ms`}\n`;
}

const data = mkdtempSync(join(tmpdir(), "edgekeeper-examples-"));
const local = { host: "127.0.0.1", port: 0, zkPort: 0, data, vars: { EK_OPEN_ON_LOOPBACK: "on" } };
// As it was: a local ensemble tells Miniflare which workerd to run, and that is its own affair.
const inherited = { ...process.env };
const ensemble = await startLocal({ ...local, log: () => undefined });
const env = {
  ...inherited,
  EK_URL: `${ensemble.url}/v1/main`,
  EK_ZOOKEEPER: `127.0.0.1:${ensemble.zkPort}`,
};
const python = findPython();
let failures = 0;
try {
  const folders = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((each) =>
    each.isDirectory(),
  );
  for (const { name, commands, prints } of folders.map((each) => readExample(each.name))) {
    for (const command of commands) {
      // `npx node` is the node that runs this.
      const [program = "", ...args] = command.replace(/^npx /, "").split(" ");
      const isPython = program === "python3";
      if (isPython && "missing" in python) {
        console.log(`skip ${name}: ${command}: ${python.missing}`);
        continue;
      }
      const executable = isPython && "program" in python ? python.program : process.execPath;
      const printed = await run(executable, args, env);
      const isGood = printed === prints;
      if (!isGood) failures += 1;
      console.log(`${isGood ? "ok  " : "FAIL"} ${name}: ${command}`);
      if (!isGood) console.log(`--- it should print\n${prints}--- it printed\n${printed}---`);
    }
  }
} finally {
  await ensemble.close();
  rmSync(data, { recursive: true, force: true, maxRetries: 3 });
}
process.exit(failures === 0 ? 0 : 1);
