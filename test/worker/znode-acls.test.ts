/**
 * Proves how ACLs are read and written over HTTP, and what makes them refused: through the app, against a fake
 * ensemble. Who is allowed what is the tree's affair.
 */

import { beforeEach, expect, test } from "vitest";
import { aclBodyBytesMax, aclEntriesMax } from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
  ensemble.plant("/a", "x");
});

const entry = { perms: "rw", scheme: "digest", id: "bob:hash" };
const url = "/v1/main/znodes/a?acl";

test("worker: ACLs: what was written is read, under a version of its own", async () => {
  const first = await send(`GET ${url}`);
  expect(first.json()).toMatchObject({
    path: "/a",
    acl: [{ perms: "cdrwa", scheme: "world", id: "anyone" }],
    stat: { aversion: 0 },
  });
  expect(first.headers.get("ETag")).toBe('"0"');
  const written = await send(`PUT ${url}`, {
    body: JSON.stringify([entry]),
    headers: { "If-Match": '"0"' },
  });
  expect(written.json()).toMatchObject({ path: "/a", stat: { aversion: 1, version: 0 } });
  expect(written.headers.get("ETag")).toBe('"1"');
  expect(written.headers.get("Ek-Zxid")).toBe("0x100000001");
  const second = await send(`GET ${url}`);
  expect(second.json()).toMatchObject({ acl: [entry] });
  const same = await send(`GET ${url}`, { headers: { "If-None-Match": '"1"' } });
  expect(same.status).toBe(304);
  problemIn(await send(`GET ${url}`, { headers: { "If-Match": '"0"' } }), { status: 412 });
});

test("worker: ACLs: a version that does not match, and a znode that is not there", async () => {
  const body = JSON.stringify([entry]);
  const stale = await send(`PUT ${url}`, { body, headers: { "If-Match": '"7"' } });
  expect(problemIn(stale, { status: 412, codeName: "BadVersion" })).toContain("not 7");
  problemIn(await send("PUT /v1/main/znodes/none?acl", { body }), { status: 404 });
  const missing = await send("PUT /v1/main/znodes/none?acl", { body, headers: { "If-Match": "*" } });
  problemIn(missing, { status: 412, codeName: "NoNode" });
  problemIn(await send("GET /v1/main/znodes/none?acl"), { status: 404, codeName: "NoNode" });
});

test.each([
  ["no JSON", "x"],
  ["no entry", "[]"],
  ["an entry too many", JSON.stringify(Array.from({ length: aclEntriesMax + 1 }, () => entry))],
  ["a field too many", JSON.stringify([{ ...entry, x: 1 }])],
  ["a permission nobody knows", JSON.stringify([{ ...entry, perms: "rx" }])],
])("worker: ACLs: %s is refused, and nobody is asked", async (_, body) => {
  problemIn(await send(`PUT ${url}`, { body }), { status: 400 });
  expect(ensemble.callsOf("perform")).toEqual([]);
});

test("worker: ACLs: bounds of the body, and what does not go together", async () => {
  const most = JSON.stringify(Array.from({ length: aclEntriesMax }, () => entry));
  expect((await send(`PUT ${url}`, { body: most })).status).toBe(200);
  const padded = most + " ".repeat(aclBodyBytesMax - most.length);
  expect((await send(`PUT ${url}`, { body: padded })).status).toBe(200);
  problemIn(await send(`PUT ${url}`, { body: `${padded} ` }), { status: 413 });
  problemIn(await send(`GET ${url}&children`), { status: 400 });
  problemIn(await send(`PUT ${url}`, { body: most, headers: { "If-None-Match": "*" } }), { status: 400 });
});
