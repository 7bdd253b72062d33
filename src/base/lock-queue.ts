/**
 * Who holds a lock: a pure question about the sorted children of its znode.
 *
 * The layout is kazoo's, so that its `Lock`, `ReadLock` and `WriteLock` queue up with ours: contenders are
 * sequential ephemerals named `<anything>__lock__<ten digits>` (exclusive) or `__rlock__` (shared). An
 * exclusive contender holds when nobody stands before it, a shared one when no exclusive one does. Other
 * children are no contenders.
 *
 * kazoo's plain `Lock` looks at `__lock__` only, so it does not wait for shared holders; its `WriteLock` does.
 *
 * Beside its contender, a holder may leave a tombstone, a persistent znode that only its release takes away.
 * One whose contender is gone is of a holder that was lost, and delays the next. Whoever finds it first writes
 * it once more: version 1 or later says that the delay runs, since its `mtime`. Other clients know no
 * tombstones, and take them for no contenders.
 *
 * A holder that is asked to give the lock back finds `__REVOKE__` at the end of its contender's data; alone it
 * is the message of Curator's `Revoker`.
 *
 * Sources: kazoo `recipe/lock.py`, ZooKeeper recipes "Locks" and "Shared Locks", Curator `Revoker`.
 *
 * @module
 */

export type LockMode = "exclusive" | "shared";

export interface QueuedContender {
  /** The znode's name. */
  readonly name: string;
  /** What stands before the marker. */
  readonly prefix: string;
  readonly mode: LockMode;
  readonly holds: boolean;
}

/** Lock checks of one multi: each looks at a whole queue while the next request waits. */
export const lockChecksMax = 16;

const contenderPattern = /^(.*)__(r?lock)__-?([0-9]{10})$/;

/** What our own contenders' names begin with: nobody else's lock is ours to keep or release. */
const ownPrefix = "ek-";

/** The same where the session is the caller's, who may have more in it: it does not end with the place. */
const lentPrefix = "eks-";

/** The name to create sequentially: the server appends the ten digits. */
export function contenderName(prefix: string, mode: LockMode): string {
  return `${prefix}${mode === "shared" ? "__rlock__" : "__lock__"}`;
}

/** The same for a contender that HTTP knows by its lock id. `isLent`: it stands in a session of the caller's. */
export function ownContenderName(id: string, mode: LockMode, isLent = false): string {
  return contenderName(`${isLent ? lentPrefix : ownPrefix}${id}`, mode);
}

/** The lock id of a contender of ours; `undefined` for others. */
export function ownLockId(contender: { readonly prefix: string }): string | undefined {
  const { prefix } = contender;
  const own = [ownPrefix, lentPrefix].find((each) => prefix.startsWith(each));
  return own === undefined ? undefined : prefix.slice(own.length);
}

/** Whether a contender of ours stands in a session of the caller's. */
export function isInLentSession(contender: { readonly prefix: string }): boolean {
  return contender.prefix.startsWith(lentPrefix);
}

/** Contenders in queue order, and which of them hold. */
export function queueOf(children: readonly string[]): readonly QueuedContender[] {
  const parsed = children.flatMap((name) => {
    const [, prefix, marker, sequence] = contenderPattern.exec(name) ?? [];
    if (prefix === undefined || sequence === undefined) return [];
    const mode: LockMode = marker === "rlock" ? "shared" : "exclusive";
    return [{ name, prefix, mode, sequence }];
  });
  // Ten digits each: text order is number order.
  parsed.sort((a, b) => (a.sequence < b.sequence ? -1 : a.sequence > b.sequence ? 1 : 0));
  let exclusiveBefore = false;
  return parsed.map(({ name, prefix, mode }, position) => {
    const holds = mode === "exclusive" ? position === 0 : !exclusiveBefore;
    if (mode === "exclusive") exclusiveBefore = true;
    return { name, prefix, mode, holds };
  });
}

/**
 * Whom a contender waits for: the last one ahead that excludes it. Waiting for that one alone wakes one
 * contender per release, not the whole queue. `undefined` when nobody stands in its way.
 */
export function blockerOf(
  queue: readonly QueuedContender[],
  contender: QueuedContender,
): QueuedContender | undefined {
  const position = queue.findIndex(({ name }) => name === contender.name);
  const ahead = queue.slice(0, Math.max(position, 0));
  return contender.mode === "exclusive" ? ahead.at(-1) : ahead.findLast(({ mode }) => mode === "exclusive");
}

/** Behind a contender's name. */
const tombstoneSuffix = "__delay";

export function tombstoneOf(contender: string): string {
  return `${contender}${tombstoneSuffix}`;
}

/** The tombstone of a holder that is gone, and what its holder held. */
export interface Tombstone {
  readonly name: string;
  readonly mode: LockMode;
}

export function tombstonesIn(children: readonly string[]): readonly Tombstone[] {
  const present = new Set(children);
  return children.flatMap((name) => {
    if (!name.endsWith(tombstoneSuffix)) return [];
    const contender = name.slice(0, -tombstoneSuffix.length);
    const [, , marker] = contenderPattern.exec(contender) ?? [];
    if (marker === undefined || present.has(contender)) return [];
    return [{ name, mode: marker === "rlock" ? "shared" : "exclusive" }];
  });
}

/** Whether two modes cannot be held together: what one does under the lock concerns the other. */
export function excludes(one: LockMode, other: LockMode): boolean {
  return one === "exclusive" || other === "exclusive";
}

/** What a tombstone's data says, ms; 0 for what says nothing. */
export function delayOf(text: string): number {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
}

const revocation = "__REVOKE__";

/** The data of a contender that is asked to give the lock back. */
export function revokedData(owner: string): string {
  return owner.endsWith(revocation) ? owner : `${owner}${revocation}`;
}

/** Whose contender this is, and whether it is asked to give the lock back. */
export function contenderData(text: string): { readonly owner: string; readonly isRevoked: boolean } {
  const isRevoked = text.endsWith(revocation);
  return { owner: isRevoked ? text.slice(0, -revocation.length) : text, isRevoked };
}
