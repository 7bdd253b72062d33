/**
 * Proves that the OpenAPI document is valid, that it has every route and query parameter of the app and no other,
 * and that what the app takes and answers is what its schemas say.
 */

import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { beforeEach, describe, expect, test } from "vitest";
import { buildDocument } from "../../scripts/openapi/document.ts";
import { operations } from "../../scripts/openapi/operations.ts";
import { schemas } from "../../scripts/openapi/schemas.ts";
import { buildApp } from "../../src/worker/app.ts";
import served from "../../src/worker/openapi.json" with { type: "json" };
import { clientOf, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
  ensemble.plant("/a", "x");
});

const keyOf = (method: string, route: string) => `${method.toUpperCase()} ${route}`;

describe("worker: OpenAPI", () => {
  test("worker: OpenAPI: what is served is what the build makes, and needs no token", async () => {
    expect(served).toEqual(JSON.parse(JSON.stringify(buildDocument())));
    const sent = await clientOf(ensemble, { EK_TOKEN: "t" })("GET /openapi.json");
    expect(sent.json()).toEqual(served);
  });

  test("worker: OpenAPI: the document is valid", async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(served))).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  test("worker: OpenAPI: a document that is none is found out", async () => {
    const damaged = { ...structuredClone(served), paths: { "/x": { get: { responses: 1 } } } };
    expect((await new Validator().validate(damaged)).valid).toBe(false);
  });

  test("worker: OpenAPI: it has the routes of the app, and no other", () => {
    const routes = buildApp()
      .routes.filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => keyOf(method, path.replace(/:(\w+)/g, "{$1}").replace("*", "{path}")));
    // Once for each of its handlers.
    const known = [...new Set(routes)].toSorted();
    expect(operations.map(({ method, route }) => keyOf(method, route)).toSorted()).toEqual(known);
  });

  const closed = operations.filter(({ open }) => open !== true);
  test.each(closed.map((operation) => [keyOf(operation.method, operation.route), operation] as const))(
    "worker: OpenAPI: %s has the parameters that it takes",
    async (line, { query = {} }) => {
      const url = line.replace("{ensemble}", "main").replace(/\{(id|path|word|command)\}/, fill);
      const { status, text } = await send(`${url}?zz`);
      expect(status).toBe(400);
      const known = /is not a parameter here, (.*) (?:is|are)"/.exec(text)?.[1]?.split(", ");
      const names = Object.keys(query);
      expect(known).toEqual(names.length === 0 ? ["none"] : expect.arrayContaining(names));
      expect(known).toHaveLength(Math.max(names.length, 1));
    },
  );
});

function fill(_: string, name: string): string {
  return { id: "2", path: "a", word: "ruok", command: "ruok" }[name] ?? "";
}

describe("worker: OpenAPI: schemas", () => {
  const ajv = new Ajv2020({ strict: false, formats: { "date-time": true } });
  ajv.addSchema({ $id: "all", components: { schemas } });

  function faults(schema: unknown, value: unknown): unknown {
    const resolved = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"all#/'));
    const validate = ajv.compile(resolved);
    return validate(value) ? undefined : validate.errors;
  }

  const acl = '[{"perms":"r","scheme":"world","id":"anyone"}]';
  const changes = [
    { op: "create", path: "/t", value: "1", mode: "container" },
    { op: "set", path: "/a", value: null, version: 0 },
    { op: "check", path: "/a" },
    { op: "delete", path: "/t" },
  ];
  const json = { Accept: "application/json" };

  test.each<[string, string, RequestInit, number]>([
    ["getHealth", "GET /health", {}, 200],
    ["getZnode", "GET /v1/main/znodes/a", { headers: json }, 200],
    ["getZnode", "GET /v1/main/znodes/a?acl", {}, 200],
    ["getZnode", "GET /v1/main/znodes/?children", {}, 200],
    ["getZnode", "GET /v1/main/znodes/?children&with=stat,value", {}, 200],
    ["getZnode", "GET /v1/main/znodes/none", {}, 404],
    ["putZnode", "PUT /v1/main/znodes/a", { body: "y" }, 200],
    ["putZnode", "PUT /v1/main/znodes/b", { body: "y" }, 201],
    ["putZnode", "PUT /v1/main/znodes/a?acl", { body: acl }, 200],
    ["putZnode", "PUT /v1/main/znodes/a", { body: "y", headers: { "If-Match": '"7"' } }, 412],
    ["postZnode", "POST /v1/main/znodes/s-", {}, 201],
    ["deleteZnode", "DELETE /v1/main/znodes/a?recursive", {}, 200],
    ["postTransaction", "POST /v1/main/transactions", { body: JSON.stringify(changes) }, 200],
    ["postTransaction", "POST /v1/main/transactions", { body: '[{"op":"delete","path":"/none"}]' }, 404],
    ["postSession", "POST /v1/main/sessions", { body: '{"ttl":"1m"}' }, 201],
    ["postLock", "POST /v1/main/locks/l", { body: '{"mode":"shared","ttl":"1m","owner":"me"}' }, 201],
    ["getLock", "GET /v1/main/locks/l", {}, 200],
    ["deleteLock", `DELETE /v1/main/locks/l?id=${"0".repeat(32)}`, {}, 404],
    ["getElection", "GET /v1/main/elections/none", {}, 200],
    ["postElection", "POST /v1/main/elections/e", { body: '{"candidate":"me","ttl":"1m"}' }, 201],
    ["postElection", "POST /v1/main/elections/l", {}, 409],
    ["getElection", "GET /v1/main/elections/l", {}, 200],
    ["putElection", `PUT /v1/main/elections/l?id=${"0".repeat(32)}`, {}, 404],
    ["getSemaphore", "GET /v1/main/semaphores/l", {}, 200],
    ["postSemaphore", "POST /v1/main/semaphores/l", { body: '{"seats":2,"ttl":"1m","owner":"me"}' }, 201],
    ["deleteSemaphore", `DELETE /v1/main/semaphores/l?id=${"0".repeat(32)}`, {}, 404],
    ["getMembers", "GET /v1/main/members", {}, 200],
    ["postMember", "POST /v1/main/members", { body: '{"id":4,"role":"observer"}' }, 200],
    ["deleteMember", "DELETE /v1/main/members/3", {}, 200],
    ["getAdmin", "GET /v1/main/admin", {}, 200],
  ])("worker: OpenAPI: %s, %s %j", async (id, line, init, status) => {
    await send("POST /v1/main/locks/l", { body: '{"mode":"shared"}' });
    const operation = operations.find((each) => each.id === id);
    const { type = "", schema } = operation?.body ?? {};
    if (type === "application/json")
      expect(faults(schema, JSON.parse(String(init.body ?? "{}")))).toBeUndefined();
    const sent = await send(line, init);
    expect(sent.status).toBe(status);
    const isProblem = operation?.problems.includes(status) === true;
    const answer = isProblem ? schemas["Problem"] : operation?.answers[status]?.["application/json"];
    expect(answer).toBeDefined();
    expect(faults(answer, sent.json())).toBeUndefined();
  });

  test.each([
    ["postTransaction", [{ op: "create", path: "/t", mode: "sequential" }]],
    ["postTransaction", [{ op: "delete", path: "/t", value: "x" }]],
    ["postTransaction", []],
    ["postSemaphore", { ttl: "1m" }],
    ["postSemaphore", { seats: 0 }],
    ["postSemaphore", { seats: 1.5 }],
    ["postSession", { tll: "1m" }],
    ["postSession", { ttl: "1 minute" }],
    ["postMember", { id: 255 }],
  ])("worker: OpenAPI: what the app refuses of %s, the schema refuses: %j", async (id, body) => {
    const operation = operations.find((each) => each.id === id);
    expect(faults(operation?.body?.schema, body)).toBeDefined();
    const route = operation?.route.replace("{ensemble}", "main").replace("{path}", "a") ?? "";
    expect((await send(`POST ${route}`, { body: JSON.stringify(body) })).status).toBe(400);
  });
});
