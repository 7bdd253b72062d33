/**
 * Registration: an ephemeral znode that is there whenever this client has a session.
 *
 * When a session has expired it is made again under the next one; when somebody deletes it, or an earlier
 * session of the same holder still owns it, it comes back as soon as it can.
 *
 * @module
 */

import { CreateMode, parentOf } from "../base/index.ts";
import { orAbort, pause } from "./abort.ts";
import type { Client } from "./client.ts";
import { isZkError, undefinedIf, ZkError } from "./errors.ts";
import { isPassing, retryMs } from "./persistence.ts";
import { isOurs, leave } from "./place.ts";
import type { Data } from "./znode.ts";

/** The latest registration of each path: the znode is its own, and not for an earlier one to delete. */
const latest = new WeakMap<Client, Map<string, Registration>>();

export class Registration implements AsyncDisposable {
  readonly path: string;
  /** Resolves when it is there for the first time; rejects when it never can be, with the `ZkError`. */
  readonly ready: Promise<void>;
  readonly #client: Client;
  readonly #controller = new AbortController();
  readonly #over: Promise<void>;
  #data: Data;
  /** Of the data that is to be stored; a set that was overtaken does nothing. */
  #revision = 0;
  #isHeld = false;

  constructor(client: Client, path: string, data: Data) {
    this.#client = client;
    this.path = path;
    this.#data = data;
    latest.set(client, (latest.get(client) ?? new Map()).set(path, this));
    let isReady: () => void = () => undefined;
    let isHopeless: (error: unknown) => void = () => undefined;
    this.ready = new Promise((resolve, reject) => {
      isReady = resolve;
      isHopeless = reject;
    });
    // Nobody has to wait for it.
    this.ready.catch(() => undefined);
    this.#over = this.#keep(isReady).catch(isHopeless);
  }

  /** Whether the znode is there, as far as is known. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /**
   * Changes the data, now and in every znode made later.
   *
   * @throws {@link ZkError} As `Client.set`. Without a znode just now it is stored when that is made.
   */
  async update(data: Data): Promise<void> {
    this.#data = data;
    this.#revision += 1;
    if (!this.#isHeld) return;
    await this.#client.set(this.path, data).catch(orGone);
  }

  /**
   * Takes the znode away, and does not come back.
   *
   * @throws {@link ZkError} `ConnectionLoss`, `OperationTimeout`: not known to be gone yet. It goes on being tried
   *   while the session lives, unless the client registers the path again.
   */
  async close(): Promise<void> {
    if (this.#controller.signal.aborted) return;
    this.#controller.abort();
    await this.#over;
    this.#isHeld = false;
    if (this.#client.state.kind === "closed") return;
    await leave(this.#client, () => this.#remove());
  }

  async #remove(): Promise<void> {
    // Asked behind everything that was sent, a create that was given up included, and level with the leader.
    await this.#client.sync(this.path);
    const stat = await this.#client.exists(this.path);
    const registrations = latest.get(this.#client);
    if (registrations?.get(this.path) !== this) return;
    if (stat !== undefined && isOurs(this.#client, stat)) await this.#client.delete(this.path).catch(orGone);
    if (registrations.get(this.path) === this) registrations.delete(this.path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #keep(isReady: () => void): Promise<void> {
    const { signal } = this.#controller;
    while (!signal.aborted && this.#client.state.kind !== "closed") {
      try {
        await this.#hold(isReady, signal);
      } catch (error) {
        this.#isHeld = false;
        if (signal.aborted) return;
        if (!isCurable(error)) throw error;
        // The end of a session is followed by another at once; the rest takes its time.
        if (!isZkError(error, "SessionExpired"))
          await pause(this.#client.clock, retryMs, signal).catch(() => undefined);
      }
    }
  }

  /** Returns when the znode has gone. */
  async #hold(isReady: () => void, signal: AbortSignal): Promise<void> {
    const revision = this.#revision;
    try {
      await this.#client.create(this.path, this.#data, { mode: CreateMode.Ephemeral, signal });
    } catch (error) {
      if (isZkError(error, "NoNode")) await this.#client.createPath(parentOf(this.path), { signal });
      else if (!isZkError(error, "NodeExists") && !isUnknown(error)) throw error;
    }
    const { stat, changed } = await this.#client.exists(this.path, { watch: true, signal });
    if (stat === undefined) return;
    if (isOurs(this.#client, stat)) {
      this.#isHeld = true;
      isReady();
      if (this.#revision !== revision) await this.#client.set(this.path, this.#data, { signal });
    }
    // Ours: until it goes. Another's: until that one's session ends.
    const { kind } = await orAbort(changed, signal);
    if (kind === "deleted") this.#isHeld = false;
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof ZkError && error.outcome === "unknown";
}

/** Time, or the next session, may cure it. */
function isCurable(error: unknown): boolean {
  return isPassing(error) || isZkError(error, "NoNode");
}

const orGone = undefinedIf("NoNode", "SessionExpired");
