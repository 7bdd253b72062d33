/**
 * edgekeeper as `npm start` runs it, and the same runtime with another Worker in it.
 *
 * @module
 */

import { join } from "node:path";
import { pause } from "../load/drive.ts";
import { makeTemporaryDirectory, ServerProcess } from "./process.ts";
import type { System, SystemName } from "./system.ts";

const startPath = join(import.meta.dirname, "..", "..", "src", "local", "start.ts");
const hostPath = join(import.meta.dirname, "host.ts");
const barePath = join(import.meta.dirname, "bare-worker.ts");
const partsPath = join(import.meta.dirname, "parts-worker.ts");
const abortingPath = join(import.meta.dirname, "aborting-worker.ts");

const readyTimeoutMs = 60_000;
const leaderTimeoutMs = 30_000;
/** As in `aborting-worker.ts`. */
const hangMs = 5_000;

/** What the script `start` of package.json runs, without npm in between. */
export function startEdgekeeper(members: number): Promise<System> {
  return start("edgekeeper", startPath, ["--members", String(members)]);
}

/** Its leader can be killed. */
export async function startAborting(members: number): Promise<System> {
  const system = await start("edgekeeper", hostPath, [abortingPath, String(members)]);
  const url = system.url ?? "";
  let hangsUntilMs = 0;
  return {
    ...system,
    async awaitLeader() {
      const deadlineMs = performance.now() + leaderTimeoutMs;
      while ((await findLeader(url)) === null) {
        if (performance.now() > deadlineMs) throw new Error("no leader in time");
        await pause(20);
      }
    },
    killLeader: () => strikeLeader(url, "abort"),
    async hangLeader() {
      hangsUntilMs = performance.now() + hangMs;
      await strikeLeader(url, "hang");
    },
    async mend() {
      await pause(Math.max(0, hangsUntilMs - performance.now()));
      // The leader that was may still take itself for one: as with ZooKeeper's, it is waited for.
      const deadlineMs = performance.now() + leaderTimeoutMs;
      while (!(await isWhole(url))) {
        if (performance.now() > deadlineMs) throw new Error("a member has not come back in time");
        await pause(20);
      }
    },
  };
}

/** One object that stores every message as a row and sends it back. */
export function startBareObject(): Promise<System> {
  return start("bare object", hostPath, [barePath, "1"]);
}

/** Objects that do a write's way in parts; which, its Worker is told. */
export function startParts(): Promise<System> {
  return start("bare object", hostPath, [partsPath, "3"]);
}

async function start(name: SystemName, path: string, args: readonly string[]): Promise<System> {
  const directory = makeTemporaryDirectory();
  const beganMs = performance.now();
  // Settings of the person who runs this are not what is measured.
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !key.startsWith("EK_")),
  );
  const server = new ServerProcess(
    process.execPath,
    [path, ...args, "--data", directory.path, "--port", "0", "--zk-port", "0"],
    environment,
  );
  const stop = async (): Promise<void> => {
    await server.stop();
    directory.remove();
  };
  try {
    const line = await readyLine(server);
    const readyMs = performance.now() - beganMs;
    const found = /^ready (http:\/\/127\.0\.0\.1:\d+) zookeeper:\/\/127\.0\.0\.1:(\d+)/m.exec(line);
    if (found === null) throw new Error(`no ready line but: ${line}`);
    const addresses = [{ host: "127.0.0.1", port: Number(found[2]) }];
    return { name, addresses, url: found[1], readyMs, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function readyLine(server: ServerProcess): Promise<string> {
  const deadlineMs = performance.now() + readyTimeoutMs;
  while (!server.stdout.includes("\n")) {
    if (server.hasExited) throw new Error(`the start ended before it was ready:\n${server.said}`);
    if (performance.now() > deadlineMs) throw new Error(`not ready in time:\n${server.said}`);
    await pause(2);
  }
  return server.stdout;
}

async function strikeLeader(url: string, how: "abort" | "hang"): Promise<void> {
  const leader = await findLeader(url);
  if (leader === null) throw new Error("there is no leader to kill");
  const struck = await fetch(`${url}/bench/${how}/${leader}`);
  await struck.text();
  if (struck.status !== 204) throw new Error(`${how} of the leader: status ${struck.status}`);
}

/** Whether every member serves, and all of them under one leader. */
async function isWhole(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/v1/main/members`);
  const { members }: { members: readonly { serving?: boolean; epoch?: number }[] } = JSON.parse(
    await answer.text(),
  );
  return members.every(({ serving, epoch }) => serving === true && epoch === members[0]?.epoch);
}

async function findLeader(url: string): Promise<number | null> {
  const answer = await fetch(`${url}/v1/main/members`);
  const { leader }: { leader: number | null } = JSON.parse(await answer.text());
  return leader;
}
