/**
 * The failover gap: from the leader's death, or from when it hangs, to the next acknowledged write.
 *
 * Of ZooKeeper a process is killed; of edgekeeper an object is aborted, which loses its memory and keeps its
 * storage, since that is what can happen to one. Clients then try every server at once, again and again: a
 * real client's pauses between attempts come on top, for both.
 *
 * @module
 */

import { type Address, LoadConnection } from "../load/connection.ts";
import { Failure, pause, within } from "../load/drive.ts";
import { Histogram } from "../load/histogram.ts";
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

/** Of a repeat, as parts of what other measures do: a full run kills 50 leaders, and hangs ten. */
const roundsShare = { kill: 1, hang: 5 } as const;

export function failoverMeasures(): Measure[] {
  return [
    makeMeasure("kill", "failover", "From the leader's death to the next acknowledged write", 400),
    makeMeasure("hang", "failover-hang", "From a leader that hangs to the next acknowledged write", 2_000),
  ];
}

function makeMeasure(how: "kill" | "hang", name: string, group: string, p99MsMax: number): Measure {
  return {
    name,
    group,
    unit: "ms",
    bars: [{ of: "p99", against: "limit", most: p99MsMax }],
    isQuick: how === "kill",
    systems: ["abortable edgekeeper", "zookeeper"],
    strikes: how,
    prepare: (system) => ensure(system, [create(path, makeValue(100))]),
    async run(system, { rounds }): Promise<Figure> {
      const gaps: number[] = [];
      const histogram = new Histogram();
      for (let round = 0; round < Math.ceil(rounds / roundsShare[how]); round++) {
        const gapMs = await gapOf(system, how);
        gaps.push(gapMs);
        histogram.record(gapMs);
        await system.mend?.();
        await pause(calmMs);
      }
      return { value: spreadOf(gaps)?.median ?? 0, latency: histogram.percentiles() };
    },
  };
}

async function gapOf(system: System, how: "kill" | "hang"): Promise<number> {
  const strike = how === "kill" ? system.killLeader : system.hangLeader;
  if (strike === undefined) throw new Error(`${system.name} keeps its leader`);
  await system.awaitLeader?.();
  const beganMs = performance.now();
  await strike();
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
