/**
 * The leader's speculative state: the applied tree as it will be once every outstanding txn has applied.
 *
 * A later request must see what earlier ones decided before they commit: two sequential creates in
 * flight take two numbers. So each prepared txn leaves its effects here, keyed by path and by session,
 * and takes them away when it applies: first prepared, first applied.
 *
 * Only what decisions look at is kept: data for its size only, and of zxids those that are known, which the
 * ones of outstanding txns are not.
 *
 * Invariants:
 * - `#outstanding` holds one entry per prepared and not yet applied txn, refused ones included.
 * - An entry of `#znodes` or `#sessions` carries the number of the last outstanding txn that wrote it;
 *   once that txn applied, the applied state says the same.
 * - `#ephemerals` names the paths whose entry in `#znodes` is an ephemeral, by owner.
 * - With nothing outstanding, nothing is held.
 *
 * Source: ZooKeeper `PrepRequestProcessor.outstandingChanges`, `ZooKeeperServer.ChangeRecord`.
 *
 * @module
 */

import {
  assert,
  NO_SESSION,
  nameOf,
  parentOf,
  type Session,
  type SessionId,
  type TreeOp,
  type Txn,
  type TxnOp,
  unreachable,
  type Znode,
  type Zxid,
} from "../base/index.ts";
import type { Usage } from "./quotas.ts";
import { ownerOf, sizeOf } from "./znodes.ts";

/** What decisions look at. */
export type ZnodeOutline = Pick<
  Znode,
  "acl" | "data" | "lifetime" | "mtime" | "version" | "aversion" | "creates" | "numChildren"
> & {
  /** `undefined`: an outstanding txn creates it, and nobody can name that one yet. */
  readonly czxid: Zxid | undefined;
};

/** The applied state below the speculation. */
export interface AppliedState {
  znode(path: string): Znode | undefined;
  children(path: string): readonly string[];
  session(id: SessionId): Session | undefined;
  ephemeralsOf(owner: SessionId): readonly string[];
  quotaRootOf(path: string): string | undefined;
}

interface PendingZnode {
  /** `undefined`: will be deleted. */
  readonly znode: ZnodeOutline | undefined;
  /** The last outstanding txn that wrote it. */
  readonly by: number;
}

interface PendingSession {
  readonly isOpen: boolean;
  /** 0 when it is not open. */
  readonly ownership: number;
  readonly by: number;
}

/** One step of the txn being prepared, with what it hid: enough to take it back. */
interface Step {
  readonly path: string;
  readonly before: PendingZnode | undefined;
}

/** What a change will add to a quota's usage. */
interface Charge extends Usage {
  readonly root: string;
}

interface Outstanding {
  readonly txn: Txn;
  readonly paths: readonly string[];
  readonly charges: readonly Charge[];
}

const noUsage: Usage = { count: 0, bytes: 0 };

/** What a path adds to the list of a session's ephemerals: its text, and its length prefix. */
export function ephemeralUnitsOf(path: string): number {
  return path.length + 4;
}

export class SpeculativeView {
  readonly #applied: AppliedState;
  readonly #znodes = new Map<string, PendingZnode>();
  readonly #sessions = new Map<SessionId, PendingSession>();
  readonly #ephemerals = new Map<SessionId, Set<string>>();
  /** What `ephemeralUnits` has counted, kept up to date: the effects of a txn stay when it applies. */
  readonly #ephemeralUnits = new Map<SessionId, number>();
  /** By number, oldest first. */
  readonly #outstanding = new Map<number, Outstanding>();
  /** The number of the txn being prepared. */
  #next = 0;
  /** The number of the next txn to apply, if any is outstanding. */
  #oldest = 0;
  #steps: Step[] = [];
  /** Of the txn being prepared. */
  #charges: Charge[] = [];
  /** The sum of all charges outstanding or being prepared, by quota root. */
  readonly #usage = new Map<string, Usage>();
  #reconfigs = 0;

  constructor(applied: AppliedState) {
    this.#applied = applied;
  }

  get outstandingCount(): number {
    return this.#outstanding.size;
  }

  znode(path: string): ZnodeOutline | undefined {
    const pending = this.#znodes.get(path);
    return pending === undefined ? this.#applied.znode(path) : pending.znode;
  }

  /** Names of the children there will be, in no order. Looks at everything outstanding. */
  children(path: string): readonly string[] {
    const names = new Set(this.#applied.children(path));
    for (const [at, { znode }] of this.#znodes) {
      if (at === "/" || parentOf(at) !== path) continue;
      if (znode === undefined) names.delete(nameOf(at));
      else names.add(nameOf(at));
    }
    return [...names];
  }

  /** Whether a session may still ask for anything. Writing without a session is always allowed. */
  isOpen(id: SessionId): boolean {
    if (id === NO_SESSION) return true;
    return this.#sessions.get(id)?.isOpen ?? this.#applied.session(id) !== undefined;
  }

  /** Which of its connections a session will belong to; 0 when there is no such session. */
  ownershipOf(id: SessionId): number {
    return this.#sessions.get(id)?.ownership ?? this.#applied.session(id)?.ownership ?? 0;
  }

  /** Every ephemeral the session will own, in path order. */
  ephemeralsOf(owner: SessionId): readonly string[] {
    const paths = new Set(this.#applied.ephemeralsOf(owner));
    for (const path of this.#ephemerals.get(owner) ?? []) paths.add(path);
    const isOwned = (path: string) => {
      const znode = this.znode(path);
      return znode !== undefined && ownerOf(znode.lifetime) === owner;
    };
    return [...paths].filter(isOwned).sort();
  }

  /**
   * How long the list of the session's ephemerals will be: UTF-16 units, and a little for each.
   *
   * Counted once per session, and from then on as changes are staged.
   */
  ephemeralUnits(owner: SessionId): number {
    const known = this.#ephemeralUnits.get(owner);
    if (known !== undefined) return known;
    const units = this.ephemeralsOf(owner).reduce((sum, path) => sum + ephemeralUnitsOf(path), 0);
    this.#ephemeralUnits.set(owner, units);
    return units;
  }

  quotaRootOf(path: string): string | undefined {
    return this.#applied.quotaRootOf(path);
  }

  /** Data as applied, whatever is outstanding. */
  appliedData(path: string): Uint8Array | null {
    return this.#applied.znode(path)?.data ?? null;
  }

  /** Whether a change of the members is prepared and not yet applied. */
  get isReconfiguring(): boolean {
    return this.#reconfigs > 0;
  }

  /** What outstanding changes will add to the usage that the stats of `root` show. */
  pendingUsage(root: string): Usage {
    return this.#usage.get(root) ?? noUsage;
  }

  /** Adds a decided change to the txn being prepared. */
  stage(op: TreeOp, timeMs: number): void {
    switch (op.kind) {
      case "create": {
        const { acl, data, lifetime } = op;
        const counters = { version: 0, aversion: 0, creates: 0, numChildren: 0 };
        this.#charge(op.path, 1, sizeOf(data));
        this.#set(op.path, { acl, data, lifetime, mtime: timeMs, czxid: undefined, ...counters });
        const parent = this.#expect(parentOf(op.path));
        const numChildren = parent.numChildren + 1;
        this.#set(parentOf(op.path), { ...parent, creates: op.parentCreates, numChildren });
        return;
      }
      case "delete": {
        this.#charge(op.path, -1, -sizeOf(this.#expect(op.path).data));
        this.#set(op.path, undefined);
        const parent = this.#expect(parentOf(op.path));
        this.#set(parentOf(op.path), { ...parent, numChildren: parent.numChildren - 1 });
        return;
      }
      case "setData": {
        const before = this.#expect(op.path);
        this.#charge(op.path, 0, sizeOf(op.data) - sizeOf(before.data));
        this.#set(op.path, { ...before, data: op.data, version: op.version, mtime: timeMs });
        return;
      }
      case "setAcl":
        this.#set(op.path, { ...this.#expect(op.path), acl: op.acl, aversion: op.aversion });
        return;
      case "check":
        return;
      default:
        unreachable(op);
    }
  }

  /** Adds a znode as it will be to the txn being prepared: what no `TreeOp` says. */
  put(path: string, znode: ZnodeOutline): void {
    this.#set(path, znode);
  }

  /** Takes back what {@link stage} added to the txn being prepared. */
  unstage(): void {
    for (const { path, before } of this.#steps.reverse()) {
      const staged = this.znode(path);
      this.#put(path, before);
      this.#recount(path, staged, this.znode(path));
    }
    this.#steps = [];
    this.#discharge(this.#charges);
    this.#charges = [];
  }

  /** Ends the txn being prepared: it is outstanding from now on, and must be applied next but its elders. */
  commit(txn: Txn): void {
    const ownership = ownershipAfter(txn.op);
    if (ownership !== undefined) {
      this.#ephemeralUnits.delete(txn.sessionId);
      this.#sessions.set(txn.sessionId, { isOpen: ownership > 0, ownership, by: this.#next });
    }
    if (txn.op.kind === "reconfig") this.#reconfigs += 1;
    const paths = this.#steps.map((step) => step.path);
    this.#outstanding.set(this.#next, { txn, paths, charges: this.#charges });
    this.#steps = [];
    this.#charges = [];
    this.#next += 1;
  }

  /** The oldest outstanding txn has just applied; on members that prepare nothing, any txn has. */
  retire(applied: Txn): void {
    if (this.#outstanding.size === 0) return;
    const oldest = this.#outstanding.get(this.#oldest);
    assert(oldest !== undefined, "outstanding txns are numbered without a gap");
    const { txn, paths, charges } = oldest;
    assert(
      txn.sessionId === applied.sessionId &&
        txn.cxid === applied.cxid &&
        txn.timeMs === applied.timeMs &&
        txn.op.kind === applied.op.kind,
      "txns apply in the order they were prepared",
    );

    if (txn.op.kind === "reconfig") this.#reconfigs -= 1;
    this.#discharge(charges);
    for (const path of paths) {
      if (this.#znodes.get(path)?.by === this.#oldest) this.#put(path, undefined);
    }
    if (this.#sessions.get(txn.sessionId)?.by === this.#oldest) this.#sessions.delete(txn.sessionId);
    this.#outstanding.delete(this.#oldest);
    this.#oldest += 1;
    if (this.#outstanding.size > 0) return;
    const held = this.#znodes.size + this.#sessions.size + this.#ephemerals.size + this.#usage.size;
    assert(held === 0, "with nothing outstanding, nothing is held");
  }

  /** Forgets every outstanding txn: leadership was lost, and others decide what becomes of them. */
  clear(): void {
    this.#znodes.clear();
    this.#sessions.clear();
    this.#ephemerals.clear();
    this.#ephemeralUnits.clear();
    this.#outstanding.clear();
    this.#steps = [];
    this.#charges = [];
    this.#usage.clear();
    this.#reconfigs = 0;
    this.#oldest = this.#next;
  }

  #expect(path: string): ZnodeOutline {
    const znode = this.znode(path);
    assert(znode !== undefined, "a decided change has something to change");
    return znode;
  }

  #charge(path: string, count: number, bytes: number): void {
    const root = this.#applied.quotaRootOf(path);
    if (root === undefined) return;
    this.#charges.push({ root, count, bytes });
    this.#addUsage(root, count, bytes);
  }

  #discharge(charges: readonly Charge[]): void {
    for (const { root, count, bytes } of charges) this.#addUsage(root, -count, -bytes);
  }

  #addUsage(root: string, count: number, bytes: number): void {
    const before = this.pendingUsage(root);
    const after = { count: before.count + count, bytes: before.bytes + bytes };
    if (after.count === 0 && after.bytes === 0) this.#usage.delete(root);
    else this.#usage.set(root, after);
  }

  #set(path: string, znode: ZnodeOutline | undefined): void {
    this.#steps.push({ path, before: this.#znodes.get(path) });
    if (this.#ephemeralUnits.size > 0) this.#recount(path, this.znode(path), znode);
    this.#put(path, { znode, by: this.#next });
  }

  /** A znode changes, or comes, or goes: its owner's list grows or shrinks. */
  #recount(path: string, before: ZnodeOutline | undefined, after: ZnodeOutline | undefined): void {
    const from = before && ownerOf(before.lifetime);
    const to = after && ownerOf(after.lifetime);
    if (from === to) return;
    if (from !== undefined) this.#addUnits(from, -ephemeralUnitsOf(path));
    if (to !== undefined) this.#addUnits(to, ephemeralUnitsOf(path));
  }

  #addUnits(owner: SessionId, units: number): void {
    const counted = this.#ephemeralUnits.get(owner);
    if (counted !== undefined) this.#ephemeralUnits.set(owner, counted + units);
  }

  #put(path: string, pending: PendingZnode | undefined): void {
    const before = this.#znodes.get(path)?.znode;
    if (before?.lifetime.kind === "ephemeral") this.#disown(path, before.lifetime.owner);

    if (pending === undefined) this.#znodes.delete(path);
    else this.#znodes.set(path, pending);

    const after = pending?.znode;
    if (after?.lifetime.kind !== "ephemeral") return;
    const owned = this.#ephemerals.get(after.lifetime.owner);
    if (owned === undefined) this.#ephemerals.set(after.lifetime.owner, new Set([path]));
    else owned.add(path);
  }

  #disown(path: string, owner: SessionId): void {
    const owned = this.#ephemerals.get(owner);
    owned?.delete(path);
    if (owned?.size === 0) this.#ephemerals.delete(owner);
  }
}

/** What a session's own txn leaves behind, 0 for none; `undefined` for every other txn. */
function ownershipAfter(op: TxnOp): number | undefined {
  switch (op.kind) {
    case "createSession":
      return 1;
    case "renewSession":
      return op.ownership;
    case "closeSession":
      return 0;
    default:
      return undefined;
  }
}
