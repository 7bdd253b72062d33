/**
 * Task assignment: what there is to do, who is there to do it, and who has been given what.
 *
 * Below one path:
 *
 * - `tasks/<name>`: a task, as JSON: its weight, and data for whoever works on it.
 * - `workers/<id>`: an ephemeral for each worker, with its capacity.
 * - `assigned/<id>`: the tasks of one worker, each with the `czxid` of its znode, so that a task that was
 *   removed and added again is another one. Written by the assigner alone, all lists in one transaction.
 * - `claims/<name>`: a lock. Nobody works on a task without holding it.
 * - `assigner`: the election of the assigner.
 *
 * Two things are kept apart. The lists say who *should* work on a task and may be out of date; the claim
 * decides who *may*, and its token is the task's generation. So a task is never worked on twice at once,
 * whoever dies when, and is never forgotten, because the next assigner compares the lists with what is there.
 *
 * This file is the layout. `task-assigner.ts` writes the lists, `task-worker.ts` follows them.
 *
 * @module
 */

import { joinPath, pathFault, ZkErrorCode } from "../base/index.ts";
import { type Client, json, ZkError, type Znode } from "../client/index.ts";
import { isWeight, weightMax } from "./assignment.ts";
import { orMissing } from "./bell.ts";

/** Tasks of one path, and workers: their lists, all rewritten, fit into one request of 1 MiB. */
export const tasksMax = 2_000;
export const workersMax = 500;

/** Of a task's or a worker's name, as JSON. */
export const nameBytesMax = 128;

export interface TaskOptions {
  /** What it costs to have it, compared with other tasks: 1 to 10,000. Default: 1. */
  readonly weight?: number | undefined;
  /** For whoever works on it. Default: empty. */
  readonly data?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where things are, below the path of an assignment. */
export interface TaskPaths {
  readonly tasks: string;
  readonly workers: string;
  readonly assigned: string;
  readonly claims: string;
  readonly assigner: string;
}

export function taskPaths(path: string): TaskPaths {
  const below = (name: string) => joinPath(path, name);
  return {
    tasks: below("tasks"),
    workers: below("workers"),
    assigned: below("assigned"),
    claims: below("claims"),
    assigner: below("assigner"),
  };
}

/**
 * Adds a task. The assigner gives it to a worker.
 *
 * @throws {@link ZkError} `NodeExists` when there is one of this name; `BadArguments` for a name or a weight
 *   that makes no sense, and when there are {@link tasksMax} already; as `Client.create`.
 */
export async function addTask(
  zk: Client,
  path: string,
  name: string,
  options: TaskOptions = {},
): Promise<void> {
  const { weight = 1, data = "", signal } = options;
  const { tasks } = taskPaths(path);
  checkName(name, path, "add the task");
  if (!isWeight(weight, 1))
    throw refused(path, `add the task "${name}"`, `weight is ${weight}, not 1 to ${weightMax}`);
  await zk.createPath(tasks, { signal });
  const stat = await zk.exists(tasks, { signal });
  if (stat !== undefined && stat.numChildren >= tasksMax) {
    throw refused(
      path,
      `add the task "${name}"`,
      `there are ${stat.numChildren} already, ${tasksMax} at most`,
    );
  }
  await zk.create(joinPath(tasks, name), json({ weight, data }), { signal });
}

/** Removes a task. Whoever works on it is told by its signal. Gone already is no error. */
export async function removeTask(
  zk: Client,
  path: string,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  checkName(name, path, "remove the task");
  await zk.delete(joinPath(taskPaths(path).tasks, name), { signal }).catch(orMissing);
}

/** Who has been given what, by task. A task that is missing here is given to nobody just now. */
export async function assignmentsOf(
  zk: Client,
  path: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const lists = await readLists(zk, taskPaths(path).assigned, signal);
  return new Map([...lists].flatMap(([id, list]) => [...list.keys()].map((name) => [name, id] as const)));
}

/** Tasks of one worker: the `czxid` of each, by name. */
export type TaskList = ReadonlyMap<string, bigint>;

export async function readLists(
  zk: Client,
  assigned: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, TaskList>> {
  const ids = (await zk.children(assigned, { signal }).catch(orMissing)) ?? [];
  const lists = await Promise.all(
    ids.map(async (id) => {
      const znode = await zk.get(joinPath(assigned, id), { signal }).catch(orMissing);
      return znode === undefined ? [] : [[id, parseList(znode)] as const];
    }),
  );
  return new Map(lists.flat());
}

/** A list that nobody can read is an empty one: the assigner writes it anew. */
export function parseList(znode: Znode): TaskList {
  const { tasks } = fieldsOf(znode);
  if (typeof tasks !== "object" || tasks === null) return new Map();
  return new Map(
    Object.entries(tasks).flatMap(([name, czxid]) =>
      typeof czxid === "string" && /^0x[0-9a-f]{1,16}$/.test(czxid) ? [[name, BigInt(czxid)] as const] : [],
    ),
  );
}

export function listText(list: TaskList): string {
  const tasks = [...list].map(([name, czxid]) => [name, `0x${czxid.toString(16)}`] as const);
  return json({ tasks: Object.fromEntries(tasks) });
}

/** `undefined` for a znode that is no task: it is given to nobody. */
export function parseTask(znode: Znode): { readonly weight: number; readonly data: string } | undefined {
  const { weight, data } = fieldsOf(znode);
  return isWeight(weight, 1) && typeof data === "string" ? { weight, data } : undefined;
}

/** `undefined` for a znode that is no worker: it is given nothing. */
export function parseCapacity(znode: Znode): number | undefined {
  const { capacity } = fieldsOf(znode);
  return isWeight(capacity, 0) ? capacity : undefined;
}

function fieldsOf(znode: Znode): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(znode.text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** @throws {@link ZkError} `BadArguments`. */
export function checkName(name: string, path: string, action: string): void {
  const fault = name.includes("/") ? 'it has a "/"' : pathFault(`/${name}`);
  const bytes = new TextEncoder().encode(json(name)).length;
  if (fault !== undefined) throw refused(path, `${action} ${json(name)}`, fault);
  if (bytes > nameBytesMax) throw refused(path, action, `a name of ${bytes} bytes, ${nameBytesMax} at most`);
}

export function refused(path: string, action: string, why: string): ZkError {
  return new ZkError({
    code: ZkErrorCode.BadArguments,
    message: `Cannot ${action} at "${path}": ${why}`,
    path,
  });
}
