/**
 * Session ids: never given twice, without a clock.
 *
 * ZooKeeper fills the middle with the time; here it is the epoch, which no other leader shares: top byte
 * the server id, then 24 bits of epoch, then a counter of 32. A clock may jump back, an epoch does not.
 *
 * A leader that lost its memory goes on in its epoch and does not know how far it had counted. So it counts in
 * blocks, and a block is taken durably before any id of it is given.
 *
 * @module
 */

import { assert, makeSessionId, type ServerId, type SessionId } from "../base/index.ts";
import { readMeta, writeMeta } from "./sql/meta.ts";

/** Ids of one block. A row for so many sessions; an epoch has 2^24 blocks, one for each time it is resumed. */
export const sessionIdBlock = 256;

export class SessionIds {
  readonly #prefix: bigint;
  readonly #takeBlock: () => number;
  #counter = 0;

  /** @param takeBlock - Answers 0, 1, 2, ... in this epoch, never one of them twice, whatever happens to memory. */
  constructor(server: ServerId, epoch: number, takeBlock: () => number) {
    this.#prefix = (BigInt(server) << 56n) | (BigInt(epoch & 0xffffff) << 32n);
    this.#takeBlock = takeBlock;
  }

  /** @param isTaken - Whether a session has the id: only after 2^24 epochs can one. */
  next(isTaken: (id: SessionId) => boolean): SessionId {
    for (;;) {
      if (this.#counter % sessionIdBlock === 0) this.#counter = this.#takeBlock() * sessionIdBlock;
      // The first number of a block is not used: with 0 an id would begin where the epoch does.
      this.#counter += 1;
      assert(this.#counter < 2 ** 32, "an epoch has 2^24 blocks of ids");
      const id = makeSessionId(this.#prefix | BigInt(this.#counter));
      if (this.#counter % sessionIdBlock !== 0 && !isTaken(id)) return id;
    }
  }
}

/** Takes the next block of an epoch, durably. */
export function takeSessionIdBlock(sql: SqlStorage, epoch: number): number {
  const [takenIn, taken] = (readMeta(sql, "sessionIdBlock") ?? "0 -1").split(" ").map(Number);
  const block = takenIn === epoch && taken !== undefined ? taken + 1 : 0;
  writeMeta(sql, "sessionIdBlock", `${epoch} ${block}`);
  return block;
}
