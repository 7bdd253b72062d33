/**
 * Proves how a WebSocket reaches the leader's object, with what, and with what not. Node cannot make a
 * 101, so a `Response` that can stands in for the runtime's.
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeServerId } from "../../src/base/index.ts";
import { clientOf, problemIn, type Send, type Sent } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

const upgrade = { Upgrade: "websocket", "Sec-WebSocket-Protocol": "zookeeper" };
const token = "correct-horse~battery";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  vi.useFakeTimers();
  const NodeResponse = Response;
  vi.stubGlobal(
    "Response",
    class extends NodeResponse {
      constructor(body?: BodyInit | null, init: ResponseInit = {}) {
        const isUpgrade = init.status === 101;
        super(body, isUpgrade ? { ...init, status: 200 } : init);
        if (isUpgrade) Object.defineProperty(this, "status", { value: 101 });
      }
    },
  );
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function passTime(answer: Promise<Sent>): Promise<Sent> {
  let answered = false;
  void answer.finally(() => {
    answered = true;
  });
  while (!answered) await vi.advanceTimersByTimeAsync(50);
  return answer;
}

describe("worker: connect", () => {
  test("worker: connect answers the member's 101 with the chosen subprotocol", async () => {
    const sent = await send("GET /v1/main/connect", { headers: upgrade });
    expect(sent.status).toBe(101);
    expect(sent.headers.get("Sec-WebSocket-Protocol")).toBe("zookeeper");
  });

  test("worker: connect hands over what a gateway that holds the token says of its client", async () => {
    const headers = {
      ...upgrade,
      Authorization: `Bearer ${token}`,
      "Ek-Gateway-Address": "::ffff:10.9.8.7",
      "Ek-Gateway-Port": "4711",
      "Ek-Gateway-X509": encodeURIComponent("CN=Zoë,O=A"),
      "Ek-Gateway-Wants-Token": "yes",
      "Ek-Gateway-Wants-Credit": "yes",
    };
    send = clientOf(ensemble, { EK_TOKEN: token, EK_X509: "on" });
    expect((await send("GET https://zk.example/v1/main/connect", { headers })).status).toBe(101);
    expect(Object.fromEntries(ensemble.connections.at(-1)?.headers ?? [])).toMatchObject({
      "ek-remote-address": "10.9.8.7",
      "ek-remote-port": "4711",
      "ek-remote-x509": encodeURIComponent("CN=Zoë,O=A"),
      "ek-must-show-token": "yes",
      "ek-wants-credit": "yes",
    });
  });

  test("worker: connect hands over what a gateway's connections share, and refuses what is no name of it", async () => {
    const name = "0123456789abcdef0123456789abcdef";
    const ask = (header: string, value: string) =>
      send("GET /v1/main/connect", { headers: { ...upgrade, [header]: value } });
    const good = [
      ["Ek-Gateway-Lane", `${name}/0`, "ek-lane"],
      ["Ek-Gateway-Lane", `${name}/4294967295`, "ek-lane"],
      ["Ek-Gateway-Shared", name, "ek-shared"],
    ] as const;
    for (const [header, value, told] of good) {
      expect((await ask(header, value)).status).toBe(101);
      expect(ensemble.connections.at(-1)?.headers.get(told)).toBe(value);
    }
    const bad = [
      ["Ek-Gateway-Lane", name],
      ["Ek-Gateway-Lane", `${name}/`],
      ["Ek-Gateway-Lane", `${name}/4294967296`],
      ["Ek-Gateway-Lane", `${name}/-1`],
      ["Ek-Gateway-Lane", `${name}0/1`],
      ["Ek-Gateway-Shared", name.slice(1)],
      ["Ek-Gateway-Shared", `${name}/1`],
      ["Ek-Gateway-Shared", name.toUpperCase()],
    ] as const;
    const { length } = ensemble.connections;
    for (const [header, value] of bad)
      expect([value, (await ask(header, value)).status]).toEqual([value, 400]);
    expect(ensemble.connections).toHaveLength(length);
    // Only the Worker says so.
    expect((await ask("Ek-Shared", name)).status).toBe(101);
    expect(ensemble.connections.at(-1)?.headers.get("ek-shared")).toBe(null);
  });

  test("worker: a certificate is believed of nobody else", async () => {
    const claim = { ...upgrade, "Ek-Gateway-X509": "CN=root" };
    const held = { ...claim, Authorization: `Bearer ${token}` };
    const cases: [Record<string, string>, Record<string, string>, number][] = [
      [{ EK_OPEN_ON_LOOPBACK: "on", EK_X509: "on" }, claim, 403],
      [{ EK_TOKEN: token, EK_X509: "on" }, claim, 401],
      [{ EK_TOKEN: token }, held, 403],
      [{ EK_TOKEN: token, EK_X509: "on" }, { ...held, "Ek-Gateway-X509": "%zz" }, 400],
      [{ EK_TOKEN: token, EK_X509: "on" }, { ...held, "Ek-Gateway-X509": `CN=${"x".repeat(510)}` }, 400],
    ];
    for (const [vars, headers, status] of cases) {
      problemIn(await clientOf(ensemble, vars)("GET /v1/main/connect", { headers }), { status });
    }
    expect(ensemble.connections).toEqual([]);
    const longest = { ...held, "Ek-Gateway-X509": `CN=${"x".repeat(509)}` };
    send = clientOf(ensemble, { EK_TOKEN: token, EK_X509: "on" });
    expect((await send("GET /v1/main/connect", { headers: longest })).status).toBe(101);
  });

  test("worker: connect hands over nothing of the client's but its address", async () => {
    send = clientOf(ensemble, { EK_TOKEN: token });
    const sent = await send("GET https://zk.example/v1/main/connect", {
      headers: {
        Upgrade: "WebSocket",
        "Sec-WebSocket-Protocol": `zookeeper, bearer.${Buffer.from(token).toString("base64url")}`,
        "CF-Connecting-IP": "10.1.2.3",
        "Ek-Remote-Address": "127.0.0.1",
        "Ek-Remote-Port": "7",
        "Ek-Remote-X509": "CN=root",
        "Ek-Must-Show-Token": "no",
        Cookie: "session=1",
      },
    });
    expect(sent.status).toBe(101);
    const [connection] = ensemble.connections;
    expect(connection?.url).toBe("https://member/v1/main/connect");
    expect(Object.fromEntries(connection?.headers ?? [])).toEqual({
      upgrade: "websocket",
      "sec-websocket-protocol": "zookeeper",
      "ek-remote-address": "10.1.2.3",
      "ek-remote-port": "0",
    });
  });

  test.each([
    ["leader", 1, null],
    ["2", 2, "any"],
    ["1", 1, "any"],
    ["nearest", 1, "any"],
  ])("worker: connect?member=%s asks member %d", async (member, id, header) => {
    expect((await send(`GET /v1/main/connect?member=${member}`, { headers: upgrade })).status).toBe(101);
    expect(ensemble.callsOf("fetch").map((call) => call.member)).toEqual([id]);
    expect(ensemble.connections[0]?.headers.get("Ek-Member")).toBe(header);
  });

  test("worker: connect takes the token as bearer header too", async () => {
    send = clientOf(ensemble, { EK_TOKEN: token });
    const headers = { ...upgrade, Authorization: `Bearer ${token}` };
    expect((await send("GET /v1/main/connect", { headers })).status).toBe(101);
  });

  test.each([
    "zookeeper",
    "zookeeper, bearer.",
    "zookeeper, bearer.%%%",
    `zookeeper, bearer.${btoa("wrong")}`,
  ])("worker: connect with the subprotocols %s and EK_TOKEN answers 401", async (protocols) => {
    send = clientOf(ensemble, { EK_TOKEN: token });
    const headers = { Upgrade: "websocket", "Sec-WebSocket-Protocol": protocols };
    problemIn(await send("GET /v1/main/connect", { headers }), { status: 401 });
    expect(ensemble.connections).toEqual([]);
  });

  test("worker: connect without an upgrade answers 426 and names it", async () => {
    const sent = await send("GET /v1/main/connect");
    problemIn(sent, { status: 426, type: "/problems/upgrade-required" });
    expect(sent.headers.get("Upgrade")).toBe("websocket");
  });

  test.each([
    {},
    { "Sec-WebSocket-Protocol": "edgekeeper.json" },
    { "Sec-WebSocket-Protocol": "zookeepers" },
  ])("worker: connect offering %o answers 400", async (headers) => {
    const sent = await send("GET /v1/main/connect", { headers: { Upgrade: "websocket", ...headers } });
    expect(problemIn(sent, { status: 400 })).toContain('"zookeeper"');
    expect(ensemble.connections).toEqual([]);
  });

  test("worker: connect follows a 421 to the member it names", async () => {
    await send("GET /v1/main/connect", { headers: upgrade });
    ensemble.leader = makeServerId(3);
    expect((await send("GET /v1/main/connect", { headers: upgrade })).status).toBe(101);
    expect(ensemble.callsOf("fetch").map((call) => call.member)).toEqual([1, 1, 3]);
  });

  test.each([
    ["a member that throws", "throw"],
    ["a member that hangs", "hang"],
    ["a member without a leader", { answer: { status: 421, headers: new Headers({ "Ek-Leader": "0" }) } }],
    [
      "a leader outside the ensemble",
      { answer: { status: 421, headers: new Headers({ "Ek-Leader": "9" }) } },
    ],
    ["a member that is not ready", { answer: { status: 503, headers: new Headers() } }],
  ] as const)("worker: connect tries again after %s", async (_, fault) => {
    ensemble.member(1).fail("fetch", fault);
    expect((await passTime(send("GET /v1/main/connect", { headers: upgrade }))).status).toBe(101);
    expect(ensemble.callsOf("fetch")).toHaveLength(2);
  });

  test("worker: connect to an ensemble that nobody leads answers 503", async () => {
    ensemble.elections = false;
    ensemble.leader = 0;
    const sent = await passTime(send("GET /v1/main/connect", { headers: upgrade }));
    problemIn(sent, { status: 503, codeName: "ConnectionLoss" });
    expect(sent.headers.get("Retry-After")).toBe("1");
  });

  test("worker: connect bootstraps a blank ensemble", async () => {
    ensemble = new FakeEnsemble(3, "blank");
    send = clientOf(ensemble);
    expect((await passTime(send("GET /v1/main/connect", { headers: upgrade }))).status).toBe(101);
  });

  test.each([
    [429, 429],
    [400, 500],
  ])("worker: connect refused by the member with %i answers %i", async (status, answered) => {
    ensemble.member(1).fail("fetch", { answer: { status, headers: new Headers() } });
    problemIn(await send("GET /v1/main/connect", { headers: upgrade }), { status: answered });
  });
});
