/**
 * Barriers: everybody waits until one opens it, or until enough have come and then until all have left.
 *
 * Source: ZooKeeper recipes "Barriers" and "Double Barriers"; kazoo `recipe/barrier.py`, whose znodes these
 * are.
 *
 * @module
 */

import { joinPath } from "../base/index.ts";
import {
  type Client,
  isZkError,
  leave,
  leaveLater,
  orAbort,
  type Place,
  takeNamed,
  undefinedIf,
  type ZnodeStat,
} from "../client/index.ts";

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

/** A participant that is in. */
interface Entered {
  readonly place: Place;
  /** Of the `ready` it came in by. */
  readonly readyCzxid: bigint | undefined;
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
  /** Until it is known to have left. */
  #entered: Entered | undefined;

  /** @param id - This participant's own name, different for each. */
  constructor(zk: Client, path: string, count: number, id: string) {
    this.#zk = zk;
    this.path = path;
    this.#count = count;
    this.#id = id;
  }

  /**
   * Enters, waiting for the others. Who does not get in, because the signal aborts or the session ends, is not counted
   * any more. While somebody else is there under this name, an earlier session of this participant's own perhaps, it
   * waits for that one to go.
   */
  async enter({ signal }: BarrierOptions = {}): Promise<void> {
    await this.#zk.createPath(this.path, { signal });
    const ready = joinPath(this.path, "ready");
    // Watched before it is looked at how many there are, so that the last one cannot be missed.
    const { stat, changed } = await this.#zk.exists(ready, { watch: true, signal });
    const place = await this.#take(signal);
    try {
      const opened = stat ?? (await this.#untilOpen(ready, changed, signal));
      this.#entered = { place, readyCzxid: opened?.czxid };
    } catch (error) {
      this.#entered = undefined;
      leaveLater(this.#zk, place.remove);
      throw error;
    }
  }

  /**
   * Leaves, waiting for the others to leave.
   *
   * @throws {@link ZkError} `ConnectionLoss`, `OperationTimeout`: not known to have left yet. It goes on being tried
   *   while the session lives, and may be asked for again.
   */
  async leave({ signal }: BarrierOptions = {}): Promise<void> {
    const entered = this.#entered;
    if (entered !== undefined) await leave(this.#zk, () => this.#remove(entered));
    this.#entered = undefined;
    for (;;) {
      const [first] = (await this.#participants(signal)).sort();
      if (first === undefined) return;
      const { stat, changed } = await this.#zk.exists(joinPath(this.path, first), { watch: true, signal });
      if (stat !== undefined) await orAbort(changed, signal);
    }
  }

  async #take(signal: AbortSignal | undefined): Promise<Place> {
    const own = joinPath(this.path, this.#id);
    for (;;) {
      try {
        return await takeNamed(this.#zk, own, signal);
      } catch (error) {
        if (!isZkError(error, "NodeExists")) throw error;
      }
      const { stat, changed } = await this.#zk.exists(own, { watch: true, signal });
      if (stat === undefined) continue;
      if (stat.czxid === this.#entered?.place.stat.czxid) return this.#entered.place;
      await orAbort(changed, signal);
    }
  }

  /** Opens it, or waits for whoever does. `undefined`: somebody has left already, and closed it. */
  async #untilOpen(
    ready: string,
    changed: Promise<unknown>,
    signal: AbortSignal | undefined,
  ): Promise<ZnodeStat | undefined> {
    if ((await this.#participants(signal)).length < this.#count) await orAbort(changed, signal);
    else {
      try {
        return (await takeNamed(this.#zk, ready, signal)).stat;
      } catch (error) {
        if (!isZkError(error, "NodeExists")) throw error;
      }
    }
    return this.#zk.exists(ready, { signal });
  }

  /** The first to leave closes the barrier behind everybody, and never the one of the next round. */
  async #remove({ place, readyCzxid }: Entered): Promise<void> {
    const ready = joinPath(this.path, "ready");
    await this.#zk.sync(ready);
    const stat = await this.#zk.exists(ready);
    if (stat !== undefined && stat.czxid === readyCzxid) await this.#zk.delete(ready).catch(orGone);
    await place.remove();
  }

  async #participants(signal: AbortSignal | undefined): Promise<string[]> {
    return (await this.#zk.children(this.path, { signal })).filter((name) => name !== "ready");
  }
}

const orGone = undefinedIf("NoNode");
