/**
 * Proves what the lock routes answer, which orders they refuse, and that repeating a call never takes a
 * second place in the queue.
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ZkErrorCode } from "../../src/base/index.ts";
import { placeOf } from "../../src/worker/lock-ids.ts";
import { clientOf, problemIn, type Send, type Sent } from "./client.ts";
import { FakeEnsemble, type Fault } from "./fake-ensemble.ts";

const lockPath = "/v1/main/locks/jobs/42";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  vi.useFakeTimers();
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

afterEach(() => {
  vi.useRealTimers();
});

/** Sends, and lets the worker's time pass until there is an answer. */
async function passTime(sending: () => Promise<Sent>): Promise<Sent> {
  const before = ensemble.calls.length;
  let answered = false;
  const answer = sending().finally(() => {
    answered = true;
  });
  // An id is digested in real time: until the member is called no other time may pass.
  await vi.waitFor(() => expect(ensemble.calls.length).toBeGreaterThan(before));
  while (!answered) await vi.advanceTimersByTimeAsync(50);
  return answer;
}

function order(fields: Record<string, unknown> = {}): RequestInit {
  return { body: JSON.stringify(fields) };
}

async function lock(fields: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  const sent = await send(`POST ${lockPath}`, order(fields));
  expect(sent.status).toBe(201);
  return sent.json();
}

describe("worker: POST a lock", () => {
  test("worker: POST answers 201 with id, token and expiry", async () => {
    const sent = await send(`POST ${lockPath}`, order({ mode: "exclusive", ttl: "30s", wait: "10s" }));
    expect(sent.status).toBe(201);
    expect(sent.json()).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      token: "0x100000001",
      mode: "exclusive",
      path: "/jobs/42",
      ttl_ms: 30_000,
      expires_at: "2026-11-01T00:00:30.000Z",
    });
  });

  test("worker: POST with an empty body asks for an exclusive lock of 30 s without waiting", async () => {
    expect((await send(`POST ${lockPath}`)).status).toBe(201);
    expect(ensemble.callsOf("acquireLock").at(-1)?.argument).toMatchObject({
      path: "/jobs/42",
      mode: "exclusive",
      ttlMs: 30_000,
      waitMs: 0,
      owner: "",
      identities: [{ scheme: "ip", id: "127.0.0.1" }],
    });
  });

  test("worker: two POSTs take two ids", async () => {
    const [first, second] = [await lock({ mode: "shared" }), await lock({ mode: "shared" })];
    expect(first).not.toMatchObject({ id: second["id"] });
  });

  test("worker: POST that is not granted in time answers 409 and shows who is in front", async () => {
    await lock({ owner: "worker-1" });
    const sent = await send(`POST ${lockPath}`, order({ wait: "2s" }));
    const detail = problemIn(sent, {
      status: 409,
      type: "/problems/lock-held",
      path: "/jobs/42",
      holders: [
        {
          name: expect.stringMatching(/^ek-[0-9a-f]{32}__lock__[0-9]{10}$/),
          mode: "exclusive",
          owner: "worker-1",
          token: "0x100000001",
          since: "2026-11-01T00:00:00.000Z",
        },
      ],
      queue: [],
    });
    expect(detail).toBe('Cannot lock "/jobs/42": it was not granted within 2s');
  });

  test("worker: POST that gives up does not list the place it has given up", async () => {
    const id = "0123456789abcdef0123456789abcdef";
    const own = {
      id: await placeOf(id),
      mode: "exclusive",
      holds: false,
      owner: "",
      token: "0x2",
      sinceMs: 0,
    };
    ensemble.member(1).fail("acquireLock", { answer: { kind: "timedOut", contenders: [own] } });
    problemIn(await send(`POST ${lockPath}`, order({ id })), { status: 409, holders: [], queue: [] });
  });

  test("worker: POST whose place is lost while it waits answers 409", async () => {
    ensemble.member(1).fail("acquireLock", { answer: { kind: "gone" } });
    problemIn(await send(`POST ${lockPath}`), { status: 409, type: "/problems/lock-place-lost" });
  });

  test.each([
    ["{", "not a JSON object"],
    ["[]", "not a JSON object"],
    ["null", "not a JSON object"],
    ["\u0000", "not a JSON object"],
    ['{"mode": "write"}', '"mode"'],
    ['{"mode": null}', '"mode"'],
    ['{"ttl": "999ms"}', '"ttl"'],
    ['{"ttl": "601s"}', '"ttl"'],
    ['{"ttl": "forever"}', '"ttl"'],
    ['{"wait": "61s"}', '"wait"'],
    ['{"wait": -1}', '"wait"'],
    ['{"lock_delay": "601s"}', '"lock_delay"'],
    ['{"lock_delay": -1}', '"lock_delay"'],
    ['{"owner": 7}', '"owner"'],
    ['{"owner": "\\ud800"}', '"owner"'],
    [JSON.stringify({ owner: "é".repeat(513) }), '"owner"'],
    ['{"id": "x"}', '"id"'],
    [JSON.stringify({ id: "A".repeat(32) }), '"id"'],
    ['{"tll": "30s"}', '"tll"'],
    ['{"__proto__": {}}', '"__proto__"'],
  ])("worker: POST %s answers 400 naming what is wrong", async (body, named) => {
    const detail = problemIn(await send(`POST ${lockPath}`, { body }), { status: 400, path: "/jobs/42" });
    expect(detail).toContain(named);
    expect(ensemble.calls).toEqual([]);
  });

  test.each([
    { ttl: "1s" },
    { ttl: 600_000, wait: 60_000, lock_delay: "10m" },
    { owner: "é".repeat(512) },
    { id: "0123456789abcdef0123456789abcdef" },
  ])("worker: POST %o is at the edge of what is allowed", async (fields) => {
    await lock(fields);
  });

  test("worker: POST of more than 16 KiB answers 413", async () => {
    problemIn(await send(`POST ${lockPath}`, { body: " ".repeat(16_385) }), { status: 413 });
  });

  test("worker: POST on the root, a bad path or with a query answers 400", async () => {
    for (const path of ["/v1/main/locks", "/v1/main/locks/", "/v1/main/locks/a//b", `${lockPath}?ttl=30s`]) {
      problemIn(await send(`POST ${path}`), { status: 400 });
    }
    expect(ensemble.calls).toEqual([]);
  });

  test("worker: POST refused by an ACL answers 403 and names the znode", async () => {
    const outcome = { err: ZkErrorCode.NoAuth };
    ensemble.member(1).fail("acquireLock", { answer: { kind: "refused", outcome, path: "/jobs" } });
    const detail = problemIn(await send(`POST ${lockPath}`), {
      status: 403,
      codeName: "NoAuth",
      path: "/jobs",
    });
    expect(detail).toBe('Cannot lock "/jobs/42": "/jobs" was refused');
  });
});

describe("worker: repeating lock calls", () => {
  test.each(["throw", "throwAfter", "hangAfter", { answer: { kind: "unknown" } }] as const)(
    "worker: POST after %o is repeated under the same id, and takes one place",
    async (fault: Fault) => {
      ensemble.member(1).fail("acquireLock", fault);
      const sent = await passTime(() => send(`POST ${lockPath}`, order({ wait: "3s" })));
      expect(sent.status).toBe(201);
      expect(ensemble.locks).toHaveLength(1);
      expect(ensemble.callsOf("acquireLock")).toHaveLength(2);
    },
  );

  test("worker: POST that is repeated waits only for what is left of its wait", async () => {
    ensemble.member(1).fail("acquireLock", "hang");
    await passTime(() => send(`POST ${lockPath}`, order({ wait: "3s" })));
    const waits = ensemble.callsOf("acquireLock").map((call) => call.argument);
    expect(waits).toMatchObject([{ waitMs: 3_000 }, { waitMs: 0 }]);
  });

  test("worker: POST of unknown outcome answers 504 with the id, to release or repeat", async () => {
    ensemble.member(1).fail("acquireLock", ...Array.from({ length: 100 }, () => "throw" as const));
    const id = "0123456789abcdef0123456789abcdef";
    const sent = await passTime(() => send(`POST ${lockPath}`, order({ id })));
    const detail = problemIn(sent, { status: 504, codeName: "OperationTimeout", id });
    expect(detail).toContain("same id");
  });

  test("worker: DELETE that may have worked the first time answers 204 when the lock is gone", async () => {
    const { id } = await lock();
    ensemble.member(1).fail("releaseLock", "throwAfter");
    expect((await passTime(() => send(`DELETE ${lockPath}?id=${id}`))).status).toBe(204);
    expect(ensemble.callsOf("releaseLock")).toHaveLength(2);
  });
});

describe("worker: keeping, releasing and showing a lock", () => {
  test("worker: PUT ?id= answers the new expiry", async () => {
    const { id, token } = await lock();
    const sent = await send(`PUT ${lockPath}?id=${id}`);
    expect(sent.status).toBe(200);
    expect(sent.json()).toMatchObject({ id, token, expires_at: "2026-11-01T00:00:30.000Z" });
  });

  test("worker: DELETE ?id= releases, and then the lock is gone", async () => {
    const { id } = await lock();
    expect(await send(`DELETE ${lockPath}?id=${id}`)).toMatchObject({ status: 204, text: "" });
    for (const method of ["DELETE", "PUT"]) {
      problemIn(await send(`${method} ${lockPath}?id=${id}`), { status: 404, type: "/problems/lock-gone" });
    }
  });

  test("worker: PUT of a lock that still waits answers 409", async () => {
    ensemble.member(1).fail("keepLock", { answer: { kind: "timedOut", contenders: [] } });
    problemIn(await send(`PUT ${lockPath}?id=${"a".repeat(32)}`), {
      status: 409,
      type: "/problems/lock-held",
    });
  });

  test.each(["", "?id=", "?id=xyz", `?id=${"a".repeat(33)}`, `?id=${"a".repeat(32)}&x=1`])(
    "worker: PUT and DELETE %s answer 400",
    async (query) => {
      for (const method of ["PUT", "DELETE"])
        problemIn(await send(`${method} ${lockPath}${query}`), { status: 400 });
      expect(ensemble.calls).toEqual([]);
    },
  );

  test("worker: GET shows holders and queue", async () => {
    await lock({ owner: "me" });
    const waiting = {
      id: "lock-0000000007",
      name: "lock-0000000007",
      mode: "shared",
      holds: false,
      owner: "",
      isRevoked: false,
      token: "0x2",
      sinceMs: 0,
    };
    ensemble.locks.push({ ...waiting, mode: "shared", path: "/jobs/42" });
    const sent = await send(`GET ${lockPath}`);
    expect(sent.json()).toMatchObject({
      path: "/jobs/42",
      holders: [{ owner: "me", token: "0x100000001" }],
      queue: [{ name: "lock-0000000007", mode: "shared", since: "1970-01-01T00:00:00.000Z" }],
      zxid: "0x100000001",
    });
  });
});

describe("worker: the id of a lock is its owner's secret", () => {
  const lists = (route: string) => [`GET /v1/main/${route}/jobs/42`, `POST /v1/main/${route}/jobs/42`];

  test.each(["locks", "elections"])("worker: nothing that %s show to others has it", async (route) => {
    const path = `/v1/main/${route}/jobs/42`;
    const { id } = (await send(`POST ${path}`)).json();
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    for (const line of lists(route)) expect((await send(line)).text).not.toContain(id);
    // Nor do members, or the tree that all clients share, ever hear it.
    expect(JSON.stringify([ensemble.calls, ensemble.locks])).not.toContain(id);
  });

  test.each(["locks", "elections"])("worker: what %s show gives nobody the lock", async (route) => {
    const path = `/v1/main/${route}/jobs/42`;
    const { id, token } = (await send(`POST ${path}`)).json();
    const shown = (await send(`GET ${path}`)).text;
    const seen = new Set(shown.match(/[0-9a-f]{32}/g));
    expect(seen.size).toBe(1);
    for (const [stolen] of seen.entries()) {
      for (const method of ["PUT", "DELETE"])
        problemIn(await send(`${method} ${path}?id=${stolen}`), { status: 404 });
      problemIn(await send(`POST ${path}`, order({ id: stolen })), { status: 409 });
    }
    expect((await send(`POST ${path}`, order({ id }))).json()).toMatchObject({ id, token });
    expect((await send(`DELETE ${path}?id=${id}`)).status).toBe(204);
  });
});

describe("worker: a lock under Ek-Session", () => {
  async function open(): Promise<{ readonly id: string; readonly headers: Record<string, string> }> {
    const opened = (await send("POST /v1/main/sessions")).json();
    return { id: String(opened["id"]), headers: { "Ek-Session": String(opened["session"]) } };
  }

  test("worker: it is asked for, kept and released in the session's name, and dated", async () => {
    const { id: sessionId, headers } = await open();
    const sent = await send(`POST ${lockPath}`, { headers });
    expect([sent.status, sent.headers.get("Ek-Zxid")]).toEqual([201, "0x100000002"]);
    const of = `${lockPath}?id=${sent.json()["id"]}`;
    const kept = await send(`PUT ${of}`, { headers });
    expect([kept.status, kept.headers.get("Ek-Zxid")]).toEqual([200, "0x100000002"]);
    const released = await send(`DELETE ${of}`, { headers });
    expect([released.status, released.headers.get("Ek-Zxid")]).toEqual([204, "0x100000002"]);
    const gone = await send(`DELETE ${of}`, { headers });
    expect([gone.status, gone.headers.get("Ek-Zxid")]).toEqual([404, "0x100000002"]);
    for (const method of ["acquireLock", "keepLock", "releaseLock"] as const) {
      expect(ensemble.callsOf(method)[0]?.argument).toMatchObject({ session: { id: sessionId } });
    }
  });

  test.each([lockPath, "/v1/main/elections/crown"])(
    "worker: POST %s refuses a ttl beside it, a header that is none, a foreign session and an ended one",
    async (path) => {
      const { id, headers } = await open();
      problemIn(await send(`POST ${path}`, { headers, body: '{"ttl": "30s"}' }), { status: 400 });
      problemIn(await send(`POST ${path}`, { headers: { "Ek-Session": "x" } }), { status: 400 });
      expect(ensemble.callsOf("acquireLock")).toEqual([]);
      const wrong = { "Ek-Session": `${id}:${"0".repeat(32)}` };
      problemIn(await send(`POST ${path}`, { headers: wrong }), { status: 401, codeName: "AuthFailed" });
      await send(`DELETE /v1/main/sessions/${id}`, { headers });
      problemIn(await send(`POST ${path}`, { headers }), { status: 410, codeName: "SessionExpired" });
      expect(ensemble.locks).toEqual([]);
    },
  );

  test.each([
    ["keepLock", "PUT"],
    ["releaseLock", "DELETE"],
  ] as const)("worker: what is another session's is 401 to %s", async (method, verb) => {
    for (const route of ["locks", "elections"]) {
      ensemble.member(1).fail(method, { answer: { kind: "foreign", zxid: "0x100000001" } });
      const sent = await send(`${verb} /v1/main/${route}/x?id=${"0".repeat(32)}`);
      problemIn(sent, { status: 401, type: "/problems/foreign-session", codeName: "AuthFailed" });
    }
  });
});
