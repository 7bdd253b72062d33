/**
 * Values that many change: read, decide, write if nobody was faster, else again.
 *
 * Every function here may be repeated by itself only because it looks at versions: a write whose outcome is
 * unknown is read back, and counts as done when the znode says so.
 *
 * Source: kazoo `recipe/counter.py`, Curator `DistributedAtomicValue`.
 *
 * @module
 */

import { parentOf, ZkErrorCode } from "../base/index.ts";
import {
  type Client,
  type Data,
  isZkError,
  json,
  type Schema,
  undefinedIf,
  ZkError,
  type Znode,
} from "../client/index.ts";

export interface UpdateOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Changes a znode's data by a function of what it is, and resolves to what was stored.
 *
 * @param change - Called with the znode, or `undefined` when there is none; again when somebody was faster.
 *   `undefined` leaves things as they are.
 * @throws {@link ZkError} `ConnectionLoss`, `OperationTimeout` with outcome `unknown`: it may have been stored.
 *   Otherwise as `Client.set`.
 */
export async function updateZnode(
  zk: Client,
  path: string,
  change: (znode: Znode | undefined) => Data | undefined | Promise<Data | undefined>,
  { signal }: UpdateOptions = {},
): Promise<Data | undefined> {
  for (;;) {
    signal?.throwIfAborted();
    const znode = await zk.get(path, { signal }).catch(orMissing);
    const data = await change(znode);
    if (data === undefined) return undefined;
    try {
      if (znode === undefined) await zk.create(path, data, { signal });
      else await zk.set(path, data, { version: znode.stat.version, signal });
      return data;
    } catch (error) {
      // Somebody was faster. A missing parent is made, and nobody minds who makes it.
      if (isZkError(error, "NoNode") && znode === undefined) await zk.createPath(parentOf(path), { signal });
      else if (!isRace(error)) throw error;
    }
  }
}

/** The same for JSON, through a schema when one is given. Resolves to the new value. */
export async function updateJson<Value>(
  zk: Client,
  path: string,
  change: (value: Value | undefined) => Value | Promise<Value>,
  options: UpdateOptions & { readonly schema?: Schema<Value> | undefined } = {},
): Promise<Value> {
  let result: { readonly value: Value } | undefined;
  await updateZnode(
    zk,
    path,
    async (znode) => {
      const isEmpty = znode === undefined || znode.data === null || znode.data.length === 0;
      const value = await change(isEmpty ? undefined : await znode.json(options.schema));
      result = { value };
      return json(value);
    },
    options,
  );
  if (result === undefined) throw new Error("a change that was stored has a value");
  return result.value;
}

/**
 * A counter, as text: kazoo's `Counter` on the same path counts along.
 *
 * @example
 * const visits = new Counter(zk, "/visits");
 * console.log(await visits.add(1));
 */
export class Counter {
  readonly #zk: Client;
  readonly path: string;

  constructor(zk: Client, path: string) {
    this.#zk = zk;
    this.path = path;
  }

  /** 0 when there is no znode yet. */
  async get(options: UpdateOptions = {}): Promise<number> {
    const znode = await this.#zk.get(this.path, options).catch(orMissing);
    return znode === undefined ? 0 : this.#parse(znode);
  }

  /**
   * Adds and resolves to the sum.
   *
   * @throws {@link ZkError} With outcome `unknown`, it may have been added: adding again may count twice.
   */
  async add(amount: number, options: UpdateOptions = {}): Promise<number> {
    let sum = 0;
    await updateZnode(
      this.#zk,
      this.path,
      (znode) => {
        sum = (znode === undefined ? 0 : this.#parse(znode)) + amount;
        if (!Number.isSafeInteger(sum)) throw this.#fault(`${sum} is no safe integer`);
        return String(sum);
      },
      options,
    );
    return sum;
  }

  #parse(znode: Znode): number {
    if (znode.text === "") return 0;
    const value = Number(znode.text);
    if (!Number.isSafeInteger(value)) throw this.#fault("its data is no integer");
    return value;
  }

  #fault(why: string): ZkError {
    const message = `Cannot count in "${this.path}": ${why}`;
    return new ZkError({ code: ZkErrorCode.BadArguments, message, path: this.path });
  }
}

function isRace(error: unknown): boolean {
  return isZkError(error, "BadVersion") || isZkError(error, "NodeExists") || isZkError(error, "NoNode");
}

const orMissing = undefinedIf("NoNode");
