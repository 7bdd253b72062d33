/**
 * Sessions, listings, starts and HTTP.
 *
 * @module
 */

import { LoadConnection } from "../load/connection.ts";
import { drive, Failure, pause } from "../load/drive.ts";
import { Histogram } from "../load/histogram.ts";
import { driveHttp } from "../load/http.ts";
import { children, create, makeRing, makeValue } from "../load/ring.ts";
import type { System } from "../servers/system.ts";
import { ensure, type Figure, type Measure, type Timing } from "./measure.ts";

const nothing = new Uint8Array(0);
/** Clients that come and go at the same time. */
const sessionClients = 16;

export function otherMeasures(): Measure[] {
  return [sessions, listing(1000), listing(10_000), listing(100_000), ...http, ...startUp];
}

const sessions: Measure = {
  name: "sessions",
  group: `Sessions opened and closed, ${sessionClients} at a time`,
  unit: "/s",
  bars: [],
  isQuick: true,
  systems: ["edgekeeper", "zookeeper"],
  run: comeAndGo,
};

async function comeAndGo(system: System, { warmMs, windowMs }: Timing): Promise<Figure> {
  const failure = new Failure();
  const onFailure = (error: Error) => failure.set(error);
  const histogram = new Histogram();
  let isRecording = false;
  let isOver = false;
  const visit = async (client: number): Promise<void> => {
    const address = system.addresses[client % system.addresses.length];
    if (address === undefined) throw new Error(`${system.name} has no address`);
    while (!isOver) {
      const beganMs = performance.now();
      const connection = await LoadConnection.open(address, { onFailure });
      await connection.close();
      if (isRecording) histogram.record(performance.now() - beganMs);
    }
  };
  const visits = Promise.all(Array.from({ length: sessionClients }, (_, client) => visit(client)));
  visits.catch(() => undefined);
  await failure.orElse(pause(warmMs));
  isRecording = true;
  const beganMs = performance.now();
  await failure.orElse(pause(windowMs));
  isRecording = false;
  const elapsedMs = performance.now() - beganMs;
  isOver = true;
  await visits;
  return { value: (histogram.count * 1000) / elapsedMs, latency: histogram.percentiles() };
}

function listing(count: number): Measure {
  const parent = `/bench-list-${count}`;
  return {
    name: `children-${count}`,
    group: "Listing a znode's children, one request at a time",
    unit: "/s",
    bars: [],
    isQuick: count === 1000,
    systems: ["edgekeeper", "zookeeper"],
    prepare: (system) =>
      ensure(system, [
        create(parent, nothing),
        ...Array.from({ length: count }, (_, index) =>
          create(`${parent}/child-${String(index).padStart(8, "0")}`, nothing),
        ),
      ]),
    async run(system, timing) {
      const ring = makeRing(2, () => children(parent));
      const { addresses } = system;
      const driven = await drive({
        addresses,
        connections: 1,
        outstanding: 1,
        ringOf: () => ring,
        ...timing,
      });
      return { value: driven.perSecond, latency: driven.latency };
    },
  };
}

const znodePath = "/bench-http";

const http: readonly Measure[] = (["GET", "PUT"] as const).flatMap((method) =>
  [1, 64].map(
    (connections): Measure => ({
      name: `http-${method.toLowerCase()}-${connections}`,
      group: "HTTP, 100 bytes, one request at a time on each connection",
      unit: "/s",
      bars: [],
      isQuick: connections === 64,
      systems: ["edgekeeper"],
      prepare: (system) => ensure(system, [create(znodePath, makeValue(100))]),
      async run(system, timing) {
        const driven = await driveHttp({
          url: system.url ?? "",
          connections,
          method,
          path: `/v1/main/znodes${znodePath}`,
          body: method === "PUT" ? makeValue(100) : undefined,
          status: 200,
          ...timing,
        });
        return { value: driven.perSecond, latency: driven.latency };
      },
    }),
  ),
);

const startUp: readonly Measure[] = [
  {
    name: "start",
    group: "From the command to the first session, nothing stored",
    unit: "ms",
    bars: [],
    isQuick: false,
    systems: ["fresh edgekeeper", "fresh zookeeper"],
    run: async ({ readyMs }) => ({ value: readyMs ?? 0 }),
  },
];
