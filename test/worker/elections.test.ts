/**
 * Proves what elections over HTTP say and refuse: through the app, against a fake ensemble. That leaders follow one
 * another is the lock's affair, and `http-sessions.workerd.test.ts` shows it.
 */

import { beforeEach, describe, expect, test } from "vitest";
import type { LockRequest } from "../../src/objects/index.ts";
import { candidateBytesMax, waitMsMax } from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

const url = "/v1/main/elections/crown";

function requests(): readonly LockRequest[] {
  return ensemble.callsOf("acquireLock").map(({ argument }) => argument as LockRequest);
}

describe("worker: elections", () => {
  test("worker: elections: stood, shown, kept and resigned", async () => {
    const elected = await send(`POST ${url}`, { body: '{"candidate": "node-1", "ttl": "1m"}' });
    expect(elected.status).toBe(201);
    const { id } = elected.json();
    const leadership = { id, token: "0x100000001", path: "/crown", ttl_ms: 60_000 };
    expect(elected.json()).toMatchObject({ ...leadership, candidate: "node-1" });
    expect(requests()).toMatchObject([{ path: "/crown", mode: "exclusive", ttlMs: 60_000, owner: "node-1" }]);
    const shown = await send(`GET ${url}`);
    expect(shown.json()).toMatchObject({
      leader: { name: expect.stringMatching(/^ek-/), candidate: "node-1", token: "0x100000001" },
      candidates: [],
      zxid: "0x100000001",
    });
    expect(shown.headers.get("Ek-Zxid")).toBe("0x100000001");
    expect((await send(`PUT ${url}?id=${id}`)).json()).toMatchObject({ id, token: "0x100000001" });
    const second = await send(`POST ${url}`, { body: '{"candidate": "node-2"}' });
    problemIn(second, {
      status: 409,
      leader: expect.objectContaining({ candidate: "node-1" }),
      candidates: [],
    });
    expect((await send(`DELETE ${url}?id=${id}`)).status).toBe(204);
    problemIn(await send(`DELETE ${url}?id=${id}`), { status: 404 });
    problemIn(await send(`PUT ${url}?id=${id}`), { status: 404 });
    expect((await send(`GET ${url}`)).json()).toMatchObject({ leader: null, candidates: [] });
  });

  test("worker: elections: a lost answer elects nobody twice, and resigns nobody twice", async () => {
    ensemble.member(1).fail("acquireLock", "throwAfter");
    const { id } = (await send(`POST ${url}`)).json();
    expect(ensemble.locks).toHaveLength(1);
    ensemble.member(1).fail("releaseLock", "throwAfter");
    expect((await send(`DELETE ${url}?id=${id}`)).status).toBe(204);
  });

  test.each([
    ["the longest candidate", { candidate: "c".repeat(candidateBytesMax) }, 201],
    ["one byte longer", { candidate: "c".repeat(candidateBytesMax + 1) }, 400],
    ["half a surrogate pair", { candidate: "\ud800" }, 400],
    ["the longest wait", { wait: waitMsMax }, 201],
    ["longer", { wait: waitMsMax + 1 }, 400],
    ["no ttl", { ttl: 0 }, 400],
    ["an id", { id: "0".repeat(32) }, 201],
    ["an id that is none", { id: "x" }, 400],
    ["a mode", { mode: "shared" }, 400],
  ])("worker: elections: %s", async (_, body, status) => {
    const sent = await send(`POST ${url}`, { body: JSON.stringify(body) });
    expect(sent.status).toBe(status);
    expect(requests()).toHaveLength(status === 201 ? 1 : 0);
  });

  test.each(["POST /v1/main/elections/", `PUT ${url}`, `DELETE ${url}?id=x`, `GET ${url}?id=x`])(
    "worker: elections: %s is refused",
    async (line) => {
      problemIn(await send(line), { status: 400 });
      expect(ensemble.calls).toEqual([]);
    },
  );
});
