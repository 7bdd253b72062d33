/**
 * Query parameters: each route names those it knows, and refuses the rest, so that a misspelt one does
 * not silently do nothing.
 *
 * @module
 */

import { type ServerId, serverIdMax } from "../base/index.ts";
import type { Consistency } from "../objects/index.ts";
import { survey } from "./calls.ts";
import type { Ensemble } from "./ensemble.ts";
import type { Whom } from "./leader.ts";
import { badRequest } from "./problems.ts";

/** @throws Problem 400 for a parameter that is unknown or given twice. */
export function readQuery<Name extends string>(
  url: string,
  known: readonly Name[],
): Readonly<Record<Name, string | undefined>> {
  const query: Partial<Record<string, string>> = Object.create(null);
  for (const [name, value] of new URL(url).searchParams) {
    if (!known.some((one) => one === name)) throw badRequest(unknownParameter(name, known));
    if (name in query) throw badRequest(`Cannot read the query: "${name}" is given twice`);
    query[name] = value;
  }
  // Only known names were put in.
  return query as Record<Name, string | undefined>;
}

function unknownParameter(name: string, known: readonly string[]): string {
  const allowed = known.length === 0 ? "none is" : `${known.join(", ")} ${known.length === 1 ? "is" : "are"}`;
  return `Cannot read the query: "${name.slice(0, 100)}" is not a parameter here, ${allowed}`;
}

/** A parameter whose presence is what counts: `?children`. */
export function readFlag(value: string | undefined, name: string): boolean {
  if (value === undefined) return false;
  if (value !== "" && value !== "true") {
    throw badRequest(`Cannot read the query: "${name}" takes no value`);
  }
  return true;
}

/**
 * Which member a client wants: `leader`, `nearest`, or one by its id.
 *
 * @throws Problem 400 for anything else, and for an id the ensemble does not have.
 */
export async function readMember(value: string, ensemble: Ensemble): Promise<Whom> {
  if (value === "leader" || value === "nearest") return value;
  const id = await findMember(value, ensemble);
  if (id !== undefined) return id;
  const ids = ensemble.ids.join(", ");
  throw badRequest(
    `Cannot read the query: "member" is "${value.slice(0, 100)}", not leader, nearest or one of ${ids}`,
  );
}

/** The member of that id; `undefined` when there is none. One that was added lately is asked for among the members. */
export async function findMember(text: string, ensemble: Ensemble): Promise<ServerId | undefined> {
  const find = () => ensemble.ids.find((id) => String(id) === text);
  const known = find();
  if (known !== undefined || !/^[1-9]\d{0,2}$/.test(text) || Number(text) > serverIdMax) return known;
  await survey(ensemble);
  return find();
}

export function readConsistency(value: string | undefined): Consistency {
  switch (value) {
    case undefined:
      return "linearizable";
    case "linearizable":
    case "session":
    case "local":
      return value;
    default:
      throw badRequest(
        `Cannot read the query: "consistency" is "${value.slice(0, 100)}", not linearizable, session or local`,
      );
  }
}
