/**
 * Proves that snapshots are written as ZooKeeper writes them.
 *
 * The file is one of a ZooKeeper 3.9.4, with znodes of every kind and two sessions. It is read, and written anew from
 * what was read: znodes, numbers of ACLs, seals and digest come out byte for byte. So the digest is ZooKeeper's own.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OPEN_ACL } from "../../src/base/index.ts";
import { Adler, crc32 } from "../../src/jute/checksums.ts";
import { JuteReader } from "../../src/jute/primitives.ts";
import {
  openAclIndex,
  readFileHeader,
  readSnapshotPreamble,
  readSnapshotZnode,
} from "../../src/jute/server-files.ts";
import { AclIndex, SnapshotWriter } from "../../src/jute/snapshot-writer.ts";

const file = join(import.meta.dirname, "..", "cli", "fixtures", "zookeeper-3.9.4", "snapshot.49");

function readAll(bytes: Uint8Array) {
  const reader = new JuteReader(bytes);
  readFileHeader(reader);
  const { sessions, acls } = readSnapshotPreamble(reader);
  const znodes = [];
  for (let next = readSnapshotZnode(reader); next !== undefined; next = readSnapshotZnode(reader)) {
    const acl = next.aclIndex === openAclIndex ? OPEN_ACL : (acls.get(next.aclIndex) ?? []);
    znodes.push({ path: next.path, data: next.data, acl, stat: next.stat, aclIndex: next.aclIndex });
  }
  return { sessions, acls, znodes };
}

describe("SnapshotWriter", () => {
  test("writes a snapshot of ZooKeeper's again, byte for byte", () => {
    const bytes = new Uint8Array(readFileSync(file));
    const { sessions, acls, znodes } = readAll(bytes);
    expect([znodes.length, sessions.size]).toEqual([61, 2]);
    const index = new AclIndex();
    // ZooKeeper numbers ACLs as they come into being, and names what is open to all by a number too.
    index.indexOf = (acl) => znodes.find((znode) => znode.acl === acl)?.aclIndex ?? openAclIndex;
    for (const [number, acl] of acls) index.all.set(number, acl);
    const writer = new SnapshotWriter(sessions, index);
    const parts: Uint8Array[] = [];
    for (const znode of znodes) {
      writer.add(znode);
      if (writer.length > 1000) parts.push(...writer.take());
    }
    writer.end(0x49n);
    parts.push(...writer.take());
    expect(Buffer.concat(parts).toString("hex")).toBe(Buffer.from(bytes).toString("hex"));
  });
});

describe("AclIndex", () => {
  test("gives each ACL one number, and what is open to all that of its own", () => {
    const index = new AclIndex();
    const bob = { scheme: "digest", id: "bob:hash", perms: 31 };
    expect(index.indexOf([{ scheme: "world", id: "anyone", perms: 31 }])).toBe(openAclIndex);
    expect([index.indexOf([bob]), index.indexOf([bob, bob]), index.indexOf([{ ...bob }])]).toEqual([
      1n,
      2n,
      1n,
    ]);
    expect(index.all.size).toBe(2);
  });
});

describe("checksums", () => {
  const check = new TextEncoder().encode("123456789");

  test("are those of the standards", () => {
    const adler = new Adler();
    adler.add(check);
    expect([adler.value, crc32(check), crc32()]).toEqual([0x091e01de, 0xcbf43926, 0]);
  });

  test("do not depend on how the bytes come", () => {
    const adler = new Adler();
    for (const byte of check) adler.add(Uint8Array.of(byte));
    expect([adler.value, crc32(check.subarray(0, 4), check.subarray(4))]).toEqual([0x091e01de, 0xcbf43926]);
  });
});
