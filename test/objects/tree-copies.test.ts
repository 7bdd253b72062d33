/**
 * Proves that a copy of the tree is whole and of one moment, whatever happens while it is read.
 *
 * A real history and a real tree over SQLite in memory. The file is read back by the reader that reads ZooKeeper's.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { type AuthId, formatZxid, NO_SESSION, OPEN_ACL, Perms, type Txn } from "../../src/base/index.ts";
import {
  describeZnode,
  encodeTxn,
  JuteReader,
  lifetimeOf,
  readFileHeader,
  readSnapshotPreamble,
  readSnapshotZnode,
  TreeDigest,
} from "../../src/jute/index.ts";
import { Chores } from "../../src/objects/chores.ts";
import { History } from "../../src/objects/history.ts";
import { migrate } from "../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../src/objects/sql/znodes.ts";
import { copyIdleMs, type SnapshotFile, TreeCopies } from "../../src/objects/tree-copies.ts";
import { Tree } from "../../src/tree/index.ts";
import { openStorage } from "./support/sqlite.ts";

const anybody: readonly AuthId[] = [{ scheme: "ip", id: "10.0.0.1" }];
const bobOnly = [{ scheme: "digest", id: "bob:hash", perms: Perms.All }];

class World {
  readonly rows: SqlTreeRows;
  readonly history: History;
  readonly tree: Tree;
  readonly chores: Chores;
  readonly copies: TreeCopies;
  nowMs = 0;
  #creates = 0;

  constructor() {
    const { storage } = openStorage();
    migrate(storage);
    this.rows = new SqlTreeRows(storage);
    this.history = new History(storage, this.rows);
    this.tree = new Tree(this.rows, { cacheBytesMax: 1_000_000 });
    const { history, rows, tree } = this;
    this.chores = new Chores({
      history,
      rows,
      tree,
      checkpointed: () => undefined,
      compacted: () => undefined,
    });
    this.copies = new TreeCopies({
      ...{ tree, rows, history },
      demandCheckpoint: () => this.chores.demand(),
      turn: (run) => {
        const result = run();
        this.chores.work();
        return result;
      },
      now: () => this.nowMs,
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    });
  }

  create(count: number, bytes: number, acl = OPEN_ACL): void {
    for (let each = 0; each < count; each++) {
      this.#creates += 1;
      this.commit({
        kind: "create",
        path: `/n${this.#creates}`,
        data: new Uint8Array(bytes),
        acl,
        lifetime: { kind: "persistent" },
        parentCreates: this.#creates,
      });
    }
  }

  commit(op: Txn["op"], sessionId = NO_SESSION): void {
    const txn: Txn = { sessionId, cxid: 0, timeMs: 1, op };
    const counter = this.tree.applied.counter + 1;
    const batch = { epoch: 1, first: counter, payloads: [encodeTxn(txn)] };
    this.history.write([{ kind: "append", prev: this.tree.applied, batch }]);
    this.tree.apply({ epoch: 1, counter }, txn);
  }

  /** Of the whole tree as it is, by another way. */
  get digest(): bigint {
    const digest = new TreeDigest();
    const waiting = ["/"];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const znode = this.tree.get(path);
      if (znode === undefined) throw new Error(`no ${path}`);
      digest.add(describeZnode(path, znode));
      const names = this.tree.children(path, undefined, 10_000);
      for (const name of names) waiting.push(path === "/" ? `/${name}` : `${path}/${name}`);
    }
    return digest.value;
  }

  async file(): Promise<SnapshotFile> {
    const file = await this.copies.snapshot(anybody);
    if (typeof file === "string") throw new Error(file);
    return file;
  }
}

async function bytesOf({ body }: SnapshotFile): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body).arrayBuffer());
}

/** What a file holds: sessions, znodes by path, and the digest in it. */
function parse(bytes: Uint8Array) {
  const reader = new JuteReader(bytes);
  readFileHeader(reader);
  const { sessions, acls } = readSnapshotPreamble(reader);
  const znodes = new Map<string, { acl: unknown; owner: bigint; bytes: number }>();
  for (let next = readSnapshotZnode(reader); next !== undefined; next = readSnapshotZnode(reader)) {
    const { path, data, aclIndex, stat } = next;
    const acl = aclIndex === -1n ? OPEN_ACL : acls.get(aclIndex);
    znodes.set(path, { acl, owner: stat.ephemeralOwner, bytes: data?.length ?? -1 });
  }
  reader.readLong();
  reader.readUstring();
  const [zxid, version, digest] = [reader.readLong(), reader.readInt(), reader.readLong()];
  return { sessions, znodes, zxid, version, digest: BigInt.asUintN(64, digest) };
}

describe("a snapshot", () => {
  test("of a tree that never had a txn holds what every ensemble begins with", async () => {
    const world = new World();
    const file = await world.file();
    const bytes = await bytesOf(file);
    expect([formatZxid(file.zxid), bytes.length]).toEqual(["0x0", file.bytes]);
    const { znodes, digest } = parse(bytes);
    expect([...znodes.keys()]).toEqual(["", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"]);
    expect(digest).toBe(world.digest);
  });

  test("holds sessions, ephemerals and ACLs, parents before children, and is as long as was said", async () => {
    const world = new World();
    world.commit({ kind: "createSession", timeoutMs: 9_000 }, 0x1234n as never);
    world.create(3, 10, bobOnly);
    const lifetime = { kind: "ephemeral", owner: 0x1234n as never } as const;
    const op = {
      kind: "create",
      path: "/n1/ünï",
      data: null,
      acl: OPEN_ACL,
      lifetime,
      parentCreates: 1,
    } as const;
    world.commit(op, 0x1234n as never);
    const file = await world.file();
    const bytes = await bytesOf(file);
    expect(bytes.length).toBe(file.bytes);
    const { sessions, znodes, zxid, version, digest } = parse(bytes);
    expect([...sessions]).toEqual([[0x1234n, 9_000]]);
    expect(znodes.get("/n2")).toEqual({ acl: bobOnly, owner: 0n, bytes: 10 });
    const owned = znodes.get("/n1/ünï");
    expect([owned?.bytes, lifetimeOf(owned?.owner ?? 0n)]).toEqual([-1, lifetime]);
    expect([zxid, version, digest]).toEqual([0x1_0000_0005n, 2, world.digest]);
    expect([...znodes.keys()].indexOf("/n1")).toBeLessThan([...znodes.keys()].indexOf("/n1/ünï"));
  });

  test("of many pages is of the moment it was asked for, though the tree changes under it", async () => {
    const world = new World();
    world.create(3_000, 1_000);
    const { digest } = world;
    const file = await world.file();
    const chunks: Uint8Array[] = [];
    for await (const chunk of file.body) {
      chunks.push(chunk);
      world.create(20, 1_000);
      world.commit({ kind: "delete", path: `/n${3_000 - chunks.length}` });
      world.chores.demand();
      for (let turn = 0; turn < 20; turn++) world.chores.work();
    }
    expect(chunks.length).toBeGreaterThan(5);
    const bytes = Buffer.concat(chunks);
    expect(bytes.length).toBe(file.bytes);
    const parsed = parse(bytes);
    expect([parsed.znodes.size, parsed.digest, parsed.zxid]).toEqual([3_004, digest, 0x1_0000_0bb8n]);
    expect(world.digest).not.toBe(digest);
  });

  test("is for who may do everything at the root", async () => {
    const world = new World();
    world.commit({
      kind: "setAcl",
      path: "/",
      acl: [{ scheme: "world", id: "anyone", perms: 15 }],
      aversion: 1,
    });
    expect([await world.copies.snapshot(anybody), await world.copies.digest(anybody)]).toEqual([
      "denied",
      "denied",
    ]);
    const superUser = [{ scheme: "super", id: "" }];
    expect(await world.copies.digest(superUser)).toMatchObject({ digest: world.digest });
  });
});

describe("copies", () => {
  test("come one at a time: the next when one has ended, was left, or was not read for copyIdleMs", async () => {
    const world = new World();
    world.create(10, 10);
    const read = await world.file();
    expect([await world.copies.digest(anybody), await world.copies.snapshot(anybody)]).toEqual([
      "busy",
      "busy",
    ]);
    await bytesOf(read);
    await (await world.file()).body.cancel();
    const idle = await world.file();
    world.nowMs += copyIdleMs;
    expect(await world.copies.digest(anybody)).toBe("busy");
    world.nowMs += 1;
    expect(await world.copies.digest(anybody)).toMatchObject({ digest: world.digest });
    await expect(bytesOf(idle)).rejects.toThrow("it was read too slowly");
    expect(world.history.heldBytes).toBe(0);
  });

  test("end when their cut is given up", async () => {
    const world = new World();
    world.create(1_000, 1_000);
    const file = await world.file();
    const reader = file.body.getReader();
    await reader.read();
    world.history.snapshots.giveUp();
    await expect(reader.read()).rejects.toThrow("the snapshot was given up");
    expect(await world.copies.digest(anybody)).toMatchObject({ digest: world.digest });
  });

  test("wait while a member far behind reads an older moment", async () => {
    const world = new World();
    world.create(1, 1);
    await world.copies.digest(anybody);
    const { id } = world.history.openSnapshot();
    world.create(1, 1);
    expect(await world.copies.digest(anybody)).toBe("busy");
    world.history.closeSnapshot(id);
    expect(await world.copies.digest(anybody)).toMatchObject({ digest: world.digest });
  });
});
