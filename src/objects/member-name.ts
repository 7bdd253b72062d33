/**
 * Members' names: `<ensemble>/<server id>`, and nothing else.
 *
 * @module
 */

import { makeServerId, type ServerId, serverIdMax } from "../base/index.ts";

export interface MemberName {
  readonly ensemble: string;
  readonly id: ServerId;
}

export function formatMemberName(name: MemberName): string {
  return `${name.ensemble}/${name.id}`;
}

/** `undefined` for a name that no member has. */
export function parseMemberName(text: string): MemberName | undefined {
  const match = /^([a-z0-9][a-z0-9-]{0,62})\/([1-9][0-9]{0,2})$/.exec(text);
  const [, ensemble, digits] = match ?? [];
  if (ensemble === undefined || digits === undefined) return undefined;
  const id = Number(digits);
  return id <= serverIdMax ? { ensemble, id: makeServerId(id) } : undefined;
}
