/**
 * Queues: sequential znodes, taken oldest first, most urgent first, or not before their time.
 *
 * Taking is deleting: whoever's delete succeeds has the item, and one that dies then has lost it (at most
 * once). `consume` holds the item by an ephemeral while it is worked on and deletes it afterwards: one that
 * dies then gives it back (at least once), so the work should be safe to repeat, or carry the token.
 *
 * The znodes are kazoo's `Queue` (`entry-<priority>-<number>`), which therefore shares the line.
 *
 * Sources: ZooKeeper recipes "Queues" and "Priority Queues"; kazoo `recipe/queue.py`.
 *
 * @module
 */

import { CreateMode, joinPath, ZkErrorCode } from "../base/index.ts";
import {
  type Client,
  type Data,
  isZkError,
  leave,
  orAbort,
  type Place,
  pause,
  Tenure,
  takeNamed,
  undefinedIf,
  ZkError,
} from "../client/index.ts";

export interface PutOptions {
  readonly signal?: AbortSignal | undefined;
  /** 0 to 999; smaller is taken first. Default: 100, as kazoo has it. */
  readonly priority?: number | undefined;
  /** Not taken before: ms since 1970, by the clock of whoever takes. Default: at once. */
  readonly notBeforeMs?: number | undefined;
}

export interface TakeOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface Item {
  readonly data: Uint8Array | null;
  readonly text: string;
  /** Of the txn that put it: grows along the queue, and says whether it is the same item again. */
  readonly token: bigint;
}

const entryName = /^entry-([0-9]{3})-(?:([0-9]{13})-)?([0-9]{10})$/;
const priorityDefault = 100;
const priorityMax = 999;

interface Entry {
  readonly name: string;
  readonly notBeforeMs: number;
}

/** An item that is being worked on. */
interface Held {
  readonly item: Item;
  readonly path: string;
  readonly claim: Place;
  readonly tenure: Tenure;
}

export class Queue {
  readonly #zk: Client;
  readonly path: string;

  /** @param path - A znode of its own; it is created when something is put. */
  constructor(zk: Client, path: string) {
    this.#zk = zk;
    this.path = path;
  }

  /**
   * Puts an item at the end of its priority.
   *
   * @throws {@link ZkError} With outcome `unknown`, it may be in the queue: putting again may put it twice.
   */
  async put(data: Data, options: PutOptions = {}): Promise<void> {
    const { priority = priorityDefault, notBeforeMs, signal } = options;
    if (!Number.isInteger(priority) || priority < 0 || priority > priorityMax) {
      throw this.#fault(`priority is ${priority}, not 0 to ${priorityMax}`);
    }
    const time =
      notBeforeMs === undefined ? "" : `${String(Math.max(0, Math.floor(notBeforeMs))).padStart(13, "0")}-`;
    if (time.length > 14) throw this.#fault(`notBeforeMs is ${notBeforeMs}, after the year 2286`);
    const entry = joinPath(this.path, `entry-${String(priority).padStart(3, "0")}-${time}`);
    const create = () => this.#zk.create(entry, data, { mode: CreateMode.PersistentSequential, signal });
    try {
      await create();
    } catch (error) {
      if (!isZkError(error, "NoNode")) throw error;
      await this.#zk.createPath(this.path, { signal });
      await create();
    }
  }

  /**
   * Takes the next item, waiting for one.
   *
   * @throws {@link ZkError} With outcome `unknown`, an item may have been taken and be lost.
   */
  take({ signal }: TakeOptions = {}): Promise<Item> {
    return this.#next(signal, (path) => this.#remove(path, signal));
  }

  /**
   * Waits for the next item, works on it, and deletes it when the work has succeeded. Nobody else works on
   * it meanwhile, unless this session ends: `signal` of the work says so in time.
   *
   * @throws What the work throws: the item is given back. {@link ZkError} With outcome `unknown`, the item may be done
   *   and gone, or will be given back.
   */
  async consume<Result>(
    work: (item: Item, signal: AbortSignal) => Promise<Result>,
    { signal }: TakeOptions = {},
  ): Promise<Result> {
    const held = await this.#next(signal, (path) => this.#hold(path, signal));
    const { item, path, claim, tenure } = held;
    try {
      const result = await work(item, tenure.signal);
      tenure.signal.throwIfAborted();
      await this.#zk.transaction().delete(claim.path).delete(path).commit({ signal });
      return result;
    } catch (error) {
      // What keeps it from being given back now will not for ever, and says less than what went wrong.
      await leave(this.#zk, claim.remove).catch(() => undefined);
      throw error;
    } finally {
      tenure.end("released");
    }
  }

  /** Items in the queue, those not due and those being worked on included. */
  async size(options: TakeOptions = {}): Promise<number> {
    return (await this.#entries(options.signal)).length;
  }

  /** Tries one item after the other, and waits when there is none to be had. */
  async #next<Taken>(
    signal: AbortSignal | undefined,
    tryTake: (path: string) => Promise<Taken | undefined>,
  ): Promise<Taken> {
    /** Items that others work on, each with what happens when they come free. */
    const held = new Map<string, Promise<unknown>>();
    for (;;) {
      signal?.throwIfAborted();
      const { entries, changed } = await this.#watchEntries(signal);
      const now = this.#zk.clock.now();
      const due = entries.filter(({ notBeforeMs }) => notBeforeMs <= now).map(({ name }) => name);
      for (const name of due) {
        const taken = await tryTake(joinPath(this.path, name));
        if (taken !== undefined) return taken;
      }
      if (!(await this.#watchHeld(due, held, signal))) continue;
      const dueMs = Math.min(...entries.map(({ notBeforeMs }) => notBeforeMs).filter((ms) => ms > now));
      await this.#waitFor(Promise.race([changed, ...held.values()]), dueMs - now, signal);
    }
  }

  /**
   * Watches whoever holds one of `names`: their end changes the item's children, and not the queue's. False when
   * an item was free, or gone, after all.
   */
  async #watchHeld(
    names: readonly string[],
    held: Map<string, Promise<unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    for (const name of names) {
      if (held.has(name)) continue;
      const path = joinPath(this.path, name);
      const item = await this.#zk.children(path, { watch: true, signal }).catch(undefinedIf("NoNode"));
      if (item === undefined || item.children.length === 0) return false;
      const freed = item.changed.finally(() => void held.delete(name));
      freed.catch(() => undefined);
      held.set(name, freed);
    }
    return true;
  }

  /** Whichever comes first: a change, or the time of the next item. */
  async #waitFor(changed: Promise<unknown>, ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (!Number.isFinite(ms)) {
      await orAbort(changed, signal);
      return;
    }
    const controller = new AbortController();
    const until = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
    try {
      await Promise.race([orAbort(changed, until), pause(this.#zk.clock, Math.min(ms, 2 ** 31 - 1), until)]);
    } finally {
      controller.abort();
    }
  }

  async #watchEntries(
    signal: AbortSignal | undefined,
  ): Promise<{ readonly entries: readonly Entry[]; readonly changed: Promise<unknown> }> {
    for (;;) {
      try {
        const { children, changed } = await this.#zk.children(this.path, { watch: true, signal });
        return { entries: inOrder(children), changed };
      } catch (error) {
        if (!isZkError(error, "NoNode")) throw error;
        const { stat, changed } = await this.#zk.exists(this.path, { watch: true, signal });
        if (stat === undefined) return { entries: [], changed };
      }
    }
  }

  async #entries(signal: AbortSignal | undefined): Promise<readonly Entry[]> {
    return inOrder((await this.#zk.children(this.path, { signal }).catch(undefinedIf("NoNode"))) ?? []);
  }

  /** `undefined`: somebody else has it, or holds it. */
  async #remove(path: string, signal: AbortSignal | undefined): Promise<Item | undefined> {
    try {
      const { data, text, stat } = await this.#zk.get(path, { signal });
      // Held by somebody who works on it: his to delete.
      if (stat.numChildren > 0) return undefined;
      await this.#zk.delete(path, { version: stat.version, signal });
      return { data, text, token: stat.czxid };
    } catch (error) {
      if (isZkError(error, "NoNode") || isZkError(error, "NotEmpty")) return undefined;
      throw error;
    }
  }

  async #hold(path: string, signal: AbortSignal | undefined): Promise<Held | undefined> {
    try {
      const { data, text, stat } = await this.#zk.get(path, { signal });
      if (stat.numChildren > 0) return undefined;
      const claim = await takeNamed(this.#zk, joinPath(path, "claim"), signal);
      const item: Item = { data, text, token: stat.czxid };
      return { item, path, claim, tenure: new Tenure(this.#zk, claim.path) };
    } catch (error) {
      if (isZkError(error, "NoNode") || isZkError(error, "NodeExists")) return undefined;
      throw error;
    }
  }

  #fault(why: string): ZkError {
    const message = `Cannot put into "${this.path}": ${why}`;
    return new ZkError({ code: ZkErrorCode.BadArguments, message, path: this.path });
  }
}

/** By priority, then in the order in which they were put. */
function inOrder(children: readonly string[]): readonly Entry[] {
  return children
    .flatMap((name) => {
      const [, priority = "", time = "0", sequence = ""] = entryName.exec(name) ?? [];
      return sequence === "" ? [] : [{ name, notBeforeMs: Number(time), rank: `${priority}${sequence}` }];
    })
    .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0));
}
