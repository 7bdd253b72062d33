/**
 * What a client may say in a transaction, read from JSON once and strictly: a list of operations, each an
 * object whose `op` decides which other fields it may have.
 *
 * `version` is left out for "any": -1, which means that on the wire, is refused, as it is in `If-Match`.
 * A value is text, or bytes in base64; `"encoding": "null"` with the value `null` is no data at all. So
 * what a `GET` for JSON shows can be sent back.
 *
 * @module
 */

import {
  type Acl,
  type CreateRequest,
  durationForms,
  lockChecksMax,
  type MultiOp,
  OPEN_ACL,
  OpCode,
  parseDuration,
  parseZxid,
  pathFault,
} from "../base/index.ts";
import { aclBytes, aclForm, parseAcl, utf8Bytes } from "./acls.ts";
import { createKindOf, createModes, ephemeralNeeds } from "./create-modes.ts";
import { operationOverheadBytes, transactionBytesMax, transactionOperationsMax } from "./limits.ts";
import { isSettableVersion } from "./preconditions.ts";
import { badRequest, Problem, tooLarge } from "./problems.ts";

export interface Operation {
  readonly op: Op;
  readonly path: string;
  readonly part: MultiOp;
}

type Op = "create" | "set" | "delete" | "check" | "check-lock";
type Fields = Readonly<Record<string, unknown>>;

const fieldsByOp: Readonly<Record<Op, readonly string[]>> = {
  create: ["path", "value", "encoding", "mode", "acl", "ttl"],
  set: ["path", "value", "encoding", "version"],
  delete: ["path", "version"],
  check: ["path", "version"],
  "check-lock": ["path", "token"],
};

/**
 * Reads the body of a transaction.
 *
 * @param hasSession - Whether there is somebody an ephemeral could belong to.
 * @throws Problem 400 naming the operation's index and the field at fault; 413 past a bound.
 */
export function readTransaction(body: Uint8Array, hasSession: boolean): readonly Operation[] {
  const list = parseList(body);
  if (list === undefined || list.length === 0) {
    throw badRequest(`${action}: the body is not a JSON list of operations, of at least one`);
  }
  if (list.length > transactionOperationsMax) {
    throw tooLarge(`${action}: it has ${list.length} operations, ${transactionOperationsMax} are allowed`);
  }
  const operations = list.map((value, index) => readOperation(value, index, hasSession));
  checkBounds(operations);
  return operations;
}

const action = "Cannot run the transaction";

function parseList(body: Uint8Array): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body),
    );
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readOperation(value: unknown, index: number, hasSession: boolean): Operation {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badOperation(index, undefined, "is not a JSON object");
  }
  const fields: Fields = { ...value };
  const { op } = fields;
  if (!isOp(op)) throw badOperation(index, "op", `must be one of ${Object.keys(fieldsByOp).join(", ")}`);
  const unknown = Object.keys(fields).find((field) => field !== "op" && !fieldsByOp[op].includes(field));
  if (unknown !== undefined) {
    const field = unknown.slice(0, 100);
    throw badOperation(index, field, `is not a field of "${op}", ${fieldsByOp[op].join(", ")} are`);
  }
  return readPart(op, new FieldReader(fields, index, hasSession));
}

function isOp(value: unknown): value is Op {
  return typeof value === "string" && Object.hasOwn(fieldsByOp, value);
}

function readPart(op: Op, reader: FieldReader): Operation {
  if (op === "create") {
    const part = readCreate(reader);
    return { op, path: part.path, part };
  }
  const path = reader.path();
  if (op === "check-lock") return { op, path, part: readLockCheck(reader, path) };
  const version = reader.version();
  switch (op) {
    case "set":
      return { op, path, part: { type: OpCode.SetData, path, data: reader.data("required"), version } };
    case "delete":
      if (path === "/") throw reader.fault("path", "must not be the root, which cannot be deleted");
      return { op, path, part: { type: OpCode.Delete, path, version } };
    case "check":
      return { op, path, part: { type: OpCode.Check, path, version } };
  }
}

/** As long as ZooKeeper can store: nearly 35 years. */
const ttlMsMax = 2 ** 40 - 1;

function readCreate(reader: FieldReader): CreateRequest {
  const { mode = "persistent", ttl } = reader.fields;
  const known = typeof mode === "string" ? createKindOf(mode) : undefined;
  if (known === undefined) throw reader.fault("mode", `must be one of ${createModes.join(", ")}`);
  if (known.isEphemeral === true && !reader.hasSession) {
    throw reader.fault("mode", `is "${mode}", and ${ephemeralNeeds}`);
  }
  const path = reader.path(known.isSequential === true ? "0" : "");
  if (path === "/") throw reader.fault("path", "must not be the root, which exists");
  const rest = { path, data: reader.data("optional"), acl: reader.acl() };
  if (ttl === undefined) return { type: OpCode.Create2, flags: known.flags, ttlMs: -1, ...rest };
  if (known.ttlFlags === undefined) throw reader.fault("ttl", `must not be given with mode "${mode}"`);
  const ttlMs = parseDuration(ttl);
  if (ttlMs === undefined || ttlMs < 1 || ttlMs > ttlMsMax) {
    throw reader.fault("ttl", `must be 1 to ${ttlMsMax} ms, as ${durationForms}`);
  }
  return { type: OpCode.CreateTtl, flags: known.ttlFlags, ttlMs, ...rest };
}

function readLockCheck({ fields, fault }: FieldReader, path: string): MultiOp {
  if (path === "/") throw fault("path", "must not be the root, which is no lock");
  const token = typeof fields["token"] === "string" ? parseZxid(fields["token"]) : undefined;
  if (token === undefined) throw fault("token", "must be the token of the lock's grant, 0x and hex digits");
  return { type: OpCode.CheckLock, path, token };
}

/** The fields of one operation, each read to its type or refused by its name. */
class FieldReader {
  readonly fields: Fields;
  readonly hasSession: boolean;
  readonly #index: number;

  constructor(fields: Fields, index: number, hasSession: boolean) {
    this.fields = fields;
    this.hasSession = hasSession;
    this.#index = index;
  }

  readonly fault = (field: string, fault: string): Problem => badOperation(this.#index, field, fault);

  /** `suffix`: what the server will append. */
  path(suffix = ""): string {
    const { path } = this.fields;
    if (typeof path !== "string") throw this.fault("path", "must be text");
    const fault = pathFault(path + suffix);
    if (fault !== undefined) throw this.fault("path", `is no znode path, ${fault}`);
    return path;
  }

  version(): number {
    const { version } = this.fields;
    if (version === undefined) return -1;
    if (typeof version === "number" && isSettableVersion(version)) return version;
    throw this.fault("version", "must be an integer of 32 bits, and is left out for any version, not -1");
  }

  acl(): readonly Acl[] {
    const { acl } = this.fields;
    if (acl === undefined) return OPEN_ACL;
    const parsed = parseAcl(acl);
    if (parsed === undefined) throw this.fault("acl", `must be ${aclForm}`);
    return parsed;
  }

  data(presence: "required" | "optional"): Uint8Array | null {
    const { value, encoding } = this.fields;
    if (value === undefined && encoding === undefined && presence === "optional") return new Uint8Array();
    if (encoding === "null" || (value === null && encoding === undefined)) {
      if (value !== null) throw this.fault("value", 'must be null with encoding "null"');
      return null;
    }
    if (typeof value !== "string") throw this.fault("value", "must be text, or null for no data");
    if (encoding === undefined || encoding === "utf8") {
      if (!value.isWellFormed()) throw this.fault("value", "has half of a surrogate pair: send base64");
      return new TextEncoder().encode(value);
    }
    if (encoding !== "base64") throw this.fault("encoding", "must be utf8, base64 or null");
    const bytes = decodeBase64(value);
    if (bytes === undefined) throw this.fault("value", "is not base64");
    return bytes;
  }
}

function decodeBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (unit) => unit.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function badOperation(index: number, field: string | undefined, fault: string): Problem {
  const subject = field === undefined ? `operation ${index}` : `operation ${index}: ${JSON.stringify(field)}`;
  const { fields } = badRequest(`${action}: ${subject} ${fault}`);
  return new Problem({ ...fields, more: { index, field } });
}

function checkBounds(operations: readonly Operation[]): void {
  const bytes = operations.reduce((sum, operation) => sum + bytesOf(operation), 0);
  if (bytes > transactionBytesMax) {
    throw tooLarge(
      `${action}: paths, values and ACLs have ${bytes} bytes, with ${operationOverheadBytes} for each operation; ${transactionBytesMax} are allowed`,
    );
  }
  const checks = operations.filter(({ op }) => op === "check-lock").length;
  if (checks > lockChecksMax) {
    throw tooLarge(`${action}: it checks locks ${checks} times, ${lockChecksMax} are allowed`);
  }
}

function bytesOf(operation: Operation): number {
  const bytes = operationOverheadBytes + utf8Bytes(operation.path);
  const { part } = operation;
  const data = "data" in part ? (part.data?.byteLength ?? 0) : 0;
  const acl = "acl" in part ? aclBytes(part.acl ?? []) : 0;
  return bytes + data + acl;
}
