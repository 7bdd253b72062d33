/**
 * An ensemble as the settings declare it, and the way to its members.
 *
 * @module
 */

import { makeServerId, type ServerId, type Settings } from "../base/index.ts";
import type { Env, MemberNamespace, MemberStub } from "./env.ts";

export interface Ensemble {
  readonly name: string;
  /** Ascending from 1; all are voters. */
  readonly ids: readonly ServerId[];
  /**
   * A stub made for one call. A stub stays broken after its object was reset, so none is kept; and the
   * runtime's own retries are off, because whether a call may be repeated is decided in `leader.ts`.
   */
  member(id: ServerId): MemberStub;
}

/** The ensemble of that name, or `undefined` when EK_ENSEMBLES declares none. */
export function findEnsemble(name: string, settings: Settings, env: Env): Ensemble | undefined {
  return settings.ensembles.includes(name) ? makeEnsemble(name, settings.members, env.MEMBER) : undefined;
}

function makeEnsemble(name: string, members: number, namespace: MemberNamespace): Ensemble {
  return {
    name,
    ids: Array.from({ length: members }, (_, index) => makeServerId(index + 1)),
    member: (id) => namespace.getByName(`${name}/${id}`, { retry: { maxRetries: 0 } }),
  };
}
