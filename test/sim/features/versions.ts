/**
 * Versions: members of different ones talk during every deploy, and which one runs changes at a restart.
 *
 * What versions there are, `wire.ts` says. A carrier that is refused is a call that failed: nothing of it may
 * change anything, and once the member runs a version that is understood, it goes on. A member of the version
 * before ours neither sleeps, goes on in its epoch, nor forwards; everybody runs ours when progress is demanded,
 * for an ensemble that sleeps sends packets that it lacks. It knows nothing of other members either, so it is
 * in no run in which those change.
 *
 * @module
 */

import type { Feature } from "../feature.ts";
import { WireVersion } from "../wire.ts";

function isApart(version: WireVersion): boolean {
  return version === WireVersion.Foreign || version === WireVersion.Older;
}

export const versions: Feature = {
  name: "versions",
  draw(choose) {
    if (choose(2) === 0) return undefined;
    return { deployMs: [5_000, 1_000, 20_000][choose(3)] ?? 5_000, foreign: choose(3), older: choose(2) };
  },
  attach(world, draws) {
    const deployMs = draws["deployMs"] ?? 0;
    const versions: WireVersion[] = [WireVersion.Ours, WireVersion.Newer];
    if (draws["foreign"] === 2) versions.push(WireVersion.Foreign);
    if (draws["older"] === 1 && world.settings.features?.["members"] === undefined)
      versions.push(WireVersion.Older);
    return {
      begin(planner) {
        for (const { id } of world.members) planner.act(id, planner.choose(2));
        planner.after(planner.around(deployMs), 0);
      },
      due(_event, planner) {
        if (planner.isCalm) return;
        planner.act(planner.victim(), versions[planner.choose(versions.length)] ?? 0);
        planner.after(1 + planner.around(deployMs), 0);
      },
      starts({ version }) {
        if (version === WireVersion.Older) world.count("started with the version before ours");
      },
      /** The next instance of the member runs that version. */
      act([id = 0, version = 0]) {
        const member = world.members[id - 1];
        if (member === undefined) return false;
        member.nextVersion =
          Object.values(WireVersion).find((known) => known === version) ?? WireVersion.Ours;
        return true;
      },
      calm(planner) {
        for (const { id, live, nextVersion } of world.members) {
          if (isApart(nextVersion)) planner.act(id, WireVersion.Ours);
          if (live !== undefined && isApart(live.version))
            world.crash(live.member, live.member.disk.pending, 0);
        }
      },
    };
  },
};
