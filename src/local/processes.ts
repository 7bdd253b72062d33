/**
 * Telling processes apart: a number alone may have been given to somebody else meanwhile, and in a
 * container it usually has.
 *
 * Linux answers from `/proc`; elsewhere `ps` does.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const hasProc = existsSync("/proc/self/stat");

/** How long a killed process may take to be gone. */
const killTimeoutMs = 5_000;
const pollMs = 5;

/** When a process began, as text to compare; `undefined` when there is no such process. */
export function startOf(pid: number): string | undefined {
  if (!hasProc) return ask(["-o", "lstart=", "-p", String(pid)]);
  const stat = read(`/proc/${pid}/stat`);
  // The name in brackets may hold anything, so count from its end: state is the third field.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined || fields[0] === "Z") return undefined;
  // Ticks since boot, of this boot.
  return `${fields[19]} ${read("/proc/sys/kernel/random/boot_id")?.trim()}`;
}

/** Whether a process runs with this variable in its environment. Others' processes cannot be asked. */
export function hasVariable(pid: number, name: string, value: string): boolean {
  const wanted = `${name}=${value}`;
  if (hasProc) return (read(`/proc/${pid}/environ`) ?? "").split("\0").includes(wanted);
  return (ask(["-E", "-ww", "-o", "command=", "-p", String(pid)]) ?? "").includes(wanted);
}

/** Kills and waits until the process is gone. */
export async function killAndWait(pid: number): Promise<void> {
  const start = startOf(pid);
  if (start === undefined) return;
  process.kill(pid, "SIGKILL");
  for (let waitedMs = 0; startOf(pid) === start; waitedMs += pollMs) {
    if (waitedMs > killTimeoutMs) throw new Error(`process ${pid} does not end`);
    await delay(pollMs);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function ask(args: readonly string[]): string | undefined {
  try {
    return (
      execFileSync("ps", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim() || undefined
    );
  } catch {
    return undefined;
  }
}
