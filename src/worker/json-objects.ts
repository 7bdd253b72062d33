/**
 * JSON bodies that are one object, read strictly: a field that is not known is refused, not ignored.
 *
 * @module
 */

import { durationForms, formatDuration, parseDuration } from "../base/index.ts";
import { badRequest, type Problem } from "./problems.ts";

/** How a body is spoken of. */
interface About {
  /** Begins every refusal: `Cannot open a session`. */
  readonly action: string;
  readonly path?: string | undefined;
}

/** The fields of one body, each read to its type or refused by its name. */
export class JsonObject<Name extends string> {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #about: About;

  /** An empty body has no fields. @throws Problem 400 for anything but an object of known fields. */
  constructor(body: Uint8Array, known: readonly Name[], about: About) {
    this.#about = about;
    const fields = body.byteLength === 0 ? {} : parse(body);
    if (fields === undefined) throw this.#refuse("the body is not a JSON object");
    this.#fields = fields;
    const unknown = Object.keys(fields).find((field) => !known.some((one) => one === field));
    if (unknown === undefined) return;
    throw this.#refuse(`${JSON.stringify(unknown.slice(0, 100))} is not a field, ${known.join(", ")} are`);
  }

  has(name: Name): boolean {
    return this.#fields[name] !== undefined;
  }

  /** Milliseconds. */
  duration(name: Name, { min, max, otherwise }: Bounds): number {
    const given = this.#fields[name];
    const value = given === undefined ? otherwise : given;
    const ms = parseDuration(value);
    if (ms !== undefined && ms >= min && ms <= max) return ms;
    throw this.fault(name, `must be ${formatDuration(min)} to ${formatDuration(max)}, as ${durationForms}`);
  }

  integer(name: Name, { min, max }: Omit<Bounds, "otherwise">): number {
    const value = this.#fields[name];
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    throw this.fault(name, `must be an integer from ${min} to ${max}`);
  }

  /** `undefined` when it is missing. */
  text(name: Name, isRight: (text: string) => boolean, form: string): string | undefined {
    const value = this.#fields[name];
    if (value === undefined || (typeof value === "string" && isRight(value))) return value;
    throw this.fault(name, `must be ${form}`);
  }

  fault(name: Name, fault: string): Problem {
    return this.#refuse(`"${name}" ${fault}`);
  }

  #refuse(reason: string): Problem {
    return badRequest(`${this.#about.action}: ${reason}`, this.#about.path);
  }
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  /** What a missing field means. */
  readonly otherwise: number;
}

function parse(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body),
    );
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
