/**
 * The configuration of one run: which faults exist in it, how often, and how the members are built.
 *
 * A swarm: each fault is in about half of the runs, a run leans on a few of them. Leaving a fault out
 * matters as much as putting it in: with everything on, all runs look alike, and what needs a long
 * undisturbed synchronization and one crash is never reached.
 *
 * Rates are per million; times are in virtual milliseconds.
 *
 * @module
 */

import type { PeerOptions } from "../../src/zab/index.ts";
import { type Chooser, firstFeatureStream, oneOf, Stream } from "./choose.ts";
import type { Draws } from "./feature.ts";
import { features } from "./features/index.ts";

export interface Settings {
  readonly voters: number;
  readonly observers: number;
  /** Members that are in no configuration yet. Default: none. */
  readonly outsiders?: number | undefined;
  /** Configurations name the storages of voters. Default: they do not. */
  readonly storageIds?: boolean | undefined;
  /** The shell without a gate: it holds duties back until their writes are confirmed. */
  readonly isHolding: boolean;
  /** One write unit per step instead of one per turn. */
  readonly unitPerStep: boolean;
  readonly tickMs: number;
  readonly peer: Omit<PeerOptions, "id" | "incarnation">;
  /** Rows of a snapshot page. */
  readonly pageRows: number;
  /** Mean time between checkpoints of a member; 0: none. */
  readonly checkpointMs: number;
  /** Txns kept in the log by a compaction; -1: never compacts. */
  readonly keep: number;
  /** Share of checkpoints that end an open snapshot. */
  readonly cutLost: number;

  readonly delayMs: number;
  readonly loss: number;
  readonly answerLoss: number;
  readonly refusal: number;
  readonly duplicate: number;
  readonly late: number;
  readonly callTimeoutMs: number;
  /** Share of answers kept under way for long: they arrive when their time is over, cut or not. */
  readonly hold: number;
  readonly holdMs: number;

  /** Failed calls in a row after which a link gives up what it has queued. */
  readonly failuresMax: number;

  readonly flushMs: number;
  readonly hang: number;

  readonly crashMs: number;
  readonly restartMs: number;
  readonly secondCrash: number;
  readonly replaceMs: number;
  readonly zombieMs: number;
  /** Mean time between replacements of a learner that cut the leader off: it hears the zombie, and nobody else. */
  readonly apartMs: number;
  readonly everybodyMs: number;

  readonly partitionMs: number;
  readonly partitionLifeMs: number;
  /** Calls over a cut path fail at once, instead of never. */
  readonly cutFails: boolean;
  readonly stallMs: number;
  readonly stallLifeMs: number;
  /** Factor on everything one member does; 1: nobody is slow. */
  readonly slowness: number;
  /** Ticks of members differ by up to so many percent. */
  readonly drift: number;

  /** Crash or cut the member at hand when a chosen step happens for the k-th time. */
  readonly aims: readonly Aim[];

  readonly clients: number;
  readonly thinkMs: number;
  readonly paths: number;
  readonly reads: number;
  /** Mostly sessions and their ephemerals, instead of registers. */
  readonly favoursSessions: boolean;
  readonly clientTimeoutMs: number;
  readonly dataBytes: number;

  /** What of `features` is in this run, and its numbers; scenarios from before there were any have none. */
  readonly features?: Readonly<Record<string, Draws>> | undefined;

  /** Length of the stormy part in events, and of its phases. */
  readonly events: number;
  readonly phases: boolean;
  /** How the run ends: who is healed first. */
  readonly ending: "everybody" | "quorum" | "restart" | "bridge";
  /** Ties at one moment are drawn instead of first come, first served. */
  readonly drawTies: boolean;
}

/** What a run waits for, and what it then does to the member concerned. */
export interface Aim {
  /** A packet kind received, or `store:` and the kind of a write. */
  readonly mark: string;
  readonly count: number;
  readonly action: "crash" | "crashLosing" | "isolate" | "stall";
}

const marks = [
  "newEpoch",
  "ackEpoch",
  "sync",
  "entries",
  "snapPage",
  "newLeader",
  "ackLeader",
  "upToDate",
  "propose",
  "ack",
  "commit",
  "cepoch",
  "inform",
  "store:promises",
  "store:append",
  "store:truncate",
  "store:installSnapshot",
  "store:stagePage",
] as const;

const actions = ["crash", "crashLosing", "crashLosing", "isolate", "stall"] as const;

/** Log-uniform over the usual range of the catalogue. */
const rates = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 300_000] as const;

/** A crash draws for whom of seven it comes too late. */
const membersMax = 7;

export function drawSettings(chooser: Chooser): Settings {
  const draw = <Item>(items: readonly Item[]): Item => oneOf(chooser, items, Stream.Setup);
  const maybe = <Item>(otherwise: Item, items: readonly Item[]): Item =>
    chooser.choose(2, Stream.Setup) === 0 ? otherwise : draw(items);
  const voters = draw([3, 3, 3, 3, 3, 5, 5, 1]);
  const tickMs = 100;
  const pingEveryTicks = draw([1, 1, 2]);
  const syncLimitTicks = draw([5, 8, 12]);
  const settings: Settings = {
    voters,
    observers: maybe(0, [1, 1, 2]),
    isHolding: draw([false, true]),
    unitPerStep: draw([false, true]),
    tickMs,
    peer: {
      initLimitTicks: draw([10, 15, 25]),
      syncLimitTicks,
      pingEveryTicks,
      finalizeWaitTicks: draw([1, 2, 3]),
      notifyEveryTicksMin: 2,
      notifyEveryTicksMax: draw([8, 16]),
      inFlightBytesMax: maybe(1 << 20, [1, 100, 400, 2_000]),
      packetBytesMax: maybe(1 << 20, [1, 100, 400]),
      counterMax: maybe(2 ** 32 - 2, [4, 8, 20, 60]),
      diffTxnsMax: maybe(Number.MAX_SAFE_INTEGER, [20, 3, 0]),
      forceSnapshot: draw([false, false, false, true]),
    },
    pageRows: draw([1, 3, 100]),
    checkpointMs: draw([300, 1_000, 3_000, 0]),
    keep: draw([0, 2, 8, -1]),
    cutLost: maybe(0, [100_000, 500_000]),

    delayMs: draw([5, 2, 1, 10, 20, 40]),
    loss: maybe(0, rates),
    answerLoss: maybe(0, rates),
    refusal: maybe(0, rates),
    duplicate: maybe(0, rates),
    late: maybe(0, rates),
    callTimeoutMs: draw([500, 1_000, 300, 6_000]),
    hold: maybe(0, [20_000, 100_000]),
    holdMs: draw([1_000, 3_000]),

    failuresMax: draw([8, 3, 40]),

    flushMs: draw([1, 0, 5, 20, 60]),
    hang: maybe(0, [100, 1_000]),

    crashMs: maybe(0, [800, 2_000, 5_000, 20_000]),
    restartMs: draw([200, 10, 1_000, 5_000]),
    secondCrash: maybe(0, [200_000]),
    replaceMs: maybe(0, [1_000, 3_000, 10_000]),
    zombieMs: draw([500, 3_000, 10_000]),
    apartMs: maybe(0, [3_000, 10_000]),
    everybodyMs: maybe(0, [5_000, 20_000]),

    partitionMs: maybe(0, [1_000, 4_000, 15_000]),
    partitionLifeMs: draw([500, 2_000, 8_000]),
    cutFails: draw([false, true]),
    stallMs: maybe(0, [2_000, 10_000]),
    stallLifeMs: draw([300, 1_500, 5_000]),
    slowness: maybe(1, [3, 10, 30]),
    drift: draw([0, 5, 10]),

    aims: drawAims(chooser),

    clients: draw([3, 1, 6, 10]),
    thinkMs: draw([50, 10, 200, 3]),
    paths: draw([3, 1, 8]),
    reads: draw([400_000, 100_000, 800_000, 950_000]),
    favoursSessions: draw([false, false, true]),
    clientTimeoutMs: draw([1_000, 3_000]),
    dataBytes: draw([4, 4, 40]),

    features: drawFeatures(chooser),

    events: draw([3_000, 1_500, 6_000]),
    phases: draw([false, true]),
    ending: draw(["everybody", "quorum", "restart", "bridge"]),
    drawTies: draw([false, true]),
  };
  // Drawn last, so that seeds stay comparable.
  const idleTicks = maybe(undefined, [2, 5, 15]);
  const peer = { ...settings.peer, idleTicks, resumes: draw([false, true, true]) };
  if (settings.features?.["members"] === undefined) return { ...settings, peer };
  const outsiders = Math.min(draw([1, 2, 0]), membersMax - settings.voters - settings.observers);
  return { ...settings, peer, outsiders, storageIds: draw([false, true]) };
}

function drawFeatures(chooser: Chooser): Readonly<Record<string, Draws>> {
  const drawn: Record<string, Draws> = {};
  features.forEach((feature, at) => {
    const draws = feature.draw((n) => chooser.choose(n, firstFeatureStream + at));
    if (draws !== undefined) drawn[feature.name] = draws;
  });
  return drawn;
}

function drawAims(chooser: Chooser): readonly Aim[] {
  const aims: Aim[] = [];
  while (aims.length < 4 && chooser.choose(2, Stream.Setup) === 1) {
    aims.push({
      mark: oneOf(chooser, marks, Stream.Setup),
      count: 1 + chooser.choose(6, Stream.Setup),
      action: oneOf(chooser, actions, Stream.Setup),
    });
  }
  return aims;
}
