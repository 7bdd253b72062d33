/**
 * An ensemble: the members that the settings declare, or those that it has by now, and the way to them.
 *
 * Members are added and removed while an ensemble lives. Any of them, also one that was removed, tells which
 * configuration it knows; the latest one heard of is remembered per isolate. Forgotten, it is learnt again
 * from the members that the settings declare.
 *
 * @module
 */

import {
  compareZxid,
  makeServerId,
  parseZxid,
  type ServerId,
  type Settings,
  ZERO_ZXID,
  type Zxid,
} from "../base/index.ts";
import type { MemberStatus } from "../objects/index.ts";
import type { Env, MemberNamespace, MemberStub } from "./env.ts";

/** A configuration, as far as the Worker cares. Ids ascend. */
interface Members {
  readonly version: Zxid;
  readonly voters: readonly ServerId[];
  readonly observers: readonly ServerId[];
  /** All of them. */
  readonly ids: readonly ServerId[];
}

/** By name; an isolate has one namespace. */
const directories = new WeakMap<MemberNamespace, Map<string, Members>>();

export class Ensemble {
  readonly name: string;
  /** What the settings declare: the first configuration, voters before observers, ids from 1 on. */
  readonly declared: Members;
  readonly #namespace: MemberNamespace;
  readonly #directory: Map<string, Members>;

  constructor(name: string, { members, observers }: Settings, namespace: MemberNamespace) {
    const ids = Array.from({ length: members + observers }, (_, index) => makeServerId(index + 1));
    this.name = name;
    this.declared = { version: ZERO_ZXID, voters: ids.slice(0, members), observers: ids.slice(members), ids };
    this.#namespace = namespace;
    this.#directory = directories.get(namespace) ?? new Map<string, Members>();
    directories.set(namespace, this.#directory);
  }

  /** All members, as far as is known. */
  get ids(): readonly ServerId[] {
    return this.#known.ids;
  }

  get voters(): readonly ServerId[] {
    return this.#known.voters;
  }

  /** Whether members were ever added or removed, as far as is known. */
  get isChanged(): boolean {
    return this.#known !== this.declared;
  }

  /** Takes note of a later configuration, when a member knows of one. */
  learn({ bootstrap, configVersion, voters, observers }: MemberStatus): void {
    const version = parseZxid(configVersion) ?? ZERO_ZXID;
    if (bootstrap === "blank" || compareZxid(version, this.#known.version) <= 0) return;
    const ids = [...voters, ...observers].sort((a, b) => a - b);
    this.#directory.set(this.name, { version, voters, observers, ids });
  }

  get #known(): Members {
    return this.#directory.get(this.name) ?? this.declared;
  }

  /**
   * A stub made for one call. A stub stays broken after its object was reset, so none is kept; and the
   * runtime's own retries are off, because whether a call may be repeated is decided in `leader.ts`.
   */
  member(id: ServerId): MemberStub {
    return this.#namespace.getByName(`${this.name}/${id}`, { retry: { maxRetries: 0 } });
  }
}

/** The ensemble of that name, or `undefined` when EK_ENSEMBLES declares none. */
export function findEnsemble(name: string, settings: Settings, env: Env): Ensemble | undefined {
  return settings.ensembles.includes(name) ? new Ensemble(name, settings, env.MEMBER) : undefined;
}
