/**
 * A snapshot file that ZooKeeper itself loads: `snapshot.<zxid>` in an empty server's `version-2`.
 *
 * @module
 */

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { type Acl, OPEN_ACL, Perms } from "../../base/index.ts";
import { AclIndex, type DescribedZnode, ownerOf, SnapshotWriter } from "../../jute/index.ts";
import type { RecordStat, ZnodeRecord } from "./znode-record.ts";

const flushBytes = 1024 * 1024;

/** ZooKeeper's servers put these into an empty tree, and do not make them anew beside a snapshot. */
const own: Readonly<Record<string, readonly Acl[]>> = {
  "/": OPEN_ACL,
  "/zookeeper": OPEN_ACL,
  "/zookeeper/config": [{ scheme: "world", id: "anyone", perms: Perms.Read }],
  "/zookeeper/quota": OPEN_ACL,
};

/**
 * Writes beside and then renames, so that a file of that name is always whole.
 *
 * @param records - Parents before children.
 */
export async function writeSnapshot(
  path: string,
  records: readonly ZnodeRecord[],
  zxid: bigint,
): Promise<void> {
  const acls = new AclIndex();
  const all = withOwn(records);
  for (const { acl } of all) acls.indexOf(acl);
  const beside = `${path}.partial`;
  const file = createWriteStream(beside);
  const writer = new SnapshotWriter(new Map(), acls);
  const flush = async (): Promise<void> => {
    for (const bytes of writer.take()) if (!file.write(bytes)) await once(file, "drain");
  };
  for (const record of all) {
    writer.add(describe(record, zxid));
    if (writer.length >= flushBytes) await flush();
  }
  writer.end(zxid);
  await flush();
  file.end();
  await once(file, "close");
  await rename(beside, path);
}

function describe({ path, data, acl, lifetime, stat }: ZnodeRecord, zxid: bigint): DescribedZnode {
  return { path, data, acl, stat: { ...persisted(stat, zxid), ephemeralOwner: ownerOf(lifetime) } };
}

function persisted(stat: RecordStat | undefined, zxid: bigint) {
  if (stat === undefined) {
    const none = { ctime: 0n, mtime: 0n, version: 0, cversion: 0, aversion: 0 };
    return { czxid: zxid, mzxid: zxid, pzxid: zxid, ...none };
  }
  const { czxid, mzxid, pzxid, version, aversion } = stat;
  return {
    ...{ czxid, mzxid, pzxid, ctime: BigInt(stat.ctime), mtime: BigInt(stat.mtime) },
    // A file holds how many creates there were; clients are shown twice that, less the children there are.
    ...{ version, aversion, cversion: (stat.cversion + stat.numChildren) / 2 },
  };
}

function withOwn(records: readonly ZnodeRecord[]): readonly ZnodeRecord[] {
  const byPath = new Map(records.map((record) => [record.path, record]));
  for (const [path, acl] of Object.entries(own)) {
    if (byPath.has(path)) continue;
    byPath.set(path, { path, data: new Uint8Array(0), acl, lifetime: { kind: "persistent" } });
  }
  return [...byPath.keys()].sort().flatMap((path) => byPath.get(path) ?? []);
}
