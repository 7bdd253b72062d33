/**
 * Members: the ensemble's members change, one or several at a time, while everything else goes on.
 *
 * Adds, removes, promotes, demotes, the leader too; former members come back with the storage they had, or are
 * kept out for good as the tree has it; a few changes are proposed without their new quorum, and wait for it.
 * A member that nobody counts on may lose its storage, and comes back with another one. Which servers there
 * are is in the settings (`outsiders`, `storageIds`).
 *
 * C4: whoever knows that it is no member says nothing of its own accord.
 *
 * @module
 */

import type { ServerId } from "../../../src/base/index.ts";
import type { Membership } from "../../../src/zab/index.ts";
import type { Feature, Planner } from "../feature.ts";
import type { Member } from "../member.ts";
import { violate } from "../violation.ts";

const Act = { Reconfigure: 1, Wipe: 2 } as const;

export const members: Feature = {
  name: "members",
  draw(choose) {
    if (choose(3) !== 2) return undefined;
    return {
      changeMs: [2_000, 500, 8_000][choose(3)] ?? 2_000,
      /** Former members may be members again. */
      forgets: choose(4) === 0 ? 0 : 1,
      /** In percent: proposed although the new quorum is not at hand. */
      bold: [0, 0, 20][choose(3)] ?? 0,
      /** Mean time between losses of a storage; 0: none is lost. */
      wipeMs: [0, 5_000][choose(2)] ?? 0,
    };
  },
  attach(world, draws) {
    const changeMs = draws["changeMs"] ?? 0;
    const wipeMs = draws["wipeMs"] ?? 0;
    const forgets = draws["forgets"] === 1;
    const client = world.clients.add();

    /** One to three changes of those that the victim knows, as masks of voters and observers. */
    function drawMembership(planner: Planner, at: Member): readonly [voters: number, observers: number] {
      let voters = 0;
      let observers = 0;
      for (const { id, role } of at.disk.config.members) {
        if (role === "voter") voters |= 1 << id;
        else observers |= 1 << id;
      }
      for (let changes = 1 + planner.choose(3); changes > 0; changes--) {
        const bit = 2 << planner.choose(world.members.length);
        const role = planner.choose(4);
        voters = role < 2 ? voters | bit : voters & ~bit;
        observers = role === 2 ? observers | bit : observers & ~bit;
      }
      return [voters, observers];
    }

    function reconfigure([
      voters = 0,
      observers = 0,
      id = 0,
      isBold = 0,
      compares = 0,
    ]: readonly number[]): boolean {
      const instance = world.members[id - 1]?.live;
      if (instance === undefined) return false;
      if (client.op !== undefined) world.clients.forgotten(client.op);
      const wish = { kind: "reconfig", path: voters, compares: compares === 1, victim: observers } as const;
      const op = world.clients.invoke(client, wish, instance.member.id, world.timing.now);
      const { config } = instance.status;
      const known = config.members.reduce((mask, member) => mask | (1 << member.id), 0);
      // A stranger that is needed for it would never hear of it, and one with another storage is none that is
      // meant: then nobody could lead, and rightly so.
      const isBearable = (voters & ~known) === 0;
      const mayPropose = ({ members }: Membership): boolean =>
        isBold === 1 &&
        isBearable &&
        members.every(
          ({ id, storageId }) => storageId === undefined || world.member(id).storageId === storageId,
        );
      const ensemble = instance.ensemble(forgets, mayPropose);
      if (!instance.submit(op, world.clockOf(instance.member), ensemble)) world.clients.refused(op);
      else world.count("reconfiguration asked for");
      return true;
    }

    /**
     * Nobody may count on a storage that is lost, now or once what is proposed is committed. A leader that has not
     * missed the learner yet would give it a vote.
     */
    function isCountedOn(id: ServerId): boolean {
      if (world.checks.memberships.governing.voters.has(id)) return true;
      const isAttached = world.members.some(
        ({ live }) => live?.peer.role.kind === "leading" && live.peer.role.slots.has(id),
      );
      if (isAttached) return true;
      return world.members.some(({ disk }) =>
        [disk.config, disk.pendingConfig].some((config) =>
          config?.members.some((member) => member.id === id && member.role === "voter"),
        ),
      );
    }

    return {
      begin(planner) {
        planner.after(planner.around(changeMs), Act.Reconfigure);
        if (wipeMs > 0) planner.after(planner.around(wipeMs), Act.Wipe);
      },
      due(event, planner) {
        if (planner.isCalm) return;
        if (event === Act.Wipe) {
          planner.act(Act.Wipe, 1 + planner.choose(world.members.length));
          planner.after(1 + planner.around(wipeMs), Act.Wipe);
          return;
        }
        planner.after(1 + planner.around(changeMs), Act.Reconfigure);
        const leaders = world.members.filter(({ live }) => live?.serving.kind === "leading");
        const at = leaders[planner.choose(Math.max(1, leaders.length))];
        if (at === undefined) return;
        const [voters, observers] = drawMembership(planner, at);
        const isBold = planner.choose(100) >= 100 - (draws["bold"] ?? 0) ? 1 : 0;
        planner.act(Act.Reconfigure, voters, observers, at.id, isBold, planner.choose(2));
      },
      act([what, ...rest]) {
        if (what === Act.Reconfigure) return reconfigure(rest);
        const member = world.members[(rest[0] ?? 0) - 1];
        if (member === undefined || member.storageId === undefined || isCountedOn(member.id)) return false;
        world.wipe(member);
        return true;
      },
      stepped({ member, isLive }, event, { send }) {
        const { id, disk } = member;
        // What a replaced instance knows is not on the disk.
        if (!isLive || event.kind !== "ticked" || send.length === 0) return;
        const isMember = [disk.config, disk.pendingConfig].some((config) =>
          config?.members.some((one) => one.id === id),
        );
        if (!isMember) violate("C4", `${id} is no member, knows it, and talks`);
      },
      committed(zxid, txn) {
        if (txn.op.kind !== "reconfig") return;
        world.count("reconfigurations");
        const leader = world.checks.established.get(zxid.epoch);
        const stays = txn.op.members.some(({ id, role }) => id === leader && role === "voter");
        if (!stays) world.count("reconfigurations without their leader");
      },
      calm() {
        if (client.op !== undefined) world.gaveUp(client.op);
      },
    };
  },
};
