/**
 * The checkers of the peer's tests: they watch what members store, send and deliver, from outside.
 *
 * Names follow the list of safety properties: I1 one leader per epoch, I2 epochs only grow, I3 a leader
 * has everything committed, I4 and I5 equal zxids mean equal histories, I6 no gaps, I7 what is committed
 * stays with a quorum, I8 nothing delivered is dropped, I9 a snapshot is the truth, B2 and B3 one order of
 * delivery for all, and R: a confirmed read is not older than anything delivered before it was asked.
 * C1: an established leader has a quorum of the configuration that was committed last.
 *
 * @module
 */

import { compareZxid, formatZxid, type ServerId, type Zxid } from "../../src/base/index.ts";
import type { Promises, StoreOp } from "../../src/zab/index.ts";
import { type Applied, chain, type Disk, NOTHING } from "./disk.ts";
import { configOf } from "./memberships.ts";

export class Violation extends Error {
  override readonly name = "Violation";
}

function key({ epoch, counter }: Zxid): number {
  return epoch * 2 ** 20 + counter;
}

export class Ghost {
  /** Voters of the configuration that was committed last: it governs. */
  voters: readonly ServerId[];
  /** Every configuration that was proposed, by zxid, with its voters. */
  readonly #configs = new Map<number, readonly ServerId[]>();
  /** Everything ever proposed: zxid to chain hash and proposer. */
  readonly #proposed = new Map<number, { hash: number; by: ServerId }>();
  /** The delivered sequence; position 0 is nothing. */
  readonly delivered: Applied[] = [NOTHING];
  readonly #positions = new Map<number, number>([[0, 0]]);
  readonly #established = new Map<number, ServerId>();
  readonly #promised = new Map<string, ServerId | 0>();
  /** Furthest position each member has delivered, over all its lives. */
  readonly #reached = new Map<ServerId, number>();

  constructor(voters: readonly ServerId[]) {
    this.voters = voters;
  }

  fail(invariant: string, detail: string): never {
    throw new Violation(`${invariant}: ${detail}`);
  }

  /** Before a step's ops are written to `disk`. `proposes`: the member is the leader of this epoch. */
  storing(id: ServerId, disk: Disk, ops: readonly StoreOp[], proposes: number): void {
    let { hash } = disk.last;
    for (const op of ops) {
      if (op.kind === "append") {
        let counter = op.batch.first;
        for (const payload of op.batch.payloads) {
          const zxid = { epoch: op.batch.epoch, counter };
          hash = chain(hash, zxid, payload);
          this.#storeEntry(id, zxid, hash, proposes === zxid.epoch);
          this.#noteConfig(zxid, payload);
          counter += 1;
        }
      } else if (op.kind === "promises") {
        this.#grows(id, disk.promises, op.promises);
      }
    }
  }

  #storeEntry(id: ServerId, zxid: Zxid, hash: number, proposes: boolean): void {
    const known = this.#proposed.get(key(zxid));
    if (known === undefined) {
      if (!proposes) this.fail("B1", `${id} stores ${formatZxid(zxid)}, which nobody proposed`);
      this.#proposed.set(key(zxid), { hash, by: id });
    } else if (known.hash !== hash) {
      this.fail("I4/I5", `${id} stores another ${formatZxid(zxid)} than ${known.by} proposed`);
    } else if (proposes) {
      this.fail("I4", `${id} proposes ${formatZxid(zxid)} again`);
    }
  }

  #noteConfig(zxid: Zxid, payload: Uint8Array): void {
    const membership = configOf(payload);
    if (membership === undefined) return;
    const voters = membership.members.filter(({ role }) => role === "voter").map((member) => member.id);
    this.#configs.set(key(zxid), voters);
  }

  /** Writes that a crash has lost were never seen by anybody: what they proposed may be proposed anew. */
  lost(id: ServerId, ops: readonly StoreOp[]): void {
    for (const op of ops) {
      if (op.kind !== "append") continue;
      for (let i = 0; i < op.batch.payloads.length; i++) {
        const zxid = { epoch: op.batch.epoch, counter: op.batch.first + i };
        if (this.#proposed.get(key(zxid))?.by !== id) continue;
        this.#proposed.delete(key(zxid));
        this.#configs.delete(key(zxid));
      }
    }
  }

  #grows(id: ServerId, before: Promises, after: Promises): void {
    const grows =
      after.acceptedEpoch >= before.acceptedEpoch &&
      after.currentEpoch >= before.currentEpoch &&
      after.establishedEpoch >= before.establishedEpoch;
    if (!grows) this.fail("I2", `${id} lowers an epoch`);
  }

  /** A member's storage is gone: it can keep nothing, and has promised nothing that it knows of. */
  wiped(id: ServerId): void {
    this.#reached.delete(id);
  }

  /** A member's promises have become durable. */
  promised(id: ServerId, { acceptedEpoch, acceptedLeader }: Promises): void {
    const name = `${id}/${acceptedEpoch}`;
    const promisee = this.#promised.get(name);
    if (promisee !== undefined && promisee !== acceptedLeader) {
      this.fail("I1", `${id} promises ${acceptedEpoch} to ${acceptedLeader} and ${promisee}`);
    }
    this.#promised.set(name, acceptedLeader);
  }

  /** A member serves as leader of an epoch for the first time. */
  established(id: ServerId, epoch: number, disk: Disk): void {
    const other = this.#established.get(epoch);
    if (other !== undefined && other !== id)
      this.fail("I1", `${other} and ${id} are established in ${epoch}`);
    this.#established.set(epoch, id);
    for (let at = this.delivered.length - 1; at > 0; at--) {
      const entry = this.delivered[at];
      if (entry === undefined || entry.zxid.epoch >= epoch) continue;
      if (!disk.holds(entry)) this.fail("I3", `${id} leads ${epoch} without ${formatZxid(entry.zxid)}`);
      break;
    }
  }

  /** What an established leader said and did has left it: the configuration that governs has joined its epoch. */
  leads(id: ServerId, epoch: number, disks: ReadonlyMap<ServerId, Disk>): void {
    const joined = this.voters.filter((voter) => (disks.get(voter)?.promises.currentEpoch ?? 0) >= epoch);
    if (joined.length * 2 <= this.voters.length) {
      this.fail(
        "C1",
        `${id} leads ${epoch} with ${joined.join(", ")} of the voters ${this.voters.join(", ")}`,
      );
    }
  }

  /** A member hands `entry` to its state machine, which stands at `at`. Returns the new state. */
  deliver(id: ServerId, at: Applied, entry: Applied): Applied {
    const position = (this.#positions.get(key(at.zxid)) ?? -1) + 1;
    if (position === 0) this.fail("B3", `${id} stands at ${formatZxid(at.zxid)}, which nobody delivered`);
    const there = this.delivered[position];
    if (there === undefined) {
      if (compareZxid(entry.zxid, at.zxid) <= 0)
        this.fail("B5", `${id} delivers ${formatZxid(entry.zxid)} late`);
      this.delivered.push(entry);
      this.#positions.set(key(entry.zxid), position);
      const voters = this.#configs.get(key(entry.zxid));
      if (voters !== undefined) this.voters = voters;
    } else if (there.hash !== entry.hash) {
      this.fail(
        "B2/B3",
        `${id} delivers ${formatZxid(entry.zxid)} where others have ${formatZxid(there.zxid)}`,
      );
    }
    this.#reached.set(id, Math.max(this.#reached.get(id) ?? 0, position));
    return entry;
  }

  /** A member's state was replaced, or it has just restarted with it. */
  stands(id: ServerId, state: Applied): void {
    const position = this.#positions.get(key(state.zxid));
    if (position === undefined || this.delivered[position]?.hash !== state.hash) {
      this.fail("I9", `${id} stands at ${formatZxid(state.zxid)} with a state that is not its`);
    }
    this.#reached.set(id, Math.max(this.#reached.get(id) ?? 0, position));
  }

  /** After a write: what the member delivered is still there. */
  keeps(id: ServerId, disk: Disk): void {
    const entry = this.delivered[this.#reached.get(id) ?? 0];
    if (entry !== undefined && entry.zxid.epoch > 0 && !disk.holds(entry)) {
      this.fail("I8", `${id} has dropped ${formatZxid(entry.zxid)}, which it delivered`);
    }
  }

  /** The last committed txn is in the durable history of at least one member of every quorum. */
  durable(disks: ReadonlyMap<ServerId, Disk>): void {
    const tip = this.delivered.at(-1);
    if (tip === undefined || tip.zxid.epoch === 0) return;
    const lacking = this.voters.filter((id) => disks.get(id)?.holds(tip) !== true);
    if (lacking.length > this.voters.length / 2) {
      this.fail("I7", `${formatZxid(tip.zxid)} is committed and missing at ${lacking.join(", ")}`);
    }
  }

  /** The position anybody has delivered so far: what a read invoked now must not fall behind. */
  get frontier(): number {
    return this.delivered.length - 1;
  }

  confirmed(id: ServerId, index: Zxid, frontier: number): void {
    const position = this.#positions.get(key(index));
    if (position === undefined)
      this.fail("R", `${id} confirms an index nobody delivered: ${formatZxid(index)}`);
    if (position < frontier)
      this.fail("R", `${id} confirms a read at ${position}, ${frontier} were delivered before`);
  }
}
