/**
 * Mistakes in changing who votes.
 *
 * Majorities before and after a change of one server always share a member, so that many a mistake is harmless
 * there. `123` to `1`, and `1` to `123`, have quorums that share none.
 *
 * @module
 */

import { beginWith } from "./begin.ts";
import type { Mutant } from "./mutants.ts";

const membership = "membership.ts";

/** One of three voters stays. */
const down = {
  setup: { voters: 3, targets: ["1"] },
  bounds: { epochs: 2, follows: 4, changes: 1, crashes: 1 },
};

/** Two observers become voters. */
const up = {
  setup: { voters: 1, observers: 2, targets: ["123"] },
  bounds: { epochs: 2, follows: 4, changes: 1, crashes: 1 },
};

const mayFixHistory =
  "if (!hasQuorum(peer.active, (id) => id === peer.id || promises(leading.slots.get(id)))) return;";
const mayChooseEpoch =
  "if (!hasQuorum(peer.active, (id) => id === peer.id || isSupport(leading.slots.get(id)))) return;";
const mayBeEstablished =
  "if (!hasQuorum(peer.active, (id) => id === peer.id || joins(leading.slots.get(id)))) return;";

/** A leader needs the voters of some of the active configurations only. */
function establishedBy(some: string): Mutant["edits"] {
  const by = (find: string): { find: string; replace: string } => ({
    find,
    replace: find.replace("peer.active", `peer.active.${some}`),
  });
  return [
    { file: "discovery.ts", ...by(mayFixHistory) },
    { file: "discovery.ts", ...by(mayChooseEpoch) },
    { file: "broadcast.ts", ...by(mayBeEstablished) },
  ];
}

export const reconfigurationMutants: readonly Mutant[] = [
  {
    name: "commit a change with the quorum of the new voters alone",
    edits: [
      {
        file: "broadcast.ts",
        find: "reachedByQuorum(peer.active,",
        replace: "reachedByQuorum(peer.active.slice(-1),",
      },
    ],
    ...down,
    breaks: ["C2"],
  },
  {
    name: "commit a change with the quorum of the old voters alone",
    edits: [
      {
        file: "broadcast.ts",
        find: "reachedByQuorum(peer.active,",
        replace: "reachedByQuorum(peer.active.slice(0, 1),",
      },
    ],
    ...up,
    breaks: ["C2"],
  },
  {
    name: "count nobody but the new voters while a change is pending",
    edits: [
      {
        file: membership,
        find: "  const active = both.map(votersOf);",
        replace: "  const active = both.slice(-1).map(votersOf);",
      },
    ],
    setup: { snapshots: true, targets: ["12"] },
    bounds: { epochs: 2, follows: 4, changes: 1, timeouts: 1, proposals: 1 },
    breaks: ["I7"],
  },
  {
    name: "establish a leader by the pending configuration alone",
    edits: establishedBy("slice(-1)"),
    ...down,
    breaks: ["C1"],
  },
  {
    name: "establish a leader by the committed configuration alone",
    edits: establishedBy("slice(0, 1)"),
    ...up,
    breaks: ["C1"],
  },
  {
    name: "follow a configuration as soon as it is logged",
    edits: [
      {
        file: membership,
        find: "change(peer, peer.pending ?? peer.config, { version, ...membership });",
        replace: "change(peer, { version, ...membership }, undefined);",
      },
    ],
    setup: { voters: 2, targets: ["123"] },
    bounds: { epochs: 1, follows: 1, changes: 1 },
    breaks: ["C2"],
  },
  {
    name: "propose a second change while one is pending",
    edits: [
      {
        file: membership,
        find: '  if (peer.pending !== undefined) return "inProgress";\n',
        replace: "",
      },
    ],
    setup: { voters: 2, targets: ["123", "12"] },
    bounds: { epochs: 1, follows: 1, changes: 2 },
    breaks: ["C2"],
  },
  {
    name: "tell learners of a configuration that is only pending",
    edits: [
      {
        file: "stream.ts",
        find: "{ config: peer.config } : {}),",
        replace:
          "{ config: peer.config } : {}),\n    ...(peer.pending === undefined ? {} : { config: peer.pending }),",
      },
    ],
    setup: { voters: 2, targets: ["123"] },
    bounds: { epochs: 2, follows: 3, changes: 1, crashes: 1 },
    breaks: ["C2"],
  },
  {
    name: "keep a pending configuration to memory",
    edits: [
      {
        file: membership,
        find: '  peer.draft.store.push({ kind: "configs", committed: config, pending });\n',
        replace: "",
      },
    ],
    setup: { voters: 2, targets: ["123"] },
    bounds: { epochs: 1, follows: 1, changes: 1 },
    breaks: ["5.4"],
  },
  {
    name: "keep a pending configuration that was truncated",
    edits: [
      {
        file: membership,
        find: "  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) > 0) {",
        replace: "  if (peer.pending !== undefined && after.epoch < 0) {",
      },
    ],
    setup: { targets: ["12"] },
    bounds: { epochs: 2, follows: 4, changes: 1, crashes: 1 },
    breaks: ["C3"],
  },
  {
    name: "keep a pending configuration that a snapshot has replaced",
    edits: [
      {
        file: membership,
        find: "  if (peer.pending !== undefined) change(peer, peer.config, undefined);",
        replace: "",
      },
    ],
    setup: { targets: ["12"], snapshots: true, begin: beginWith("changing") },
    bounds: { epochs: 1, follows: 2, proposals: 1 },
    breaks: ["C3"],
  },
  {
    name: "send a snapshot without saying which configuration is in it",
    edits: [
      {
        file: "stream.ts",
        find: "...(compareZxid(peer.config.version, ZERO_ZXID) > 0 ? { config: peer.config } : {}),",
        replace: "",
      },
    ],
    ...up,
    setup: { ...up.setup, snapshots: true },
    breaks: ["C3"],
  },
  {
    name: "keep a pending configuration when told that it is committed",
    edits: [
      {
        file: membership,
        find: "change(peer, config, isLater ? pending : undefined);",
        replace: "change(peer, config, pending);",
      },
    ],
    setup: { voters: 2, targets: ["123"] },
    bounds: { epochs: 1, follows: 1, changes: 1 },
    breaks: ["C3"],
  },
  {
    name: "deliver a configuration and go on with the one before",
    edits: [{ file: membership, find: "    change(peer, peer.pending, undefined);", replace: "    void 0;" }],
    setup: { voters: 2, targets: ["123"] },
    bounds: { epochs: 1, follows: 1, changes: 1 },
    breaks: ["C3"],
  },
  {
    name: "count new voters only when they attach again",
    edits: [
      {
        file: "leader.ts",
        find: "else slot.counts = mayCount(peer, slot.id, slot.storageId) && !leading.forgetful.has(slot.id);",
        replace: "",
      },
    ],
    ...up,
    breaks: ["LV"],
  },
  {
    name: "keep the sessions of those who were removed",
    edits: [
      {
        file: "leader.ts",
        find: '    if (!peer.others.includes(slot.id)) endSession(peer, leading, slot, "notLeading");\n    else slot.counts',
        replace: "    slot.counts",
      },
    ],
    setup: { targets: ["12"] },
    bounds: { epochs: 1, follows: 2, changes: 1 },
    breaks: ["LV"],
  },
  {
    name: "lead an ensemble without a vote in it",
    edits: [
      {
        file: "leader.ts",
        find: '  if (!peer.isVoter) {\n    turnTo(peer, { kind: "look" });\n    return;\n  }\n',
        replace: "",
      },
    ],
    setup: { voters: 1, observers: 1, targets: ["2+1", "1+2"], recovers: true },
    bounds: { epochs: 1, follows: 3, changes: 2, crashes: 1 },
    breaks: ["LV"],
  },
  {
    name: "go on with what was begun in a former configuration",
    edits: [
      {
        file: "peer.ts",
        find: 'if (isNews && peer.role.kind !== "learning") return turnTo(peer, { kind: "look" });',
        replace: "",
      },
    ],
    setup: { voters: 1, observers: 1, targets: ["2+1"], recovers: true },
    bounds: { epochs: 1, follows: 2, changes: 1, crashes: 1 },
    breaks: ["LV"],
  },
];
