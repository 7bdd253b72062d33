/**
 * `npm run explore -- [--members 3 --epochs 2 --txns 1 --crashes 1 --timeouts 0 --attaches 3 --downs 0] [--states 5000000]`
 *
 * Visits every state within the bounds and prints one line of figures; exits 1 with the history when a
 * promise is broken. Without flags: a list of bounds that takes a few minutes.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type Bounds, Explorer } from "./explore.ts";

const usual: readonly Omit<Bounds, "statesMax">[] = [
  { members: 3, epochs: 2, txns: 1, crashes: 0, timeouts: 0, attaches: 4, linkDowns: 0 },
  { members: 3, epochs: 2, txns: 1, crashes: 1, timeouts: 0, attaches: 3, linkDowns: 0 },
  { members: 3, epochs: 2, txns: 1, crashes: 0, timeouts: 0, attaches: 3, linkDowns: 1 },
  { members: 3, epochs: 3, txns: 1, crashes: 1, timeouts: 0, attaches: 4, linkDowns: 0 },
  { members: 3, epochs: 2, txns: 2, crashes: 0, timeouts: 1, attaches: 3, linkDowns: 0 },
];

/** True when nothing was broken. */
function explore(bounds: Bounds): boolean {
  const startedAt = performance.now();
  const { violation, history, ...figures } = new Explorer(bounds).run();
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  console.log(JSON.stringify({ ...bounds, ...figures, seconds, violation: violation?.message ?? null }));
  if (violation !== undefined) console.log(history.join("\n"));
  return violation === undefined;
}

const { values } = parseArgs({
  options: {
    members: { type: "string" },
    epochs: { type: "string", default: "2" },
    txns: { type: "string", default: "1" },
    crashes: { type: "string", default: "0" },
    timeouts: { type: "string", default: "0" },
    attaches: { type: "string", default: "3" },
    downs: { type: "string", default: "0" },
    states: { type: "string", default: "5000000" },
  },
});
const statesMax = Number(values.states);
const chosen =
  values.members === undefined
    ? usual
    : [
        {
          members: Number(values.members),
          epochs: Number(values.epochs),
          txns: Number(values.txns),
          crashes: Number(values.crashes),
          timeouts: Number(values.timeouts),
          attaches: Number(values.attaches),
          linkDowns: Number(values.downs),
        },
      ];
process.exitCode = chosen.map((bounds) => explore({ ...bounds, statesMax })).every((isSound) => isSound)
  ? 0
  : 1;
