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

/** Reads server-sent events until there are so many, heartbeats left out. */
async function readEvents(body: ReadableStream<Uint8Array>, count: number): Promise<string[]> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = "";
  const events = () =>
    text
      .split("\n\n")
      .slice(0, -1)
      .filter((event) => event.startsWith("event:"));
  while (events().length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return events();
}

const watch = (path: string, headers: Record<string, string> = {}) =>
  SELF.fetch(`http://127.0.0.1/v1/main/watch${path}`, { headers });

test("worker: a stream of events begins, is resumed by its last id, and starts anew from nothing", async () => {
  const response = await watch("/events/**?with=value");
  expect(response.headers.get("Content-Type")).toBe("text/event-stream");
  if (response.body === null) throw new Error("a stream has a body");
  const live = readEvents(response.body, 4);
  await transact([{ op: "create", path: "/events", value: "1" }]);
  await transact([
    { op: "set", path: "/events", value: "2" },
    { op: "create", path: "/events/a" },
  ]);
  const [subscribed = "", created = "", changed = "", child = ""] = await live;
  expect(subscribed).toMatch(/^event: subscribed\nid: 0x[0-9a-f]+\ndata: \{.*\}$/);
  expect(created).toMatch(/^event: created\nid: 0x[0-9a-f]+\ndata: .*"path":"\/events".*"value":"1"/);
  // In the middle of a transaction there is nothing to resume from.
  expect(changed).toMatch(/^event: changed\ndata: .*"value":"2"/);
  expect(child).toMatch(/^event: created\nid: 0x[0-9a-f]+\ndata: .*"path":"\/events\/a"/);

  const lastId = /id: (.*)/.exec(created)?.[1] ?? "";
  for (const member of [1, 2, 3]) {
    const again = await watch(`/events/**?with=value&since=0x1&member=${member}`, {
      "Last-Event-ID": lastId,
    });
    if (again.body === null) throw new Error("a stream has a body");
    expect((await readEvents(again.body, 3)).slice(1)).toEqual([changed, child]);
  }
  const anew = await watch("/events?since=0x0");
  if (anew.body === null) throw new Error("a stream has a body");
  expect((await readEvents(anew.body, 2))[1]).toMatch(/^event: compacted\nid: .*\ndata: .*"more":false/);
});

test("worker: a stream that cannot begin is a problem", async () => {
  const shut = { op: "create", path: "/shut", acl: [{ perms: "a", scheme: "world", id: "anyone" }] };
  const { zxid } = (await transact([shut])).body as { zxid: string };
  for (const [path, status, codeName] of [
    ["/shut", 403, "NoAuth"],
    ["/a?since=0x7fffffff00000001", 412, undefined],
    ["/a?since=1", 400, "BadArguments"],
    ["/a?scope=tree", 400, "BadArguments"],
    ["/a?with=stat", 400, "BadArguments"],
    ["/a?until=0x1", 400, "BadArguments"],
    ["/a//b", 400, "BadArguments"],
    ["", 426, undefined],
  ] as const) {
    // Whoever answers has seen the znode.
    const refused = await watch(path, { "Ek-Session-Zxid": zxid });
    expect([path, refused.status, ((await refused.json()) as { codeName?: string }).codeName]).toEqual([
      path,
      status,
      codeName,
    ]);
  }
});

test("worker: a lock is asked back and stolen by its token, on the record, and its delay is kept", async () => {
  const path = "locks/held/lock";
  const lock = await send(`POST ${path}`, { owner: "billing", lock_delay: "10m", ttl: "10m" });
  const { id, token } = lock.body as { id: string; token: string };
  expect(lock.body).not.toHaveProperty("revocation_requested");

  const stranger = "0x100000000";
  for (const verb of ["revoke", "steal"]) {
    const body = verb === "steal" ? { by: "me", reason: "it hangs" } : undefined;
    const refused = await send(`POST ${path}?${verb}=${stranger}`, body);
    expect(refused).toMatchObject({ status: 412, body: { type: "/problems/lock-not-held" } });
    expect(await send(`POST ${path}?${verb}=soon`, body)).toMatchObject({ status: 400 });
  }
  expect((await send(`POST ${path}?revoke=${token}`)).status).toBe(200);
  expect((await send(`POST ${path}?revoke=${token}`)).status).toBe(200);
  expect(await send(`PUT ${path}?id=${id}`)).toMatchObject({
    status: 200,
    body: { revocation_requested: true },
  });
  expect(await send(`GET ${path}`)).toMatchObject({
    body: { holders: [{ owner: "billing", revocation_requested: true }] },
  });

  const theft = { by: "operator", reason: "it hangs" };
  for (const body of [undefined, {}, { by: "me" }, { ...theft, by: "" }, { ...theft, force: true }]) {
    expect((await send(`POST ${path}?steal=${token}`, body)).status).toBe(400);
  }
  expect((await send(`POST ${path}?steal=${token}&revoke=${token}`, theft)).status).toBe(400);
  expect(await send(`POST ${path}?steal=${token}`, theft)).toMatchObject({ status: 200, body: { token } });
  expect((await send(`PUT ${path}?id=${id}`)).status).toBe(404);
  expect(await send(`POST ${path}?steal=${token}`, theft)).toMatchObject({ status: 412 });
  const { body: record } = await send("GET znodes/held/lock/ek-steals");
  expect(record).toMatchObject([{ token, owner: "billing", ...theft, identities: ["ip:127.0.0.1"] }]);

  // The delay outlives the holder; who may, ends it.
  const late = await send(`POST ${path}`);
  expect(late).toMatchObject({ status: 409, body: { type: "/problems/lock-held", holders: [], queue: [] } });
  const { body: list } = await send("GET znodes/held/lock?children");
  const [tombstone] = (list as { children: string[] }).children.filter((name) => name.endsWith("__delay"));
  expect((await send(`DELETE znodes/held/lock/${tombstone}`)).status).toBe(204);
  const next = await send(`POST ${path}`);
  expect(next.status).toBe(201);
  expect(BigInt((next.body as { token: string }).token)).toBeGreaterThan(BigInt(token));
});
