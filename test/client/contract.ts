/**
 * What every way to a server must give the SDK's users: one suite, run over each transport and each server.
 *
 * @module
 */

import { beforeEach, expect, test } from "vitest";
import { CreateMode, isZkError, json, type Schema, type WatchEvent } from "../../src/client/index.ts";
import { type ContractServer, describeOn } from "./contract-server.ts";

let runs = 0;

export function clientContract(name: string, start: () => Promise<ContractServer>): void {
  describeOn(`client contract: ${name}`, start, (on) => {
    /** A znode of this test's own. */
    let base = "";

    beforeEach(async () => {
      runs += 1;
      base = `/contract-${runs}-${Math.random().toString(36).slice(2)}`;
      await on.zk.create(base);
    });

    test("creates, reads, sets and deletes", async () => {
      const path = `${base}/a`;
      expect(await on.zk.create(path, "data")).toBe(path);
      const znode = await on.zk.get(path);
      expect([znode.path, znode.text, znode.stat.version, znode.stat.dataLength]).toEqual([
        path,
        "data",
        0,
        4,
      ]);
      expect(znode.stat.czxid).toBe(znode.stat.mzxid);
      const stat = await on.zk.set(path, new Uint8Array([1, 2]), { version: 0 });
      expect(stat.version).toBe(1);
      expect((await on.zk.get(path)).data).toEqual(new Uint8Array([1, 2]));
      await on.zk.delete(path, { version: 1 });
      expect(await on.zk.exists(path)).toBeUndefined();
    });

    test("tells no data from empty data", async () => {
      await on.zk.create(`${base}/none`, null);
      await on.zk.create(`${base}/empty`, "");
      expect((await on.zk.get(`${base}/none`)).data).toBeNull();
      expect((await on.zk.get(`${base}/empty`)).data).toEqual(new Uint8Array(0));
    });

    test("stores any text and bytes, up to nearly a MiB", async () => {
      const text = "ZooKeeper \u{1f98d} \u0000 \ufeffend";
      await on.zk.create(`${base}/text`, text);
      expect((await on.zk.get(`${base}/text`)).text).toBe(text);
      const large = new Uint8Array(1_000_000).map((_, i) => i % 251);
      await on.zk.create(`${base}/large`, large);
      const { data } = await on.zk.get(`${base}/large`);
      expect(data !== null && Buffer.compare(data, large)).toBe(0);
    });

    test("reads JSON, through a schema or not", async () => {
      await on.zk.create(`${base}/json`, json({ ttl: 30 }));
      const znode = await on.zk.get(`${base}/json`);
      expect(await znode.json()).toEqual({ ttl: 30 });
      const strict: Schema<{ ttl: number }> = {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value) =>
            typeof value === "object" && value !== null && "ttl" in value && typeof value.ttl === "number"
              ? { value: { ttl: value.ttl } }
              : { issues: [{ message: "no ttl" }] },
        },
      };
      expect((await znode.json(strict)).ttl).toBe(30);
      await on.zk.set(`${base}/json`, json({}));
      const other = await on.zk.get(`${base}/json`);
      await expect(other.json(strict)).rejects.toThrow("no ttl");
      await on.zk.set(`${base}/json`, "{");
      const broken = await on.zk.get(`${base}/json`);
      await expect(broken.json()).rejects.toMatchObject({ codeName: "MarshallingError" });
    });

    test.each([
      ["NoNode", () => on.zk.get(`${base}/no`)],
      ["NoNode", () => on.zk.create(`${base}/no/child`)],
      ["NoNode", () => on.zk.set(`${base}/no`, "")],
      ["NodeExists", () => on.zk.create(base)],
      ["BadVersion", () => on.zk.set(base, "", { version: 9 })],
      ["BadVersion", () => on.zk.delete(base, { version: 9 })],
      ["InvalidACL", () => on.zk.create(`${base}/x`, null, { acl: [] })],
      ["BadArguments", () => on.zk.get("no/slash")],
      ["BadArguments", () => on.zk.create(`${base}/x`, null, { mode: CreateMode.PersistentWithTtl })],
      ["BadArguments", () => on.zk.deleteTree("/")],
    ] as const)("refuses with %s, and says that nothing was applied", async (codeName, ask) => {
      await expect(ask()).rejects.toMatchObject({ name: "ZkError", codeName, outcome: "notApplied" });
    });

    test("numbers sequential znodes, and lists and counts children", async () => {
      const mode = CreateMode.PersistentSequential;
      const [first, second] = await Promise.all([
        on.zk.create(`${base}/n-`, null, { mode }),
        on.zk.create(`${base}/n-`, null, { mode }),
      ]);
      expect([first, second]).toEqual([`${base}/n-0000000000`, `${base}/n-0000000001`]);
      expect([...(await on.zk.children(base))].sort()).toEqual(["n-0000000000", "n-0000000001"]);
      expect(await on.zk.descendantCount(base)).toBe(2);
      await expect(on.zk.delete(base)).rejects.toMatchObject({ codeName: "NotEmpty" });
    });

    test("makes a path with its parents, and deletes a tree", async () => {
      await on.zk.createPath(`${base}/a/b/c`);
      await on.zk.createPath(`${base}/a/b/c`);
      await expect(on.zk.deleteTree(base, { limit: 3 })).rejects.toMatchObject({ codeName: "BadArguments" });
      expect(await on.zk.descendantCount(base)).toBe(3);
      expect(await on.zk.deleteTree(base)).toBe(4);
      expect(await on.zk.deleteTree(base)).toBe(0);
    });

    test("commits a transaction whole or not at all, and names the part that failed", async () => {
      const results = await on.zk
        .transaction()
        .check(base, 0)
        .create(`${base}/a`, "1")
        .set(base, "2")
        .delete(`${base}/a`)
        .commit();
      expect(results.map(({ kind }) => kind)).toEqual(["checked", "created", "set", "deleted"]);
      const failing = on.zk
        .transaction()
        .create(`${base}/b`)
        .delete(`${base}/missing`)
        .create(`${base}/c`)
        .commit();
      await expect(failing).rejects.toMatchObject({ codeName: "NoNode", path: `${base}/missing` });
      expect(await on.zk.exists(`${base}/b`)).toBeUndefined();
      expect(await on.zk.transaction().commit()).toEqual([]);
    });

    test("tells a watcher once, before it can read the change", async () => {
      const { changed, text } = await on.zk.get(base, { watch: true });
      const order: string[] = [];
      const told = changed.then(({ kind }) => order.push(kind));
      await on.zk.set(base, "new");
      await on.zk.get(base).then((znode) => order.push(znode.text));
      await told;
      expect([text, ...order]).toEqual(["", "dataChanged", "new"]);
      const missing = await on.zk.exists(`${base}/later`, { watch: true });
      const listed = await on.zk.children(base, { watch: true });
      await on.zk.create(`${base}/later`);
      expect((await missing.changed).kind).toBe("created");
      expect((await listed.changed).kind).toBe("childrenChanged");
      expect([missing.stat, listed.children]).toEqual([undefined, []]);
    });

    test("streams what happens below a znode, for as long as the loop runs", async () => {
      const controller = new AbortController();
      const events: WatchEvent[] = [];
      const stream = on.zk.watch(base, { subtree: true, signal: controller.signal });
      await stream.ready;
      const loop = (async () => {
        for await (const event of stream) {
          events.push(event);
          if (event.kind === "deleted") controller.abort();
        }
      })();
      await on.zk.create(`${base}/a`);
      await on.zk.create(`${base}/a/b`);
      await on.zk.set(`${base}/a`, "1");
      await on.zk.delete(`${base}/a/b`);
      await loop;
      expect(events).toEqual([
        { kind: "created", path: `${base}/a` },
        { kind: "created", path: `${base}/a/b` },
        { kind: "dataChanged", path: `${base}/a` },
        { kind: "deleted", path: `${base}/a/b` },
      ]);
    });

    test("keeps its session, its watches and its order over a lost connection", async () => {
      const id = on.zk.sessionId;
      const { changed } = await on.zk.get(base, { watch: true });
      await on.zk.create(`${base}/mine`, null, { mode: CreateMode.Ephemeral });
      on.zk.reconnect();
      await using other = on.connect();
      await other.set(base, "meanwhile");
      expect((await on.zk.get(base)).text).toBe("meanwhile");
      expect((await changed).kind).toBe("dataChanged");
      expect(on.zk.sessionId).toBe(id);
      expect((await on.zk.get(`${base}/mine`)).stat.ephemeralOwner).toBe(BigInt(id ?? 0));
      expect(await on.zk.ephemerals(base)).toEqual([`${base}/mine`]);
    });

    test("takes its ephemeral znodes with it when it closes, and only then", async () => {
      const other = on.connect();
      await other.create(`${base}/theirs`, "x", { mode: CreateMode.Ephemeral });
      const { changed } = await on.zk.exists(`${base}/theirs`, { watch: true });
      await expect(on.zk.create(`${base}/theirs/child`)).rejects.toMatchObject({
        codeName: "NoChildrenForEphemerals",
      });
      await other.close();
      expect((await changed).kind).toBe("deleted");
      expect(other.state.kind).toBe("closed");
      await expect(other.get(base)).rejects.toMatchObject({ codeName: "SessionExpired" });
    });

    test("lives below its chroot", async () => {
      await on.zk.create(`${base}/root`);
      await using inner = on.connect({ chroot: `${base}/root` });
      expect(await inner.create("/a", "1")).toBe("/a");
      expect(await inner.children("/")).toEqual(["a"]);
      const stream = inner.watch("/", { subtree: true });
      await stream.ready;
      const { changed } = await inner.get("/a", { watch: true });
      expect((await on.zk.get(`${base}/root/a`)).text).toBe("1");
      await on.zk.set(`${base}/root/a`, "2");
      expect(await changed).toEqual({ kind: "dataChanged", path: "/a" });
      expect((await stream.next()).value).toEqual({ kind: "dataChanged", path: "/a" });
      await stream.return();
      const failed = await inner.get("/missing").catch((error: unknown) => error);
      expect(isZkError(failed, "NoNode") && failed.path).toBe("/missing");
    });

    test("shows identities, and is held to ACLs", async () => {
      const acl = [{ scheme: "auth", id: "", perms: 31 }];
      await using owner = on.connect();
      await owner.addAuth("digest", "me:secret");
      await owner.create(`${base}/private`, "s", { acl });
      expect((await owner.whoAmI()).some(({ scheme }) => scheme === "digest")).toBe(true);
      expect((await owner.get(`${base}/private`)).text).toBe("s");
      await expect(on.zk.get(`${base}/private`)).rejects.toMatchObject({ codeName: "NoAuth" });
      const { acl: stored } = await owner.getAcl(`${base}/private`);
      expect(stored).toMatchObject([{ scheme: "digest", perms: 31 }]);
      await owner.setAcl(`${base}/private`, [{ scheme: "world", id: "anyone", perms: 31 }], { version: 0 });
      expect((await on.zk.get(`${base}/private`)).text).toBe("s");
    });

    test("answers many at once, in order", async () => {
      const paths = await Promise.all(
        Array.from({ length: 500 }, (_, i) => on.zk.create(`${base}/${i}`, String(i))),
      );
      const texts = await Promise.all(paths.map(async (path) => (await on.zk.get(path)).text));
      expect(texts).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
      await on.zk.sync(base);
    });
  });
}
