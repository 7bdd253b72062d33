/**
 * Proves what sessions over HTTP say and refuse, and what the header `Ek-Session` does to other requests:
 * through the app, against a fake ensemble. What members make of them is `http-sessions.workerd.test.ts`.
 */

import { beforeEach, describe, expect, test, vi } from "vitest";
import { CreateMode } from "../../src/base/index.ts";
import type { Call, SessionOrder } from "../../src/objects/index.ts";
import { sessionBodyBytesMax, sessionTtlMsMax, sessionTtlMsMin } from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble, fakePassword } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

/** Id and header of a session just opened. */
async function open(): Promise<{ id: string; headers: Record<string, string> }> {
  const { id, session } = (await send("POST /v1/main/sessions")).json();
  return { id: String(id), headers: { "Ek-Session": String(session) } };
}

function orders(): readonly SessionOrder[] {
  return ensemble.callsOf("attendSession").map(({ argument }) => argument as SessionOrder);
}

function lastCall(): Call | undefined {
  return ensemble.callsOf("perform").at(-1)?.argument as Call | undefined;
}

describe("worker: sessions", () => {
  test("worker: sessions: opened, shown, kept and closed by id and password", async () => {
    const opened = await send("POST /v1/main/sessions", { body: '{"ttl": "1m"}' });
    const id = "0x100000100000001";
    expect(opened.status).toBe(201);
    expect(opened.json()).toEqual({
      ...{ id, session: `${id}:${fakePassword}`, ttl_ms: 60_000, zxid: "0x100000001" },
      expires_at: "2026-11-01T00:01:00.000Z",
    });
    expect(opened.headers.get("Location")).toBe(`/v1/main/sessions/${id}`);
    expect(opened.headers.get("Ek-Zxid")).toBe("0x100000001");
    const headers = { "Ek-Session": `${id}:${fakePassword}` };
    const shown = await send(`GET /v1/main/sessions/${id}`, { headers });
    expect(shown.json()).toMatchObject({ id, ttl_ms: 60_000, ephemerals: [`/of-${id}`] });
    expect(shown.text).not.toContain(fakePassword);
    const kept = await send(`PUT /v1/main/sessions/${id}`, { headers });
    expect(kept.json()).toMatchObject({ id, expires_at: "2026-11-01T00:01:00.000Z" });
    expect((await send(`DELETE /v1/main/sessions/${id}`, { headers })).status).toBe(204);
    problemIn(await send(`PUT /v1/main/sessions/${id}`, { headers }), {
      status: 410,
      codeName: "SessionExpired",
    });
  });

  test.each([
    ["nothing", undefined, 30_000],
    ["the least", `{"ttl": ${sessionTtlMsMin}}`, sessionTtlMsMin],
    ["the most", `{"ttl": ${sessionTtlMsMax}}`, sessionTtlMsMax],
  ])("worker: sessions: a ttl of %s is taken", async (_, body, timeoutMs) => {
    await send("POST /v1/main/sessions", body === undefined ? {} : { body });
    expect(orders()).toEqual([{ kind: "open", timeoutMs }]);
  });

  test.each([
    ["less than the least", `{"ttl": ${sessionTtlMsMin - 1}}`, '"ttl"'],
    ["more than the most", `{"ttl": ${sessionTtlMsMax + 1}}`, '"ttl"'],
    ["a field nobody knows", '{"tll": 5000}', '"tll"'],
    ["a list", "[]", "JSON object"],
    ["no JSON", "{", "JSON object"],
  ])("worker: sessions: %s is refused", async (_, body, named) => {
    const detail = problemIn(await send("POST /v1/main/sessions", { body }), { status: 400 });
    expect(detail).toContain(named);
    expect(orders()).toEqual([]);
  });

  test("worker: sessions: a body past its bound is refused", async () => {
    const at = `{"ttl":5000}${" ".repeat(sessionBodyBytesMax)}`.slice(0, sessionBodyBytesMax);
    expect((await send("POST /v1/main/sessions", { body: at })).status).toBe(201);
    problemIn(await send("POST /v1/main/sessions", { body: `${at} ` }), { status: 413 });
  });

  test("worker: sessions: the password is asked for, and told to nobody", async () => {
    const { id } = await open();
    problemIn(await send(`GET /v1/main/sessions/${id}`), { status: 400 });
    const wrong = "f".repeat(32);
    const logged = vi.spyOn(console, "error");
    const foreign = await send(`GET /v1/main/sessions/${id}`, {
      headers: { "Ek-Session": `${id}:${wrong}` },
    });
    problemIn(foreign, { status: 401, codeName: "AuthFailed" });
    expect(foreign.headers.get("WWW-Authenticate")).toBe('Ek-Session realm="edgekeeper"');
    const other = await send("GET /v1/main/sessions/0x5", { headers: { "Ek-Session": `${id}:${wrong}` } });
    problemIn(other, { status: 400 });
    const broken = await send("GET /v1/main/znodes/", { headers: { "Ek-Session": `${id}:${wrong}0` } });
    problemIn(broken, { status: 400 });
    for (const { text } of [foreign, other, broken]) expect(text).not.toContain(wrong);
    expect(logged).not.toHaveBeenCalled();
    logged.mockRestore();
  });

  test("worker: sessions: closing again after an answer that was lost is closed", async () => {
    const { id, headers } = await open();
    ensemble.member(1).fail("attendSession", "throwAfter");
    expect((await send(`DELETE /v1/main/sessions/${id}`, { headers })).status).toBe(204);
    problemIn(await send(`DELETE /v1/main/sessions/${id}`, { headers }), { status: 410 });
  });
});

describe("worker: Ek-Session", () => {
  test("worker: Ek-Session: reads and writes are the session's", async () => {
    const { id, headers } = await open();
    await send("PUT /v1/main/znodes/a", { headers, body: "x" });
    expect(lastCall()?.session).toEqual({ id, password: fakePassword });
    await send("GET /v1/main/znodes/a", { headers });
    expect(lastCall()?.session).toEqual({ id, password: fakePassword });
    await send("GET /v1/main/znodes/a");
    expect(lastCall()?.session).toBeUndefined();
  });

  test("worker: Ek-Session: it lets ephemerals be created, singly and in transactions", async () => {
    const { headers } = await open();
    const single = await send("POST /v1/main/znodes/e-?mode=ephemeral_sequential", { headers });
    expect(single.json()).toMatchObject({ path: "/e-0000000000" });
    expect(lastCall()?.request).toMatchObject({ flags: CreateMode.EphemeralSequential });
    const body = JSON.stringify([{ op: "create", path: "/f", mode: "ephemeral" }]);
    expect((await send("POST /v1/main/transactions", { headers, body })).status).toBe(200);
    expect(lastCall()?.request).toMatchObject({ ops: [{ flags: CreateMode.Ephemeral }] });
  });

  test("worker: Ek-Session: without it an ephemeral is refused, and nobody is asked", async () => {
    const detail = problemIn(await send("POST /v1/main/znodes/e?mode=ephemeral"), { status: 400 });
    expect(detail).toContain("Ek-Session");
    const body = JSON.stringify([{ op: "create", path: "/f", mode: "ephemeral" }]);
    problemIn(await send("POST /v1/main/transactions", { body }), { status: 400, index: 0, field: "mode" });
    expect(ensemble.callsOf("perform")).toEqual([]);
  });

  test("worker: Ek-Session: of a session that has ended, and of one that is another's", async () => {
    const { id, headers } = await open();
    await send(`DELETE /v1/main/sessions/${id}`, { headers });
    const ended = await send("PUT /v1/main/znodes/a", { headers, body: "x" });
    problemIn(ended, { status: 410, codeName: "SessionExpired" });
    expect(ensemble.value("/a")).toBeUndefined();
    const foreign = { "Ek-Session": `${id}:${"f".repeat(32)}` };
    problemIn(await send("PUT /v1/main/znodes/a", { headers: foreign, body: "x" }), { status: 401 });
  });
});

test("worker: Ek-Zxid is on refusals too", async () => {
  await send("PUT /v1/main/znodes/a", { body: "x" });
  const refused = await send("PUT /v1/main/znodes/a", { body: "y", headers: { "If-None-Match": "*" } });
  expect(refused.status).toBe(412);
  expect(refused.headers.get("Ek-Zxid")).toBe("0x100000003");
});
