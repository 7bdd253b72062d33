/**
 * An ensemble as the settings declare it, and the way to its members.
 *
 * @module
 */

import { makeServerId, type ServerId, type Settings } from "../base/index.ts";
import type { Env, MemberNamespace, MemberStub } from "./env.ts";

export interface Ensemble {
  readonly name: string;
  /** All members, ascending from 1: the voters, then the observers. */
  readonly ids: readonly ServerId[];
  readonly voters: readonly ServerId[];
  readonly observers: readonly ServerId[];
  /**
   * A stub made for one call. A stub stays broken after its object was reset, so none is kept; and the
   * runtime's own retries are off, because whether a call may be repeated is decided in `leader.ts`.
   */
  member(id: ServerId): MemberStub;
}

/** The ensemble of that name, or `undefined` when EK_ENSEMBLES declares none. */
export function findEnsemble(name: string, settings: Settings, env: Env): Ensemble | undefined {
  return settings.ensembles.includes(name) ? makeEnsemble(name, settings, env.MEMBER) : undefined;
}

function makeEnsemble(name: string, { members, observers }: Settings, namespace: MemberNamespace): Ensemble {
  const ids = Array.from({ length: members + observers }, (_, index) => makeServerId(index + 1));
  return {
    name,
    ids,
    voters: ids.slice(0, members),
    observers: ids.slice(members),
    member: (id) => namespace.getByName(`${name}/${id}`, { retry: { maxRetries: 0 } }),
  };
}
