/**
 * A member that agrees with itself: it prepares, applies and answers on the spot, over rows in memory.
 *
 * @module
 */

import {
  type Acl,
  type AuthId,
  type CreateRequest,
  compareZxid,
  type DeleteRequest,
  isValidPath,
  type MultiOp,
  type MultiRequest,
  makeSessionId,
  makeZxid,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  type Outcome,
  Perms,
  type ReadRequest,
  type SessionId,
  type SetAclRequest,
  type SetDataRequest,
  type Stat,
  type Txn,
  type WriteRequest,
  ZkErrorCode,
  type Znode,
  type Zxid,
  zkErrorName,
} from "../../src/base/index.ts";
import {
  type Answer,
  type Applied,
  MemoryRows,
  respond,
  statOf,
  Tree,
  type TreeOptions,
} from "../../src/tree/index.ts";

export const options: TreeOptions = { cacheBytesMax: 1_000_000 };

export const root: AuthId = { scheme: "super", id: "" };
export const bob: AuthId = { scheme: "digest", id: "bob:hash" };
export const eve: AuthId = { scheme: "digest", id: "eve:hash" };

/** Only bob may do anything. */
export const bobOnly: readonly Acl[] = [{ ...bob, perms: Perms.All }];

export interface Who {
  readonly session?: SessionId;
  readonly identities?: readonly AuthId[];
  readonly ownership?: number;
}

export interface Logged {
  readonly zxid: Zxid;
  readonly txn: Txn;
}

/** As SQLite's rows may: they don't expect to be asked for a path that no znode can have. */
class StrictRows extends MemoryRows {
  override readZnode(path: string): Znode | undefined {
    if (!isValidPath(path)) throw new Error(`asked for ${path}`);
    return super.readZnode(path);
  }
}

/** Writes at zxid 1/1, 1/2, ...; the clock stands still unless moved. */
export class Member {
  readonly rows: MemoryRows;
  readonly tree: Tree;
  readonly log: Logged[] = [];
  nowMs = 1_000;
  lastApplied: Applied | undefined;

  constructor(given: Partial<TreeOptions> = {}, rows: MemoryRows = new StrictRows()) {
    this.rows = rows;
    this.tree = new Tree(rows, { ...options, ...given });
  }

  prepare(request: WriteRequest, who: Who = {}): Txn {
    const requester = {
      sessionId: who.session ?? NO_SESSION,
      identities: who.identities ?? [],
      ownership: who.ownership,
    };
    return this.tree.prepare(request, { requester, cxid: 7, nowMs: this.nowMs });
  }

  apply(txn: Txn): Applied {
    const zxid = makeZxid(1, this.tree.applied.counter + 1);
    this.log.push({ zxid, txn });
    this.lastApplied = this.tree.apply(zxid, txn);
    return this.lastApplied;
  }

  write(request: WriteRequest, who?: Who): Outcome {
    return respond(request, this.apply(this.prepare(request, who)).outcome);
  }

  /** A write that the test takes for granted. */
  must(request: WriteRequest, who?: Who): Outcome {
    const outcome = this.write(request, who);
    if (outcome.err !== ZkErrorCode.Ok) throw new Error(`refused: ${zkErrorName(outcome.err)}`);
    return outcome;
  }

  open(id: bigint, timeoutMs = 10_000): SessionId {
    const session = makeSessionId(id);
    this.must({ type: OpCode.CreateSession, timeoutMs }, { session });
    return session;
  }

  close(session: SessionId): Outcome {
    return this.write({ type: OpCode.CloseSession }, { session });
  }

  read(request: ReadRequest, who: Who & { readonly watcher?: number } = {}): Answer {
    const requester = { sessionId: who.session ?? NO_SESSION, identities: who.identities ?? [] };
    return this.tree.answer(request, { requester, watcher: who.watcher });
  }

  stat(path: string): Stat {
    const znode = this.tree.get(path);
    if (znode === undefined) throw new Error(`missing: ${path}`);
    return statOf(znode);
  }

  /** Whom the last write told, as "watcher type path", everybody reading everything. */
  told(canRead: (watcher: number) => boolean = () => true): string[] {
    const triggers = this.lastApplied?.triggers ?? [];
    return triggers.flatMap((trigger) =>
      this.tree.watches
        .fire(trigger, canRead)
        .map(({ watcher, event }) => `${watcher} ${event.type} ${event.path}`),
    );
  }
}

export function create(path: string, given: Partial<Omit<CreateRequest, "path">> = {}): CreateRequest {
  return { type: OpCode.Create, path, data: null, acl: OPEN_ACL, flags: 0, ttlMs: -1, ...given };
}

export function remove(path: string, version = -1): DeleteRequest {
  return { type: OpCode.Delete, path, version };
}

export function setData(path: string, data: Uint8Array | null = null, version = -1): SetDataRequest {
  return { type: OpCode.SetData, path, data, version };
}

export function setAcl(path: string, acl: readonly Acl[] | null, version = -1): SetAclRequest {
  return { type: OpCode.SetAcl, path, acl, version };
}

export function multi(...ops: readonly MultiOp[]): MultiRequest {
  return { type: OpCode.Multi, ops };
}

export function check(path: string, version = -1): MultiOp {
  return { type: OpCode.Check, path, version };
}

export function checkLock(path: string, token: Zxid): MultiOp {
  return { type: OpCode.CheckLock, path, token };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The name of an outcome's code: failures read better. */
export function verdict(outcome: Outcome): string | undefined {
  return zkErrorName(outcome.err);
}

/** Codes of a failed multi's parts; undefined when it did not fail. */
export function partCodes(outcome: Outcome): string[] | undefined {
  if (outcome.body?.kind !== "multi") return undefined;
  const codes = outcome.body.results.map((result) =>
    result.kind === "error" ? String(zkErrorName(result.code)) : result.kind,
  );
  return codes;
}

/** Everything replicated, in one comparable value. Walks the tree, so a lost child or listing shows. */
export function dump(tree: Tree): unknown {
  const znodes: [string, Znode][] = [];
  const waiting = ["/"];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const znode = tree.get(path);
    if (znode === undefined) throw new Error(`listed but missing: ${path}`);
    znodes.push([path, znode]);
    for (const name of listAll(tree, path)) waiting.push(path === "/" ? `/${name}` : `${path}/${name}`);
  }
  const sessions = [...tree.sessions()]
    .map((session) => ({ ...session, ephemerals: [...tree.ephemeralsOf(session.id)].sort() }))
    .sort((a, b) => Number(a.id - b.id));
  return { applied: tree.applied, znodes, sessions };
}

/** In pages of two, so that paging is always part of the comparison. */
function listAll(tree: Tree, path: string): string[] {
  const names: string[] = [];
  for (;;) {
    const page = tree.children(path, names.at(-1), 2);
    names.push(...page);
    if (page.length < 2) return names;
  }
}

const everybody = { requester: { sessionId: NO_SESSION, identities: [root] }, watcher: undefined };

/** What must hold of any tree: throws a sentence when it doesn't. */
export function checkInvariants(tree: Tree): void {
  const waiting = ["/"];
  const owned = new Map<SessionId, string[]>();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const znode = tree.get(path);
    const names = listAll(tree, path);
    if (znode === undefined) throw new Error(`listed but missing: ${path}`);
    if (names.length !== znode.numChildren) throw new Error(`${path} miscounts its children`);
    if (names.some((name, at) => at > 0 && name <= String(names[at - 1])))
      throw new Error(`${path} is unsorted`);
    const all = tree.answer({ type: OpCode.GetChildren, path, watch: false }, everybody);
    const children = all.body?.kind === "children" ? all.body.children.toSorted() : [];
    if (children.join() !== names.join()) throw new Error(`${path} is listed in two ways`);
    if (compareZxid(znode.mzxid, tree.applied) > 0) throw new Error(`${path} is from the future`);
    if (znode.lifetime.kind === "ephemeral") {
      const { owner } = znode.lifetime;
      if (names.length > 0) throw new Error(`ephemeral ${path} has children`);
      if (!tree.hasSession(owner)) throw new Error(`ephemeral ${path} outlived its session`);
      owned.set(owner, [...(owned.get(owner) ?? []), path]);
    }
    for (const name of names) waiting.push(path === "/" ? `/${name}` : `${path}/${name}`);
  }
  for (const { id } of tree.sessions()) {
    const listed = [...tree.ephemeralsOf(id)].sort().join();
    if (listed !== (owned.get(id) ?? []).sort().join())
      throw new Error(`session ${id} miscounts its ephemerals`);
  }
}
