/**
 * Proves which member is asked: the leader, the nearest, or the one a client names; and that no read is
 * answered with older data than its client has seen.
 *
 * @module
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeServerId, makeZxid, type ServerId } from "../../src/base/index.ts";
import { nearestMs } from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send, type Sent } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

const read = "GET /v1/main/znodes/a";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  vi.useFakeTimers();
  ensemble = new FakeEnsemble(4, "active", 1);
  ensemble.plant("/a", "x");
  send = clientOf(ensemble);
});

afterEach(() => {
  vi.useRealTimers();
});

async function passTime(answer: Promise<Sent>): Promise<Sent> {
  let answered = false;
  void answer.finally(() => {
    answered = true;
  });
  while (!answered) await vi.advanceTimersByTimeAsync(50);
  return answer;
}

function performedBy(): number[] {
  return ensemble.callsOf("perform").map(({ member }) => member);
}

/** The others answer when they are looked at only after it has. */
function bringNear(id: number): void {
  for (const member of ensemble.members) {
    if (member.id === id) continue;
    const inspect = member.inspect.bind(member);
    member.inspect = async () => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      return inspect();
    };
  }
}

describe("worker: routing", () => {
  test.each(["session", "local"])(
    "worker: a %s read is the nearest member's, for a while",
    async (consistency) => {
      bringNear(3);
      expect((await passTime(send(`${read}?consistency=${consistency}`))).text).toBe("x");
      await send(`${read}?consistency=${consistency}`);
      expect(performedBy()).toEqual([3, 3]);
      bringNear(2);
      ensemble.member(3).down = "throw";
      vi.setSystemTime(Date.now() + nearestMs);
      await passTime(send(`${read}?consistency=${consistency}`));
      expect(performedBy()).toEqual([3, 3, 2]);
    },
  );

  test("worker: a nearest member that is gone is asked once, and another one then", async () => {
    bringNear(3);
    await passTime(send(`${read}?consistency=session`));
    ensemble.member(3).down = "throw";
    expect((await passTime(send(`${read}?consistency=session`))).text).toBe("x");
    expect(performedBy().slice(0, 2)).toEqual([3, 3]);
    expect(performedBy().at(-1)).not.toBe(3);
  });

  test("worker: a linearizable read is the leader's, unless another member is asked for", async () => {
    await send(read);
    await send(`${read}?member=leader`);
    await send(`${read}?member=4`);
    expect(performedBy()).toEqual([1, 1, 4]);
  });

  test("worker: a read says its zxid and how old it may be", async () => {
    const near = await send(`${read}?consistency=local&member=3`);
    expect([near.headers.get("Ek-Zxid"), near.headers.get("Ek-Age-Ms")]).toEqual(["0x100000000", "43"]);
    expect((await send(read)).headers.get("Ek-Age-Ms")).toBe("0");
    const page = await send("GET /v1/main/znodes/?children&consistency=local&member=3");
    expect(page.headers.get("Ek-Age-Ms")).toBe("43");
  });

  test("worker: a member that does not serve is waited for, and then given up", async () => {
    ensemble.member(2).down = "throw";
    const sent = await passTime(send(`${read}?member=2`));
    problemIn(sent, { status: 503, codeName: "ConnectionLoss" });
    expect(sent.json()["detail"]).toContain("no serving member 2 was reached in time");
    expect(performedBy().every((id) => id === 2)).toBe(true);
  });

  test.each(["5", "0", "02", "follower", ""])("worker: member=%s is refused", async (member) => {
    problemIn(await passTime(send(`${read}?member=${member}`)), { status: 400 });
    const connected = send(`GET /v1/main/connect?member=${member}`, { headers: upgrade });
    problemIn(await passTime(connected), { status: 400 });
    // It is at most asked whether there is one by now.
    expect(ensemble.calls.filter(({ method }) => method !== "inspect")).toEqual([]);
    expect(ensemble.calls.length > 0).toBe(member === "5");
  });

  test("worker: a member that was added since this isolate began can be asked for", async () => {
    const [one, two, three, added] = [1, 2, 3, 4].map(makeServerId) as [
      ServerId,
      ServerId,
      ServerId,
      ServerId,
    ];
    ensemble = new FakeEnsemble(4, "active", 1);
    ensemble.plant("/a", "x");
    for (const member of ensemble.members)
      member.claims = { voters: [one, two, three], observers: [added], configVersion: "0x100000009" };
    send = clientOf(ensemble, { EK_OPEN_ON_LOOPBACK: "on", EK_MEMBERS: "3", EK_OBSERVERS: "0" });
    expect((await passTime(send(`${read}?member=4`))).text).toBe("x");
    expect(performedBy()).toEqual([4]);
  });

  test("worker: a write goes to the leader, whoever is near", async () => {
    bringNear(3);
    await passTime(send("PUT /v1/main/znodes/a", { body: "y" }));
    expect(performedBy()).toEqual([1]);
    problemIn(await send("PUT /v1/main/znodes/a?member=3", { body: "y" }), { status: 400 });
  });
});

const upgrade = { Upgrade: "websocket", "Sec-WebSocket-Protocol": "zookeeper" };

describe("worker: a client that has seen a zxid", () => {
  const reading = (floor: string) =>
    send(`${read}?consistency=session&member=2`, { headers: { "Ek-Session-Zxid": floor } });

  test("worker: has it handed to the member, which answers with nothing older", async () => {
    ensemble.zxid = makeZxid(1, 7);
    expect((await reading("0x100000007")).status).toBe(200);
    expect(ensemble.callsOf("perform")[0]?.argument).toMatchObject({ floor: "0x100000007" });
  });

  test("worker: is told when nothing as late is committed", async () => {
    const sent = await reading("0x100000008");
    problemIn(sent, { status: 412 });
    expect(sent.json()).toMatchObject({
      type: "/problems/behind",
      detail:
        'Cannot read "/a": Ek-Session-Zxid is 0x100000008, the ensemble has committed through 0x100000000',
      zxid: "0x100000000",
    });
  });

  test.each(["", "7", "0x", "0x1ffffffffffffffff", "latest"])("worker: cannot name it %j", async (floor) => {
    problemIn(await reading(floor), { status: 400 });
    expect(ensemble.calls).toEqual([]);
  });
});

describe("worker: observers", () => {
  test("worker: are bootstrapped as such, beside the voters", async () => {
    ensemble = new FakeEnsemble(4, "blank", 1);
    send = clientOf(ensemble);
    ensemble.plant("/a", "x");
    await passTime(send(read));
    expect(ensemble.member(4).config).toMatchObject({ voters: [1, 2, 3], observers: [4] });
    expect(ensemble.members.map(({ bootstrap }) => bootstrap)).toEqual(new Array(4).fill("active"));
  });

  test.each([
    ["1", 'member 1 has observers "4,5", EK_OBSERVERS asks for "4"'],
    ["0", 'member 1 has observers "4,5", EK_OBSERVERS asks for ""'],
  ])("worker: cannot be made %s by a setting alone", async (observers, reason) => {
    ensemble = new FakeEnsemble(5, "active", 2);
    const vars = { EK_OPEN_ON_LOOPBACK: "on", EK_OBSERVERS: observers };
    const sent = await passTime(clientOf(ensemble, vars)(read));
    problemIn(sent, { status: 503 });
    expect(sent.json()["detail"]).toContain(reason);
  });

  test("worker: count for no majority: a leader that two of three voters show is certain", async () => {
    ensemble.member(3).down = "hang";
    ensemble.member(4).down = "hang";
    expect((await passTime(send(read))).text).toBe("x");
    expect(performedBy()).toEqual([1]);
  });
});
