/**
 * Proves how an errand finds the leader, and what is tried again when a call fails: by counting the calls
 * a fake ensemble got. Time is fake, so that pauses and timeouts cost none.
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeServerId } from "../../src/base/index.ts";
import { pickLeader } from "../../src/worker/leader.ts";
import {
  electionFromMs,
  electionLookMs,
  electionToMs,
  findLeaderMs,
  pauseMsFirst,
  readMs,
  surveyGraceMs,
  suspectMs,
  writeMs,
} from "../../src/worker/limits.ts";
import { followedLeader } from "../../src/worker/succession.ts";
import { clientOf, problemIn, type Send, type Sent } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  vi.useFakeTimers();
  ensemble = new FakeEnsemble();
  ensemble.plant("/a", "x");
  send = clientOf(ensemble);
});

afterEach(() => {
  vi.useRealTimers();
});

/** Lets time pass until the answer is there. */
async function passTime(answer: Promise<Sent>): Promise<Sent> {
  let settled = false;
  void answer.finally(() => {
    settled = true;
  });
  for (let ms = 0; !settled && ms < 120_000; ms += 10) await vi.advanceTimersByTimeAsync(10);
  return answer;
}

function performedBy(): readonly number[] {
  return ensemble.callsOf("perform").map((call) => call.member);
}

describe("worker: finding the leader", () => {
  test("worker: the first request looks at the members, the next goes straight to the leader", async () => {
    ensemble.leader = makeServerId(2);
    await send("GET /v1/main/znodes/a");
    expect(ensemble.callsOf("inspect").length).toBeGreaterThan(0);
    expect(performedBy()).toEqual([2]);
    const before = ensemble.calls.length;
    await send("GET /v1/main/znodes/a");
    expect(ensemble.calls.length).toBe(before + 1);
    expect(performedBy()).toEqual([2, 2]);
  });

  test("worker: a leader that has lost its office names the next one", async () => {
    await send("GET /v1/main/znodes/a");
    ensemble.leader = makeServerId(3);
    const sent = await send("PUT /v1/main/znodes/a", { body: "y" });
    expect(sent.status).toBe(200);
    expect(performedBy()).toEqual([1, 1, 3]);
  });

  test("worker: members that name each other are asked once, then all are looked at", async () => {
    await send("GET /v1/main/znodes/a");
    ensemble.leader = makeServerId(3);
    ensemble.member(1).fail("perform", { answer: { kind: "notLeader", leader: 2 } });
    ensemble.member(2).fail("perform", { answer: { kind: "notLeader", leader: 1 } });
    expect((await passTime(send("PUT /v1/main/znodes/a", { body: "y" }))).status).toBe(200);
    expect(performedBy()).toEqual([1, 1, 2, 3]);
  });

  test("worker: without a leader the members are woken until they have elected one", async () => {
    ensemble.member(1).down = "throw";
    const sent = await passTime(send("PUT /v1/main/znodes/a", { body: "y" }));
    expect(sent.status).toBe(200);
    expect(performedBy()).toEqual([2]);
  });

  test("worker: a member that hangs does not hold up finding the leader among the others", async () => {
    ensemble.member(1).down = "hang";
    ensemble.leader = makeServerId(2);
    const answer = send("GET /v1/main/znodes/a");
    await vi.advanceTimersByTimeAsync(surveyGraceMs);
    expect((await answer).status).toBe(200);
  });

  test("worker: without a quorum a write answers 503 in bounded time, and nothing has happened", async () => {
    ensemble.member(1).down = "throw";
    ensemble.member(2).down = "hang";
    const start = Date.now();
    const sent = await passTime(send("PUT /v1/main/znodes/a", { body: "y" }));
    const detail = problemIn(sent, { status: 503, codeName: "ConnectionLoss", path: "/a" });
    expect(detail).toContain("nothing happened");
    expect(sent.headers.get("Retry-After")).toBe("1");
    expect(Date.now() - start).toBeLessThan(findLeaderMs + 2_000);
    expect(ensemble.value("/a")).toBe("x");
  });

  test("worker: the leader of the latest epoch is picked among those that say they serve", async () => {
    const status = await ensemble.member(1).inspect();
    const [old, young] = [1, 2].map((id) => ({ ...status, id: makeServerId(id), serving: true, epoch: id }));
    if (old === undefined || young === undefined) throw new Error("there are two");
    expect(pickLeader([old, young])).toBe(2);
    expect(pickLeader([young, old])).toBe(2);
    expect(pickLeader([{ ...old, serving: false }])).toBeUndefined();
  });
});

describe("worker: a leader that hangs", () => {
  /** Takes calls and answers none; what the others do about it is up to the test. */
  async function hang(): Promise<void> {
    await send("GET /v1/main/znodes/a");
    ensemble.calls.length = 0;
    ensemble.elections = false;
    ensemble.member(1).down = "hang";
  }

  test("worker: a read goes to the successor as soon as the others have one", async () => {
    await hang();
    const answer = send("GET /v1/main/znodes/a");
    await vi.advanceTimersByTimeAsync(2 * suspectMs);
    expect(performedBy()).toEqual([1]);
    ensemble.leader = makeServerId(2);
    await vi.advanceTimersByTimeAsync(suspectMs + pauseMsFirst);
    expect(performedBy()).toEqual([1, 2]);
    expect((await answer).text).toBe("x");
    const looks = ensemble.callsOf("inspect");
    expect(looks.every(({ member }) => member !== 1)).toBe(true);
    // Asleep, they would not notice that their leader is silent.
    for (const { argument } of looks) expect(argument).toEqual({ rouse: true });
  });

  test("worker: a write that was with it is not written again, and says so long before its timeout", async () => {
    await hang();
    ensemble.leader = makeServerId(2);
    const answer = send("PUT /v1/main/znodes/a", { body: "y" });
    await vi.advanceTimersByTimeAsync(suspectMs + surveyGraceMs);
    problemIn(await answer, { status: 504, codeName: "OperationTimeout" });
    expect((await send("PUT /v1/main/znodes/a", { body: "z" })).status).toBe(200);
    expect(performedBy()).toEqual([1, 2]);
  });

  test("worker: many that wait look once between them, and less often the longer they wait", async () => {
    await hang();
    const answers = Array.from({ length: 50 }, () => send("PUT /v1/main/znodes/a", { body: "y" }));
    await vi.advanceTimersByTimeAsync(suspectMs);
    expect(ensemble.callsOf("inspect").length).toBe(2);
    await vi.advanceTimersByTimeAsync(writeMs - suspectMs);
    await Promise.all(answers);
    expect(ensemble.callsOf("inspect").length).toBeLessThanOrEqual(2 * 24);
  });

  test("worker: who calls again goes on with the wait of the call before", async () => {
    await hang();
    const first = send("PUT /v1/main/znodes/a", { body: "y" });
    // Its client gives up and calls again, as the benchmark's does: just before the others have elected.
    await vi.advanceTimersByTimeAsync(electionFromMs);
    const looks = ensemble.callsOf("inspect").length;
    const second = send("GET /v1/main/znodes/a");
    await vi.advanceTimersByTimeAsync(2 * electionLookMs);
    expect(ensemble.callsOf("inspect").length).toBe(looks + 2 * 2);
    ensemble.leader = makeServerId(2);
    await vi.advanceTimersByTimeAsync(electionLookMs + surveyGraceMs + pauseMsFirst);
    problemIn(await first, { status: 504, codeName: "OperationTimeout" });
    expect((await second).text).toBe("x");
  });

  test("worker: a wait that has lasted for longer than an election is nobody else's", async () => {
    await hang();
    const first = send("PUT /v1/main/znodes/a", { body: "y" });
    await vi.advanceTimersByTimeAsync(electionToMs + electionLookMs);
    const looks = ensemble.callsOf("inspect").length;
    const second = send("GET /v1/main/znodes/a");
    await vi.advanceTimersByTimeAsync(suspectMs - 1);
    expect(ensemble.callsOf("inspect").length).toBe(looks);
    await passTime(first);
    await passTime(second);
  });

  test("worker: a leader that is slow is waited for", async () => {
    await send("GET /v1/main/znodes/a");
    ensemble.member(1).fail("perform", "hang");
    const answer = send("GET /v1/main/znodes/a");
    await vi.advanceTimersByTimeAsync(readMs - 1);
    expect(performedBy()).toEqual([1, 1]);
    await passTime(answer);
  });

  test("worker: an old leader that others still name is believed by no majority", async () => {
    const status = await ensemble.member(1).inspect();
    const voters = [1, 2, 3, 4, 5].map(makeServerId);
    const seen = voters.map((id) => {
      const leader = makeServerId(id <= 2 ? 1 : 3);
      const role = id === leader ? ("leading" as const) : ("following" as const);
      return { ...status, id, leader, role, epoch: leader, serving: true };
    });
    expect(followedLeader(seen.slice(1), voters)).toBe(3);
    expect(followedLeader(seen.slice(0, 4), voters)).toBeUndefined();
    expect(followedLeader(seen.slice(0, 2), voters)).toBeUndefined();
    const young = seen.map((one) => (one.id === 5 ? { ...one, epoch: 4 } : one));
    expect(followedLeader(young, voters)).toBeUndefined();
    // Observers follow too, and elect nobody.
    expect(followedLeader(seen.slice(2), [...voters, makeServerId(6)])).toBeUndefined();
  });
});

describe("worker: trying again", () => {
  test.each(["throw", "throwAfter", "hang"] as const)(
    "worker: a read after a %s is read again",
    async (fault) => {
      ensemble.member(1).fail("perform", fault);
      expect((await passTime(send("GET /v1/main/znodes/a"))).text).toBe("x");
      expect(performedBy()).toEqual([1, 1]);
    },
  );

  test("worker: a read of unknown outcome is read again", async () => {
    ensemble.member(1).fail("perform", { answer: { kind: "unknown" } });
    expect((await passTime(send("GET /v1/main/znodes/a"))).status).toBe(200);
  });

  test("worker: a read that keeps failing answers 503, not 504", async () => {
    ensemble.member(1).fail("perform", ...Array.from({ length: 100 }, () => "throw" as const));
    problemIn(await passTime(send("GET /v1/main/znodes/a")), { status: 503, codeName: "ConnectionLoss" });
  });

  test.each(["throw", "throwAfter", "hang", "hangAfter", { answer: { kind: "unknown" } }] as const)(
    "worker: a write after %o is not written again, and answers 504",
    async (fault) => {
      ensemble.member(1).fail("perform", fault);
      for (const request of [
        "PUT /v1/main/znodes/a",
        "POST /v1/main/znodes/a/",
        "DELETE /v1/main/znodes/a",
      ]) {
        ensemble.calls.length = 0;
        ensemble.member(1).fail("perform", fault);
        const sent = await passTime(send(request));
        const detail = problemIn(sent, { status: 504, code: -7, codeName: "OperationTimeout" });
        expect(detail).toContain("may or may not have been applied: read it back");
        expect(performedBy()).toEqual([1]);
      }
    },
  );

  test("worker: a write that hangs is given up after its own timeout", async () => {
    ensemble.member(1).fail("perform", "hang");
    const start = Date.now();
    await passTime(send("PUT /v1/main/znodes/a"));
    expect(Date.now() - start).toBeGreaterThanOrEqual(writeMs);
    expect(Date.now() - start).toBeLessThan(writeMs + 100);
  });

  test.each(["notLeader", "blank", "halted", "overloaded"])(
    "worker: a write answered with %s, which promises that nothing happened, is written again",
    async (kind) => {
      ensemble.member(1).fail("perform", { answer: { kind, leader: 0 } });
      expect((await passTime(send("PUT /v1/main/znodes/a", { body: "y" }))).status).toBe(200);
      expect(ensemble.znodes.get("/a")?.version).toBe(1);
    },
  );

  test("worker: an overloaded leader is asked three times, then the client is told to wait", async () => {
    const overloaded = { answer: { kind: "overloaded" } };
    ensemble.member(1).fail("perform", ...Array.from({ length: 9 }, () => overloaded));
    const sent = await passTime(send("PUT /v1/main/znodes/a"));
    problemIn(sent, { status: 429, codeName: "ThrottledOp" });
    expect(sent.headers.get("Retry-After")).toBe("1");
    expect(performedBy()).toEqual([1, 1, 1]);
  });

  test("worker: a local read is served by any active member while nobody leads", async () => {
    ensemble.elections = false;
    ensemble.leader = 0;
    expect((await send("GET /v1/main/znodes/a?consistency=local")).text).toBe("x");
    const refused = await passTime(send("GET /v1/main/znodes/a"));
    expect(refused.status).toBe(503);
  });
});
