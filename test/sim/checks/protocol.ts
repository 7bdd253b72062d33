/**
 * The invariants of Zab, watched from outside: what members stored, delivered and promised.
 *
 * Nothing here asks the code under test for a comparison, a quorum or a tree. Ghost state costs the
 * change, not the state: a global table says for each zxid which history (as a chain hash) it stands for,
 * so log matching is one look-up per stored txn, and the delivered sequence `C` is one array.
 *
 * Names: I1 to I10 and B1 to B6 as in the protocol's specification.
 *
 * @module
 */

import {
  compareZxid,
  formatZxid,
  type ServerId,
  type Txn,
  ZERO_ZXID,
  type Zxid,
} from "../../../src/base/index.ts";
import { decodeTxn } from "../../../src/jute/index.ts";
import type { Config, Promises } from "../../../src/zab/index.ts";
import type { Disk, DiskOp, Entry } from "../disk.ts";
import { violate } from "../violation.ts";
import { MembershipChecks } from "./memberships.ts";
import { initialDigest, ReferenceTree, type Trace } from "./reference.ts";

/** One place of the delivered sequence. */
export interface Committed {
  readonly zxid: Zxid;
  readonly chain: number;
  readonly txn: Txn;
  readonly traces: readonly Trace[];
  /** Digest of the whole tree afterwards. */
  readonly digest: number;
  /** Virtual time of the first delivery anywhere. */
  readonly atMs: number;
}

interface Reign {
  readonly leader: ServerId;
  /** Chain hash by counter, from 1. */
  readonly chains: (number | undefined)[];
  /** Its leader has lost its storage since: what it stores of this epoch from then on are copies of others'. */
  isBereft: boolean;
}

/** A history as base and runs. */
interface Extent {
  readonly base: Zxid;
  readonly lasts: ReadonlyMap<number, number>;
}

interface Ghost {
  readonly disk: Disk;
  durable: Promises;
  incarnation: number;
  readonly promisees: Map<number, ServerId | 0>;
  /** Highest zxid this member has ever delivered. */
  delivered: Zxid;
  /** Length of the part of `C` delivered in this life. */
  position: number;
}

export class ProtocolChecks {
  readonly committed: Committed[] = [];
  readonly reference = new ReferenceTree();
  readonly memberships: MembershipChecks;
  /** Who established which epoch. */
  readonly established = new Map<number, ServerId>();
  /** Told of every txn that joins `C`. */
  onCommit: (zxid: Zxid, txn: Txn) => void = () => {};
  readonly #reigns = new Map<number, Reign>();
  readonly #ghosts = new Map<ServerId, Ghost>();
  /** Position in `C` of the first txn of an epoch. */
  readonly #starts = new Map<number, number>();
  readonly #initialHistories = new Map<number, Extent>();
  readonly #counterMax: number;
  readonly #now: () => number;

  constructor(
    config: Config,
    counterMax: number,
    { now, storageOf }: { now(): number; storageOf(id: ServerId): string | undefined },
  ) {
    this.#counterMax = counterMax;
    this.memberships = new MembershipChecks(config, storageOf);
    this.#now = now;
  }

  addMember(id: ServerId, disk: Disk): void {
    this.memberships.addMember(id, disk);
    this.#ghosts.set(id, {
      disk,
      durable: disk.promises,
      incarnation: 0,
      promisees: new Map(),
      delivered: ZERO_ZXID,
      position: 0,
    });
  }

  get tip(): Zxid {
    return this.committed.at(-1)?.zxid ?? ZERO_ZXID;
  }

  /** Places of `C` through `zxid`; `undefined` when it is not in `C`. */
  positionOf(zxid: Zxid): number | undefined {
    if (zxid.counter === 0) return 0;
    const start = this.#starts.get(zxid.epoch);
    if (start === undefined) return undefined;
    const position = start + zxid.counter;
    const found = this.committed[position - 1];
    return found !== undefined && compareZxid(found.zxid, zxid) === 0 ? position : undefined;
  }

  /** A member appended `entries` (not yet durable). */
  appended(id: ServerId, entries: readonly Entry[]): void {
    const { disk } = this.#ghost(id);
    for (const entry of entries) {
      const { epoch, counter, chain } = entry;
      let reign = this.#reigns.get(epoch);
      const known = reign?.chains[counter];
      if (known === undefined) {
        if (disk.promises.establishedEpoch !== epoch || disk.promises.acceptedLeader !== id) {
          violate("B1", `${id} stores (${epoch},${counter}), which no established leader proposed`);
        }
        reign ??= { leader: id, chains: [], isBereft: false };
        this.#reigns.set(epoch, reign);
        if (reign.leader !== id)
          violate("I4", `(${epoch},${counter}) of ${id} in the epoch of ${reign.leader}`);
        if (counter > this.#counterMax) violate("I4", `${id} uses counter ${counter}, beyond the last one`);
        reign.chains[counter] = chain;
        this.memberships.proposed(id, entry);
      } else if (known !== chain) {
        violate("I5", `${id} stores another (${epoch},${counter}), or behind another history`);
      }
    }
    this.memberships.logged(id, entries);
  }

  /** A crash undid an append: if its author lost it, nobody else can have seen it. */
  appendLost(id: ServerId, op: Extract<DiskOp, { kind: "append" }>): void {
    const reign = this.#reigns.get(op.batch.epoch);
    if (reign?.leader !== id || reign.isBereft) return;
    reign.chains.length = Math.min(reign.chains.length, op.batch.first);
    this.memberships.unproposed(id, { epoch: op.batch.epoch, counter: op.batch.first });
  }

  /**
   * A crash undid a write of promises. An epoch that it established has never been: nothing that says so
   * has left the member, which may go on with the epoch before (a lone voter does, when it resumes).
   */
  promisesLost(id: ServerId, { establishedEpoch }: Promises): void {
    if (this.#ghost(id).durable.establishedEpoch >= establishedEpoch) return;
    if (this.established.get(establishedEpoch) !== id) return;
    this.established.delete(establishedEpoch);
    this.#initialHistories.delete(establishedEpoch);
  }

  /** A dead member's storage is gone, and another one in its place. */
  wiped(id: ServerId): void {
    const ghost = this.#ghost(id);
    ghost.durable = ghost.disk.promises;
    ghost.promisees.clear();
    ghost.delivered = ZERO_ZXID;
    for (const reign of this.#reigns.values()) if (reign.leader === id) reign.isBereft = true;
    this.memberships.reread(id);
  }

  /** Before a write that shortens or replaces the log. */
  shortening(id: ServerId, op: DiskOp): void {
    const ghost = this.#ghost(id);
    if (op.kind === "truncate" && compareZxid(op.after, ghost.delivered) < 0) {
      violate("I8", `${id} truncates to ${formatZxid(op.after)}, below what it delivered`);
    }
    if (op.kind === "installSnapshot" && compareZxid(op.zxid, ghost.delivered) < 0) {
      violate("I8", `${id} installs a snapshot below what it delivered`);
    }
    if (op.kind === "truncate") this.memberships.truncated(id, op.after);
  }

  /** A snapshot is in place (not yet durable): its state is the replay of `C` up to its label. */
  installed(id: ServerId, zxid: Zxid, digest: number): void {
    const position = this.positionOf(zxid);
    if (position === undefined)
      violate("I9", `${id} installs a snapshot at ${formatZxid(zxid)}, never delivered`);
    this.#compare(id, "a snapshot", position, digest);
    const { disk } = this.#ghost(id);
    this.memberships.reread(id);
    const chain = this.committed[position - 1]?.chain ?? 0;
    if (disk.baseChain !== chain) violate("I5", `${id} installs a snapshot of another history`);
  }

  /** The written promises changed (not yet durable). */
  promised(id: ServerId, before: Promises, after: Promises): void {
    if (after.currentEpoch > after.acceptedEpoch) violate("I2", `${id}: currentEpoch above acceptedEpoch`);
    if (after.establishedEpoch > after.currentEpoch)
      violate("I2", `${id}: establishedEpoch above currentEpoch`);
    if (after.establishedEpoch > before.establishedEpoch) this.#establish(id, after.establishedEpoch);
  }

  /** A write is durable. */
  durable(id: ServerId, op: DiskOp): void {
    if (op.kind === "promises") this.#durablePromises(id, op.promises);
    else if (op.kind === "configs") this.memberships.durable(id, op.committed);
    else if (op.kind === "incarnation") {
      const ghost = this.#ghost(id);
      if (op.value <= ghost.incarnation) violate("I2", `${id}: incarnation ${op.value} again`);
      ghost.incarnation = op.value;
    } else if (op.kind === "truncate" || op.kind === "installSnapshot") this.commitsAreSafe();
  }

  /** A member starts a life with a stored state. */
  started(id: ServerId, applied: Zxid, digest: number): void {
    const ghost = this.#ghost(id);
    const position = this.positionOf(applied);
    if (position === undefined) violate("I9", `${id} starts at ${formatZxid(applied)}, never delivered`);
    this.#compare(id, "the stored state", position, digest);
    ghost.position = position;
    this.memberships.reread(id);
  }

  /** A snapshot took the place of a running member's state. */
  reloaded(id: ServerId, zxid: Zxid): void {
    const ghost = this.#ghost(id);
    ghost.position = this.positionOf(zxid) ?? violate("I9", `${id} reloads ${formatZxid(zxid)}`);
    if (compareZxid(zxid, ghost.delivered) > 0) ghost.delivered = zxid;
  }

  /** A member delivered a txn, and what that left in its tree; said once its gate is open. */
  delivered(id: ServerId, entry: Entry, hashes: readonly number[]): void {
    const ghost = this.#ghost(id);
    const position = ghost.position;
    if (position === this.committed.length) this.#commit(id, entry);
    const committed = this.committed[position];
    if (
      committed === undefined ||
      committed.chain !== entry.chain ||
      compareZxid(committed.zxid, entry) !== 0
    ) {
      const there = committed === undefined ? "nothing" : formatZxid(committed.zxid);
      violate("B3", `${id} delivers ${formatZxid(entry)} at place ${position}, where ${there} stands`);
    }
    ghost.position = position + 1;
    if (compareZxid(entry, ghost.delivered) > 0) ghost.delivered = committed.zxid;
    committed.traces.forEach(({ path, hash }, at) => {
      if (hashes[at] !== hash) violate("I9", `${id}: ${path} is not what ${formatZxid(entry)} made it`);
    });
  }

  /** I7: the members that lack the tip of `C` are no quorum. */
  commitsAreSafe(): void {
    const { tip } = this;
    if (tip.counter === 0) return;
    if (this.memberships.isLackedByQuorum((id) => this.#ghost(id).disk.durable.has(tip)))
      violate("I7", `a quorum can form that never heard of ${formatZxid(tip)}`);
  }

  /** A member serves as the leader of an epoch, and nothing it waited for was lost. */
  leads(id: ServerId, epoch: number): void {
    this.memberships.leads(id, epoch, (voter) => this.#ghost(voter).durable.currentEpoch);
  }

  /** Relations that hold on every member at any time. */
  stands(id: ServerId): void {
    const { disk } = this.#ghost(id);
    const { promises, base, image, last } = disk;
    if (compareZxid(base, image.zxid) > 0) violate("I9", `${id}: base above applied`);
    if (compareZxid(image.zxid, last) > 0) violate("I9", `${id}: applied above the log`);
    if (last.epoch > promises.acceptedEpoch) violate("I2", `${id}: logged beyond its promises`);
    this.memberships.stands(id);
  }

  #ghost(id: ServerId): Ghost {
    const ghost = this.#ghosts.get(id);
    if (ghost === undefined) throw new Error(`no member ${id}`);
    return ghost;
  }

  #compare(id: ServerId, what: string, position: number, digest: number): void {
    const wanted = this.committed[position - 1]?.digest ?? initialDigest;
    if (digest !== wanted) violate("I9", `${id}: ${what} is not the replay of what was delivered`);
  }

  #establish(id: ServerId, epoch: number): void {
    const other = this.established.get(epoch);
    if (other !== undefined && other !== id)
      violate("I1", `${other} and ${id} both established epoch ${epoch}`);
    this.established.set(epoch, id);
    const { disk } = this.#ghost(id);
    for (let place = this.committed.length - 1; place >= 0; place--) {
      const entry = this.committed[place];
      if (entry === undefined || entry.zxid.epoch >= epoch) continue;
      const has = compareZxid(disk.base, entry.zxid) >= 0 || disk.chainAt(entry.zxid) === entry.chain;
      if (!has) violate("I3", `${id} leads epoch ${epoch} without ${formatZxid(entry.zxid)}`);
      break;
    }
    const lasts = new Map<number, number>();
    for (const entry of disk.log) lasts.set(entry.epoch, entry.counter);
    this.#initialHistories.set(epoch, { base: disk.base, lasts });
  }

  #durablePromises(id: ServerId, after: Promises): void {
    const ghost = this.#ghost(id);
    const before = ghost.durable;
    if (
      after.acceptedEpoch < before.acceptedEpoch ||
      after.currentEpoch < before.currentEpoch ||
      after.establishedEpoch < before.establishedEpoch
    ) {
      violate("I2", `${id}: an epoch went back`);
    }
    const promisee = ghost.promisees.get(after.acceptedEpoch);
    if (promisee !== undefined && promisee !== after.acceptedLeader) {
      violate("I1", `${id} promised epoch ${after.acceptedEpoch} to ${promisee} and ${after.acceptedLeader}`);
    }
    ghost.promisees.set(after.acceptedEpoch, after.acceptedLeader);
    ghost.durable = after;
  }

  #commit(id: ServerId, entry: Entry): void {
    const { epoch, counter, chain } = entry;
    const before = this.tip;
    if (epoch === before.epoch ? counter !== before.counter + 1 : epoch < before.epoch || counter !== 1) {
      violate("B5", `${id} delivers ${formatZxid(entry)} behind ${formatZxid(before)}`);
    }
    if (this.#reigns.get(epoch)?.chains[counter] !== chain) {
      violate("B1", `${id} delivers ${formatZxid(entry)}, which nobody proposed so`);
    }
    for (const [later, { base, lasts }] of this.#initialHistories) {
      if (later <= epoch || compareZxid(base, entry) >= 0) continue;
      if ((lasts.get(epoch) ?? 0) < counter) {
        violate("B6", `${formatZxid(entry)} is delivered although the leader of ${later} began without it`);
      }
    }
    const txn = decodeTxn(entry.payload);
    if (txn === undefined) violate("B1", `${formatZxid(entry)} is damaged`);
    const zxid = { epoch, counter };
    const traces = this.reference.apply(zxid, txn);
    if (counter === 1) this.#starts.set(epoch, this.committed.length);
    this.committed.push({ zxid, chain, txn, traces, digest: this.reference.digest, atMs: this.#now() });
    this.memberships.committed(zxid, txn);
    this.onCommit(zxid, txn);
    this.commitsAreSafe();
  }
}
