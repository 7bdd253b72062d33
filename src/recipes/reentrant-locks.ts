/**
 * Locks that their owner may take again while it holds them, and holds until it has released each.
 *
 * An owner is whoever the caller says: a job, a request, a user. The first hold takes the lock, the last
 * release gives it back, and all holds have its one token and signal. Owners live within one `ReentrantLocks`;
 * for everybody else they are contenders like others.
 *
 * Invariant: an entry has as many holds as were granted and not released; with none it is not there.
 *
 * Source: Curator `InterProcessMutex` (whose owners are threads).
 *
 * @module
 */

import { ZkErrorCode } from "../base/index.ts";
import { type Client, type Lock, type LockOptions, orAbort, ZkError } from "../client/index.ts";

export interface ReentrantLockOptions extends LockOptions {
  /** Who asks. Shown to others, too. */
  readonly owner: string;
}

/** One of its owner's holds of a lock. */
export interface Hold extends AsyncDisposable {
  readonly lock: Lock;
  /** Gives this hold back; the last one gives back the lock. A second time does nothing. */
  release(): Promise<void>;
}

interface Entry {
  readonly lock: Promise<Lock>;
  readonly isShared: boolean;
  /** Gives up the wait for the lock. */
  readonly waiting: AbortController;
  holds: number;
}

export class ReentrantLocks {
  readonly #zk: Client;
  /** By owner and path; one that is lost is not here any more. */
  readonly #entries = new Map<string, Entry>();

  constructor(zk: Client) {
    this.#zk = zk;
  }

  /**
   * Takes the lock, or holds it once more if this owner holds it already.
   *
   * While an owner's first request waits, its later ones wait with it and come to the same end. Whoever holds
   * it exclusively may ask for it shared; the other way round it would wait for itself, and is refused.
   *
   * @throws {@link ZkError} `BadArguments` for an exclusive hold on top of a shared one; as `Client.lock`.
   * @example
   * await using hold = await locks.lock("/jobs/42", { owner: requestId });
   */
  async lock(path: string, options: ReentrantLockOptions): Promise<Hold> {
    const key = JSON.stringify([options.owner, path]);
    const entry = this.#entries.get(key) ?? this.#begin(key, path, options);
    if (entry.isShared && options.shared !== true) throw refused(path, options.owner);
    entry.holds += 1;
    let isReleased = false;
    const release = async (): Promise<void> => {
      if (isReleased) return;
      isReleased = true;
      await this.#end(key, entry);
    };
    try {
      const lock = await orAbort(entry.lock, options.signal);
      return { lock, release, [Symbol.asyncDispose]: release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  #begin(key: string, path: string, options: ReentrantLockOptions): Entry {
    const waiting = new AbortController();
    // Of the wait, not of the first to wait: others may join it.
    const lock = this.#zk.lock(path, { ...options, signal: waiting.signal });
    const entry: Entry = { lock, isShared: options.shared === true, waiting, holds: 0 };
    this.#entries.set(key, entry);
    const forget = () => this.#forget(key, entry);
    lock.then(({ signal }) => signal.addEventListener("abort", forget, { once: true }), forget);
    return entry;
  }

  async #end(key: string, entry: Entry): Promise<void> {
    entry.holds -= 1;
    if (entry.holds > 0) return;
    this.#forget(key, entry);
    entry.waiting.abort();
    const lock = await entry.lock.catch(() => undefined);
    await lock?.release();
  }

  /** The owner's next request takes the lock anew. */
  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}

function refused(path: string, owner: string): ZkError {
  const message = `Cannot lock "${path}" exclusively: "${owner}" holds it shared, and would wait for itself`;
  return new ZkError({ code: ZkErrorCode.BadArguments, message, path });
}
