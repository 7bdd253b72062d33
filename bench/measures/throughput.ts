/**
 * Requests a second, by kind, size, how many are outstanding and over how many connections.
 *
 * @module
 */

import { type ClientRequest, CreateMode } from "../../src/base/index.ts";
import { drive } from "../load/drive.ts";
import { create, get, makeRing, makeValue, type Ring, set } from "../load/ring.ts";
import type { Bar } from "../results.ts";
import type { System } from "../servers/system.ts";
import { ensure, type Measure, type SystemKind } from "./measure.ts";

type Kind = "sets" | "creates" | "gets" | "mix";

/** Znodes that sets, gets and the mix are spread over. */
const znodeCount = 100;
/** Frames of a small ring; a multiple of ten, for the mix. */
const ringSizeMin = 200;

type Shape = readonly [outstanding: number, connections: number];

const all: readonly Shape[] = [
  ...([1, 8, 64, 256, 1024] as const).map((outstanding): Shape => [outstanding, 1]),
  ...([8, 64, 256, 1024] as const).map((outstanding): Shape => [outstanding, 8]),
  ...([64, 256, 1024] as const).map((outstanding): Shape => [outstanding, 64]),
];
const some: readonly Shape[] = [
  [1, 1],
  [64, 1],
  [256, 8],
  [1024, 64],
];

const plan: readonly (readonly [kind: Kind, bytes: number, shapes: readonly Shape[]])[] = [
  ["sets", 100, all],
  ["gets", 100, all],
  ["mix", 100, some],
  ["sets", 1024, some],
  ["gets", 1024, some],
  ["creates", 100, some],
];

const quickNames = new Set(["sets-100B-1x1", "sets-100B-64x1", "sets-100B-256x8", "gets-100B-1x1"]);
for (const name of ["gets-100B-64x1", "mix-100B-64x1", "creates-100B-64x1"]) quickNames.add(name);

export function throughputMeasures(): Measure[] {
  return plan.flatMap(([kind, bytes, shapes]) => shapes.map((shape) => makeMeasure(kind, bytes, shape)));
}

/** What members cost: the same, with other numbers of them. */
export function membersMeasures(): Measure[] {
  return [1, 5].flatMap((members) =>
    (["sets", "gets"] as const).flatMap((kind) =>
      [all[0], ...some.slice(1, 3)].flatMap((shape) => {
        if (shape === undefined) return [];
        const measure = makeMeasure(kind, 100, shape);
        const group = `${headings[kind]}, 100 bytes, ${members === 1 ? "one member" : `${members} members`}`;
        const name = `${measure.name}-${members}m`;
        const systems = measure.systems.filter((system) => system !== "bare object");
        return [{ ...measure, name, group, members, systems, bars: [], isQuick: false }];
      }),
    ),
  );
}

function makeMeasure(kind: Kind, bytes: number, [outstanding, connections]: Shape): Measure {
  const name = `${kind}-${bytes}B-${outstanding}x${connections}`;
  const hasCeiling = kind === "sets" && bytes === 100 && (outstanding === 64 || outstanding === 256);
  const systems: SystemKind[] = ["edgekeeper", "zookeeper"];
  if (hasCeiling) systems.push("bare object");
  let run = 0;
  return {
    name,
    group: `${headings[kind]}, ${bytes} bytes`,
    unit: "/s",
    bars: barsOf(kind, bytes, outstanding, connections),
    isQuick: quickNames.has(name),
    systems,
    async prepare(system) {
      if (system.name === "bare object") return;
      await ensure(system, [
        create("/bench", new Uint8Array(0)),
        create(`/bench/${bytes}`, new Uint8Array(0)),
        ...Array.from({ length: znodeCount }, (_, index) => create(path(bytes, index), makeValue(bytes))),
      ]);
    },
    async run(system, timing) {
      // A parent of its own for each run, or later runs would meet a larger one.
      const parent = `/bench/creates-${++run}-${name}`;
      if (kind === "creates") await ensure(system, [create(parent, new Uint8Array(0))]);
      const rings = new Map<number, Ring>();
      const ringOf = (connection: number): Ring => {
        // Connections begin at different znodes; ten different rings are enough of a difference.
        const start = (connection * 7) % 10;
        const ring = rings.get(start) ?? makeRings(kind, bytes, outstanding / connections, start, parent);
        rings.set(start, ring);
        return ring;
      };
      const isEcho = system.name === "bare object";
      const { addresses } = system;
      const driven = await drive({ addresses, connections, outstanding, ringOf, ...timing, isEcho });
      return { value: driven.perSecond, latency: driven.latency };
    },
  };
}

const headings: Readonly<Record<Kind, string>> = {
  sets: "Sets",
  gets: "Gets",
  mix: "Nine gets to a set",
  creates: "Sequential creates",
};

function path(bytes: number, index: number): string {
  return `/bench/${bytes}/n${index}`;
}

function makeRings(kind: Kind, bytes: number, width: number, start: number, parent: string): Ring {
  const value = makeValue(bytes);
  const size = Math.max(ringSizeMin, Math.ceil((2 * width) / 10) * 10);
  const make = (index: number): ClientRequest => {
    const at = path(bytes, (index + start * 10) % znodeCount);
    if (kind === "creates") return create(`${parent}/n-`, value, CreateMode.PersistentSequential);
    return kind === "sets" || (kind === "mix" && index % 10 === 0) ? set(at, value) : get(at);
  };
  return makeRing(size, make);
}

function barsOf(kind: Kind, bytes: number, outstanding: number, connections: number): Bar[] {
  const bars: Bar[] = [];
  if (bytes !== 100) return bars;
  const isPipelined = outstanding === 64 || outstanding === 256;
  if (kind === "sets" && isPipelined) {
    bars.push({ of: "value", against: "zookeeper", least: 2 });
    bars.push({ of: "value", against: "bare object", least: 0.5 });
  }
  // Whatever the connections: reads are what most clients do.
  if (kind === "gets" && (isPipelined || outstanding === connections))
    bars.push({ of: "value", against: "zookeeper", least: 1 });
  if (kind === "sets" && outstanding === 1 && connections === 1) {
    bars.push({ of: "p50", against: "zookeeper", most: 1.5 });
  }
  return bars;
}

/** Brings compilers and caches to where they stay, before anything counts. */
export async function warmUp(system: System, ms: number): Promise<void> {
  const isEcho = system.name === "bare object";
  if (!isEcho) {
    const znodes = Array.from({ length: znodeCount }, (_, index) => create(path(100, index), makeValue(100)));
    await ensure(system, [
      create("/bench", new Uint8Array(0)),
      create("/bench/100", new Uint8Array(0)),
      ...znodes,
    ]);
  }
  const { addresses } = system;
  const ring = makeRing(ringSizeMin, (index) =>
    index % 2 === 0 || isEcho
      ? set(path(100, index % znodeCount), makeValue(100))
      : get(path(100, index % znodeCount)),
  );
  await drive({
    addresses,
    connections: 8,
    outstanding: 64,
    ringOf: () => ring,
    warmMs: 0,
    windowMs: ms,
    isEcho,
  });
}
