/**
 * `npm start` as people and supervisors meet it: one line when it serves, clear refusals, clean stops, and
 * nothing left behind however it ends.
 *
 * @module
 */

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { decodeReplyHeader, encodeRequest, FrameDecoder, JuteWriter } from "../../src/jute/index.ts";
import {
  freePort,
  type LocalProcess,
  runStart,
  startLocalProcess,
  throughNpm,
} from "../support/local-process.ts";
import { openSession } from "../support/raw-session.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(...args: Parameters<typeof startLocalProcess>): Promise<LocalProcess> {
  const local = await startLocalProcess(...args);
  cleanups.push(() => local.dispose());
  return local;
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "edgekeeper-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function put(local: LocalProcess, path: string, data: string): Promise<number> {
  const response = await fetch(`${local.url}/v1/main/znodes${path}`, { method: "PUT", body: data });
  await response.text();
  return response.status;
}

async function get(local: LocalProcess, path: string): Promise<string> {
  return (await fetch(`${local.url}/v1/main/znodes${path}`)).text();
}

/** Whether the port can be listened on. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

test("one line on stdout, and both ports serve when it is there", async () => {
  const local = await start();
  expect(local.stdout).toBe(`ready ${local.url} zookeeper://127.0.0.1:${local.zkPort}\n`);
  expect(local.stderr).toContain("No token is set");
  expect(await put(local, "/a", "x")).toBe(201);
  const session = await openSession(local.zkPort);
  expect(session.timeoutMs).toBe(4000);
  session.socket.destroy();
  expect(await local.stop()).toBe(0);
  expect(local.stdout.split("\n").length).toBe(2);
});

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "%s: exit code 0, ports free, state kept",
  async (signal) => {
    const local = await start();
    expect(await put(local, "/a", "kept")).toBe(201);
    const session = await openSession(local.zkPort);
    const ended = once(session.socket, "close");
    expect(await local.stop(signal)).toBe(0);
    await ended;
    expect(await isFree(local.port)).toBe(true);
    expect(await isFree(local.zkPort)).toBe(true);
    await local.restart();
    expect(await get(local, "/a")).toBe("kept");
  },
);

test("port 0 picks free ports", async () => {
  const local = await start(["--port", "0", "--zk-port", "0"]);
  const [, http, zookeeper] =
    /^ready http:\/\/127\.0\.0\.1:(\d+) zookeeper:\/\/127\.0\.0\.1:(\d+)\n$/.exec(local.stdout) ?? [];
  expect((await fetch(`http://127.0.0.1:${http}/health`)).status).toBe(200);
  (await openSession(Number(zookeeper))).socket.destroy();
});

test("killed alone, the process takes its runtime with it, and a start right after waits for that", async () => {
  const local = await start();
  expect(await put(local, "/a", "kept")).toBe(201);
  await local.kill9Parent();
  await local.restart();
  expect(await get(local, "/a")).toBe("kept");
});

test("npm passes SIGTERM on, waits, and answers with our exit code", async () => {
  const local = await start([], {}, throughNpm);
  expect(await put(local, "/a", "kept")).toBe(201);
  expect(await local.stop()).toBe(0);
  expect(await isFree(local.port)).toBe(true);
});

test("npm killed takes everything along, and a start right after waits for that", async () => {
  const local = await start([], {}, throughNpm);
  expect(await put(local, "/a", "kept")).toBe(201);
  await local.killCommand();
  await local.restart();
  expect(await get(local, "/a")).toBe("kept");
});

test("a runtime that is killed is started again, in its place", async () => {
  const local = await start();
  expect(await put(local, "/a", "kept")).toBe(201);
  local.killRuntime();
  const answer = async () => get(local, "/a").catch(() => "nobody there");
  await expect.poll(answer, { timeout: 30_000 }).toBe("kept");
  const session = await openSession(local.zkPort);
  session.socket.destroy();
  expect(await local.stop()).toBe(0);
});

test("a reader of its output that goes away takes nothing along", async () => {
  const local = await start();
  local.closeOutput();
  local.killRuntime();
  const session = async () => (await openSession(local.zkPort)).socket.destroy();
  // Refused connections are logged, and so is the stop.
  await expect
    .poll(
      () =>
        session().then(
          () => "in",
          () => "out",
        ),
      { timeout: 30_000 },
    )
    .toBe("in");
  expect(await local.stop()).toBe(0);
});

/** Asks whether `/` exists, after an auth packet if there is one; answers the codes of all answers. */
async function codesOf(port: number, token?: string): Promise<number[]> {
  const { socket } = await openSession(port);
  const writer = new JuteWriter();
  const auth = token === undefined ? null : new TextEncoder().encode(token);
  if (auth !== null) encodeRequest(writer, -4, { type: OpCode.Auth, scheme: "bearer", auth });
  encodeRequest(writer, 1, { type: OpCode.Exists, path: "/", watch: false });
  socket.write(writer.take());
  const frames = new FrameDecoder();
  const codes: number[] = [];
  const expected = auth === null ? 1 : 2;
  while (codes.length < expected) {
    const [chunk]: unknown[] = await once(socket, "data");
    if (chunk instanceof Uint8Array) frames.push(chunk);
    for (let next = frames.next(); next.kind === "frame"; next = frames.next()) {
      codes.push(decodeReplyHeader(next.bytes)?.err ?? 1);
      if (codes.at(-1) !== 0) return codes;
    }
  }
  socket.destroy();
  return codes;
}

async function word(port: number, name: string): Promise<string> {
  const socket = createConnection(port, "127.0.0.1");
  socket.end(name);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test("with a token everything asks for it, the ZooKeeper port by an auth packet", async () => {
  const local = await start([], { EK_TOKEN: "hush" });
  expect(local.stderr).not.toContain("hush");
  const url = `${local.url}/v1/main/znodes/`;
  expect((await fetch(url)).status).toBe(401);
  expect((await fetch(url, { headers: { Authorization: "Bearer hush" } })).status).toBe(200);
  expect(await codesOf(local.zkPort)).toEqual([ZkErrorCode.SessionClosedRequireSaslAuth]);
  expect(await codesOf(local.zkPort, "Hush")).toEqual([ZkErrorCode.AuthFailed]);
  expect(await codesOf(local.zkPort, "hush")).toEqual([0, 0]);
  expect(await word(local.zkPort, "srvr")).toContain("Mode: leader");
  expect(await word(local.zkPort, "dump")).toContain("not in the whitelist");
});

test("with a token and --zk-auth none the ZooKeeper port asks for nothing", async () => {
  const flags = ["--members", "1", "--zk-auth", "none", "--four-letter-words", "dump"];
  const local = await start(flags, { EK_TOKEN: "hush" });
  expect(await codesOf(local.zkPort)).toEqual([0]);
  expect(await word(local.zkPort, "dump")).toContain("SessionTracker dump:");
});

test("a client that sends 100,000 requests at once has every one of them answered", async () => {
  const local = await start(["--members", "1"]);
  const { socket } = await openSession(local.zkPort, { timeoutMs: 40_000 });
  const writer = new JuteWriter();
  for (let xid = 1; xid <= 100_000; xid++) {
    encodeRequest(writer, xid, { type: OpCode.SetData, path: "/none", data: null, version: -1 });
  }
  const frames = new FrameDecoder();
  let answered = 0;
  const all = new Promise<void>((resolve, reject) => {
    socket.on("data", (chunk: Uint8Array) => {
      frames.push(chunk);
      for (let next = frames.next(); next.kind === "frame"; next = frames.next()) {
        answered += 1;
        if (decodeReplyHeader(next.bytes)?.xid !== answered)
          reject(new Error(`answer ${answered} is missing`));
      }
      if (answered === 100_000) resolve();
    });
    socket.once("close", () => reject(new Error(`cut off after ${answered} answers`)));
  });
  socket.write(writer.take());
  await all;
  socket.destroy();
});

test("flags reach the members: a tick of 300 ms bounds sessions to 6,000 ms", async () => {
  const local = await start(["--tick-ms", "300", "--members", "1"]);
  const session = await openSession(local.zkPort, { timeoutMs: 600_000 });
  expect(session.timeoutMs).toBe(6000);
  session.socket.destroy();
});

describe("a start refuses", () => {
  test("a directory in use, naming the process", async () => {
    const local = await start();
    const second = await runStart(["--data", local.directory, "--port", "0", "--zk-port", "0"]);
    expect(second).toMatchObject({ code: 1, stdout: "" });
    expect(second.stderr).toMatch(/process \d+ is using it/);
    expect(await put(local, "/a", "x")).toBe(201);
  });

  test("a directory made for another number of members", async () => {
    const local = await start(["--members", "1"]);
    await local.stop();
    const second = await runStart([
      "--data",
      local.directory,
      "--port",
      "0",
      "--zk-port",
      "0",
      "--members",
      "3",
    ]);
    expect(second).toMatchObject({ code: 1, stdout: "" });
    expect(second.stderr).toContain("it was made with --members 1");
    await local.restart();
  });

  test.each(["port", "zk-port"])("a --%s that is taken", async (flag) => {
    const taken = await freePort();
    const server = createServer().listen(taken, "127.0.0.1");
    await once(server, "listening");
    cleanups.push(() => server.close());
    const ports = flag === "port" ? ["--zk-port", "0"] : ["--port", "0"];
    const run = await runStart(["--data", temporaryDirectory(), `--${flag}`, String(taken), ...ports]);
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toContain(`Cannot listen on 127.0.0.1 with --${flag} ${taken}: another process`);
  });

  test("a directory that is a file", async () => {
    const file = join(import.meta.dirname, "start.test.ts");
    const run = await runStart(["--data", file, "--port", "0", "--zk-port", "0"]);
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toContain("Cannot use --data");
  });

  test("bad flags and settings, with exit code 2 and every fault", async () => {
    const run = await runStart(["--tick-ms", "soon", "--host", "0.0.0.0"], { EK_TIK_MS: "1" });
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toContain('--tick-ms (EK_TICK_MS) is "soon"');
    expect(run.stderr).toContain("EK_TIK_MS is not a setting");
  });

  test("a host that others can reach, without a token", async () => {
    const run = await runStart(["--host", "0.0.0.0"]);
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toContain("set EK_TOKEN");
  });
});
