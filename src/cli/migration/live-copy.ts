/**
 * A tree read through a client: any server, ours or ZooKeeper, while it is being used.
 *
 * Reading a tree takes time, and others write meanwhile. A watch over all of it says what has changed
 * since it was read; that is read again, until nothing changes between one look and the next. What comes
 * out is then one state of the tree; in a tree that never rests it is the closest there is, and
 * `isSettled` says so.
 *
 * @module
 */

import { joinPath, parentOf } from "../../base/index.ts";
import { type Client, isZkError } from "../../client/index.ts";
import { isOwnPath, type ZnodeRecord } from "./znode-record.ts";

export interface LiveCopy {
  /** Parents before children. */
  readonly records: readonly ZnodeRecord[];
  readonly ephemerals: number;
  /** Whether it is one state of the tree, as far as watches can tell. */
  readonly isSettled: boolean;
  /** The greatest zxid that was seen. */
  readonly zxid: bigint;
}

export interface LiveCopyOptions {
  /** The root of what is copied; paths in the copy are below it. Default: everything. */
  readonly root?: string | undefined;
  onProgress?(znodes: number): void;
}

/** Reads under way at once. */
const readsMax = 128;

/** Rounds over what has changed since the round before. */
const roundsMax = 10;

/** @throws {@link ZkError} `NoAuth` for a znode that may not be read: show an identity that may. */
export async function copyLive(client: Client, options: LiveCopyOptions = {}): Promise<LiveCopy> {
  const { root = "/", onProgress } = options;
  await using changes = await Changes.watch(client, root);
  const found = new Map<string, ZnodeRecord | "ephemeral">();
  let due: ReadonlySet<string> = new Set([root]);
  let rounds = 0;
  for (; due.size > 0 && rounds < roundsMax; rounds++) {
    for (const path of due) forget(found, path);
    await readAll(client, [...due], found, onProgress);
    // Everything committed before now has been told.
    await client.sync(root);
    due = changes.take();
  }
  const records: ZnodeRecord[] = [];
  for (const path of [...found.keys()].sort()) {
    const record = found.get(path);
    if (record !== undefined && record !== "ephemeral") records.push(record);
  }
  const ephemerals = found.size - records.length;
  return { records, ephemerals, isSettled: due.size === 0, zxid: client.lastZxid };
}

class Changes implements AsyncDisposable {
  readonly #root: string;
  readonly #controller = new AbortController();
  #changed = new Set<string>();
  #over: Promise<void> = Promise.resolve();

  private constructor(root: string) {
    this.#root = root;
  }

  static async watch(client: Client, root: string): Promise<Changes> {
    const changes = new Changes(root);
    const { signal } = changes.#controller;
    const stream = client.watch(root, { subtree: true, buffer: 100_000, signal });
    changes.#over = (async () => {
      for await (const event of stream) changes.#changed.add(event.kind === "missed" ? root : event.path);
    })();
    // Its failure is told by `ready`, or at the end; until somebody waits for it, it must not count as unheard.
    changes.#over.catch(() => undefined);
    await stream.ready;
    return changes;
  }

  /** What has changed since it was asked last, each to be read with all below it. */
  take(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    if (changed.has(this.#root)) return new Set([this.#root]);
    return changed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.#over;
  }
}

function forget(found: Map<string, unknown>, path: string): void {
  found.delete(path);
  const prefix = path === "/" ? "/" : `${path}/`;
  for (const each of [...found.keys()]) if (each.startsWith(prefix)) found.delete(each);
}

async function readAll(
  client: Client,
  paths: readonly string[],
  found: Map<string, ZnodeRecord | "ephemeral">,
  onProgress: LiveCopyOptions["onProgress"],
): Promise<void> {
  const open = [...paths];
  const readers = new Set<Promise<void>>();
  while (open.length > 0 || readers.size > 0) {
    const path = open.pop();
    if (path === undefined || readers.size >= readsMax) {
      if (path !== undefined) open.push(path);
      await Promise.race(readers);
      continue;
    }
    const reader = readOne(client, path, found).then((children) => {
      readers.delete(reader);
      open.push(...children);
      onProgress?.(found.size);
    });
    readers.add(reader);
  }
}

/** Puts a znode among those found and answers its children's paths; of one that is gone, nothing. */
async function readOne(
  client: Client,
  path: string,
  found: Map<string, ZnodeRecord | "ephemeral">,
): Promise<readonly string[]> {
  try {
    const [znode, { acl }, names] = await Promise.all([
      client.get(path),
      client.getAcl(path),
      client.children(path),
    ]);
    const { data, stat } = znode;
    if (stat.ephemeralOwner !== 0n) found.set(path, "ephemeral");
    else if (!isOwnPath(path)) found.set(path, { path, data, acl, lifetime: { kind: "persistent" }, stat });
    return names.map((name) => joinPath(path, name)).filter((child) => !isPrivate(child));
  } catch (error) {
    if (isZkError(error, "NoNode")) return [];
    throw error;
  }
}

/** Below the ensemble's own znodes only the quotas' limits are worth a look. */
function isPrivate(path: string): boolean {
  return parentOf(path) === "/zookeeper" && path !== "/zookeeper/quota";
}
