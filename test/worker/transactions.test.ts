/**
 * Proves what `POST transactions` may say, what it changes, and how a refusal names its culprit: through
 * the app, against a fake ensemble.
 */

import { beforeEach, describe, expect, test } from "vitest";
import { CreateMode, lockChecksMax, OpCode, parseZxid } from "../../src/base/index.ts";
import type { Call } from "../../src/objects/index.ts";
import {
  operationOverheadBytes,
  transactionBodyBytesMax,
  transactionBytesMax,
  transactionOperationsMax,
} from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send, type Sent } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

function post(body: unknown): Promise<Sent> {
  return send("POST /v1/main/transactions", {
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** What the leader was asked to do, part by part. */
function sentParts(): readonly unknown[] {
  return ensemble.callsOf("perform").flatMap(({ argument }) => {
    const { request } = argument as Call;
    return request.type === OpCode.Multi ? request.ops : [];
  });
}

describe("worker: transactions: what they do", () => {
  test("worker: transactions: all operations are done under one zxid, with a result each", async () => {
    ensemble.plant("/a", "1");
    ensemble.plant("/old", "x");
    const sent = await post([
      { op: "check", path: "/a", version: 0 },
      { op: "set", path: "/a", value: "2", version: 0 },
      { op: "create", path: "/a/b", value: "/w==", encoding: "base64" },
      { op: "create", path: "/a/s-", mode: "persistent_sequential" },
      { op: "delete", path: "/old" },
    ]);
    expect(sent.status).toBe(200);
    expect(sent.json()).toMatchObject({
      zxid: "0x100000001",
      results: [
        { op: "check", path: "/a" },
        { op: "set", path: "/a", stat: { version: 1, mzxid: "0x100000001" } },
        { op: "create", path: "/a/b", stat: { czxid: "0x100000001", dataLength: 1 } },
        { op: "create", path: "/a/s-0000000001", stat: { czxid: "0x100000001" } },
        { op: "delete", path: "/old" },
      ],
    });
    expect(sent.headers.get("Ek-Zxid")).toBe("0x100000001");
    expect(ensemble.value("/a")).toBe("2");
    expect(ensemble.value("/old")).toBeUndefined();
    expect(ensemble.callsOf("perform")).toHaveLength(1);
  });

  test("worker: transactions: a create asks for its mode, ACL and time to live", async () => {
    const acl = [{ perms: "r", scheme: "world", id: "anyone" }];
    await post([
      { op: "create", path: "/p", acl },
      { op: "create", path: "/c", mode: "container" },
      { op: "create", path: "/t", ttl: "2m" },
      { op: "create", path: "/t-", mode: "persistent_sequential", ttl: 1 },
    ]);
    expect(sentParts()).toMatchObject([
      { type: OpCode.Create2, flags: CreateMode.Persistent, acl: [{ ...acl[0], perms: 1 }], ttlMs: -1 },
      { type: OpCode.Create2, flags: CreateMode.Container, acl: [{ perms: 31 }], ttlMs: -1 },
      { type: OpCode.CreateTtl, flags: CreateMode.PersistentWithTtl, ttlMs: 120_000 },
      { type: OpCode.CreateTtl, flags: CreateMode.PersistentSequentialWithTtl, ttlMs: 1 },
    ]);
  });

  test.each([
    ["text", { value: "h\u00e9" }, "68c3a9"],
    ["base64", { value: "AP8=", encoding: "base64" }, "00ff"],
    ["no data", { value: null }, null],
    ["no data, by its encoding", { value: null, encoding: "null" }, null],
    ["nothing said", {}, ""],
  ])("worker: transactions: a value is %s", async (_, fields, expected) => {
    await post([{ op: "create", path: "/v", ...fields }]);
    const data = ensemble.znodes.get("/v")?.data ?? null;
    expect(data === null ? null : Buffer.from(data).toString("hex")).toBe(expected);
  });
});

describe("worker: transactions: refusals", () => {
  test.each([
    ["a stale version", { op: "set", path: "/a", value: "x", version: 7 }, 412, "BadVersion"],
    ["a check of a stale version", { op: "check", path: "/a", version: 7 }, 412, "BadVersion"],
    ["a check of what is missing", { op: "check", path: "/none" }, 412, "NoNode"],
    ["a set of what is missing", { op: "set", path: "/none", value: "x" }, 404, "NoNode"],
    ["the same at a version", { op: "set", path: "/none", value: "x", version: 0 }, 412, "NoNode"],
    ["a create of what exists", { op: "create", path: "/a" }, 409, "NodeExists"],
    ["a create without a parent", { op: "create", path: "/none/b" }, 404, "NoNode"],
    ["a delete of what has children", { op: "delete", path: "/a" }, 409, "NotEmpty"],
  ])("worker: transactions: %s is named and undoes the rest", async (_, operation, status, codeName) => {
    ensemble.plant("/a", "1");
    ensemble.plant("/a/b", "1");
    const before = structuredClone(ensemble.znodes);
    const sent = await post([
      { op: "set", path: "/a", value: "2" },
      operation,
      { op: "delete", path: "/a/b" },
    ]);
    const { op, path } = operation;
    const detail = problemIn(sent, { status, codeName, path, op, index: 1 });
    expect(detail).toContain(`operation 1 cannot ${op} "${path}" and nothing was changed`);
    expect(ensemble.znodes).toEqual(before);
  });

  test("worker: transactions: an unknown outcome is 504 and is not tried again", async () => {
    ensemble.member(1).fail("perform", "throwAfter");
    problemIn(await post([{ op: "create", path: "/a" }]), { status: 504, codeName: "OperationTimeout" });
    expect(ensemble.callsOf("perform")).toHaveLength(1);
  });
});

describe("worker: transactions: schema", () => {
  test.each<[string, unknown, string | undefined]>([
    ["an operation that is a list", [], undefined],
    ["an operation that is null", null, undefined],
    ["no op", { path: "/a" }, "op"],
    ["an unknown op", { op: "toString", path: "/a" }, "op"],
    ["an unknown field", { op: "check", path: "/a", value: "x" }, "value"],
    ["no path", { op: "check" }, "path"],
    ["a path of another type", { op: "check", path: ["/a"] }, "path"],
    ["a relative path", { op: "check", path: "a" }, "path"],
    ["a path with dots", { op: "check", path: "/a/../b" }, "path"],
    ["a create of the root", { op: "create", path: "/" }, "path"],
    ["a delete of the root", { op: "delete", path: "/" }, "path"],
    ["a lock on the root", { op: "check-lock", path: "/", token: "0x7" }, "path"],
    ["a trailing slash", { op: "create", path: "/a/" }, "path"],
    ["a version in quotes", { op: "set", path: "/a", value: "", version: "0" }, "version"],
    ["a version of -1", { op: "delete", path: "/a", version: -1 }, "version"],
    ["a version of 33 bits", { op: "check", path: "/a", version: 2 ** 31 }, "version"],
    ["half a version", { op: "check", path: "/a", version: 0.5 }, "version"],
    ["a set of nothing", { op: "set", path: "/a" }, "value"],
    ["a value of another type", { op: "set", path: "/a", value: 1 }, "value"],
    ["text called null", { op: "set", path: "/a", value: "x", encoding: "null" }, "value"],
    ["an unknown encoding", { op: "set", path: "/a", value: "x", encoding: "hex" }, "encoding"],
    ["what is no base64", { op: "set", path: "/a", value: "*", encoding: "base64" }, "value"],
    ["half a surrogate pair", { op: "set", path: "/a", value: "\ud800" }, "value"],
    ["an ephemeral", { op: "create", path: "/a", mode: "ephemeral" }, "mode"],
    ["a mode every object has", { op: "create", path: "/a", mode: "constructor" }, "mode"],
    ["a ttl of a container", { op: "create", path: "/a", mode: "container", ttl: "1s" }, "ttl"],
    ["a ttl of 0", { op: "create", path: "/a", ttl: 0 }, "ttl"],
    ["a ttl past 40 bits", { op: "create", path: "/a", ttl: 2 ** 40 }, "ttl"],
    ["an ACL without entries", { op: "create", path: "/a", acl: [] }, "acl"],
    [
      "an ACL of bits",
      { op: "create", path: "/a", acl: [{ perms: 31, scheme: "world", id: "anyone" }] },
      "acl",
    ],
    [
      "an unknown permission",
      { op: "create", path: "/a", acl: [{ perms: "x", scheme: "world", id: "anyone" }] },
      "acl",
    ],
    [
      "an ACL with a field more",
      { op: "create", path: "/a", acl: [{ perms: "r", scheme: "a", id: "b", x: 1 }] },
      "acl",
    ],
    ["a lock check without a token", { op: "check-lock", path: "/l" }, "token"],
    ["a token that is no zxid", { op: "check-lock", path: "/l", token: "7" }, "token"],
  ])("worker: transactions: %s is refused with its index and field", async (_, operation, field) => {
    ensemble.plant("/a", "1");
    const before = structuredClone(ensemble.znodes);
    const sent = await post([{ op: "set", path: "/a", value: "2" }, operation]);
    problemIn(sent, { status: 400, codeName: "BadArguments", index: 1, ...(field && { field }) });
    expect(ensemble.znodes).toEqual(before);
    expect(ensemble.calls).toEqual([]);
  });

  test.each([
    ["nothing", ""],
    ["no JSON", "["],
    ["an object", {}],
    ["an empty list", []],
  ])("worker: transactions: a body of %s is refused", async (_, body) => {
    problemIn(await post(body), { status: 400, codeName: "BadArguments" });
  });

  test("worker: transactions: another method, or a parameter, is refused", async () => {
    problemIn(await send("GET /v1/main/transactions"), { status: 405 });
    problemIn(await send("POST /v1/main/transactions?x", { body: "[]" }), { status: 400 });
  });
});

describe("worker: transactions: bounds", () => {
  test("worker: transactions: as many operations as may be are done, one more is refused", async () => {
    const checks = (length: number) => Array.from({ length }, () => ({ op: "check", path: "/" }));
    expect((await post(checks(transactionOperationsMax))).status).toBe(200);
    problemIn(await post(checks(transactionOperationsMax + 1)), { status: 413 });
  });

  test("worker: transactions: as many bytes as may be are taken, one more is refused", async () => {
    ensemble.plant("/a");
    const room = transactionBytesMax - operationOverheadBytes - "/a".length;
    const setOf = (length: number) => [{ op: "set", path: "/a", value: "x".repeat(length) }];
    expect((await post(setOf(room))).status).toBe(200);
    problemIn(await post(setOf(room + 1)), { status: 413 });
    expect(ensemble.value("/a")).toHaveLength(room);
  });

  test("worker: transactions: a body as long as may be is read, a longer one is not", async () => {
    const padded = (length: number) => '[{"op":"check","path":"/"}]'.padEnd(length);
    expect((await post(padded(transactionBodyBytesMax))).status).toBe(200);
    problemIn(await post(padded(transactionBodyBytesMax + 1)), { status: 413 });
  });

  test("worker: transactions: as many lock checks as may be are made, one more is refused", async () => {
    const checks = (length: number) =>
      Array.from({ length }, () => ({ op: "check-lock", path: "/l", token: "0x1" }));
    problemIn(await post(checks(lockChecksMax)), { status: 412, index: 0 });
    problemIn(await post(checks(lockChecksMax + 1)), { status: 413 });
    expect(ensemble.callsOf("perform")).toHaveLength(1);
  });
});

describe("worker: transactions: check-lock", () => {
  let token: string;

  beforeEach(async () => {
    ensemble.plant("/a", "1");
    const granted = (await send("POST /v1/main/locks/l")).json();
    ({ token } = granted as { token: string });
  });

  const setUnder = (token: string) =>
    post([
      { op: "check-lock", path: "/l", token },
      { op: "set", path: "/a", value: "2" },
    ]);

  test("worker: check-lock: goes to the leader with the rest, and nothing is looked up before", async () => {
    const sent = await setUnder(token);
    expect(sent.json()).toMatchObject({ results: [{ op: "check-lock", path: "/l" }, { op: "set" }] });
    expect(sentParts()[0]).toEqual({ type: OpCode.CheckLock, path: "/l", token: parseZxid(token) });
    expect(ensemble.callsOf("describeLock")).toEqual([]);
  });

  test("worker: check-lock: another token changes nothing", async () => {
    const sent = await setUnder("0x1");
    const detail = problemIn(sent, {
      status: 412,
      codeName: "NoNode",
      path: "/l",
      index: 0,
      op: "check-lock",
    });
    expect(detail).toContain("not held under this token");
    expect(ensemble.value("/a")).toBe("1");
  });
});
