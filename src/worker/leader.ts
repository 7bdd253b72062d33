/**
 * Leader routing: one errand, carried to the member that can do it.
 *
 * The last known leader is asked first. It may name another; otherwise all members are looked at, which
 * wakes them and makes them elect, until one serves or the time is up. The hint is all that an isolate
 * remembers, and a wrong one costs a call: correctness is the members' affair.
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
import { type Sighting, sleep, statusesOf, survey, within } from "./calls.ts";
import type { Ensemble } from "./ensemble.ts";
import type { MemberStub } from "./env.ts";
import { findLeaderMs, overloadedAttemptsMax, pauseMsFirst, pauseMsLast } from "./limits.ts";
import { type Problem, problemOfCode } from "./problems.ts";

/**
 * What doing the errand twice means. `none`: it changes nothing. `idempotent`: twice is as good as once.
 * `once`: not to be repeated while the first time may have worked.
 */
export type Effect = "none" | "idempotent" | "once";

/** What is to be done at a member. */
export interface Errand<Reply extends { readonly kind: string }> {
  /** Begins every message about it: `Cannot set "/a"`. */
  readonly action: string;
  readonly path?: string | undefined;
  readonly effect: Effect;
  /** Any active member will do while there is no leader. */
  readonly anyMember?: boolean | undefined;
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

  /** @throws {@link Problem} 429, 503 (both: nothing happened) or 504 (it may have). */
  async run<Reply extends { readonly kind: string }>(
    ensemble: Ensemble,
    errand: Errand<Reply>,
  ): Promise<Carried<Reply>> {
    const deadline = Date.now() + (errand.searchMs ?? findLeaderMs);
    let asked = this.#hints.get(ensemble.name);
    let overloaded = 0;
    let repeated = false;
    for (let round = 0; ; round++) {
      asked ??= await locate(ensemble, errand.anyMember === true);
      const outcome = await this.#ask(ensemble, asked, errand);
      if (outcome?.kind === "served") return { reply: outcome.reply, repeated };
      if (outcome?.kind === "unknown") {
        if (errand.effect === "once") throw unknownOutcome(errand);
        repeated = true;
      }
      if (outcome?.kind === "overloaded") {
        if (++overloaded >= overloadedAttemptsMax)
          throw repeated ? givenUp(errand, repeated) : refuseOverloaded(errand);
      } else {
        asked = undefined;
      }
      const pauseMs = pauseAfter(round);
      if (Date.now() + pauseMs >= deadline) throw givenUp(errand, repeated);
      await sleep(pauseMs);
    }
  }

  /** Asks a member, and whomever it and its successors name as leader, each at most once. */
  async #ask<Reply extends { readonly kind: string }>(
    ensemble: Ensemble,
    first: ServerId | undefined,
    errand: Errand<Reply>,
  ): Promise<Attempted<Reply> | undefined> {
    const unasked = new Set(ensemble.ids);
    let id = first;
    let outcome: Attempted<Reply> | undefined;
    while (id !== undefined && unasked.delete(id)) {
      outcome = await attemptAt(ensemble, id, errand);
      if (outcome.kind === "served") this.#hints.set(ensemble.name, id);
      else if (outcome.kind !== "overloaded") this.#hints.delete(ensemble.name);
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

/** Finds a member to ask, bootstrapping the ensemble if need be; `undefined` while nobody serves. */
async function locate(ensemble: Ensemble, anyMember: boolean): Promise<ServerId | undefined> {
  const sightings = await survey(ensemble, (soFar) => isLeaderCertain(soFar, ensemble.ids.length));
  const statuses = statusesOf(sightings);
  checkVoters(statuses, ensemble);
  // Also under a leader: a Worker may have gone before it activated the last member.
  await bootstrap(ensemble, sightings);
  const leader = pickLeader(statuses);
  if (leader !== undefined || !anyMember) return leader;
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

/** Once a majority has been seen, a leader that is among them is not worth waiting for the rest. */
function isLeaderCertain(sightings: readonly Sighting[], size: number): boolean {
  const statuses = statusesOf(sightings);
  return statuses.length * 2 > size && pickLeader(statuses) !== undefined;
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
    reason: "no leader was reached in time; nothing happened, try again",
  });
}

function refuseOverloaded({ action, path }: Described): Problem {
  return problemOfCode(ZkErrorCode.ThrottledOp, {
    action,
    path,
    reason: "the leader is overloaded; nothing happened, try again later",
  });
}

function unknownOutcome({ action, path, more, effect }: Described): Problem {
  const reason =
    effect === "idempotent"
      ? "it may or may not have taken effect; it is safe to try again with the same id"
      : "the write may or may not have been applied: read it back before trying again";
  return problemOfCode(ZkErrorCode.OperationTimeout, { action, path, more, reason });
}
