/**
 * What task assignment promises, whoever is lost: every task in somebody's hands, in nobody else's at the same
 * time, under generations that only grow.
 *
 * Every worker writes down when it begins and ends; the history is judged, not the code.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import type { Client } from "../../src/client/index.ts";
import {
  addTask,
  assignmentsOf,
  assignTasks,
  type HeldTask,
  removeTask,
  workOnTasks,
} from "../../src/recipes/index.ts";
import { tasksMax } from "../../src/recipes/tasks.ts";

interface Running {
  readonly worker: string;
  readonly task: HeldTask;
}

/** Who works on what, as the workers themselves say. */
class Ledger {
  readonly running = new Map<string, Running>();
  readonly generations = new Map<string, bigint[]>();
  readonly faults: string[] = [];
  #watchers = new Set<() => void>();

  /** Work that goes on until it is told to stop. */
  readonly serve = (worker: string) => async (task: HeldTask) => {
    this.begin(worker, task);
    await aborted(task.signal);
    this.end(task);
  };

  begin(worker: string, task: HeldTask): void {
    const other = this.running.get(task.name);
    if (other !== undefined) this.faults.push(`${task.name}: ${worker} beside ${other.worker}`);
    const before = this.generations.get(task.name) ?? [];
    if (before.some((generation) => generation >= task.generation)) this.faults.push(`${task.name}: token`);
    this.generations.set(task.name, [...before, task.generation]);
    this.running.set(task.name, { worker, task });
    this.#changed();
  }

  end({ name }: HeldTask): void {
    this.running.delete(name);
    this.#changed();
  }

  loads(): Readonly<Record<string, number>> {
    const loads: Record<string, number> = {};
    for (const { worker } of this.running.values()) loads[worker] = (loads[worker] ?? 0) + 1;
    return loads;
  }

  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!isSo()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A worker process, as far as others can tell: a client, an id, an end. */
class Process {
  readonly controller = new AbortController();
  readonly zk: Client;
  readonly over: Promise<void>;

  constructor(
    zk: Client,
    path: string,
    id: string,
    work: (task: HeldTask) => Promise<void>,
    options: { readonly capacity?: number; readonly assigns?: boolean } = {},
  ) {
    this.zk = zk;
    this.over = workOnTasks(zk, path, { id, signal: this.controller.signal, ...options }, work);
    this.over.catch(() => undefined);
  }

  /** Says good-bye. */
  async leave(): Promise<void> {
    this.controller.abort();
    await this.over;
    await this.zk.close();
  }

  /** Its session ends with everything it holds. */
  async die(): Promise<void> {
    await this.zk.close();
    await this.over;
  }
}

export function tasksSuite(open: () => Client): void {
  const at = () => `/sharing/${Math.random().toString(36).slice(2)}`;

  describe("task assignment", () => {
    test("shares tasks, moves few when a worker joins, and none is lost or doubled when workers die", async () => {
      const path = at();
      const ledger = new Ledger();
      const names = ["t1", "t2", "t3", "t4", "t5", "t6"];
      const seeder = open();
      for (const name of names) await addTask(seeder, path, name, { data: `about ${name}` });
      const start = (id: string) => new Process(open(), path, id, ledger.serve(id));
      const a = start("a");
      await ledger.until(() => ledger.running.size === 6);
      expect(ledger.running.get("t1")?.task.data).toBe("about t1");
      const b = start("b");
      await ledger.until(() => ledger.running.size === 6 && ledger.loads()["b"] === 3);
      const kept = [...ledger.running.values()].filter(({ worker }) => worker === "a");
      expect(kept.map(({ task }) => ledger.generations.get(task.name)?.length)).toEqual([1, 1, 1]);
      const c = start("c");
      await ledger.until(() => ledger.running.size === 6 && ledger.loads()["c"] === 2);
      // The first to come is the assigner: it dies, and so does its office.
      const lost = [...ledger.running.values()].find(({ worker }) => worker === "a")?.task;
      await a.die();
      await ledger.until(() => ledger.running.size === 6 && ledger.loads()["a"] === undefined);
      expect(ledger.loads()).toEqual({ b: 3, c: 3 });
      expect(Object.fromEntries(await assignmentsOf(seeder, path))).toEqual(
        Object.fromEntries([...ledger.running].map(([name, { worker }]) => [name, worker])),
      );
      expect(lost?.signal.aborted).toBe(true);
      await b.leave();
      await ledger.until(() => ledger.running.size === 6 && ledger.loads()["c"] === 6);
      await c.leave();
      expect([...ledger.running]).toEqual([]);
      expect(ledger.faults).toEqual([]);
      await seeder.close();
    });

    test("a write under an old generation is refused, one under the present is not", async () => {
      const path = at();
      const zk = open();
      await addTask(zk, path, "t");
      const ledger = new Ledger();
      // It does not listen to its signal: it is told to stop by the test alone.
      const stubborn = new AbortController();
      const a = new Process(open(), path, "a", async (task) => {
        ledger.begin("a", task);
        await aborted(stubborn.signal);
        ledger.end(task);
      });
      await ledger.until(() => ledger.running.size === 1);
      const old = ledger.running.get("t")?.task;
      await old?.transaction().create(`${path}/result`, "1").commit();
      // Its claim is taken away, as if its session had ended.
      const [claim = ""] = await zk.children(`${path}/claims/t`);
      await zk.delete(`${path}/claims/t/${claim}`);
      await aborted(old?.signal ?? new AbortController().signal);
      const write = old?.transaction().set(`${path}/result`, "stale").commit();
      await expect(write).rejects.toMatchObject({ codeName: "NoNode" });
      stubborn.abort();
      await ledger.until(() => (ledger.generations.get("t")?.length ?? 0) === 2);
      const present = ledger.running.get("t")?.task;
      expect((present?.generation ?? 0n) > (old?.generation ?? 0n)).toBe(true);
      expect(ledger.faults).toEqual([]);
      expect((await zk.get(`${path}/result`)).text).toBe("1");
      await a.leave();
      await zk.close();
    });

    test("a task that is done is removed, and can be added again; one that is removed is stopped", async () => {
      const path = at();
      const zk = open();
      let runs = 0;
      const ledger = new Ledger();
      const a = new Process(
        open(),
        path,
        "a",
        async (task) => {
          if (task.name !== "job") return ledger.serve("a")(task);
          runs += 1;
        },
        { assigns: false },
      );
      const assigner = open();
      const controller = new AbortController();
      const assigning = assignTasks(assigner, path, { id: "boss", signal: controller.signal });
      for (const run of [1, 2]) {
        await addTask(zk, path, "job");
        for (;;) {
          const { stat, changed } = await zk.exists(`${path}/tasks/job`, { watch: true });
          if (stat === undefined) break;
          await changed;
        }
        expect(runs).toBe(run);
      }
      await addTask(zk, path, "shard");
      await expect(addTask(zk, path, "shard")).rejects.toMatchObject({ codeName: "NodeExists" });
      await ledger.until(() => ledger.running.has("shard"));
      await removeTask(zk, path, "shard");
      await ledger.until(() => !ledger.running.has("shard"));
      await removeTask(zk, path, "shard");
      controller.abort();
      await assigning;
      await a.leave();
      await Promise.all([zk.close(), assigner.close()]);
    });

    test("weights and capacities count; a worker of no capacity gets nothing", async () => {
      const path = at();
      const zk = open();
      const ledger = new Ledger();
      await addTask(zk, path, "heavy", { weight: 4 });
      for (const name of ["l1", "l2", "l3", "l4"]) await addTask(zk, path, name);
      const drained = new Process(open(), path, "drained", ledger.serve("drained"), { capacity: 0 });
      const a = new Process(open(), path, "a", ledger.serve("a"), { capacity: 10 });
      await ledger.until(() => ledger.running.size === 5);
      const b = new Process(open(), path, "b", ledger.serve("b"), { capacity: 10 });
      await ledger.until(() => ledger.running.size === 5 && Object.keys(ledger.loads()).length === 2);
      expect(Object.values(ledger.loads()).sort()).toEqual([1, 4]);
      await Promise.all([drained.leave(), a.leave(), b.leave()]);
      expect(ledger.faults).toEqual([]);
      await zk.close();
    });

    test("what the work throws ends the worker, and others go on", async () => {
      const path = at();
      const zk = open();
      const ledger = new Ledger();
      const broken = new Process(open(), path, "broken", () => Promise.reject(new Error("no disk")));
      await addTask(zk, path, "t");
      await expect(broken.over).rejects.toThrow("no disk");
      const a = new Process(zk, path, "a", ledger.serve("a"));
      await ledger.until(() => ledger.running.has("t"));
      await a.leave();
      await broken.zk.close();
    });

    test("any order of joining, dying, leaving, adding and removing leaves every task with one worker", async () => {
      const path = at();
      const zk = open();
      const ledger = new Ledger();
      const processes: Process[] = [];
      const names = new Set<string>();
      let count = 0;
      const join = () => {
        count += 1;
        const id = `w${count}`;
        processes.push(new Process(open(), path, id, ledger.serve(id)));
      };
      const add = async () => {
        count += 1;
        const name = `t${count}`;
        names.add(name);
        await addTask(zk, path, name);
      };
      join();
      for (let i = 0; i < 6; i++) await add();
      // Fixed, so that a failure can be seen again; nothing waits for the one before to have settled.
      for (const step of "jaldjrjalardjdj") {
        if (step === "j") join();
        else if (step === "a") await add();
        else if (step === "l") await processes.shift()?.leave();
        else if (step === "d") await processes.pop()?.die();
        else {
          const [name = ""] = names;
          names.delete(name);
          await removeTask(zk, path, name);
        }
      }
      const isSettled = () => [...ledger.running.keys()].sort().join() === [...names].sort().join();
      await ledger.until(isSettled);
      expect(ledger.faults).toEqual([]);
      await Promise.all(processes.map((each) => each.leave()));
      expect(ledger.faults).toEqual([]);
      await zk.close();
    });

    test("refuses names, weights and capacities that make no sense", async () => {
      const zk = open();
      const signal = AbortSignal.abort();
      const bad = { codeName: "BadArguments" };
      await expect(addTask(zk, "/x", "a/b")).rejects.toMatchObject(bad);
      await expect(addTask(zk, "/x", "..")).rejects.toMatchObject(bad);
      await expect(addTask(zk, "/x", "a".repeat(127))).rejects.toThrow("128 at most");
      await addTask(zk, at(), "a".repeat(126));
      await expect(addTask(zk, "/x", "a", { weight: 0 })).rejects.toMatchObject(bad);
      const full = at();
      await zk.createPath(`${full}/tasks`);
      const transaction = zk.transaction();
      for (let i = 1; i < tasksMax; i++) transaction.create(`${full}/tasks/t${i}`);
      await transaction.commit();
      await addTask(zk, full, "last");
      await expect(addTask(zk, full, "one-more")).rejects.toThrow("2000 at most");
      // One that came another way is given to nobody, and harms nobody; nor does what is no task.
      await zk.create(`${full}/tasks/aaa`, '{"weight":1,"data":""}');
      const ledger = new Ledger();
      const a = new Process(open(), full, "a", ledger.serve("a"));
      await ledger.until(() => ledger.running.has("last"));
      expect([...ledger.running.keys()]).toEqual(["last"]);
      await a.leave();
      const work = () => Promise.resolve();
      await expect(workOnTasks(zk, "/x", { id: "", signal }, work)).rejects.toMatchObject(bad);
      await expect(workOnTasks(zk, "/x", { id: "a", capacity: 10_001, signal }, work)).rejects.toMatchObject(
        bad,
      );
      await zk.close();
    });
  });
}
