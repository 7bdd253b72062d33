/**
 * Proves that a blank ensemble comes to life on its first request and only once, whoever asks at the same
 * time, and that a member which has lost its storage is never brought back as if it were new.
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeServerId } from "../../src/base/index.ts";
import type { BootstrapState, EnsembleConfig } from "../../src/objects/index.ts";
import { bootstrapNeed } from "../../src/worker/bootstrap.ts";
import { clientOf, problemIn, type Sent } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;

beforeEach(() => {
  vi.useFakeTimers();
  ensemble = new FakeEnsemble(3, "blank");
});

afterEach(() => {
  vi.useRealTimers();
});

async function passTime(answer: Promise<Sent>): Promise<Sent> {
  let answered = false;
  void answer.finally(() => {
    answered = true;
  });
  while (!answered) await vi.advanceTimersByTimeAsync(25);
  return answer;
}

function put(): Promise<Sent> {
  return passTime(clientOf(ensemble)("PUT /v1/main/znodes/a", { body: "x" }));
}

function states(): readonly BootstrapState[] {
  return ensemble.members.map((member) => member.bootstrap);
}

function configOf(secret: string, size = 3): EnsembleConfig {
  const voters = Array.from({ length: size }, (_, index) => makeServerId(index + 1));
  return { voters, observers: [], secret };
}

function prepare(id: number, config: EnsembleConfig): void {
  Object.assign(ensemble.member(id), { bootstrap: "prepared", config });
}

describe("worker: bootstrap", () => {
  test("worker: the first request bootstraps a blank ensemble and is served", async () => {
    expect((await put()).status).toBe(201);
    expect(states()).toEqual(["active", "active", "active"]);
    expect(ensemble.member(1).config).toEqual({
      voters: [1, 2, 3],
      observers: [],
      secret: expect.stringMatching(/^[0-9a-f]{64}$/),
      storageIds: {
        1: expect.stringMatching(/^[0-9a-f]{32}$/),
        2: expect.stringMatching(/^[0-9a-f]{32}$/),
        3: expect.stringMatching(/^[0-9a-f]{32}$/),
      },
    });
  });

  test("worker: an ensemble of one bootstraps", async () => {
    ensemble = new FakeEnsemble(1, "blank");
    expect((await put()).status).toBe(201);
  });

  test("worker: two ensembles get different secrets", async () => {
    await put();
    const first = ensemble.member(1).config?.secret;
    ensemble = new FakeEnsemble(3, "blank");
    await put();
    expect(ensemble.member(1).config?.secret).not.toBe(first);
  });

  test("worker: no member is activated before every member is prepared", async () => {
    await put();
    const methods = ensemble.calls.map((call) => call.method);
    expect(methods.lastIndexOf("prepareBootstrap")).toBeLessThan(methods.indexOf("activateBootstrap"));
    const prepared = ensemble.callsOf("prepareBootstrap").map((call) => call.member);
    expect(prepared).toEqual([1, 2, 3]);
  });

  test("worker: Workers that bootstrap at the same time agree on one configuration", async () => {
    const answers = Array.from({ length: 5 }, () =>
      clientOf(ensemble)("PUT /v1/main/znodes/a", { body: "x" }),
    );
    for (const answer of answers) expect((await passTime(answer)).status).toBeLessThan(300);
    const secrets = new Set(ensemble.members.map((member) => member.config?.secret));
    expect(secrets.size).toBe(1);
    expect(states()).toEqual(["active", "active", "active"]);
  });

  test.each(["throw", "hang"] as const)(
    "worker: a member that answers with a %s is not left behind",
    async (down) => {
      ensemble.member(3).down = down;
      const sent = await put();
      problemIn(sent, { status: 503, codeName: "ConnectionLoss" });
      expect(states()).toEqual(["blank", "blank", "blank"]);
      ensemble.member(3).down = undefined;
      expect((await put()).status).toBe(201);
    },
  );

  test("worker: a member that fails while being prepared keeps the others from voting", async () => {
    ensemble.member(2).fail("prepareBootstrap", ...Array.from({ length: 100 }, () => "throw" as const));
    problemIn(await put(), { status: 503, type: "/problems/connection-loss" });
    expect(states()).toEqual(["prepared", "blank", "prepared"]);
    expect(ensemble.callsOf("activateBootstrap")).toEqual([]);
  });

  test("worker: what another Worker began is gone on with, under its configuration", async () => {
    prepare(2, configOf("begun"));
    expect((await put()).status).toBe(201);
    expect(ensemble.members.map((member) => member.config?.secret)).toEqual(["begun", "begun", "begun"]);
  });

  test("worker: an activation that stopped half-way is finished", async () => {
    for (const id of [1, 2, 3]) prepare(id, configOf("begun"));
    ensemble.member(1).bootstrap = "active";
    expect((await put()).status).toBe(201);
    expect(ensemble.callsOf("prepareBootstrap")).toEqual([]);
    expect(states()).toEqual(["active", "active", "active"]);
  });

  test("worker: members prepared with different secrets are not activated", async () => {
    prepare(1, configOf("one"));
    prepare(2, configOf("two"));
    const sent = await put();
    problemIn(sent, { status: 503, type: "/problems/ensemble-configuration" });
    expect(sent.text).not.toContain("two");
    expect(ensemble.callsOf("activateBootstrap")).toEqual([]);
  });

  test("worker: a blank member beside active ones has lost its storage and stays out", async () => {
    ensemble = new FakeEnsemble(3, "active");
    ensemble.member(1).bootstrap = "blank";
    ensemble.leader = 0;
    expect((await put()).status).toBe(201);
    expect(states()).toEqual(["blank", "active", "active"]);
    expect(ensemble.callsOf("prepareBootstrap")).toEqual([]);
  });

  test("worker: a blank member is not prepared while another cannot be asked whether it is active", async () => {
    ensemble = new FakeEnsemble(3, "active");
    ensemble.member(1).bootstrap = "blank";
    ensemble.member(2).down = "hang";
    ensemble.member(3).down = "throw";
    expect((await put()).status).toBe(503);
    expect(states()[0]).toBe("blank");
  });

  test.each([
    ["1", 'member 1 has voters "1,2,3", EK_MEMBERS asks for "1"'],
    ["2", 'member 1 has voters "1,2,3", EK_MEMBERS asks for "1,2"'],
  ])("worker: an ensemble of three refuses to be used as one of %s", async (members, reason) => {
    ensemble = new FakeEnsemble(3, "active");
    const vars = { EK_OPEN_ON_LOOPBACK: "on", EK_MEMBERS: members };
    const sent = await passTime(clientOf(ensemble, vars)("GET /v1/main/znodes/"));
    const detail = problemIn(sent, { status: 503, type: "/problems/ensemble-configuration" });
    expect(detail).toContain(reason);
  });

  test("worker: a prepared member with other voters is not activated", async () => {
    prepare(1, configOf("begun", 1));
    problemIn(await put(), { status: 503, type: "/problems/ensemble-configuration" });
    expect(states()).toEqual(["prepared", "blank", "blank"]);
  });
});

describe("bootstrapNeed()", () => {
  test.each([
    [["blank", "blank", "blank"], "prepare"],
    [["prepared", "blank", "blank"], "prepare"],
    [["prepared", "prepared", "prepared"], "prepare"],
    [["blank", "blank"], "unclear"],
    [["prepared", "prepared"], "unclear"],
    [[], "unclear"],
    [["halted", "blank", "blank"], "unclear"],
    [["halted", "prepared", "prepared"], "unclear"],
    [["active", "prepared"], "activate"],
    [["active", "active", "prepared"], "activate"],
    [["active", "blank", "blank"], "none"],
    [["active"], "none"],
    [["active", "active", "halted"], "none"],
  ] as const)("bootstrapNeed() of %j in an ensemble of three is %s", async (seen, expected) => {
    const status = await new FakeEnsemble().member(1).inspect();
    const statuses = seen.map((bootstrap) => ({ ...status, bootstrap }));
    expect(bootstrapNeed(statuses, 3)).toBe(expected);
  });
});
