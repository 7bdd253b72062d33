/**
 * The operations of the HTTP API: every route of `src/worker/app.ts`, in its order. A test holds one to the other,
 * down to the query parameters.
 *
 * @module
 */

import { childrenPageMax, transactionOperationsMax } from "../../src/worker/limits.ts";
import { ref, type Schema } from "./schemas.ts";

export interface Operation {
  /** `{name}` for a parameter; `{path}` stands for the rest, slashes and all. */
  readonly route: string;
  readonly method: "get" | "put" | "post" | "delete";
  readonly id: string;
  readonly summary: string;
  readonly query?: Readonly<Record<string, Schema>>;
  /** Of the request, by name. */
  readonly headers?: readonly string[];
  /** Media type of the body, and its schema. */
  readonly body?: { readonly type: string; readonly schema: Schema; readonly required?: boolean };
  /** By status, and then by media type. An empty object has no body. */
  readonly answers: Readonly<Record<string, Readonly<Record<string, Schema>>>>;
  /** Of problems. */
  readonly problems: readonly number[];
  /** Nobody has to say who they are. */
  readonly open?: boolean;
}

const flag: Schema = { type: "boolean", description: "Its presence counts" };
const bytes: Schema = { description: "As stored" };
const json = (name: string) => ({ "application/json": ref(name) });
const oneOf = (...names: readonly string[]) => ({ "application/json": { oneOf: names.map(ref) } });
const bodyOf = (name: string, required = true) =>
  ({ type: "application/json", schema: ref(name), required }) as const;
const member: Schema = { type: "string", description: "leader, nearest or a server id" };
const lockId: Schema = { type: "string", pattern: "^[0-9a-f]{32}$" };

const everywhere = [400, 401, 404, 500, 503, 504];
const written = [...everywhere, 403, 409, 410, 412, 413, 422, 429, 507];

const znode = "/v1/{ensemble}/znodes/{path}";
const session = "/v1/{ensemble}/sessions/{id}";
const lock = "/v1/{ensemble}/locks/{path}";
const election = "/v1/{ensemble}/elections/{path}";
const semaphore = "/v1/{ensemble}/semaphores/{path}";
const conditions = ["If-Match", "If-None-Match"];

const listed: readonly Operation[] = [
  {
    ...{ route: "/health", method: "get", id: "getHealth", summary: "Whether the Worker runs", open: true },
    ...{ answers: { 200: json("Health") }, problems: [] },
  },
  {
    ...{ route: "/openapi.json", method: "get", id: "getOpenApi", summary: "This document", open: true },
    ...{ answers: { 200: { "application/json": { type: "object" } } }, problems: [] },
  },
  {
    ...{ route: znode, method: "get", id: "getZnode", summary: "Reads a value, its ACL, or its children" },
    query: {
      consistency: { enum: ["linearizable", "session", "local"], default: "linearizable" },
      ...{ member, acl: flag, children: flag, after: { type: "string" } },
      limit: { type: "integer", minimum: 1, maximum: childrenPageMax, default: childrenPageMax },
      with: { type: "string", description: "With children: stat, value, or both behind a comma" },
    },
    headers: [...conditions, "Ek-Session", "Ek-Session-Zxid", "Accept"],
    answers: {
      200: { ...oneOf("Znode", "ZnodeAcl", "Children"), "application/octet-stream": bytes },
      304: {},
    },
    problems: [...everywhere, 403, 410, 412],
  },
  {
    ...{ route: znode, method: "put", id: "putZnode", summary: "Sets or creates a value, or sets its ACL" },
    ...{ query: { acl: flag }, headers: [...conditions, "Ek-Session", "Idempotency-Key"] },
    body: { type: "*/*", schema: { description: "The value as it is to be stored; with acl an Acl" } },
    answers: { 200: json("ZnodeWritten"), 201: json("ZnodeWritten") },
    problems: written,
  },
  {
    ...{ route: znode, method: "post", id: "postZnode", summary: "Creates a znode, sequential by default" },
    query: {
      mode: {
        enum: ["persistent_sequential", "persistent", "ephemeral", "ephemeral_sequential", "container"],
        default: "persistent_sequential",
      },
    },
    headers: ["Ek-Session", "Idempotency-Key"],
    body: { type: "*/*", schema: { description: "The value as it is to be stored" } },
    answers: { 201: json("ZnodeWritten") },
    problems: written,
  },
  {
    ...{ route: znode, method: "delete", id: "deleteZnode", summary: "Deletes a znode, or all below it too" },
    query: {
      recursive: flag,
      limit: { type: "integer", minimum: 1, maximum: transactionOperationsMax },
    },
    headers: ["If-Match", "Ek-Session", "Idempotency-Key"],
    answers: { 200: json("ZnodesDeleted"), 204: {} },
    problems: written,
  },
  {
    ...{ route: "/v1/{ensemble}/transactions", method: "post", id: "postTransaction" },
    summary: "All of the operations, under one zxid, or none",
    headers: ["Ek-Session", "Idempotency-Key"],
    body: bodyOf("Transaction"),
    answers: { 200: json("TransactionDone") },
    problems: written,
  },
  {
    ...{ route: "/v1/{ensemble}/sessions", method: "post", id: "postSession", summary: "Opens a session" },
    ...{ body: bodyOf("SessionOrder", false), answers: { 201: json("Session") } },
    problems: [...everywhere, 413, 429],
  },
  {
    ...{ route: session, method: "get", id: "getSession", summary: "Shows a session and its ephemerals" },
    ...{ headers: ["Ek-Session"], answers: { 200: json("Session") }, problems: [...everywhere, 410] },
  },
  {
    ...{ route: session, method: "put", id: "putSession", summary: "Keeps a session for another ttl" },
    ...{ headers: ["Ek-Session"], answers: { 200: json("Session") }, problems: [...everywhere, 410] },
  },
  {
    ...{ route: session, method: "delete", id: "deleteSession", summary: "Closes a session" },
    ...{ headers: ["Ek-Session"], answers: { 204: {} }, problems: [...everywhere, 410] },
  },
  {
    ...{ route: lock, method: "get", id: "getLock", summary: "Shows who holds a lock and who waits" },
    ...{ answers: { 200: json("LockQueue") }, problems: [...everywhere, 403] },
  },
  {
    ...{
      route: lock,
      method: "post",
      id: "postLock",
      summary: "Takes a lock, asks for it back, or steals it",
    },
    query: { revoke: ref("Zxid"), steal: ref("Zxid") },
    headers: ["Ek-Session"],
    body: {
      ...{ type: "application/json", required: false },
      schema: { anyOf: [ref("LockOrder"), ref("StealOrder")] },
    },
    answers: { 200: json("LockIntervention"), 201: json("LockGrant") },
    problems: [...everywhere, 403, 409, 410, 412, 413, 429],
  },
  {
    ...{ route: lock, method: "put", id: "putLock", summary: "Keeps a lock for another ttl" },
    ...{
      query: { id: lockId },
      headers: ["Ek-Session"],
      answers: { 200: json("LockGrant") },
      problems: [...everywhere, 409, 410],
    },
  },
  {
    ...{ route: lock, method: "delete", id: "deleteLock", summary: "Releases a lock" },
    ...{ query: { id: lockId }, headers: ["Ek-Session"], answers: { 204: {} } },
    problems: [...everywhere, 403, 410],
  },
  {
    ...{
      route: election,
      method: "get",
      id: "getElection",
      summary: "Shows who leads, and who would be next",
    },
    ...{ answers: { 200: json("Election") }, problems: [...everywhere, 403] },
  },
  {
    ...{ route: election, method: "post", id: "postElection", summary: "Stands, and waits to lead" },
    ...{ headers: ["Ek-Session"], body: bodyOf("Candidacy", false), answers: { 201: json("Leadership") } },
    problems: [...everywhere, 403, 409, 410, 413, 429],
  },
  {
    ...{ route: election, method: "put", id: "putElection", summary: "Stays the leader for another ttl" },
    ...{
      query: { id: lockId },
      headers: ["Ek-Session"],
      answers: { 200: json("Leadership") },
      problems: [...everywhere, 409, 410],
    },
  },
  {
    ...{ route: election, method: "delete", id: "deleteElection", summary: "Resigns, or stands no longer" },
    ...{ query: { id: lockId }, headers: ["Ek-Session"], answers: { 204: {} } },
    problems: [...everywhere, 403, 410],
  },
  {
    ...{ route: semaphore, method: "get", id: "getSemaphore", summary: "Shows who has seats, and who waits" },
    ...{ answers: { 200: json("Semaphore") }, problems: [...everywhere, 403] },
  },
  {
    ...{ route: semaphore, method: "post", id: "postSemaphore", summary: "Takes a seat, waiting for one" },
    ...{ headers: ["Ek-Session"], body: bodyOf("SeatOrder"), answers: { 201: json("SeatGrant") } },
    problems: [...everywhere, 403, 409, 410, 413, 429],
  },
  {
    ...{ route: semaphore, method: "put", id: "putSemaphore", summary: "Keeps a seat for another ttl" },
    ...{ query: { id: lockId }, headers: ["Ek-Session"], answers: { 200: json("SeatGrant") } },
    problems: [...everywhere, 409, 410],
  },
  {
    ...{ route: semaphore, method: "delete", id: "deleteSemaphore", summary: "Gives a seat back" },
    ...{ query: { id: lockId }, headers: ["Ek-Session"], answers: { 204: {} } },
    problems: [...everywhere, 403, 410],
  },
  {
    ...{ route: "/v1/{ensemble}/members", method: "get", id: "getMembers" },
    summary: "What every member says of itself",
    ...{ answers: { 200: json("Members") }, problems: everywhere },
  },
  {
    ...{ route: "/v1/{ensemble}/members", method: "post", id: "postMember" },
    summary: "Adds a member, changes its role, or moves it",
    ...{ body: bodyOf("MemberOrder"), answers: { 200: json("MembersChanged") } },
    problems: [...everywhere, 403, 409, 413],
  },
  {
    ...{ route: "/v1/{ensemble}/members/{id}", method: "delete", id: "deleteMember" },
    summary: "Removes a member",
    ...{ answers: { 200: json("MembersChanged") }, problems: [...everywhere, 403, 409] },
  },
  {
    ...{ route: "/v1/{ensemble}/admin", method: "get", id: "getAdmin", summary: "The commands there are" },
    ...{ answers: { 200: json("AdminIndex") }, problems: everywhere },
  },
  ...(["get", "post"] as const).map((method): Operation => {
    return {
      ...{ route: "/v1/{ensemble}/admin/commands/{command}", method, id: `${method}AdminCommand` },
      summary: "An admin command of ZooKeeper's",
      query: { member, traceMask: { type: "string" }, streaming: { type: "string", enum: ["true"] } },
      answers: {
        200: { ...json("AdminAnswer"), "application/octet-stream": { type: "string", format: "binary" } },
        ...{ 400: json("AdminAnswer"), 429: json("AdminAnswer"), 500: json("AdminAnswer") },
      },
      problems: [...everywhere, 403],
    };
  }),
  {
    ...{ route: "/v1/{ensemble}/admin/words/{word}", method: "get", id: "getAdminWord" },
    summary: "A four-letter word of ZooKeeper's",
    query: {
      ...{ member, traceMask: { type: "string" } },
      ...{ clientPort: { type: "string" }, secureClientPort: { type: "string" } },
    },
    ...{ answers: { 200: { "text/plain": { type: "string" } } } },
    problems: [...everywhere, 403],
  },
  {
    ...{ route: "/v1/{ensemble}/watch", method: "get", id: "getWatchSocket" },
    summary: "Watch streams on a WebSocket of subprotocol edgekeeper.watch.v1",
    ...{ query: { member }, answers: { 101: {} }, problems: [...everywhere, 426, 429] },
  },
  {
    ...{ route: "/v1/{ensemble}/watch/{path}", method: "get", id: "getWatchEvents" },
    summary: "A watch stream as server-sent events",
    query: {
      ...{ scope: { type: "string" }, with: { type: "string" }, since: ref("Zxid"), member },
    },
    headers: ["Last-Event-ID", "Ek-Session-Zxid"],
    answers: { 200: { "text/event-stream": { type: "string" } } },
    problems: [...everywhere, 403, 412, 429],
  },
  {
    ...{ route: "/v1/{ensemble}/connect", method: "get", id: "getConnect" },
    summary: "ZooKeeper's protocol on a WebSocket of subprotocol zookeeper",
    ...{ query: { member }, answers: { 101: {} }, problems: [...everywhere, 426, 429] },
  },
];

/** What is shown of an ensemble is never older than what its reader has seen. */
export const operations: readonly Operation[] = listed.map((operation) => {
  const { method, route, headers = [], problems, answers } = operation;
  const isSocket = answers[101] !== undefined;
  if (method !== "get" || !route.startsWith("/v1/") || isSocket) return operation;
  return {
    ...operation,
    headers: [...new Set([...headers, "Ek-Session-Zxid"])],
    problems: [...new Set([...problems, 412])],
  };
});
