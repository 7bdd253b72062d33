/**
 * The configuration of one run in the world of members: a swarm, as in the fast world. Times in virtual ms,
 * rates per million.
 *
 * @module
 */

import { type Chooser, oneOf, Stream } from "../choose.ts";

export interface ShellSettings {
  readonly voters: number;
  /** `EK_TICK_MS`: the grain of sessions. */
  readonly sessionTickMs: number;
  readonly stormMs: number;
  readonly delayMs: number;
  readonly flushMs: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly late: number;
  readonly crashMs: number;
  readonly restartMs: number;
  /** Mean time between evictions: memory gone, storage and sockets as they were. */
  readonly evictMs: number;
  readonly replaceMs: number;
  readonly zombieMs: number;
  readonly partitionMs: number;
  readonly partitionLifeMs: number;
  readonly stallMs: number;
  readonly stallLifeMs: number;
  readonly jumpMs: number;
  readonly jumpByMs: number;
  /** Ticks of members differ by up to so many percent. */
  readonly drift: number;
  /** Mean life of a client's connection; 0: it lasts. */
  readonly breakMs: number;
  /** Mean time between clients that never come back. */
  readonly vanishMs: number;
  readonly workers: number;
  readonly lockClients: number;
  readonly httpLockers: number;
  readonly thinkMs: number;
  readonly paths: number;
  readonly drawTies: boolean;
  readonly observers: number;
  /** In percent, how often a client connects to whom it finds, and not to the leader. */
  readonly anyMember: number;
  /** Mean time between orders about the members; 0: nobody gives any. */
  readonly orderMs: number;
  /** Servers that are no members when the run begins. */
  readonly outsiders: number;
}

export function drawShellSettings(chooser: Chooser): ShellSettings {
  const draw = <Item>(items: readonly Item[]): Item => oneOf(chooser, items, Stream.Setup);
  const maybe = <Item>(otherwise: Item, items: readonly Item[]): Item =>
    chooser.choose(2, Stream.Setup) === 0 ? otherwise : draw(items);
  const settings = {
    voters: draw([3, 3, 3, 1, 5]),
    sessionTickMs: draw([500, 1_000, 2_000]),
    stormMs: draw([20_000, 10_000, 40_000]),
    delayMs: draw([5, 1, 20]),
    flushMs: draw([1, 0, 5, 20]),
    loss: maybe(0, [1_000, 10_000, 50_000]),
    duplicate: maybe(0, [10_000, 100_000]),
    late: maybe(0, [10_000, 50_000]),
    crashMs: maybe(0, [3_000, 10_000]),
    restartMs: draw([300, 50, 3_000]),
    evictMs: maybe(0, [500, 2_000, 8_000]),
    replaceMs: maybe(0, [4_000, 15_000]),
    zombieMs: draw([500, 5_000]),
    partitionMs: maybe(0, [4_000, 15_000]),
    partitionLifeMs: draw([1_000, 4_000]),
    stallMs: maybe(0, [4_000, 12_000]),
    stallLifeMs: draw([500, 3_000, 6_000]),
    jumpMs: maybe(0, [2_000, 8_000]),
    jumpByMs: draw([1_500, 10_000, 3_600_000]),
    drift: draw([0, 5, 10]),
    breakMs: maybe(0, [1_500, 5_000]),
    vanishMs: maybe(0, [3_000, 10_000]),
    workers: draw([3, 1, 6]),
    lockClients: draw([2, 0, 4]),
    httpLockers: draw([2, 0, 4]),
    thinkMs: draw([60, 20, 200]),
    paths: draw([2, 1, 4]),
    drawTies: draw([false, true]),
    observers: maybe(0, [1, 2]),
    anyMember: draw([100, 50, 0]),
  };
  // Drawn last, so that seeds stay comparable.
  const orderMs = draw([0, 0, 1_000, 4_000]);
  return { ...settings, orderMs, outsiders: orderMs === 0 ? 0 : draw([1, 2, 3]) };
}
