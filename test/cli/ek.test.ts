/**
 * Proves `ek import` and `ek export` as a user runs them: a process, files, and a local ensemble.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadSnapshotFile } from "../../src/cli/migration/zookeeper-files.ts";
import type { Client } from "../../src/client/index.ts";
import { connect } from "../../src/client/node/index.ts";
import { type LocalProcess, startLocalProcess } from "../support/local-process.ts";

const fixture = join(import.meta.dirname, "fixtures", "zookeeper-3.9.4");
const program = join(import.meta.dirname, "..", "..", "src", "cli", "ek.ts");

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const done = once(child, "close").then(
    ([code]: (number | null)[]): Run => ({ code: code ?? null, stdout, stderr }),
  );
  return { child, done };
}

function ek(...args: readonly string[]): Promise<Run> {
  return start(args).done;
}

describe("ek", () => {
  let local: LocalProcess;
  let target = "";
  let zk: Client;
  let directory = "";

  beforeAll(async () => {
    local = await startLocalProcess();
    target = `zookeeper://127.0.0.1:${local.zkPort}`;
    zk = connect(target);
    directory = mkdtempSync(join(tmpdir(), "edgekeeper-"));
  });
  afterAll(async () => {
    await zk?.close();
    await local?.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  test("import takes a ZooKeeper's data directory over, and finds nothing left to do when run again", async () => {
    const args = ["import", "--to", target, "--data-dir", fixture, "--auth", "digest:me:secret"];
    const first = await ek(...args);
    expect([first.code, first.stdout.trim()]).toEqual([0, "57 created, 1 there already"]);
    expect(first.stderr).toContain("58 znodes as of 0x4c, after 3 logged txns; 1 ephemeral left out");
    expect((await ek(...args)).stdout.trim()).toBe("0 created, 58 there already");
    expect((await zk.get("/app/n11")).text).toBe("multi");
    await expect(zk.get("/app/private")).rejects.toMatchObject({ codeName: "NoAuth" });
    await using owner = connect(target, { auth: [{ scheme: "digest", auth: "me:secret" }] });
    expect((await owner.get("/app/private")).text).toBe("s");
  });

  test("import stops at a znode that differs, and keeps or overwrites it when asked", async () => {
    await zk.createPath("/mixed/a");
    const line = JSON.stringify({
      path: "/mixed/a",
      data: "theirs",
      encoding: "utf8",
      acl: [{ perms: "cdrwa", scheme: "world", id: "anyone" }],
      kind: "persistent",
    });
    const file = join(directory, "one.jsonl");
    writeFileSync(file, `${line}\n`);
    const args = ["import", "--to", target, "--lines", file];
    const failed = await ek(...args);
    expect([failed.code, failed.stdout]).toEqual([4, ""]);
    expect(failed.stderr).toContain('"/mixed/a" exists with other data');
    expect((await ek(...args, "--if-different", "keep")).stdout.trim()).toBe(
      "0 created, 1 kept as they were",
    );
    expect((await zk.get("/mixed/a")).data).toBeNull();
    expect((await ek(...args, "--if-different", "overwrite")).stdout.trim()).toBe("0 created, 1 overwritten");
    expect((await zk.get("/mixed/a")).text).toBe("theirs");
  });

  test("import goes on where it was killed", async () => {
    const paths = ["/many", ...Array.from({ length: 20_000 }, (_, i) => `/many/${i}`)];
    const lines = paths.map((path) =>
      JSON.stringify({
        path,
        data: path.repeat(5),
        encoding: "utf8",
        acl: [{ perms: "cdrwa", scheme: "world", id: "anyone" }],
        kind: "persistent",
      }),
    );
    const file = join(directory, "many.jsonl");
    const mark = join(directory, "many.progress");
    writeFileSync(file, lines.join("\n"));
    const args = ["import", "--to", target, "--lines", file, "--progress", mark];
    const { child, done } = start(args);
    while ((await zk.exists("/many")) === undefined) await zk.sync();
    while ((await zk.descendantCount("/many")) < 1_000) await zk.sync();
    child.kill("SIGKILL");
    await done;
    const again = await ek(...args);
    expect(again.code).toBe(0);
    expect(await zk.descendantCount("/many")).toBe(20_000);
    const created = Number(/^([0-9]+) created/.exec(again.stdout)?.[1]);
    expect(created).toBeLessThan(20_000);
    expect((await zk.get("/many/19999")).text).toBe("/many/19999".repeat(5));
  });

  test("export and import copy an ensemble, through lines, a snapshot file, or live", async () => {
    await zk.createPath("/copy/a/b");
    // Its time may come in the middle of this test.
    await zk.delete("/app/ttl").catch(() => undefined);
    await zk.set("/copy/a", new Uint8Array([0, 255]));
    const lines = join(directory, "copy.jsonl");
    const auth = ["--auth", "digest:me:secret"];
    const exported = await ek("export", "--from", `${local.url}/v1/main`, "--lines", lines, ...auth);
    expect(exported.code).toBe(0);
    const inLines = readFileSync(lines, "utf8").trim().split("\n");
    expect(inLines.some((text) => text.includes('"path":"/copy/a/b"'))).toBe(true);
    const snapshots = join(directory, "version-2");
    const snapped = await ek("export", "--from", target, "--snapshot-dir", snapshots, ...auth);
    const zxid = /as of 0x([0-9a-f]+)/.exec(snapped.stderr)?.[1];
    const loaded = await loadSnapshotFile(join(snapshots, `snapshot.${zxid}`));
    expect(loaded.records.length).toBe(inLines.length);
    const other = await startLocalProcess();
    try {
      const to = `zookeeper://127.0.0.1:${other.zkPort}`;
      const copied = await ek(
        "import",
        "--to",
        to,
        "--from",
        target,
        "--from-auth",
        "digest:me:secret",
        ...auth,
      );
      expect([copied.code, copied.stdout.trim()]).toEqual([
        0,
        `${inLines.length - 1} created, 1 there already`,
      ]);
      await using there = connect(to);
      expect((await there.get("/copy/a")).data).toEqual(new Uint8Array([0, 255]));
      expect(await there.descendantCount("/many")).toBe(20_000);
    } finally {
      await other.dispose();
    }
  });

  test.each([
    [["import"], 2, "--to is missing"],
    [["import", "--to", "x", "--nonsense"], 2, "nonsense"],
    [["import", "--to", "zookeeper://127.0.0.1:1"], 2, "name one source"],
    [["import", "--to", "zookeeper://127.0.0.1:1", "--lines", "no-such-file"], 3, "no such file"],
    [["import", "--to", "ftp://host", "--lines", "x"], 1, "use https:"],
    [["nonsense"], 2, 'no command "nonsense"'],
  ])("%j is refused with %i", async (args, code, message) => {
    const run = await ek(...args);
    expect([run.code, run.stderr]).toEqual([code, expect.stringContaining(message)]);
  });

  test("help names every command and flag", async () => {
    expect((await ek("--help")).stdout).toMatch(/ek import[\s\S]*ek export/);
    expect((await ek("import", "--help")).stdout).toContain("--if-different");
  });
});
