/**
 * JSON Schemas of what the HTTP API takes and answers. Bounds are those that the code enforces.
 *
 * @module
 */

import { keyedPartsMax, locationHints, serverIdMax } from "../../src/base/index.ts";
import {
  aclEntriesMax,
  candidateBytesMax,
  seatsMax,
  sessionTtlMsDefault,
  sessionTtlMsMax,
  sessionTtlMsMin,
  transactionOperationsMax,
} from "../../src/worker/limits.ts";

export type Schema = Readonly<Record<string, unknown>>;

export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const text = (description: string, rest: Schema = {}): Schema => ({ type: "string", description, ...rest });
const integer = (description: string, rest: Schema = {}): Schema => ({
  type: "integer",
  description,
  ...rest,
});
const list = (items: Schema): Schema => ({ type: "array", items });

/** What is taken is closed: a field that is not known is refused. What is answered may grow. */
function taken(properties: Schema, required: readonly string[] = []): Schema {
  return { type: "object", properties, required, additionalProperties: false };
}

/** Fields with a `?` may be missing. */
function answered(fields: Readonly<Record<string, Schema>>): Schema {
  const entries = Object.entries(fields);
  const required = entries.map(([name]) => name).filter((name) => !name.endsWith("?"));
  const properties = Object.fromEntries(entries.map(([name, schema]) => [name.replace("?", ""), schema]));
  return { type: "object", properties, required };
}

const path = text("A znode's path", { examples: ["/app/config"] });
const zxid = ref("Zxid");
const stat = ref("Stat");
const grantId = text("32 hexadecimal digits", { pattern: "^[0-9a-f]{32}$" });

const statFields = {
  ...{ czxid: zxid, mzxid: zxid, pzxid: zxid, ephemeralOwner: text("Session id; 0x0 when there is none") },
  ...Object.fromEntries(
    ["ctime", "mtime", "version", "cversion", "aversion", "dataLength", "numChildren"].map((name) => [
      name,
      { type: "integer" },
    ]),
  ),
};

const encoding = { enum: ["utf8", "base64", "null"] };
const value = { type: ["string", "null"] };

const memberFields = {
  ...{ id: ref("ServerId"), reachable: { type: "boolean" } },
  ...{ "role?": { enum: ["looking", "following", "leading", "observing"] }, "failure?": { type: "string" } },
};

const operation = (op: string, fields: Schema, required: readonly string[] = []): Schema =>
  taken({ op: { const: op }, path, ...fields }, ["op", "path", ...required]);
const version = integer("Left out for any version");

export const schemas: Readonly<Record<string, Schema>> = {
  Zxid: text("Hexadecimal, grows with every write", {
    pattern: "^0x(0|[1-9a-f][0-9a-f]{0,15})$",
    examples: ["0x100000002"],
  }),
  ServerId: integer("A member", { minimum: 1, maximum: serverIdMax }),
  Duration: {
    description: "Milliseconds, or a number with ms, s, m or h",
    oneOf: [
      { type: "integer", minimum: 0 },
      { type: "string", pattern: "^[0-9]{1,9}(ms|s|m|h)$" },
    ],
    examples: ["30s"],
  },
  Stat: answered(statFields),
  Problem: answered({
    ...{ type: { type: "string" }, title: { type: "string" }, status: { type: "integer" } },
    ...{ detail: text("What was to be done, a colon, why it was not") },
    ...{ "code?": integer("ZooKeeper's"), "codeName?": text("ZooKeeper's"), "path?": { type: "string" } },
    ...{ "index?": integer("Of a transaction: the first operation at fault") },
  }),
  Acl: {
    ...list(
      taken(
        {
          perms: text("Create, delete, read, write, administer", { pattern: "^[cdrwa]*$" }),
          scheme: text("world, ip, digest or x509"),
          id: { type: "string" },
        },
        ["perms", "scheme", "id"],
      ),
    ),
    minItems: 1,
    maxItems: aclEntriesMax,
  },
  Znode: answered({ path, value, encoding, stat }),
  ZnodeWritten: answered({ path, zxid, stat }),
  ZnodesDeleted: answered({ path, deleted: { type: "integer" }, zxid }),
  ZnodeAcl: answered({
    path,
    acl: list(answered({ perms: { type: "string" }, scheme: { type: "string" }, id: { type: "string" } })),
    zxid,
    stat,
  }),
  Children: answered({
    children: {
      oneOf: [
        list({ type: "string" }),
        list(
          answered({
            name: { type: "string" },
            ...{ "stat?": stat, "value?": value, "encoding?": encoding, "codeName?": { const: "NoAuth" } },
          }),
        ),
      ],
    },
    more: { type: "boolean" },
    zxid,
  }),
  Transaction: {
    description: `At most ${keyedPartsMax} operations under an Idempotency-Key`,
    type: "array",
    minItems: 1,
    maxItems: transactionOperationsMax,
    items: {
      oneOf: [
        operation("create", {
          ...{ value, encoding, acl: ref("Acl"), ttl: ref("Duration") },
          mode: {
            enum: ["persistent", "persistent_sequential", "ephemeral", "ephemeral_sequential", "container"],
          },
        }),
        operation("set", { value, encoding, version }, ["value"]),
        operation("delete", { version }),
        operation("check", { version }),
        operation("check-lock", { token: zxid }, ["token"]),
      ],
    },
  },
  TransactionDone: answered({
    zxid,
    results: list(answered({ op: { type: "string" }, path, "stat?": stat })),
  }),
  SessionOrder: taken({
    ttl: {
      ...{ description: `${sessionTtlMsMin} to ${sessionTtlMsMax} ms`, default: sessionTtlMsDefault },
      ...{ oneOf: [{ $ref: "#/components/schemas/Duration" }] },
    },
  }),
  Session: answered({
    ...{ id: text("In hexadecimal"), "session?": text("What Ek-Session is to say: told once") },
    ...{ ttl_ms: { type: "integer" }, expires_at: text("By the leader's clock", { format: "date-time" }) },
    ...{ "ephemerals?": list({ type: "string" }), zxid },
  }),
  LockOrder: taken({
    ...{ mode: { enum: ["exclusive", "shared"] }, ttl: ref("Duration"), wait: ref("Duration") },
    ...{ owner: text("Shown to others"), lock_delay: ref("Duration"), id: grantId },
  }),
  StealOrder: taken({ by: { type: "string" }, reason: { type: "string" } }, ["by", "reason"]),
  LockGrant: answered({
    ...{
      id: grantId,
      token: zxid,
      mode: { enum: ["exclusive", "shared"] },
      path,
      ttl_ms: { type: "integer" },
    },
    expires_at: text("By the leader's clock", { format: "date-time" }),
    "revocation_requested?": { type: "boolean" },
  }),
  LockIntervention: answered({ path, token: zxid, zxid }),
  LockQueue: answered({ path, holders: list(ref("Contender")), queue: list(ref("Contender")), zxid }),
  Contender: answered({
    ...{ name: { type: "string" }, mode: { enum: ["exclusive", "shared"] }, owner: { type: "string" } },
    ...{ token: zxid, since: { type: "string", format: "date-time" } },
    "revocation_requested?": { type: "boolean" },
  }),
  Candidacy: taken({
    candidate: text(`Shown to others; at most ${candidateBytesMax} bytes of UTF-8`),
    ...{ ttl: ref("Duration"), wait: ref("Duration"), id: grantId },
  }),
  Leadership: answered({
    ...{ id: grantId, token: zxid, path, "candidate?": { type: "string" }, ttl_ms: { type: "integer" } },
    expires_at: text("By the leader's clock", { format: "date-time" }),
  }),
  Candidate: answered({
    ...{ name: { type: "string" }, candidate: { type: "string" }, token: zxid },
    since: { type: "string", format: "date-time" },
  }),
  Election: answered({
    ...{ path, leader: { oneOf: [ref("Candidate"), { type: "null" }] } },
    ...{ candidates: list(ref("Candidate")), zxid },
  }),
  SeatOrder: taken(
    {
      seats: integer("How many there are, the same for everybody", { minimum: 1, maximum: seatsMax }),
      ...{ ttl: ref("Duration"), wait: ref("Duration"), owner: text("Shown to others"), id: grantId },
    },
    ["seats"],
  ),
  SeatGrant: answered({
    ...{ id: grantId, token: zxid, path, ttl_ms: { type: "integer" } },
    expires_at: text("By the leader's clock", { format: "date-time" }),
  }),
  SeatHolder: answered({
    ...{ name: { type: "string" }, owner: { type: "string" }, token: zxid },
    since: { type: "string", format: "date-time" },
  }),
  Semaphore: answered({
    ...{ path, seats: { type: ["integer", "null"] }, taken: { type: "integer" } },
    ...{ holders: list(ref("SeatHolder")), queue: list(ref("Contender")), zxid },
  }),
  Members: answered({
    ...{ ensemble: { type: "string" }, leader: { type: ["integer", "null"] } },
    members: list(answered(memberFields)),
  }),
  MemberOrder: taken(
    {
      ...{ id: ref("ServerId"), role: { enum: ["voter", "observer"] }, replaces: ref("ServerId") },
      location: { enum: [...locationHints] },
    },
    ["id"],
  ),
  MembersChanged: answered({
    ...{ ensemble: { type: "string" }, config_version: zxid },
    members: list(
      answered({ id: ref("ServerId"), role: { enum: ["voter", "observer"] }, address: { type: "string" } }),
    ),
  }),
  AdminIndex: { type: "object" },
  AdminAnswer: { type: "object" },
  Health: answered({ status: { const: "ok" }, version: { type: "string" } }),
};
