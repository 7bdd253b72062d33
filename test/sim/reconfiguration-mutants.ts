/**
 * Mistakes in changing the members of an ensemble.
 *
 * @module
 */

import type { Mutant } from "./mutant-list.ts";
import type { Settings } from "./settings.ts";

const membership = "src/zab/membership.ts";
const leader = "src/zab/leader.ts";
const peer = "src/zab/peer.ts";

/** Servers in and out all the time, some of them with lost storages. Who sleeps is knocked at, as in every run. */
const lean: Partial<Settings> = {
  outsiders: 2,
  storageIds: true,
  features: { members: { changeMs: 500, forgets: 1, bold: 20, wipeMs: 5_000 }, sleep: { knockMs: 1_000 } },
};

export const reconfigurationMutants: readonly Mutant[] = [
  {
    id: "R1",
    file: membership,
    mistake: "while a change is pending, only the new voters count",
    find: "  const active = both.map(votersOf);",
    replace: "  const active = both.slice(-1).map(votersOf);",
    lean,
  },
  {
    id: "R2",
    file: membership,
    mistake: "while a change is pending, only the old voters count",
    find: "  const active = both.map(votersOf);",
    replace: "  const active = both.slice(0, 1).map(votersOf);",
    lean,
  },
  {
    id: "R3",
    file: membership,
    mistake: "a configuration governs as soon as it is logged",
    find: "change(peer, peer.pending ?? peer.config, { version, ...membership });",
    replace: "change(peer, { version, ...membership }, undefined);",
    lean,
  },
  {
    id: "R4",
    file: membership,
    mistake: "a truncation forgets a pending configuration that stays in the log",
    find: "  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) > 0) {",
    replace: "  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) < 0) {",
    lean,
  },
  {
    id: "R5",
    file: "src/zab/election.ts",
    mistake: "a pending configuration is passed on as if it were committed",
    find: "{ config: peer.config } : {}),\n  };",
    replace: "{ config: peer.pending ?? peer.config } : {}),\n  };",
    lean,
  },
  {
    id: "R6",
    file: membership,
    mistake: "both configurations stay in memory",
    find: '  peer.draft.store.push({ kind: "configs", committed: config, pending });\n',
    replace: "",
    lean,
  },
  {
    id: "R7",
    file: membership,
    mistake: "a second change is proposed while one is pending",
    find: '  if (peer.pending !== undefined) return "inProgress";\n',
    replace: "",
    // In the world of peers the tree refuses it before Zab is asked.
    world: "walk",
  },
  {
    id: "R8",
    file: membership,
    mistake: "a change is proposed without its new quorum",
    find: '  return hasQuorum([voters], isReady) ? undefined : "noQuorum";',
    replace: "  return hasQuorum([voters], isReady) ? undefined : undefined;",
    lean,
  },
  {
    id: "R9",
    file: leader,
    mistake: "new voters are never counted",
    find: "    else slot.counts = mayCount(peer, slot.id, slot.storageId) && !leading.forgetful.has(slot.id);\n",
    replace: "",
    lean,
  },
  {
    id: "R10",
    file: membership,
    mistake: "a truncation keeps the pending configuration",
    find: "  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) > 0) {",
    replace: "  if (peer.pending !== undefined && after.epoch < 0) {",
    lean,
  },
  {
    id: "R11",
    file: "src/zab/broadcast.ts",
    mistake: "a leader that leaves counts its own log in the quorum of those who stay",
    find: "(id === peer.id ? mine : leading.match.get(id)));\n  if (pending",
    replace:
      "(id === peer.id || leading.slots.get(id)?.counts !== true ? mine : leading.match.get(id)));\n  if (pending",
    lean,
  },
  {
    id: "R12",
    file: peer,
    mistake: "members and former members go on talking to each other",
    find: "return peer.booted && peer.isMember && peer.others.includes(other);",
    replace: "return peer.booted && peer.id !== other;",
    lean,
  },
  {
    id: "R13",
    file: peer,
    mistake: "who was removed and has not heard is told nothing",
    find: "if (knowsLess && packet.wantsAnswer && !(peer.isVoter && isTogether(peer, from))) tell(peer, from);",
    replace: "",
    lean,
  },
  {
    id: "R14",
    file: peer,
    mistake: "who was removed goes on looking for a leader",
    find: "      if (peer.isMember) startLooking(peer);\n      else retire(peer);",
    replace: "      startLooking(peer);",
    lean,
  },
  {
    id: "R15",
    file: membership,
    mistake: "a voter counts with whatever storage it has",
    find: "    return member.storageId === storageId;\n",
    replace: "    return true;\n",
    lean,
  },
  {
    id: "R16",
    file: "src/zab/broadcast.ts",
    mistake: "a leader whose departure is pending commits on behind it",
    find: "  if (pending !== undefined && !isVoterOf(pending, peer.id)) reached = minZxid(reached, pending.version);\n",
    replace: "",
    lean,
    benign: "whatever is committed with it or behind it has been stored by both quorums",
  },
  {
    id: "R17",
    file: leader,
    mistake: "new members are not told that they are members",
    find: "  for (const id of peer.others) if (!leading.slots.has(id)) send(peer, id, notify);\n",
    replace: "",
    lean,
  },
  {
    id: "R18",
    file: membership,
    mistake: "who hears of a committed configuration keeps the pending one that it replaces",
    find: "change(peer, config, isLater ? pending : undefined);",
    replace: "change(peer, config, pending);",
    lean,
  },
  {
    id: "R19",
    file: leader,
    mistake: "a leader goes on leading an ensemble in which it does not vote",
    find: '  if (!peer.isVoter) {\n    turnTo(peer, { kind: "look" });\n    return;\n  }\n',
    replace: "",
    lean,
  },
  {
    id: "R20",
    file: membership,
    mistake: "a committed change stays pending until the next",
    find: "    change(peer, peer.pending, undefined);",
    replace: "    void 0;",
    lean,
  },
  {
    id: "R21",
    file: membership,
    mistake: "a snapshot leaves a pending configuration that went with the log",
    find: "  if (peer.pending !== undefined) change(peer, peer.config, undefined);",
    replace: "",
    lean,
  },
  {
    id: "R24",
    file: leader,
    mistake: "a leader keeps the sessions of those that it removed",
    find: '    if (!peer.others.includes(slot.id)) endSession(peer, leading, slot, "notLeading");\n    else slot.counts',
    replace: "    slot.counts",
    lean,
  },
];
