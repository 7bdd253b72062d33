/**
 * Sleep: whoever sleeps is knocked at now and then, and does nothing else of its own.
 *
 * A knock is a client that asks for nothing of Zab: in the shell every request of a client is one. Whether the
 * ensemble sleeps, and goes on in its epoch after memory was lost, is drawn with the peer's options. A dead
 * leader is found out by whoever needs it, so when faults end everybody is knocked at once, and only once.
 *
 * @module
 */

import type { Feature } from "../feature.ts";

export const sleep: Feature = {
  name: "sleep",
  draw(choose) {
    return { knockMs: [1_000, 300, 5_000][choose(3)] ?? 1_000 };
  },
  attach(world, draws) {
    const knockMs = draws["knockMs"] ?? 0;
    return {
      begin(planner) {
        planner.after(planner.around(knockMs), 0);
      },
      due(event, planner) {
        if (event > 0) planner.act(event);
        else if (!planner.isCalm) {
          planner.act(planner.victim());
          planner.after(1 + planner.around(knockMs), 0);
        }
      },
      act([id = 0]) {
        const instance = world.members[id - 1]?.live;
        if (instance === undefined) return false;
        if (instance.status.asleep) world.count("knocked awake");
        instance.knock();
        return true;
      },
      stepped(instance, _event, duties) {
        const { role } = instance.peer;
        if (role.kind !== "leading") return;
        if (!duties.wantsTicks) world.count("leader asleep");
        if (duties.serving?.kind === "leading" && role.isResumed) world.count("resumed");
      },
      calm(planner) {
        for (const { id } of world.members) planner.after(1 + planner.choose(50), id);
      },
    };
  },
};
