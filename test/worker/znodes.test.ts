/**
 * Proves what the znode routes answer and change: through the app, against a fake ensemble.
 */

import { beforeEach, describe, expect, test } from "vitest";
import { OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { znodeDataBytesMax } from "../../src/worker/limits.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

describe("worker: GET", () => {
  test("worker: GET answers the bytes, the version as ETag and the stat as headers", async () => {
    ensemble.plant("/a", new Uint8Array([0, 255, 10]));
    ensemble.plant("/a/b");
    const sent = await send("GET /v1/main/znodes/a");
    expect(sent.status).toBe(200);
    expect(Object.fromEntries(sent.headers)).toMatchObject({
      "content-type": "application/octet-stream",
      etag: '"0"',
      "ek-zxid": "0x100000000",
      "ek-czxid": "0x100000000",
      "ek-mzxid": "0x100000000",
      "ek-ephemeral-owner": "0x0",
      "ek-num-children": "1",
    });
  });

  test.each([
    ["text", "h\u00e9llo", { value: "h\u00e9llo", encoding: "utf8" }],
    ["text with a byte order mark", "\ufeffx", { value: "\ufeffx", encoding: "utf8" }],
    ["bytes that are no UTF-8", new Uint8Array([0xff, 0xfe]), { value: "//4=", encoding: "base64" }],
    ["no data", null, { value: null, encoding: "null" }],
    ["empty data", "", { value: "", encoding: "utf8" }],
  ])("worker: GET for JSON wraps %s", async (_, data, expected) => {
    ensemble.plant("/a", data);
    const sent = await send("GET /v1/main/znodes/a", { headers: { Accept: "application/json" } });
    expect(sent.json()).toMatchObject({
      path: "/a",
      ...expected,
      stat: { version: 0, czxid: "0x100000000" },
    });
    expect(sent.headers.get("ETag")).toBe('"0"');
  });

  test("worker: GET for JSON encodes a large value as base64 without a seam", async () => {
    const data = Uint8Array.from({ length: 40_000 }, (_, index) => 128 + (index % 64));
    ensemble.plant("/a", data);
    const sent = await send("GET /v1/main/znodes/a", { headers: { Accept: "application/json" } });
    expect(sent.json()).toMatchObject({ value: Buffer.from(data).toString("base64") });
  });

  test.each([
    ["*/*", "application/octet-stream"],
    ["application/json;q=0", "application/octet-stream"],
    ["text/html, application/json;q=0.5", "application/json"],
  ])("worker: GET with Accept %s answers %s", async (accept, type) => {
    ensemble.plant("/a");
    const sent = await send("GET /v1/main/znodes/a", { headers: { Accept: accept } });
    expect(sent.headers.get("Content-Type")).toBe(type);
  });

  test("worker: HEAD answers the headers of GET, with the length and without the body", async () => {
    ensemble.plant("/a", "12345");
    const sent = await send("HEAD /v1/main/znodes/a");
    expect(sent).toMatchObject({ status: 200, text: "" });
    expect(sent.headers.get("Content-Length")).toBe("5");
    expect(sent.headers.get("ETag")).toBe('"0"');
  });

  test.each([
    ["If-None-Match", '"0"', 304],
    ["If-None-Match", 'W/"0"', 304],
    ["If-None-Match", '"7", "0"', 304],
    ["If-None-Match", "*", 304],
    ["If-None-Match", '"1"', 200],
    ["If-Match", '"0"', 200],
    ["If-Match", "*", 200],
    ["If-Match", '"1"', 412],
  ])("worker: GET with %s: %s answers %i", async (header, value, status) => {
    ensemble.plant("/a", "x");
    const sent = await send("GET /v1/main/znodes/a", { headers: { [header]: value } });
    expect(sent.status).toBe(status);
    if (status === 304) expect(sent.text).toBe("");
  });

  test("worker: GET of a missing znode answers 404 with its path", async () => {
    const sent = await send("GET /v1/main/znodes/a/b");
    problemIn(sent, {
      type: "/problems/no-node",
      title: "Znode does not exist",
      status: 404,
      detail: 'Cannot read "/a/b": it does not exist',
      code: -101,
      codeName: "NoNode",
      path: "/a/b",
    });
  });

  test.each(["/v1/main/znodes", "/v1/main/znodes/"])("worker: GET %s is the root", async (path) => {
    const sent = await send(`GET ${path}`, { headers: { Accept: "application/json" } });
    expect(sent.json()).toMatchObject({ path: "/", encoding: "null" });
  });

  test.each([
    ["", "linearizable"],
    ["?consistency=linearizable", "linearizable"],
    ["?consistency=session", "session"],
    ["?consistency=local", "local"],
    ["?children", "linearizable"],
    ["?children&consistency=session", "session"],
  ] as const)("worker: GET %s asks for a %s read", async (query, consistency) => {
    ensemble.plant("/a");
    expect((await send(`GET /v1/main/znodes/a${query}`)).status).toBe(200);
    expect(ensemble.callsOf("perform").at(-1)?.argument).toMatchObject({ consistency });
  });
});

describe("worker: GET ?children", () => {
  beforeEach(() => {
    ensemble.plant("/a");
    for (const name of ["x", "z", "y"]) ensemble.plant(`/a/${name}`);
  });

  test("worker: GET ?children answers the names in order", async () => {
    const sent = await send("GET /v1/main/znodes/a?children");
    expect(sent.json()).toEqual({ children: ["x", "y", "z"], more: false, zxid: "0x100000000" });
  });

  test("worker: GET ?children pages with after and limit", async () => {
    const first = await send("GET /v1/main/znodes/a?children&limit=2");
    expect(first.json()).toMatchObject({ children: ["x", "y"], more: true });
    const second = await send("GET /v1/main/znodes/a?children&limit=2&after=y");
    expect(second.json()).toMatchObject({ children: ["z"], more: false });
  });

  test("worker: GET ?children&with=stat,value answers objects, and says which it may not read", async () => {
    await send("PUT /v1/main/znodes/a/x", { body: "one" });
    await send("PUT /v1/main/znodes/a/y", { body: new Uint8Array([0xff]) });
    ensemble.unreadable.add("/a/z");
    const sent = await send("GET /v1/main/znodes/a?children&with=stat,value");
    expect(sent.json()).toMatchObject({
      children: [
        { name: "x", value: "one", encoding: "utf8", stat: { dataLength: 3, version: 1 } },
        { name: "y", value: "/w==", encoding: "base64" },
        { name: "z", codeName: "NoAuth", stat: { version: 0 } },
      ],
      more: false,
    });
    expect(sent.text).toMatch(/"codeName":"NoAuth"}\],/);
    const stats = await send("GET /v1/main/znodes/a?children&with=stat&limit=1");
    expect(stats.json()).toMatchObject({ children: [{ name: "x" }], more: true });
    expect(stats.text).not.toContain('"value"');
  });

  test("worker: GET ?children of a missing znode answers 404", async () => {
    problemIn(await send("GET /v1/main/znodes/none?children"), { status: 404, codeName: "NoNode" });
  });

  test.each([
    ["with=stat", '"with"'],
    ["children&with=", '"with"'],
    ["children&with=stat,acl", '"with"'],
    ["children&limit=0", '"limit"'],
    ["children&limit=1001", '"limit"'],
    ["children&limit=-1", '"limit"'],
    ["children&limit=x", '"limit"'],
    ["children=no", '"children"'],
    ["limit=5", '"after", "limit" and "with"'],
    ["after=x", '"after", "limit" and "with"'],
    ["chlidren", '"chlidren"'],
    ["consistency=eventual", '"consistency"'],
    ["children&children", '"children" is given twice'],
  ])("worker: GET ?%s answers 400 naming it", async (query, named) => {
    const sent = await send(`GET /v1/main/znodes/a?${query}`);
    const detail = problemIn(sent, { status: 400, codeName: "BadArguments" });
    expect(detail).toContain(named);
    expect(ensemble.calls).toEqual([]);
  });
});

describe("worker: PUT", () => {
  test("worker: PUT creates what is missing and sets what is there", async () => {
    const first = await send("PUT /v1/main/znodes/a", { body: "one" });
    expect(first.status).toBe(201);
    expect(first.headers.get("ETag")).toBe('"0"');
    expect(first.json()).toMatchObject({ path: "/a", stat: { version: 0 } });
    const second = await send("PUT /v1/main/znodes/a", { body: "two" });
    expect(second.status).toBe(200);
    expect(second.headers.get("ETag")).toBe('"1"');
    expect(second.json()).toMatchObject({ zxid: second.headers.get("Ek-Zxid") });
    expect(ensemble.value("/a")).toBe("two");
  });

  test("worker: PUT without a body stores empty data", async () => {
    expect((await send("PUT /v1/main/znodes/a")).status).toBe(201);
    expect(ensemble.value("/a")).toBe("");
  });

  test("worker: PUT below a missing parent answers 404 and says so", async () => {
    const detail = problemIn(await send("PUT /v1/main/znodes/a/b", { body: "x" }), { status: 404 });
    expect(detail).toBe('Cannot create "/a/b": its parent does not exist');
  });

  test("worker: PUT goes round when others delete and create in between", async () => {
    ensemble.member(1).fail("perform", refuse(ZkErrorCode.NoNode), refuse(ZkErrorCode.NodeExists));
    expect((await send("PUT /v1/main/znodes/a", { body: "x" })).status).toBe(201);
    expect(ensemble.callsOf("perform")).toHaveLength(4);
  });

  test("worker: PUT gives up going round with 409", async () => {
    const round = [refuse(ZkErrorCode.NoNode), refuse(ZkErrorCode.NodeExists)];
    ensemble.member(1).fail("perform", ...Array.from({ length: 5 }, () => round).flat());
    problemIn(await send("PUT /v1/main/znodes/a", { body: "x" }), { status: 409, codeName: "NodeExists" });
    expect(ensemble.callsOf("perform")).toHaveLength(10);
  });

  test("worker: PUT with If-None-Match: * creates with 201", async () => {
    const sent = await send("PUT /v1/main/znodes/a", { body: "x", headers: { "If-None-Match": "*" } });
    expect(sent.status).toBe(201);
    expect(sent.headers.get("Location")).toBe("/v1/main/znodes/a");
  });

  test("worker: PUT with If-None-Match: * of a znode that exists answers 412 and changes nothing", async () => {
    ensemble.plant("/a", "old");
    const sent = await send("PUT /v1/main/znodes/a", { body: "new", headers: { "If-None-Match": "*" } });
    problemIn(sent, { status: 412, code: -110, codeName: "NodeExists", path: "/a" });
    expect(ensemble.value("/a")).toBe("old");
  });

  test("worker: PUT with the current If-Match sets", async () => {
    ensemble.plant("/a", "old");
    const sent = await send("PUT /v1/main/znodes/a", { body: "new", headers: { "If-Match": '"0"' } });
    expect(sent.status).toBe(200);
    expect(ensemble.value("/a")).toBe("new");
  });

  test("worker: PUT with an If-Match that a proxy made weak sets", async () => {
    ensemble.plant("/a", "old");
    const sent = await send("PUT /v1/main/znodes/a", { body: "new", headers: { "If-Match": 'W/"0"' } });
    expect(sent.status).toBe(200);
  });

  test("worker: PUT with a stale If-Match answers 412 and changes nothing", async () => {
    ensemble.plant("/a", "old");
    const sent = await send("PUT /v1/main/znodes/a", { body: "new", headers: { "If-Match": '"3"' } });
    problemIn(sent, {
      type: "/problems/bad-version",
      title: "Version does not match",
      status: 412,
      detail: 'Cannot set "/a": its version is not 3',
      code: -103,
      codeName: "BadVersion",
      path: "/a",
    });
    expect(ensemble.value("/a")).toBe("old");
  });

  test("worker: PUT with If-Match: * sets what exists and refuses what does not", async () => {
    ensemble.plant("/a", "old");
    const headers = { "If-Match": "*" };
    expect((await send("PUT /v1/main/znodes/a", { body: "new", headers })).status).toBe(200);
    const refused = await send("PUT /v1/main/znodes/b", { body: "new", headers });
    problemIn(refused, { status: 412, codeName: "NoNode", path: "/b" });
    expect(ensemble.value("/b")).toBeUndefined();
  });

  test.each([
    { "If-Match": "3" },
    { "If-Match": '"-1"' },
    { "If-Match": '"x"' },
    { "If-Match": '"2147483648"' },
    { "If-Match": '"1", "2"' },
    { "If-Match": '""' },
    { "If-None-Match": '"3"' },
    { "If-None-Match": "*", "If-Match": '"3"' },
  ])("worker: PUT with %o answers 400 and changes nothing", async (headers) => {
    ensemble.plant("/a", "old");
    problemIn(await send("PUT /v1/main/znodes/a", { body: "new", headers }), { status: 400 });
    expect(ensemble.calls).toEqual([]);
  });

  test("worker: PUT that may not write answers 403, with a precondition too", async () => {
    for (const headers of [{}, { "If-Match": '"0"' }]) {
      ensemble.member(1).fail("perform", refuse(ZkErrorCode.NoAuth));
      problemIn(await send("PUT /v1/main/znodes/a", { headers }), { status: 403, codeName: "NoAuth" });
    }
  });
});

describe("worker: request bodies", () => {
  const pathBytes = new TextEncoder().encode("/é").byteLength;
  const most = znodeDataBytesMax(pathBytes);

  test("worker: PUT takes the largest data that fits a frame", async () => {
    expect((await send("PUT /v1/main/znodes/é", { body: new Uint8Array(most) })).status).toBe(201);
    expect(most).toBeGreaterThan(1_000_000);
  });

  test("worker: PUT of one byte more answers 413 and calls nobody", async () => {
    const sent = await send("PUT /v1/main/znodes/é", { body: new Uint8Array(most + 1) });
    const detail = problemIn(sent, { status: 413, type: "/problems/too-large", path: "/é" });
    expect(detail).toContain(String(most));
    expect(ensemble.calls).toEqual([]);
  });

  test("worker: PUT of a declared length that is too large is not even read", async () => {
    const body = new ReadableStream({
      pull() {
        throw new Error("nobody should read this");
      },
    });
    const headers = { "Content-Length": "2000000" };
    problemIn(await send("PUT /v1/main/znodes/a", { ...streaming(body), headers }), { status: 413 });
  });

  test("worker: PUT of an endless stream is cut off at the bound", async () => {
    let chunks = 0;
    const body = new ReadableStream({
      pull(controller) {
        chunks++;
        controller.enqueue(new Uint8Array(65_536));
      },
    });
    problemIn(await send("PUT /v1/main/znodes/a", streaming(body)), { status: 413 });
    expect(chunks).toBeLessThan(20);
    expect(ensemble.calls).toEqual([]);
  });

  test("worker: PUT joins the chunks of a stream", async () => {
    const body = new ReadableStream({
      start(controller) {
        for (const part of ["on", "", "e"]) controller.enqueue(new TextEncoder().encode(part));
        controller.close();
      },
    });
    expect((await send("PUT /v1/main/znodes/a", streaming(body))).status).toBe(201);
    expect(ensemble.value("/a")).toBe("one");
  });
});

/** Node wants to be told that it will not read the answer before the body is sent. */
function streaming(body: ReadableStream): RequestInit {
  return { body, ...{ duplex: "half" } };
}

describe("worker: POST", () => {
  test("worker: POST creates a sequential child and tells where", async () => {
    ensemble.plant("/queue");
    for (const name of ["/queue/job-0000000000", "/queue/job-0000000001"]) {
      const sent = await send("POST /v1/main/znodes/queue/job-", { body: "x" });
      expect(sent.status).toBe(201);
      expect(sent.headers.get("Location")).toBe(`/v1/main/znodes${name}`);
      expect(sent.json()).toMatchObject({ path: name });
    }
  });

  test("worker: POST takes a prefix without a name, and encodes the location", async () => {
    ensemble.plant("/a b");
    const sent = await send("POST /v1/main/znodes/a%20b/");
    expect(sent.headers.get("Location")).toBe("/v1/main/znodes/a%20b/0000000000");
  });

  test.each([
    ["persistent", OpCode.Create2, 0],
    ["persistent_sequential", OpCode.Create2, 2],
    ["container", OpCode.CreateContainer, 4],
  ])("worker: POST ?mode=%s asks for that mode", async (mode, type, flags) => {
    expect((await send(`POST /v1/main/znodes/a?mode=${mode}`)).status).toBe(201);
    const call = ensemble.callsOf("perform").at(-1)?.argument;
    expect(call).toMatchObject({ request: { type, flags, ttlMs: -1 } });
  });

  test("worker: POST ?mode=persistent of a znode that exists answers 409", async () => {
    ensemble.plant("/a");
    problemIn(await send("POST /v1/main/znodes/a?mode=persistent"), { status: 409, codeName: "NodeExists" });
  });

  test.each(["ephemeral", "ephemeral_sequential"])("worker: POST ?mode=%s wants a session", async (mode) => {
    const detail = problemIn(await send(`POST /v1/main/znodes/a?mode=${mode}`), {
      status: 400,
      codeName: "BadArguments",
    });
    expect(detail).toContain("Ek-Session");
    expect(ensemble.calls).toEqual([]);
  });

  test.each(["?mode=sequential", "?mode=toString", "?mode=", "?ephemeral=true"])(
    "worker: POST %s answers 400",
    async (query) => {
      problemIn(await send(`POST /v1/main/znodes/a${query}`), { status: 400 });
      expect(ensemble.calls).toEqual([]);
    },
  );

  test("worker: POST with a precondition answers 400", async () => {
    const headers = { "If-None-Match": "*" };
    problemIn(await send("POST /v1/main/znodes/a", { headers }), { status: 400 });
  });

  test("worker: POST without a sequence wants a whole path", async () => {
    problemIn(await send("POST /v1/main/znodes/a/?mode=persistent"), { status: 400 });
  });
});

describe("worker: DELETE", () => {
  beforeEach(() => {
    ensemble.plant("/a", "x");
  });

  test.each([{}, { "If-Match": '"0"' }, { "If-Match": "*" }])(
    "worker: DELETE with %o deletes",
    async (headers) => {
      const sent = await send("DELETE /v1/main/znodes/a", { headers });
      expect(sent).toMatchObject({ status: 204, text: "" });
      expect(sent.headers.get("Ek-Zxid")).toBe("0x100000001");
      expect(ensemble.value("/a")).toBeUndefined();
    },
  );

  test("worker: DELETE with a stale If-Match answers 412 and changes nothing", async () => {
    const sent = await send("DELETE /v1/main/znodes/a", { headers: { "If-Match": '"4"' } });
    problemIn(sent, {
      status: 412,
      codeName: "BadVersion",
      detail: 'Cannot delete "/a": its version is not 4',
    });
    expect(ensemble.value("/a")).toBe("x");
  });

  test("worker: DELETE of a missing znode answers 404, with If-Match 412", async () => {
    problemIn(await send("DELETE /v1/main/znodes/b"), { status: 404, codeName: "NoNode" });
    const headers = { "If-Match": "*" };
    problemIn(await send("DELETE /v1/main/znodes/b", { headers }), { status: 412, codeName: "NoNode" });
  });

  test("worker: DELETE of a parent answers 409", async () => {
    ensemble.plant("/a/b");
    problemIn(await send("DELETE /v1/main/znodes/a"), { status: 409, codeName: "NotEmpty", path: "/a" });
  });

  test("worker: DELETE with an unknown parameter or If-None-Match answers 400", async () => {
    problemIn(await send("DELETE /v1/main/znodes/a?deep"), { status: 400 });
    problemIn(await send("DELETE /v1/main/znodes/a", { headers: { "If-None-Match": "*" } }), { status: 400 });
    expect(ensemble.calls).toEqual([]);
  });
});

describe("worker: paths", () => {
  test.each([
    ["/a//b", "empty component"],
    ["/a/", 'ends with "/"'],
    ["/a%2Fb", "encoded slash"],
    ["/a%2fb", "encoded slash"],
    ["/%00", "control"],
    ["/a%0Ab", "control"],
    ["/a%zz", "percent-encoding"],
    ["/a%C0%AF", "percent-encoding"],
    ["/%ED%A0%80", "percent-encoding"],
    ["/%EE%80%80", "private-use"],
  ])("worker: %s answers 400 for every method and changes nothing", async (path, reason) => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const detail = problemIn(await send(`${method} /v1/main/znodes${path}`), { status: 400 });
      expect(detail).toContain(reason);
    }
    expect(ensemble.calls).toEqual([]);
  });

  test("worker: a path is decoded once", async () => {
    ensemble.plant("/%41", "escaped");
    ensemble.plant("/A", "letter");
    expect((await send("GET /v1/main/znodes/%2541")).text).toBe("escaped");
    expect((await send("GET /v1/main/znodes/%41")).text).toBe("letter");
  });

  test("worker: a znode may be called like a part of the API", async () => {
    ensemble.plant("/children", "x");
    expect((await send("GET /v1/main/znodes/children")).text).toBe("x");
  });
});

function refuse(err: ZkErrorCode) {
  return { answer: { kind: "answered", outcome: { err }, zxid: "0x1" } };
}
