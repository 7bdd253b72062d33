/**
 * Proves that all surfaces agree on what a path and a value are: whatever one of them writes, each of the others reads
 * back unharmed, from the same table of awkward paths and bytes.
 *
 * Written by `PUT`, `POST`, a transaction over HTTP with text or base64, and the SDK, alone and in a transaction, over a
 * WebSocket and over the ZooKeeper port. Read raw, as JSON, from lists of children, by the SDK on both, and from
 * streams of server-sent events and on a WebSocket; at last exported by `ek`, as lines and as a snapshot, and imported
 * again. And the operator sees the streams: this is a member with both kinds of them open.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nameOf, parentOf } from "../../src/base/index.ts";
import { parseLine } from "../../src/cli/migration/json-lines.ts";
import { loadSnapshotFile } from "../../src/cli/migration/zookeeper-files.ts";
import { type Client, watchStream } from "../../src/client/index.ts";
import { connect } from "../../src/client/node/index.ts";
import { type LocalEnsemble, startEnsemble } from "../../src/testing/index.ts";
import { refusedName, znodePath, znodeValue } from "../support/znode-arbitraries.ts";

type Value = Uint8Array | null;

const base = "/surfaces";
const program = join(import.meta.dirname, "..", "..", "src", "cli", "ek.ts");
const run = promisify(execFile);

let ensemble: LocalEnsemble;
let overWebSocket: Client;
let overPort: Client;
let directory: string;
/** What was written, by path. */
const written = new Map<string, Value>();

beforeAll(async () => {
  ensemble = await startEnsemble({ members: 1 });
  overWebSocket = ensemble.connect();
  overPort = connect(ensemble.zookeeperUrl);
  directory = mkdtempSync(join(tmpdir(), "edgekeeper-"));
});
afterAll(async () => {
  await overPort?.close();
  await ensemble?.close();
  rmSync(directory, { recursive: true, force: true });
});

function encoded(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
}

async function http(line: string, init: RequestInit = {}): Promise<Answer> {
  const [method = "", tail = ""] = line.split(" ");
  const response = await fetch(`${ensemble.url}/${tail}`, { ...init, method });
  const bytes = await response.bytes();
  return { status: response.status, headers: response.headers, bytes, text: new TextDecoder().decode(bytes) };
}

function textOf(value: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return undefined;
  }
}

interface Shown {
  readonly value?: string | null;
  readonly encoding?: string;
}

/** What JSON says that a znode has. */
function dataIn({ value, encoding }: Shown): Value | undefined {
  if (value === undefined) return undefined;
  if (value === null) return encoding === "null" ? null : undefined;
  if (encoding === "base64") return new Uint8Array(Buffer.from(value, "base64"));
  return encoding === "utf8" ? new TextEncoder().encode(value) : undefined;
}

type Shape = (value: Uint8Array) => Shown;

const inBase64: Shape = (value) => ({ value: Buffer.from(value).toString("base64"), encoding: "base64" });

/** As text, where it is some. */
const asText: Shape = (value) => {
  const text = textOf(value);
  return text === undefined ? inBase64(value) : { value: text };
};

async function transact(path: string, value: Value, shape: Shape): Promise<void> {
  const shown = value === null ? { value: null, encoding: "null" } : shape(value);
  const body = JSON.stringify([{ op: "create", path, ...shown }]);
  const { status, text } = await http("POST transactions", { body });
  expect([status, JSON.parse(text).results?.[0]?.path]).toEqual([200, path]);
}

/** A body has no way to say that there is no data. */
function bodyOf(value: Value): RequestInit {
  return { body: new Uint8Array(value ?? []) };
}

const writers: Readonly<Record<string, (path: string, value: Value) => Promise<unknown>>> = {
  async put(path, value) {
    const { status, text } = await http(`PUT znodes${encoded(path)}`, {
      ...bodyOf(value),
      headers: { "If-None-Match": "*" },
    });
    expect([status, JSON.parse(text).path]).toEqual([201, path]);
  },
  async post(path, value) {
    const { status, headers, text } = await http(
      `POST znodes${encoded(path)}?mode=persistent`,
      bodyOf(value),
    );
    expect([status, JSON.parse(text).path]).toEqual([201, path]);
    const location = new URL(headers.get("Location") ?? "", ensemble.url);
    expect(new Uint8Array(await (await fetch(location)).bytes())).toEqual(new Uint8Array(value ?? []));
  },
  transactText: (path, value) => transact(path, value, asText),
  transactBase64: (path, value) => transact(path, value, inBase64),
  webSocket: (path, value) => overWebSocket.create(path, value),
  port: (path, value) => overPort.create(path, value),
  webSocketTransaction: (path, value) => overWebSocket.transaction().create(path, value).commit(),
  portTransaction: (path, value) => overPort.transaction().create(path, value).commit(),
};

/** What a stream has told of each path, whoever asks first. */
class Heard {
  readonly #told = new Map<string, PromiseWithResolvers<Shown>>();

  take(told: object): void {
    if ("path" in told && typeof told.path === "string") this.of(told.path).resolve(told as Shown);
  }

  of(path: string): PromiseWithResolvers<Shown> {
    const told = this.#told.get(path) ?? Promise.withResolvers<Shown>();
    this.#told.set(path, told);
    return told;
  }
}

async function listenToEvents(heard: Heard, signal: AbortSignal): Promise<void> {
  const options = { scope: "subtree", values: true, since: "0x0", signal } as const;
  for await (const event of watchStream(ensemble.url, base, options)) heard.take(event);
}

/** Resolves once the member listens. */
function listenOnSocket(heard: Heard, signal: AbortSignal): Promise<void> {
  const socket = new WebSocket(`${ensemble.url.replace("http", "ws")}/watch`, "edgekeeper.watch.v1");
  signal.addEventListener("abort", () => socket.close());
  return new Promise((resolve, reject) => {
    socket.addEventListener("error", () => reject(new Error("the WebSocket broke")));
    socket.addEventListener("open", () =>
      socket.send(
        JSON.stringify({ type: "subscribe", id: "s", path: base, scope: "subtree", with: "value" }),
      ),
    );
    socket.addEventListener("message", ({ data }) => {
      const { type, seq, events = [] } = JSON.parse(String(data));
      if (type === "subscribed") resolve();
      for (const event of events) heard.take(event);
      if (seq !== undefined) socket.send(JSON.stringify({ type: "ack", seq }));
    });
  });
}

async function expectEverywhere(path: string, value: Value, streams: readonly Heard[]): Promise<void> {
  const raw = await http(`GET znodes${encoded(path)}`);
  expect([raw.status, raw.bytes]).toEqual([200, new Uint8Array(value ?? [])]);
  const inJson = JSON.parse(
    (await http(`GET znodes${encoded(path)}`, { headers: { Accept: "application/json" } })).text,
  );
  expect([inJson.path, dataIn(inJson)]).toEqual([path, value]);
  const parent = parentOf(path);
  const listed = JSON.parse((await http(`GET znodes${encoded(parent)}?children&with=value`)).text);
  expect(listed.children.map((child: Shown & { name: string }) => [child.name, dataIn(child)])).toEqual([
    [nameOf(path), value],
  ]);
  for (const zk of [overWebSocket, overPort]) {
    expect((await zk.get(path)).data).toEqual(value);
    expect(await zk.children(parent)).toEqual([nameOf(path)]);
  }
  for (const heard of streams) expect(dataIn(await heard.of(path).promise)).toEqual(value);
}

test("what one surface writes each of the others reads as it was, and streams tell it", async () => {
  const stop = new AbortController();
  const streams = [new Heard(), new Heard()] as const;
  await overWebSocket.create(base);
  const events = listenToEvents(streams[0], stop.signal);
  await listenOnSocket(streams[1], stop.signal);
  let runs = 0;
  const writer = fc.constantFrom(...Object.keys(writers));
  await fc.assert(
    fc.asyncProperty(writer, znodePath, znodeValue, async (name, tail, drawn) => {
      runs += 1;
      const path = `${base}/${runs}${tail}`;
      // Without data there is no body: it writes empty data.
      const value = drawn === null && (name === "put" || name === "post") ? new Uint8Array() : drawn;
      await overWebSocket.createPath(parentOf(path));
      await writers[name]?.(path, value);
      await expectEverywhere(path, value, streams);
      written.set(path, value);
    }),
    { numRuns: 80 },
  );
  const summary = await http("GET admin/words/wchs");
  expect(summary.text).toBe("2 connections watching 1 paths\nTotal watches:2\n");
  expect((await http("GET admin/words/wchp")).text).toBe(`${base}\n\t0x0\n\t0x0\n\n`);
  expect((await http("GET admin/words/mntr")).text).toContain("zk_watch_count\t2\n");
  const connections = await http("GET admin/words/cons");
  expect(connections.text.match(/^ \/127\.0\.0\.1:0\[1\]\(queued=0,recved=\d+,sent=\d+\)$/gm)?.length).toBe(
    2,
  );
  stop.abort();
  await events;
});

test("names that no znode may have are refused by all, and a name alone is enough", async () => {
  await fc.assert(
    fc.asyncProperty(refusedName, async (name) => {
      const path = `${base}/${name}`;
      for (const line of ["PUT znodes", "GET znodes", "GET watch"]) {
        expect((await http(`${line}${encoded(path)}`)).status, line).toBe(400);
      }
      const body = JSON.stringify([{ op: "create", path }]);
      expect((await http("POST transactions", { body })).status).toBe(400);
      for (const zk of [overWebSocket, overPort]) {
        await expect(zk.create(path)).rejects.toMatchObject({ codeName: "BadArguments" });
      }
    }),
    { numRuns: 20 },
  );
});

test("ek exports all of it, as lines and as a snapshot, and imports what it exported", async () => {
  expect(written.size).toBeGreaterThan(0);
  const lines = join(directory, "all.jsonl");
  await run(process.execPath, [program, "export", "--from", ensemble.url, "--lines", lines]);
  const texts = readFileSync(lines, "utf8").trimEnd().split("\n");
  const exported = new Map(
    texts.map((text, at) => parseLine(text, at + 1)).map(({ path, data }) => [path, data]),
  );
  for (const [path, value] of written) expect([path, exported.get(path)]).toEqual([path, value]);

  const snapshots = join(directory, "version-2");
  const { stderr } = await run(process.execPath, [
    program,
    "export",
    "--from",
    ensemble.zookeeperUrl,
    "--snapshot-dir",
    snapshots,
  ]);
  const zxid = /as of 0x([0-9a-f]+)/.exec(stderr)?.[1];
  const { records } = await loadSnapshotFile(join(snapshots, `snapshot.${zxid}`));
  const snapped = new Map(records.map(({ path, data }) => [path, data]));
  // Files of ZooKeeper's tell no data from empty data, where it is written so.
  for (const [path, value] of written) expect([path, snapped.get(path)]).toEqual([path, value]);

  await overPort.deleteTree(base);
  await run(process.execPath, [program, "import", "--to", ensemble.url, "--lines", lines]);
  for (const [path, value] of written) expect([path, (await overPort.get(path)).data]).toEqual([path, value]);
});
