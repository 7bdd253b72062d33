/**
 * Proves what `Idempotency-Key` makes of a write: which requests are the same, which are not, and what of a
 * request counts. Through the app, against a fake ensemble; that members remember is
 * `test/tree/request-window.test.ts` and `idempotency.workerd.test.ts`.
 */

import { beforeEach, describe, expect, test } from "vitest";
import { keyedPartsMax, keyedPathUnitsMax, OpCode } from "../../src/base/index.ts";
import type { Call } from "../../src/objects/index.ts";
import { keyLengthMax } from "../../src/worker/idempotency.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
  ensemble.plant("/a", "x");
});

const key = { "Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324" };

function keysAsked(): readonly string[] {
  return ensemble.callsOf("perform").flatMap(({ argument }) => {
    const { request } = argument as Call;
    return request.type === OpCode.Keyed ? [request.key] : [];
  });
}

describe("worker: Idempotency-Key", () => {
  test.each([
    ["PUT /v1/main/znodes/a", { body: "y" }, 200],
    ["PUT /v1/main/znodes/new", { body: "y" }, 201],
    ["PUT /v1/main/znodes/new", { body: "y", headers: { "If-None-Match": "*" } }, 201],
    ["PUT /v1/main/znodes/a", { body: "y", headers: { "If-Match": '"0"' } }, 200],
    ["PUT /v1/main/znodes/a", { body: "y", headers: { "If-Match": '"7"' } }, 412],
    ["POST /v1/main/znodes/s-", { body: "y" }, 201],
    ["DELETE /v1/main/znodes/a", {}, 204],
    ["PUT /v1/main/znodes/a?acl", { body: '[{"perms":"r","scheme":"world","id":"anyone"}]' }, 200],
    ["POST /v1/main/transactions", { body: '[{"op":"set","path":"/a","value":"y"}]' }, 200],
    ["POST /v1/main/transactions", { body: '[{"op":"delete","path":"/none"}]' }, 404],
  ])(
    "worker: Idempotency-Key: %s %j again is answered alike, and does nothing",
    async (line, init, status) => {
      const request = { ...init, headers: { ...("headers" in init ? init.headers : {}), ...key } };
      const first = await send(line, request);
      expect(first.status).toBe(status);
      expect(first.headers.get("Ek-Repeated")).toBeNull();
      const before = ensemble.zxid;
      ensemble.member(1).fail("perform", "throwAfter");
      const again = await send(line, request);
      expect([again.status, again.text]).toEqual([first.status, first.text]);
      expect(again.headers.get("Ek-Zxid")).toBe(first.headers.get("Ek-Zxid"));
      expect(again.headers.get("ETag")).toBe(first.headers.get("ETag"));
      expect(again.headers.get("Ek-Repeated")).toBe("yes");
      expect(ensemble.zxid).toEqual(before);
    },
  );

  test("worker: Idempotency-Key: a write whose answer was lost is sent again by itself", async () => {
    ensemble.member(1).fail("perform", "throwAfter");
    const sent = await send("POST /v1/main/znodes/s-", { headers: key });
    expect(sent.status).toBe(201);
    expect(sent.json()).toMatchObject({ path: "/s-0000000001" });
    expect([...ensemble.znodes.keys()].filter((path) => path.startsWith("/s-"))).toEqual(["/s-0000000001"]);
  });

  test.each([
    ["another value", "PUT /v1/main/znodes/a", { body: "z" }],
    ["another path", "PUT /v1/main/znodes/b", { body: "y" }],
    ["another precondition", "PUT /v1/main/znodes/a", { body: "y", headers: { "If-Match": '"0"' } }],
    ["another method", "POST /v1/main/znodes/a", { body: "y" }],
    [
      "another query",
      "PUT /v1/main/znodes/a?acl",
      { body: '[{"perms":"r","scheme":"world","id":"anyone"}]' },
    ],
  ])("worker: Idempotency-Key: %s under it is refused", async (_, line, init) => {
    await send("PUT /v1/main/znodes/a", { body: "y", headers: key });
    const before = ensemble.zxid;
    const headers = { ...("headers" in init ? init.headers : {}), ...key };
    problemIn(await send(line, { ...init, headers }), { status: 422, codeName: "BadArguments" });
    expect(ensemble.zxid).toEqual(before);
  });

  test("worker: Idempotency-Key: the caller is part of it, its address is not", async () => {
    const callers = [
      { vars: { EK_OPEN_ON_LOOPBACK: "on" }, headers: {} },
      { vars: { EK_OPEN_ON_LOOPBACK: "on" }, headers: { "Ek-Gateway-Address": "10.0.0.7" } },
      { vars: { EK_TOKEN: "t" }, headers: { Authorization: "Bearer t" } },
    ];
    for (const { vars, headers } of callers) {
      await clientOf(ensemble, vars)("DELETE /v1/main/znodes/none", { headers: { ...headers, ...key } });
    }
    const [open, elsewhere, token] = keysAsked();
    expect(elsewhere).toBe(open);
    expect(token).not.toBe(open);
    expect(open).toMatch(/^[0-9a-f]{64}$/);
  });

  test("worker: Idempotency-Key: a session makes it another request, its password is not looked at", async () => {
    const { session } = (await send("POST /v1/main/sessions")).json();
    const headers = { ...key, "Ek-Session": String(session) };
    expect((await send("PUT /v1/main/znodes/a", { body: "y", headers })).status).toBe(200);
    problemIn(await send("PUT /v1/main/znodes/a", { body: "y", headers: key }), { status: 422 });
  });

  test.each([
    ["the longest", "k".repeat(keyLengthMax), 204],
    ["one longer", "k".repeat(keyLengthMax + 1), 400],
    ["empty", "", 400],
    ["one with a space", "a b", 400],
  ])("worker: Idempotency-Key: %s", async (_, text, status) => {
    expect((await send("DELETE /v1/main/znodes/a", { headers: { "Idempotency-Key": text } })).status).toBe(
      status,
    );
  });

  test("worker: Idempotency-Key: a recursive delete needs none, and takes none", async () => {
    problemIn(await send("DELETE /v1/main/znodes/a?recursive", { headers: key }), { status: 400 });
    expect(ensemble.value("/a")).toBe("x");
  });

  test("worker: Idempotency-Key: operations at and past what is remembered", async () => {
    const check = { op: "check", path: "/a" };
    const post = (length: number, headers: Record<string, string>) =>
      send("POST /v1/main/transactions", { headers, body: JSON.stringify(Array(length).fill(check)) });
    expect((await post(keyedPartsMax, key)).status).toBe(200);
    problemIn(await post(keyedPartsMax + 1, { "Idempotency-Key": "other" }), { status: 413 });
    expect((await post(keyedPartsMax + 1, {})).status).toBe(200);
  });

  test("worker: Idempotency-Key: characters of paths at and past what is remembered", async () => {
    const post = (units: number, name: string) =>
      send("POST /v1/main/transactions", {
        headers: { "Idempotency-Key": name },
        body: JSON.stringify([{ op: "create", path: `/${"p".repeat(units - 1)}` }]),
      });
    expect((await post(keyedPathUnitsMax, "at")).status).toBe(200);
    problemIn(await post(keyedPathUnitsMax + 1, "past"), { status: 413 });
  });
});
