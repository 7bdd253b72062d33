/**
 * Bootstrap: how the blank members of a declared ensemble come to life, once.
 *
 * Two phases. First every member remembers the configuration; only when all of them have it may any of
 * them vote. So an active member proves that every other once held the configuration, and a blank one
 * beside it has lost its storage: it must not vote, because it has forgotten what it acknowledged.
 *
 * Any number of Workers may do this at once. Member 1 is prepared before all others and keeps the first
 * configuration it is given; everybody reads it back from there, so all prepare the others alike.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import type { BootstrapState, EnsembleConfig, MemberStatus } from "../objects/index.ts";
import { type Sighting, statusesOf, within } from "./calls.ts";
import type { Ensemble } from "./ensemble.ts";
import type { MemberStub } from "./env.ts";
import { bootstrapCallMs } from "./limits.ts";
import { Problem } from "./problems.ts";

/** What the members' states ask for. */
export type BootstrapNeed =
  /** Some member is active and none is waiting to be: nothing to do. */
  | "none"
  /** All were prepared, not all were activated: whoever began is gone or still at it. */
  | "activate"
  /** Nobody is active and somebody is blank, or all are prepared. */
  | "prepare"
  /** Not everybody was seen well, so nothing may be concluded. */
  | "unclear";

/** Says what is to be done about an ensemble of `size` members of which `statuses` were seen. */
export function bootstrapNeed(statuses: readonly MemberStatus[], size: number): BootstrapNeed {
  const states = statuses.map((status) => status.bootstrap);
  if (states.includes("active")) return states.includes("prepared") ? "activate" : "none";
  return states.length === size && !states.includes("halted") ? "prepare" : "unclear";
}

/** Whether a blank member next to these has lost its storage, rather than never having had any. */
export function hasActiveMember(statuses: readonly MemberStatus[]): boolean {
  return statuses.some((status) => status.bootstrap === "active");
}

/**
 * Throws unless the active members know the ensemble that the settings declare. A prepared one is asked
 * for its configuration when it matters.
 *
 * @throws {@link Problem} 503: members cannot be added or removed by a setting alone.
 */
export function checkVoters(statuses: readonly MemberStatus[], ensemble: Ensemble): void {
  // Once members were added or removed, the settings only say where to ask first.
  if (ensemble.isChanged) return;
  for (const status of statuses)
    if (status.bootstrap === "active") checkDeclared(ensemble, status.id, status);
}

/**
 * Does what the sightings ask for. Afterwards the members may be active, and then elect a leader by
 * themselves; if a call failed, the next request goes on where this one stopped.
 *
 * @throws {@link Problem} 503 when members disagree about the configuration.
 */
export async function bootstrap(ensemble: Ensemble, sightings: readonly Sighting[]): Promise<void> {
  const statuses = statusesOf(sightings);
  if (ensemble.isChanged) return;
  const need = bootstrapNeed(statuses, ensemble.declared.ids.length);
  if (need === "activate") await activate(ensemble, idsIn(statuses, "prepared"));
  if (need === "prepare" && (await prepareAll(ensemble, statuses)))
    await activate(ensemble, ensemble.declared.ids);
}

function idsIn(statuses: readonly MemberStatus[], state: BootstrapState): readonly ServerId[] {
  return statuses.filter((status) => status.bootstrap === state).map((status) => status.id);
}

/** Whether all members now hold the same configuration. */
async function prepareAll(ensemble: Ensemble, statuses: readonly MemberStatus[]): Promise<boolean> {
  const [first, ...others] = ensemble.declared.ids;
  const known = idsIn(statuses, "prepared")[0];
  if (first === undefined) return false;
  const proposal = known === undefined ? makeConfig(ensemble) : await configOf(ensemble, known);
  const config = proposal && (await prepare(ensemble, first, proposal));
  if (config === undefined) return false;
  const rest = await Promise.all(others.map((id) => prepare(ensemble, id, config)));
  if (rest.includes(undefined)) return false;
  checkSameSecret(ensemble, [config, ...rest]);
  return true;
}

function makeConfig(ensemble: Ensemble): EnsembleConfig {
  const random = (bytes: number) => hexOf(crypto.getRandomValues(new Uint8Array(bytes)));
  const { voters, observers, ids } = ensemble.declared;
  const storageIds = Object.fromEntries(ids.map((id) => [id, random(16)]));
  return { voters, observers, secret: random(32), storageIds };
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Prepares one member and answers the configuration it holds, `undefined` if it could not be prepared. */
async function prepare(
  ensemble: Ensemble,
  id: ServerId,
  config: EnsembleConfig,
): Promise<EnsembleConfig | undefined> {
  const state = await attempt(ensemble, id, (member) => member.prepareBootstrap(config));
  return state === "prepared" || state === "active" ? await configOf(ensemble, id) : undefined;
}

/**
 * The configuration a member was prepared with.
 *
 * @throws {@link Problem} 503 when it is for another ensemble than the settings declare.
 */
async function configOf(ensemble: Ensemble, id: ServerId): Promise<EnsembleConfig | undefined> {
  const config = await attempt(ensemble, id, (member) => member.bootstrapConfig());
  if (config !== undefined) checkDeclared(ensemble, id, config);
  return config;
}

async function activate(ensemble: Ensemble, ids: readonly ServerId[]): Promise<void> {
  await Promise.all(ids.map((id) => attempt(ensemble, id, (member) => member.activateBootstrap())));
}

/** `undefined` when the call failed: every step may be repeated, so a failure only delays it. */
async function attempt<Value>(
  ensemble: Ensemble,
  id: ServerId,
  call: (member: MemberStub) => Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await within(bootstrapCallMs, () => call(ensemble.member(id)));
  } catch {
    return undefined;
  }
}

function checkSameSecret(ensemble: Ensemble, configs: readonly (EnsembleConfig | undefined)[]): void {
  const secrets = new Set(configs.map((config) => config?.secret));
  if (secrets.size === 1) return;
  throw configurationProblem(
    `Cannot start ensemble "${ensemble.name}": its members were prepared with different configurations`,
  );
}

function checkDeclared(
  ensemble: Ensemble,
  id: ServerId,
  has: Pick<EnsembleConfig, "voters" | "observers">,
): void {
  const settings = { voters: "EK_MEMBERS", observers: "EK_OBSERVERS" };
  for (const part of ["voters", "observers"] as const) {
    const stored = has[part].toSorted((a, b) => a - b).join(",");
    const declared = ensemble.declared[part].join(",");
    if (stored === declared) continue;
    throw configurationProblem(
      `Cannot use ensemble "${ensemble.name}": member ${id} has ${part} "${stored}", ${settings[part]} asks for "${declared}"`,
    );
  }
}

function configurationProblem(detail: string): Problem {
  return new Problem({
    slug: "ensemble-configuration",
    title: "Ensemble configuration does not match",
    status: 503,
    detail,
    codeName: "ConnectionLoss",
  });
}
