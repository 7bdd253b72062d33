/**
 * Shards shared among workers: each shard has one worker at a time, and another when that one is gone.
 *
 * @module
 */

import { connect } from "edgekeeper/client";
import { addTask, type HeldTask, workOnTasks } from "edgekeeper/recipes";

const url = process.env["EK_URL"] ?? "http://127.0.0.1:8787/v1/main";
const path = `/example-shards-${Date.now()}`;
const shards = ["s1", "s2", "s3", "s4"];

/** Which worker serves which shard, as this process sees it. */
const serving = new Map<string, string>();
const looks = new Set<() => void>();

function tell(): void {
  for (const look of [...looks]) look();
}

function until(isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isSo()) return;
      looks.delete(look);
      resolve();
    };
    looks.add(look);
    look();
  });
}

function shardsOf(id: string): number {
  return [...serving.values()].filter((worker) => worker === id).length;
}

/** Yours serves requests for the shard, and sends `generation` along with what it writes. */
async function serve(id: string, { name, signal }: HeldTask): Promise<void> {
  if (serving.has(name)) throw new Error(`${name} is served twice`);
  serving.set(name, id);
  tell();
  if (!signal.aborted) await new Promise((stop) => signal.addEventListener("abort", stop));
  serving.delete(name);
  tell();
}

function startWorker(id: string) {
  const zk = connect(url);
  const stop = new AbortController();
  const over = workOnTasks(zk, path, { id, signal: stop.signal }, (task) => serve(id, task));
  return { zk, stop, over };
}

const admin = connect(url);
for (const shard of shards) await addTask(admin, path, shard);

const a = startWorker("a");
await until(() => shardsOf("a") === 4);
console.log("a alone has 4");

const b = startWorker("b");
await until(() => shardsOf("a") === 2 && shardsOf("b") === 2);
console.log("a and b have 2 each");

await a.zk.close();
await a.over;
await until(() => shardsOf("b") === 4);
console.log("a is lost, b has 4");

b.stop.abort();
await b.over;
await b.zk.close();
await admin.deleteTree(path);
await admin.close();
