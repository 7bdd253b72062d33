/**
 * Watch fan-out: one set, and how long until the last of its watchers has been told.
 *
 * Every watcher has a connection of its own, as watching clients do.
 *
 * @module
 */

import { LoadConnection } from "../load/connection.ts";
import { Failure, openAll, within } from "../load/drive.ts";
import { create, get, makeValue, set } from "../load/ring.ts";
import { spreadOf } from "../results.ts";
import type { System } from "../servers/system.ts";
import { ensure, type Figure, type Measure } from "./measure.ts";

const path = "/bench-watched";
const roundTimeoutMs = 30_000;

export function watchMeasures(): Measure[] {
  return [100, 1000].map((watchers) => ({
    name: `watches-${watchers}`,
    group: "From a set to the last of its watchers",
    unit: "ms",
    bars: watchers === 1000 ? [{ of: "value", against: "zookeeper", most: 1 }] : [],
    isQuick: watchers === 100,
    systems: ["edgekeeper", "zookeeper"],
    prepare: (system) => ensure(system, [create(path, makeValue(100))]),
    run: (system, { rounds }) => fanOut(system, watchers, rounds),
  }));
}

async function fanOut(system: System, watchers: number, rounds: number): Promise<Figure> {
  const failure = new Failure();
  let left = 0;
  let onTold: () => void = () => undefined;
  const onEvent = (): void => {
    left -= 1;
    if (left === 0) onTold();
  };
  const onFailure = (error: Error) => failure.set(error);
  const connections = await openAll(system.addresses, watchers, { onFailure, onEvent });
  const address = system.addresses[0];
  if (address === undefined) throw new Error(`${system.name} has no address`);
  const writer = await LoadConnection.open(address, { onFailure });
  const times: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      await failure.orElse(Promise.all(connections.map((watcher) => watcher.exchange([get(path, true)]))));
      left = watchers;
      const told = new Promise<void>((resolve) => {
        onTold = resolve;
      });
      const beganMs = performance.now();
      const written = writer.exchange([set(path, makeValue(100))]);
      await failure.orElse(within(roundTimeoutMs, "the last watcher", told));
      times.push(performance.now() - beganMs);
      await failure.orElse(written);
    }
  } finally {
    // A thousand goodbyes would be a thousand writes before the next measure.
    await Promise.all([writer, ...connections].map((connection) => connection.close()));
  }
  return { value: spreadOf(times)?.median ?? 0 };
}
