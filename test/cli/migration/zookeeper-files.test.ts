/**
 * Proves that a ZooKeeper server's files are read as the server reads them.
 *
 * The fixture is the `version-2` of a ZooKeeper 3.9.4 that took a snapshot every thirty txns and was killed:
 * znodes of every kind, a failed multi, a session closed and one left open, ACLs, bytes that are no text.
 *
 * @module
 */

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { OPEN_ACL } from "../../../src/base/index.ts";
import { FileFault } from "../../../src/cli/migration/byte-window.ts";
import { writeSnapshot } from "../../../src/cli/migration/snapshot-writer.ts";
import { loadDataDirectory, loadSnapshotFile } from "../../../src/cli/migration/zookeeper-files.ts";
import {
  JuteReader,
  readFileHeader,
  readSnapshotPreamble,
  readSnapshotZnode,
} from "../../../src/jute/index.ts";

const fixture = join(import.meta.dirname, "..", "fixtures", "zookeeper-3.9.4");
const snapshots = readdirSync(fixture).filter((name) => name.startsWith("snapshot"));
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A directory of its own with some of the fixture's files. */
function directory(names: readonly string[]): string {
  const path = mkdtempSync(join(tmpdir(), "edgekeeper-"));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  for (const name of names) cpSync(join(fixture, name), join(path, name));
  return path;
}

const whole = await loadDataDirectory(fixture, fixture);
const byPath = new Map(whole.records.map((record) => [record.path, record]));

function textOf(path: string): string | undefined {
  const data = byPath.get(path)?.data;
  return data === undefined || data === null ? undefined : new TextDecoder().decode(data);
}

describe("a data directory", () => {
  test("comes to what the server had", () => {
    expect([whole.zxid, whole.records.length, whole.ephemerals]).toEqual([0x4cn, 58, 1]);
    expect([textOf("/app"), textOf("/app/n11"), textOf("/app/ünï")]).toEqual(["root", "multi", "ü"]);
    expect(byPath.get("/app/n3")?.data).toEqual(Uint8Array.of(255, 3));
    expect(byPath.get("/app/none")?.data).toBeNull();
    expect(byPath.get("/app/container/kept")?.data).toEqual(new Uint8Array(0));
    expect(byPath.get("/app/container")?.lifetime).toEqual({ kind: "container" });
    expect(byPath.get("/app/ttl")?.lifetime).toEqual({ kind: "ttl", ttlMs: 30_000 });
    expect(byPath.get("/app/private")?.acl).toEqual([
      { perms: 31, scheme: "digest", id: "me:016djjlksVQS5RgX3M7biBGyYwY=" },
      { perms: 1, scheme: "ip", id: "10.0.0.0/8" },
    ]);
  });

  test("leaves out what was deleted, what a failed multi would have made, and ephemerals", () => {
    for (const gone of [
      "/app/n49",
      "/app/n12",
      "/app/txno",
      "/app/eph2",
      "/zookeeper",
      "/zookeeper/config",
    ]) {
      expect(byPath.has(gone)).toBe(false);
    }
    // Ephemeral once, and made anew after its session was closed.
    expect([textOf("/app/eph"), byPath.get("/app/eph")?.lifetime.kind]).toEqual([
      "now persistent",
      "persistent",
    ]);
  });

  test("lists parents before their children", () => {
    const seen = new Set(["/"]);
    for (const { path } of whole.records) {
      expect(seen.has(path === "/" ? "/" : path.slice(0, path.lastIndexOf("/")) || "/")).toBe(true);
      seen.add(path);
    }
  });

  test.each(snapshots)("comes to the same from %s and the logs behind it", async (name) => {
    const loaded = await loadDataDirectory(directory([name]), fixture);
    expect(loaded.records).toEqual(whole.records);
    expect(loaded.zxid).toBe(whole.zxid);
  });

  test("passes over a snapshot that was being written when the server died", async () => {
    const path = directory(["snapshot.31", "snapshot.49"]);
    writeFileSync(join(path, "snapshot.49"), readFileSync(join(fixture, "snapshot.49")).subarray(0, 3_000));
    expect((await loadDataDirectory(path, fixture)).records).toEqual(whole.records);
  });

  test("ends at a last entry that was being written", async () => {
    const path = directory(["snapshot.49", "log.4b"]);
    const log = readFileSync(join(path, "log.4b"));
    const full = log.subarray(0, log.length - 64);
    const lengths = new Set<number>();
    for (let end = 16; end < full.length; end++) {
      writeFileSync(join(path, "log.4b"), full.subarray(0, end));
      lengths.add((await loadDataDirectory(path, path)).txns);
    }
    expect([...lengths]).toEqual([0, 1]);
  });

  test("refuses a log that is damaged before its end, and says where", async () => {
    const path = directory(["snapshot.49", "log.4b"]);
    const log = Buffer.from(readFileSync(join(path, "log.4b")));
    log[40] = (log[40] ?? 0) ^ 1;
    writeFileSync(join(path, "log.4b"), log);
    await expect(loadDataDirectory(path, path)).rejects.toThrow(/log\.4b": an entry is damaged/);
  });

  test("says what is missing", async () => {
    await expect(loadDataDirectory(directory([]), directory([]))).rejects.toThrow(
      "there is no file snapshot.<zxid>",
    );
  });
});

describe("a snapshot file", () => {
  const name = "snapshot.49";
  const bytes = readFileSync(join(fixture, name));

  test("may be compressed with gzip, and not with snappy", async () => {
    const path = directory([]);
    writeFileSync(join(path, `${name}.gz`), gzipSync(bytes));
    const loaded = await loadSnapshotFile(join(path, `${name}.gz`));
    expect(loaded.records).toEqual((await loadSnapshotFile(join(fixture, name))).records);
    writeFileSync(join(path, `${name}.snappy`), Buffer.concat([Buffer.of(0x82), Buffer.from("SNAPPY\0")]));
    await expect(loadSnapshotFile(join(path, `${name}.snappy`))).rejects.toThrow("compressed with snappy");
  });

  test("is refused wherever it is cut, and wherever a byte is wrong", async () => {
    const path = join(directory([]), name);
    // Behind the first seal stand a digest and a zxid with seals of their own, which are not read.
    const sealed = bytes.length - 33 - 21;
    for (let end = 0; end < sealed; end += 97) {
      writeFileSync(path, bytes.subarray(0, end));
      await expect(loadSnapshotFile(path)).rejects.toBeInstanceOf(FileFault);
    }
    for (let at = 0; at < sealed - 16; at += 211) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      writeFileSync(path, damaged);
      await expect(loadSnapshotFile(path)).rejects.toBeInstanceOf(FileFault);
    }
  });

  test("written by us is read back the same, stats aside", async () => {
    const path = join(directory([]), "snapshot.4c");
    await writeSnapshot(path, whole.records, 0x4cn);
    const loaded = await loadSnapshotFile(path);
    expect(loaded.records).toEqual(whole.records);
    expect(loaded.zxid).toBe(0x4cn);
  });

  test("goes on numbering sequential znodes where the exported tree was", async () => {
    const path = join(directory([]), "snapshot.9");
    // Six creates and four deletes, as a client is shown them.
    const counted = { version: 0, aversion: 0, cversion: 10, numChildren: 2 };
    const stat = { czxid: 1n, mzxid: 1n, pzxid: 9n, ctime: 5, mtime: 5, ...counted };
    const data = new Uint8Array(0);
    await writeSnapshot(
      path,
      [{ path: "/q", data, acl: OPEN_ACL, lifetime: { kind: "persistent" }, stat }],
      9n,
    );
    const reader = new JuteReader(new Uint8Array(readFileSync(path)));
    readFileHeader(reader);
    readSnapshotPreamble(reader);
    let znode = readSnapshotZnode(reader);
    while (znode !== undefined && znode.path !== "/q") znode = readSnapshotZnode(reader);
    expect(znode?.stat.cversion).toBe(6);
  });

  test("of another kind is told by its name", async () => {
    const path = directory(["log.4b"]);
    await expect(loadSnapshotFile(join(path, "log.4b"))).rejects.toThrow("it is no ZooKeeper snapshot");
  });
});
