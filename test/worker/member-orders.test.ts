/**
 * Orders about members: what their bodies may say, what comes of them, and how the Worker learns who the
 * members are.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeServerId, ZkErrorCode } from "../../src/base/index.ts";
import { clientOf, problemIn } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

const post = (ensemble: FakeEnsemble, body: unknown) =>
  clientOf(ensemble)(
    "POST /v1/main/members",
    typeof body === "string" ? { body } : { body: JSON.stringify(body) },
  );

describe("worker: POST members", () => {
  test("worker: hands the order to the leader, as the operator, and answers who the members are", async () => {
    const ensemble = new FakeEnsemble();
    const id = makeServerId(4);
    const members = [{ id, role: "voter", address: "member-4.weur:2888:3888" }] as const;
    ensemble.membersAnswer = { kind: "done", version: "0x100000007", members };
    const sent = await post(ensemble, { id: 4, location: "weur", replaces: 2 });
    expect(sent.status).toBe(200);
    expect(sent.json()).toEqual({ ensemble: "main", config_version: "0x100000007", members });
    expect(sent.headers.get("Ek-Zxid")).toBe("0x100000000");
    expect(ensemble.callsOf("addMember").map(({ argument }) => argument)).toEqual([
      { id: 4, role: "voter", location: "weur", replaces: 2 },
    ]);
  });

  test.each([
    ["no JSON", "x"],
    ["a list", []],
    ["no id", {}],
    ["an id of 0", { id: 0 }],
    ["an id of 255", { id: 255 }],
    ["an id in quotes", { id: "4" }],
    ["another role", { id: 4, role: "king" }],
    ["a place that is none", { id: 4, location: "mars" }],
    ["itself to replace", { id: 4, replaces: 4 }],
    ["a field that is none", { id: 4, rôle: "voter" }],
  ])("worker: %s is answered with 400, and nobody is asked", async (_, body) => {
    const ensemble = new FakeEnsemble();
    problemIn(await post(ensemble, body), { status: 400 });
    expect(ensemble.callsOf("addMember")).toEqual([]);
  });

  test("worker: one that is not done yet is answered with 503 and may be sent again", async () => {
    const ensemble = new FakeEnsemble();
    ensemble.membersAnswer = { kind: "waiting", reason: "server 4 has not caught up yet" };
    const sent = await post(ensemble, { id: 4 });
    const detail = problemIn(sent, { status: 503, codeName: "NewConfigNoQuorum" });
    expect(detail).toContain("send the same order again");
    expect(sent.headers.get("Retry-After")).toBe("1");
  });

  test.each([
    [ZkErrorCode.ReconfigDisabled, 403],
    [ZkErrorCode.ReconfigInProgress, 409],
    [ZkErrorCode.BadArguments, 400],
  ] as const)("worker: a refusal with %s is answered with %s", async (code, status) => {
    const ensemble = new FakeEnsemble();
    ensemble.membersAnswer = { kind: "refused", code, reason: "this is why" };
    expect(problemIn(await post(ensemble, { id: 4 }), { status })).toContain("this is why");
  });

  test("worker: one whose outcome is unknown is carried to the next leader", async () => {
    const ensemble = new FakeEnsemble();
    ensemble.member(1).fail("addMember", { answer: { kind: "unknown" } });
    expect((await post(ensemble, { id: 4 })).status).toBe(200);
    expect(ensemble.callsOf("addMember")).toHaveLength(2);
  });
});

describe("worker: DELETE members", () => {
  test("worker: names the member in the path", async () => {
    const ensemble = new FakeEnsemble();
    expect((await clientOf(ensemble)("DELETE /v1/main/members/3")).status).toBe(200);
    expect(ensemble.callsOf("removeMember").map(({ argument }) => argument)).toEqual([3]);
    for (const id of ["0", "255", "x", "03"]) {
      problemIn(await clientOf(ensemble)(`DELETE /v1/main/members/${id}`), { status: 400 });
    }
  });
});

describe("worker: members that have changed", () => {
  test("worker: are learnt from any member, also one that has left, and settings no longer matter", async () => {
    const ensemble = new FakeEnsemble(5);
    const voters = [3, 4, 5].map(makeServerId);
    for (const member of ensemble.members)
      member.claims = { voters, observers: [], configVersion: "0x100000009" };
    ensemble.leader = makeServerId(4);
    // The settings name three of them; two have left.
    const send = clientOf(ensemble, { EK_OPEN_ON_LOOPBACK: "on", EK_MEMBERS: "3" });
    const sent = await send("GET /v1/main/members");
    expect(sent.json()).toMatchObject({ leader: 4, members: [{ id: 3 }, { id: 4 }, { id: 5 }] });
    expect((await send("PUT /v1/main/znodes/a", { body: "x" })).status).toBe(201);
  });
});
