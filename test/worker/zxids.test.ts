/**
 * Proves that whatever a member had a part in says as of when it is, done or refused, and that nobody is shown
 * less than they say they have seen: for every operation of the OpenAPI document.
 */

import { beforeEach, describe, expect, test } from "vitest";
import { operations } from "../../scripts/openapi/operations.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble, fakePassword } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;
let session: string;
const id = "0".repeat(32);

beforeEach(async () => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
  ensemble.plant("/a", "x");
  session = String((await send("POST /v1/main/sessions")).json()["session"]);
  for (const [route, order] of Object.entries({ locks: {}, elections: {}, semaphores: { seats: 1 } }))
    await send(`POST /v1/main/${route}/${route}`, { body: JSON.stringify({ id, ...order }) });
});

const done: Readonly<Record<string, readonly [line: string, body?: string]>> = {
  getZnode: ["GET znodes/a"],
  putZnode: ["PUT znodes/a", "y"],
  postZnode: ["POST znodes/s-"],
  deleteZnode: ["DELETE znodes/a"],
  postTransaction: ["POST transactions", '[{"op":"check","path":"/a"}]'],
  postSession: ["POST sessions"],
  getSession: ["GET sessions/{session}"],
  putSession: ["PUT sessions/{session}"],
  deleteSession: ["DELETE sessions/{session}"],
  getLock: ["GET locks/locks"],
  postLock: ["POST locks/other"],
  putLock: [`PUT locks/locks?id=${id}`],
  deleteLock: [`DELETE locks/locks?id=${id}`],
  getElection: ["GET elections/elections"],
  postElection: ["POST elections/other"],
  putElection: [`PUT elections/elections?id=${id}`],
  deleteElection: [`DELETE elections/elections?id=${id}`],
  getSemaphore: ["GET semaphores/semaphores"],
  postSemaphore: ["POST semaphores/other", '{"seats":1}'],
  putSemaphore: [`PUT semaphores/semaphores?id=${id}`],
  deleteSemaphore: [`DELETE semaphores/semaphores?id=${id}`],
  getMembers: ["GET members"],
  postMember: ["POST members", '{"id":4}'],
  deleteMember: ["DELETE members/3"],
  getAdminCommand: ["GET admin/commands/srvr"],
  postAdminCommand: ["POST admin/commands/srvr"],
  getAdminWord: ["GET admin/words/srvr"],
};

const refused: [line: string, status: number, body?: string][] = [
  ["GET znodes/none", 404],
  ["GET znodes/none?acl", 404],
  ["GET znodes/none?children", 404],
  ["DELETE znodes/none?recursive", 404],
  ["POST transactions", 412, '[{"op":"check","path":"/none"}]'],
  ["POST locks/locks", 409],
  ["POST locks/locks?revoke=0x7", 412],
  [`PUT locks/none?id=${id}`, 404],
  [`DELETE locks/none?id=${id}`, 404],
  ["POST elections/elections", 409],
  [`DELETE elections/none?id=${id}`, 404],
  ["POST semaphores/semaphores", 409, '{"seats":1}'],
  [`PUT semaphores/none?id=${id}`, 404],
];

/** What no member is asked for, and what goes on after its answer has begun (`streams.workerd.test.ts`). */
const undated = ["getAdmin", "getConnect", "getWatchSocket", "getWatchEvents", "getAdminSnapshot"];

function lineAt(line: string): string {
  return line.replace(" ", " /v1/main/").replace("{session}", session.split(":")[0] ?? "");
}

const headers = () => ({ "Ek-Session": session });

describe("worker: Ek-Zxid", () => {
  test("worker: Ek-Zxid: every operation is looked at", () => {
    const ids = operations.filter(({ open }) => open !== true).map((operation) => operation.id);
    expect(ids.filter((one) => done[one] === undefined && !undated.includes(one))).toEqual([]);
  });

  test.each(Object.entries(done))("worker: Ek-Zxid: %s has it", async (name, [line, body]) => {
    const needsSession = name.includes("Session");
    const init = { ...(needsSession && { headers: headers() }), ...(body !== undefined && { body }) };
    const sent = await send(lineAt(line), init);
    expect(sent.status).toBeLessThan(300);
    expect(sent.headers.get("Ek-Zxid")).toMatch(/^0x[1-9a-f]/);
  });

  test.each(refused)("worker: Ek-Zxid: %s, refused with %i, has it", async (line, status, body) => {
    const sent = await send(lineAt(line), body === undefined ? {} : { body });
    expect([sent.status, sent.headers.get("Ek-Zxid")]).toEqual([status, expect.stringMatching(/^0x/)]);
  });

  test("worker: Ek-Zxid: so has a session that is not the caller's", async () => {
    const wrong = { "Ek-Session": session.replace(fakePassword, "f".repeat(32)) };
    const lines = ["GET znodes/a", "GET sessions/{session}", "POST locks/x", "POST semaphores/x"];
    for (const line of lines) {
      const body = line.includes("semaphores") ? { body: '{"seats":1}' } : {};
      const sent = await send(lineAt(line), { headers: wrong, ...body });
      expect([sent.status, sent.headers.get("Ek-Zxid")]).toEqual([401, expect.stringMatching(/^0x/)]);
    }
  });
});

describe("worker: Ek-Session-Zxid", () => {
  const reads = Object.entries(done).filter(([, [line]]) => line.startsWith("GET"));

  test.each(reads)("worker: Ek-Session-Zxid: %s shows what was seen, and never less", async (_, [line]) => {
    const seen = (await send(lineAt(line), { headers: headers() })).headers.get("Ek-Zxid") ?? "";
    const again = await send(lineAt(line), { headers: { ...headers(), "Ek-Session-Zxid": seen } });
    expect(again.status).toBe(200);
    const late = await send(lineAt(line), { headers: { ...headers(), "Ek-Session-Zxid": "0x900000000" } });
    expect(problemIn(late, { status: 412, type: "/problems/behind", zxid: seen })).toContain("0x900000000");
    expect(late.headers.get("Ek-Zxid")).toBe(seen);
  });
});
