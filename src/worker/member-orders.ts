/**
 * Orders to add or move a member, out of JSON.
 *
 * @module
 */

import { isLocationHint, locationHints, makeServerId, type ServerId, serverIdMax } from "../base/index.ts";
import type { MemberOrder } from "../objects/index.ts";
import { badRequest } from "./problems.ts";

const fields = ["id", "role", "location", "replaces"];

/** @throws Problem 400 that names what is wrong. */
export function readMemberOrder(body: Uint8Array): MemberOrder {
  const value = parse(body);
  const unknown = Object.keys(value).find((name) => !fields.includes(name));
  if (unknown !== undefined) {
    throw badRequest(`${about}: ${JSON.stringify(unknown.slice(0, 100))} is none of ${fields.join(", ")}`);
  }
  const { id, role = "voter", location, replaces } = value;
  const serverId = readId(id, "id");
  if (role !== "voter" && role !== "observer") throw badRequest(`${about}: "role" is voter or observer`);
  if (location !== undefined && !isLocationHint(location)) {
    throw badRequest(`${about}: "location" is one of ${locationHints.join(", ")}`);
  }
  if (replaces === undefined) return { id: serverId, role, location };
  const replaced = readId(replaces, "replaces");
  if (replaced === serverId) throw badRequest(`${about}: a member does not replace itself`);
  return { id: serverId, role, location, replaces: replaced };
}

/** The id at the end of a path. */
export function readMemberId(text: string): ServerId {
  return readId(/^[1-9]\d{0,2}$/.test(text) ? Number(text) : text, "id");
}

const about = "Cannot read the order";

interface Fields {
  readonly id?: unknown;
  readonly role?: unknown;
  readonly location?: unknown;
  readonly replaces?: unknown;
}

function parse(body: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body));
  } catch {
    throw badRequest(`${about}: the body is no JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest(`${about}: the body is no JSON object`);
  }
  return value;
}

function readId(value: unknown, name: string): ServerId {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= serverIdMax) {
    return makeServerId(value);
  }
  throw badRequest(`${about}: "${name}" is a server id, 1 to ${serverIdMax}`);
}
