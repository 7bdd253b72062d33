/**
 * A snapshot file that ZooKeeper itself loads: `snapshot.<zxid>` in an empty server's `version-2`.
 *
 * Source: ZooKeeper `FileSnap`, `DataTree.serialize`, `SnapStream.sealStream`.
 *
 * @module
 */

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { type Acl, Perms } from "../../base/index.ts";
import {
  FileMagic,
  fileVersion,
  JuteWriter,
  openAclIndex,
  ownerOf,
  writeFileHeader,
  writeSeal,
  writeSnapshotEnd,
  writeSnapshotPreamble,
  writeSnapshotZnode,
} from "../../jute/index.ts";
import { Adler } from "./byte-window.ts";
import { isOpenAcl, type RecordStat, type ZnodeRecord } from "./znode-record.ts";

const flushBytes = 1024 * 1024;

const openAcl: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: Perms.All }];

/** ZooKeeper's servers put these into an empty tree, and do not make them anew beside a snapshot. */
const own: Readonly<Record<string, readonly Acl[]>> = {
  "/": openAcl,
  "/zookeeper": openAcl,
  "/zookeeper/config": [{ scheme: "world", id: "anyone", perms: Perms.Read }],
  "/zookeeper/quota": openAcl,
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
  const adler = new Adler();
  const writer = new JuteWriter(flushBytes);
  const flush = async (): Promise<void> => {
    const bytes = writer.take();
    adler.add(bytes);
    if (!file.write(bytes)) await once(file, "drain");
  };
  writeFileHeader(writer, { magic: FileMagic.Snapshot, version: fileVersion });
  writeSnapshotPreamble(writer, { sessions: new Map(), acls: acls.all });
  for (const record of all) {
    const { data, acl, lifetime } = record;
    const stat = { ...persisted(record.stat, zxid), ephemeralOwner: ownerOf(lifetime) };
    const name = record.path === "/" ? "" : record.path;
    writeSnapshotZnode(writer, { path: name, data, aclIndex: acls.indexOf(acl), stat });
    if (writer.length >= flushBytes) await flush();
  }
  writeSnapshotEnd(writer);
  await flush();
  writeSeal(writer, adler.value);
  await flush();
  file.end();
  await once(file, "close");
  await rename(beside, path);
}

class AclIndex {
  readonly all = new Map<bigint, readonly Acl[]>();
  readonly #indexes = new Map<string, bigint>();

  indexOf(acl: readonly Acl[]): bigint {
    if (isOpenAcl(acl)) return openAclIndex;
    const key = JSON.stringify(acl.map(({ perms, scheme, id }) => [perms, scheme, id]));
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = BigInt(this.all.size + 1);
    this.#indexes.set(key, index);
    this.all.set(index, acl);
    return index;
  }
}

function persisted(stat: RecordStat | undefined, zxid: bigint) {
  if (stat === undefined) {
    const none = { ctime: 0n, mtime: 0n, version: 0, cversion: 0, aversion: 0 };
    return { czxid: zxid, mzxid: zxid, pzxid: zxid, ...none };
  }
  return { ...stat, ctime: BigInt(stat.ctime), mtime: BigInt(stat.mtime) };
}

function withOwn(records: readonly ZnodeRecord[]): readonly ZnodeRecord[] {
  const byPath = new Map(records.map((record) => [record.path, record]));
  for (const [path, acl] of Object.entries(own)) {
    if (byPath.has(path)) continue;
    byPath.set(path, { path, data: new Uint8Array(0), acl, lifetime: { kind: "persistent" } });
  }
  return [...byPath.keys()].sort().flatMap((path) => byPath.get(path) ?? []);
}
