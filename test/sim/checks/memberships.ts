/**
 * Who governs: the configurations that were proposed, committed and followed, watched from outside.
 *
 * The configuration committed last governs. Shares nothing with `src/zab`: it reads what was proposed from
 * the txns, counts its own quorums, and asks storages what they hold.
 *
 * - C1: an established leader has been joined by a quorum of the configuration that governs.
 * - C2: a member counts a configuration as committed once a quorum of it, and one of the configuration before
 *   it, have stored it; and it is the configuration that was proposed.
 * - C3: a configuration is pending at a member while it is in its log and not known to be committed, and not
 *   otherwise.
 *
 * @module
 */

import {
  compareZxid,
  equalZxid,
  formatZxid,
  type ServerId,
  type Txn,
  type Zxid,
} from "../../../src/base/index.ts";
import { decodeTxn } from "../../../src/jute/index.ts";
import type { Config, Membership } from "../../../src/zab/index.ts";
import type { Disk, Entry } from "../disk.ts";
import { violate } from "../violation.ts";

interface Known {
  readonly version: Zxid;
  readonly config: Config;
  readonly members: ReadonlySet<ServerId>;
  /** With the storage that is meant; `undefined`: any. */
  readonly voters: ReadonlyMap<ServerId, string | undefined>;
  /** Who is what, with which storage: equal texts, equal configurations. */
  readonly text: string;
}

interface Proposal {
  readonly config: Known;
  /** What governed when it was proposed, as its proposer had it. */
  readonly before: Known;
  readonly by: ServerId;
}

function knownOf(version: Zxid, { members, retired = [] }: Membership): Known {
  const voters = members.filter(({ role }) => role === "voter");
  return {
    version,
    config: { version, members, retired },
    members: new Set(members.map(({ id }) => id)),
    voters: new Map(voters.map(({ id, storageId }) => [id, storageId])),
    text: members.map(({ id, role, storageId = "" }) => `${id} ${role} ${storageId}`).join(),
  };
}

export class MembershipChecks {
  /** Committed ones in order, the first configuration first. */
  readonly #committed: Known[];
  readonly #proposed = new Map<string, Proposal>();
  readonly #activated = new Set<string>();
  /** Configurations in each member's log, by zxid. */
  readonly #logged = new Map<ServerId, Zxid[]>();
  readonly #disks = new Map<ServerId, Disk>();
  readonly #storageOf: (id: ServerId) => string | undefined;

  constructor(first: Config, storageOf: (id: ServerId) => string | undefined) {
    this.#storageOf = storageOf;
    this.#committed = [knownOf(first.version, first)];
  }

  addMember(id: ServerId, disk: Disk): void {
    this.#disks.set(id, disk);
    this.#logged.set(id, []);
  }

  /** The configuration that was committed last. */
  get governing(): Known {
    return this.#committed.at(-1) ?? violate("simulator", "no configuration");
  }

  get changes(): number {
    return this.#committed.length - 1;
  }

  /** Whether those who lack something are enough of a quorum to decide without it. */
  isLackedByQuorum(has: (id: ServerId) => boolean): boolean {
    return this.#isQuorum(this.governing, (id) => !has(id));
  }

  /**
   * Whether the rest can go on when these are out of reach, whatever it is that the members know. Somebody who
   * is in a pending configuration alone, and has not logged that, is told of it only when it is committed.
   */
  canDoWithout(out: ReadonlySet<ServerId>): boolean {
    const { governing } = this;
    if (!this.#isQuorum(governing, (id) => !out.has(id))) return false;
    for (const id of governing.members) {
      const { config, pendingConfig } = this.#disk(id);
      const [followed, pending] = [config, pendingConfig].map((each) => each && knownOf(each.version, each));
      if (followed !== undefined && !this.#isQuorum(followed, (each) => !out.has(each))) return false;
      if (pending === undefined) continue;
      const has = (each: ServerId): boolean => !out.has(each) && this.#isMember(each);
      if (!this.#isQuorum(pending, has)) return false;
    }
    return true;
  }

  /** Whether a server knows that it is a member. */
  #isMember(id: ServerId): boolean {
    const { config, pendingConfig } = this.#disk(id);
    return [config, pendingConfig].some((each) => each?.members.some((member) => member.id === id));
  }

  /** Whether a configuration means this server, and the storage that it has, as a voter. */
  isVoter(config: Known, id: ServerId): boolean {
    if (!config.voters.has(id)) return false;
    const storageId = config.voters.get(id);
    return storageId === undefined || storageId === this.#storageOf(id);
  }

  #isQuorum(config: Known, has: (id: ServerId) => boolean): boolean {
    let count = 0;
    for (const id of config.voters.keys()) if (this.isVoter(config, id) && has(id)) count++;
    return count * 2 > config.voters.size;
  }

  /** A txn that nobody had logged before was logged by its proposer. */
  proposed(id: ServerId, entry: Entry): void {
    const op = decodeTxn(entry.payload)?.op;
    if (op?.kind !== "reconfig") return;
    const { config } = this.#disk(id);
    this.#proposed.set(formatZxid(entry), {
      config: knownOf({ epoch: entry.epoch, counter: entry.counter }, op),
      before: knownOf(config.version, config),
      by: id,
    });
  }

  /** The author of everything from `from` on lost it in a crash, before anybody else had it. */
  unproposed(id: ServerId, from: Zxid): void {
    for (const [name, { config, by }] of this.#proposed) {
      const { version } = config;
      if (by === id && version.epoch === from.epoch && version.counter >= from.counter)
        this.#proposed.delete(name);
    }
  }

  logged(id: ServerId, entries: readonly Entry[]): void {
    for (const entry of entries)
      if (this.#proposed.has(formatZxid(entry)))
        this.#log(id).push({ epoch: entry.epoch, counter: entry.counter });
  }

  truncated(id: ServerId, after: Zxid): void {
    const log = this.#log(id);
    while (log.length > 0 && compareZxid(log.at(-1) ?? after, after) > 0) log.pop();
  }

  /** The log was replaced, or a crash has cut it: what is in it now. */
  reread(id: ServerId): void {
    this.#logged.set(id, []);
    if (this.#proposed.size > 0) this.logged(id, this.#disk(id).log);
  }

  committed(zxid: Zxid, txn: Txn): void {
    if (txn.op.kind !== "reconfig") return;
    const proposal = this.#proposed.get(formatZxid(zxid));
    if (proposal === undefined) violate("C2", `the configuration ${formatZxid(zxid)} was proposed by nobody`);
    this.#storedByBoth(proposal);
    this.#committed.push(proposal.config);
  }

  /** A member's configurations are durable: the committed one is followed from here on. */
  durable(id: ServerId, committed: Config): void {
    if (committed.version.counter === 0) return;
    const name = formatZxid(committed.version);
    const proposal = this.#proposed.get(name);
    if (proposal === undefined || knownOf(committed.version, committed).text !== proposal.config.text)
      violate("C2", `${id} follows a configuration ${name} that was not proposed so`);
    if (this.#activated.has(name)) return;
    this.#storedByBoth(proposal);
    this.#activated.add(name);
  }

  #storedByBoth({ config, before }: Proposal): void {
    const has = (id: ServerId): boolean => this.#disk(id).durable.has(config.version);
    for (const each of [before, config]) {
      if (this.#isQuorum(each, has)) continue;
      violate("C2", `${formatZxid(config.version)} counts without a quorum of ${[...each.voters.keys()]}`);
    }
  }

  /** Relations of a member's configurations to its log, between turns. */
  stands(id: ServerId): void {
    const { config, pendingConfig, image } = this.#disk(id);
    const newest = this.#log(id).at(-1);
    if (pendingConfig !== undefined && (newest === undefined || !equalZxid(newest, pendingConfig.version)))
      violate(
        "C3",
        `${id} counts with ${formatZxid(pendingConfig.version)}, which its log does not end with`,
      );
    const isCounted =
      newest === undefined || compareZxid(newest, config.version) <= 0 || pendingConfig !== undefined;
    if (!isCounted) violate("C3", `${id} has logged ${formatZxid(newest)} and does not count with it`);
    const applied = this.#committed.findLast(({ version }) => compareZxid(version, image.zxid) <= 0);
    if (applied !== undefined && compareZxid(applied.version, config.version) > 0)
      violate("C3", `${id} has applied ${formatZxid(applied.version)} and does not follow it`);
  }

  /** What an established leader said has left it: the configuration that governs has joined its epoch. */
  leads(id: ServerId, epoch: number, currentEpochOf: (id: ServerId) => number): void {
    if (this.#isQuorum(this.governing, (voter) => currentEpochOf(voter) >= epoch)) return;
    violate("C1", `${id} leads ${epoch} without a quorum of the voters ${[...this.governing.voters.keys()]}`);
  }

  #disk(id: ServerId): Disk {
    return this.#disks.get(id) ?? violate("simulator", `no member ${id}`);
  }

  #log(id: ServerId): Zxid[] {
    return this.#logged.get(id) ?? violate("simulator", `no member ${id}`);
  }
}
