/**
 * Live configuration: one znode's JSON, kept up to date and checked, as a value that is always at hand.
 *
 * A value that is missing, is no JSON or is refused by the schema changes nothing: the last good one
 * stays, and `fault` says what is wrong with the newest.
 *
 * @module
 */

import { ZkErrorCode } from "../base/index.ts";
import { orAbort, pause } from "./abort.ts";
import type { Client } from "./client.ts";
import { isZkError, ZkError } from "./errors.ts";
import type { Schema } from "./znode.ts";

export interface ConfigOptions<Value> {
  /** Anything that implements Standard Schema: zod, valibot, arktype. Default: any JSON is taken. */
  readonly schema?: Schema<Value> | undefined;
  /** The value until there is one. Without it `get` throws until then. */
  readonly initial?: Value | undefined;
}

/** Pause after a refusal, ms. */
const retryMs = 1_000;

export class LiveConfig<Value> implements Disposable {
  readonly path: string;
  /** Resolves when the znode was read for the first time, be it there or not. */
  readonly ready: Promise<void>;
  readonly #client: Client;
  readonly #schema: Schema<Value> | undefined;
  readonly #controller = new AbortController();
  readonly #listeners = new Set<(value: Value) => void>();
  #value: { readonly value: Value } | undefined;
  #version: bigint | undefined;
  #fault: ZkError | undefined;

  constructor(client: Client, path: string, { schema, initial }: ConfigOptions<Value>) {
    this.#client = client;
    this.path = path;
    this.#schema = schema;
    this.#value = initial === undefined ? undefined : { value: initial };
    let isReady: () => void = () => undefined;
    this.ready = new Promise((resolve) => {
      isReady = resolve;
    });
    void this.#follow(isReady);
  }

  /**
   * The newest good value.
   *
   * @throws {@link ZkError} `NoNode` or `MarshallingError` while there has been none, and no `initial`.
   */
  get(): Value {
    if (this.#value !== undefined) return this.#value.value;
    if (this.#fault !== undefined) throw this.#fault;
    throw new ZkError({
      code: ZkErrorCode.NoNode,
      message: `"${this.path}" has not been read yet: await \`ready\``,
      path: this.path,
    });
  }

  /** What is wrong with the znode just now; `undefined` when its value is the one that `get` gives. */
  get fault(): ZkError | undefined {
    return this.#fault;
  }

  /** The `mzxid` of the value that `get` gives; `undefined` for `initial`. */
  get version(): bigint | undefined {
    return this.#version;
  }

  /** Calls `listener` with every new good value, from the next on. Answers a function that stops that. */
  subscribe(listener: (value: Value) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stops following. `get` goes on giving the last value. */
  close(): void {
    this.#controller.abort();
    this.#listeners.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #follow(isReady: () => void): Promise<void> {
    const { signal } = this.#controller;
    while (!signal.aborted && this.#client.state.kind !== "closed") {
      try {
        await this.#readOnce(isReady, signal);
      } catch (error) {
        // The next session watches again; what else fails may succeed later.
        if (isZkError(error, "SessionExpired")) continue;
        if (error instanceof ZkError) this.#fault = error;
        isReady();
        await pause(this.#client.clock, retryMs, signal).catch(() => undefined);
      }
    }
    isReady();
  }

  /** Reads, and returns when the znode has changed. */
  async #readOnce(isReady: () => void, signal: AbortSignal): Promise<void> {
    const { stat, changed } = await this.#client.exists(this.path, { watch: true, signal });
    if (stat === undefined) {
      this.#fault = new ZkError({
        code: ZkErrorCode.NoNode,
        message: `"${this.path}" does not exist`,
        path: this.path,
      });
    } else {
      await this.#take(signal);
    }
    isReady();
    await orAbort(changed, signal);
  }

  async #take(signal: AbortSignal): Promise<void> {
    try {
      const znode = await this.#client.get(this.path, { signal });
      const value = await znode.json(this.#schema);
      this.#fault = undefined;
      if (this.#version === znode.stat.mzxid) return;
      this.#version = znode.stat.mzxid;
      this.#value = { value };
      for (const listener of [...this.#listeners]) listener(value);
    } catch (error) {
      const isBadValue = isZkError(error, "MarshallingError") || isZkError(error, "NoNode");
      if (!isBadValue) throw error;
      this.#fault = error;
    }
  }
}
