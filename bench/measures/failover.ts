/**
 * The failover gap: from the leader's death to the next acknowledged write.
 *
 * Of ZooKeeper a process is killed; of edgekeeper an object is aborted, which loses its memory and keeps its
 * storage, since that is what can happen to one. Clients then try every server at once, again and again: a
 * real client's pauses between attempts come on top, for both.
 *
 * @module
 */

import { type Address, LoadConnection } from "../load/connection.ts";
import { Failure, pause, within } from "../load/drive.ts";
import { create, makeValue, set } from "../load/ring.ts";
import { spreadOf } from "../results.ts";
import type { System } from "../servers/system.ts";
import { ensure, type Figure, type Measure } from "./measure.ts";

const path = "/bench-failover";
/** An attempt that has no answer by then is given up. */
const attemptMs = 500;
const gapMsMax = 60_000;
/** Between a mended ensemble and its next loss. */
const calmMs = 500;

export function failoverMeasures(): Measure[] {
  return [
    {
      name: "failover",
      group: "From the leader's death to the next acknowledged write",
      unit: "ms",
      bars: [],
      isQuick: true,
      systems: ["abortable edgekeeper", "zookeeper"],
      prepare: (system) => ensure(system, [create(path, makeValue(100))]),
      async run(system, { rounds }): Promise<Figure> {
        const gaps: number[] = [];
        for (let round = 0; round < rounds; round++) {
          gaps.push(await gapOf(system));
          await system.mend?.();
          await pause(calmMs);
        }
        return { value: spreadOf(gaps)?.median ?? 0 };
      },
    },
  ];
}

async function gapOf(system: System): Promise<number> {
  if (system.killLeader === undefined) throw new Error(`${system.name} keeps its leader`);
  const beganMs = performance.now();
  await system.killLeader();
  let hasAnswered = false;
  const probes = system.addresses.map(async (address) => {
    while (!hasAnswered) {
      if (await writes(address)) {
        hasAnswered = true;
        return performance.now() - beganMs;
      }
      if (performance.now() - beganMs > gapMsMax) throw new Error("no write after the leader's death");
      await pause(5);
    }
    return Number.POSITIVE_INFINITY;
  });
  return Math.min(...(await Promise.all(probes)));
}

/** One attempt: a new session, a set. */
async function writes(address: Address): Promise<boolean> {
  const failure = new Failure();
  const onFailure = (error: Error) => failure.set(error);
  let connection: LoadConnection | undefined;
  try {
    connection = await LoadConnection.open(address, { onFailure, openTimeoutMs: attemptMs });
    const written = connection.exchange([set(path, makeValue(100))]);
    await failure.orElse(within(attemptMs, "the write", written));
    return true;
  } catch {
    return false;
  } finally {
    connection?.destroy();
  }
}
