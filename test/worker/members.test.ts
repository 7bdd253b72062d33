/**
 * Proves what `/members` shows of members in every state, and that looking changes nothing.
 */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { clientOf, problemIn } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("worker: GET members shows role, phase, epoch and zxids of each", async () => {
  const sent = await clientOf(new FakeEnsemble())("GET /v1/main/members");
  expect(sent.status).toBe(200);
  const follower = {
    reachable: true,
    role: "following",
    phase: "broadcast",
    serving: true,
    leader: 1,
    epoch: 1,
    last_logged_zxid: "0x100000000",
    last_committed_zxid: "0x100000000",
    last_applied_zxid: "0x100000000",
    bootstrap: "active",
    voters: [1, 2, 3],
    observers: [],
    config_version: "0x0",
    incarnation: 1,
    sessions: 0,
    connections: 0,
    unreadable_messages: 0,
  };
  expect(sent.json()).toEqual({
    ensemble: "main",
    leader: 1,
    members: [
      { ...follower, id: 1, role: "leading" },
      { ...follower, id: 2 },
      { ...follower, id: 3 },
    ],
  });
});

test("worker: GET members says why a member is not reachable or not well, in bounded time", async () => {
  const ensemble = new FakeEnsemble(5);
  ensemble.member(2).down = "throw";
  ensemble.member(3).down = "hang";
  ensemble.member(4).bootstrap = "blank";
  ensemble.member(5).claims = { bootstrap: "halted", halted: "its log is torn" };
  const answer = clientOf(ensemble)("GET /v1/main/members");
  await vi.advanceTimersByTimeAsync(1_600);
  expect((await answer).json()).toMatchObject({
    members: [
      { id: 1, reachable: true },
      { id: 2, reachable: false, failure: "the call failed" },
      { id: 3, reachable: false, failure: "no answer within 1500 ms" },
      { id: 4, reachable: true, failure: "blank: storage lost" },
      { id: 5, reachable: true, failure: "halted: its log is torn" },
    ],
  });
});

test("worker: GET members of a blank ensemble shows it blank and bootstraps nothing", async () => {
  const ensemble = new FakeEnsemble(3, "blank");
  const sent = await clientOf(ensemble)("GET /v1/main/members");
  expect(sent.json()).toMatchObject({ leader: null, members: [{ bootstrap: "blank" }, {}, {}] });
  expect(sent.text).not.toContain("storage lost");
  expect(ensemble.calls.every((call) => call.method === "inspect")).toBe(true);
});

test("worker: GET members with a query answers 400", async () => {
  problemIn(await clientOf(new FakeEnsemble())("GET /v1/main/members?all"), { status: 400 });
});
