/**
 * Session ids: never given twice, without a clock.
 *
 * ZooKeeper fills the middle with the time; here it is the epoch, which no other leader shares: top byte
 * the server id, then 24 bits of epoch, then a counter of 32. A clock may jump back, an epoch does not.
 *
 * @module
 */

import { assert, makeSessionId, type ServerId, type SessionId } from "../base/index.ts";

export class SessionIds {
  readonly #prefix: bigint;
  #counter = 0;

  constructor(server: ServerId, epoch: number) {
    this.#prefix = (BigInt(server) << 56n) | (BigInt(epoch & 0xffffff) << 32n);
  }

  /** @param isTaken - Whether a session has the id: only after 2^24 epochs can one. */
  next(isTaken: (id: SessionId) => boolean): SessionId {
    for (;;) {
      this.#counter += 1;
      assert(this.#counter < 2 ** 32, "a leader opens fewer than 2^32 sessions");
      const id = makeSessionId(this.#prefix | BigInt(this.#counter));
      if (!isTaken(id)) return id;
    }
  }
}
