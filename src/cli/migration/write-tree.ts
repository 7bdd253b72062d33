/**
 * Records into an ensemble, through a client: in order, many at a time, and so that it can be repeated.
 *
 * A znode that is there already, with the same data and ACL, counts as done: an import that was
 * interrupted is simply run again, and a progress mark saves it the looking. One that differs ends the
 * import, or is left or overwritten when asked.
 *
 * @module
 */

import { type Acl, CreateMode } from "../../base/index.ts";
import { type Client, isZkError, type Transaction } from "../../client/index.ts";
import type { ZnodeRecord } from "./znode-record.ts";

/** What becomes of a znode that is there with other data or another ACL. */
export type IfDifferent = "fail" | "keep" | "overwrite";

export interface WriteOptions {
  readonly ifDifferent: IfDifferent;
  /** Done up to here, by an earlier run over the same records. */
  readonly after?: string | undefined;
  /** @param through - The path up to which everything is done. */
  onProgress?(progress: WriteProgress, through: string): void;
}

export interface WriteProgress {
  created: number;
  /** There already, and the same. */
  same: number;
  kept: number;
  overwritten: number;
}

/** A znode is there and is not what it should be. */
export class Conflict extends Error {
  override readonly name = "Conflict";
  readonly path: string;

  constructor(path: string) {
    super(`"${path}" exists with other data or another ACL: nothing behind it was imported`);
    this.path = path;
  }
}

const batchZnodesMax = 200;
/** Well below a frame, whose bound the whole transaction has to keep. */
const batchBytesMax = 384 * 1024;
/** Batches under way: order holds, since one connection's requests are applied in theirs. */
const batchesMax = 4;

/**
 * @param records - Parents before children.
 * @throws {@link Conflict}; {@link ZkError} such as `NoAuth`, `InvalidACL`, `QuotaExceeded`. What was done
 *   stays: run it again when the cause is gone.
 */
export async function writeTree(
  client: Client,
  records: readonly ZnodeRecord[],
  options: WriteOptions,
): Promise<WriteProgress> {
  const progress: WriteProgress = { created: 0, same: 0, kept: 0, overwritten: 0 };
  const underWay: Promise<void>[] = [];
  for (const batch of batchesOf(records, options.after)) {
    if (underWay.length >= batchesMax) await underWay.shift();
    const before = underWay.at(-1) ?? Promise.resolve();
    const done = writeBatch(client, batch, { ...options, before, progress }).then(async () => {
      await before;
      options.onProgress?.(progress, batch.at(-1)?.path ?? "/");
    });
    // Awaited in order below; a failure meanwhile must not count as unheard.
    done.catch(() => undefined);
    underWay.push(done);
  }
  for (const done of underWay) await done;
  return progress;
}

function* batchesOf(records: readonly ZnodeRecord[], after: string | undefined): Generator<ZnodeRecord[]> {
  let batch: ZnodeRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    // In the order of `sort`, which is the records'.
    if (after !== undefined && record.path <= after) continue;
    const size = (record.data?.length ?? 0) + 3 * record.path.length + 64 * record.acl.length;
    if (batch.length > 0 && (batch.length >= batchZnodesMax || bytes + size > batchBytesMax)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

async function writeBatch(
  client: Client,
  batch: readonly ZnodeRecord[],
  state: WriteOptions & { readonly before: Promise<void>; readonly progress: WriteProgress },
): Promise<void> {
  // The root is always there.
  const fresh = batch.filter(({ path }) => path !== "/");
  let transaction: Transaction = client.transaction();
  for (const record of fresh)
    transaction = transaction.create(record.path, record.data, createOptions(record));
  let left = batch;
  try {
    await transaction.commit();
    state.progress.created += fresh.length;
    left = batch.filter(({ path }) => path === "/");
  } catch (error) {
    if (!isWorthALook(error)) throw error;
  }
  if (left.length === 0) return;
  // The parents may be in a batch that goes one by one, too.
  await state.before;
  // Asked together: after an interruption most are there already.
  const areThere = await Promise.all(left.map((record) => isThere(client, record)));
  for (const [at, record] of left.entries()) {
    if (areThere[at] === true) state.progress.same += 1;
    else await writeOne(client, record, state, state.progress);
  }
}

async function isThere(client: Client, { path, data, acl }: ZnodeRecord): Promise<boolean> {
  try {
    const [znode, stored] = await Promise.all([client.get(path), client.getAcl(path)]);
    return equalBytes(znode.data, data) && equalAcls(stored.acl, acl);
  } catch (error) {
    if (isZkError(error, "NoNode")) return false;
    throw error;
  }
}

/** Something is there already, or a parent not yet, or the outcome is unknown: one by one tells. */
function isWorthALook(error: unknown): boolean {
  return isZkError(error, "NodeExists") || isZkError(error, "NoNode") || isUnknown(error);
}

function isUnknown(error: unknown): boolean {
  return isZkError(error) && error.outcome === "unknown";
}

async function writeOne(
  client: Client,
  record: ZnodeRecord,
  { ifDifferent }: WriteOptions,
  progress: WriteProgress,
): Promise<void> {
  const { path, data, acl } = record;
  if (path !== "/") {
    try {
      await client.create(path, data, createOptions(record));
      progress.created += 1;
      return;
    } catch (error) {
      if (!isZkError(error, "NodeExists") && !isUnknown(error)) throw error;
    }
  }
  const [znode, stored] = await Promise.all([client.get(path), client.getAcl(path)]);
  if (equalBytes(znode.data, data) && equalAcls(stored.acl, acl)) {
    progress.same += 1;
  } else if (ifDifferent === "overwrite") {
    await client.set(path, data);
    await client.setAcl(path, acl);
    progress.overwritten += 1;
  } else if (ifDifferent === "keep" || (path === "/" && data?.length === 0)) {
    progress.kept += 1;
  } else {
    throw new Conflict(path);
  }
}

function createOptions({ lifetime, acl }: ZnodeRecord) {
  switch (lifetime.kind) {
    case "persistent":
      return { acl };
    case "container":
      return { acl, mode: CreateMode.Container };
    case "ttl":
      return { acl, ttl: lifetime.ttlMs };
  }
}

function equalBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function equalAcls(a: readonly Acl[], b: readonly Acl[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ perms, scheme, id }, i) => {
      const other = b[i];
      return other?.perms === perms && other.scheme === scheme && other.id === id;
    })
  );
}
