/**
 * A worker: it is there by an ephemeral, follows the list of tasks it was given, and works on each under its
 * claim.
 *
 * A task that is taken from it is given up first, and its claim with it; whoever has been given it waits for
 * that claim. So a task changes hands without a moment in which two work on it, and a worker that ignores its
 * signal holds up its successor instead of working beside it.
 *
 * @module
 */

import { CreateMode, joinPath } from "../base/index.ts";
import {
  type Client,
  isZkError,
  json,
  type Lock,
  orAbort,
  persistently,
  type Transaction,
  ZkError,
} from "../client/index.ts";
import { isWeight, weightMax } from "./assignment.ts";
import { orMissing } from "./bell.ts";
import { assignTasks } from "./task-assigner.ts";
import {
  checkName,
  parseList,
  parseTask,
  refused,
  type TaskList,
  type TaskPaths,
  taskPaths,
} from "./tasks.ts";

export interface WorkerOptions {
  /** Its name: a worker that comes back under it is given what it had, unless that was given away meanwhile. */
  readonly id: string;
  /** How much it can bear, compared with other workers: 0 (nothing) to 10,000. Default: 1. */
  readonly capacity?: number | undefined;
  /** Whether it also stands for assigner. Somebody has to. Default: true. */
  readonly assigns?: boolean | undefined;
  /** Ends it: the tasks are given up, and given to others. */
  readonly signal: AbortSignal;
}

/** A task in somebody's hands. */
export interface HeldTask {
  readonly name: string;
  readonly data: string;
  /**
   * The fencing token: whoever gets this task later has a greater one. Send it along with every write that
   * must not come from an earlier worker, and let the other side refuse a smaller one than it has seen.
   */
  readonly generation: bigint;
  /** Aborts when the task is taken away, removed or lost: stop then. */
  readonly signal: AbortSignal;
  /** A transaction that fails with `NoNode` unless this task is still held, under this generation. */
  transaction(): Transaction;
}

/**
 * Works on the tasks that it is given, until the signal aborts. Many at once: bound them by the tasks' weights.
 *
 * @param work - Called for each task when it may begin. A task that goes on for ever returns when its signal
 *   aborts. One that returns before has done its task, which is then removed. What it throws before its
 *   signal aborts ends everything, and the tasks are given to others.
 * @throws What `work` throws; {@link ZkError} `BadArguments`, `NoAuth`.
 * @example
 * await workOnTasks(zk, "/shards", { id: "node-1", signal }, async ({ name, generation, signal }) => {
 *   await serveShard(name, { generation, signal });
 * });
 */
export async function workOnTasks(
  zk: Client,
  path: string,
  options: WorkerOptions,
  work: (task: HeldTask) => Promise<void>,
): Promise<void> {
  const { id, capacity = 1, assigns = true } = options;
  checkName(id, path, "work as");
  if (!isWeight(capacity, 0))
    throw refused(path, `work as "${id}"`, `capacity is ${capacity}, not 0 to ${weightMax}`);
  const worker = new Worker(zk, taskPaths(path), id, options.signal, work);
  await worker.run(capacity, (signal) => (assigns ? assignTasks(zk, path, { id, signal }) : undefined));
}

/** One task of the list: a name, and which task of that name. */
interface Entry {
  readonly name: string;
  readonly czxid: bigint;
}

class Worker {
  readonly #zk: Client;
  readonly #paths: TaskPaths;
  readonly #id: string;
  readonly #work: (task: HeldTask) => Promise<void>;
  readonly #stop = new AbortController();
  /** Aborts when the caller wants an end, and when something has failed. */
  readonly #signal: AbortSignal;
  /** Tasks of the list, those done included until the list drops them, by name and `czxid`. */
  readonly #held = new Map<string, AbortController>();
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(
    zk: Client,
    paths: TaskPaths,
    id: string,
    signal: AbortSignal,
    work: (task: HeldTask) => Promise<void>,
  ) {
    this.#zk = zk;
    this.#paths = paths;
    this.#id = id;
    this.#work = work;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  async run(capacity: number, assign: (signal: AbortSignal) => Promise<void> | undefined): Promise<void> {
    const registration = this.#zk.register(joinPath(this.#paths.workers, this.#id), json({ capacity }));
    registration.ready.catch((error: unknown) => this.#fail(error));
    const assigner = assign(this.#signal)?.catch((error: unknown) => this.#fail(error));
    try {
      await persistently(this.#zk, this.#signal, () => this.#follow());
    } catch (error) {
      this.#fail(error);
    }
    this.#stop.abort();
    await Promise.all([registration.close().catch((error: unknown) => this.#fail(error)), assigner]);
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort();
  }

  /** Ends by a rejection only. */
  async #follow(): Promise<never> {
    const signal = this.#signal;
    const own = joinPath(this.#paths.assigned, this.#id);
    for (;;) {
      const { stat, changed } = await this.#zk.exists(own, { watch: true, signal });
      const znode = stat === undefined ? undefined : await this.#zk.get(own, { signal }).catch(orMissing);
      this.#reconcile(znode === undefined ? new Map() : parseList(znode));
      await orAbort(changed, signal);
    }
  }

  #reconcile(list: TaskList): void {
    const wanted = new Map<string, Entry>(
      [...list].map(([name, czxid]) => [`${name}@${czxid}`, { name, czxid }]),
    );
    for (const [key, controller] of [...this.#held]) {
      if (wanted.has(key)) continue;
      this.#held.delete(key);
      controller.abort();
    }
    for (const [key, entry] of wanted) {
      if (this.#held.has(key)) continue;
      const controller = new AbortController();
      this.#held.set(key, controller);
      const signal = AbortSignal.any([controller.signal, this.#signal]);
      const done = this.#hold(entry, signal)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => this.#underWay.delete(done));
      this.#underWay.add(done);
    }
  }

  /** Until the task is done, or somebody else's, or gone. */
  async #hold(entry: Entry, signal: AbortSignal): Promise<void> {
    let isOver = false;
    const { closing } = this.#zk;
    while (!isOver && !signal.aborted && !closing.aborted && this.#zk.state.kind !== "closed") {
      await persistently(this.#zk, signal, async () => {
        await this.#prepareClaim(entry, signal);
        const claim = await this.#zk.lock(joinPath(this.#paths.claims, entry.name), {
          owner: this.#id,
          signal,
        });
        await claim.run(async () => {
          isOver = await this.#workUnder(claim, entry, signal);
        });
      });
    }
  }

  /** A container, which goes by itself when nobody wants it any more. */
  async #prepareClaim({ name }: Entry, signal: AbortSignal): Promise<void> {
    await this.#zk.createPath(this.#paths.claims, { signal });
    const options = { mode: CreateMode.Container, signal };
    await this.#zk.create(joinPath(this.#paths.claims, name), null, options).catch((error: unknown) => {
      if (!isZkError(error, "NodeExists")) throw error;
    });
  }

  /** Whether there is no more to do. */
  async #workUnder(claim: Lock, { name, czxid }: Entry, signal: AbortSignal): Promise<boolean> {
    const path = joinPath(this.#paths.tasks, name);
    const until = AbortSignal.any([signal, claim.signal]);
    const znode = await this.#zk.get(path, { signal: until }).catch(orMissing);
    if (znode === undefined || znode.stat.czxid !== czxid) return true;
    const task = parseTask(znode);
    if (task === undefined) return true;
    const transaction = () => this.#zk.transaction().check(claim.contender);
    try {
      await this.#work({ name, data: task.data, generation: claim.token, signal: until, transaction });
    } catch (error) {
      // What the work says of its end is of interest only when the end was its own.
      if (!until.aborted) this.#fail(error);
    }
    if (until.aborted) return false;
    return this.#finish(path, czxid, transaction, until);
  }

  /** Removes a task that is done, only while it is still held. */
  async #finish(
    path: string,
    czxid: bigint,
    transaction: () => Transaction,
    signal: AbortSignal,
  ): Promise<boolean> {
    for (;;) {
      try {
        await transaction().delete(path).commit({ signal });
        return true;
      } catch (error) {
        if (isZkError(error, "NoNode")) return error.path === path;
        if (!(error instanceof ZkError) || error.outcome !== "unknown") throw error;
        const stat = await this.#zk.exists(path, { signal });
        if (stat?.czxid !== czxid) return true;
      }
    }
  }
}
