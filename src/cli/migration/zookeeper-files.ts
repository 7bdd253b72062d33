/**
 * A ZooKeeper server's data directory, read as the server itself would at its start: the newest whole
 * snapshot, and every txn logged since.
 *
 * A snapshot is taken while writes go on, so txns are repeated over a state that may have them already:
 * a create of what is there replaces it, a delete of what is gone is no fault.
 *
 * Sources: ZooKeeper `FileTxnSnapLog.restore`, `FileTxnLog`, `DataTree.processTxn`.
 *
 * @module
 */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Acl, type Lifetime, OPEN_ACL, type SessionId } from "../../base/index.ts";
import {
  Adler,
  FileMagic,
  fileVersion,
  type LoggedOp,
  type LoggedTxn,
  lifetimeOf,
  openAclIndex,
  readFileHeader,
  readLoggedTxn,
  readSnapshotPreamble,
  readSnapshotZnode,
  type SnapshotZnode,
  tryRead,
} from "../../jute/index.ts";
import { ByteWindow, FileFault } from "./byte-window.ts";
import { isOwnPath, type ZnodeRecord } from "./znode-record.ts";

interface LoadedZnode {
  data: Uint8Array | null;
  acl: readonly Acl[];
  readonly lifetime: Lifetime;
  version: number;
}

/** What a directory or a snapshot file came to. */
export interface LoadedTree {
  /** Parents before children. */
  readonly records: readonly ZnodeRecord[];
  /** Of the last txn that is in it. */
  readonly zxid: bigint;
  /** Left out: their sessions do not move. */
  readonly ephemerals: number;
  readonly txns: number;
}

/** What stands behind a log's last entry: space that was allocated ahead. */
const endOfLog = 0;
const entryEnd = 0x42;

/**
 * Reads `version-2` directories, one for snapshots and one for logs, which may be the same.
 *
 * @throws {@link FileFault} When no snapshot is whole, or a log is damaged before its end.
 */
export async function loadDataDirectory(snapshots: string, logs: string): Promise<LoadedTree> {
  const files = numbered(snapshots, "snapshot");
  const faults: string[] = [];
  for (const { path, zxid } of files.toReversed()) {
    try {
      const state = await loadSnapshot(path);
      return await replay(state, zxid, logs);
    } catch (error) {
      // As a server does: a snapshot that was being written when it died is passed over.
      if (!(error instanceof FileFault)) throw error;
      faults.push(error.message);
    }
  }
  // A server that never took a snapshot starts from nothing.
  if (files.length === 0 && numbered(logs, "log").length > 0) return replay(new LoadingTree(), 0n, logs);
  const why = faults.length === 0 ? "there is no file snapshot.<zxid>" : faults.join("; ");
  throw new FileFault(`Cannot load "${snapshots}": ${why}`);
}

/** One snapshot file by itself: the state of a server that was stopped when it was taken. */
export async function loadSnapshotFile(path: string): Promise<LoadedTree> {
  const state = await loadSnapshot(path);
  return state.finish(zxidOf(path, "snapshot") ?? 0n, 0);
}

async function loadSnapshot(path: string): Promise<LoadingTree> {
  const window = await ByteWindow.open(path);
  await checkHeader(window, path, FileMagic.Snapshot);
  const { acls } = await window.read("sessions and ACLs", readSnapshotPreamble);
  const tree = new LoadingTree();
  for (;;) {
    const znode = await window.read<SnapshotZnode | "end">(
      "znode",
      (reader) => readSnapshotZnode(reader) ?? "end",
    );
    if (znode === "end") break;
    const acl = znode.aclIndex === openAclIndex ? OPEN_ACL : acls.get(znode.aclIndex);
    if (acl === undefined) throw new FileFault(`Cannot read "${path}": "${znode.path}" has an unknown ACL`);
    tree.restore(znode, acl);
  }
  const computed = window.checksum;
  const stored = await window.read("checksum", (reader) => reader.readLong());
  if (stored !== BigInt(computed)) throw new FileFault(`Cannot read "${path}": its checksum does not match`);
  return tree;
}

async function replay(tree: LoadingTree, snapshotZxid: bigint, logs: string): Promise<LoadedTree> {
  const files = numbered(logs, "log");
  // The last file that begins at or before what is wanted, and all after it.
  const first = Math.max(
    0,
    files.findLastIndex(({ zxid }) => zxid <= snapshotZxid + 1n),
  );
  let zxid = snapshotZxid;
  let txns = 0;
  for (const { path } of files.slice(first)) {
    for await (const txn of readLog(path)) {
      if (txn.zxid <= zxid) continue;
      tree.apply(txn.op, txn.sessionId);
      zxid = txn.zxid;
      txns += 1;
    }
  }
  return tree.finish(zxid, txns);
}

/** The entries of a log file, up to the space allocated ahead or a last entry that was being written. */
export async function* readLog(path: string): AsyncGenerator<LoggedTxn> {
  const window = await ByteWindow.open(path);
  if (await window.isAtEnd()) return;
  await checkHeader(window, path, FileMagic.Log);
  while (!(await window.isAtEnd())) {
    let entry: { checksum: bigint; bytes: Uint8Array | null; end: number };
    try {
      entry = await window.read("entry", (reader) => {
        const checksum = reader.readLong();
        const bytes = reader.readBuffer();
        return { checksum, bytes, end: bytes === null || bytes.length === 0 ? endOfLog : reader.readByte() };
      });
    } catch (error) {
      // Cut in its last entry, as by a crash: it was never acknowledged.
      if (error instanceof FileFault) return;
      throw error;
    }
    const { checksum, bytes, end } = entry;
    if (bytes === null || bytes.length === 0) return;
    const adler = new Adler();
    adler.add(bytes);
    if (checksum !== BigInt(adler.value) || end !== entryEnd) {
      throw new FileFault(`Cannot read "${path}": an entry is damaged, its checksum does not match`);
    }
    const txn = tryRead(bytes, readLoggedTxn);
    if (txn === undefined) throw new FileFault(`Cannot read "${path}": an entry is of an unknown kind`);
    yield txn;
  }
}

async function checkHeader(window: ByteWindow, path: string, magic: number): Promise<void> {
  const header = await window.read("header", readFileHeader);
  const kind = magic === FileMagic.Snapshot ? "snapshot" : "transaction log";
  if (header.magic !== magic) throw new FileFault(`Cannot read "${path}": it is no ZooKeeper ${kind}`);
  if (header.version !== fileVersion) {
    throw new FileFault(`Cannot read "${path}": its version is ${header.version}, not ${fileVersion}`);
  }
}

class LoadingTree {
  readonly #znodes = new Map<string, LoadedZnode>();
  readonly #ephemerals = new Map<SessionId, Set<string>>();

  restore({ path, data, stat }: SnapshotZnode, acl: readonly Acl[]): void {
    const lifetime = lifetimeOf(stat.ephemeralOwner);
    // A copy: what was read is a view of a whole window.
    this.#put(path === "" ? "/" : path, { data: copyOf(data), acl, lifetime, version: stat.version });
  }

  apply(op: LoggedOp, sessionId: SessionId): void {
    switch (op.kind) {
      case "create": {
        const { path, data, acl } = op;
        this.#put(path, { data: copyOf(data), acl, lifetime: lifetimeFrom(op, sessionId), version: 0 });
        break;
      }
      case "delete":
        this.#znodes.delete(op.path);
        break;
      case "setData": {
        const znode = this.#znodes.get(op.path);
        if (znode === undefined) break;
        znode.data = copyOf(op.data);
        znode.version = op.version;
        break;
      }
      case "setAcl": {
        const znode = this.#znodes.get(op.path);
        if (znode !== undefined) znode.acl = op.acl;
        break;
      }
      case "closeSession":
        this.#dropSession(sessionId);
        break;
      case "multi":
        for (const each of op.ops) this.apply(each, sessionId);
        break;
      case "nothing":
        break;
    }
  }

  finish(zxid: bigint, txns: number): LoadedTree {
    const records: ZnodeRecord[] = [];
    let ephemerals = 0;
    // A parent is a prefix of its children, so it comes first.
    for (const path of [...this.#znodes.keys()].sort()) {
      const znode = this.#znodes.get(path);
      if (znode === undefined || isOwnPath(path)) continue;
      const { data, acl, lifetime } = znode;
      if (lifetime.kind === "ephemeral") ephemerals += 1;
      else records.push({ path, data, acl, lifetime });
    }
    return { records, zxid, ephemerals, txns };
  }

  #put(path: string, znode: LoadedZnode): void {
    this.#znodes.set(path, znode);
    if (znode.lifetime.kind !== "ephemeral") return;
    const { owner } = znode.lifetime;
    const owned = this.#ephemerals.get(owner) ?? new Set();
    this.#ephemerals.set(owner, owned.add(path));
  }

  #dropSession(sessionId: SessionId): void {
    for (const path of this.#ephemerals.get(sessionId) ?? []) {
      const lifetime = this.#znodes.get(path)?.lifetime;
      // It may have been deleted since, and made anew by somebody else.
      if (lifetime?.kind === "ephemeral" && lifetime.owner === sessionId) this.#znodes.delete(path);
    }
    this.#ephemerals.delete(sessionId);
  }
}

function lifetimeFrom({ lifetime }: Extract<LoggedOp, { kind: "create" }>, sessionId: SessionId): Lifetime {
  if (lifetime === "ephemeral") return { kind: "ephemeral", owner: sessionId };
  if (lifetime === "persistent" || lifetime === "container") return { kind: lifetime };
  return { kind: "ttl", ttlMs: Number(lifetime.ttlMs) };
}

/** `<prefix>.<zxid>` files, oldest first. Compressed snapshots have one more suffix. */
function numbered(directory: string, prefix: string): readonly { path: string; zxid: bigint }[] {
  return readdirSync(directory)
    .flatMap((name) => {
      const zxid = zxidOf(name, prefix);
      return zxid === undefined ? [] : [{ path: join(directory, name), zxid }];
    })
    .sort((a, b) => (a.zxid < b.zxid ? -1 : a.zxid > b.zxid ? 1 : 0));
}

function zxidOf(path: string, prefix: string): bigint | undefined {
  const [, hex] = new RegExp(`(?:^|/)${prefix}\\.([0-9a-f]{1,16})(?:\\.(?:gz|snappy))?$`).exec(path) ?? [];
  return hex === undefined ? undefined : BigInt(`0x${hex}`);
}

function copyOf(data: Uint8Array | null): Uint8Array | null {
  return data === null ? null : new Uint8Array(data);
}
