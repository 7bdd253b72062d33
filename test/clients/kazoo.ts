/**
 * kazoo, unmodified: `kazoo_session.py` plays its cases, this runs it and kills the server when asked to.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { LocalProcess } from "../support/local-process.ts";
import { cacheDirectory, run } from "./programs.ts";
import type { Report } from "./report.ts";

const kazooVersion = "2.11.0";
const sessionPath = join(import.meta.dirname, "kazoo_session.py");

/** Past this the session counts as hung. */
const sessionTimeoutMs = 600_000;
const installTimeoutMs = 120_000;

export async function testKazoo(local: LocalProcess, report: Report): Promise<void> {
  const python = findPython();
  if (!("program" in python)) {
    report.skip("kazoo", python.missing);
    return;
  }
  await playSession(python.program, local, report);
}

/** A Python that has kazoo: the system's, or one of our own in the cache. */
export function findPython(): { program: string } | { missing: string } {
  if (hasKazoo("python3")) return { program: "python3" };
  if (run("python3", ["--version"], 10_000).code !== 0) return { missing: "python3 is not installed" };
  const venv = cacheDirectory("python");
  const program = join(venv, "bin", "python");
  if (existsSync(program) && hasKazoo(program)) return { program };
  const made = run("python3", ["-m", "venv", venv], installTimeoutMs);
  if (made.code !== 0) return { missing: `python3 -m venv failed: ${lastLine(made.output)}` };
  const installed = run(program, ["-m", "pip", "install", `kazoo==${kazooVersion}`], installTimeoutMs);
  return installed.code === 0
    ? { program }
    : { missing: `pip install kazoo failed: ${lastLine(installed.output)}` };
}

function hasKazoo(program: string): boolean {
  return run(program, ["-c", "import kazoo.client"], 30_000).code === 0;
}

function lastLine(output: string): string {
  return output.trim().split("\n").at(-1) ?? "";
}

interface Line {
  readonly ask?: string;
  readonly case?: string;
  readonly ok?: boolean;
  readonly detail?: string;
}

async function playSession(program: string, local: LocalProcess, report: Report): Promise<void> {
  const child = spawn(program, [sessionPath, local.url, String(local.zkPort)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), sessionTimeoutMs);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  for await (const text of createInterface({ input: child.stdout })) {
    const line: Line = JSON.parse(text);
    if (line.ask === "kill") {
      await local.kill9();
      await local.restart();
      child.stdin.write("done\n");
    } else if (line.ok === true) {
      report.pass("kazoo", line.case ?? "");
    } else {
      report.fail("kazoo", line.case ?? text, line.detail ?? "");
    }
  }
  const code = await ended;
  clearTimeout(timer);
  if (code !== 0) report.fail("kazoo", "the session runs to its end", `exit code ${code}`);
}
