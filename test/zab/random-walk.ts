/**
 * Draws one run of `world.ts` from a seed: which faults exist at all, and how often.
 *
 * @module
 */

import { type Action, Dice, type Figures, World, type WorldOptions } from "./world.ts";

function drawOptions(dice: Dice): WorldOptions {
  const some = (most: number): number => (dice.chance(50) ? 1 + dice.below(most) : 0);
  const weights: Record<Action, number> = {
    deliver: 200 + dice.below(400),
    tick: 20 + dice.below(150),
    submit: 5 + dice.below(60),
    read: some(40),
    confirm: 20 + dice.below(300),
    sever: some(12),
    crash: some(10),
    restart: 5 + dice.below(20),
    checkpoint: some(20),
    compact: some(10),
    block: some(10),
    unblock: 1 + dice.below(6),
    closeCut: some(3),
    stall: some(6),
    oracle: some(12),
    active: some(8),
    reconfigure: dice.chance(60) ? 1 + dice.below(15) : 0,
  };
  // A quarter of the runs is about reads, another about attaching again and again.
  const profile = dice.below(4);
  if (profile === 0) Object.assign(weights, { read: 60, stall: 4, block: 6, unblock: 2, submit: 40 });
  if (profile === 1)
    Object.assign(weights, { sever: 10, oracle: 15, crash: 6, restart: 20, submit: 30, tick: 40 });
  // And some change the members all the time, with leaders that lose touch in the middle of it.
  if (dice.chance(20))
    Object.assign(weights, { reconfigure: 40, crash: 6, restart: 20, block: 10, unblock: 4, compact: 10 });
  const initLimitTicks = 6 + dice.below(30);
  return {
    voters: dice.pick([1, 3, 3, 3, 3, 5, 5]),
    observers: dice.pick([0, 0, 1]),
    outsiders: dice.pick([0, 1, 2]),
    asynchronous: dice.chance(50),
    zombies: dice.chance(profile === 0 ? 80 : 35),
    snapshotPages: 1 + dice.below(4),
    peer: {
      initLimitTicks,
      syncLimitTicks: 3 + dice.below(initLimitTicks),
      pingEveryTicks: 1 + dice.below(3),
      finalizeWaitTicks: dice.below(4),
      notifyEveryTicksMin: 1 + dice.below(4),
      notifyEveryTicksMax: 4 + dice.below(12),
      inFlightBytesMax: dice.pick([1, 8, 20, 1000]),
      packetBytesMax: dice.pick([1, 8, 1000]),
      counterMax: dice.pick([4, 9, 30, 2 ** 32 - 2, 2 ** 32 - 2]),
      diffTxnsMax: dice.pick([10_000, 10_000, 1, 4]),
      forceSnapshot: dice.chance(10),
      idleTicks: dice.chance(50) ? 1 + dice.below(8) : undefined,
      resumes: dice.chance(60),
    },
    weights,
  };
}

/** Runs one seed; throws `Violation`, or whatever a broken double throws. */
export function walk(seed: number, trace?: (line: string) => void): Figures {
  const dice = new Dice(seed);
  const options = drawOptions(dice);
  const world = new World(options, dice);
  world.trace = trace;
  trace?.(JSON.stringify(options));
  world.run(dice.pick([300, 1000, 1000, 4000]));
  trace?.("heal");
  world.heal();
  return world.figures;
}
