/**
 * HTTP down to members that agree and store: what a fake ensemble cannot vouch for.
 */

import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";

async function send(line: string, body?: unknown): Promise<{ status: number; body: unknown }> {
  const [method = "", path = ""] = line.split(" ");
  const init = { method, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const response = await SELF.fetch(`http://127.0.0.1/v1/main/${path}`, init);
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

const transact = (operations: unknown) => send("POST transactions", operations);

test("worker: a transaction is all or nothing, and its fencing ends with the lock", async () => {
  const granted = await send("POST locks/tx/lock");
  expect(granted.status).toBe(201);
  const { id, token } = granted.body as { id: string; token: string };
  const checkLock = { op: "check-lock", path: "/tx/lock", token };

  const done = await transact([
    checkLock,
    { op: "create", path: "/tx/a", value: "1", acl: [{ perms: "rw", scheme: "world", id: "anyone" }] },
    { op: "set", path: "/tx/a", value: "2", version: 0 },
    { op: "create", path: "/tx/box", mode: "container" },
    { op: "create", path: "/tx/box/t-", mode: "persistent_sequential", ttl: "1h" },
  ]);
  expect(done).toMatchObject({
    status: 200,
    body: {
      results: [
        { op: "check-lock", path: "/tx/lock" },
        { path: "/tx/a", stat: { version: 0 } },
        { path: "/tx/a", stat: { version: 1 } },
        { path: "/tx/box" },
        { path: "/tx/box/t-0000000000" },
      ],
    },
  });

  const refused = await transact([
    { op: "delete", path: "/tx/box/t-0000000000" },
    { op: "check", path: "/tx/a", version: 7 },
    { op: "create", path: "/tx/b" },
  ]);
  expect(refused).toMatchObject({ status: 412, body: { codeName: "BadVersion", index: 1, path: "/tx/a" } });
  const kept = await send("GET znodes/tx/box?children");
  expect(kept.body).toMatchObject({ children: ["t-0000000000"] });

  expect((await send(`DELETE locks/tx/lock?id=${id}`)).status).toBe(204);
  const late = await transact([checkLock, { op: "set", path: "/tx/a", value: "3" }]);
  expect(late).toMatchObject({ status: 412, body: { codeName: "NoNode", index: 0, path: "/tx/lock" } });
});

test("worker: children come with their stats and values, page by page", async () => {
  await transact([
    { op: "create", path: "/kids" },
    { op: "create", path: "/kids/a", value: "blue" },
    { op: "create", path: "/kids/b", value: "/w==", encoding: "base64" },
    { op: "create", path: "/kids/c", value: "x", acl: [{ perms: "a", scheme: "world", id: "anyone" }] },
  ]);
  const first = await send("GET znodes/kids?children&with=stat,value&limit=2");
  expect(first.body).toMatchObject({
    children: [
      { name: "a", value: "blue", encoding: "utf8", stat: { version: 0, dataLength: 4 } },
      { name: "b", value: "/w==", encoding: "base64" },
    ],
    more: true,
  });
  const last = await send("GET znodes/kids?children&with=value&after=b&consistency=session");
  expect(last.body).toMatchObject({ children: [{ name: "c", codeName: "NoAuth" }], more: false });
});

test("worker: a recursive delete takes everything below, or nothing above its limit", async () => {
  await transact(["/rec", "/rec/a", "/rec/a/b", "/rec/c"].map((path) => ({ op: "create", path })));
  expect(await send("DELETE znodes/rec?recursive&limit=3")).toMatchObject({
    status: 409,
    body: { limit: 3 },
  });
  expect(await send("DELETE znodes/rec?recursive&limit=4")).toMatchObject({
    status: 200,
    body: { deleted: 4 },
  });
  expect((await send("DELETE znodes/rec?recursive")).status).toBe(404);
});
