/**
 * Bootstrap: how a member learns, once and for ever, which ensemble it belongs to.
 *
 * Two steps, so that a member whose storage was lost is never mistaken for one that is new: first every
 * member is prepared (knows the configuration, does not vote), and only when all are, they are activated.
 * From then on a blank member can only be one that has forgotten its promises, and it must not vote.
 *
 * @module
 */

import { assert, makeServerId, type ServerId, ZERO_ZXID } from "../base/index.ts";
import { defaultAddress, formatConfig, formatServers } from "../tree/index.ts";
import type { Config } from "../zab/index.ts";
import type { EnsembleConfig } from "./api.ts";
import { readMeta, writeMeta } from "./sql/meta.ts";

export type StoredBootstrap =
  | { readonly state: "blank" }
  | { readonly state: "prepared" | "active"; readonly config: EnsembleConfig };

export function readBootstrap(sql: SqlStorage): StoredBootstrap {
  const text = readMeta(sql, "bootstrap");
  if (text === undefined) return { state: "blank" };
  const parsed = parseBootstrap(JSON.parse(text));
  assert(parsed !== undefined, "the stored configuration cannot be read");
  return parsed;
}

export function writeBootstrap(
  sql: SqlStorage,
  bootstrap: Exclude<StoredBootstrap, { state: "blank" }>,
): void {
  writeMeta(sql, "bootstrap", JSON.stringify(bootstrap));
}

function parseBootstrap(value: unknown): StoredBootstrap | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { state, config }: { state?: unknown; config?: unknown } = value;
  if (state !== "prepared" && state !== "active") return undefined;
  if (typeof config !== "object" || config === null) return undefined;
  const fields: { voters?: unknown; observers?: unknown; secret?: unknown; storageIds?: unknown } = config;
  const voters = parseServerIds(fields.voters);
  const observers = parseServerIds(fields.observers);
  if (voters === undefined || observers === undefined || typeof fields.secret !== "string") return undefined;
  const { secret } = fields;
  if (fields.storageIds === undefined) return { state, config: { voters, observers, secret } };
  const storageIds = parseStorageIds(fields.storageIds);
  return storageIds === undefined ? undefined : { state, config: { voters, observers, secret, storageIds } };
}

/** The configuration that everybody is made with; its version is lower than that of any change. */
export function firstConfig({ voters, observers, storageIds }: EnsembleConfig): Config {
  const memberOf = (role: "voter" | "observer") => (id: ServerId) => {
    const storageId = storageIds?.[id];
    return storageId === undefined ? { id, role } : { id, role, storageId };
  };
  const members = [...voters.map(memberOf("voter")), ...observers.map(memberOf("observer"))];
  return { version: ZERO_ZXID, members };
}

/** What `/zookeeper/config` says in an ensemble that was never changed. */
export function firstConfigText(ensemble: EnsembleConfig): string {
  const { members, version } = firstConfig(ensemble);
  const lines = members.map(({ id, role }) => {
    return { id, role, address: defaultAddress(id, undefined), client: undefined };
  });
  return formatConfig(formatServers(lines), version);
}

function parseStorageIds(value: unknown): Record<string, string> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const storageIds: Record<string, string> = {};
  for (const [id, storageId] of Object.entries(value)) {
    if (typeof storageId !== "string") return undefined;
    storageIds[id] = storageId;
  }
  return storageIds;
}

function parseServerIds(value: unknown): ServerId[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map((id: unknown) => makeServerId(Number(id)));
}
