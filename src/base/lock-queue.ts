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
 * Source: kazoo `recipe/lock.py`, ZooKeeper recipes "Locks" and "Shared Locks".
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

/** The name to create sequentially: the server appends the ten digits. */
export function contenderName(prefix: string, mode: LockMode): string {
  return `${prefix}${mode === "shared" ? "__rlock__" : "__lock__"}`;
}

/** The same for a contender that HTTP knows by its lock id. */
export function ownContenderName(id: string, mode: LockMode): string {
  return contenderName(`${ownPrefix}${id}`, mode);
}

/** The lock id of a contender of ours; `undefined` for others. */
export function ownLockId(contender: { readonly prefix: string }): string | undefined {
  const { prefix } = contender;
  return prefix.startsWith(ownPrefix) ? prefix.slice(ownPrefix.length) : undefined;
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
