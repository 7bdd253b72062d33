/**
 * Which learners hear at once that something is committed, and which may hear with the next packet.
 *
 * Three peers whose packets are carried by hand, so that it can be seen which of them may wait.
 *
 * @module
 */

import { assert, beforeEach, describe, expect, test } from "vitest";
import type { ServerId } from "../../src/base/index.ts";
// Past the door: the number is nobody else's.
import { clientTicks } from "../../src/zab/forwarding.ts";
import { Bench, ids } from "./bench.ts";

let members: readonly Bench[];
let leader: Bench;
let learners: readonly [Bench, Bench];

/** Carries everything under way, and what comes of it. */
function settle(): void {
  for (let isMoving = true; isMoving; ) {
    isMoving = false;
    for (const { id, sent } of members) {
      for (const { to, packet } of sent.splice(0)) {
        isMoving = true;
        members.find((member) => member.id === to)?.hear(id, packet);
      }
    }
  }
}

function tick(times: number): void {
  for (let i = 0; i < times; i++) {
    for (const member of members) member.tick(1);
    settle();
  }
}

/** Commits a txn; answers who is told at once. */
function toldAtOnce(): ServerId[] {
  const told: ServerId[] = [];
  leader.submit("a");
  for (const { to, packet } of leader.sent.splice(0))
    members.find(({ id }) => id === to)?.hear(leader.id, packet);
  for (const learner of learners) {
    for (const { packet } of learner.sent.splice(0)) leader.hear(learner.id, packet);
    for (const { to, packet, lazy } of leader.sent) if (packet.kind === "commit" && !lazy) told.push(to);
    settle();
  }
  return told;
}

function forward(learner: Bench): void {
  learner.feed({ kind: "forward", bytes: new Uint8Array(1), lazy: true });
  settle();
}

beforeEach(() => {
  members = [ids.one, ids.two, ids.three].map((id) => new Bench({ id }));
  settle();
  tick(10);
  const found = members.find(({ status }) => status.serving.kind === "leading");
  const [first, second] = members.filter((member) => member !== found);
  assert(found !== undefined && first !== undefined && second !== undefined, "there is a leader");
  leader = found;
  learners = [first, second];
});

describe("a commit", () => {
  test("waits for company where there are no clients", () => {
    expect(toldAtOnce()).toEqual([]);
  });

  test("leaves at once for a learner whose clients wait for nothing, but may read", () => {
    forward(learners[1]);
    expect(toldAtOnce()).toEqual([learners[1].id]);
  });

  test(`leaves at once ${clientTicks} ticks after the last sign of clients`, () => {
    forward(learners[1]);
    tick(clientTicks);
    expect(toldAtOnce()).toEqual([learners[1].id]);
  });

  test(`waits again a tick later`, () => {
    forward(learners[1]);
    tick(clientTicks + 1);
    expect(toldAtOnce()).toEqual([]);
  });
});
