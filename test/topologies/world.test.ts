/**
 * Proves that the simulation of distances is of what it says: a write takes what the two times of storing and
 * the round trip to a quorum add up to, however far the others are.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { roundTripMs, type Topology, topologies } from "./places.ts";
import { World } from "./world.ts";

async function latencies(topology: Topology, flushMs: number, count: number): Promise<number[]> {
  const world = new World(topology, flushMs);
  await world.settle();
  expect(world.leader?.place).toBe(topology.voters.at(-1));
  const took: number[] = [];
  const next = () =>
    world.write((tookMs) => {
      took.push(tookMs);
      if (took.length < count) next();
    });
  next();
  await world.runUntil(() => took.length === count);
  expect(world.reigns).toBe(1);
  return took.sort((a, b) => a - b);
}

describe("a write", () => {
  test("at a lone member takes the time to store it", async () => {
    const topology: Topology = { name: "one", voters: ["enam"], observers: [] };
    expect(await latencies(topology, 7, 20)).toEqual(Array.from({ length: 20 }, () => expect.closeTo(7, 6)));
  });

  test.each([0, 5])("waits for the nearest quorum, and two times %i ms of storing", async (flushMs) => {
    const topology: Topology = { name: "three", voters: ["oc", "wnam2", "wnam"], observers: ["eeur"] };
    const [fastest = 0] = await latencies(topology, flushMs, 40);
    const nearest = roundTripMs("wnam", "wnam2") + 2 * flushMs;
    expect(fastest).toBeGreaterThanOrEqual(nearest);
    expect(fastest).toBeLessThan(nearest * 1.1);
  });

  test("is the same again: nothing is left to chance", async () => {
    const [topology] = topologies.slice(3);
    if (topology === undefined) throw new Error("no topology");
    expect(await latencies(topology, 5, 20)).toEqual(await latencies(topology, 5, 20));
  });
});

test("every two places of a topology are a known distance apart, and the same both ways", () => {
  for (const { voters, observers } of topologies) {
    const places = [...voters, ...observers];
    for (const a of places) for (const b of places) expect(roundTripMs(a, b)).toBe(roundTripMs(b, a));
  }
});
