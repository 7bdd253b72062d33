/**
 * Copies of the whole tree for operators: a snapshot file of ZooKeeper's, or the digest of the tree.
 *
 * A copy is of one moment. Everything applied when it is asked for is checkpointed, a cut is opened through the rows,
 * as for a learner far behind, and the cut is read page by page, each page in a turn of its own, while the
 * member goes on. A snapshot has its ACLs ahead of its znodes, so it takes two readings.
 *
 * There is one copy at a time. One that nobody goes on reading gives way to the next, and a cut that keeps too
 * much of the log is given up (`chores.ts`); its reader finds the file cut short.
 *
 * @module
 */

import {
  type AuthId,
  assert,
  compareZxid,
  equalZxid,
  Perms,
  type Session,
  type SessionId,
  ZERO_ZXID,
  type Znode,
  type Zxid,
  zxidToBigint,
} from "../base/index.ts";
import { AclIndex, describeZnode, SnapshotWriter, snapshotBytes, TreeDigest } from "../jute/index.ts";
import { isAllowed, type Tree } from "../tree/index.ts";
import type { History } from "./history.ts";
import { decodePart } from "./row-codec.ts";
import type { SqlTreeRows } from "./sql/znodes.ts";

/** A copy that was not read for so long, in ms, gives way to another. */
export const copyIdleMs = 60_000;

/** Turns in which what has applied may reach the rows. One carries 256 KiB at least; there are 16 MiB at most. */
const checkpointTurnsMax = 10_000;

/** The tree's digest as of a txn. */
export interface DigestedTree {
  readonly zxid: Zxid;
  readonly digest: bigint;
}

export interface SnapshotFile {
  readonly zxid: Zxid;
  /** Of the whole file. */
  readonly bytes: number;
  readonly body: ReadableStream<Uint8Array>;
}

/** `busy`: another copy is under way, or this one could not be finished. Nothing has changed. */
export type NoCopy = "denied" | "busy";

export interface TreeCopiesParts {
  readonly tree: Pick<Tree, "applied" | "dirtyCount" | "get">;
  readonly rows: Pick<SqlTreeRows, "applied" | "isCarrying">;
  readonly history: Pick<History, "openSnapshot" | "readSnapshotPage" | "closeSnapshot">;
  /** The next checkpoint is due now. */
  demandCheckpoint(): void;
  /** Runs something as a turn, chores included. */
  turn<Result>(run: () => Result): Result;
  now(): number;
  /** Resolves when others have had their turns. */
  pause(): Promise<void>;
}

export class TreeCopies {
  readonly #parts: TreeCopiesParts;
  #current: Copy | undefined;

  constructor(parts: TreeCopiesParts) {
    this.#parts = parts;
  }

  /** The digest, for who may do everything at the root: from it a guess at what is in the tree can be checked. */
  async digest(identities: readonly AuthId[]): Promise<DigestedTree | NoCopy> {
    const copy = await this.#open(identities);
    if (!(copy instanceof Copy)) return copy;
    try {
      const digest = new TreeDigest();
      for (let part = await copy.next(); part !== "end"; part = await copy.next()) {
        if (part === "lost") return "busy";
        for (const [path, znode] of part.znodes) digest.add(describeZnode(path, znode));
      }
      return { zxid: copy.zxid, digest: digest.value };
    } finally {
      copy.close();
    }
  }

  /** The tree as a file, for who may do everything at the root, as in ZooKeeper: it holds what ACLs hide. */
  async snapshot(identities: readonly AuthId[]): Promise<SnapshotFile | NoCopy> {
    const copy = await this.#open(identities);
    if (!(copy instanceof Copy)) return copy;
    try {
      const acls = new AclIndex();
      const sessions = new Map<SessionId, number>();
      let znodeBytes = 0;
      for (let part = await copy.next(); part !== "end"; part = await copy.next()) {
        if (part === "lost") {
          copy.close();
          return "busy";
        }
        for (const [path, znode] of part.znodes) {
          acls.indexOf(znode.acl);
          znodeBytes += snapshotBytes.znode(path, znode.data);
        }
        for (const { id, timeoutMs } of part.sessions) sessions.set(id, timeoutMs);
      }
      copy.rewind();
      const writer = new SnapshotWriter(sessions, acls);
      const bytes = writer.length + znodeBytes + snapshotBytes.end;
      return { zxid: copy.zxid, bytes, body: streamOf(copy, writer) };
    } catch (error) {
      copy.close();
      throw error;
    }
  }

  async #open(identities: readonly AuthId[]): Promise<Copy | NoCopy> {
    if (!this.#isAllowed(identities)) return "denied";
    if (this.#current?.isInUse === true) return "busy";
    this.#current?.close();
    const copy = new Copy(this.#parts);
    this.#current = copy;
    if (await copy.open()) return copy;
    copy.close();
    return "busy";
  }

  #isAllowed(identities: readonly AuthId[]): boolean {
    const { acl = [] } = this.#parts.tree.get("/") ?? {};
    const { Read, Write, Create, Delete, Admin } = Perms;
    return [Read, Write, Create, Delete, Admin].every((perm) => isAllowed(acl, perm, identities));
  }
}

interface CopiedPart {
  readonly znodes: readonly (readonly [string, Znode])[];
  readonly sessions: readonly Session[];
}

/** One cut, and how far it was read. */
class Copy {
  readonly #parts: TreeCopiesParts;
  #cut: { readonly id: number; readonly zxid: Zxid } | undefined;
  #page = 0;
  #isAtEnd = false;
  #isClosed = false;
  #readMs: number;

  constructor(parts: TreeCopiesParts) {
    this.#parts = parts;
    this.#readMs = parts.now();
  }

  get isInUse(): boolean {
    return !this.#isClosed && this.#parts.now() - this.#readMs <= copyIdleMs;
  }

  get zxid(): Zxid {
    assert(this.#cut !== undefined, "the copy is open");
    return this.#cut.zxid;
  }

  /** Waits until the rows hold all that has applied; whether the cut is open now. */
  async open(): Promise<boolean> {
    const { tree, rows, history, demandCheckpoint, turn, pause } = this.#parts;
    const goal = tree.applied;
    // Of a tree without a txn the rows hold nothing until they are told to.
    const isEmpty = () => equalZxid(rows.applied, ZERO_ZXID) && tree.dirtyCount > 0;
    const isLevel = () => !rows.isCarrying && compareZxid(rows.applied, goal) >= 0 && !isEmpty();
    for (let turns = 0; turns < checkpointTurnsMax && !this.#isClosed; turns++) {
      const isReady = turn(() => {
        if (!isLevel()) demandCheckpoint();
        else this.#cut = history.openSnapshot();
        return this.#cut !== undefined;
      });
      // A learner may be reading an earlier one.
      if (isReady) return compareZxid(this.zxid, goal) >= 0;
      await pause();
    }
    return false;
  }

  /** `lost`: the cut is gone. */
  async next(): Promise<CopiedPart | "end" | "lost"> {
    if (this.#isAtEnd) return "end";
    const { history, turn, now, pause } = this.#parts;
    await pause();
    const cut = this.#cut;
    if (cut === undefined || this.#isClosed) return "lost";
    const page = turn(() => history.readSnapshotPage(cut.id, this.#page));
    if (page === undefined) return "lost";
    this.#readMs = now();
    this.#page += 1;
    this.#isAtEnd = page.last;
    const part = decodePart(page.bytes);
    assert(part !== undefined, "a page of a snapshot can be read");
    return {
      znodes: [...part.znodes].flatMap(([path, znode]) => (znode === undefined ? [] : [[path, znode]])),
      sessions: [...part.sessions.values()].flatMap((session) => session ?? []),
    };
  }

  rewind(): void {
    this.#page = 0;
    this.#isAtEnd = false;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#cut !== undefined) this.#parts.history.closeSnapshot(this.#cut.id);
  }
}

/** Reads a page when there is room for it. */
function streamOf(copy: Copy, writer: SnapshotWriter): ReadableStream<Uint8Array> {
  const source: UnderlyingSource<Uint8Array> = {
    async pull(controller) {
      try {
        // Without any bytes nobody would pull again.
        while (writer.length === 0) {
          const part = await copy.next();
          if (part === "lost") throw new Error("the snapshot was given up: it was read too slowly");
          if (part === "end") {
            writer.end(zxidToBigint(copy.zxid));
            copy.close();
          } else for (const [path, znode] of part.znodes) writer.add(describeZnode(path, znode));
        }
        for (const bytes of writer.take()) controller.enqueue(bytes);
        if (writer.isEnded) controller.close();
      } catch (error) {
        copy.close();
        controller.error(error);
      }
    },
    cancel: () => copy.close(),
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}
