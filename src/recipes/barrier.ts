/**
 * Barriers: everybody waits until one opens it, or until enough have come and then until all have left.
 *
 * Source: ZooKeeper recipes "Barriers" and "Double Barriers"; kazoo `recipe/barrier.py`, whose znodes these
 * are.
 *
 * @module
 */

import { CreateMode, joinPath } from "../base/index.ts";
import { type Client, orAbort, undefinedIf } from "../client/index.ts";

export interface BarrierOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Closed while its znode exists. */
export class Barrier {
  readonly #zk: Client;
  readonly path: string;

  constructor(zk: Client, path: string) {
    this.#zk = zk;
    this.path = path;
  }

  close(options: BarrierOptions = {}): Promise<void> {
    return this.#zk.createPath(this.path, options);
  }

  /** Lets everybody through. Open already is no error. */
  async open(options: BarrierOptions = {}): Promise<void> {
    await this.#zk.delete(this.path, options).catch(orGone);
  }

  /** Resolves when it is open. */
  async pass({ signal }: BarrierOptions = {}): Promise<void> {
    for (;;) {
      const { stat, changed } = await this.#zk.exists(this.path, { watch: true, signal });
      if (stat === undefined) return;
      await orAbort(changed, signal);
    }
  }
}

/**
 * Enters and leaves together: `enter` resolves when `count` have entered, `leave` when all have left. One
 * whose session ends counts as having left.
 */
export class DoubleBarrier {
  readonly #zk: Client;
  readonly path: string;
  readonly #count: number;
  readonly #id: string;

  /** @param id - This participant's own name, different for each. */
  constructor(zk: Client, path: string, count: number, id: string) {
    this.#zk = zk;
    this.path = path;
    this.#count = count;
    this.#id = id;
  }

  async enter({ signal }: BarrierOptions = {}): Promise<void> {
    await this.#zk.createPath(this.path, { signal });
    const ready = joinPath(this.path, "ready");
    // Watched before it is looked at how many there are, so that the last one cannot be missed.
    const { stat, changed } = await this.#zk.exists(ready, { watch: true, signal });
    await this.#zk.create(this.#own, null, { mode: CreateMode.Ephemeral, signal }).catch(orThere);
    if (stat !== undefined) return;
    if ((await this.#participants(signal)).length >= this.#count) {
      await this.#zk.create(ready, null, { mode: CreateMode.Ephemeral, signal }).catch(orThere);
      return;
    }
    await orAbort(changed, signal);
  }

  async leave({ signal }: BarrierOptions = {}): Promise<void> {
    await this.#zk.delete(this.#own, { signal }).catch(orGone);
    // The first to leave closes the barrier behind everybody.
    await this.#zk.delete(joinPath(this.path, "ready"), { signal }).catch(orGone);
    for (;;) {
      const [first] = (await this.#participants(signal)).sort();
      if (first === undefined) return;
      const { stat, changed } = await this.#zk.exists(joinPath(this.path, first), { watch: true, signal });
      if (stat !== undefined) await orAbort(changed, signal);
    }
  }

  get #own(): string {
    return joinPath(this.path, this.#id);
  }

  async #participants(signal: AbortSignal | undefined): Promise<string[]> {
    return (await this.#zk.children(this.path, { signal })).filter((name) => name !== "ready");
  }
}

const orGone = undefinedIf("NoNode");

const orThere = undefinedIf("NodeExists");
