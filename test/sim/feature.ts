/**
 * What a feature adds to the world: things that happen, and a checker that watches them.
 *
 * Something new to simulate is a file in `features` and a line in `features/index.ts`. It draws its numbers
 * for a run from a stream of its own, so other features' runs stay what they were; plans events; and acts.
 * An act is numbers only and rests on nothing but them and the world, so that a history can be written down,
 * replayed without time, and shrunk: whatever is drawn is drawn before, in `due`.
 *
 * @module
 */

import type { ServerId, Txn, Zxid } from "../../src/base/index.ts";
import type { Duties, PeerEvent } from "../../src/zab/index.ts";
import type { DiskOp } from "./disk.ts";
import type { Instance, Member } from "./member.ts";
import type { World } from "./world.ts";

/** A feature's numbers for one run, as a scenario file keeps them. */
export type Draws = Readonly<Record<string, number>>;

export interface Feature {
  /** Its name in settings, scripts and counts: letters only. */
  readonly name: string;
  /** Draws the numbers of one run; `undefined` leaves the feature out of it. `choose(n)` is 0 to n-1, 0 the dull one. */
  draw(choose: (n: number) => number): Draws | undefined;
  attach(world: World, draws: Draws): FeatureRun;
}

/** One feature in one run. All but `act` are optional: a mere checker plans nothing. */
export interface FeatureRun {
  /** The run begins: plans the first events. */
  begin?(planner: Planner): void;
  /** A planned event is due: draws what is to be drawn, then acts and plans again. Also called in the calm. */
  due?(event: number, planner: Planner): void;
  /** Makes something happen. False: there was nothing of that kind (scripts only). */
  act(args: readonly number[]): boolean;

  /** A new instance begins its life, before its first step. */
  starts?(instance: Instance): void;
  /** A member made a step; its duties are not carried out yet. */
  stepped?(instance: Instance, event: PeerEvent, duties: Duties): void;
  /** A write is durable. */
  durable?(member: Member, op: DiskOp): void;
  /** A txn joins the delivered sequence. */
  committed?(zxid: Zxid, txn: Txn): void;
  /** A member delivered a txn, and nothing it waited for was lost. */
  delivered?(member: Member, zxid: Zxid): void;
  /** Faults end: whatever this feature disturbs must be undone now, so that progress can be demanded. */
  calm?(planner: Planner): void;
  /** Everybody agrees, and nothing more will happen. */
  ended?(): void;
}

/** What decides when and whether, for a feature. */
export interface Planner {
  readonly now: number;
  readonly isCalm: boolean;
  /** 0 to n-1, from the feature's own stream. */
  choose(n: number): number;
  /** A time around `meanMs`, with a long tail. */
  around(meanMs: number): number;
  /** Calls `due(event)` later. */
  after(delayMs: number, event: number): void;
  /** Acts, and has it written down when somebody records. */
  act(...args: number[]): void;
  /** Somebody; the leader about half of the time. */
  victim(): ServerId;
}
