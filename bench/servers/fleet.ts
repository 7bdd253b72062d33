/**
 * The servers of a run: each started when the first measure wants it, all stopped at the end.
 *
 * @module
 */

import type { BenchOptions } from "../flags.ts";
import type { SystemKind } from "../measures/measure.ts";
import { startAborting, startBareObject, startEdgekeeper } from "./edgekeeper.ts";
import { findJars } from "./jars.ts";
import type { System } from "./system.ts";
import { givenZooKeeper, startZooKeeper } from "./zookeeper.ts";

export class Fleet {
  readonly #options: BenchOptions;
  readonly #onStart: (system: System) => Promise<void>;
  readonly #running = new Map<SystemKind, { readonly system: System; readonly members: number }>();
  readonly #jars: ReturnType<typeof findJars> | undefined;

  /** @param onStart - Done to every system that stays, before it is measured. */
  constructor(options: BenchOptions, onStart: (system: System) => Promise<void>) {
    this.#options = options;
    this.#onStart = onStart;
    this.#jars = options.zookeeper === undefined ? findJars() : undefined;
  }

  /** Why there is no ZooKeeper to compare with. */
  get missing(): string | undefined {
    return this.#jars !== undefined && "missing" in this.#jars ? this.#jars.missing : undefined;
  }

  /**
   * The system, or `undefined` where it can't be had. Give it back with {@link release}.
   *
   * @param members - One of another size is stopped for it. Default: as many as the run was asked for.
   */
  async take(kind: SystemKind, members = this.#options.members): Promise<System | undefined> {
    const running = this.#running.get(kind);
    if (running?.members === members || running?.system.isGiven === true) return running.system;
    if (running !== undefined) await this.#stop(kind);
    const system = await this.#start(kind, members);
    if (system === undefined) return undefined;
    this.#running.set(kind, { system, members });
    if (!isFresh(kind)) await this.#onStart(system);
    return system;
  }

  /** Stops what is for one repeat alone. */
  async release(kind: SystemKind): Promise<void> {
    if (isFresh(kind)) await this.#stop(kind);
  }

  async stopAll(): Promise<void> {
    for (const kind of this.#running.keys()) await this.#stop(kind);
  }

  async #stop(kind: SystemKind): Promise<void> {
    const running = this.#running.get(kind);
    this.#running.delete(kind);
    await running?.system.stop();
  }

  async #start(kind: SystemKind, members: number): Promise<System | undefined> {
    const { zookeeper } = this.#options;
    switch (kind) {
      case "edgekeeper":
      case "fresh edgekeeper":
        return await startEdgekeeper(members);
      case "abortable edgekeeper":
        return await startAborting(members);
      case "bare object":
        return await startBareObject();
      case "zookeeper":
        if (zookeeper !== undefined) return await givenZooKeeper(zookeeper);
        return await this.#startZooKeeper(members);
      case "fresh zookeeper":
        return zookeeper === undefined ? await this.#startZooKeeper(members) : undefined;
    }
  }

  async #startZooKeeper(members: number): Promise<System | undefined> {
    const jars = this.#jars;
    if (jars === undefined || "missing" in jars) return undefined;
    const system = await startZooKeeper(jars.classPath, members);
    // There is no failover without another member.
    return members > 1 ? system : { ...system, killLeader: undefined, hangLeader: undefined };
  }
}

function isFresh(kind: SystemKind): boolean {
  return kind === "fresh edgekeeper" || kind === "fresh zookeeper";
}
