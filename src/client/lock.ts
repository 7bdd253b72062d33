/**
 * Locks: exclusive or shared, fair, with a fencing token, and a signal that aborts before they are lost.
 *
 * A contender is a sequential ephemeral below the lock's znode, named as kazoo names them, so that kazoo's
 * `Lock`, `ReadLock` and `WriteLock`, the HTTP locks and these queue up together. Each waits for the
 * last contender that excludes it, so a release wakes one of them, not the herd.
 *
 * With `lockDelay`, a holder leaves a tombstone beside its contender (`base/lock-queue.ts`). Whoever comes next
 * and finds it without its contender waits before it takes the lock. How long the delay has run is told by
 * the server's clock: by when the tombstone was written once more, and when the own place was taken.
 *
 * Sources: ZooKeeper recipes "Locks" and "Shared locks"; kazoo `recipe/lock.py`; Consul's lock-delay.
 *
 * @module
 */

import {
  blockerOf,
  contenderName,
  type Duration,
  delayOf,
  durationForms,
  excludes,
  joinPath,
  type LockMode,
  nameOf,
  parseDuration,
  queueOf,
  tombstoneOf,
  tombstonesIn,
  ZkErrorCode,
} from "../base/index.ts";
import { orAbort, pause } from "./abort.ts";
import type { Client } from "./client.ts";
import { badArguments, isZkError, undefinedIf, ZkError } from "./errors.ts";
import { leave, leaveLater, type Place, takeNumbered } from "./place.ts";
import { type LossCause, Tenure } from "./tenure.ts";

export interface LockOptions {
  /** Gives up waiting. A lock that has been granted is released by `release`. */
  readonly signal?: AbortSignal | undefined;
  /** Shared holders exclude exclusive ones only. Default: false. */
  readonly shared?: boolean | undefined;
  /** How long to wait for the lock; 0 tries once. Default: for ever. */
  readonly wait?: Duration | undefined;
  /**
   * How long nobody gets the lock after its holder was lost without releasing it: time for work that
   * cannot check a token to come to its end. It runs from when somebody next wants the lock. Only edgekeeper's
   * own contenders wait for it, kazoo's do not. Default: 0.
   */
  readonly lockDelay?: Duration | undefined;
  /** Shown to others: the data of the contender's znode. Default: empty. */
  readonly owner?: string | undefined;
}

/** A lock that was granted. */
export class Lock implements AsyncDisposable {
  /** The lock's znode. */
  readonly path: string;
  readonly mode: LockMode;
  /**
   * The fencing token: later holders of this lock always have greater ones. Send it along with every
   * write to what the lock protects, and let that refuse a token smaller than one it has seen.
   */
  readonly token: bigint;
  readonly #client: Client;
  readonly #tenure: Tenure;
  readonly #tombstone: string | undefined;

  constructor(client: Client, parts: LockParts) {
    this.#client = client;
    this.path = parts.path;
    this.mode = parts.mode;
    this.token = parts.token;
    this.#tombstone = parts.tombstone;
    this.#tenure = new Tenure(client, parts.contender);
  }

  /** The znode that holds the lock: a transaction that checks it happens under the lock, or not at all. */
  get contender(): string {
    return this.#tenure.path;
  }

  /** Aborts, with a `Lost`, while the lock is certainly still held: stop working under it then. */
  get signal(): AbortSignal {
    return this.#tenure.signal;
  }

  /** Runs `work` under the lock and releases it, whatever comes of the work. */
  async run<Result>(work: (lock: Lock) => Promise<Result>): Promise<Result> {
    try {
      return await work(this);
    } finally {
      await this.release();
    }
  }

  /**
   * Gives the lock back. Resolves when the next contender may have it; a lock that is lost already is
   * none to give back, and that is no error.
   *
   * @throws {@link ZkError} `ConnectionLoss`, `OperationTimeout`: not known to be released yet. It goes on being
   *   tried while the session lives, whose end releases it at the latest.
   */
  async release(): Promise<void> {
    if (this.signal.aborted && !isReleasable(this.signal.reason.cause)) return;
    const contender = this.#tenure.path;
    this.#tenure.end("released");
    await leave(this.#client, () => remove(this.#client, contender, this.#tombstone));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

export interface LockParts {
  readonly path: string;
  readonly mode: LockMode;
  readonly token: bigint;
  readonly contender: string;
  readonly tombstone: string | undefined;
}

/** Its session may still live, and the contender with it. */
function isReleasable(cause: LossCause): boolean {
  return cause === "unreachable";
}

/** @throws {@link ZkError} As `Client.lock` says. */
export async function acquireLock(client: Client, path: string, options: LockOptions): Promise<Lock> {
  const attempt = new Attempt(client, path, options);
  try {
    for (;;) {
      const lock = await attempt.once();
      if (lock !== undefined) return lock;
    }
  } catch (error) {
    throw attempt.explain(error);
  } finally {
    attempt.end();
  }
}

class Attempt {
  readonly #client: Client;
  readonly #path: string;
  readonly #mode: LockMode;
  readonly #owner: string;
  readonly #delayMs: number;
  readonly #waitMs: number | undefined;
  /** Aborts when the caller's does, and when the wait is over. */
  readonly #controller = new AbortController();
  readonly #callerSignal: AbortSignal | undefined;
  readonly #abort = () => this.#controller.abort(this.#callerSignal?.reason);
  #isTimedOut = false;
  /** When the place in the queue was taken, by the server's clock, and by ours, which was later. */
  #enteredMs = { server: 0, own: 0 };
  readonly #timer: unknown;

  constructor(client: Client, path: string, options: LockOptions) {
    this.#client = client;
    this.#path = path;
    this.#mode = options.shared === true ? "shared" : "exclusive";
    this.#owner = options.owner ?? "";
    this.#delayMs = msOf(options.lockDelay ?? 0, "lockDelay", path);
    this.#waitMs = options.wait === undefined ? undefined : msOf(options.wait, "wait", path);
    this.#callerSignal = options.signal;
    if (options.signal?.aborted === true) this.#abort();
    options.signal?.addEventListener("abort", this.#abort);
    if (this.#waitMs !== undefined && this.#waitMs > 0) {
      this.#timer = client.clock.setTimer(() => {
        this.#isTimedOut = true;
        this.#controller.abort();
      }, this.#waitMs);
    }
  }

  /** `undefined`: the session has ended meanwhile, and with it the place in the queue. */
  async once(): Promise<Lock | undefined> {
    const { signal } = this.#controller;
    let contender: Place | undefined;
    try {
      contender = await this.#enter(signal);
      this.#enteredMs = { server: contender.stat.ctime, own: this.#client.clock.now() };
      await this.#wait(contender.path, signal);
      const tombstone = this.#delayMs > 0 ? await this.#entomb(contender.path, signal) : undefined;
      const { stat, path } = contender;
      const lockParts = { path: this.#path, mode: this.#mode, token: stat.czxid, contender: path, tombstone };
      return new Lock(this.#client, lockParts);
    } catch (error) {
      if (contender !== undefined) this.#giveUp(contender.path);
      if (isZkError(error, "SessionExpired") && this.#client.state.kind !== "closed") return undefined;
      throw error;
    }
  }

  end(): void {
    this.#client.clock.clearTimer(this.#timer);
    this.#callerSignal?.removeEventListener("abort", this.#abort);
  }

  explain(error: unknown): unknown {
    return this.#isTimedOut && this.#callerSignal?.aborted !== true ? this.#timeoutError() : error;
  }

  #timeoutError(): ZkError {
    const message = `Cannot lock "${this.#path}" within ${this.#waitMs} ms: others hold it`;
    return new ZkError({ code: ZkErrorCode.OperationTimeout, message, path: this.#path });
  }

  #giveUp(contenderPath: string): void {
    leaveLater(this.#client, () => remove(this.#client, contenderPath, tombstoneOf(contenderPath)));
  }

  /** Takes a place in the queue, exactly one, whatever becomes of connections meanwhile. */
  async #enter(signal: AbortSignal): Promise<Place> {
    const nameOfMark = (mark: string) => contenderName(mark, this.#mode);
    for (;;) {
      try {
        return await takeNumbered(this.#client, this.#path, nameOfMark, this.#owner, signal);
      } catch (error) {
        if (!isZkError(error, "NoNode")) throw error;
        await this.#client.createPath(this.#path, { signal });
      }
    }
  }

  async #childNames(signal: AbortSignal | undefined): Promise<readonly string[]> {
    return (await this.#client.children(this.#path, { signal }).catch(orGone)) ?? [];
  }

  /** Resolves when nobody stands in the way any more. */
  async #wait(contenderPath: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      const names = await this.#childNames(signal);
      const queue = queueOf(names);
      const own = queue.find(({ name }) => name === nameOf(contenderPath));
      if (own === undefined) throw this.#stolenError();
      const blocker = blockerOf(queue, own);
      if (blocker === undefined) return this.#sitOut(names, signal);
      if (this.#waitMs === 0) {
        this.#isTimedOut = true;
        throw this.#timeoutError();
      }
      const { stat, changed } = await this.#client.exists(joinPath(this.#path, blocker.name), {
        watch: true,
        signal,
      });
      if (stat !== undefined) await orAbort(changed, signal);
    }
  }

  #stolenError(): ZkError {
    const message = `Cannot lock "${this.#path}": somebody has deleted the place in its queue`;
    return new ZkError({ code: ZkErrorCode.NoNode, message, path: this.#path });
  }

  /** Waits for the delays of holders that were lost. */
  async #sitOut(names: readonly string[], signal: AbortSignal): Promise<void> {
    for (const { name, mode } of tombstonesIn(names)) {
      const path = joinPath(this.#path, name);
      const leftMs = (await this.#delayLeft(path, signal)) ?? 0;
      if (leftMs > 0 && !excludes(mode, this.#mode)) continue;
      if (leftMs > 0) await this.#pause(leftMs, signal);
      await this.#client.delete(path, { signal }).catch(orGone);
    }
  }

  /** Of a tombstone, ms; makes the delay run when nobody has yet. `undefined` when it is gone. */
  async #delayLeft(path: string, signal: AbortSignal): Promise<number | undefined> {
    for (;;) {
      const tombstone = await this.#client.get(path, { signal }).catch(orGone);
      if (tombstone === undefined) return undefined;
      const { text, stat } = tombstone;
      const delayMs = delayOf(text);
      if (delayMs === 0) return 0;
      const nowMs = this.#enteredMs.server + this.#client.clock.now() - this.#enteredMs.own;
      if (stat.version > 0) return Math.min(delayMs, stat.mtime + delayMs - nowMs);
      await this.#client.set(path, text, { version: 0, signal }).catch(orRead);
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#waitMs === 0) {
      this.#isTimedOut = true;
      throw this.#timeoutError();
    }
    await pause(this.#client.clock, ms, signal);
  }

  async #entomb(contenderPath: string, signal: AbortSignal): Promise<string> {
    const tombstone = tombstoneOf(contenderPath);
    for (;;) {
      try {
        return await this.#client.create(tombstone, String(this.#delayMs), { signal });
      } catch (error) {
        if (isZkError(error, "NodeExists")) return tombstone;
        if (!(error instanceof ZkError) || error.outcome !== "unknown" || signal.aborted) throw error;
      }
    }
  }
}

/** The tombstone goes in the same txn: a clean release leaves nothing behind. */
async function remove(client: Client, contender: string, tombstone: string | undefined): Promise<void> {
  if (tombstone !== undefined) {
    try {
      await client.transaction().delete(tombstone).delete(contender).commit();
      return;
    } catch (error) {
      // Of the two, one may be there: a try before took effect, or the tombstone was never made.
      if (!isZkError(error, "NoNode")) throw error;
    }
  }
  await client.delete(contender).catch(orGone);
}

/** It may have happened, or another did it, or there is nothing to do it to: a look tells. */
const orRead = undefinedIf("BadVersion", "NoNode", "ConnectionLoss");

const orGone = undefinedIf("NoNode");

function msOf(duration: Duration, name: string, path: string): number {
  const ms = parseDuration(duration);
  if (ms === undefined) {
    throw badArguments(
      `Cannot lock "${path}": ${name} "${duration}" is no duration, write ${durationForms}`,
      path,
    );
  }
  return ms;
}
