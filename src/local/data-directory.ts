/**
 * The data directory: whose it is now, and what it was made for.
 *
 * - `lock.json`: the process that uses it. Two processes on the same SQLite files would be two members of
 *   the same name.
 * - `ensemble.json`: how many voters (`members`) and observers it was made with. That is part of the ensemble.
 * - `workerd.pid`: the runtime, written by `workerd.sh`. A runtime that has outlived its parent by a
 *   moment is ended before the files are used again.
 * - `state/`: the members' SQLite files.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { hasVariable, killAndWait, startOf } from "./processes.ts";

/** Marks a runtime as ours, by its environment. */
export const dataVariable = "EDGEKEEPER_LOCAL_DATA";

/** How long a start waits for the process before it, which may be on its way out. */
const lockWaitMs = 3_000;
const lockPollMs = 20;

/** For the person who typed the command. */
export class StartRefusal extends Error {
  override readonly name = "StartRefusal";
}

/** How many servers an ensemble has. */
export interface EnsembleSize {
  /** Voters. */
  readonly members: number;
  readonly observers: number;
}

export interface DataDirectory {
  /** Absolute, links resolved. */
  readonly path: string;
  readonly statePath: string;
  readonly workerdPidPath: string;
  /** Lets others have it. */
  release(): void;
}

/**
 * Takes a data directory for this process alone, making it when it is missing.
 *
 * @throws {@link StartRefusal} when another process has it, or it was made for another number of members.
 */
export async function claimDataDirectory(directory: string, size: EnsembleSize): Promise<DataDirectory> {
  const path = makeDirectory(directory);
  const release = await lock(directory, join(path, "lock.json"));
  try {
    checkMembers(directory, join(path, "ensemble.json"), size);
    const workerdPidPath = join(path, "workerd.pid");
    await endStaleRuntime(path, workerdPidPath);
    return { path, statePath: join(path, "state"), workerdPidPath, release };
  } catch (error) {
    release();
    throw error;
  }
}

function makeDirectory(directory: string): string {
  try {
    mkdirSync(directory, { recursive: true });
    return realpathSync(directory);
  } catch (error) {
    throw new StartRefusal(`Cannot use --data ${directory}: ${reasonOf(error)}`);
  }
}

/** Takes the lock; answers how to give it back. A lock whose holder is gone does not count. */
async function lock(directory: string, lockPath: string): Promise<() => void> {
  const content = JSON.stringify({ pid: process.pid, start: startOf(process.pid) });
  for (let waitedMs = 0; ; waitedMs += lockPollMs) {
    try {
      writeFileSync(lockPath, content, { flag: "wx" });
      return () => rmSync(lockPath, { force: true });
    } catch (error) {
      if (!isExists(error)) throw new StartRefusal(`Cannot use --data ${directory}: ${reasonOf(error)}`);
    }
    const pid = livingHolder(lockPath);
    if (pid === undefined) rmSync(lockPath, { force: true });
    else if (waitedMs < lockWaitMs) await delay(lockPollMs);
    else {
      const cure = "stop it or name another directory";
      throw new StartRefusal(`Cannot use --data ${directory}: process ${pid} is using it, ${cure}`);
    }
  }
}

function livingHolder(lockPath: string): number | undefined {
  const holder = readJson(lockPath);
  const pid = holder?.pid;
  if (typeof pid !== "number" || !Number.isInteger(pid)) return undefined;
  const start = startOf(pid);
  return start !== undefined && start === holder?.start ? pid : undefined;
}

function checkMembers(directory: string, path: string, { members, observers }: EnsembleSize): void {
  if (!existsSync(path)) {
    writeFileSync(path, `${JSON.stringify({ version: 1, members, observers })}\n`);
    return;
  }
  const made = readJson(path);
  if (made?.version !== 1) {
    throw new StartRefusal(`Cannot use --data ${directory}: its ensemble.json is not of version 1`);
  }
  // One that was made before there were observers has none.
  const stored = { members: made.members, observers: made.observers ?? 0 };
  const asked = { members, observers };
  for (const part of ["members", "observers"] as const) {
    if (stored[part] === asked[part]) continue;
    throw new StartRefusal(
      `Cannot use --data ${directory} with --${part} ${asked[part]}: it was made with --${part} ${String(stored[part])}`,
    );
  }
}

/** Whoever uses this directory besides us, while we hold its lock, is left over. */
async function endStaleRuntime(path: string, pidPath: string): Promise<void> {
  if (!existsSync(pidPath)) return;
  const pid = Number.parseInt(readFileSync(pidPath, "utf8"), 10);
  // The number may be somebody else's by now; the variable is in nobody's environment but our runtime's.
  if (Number.isInteger(pid) && hasVariable(pid, dataVariable, path)) await killAndWait(pid);
  rmSync(pidPath, { force: true });
}

/** What either file may hold, if it is what it should be. */
interface Stored {
  readonly pid?: unknown;
  readonly start?: unknown;
  readonly version?: unknown;
  readonly members?: unknown;
  readonly observers?: unknown;
}

function readJson(path: string): Stored | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function isExists(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
