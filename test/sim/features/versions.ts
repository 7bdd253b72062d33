/**
 * Versions: members of different ones talk during every deploy, and which one runs changes at a restart.
 *
 * What versions there are, `wire.ts` says. A carrier that is refused is a call that failed: nothing of it may
 * change anything, and once the member runs a version that is understood, it goes on.
 *
 * @module
 */

import type { Feature } from "../feature.ts";
import { WireVersion } from "../wire.ts";

export const versions: Feature = {
  name: "versions",
  draw(choose) {
    if (choose(2) === 0) return undefined;
    return { deployMs: [5_000, 1_000, 20_000][choose(3)] ?? 5_000, foreign: choose(3) };
  },
  attach(world, draws) {
    const deployMs = draws["deployMs"] ?? 0;
    const foreign = draws["foreign"] ?? 0;
    return {
      begin(planner) {
        for (const { id } of world.members) planner.act(id, planner.choose(2));
        planner.after(planner.around(deployMs), 0);
      },
      due(_event, planner) {
        if (planner.isCalm) return;
        planner.act(planner.victim(), planner.choose(foreign === 2 ? 3 : 2));
        planner.after(1 + planner.around(deployMs), 0);
      },
      /** The next instance of the member runs that version. */
      act([id = 0, version = 0]) {
        const member = world.members[id - 1];
        if (member === undefined) return false;
        member.nextVersion =
          version === 1 ? WireVersion.Newer : version === 2 ? WireVersion.Foreign : WireVersion.Ours;
        return true;
      },
      calm(planner) {
        for (const { id, live, nextVersion } of world.members) {
          if (nextVersion === WireVersion.Foreign) planner.act(id, WireVersion.Ours);
          if (live?.version === WireVersion.Foreign) world.crash(live.member, live.member.disk.pending, 0);
        }
      },
    };
  },
};
