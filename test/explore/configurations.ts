/**
 * Who votes: the configuration of the beginning, and those that a leader may propose instead.
 *
 * A configuration is written as the ids of its voters, and those of its observers behind a plus: `12+3`. The txn
 * that introduces it has a payload of its own, so a history says who governs at each of its txns.
 *
 * @module
 */

import { makeServerId } from "../../src/base/index.ts";
import type { Membership } from "../../src/zab/index.ts";

export interface Configuration {
  readonly name: string;
  readonly membership: Membership;
  /** Indices of servers. */
  readonly voters: readonly number[];
}

/** Payloads from here on change the configuration: three bits say which change of the run, three to what. */
const firstChange = 64;
const targetBits = 3;

/** Ids are digits. */
export const serversMax = 9;

export const targetsMax = 2 ** targetBits;

export function isChange(payload: number): boolean {
  return payload >= firstChange;
}

/** `undefined` unless somebody votes, and each of 1 to 9 is named once at most. */
export function parseConfiguration(name: string): Configuration | undefined {
  const [, voting, observing = ""] = /^([1-9]+)(?:\+([1-9]+))?$/.exec(name) ?? [];
  if (voting === undefined || new Set(voting + observing).size < (voting + observing).length)
    return undefined;
  const idsIn = (digits: string): number[] => [...digits].map(Number).sort();
  const members = [
    ...idsIn(voting).map((id) => ({ id: makeServerId(id), role: "voter" as const })),
    ...idsIn(observing).map((id) => ({ id: makeServerId(id), role: "observer" as const })),
  ];
  const voters = idsIn(voting).map((id) => id - 1);
  return { name: nameOf(members), membership: { members }, voters };
}

/** As `parseConfiguration` reads it. */
export function nameOf(members: Membership["members"]): string {
  const idsOf = (role: string): string =>
    members
      .filter((member) => member.role === role)
      .map(({ id }) => id)
      .join("");
  const observing = idsOf("observer");
  return observing === "" ? idsOf("voter") : `${idsOf("voter")}+${observing}`;
}

export class Configurations {
  readonly first: Configuration;
  readonly targets: readonly Configuration[];
  /** Servers, those included that only a later configuration names. */
  readonly count: number;

  constructor(first: { readonly voters: number; readonly observers: number }, targets: readonly string[]) {
    const ids = Array.from({ length: first.voters + first.observers }, (_, i) => i + 1);
    const observing = ids.slice(first.voters).join("");
    this.first = known(`${ids.slice(0, first.voters).join("")}${observing && `+${observing}`}`);
    this.targets = targets.map(known);
    if (targets.length > targetsMax) throw new Error(`at most ${targetsMax} configurations to change to`);
    const all = [this.first, ...this.targets].flatMap(({ membership }) => membership.members);
    this.count = Math.max(...all.map(({ id }) => id));
  }

  /** The `change`-th change of a run, from 0, to the target of this name. */
  payload(change: number, name: string): number {
    const target = this.targets.findIndex((each) => each.name === name);
    if (target < 0 || change >= 2 ** targetBits) throw new Error(`no change ${change} to ${name}`);
    return firstChange + (change << targetBits) + target;
  }

  /** What a txn changes the configuration to; `undefined`: it does not. */
  changeOf(payload: number): Configuration | undefined {
    return isChange(payload) ? this.targets[payload & (targetsMax - 1)] : undefined;
  }

  /** Whether servers may take each other's names without any configuration becoming another. */
  isSymmetry(indices: readonly number[]): boolean {
    return [this.first, ...this.targets].every(({ membership }) => {
      const renamed = membership.members.map(({ id, role }) => `${(indices[id - 1] ?? 0) + 1} ${role}`);
      const same = new Set(membership.members.map(({ id, role }) => `${id} ${role}`));
      return renamed.every((member) => same.has(member));
    });
  }
}

function known(name: string): Configuration {
  const configuration = parseConfiguration(name);
  if (configuration === undefined) throw new Error(`no configuration: ${name}`);
  return configuration;
}
