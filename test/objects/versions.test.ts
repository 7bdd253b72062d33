/**
 * Proves that members of two versions make one ensemble during a deploy: one of them refuses what only the
 * present version has, and says nothing of what it reads.
 *
 * Three lives with real storage and the real links; which one is old is the case. The old one is today's code
 * behind a wire on which it can neither say nor hear what it did not know.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeServerId, OpCode } from "../../src/base/index.ts";
import { create } from "../tree/support.ts";
import { connectFrame, requestFrame } from "./support/stream.ts";
import { Trio } from "./support/trio.ts";

const ids = [makeServerId(1), makeServerId(2), makeServerId(3)];

test.each(ids)(
  "server %i is a version behind: nothing blocks, nobody sleeps, and all is well once it is not",
  async (old) => {
    const trio = new Trio([old]);
    await trio.tick(60);
    const leader = trio.lives.find(([, life]) => life.leaderRefusal() === undefined);
    if (leader === undefined) throw new Error("somebody leads");
    const { epoch } = leader[1].status;

    // Under an old leader, learners send clients to it; beside an old learner, the other one serves them.
    const refusals = trio.lives.flatMap(([id, life]) => (id === leader[0] ? [] : [[id, life.refusal()]]));
    expect(refusals).toEqual(
      ids
        .filter((id) => id !== leader[0])
        .map((id) => [
          id,
          leader[0] === old || id === old ? { kind: "notLeader", leader: leader[0] } : undefined,
        ]),
    );

    const socket = trio.connect(leader[1]);
    trio.send(leader[1], socket, connectFrame());
    await trio.settle();
    trio.send(leader[1], socket, requestFrame(1, create("/a")));
    trio.send(leader[1], socket, requestFrame(2, { type: OpCode.CloseSession }));
    const { attachments } = trio;
    // Long enough to sleep, if everybody could.
    await trio.tick(60);
    expect([trio.refused, trio.attachments]).toEqual([0, attachments]);
    const applied = leader[1].status.lastApplied;
    for (const [, life] of trio.lives) {
      expect(life.status).toMatchObject({ epoch, lastApplied: applied });
      expect(life.wantsTicks).toBe(true);
    }

    trio.upgrade(old);
    await trio.tick(60);
    for (const [, life] of trio.lives) {
      expect(life.refusal()).toBeUndefined();
      expect(life.wantsTicks).toBe(false);
    }
  },
);
