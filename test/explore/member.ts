/**
 * One member of the search: a real peer, its disk, and what others may know of it.
 *
 * @module
 */

import { compareZxid, equalZxid, maxZxid, type Zxid } from "../../src/base/index.ts";
import {
  type Config,
  type HistoryReader,
  type Peer,
  type Promises,
  refuseReconfig,
  type StoreOp,
} from "../../src/zab/index.ts";
import { violate } from "../sim/violation.ts";
import { type Configuration, type Configurations, nameOf } from "./configurations.ts";
import { EMPTY, type Histories } from "./histories.ts";

export interface Disk {
  promises: Promises;
  /** The whole history, compacted or not. */
  history: number;
  base: Zxid;
  applied: Zxid;
  staged: readonly Uint8Array[];
  /** The committed configuration, and the one that is logged and not known to be committed. */
  config: Config;
  pending: Config | undefined;
}

export interface Member {
  readonly peer: Peer;
  readonly disk: Disk;
  /** The longest history it has delivered in all its lives. */
  delivered: number;
  /** By epoch: the last counter acknowledged in it. */
  acked: readonly number[];
}

/** What others may know of a member's state. */
export interface Facts {
  readonly role: "looking" | "learning" | "leading";
  readonly isEstablished: boolean;
  /** Index of its leader while learning, else -1. */
  readonly leader: number;
  /** The attempt of its session while learning, else 0. */
  readonly attempt: number;
  /** By index of a learner: the attempt of the session on record, 0 for none. */
  readonly slots: readonly number[];
  readonly promises: Promises;
  readonly history: number;
  /** What this life has delivered, and what any life has. */
  readonly delivered: number;
  readonly deliveredEver: number;
  readonly acked: readonly number[];
  /** The configuration it follows. */
  readonly config: Config;
  readonly isVoter: boolean;
  readonly isMember: boolean;
  /** Voters of each configuration that decides here. */
  readonly active: readonly (readonly number[])[];
  /** Whether nobody else votes. */
  readonly isAlone: boolean;
  /** By index: whether it knows that server as a member. */
  readonly knows: readonly boolean[];
  /** Names of the configurations that it may propose. */
  readonly proposable: readonly string[];
  readonly canCheckpoint: boolean;
  readonly canCompact: boolean;
}

const pagesPerSnapshot = 2;

/** What a peer reads of its own disk. */
export class LocalReader implements HistoryReader {
  readonly #histories: Histories;
  #member: Member | undefined;

  constructor(histories: Histories) {
    this.#histories = histories;
  }

  readFrom(member: Member): void {
    this.#member = member;
  }

  get #now(): Member {
    if (this.#member === undefined) throw new Error("a reader belongs to a member");
    return this.#member;
  }

  readAfter(after: Zxid, bytesMax: number): ReturnType<HistoryReader["readAfter"]> {
    const { history, base } = this.#now.disk;
    // What is below the base is gone, and nothing says so.
    return this.#histories.batchAfter(history, maxZxid(after, base), bytesMax);
  }

  /** What was delivered never changes, so a cut is its zxid. */
  openSnapshot(): { readonly id: number; readonly zxid: Zxid } {
    const zxid = this.#now.peer.delivered;
    return { id: zxid.epoch * 256 + zxid.counter, zxid };
  }

  readSnapshotPage(
    id: number,
    page: number,
  ): { readonly bytes: Uint8Array; readonly last: boolean } | undefined {
    const zxid = { epoch: id >> 8, counter: id & 255 };
    const state = this.#histories.through(this.#now.disk.history, zxid);
    if (state === undefined) return undefined;
    return { bytes: this.#histories.writePage(state, page), last: page === pagesPerSnapshot - 1 };
  }

  closeSnapshot(): void {}
}

/** Carries one write out, and finds that it fits what is stored. */
export function write(disk: Disk, op: StoreOp, histories: Histories): void {
  switch (op.kind) {
    case "promises":
      disk.promises = op.promises;
      return;
    case "append":
      if (!equalZxid(op.prev, histories.zxid(disk.history))) violate("I6", "an append behind another txn");
      disk.history = histories.appendBatch(disk.history, op.batch);
      return;
    case "truncate":
      disk.history = histories.through(disk.history, op.after) ?? violate("I8", "a truncation to nowhere");
      return;
    case "discardStaging":
      disk.staged = [];
      return;
    case "stagePage":
      if (op.page !== disk.staged.length) violate("I9", "a page out of order");
      disk.staged = [...disk.staged, op.bytes];
      return;
    case "installSnapshot":
      install(disk, op, histories);
      return;
    case "configs":
      disk.config = op.committed;
      disk.pending = op.pending;
      return;
    case "fence":
      return;
  }
}

function install(
  disk: Disk,
  { zxid, pages }: { readonly zxid: Zxid; readonly pages: number },
  histories: Histories,
): void {
  const [history, ...rest] = disk.staged.map((bytes) => histories.readPage(bytes));
  if (history === undefined || disk.staged.length !== pages)
    violate("I9", "a snapshot without all its pages");
  if (rest.some((other) => other !== history)) violate("I9", "pages of two snapshots");
  if (!equalZxid(histories.zxid(history), zxid)) violate("I9", "a snapshot under another label");
  disk.history = history;
  disk.base = zxid;
  disk.applied = zxid;
  disk.staged = [];
}

export function factsOf(member: Member, histories: Histories, configurations: Configurations): Facts {
  const { peer, disk, delivered, acked } = member;
  const { role } = peer;
  const { count } = configurations;
  const slots = new Array<number>(count).fill(0);
  if (role.kind === "leading")
    for (const slot of role.slots.values()) slots[slot.id - 1] = slot.session.attempt;
  return {
    role: role.kind,
    isEstablished: role.kind === "leading" && role.phase === "broadcast",
    leader: role.kind === "learning" ? role.leader - 1 : -1,
    attempt: role.kind === "learning" ? role.session.attempt : 0,
    slots,
    promises: disk.promises,
    history: disk.history,
    delivered: histories.through(disk.history, peer.delivered) ?? EMPTY,
    deliveredEver: delivered,
    acked,
    config: peer.config,
    isVoter: peer.isVoter,
    isMember: peer.isMember,
    active: peer.active.map((voters) => voters.map((id) => id - 1)),
    isAlone: peer.active.every((voters) => voters.every((id) => id === peer.id)),
    knows: slots.map((_, i) => peer.others.some((id) => id === i + 1)),
    proposable: configurations.targets.filter((target) => mayPropose(peer, target)).map(({ name }) => name),
    canCheckpoint: compareZxid(disk.applied, peer.delivered) < 0,
    canCompact: compareZxid(disk.base, peer.delivered) < 0,
  };
}

/** The shell asks before it proposes. */
function mayPropose(peer: Peer, { name, membership }: Configuration): boolean {
  return nameOf(peer.config.members) !== name && refuseReconfig(peer, membership) === undefined;
}
