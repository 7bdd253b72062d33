/**
 * The tree as the papers would write it: a map of znodes, and txns applied to it as plain facts.
 *
 * Shares no code with `src/tree`. It remembers what each committed txn left at the paths it touched, so a
 * member's state can be compared txn by txn at a cost of the change, and reads can be asked for old states.
 *
 * Also watches over sessions: an ephemeral needs an open session and goes with it.
 *
 * @module
 */

import {
  type Acl,
  compareZxid,
  type Lifetime,
  parentOf,
  type SessionId,
  type TreeOp,
  type Txn,
  type TxnOp,
  ZERO_ZXID,
  type Znode,
  type Zxid,
} from "../../../src/base/index.ts";
import { mix } from "../choose.ts";
import { violate } from "../violation.ts";

/** What a txn left at one path. */
export interface Trace {
  readonly path: string;
  readonly hash: number;
}

interface Version {
  readonly zxid: Zxid;
  readonly znode: Znode | undefined;
}

const open: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: 31 }];
const readable: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: 1 }];
const fresh = {
  data: new Uint8Array(0),
  acl: open,
  lifetime: { kind: "persistent" } as Lifetime,
  czxid: ZERO_ZXID,
  mzxid: ZERO_ZXID,
  pzxid: ZERO_ZXID,
  ctime: 0,
  mtime: 0,
  version: 0,
  aversion: 0,
  creates: 0,
};

function hashText(text: string, seed: number): number {
  let h = seed | 0;
  for (let at = 0; at < text.length; at++) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
  return h;
}

const aclHashes = new WeakMap<readonly Acl[], number>();

function hashAcl(acl: readonly Acl[]): number {
  const known = aclHashes.get(acl);
  if (known !== undefined) return known;
  let h = acl.length;
  for (const { scheme, id, perms } of acl) h = mix(hashText(scheme, h), hashText(id, 7), perms);
  aclHashes.set(acl, h);
  return h;
}

/** Everything about a znode and where it is, in 32 bits; 0 for no znode. */
export function hashZnode(path: string, znode: Znode | undefined): number {
  if (znode === undefined) return 0;
  let h = hashText(path, 0x811c9dc5);
  for (const byte of znode.data ?? []) h = Math.imul(h ^ byte, 0x01000193);
  h = mix(h, znode.data === null ? -1 : znode.data.length, hashAcl(znode.acl));
  h = mix(h, znode.czxid.epoch, znode.czxid.counter);
  h = mix(h, znode.mzxid.epoch, znode.mzxid.counter);
  h = mix(h, znode.pzxid.epoch, znode.pzxid.counter);
  h = mix(h, znode.version, znode.aversion);
  h = mix(h, znode.creates, znode.numChildren);
  h = mix(h, znode.ctime, znode.mtime);
  const { lifetime } = znode;
  return mix(
    h,
    lifetime.kind.length,
    lifetime.kind === "ephemeral" ? Number(BigInt.asIntN(32, lifetime.owner)) : 0,
  );
}

export class ReferenceTree {
  readonly #znodes = new Map<string, Znode>();
  readonly #versions = new Map<string, Version[]>();
  readonly #sessions = new Set<SessionId>();
  readonly #closed = new Set<SessionId>();
  /** XOR over all znodes: compares a whole state at once. */
  digest = 0;

  constructor() {
    this.#put("/", { ...fresh, numChildren: 1 }, ZERO_ZXID);
    this.#put("/zookeeper", { ...fresh, numChildren: 2 }, ZERO_ZXID);
    this.#put("/zookeeper/config", { ...fresh, acl: readable, aversion: -1, numChildren: 0 }, ZERO_ZXID);
    this.#put("/zookeeper/quota", { ...fresh, numChildren: 0 }, ZERO_ZXID);
  }

  get size(): number {
    return this.#znodes.size;
  }

  paths(): Iterable<string> {
    return this.#znodes.keys();
  }

  get(path: string): Znode | undefined {
    return this.#znodes.get(path);
  }

  hasSession(id: SessionId): boolean {
    return this.#sessions.has(id);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** The znode as of the newest txn that is not above `zxid`. */
  at(path: string, zxid: Zxid): Znode | undefined {
    const versions = this.#versions.get(path) ?? [];
    for (let place = versions.length - 1; place >= 0; place--) {
      const version = versions[place];
      if (version !== undefined && compareZxid(version.zxid, zxid) <= 0) return version.znode;
    }
    return undefined;
  }

  /** Applies the next committed txn; answers what it left where. */
  apply(zxid: Zxid, txn: Txn): readonly Trace[] {
    const { op, sessionId, timeMs } = txn;
    const touched = new Set<string>();
    if (sessionId !== 0n && this.#closed.has(sessionId) && op.kind !== "error" && op.kind !== "failedMulti") {
      violate("E2", `a txn of session ${sessionId} after its close`);
    }
    if (op.kind === "multi") {
      for (const part of op.ops) this.#change(zxid, timeMs, part, touched);
    } else if (op.kind === "createSession") {
      if (this.#sessions.has(sessionId)) violate("E1", `session ${sessionId} opened twice`);
      this.#sessions.add(sessionId);
    } else if (op.kind === "renewSession") {
      if (!this.#sessions.has(sessionId)) violate("E1", `session ${sessionId} renewed, and not there`);
    } else if (op.kind === "closeSession") {
      if (!this.#sessions.delete(sessionId)) violate("E1", `session ${sessionId} closed twice`);
      this.#closed.add(sessionId);
      for (const path of op.ephemerals) this.#delete(zxid, path, touched);
      for (const [path, znode] of this.#znodes) {
        if (znode.lifetime.kind === "ephemeral" && znode.lifetime.owner === sessionId) {
          violate("E3", `${path} outlives its session`);
        }
      }
    } else if (op.kind === "reconfig") {
      const path = "/zookeeper/config";
      const hex = ((BigInt(zxid.epoch) << 32n) | BigInt(zxid.counter)).toString(16);
      const data = new TextEncoder().encode(`${op.servers}version=${hex}`);
      this.#put(
        path,
        { ...this.#expect(path), data, version: -1, mzxid: zxid, mtime: timeMs },
        zxid,
        touched,
      );
    } else if (op.kind === "keyed") {
      throw new Error("nobody in the simulator writes under a key");
    } else if (op.kind !== "error" && op.kind !== "failedMulti") {
      this.#change(zxid, timeMs, op, touched);
    }
    return [...touched].map((path) => ({ path, hash: hashZnode(path, this.#znodes.get(path)) }));
  }

  #change(zxid: Zxid, timeMs: number, op: TreeOp, touched: Set<string>): void {
    switch (op.kind) {
      case "create": {
        const parent = this.#expect(parentOf(op.path));
        if (this.#znodes.has(op.path)) violate("T1", `${op.path} created twice`);
        const { data, acl, lifetime } = op;
        if (lifetime.kind === "ephemeral" && !this.#sessions.has(lifetime.owner)) {
          violate("E3", `ephemeral ${op.path} of a session that is not open`);
        }
        const times = { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: timeMs, mtime: timeMs };
        const counters = { version: 0, aversion: 0, creates: 0, numChildren: 0 };
        this.#put(op.path, { data, acl, lifetime, ...times, ...counters }, zxid, touched);
        const numChildren = parent.numChildren + 1;
        if (op.parentCreates !== parent.creates + 1)
          violate("T1", `creates of the parent of ${op.path} jump`);
        this.#put(
          parentOf(op.path),
          { ...parent, creates: op.parentCreates, numChildren, pzxid: zxid },
          zxid,
          touched,
        );
        return;
      }
      case "delete":
        this.#delete(zxid, op.path, touched);
        return;
      case "setData": {
        const znode = this.#expect(op.path);
        if (op.version !== znode.version + 1) violate("T1", `version of ${op.path} jumps`);
        const { data, version } = op;
        this.#put(op.path, { ...znode, data, version, mzxid: zxid, mtime: timeMs }, zxid, touched);
        return;
      }
      case "setAcl": {
        const { acl, aversion } = op;
        this.#put(op.path, { ...this.#expect(op.path), acl, aversion }, zxid, touched);
        return;
      }
      case "check":
        this.#expect(op.path);
    }
  }

  #delete(zxid: Zxid, path: string, touched: Set<string>): void {
    if (this.#expect(path).numChildren > 0) violate("T1", `${path} deleted with children`);
    const parent = this.#expect(parentOf(path));
    this.#put(path, undefined, zxid, touched);
    this.#put(parentOf(path), { ...parent, numChildren: parent.numChildren - 1, pzxid: zxid }, zxid, touched);
  }

  #expect(path: string): Znode {
    const znode = this.#znodes.get(path);
    if (znode === undefined) violate("T1", `a txn changes ${path}, which is not there`);
    return znode;
  }

  #put(path: string, znode: Znode | undefined, zxid: Zxid, touched?: Set<string>): void {
    this.digest ^= hashZnode(path, this.#znodes.get(path)) ^ hashZnode(path, znode);
    if (znode === undefined) this.#znodes.delete(path);
    else this.#znodes.set(path, znode);
    const versions = this.#versions.get(path);
    if (versions === undefined) this.#versions.set(path, [{ zxid, znode }]);
    else versions.push({ zxid, znode });
    touched?.add(path);
  }
}

/** The paths a txn changes, each once, in the order the reference tree reports them. */
export function touchedBy(op: TxnOp): readonly string[] {
  switch (op.kind) {
    case "create":
    case "delete":
      return [op.path, parentOf(op.path)];
    case "setData":
    case "setAcl":
      return [op.path];
    case "reconfig":
      return ["/zookeeper/config"];
    case "multi":
      return [...new Set(op.ops.flatMap(touchedBy))];
    case "closeSession":
      return [...new Set(op.ephemerals.flatMap((path) => [path, parentOf(path)]))];
    default:
      return [];
  }
}

/** Of the tree before the first txn. */
export const initialDigest = new ReferenceTree().digest;
