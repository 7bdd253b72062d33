/**
 * Sessions, ACLs and elections over HTTP down to members that agree and store: an ephemeral lives and dies with the
 * session of whoever created it, and what only members can refuse is refused.
 */

import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";

const base = "http://127.0.0.1/v1/main";

async function send(line: string, headers: Record<string, string> = {}, body?: string) {
  const [method = "", path = ""] = line.split(" ");
  const response = await SELF.fetch(`${base}/${path}`, {
    method,
    headers,
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  const json: Record<string, unknown> = text.startsWith("{") ? JSON.parse(text) : {};
  return { status: response.status, json, headers: response.headers };
}

async function open(ttl: string) {
  const { json } = await send("POST sessions", {}, JSON.stringify({ ttl }));
  return { id: String(json["id"]), headers: { "Ek-Session": String(json["session"]) } };
}

test("worker: an ephemeral goes with its session, closed or lapsed; keeping one keeps it", async () => {
  const closing = await open("10m");
  const lapsing = await open("1s");
  for (const [name, { id, headers }] of Object.entries({ closing, lapsing })) {
    const created = await send(`POST znodes/of-${name}?mode=ephemeral`, headers);
    expect(created.status).toBe(201);
    expect(created.headers.get("Ek-Ephemeral-Owner")).toBe(id);
  }
  const shown = await send(`GET sessions/${closing.id}`, closing.headers);
  expect(shown.json).toMatchObject({ id: closing.id, ttl_ms: 600_000, ephemerals: ["/of-closing"] });
  expect((await send(`PUT sessions/${closing.id}`, closing.headers)).status).toBe(200);

  expect((await send(`DELETE sessions/${closing.id}`, closing.headers)).status).toBe(204);
  expect((await send("GET znodes/of-closing")).status).toBe(404);
  for (const line of [`GET sessions/${closing.id}`, `DELETE sessions/${closing.id}`, "GET znodes/?acl"]) {
    expect(await send(line, closing.headers)).toMatchObject({
      status: 410,
      json: { codeName: "SessionExpired" },
    });
  }

  // Nobody says anything in its name.
  while ((await send("GET znodes/of-lapsing?acl")).status !== 404) await scheduler.wait(100);
  const late = await send("PUT znodes/too-late", lapsing.headers, "x");
  expect(late).toMatchObject({ status: 410, json: { codeName: "SessionExpired" } });
  expect((await send("GET znodes/too-late")).status).toBe(404);
});

test("worker: a session is nobody's who has not its password", async () => {
  const { id, headers } = await open("10m");
  const wrong = { "Ek-Session": `${id}:${"0".repeat(32)}` };
  for (const line of [
    `GET sessions/${id}`,
    `DELETE sessions/${id}`,
    "GET znodes/?acl",
    "DELETE znodes/none",
  ]) {
    expect(await send(line, wrong)).toMatchObject({ status: 401, json: { codeName: "AuthFailed" } });
  }
  expect((await send(`GET sessions/${id}`, headers)).status).toBe(200);
});

test("worker: an ACL shuts out whoever it does not name", async () => {
  await send("PUT znodes/shut", {}, "x");
  const acl = JSON.stringify([{ perms: "r", scheme: "world", id: "anyone" }]);
  expect((await send("PUT znodes/shut?acl", { "If-Match": '"0"' }, acl)).status).toBe(200);
  const read = await send("GET znodes/shut?acl");
  expect(read.json).toMatchObject({ acl: [{ perms: "r", scheme: "world", id: "anyone" }] });
  for (const line of ["PUT znodes/shut", "PUT znodes/shut?acl"]) {
    expect(await send(line, {}, acl)).toMatchObject({ status: 403, json: { codeName: "NoAuth" } });
  }
  const unknown = JSON.stringify([{ perms: "r", scheme: "nobody", id: "x" }]);
  await send("PUT znodes/open", {}, "x");
  expect(await send("PUT znodes/open?acl", {}, unknown)).toMatchObject({
    status: 400,
    json: { codeName: "InvalidACL" },
  });
});

test("worker: who stands next leads when the leader resigns, under a greater token", async () => {
  const stand = (candidate: string, wait: string) =>
    send("POST elections/crown", {}, JSON.stringify({ candidate, ttl: "1m", wait }));
  const first = await stand("first", "0s");
  expect(first).toMatchObject({ status: 201, json: { candidate: "first" } });
  const second = stand("second", "1m");
  const isWaiting = async () => (await send("GET elections/crown")).json["candidates"];
  while (((await isWaiting()) as readonly unknown[]).length === 0) await scheduler.wait(20);
  expect(await send("GET elections/crown")).toMatchObject({
    json: { leader: { candidate: "first" }, candidates: [{ candidate: "second" }] },
  });
  expect((await send(`DELETE elections/crown?id=${first.json["id"]}`)).status).toBe(204);
  const elected = await second;
  expect(elected).toMatchObject({ status: 201, json: { candidate: "second" } });
  expect(Number(elected.json["token"])).toBeGreaterThan(Number(first.json["token"]));
});

test("worker: locks of a session go with it, and one is released without it", async () => {
  const { id, headers } = await open("1m");
  const ask = (path: string, given = {}) => send(`POST ${path}`, given, JSON.stringify({ owner: "me" }));
  const granted = await ask("locks/lent/1", headers);
  expect(granted).toMatchObject({ status: 201, json: { ttl_ms: 60_000 } });
  const zxid = Number(granted.headers.get("Ek-Zxid"));
  expect(zxid).toBeGreaterThanOrEqual(Number(granted.json["token"]));
  expect((await send("POST elections/lent/2", headers)).status).toBe(201);
  const of = `locks/lent/1?id=${granted.json["id"]}`;
  expect((await send(`PUT ${of}`)).status).toBe(401);
  expect((await send(`PUT ${of}`, headers)).status).toBe(200);
  expect((await send(`DELETE ${of}`, headers)).status).toBe(204);
  expect((await ask("locks/lent/1")).status).toBe(201);
  expect((await ask("locks/lent/2")).status).toBe(409);
  expect((await send(`DELETE sessions/${id}`, headers)).status).toBe(204);
  expect((await ask("locks/lent/2")).status).toBe(201);
  expect(await send(`PUT ${of}`, headers)).toMatchObject({
    status: 410,
    json: { codeName: "SessionExpired" },
  });
});
