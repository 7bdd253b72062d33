/**
 * Proves what stands around the routes: health, settings, unknown resources and methods, headers, what is
 * said of our own failures, and that no request reaches a member's doors for members.
 */

import { readFile } from "node:fs/promises";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble, type Method } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

describe("worker: health", () => {
  test("worker: health tells the version of package.json", async () => {
    const text = await readFile("package.json", "utf8");
    const { version }: { version?: unknown } = JSON.parse(text);
    expect((await send("GET /health")).json()).toEqual({ status: "ok", version });
    expect((await send("HEAD /health")).status).toBe(200);
  });

  test("worker: health answers with bad settings and from any host", async () => {
    send = clientOf(ensemble, { EK_WRONG: "x" });
    expect((await send("GET https://zk.example/health")).status).toBe(200);
  });
});

describe("worker: settings", () => {
  test("worker: bad settings are listed, and nobody is served", async () => {
    send = clientOf(ensemble, { EK_OPEN_ON_LOOPBACK: "on", EK_MEMBERS: "9", EK_TOKNE: "secret" });
    const sent = await send("GET /v1/main/znodes/");
    const detail = problemIn(sent, { status: 503, type: "/problems/bad-settings" });
    expect(detail).toContain('EK_MEMBERS is "9"');
    expect(detail).toContain("EK_TOKNE is not a setting");
    expect(sent.text).not.toContain("secret");
    expect(ensemble.calls).toEqual([]);
  });
});

describe("worker: what is not there", () => {
  test.each([
    "/",
    "/v1",
    "/v1/main",
    "/v1/main/",
    "/v1/main/znode",
    "/v2/main/znodes",
    "/V1/main/znodes/",
    "/v1/main/%7Anodes/",
  ])("worker: %s answers 404", async (path) => {
    problemIn(await send(`GET ${path}`), { status: 404 });
  });

  test.each(["other", "Main", "main%2F1", "..%2fmain", "%00", "a".repeat(2_000)])(
    "worker: ensemble %s answers 404, naming the setting and no other ensemble",
    async (name) => {
      send = clientOf(ensemble, { EK_OPEN_ON_LOOPBACK: "on", EK_ENSEMBLES: "main,hidden" });
      for (const route of ["znodes/a", "locks/a", "members", "connect"]) {
        const sent = await send(`GET /v1/${name}/${route}`);
        const detail = problemIn(sent, { status: 404, type: "/problems/unknown-ensemble" });
        expect(detail).toContain("EK_ENSEMBLES");
        expect(detail).not.toContain("hidden");
        expect(detail.length).toBeLessThan(200);
      }
      expect(ensemble.calls).toEqual([]);
    },
  );

  test.each([
    ["PATCH /v1/main/znodes/a", "GET, HEAD, PUT, POST, DELETE"],
    ["OPTIONS /v1/main/znodes/a", "GET, HEAD, PUT, POST, DELETE"],
    ["PATCH /v1/main/locks/a", "GET, HEAD, POST, PUT, DELETE"],
    ["PUT /v1/main/members", "GET, HEAD, POST"],
    ["GET /v1/main/members/1", "DELETE"],
    ["POST /v1/main/connect", "GET"],
    ["POST /health", "GET, HEAD"],
  ])("worker: %s answers 405 with Allow", async (line, allowed) => {
    const sent = await send(line);
    problemIn(sent, { status: 405, type: "/problems/method-not-allowed" });
    expect(sent.headers.get("Allow")).toBe(allowed);
  });
});

describe("worker: every answer", () => {
  test.each(["GET /health", "GET /v1/main/znodes/", "GET /v1/main/members", "GET /none", "PATCH /health"])(
    "worker: %s carries the security headers and no CORS",
    async (line) => {
      const { headers } = await send(line, { headers: { Origin: "http://localhost:1" } });
      expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(headers.get("Cache-Control")).toBe("no-store");
      expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    },
  );

  test("worker: a failure of ours answers 500 with a fixed detail, and is logged", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const wrong = { kind: "answered", outcome: { err: 0, body: { kind: "stat" } }, zxid: "0x1" };
    ensemble.member(1).fail("perform", { answer: wrong });
    const sent = await send("GET /v1/main/znodes/");
    const detail = problemIn(sent, { status: 500, code: -1, codeName: "SystemError" });
    expect(detail).toBe("The server failed: the request may or may not have taken effect");
    expect(logged).toHaveBeenCalledTimes(1);
    logged.mockRestore();
  });
});

describe("worker: the doors for members", () => {
  const methods: readonly Method[] = ["exchange", "prepareBootstrap", "bootstrapConfig", "activateBootstrap"];

  test("worker: no URL reaches exchange, bootstrap or another call of a member", async () => {
    const tails = [...methods, "inspect", "perform", "fetch"].flatMap((name) => [
      `/${name}`,
      `/v1/main/${name}`,
      `/v1/main/members/1/${name}`,
      `/v1/main/connect/${name}`,
      `/v1/main/connect?method=${name}`,
      `/v1/main/znodes/${name}`,
      `/v1/main/znodes/..%2f${name}`,
      `/v1/main/locks/${name}?id=${"a".repeat(32)}`,
      `/v1/main%2f1/${name}`,
    ]);
    for (const tail of tails) {
      for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH"]) {
        await send(`${method} ${tail}`, method === "GET" ? {} : { body: "{}" });
      }
    }
    for (const method of methods) expect(ensemble.callsOf(method)).toEqual([]);
    expect(ensemble.callsOf("perform").length).toBeGreaterThan(0);
  });
});
