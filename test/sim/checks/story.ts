/**
 * The committed sequence as a story to be asked: what stood when, and what each txn changed.
 *
 * Told once the run is over, from the log of a member that has everything. Stands on the reference tree, so
 * a story that breaks a promise about txns, sessions or ephemerals (T1, E1 to E3) cannot even be told.
 *
 * @module
 */

import {
  compareZxid,
  formatZxid,
  nameOf,
  parentOf,
  type SessionId,
  type TreeOp,
  type Txn,
  type Znode,
  type Zxid,
} from "../../../src/base/index.ts";
import { violate } from "../violation.ts";
import { ReferenceTree } from "./reference.ts";

export interface Committed {
  readonly zxid: Zxid;
  readonly txn: Txn;
}

/** What a txn did at one path, in the order in which it did it. */
export interface Change {
  readonly kind: "created" | "deleted" | "changed";
  readonly path: string;
}

interface Kin {
  readonly place: number;
  readonly name: string;
  readonly isThere: boolean;
}

export class Story {
  readonly committed: readonly Committed[];
  /** Where each session was closed. */
  readonly closes = new Map<SessionId, Zxid>();
  readonly opens = new Map<SessionId, Zxid>();
  readonly #reference = new ReferenceTree();
  readonly #children = new Map<string, Kin[]>();
  readonly #bySession = new Map<string, Committed>();

  constructor(committed: readonly Committed[]) {
    this.committed = committed;
    committed.forEach((each, at) => {
      const { zxid, txn } = each;
      const before = committed[at - 1];
      if (before !== undefined && compareZxid(before.zxid, zxid) >= 0) {
        violate("B5", `${formatZxid(zxid)} stands behind ${formatZxid(before.zxid)}`);
      }
      this.#reference.apply(zxid, txn);
      if (txn.op.kind === "createSession") this.opens.set(txn.sessionId, zxid);
      if (txn.op.kind === "closeSession") this.closes.set(txn.sessionId, zxid);
      for (const { kind, path } of changesOf(txn)) {
        if (kind === "changed") continue;
        const kin = this.#children.get(parentOf(path)) ?? [];
        this.#children.set(parentOf(path), kin);
        kin.push({ place: at + 1, name: nameOf(path), isThere: kind === "created" });
      }
      if (txn.sessionId === 0n || txn.cxid <= 0) return;
      const key = `${txn.sessionId} ${txn.cxid}`;
      if (this.#bySession.has(key))
        violate("13.2", `request ${txn.cxid} of ${txn.sessionId} took effect twice`);
      this.#bySession.set(key, each);
    });
  }

  /** How many txns there are through `zxid`: 0 for what lies before all of them. */
  countThrough(zxid: Zxid): number {
    let low = 0;
    let high = this.committed.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const each = this.committed[middle];
      if (each !== undefined && compareZxid(each.zxid, zxid) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  find(zxid: Zxid): Committed | undefined {
    const found = this.committed[this.countThrough(zxid) - 1];
    return found !== undefined && compareZxid(found.zxid, zxid) === 0 ? found : undefined;
  }

  /** The txn that a request of a session became, if it did. */
  ofRequest(session: SessionId, cxid: number): Committed | undefined {
    return this.#bySession.get(`${session} ${cxid}`);
  }

  at(path: string, zxid: Zxid): Znode | undefined {
    return this.#reference.at(path, zxid);
  }

  /** Names below a path after the first `count` txns. */
  children(path: string, count: number): readonly string[] {
    const there = new Set<string>(
      path === "/" ? ["zookeeper"] : path === "/zookeeper" ? ["config", "quota"] : [],
    );
    for (const { place, name, isThere } of this.#children.get(path) ?? []) {
      if (place > count) break;
      if (isThere) there.add(name);
      else there.delete(name);
    }
    return [...there].sort();
  }
}

export function changesOf({ op }: Txn): readonly Change[] {
  switch (op.kind) {
    case "keyed":
      throw new Error("nobody in the simulator writes under a key");
    case "multi":
      return op.ops.flatMap(changesOfOp);
    case "closeSession":
      return op.ephemerals.map((path) => ({ kind: "deleted", path }));
    case "reconfig":
      return changesOfOp({ kind: "setData", path: "/zookeeper/config", data: null, version: -1 });
    case "createSession":
    case "renewSession":
    case "error":
    case "failedMulti":
      return [];
    default:
      return changesOfOp(op);
  }
}

function changesOfOp(op: TreeOp): readonly Change[] {
  switch (op.kind) {
    case "create":
      return [{ kind: "created", path: op.path }];
    case "delete":
      return [{ kind: "deleted", path: op.path }];
    case "setData":
      return [{ kind: "changed", path: op.path }];
    default:
      return [];
  }
}
