/**
 * The configurations a member has stored: the committed one, and the pending one while there is one.
 *
 * What cannot be read stops the member: it would not know who votes.
 *
 * @module
 */

import { assert, serverIdMax, type Zxid } from "../base/index.ts";
import type { Config } from "../zab/index.ts";
import { readMeta, writeMeta } from "./sql/meta.ts";

export interface StoredConfigs {
  readonly committed: Config;
  readonly pending?: Config | undefined;
}

export function writeConfigs(sql: SqlStorage, { committed, pending }: StoredConfigs): void {
  writeMeta(sql, "configs", JSON.stringify({ committed, pending }));
}

/** `undefined` while the first configuration is all there was. */
export function readConfigs(sql: SqlStorage): StoredConfigs | undefined {
  const text = readMeta(sql, "configs");
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  assert(typeof value === "object" && value !== null, "the stored configurations cannot be read");
  const { committed, pending }: { committed?: unknown; pending?: unknown } = value;
  assert(isConfig(committed), "the stored committed configuration cannot be read");
  if (pending === undefined) return { committed };
  assert(isConfig(pending), "the stored pending configuration cannot be read");
  return { committed, pending };
}

function isConfig(value: unknown): value is Config {
  if (typeof value !== "object" || value === null) return false;
  const { version, members, retired }: { version?: unknown; members?: unknown; retired?: unknown } = value;
  return isZxid(version) && Array.isArray(members) && members.every(isConfigMember) && isIds(retired ?? []);
}

function isZxid(value: unknown): value is Zxid {
  if (typeof value !== "object" || value === null) return false;
  const { epoch, counter }: { epoch?: unknown; counter?: unknown } = value;
  return Number.isInteger(epoch) && Number.isInteger(counter);
}

function isConfigMember(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, role, storageId = "" }: { id?: unknown; role?: unknown; storageId?: unknown } = value;
  return isIds([id]) && (role === "voter" || role === "observer") && typeof storageId === "string";
}

function isIds(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 1 && id <= serverIdMax);
}
