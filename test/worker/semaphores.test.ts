/**
 * Proves what the semaphore routes answer, which orders they refuse, and that a call which is repeated takes no
 * second seat. Who waits, and for whom, is the members' affair (`test/objects/semaphores.test.ts`).
 */

import { beforeEach, expect, test } from "vitest";
import { ZkErrorCode } from "../../src/base/index.ts";
import { ownerBytesMax, seatsMax, waitMsMax } from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

const url = "/v1/main/semaphores/gpu";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

const order = (fields: Record<string, unknown>): RequestInit => ({ body: JSON.stringify(fields) });

test("worker: semaphores: a seat is taken, shown, kept and given back, all dated", async () => {
  const taken = await send(`POST ${url}`, order({ seats: 2, ttl: "1m", owner: "me" }));
  const { id, token } = taken.json();
  expect([taken.status, taken.headers.get("Ek-Zxid")]).toEqual([201, token]);
  expect(taken.json()).toEqual({
    ...{ id: expect.stringMatching(/^[0-9a-f]{32}$/), token: "0x100000001", path: "/gpu", ttl_ms: 60_000 },
    expires_at: "2026-11-01T00:01:00.000Z",
  });
  const shown = await send(`GET ${url}`);
  expect(shown.json()).toMatchObject({ path: "/gpu", seats: 2, taken: 1, holders: [{ owner: "me", token }] });
  expect([shown.headers.get("Ek-Zxid"), shown.text.includes(String(id))]).toEqual([token, false]);
  expect((await send(`PUT ${url}?id=${id}`)).json()).toMatchObject({ id, token });
  expect((await send(`DELETE ${url}?id=${id}`)).status).toBe(204);
  for (const method of ["PUT", "DELETE"])
    problemIn(await send(`${method} ${url}?id=${id}`), { status: 404, type: "/problems/seat-gone" });
});

test("worker: semaphores: one that is not there has no seats", async () => {
  const shown = (await send(`GET ${url}`)).json();
  expect(shown).toEqual({ path: "/gpu", seats: null, taken: 0, holders: [], queue: [], zxid: "0x100000000" });
});

test("worker: semaphores: who finds all taken is told by whom, and of another count", async () => {
  await send(`POST ${url}`, order({ seats: 1, owner: "me" }));
  const full = await send(`POST ${url}`, order({ seats: 1, wait: "0s" }));
  const holders = [expect.objectContaining({ owner: "me" })];
  problemIn(full, { status: 409, type: "/problems/seats-taken", taken: 1, holders, queue: [] });
  const other = await send(`POST ${url}`, order({ seats: 3 }));
  expect(problemIn(other, { status: 409, type: "/problems/other-seats", seats: 1 })).toBe(
    'Cannot take a seat of "/gpu": others count on 1 seats, not 3',
  );
});

test("worker: semaphores: POST that is repeated takes one seat", async () => {
  ensemble.member(1).fail("takeSeat", "throwAfter");
  const { id } = (await send(`POST ${url}`, order({ seats: 2 }))).json();
  expect(ensemble.locks).toHaveLength(1);
  await send(`POST ${url}`, order({ seats: 2, id }));
  expect(ensemble.locks).toHaveLength(1);
  ensemble.member(1).fail("releaseSeat", "throwAfter");
  expect((await send(`DELETE ${url}?id=${id}`)).status).toBe(204);
});

test("worker: semaphores: what a member refuses says which znode was at fault", async () => {
  const outcome = { err: ZkErrorCode.NoAuth };
  const answer = { kind: "refused", outcome, path: "/gpu/leases", zxid: "0x5" };
  ensemble.member(1).fail("takeSeat", { answer });
  const refused = await send(`POST ${url}`, order({ seats: 1 }));
  problemIn(refused, { status: 403, codeName: "NoAuth", path: "/gpu/leases" });
  expect(refused.headers.get("Ek-Zxid")).toBe("0x5");
  ensemble.member(1).fail("takeSeat", { answer: { kind: "gone", zxid: "0x5" } });
  problemIn(await send(`POST ${url}`, order({ seats: 1 })), { status: 409 });
  ensemble.member(1).fail("keepSeat", { answer: { kind: "foreign", zxid: "0x5" } });
  problemIn(await send(`PUT ${url}?id=${"0".repeat(32)}`), { status: 401, codeName: "AuthFailed" });
});

test.each<[Record<string, unknown>, number]>([
  [{ seats: seatsMax, wait: waitMsMax, owner: "o".repeat(ownerBytesMax), id: "0".repeat(32) }, 201],
  [{ seats: seatsMax + 1 }, 400],
  [{ seats: 0 }, 400],
  [{ seats: "2" }, 400],
  [{}, 400],
  [{ seats: 1, owner: "o".repeat(ownerBytesMax + 1) }, 400],
  [{ seats: 1, owner: 7 }, 400],
  [{ seats: 1, wait: waitMsMax + 1 }, 400],
  [{ seats: 1, ttl: "1" }, 400],
  [{ seats: 1, id: "x" }, 400],
  [{ seats: 1, mode: "shared" }, 400],
])("worker: semaphores: POST %j is %i", async (fields, status) => {
  const sent = await send(`POST ${url}`, order(fields));
  expect(sent.status).toBe(status);
  if (status === 400) expect(ensemble.calls).toEqual([]);
});

test("worker: semaphores: in a session of the caller's its ttl counts, and its password is shown", async () => {
  const opened = (await send("POST /v1/main/sessions")).json();
  const headers = { "Ek-Session": String(opened["session"]) };
  const { id } = (await send(`POST ${url}`, { headers, ...order({ seats: 1 }) })).json();
  expect((await send(`PUT ${url}?id=${id}`, { headers })).status).toBe(200);
  expect((await send(`DELETE ${url}?id=${id}`, { headers })).status).toBe(204);
  for (const method of ["takeSeat", "keepSeat", "releaseSeat"] as const)
    expect(ensemble.callsOf(method)[0]?.argument).toMatchObject({ session: { id: opened["id"] } });
  problemIn(await send(`POST ${url}`, { headers, ...order({ seats: 1, ttl: "1m" }) }), { status: 400 });
});

test.each(["POST /v1/main/semaphores/", `PUT ${url}`, `DELETE ${url}?id=x`, `GET ${url}?id=x`])(
  "worker: semaphores: %s is 400, and nobody is asked",
  async (line) => {
    problemIn(await send(line), { status: 400 });
    expect(ensemble.calls).toEqual([]);
  },
);
