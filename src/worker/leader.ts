/**
 * Routing: one errand, carried to the member that can do it.
 *
 * The last known leader is asked first. It may name another; otherwise all members are looked at, which
 * wakes them and makes them elect, until one serves or the time is up. The hint is all that an isolate
 * remembers, and a wrong one costs a call: correctness is the members' affair.
 *
 * A leader that does not answer is asked no longer than until the others have another one (`succession.ts`).
 *
 * An errand that any member can do may ask for the nearest: whoever answered first when all were looked at,
 * remembered for a minute; or for one by its id, and for no other.
 *
 * What is tried again:
 * - an answer that promises "nothing happened": always;
 * - a failed or unknown call: only a read, a lock call (idempotent by its id), or the opening of a
 *   connection. Any other write may have happened, and is answered with 504.
 *
 * @module
 */

import { type ServerId, ZkErrorCode } from "../base/index.ts";
import type { MemberStatus, NotServed, Unknown } from "../objects/index.ts";
import { bootstrap, checkVoters } from "./bootstrap.ts";
import { firstToAnswer, type Sighting, sleep, statusesOf, survey, within } from "./calls.ts";
import type { Ensemble } from "./ensemble.ts";
import type { MemberStub } from "./env.ts";
import { findLeaderMs, nearestMs, overloadedAttemptsMax, pauseMsFirst, pauseMsLast } from "./limits.ts";
import { type Problem, problemOfCode } from "./problems.ts";
import { Succession } from "./succession.ts";

/**
 * What doing the errand twice means. `none`: it changes nothing. `idempotent`: twice is as good as once.
 * `once`: not to be repeated while the first time may have worked.
 */
export type Effect = "none" | "idempotent" | "once";

/** The member to be asked. */
export type Whom = "leader" | "nearest" | ServerId;

/** What is to be done at a member. */
export interface Errand<Reply extends { readonly kind: string }> {
  /** Begins every message about it: `Cannot set "/a"`. */
  readonly action: string;
  readonly path?: string | undefined;
  readonly effect: Effect;
  /** Default: the leader. */
  readonly whom?: Whom | undefined;
  /** A member will do that has no leader at present. */
  readonly unled?: boolean | undefined;
  /** After this no attempt starts. Default: `findLeaderMs`. */
  readonly searchMs?: number | undefined;
  /** For the 504 problem. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
  /** How long the attempt that starts now may take. */
  attemptMs(): number;
  attempt(member: MemberStub): Promise<Reply>;
}

/** An answer of a member that took the errand on. */
type Served<Reply> = Exclude<Reply, NotServed | Unknown>;

export interface Carried<Reply> {
  readonly reply: Served<Reply>;
  /** An earlier attempt of the same errand may have taken effect too. */
  readonly repeated: boolean;
}

/** What came of one attempt. */
type Attempted<Reply> =
  | { readonly kind: "served"; readonly reply: Served<Reply> }
  | NotServed
  /** Failed, timed out, or the member does not know: it may have happened. */
  | Unknown;

/** Knows who led last, per ensemble. One per isolate. */
export class LeaderRouter {
  /** A hint, at most as many entries as there are ensembles. */
  readonly #hints = new Map<string, ServerId>();
  /** Likewise. */
  readonly #nearest = new Map<string, { readonly id: ServerId; readonly untilMs: number }>();
  readonly #succession = new Succession();

  /** @throws {@link Problem} 429, 503 (both: nothing happened) or 504 (it may have). */
  async run<Reply extends { readonly kind: string }>(
    ensemble: Ensemble,
    errand: Errand<Reply>,
  ): Promise<Carried<Reply>> {
    const deadline = Date.now() + (errand.searchMs ?? findLeaderMs);
    const whom = errand.whom ?? "leader";
    let asked = this.#hintFor(ensemble, whom);
    let overloaded = 0;
    let repeated = false;
    for (let round = 0; ; round++) {
      asked ??= await this.#find(ensemble, errand);
      const outcome = await (whom === "leader"
        ? this.#ask(ensemble, asked, errand)
        : this.#askOne(ensemble, asked, errand));
      if (outcome?.kind === "served") return { reply: outcome.reply, repeated };
      if (outcome?.kind === "unknown") {
        if (errand.effect === "once") throw unknownOutcome(errand);
        repeated = true;
      }
      if (outcome?.kind === "overloaded") {
        if (++overloaded >= overloadedAttemptsMax)
          throw repeated ? givenUp(errand, repeated) : refuseOverloaded(errand);
      } else {
        // Where it failed the hint is gone, unless there is a better one by now.
        asked = whom === "leader" ? this.#hints.get(ensemble.name) : undefined;
      }
      const pauseMs = pauseAfter(round);
      if (Date.now() + pauseMs >= deadline) throw givenUp(errand, repeated);
      await sleep(pauseMs);
    }
  }

  #hintFor(ensemble: Ensemble, whom: Whom): ServerId | undefined {
    if (whom === "leader") return this.#hints.get(ensemble.name);
    if (whom !== "nearest") return whom;
    const hint = this.#nearest.get(ensemble.name);
    return hint !== undefined && hint.untilMs > Date.now() ? hint.id : undefined;
  }

  async #find<Reply extends { readonly kind: string }>(
    ensemble: Ensemble,
    { whom = "leader", unled = false }: Errand<Reply>,
  ): Promise<ServerId | undefined> {
    if (whom !== "nearest") {
      const found = await locate(ensemble, unled);
      return whom === "leader" ? found : whom;
    }
    const id = await firstToAnswer(
      ensemble,
      ({ serving, bootstrap: state }) => serving || (unled && state === "active"),
    );
    if (id === undefined) return locate(ensemble, unled);
    this.#nearest.set(ensemble.name, { id, untilMs: Date.now() + nearestMs });
    return id;
  }

  async #askOne<Reply extends { readonly kind: string }>(
    ensemble: Ensemble,
    id: ServerId | undefined,
    errand: Errand<Reply>,
  ): Promise<Attempted<Reply> | undefined> {
    const outcome = id === undefined ? undefined : await attemptAt(ensemble, id, errand);
    if (outcome?.kind !== "served") this.#nearest.delete(ensemble.name);
    return outcome;
  }

  /** Asks a member, and whomever it and its successors name as leader, each at most once. */
  async #ask<Reply extends { readonly kind: string }>(
    ensemble: Ensemble,
    first: ServerId | undefined,
    errand: Errand<Reply>,
  ): Promise<Attempted<Reply> | undefined> {
    const asked = new Set<ServerId>();
    let id = first;
    let outcome: Attempted<Reply> | undefined;
    while (id !== undefined && !asked.has(id)) {
      asked.add(id);
      const lookout = this.#succession.watch(ensemble, id);
      const raced = await Promise.race([attemptAt(ensemble, id, errand), lookout.successor]);
      lookout.stop();
      if (typeof raced === "number") {
        // What the old leader was asked may have happened while it led.
        this.#hints.set(ensemble.name, raced);
        return { kind: "unknown" };
      }
      outcome = raced;
      if (outcome.kind === "served") this.#hints.set(ensemble.name, id);
      else if (outcome.kind !== "overloaded" && this.#hints.get(ensemble.name) === id)
        this.#hints.delete(ensemble.name);
      id = outcome.kind === "notLeader" && outcome.leader !== 0 ? outcome.leader : undefined;
    }
    return outcome;
  }
}

async function attemptAt<Reply extends { readonly kind: string }>(
  ensemble: Ensemble,
  id: ServerId,
  errand: Errand<Reply>,
): Promise<Attempted<Reply>> {
  try {
    const reply = await within(errand.attemptMs(), () => errand.attempt(ensemble.member(id)));
    // TypeScript does not subtract a union from a type parameter, so the last step is said by hand.
    return isUnserved(reply) ? reply : { kind: "served", reply: reply as Served<Reply> };
  } catch {
    return { kind: "unknown" };
  }
}

function isUnserved(reply: { readonly kind: string }): reply is NotServed | Unknown {
  return ["notLeader", "blank", "overloaded", "halted", "unknown"].includes(reply.kind);
}

/** Finds the leader, bootstrapping the ensemble if need be; while nobody leads, any active member if `unled`. */
async function locate(ensemble: Ensemble, unled: boolean): Promise<ServerId | undefined> {
  const sightings = await survey(ensemble, (soFar) => isLeaderCertain(soFar, ensemble.voters));
  const statuses = statusesOf(sightings);
  checkVoters(statuses, ensemble);
  // Also under a leader: a Worker may have gone before it activated the last member.
  await bootstrap(ensemble, sightings);
  const leader = pickLeader(statuses);
  if (leader !== undefined || !unled) return leader;
  return statuses.find((status) => status.bootstrap === "active")?.id;
}

/** Among those that say they serve, the one of the latest epoch: the others have yet to notice. */
export function pickLeader(statuses: readonly MemberStatus[]): ServerId | undefined {
  const serving = statuses.filter(({ serving, role }) => serving && role === "leading");
  return serving.reduce<MemberStatus | undefined>(
    (best, status) => (best === undefined || status.epoch > best.epoch ? status : best),
    undefined,
  )?.id;
}

/** Once a majority of the voters has been seen, a leader among them is not worth waiting for the rest. */
function isLeaderCertain(sightings: readonly Sighting[], voters: readonly ServerId[]): boolean {
  const statuses = statusesOf(sightings);
  const seen = statuses.filter(({ id }) => voters.includes(id));
  return seen.length * 2 > voters.length && pickLeader(statuses) !== undefined;
}

/** Doubling, and a random half of it, so that many Workers do not come back at once. */
function pauseAfter(round: number): number {
  const pauseMs = Math.min(pauseMsLast, pauseMsFirst * 2 ** round);
  return pauseMs / 2 + (Math.random() * pauseMs) / 2;
}

type Described = Omit<Errand<{ kind: string }>, "attempt" | "attemptMs">;

function givenUp(errand: Described, repeated: boolean): Problem {
  if (repeated && errand.effect !== "none") return unknownOutcome(errand);
  return problemOfCode(ZkErrorCode.ConnectionLoss, {
    action: errand.action,
    path: errand.path,
    reason: `${describeWhom(errand.whom)} was reached in time; nothing happened, try again`,
  });
}

function describeWhom(whom: Whom = "leader"): string {
  if (whom === "leader") return "no leader";
  return whom === "nearest" ? "no member that serves" : `no serving member ${whom}`;
}

function refuseOverloaded({ action, path }: Described): Problem {
  return problemOfCode(ZkErrorCode.ThrottledOp, {
    action,
    path,
    reason: "the member is overloaded; nothing happened, try again later",
  });
}

function unknownOutcome({ action, path, more, effect }: Described): Problem {
  const reason =
    effect === "idempotent"
      ? `it may or may not have taken effect; it is safe to try again${more?.["id"] === undefined ? "" : " with the same id"}`
      : "the write may or may not have been applied: read it back before trying again";
  return problemOfCode(ZkErrorCode.OperationTimeout, { action, path, more, reason });
}
