/**
 * Proves that the type of the API fits it: the app called through `hc<Api>`, against a fake ensemble, with the types
 * checked by the compiler.
 */

import { hc } from "hono/client";
import { describe, expect, expectTypeOf, test } from "vitest";
import { buildApp } from "../../src/worker/app.ts";
import type {
  Api,
  ApiSchema,
  ElectionShown,
  Leadership,
  LockGrant,
  LockIntervened,
  ProblemJson,
  SessionOpened,
  TransactionDone,
} from "../../src/worker/rpc.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

function apiOf(ensemble: FakeEnsemble, headers: Record<string, string> = {}) {
  const app = buildApp();
  const env = ensemble.env();
  const { v1, health } = hc<Api>("http://127.0.0.1:8787", {
    headers,
    fetch: (input: RequestInfo | URL, init?: RequestInit) =>
      app.request(new Request(input, init), undefined, env),
  });
  return { health, main: v1[":ensemble"] };
}

const param = { ensemble: "main" };

describe("worker: hc<Api>", () => {
  test("worker: hc<Api>: a transaction, its result, and its refusal", async () => {
    const { main } = apiOf(new FakeEnsemble());
    const json = [{ op: "create", path: "/a", value: "1" }] as const;
    const done = await main.transactions.$post({ param, json });
    if (done.status !== 200) throw new Error("it was refused");
    const body = await done.json();
    expectTypeOf(body).toEqualTypeOf<TransactionDone>();
    expect(body).toMatchObject({
      zxid: "0x100000001",
      results: [{ op: "create", path: "/a", stat: { version: 0 } }],
    });
    const refused = await main.transactions.$post({ param, json });
    if (refused.status === 200) throw new Error("it was done twice");
    const problem = await refused.json();
    expectTypeOf(problem).toEqualTypeOf<ProblemJson>();
    expect(problem).toMatchObject({ status: 409, codeName: "NodeExists" });
  });

  test("worker: hc<Api>: znodes by paths with slashes", async () => {
    const ensemble = new FakeEnsemble();
    ensemble.plant("/a");
    ensemble.plant("/a/b", "blue");
    const { main } = apiOf(ensemble, { Accept: "application/json" });
    const read = await main.znodes[":path{.+}"].$get({ param: { ...param, path: "a/b" }, query: {} });
    expect(await read.json()).toMatchObject({ path: "/a/b", value: "blue", encoding: "utf8" });
    const listed = await main.znodes[":path{.+}"].$get({
      param: { ...param, path: "a" },
      query: { children: "" },
    });
    expect(await listed.json()).toMatchObject({ children: ["b"], more: false });
    const deleted = await main.znodes[":path{.+}"].$delete({
      param: { ...param, path: "a" },
      query: { recursive: "true" },
    });
    expect(await deleted.json()).toMatchObject({ path: "/a", deleted: 2 });
  });

  test("worker: hc<Api>: a session, and a lock", async () => {
    const { main } = apiOf(new FakeEnsemble());
    const opened = await main.sessions.$post({ param, json: { ttl: "1m" } });
    if (opened.status !== 201) throw new Error("it was refused");
    const session = await opened.json();
    expectTypeOf(session).toEqualTypeOf<SessionOpened>();
    const kept = await main.sessions[":id"].$put(
      { param: { ...param, id: session.id } },
      { headers: { "Ek-Session": session.session } },
    );
    expect(await kept.json()).toMatchObject({ id: session.id, ttl_ms: 60_000 });
    const locked = await main.locks[":path{.+}"].$post({
      param: { ...param, path: "jobs/42" },
      json: { wait: "1s" },
    });
    if (locked.status !== 201) throw new Error("it was refused");
    const grant = await locked.json();
    expectTypeOf(grant).toEqualTypeOf<LockGrant>();
    const queue = await main.locks[":path{.+}"].$get({ param: { ...param, path: "jobs/42" } });
    expect(await queue.json()).toMatchObject({
      path: "/jobs/42",
      holders: [{ token: grant.token }],
      queue: [],
    });
  });

  test("worker: hc<Api>: a seat", async () => {
    const seats = apiOf(new FakeEnsemble()).main.semaphores[":path{.+}"];
    const at = { param: { ...param, path: "gpu" } };
    const taken = await seats.$post({ ...at, json: { seats: 2 } });
    if (taken.status !== 201) throw new Error("it was refused");
    const { id, token } = await taken.json();
    expect(await (await seats.$put({ ...at, query: { id } })).json()).toMatchObject({ id, token });
    expect(await (await seats.$get(at)).json()).toMatchObject({ seats: 2, taken: 1, holders: [{ token }] });
  });

  test("worker: hc<Api>: a lock asked back, stolen, and released", async () => {
    const ensemble = new FakeEnsemble();
    const { main } = apiOf(ensemble);
    const at = { ...param, path: "jobs/42" };
    const lock = main.locks[":path{.+}"];
    const locked = await lock.$post({ param: at, json: { owner: "billing" } });
    if (locked.status !== 201) throw new Error("it was refused");
    const { id, token } = await locked.json();
    const revoked = await lock.$post({ param: at, query: { revoke: "0x1" } });
    if (revoked.status === 200) expectTypeOf(await revoked.json()).toEqualTypeOf<LockIntervened>();
    else expect(await revoked.json()).toMatchObject({ status: 412, type: "/problems/lock-not-held" });
    expect(revoked.status).toBe(412);
    const stolen = await lock.$post({ param: at, query: { steal: token }, json: { by: "me", reason: "" } });
    expect(await stolen.json()).toMatchObject({ status: 400, detail: expect.stringContaining('"reason"') });
    const released = await lock.$delete({ param: at, query: { id } });
    expect(released.status).toBe(204);
    expect((await lock.$delete({ param: at, query: { id } })).status).toBe(404);
  });

  test("worker: hc<Api>: an election", async () => {
    const { main } = apiOf(new FakeEnsemble());
    const at = { ...param, path: "crown" };
    const election = main.elections[":path{.+}"];
    const elected = await election.$post({ param: at, json: { candidate: "node-1", ttl: "1m" } });
    if (elected.status !== 201) throw new Error("it was refused");
    const leadership = await elected.json();
    expectTypeOf(leadership).toEqualTypeOf<Leadership>();
    const { id, token } = leadership;
    const shown = await election.$get({ param: at });
    if (shown.status !== 200) throw new Error("it was refused");
    const line = await shown.json();
    expectTypeOf(line).toEqualTypeOf<ElectionShown>();
    expect(line).toMatchObject({ leader: { candidate: "node-1", token }, candidates: [] });
    const kept = await election.$put({ param: at, query: { id } });
    expect(await kept.json()).toMatchObject({ id, token, path: "/crown" });
    expect((await election.$delete({ param: at, query: { id } })).status).toBe(204);
    expect((await election.$put({ param: at, query: { id } })).status).toBe(404);
  });

  test("worker: hc<Api>: what is not in the API does not typecheck", () => {
    const { main, health } = apiOf(new FakeEnsemble());
    expectTypeOf(health.$get).toBeFunction();
    // @ts-expect-error: there is no such route
    void main.znodez;
    type Json = Parameters<typeof main.transactions.$post>[0]["json"];
    expectTypeOf<readonly [{ op: "rename"; path: "/a" }]>().not.toExtend<Json>();
    expectTypeOf<readonly [{ op: "check"; path: "/a" }]>().toExtend<Json>();
  });

  test("worker: hc<Api>: every route of the type is one of the app", () => {
    const typed: Readonly<Record<keyof ApiSchema, readonly string[]>> = {
      "/health": ["GET"],
      "/v1/:ensemble/znodes/:path{.+}": ["GET", "PUT", "POST", "DELETE"],
      "/v1/:ensemble/transactions": ["POST"],
      "/v1/:ensemble/sessions": ["POST"],
      "/v1/:ensemble/semaphores/:path{.+}": ["GET", "POST", "PUT", "DELETE"],
      "/v1/:ensemble/sessions/:id": ["GET", "PUT", "DELETE"],
      "/v1/:ensemble/locks/:path{.+}": ["GET", "POST", "PUT", "DELETE"],
      "/v1/:ensemble/elections/:path{.+}": ["GET", "POST", "PUT", "DELETE"],
    };
    const routes = buildApp().routes.map(({ method, path }) => `${method} ${path}`);
    for (const [path, methods] of Object.entries(typed))
      for (const method of methods) expect(routes).toContain(`${method} ${path.replace(":path{.+}", "*")}`);
  });
});
