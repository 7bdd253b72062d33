/**
 * The assigner: elected, it keeps the lists of who has which task in step with who and what is there.
 *
 * Every change of the lists is one transaction that also checks the assigner's own place in the election: one
 * that has lost it, and does not know it yet, changes nothing.
 *
 * What the lists say is read once, when the reign begins, and known from then on. That reading is of the last
 * write of the assigner before: this client leads because it has seen that one's contender go, which came later.
 *
 * @module
 */

import { joinPath } from "../base/index.ts";
import { type Client, isZkError, type Lock, orAbort, persistently, type Znode } from "../client/index.ts";
import { planAssignment } from "./assignment.ts";
import { Bell } from "./bell.ts";
import { lead } from "./election.ts";
import { SubtreeCache } from "./subtree-cache.ts";
import {
  checkName,
  listText,
  parseCapacity,
  parseTask,
  readLists,
  type TaskList,
  type TaskPaths,
  taskPaths,
  tasksMax,
  workersMax,
} from "./tasks.ts";

type Lists = ReadonlyMap<string, TaskList>;

export interface AssignerOptions {
  /** What others see. */
  readonly id: string;
  readonly signal: AbortSignal;
}

/**
 * Stands for assigner, and assigns while it is one, until the signal aborts. `workOnTasks` does so too, unless
 * told otherwise: this is for who assigns and does not work.
 *
 * @throws {@link ZkError} `BadArguments` for an id that makes no sense, and with more than 4,000 tasks or 1,000
 *   workers; `NoAuth`. Between 2,000 and 4,000 tasks, or 500 and 1,000 workers, the youngest get nothing.
 */
export async function assignTasks(zk: Client, path: string, { id, signal }: AssignerOptions): Promise<void> {
  checkName(id, path, "assign tasks as");
  const paths = taskPaths(path);
  await persistently(zk, signal, () =>
    lead(zk, paths.assigner, { id, signal }, (leadership) => {
      const until = AbortSignal.any([signal, leadership.signal]);
      return reign({ zk, paths, leadership, signal: until });
    }),
  );
}

interface Reign {
  readonly zk: Client;
  readonly paths: TaskPaths;
  readonly leadership: Lock;
  readonly signal: AbortSignal;
}

async function reign(parts: Reign): Promise<void> {
  const { zk, paths, signal } = parts;
  await using tasks = new SubtreeCache(zk, paths.tasks, { limit: 2 * tasksMax });
  await using workers = new SubtreeCache(zk, paths.workers, { limit: 2 * workersMax });
  const bell = new Bell();
  tasks.subscribe(() => bell.ring());
  workers.subscribe(() => bell.ring());
  try {
    await orAbort(Promise.all([tasks.ready, workers.ready]), signal);
    let known: Lists | undefined;
    while (!signal.aborted) {
      known ??= await readAll(parts);
      known = await store(parts, known, wantedLists(tasks, workers, known));
      if (known !== undefined) await orAbort(bell.heard(), signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function readAll({ zk, paths, signal }: Reign): Promise<Lists> {
  await zk.createPath(paths.assigned, { signal });
  return readLists(zk, paths.assigned, signal);
}

function wantedLists(tasks: SubtreeCache, workers: SubtreeCache, known: Lists): Lists {
  const czxids = new Map<string, bigint>();
  const weights = new Map<string, number>();
  for (const [name, znode] of oldest(tasks, tasksMax)) {
    const task = parseTask(znode);
    if (task === undefined) continue;
    czxids.set(name, znode.stat.czxid);
    weights.set(name, task.weight);
  }
  const capacities = new Map<string, number>();
  for (const [id, znode] of oldest(workers, workersMax)) {
    const capacity = parseCapacity(znode);
    if (capacity !== undefined) capacities.set(id, capacity);
  }
  const current = new Map<string, string>();
  for (const [id, list] of known) {
    for (const [name, czxid] of list) if (czxids.get(name) === czxid) current.set(name, id);
  }
  const lists = new Map([...capacities.keys()].map((id) => [id, new Map<string, bigint>()] as const));
  for (const [name, id] of planAssignment({ tasks: weights, workers: capacities, current })) {
    lists.get(id)?.set(name, czxids.get(name) ?? 0n);
  }
  return lists;
}

/** Answers what the lists say now; `undefined` when somebody else has changed them. */
async function store(parts: Reign, known: Lists, wanted: Lists): Promise<Lists | undefined> {
  const { zk, paths, leadership, signal } = parts;
  const transaction = zk.transaction().check(leadership.contender);
  let changes = 0;
  for (const id of new Set([...known.keys(), ...wanted.keys()])) {
    const path = joinPath(paths.assigned, id);
    const before = known.get(id);
    const after = wanted.get(id);
    if (before !== undefined && after !== undefined && isSame(before, after)) continue;
    changes += 1;
    if (after === undefined) transaction.delete(path);
    else if (before === undefined) transaction.create(path, listText(after));
    else transaction.set(path, listText(after));
  }
  if (changes === 0) return known;
  try {
    await transaction.commit({ signal });
    return wanted;
  } catch (error) {
    // Of the reign's end its signal tells. Anything else there is to be read, and decided, again.
    const isMeddling = isZkError(error, "NoNode") || isZkError(error, "NodeExists");
    if (!isMeddling) throw error;
    if (error.path === leadership.contender) await leadership.release();
    return undefined;
  }
}

/** Of more than there may be, those that came first: one too many harms nobody who was there before. */
function oldest(cache: SubtreeCache, max: number): readonly (readonly [string, Znode])[] {
  return cache
    .children(cache.path)
    .flatMap((name) => {
      const znode = cache.get(joinPath(cache.path, name));
      return znode === undefined ? [] : [[name, znode] as const];
    })
    .sort(([, a], [, b]) => (a.stat.czxid < b.stat.czxid ? -1 : 1))
    .slice(0, max);
}

function isSame(a: TaskList, b: TaskList): boolean {
  return a.size === b.size && [...a].every(([name, czxid]) => b.get(name) === czxid);
}
