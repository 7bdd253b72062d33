/**
 * What `npm run explore` searches: ensembles, and how often each thing may happen in them.
 *
 * The bounds of the first list are for every change of the code, those of the second for now and then.
 *
 * @module
 */

import { beginWith } from "./begin.ts";
import { type Bounds, noBounds } from "./bounds.ts";
import type { Setup } from "./world.ts";

/** Three voters, unless it says otherwise, and nothing happens. */
export function setupOf({ bounds, setup }: Pick<Scope, "bounds" | "setup">): Setup {
  return {
    voters: 3,
    observers: 0,
    flow: false,
    snapshots: false,
    resumes: false,
    targets: [],
    keepDead: false,
    symmetry: true,
    recovers: false,
    begin: [],
    ...setup,
    bounds: { ...noBounds, ...bounds },
  };
}

export interface Scope {
  readonly name: string;
  readonly setup?: Partial<Setup> | undefined;
  readonly bounds: Partial<Bounds>;
}

/** About a minute on one core of a small machine. */
export const threeVoters: Scope = {
  name: "three voters",
  bounds: { proposals: 2, crashes: 1, linkdowns: 2, epochs: 3, follows: 5 },
};

const fourTogether = beginWith("lead 1, follow 2->1, follow 3->1, follow 4->1, settle");
const fiveTogether = beginWith("lead 1, follow 2->1, follow 3->1, follow 4->1, follow 5->1, settle");

export const scopes: readonly Scope[] = [
  threeVoters,
  {
    name: "a voter joins two",
    setup: { voters: 2, targets: ["123"] },
    bounds: { changes: 1, proposals: 1, crashes: 1, linkdowns: 1, epochs: 2, follows: 4 },
  },
  {
    name: "one of three voters leaves, perhaps the leader",
    setup: { targets: ["12"] },
    bounds: { changes: 1, proposals: 1, crashes: 1, linkdowns: 1, epochs: 2, follows: 4 },
  },
  {
    name: "one of three voters stays",
    setup: { targets: ["1"] },
    bounds: { changes: 1, crashes: 2, epochs: 3, follows: 6 },
  },
  {
    name: "two observers become voters beside one",
    setup: { voters: 1, observers: 2, targets: ["123"] },
    bounds: { changes: 1, crashes: 1, linkdowns: 1, epochs: 2, follows: 4 },
  },
  {
    name: "the only voter hands over, and takes back",
    setup: { voters: 1, observers: 1, targets: ["2+1", "1+2"] },
    bounds: { changes: 2, proposals: 1, crashes: 2, linkdowns: 1, epochs: 2, follows: 4 },
  },
  {
    name: "a voter joins two, and another one leaves",
    setup: { voters: 2, targets: ["123", "13"] },
    bounds: { changes: 2, crashes: 1, epochs: 3, follows: 5 },
  },
  {
    name: "a change, while leaders go on in their epoch",
    setup: { targets: ["12"], resumes: true },
    bounds: { changes: 1, proposals: 1, crashes: 2, epochs: 1, follows: 2 },
  },
  {
    name: "a change, and logs replaced by snapshots",
    setup: { targets: ["12"], snapshots: true },
    bounds: { changes: 1, proposals: 1, crashes: 1, compactions: 1, epochs: 2, follows: 4 },
  },
  {
    name: "a change, and a read while another leader takes over",
    setup: { targets: ["1"] },
    bounds: { changes: 1, proposals: 1, reads: 1, timeouts: 1, epochs: 2, follows: 4 },
  },
  {
    name: "two voters hand over to two observers",
    setup: { voters: 2, observers: 2, targets: ["34"], begin: fourTogether },
    bounds: { changes: 1, proposals: 1, crashes: 1, linkdowns: 1, epochs: 2, follows: 5 },
  },
  {
    name: "two of three voters hand over to two observers",
    setup: { voters: 3, observers: 2, targets: ["345"], begin: fiveTogether },
    bounds: { changes: 1, crashes: 1, epochs: 1, follows: 3 },
  },
  {
    name: "three voters get on again",
    setup: { recovers: true },
    bounds: { proposals: 1, crashes: 1, timeouts: 1, epochs: 2, follows: 4 },
  },
  {
    name: "two voters that another one joins get on again",
    setup: { voters: 2, targets: ["123"], recovers: true },
    bounds: { changes: 1, proposals: 1, crashes: 1, epochs: 2, follows: 4 },
  },
  {
    name: "three voters of which one leaves get on again",
    setup: { targets: ["12"], recovers: true },
    bounds: { changes: 1, crashes: 1, epochs: 2, follows: 4 },
  },
  {
    name: "three voters of which one stays get on again",
    setup: { targets: ["1"], recovers: true },
    bounds: { changes: 1, crashes: 1, epochs: 2, follows: 4 },
  },
  {
    name: "a voter and the two observers that join it get on again",
    setup: { voters: 1, observers: 2, targets: ["123"], recovers: true },
    bounds: { changes: 1, crashes: 1, epochs: 2, follows: 4 },
  },
  {
    name: "the only voter and its successor get on again",
    setup: { voters: 1, observers: 1, targets: ["2+1", "1+2"], recovers: true },
    bounds: { changes: 2, proposals: 1, crashes: 2, epochs: 2, follows: 3 },
  },
  {
    name: "two voters and their successors get on again",
    setup: { voters: 2, observers: 2, targets: ["34"], begin: fourTogether, recovers: true },
    bounds: { changes: 1, crashes: 1, epochs: 2, follows: 4 },
  },
];

/** Changes of members, further. */
export const wideScopes: readonly Scope[] = [
  {
    name: "a voter joins two",
    setup: { voters: 2, targets: ["123"] },
    bounds: { changes: 1, proposals: 1, crashes: 2, epochs: 3, follows: 6 },
  },
  {
    name: "one of three voters leaves, perhaps the leader",
    setup: { targets: ["12"] },
    bounds: { changes: 1, proposals: 1, crashes: 2, linkdowns: 1, epochs: 2, follows: 5 },
  },
  {
    name: "one of three voters stays",
    setup: { targets: ["1"] },
    bounds: { changes: 1, proposals: 1, crashes: 2, epochs: 3, follows: 6 },
  },
  {
    name: "two observers become voters beside one",
    setup: { voters: 1, observers: 2, targets: ["123"] },
    bounds: { changes: 1, proposals: 1, crashes: 1, linkdowns: 1, epochs: 2, follows: 5 },
  },
  {
    name: "the only voter hands over, and takes back, and hands over",
    setup: { voters: 1, observers: 1, targets: ["2+1", "1+2"] },
    bounds: { changes: 3, proposals: 1, crashes: 2, linkdowns: 1, epochs: 2, follows: 5 },
  },
  {
    name: "a voter joins two, leaves and joins again",
    setup: { voters: 2, targets: ["123", "12"] },
    bounds: { changes: 3, proposals: 1, crashes: 1, epochs: 2, follows: 5 },
  },
  {
    name: "a change, while leaders go on in their epoch",
    setup: { targets: ["12"], resumes: true },
    bounds: { changes: 1, proposals: 1, crashes: 2, linkdowns: 1, epochs: 1, follows: 2 },
  },
  {
    name: "a change, while leaders go on in their epoch or have a successor",
    setup: { targets: ["1"], resumes: true },
    bounds: { changes: 1, proposals: 1, crashes: 2, epochs: 2, follows: 4 },
  },
  {
    name: "a change, and logs replaced by snapshots",
    setup: { targets: ["12"], snapshots: true },
    bounds: { changes: 1, proposals: 1, crashes: 1, compactions: 1, epochs: 3, follows: 5 },
  },
  {
    name: "a change, and reads while another leader takes over",
    setup: { targets: ["1"] },
    bounds: { changes: 1, proposals: 1, reads: 1, timeouts: 2, epochs: 2, follows: 4 },
  },
  {
    name: "two of three voters hand over to two observers",
    setup: { voters: 3, observers: 2, targets: ["345"], begin: fiveTogether },
    bounds: { changes: 1, crashes: 1, epochs: 2, follows: 4 },
  },
];
