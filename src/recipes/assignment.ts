/**
 * Who gets which task: a pure question about weights, capacities and who has what now.
 *
 * A worker's load is the weight of its tasks divided by its capacity. Tasks stay where they are as long as
 * that is fair (sticky); a task moves only when its new worker, with it, is less loaded than its old one was.
 *
 * Invariants of every answer:
 * - Every task has exactly one worker, unless no worker has any capacity.
 * - Fair: no single move could help. For each task of each worker, any other worker that took it would be
 *   loaded at least as much. With equal weights and capacities, counts differ by one at most.
 * - Stable: asked again with its own answer as what is there, it answers the same.
 *
 * It ends because each move makes the loads, sorted from the greatest, smaller.
 *
 * Sources: KIP-54 (Kafka's sticky assignor) for the aims; greedy balancing of load on related machines.
 *
 * @module
 */

import { assert } from "../base/index.ts";

/** What a task's `weight` and a worker's `capacity` may be at most: products stay exact integers. */
export const weightMax = 10_000;

export interface AssignmentInput {
  /** Weights by name: integers, 1 to {@link weightMax}. */
  readonly tasks: ReadonlyMap<string, number>;
  /** Capacities by id: integers, 0 (gets nothing) to {@link weightMax}. */
  readonly workers: ReadonlyMap<string, number>;
  /** Who has what now, by task. Those gone, workers or tasks, are passed over. */
  readonly current: ReadonlyMap<string, string>;
}

interface Load {
  readonly id: string;
  readonly capacity: number;
  load: number;
  /** Heaviest first, then by name. */
  readonly tasks: Task[];
}

interface Task {
  readonly name: string;
  readonly weight: number;
}

/** Workers by task. Empty when there is no worker with capacity. */
export function planAssignment(input: AssignmentInput): ReadonlyMap<string, string> {
  const { tasks, workers, current } = input;
  const loads = new Map<string, Load>();
  for (const [id, capacity] of [...workers].sort(byName)) {
    assert(isWeight(capacity, 0), "a capacity is an integer in its range");
    if (capacity > 0) loads.set(id, { id, capacity, load: 0, tasks: [] });
  }
  if (loads.size === 0) return new Map();
  const homeless: Task[] = [];
  for (const [name, weight] of tasks) {
    assert(isWeight(weight, 1), "a weight is an integer in its range");
    const home = loads.get(current.get(name) ?? "");
    if (home === undefined) homeless.push({ name, weight });
    else give(home, { name, weight });
  }
  const all = [...loads.values()];
  for (const task of homeless.sort(heaviestFirst)) {
    const target = bestFor(task, all);
    assert(target !== undefined, "there is a worker with capacity");
    give(target, task);
  }
  for (const each of all) each.tasks.sort(heaviestFirst);
  while (moveOne(all));
  return new Map(all.flatMap(({ id, tasks: own }) => own.map(({ name }) => [name, id] as const)));
}

export function isWeight(value: unknown, least: 0 | 1): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= weightMax;
}

/** Moves one task from the most loaded worker that any move can help. */
function moveOne(loads: readonly Load[]): boolean {
  for (const from of [...loads].sort(mostLoadedFirst)) {
    let tried = 0;
    for (const [at, task] of from.tasks.entries()) {
      // Equal weights fare alike.
      if (task.weight === tried) continue;
      tried = task.weight;
      const others = loads.filter((each) => each !== from);
      const to = bestFor(task, others);
      if (to === undefined || !isLess(to.load + task.weight, to.capacity, from.load, from.capacity)) continue;
      from.tasks.splice(at, 1);
      from.load -= task.weight;
      give(to, task);
      to.tasks.sort(heaviestFirst);
      return true;
    }
  }
  return false;
}

function give(load: Load, task: Task): void {
  load.tasks.push(task);
  load.load += task.weight;
}

/** Whom the task would load least; the first by id among equals. */
function bestFor({ weight }: Task, loads: readonly Load[]): Load | undefined {
  let best: Load | undefined;
  for (const each of loads) {
    const isBetter =
      best === undefined || isLess(each.load + weight, each.capacity, best.load + weight, best.capacity);
    if (isBetter) best = each;
  }
  return best;
}

/** `a / aCapacity < b / bCapacity`, without a division. */
function isLess(a: number, aCapacity: number, b: number, bCapacity: number): boolean {
  return a * bCapacity < b * aCapacity;
}

function mostLoadedFirst(a: Load, b: Load): number {
  return b.load * a.capacity - a.load * b.capacity;
}

function heaviestFirst(a: Task, b: Task): number {
  return b.weight - a.weight || (a.name < b.name ? -1 : 1);
}

function byName([a]: readonly [string, number], [b]: readonly [string, number]): number {
  return a < b ? -1 : 1;
}
