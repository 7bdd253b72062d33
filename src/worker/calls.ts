/**
 * Calls to members, which may hang, and looking at all members at once.
 *
 * The platform has no timeout per call, so every call is raced against a timer of its own. A call that
 * lost its race goes on at the member: only the caller has stopped waiting.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import type { MemberStatus } from "../objects/index.ts";
import type { Ensemble } from "./ensemble.ts";
import { inspectMs, surveyGraceMs } from "./limits.ts";

class CallTimedOut extends Error {
  override readonly name = "CallTimedOut";
}

/** Settles as `call` does, or rejects with {@link CallTimedOut}. */
export async function within<Value>(ms: number, call: () => Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CallTimedOut(`no answer within ${ms} ms`)), ms);
  });
  try {
    // The race also hears a late failure, so that it is nobody's unhandled rejection.
    return await Promise.race([call(), tooLate]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What one look at a member showed. */
export type Sighting =
  | { readonly kind: "seen"; readonly id: ServerId; readonly status: MemberStatus }
  | { readonly kind: "unseen"; readonly id: ServerId; readonly failure: string };

/**
 * Inspects all members at once, which also wakes them and makes them look for a leader.
 *
 * @param enough - When it says so of the sightings so far, the rest get only a moment longer.
 * @returns In the order of their ids; only those sighted when it ended.
 */
export async function survey(
  ensemble: Ensemble,
  enough: (sightings: readonly Sighting[]) => boolean = () => false,
): Promise<readonly Sighting[]> {
  const asked = ensemble.ids;
  const sightings = await lookAtAll(ensemble, asked, enough);
  if (ensemble.ids === asked) return sightings;
  // Members have come or gone: those that are new are looked at too, those that have gone are no members.
  const { ids } = ensemble;
  const known = sightings.filter(({ id }) => ids.includes(id));
  const added = ids.filter((id) => !known.some((sighting) => sighting.id === id));
  const rest = await lookAtAll(ensemble, added, (soFar) => enough([...known, ...soFar]));
  return [...known, ...rest].sort((a, b) => a.id - b.id);
}

/** The same of these members alone. `rouse`: those that sleep are to see whether their leader still answers. */
export async function lookAtAll(
  ensemble: Ensemble,
  ids: readonly ServerId[],
  enough: (sightings: readonly Sighting[]) => boolean,
  rouse = false,
): Promise<readonly Sighting[]> {
  const sightings: Sighting[] = [];
  await new Promise<void>((resolve) => {
    if (ids.length === 0) resolve();
    for (const id of ids) {
      void look(ensemble, id, rouse).then((sighting) => {
        sightings.push(sighting);
        if (sightings.length === ids.length) resolve();
        else if (enough(sightings)) setTimeout(resolve, surveyGraceMs);
      });
    }
  });
  // A copy: late sightings are nobody's.
  return sightings.toSorted((a, b) => a.id - b.id);
}

/**
 * The first member to answer of those that will do, which is the nearest as far as anybody can tell;
 * `undefined` when none will.
 */
export function firstToAnswer(
  ensemble: Ensemble,
  willDo: (status: MemberStatus) => boolean,
): Promise<ServerId | undefined> {
  return new Promise((resolve) => {
    const { ids } = ensemble;
    let left = ids.length;
    for (const id of ids) {
      void look(ensemble, id).then((sighting) => {
        if (sighting.kind === "seen" && willDo(sighting.status)) resolve(id);
        left -= 1;
        if (left === 0) resolve(undefined);
      });
    }
  });
}

async function look(ensemble: Ensemble, id: ServerId, rouse = false): Promise<Sighting> {
  try {
    const status = await within(inspectMs, () => ensemble.member(id).inspect({ rouse }));
    ensemble.learn(status);
    return { kind: "seen", id, status };
  } catch (error) {
    const failure = error instanceof CallTimedOut ? error.message : "the call failed";
    return { kind: "unseen", id, failure };
  }
}

/** The statuses of those that were seen. */
export function statusesOf(sightings: readonly Sighting[]): readonly MemberStatus[] {
  return sightings.flatMap((sighting) => (sighting.kind === "seen" ? [sighting.status] : []));
}
