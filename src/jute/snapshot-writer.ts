/**
 * Snapshots as ZooKeeper itself loads them, written a znode at a time.
 *
 * ACLs stand ahead of all znodes, so whoever writes goes over the znodes twice: once to collect their ACLs.
 * Three seals close a snapshot: behind the znodes, behind the digest of the tree, and behind the last zxid.
 *
 * Sources: ZooKeeper 3.9 `FileSnap`, `DataTree.serialize`, `ReferenceCountedACLCache`, `SnapStream.sealStream`,
 * `DigestCalculator`, `DataTree.serializeZxidDigest`.
 *
 * @module
 */

import { type Acl, OPEN_ACL, type SessionId, type Znode, zxidToBigint } from "../base/index.ts";
import { Adler, crc32 } from "./checksums.ts";
import { JuteWriter } from "./primitives.ts";
import {
  FileMagic,
  fileVersion,
  openAclIndex,
  ownerOf,
  type PersistedStat,
  writeFileHeader,
  writeSeal,
  writeSnapshotEnd,
  writeSnapshotPreamble,
  writeSnapshotZnode,
} from "./server-files.ts";

/** ZooKeeper's `DigestCalculator.DIGEST_VERSION`: how the digest of a tree is made. */
export const digestVersion = 2;

const statBytes = 60;
const textEncoder = new TextEncoder();

/** A znode as a snapshot describes it, its ACL in full. */
export interface DescribedZnode {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[];
  readonly stat: PersistedStat;
}

/** The ACLs of a snapshot's znodes, each once, by number. */
export class AclIndex {
  readonly all = new Map<bigint, readonly Acl[]>();
  readonly #indexes = new Map<string, bigint>();

  /** The number of an ACL, given to it when it is first asked for. */
  indexOf(acl: readonly Acl[]): bigint {
    if (acl === OPEN_ACL) return openAclIndex;
    const key = keyOf(acl);
    if (key === openKey) return openAclIndex;
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = BigInt(this.all.size + 1);
    this.#indexes.set(key, index);
    this.all.set(index, acl);
    return index;
  }
}

function keyOf(acl: readonly Acl[]): string {
  return JSON.stringify(acl.map(({ perms, scheme, id }) => [perms, scheme, id]));
}

const openKey = keyOf(OPEN_ACL);

/**
 * The digest of a tree: the sum of its znodes'. Two trees that hold the same, with the same stats, have the same.
 *
 * Znodes below `/zookeeper/` do not count, as in ZooKeeper: the figures of quotas are each member's own.
 */
export class TreeDigest {
  readonly #writer = new JuteWriter(statBytes);
  #sum = 0n;

  /** Unsigned, 64 bits. */
  get value(): bigint {
    return BigInt.asUintN(64, this.#sum);
  }

  add({ path, data, stat }: DescribedZnode): void {
    if (path.startsWith("/zookeeper/")) return;
    const name = textEncoder.encode(path === "/" ? "" : path);
    this.#sum += BigInt(crc32(name, data ?? new Uint8Array(0), this.#packStat(stat)));
  }

  /** In an order of its own. */
  #packStat(stat: PersistedStat): Uint8Array {
    const writer = this.#writer;
    for (const long of [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime]) writer.writeLong(long);
    for (const int of [stat.version, stat.cversion, stat.aversion]) writer.writeInt(int);
    writer.writeLong(stat.ephemeralOwner);
    return writer.take();
  }
}

/** Writes one snapshot. What has gathered is taken out with `take`, as often as one likes. */
export class SnapshotWriter {
  readonly #writer = new JuteWriter(64 * 1024);
  readonly #adler = new Adler();
  readonly #digest = new TreeDigest();
  readonly #acls: AclIndex;
  readonly #ready: Uint8Array[] = [];
  #readyBytes = 0;
  #isEnded = false;

  /**
   * @param sessions - Their timeouts, ms.
   * @param acls - Has been asked for the ACL of every znode to come.
   */
  constructor(sessions: ReadonlyMap<SessionId, number>, acls: AclIndex) {
    this.#acls = acls;
    writeFileHeader(this.#writer, { magic: FileMagic.Snapshot, version: fileVersion });
    writeSnapshotPreamble(this.#writer, { sessions, acls: acls.all });
  }

  /** Bytes that `take` would give. */
  get length(): number {
    return this.#readyBytes + this.#writer.length;
  }

  /** Nothing more is to come. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Parents before their children. */
  add(znode: DescribedZnode): void {
    const { path, data, acl, stat } = znode;
    this.#digest.add(znode);
    const name = path === "/" ? "" : path;
    writeSnapshotZnode(this.#writer, { path: name, data, aclIndex: this.#acls.indexOf(acl), stat });
  }

  /** Closes the snapshot of everything through `zxid`. */
  end(zxid: bigint): void {
    writeSnapshotEnd(this.#writer);
    this.#seal();
    this.#writer.writeLong(zxid);
    this.#writer.writeInt(digestVersion);
    this.#writer.writeLong(BigInt.asIntN(64, this.#digest.value));
    this.#seal();
    this.#writer.writeLong(zxid);
    this.#seal();
    this.#isEnded = true;
  }

  /** What was written since the last time. */
  take(): readonly Uint8Array[] {
    this.#sum();
    this.#readyBytes = 0;
    return this.#ready.splice(0);
  }

  #seal(): void {
    this.#sum();
    writeSeal(this.#writer, this.#adler.value);
  }

  #sum(): void {
    const bytes = this.#writer.take();
    if (bytes.length === 0) return;
    this.#adler.add(bytes);
    this.#ready.push(bytes);
    this.#readyBytes += bytes.length;
  }
}

/** How long parts of a snapshot are, for who must say so beforehand. */
export const snapshotBytes = {
  /** One znode: two lengths, the number of its ACL, its stat, its path and its data. */
  znode(path: string, data: Uint8Array | null): number {
    const name = path === "/" ? 0 : textEncoder.encode(path).length;
    return 4 + name + 4 + (data?.length ?? 0) + 8 + statBytes;
  },
  /** Behind the znodes: their end, the digest, the last zxid, and three seals. */
  end: 5 + 20 + 8 + 3 * 13,
} as const;

/** A stored znode in a snapshot's terms. */
export function describeZnode(path: string, znode: Znode): DescribedZnode {
  const { data, acl, lifetime, version, aversion, creates } = znode;
  const stat = {
    czxid: zxidToBigint(znode.czxid),
    mzxid: zxidToBigint(znode.mzxid),
    pzxid: zxidToBigint(znode.pzxid),
    ctime: BigInt(znode.ctime),
    mtime: BigInt(znode.mtime),
    ...{ version, cversion: creates, aversion, ephemeralOwner: ownerOf(lifetime) },
  };
  return { path, data, acl, stat };
}
