/**
 * Bootstrap: how a member learns, once and for ever, which ensemble it belongs to.
 *
 * Two steps, so that a member whose storage was lost is never mistaken for one that is new: first every
 * member is prepared (knows the configuration, does not vote), and only when all are, they are activated.
 * From then on a blank member can only be one that has forgotten its promises, and it must not vote.
 *
 * @module
 */

import { assert, makeServerId, type ServerId } from "../base/index.ts";
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
  const fields: { voters?: unknown; observers?: unknown; secret?: unknown } = config;
  const voters = parseServerIds(fields.voters);
  const observers = parseServerIds(fields.observers);
  if (voters === undefined || observers === undefined || typeof fields.secret !== "string") return undefined;
  return { state, config: { voters, observers, secret: fields.secret } };
}

function parseServerIds(value: unknown): ServerId[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map((id: unknown) => makeServerId(Number(id)));
}
