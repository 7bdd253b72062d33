/**
 * Mistakes in changing the members of an ensemble.
 *
 * @module
 */

import type { Mutant } from "./mutant-list.ts";

const membership = "src/zab/membership.ts";
const world = "walk";

export const reconfigurationMutants: readonly Mutant[] = [
  {
    id: "R1",
    file: membership,
    mistake: "while a change is pending, only the new voters count",
    find: "  const active = both.map(votersOf);",
    replace: "  const active = both.slice(-1).map(votersOf);",
    world,
  },
  {
    id: "R2",
    file: membership,
    mistake: "while a change is pending, only the old voters count",
    find: "  const active = both.map(votersOf);",
    replace: "  const active = both.slice(0, 1).map(votersOf);",
    world,
  },
  {
    id: "R3",
    file: membership,
    mistake: "a configuration governs as soon as it is logged",
    find: "change(peer, peer.pending ?? peer.config, { version, ...membership });",
    replace: "change(peer, { version, ...membership }, undefined);",
    world,
  },
  {
    id: "R4",
    file: membership,
    mistake: "a truncation forgets a pending configuration that stays in the log",
    find: "  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) > 0) {",
    replace: "  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) < 0) {",
    world,
  },
  {
    id: "R5",
    file: "src/zab/election.ts",
    mistake: "a pending configuration is passed on as if it were committed",
    find: "{ config: peer.config } : {}),\n  };",
    replace: "{ config: peer.pending ?? peer.config } : {}),\n  };",
    world,
  },
  {
    id: "R6",
    file: membership,
    mistake: "both configurations stay in memory",
    find: '  peer.draft.store.push({ kind: "configs", committed: config, pending });\n',
    replace: "",
    world,
  },
  {
    id: "R7",
    file: membership,
    mistake: "a second change is proposed while one is pending",
    find: '  if (peer.pending !== undefined) return "inProgress";\n',
    replace: "",
    world,
  },
  {
    id: "R8",
    file: membership,
    mistake: "a change is proposed without its new quorum",
    find: '  return hasQuorum([voters], isReady) ? undefined : "noQuorum";',
    replace: "  return hasQuorum([voters], isReady) ? undefined : undefined;",
    world,
  },
  {
    id: "R9",
    file: "src/zab/leader.ts",
    mistake: "new voters are never counted",
    find: "    else slot.counts = mayCount(peer, slot.id, slot.storageId) && !leading.forgetful.has(slot.id);\n",
    replace: "",
    world,
  },
  {
    id: "R10",
    file: membership,
    mistake: "a truncation keeps the pending configuration",
    find: "  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) > 0) {",
    replace: "  if (peer.pending !== undefined && after.epoch < 0) {",
    world,
  },
  {
    id: "R11",
    file: "src/zab/broadcast.ts",
    mistake: "a leader that leaves counts its own log in the quorum of those who stay",
    find: "(id === peer.id ? mine : leading.match.get(id)));\n  if (pending",
    replace:
      "(id === peer.id || leading.slots.get(id)?.counts !== true ? mine : leading.match.get(id)));\n  if (pending",
    world,
  },
];
