/**
 * A real ensemble on this machine, in one line: members, Worker and gateway as deployed, on workerd through Miniflare, on free ports
 * and in a directory of its own, and the means to do to it what happens to ensembles.
 *
 * @module
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, type ConnectOptions, connect } from "../client/node/index.ts";
import { type LocalEnsemble as Running, startLocal } from "../local/index.ts";
import { expireSession } from "./expire.ts";
import type { Faults } from "./faults.ts";

const host = "127.0.0.1";
const ensembleName = "main";
const membersMax = 9;

/** How long another leader may take: an election, and what a busy machine adds to it, ms. */
const leaderWaitMsMax = 60_000;
const leaderPollMs = 20;

/** Next to this file: its source, or, in the package, one module that holds all of it. */
const workerPath = join(import.meta.dirname, `worker${extname(import.meta.filename)}`);

export interface EnsembleOptions {
  /** Voters, 1 to 9. Default: 3. */
  readonly members?: number | undefined;
  /** Worker variables, such as `EK_TICK_MS`. Default: open to this machine, without a token. */
  readonly vars?: Readonly<Record<string, string>> | undefined;
  /** Told what the Worker and the members log. Default: nobody. */
  readonly log?: ((line: string) => void) | undefined;
}

/** A member as it sees itself. */
export interface MemberState {
  /** Server id, from 1. */
  readonly id: number;
  readonly role: "looking" | "following" | "leading" | "observing" | "unreachable";
  /** Whether it answers clients. */
  readonly serving: boolean;
}

/**
 * Starts an ensemble and resolves when it serves. Needs the package `miniflare`, and so Node 22 or later.
 *
 * @throws RangeError for a number of members that is not 1 to 9.
 * @example
 * await using ensemble = await startEnsemble();
 * const zk = ensemble.connect();
 * await zk.create("/test", "data");
 * await ensemble.killLeader();
 * await zk.set("/test", "survived");
 */
export async function startEnsemble(options: EnsembleOptions = {}): Promise<LocalEnsemble> {
  const { members = 3, vars = {}, log = () => undefined } = options;
  if (!Number.isInteger(members) || members < 1 || members > membersMax) {
    throw new RangeError(`Cannot start an ensemble of ${members} members: 1 to ${membersMax} are possible`);
  }
  const data = await mkdtemp(join(tmpdir(), "edgekeeper-testing-"));
  try {
    const running = await startLocal({
      ...{ host, port: 0, zkPort: 0, data, log },
      vars: {
        EK_OPEN_ON_LOOPBACK: "on",
        EK_MAX_CONNECTIONS_PER_ADDRESS: "0",
        ...vars,
        EK_MEMBERS: String(members),
      },
      workerEntryPath: workerPath,
    });
    return new LocalEnsemble({ running, members, data, token: vars["EK_TOKEN"] });
  } catch (error) {
    await remove(data);
    throw error;
  }
}

interface LocalEnsembleParts {
  readonly running: Running;
  readonly members: number;
  readonly data: string;
  readonly token: string | undefined;
}

/** Made by {@link startEnsemble}. */
export class LocalEnsemble implements AsyncDisposable {
  readonly #parts: LocalEnsembleParts;
  readonly #clients = new Set<Client>();
  #faults: Faults = { down: [], groups: [] };
  #closing: Promise<void> | undefined;

  constructor(parts: LocalEnsembleParts) {
    this.#parts = parts;
  }

  /** For `connect`: `http://127.0.0.1:8787/v1/main`. */
  get url(): string {
    return `${this.#parts.running.url}/v1/${ensembleName}`;
  }

  /** For ZooKeeper clients, and `connect` on Node: `zookeeper://127.0.0.1:2181`. */
  get zookeeperUrl(): string {
    return `zookeeper://${host}:${this.#parts.running.zkPort}`;
  }

  /** A client of this ensemble, closed with it. */
  connect(options: ConnectOptions = {}): Client {
    const client = connect(this.url, { token: this.#parts.token, ...options });
    this.#clients.add(client);
    return client;
  }

  /** What each member says of itself now, or `unreachable` for one that is down. */
  async members(): Promise<readonly MemberState[]> {
    const response = await this.#fetch(`${this.url}/members`);
    const { members }: { readonly members: readonly Listed[] } = await response.json();
    return members.map(({ id, role, serving }) => ({
      id,
      role: role ?? "unreachable",
      serving: serving ?? false,
    }));
  }

  /** The server id of the leader, as soon as there is one. */
  async leader(): Promise<number> {
    const deadlineMs = performance.now() + leaderWaitMsMax;
    while (performance.now() < deadlineMs) {
      const leader = (await this.members()).find(({ role, serving }) => role === "leading" && serving);
      if (leader !== undefined) return leader.id;
      await delay(leaderPollMs);
    }
    throw new Error(`No leader within ${leaderWaitMsMax} ms: a quorum must be up and connected`);
  }

  /** Kills the leader, which stays down until {@link LocalEnsemble.heal}. Answers its server id. */
  async killLeader(): Promise<number> {
    const leader = await this.leader();
    await this.kill(leader);
    return leader;
  }

  /** Kills a member: its connections break, and it stays down until {@link LocalEnsemble.heal}. */
  async kill(member: number): Promise<void> {
    this.#check(member);
    await this.#impose({ ...this.#faults, down: [...this.#faults.down, member] });
  }

  /**
   * Lets members reach each other only within a group; whoever is named in none reaches nobody. Clients still
   * reach all of them.
   *
   * @example
   * await ensemble.partition([1], [2, 3]);
   */
  async partition(...groups: readonly (readonly number[])[]): Promise<void> {
    for (const member of groups.flat()) this.#check(member);
    // No group at all would be no partition.
    await this.#impose({ ...this.#faults, groups: groups.length === 0 ? [[]] : groups });
  }

  /** Ends partitions, and brings up what is down. */
  async heal(): Promise<void> {
    await this.#impose({ down: [], groups: [] });
  }

  /**
   * Drops a member from memory, as the platform may at any time. It goes on with the next event. Of one that is
   * down there is nothing to drop.
   *
   * @param webSockets - Whether its connections survive, as in a hibernation. Default: `hibernate`.
   */
  async evict(member: number, webSockets: "hibernate" | "close" = "hibernate"): Promise<void> {
    this.#check(member);
    // Asking brings into memory who has just been healed; the runtime refuses to drop what is not there.
    const state = (await this.members()).find(({ id }) => id === member);
    if (state?.role === "unreachable") return;
    await this.#parts.running.evict(`${ensembleName}/${member}`, webSockets);
  }

  /**
   * Ends a client's session, as if it had not been heard of for its timeout. The client hears of it when it
   * connects again, at once.
   *
   * @throws {@link ZkError} `SessionExpired` when it has none.
   */
  async expire(client: Client): Promise<void> {
    const { running, token } = this.#parts;
    await expireSession(client, { host, port: running.zkPort, token });
  }

  /** Closes the clients, stops everything and removes its directory. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // Not waited for: without a leader a goodbye is answered by nobody.
    for (const client of this.#clients) client.close().catch(() => undefined);
    await this.#parts.running.close();
    await remove(this.#parts.data);
  }

  async #impose(faults: Faults): Promise<void> {
    this.#faults = faults;
    await this.#fetch(`${this.#parts.running.url}/testing`, {
      method: "POST",
      body: JSON.stringify(faults),
    });
  }

  async #fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const { token } = this.#parts;
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const response = await fetch(url, { ...init, headers });
    if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
    return response;
  }

  #check(member: number): void {
    const { members } = this.#parts;
    if (Number.isInteger(member) && member >= 1 && member <= members) return;
    throw new RangeError(`There is no member ${member}: they are 1 to ${members}`);
  }
}

interface Listed {
  readonly id: number;
  readonly role?: Exclude<MemberState["role"], "unreachable">;
  readonly serving?: boolean;
}

async function remove(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
}
