/**
 * Proves that a member too far behind for the log is brought level by a snapshot while writes and
 * checkpoints go on, and that it ends with the leader's tree.
 *
 * Real replicas over SQLite in memory, in virtual time.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeServerId, OPEN_ACL, OpCode, type WriteRequest } from "../../src/base/index.ts";
import { readMeta } from "../../src/objects/sql/meta.ts";
import type { Topology } from "../topologies/places.ts";
import { World } from "../topologies/world.ts";
import { checkInvariants, dump } from "../tree/support.ts";

const topology: Topology = { name: "three", voters: ["enam", "enam", "enam"], observers: [] };
const lagging = makeServerId(1);

function create(path: string): WriteRequest {
  return { type: OpCode.Create, path, data: new Uint8Array(300), acl: OPEN_ACL, flags: 0, ttlMs: -1 };
}

test("a member whose log ends below the leader's gets a snapshot, page by page, while writes go on", async () => {
  const world = new World(topology, 1);
  await world.settle();
  world.cut(lagging);
  const count = 3_000;
  let made = 0;
  for (let i = 0; i < count; i++) {
    world.write(
      () => {
        made += 1;
      },
      create(`/n${i}`),
    );
  }
  // A quiet second, a checkpoint, and dropping all but 2,000 txns.
  await world.runUntil(() => made === count);
  const quietUntil = world.nowMs + 4_000;
  await world.runUntil(() => world.nowMs > quietUntil);
  const leaderId = world.leader?.id ?? makeServerId(3);
  const leader = world.look(leaderId);
  const behind = world.look(lagging);
  expect(leader.opened.dump("log").length).toBeLessThan(count);
  expect(behind.tree.applied.counter).toBeLessThan(10);

  world.heal(lagging);
  let isWriting = true;
  let meanwhile = 0;
  let atInstall: number | undefined;
  const next = () =>
    world.write(
      () => {
        meanwhile += 1;
        if (readMeta(behind.opened.storage.sql, "generation") !== undefined) atInstall ??= meanwhile;
        if (isWriting) next();
      },
      create(`/m${meanwhile}`),
    );
  next();
  await world.runUntil(() => atInstall !== undefined && meanwhile >= atInstall + 200);
  isWriting = false;
  await world.runUntil(() => behind.tree.applied.counter === leader.tree.applied.counter);

  // It was a snapshot, of more than one page, and writes were answered before it had arrived.
  expect(readMeta(behind.opened.storage.sql, "generation")).toBe("2");
  expect(atInstall).toBeGreaterThan(4);
  expect(world.reigns).toBe(1);
  checkInvariants(behind.tree);
  expect(dump(behind.tree)).toEqual(dump(leader.tree));
  const later = world.nowMs + 2_000;
  await world.runUntil(() => world.nowMs > later);
  expect([leader.opened.dump("aside"), behind.opened.dump("draft")]).toEqual([[], []]);
}, 120_000);
