/**
 * The SDK's own path: promises, retries and all, over the ZooKeeper port, which both have, and over a WebSocket.
 *
 * The client runs in this process, so a good part of what is measured is the client's own processor time.
 *
 * @module
 */

import { connect } from "../../src/client/node/index.ts";
import { Failure, pause } from "../load/drive.ts";
import { Histogram } from "../load/histogram.ts";
import { create, makeValue } from "../load/ring.ts";
import type { System } from "../servers/system.ts";
import { ensure, type Figure, type Measure, type Timing } from "./measure.ts";

const path = "/bench-sdk";
const value = makeValue(100);

type Way = "tcp" | "websocket";

export function sdkMeasures(): Measure[] {
  return (["tcp", "websocket"] as const).flatMap((way) =>
    (["get", "set"] as const).flatMap((kind) =>
      [1, 64].map(
        (outstanding): Measure => ({
          name: `sdk-${way}-${kind}-${outstanding}`,
          group: `The SDK over ${way === "tcp" ? "the ZooKeeper port" : "a WebSocket"}, 100 bytes, one client`,
          unit: "/s",
          bars: [],
          isQuick: false,
          systems: way === "tcp" ? ["edgekeeper", "zookeeper"] : ["edgekeeper"],
          prepare: (system) => ensure(system, [create(path, value)]),
          run: (system, timing) => run(targetOf(system, way), kind, outstanding, timing),
        }),
      ),
    ),
  );
}

function targetOf({ addresses, url }: System, way: Way): string {
  const address = addresses[0];
  if (way === "websocket") return `${url}/v1/main`;
  return `zookeeper://${address?.host}:${address?.port}`;
}

async function run(
  target: string,
  kind: "get" | "set",
  outstanding: number,
  { warmMs, windowMs }: Timing,
): Promise<Figure> {
  await using client = connect(target);
  const histogram = new Histogram();
  const failure = new Failure();
  let isRecording = false;
  let isOver = false;
  const work = async (): Promise<void> => {
    while (!isOver) {
      const beganMs = performance.now();
      await (kind === "get" ? client.get(path) : client.set(path, value));
      if (isRecording) histogram.record(performance.now() - beganMs);
    }
  };
  const all = Promise.all(Array.from({ length: outstanding }, work));
  all.catch((error: unknown) => failure.set(error instanceof Error ? error : new Error(String(error))));
  await failure.orElse(pause(warmMs));
  isRecording = true;
  const beganMs = performance.now();
  await failure.orElse(pause(windowMs));
  isRecording = false;
  const elapsedMs = performance.now() - beganMs;
  isOver = true;
  await all;
  return { value: (histogram.count * 1000) / elapsedMs, latency: histogram.percentiles() };
}
