/**
 * Clocks: each member has its own, far from the others', and it jumps.
 *
 * Zab has no clock at all, so nothing may depend on this but the times that leaders write into txns. Ticks
 * come as they come. Jumps go forward and back, between turns only: during one a member's clock stands still.
 *
 * @module
 */

import type { Feature } from "../feature.ts";

const spreadMs = 3_600_000;

export const clocks: Feature = {
  name: "clocks",
  draw(choose) {
    if (choose(2) === 0) return undefined;
    return {
      jumpMs: [2_000, 500, 10_000][choose(3)] ?? 2_000,
      farMs: [10_000, 100, spreadMs][choose(3)] ?? 100,
    };
  },
  attach(world, draws) {
    const jumpMs = draws["jumpMs"] ?? 0;
    const farMs = draws["farMs"] ?? 0;
    return {
      begin(planner) {
        for (const { id } of world.members) planner.act(id, planner.choose(2 * spreadMs) - spreadMs);
        planner.after(planner.around(jumpMs), 0);
      },
      due(_event, planner) {
        if (planner.isCalm) return;
        planner.act(planner.victim(), planner.choose(2 * farMs) - farMs);
        planner.after(1 + planner.around(jumpMs), 0);
      },
      act([id = 0, byMs = 0]) {
        const member = world.members[id - 1];
        if (member === undefined) return false;
        world.count("fault clock jump");
        member.clockOffsetMs += byMs;
        return true;
      },
    };
  },
};
