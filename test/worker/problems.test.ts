/**
 * Proves that every ZooKeeper code becomes the status the table says, and that what is ours to know stays
 * with us.
 */

import { expect, test } from "vitest";
import { ZkErrorCode, type ZkErrorName } from "../../src/base/index.ts";
import { problemOfCode, problemResponse } from "../../src/worker/problems.ts";

const table: Readonly<Record<number, readonly ZkErrorName[]>> = {
  400: ["BadArguments", "MarshallingError", "InvalidACL"],
  401: ["AuthFailed", "SessionClosedRequireSaslAuth"],
  403: ["NoAuth", "ReconfigDisabled"],
  404: ["NoNode", "NoWatcher", "UnknownSession"],
  409: [
    "NodeExists",
    "NotEmpty",
    "NoChildrenForEphemerals",
    "EphemeralOnLocalSession",
    "SessionMoved",
    "ReconfigInProgress",
  ],
  410: ["SessionExpired"],
  412: ["BadVersion"],
  429: ["ThrottledOp"],
  500: ["SystemError", "RuntimeInconsistency", "DataInconsistency", "ApiError", "InvalidCallback"],
  501: ["Unimplemented"],
  503: ["ConnectionLoss", "NotReadOnly", "NewConfigNoQuorum"],
  504: ["OperationTimeout", "RequestTimeout"],
  507: ["QuotaExceeded"],
};

const rows = Object.entries(table).flatMap(([status, names]) =>
  names.map((name) => [name, Number(status)] as const),
);

test.each(rows)("problemOfCode() of %s has status %i", (name, status) => {
  const { fields } = problemOfCode(ZkErrorCode[name], { action: 'Cannot set "/a"', path: "/a" });
  expect(fields).toMatchObject({ status, codeName: name, path: "/a" });
  expect(fields.detail).toMatch(/^Cannot set "\/a": [A-Za-z].*[^.]$/);
  expect(fields.headers !== undefined).toBe(status === 429 || status === 503);
});

test("problemOfCode() knows every code but Ok", () => {
  expect(rows.map(([name]) => name).toSorted()).toEqual(
    Object.keys(ZkErrorCode)
      .filter((name) => name !== "Ok")
      .toSorted(),
  );
});

test("problemOfCode() has a fixed detail for what went wrong inside", () => {
  const { fields } = problemOfCode(ZkErrorCode.DataInconsistency, { action: "Cannot", reason: "row 7" });
  expect(fields.detail).toBe("Cannot: the server failed");
});

test("problemResponse() is RFC 9457, member for member", async () => {
  const { fields } = problemOfCode(ZkErrorCode.InvalidACL, { action: 'Cannot set "/a"', path: "/a" });
  const response = problemResponse(fields);
  expect(response.status).toBe(400);
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  expect(await response.json()).toEqual({
    type: "/problems/invalid-acl",
    title: "ACL is not valid",
    status: 400,
    detail: 'Cannot set "/a": its ACL is not valid',
    code: -114,
    codeName: "InvalidACL",
    path: "/a",
  });
});
