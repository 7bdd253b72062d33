/**
 * Proves what `DELETE ?recursive` deletes, and when it deletes nothing.
 */

import { beforeEach, expect, test } from "vitest";
import { ZkErrorCode } from "../../src/base/index.ts";
import { recursiveRoundsMax } from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
  for (const path of ["/a", "/a/b", "/a/b/c", "/ab"]) ensemble.plant(path);
});

const paths = () => [...ensemble.znodes.keys()];

test("worker: DELETE ?recursive deletes all below and tells how many", async () => {
  const sent = await send("DELETE /v1/main/znodes/a?recursive&limit=3");
  expect(sent.status).toBe(200);
  expect(sent.json()).toEqual({ path: "/a", deleted: 3, zxid: "0x100000001" });
  expect(paths()).toEqual(["/", "/ab"]);
  problemIn(await send("DELETE /v1/main/znodes/a?recursive"), { status: 404, codeName: "NoNode" });
});

test("worker: DELETE ?recursive above the limit deletes nothing", async () => {
  const sent = await send("DELETE /v1/main/znodes/a?recursive&limit=2");
  problemIn(sent, { status: 409, codeName: "NotEmpty", path: "/a", limit: 2 });
  expect(paths()).toHaveLength(5);
});

test("worker: DELETE ?recursive looks again when others were quicker, but not for ever", async () => {
  const results = [{ kind: "error", code: ZkErrorCode.NotEmpty }];
  const overtaken = { outcome: { err: 0, body: { kind: "multi", results } }, zxid: "0x100000001" };
  const list = {
    outcome: { err: 0, body: { kind: "children", children: ["/a"] } },
    zxid: "0x1",
    more: false,
  };
  const rounds = Array.from({ length: recursiveRoundsMax }, () => [list, overtaken]).flat();
  const faults = rounds.map((answer) => ({ answer: { kind: "answered", ...answer } }));
  ensemble.member(1).fail("perform", ...faults);
  problemIn(await send("DELETE /v1/main/znodes/a?recursive"), {
    status: 409,
    codeName: "NotEmpty",
    path: "/a",
  });
  expect(ensemble.callsOf("perform")).toHaveLength(rounds.length);
  ensemble.member(1).fail("perform", ...faults.slice(2));
  expect((await send("DELETE /v1/main/znodes/a?recursive")).json()).toMatchObject({ deleted: 3 });
});

test.each(["a?recursive=3", "a?limit=3", "a?recursive&limit=0", "a?recursive&limit=1001", "?recursive"])(
  "worker: DELETE %s is refused",
  async (query) => {
    problemIn(await send(`DELETE /v1/main/znodes/${query}`), { status: 400, codeName: "BadArguments" });
    expect(paths()).toHaveLength(5);
  },
);

test("worker: DELETE ?recursive takes no preconditions", async () => {
  const sent = await send("DELETE /v1/main/znodes/a?recursive", { headers: { "If-Match": '"0"' } });
  problemIn(sent, { status: 400 });
});
