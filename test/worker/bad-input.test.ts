/**
 * Proves that no operation of the API takes what it should not: every one of the OpenAPI document is sent bad
 * paths, queries, headers and bodies. Each is refused as a 4xx problem that names what was wrong, and nothing has
 * changed. What a body's schema refuses the app refuses, and nothing whatever makes it fail.
 */

import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type Operation, operations } from "../../scripts/openapi/operations.ts";
import { schemas } from "../../scripts/openapi/schemas.ts";
import { clientOf, problemIn, type Send, type Sent } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;
let before: unknown;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
  ensemble.plant("/a", "x");
  ensemble.plant("/a/b", "x");
  before = stateOf();
});

/** All that a request could change. */
function stateOf(): unknown {
  const { znodes, locks, sessions, seats, keyed, zxid } = ensemble;
  const orders = [...ensemble.callsOf("addMember"), ...ensemble.callsOf("removeMember")];
  return structuredClone({ znodes, locks, sessions, seats, keyed, zxid, orders: orders.length });
}

const closed = operations.filter(({ open }) => open !== true);
const named = closed.map((operation) => [operation.id, operation] as const);

/** A request that is right but for what is added to it. */
function lineOf({ method, route, query = {} }: Operation, added = ""): string {
  const path = route.replace("{ensemble}", "main").replace(/\{(\w+)\}/, (_, name: string) => fill(name));
  const needed = query["id"] === undefined || added.startsWith("id=") ? "" : `id=${"0".repeat(32)}`;
  const search = [needed, added].filter((part) => part !== "").join("&");
  return `${method.toUpperCase()} ${path}${search === "" ? "" : `?${search}`}`;
}

function fill(name: string): string {
  return { id: "2", path: "a", word: "stat", command: "stat" }[name] ?? "";
}

function takesBody({ id, method, body }: Operation): boolean {
  // What `restore` is sent is never looked at.
  return (method !== "get" && body !== undefined) || id === "postAdminCommand";
}

/** A body that is right, where there must be one, and what makes a request for a socket one. */
function rightBody(operation: Operation): RequestInit {
  const protocol = { getConnect: "zookeeper", getWatchSocket: "edgekeeper.watch.v1" }[operation.id];
  if (protocol !== undefined)
    return { headers: { Upgrade: "websocket", "Sec-WebSocket-Protocol": protocol } };
  const body = { postTransaction: "[]", postMember: '{"id":9}', postSemaphore: '{"seats":1}' }[operation.id];
  const given = operation.id === "postTransaction" ? '[{"op":"check","path":"/a"}]' : body;
  return given === undefined ? {} : { body: given };
}

/** Refused, by the name of what was wrong, and nothing has changed. */
function expectRefused(sent: Sent, what: RegExp, about: string): void {
  expect(sent.status, about).toBeGreaterThanOrEqual(400);
  expect(sent.status, about).toBeLessThan(500);
  expect(problemIn(sent, { status: sent.status }), about).toMatch(what);
  expect(stateOf(), about).toEqual(before);
}

describe.each(named)("worker: bad input: %s", (_, operation) => {
  test("unknown parameters, and such as are given twice", async () => {
    for (const added of ["nonsense=1", "nonsense", "__proto__=1"]) {
      const sent = await send(lineOf(operation, added), rightBody(operation));
      expectRefused(sent, /nonsense|__proto__/, added);
    }
    for (const name of Object.keys(operation.query ?? {})) {
      const sent = await send(lineOf(operation, `${name}=1&${name}=1`), rightBody(operation));
      expectRefused(sent, new RegExp(name), name);
    }
  });

  const wrong: Readonly<Record<string, readonly string[]>> = {
    consistency: ["eventual", ""],
    member: ["0", "255", "9", "nobody", "1.0", ""],
    acl: ["maybe"],
    children: ["maybe"],
    recursive: ["maybe"],
    limit: ["0", "1001", "x", "1e2", "-1", ""],
    with: ["owner", "stat,owner", ","],
    mode: ["quantum", "", "PERSISTENT"],
    revoke: ["7", "0xg", "", "0x01"],
    steal: ["7", "0xg", ""],
    id: ["", "x", "0".repeat(31), "0".repeat(33), "A".repeat(32)],
    since: ["soon", "7", ""],
  };
  const cases = Object.keys(operation.query ?? {}).flatMap((name) =>
    // What a stream is to tell, its member reads (`streams.workerd.test.ts`).
    operation.id === "getWatchEvents" && ["scope", "with"].includes(name)
      ? []
      : (wrong[name] ?? []).map((value) => [name, value] as const),
  );
  test.runIf(cases.length > 0)("wrong parameters", async () => {
    for (const [name, value] of cases) {
      const sent = await send(lineOf(operation, `${name}=${value}`), rightBody(operation));
      expectRefused(sent, new RegExp(name), `${name}=${value}`);
    }
  });

  test.runIf(operation.route.includes("{path}"))("paths that no znode can have", async () => {
    const bad = [
      "a//b",
      "a/",
      "a/../b",
      "a/./b",
      "%00",
      "a%2fb",
      "%ff",
      "%zz",
      "%",
      "%ed%a0%80",
      "%7f",
      "%c2%85",
    ];
    for (const path of bad) {
      const line = lineOf(operation).replace("/a", `/${path}`);
      // A URL is normalized before it is sent: such a path is never seen.
      if (path.includes("/.")) continue;
      const isPrefix = operation.id === "postZnode" && path === "a/";
      if (!isPrefix) expectRefused(await send(line, rightBody(operation)), /path/i, path);
    }
  });

  test("an ensemble that nobody declared", async () => {
    for (const name of ["other", "__proto__", "MAIN"]) {
      const sent = await send(lineOf(operation).replace("/main", `/${name}`), rightBody(operation));
      expectRefused(sent, /ensemble/, name);
      expect(sent.status).toBe(404);
    }
  });

  const badHeaders: Readonly<Record<string, readonly string[]>> = {
    "Ek-Session": ["", "x", "0x1", `0x1:${"0".repeat(31)}`, `0x0:${"0".repeat(32)}`, `1:${"0".repeat(32)}`],
    "Ek-Session-Zxid": ["", "7", "0xg", "latest"],
    "If-Match": ["0", '"x"', '"-1"', '"99999999999"'],
    "If-None-Match": ["0", '"x"'],
    "Idempotency-Key": ["a b", "é", "k".repeat(256)],
    "Last-Event-ID": ["soon", "7"],
  };
  test.runIf(operation.headers !== undefined)("headers that cannot be read", async () => {
    for (const name of operation.headers ?? []) {
      for (const value of badHeaders[name] ?? []) {
        // For reads they are lists of what need not be sent, and what cannot match does not.
        if (operation.method === "get" && name.startsWith("If-")) continue;
        const init = { headers: { [name]: value }, ...rightBody(operation) };
        const added = operation.id === "deleteZnode" && name === "Idempotency-Key" ? "recursive" : "";
        expectRefused(await send(lineOf(operation, added), init), new RegExp(name), `${name}: ${value}`);
      }
    }
  });

  test.runIf(operation.method !== "get" && !takesBody(operation))("bodies where none is taken", async () => {
    expectRefused(await send(lineOf(operation), { body: '{"ttl": "1h"}' }), /body/, "a body");
  });

  test.runIf(operation.method !== "get" && !operation.headers?.includes("Idempotency-Key"))(
    "a key where none is remembered",
    async () => {
      const init = { headers: { "Idempotency-Key": "k" }, ...rightBody(operation) };
      expectRefused(await send(lineOf(operation), init), /Idempotency-Key/, "a key");
    },
  );
});

describe("worker: bad input: JSON bodies", () => {
  const ajv = new Ajv2020({ strict: false, formats: { "date-time": true } });
  ajv.addSchema({ $id: "all", components: { schemas } });
  const acl: Operation[] = closed
    .filter(({ id }) => id === "putZnode")
    .map((operation) => ({
      ...operation,
      id: "putAcl",
      body: { type: "application/json", schema: { $ref: "#/components/schemas/Acl" } },
    }));
  const taking = [...closed.filter(({ body }) => body?.type === "application/json"), ...acl];
  const urlOf = (operation: Operation) => lineOf(operation, operation.id === "putAcl" ? "acl" : "");

  function validator(operation: Operation) {
    return ajv.compile(JSON.parse(JSON.stringify(operation.body?.schema).replaceAll('"#/', '"all#/')));
  }

  const notJson = ["{", "[1,", "nul", "\u0000", '{"a":1}{', "\ufffe", "'{}'", "null", "7", '"x"', "true"];
  test.each(taking.map((operation) => [operation.id, operation] as const))(
    "worker: bad input: %s: what is no JSON, or another kind of it",
    async (_, operation) => {
      for (const body of [...notJson, new Uint8Array([0x7b, 0xff, 0x7d]), "[".repeat(5_000)]) {
        const sent = await send(urlOf(operation), { body });
        expectRefused(sent, /JSON|body|list/, String(body).slice(0, 40));
      }
      const large = " ".repeat(3 * 1_048_576 + 1);
      expect((await send(urlOf(operation), { body: large })).status).toBe(413);
      expect(stateOf()).toEqual(before);
    },
  );

  /** Names and values such as the schemas have, put together by no rule. */
  const names = [
    "op",
    "path",
    "mode",
    "ttl",
    "wait",
    "owner",
    "lock_delay",
    "id",
    "seats",
    "candidate",
    "role",
  ];
  const more = ["location", "replaces", "value", "encoding", "version", "acl", "token", "perms", "scheme"];
  const text = fc.constantFrom(
    ...[
      "create",
      "set",
      "delete",
      "check",
      "check-lock",
      "/a",
      "/a/b",
      "a",
      "",
      "shared",
      "exclusive",
      "1m",
      "0ms",
    ],
    ...[
      "60s",
      "9h",
      "voter",
      "observer",
      "weur",
      "utf8",
      "base64",
      "null",
      "eA==",
      "world",
      "anyone",
      "cdrwa",
    ],
    ...["persistent", "ephemeral", "0x100000001", "0x1", "\ud800", "\u0000", "0".repeat(32)],
  );
  const value = fc.oneof(
    { depthSize: "small" },
    text,
    fc.constantFrom(0, 1, 2, 3, 254, 255, -1, 1.5, 1e21, 2 ** 31, null, true, false, [], {}),
    fc.array(fc.record({ perms: text, scheme: text, id: text }, { requiredKeys: [] }), { maxLength: 2 }),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const object = fc.dictionary(
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...names, ...more) },
      { weight: 1, arbitrary: fc.string() },
    ),
    value,
    { maxKeys: 5, noNullPrototype: true },
  );

  test.each(taking.map((operation) => [operation.id, operation] as const))(
    "worker: bad input: %s: what the schema refuses is refused, and nothing makes it fail",
    async (id, operation) => {
      const validate = validator(operation);
      const body = ["postTransaction", "putAcl"].includes(id)
        ? fc.oneof(fc.array(object, { maxLength: 3 }), value)
        : fc.oneof({ weight: 9, arbitrary: object }, value);
      const property = fc.asyncProperty(body, async (given) => {
        const sent = await send(urlOf(operation), { body: JSON.stringify(given) });
        expect(sent.status).not.toBe(500);
        const isRight = validate(JSON.parse(JSON.stringify(given)));
        if (!isRight) expect(sent.status).toBe(400);
        if (sent.status === 400) {
          problemIn(sent, { status: 400 });
          expect(stateOf()).toEqual(before);
        } else before = stateOf();
      });
      await fc.assert(property, { numRuns: 300 });
    },
  );
});
