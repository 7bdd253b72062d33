/**
 * Proves who is let in, as whom, and that no token leaves through an answer or to a member.
 */

import { beforeEach, describe, expect, test, vi } from "vitest";
import { clientOf, problemIn, type Sent } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

const token = "correct-horse_battery~staple";
const get = "GET /v1/main/znodes/";

let ensemble: FakeEnsemble;

beforeEach(() => {
  ensemble = new FakeEnsemble();
});

function expectNobodyServed(sent: Sent): void {
  expect(sent.status).toBeGreaterThanOrEqual(400);
  expect(ensemble.calls).toEqual([]);
}

describe("worker: without credentials", () => {
  test("worker: a deployment without credentials answers 503 to everything but health", async () => {
    const send = clientOf(ensemble, {});
    for (const line of [
      get,
      "POST /v1/main/locks/a",
      "GET /v1/main/members",
      "GET /v1/main/connect",
      "GET /",
    ]) {
      const sent = await send(line);
      const detail = problemIn(sent, { status: 503, type: "/problems/not-configured" });
      expect(detail).toContain("EK_TOKEN");
      expectNobodyServed(sent);
    }
    expect((await send("GET /health")).status).toBe(200);
  });

  test.each(["127.0.0.1", "localhost", "[::1]"])("worker: open on loopback serves %s", async (host) => {
    const sent = await clientOf(ensemble)(`GET http://${host}:8787/v1/main/znodes/`);
    expect(sent.status).toBe(200);
  });

  test.each(["example.com", "127.0.0.1.example.com", "192.168.0.1", "localhost.example.com", "0.0.0.0"])(
    "worker: open on loopback refuses host %s",
    async (host) => {
      const sent = await clientOf(ensemble)(`GET http://${host}:8787/v1/main/znodes/`);
      problemIn(sent, { status: 403, codeName: "NoAuth" });
      expectNobodyServed(sent);
    },
  );

  test.each(["https://evil.example", "null", "http://localhost.evil.example", "localhost", ""])(
    "worker: open on loopback refuses a web page from %j",
    async (origin) => {
      const sent = await clientOf(ensemble)("PUT /v1/main/znodes/a", { headers: { Origin: origin } });
      problemIn(sent, { status: 403, codeName: "NoAuth" });
      expectNobodyServed(sent);
    },
  );

  test("worker: open on loopback serves a web page from loopback", async () => {
    const headers = { Origin: "http://localhost:3000" };
    expect((await clientOf(ensemble)(get, { headers })).status).toBe(200);
  });

  test("worker: open on loopback refuses what a page from elsewhere embeds, which has no Origin", async () => {
    const headers = { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" };
    const sent = await clientOf(ensemble)("GET /v1/main/admin/commands/hash", { headers });
    problemIn(sent, { status: 403, codeName: "NoAuth" });
    expectNobodyServed(sent);
    for (const site of ["same-origin", "same-site", "none"]) {
      const served = await clientOf(ensemble)(get, { headers: { "Sec-Fetch-Site": site } });
      expect(served.status).toBe(200);
    }
    const fromLocalhost = { "Sec-Fetch-Site": "cross-site", Origin: "http://localhost:3000" };
    expect((await clientOf(ensemble)(get, { headers: fromLocalhost })).status).toBe(200);
  });

  test("worker: open on loopback makes nobody super", async () => {
    await clientOf(ensemble)(get, { headers: { "CF-Connecting-IP": "10.1.2.3" } });
    expect(ensemble.callsOf("perform").at(-1)?.argument).toMatchObject({
      identities: [{ scheme: "ip", id: "10.1.2.3" }],
    });
  });
});

describe("worker: with EK_TOKEN", () => {
  test("worker: the bearer of EK_TOKEN is served as super", async () => {
    const send = clientOf(ensemble, { EK_TOKEN: token });
    const headers = { Authorization: `Bearer ${token}`, "CF-Connecting-IP": "2001:db8::1" };
    expect((await send(`GET https://zk.example/v1/main/znodes/`, { headers })).status).toBe(200);
    expect(ensemble.callsOf("perform").at(-1)?.argument).toMatchObject({
      identities: [
        { scheme: "super", id: "" },
        { scheme: "ip", id: "2001:db8::1" },
      ],
    });
  });

  test("worker: without a token the answer is 401 with a challenge", async () => {
    const sent = await clientOf(ensemble, { EK_TOKEN: token })(get);
    problemIn(sent, { status: 401, codeName: "AuthFailed", code: -115 });
    expect(sent.headers.get("WWW-Authenticate")).toBe('Bearer realm="edgekeeper"');
    expectNobodyServed(sent);
  });

  test("worker: with both EK_TOKEN and open on loopback, the token is required", async () => {
    const vars = { EK_TOKEN: token, EK_OPEN_ON_LOOPBACK: "on" };
    expect((await clientOf(ensemble, vars)(get)).status).toBe(401);
  });

  test.each([
    `Bearer ${token}x`,
    `Bearer ${token.slice(0, -1)}`,
    `Bearer ${token.toUpperCase()}`,
    "Bearer ",
    "Bearer",
    token,
    `Basic ${btoa(`x:${token}`)}`,
    `Bearer ${token} ${token}`,
  ])("worker: Authorization: %s is refused and not repeated", async (authorization) => {
    const sent = await clientOf(ensemble, { EK_TOKEN: token })(get, {
      headers: { Authorization: authorization },
    });
    expect(sent.status).toBe(401);
    expect(sent.text).not.toContain(token);
    expectNobodyServed(sent);
  });

  test("worker: a token in the URL is refused, even the right one", async () => {
    const send = clientOf(ensemble, { EK_TOKEN: token });
    for (const name of ["token", "access_token"]) {
      const headers = { Authorization: `Bearer ${token}` };
      const sent = await send(`${get}?${name}=${token}`, { headers });
      expect(problemIn(sent, { status: 400 })).toContain("send Authorization: Bearer");
      expect(sent.text).not.toContain(token);
      expectNobodyServed(sent);
    }
  });

  test("worker: a bearer subprotocol counts only for a WebSocket", async () => {
    const protocol = `zookeeper, bearer.${btoa(token)}`;
    const headers = { "Sec-WebSocket-Protocol": protocol };
    expect((await clientOf(ensemble, { EK_TOKEN: token })(get, { headers })).status).toBe(401);
  });

  test("worker: unknown routes do not tell strangers that they are unknown", async () => {
    const send = clientOf(ensemble, { EK_TOKEN: token });
    for (const path of ["/", "/v1/other/znodes/", "/v2"])
      expect((await send(`GET ${path}`)).status).toBe(401);
  });

  test("worker: nothing of the token is logged or sent to a member", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const headers = { Authorization: `Bearer ${token}` };
    ensemble.member(1).fail("perform", { answer: { kind: "answered", outcome: { err: 0 }, zxid: "0x1" } });
    const sent = await clientOf(ensemble, { EK_TOKEN: token })(get, { headers });
    expect(sent.status).toBe(500);
    expect(JSON.stringify([...logged.mock.calls, ensemble.calls])).not.toContain(token);
    logged.mockRestore();
  });
});

describe("worker: the client's address", () => {
  test.each([
    [{ "Ek-Gateway-Address": "10.9.8.7", "CF-Connecting-IP": "127.0.0.1" }, "10.9.8.7"],
    [{ "Ek-Gateway-Address": "::ffff:10.9.8.7" }, "10.9.8.7"],
    [{ "CF-Connecting-IP": "10.1.1.1" }, "10.1.1.1"],
    [{}, "127.0.0.1"],
    // Not from Cloudflare, then: at the length that is read, and one past it.
    [{ "CF-Connecting-IP": "1".repeat(45) }, "1".repeat(45)],
    [{ "CF-Connecting-IP": "1".repeat(46) }, "127.0.0.1"],
    [{ "CF-Connecting-IP": "10.1.1.1, 10.2.2.2" }, "127.0.0.1"],
  ])("worker: %o is from %s", async (headers, address) => {
    await clientOf(ensemble)(get, { headers });
    expect(ensemble.callsOf("perform").at(-1)?.argument).toMatchObject({
      identities: [{ scheme: "ip", id: address }],
    });
  });

  test("worker: a client of unknown address elsewhere is not taken for loopback", async () => {
    const headers = { Authorization: `Bearer ${token}` };
    await clientOf(ensemble, { EK_TOKEN: token })("GET https://zk.example/v1/main/znodes/", { headers });
    expect(JSON.stringify(ensemble.calls)).not.toContain("127.0.0.1");
  });

  test("worker: a gateway's address that is none is refused", async () => {
    const headers = { "Ek-Gateway-Address": "somewhere" };
    problemIn(await clientOf(ensemble)(get, { headers }), { status: 400 });
  });

  test("worker: a stranger's gateway address is not looked at", async () => {
    const headers = { "Ek-Gateway-Address": "somewhere" };
    expect((await clientOf(ensemble, { EK_TOKEN: token })(get, { headers })).status).toBe(401);
  });
});
