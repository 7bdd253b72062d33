/**
 * Problems: every error answer of the HTTP API, as RFC 9457 `application/problem+json`.
 *
 * A route throws a {@link Problem}; `app.ts` turns it into the response. An exception that is none is our
 * bug or the platform's and gets a fixed detail: no stack, no SQL, no internal id leaves.
 *
 * Source: RFC 9457.
 *
 * @module
 */

import { ZkErrorCode, type ZkErrorName, zkErrorName } from "../base/index.ts";

export interface ProblemFields {
  /** Last segment of `type`: `bad-version`. */
  readonly slug: string;
  readonly title: string;
  readonly status: number;
  /** Sentence case, no full stop: the action, a colon, why. */
  readonly detail: string;
  /** ZooKeeper's name of the error, where it has one. */
  readonly codeName?: ZkErrorName | undefined;
  readonly path?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Extension members: must not collide with those above. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
}

export class Problem extends Error {
  override readonly name = "Problem";
  readonly fields: ProblemFields;

  constructor(fields: ProblemFields) {
    super(fields.detail);
    this.fields = fields;
  }
}

export function problemResponse(fields: ProblemFields): Response {
  const { slug, title, status, detail, codeName, path, headers, more } = fields;
  const code = codeName === undefined ? undefined : ZkErrorCode[codeName];
  const body = { type: `/problems/${slug}`, title, status, detail, code, codeName, path, ...more };
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { ...headers, "Content-Type": "application/problem+json" },
  });
}

interface CodeInfo {
  readonly status: number;
  readonly title: string;
  /** Behind the colon of a detail, when the route knows no better. */
  readonly reason: string;
}

const infoByCode: { readonly [Name in ZkErrorName]?: CodeInfo } = {
  BadArguments: { status: 400, title: "Bad arguments", reason: "an argument is not allowed" },
  MarshallingError: { status: 400, title: "Cannot read the request", reason: "it cannot be read" },
  InvalidACL: { status: 400, title: "ACL is not valid", reason: "its ACL is not valid" },
  NoNode: { status: 404, title: "Znode does not exist", reason: "it does not exist" },
  NoWatcher: { status: 404, title: "Watch does not exist", reason: "there is no such watch" },
  UnknownSession: { status: 404, title: "Session does not exist", reason: "there is no such session" },
  AuthFailed: { status: 401, title: "Authentication failed", reason: "authentication failed" },
  SessionClosedRequireSaslAuth: {
    status: 401,
    title: "Authentication required",
    reason: "SASL authentication is required",
  },
  NoAuth: { status: 403, title: "Not allowed", reason: "its ACL does not allow it" },
  ReconfigDisabled: { status: 403, title: "Reconfiguration is off", reason: "EK_RECONFIG is off" },
  NodeExists: { status: 409, title: "Znode exists", reason: "it exists" },
  NotEmpty: { status: 409, title: "Znode has children", reason: "it has children" },
  NoChildrenForEphemerals: {
    status: 409,
    title: "Ephemerals have no children",
    reason: "its parent is ephemeral",
  },
  EphemeralOnLocalSession: {
    status: 409,
    title: "Session is local",
    reason: "a local session cannot own an ephemeral",
  },
  SessionMoved: { status: 409, title: "Session has moved", reason: "its session has moved" },
  ReconfigInProgress: {
    status: 409,
    title: "Reconfiguration under way",
    reason: "another reconfiguration is under way",
  },
  SessionExpired: { status: 410, title: "Session has expired", reason: "its session has expired" },
  BadVersion: {
    status: 412,
    title: "Version does not match",
    reason: "its version is not the expected one",
  },
  ThrottledOp: { status: 429, title: "Too many requests", reason: "the ensemble is overloaded" },
  QuotaExceeded: {
    status: 507,
    title: "Quota exceeded",
    reason: "a quota above it, or the ensemble's storage, is used up",
  },
  Unimplemented: { status: 501, title: "Not implemented", reason: "it is not implemented" },
  ConnectionLoss: { status: 503, title: "Ensemble is not available", reason: "no leader was reached" },
  NotReadOnly: { status: 503, title: "Member is read-only", reason: "the member is read-only" },
  NewConfigNoQuorum: {
    status: 503,
    title: "New configuration has no quorum",
    reason: "the new configuration has no quorum",
  },
  OperationTimeout: { status: 504, title: "Outcome is unknown", reason: "no answer came in time" },
  RequestTimeout: { status: 504, title: "Outcome is unknown", reason: "no answer came in time" },
};

/** What a caller is told when the reason is ours to know. */
const internal: CodeInfo = { status: 500, title: "Internal error", reason: "the server failed" };

/**
 * The problem of a ZooKeeper error code.
 *
 * @param about - `action` begins the detail (`Cannot set "/a"`); `reason` replaces the code's own, and
 *   `status` its place in the table (a failed precondition is 412 whatever the code).
 */
export function problemOfCode(
  code: ZkErrorCode,
  about: {
    readonly action: string;
    readonly path?: string | undefined;
    readonly reason?: string | undefined;
    readonly status?: number | undefined;
    readonly headers?: Readonly<Record<string, string>> | undefined;
    readonly more?: Readonly<Record<string, unknown>> | undefined;
  },
): Problem {
  const codeName = zkErrorName(code) ?? "SystemError";
  const known = infoByCode[codeName];
  const { status, title, reason } = known ?? internal;
  return new Problem({
    slug: kebab(codeName),
    title,
    status: about.status ?? status,
    detail: `${about.action}: ${known === undefined ? reason : (about.reason ?? reason)}`,
    codeName,
    path: about.path,
    headers: status === 429 || status === 503 ? { "Retry-After": "1", ...about.headers } : about.headers,
    more: about.more,
  });
}

/** `InvalidACL` becomes `invalid-acl`. */
function kebab(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase();
}

/** A request that says something it may not: `detail` names what. */
export function badRequest(detail: string, path?: string): Problem {
  return new Problem({
    slug: "bad-arguments",
    title: "Bad arguments",
    status: 400,
    detail,
    codeName: "BadArguments",
    path,
  });
}

export function tooLarge(detail: string, path?: string): Problem {
  return new Problem({
    slug: "too-large",
    title: "Too large",
    status: 413,
    detail,
    codeName: "BadArguments",
    path,
  });
}

/** The answer to a bug of ours. */
export const internalProblem: ProblemFields = {
  slug: "internal",
  title: internal.title,
  status: 500,
  detail: "The server failed: the request may or may not have taken effect",
  codeName: "SystemError",
};
